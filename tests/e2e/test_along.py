"""What goes along with mail: automatic answers, notices, copies, Message-IDs; groups of accounts."""
import datetime
import email
import email.policy
import os
import smtplib
import unittest

from harness import DOMAIN, Server, wait_until
from test_web import Client

ALICE, BOB, CAROL = (f"{name}@{DOMAIN}" for name in ("alice", "bob", "carol"))
REPLY = {"first": "", "last": "", "days": 7, "subject": "不在です", "text": "月曜に戻ります。\n\"Bob\"\tlooks into urgent matters.\n"}
EMPTY = {"reply": None, "notices": [], "copies": [], "message_id": False}


def day(offset):
    return (datetime.date.today() + datetime.timedelta(days=offset)).isoformat()


class Along(unittest.TestCase):
    def setUp(self):
        self.server = Server(users=("alice", "bob", "carol"), settings={"SMTP-MaxErrors": "0", "RetryFirst": "2"}).start()
        self.addCleanup(self.server.close)
        self.client = Client(self.server)
        self.assertEqual(self.client.sign_in()[0], 200)

    def api(self, method, path, body=None, status=200):
        got, answer, _ = self.client.api(method, path, body)
        self.assertEqual(got, status, answer)
        return answer

    def handling(self, path=f"/users/{DOMAIN}/alice", status=200, **members):
        return self.api("PUT", path + "/handling", {**EMPTY, **members}, status)

    def send(self, to=ALICE, sender=BOB, header="", text="hello"):
        with smtplib.SMTP("127.0.0.1", self.server.ports["smtp"], "me.example", timeout=60) as c:
            c.sendmail(sender, [to], f"From: <{sender}>\r\nTo: {to}\r\nSubject: question\r\n{header}\r\n{text}\r\n")

    def mail(self, user, count):
        """The messages of a mailbox, once there are so many, and no more behind them."""
        self.assertTrue(wait_until(lambda: len(self.server.mailbox(user)) >= count), self.server.log_text()[-3000:])
        self.assertTrue(wait_until(lambda: not self.queued()), self.queued())
        self.assertEqual(len(self.server.mailbox(user)), count)
        return [email.message_from_bytes(self.server.read(user, name), policy=email.policy.default)
                for name in self.server.mailbox(user)]

    def queued(self):
        return self.api("GET", "/queue")["rows"]

    def test_an_answer(self):
        self.handling(reply=REPLY)
        self.send(header="Message-ID: <q1@me.example>\r\n")
        answer = self.mail("bob", 1)[0]
        self.assertEqual(answer["Return-Path"], "<>")
        self.assertEqual(answer["Auto-Submitted"], "auto-replied")
        self.assertEqual((answer["Subject"], answer["To"], answer["From"]), ("不在です", BOB, ALICE))
        self.assertEqual((answer["In-Reply-To"], answer["References"]), ("<q1@me.example>",) * 2)
        self.assertEqual(answer.get_content().splitlines(), ["月曜に戻ります。", '"Bob" looks into urgent matters.'])
        self.assertEqual(self.mail("alice", 1)[0]["Subject"], "question")
        # Not again, also after a restart; but to somebody else.
        self.send()
        self.server.stop()
        self.server.start()
        self.assertEqual(self.client.sign_in()[0], 200)
        self.send()
        self.send(sender=CAROL)
        self.mail("carol", 1)
        self.mail("alice", 4)
        self.mail("bob", 1)
        self.assertIn("answered lately", self.server.log_text())

    def test_no_answer(self):
        """To programs, lists, and on other days; an answer isn't answered."""
        self.handling(reply={**REPLY, "first": day(1), "last": day(9)})
        self.send()
        self.mail("alice", 1)
        self.handling(reply={**REPLY, "last": day(-1)})
        self.send()
        self.mail("alice", 2)
        self.handling(reply=REPLY)
        for header in ("Auto-Submitted: auto-generated\r\n", "List-Id: <x.example>\r\n", "Precedence: bulk\r\n"):
            self.send(header=header)
        self.send(sender="")
        self.mail("alice", 6)
        self.mail("bob", 0)
        self.handling(f"/users/{DOMAIN}/bob", reply=REPLY)
        self.send()
        self.mail("bob", 1)
        self.mail("alice", 7)

    def test_notice_and_copy(self):
        self.handling(notices=[BOB], copies=[CAROL])
        self.send(header="Message-ID: <q1@me.example>\r\n")
        notice = self.mail("bob", 1)[0]
        self.assertEqual((notice["Subject"], notice["To"], notice["Return-Path"]), ("question", BOB, "<>"))
        self.assertIn(f"From: {BOB}\n", notice.get_content())
        copied = self.mail("carol", 1)[0]
        self.assertEqual((copied["Message-ID"], copied["Return-Path"]), ("<q1@me.example>", f"<{BOB}>"))
        self.assertEqual(copied.get_content(), "hello\n")
        self.mail("alice", 1)

    def test_a_copy_that_cant_be_delivered(self):
        """Nobody hears of it, it is frozen; what was only told of isn't kept."""
        self.handling(copies=[f"nobody@{DOMAIN}"], notices=[f"nobody@{DOMAIN}"])
        self.send()
        self.mail("alice", 1)
        self.mail("bob", 0)
        self.assertEqual([e["from"] for e in self.api("GET", "/queue?state=frozen")["rows"]], [BOB])

    def test_message_ids(self):
        self.handling(message_id=True)
        self.send()
        self.send(header="Message-ID: <q2@me.example>\r\n")
        ids = sorted(m["Message-ID"] for m in self.mail("alice", 2))
        self.assertEqual(len(ids), 2)
        self.assertIn("<q2@me.example>", ids)

    def test_beside_forwarding(self):
        """Each form leaves the other's lines; XMail is told of the mailbox."""
        url, forwarding = f"/users/{DOMAIN}/alice", f"/users/{DOMAIN}/alice/forwarding"
        self.handling(copies=[CAROL])
        self.assertEqual(self.table("domains", DOMAIN, "alice", "mailproc.tab"), [["copy", CAROL], ["mailbox"]])
        self.assertEqual([self.api("GET", forwarding)[k] for k in ("keep", "addresses", "others")], [True, [], []])
        self.api("PUT", forwarding, {"keep": False, "addresses": [BOB], "as_account": False})
        self.assertEqual(self.api("GET", url + "/handling")["copies"], [CAROL])
        self.send(sender="x@far.example")
        self.mail("carol", 1)
        self.mail("bob", 1)
        self.mail("alice", 0)
        self.handling()
        self.assertEqual(self.api("GET", forwarding)["addresses"], [BOB])
        self.api("PUT", forwarding, {"keep": False, "addresses": [], "as_account": False}, 422)
        self.api("PUT", forwarding, {"keep": True, "addresses": [], "as_account": False})
        self.assertFalse(os.path.exists(self.server.path("domains", DOMAIN, "alice", "mailproc.tab")))

    def table(self, *path):
        with open(self.server.path(*path), encoding="utf-8") as f:
            return [[v.strip('"') for v in line.rstrip("\n").split("\t")] for line in f if line.strip()]

    def test_bad_values(self):
        for reply in ({**REPLY, "text": ""}, {**REPLY, "text": " \x07"}, {**REPLY, "text": "x" * 901}, {**REPLY, "text": "x\n" * 201},
                      {**REPLY, "days": 0}, {**REPLY, "first": "soon"}, {**REPLY, "first": day(2), "last": day(1)},
                      {**REPLY, "subject": "a\nBcc: b"}, [], 5):
            self.handling(status=422, reply=reply)
        for addresses in (["a b"], ["x@\n"], [1], "x", ["a@b.example"] * 61):
            self.handling(status=422, copies=addresses)
        self.handling(f"/users/{DOMAIN}/nobody", 404)
        self.handling("/groups/none", 404)
        self.handling("/domains/none.example", 404)

    # --- groups

    def group(self, **members):
        return self.api("POST", "/groups", {"name": "営業 \"1\" <b>", **members}, 201)["id"]

    def test_a_group(self):
        """Its copies count for its members, on its days."""
        path = "/groups/" + self.group(first=day(-1), last=day(1), person="山田", mail="y@elsewhere.example")
        now = self.api("GET", path)
        self.assertEqual((now["name"], now["state"], now["person"], now["members"]), ('営業 "1" <b>', "now", "山田", 0))
        answer = self.api("POST", path + "/members", {"addresses": [ALICE, ALICE.upper(), "nobody@" + DOMAIN, "x", CAROL]})
        self.assertEqual(answer, {"added": 2, "already": 1, "unknown": ["nobody@" + DOMAIN, "x"]})
        self.handling(path, copies=[BOB])
        self.assertTrue(wait_until(lambda: self.api("GET", f"/users/{DOMAIN}/alice")["processed"]))
        self.send(sender="x@far.example")
        self.mail("bob", 1)
        self.mail("alice", 1)
        self.api("PATCH", path, {"last": day(-1)})
        self.assertEqual(self.api("GET", path)["state"], "over")
        self.assertTrue(wait_until(lambda: not self.api("GET", f"/users/{DOMAIN}/alice")["processed"]))
        self.send(sender="x@far.example")
        self.mail("alice", 2)
        self.mail("bob", 1)
        self.api("PATCH", path, {"last": "", "first": day(-1)})
        self.api("DELETE", f"{path}/members/{DOMAIN}/alice")
        self.assertEqual([r["name"] for r in self.api("GET", path + "/members")["rows"]], ["carol"])
        self.api("DELETE", f"{path}/members/{DOMAIN}/alice", status=404)

    def test_accounts_come_and_go(self):
        path = "/groups/" + self.group()
        self.api("POST", path + "/members", {"addresses": [ALICE, BOB]})
        self.assertEqual([g["name"] for g in self.api("GET", "/groups?member=" + ALICE)], ['営業 "1" <b>'])
        self.api("DELETE", f"/users/{DOMAIN}/alice", status=204)
        self.assertEqual(self.table("groupmembers.tab"), [["g1", DOMAIN, "bob"]])
        removed = self.api("GET", "/removed")[0]["id"]
        self.api("POST", f"/removed/{removed}", status=204)
        self.assertEqual(sorted(r["name"] for r in self.api("GET", path + "/members")["rows"]), ["alice", "bob"])
        self.handling(path, copies=[BOB])
        self.api("DELETE", path)
        self.assertFalse(os.path.exists(self.server.path("groups", "g1.tab")))
        self.assertEqual(self.table("groupmembers.tab"), [])
        self.api("GET", path, status=404)

    def test_all_accounts_at_once(self):
        self.api("POST", "/lists", {"domain": DOMAIN, "name": "team"}, 204)
        path = "/groups/" + self.group(list=f"team@{DOMAIN}")
        self.api("POST", path + "/members", {"addresses": [ALICE, BOB]})
        self.assertEqual(self.api("POST", path + "/list")["added"], 2)
        self.assertEqual(self.api("POST", path + "/list")["added"], 0)
        self.assertEqual(self.table("domains", DOMAIN, "team", "mlusers.tab")[-2:], [[ALICE, "RW"], [BOB, "RW"]])
        self.api("POST", path + "/variables", {"variables": {"MaxMBSize": "much"}}, 422)
        job = self.api("POST", path + "/variables", {"variables": {"MaxMBSize": "777", "PopEnable": "0"}}, 202)["job"]
        self.assertTrue(wait_until(lambda: self.api("GET", f"/jobs/{job}")["state"] == "done"))
        self.assertEqual(self.api("GET", f"/jobs/{job}")["result"], {"done": 2, "failed": []})
        for name in ("alice", "bob"):
            variables = self.api("GET", f"/users/{DOMAIN}/{name}")["variables"]
            self.assertEqual((variables["MaxMBSize"], variables["PopEnable"]), ("777", "0"))

    def test_bad_groups(self):
        for body in ({"name": ""}, {"name": "a\nb"}, {"name": "a", "first": "2026-02-30"}, {"name": "a", "list": "no"},
                     {"name": "a", "first": day(1), "last": day(0)}, {"name": "a", "id": "../x"}, {"name": "a", "id": "A"}):
            self.api("POST", "/groups", body, 422)
        self.api("POST", "/groups", {"name": "a", "id": "a"}, 201)
        self.api("POST", "/groups", {"name": "a", "id": "a"}, 409)
        self.api("GET", "/groups/..%2Fx", status=404)
        self.api("PATCH", "/groups/a", {"name": "b", "version": "0" * 64}, 412)


if __name__ == "__main__":
    unittest.main()
