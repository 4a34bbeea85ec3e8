"""hikyaku trace: the story of a message."""
import datetime
import json
import os
import pathlib
import smtplib
import subprocess
import unittest

from harness import DOMAIN, PROGRAM, Server, wait_until
from sink import Sink
from test_relay import gateway, send


class Trace(unittest.TestCase):
    def trace(self, server, *words):
        return subprocess.run([PROGRAM, "trace", "--mailroot", server.mailroot, *words], capture_output=True, text=True,
                              timeout=120, check=False)

    def test_local_and_refused(self):
        with Server() as server:
            with smtplib.SMTP("127.0.0.1", server.ports["smtp"]) as c:
                c.sendmail("x@far.example", [f"alice@{DOMAIN}"],
                           "Subject: t\r\nMessage-ID:\r\n <folded.1@far.example>\r\n\r\nhi\r\n")
                c.ehlo()
                c.mail("x@far.example")
                self.assertEqual(c.rcpt(f"nobody@{DOMAIN}")[0], 550)
            for wanted in ("<folded.1@far.example>", "folded.1@far.example", f"ALICE@{DOMAIN}", "x@FAR.example"):
                out = self.trace(server, wanted)
                self.assertEqual(out.returncode, 0, out)
                self.assertIn("message accepted from=x@far.example", out.stdout)
            out = self.trace(server, "nobody@*")
            self.assertEqual(out.returncode, 0, out)
            self.assertRegex(out.stdout, r"session .*\n.*rcpt refused .*\n +unknown")
            self.assertNotIn("accepted", out.stdout)
            self.assertEqual(self.trace(server, "who@is.this").returncode, 1)
            self.assertEqual(self.trace(server).returncode, 3)

    def test_relayed_deferred_failed(self):
        script = {"RCPT": lambda s, line: "451 4.7.1 grey \\ \"listed\"" if b"grey" in line else
                  "550 5.1.1 who" if b"who" in line else "250 ok"}
        with Sink(script) as sink, gateway(sink) as server:
            send(server, ["ok@far.example", "grey@far.example", "who@far.example"],
                 "Subject: t\r\nMessage-ID: <m1@test.example>\r\n\r\nhi\r\n")
            self.assertTrue(wait_until(lambda: "report made" in server.log_text()))
            self.assertTrue(wait_until(lambda: "via=mailbox" in self.trace(server, "m1@test.example").stdout or
                                       server.log_text().count(" delivered ") >= 2))
            out = self.trace(server, "m1@test.example").stdout
            self.assertRegex(out, r"attempt server=127\.0\.0\.1:\d+ (tls=\S+ )?sent=1 deferred=1 failed=1")
            self.assertRegex(out, r"delivered rcpt=ok@far.example to=127.0.0.1\[127.0.0.1\] .*\n +250 ")
            self.assertRegex(out, r"delivery deferred rcpt=grey@far.example .*status=4.7.1\n +451 4.7.1 grey . \"listed\"")
            self.assertRegex(out, r"delivery failed rcpt=who@far.example .*status=5.1.1\n +550 5.1.1 who")
            self.assertRegex(out, r"report made about=\w+ rcpt=alice@")
            self.assertIn("now: in the queue, tried ", out)
            lines = [json.loads(l) for l in self.trace(server, "--json", "m1@test.example").stdout.splitlines()]
            self.assertEqual(lines[0]["event"], "message accepted")
            ident = lines[0]["id"]
            about = self.trace(server, ident).stdout
            self.assertEqual(about.count("\nmessage "), 1, about)  # and its report

    def test_old_files_go(self):
        server = Server(settings=dict(TraceDays="2"))
        logs = pathlib.Path(server.path("logs"))
        logs.mkdir(exist_ok=True)
        day = datetime.date.today()
        name = lambda ago: f"trace-{day - datetime.timedelta(days=ago):%Y%m%d}0000"
        for ago in (1, 4, 40):
            (logs / name(ago)).write_text("")
        (logs / (name(40) + ".index")).write_text("")
        (logs / "trace-mine").write_text("")
        with server:
            left = lambda: {p.name for p in logs.iterdir()}
            self.assertTrue(wait_until(lambda: name(40) not in left()))
            self.assertTrue(wait_until(lambda: name(4) not in left()))
            self.assertTrue(wait_until(lambda: name(40) + ".index" not in left()))
            self.assertIn(name(1), left())
            self.assertIn("trace-mine", left())

    def test_off(self):
        with Server(settings=dict(TraceDays="0")) as server:
            with smtplib.SMTP("127.0.0.1", server.ports["smtp"]) as c:
                c.sendmail("x@far.example", [f"alice@{DOMAIN}"], "x\r\n")
            self.assertEqual(self.trace(server, f"alice@{DOMAIN}").returncode, 1)
            self.assertFalse(any(n.startswith("trace") for n in os.listdir(server.path("logs"))))
