"""The control protocol: every command, as scripts speak it."""
import hashlib
import os
import poplib
import socket
import ssl
import time
import unittest

from harness import DOMAIN, PASSWORD, Server, wait_until, xmcrypt
from lines import Lines, any_certificate


def quoted(*values):
    return "\t".join('"' + v.replace('"', '\\"') + '"' for v in values).encode() + b"\r\n"


class Ctrl:
    """A logged-in session."""

    def __init__(self, server, login=True, tls=None, port="ctrl"):
        self.sock = socket.create_connection(("127.0.0.1", server.ports[port]), 30)
        self.sock.settimeout(30)
        if tls == "implicit":
            self.sock = any_certificate().wrap_socket(self.sock)
        self.data = b""
        self.greeting = self.line()
        if tls == "upgrade":
            self.sock.sendall(b"#!TLS\r\n")
            assert self.line().startswith(b"+00000")
            self.sock = any_certificate().wrap_socket(self.sock)
        if login:
            self.login = self.do("admin", PASSWORD)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def line(self):
        while b"\n" not in self.data:
            more = self.sock.recv(65536)
            if not more:
                return b""
            self.data += more
        line, self.data = self.data.split(b"\n", 1)
        return line.rstrip(b"\r")

    def do(self, *words):
        """The reply's number, negative for a refusal."""
        self.sock.sendall(quoted(*words))
        self.last = self.line()
        return int(self.last[:6] or b"-99999")

    def lines(self, *words):
        """The lines of an answer, each a list of values."""
        number = self.do(*words)
        if number != 100:
            raise AssertionError(self.last)
        rows = []
        while (line := self.line()) != b".":
            line = line[1:] if line.startswith(b"..") else line
            rows.append([v.decode("utf-8", "replace")[1:-1] if v.startswith(b'"') else v.decode()
                         for v in line.split(b"\t")])
        return rows

    def upload(self, text, *words):
        if self.do(*words) != 101:
            return int(self.last[:6])
        for line in text.split("\n"):
            self.sock.sendall((("." if line.startswith(".") else "") + line + "\r\n").encode())
        self.sock.sendall(b".\r\n")
        self.last = self.line()
        return int(self.last[:6])


class Commands(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(users=("alice", "bob"), settings={"PasswordScheme": "xmcrypt",
                                                               "MaxSessionsPerAddress": 0}).start()

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def setUp(self):
        self.c = Ctrl(self.server)
        self.assertEqual(self.c.login, 0, self.c.last)

    def tearDown(self):
        self.c.sock.close()

    def rcpt(self, address):
        with Lines(self.server.ports["smtp"]) as s:
            s.say("EHLO x.example")
            s.say("MAIL FROM:<a@far.example>")
            return s.say(f"RCPT TO:<{address}>")[:3]

    def test_greeting(self):
        self.assertRegex(self.c.greeting, rb"^\+00000 <\d+\.\d+@[0-9.]+> XMail .*CTRL Server; ")

    def test_account(self):
        c = self.c
        self.assertEqual(c.do("useradd", DOMAIN, "carol", "carol-pass", "U"), 0, c.last)
        self.assertEqual(self.rcpt("carol@" + DOMAIN), "250")
        self.assertEqual(c.do("useradd", DOMAIN, "carol", "x-pass-long", "U"), -13)
        self.assertEqual(c.do("userauth", DOMAIN, "carol", "carol-pass"), 0)
        self.assertEqual(c.do("userauth", DOMAIN, "carol", "wrong"), -24)
        self.assertEqual(c.do("userauth", DOMAIN, "nobody", "wrong"), -157)
        pop = poplib.POP3("127.0.0.1", self.server.ports["pop3"])
        pop.user("carol@" + DOMAIN)
        pop.pass_("carol-pass")
        pop.quit()
        self.assertEqual(c.do("userpasswd", DOMAIN, "carol", "another-pass"), 0)
        self.assertEqual(c.do("userauth", DOMAIN, "carol", "another-pass"), 0)
        self.assertEqual(c.lines("userlist", DOMAIN, "car*"), [[DOMAIN, "carol", "another-pass", "U"]])
        self.assertTrue(os.path.isdir(self.server.path("domains", DOMAIN, "carol", "Maildir", "new")))
        self.assertEqual(c.do("userdel", DOMAIN, "carol"), 0, c.last)
        self.assertEqual(self.rcpt("carol@" + DOMAIN), "550")
        self.assertEqual(c.do("userdel", DOMAIN, "carol"), -12)
        self.assertFalse(os.path.exists(self.server.path("domains", DOMAIN, "carol")))

    def test_bad_names(self):
        for name in ("a/b", "../x", ".hidden", "a b", "", "a*", "x" * 300, "a\\b"):
            self.assertLess(self.c.do("useradd", DOMAIN, name, "long-password", "U"), 0, name)
        self.assertEqual(self.c.do("useradd", "other.example", "x", "long-password", "U"), -59)
        self.assertEqual(self.c.do("domainadd", "../etc"), -132)
        self.assertEqual(os.listdir(self.server.path("domains")), [DOMAIN])

    def test_control_characters(self):
        self.c.sock.sendall(b'"useradd"\t"a\x01b"\t"c"\t"d"\t"U"\r\n')
        self.assertTrue(self.c.line().startswith(b"-00190"))

    def test_userstat(self):
        with Lines(self.server.ports["smtp"]) as s:
            s.say("EHLO x.example")
            s.say("MAIL FROM:<a@far.example>")
            s.say(f"RCPT TO:<bob@{DOMAIN}>")
            s.say("DATA")
            s.send(b"Subject: x\r\n\r\nx\r\n")
            s.say(".")
        stat = dict(self.c.lines("userstat", DOMAIN, "bob"))
        self.assertEqual(stat["RealAddress"], "bob@" + DOMAIN)
        self.assertEqual(stat["MailboxMessages"], "1")
        self.assertGreater(int(stat["MailboxSize"]), 10)
        self.assertEqual(self.c.do("userstat", DOMAIN, "nobody"), -157)

    def test_vars(self):
        c = self.c
        self.assertEqual(c.do("uservarsset", DOMAIN, "alice", "MaxMBSize", "777", "Own", "x y"), 0, c.last)
        self.assertEqual(c.do("uservarsset", DOMAIN, "alice", "maxmbsize", "778"), 0)
        values = dict(c.lines("uservars", DOMAIN, "alice"))
        self.assertEqual((values["MaxMBSize"], values["Own"]), ("778", "x y"))
        self.assertEqual(c.do("uservarsset", DOMAIN, "alice", "Own", ".|rm"), 0)
        self.assertNotIn("Own", dict(c.lines("uservars", DOMAIN, "alice")))
        self.assertEqual(c.do("uservarsset", DOMAIN, "alice", "Own", ".|rm"), -61)
        self.assertEqual(c.do("uservars", DOMAIN, "nobody"), -157)

    def test_aliases(self):
        c = self.c
        self.assertEqual(c.do("aliasadd", DOMAIN, "ally", "alice"), 0, c.last)
        self.assertEqual(self.rcpt("ally@" + DOMAIN), "250")
        self.assertEqual(c.do("aliasadd", DOMAIN, "ally", "bob"), -26)
        self.assertEqual(c.do("aliasadd", DOMAIN, "x", "nobody"), -157)
        self.assertEqual(c.do("useradd", DOMAIN, "ally", "long-password", "U"), -26)
        self.assertEqual(c.lines("aliaslist", DOMAIN, "al*"), [[DOMAIN, "ally", "alice"]])
        self.assertEqual(c.do("aliasdel", DOMAIN, "ally"), 0)
        self.assertEqual(self.rcpt("ally@" + DOMAIN), "550")
        self.assertEqual(c.do("aliasdel", DOMAIN, "ally"), -28)

    def test_domains(self):
        c = self.c
        self.assertEqual(c.do("domainadd", "New.Example"), 0, c.last)
        self.assertEqual(self.rcpt("x@new.example"), "550")
        self.assertEqual(c.do("useradd", "new.example", "x", "long-password", "U"), 0, c.last)
        self.assertEqual(self.rcpt("x@new.example"), "250")
        self.assertEqual(c.do("domainadd", "new.example"), -231)
        self.assertEqual(c.do("aliasdomainadd", "new.example", "also.example"), 0)
        self.assertEqual(self.rcpt("x@also.example"), "250")
        self.assertEqual(c.do("aliasdomainadd", "new.example", "also.example"), -205)
        self.assertEqual(c.lines("aliasdomainlist", "new*"), [["new.example", "also.example"]])
        self.assertIn(["new.example"], c.lines("domainlist", "n*", "zz*"))
        self.assertEqual(c.do("aliasdomaindel", "also.example"), 0)
        self.assertEqual(c.do("aliasdomaindel", "also.example"), -206)
        self.assertEqual(c.do("domaindel", "new.example"), 0, c.last)
        self.assertEqual(self.rcpt("x@new.example"), "550")
        self.assertEqual(c.do("domaindel", "new.example"), -59)
        self.assertFalse(os.path.exists(self.server.path("domains", "new.example")))

    def test_undelete(self):
        c = self.c
        with Lines(self.server.ports["smtp"]) as s:
            self.assertEqual(c.do("domainadd", "back.example"), 0)
            self.assertEqual(c.do("useradd", "back.example", "b1", "long-password", "U"), 0)
            self.assertEqual(c.do("aliasadd", "back.example", "also", "b1"), 0)
            s.say("EHLO x.example")
            s.say("MAIL FROM:<a@far.example>")
            s.say("RCPT TO:<b1@back.example>")
            s.say("DATA")
            s.send(b"Subject: kept\r\n\r\nx\r\n")
            s.say(".")
        for what in (("userdel", "back.example", "b1"), ("domaindel", "back.example")):
            self.assertEqual(c.do(*what), 0)
            self.assertEqual(self.rcpt("b1@back.example"), "550")
            name = "b1@back.example" if what[0] == "userdel" else "back.example"
            ids = [row[0] for row in c.lines("removedlist") if row[1] == name]
            self.assertEqual(len(ids), 1)
            self.assertEqual(c.do("undelete", ids[0]), 0, c.last)
            self.assertEqual(self.rcpt("also@back.example"), "250")
            self.assertEqual(len(os.listdir(self.server.path("domains", "back.example", "b1", "Maildir", "new"))), 1)
            self.assertEqual(c.do("undelete", ids[0]), -211)
        self.assertEqual(c.do("userdel", "back.example", "b1"), 0)
        self.assertEqual(c.do("useradd", "back.example", "b1", "long-password", "U"), 0)
        ids = [row[0] for row in c.lines("removedlist") if row[1] == "b1@back.example"]
        self.assertEqual(c.do("undelete", ids[0]), -231)  # somebody has that name now
        self.assertEqual(c.do("undelete", "../../x"), -211)
        self.assertEqual(c.do("domaindel", "back.example"), 0)

    def test_lists(self):
        c = self.c
        self.assertEqual(c.do("useradd", DOMAIN, "team", "long-password", "M"), 0, c.last)
        self.assertEqual(c.do("mluseradd", DOMAIN, "team", "a@far.example"), 0)
        self.assertEqual(c.do("mluseradd", DOMAIN, "team", "b@far.example", "RA"), 0)
        self.assertEqual(c.do("mluseradd", DOMAIN, "team", "b@far.example", "RA"), -52)
        self.assertEqual(c.do("mluseradd", DOMAIN, "team", "c@far.example", "ZZ"), -230)
        self.assertEqual(c.do("mluseradd", DOMAIN, "bob", "c@far.example"), -50)
        self.assertEqual(c.lines("mluserlist", DOMAIN, "team"), [["a@far.example", "RW"], ["b@far.example", "RA"]])
        self.assertEqual(c.do("mluserdel", DOMAIN, "team", "a@far.example"), 0)
        self.assertEqual(c.do("mluserdel", DOMAIN, "team", "a@far.example"), -53)
        self.assertEqual(c.do("userstat", DOMAIN, "team"), -97)
        self.assertEqual(c.do("userdel", DOMAIN, "team"), 0)

    def test_external(self):
        c = self.c
        self.assertEqual(c.do("exaliasadd", "bob@" + DOMAIN, "bobby@far.example"), 0, c.last)
        self.assertEqual(c.do("exaliasadd", "bob@" + DOMAIN, "bobby@far.example"), -67)
        self.assertEqual(c.lines("exaliaslist", "*@*"), [["far.example", "bobby", DOMAIN, "bob"]])
        self.assertEqual(c.do("exaliaslist", "x"), -132)
        self.assertEqual(c.do("exaliasdel", "bobby@far.example"), 0)
        self.assertEqual(c.do("exaliasdel", "bobby@far.example"), -69)

    def test_links(self):
        c = self.c
        link = (DOMAIN, "alice", "pop.far.example", "al")
        self.assertEqual(c.do("poplnkadd", *link, "secret", "CLR"), 0, c.last)
        self.assertEqual(c.do("poplnkadd", *link, "secret", "CLR"), -44)
        self.assertEqual(c.lines("poplnklist", DOMAIN), [[*link, "secret", "CLR", "ON"]])
        self.assertEqual(c.do("poplnkenable", "0", DOMAIN, "alice"), 0)
        self.assertEqual(c.lines("poplnklist")[0][-1], "OFF")
        self.assertTrue(os.path.exists(self.server.path("domains", DOMAIN, "alice", "al@pop.far.example.disabled")))
        self.assertEqual(c.do("poplnkenable", "1", *link), 0)
        self.assertEqual(c.lines("poplnklist")[0][-1], "ON")
        self.assertEqual(c.do("poplnkdel", *link), 0)
        self.assertEqual(c.do("poplnkdel", *link), -46)

    def test_files(self):
        c = self.c
        self.assertEqual(c.upload("one\n.two\n..three", "cfgfileset", "filters/x.tab"), 0, c.last)
        with open(self.server.path("filters", "x.tab"), encoding="utf-8") as f:
            self.assertEqual(f.read(), "one\n.two\n..three\n")
        self.assertEqual(c.lines("cfgfileget", "filters\\x.tab"), [["one"], [".two"], ["..three"]])
        self.assertEqual(c.lines("filelist", "filters", "*"), [["x.tab", "17"]])
        self.assertEqual(c.do("filelist", "nowhere", "*"), -211)
        self.assertEqual(c.do("cfgfileset", "filters/x.tab"), 101)
        c.sock.sendall(b".\r\n")
        self.assertTrue(c.line().startswith(b"+00000"))
        self.assertFalse(os.path.exists(self.server.path("filters", "x.tab")))
        for path, number in (("../x", -214), ("..\\x", -214), ("/etc/passwd", -19), ("server.key", -214),
                             ("hikyaku/run", -214), ("a/../../x", -214), ("nothing.tab", -19)):
            self.assertEqual(c.do("cfgfileget", path), number, path)
        self.assertEqual(c.upload("x", "cfgfileset", "missing/x.tab"), -10)
        os.symlink("/etc", self.server.path("filters", "link"))
        self.assertLess(c.do("cfgfileget", "filters/link/passwd"), 0)
        self.assertLess(c.upload("x", "cfgfileset", "filters/link/hikyaku"), 0)
        os.unlink(self.server.path("filters", "link"))

    def test_cfgfileset_of_an_index_table(self):
        c = self.c
        rows = "\n".join("\t".join(f'"{v}"' for v in row) for row in c.lines("cfgfileget", "aliases.tab"))
        self.assertEqual(c.upload(rows + f'\n"{DOMAIN}"\t"fresh"\t"bob"', "cfgfileset", "aliases.tab"), 0)
        self.assertTrue(wait_until(lambda: self.rcpt("fresh@" + DOMAIN) == "250", 2))

    def test_mailproc_and_custom_domains(self):
        c = self.c
        self.assertEqual(c.do("usergetmproc", DOMAIN, "alice"), -116)
        self.assertEqual(c.upload('"mailbox"', "usersetmproc", DOMAIN, "alice"), 0)
        self.assertEqual(c.lines("usergetmproc", DOMAIN, "alice"), [["mailbox"]])
        self.assertEqual(c.upload("", "usersetmproc", DOMAIN, "alice"), 0)
        os.unlink(self.server.path("domains", DOMAIN, "alice", "mailproc.tab"))
        self.assertEqual(c.do("custdomget", "cust.example"), -120)
        self.assertEqual(c.upload('"smtp"', "custdomset", "cust.example"), 0)
        self.assertEqual(c.lines("custdomget", "cust.example"), [["smtp"]])
        self.assertEqual(c.lines("custdomlist"), [["cust.example"]])
        os.unlink(self.server.path("custdomains", "cust.example.tab"))
        self.assertEqual(c.upload("x", "custdomset", "../x"), -132)

    def test_protocol(self):
        c = self.c
        self.assertEqual(c.do("nonsense"), -103)
        self.assertEqual(c.do("useradd", "too", "few"), -230)
        self.assertEqual(c.do("noop"), 0)
        c.sock.sendall(b"".join(quoted("noop") for _ in range(10000)))
        self.assertTrue(all(c.line().startswith(b"+00000") for _ in range(10000)))
        c.sock.sendall(b'"open\r\n')
        self.assertTrue(c.line().startswith(b"-00230"))
        self.assertEqual(c.do("quit"), 0)
        self.assertEqual(c.line(), b"")

    def test_quotes_and_encodings(self):
        for value in ('with "quotes"', "back\\slash\\", "表示能力", "x" * 5000):
            self.assertEqual(self.c.do("uservarsset", DOMAIN, "bob", "Address", value), 0, self.c.last)
            self.c.sock.sendall(quoted("uservars", DOMAIN, "bob"))
            text = self.c.line()
            while (line := self.c.line()) != b".":
                text += line
            self.assertIn(value.replace('"', '\\"').encode(), text)


class Logins(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(users=("alice",), settings={"LoginDelay": "0"}).start()

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def test_md5(self):
        with Ctrl(self.server, login=False) as c:
            challenge = c.greeting[c.greeting.index(b"<"):c.greeting.index(b">") + 1]
            digest = hashlib.md5(challenge + PASSWORD.encode()).hexdigest()
            self.assertEqual(c.do("admin", "#" + digest), 0)
            self.assertEqual(c.do("noop"), 0)

    def test_bad(self):
        for words in (("admin", "wrong"), ("nobody", PASSWORD), ("admin", ""), ("admin", "#" + "0" * 32)):
            with Ctrl(self.server, login=False) as c:
                self.assertEqual(c.do(*words), -161)
                self.assertEqual(c.line(), b"")
        with Ctrl(self.server, login=False) as c:
            self.assertEqual(c.do("just-one"), -105)
        self.assertNotIn(PASSWORD, self.server.log_text())

    def test_nothing_without_login(self):
        with Ctrl(self.server, login=False) as c:
            self.assertLess(c.do("useradd", DOMAIN, "x", "long-password", "U"), 0)
            self.assertEqual(c.line(), b"")

    def test_tls(self):
        with Ctrl(self.server, tls="upgrade") as c:
            self.assertEqual(c.login, 0)
            self.assertEqual(c.do("noop"), 0)
        with Ctrl(self.server, tls="implicit", port="ctrls") as c:
            self.assertEqual(c.login, 0)
            c.sock.sendall(b"#!TLS\r\n")
            self.assertTrue(c.line().startswith(b"-"))

    def test_minimum_length(self):
        with Ctrl(self.server) as c:
            self.assertEqual(c.do("useradd", DOMAIN, "short", "abc", "U"), -230)

    def test_scram_accounts(self):
        with Ctrl(self.server) as c:
            self.assertEqual(c.do("useradd", DOMAIN, "dora", "dora-secret", "U"), 0)
            self.assertEqual(c.lines("userlist", DOMAIN, "dora"), [[DOMAIN, "dora", "", "U"]])
            self.assertEqual(c.do("userauth", DOMAIN, "dora", "dora-secret"), 0)


class Stopping(unittest.TestCase):
    def test_idle_clients_are_told(self):
        with Server() as server, Ctrl(server) as idle:
            self.assertEqual(idle.do("noop"), 0)
            server.stop()
            self.assertTrue(idle.line().startswith(b"-00001"))


if __name__ == "__main__":
    unittest.main()
