"""The gates of SMTP: tables and settings that say who may connect, send and relay; live, and the same in log and trace."""
import os
import re
import resource
import signal
import smtplib
import socket
import subprocess
import time
import unittest

from harness import DOMAIN, PASSWORD, PROGRAM, Server, replace, wait_until
from lines import Lines


def row(*values):
    return "\t".join(f'"{v}"' for v in values).encode() + b"\n"


class Gates(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(settings={"MaxSessionsPerAddress": 0, "SMTP-MaxErrors": 0, "EnableAuthSMTP-POP3": 1,
                                      "LogFiles": "smtp"}).start()

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def table(self, name, *rows):
        replace(self.server.path(name), b"".join(row(*r) for r in rows))

    def soon(self, what, wanted):
        """what() begins with wanted, in a moment; it."""
        got = []

        def there():
            got[:] = [what()]
            return got[0].startswith(wanted)
        self.assertTrue(wait_until(there, 20), f"{wanted}, not {got}")
        return got[0]

    def greeting(self, source):
        with Lines(self.server.ports["smtp"], source=source) as c:
            return c.greeting

    def mail(self, sender, source=None, rcpt=None, service="smtp"):
        """The reply to MAIL, or to RCPT when one is given."""
        with Lines(self.server.ports[service], source=source) as c:
            c.say("EHLO client.example")
            answer = c.say(f"MAIL FROM:<{sender}>")
            if rcpt is not None and answer.startswith("250"):
                answer = c.say(f"RCPT TO:<{rcpt}>")
            c.send(b"QUIT\r\n")
            return answer

    # --- by address ---------------------------------------------------------------------------

    def test_spammers(self):
        self.assertEqual(self.greeting("127.0.1.1")[:3], "220")
        self.table("spammers.tab", ("127.0.1.1", "255.255.255.255"), ("127.0.1.2/32", "code=0"),
                   ("127.0.1.3/32", "code=-2"))
        refused = self.soon(lambda: self.greeting("127.0.1.1"), "554")
        self.assertIn("Your address is refused here (smtp-", refused)
        self.server.set(SmtpMsgIPBanSpammers="go away")
        self.soon(lambda: self.greeting("127.0.1.1"), f"554 mail.{DOMAIN} go away (smtp-")
        self.assertEqual(self.mail("s@far.example", "127.0.1.2")[:9], "530 5.7.0")
        with Lines(self.server.ports["smtp"], source="127.0.1.3") as c:
            began = time.monotonic()
            c.say("EHLO x")
            c.say("NOOP")
            self.assertGreater(time.monotonic() - began, 1.5, "two seconds between commands")
        with open(self.server.path("smtp.ipprop.tab"), "wb") as f:
            f.write(row("127.0.1.0/24", "WhiteList=1"))
        self.soon(lambda: self.greeting("127.0.1.1"), "220")
        self.assertEqual(self.mail("s@far.example", "127.0.1.2")[:3], "250")
        self.table("smtp.ipprop.tab")
        self.soon(lambda: self.greeting("127.0.1.1"), "554")
        self.table("spammers.tab")
        self.soon(lambda: self.greeting("127.0.1.1"), "220")

    def test_same_id_everywhere(self):
        self.table("spammers.tab", ("127.0.2.0/24", "code=1"))
        reply = self.soon(lambda: self.greeting("127.0.2.9"), "554")
        session = re.search(r"\((smtp-[0-9a-f]+)\)", reply).group(1)
        self.assertTrue(wait_until(lambda: session in self.server.log_text(), 10))
        line = next(l for l in self.server.log_text().splitlines() if session in l)
        self.assertIn("gate=spammers.tab:1", line)
        for wanted in (session, "127.0.2.9"):
            out = subprocess.run([PROGRAM, "trace", "--mailroot", self.server.mailroot, wanted], capture_output=True, text=True)
            self.assertIn("gate=spammers.tab:1", out.stdout, wanted)
            self.assertIn(session, out.stdout, wanted)
        logs = [n for n in os.listdir(self.server.path("logs")) if n.startswith("smtp-")]
        self.assertTrue(any(b"SNDRIP=EIPSPAM" in open(self.server.path("logs", n), "rb").read() for n in logs))
        self.table("spammers.tab")

    def test_properties(self):
        with Lines(self.server.ports["smtp"], source="127.0.3.1") as c:
            self.assertNotIn("VRFY", c.say("EHLO x").split())
            self.assertEqual(c.say("VRFY alice")[:3], "252")
            self.assertEqual(c.say("ETRN far.example")[:3], "502")
        self.table("smtp.ipprop.tab", ("127.0.3.1/32", "EnableVRFY=1", "EnableETRN=1", "NoAuth=1"))

        def vrfy():
            with Lines(self.server.ports["smtp"], source="127.0.3.1") as c:
                c.say("EHLO x")
                return c.say(f"VRFY alice@{DOMAIN}")
        self.soon(vrfy, f"250 2.1.5 <alice@{DOMAIN}>")
        with Lines(self.server.ports["smtp"], source="127.0.3.1") as c:
            c.say("EHLO x")
            self.assertEqual(c.say("ETRN far.example")[:3], "250")
        self.assertEqual(self.mail("s@far.example", "127.0.3.1", service="submission")[:3], "250")
        self.assertEqual(self.mail("s@far.example", "127.0.3.1", "x@far.example", "submission")[:9], "550 5.7.1")
        self.assertEqual(self.mail("s@far.example", "127.0.3.2", service="submission")[:9], "530 5.7.0")
        self.table("smtp.ipprop.tab")

    # --- by sender ----------------------------------------------------------------------------

    def test_spam_address(self):
        self.assertEqual(self.mail("a@rude.example")[:3], "250")
        self.table("spam-address.tab", ("*@rude.example",), ("bob@far.example",))
        reply = self.soon(lambda: self.mail("a@rude.example"), "550 5.7.1")
        self.assertIn("(smtp-", reply)
        self.assertEqual(self.mail("Bob@far.example")[:9], "550 5.7.1")
        self.assertEqual(self.mail("a@not-rude.example")[:3], "250")
        self.assertEqual(self.mail("")[:3], "250")
        self.server.set(SmtpMsgIPBanSpamAddress="no, thank you")
        self.soon(lambda: self.mail("a@rude.example"), "550 5.7.1 no, thank you")
        out = subprocess.run([PROGRAM, "trace", "--mailroot", self.server.mailroot, "a@rude.example"],
                             capture_output=True, text=True).stdout
        self.assertIn("gate=spam-address.tab:1", out)
        self.table("spam-address.tab")
        self.soon(lambda: self.mail("a@rude.example"), "250")

    def pop(self, user, source):
        with Lines(self.server.ports["pop3"], source=source) as c:
            c.say(f"USER {user}@{DOMAIN}")
            self.assertEqual(c.say("PASS " + PASSWORD)[:3], "+OK")
            c.send(b"QUIT\r\n")

    def test_pop_before_smtp(self):
        far = "x@far.example"
        self.assertEqual(self.mail("alice@" + DOMAIN, "127.0.4.1", far)[:9], "550 5.7.1")
        self.pop("alice", "127.0.4.1")
        self.soon(lambda: self.mail("alice@" + DOMAIN, "127.0.4.1", far), "250")
        self.assertEqual(self.mail("bob@" + DOMAIN, "127.0.4.1", far)[:9], "550 5.7.1", "the sender counts")
        self.assertEqual(self.mail("s@far.example", "127.0.4.1", far)[:9], "550 5.7.1")
        self.assertEqual(self.mail("alice@" + DOMAIN, "127.0.4.2", far)[:9], "550 5.7.1", "the address counts")
        with smtplib.SMTP("127.0.0.1", self.server.ports["smtp"], source_address=("127.0.4.1", 0), timeout=20) as c:
            c.sendmail("alice@" + DOMAIN, ["bob@" + DOMAIN], "Subject: pop\r\n\r\nx\r\n")
            self.assertEqual(c.mail("s@far.example")[0], 250)
            self.assertEqual(c.rcpt(far)[0], 550, "the login was for one message")
        self.assertTrue(wait_until(lambda: self.server.mailbox("bob"), 20))
        text = self.server.read("bob", self.server.mailbox("bob")[0])
        self.assertIn(f"X-AuthUser: alice@{DOMAIN}".encode(), text)
        self.assertNotIn(b"ESMTPA", text)
        self.server.set(Pop3RelayTime=1)
        self.soon(lambda: self.mail("alice@" + DOMAIN, "127.0.4.1", far), "550 5.7.1")
        self.server.set(Pop3RelayTime=900)
        self.soon(lambda: self.mail("alice@" + DOMAIN, "127.0.4.1", far), "250")
        self.server.set(**{"EnableAuthSMTP-POP3": 0})
        self.soon(lambda: self.mail("alice@" + DOMAIN, "127.0.4.1", far), "550 5.7.1")
        self.server.set(**{"EnableAuthSMTP-POP3": 1})

    # --- faults -------------------------------------------------------------------------------

    def test_unreadable_table(self):
        """The version before counts; when there is none, nobody comes in until it can be read."""
        path = self.server.path("spammers.tab")
        self.table("spammers.tab", ("127.0.5.1/32",))
        self.soon(lambda: self.greeting("127.0.5.1"), "554")
        os.unlink(path)
        os.mkdir(path)
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            self.assertEqual(self.greeting("127.0.5.1")[:3], "554")
            self.assertEqual(self.greeting("127.0.5.2")[:3], "220")
        os.kill(self.server.role_pid("smtpd"), signal.SIGKILL)

        def greeting():
            try:
                return self.greeting("127.0.5.2")
            except OSError:
                return ""
        self.soon(greeting, "421")
        os.rmdir(path)
        self.table("spammers.tab")
        self.soon(greeting, "220")

    def test_replaced_while_read(self):
        """A table that is replaced all the time never gives a wrong answer."""
        lines = [("10.%d.%d.0" % (i // 250, i % 250), "255.255.255.0") for i in range(5000)]
        bad = ("127.0.6.1", "255.255.255.255")
        self.table("spammers.tab", *lines, bad)
        self.soon(lambda: self.greeting("127.0.6.1"), "554")
        end = time.monotonic() + 5
        while time.monotonic() < end:
            self.table("spammers.tab", bad, *lines)
            self.assertEqual(self.greeting("127.0.6.1")[:3], "554")
            self.assertEqual(self.greeting("127.0.6.2")[:3], "220")
        self.table("spammers.tab")
        self.soon(lambda: self.greeting("127.0.6.1"), "220")


class ManyDelayed(unittest.TestCase):
    def test_no_threads(self):
        """10,000 sessions that wait for their delay leave the few workers to others."""
        most = 10000
        resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
        server = Server(settings={"MaxSessionsPerAddress": 0, "WorkerThreads": 2, "SMTP-RDNSCheck": 0})
        self.addCleanup(server.close)
        replace(server.path("spammers.tab"), row("127.0.8.0/24", "code=-120"))
        server.start()
        held = []
        self.addCleanup(lambda: [s.close() for s in held])
        for i in range(most):
            s = socket.create_connection(("127.0.0.1", server.ports["smtp"]), 60, (f"127.0.8.{i % 250 + 1}", 0))
            held.append(s)
            s.sendall(b"NOOP\r\n")
        for s in held:
            self.assertEqual(s.recv(4), b"220 ")
        with smtplib.SMTP("127.0.0.1", server.ports["smtp"], timeout=60) as c:
            c.sendmail("s@far.example", ["bob@" + DOMAIN], "Subject: x\r\n\r\nx\r\n")
        self.assertTrue(wait_until(lambda: server.mailbox("bob"), 20))
        for s in held:
            s.setblocking(False)
        rest = [s for s in held if b"250 2.0.0" in self.what_is_there(s)]
        self.assertEqual(rest, [], "nobody's delay is over yet")
        server.stop()
        for s in held:
            s.settimeout(20)
            self.assertEqual(s.recv(4096)[:4], b"421 ", "a stop doesn't wait for the delays")

    @staticmethod
    def what_is_there(s):
        try:
            return s.recv(4096)
        except BlockingIOError:
            return b""


if __name__ == "__main__":
    unittest.main()
