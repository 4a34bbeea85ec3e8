"""smtpauth.tab: what each right lets a login do, and nothing else does."""
import base64
import re
import unittest

from harness import DOMAIN, Server, wait_until
from lines import Lines

# The third column (None: there is none), and what it lets happen.
ROWS = [("", ""), ("M", "M"), ("MR", "MR"), ("MV", "MV"), ("MT", "MT"), ("MZ", "MZ"), ("MS", "MS"), ("mrvtzs", "MRVTZS"),
        ("TS", "TS"), (None, "MV"), ("M?", "M")]


class Rights(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(settings={"SmtpNoTLSAuths": "PLAIN", "MaxMessageSize": "10", "SMTP-MaxErrors": 0, "DefaultSmtpPerms": "MV",
                                      "MaxSessionsPerAddress": 0})
        cls.server.append("smtpauth.tab", ("broken",))
        for i, (letters, _) in enumerate(ROWS):
            cls.server.append("smtpauth.tab", (f"device{i}", "secret", *([] if letters is None else [letters])))
        cls.server.start()

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def login(self, i, tls=True):
        c = Lines(self.server.ports["smtp"])
        self.addCleanup(c.close)
        c.say("EHLO me.example")
        if tls:
            self.assertTrue(c.say("STARTTLS").startswith("220"))
            c.start_tls()
            c.say("EHLO me.example")
        if i is not None:
            plain = base64.b64encode(f"\0device{i}\0secret".encode()).decode()
            self.assertTrue(c.say("AUTH PLAIN " + plain).startswith("235"), ROWS[i])
        return c

    def may(self, c):
        """Letters of what the session may do, S aside."""
        features, out = c.say("EHLO me.example"), ""
        if c.say("MAIL FROM:<x@far.example>").startswith("250"):
            out += "M"
            out += "R" if c.say("RCPT TO:<y@far.example>").startswith("250") else ""
            c.say("RSET")
        out += "V" if c.say(f"VRFY alice@{DOMAIN}").startswith("250") else ""
        etrn = c.say("ETRN far.example")
        self.assertTrue(etrn.startswith(("250", "502")), etrn)
        self.assertEqual("ETRN" in features, etrn.startswith("250"), features)
        self.assertTrue(c.say("ETRN").startswith("501" if etrn.startswith("250") else "502"))
        out += "T" if etrn.startswith("250") else ""
        limit = re.search(r"(?m)^250.SIZE(?: (\d+))?$", features).group(1)
        return out + ("Z" if limit in (None, "0") else "")

    def test_letters(self):
        self.assertEqual(self.may(self.login(None)), "M")  # anybody, to people here
        for i, (letters, may) in enumerate(ROWS):
            with self.subTest(letters=letters):
                self.assertEqual(self.may(self.login(i)), may.replace("S", ""))
        self.assertIn("needs a name and a password", self.server.log_text())

    def test_without_tls(self):
        """S: WantTLS doesn't count for who logged in; anybody else must begin TLS, whatever he does first."""
        self.server.set(SmtpConfig="WantTLS")
        self.addCleanup(self.server.set, SmtpConfig=None)
        mail = "MAIL FROM:<x@far.example>"
        self.assertTrue(wait_until(lambda: self.login(None, tls=False).say(mail).startswith("530 5.7.0 Must issue a STARTTLS"), 20))
        self.assertTrue(self.login(None).say(mail).startswith("250"))
        for i, (letters, may) in enumerate(ROWS):
            with self.subTest(letters=letters):
                code = "530" if "S" not in may else "250" if "M" in may else "550"
                self.assertEqual(self.login(i, tls=False).say(mail)[:3], code)


if __name__ == "__main__":
    unittest.main()
