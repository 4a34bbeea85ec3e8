"""The story of a message by the browser's API, the index that makes it quick, and the link in reports."""
import datetime
import os
import re
import smtplib
import unittest
import urllib.parse

from harness import DOMAIN, wait_until
from test_relay import report, send
from test_web_queue import QueueTest

LINE = '"{day} 10:00:00.000 +0000"\t"smtpd"\t"message accepted"\t"id=5f{n:012}"\t"session=smtp-x{n}"\t' \
       '"from=old{n}@past.example"\t"rcpt=r@past.example"\t"message_id=<old{n}@past.example>"\n'


class Trace(QueueTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server.set(WebAddress="https://mail.test.example:8443/")

    def trace(self, about, **query):
        words = urllib.parse.urlencode({"about": about, **query})
        status, value, _ = self.client.api("GET", "/trace?" + words)
        self.assertEqual(status, 200, value)
        return value

    def stories(self, about):
        return {s["id"]: s for s in self.trace(about)["stories"]}

    def test_found_by_everything(self):
        send(self.server, ["grey@found.example"], "Subject: t\r\nMessage-ID: <found.1@test.example>\r\n\r\nhi\r\n")
        self.assertTrue(wait_until(lambda: any(e["event"] == "delivery deferred" for s in self.stories("found.1@test.example")
                                               .values() for e in s["events"])))
        ident = next(iter(self.stories("<found.1@test.example>")))
        for about in (ident, "GREY@found.example", "*@found.example", "gr?y@found.*"):
            with self.subTest(about):
                self.assertIn(ident, self.stories(about))
        story = self.stories(ident)[ident]
        self.assertEqual(story["state"], "queue")
        events = {e["event"]: e["values"] for e in story["events"]}
        self.assertEqual(events["message accepted"]["from"], f"alice@{DOMAIN}")
        self.assertIn("greylisted", events["delivery deferred"]["reason"])
        self.assertEqual(self.trace("nobody@nowhere.example")["stories"], [])
        self.assertEqual(self.client.api("GET", "/trace?about=")[0], 422)

    def test_refusals(self):
        with smtplib.SMTP("127.0.0.1", self.server.ports["smtp"]) as c:
            c.ehlo()
            c.mail("x@far.example")
            self.assertEqual(c.rcpt(f"nobody@{DOMAIN}")[0], 550)
        story = wait_until(lambda: list(self.stories(f"nobody@{DOMAIN}").values()))[0]
        self.assertEqual((story["state"], story["events"][0]["event"]), ("session", "rcpt refused"))

    def test_link_in_a_report(self):
        send(self.server, ["no@report.example"], "Subject: t\r\nMessage-ID: <report.1@test.example>\r\n\r\nhi\r\n")
        message = report(self.server)
        text = next(p for p in message.walk() if p.get_content_type() == "text/plain").get_content()
        link = re.search(r"^For the server's administrator: https://mail\.test\.example:8443/messages/([0-9a-f]+)$", text, re.M)
        self.assertTrue(link, text)
        stories = self.stories(link[1])
        self.assertIn(link[1], self.stories("report.1@test.example"))
        self.assertIn("report made", [e["event"] for e in stories[link[1]]["events"]])
        self.assertEqual(len(stories), 2)  # the report's own

    def test_index(self):
        day = datetime.date.today() - datetime.timedelta(days=2)
        path = self.server.path("logs", f"trace-{day:%Y%m%d}0000")
        with open(path, "w") as f:
            f.writelines(LINE.format(day=day, n=n) for n in range(5000))
        index = path + ".index"
        self.assertTrue(wait_until(lambda: os.path.exists(index) and os.path.getsize(index) > 10000))
        self.assertEqual(list(self.stories("old4321@past.example")), ["5f000000004321"])
        few = self.trace("r@past.example", limit=3)
        self.assertTrue(few["more"])
        self.assertIn("5f000000004999", [s["id"] for s in few["stories"]])
        with open(index, "r+b") as f:
            f.write(b"not an index")
        self.assertEqual(list(self.stories("<old77@past.example>")), ["5f000000000077"])


if __name__ == "__main__":
    unittest.main()
