"""hikyaku explain says what sessions hear: for every row of gates.def, with and without a server."""
import base64
import json
import pathlib
import re
import subprocess
import unittest

from harness import DOMAIN, PASSWORD, PROGRAM, Server, replace, wait_until
from lines import Lines
from test_gates import row
from test_relay import FakeDns

FAR = "x@far.example"
GATES = pathlib.Path(__file__).parents[2] / "src/gates/gates.def"


def case(gate, source, by, code="", sender=FAR, rcpt=None, login=None, service="smtp", tls=False, action=""):
    return dict(gate=gate, source=source, by=by, code=code, sender=sender, rcpt=rcpt, login=login, service=service, tls=tls,
                action=action or ("refused" if code else "noted"))


# Who decides about whom: the tables and settings of setUpClass.
CASES = [
    case("ipprop", "127.0.1.1", "smtp.ipprop.tab:1"),
    case("hnprop", "127.0.0.1", "smtp.hnprop.tab:2"),
    case("ipmap", "127.0.1.3", "smtp.ipmap.tab:1", "530", action="must log in"),
    case("spammers", "127.0.1.4", "spammers.tab:2", "554"),
    case("spammers", "127.0.1.5", "spammers.tab:3", action="slowed down"),
    case("limit-client", "127.0.2.1", "limits.tab:1", "421"),
    case("limit-sender", "127.0.2.2", "limits.tab:2", "450"),
    case("limit-recipient", "127.0.2.3", "limits.tab:3", rcpt=f"alice@{DOMAIN}", action="slowed down"),
    case("maps", "127.0.1.6", "CustMapsList", "554"),
    case("rdns-delay", "127.0.1.7", "SMTP-RDNSCheck", action="slowed down"),
    case("pop-login", "127.0.1.1", "EnableAuthSMTP-POP3", sender=f"alice@{DOMAIN}", rcpt=FAR),
    case("rdns", "127.0.1.7", "SMTP-RDNSCheck", "550"),
    case("tls", "127.0.1.1", "SmtpConfig", "530", service="submission"),
    case("auth", "127.0.1.1", "SmtpConfig", "530", service="submission", tls=True),
    case("right", "127.0.1.1", "SmtpPerms", "550", sender=f"bob@{DOMAIN}", login="bob", service="submission", tls=True),
    case("null-sender", "127.0.1.1", "AllowNullSender", "550", sender=""),
    case("spam-address", "127.0.1.2", "spam-address.tab:1", "550", sender="a@rude.example"),
    case("sender-domain", "127.0.1.2", "CheckMailerDomain", "550", sender="a@none.example"),
    case("sender", "127.0.1.1", "SubmissionSenderCheck", "553", login="alice", service="submission", tls=True),
    case("refused-sender", "127.0.1.1", f"domains/{DOMAIN}/carol/refuse.tab:1", "550", rcpt=f"carol@{DOMAIN}"),
    case("relay", "127.0.1.1", "smtprelay.tab", "550", rcpt=FAR),
    case("relay", "127.0.1.8", "smtprelay.tab:1", rcpt=FAR, action="passed"),
    case("relay", "127.0.1.1", "SmtpPerms", sender=f"alice@{DOMAIN}", rcpt=FAR, login="alice", service="submission", tls=True,
         action="passed"),
]
# SMTP-RDNSCheck has one value at a time; they follow one another so that a session hears each change.
RDNS = {"rdns": 1, "rdns-delay": -1}
CASES.sort(key=lambda c: ("rdns", "rdns-delay").index(c["gate"]) if c["gate"] in RDNS else -1)


class Explain(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dns = FakeDns()
        cls.dns.a("6.1.0.127.list.example", "127.0.0.2")
        cls.dns.mx("far.example", (10, "mx.far.example"))
        cls.dns.mx("rude.example", (10, "mx.far.example"))
        cls.server = Server(users=("alice", "bob", "carol"), settings={
            "MaxSessionsPerAddress": 0, "SMTP-MaxErrors": 0, "EnableAuthSMTP-POP3": 1, "CustMapsList": "list.example:1",
            "SmartDNSHost": f"127.0.0.1@{cls.dns.port}", "DnssecAnchor": "", "AllowNullSender": 0, "CheckMailerDomain": 1,
            "SMTP-IpMapDropCode": 0, "SmtpNoTLSAuths": "", "CustomSMTPMessage": "see example.com", "SMTP-RDNSCheck": 0})

        def table(name, *rows):
            replace(cls.server.path(name), b"".join(row(*r) for r in rows))
        table("smtp.ipprop.tab", ("127.0.1.1/32", "WhiteList=1"), ("127.0.1.2/32", "EnableVRFY=1"))
        table("smtp.hnprop.tab", ("other.example", "EaseTLS=1"), ("localhost", "WhiteList=1"))
        table("smtp.ipmap.tab", ("127.0.1.3", "255.255.255.255", "DENY", "1"))
        table("spammers.tab", ("10.0.0.0/8", "code=1"), ("127.0.1.4", "255.255.255.255"), ("127.0.1.5/32", "code=-1"))
        table("spam-address.tab", ("*@rude.example",))
        table("smtprelay.tab", ("127.0.1.8", "255.255.255.255"))
        table(f"domains/{DOMAIN}/bob/user.tab", ("SmtpPerms", "R"))
        table(f"domains/{DOMAIN}/carol/refuse.tab", ("*@far.example",))
        table("limits.tab", ("address", "connections", 300, 3600, "refuse"), ("address", "messages", 2, 3600, "refuse"),
              ("address", "recipients", 4, 3600, "delay=1"))
        cls.server.start()
        for _ in range(320):  # some more: they are forgotten evenly
            Lines(cls.server.ports["smtp"], source="127.0.2.1").close()
        for source, rcpts in (("127.0.2.2", 1), ("127.0.2.2", 1), ("127.0.2.3", 4)):
            with Lines(cls.server.ports["smtp"], source=source) as c:
                c.say("EHLO me.example")
                c.say(f"MAIL FROM:<{FAR}>")
                for _ in range(rcpts):
                    c.say(f"RCPT TO:<alice@{DOMAIN}>")
                c.say("DATA")
                assert c.say("Subject: x\r\n\r\nx\r\n.").startswith("250")
        with Lines(cls.server.ports["pop3"], source="127.0.1.1") as c:
            c.say(f"USER alice@{DOMAIN}")
            assert c.say("PASS " + PASSWORD).startswith("+OK")
            c.send(b"QUIT\r\n")
        ipconn = pathlib.Path(cls.server.path("domains", DOMAIN, "alice", ".ipconn"))
        assert wait_until(ipconn.exists, 20)

    @classmethod
    def tearDownClass(cls):
        cls.dns.sock.close()
        cls.server.close()

    def explain(self, c, *more):
        words = [PROGRAM, "explain", "--mailroot", self.server.mailroot, "--client", c["source"], "--helo", "me.example",
                 "--service", c["service"], "--server", "127.0.0.1", "--from", c["sender"], *more]
        words += ["--to", c["rcpt"]] if c["rcpt"] else []
        words += ["--auth", f"{c['login']}@{DOMAIN}"] if c["login"] else []
        words += ["--tls"] if c["tls"] else []
        return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)

    def session(self, c):
        """The last reply that a client like this hears."""
        with Lines(self.server.ports[c["service"]], source=c["source"]) as s:
            said = s.greeting
            if not said.startswith("220"):
                return said
            s.say("EHLO me.example")
            if c["tls"]:
                s.say("STARTTLS")
                s.start_tls()
                s.say("EHLO me.example")
            if c["login"]:
                plain = base64.b64encode(f"\0{c['login']}@{DOMAIN}\0{PASSWORD}".encode()).decode()
                self.assertTrue(s.say("AUTH PLAIN " + plain).startswith("235"))
            said = s.say(f"MAIL FROM:<{c['sender']}>")
            if c["rcpt"] and said.startswith("250"):
                said = s.say(f"RCPT TO:<{c['rcpt']}>")
            return said

    def test_every_row(self):
        rows = re.findall(r'^GATE\(\w+, "([a-z-]+)"', GATES.read_text(), re.M)
        self.assertEqual(sorted({c["gate"] for c in CASES}), sorted(rows), "each row has a case here")
        now = 0
        for c in CASES:
            with self.subTest(gate=c["gate"], source=c["source"]):
                if RDNS.get(c["gate"], 0) != now:
                    now = RDNS[c["gate"]]
                    self.server.set(**{"SMTP-RDNSCheck": now})
                    wanted = "550" if now == 1 else "250"
                    self.assertTrue(wait_until(lambda c=c, w=wanted: self.session(c).startswith(w), 20))
                heard = self.session(c)
                out = self.explain(c, "--json")
                told = json.loads(out.stdout)
                decisions = [d for d in told["decisions"] if d.get("gate") == c["gate"]]
                self.assertEqual(len(decisions), 1, out.stdout)
                d = decisions[0]
                self.assertEqual(d["action"], c["action"], out.stdout)
                self.assertEqual(d["by"] + (f":{d['line']}" if "line" in d else ""), c["by"])
                self.assertEqual(heard[:3], c["code"] or "250")
                self.assertEqual(told["passed"], not c["code"])
                self.assertEqual(out.returncode, 4 if c["code"] else 0)
                if c["code"]:
                    reply = told["decisions"][-1]["reply"]
                    self.assertEqual(re.sub(r"\(smtp-[0-9a-f]+\)", "(smtp-...)", heard), reply)
                order = [d["gate"] for d in told["decisions"] if "gate" in d]
                self.assertEqual(order, [r for r in rows if r in order], "their order")

    def run_tool(self, *words):
        return subprocess.run([PROGRAM, "explain", "--mailroot", self.server.mailroot, *words], capture_output=True, text=True,
                              timeout=60, check=False)

    def test_words(self):
        """Recipients, names, ports; what makes no sense."""
        out = self.run_tool("--client", "127.0.1.1", "--from", FAR, "--to", f"nobody@{DOMAIN}")
        self.assertEqual(out.returncode, 0)
        self.assertIn("recipient     no such user here", out.stdout)
        out = self.run_tool("--client", "2001:db8::1", "--from", FAR, "--to", f"ALICE@{DOMAIN}")
        self.assertIn(f"an account: alice@{DOMAIN}", out.stdout)
        out = self.run_tool("--client", "127.0.1.4")
        self.assertRegex(out.stdout, r"(?m)^connection  spammers +refused +spammers.tab:2\n +554 .*\(smtp-\.\.\.\)$")
        out = self.run_tool("--client", "127.0.1.1", "--helo", "a b")
        self.assertEqual(out.returncode, 4)
        self.assertIn("501 5.5.4 Your name is missing or not a name - see example.com", out.stdout)
        out = self.run_tool("--client", "127.0.1.1", "--port", str(self.server.ports["submission"]), "--from", FAR)
        self.assertTrue(out.stdout.startswith("submission, 127.0.0.1 port "), out.stdout)
        for words, code in ((("--client", "127.0.1.1", "--port", "1"), 1), (("--client", "nobody"), 1), ((), 3),
                            (("--client", "127.0.1.1", "--to", FAR), 3), (("--client", "127.0.1.1", "--service", "pop3"), 1),
                            (("--client", "127.0.1.1", "--from", "a@@b"), 1),
                            (("--client", "127.0.1.1", "--auth", "nobody", "--from", FAR), 1)):
            self.assertEqual(self.run_tool(*words).returncode, code, words)


class Alone(unittest.TestCase):
    def test_without_server(self):
        server = Server(listen=False)
        self.addCleanup(server.close)
        replace(server.path("spammers.tab"), row("192.0.2.0/24", "code=1"))
        run = lambda *words: subprocess.run([PROGRAM, "explain", "--mailroot", server.mailroot, *words], capture_output=True,
                                            text=True, timeout=60, check=False)
        out = run("--client", "192.0.2.7")
        self.assertEqual(out.returncode, 4, out)
        self.assertIn("spammers.tab:1", out.stdout)
        self.assertIn(f"554 mail.{DOMAIN} Your address is refused here (smtp-...)", out.stdout)
        out = run("--client", "198.51.100.7", "--from", FAR, "--to", f"alice@{DOMAIN}")
        self.assertEqual(out.returncode, 0, out)
        out = run("--client", "198.51.100.7", "--from", f"alice@{DOMAIN}", "--auth", f"alice@{DOMAIN}", "--port", "587",
                  "--to", FAR)
        self.assertEqual(out.returncode, 0, out)


if __name__ == "__main__":
    unittest.main()
