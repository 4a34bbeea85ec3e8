"""The weekly letter to the postmaster: once when it is due, now when somebody wants it, never when it is off."""
import contextlib
import datetime
import email
import email.policy
import os
import sqlite3
import subprocess
import unittest

from harness import DOMAIN, PROGRAM, Server, free_ports, replace, wait_until
from test_relay import FAST, send
from test_web import WebTest

MARK = ("hikyaku", "weekly-letter")


def letters(server, folder="new"):
    """Those that the postmaster has, parsed."""
    found = (email.message_from_bytes(server.read("alice", name, folder), policy=email.policy.default)
             for name in server.mailbox("alice", folder))
    return [m for m in found if m["Auto-Submitted"] == "auto-generated"]


def mark_of(day, hour=0):
    return f"{day:%Y-%m-%d} {day.isoweekday()} {hour:02}"


class Due(unittest.TestCase):
    """A letter of today, 0 o'clock, of a server that was down then."""

    def setUp(self):
        self.today = datetime.date.today()
        self.server = Server(settings={"PostMaster": f"alice@{DOMAIN}", "WeeklyLetter": str(self.today.isoweekday()),
                                       "WeeklyLetterHour": "0"})
        self.addCleanup(self.server.close)

    def put_mark(self, text):
        replace(self.server.path(*MARK), text.encode())

    def mark(self):
        with contextlib.suppress(FileNotFoundError), open(self.server.path(*MARK), encoding="ascii") as f:
            return f.read()
        return None

    def restart(self):
        self.server.stop()
        self.server.start()

    def test_once(self):
        self.put_mark(mark_of(self.today - datetime.timedelta(days=7)))
        self.server.start()
        self.assertTrue(wait_until(lambda: letters(self.server)), self.server.log_text())
        self.assertNotIn("doesn't run", letters(self.server)[0].get_content())
        self.assertEqual(self.mark(), mark_of(self.today))
        for hour in ("1", "2"):
            self.restart()
            # With other settings the mark is another: somebody looked, and this week's has passed.
            self.server.set(WeeklyLetterHour=hour)
            self.assertTrue(wait_until(lambda: self.mark().endswith(f" {int(hour):02}")))
        self.restart()
        self.assertEqual(len(letters(self.server)), 1)

    def test_a_crash_before_it_was_sent(self):
        self.put_mark(mark_of(self.today))
        name = f"weekly-{self.today}.letter"
        with open(self.server.path("spool", "temp", name), "wb") as f:
            f.write(f"mail from:<>\r\nrcpt to:<alice@{DOMAIN}>\r\n\r\nSubject: kept\r\n"
                    "Auto-Submitted: auto-generated\r\n\r\nText\r\n".encode())
        self.server.start()
        self.assertTrue(wait_until(lambda: letters(self.server)), self.server.log_text())
        self.restart()
        self.assertEqual([m["Subject"] for m in letters(self.server)], ["kept"])
        self.assertFalse(os.path.exists(self.server.path("spool", "temp", name)))

    def test_a_first_one_waits(self):
        self.server.start()
        self.assertTrue(wait_until(lambda: self.mark() == mark_of(self.today)))
        self.restart()
        self.assertEqual(letters(self.server), [])

    def test_off(self):
        self.put_mark(mark_of(self.today - datetime.timedelta(days=7)))
        self.server.set(WeeklyLetter="0")
        self.server.start()
        self.assertTrue(wait_until(lambda: self.mark() is None))
        self.server.set(WeeklyLetter=str(self.today.isoweekday()))
        self.assertTrue(wait_until(lambda: self.mark() == mark_of(self.today)))
        self.assertEqual(letters(self.server), [])


class Now(WebTest):
    settings = {**FAST, "PostMaster": f"alice@{DOMAIN}", "SmtpServerDomain": "mail.test.example", "RetryFirst": "3600",
                "DefaultSMTPGateways": f"127.0.0.1:{free_ports(1)[0]}"}  # nobody is there

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server.stop()
        midnight = datetime.datetime.combine(datetime.date.today() - datetime.timedelta(days=3), datetime.time())
        with contextlib.closing(sqlite3.connect(cls.server.path("hikyaku", "history", "changes.db"))) as db, db:
            for days, n in ((0, 4321), (7, 1234)):
                begins = int((midnight - datetime.timedelta(days=days)).timestamp())
                db.execute("INSERT INTO counts(unit, time, name, n) VALUES('day', ?, 'accepted_queue', ?)", (begins, n))
        cls.server.start()

    def setUp(self):
        self.client = self.signed_in()
        self.server.set(WeeklyLetterLanguage=None)
        self.assertTrue(wait_until(lambda: self.letter()["subject"].startswith("Weekly report")))

    def letter(self, method="GET"):
        status, value, _ = self.client.api(method, "/letters/weekly", *([{}] if method == "POST" else []))
        self.assertEqual(status, 200, value)
        return value

    def test_what_it_says(self):
        self.client.api("POST", "/limits", {"account": f"bob@{DOMAIN}"})
        self.client.api("PATCH", f"/users/{DOMAIN}/bob", {"variables": {"MaxMBSize": "1"}})
        with open(self.server.path("domains", DOMAIN, "bob", "Maildir", "new", "1.filled.x"), "wb") as f:
            f.write(b"Subject: x\n\n" + b"x" * 5000)
        send(self.server, ["somebody@far.example"])
        waiting = wait_until(lambda: [e for e in self.client.api("GET", "/queue")[1]["rows"] if e["tries"] > 0])
        self.client.api("POST", f"/queue/{waiting[0]['id']}", {"order": "hold"})
        self.assertTrue(wait_until(lambda: "[look at it] 1 messages are held\n" in self.letter()["text"]))
        value = self.letter()
        self.assertEqual(value["to"], f"alice@{DOMAIN}")
        self.assertRegex(value["subject"], r"^Weekly report of mail\.test\.example: [1-9]\d* to look at$")
        self.assertIn(f"[act now] The mailbox of bob@{DOMAIN} is full (", value["text"])
        self.assertIn(f"[act now] bob@{DOMAIN} is stopped since ", value["text"])
        self.assertIn("  Change its password, see what it has in the queue, then let it go.\n", value["text"])
        self.assertRegex(value["text"], r"\n  Messages accepted: 4,321 \(1,234\)\n")
        self.client.api("DELETE", f"/limits/bob@{DOMAIN}")
        self.assertNotIn("is stopped", self.letter()["text"])
        done = subprocess.run([PROGRAM, "statistics", "--letter", "--mailroot", self.server.path()], capture_output=True,
                              encoding="utf-8", check=True)
        self.assertTrue(done.stdout.startswith(f"To: alice@{DOMAIN}\nSubject: Weekly report of mail.test.example: "), done.stdout)
        self.assertRegex(done.stdout, r"\n  Messages accepted: 4,321 \(1,234\)\n")
        self.assertEqual(letters(self.server), [])

    def test_sent_in_japanese(self):
        self.server.set(WeeklyLetterLanguage="ja")
        self.assertTrue(wait_until(lambda: "週間レポート" in self.letter()["subject"]))
        value = self.letter("POST")
        found = wait_until(lambda: letters(self.server))
        self.assertEqual(len(found), 1, self.server.log_text())
        mail = found[0]
        self.assertEqual((mail["Subject"], mail["To"]), (value["subject"], f"alice@{DOMAIN}"))
        self.assertRegex(mail["Subject"], r"^mail\.test\.example の週間レポート: ")
        self.assertEqual(mail.get_content_charset(), "utf-8")
        self.assertEqual(mail.get_content().replace("\r\n", "\n").strip(), value["text"].strip())
        self.assertRegex(mail.get_content(), r"\n  受け付けたメール: 4,321 \(1,234\)\r?\n")
        self.assertEqual([r["act"] for r in self.client.api("GET", "/audit?search=weeklysend")[1]["rows"]], ["weeklysend"])
        os.unlink(self.server.path("domains", DOMAIN, "alice", "Maildir", "new", self.server.mailbox("alice")[0]))

    def test_not_a_viewers(self):
        viewer = self.signed_in("viewer")
        self.assertEqual(viewer.api("GET", "/letters/weekly")[0], 403)
        self.assertEqual(viewer.api("POST", "/letters/weekly", {})[0], 403)


if __name__ == "__main__":
    unittest.main()
