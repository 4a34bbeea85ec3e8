"""A stolen account floods the queue: seen, stopped, its mail kept apart, deleted or released with an undo; letters.
FLOOD says how many messages it sends; 100000 by hand."""
import email
import email.policy
import os
import smtplib
import time
import unittest

from harness import DOMAIN, PASSWORD, wait_until
from test_relay import client, send
from test_web_queue import QueueTest

FLOOD = int(os.environ.get("FLOOD", "300"))
PATIENCE = 20 + FLOOD // 20
ALICE = f"alice@{DOMAIN}"


def flood(server, count=FLOOD):
    """The thief's session, which stays open."""
    c = client(server)
    for n in range(count):
        c.sendmail(ALICE, [f"grey@v{n % 50}.victim.example"], f"Subject: Win {n}\r\n\r\nClick.\r\n")
    return c


class Emergency(QueueTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server.set(PostMaster=f"bob@{DOMAIN}")
        if FLOOD > 300:  # limits.tab would have stopped it
            with open(cls.server.path("limits.tab"), "r+b") as f:
                lines = f.readlines()
                f.seek(0)
                f.writelines(b"#" + line for line in lines)
            time.sleep(5)

    def sender(self, account=ALICE):
        rows = self.client.api("GET", "/queue/senders?search=" + account)[1]["rows"]
        return rows[0] if rows else {"entries": 0, "held": 0}

    def settled(self, what):
        self.assertTrue(wait_until(what, PATIENCE), self.sender())

    def order(self, order, state, after=0):
        return self.client.api("POST", "/queue", {"order": order, "filter": {"auth": ALICE, "state": state}, "after": after})

    def test_incident(self):
        thief = flood(self.server)
        send(self.server, ["grey@honest.example"])  # alice's own, among the flood
        c = client(self.server, "bob")
        c.sendmail(f"bob@{DOMAIN}", ["grey@honest.example"], "Subject: honest\r\n\r\nwork\r\n")
        c.quit()
        self.settled(lambda: self.sender()["entries"] == FLOOD + 1)
        row = self.sender()
        self.assertEqual((row["recipients"], row["clients"]), (FLOOD + 1, [{"client": "127.0.0.1", "count": FLOOD + 1}]))
        self.assertEqual(row["senders"], [{"address": ALICE, "count": FLOOD + 1}])
        self.assertEqual(self.sender(f"bob@{DOMAIN}")["entries"], 1)

        # stopped: the open session too
        self.assertEqual(self.client.api("POST", "/limits", {"account": ALICE.upper()})[0], 204)
        self.assertEqual([(h["who"], h["action"]) for h in self.client.api("GET", "/limits")[1]], [(ALICE, "stop")])
        code, text = thief.mail(ALICE)
        self.assertEqual(code, 550, text)
        thief.close()
        password = self.client.api("PUT", f"/users/{DOMAIN}/alice/password", {})[1]["password"]
        with self.assertRaises(smtplib.SMTPAuthenticationError):
            client(self.server)
        self.assertNotEqual(password, PASSWORD)

        # its mail apart from everybody else's
        self.assertEqual(self.order("hold", "waiting")[0], 202)
        self.settled(lambda: self.sender()["held"] == FLOOD + 1)
        self.assertEqual(self.sender(f"bob@{DOMAIN}")["held"], 0)
        good = next(e["id"] for e in self.entries(auth=ALICE, domain="honest.example"))

        # undone before its time
        job = self.order("delete", "held", after=3600)[1]["job"]
        mine = next(j for j in self.client.api("GET", "/jobs")[1] if j["id"] == job)
        self.assertEqual((mine["kind"], mine["about"], mine["total"], mine["done"]), ("queue-delete", ALICE, FLOOD + 1, 0))
        self.assertEqual(self.client.api("DELETE", f"/jobs/{job}")[0], 204)
        self.assertTrue(wait_until(lambda: self.client.api("GET", f"/jobs/{job}")[1]["state"] == "stopped"))
        self.assertEqual(self.sender()["held"], FLOOD + 1)

        # what is good is released meanwhile, and stays
        self.assertEqual(self.order("delete", "held", after=2)[0], 202)
        self.assertEqual(self.client.api("POST", f"/queue/{good}", {"order": "release"})[0], 204)
        self.settled(lambda: self.sender()["entries"] == 1)
        self.assertEqual(self.entries(auth=ALICE)[0]["id"], good)
        self.assertEqual(self.sender(f"bob@{DOMAIN}")["entries"], 1)

        self.assertEqual(self.client.api("DELETE", f"/limits/{ALICE}")[0], 204)
        self.assertEqual(self.client.api("GET", "/limits")[1], [])
        acts = [r["act"] for r in self.client.api("GET", "/audit?limit=1000&search=limit")[1]["rows"]]
        self.assertEqual(acts, ["limitrelease", "limitstop"])

    def test_letters(self):
        subject, text = "メールアカウントが不正利用されました。" * 3, "こんにちは。\n\n.\n..dots\nEnd\n"
        self.assertEqual(self.client.api("POST", "/letters", {"to": f"bob@{DOMAIN}", "subject": subject, "text": text})[0], 204)
        found = wait_until(lambda: self.server.mailbox("bob"))
        message = email.message_from_bytes(self.server.read("bob", found[-1]), policy=email.policy.default)
        self.assertEqual((message["Subject"], message["From"], message.get_content()), (subject, f"bob@{DOMAIN}", text))
        for body in ({"to": "nobody", "subject": "s", "text": "t"}, {"to": f"bob@{DOMAIN}", "subject": "s\r\nBcc: x@y.example", "text": "t"},
                     {"to": f"bob@{DOMAIN}", "subject": "s", "text": ""}, {"to": f"bob@{DOMAIN}", "subject": "s", "text": "x" * 2000},
                     {"to": f"bob@{DOMAIN}", "subject": "s", "text": "a\rb"}, {"to": f"bob@{DOMAIN}>\r\nx", "subject": "s", "text": "t"}):
            with self.subTest(body):
                self.assertEqual(self.client.api("POST", "/letters", body)[0], 422)

    def test_wrong(self):
        self.assertEqual(self.client.api("POST", "/limits", {"account": "x" * 500})[0], 422)
        self.assertEqual(self.client.api("DELETE", "/limits/nobody@nowhere.example")[0], 404)
        self.assertEqual(self.order("delete", "held", after=999999)[0], 422)
        self.assertEqual(self.order("delete", "held", after=-5)[0], 422)


if __name__ == "__main__":
    unittest.main()
