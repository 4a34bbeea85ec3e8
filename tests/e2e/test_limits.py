"""limits.tab: what clients and accounts may do lately; hikyaku limits; over roles, their deaths, restarts."""
import base64
import json
import os
import poplib
import signal
import subprocess
import unittest

from harness import DOMAIN, PASSWORD, PROGRAM, Server, replace, wait_until
from lines import Lines
from test_gates import row

ALICE = f"alice@{DOMAIN}"
LINES = [("address", "connections", 3, 3600, "refuse"), ("account", "messages", 2, 3600, "stop,notify"),
         ("address", "recipients", 4, 3600, "refuse"), ("address", "messages", 5, 3600, "delay=1"),
         ("account", "connections", 5, 3600, "refuse"), ("address", "bad-logins", 3, 3600, "refuse"),
         ("account", "recipients", 3, 3600, "refuse")]


class Limits(unittest.TestCase):
    def setUp(self):
        self.server = Server(users=("alice", "bob", "carol"),
                             settings={"MaxSessionsPerAddress": 0, "SMTP-MaxErrors": 0, "SmtpNoTLSAuths": "PLAIN LOGIN",
                                       "LoginDelay": 0, "PostMaster": f"bob@{DOMAIN}"})
        self.addCleanup(self.server.close)

    def start(self, *lines):
        replace(self.server.path("limits.tab"), b"".join(row(*l) for l in lines))
        self.server.start()

    def tool(self, *words, code=0):
        done = subprocess.run([PROGRAM, *words, "--mailroot", self.server.mailroot], capture_output=True, text=True, timeout=60,
                              check=False)
        self.assertEqual(done.returncode, code, done)
        return done.stdout

    def held(self):
        return {h["who"]: h for h in json.loads(self.tool("limits", "--json"))}

    def session(self, source=None, login=None, service="smtp"):
        """A session that said EHLO, and logged in."""
        c = Lines(self.server.ports[service], source=source)
        self.addCleanup(c.close)
        if c.greeting.startswith("220"):
            c.say("EHLO me.example")
        if login:
            plain = base64.b64encode(f"\0{login}@{DOMAIN}\0{PASSWORD}".encode()).decode()
            self.assertEqual(c.say("AUTH PLAIN " + plain)[:3], "235")
        return c

    def send(self, c, sender="x@far.example", rcpts=(f"carol@{DOMAIN}",)):
        """The first reply that refuses, or the last."""
        said = c.say(f"MAIL FROM:<{sender}>")
        for rcpt in rcpts if said.startswith("250") else ():
            said = c.say(f"RCPT TO:<{rcpt}>")
            if not said.startswith("250"):
                c.say("RSET")
                return said
        if said.startswith("250"):
            c.say("DATA")
            said = c.say("Subject: x\r\n\r\nx\r\n.")
        return said

    def test_connections(self):
        """SMTP and POP3 count together; others aren't touched; WhiteList is free; released by name."""
        replace(self.server.path("smtp.ipprop.tab"), row("127.0.1.3/32", "WhiteList=1"))
        self.start(LINES[0])
        for service in ("smtp", "pop3", "smtp"):
            self.assertIn(self.session("127.0.1.1", service=service).greeting[:3], ("220", "+OK"))
        refused = self.session("127.0.1.1").greeting
        self.assertRegex(refused, r"^421 .*Too much from you lately.*\(smtp-")
        self.assertTrue(self.session("127.0.1.1", service="pop3").greeting.startswith("-ERR"))
        self.assertEqual(self.session("127.0.1.2").greeting[:3], "220")
        self.assertIn("limit reached", self.server.log_text())
        held = self.held()["127.0.1.1"]
        self.assertEqual((held["what"], held["action"], held["line"], held["until"] - held["since"]),
                         ("connections", "refuse", 1, 3600))
        self.assertIn("gate=limits.tab:1", self.server.log_text())
        self.assertIn("limits.tab:1", self.tool("trace", "127.0.1.1"))
        self.assertRegex(self.tool("metrics"), r"(?m)^hikyaku_limits_reached_total.* 1$")
        out = self.tool("explain", "--client", "127.0.1.1", code=4)
        self.assertRegex(out, r"limit-client +refused +limits.tab:1")
        self.tool("limits", "release", "127.0.1.9", code=4)
        self.tool("limits", "release", "127.0.1.1")
        self.assertEqual(self.held(), {})
        self.assertEqual(self.session("127.0.1.1").greeting[:3], "220")
        for _ in range(5):
            self.assertEqual(self.session("127.0.1.3").greeting[:3], "220")

    def test_stolen_account(self):
        """It is stopped, over all sessions and a restart, until it is released; the postmaster hears of it once; mail can be read."""
        self.start(LINES[1])
        first, other = self.session(login="alice"), self.session("127.0.1.2", login="alice")
        self.assertEqual(self.send(first, ALICE)[:3], "250")
        self.assertEqual(self.send(other, ALICE)[:3], "250")
        for c in (first, other, self.session("127.0.1.3", login="alice")):
            self.assertIn("550 5.7.1 Your account has been stopped", self.send(c, ALICE))
        self.assertEqual(self.send(self.session(login="carol"), f"carol@{DOMAIN}")[:3], "250", "others may send")
        self.assertTrue(wait_until(lambda: self.server.mailbox("bob")))
        letter = self.server.read("bob", self.server.mailbox("bob")[0]).decode()
        self.assertIn(f"Subject: Limit reached: {ALICE}", letter)
        self.assertIn(f"hikyaku limits release {ALICE}", letter)
        self.assertIn("stopped since", self.tool("limits"))
        self.assertTrue(wait_until(lambda: os.path.exists(self.server.path("hikyaku", "stopped"))))
        for how in (self.server.stop, self.server.kill):
            how()
            out = self.tool("explain", "--client", "127.0.0.1", "--from", ALICE, "--auth", ALICE, "--tls", code=4)
            self.assertRegex(out, "limit-sender +refused +limits.tab:1")
            self.server.start()
            self.assertIn("550 5.7.1 Your account has been stopped", self.send(self.session(login="alice"), ALICE))
        box = poplib.POP3("127.0.0.1", self.server.ports["pop3"], timeout=20)
        self.addCleanup(box.close)
        box.user(ALICE)
        self.assertTrue(box.pass_(PASSWORD).startswith(b"+OK"))
        self.tool("limits", "release", ALICE.upper())
        self.assertEqual(self.send(self.session(login="alice"), ALICE)[:3], "250")
        self.server.stop()
        self.server.start()
        self.assertEqual(self.held(), {})
        self.assertEqual(len(self.server.mailbox("bob")), 1, "one letter")

    def test_recipients(self):
        """Within one transaction too; a role that dies forgets nothing."""
        self.start(LINES[2], LINES[6])
        c = self.session("127.0.1.1")
        rcpts = [f"{name}@{DOMAIN}" for name in ("alice", "bob", "carol")]
        self.assertEqual(self.send(c, rcpts=rcpts)[:3], "250")
        self.assertIn("450 4.7.1 Too much from you lately", self.send(c, rcpts=rcpts))
        os.kill(self.server.role_pid("smtpd"), signal.SIGKILL)

        def again():
            try:
                return self.send(self.session("127.0.1.1"), rcpts=rcpts[:1])
            except OSError:
                return ""
        self.assertTrue(wait_until(lambda: again().startswith("450 4.7.1"), 30))
        c = self.session("127.0.1.1", login="carol")
        self.assertEqual(self.send(c, f"carol@{DOMAIN}", rcpts)[:3], "250", "who logs in counts as an account")
        self.assertIn("450 4.7.1", self.send(c, f"carol@{DOMAIN}", rcpts[:1]))
        self.assertEqual(self.held()[f"carol@{DOMAIN}"]["line"], 2)

    def test_delay(self):
        self.start(LINES[3])
        c = self.session("127.0.1.1")
        for _ in range(5):
            self.assertEqual(self.send(c)[:3], "250")
        self.assertEqual(self.held()["127.0.1.1"]["action"], "delay")
        self.assertEqual(self.send(c)[:3], "250")
        self.assertIn("client slowed down", self.server.log_text())

    def test_logins(self):
        """Of an account, by SMTP and POP3 together; bad ones of an address."""
        self.start(LINES[4], LINES[5])

        def pop(source, password=PASSWORD, user="alice"):
            with Lines(self.server.ports["pop3"], source=source) as c:
                c.say(f"USER {user}@{DOMAIN}")
                answer = c.say("PASS " + password)
                if answer.startswith("+OK"):
                    c.say("QUIT")  # else the mailbox is in use for another moment
                return answer
        for _ in range(2):
            self.session(login="alice")
        for _ in range(3):
            self.assertTrue(wait_until(lambda: pop("127.0.1.1").startswith("+OK")))
        self.assertIn("-ERR [LOGIN-DELAY]", pop("127.0.1.1"))
        self.assertIn("450 4.7.1", self.send(self.session(login="alice"), ALICE))
        for user in ("a", "b", "c"):
            self.assertTrue(pop("127.0.1.2", "wrong", user).startswith("-ERR"))
        self.assertTrue(pop("127.0.1.2", PASSWORD, "bob").startswith("-ERR"), "the password isn't looked at")
        self.assertTrue(pop("127.0.1.3", PASSWORD, "bob").startswith("+OK"))
        self.tool("limits", "release", "127.0.1.2")
        self.assertTrue(wait_until(lambda: pop("127.0.1.2", PASSWORD, "bob").startswith("+OK")))

    def test_names_of_an_account(self):
        """However its name is written, by all services; nobody's name holds nobody."""
        self.server.append("aliasdomain.tab", ("alias.example", DOMAIN))
        self.server.append("smtpauth.tab", ("outside", "secret", "MR"))
        self.start(("account", "bad-logins", 4, 3600, "refuse"))
        for source, user in (("127.0.2.1", ALICE.upper()), ("127.0.2.2", "alice@alias.example"), ("127.0.2.3", "alice")):
            with Lines(self.server.ports["pop3"], source=source) as c:
                c.say("USER " + user)
                self.assertTrue(c.say("PASS wrong").startswith("-ERR"))
        for user, tries in (("alice@ALIAS.example", 1), ("outside", 4), (f"nobody@{DOMAIN}", 4), ("admin", 4)):
            for i in range(tries):
                c = self.session(f"127.0.3.{i + 1}")
                self.assertEqual(c.say("AUTH PLAIN " + base64.b64encode(f"\0{user}\0wrong".encode()).decode())[:3], "535")
        self.assertEqual(sorted(self.held()), sorted([ALICE, "outside"]))
        for i, (user, good) in enumerate((("alice@alias.example", False), (f"bob@{DOMAIN}", True))):
            with Lines(self.server.ports["pop3"], source=f"127.0.4.{i}") as c:
                c.say("USER " + user)
                self.assertEqual(c.say("PASS " + PASSWORD).startswith("+OK"), good, user)
        for _ in range(4):
            for name in ("admin", "nobody"):
                with Lines(self.server.ports["ctrl"]) as c:
                    self.assertIn("-", c.say(f'"{name}"\t"wrong"')[:1])
        self.assertEqual(sorted(self.held()), sorted([ALICE, "outside", "ctrl@admin"]))

    def test_lines(self):
        """Broken lines are reported, the others count; live."""
        self.start(("address", "connections", 0, 60, "refuse"), ("address", "mails", 3, 60, "refuse"),
                   ("address", "messages", 3, 60, "stop"), ("account", "messages", 3, 60, "delay"),
                   ("address", "messages", 3, 60, "refuse,stop"), ("everybody", "messages", 3, 60, "refuse"))
        self.assertEqual(self.session("127.0.1.1").greeting[:3], "220")
        self.assertTrue(wait_until(lambda: self.server.log_text().count("file=limits.tab") >= 6))
        replace(self.server.path("limits.tab"), row("address", "connections", 1, 60, "refuse"))
        self.assertTrue(wait_until(lambda: self.session("127.0.1.2").greeting.startswith("421")))
        self.tool("limits", "nonsense", code=3)
        self.tool("limits", "release", code=3)


if __name__ == "__main__":
    unittest.main()
