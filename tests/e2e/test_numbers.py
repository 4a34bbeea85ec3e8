"""The control protocol's error numbers, command by command, as XMail 1.27 gave them; what uploads leave in files."""
import os
import unittest

from harness import DOMAIN, Server, wait_until
from lines import Lines
from test_ctrl import Ctrl

UNKNOWN = "nowhere.example"
LINK = (DOMAIN, "alice", "pop.far.example", "al")
# Command and its number; in this order, over one MailRoot.
ROWS = [
    (("useradd", DOMAIN, "UpperUser", "long-password", "X"), 0),  # any type but M is U
    (("useradd", DOMAIN, "upperuser", "long-password", "U"), -13),
    (("useradd", DOMAIN, "team", "long-password", "m"), 0),
    (("useradd", UNKNOWN, "x", "long-password", "U"), -59),
    (("useradd", DOMAIN, "a b", "long-password", "U"), -216),
    (("useradd", DOMAIN, "postmaster", "long-password", "U"), -26),
    (("aliasdomainadd", DOMAIN, "also.example"), 0),
    (("useradd", "also.example", "x", "long-password", "U"), -17),
    (("aliasdomainadd", DOMAIN, "also.example"), -205),
    (("aliasdomainadd", DOMAIN, DOMAIN), -205),
    (("aliasdomainadd", UNKNOWN, "more.example"), -59),
    (("aliasdomaindel", UNKNOWN), -206),
    (("userauth", DOMAIN, "nobody", "x"), -157),
    (("userauth", UNKNOWN, "nobody", "x"), -157),
    (("userauth", DOMAIN, "alice", "wrong"), -24),
    (("userstat", DOMAIN, "nobody"), -157),
    (("userstat", UNKNOWN, "nobody"), -157),
    (("userstat", DOMAIN, "team"), -97),
    (("userpasswd", DOMAIN, "nobody", "long-password"), -157),
    (("userpasswd", UNKNOWN, "nobody", "long-password"), -59),
    (("uservars", DOMAIN, "nobody"), -157),
    (("uservars", UNKNOWN, "nobody"), -59),
    (("uservarsset", DOMAIN, "nobody", "a", "b"), -157),
    (("usergetmproc", DOMAIN, "nobody"), -157),
    (("usergetmproc", DOMAIN, "alice"), -116),
    (("usersetmproc", DOMAIN, "nobody"), -157),
    (("usersetmproc", DOMAIN, "alice", "DU"), -230),
    (("userdel", DOMAIN, "nobody"), -12),
    (("userdel", UNKNOWN, "nobody"), -59),
    (("mluseradd", DOMAIN, "nobody", "a@far.example"), -157),
    (("mluseradd", DOMAIN, "alice", "a@far.example"), -50),
    (("mluseradd", DOMAIN, "team", "no-address"), -132),
    (("mluseradd", DOMAIN, "team", "a@far.example", "ZZ"), -230),
    (("mluseradd", DOMAIN, "team", "A@far.example"), 0),
    (("mluseradd", DOMAIN, "team", "a@Far.Example"), -52),
    (("mluserdel", DOMAIN, "team", "b@far.example"), -53),
    (("mluserlist", DOMAIN, "alice"), -50),
    (("aliasadd", DOMAIN, "x", "nobody"), -157),
    (("aliasadd", UNKNOWN, "x", "alice"), -59),
    (("aliasadd", DOMAIN, "Postmaster", "alice"), -26),
    (("aliasdel", DOMAIN, "nothing"), -28),
    (("exaliasadd", "alice", "a@far.example"), -132),
    (("exaliasadd", "alice@" + DOMAIN, "no-address"), -132),
    (("exaliasadd", "alice@" + DOMAIN, "a@far.example"), 0),
    (("exaliasadd", "alice@" + DOMAIN, "A@far.example"), -67),
    (("exaliasdel", "b@far.example"), -69),
    (("exaliaslist", "no-at"), -132),
    (("domainadd", "a b"), -132),
    (("domainadd", "Two.Example"), 0),
    (("domainadd", "two.example"), -231),
    (("domaindel", UNKNOWN), -59),
    (("custdomset", "a/b"), -132),
    (("custdomget", UNKNOWN), -120),
    (("poplnkadd", UNKNOWN, "x", "s", "u", "pw", "CLR"), -59),
    (("poplnkadd", DOMAIN, "nobody", "s", "u", "pw", "CLR"), -157),
    (("poplnkadd", *LINK, "pw", "CLR"), 0),
    (("poplnkadd", *LINK, "pw", "CLR"), -44),
    (("poplnkenable", "2", *LINK), -230),
    (("poplnkdel", DOMAIN, "alice", "pop.far.example", "other"), -46),
    (("filelist", "nowhere", "*"), -211),
    (("filelist", "hikyaku", "*"), -214),
    (("cfgfileget", "..\\server.tab"), -214),
    (("cfgfileget", "/etc/passwd"), -19),
    (("cfgfileget", "nothing.tab"), -19),
    (("cfgfileget", "server.key"), -214),
    (("frozsubmit", "0", "0", "nothing"), -164),
    (("frozdel", "0", "0", "nothing"), 0),
    (("frozgetlog", "0", "0", "nothing"), -19),
    (("frozgetmsg", "0", "0", "nothing"), -19),
    (("frozgetmsg", "0", "0", "../../server.tab"), -214),
    (("nonsense",), -103),
    (("noop", "x"), -230),
]


class Numbers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(users=("alice", "bob"), settings={"PasswordScheme": "xmcrypt", "LoginDelay": "0"}).start()

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def setUp(self):
        self.c = Ctrl(self.server)

    def tearDown(self):
        self.c.sock.close()

    def read(self, *parts):
        with open(self.server.path(*parts), "rb") as f:
            return f.read()

    def test_rows(self):
        for words, number in ROWS:
            with self.subTest(words):
                self.assertEqual(self.c.do(*words), number, self.c.last)
        self.assertIn(b'"UpperUser"\t', self.read("mailusers.tab"))
        self.assertTrue(self.read("domains.tab").endswith(b'"two.example"\n'))

    def test_control_octets(self):
        for octet in b"\x00\x01\t\r\x1f\x7f":
            self.c.sock.sendall(b'"userauth"\t"%s"\t"a%cb"\t"x"\r\n' % (DOMAIN.encode(), octet))
            self.assertEqual(self.c.line()[:6], b"-00190", octet)

    def test_several_variables_or_none(self):
        """A command that is refused has set nothing."""
        path = ("domains", DOMAIN, "bob", "user.tab")
        self.assertEqual(self.c.do("uservarsset", DOMAIN, "bob", "One", "1", "Two", "2"), 0)
        before = self.read(*path)
        self.assertEqual(self.c.do("uservarsset", DOMAIN, "bob", "One", ".|rm", "None", ".|rm", "Three", "3"), -61)
        self.assertEqual(self.read(*path), before)
        self.assertEqual(self.c.do("uservarsset", DOMAIN, "bob", "one", ".|rm", "two", "22", "Four", "4", "four", "5"), 0)
        self.assertEqual(self.read(*path), before.replace(b'"One"\t"1"\n', b"").replace(b'"Two"\t"2"', b'"Two"\t"22"') +
                         b'"four"\t"5"\n')

    def test_line_ends_stay(self):
        """A file from Windows keeps its line ends, its mode, and its comments when it is sent back."""
        path = self.server.path("filters", "w.tab")
        text = b'# comment\r\n"a"\t"b"\r\n\r\n"c"\r\n'
        with open(path, "wb") as f:
            f.write(text)
        os.chmod(path, 0o600)
        lines = "\n".join("\t".join(f'"{v}"' if i or not v.startswith("#") else v for i, v in enumerate(row)) if row[0]
                          else "" for row in self.c.lines("cfgfileget", "filters/w.tab"))
        self.assertEqual(self.c.upload(lines, "cfgfileset", "filters/w.tab"), 0)
        self.assertEqual(self.read("filters", "w.tab"), text)
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)

    def test_custom_domains_are_found(self):
        """A custom domain that was set in another case than mail comes in is found."""
        self.assertEqual(self.c.upload(f'"redirect"\t"bob@{DOMAIN}"', "custdomset", "Custom.Example"), 0)
        self.assertEqual(self.c.upload(f'"redirect"\t"bob@{DOMAIN}"', "custdomset", ".Below.Example"), 0)
        self.assertEqual(self.c.lines("custdomget", "CUSTOM.example"), [["redirect", f"bob@{DOMAIN}"]])
        for domain in ("custom.example", "Custom.EXAMPLE", "x.below.example"):
            with Lines(self.server.ports["smtp"]) as s:
                s.say("EHLO x.example")
                s.say("MAIL FROM:<a@far.example>")
                self.assertEqual(s.say(f"RCPT TO:<a@{domain}>")[:3], "250", domain)
        self.assertEqual(sorted(row[0] for row in self.c.lines("custdomlist")), [".below.example", "custom.example"])

    def test_links_begin_switched_on(self):
        self.assertEqual(self.c.do("poplnkadd", DOMAIN, "bob", "pop.far.example", "b", "pw", "CLR"), 0)
        self.assertEqual(self.c.do("poplnkenable", "0", DOMAIN, "bob"), 0)
        off = self.server.path("domains", DOMAIN, "bob", "b@pop.far.example.disabled")
        self.assertTrue(os.path.exists(off))
        self.assertEqual(self.c.do("poplnkdel", DOMAIN, "bob", "pop.far.example", "b"), 0)
        self.assertFalse(os.path.exists(off))
        with open(off, "wb"):
            pass
        self.assertEqual(self.c.do("poplnkadd", DOMAIN, "bob", "pop.far.example", "b", "pw", "CLR"), 0)
        self.assertEqual(self.c.lines("poplnklist", DOMAIN, "bob")[0][-1], "ON")


class LeftOpen(unittest.TestCase):
    def test_a_table_without_its_last_line_end(self):
        """A person saves a table without a line end at its end: changes wait, are told why, and go on in a minute."""
        with Server() as server, Ctrl(server) as c:
            server.append("aliases.tab", (DOMAIN, "first", "bob"))
            with open(server.path("aliases.tab"), "rb") as f:
                rows = f.read()
            with open(server.path("aliases.tab"), "wb") as f:
                f.write(rows + b'"%s"\t"open"\t"bob"' % DOMAIN.encode())
            self.assertEqual(c.do("aliasadd", DOMAIN, "later", "bob"), -72)
            self.assertIn(b"the last line of aliases.tab has no line end", c.last)
            self.assertEqual(c.do("noop"), 0)
            self.assertTrue(wait_until(lambda: c.do("aliasadd", DOMAIN, "later", "bob") == 0, 120), c.last)
            with open(server.path("aliases.tab"), "rb") as f:
                self.assertEqual(f.read(), rows + b'"%s"\t"open"\t"bob"\n"%s"\t"later"\t"bob"\n' % ((DOMAIN.encode(),) * 2))
            self.assertIn(["open"], [row[1:2] for row in c.lines("aliaslist", DOMAIN, "open")])


if __name__ == "__main__":
    unittest.main()
