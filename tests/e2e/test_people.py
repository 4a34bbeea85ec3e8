"""hikyaku users, lists, domains, aliases, undelete, admins, passwords, mkusers, check --repair."""
import hashlib
import json
import os
import poplib
import re
import shutil
import subprocess
import tempfile
import unittest

from harness import DOMAIN, PASSWORD, PROGRAM, Server, wait_until, xmcrypt
from test_ctrl import Ctrl


def hikyaku(mailroot, *words, text="", code=0):
    """Standard output of a command that ends with `code`."""
    done = subprocess.run([PROGRAM, *words, "--mailroot", mailroot], capture_output=True, text=True, input=text,
                          timeout=120, check=False)
    if done.returncode != code:
        raise AssertionError(f"{words} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def pop3_login(server, user, password):
    p = poplib.POP3("127.0.0.1", server.ports["pop3"], timeout=30)
    try:
        p.user(user)
        return p.pass_(password).startswith(b"+OK")
    except poplib.error_proto:
        return False
    finally:
        p.close()


class People(unittest.TestCase):
    def everything(self, root):
        """The same words with and without a server."""
        address = f"carol@{DOMAIN}"
        hikyaku(root, "users", "add", address, "--password-file", "-", text="carols-password\n")
        hikyaku(root, "users", "add", address, "--password-file", "-", text="carols-password\n", code=4)
        hikyaku(root, "users", "add", f"x@{DOMAIN}", "--password-file", "-", text="short\n", code=4)
        made = hikyaku(root, "users", "add", f"dave@{DOMAIN}", "--generate")
        self.assertRegex(made, rf"^dave@{DOMAIN} has the password \w{{20}}\n$")
        rows = json.loads(hikyaku(root, "users", "list", DOMAIN, "--json"))
        self.assertEqual({r["user"] for r in rows}, {"alice", "bob", "carol", "dave"})
        self.assertNotIn("password", rows[0])
        self.assertEqual(hikyaku(root, "users", "list", "*", "car*"), f"{DOMAIN}\tcarol\n")
        hikyaku(root, "users", "set", address, "RealName", 'C "arol" \\ \u3042')
        self.assertEqual(json.loads(hikyaku(root, "users", "settings", address, "--json"))["RealName"],
                         'C "arol" \\ \u3042')
        hikyaku(root, "users", "unset", address, "RealName")
        self.assertNotIn("RealName", json.loads(hikyaku(root, "users", "settings", address, "--json")))
        self.assertEqual(json.loads(hikyaku(root, "users", "show", address, "--json"))["RealAddress"], address)
        hikyaku(root, "users", "passwd", address, "--password-file", "-", text="another-password\n")
        hikyaku(root, "users", "remove", address)
        hikyaku(root, "users", "remove", address, code=4)
        self.assertFalse(os.path.exists(os.path.join(root, "domains", DOMAIN, "carol")))
        gone = json.loads(hikyaku(root, "undelete", "--json"))
        self.assertEqual([g["what"] for g in gone], [address])
        hikyaku(root, "undelete", gone[0]["id"])
        self.assertTrue(os.path.isdir(os.path.join(root, "domains", DOMAIN, "carol", "Maildir")))
        hikyaku(root, "lists", "add", f"news@{DOMAIN}")
        hikyaku(root, "lists", "join", f"news@{DOMAIN}", "a@far.example", "R")
        self.assertEqual(hikyaku(root, "lists", "members", f"news@{DOMAIN}"), "a@far.example\tR\n")
        self.assertEqual(hikyaku(root, "lists", "list"), f"{DOMAIN}\tnews\n")
        self.assertNotIn("news", hikyaku(root, "users", "list"))
        hikyaku(root, "lists", "leave", f"news@{DOMAIN}", "a@far.example")
        hikyaku(root, "domains", "add", "two.example")
        hikyaku(root, "domains", "alias", "two.example", "zwei.example")
        self.assertEqual(hikyaku(root, "domains", "aliases"), "two.example\tzwei.example\n")
        self.assertEqual(set(hikyaku(root, "domains", "list").split()), {DOMAIN, "two.example"})
        hikyaku(root, "domains", "unalias", "zwei.example")
        hikyaku(root, "domains", "remove", "two.example")
        hikyaku(root, "aliases", "add", f"c@{DOMAIN}", "carol")
        self.assertIn({"domain": DOMAIN, "alias": "c", "target": "carol"},
                      json.loads(hikyaku(root, "aliases", "list", "--json")))
        hikyaku(root, "aliases", "remove", f"c@{DOMAIN}")
        hikyaku(root, "users", "nonsense", code=3)
        hikyaku(root, "users", "add", code=3)
        hikyaku(root, "users", "add", "no-at-sign", code=2)
        hikyaku(root, "domains", "add", "a", "b", code=3)

    def test_with_a_server(self):
        with Server() as server:
            self.everything(server.mailroot)
            self.assertTrue(pop3_login(server, "carol", "another-password"))

    def test_without_a_server(self):
        server = Server()
        self.everything(server.mailroot)
        with server:
            self.assertTrue(pop3_login(server, "carol", "another-password"))

    def test_only_the_owner(self):
        """The local socket is closed to other users of the machine."""
        with Server() as server:
            socket_path = server.path("hikyaku", "control.sock")
            self.assertEqual(os.stat(socket_path).st_mode & 0o777, 0o600)
            self.assertEqual(server.stop(), 0)
            self.assertFalse(os.path.exists(socket_path))

    def test_a_killed_role_leaves_no_dead_socket(self):
        with Server() as server:
            os.kill(server.role_pid("control"), 9)
            wait_until(lambda: server.role_pid("control"))
            self.assertEqual(wait_until(lambda: subprocess.run(
                [PROGRAM, "domains", "list", "--mailroot", server.mailroot], capture_output=True, text=True,
                timeout=60, check=False).stdout), DOMAIN + "\n")


class Passwords(unittest.TestCase):
    def test_upgrade(self):
        server = Server(users=("alice",), settings={"LoginDelay": "0", "PasswordScheme": "xmcrypt"})
        server.append("mailusers.tab", (DOMAIN, "old", xmcrypt("olds-password"), "50", "old", "U"))
        with server:
            self.assertTrue(pop3_login(server, "old", "olds-password"))
            before = open(server.path("mailusers.tab"), "rb").read()
            self.assertIn("nothing to do", hikyaku(server.mailroot, "passwords", "upgrade"))
            server.set(PasswordScheme="scram")
            self.assertIn("1 passwords would become scram", hikyaku(server.mailroot, "passwords", "upgrade"))
            self.assertEqual(open(server.path("mailusers.tab"), "rb").read(), before)
            hikyaku(server.mailroot, "passwords", "upgrade", "--apply")
            after = open(server.path("mailusers.tab"), "rb").read()
            self.assertNotIn(xmcrypt("olds-password").encode(), after)
            self.assertIn(b"{SCRAM-SHA-256}", after.splitlines()[-1])
            self.assertEqual(after.splitlines()[0], before.splitlines()[0])
            self.assertTrue(wait_until(lambda: pop3_login(server, "old", "olds-password")))
            self.assertFalse(pop3_login(server, "old", "another"))
            self.assertIn("0 xmcrypt", hikyaku(server.mailroot, "passwords").splitlines()[0])

    def test_who_would_be_locked_out(self):
        server = Server(users=("alice",), settings={"LoginDelay": "0", "PasswordScheme": "xmcrypt"})
        server.append("mailusers.tab", (DOMAIN, "old", xmcrypt("olds-password"), "50", "old", "U"))
        with server, Ctrl(server, login=False) as c:
            p = poplib.POP3("127.0.0.1", server.ports["pop3"], timeout=30)
            p.apop("old", "olds-password")
            p.quit()
            challenge = re.search(rb"<[^>]*>", c.greeting).group()
            self.assertEqual(c.do("admin", "#" + hashlib.md5(challenge + PASSWORD.encode()).hexdigest()), 0)
            text = wait_until(lambda: (t := hikyaku(server.mailroot, "passwords")).count("\n  ") == 2 and t)
            self.assertRegex(text, r"APOP +old\n")
            self.assertRegex(text, r"CTRL-MD5 +admin\n")

    def test_admins(self):
        with Server(settings={"LoginDelay": "0"}) as server:
            hikyaku(server.mailroot, "admins", "add", "zoe", "--password-file", "-", text="zoes-password\n")
            hikyaku(server.mailroot, "admins", "add", "zoe", "--generate", code=1)
            self.assertEqual(hikyaku(server.mailroot, "admins", "list"), "admin\txmcrypt\nzoe\txmcrypt\n")
            with Ctrl(server, login=False) as c:
                self.assertEqual(c.do("zoe", "zoes-password"), 0)
            server.set(CtrlPasswordScheme="yescrypt")
            hikyaku(server.mailroot, "admins", "passwd", "zoe", "--password-file", "-", text="zoes-next-one\n")
            with Ctrl(server, login=False) as c:
                self.assertEqual(c.do("zoe", "zoes-password"), -161)
            with Ctrl(server, login=False) as c:
                self.assertEqual(c.do("zoe", "zoes-next-one"), 0)
            hikyaku(server.mailroot, "admins", "passwd", "zoe", "--password-file", "-", text="short\n", code=1)
            hikyaku(server.mailroot, "admins", "remove", "zoe")
            self.assertEqual(hikyaku(server.mailroot, "admins", "list"), "admin\txmcrypt\n")


class MkUsers(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="hikyaku-test-")
        self.program = os.path.join(self.folder, "MkUsers")
        os.symlink(PROGRAM, self.program)
        self.root = os.path.join(self.folder, "root")
        os.mkdir(self.root)

    def tearDown(self):
        shutil.rmtree(self.folder)

    def run_it(self, *words, text=""):
        return subprocess.run([self.program, "-r", self.root, *words], capture_output=True, text=True, input=text,
                              timeout=60, check=False)

    def table(self):
        with open(os.path.join(self.root, "mailusers.tab"), encoding="utf-8") as f:
            return [[v.strip('"') for v in line.rstrip("\n").split("\t")] for line in f]

    def test_lines(self):
        text = "A.example;u1;pw one;Real One;http://x\n# comment\n\na.example;u2;p2;R2;\nb.example;u3;p3\n"
        self.assertEqual(self.run_it("-m", "-i", "7", "-s", "500", text=text).returncode, 0)
        self.assertEqual(self.table(), [["a.example", "u1", xmcrypt("pw one"), "7", "u1", "U"],
                                        ["a.example", "u2", xmcrypt("p2"), "8", "u2", "U"],
                                        ["b.example", "u3", xmcrypt("p3"), "9", "u3", "U"]])
        folder = os.path.join(self.root, "domains/a.example/u1")
        self.assertTrue(os.path.isdir(os.path.join(folder, "Maildir/new")))
        with open(os.path.join(folder, "user.tab"), encoding="utf-8") as f:
            tab = f.read()
        self.assertIn('"RealName"\t"Real One"\n', tab)
        self.assertIn('"MaxMBSize"\t"500"\n', tab)
        self.assertEqual(self.run_it(text=text).returncode, 2)  # there is a mailusers.tab

    def test_by_number(self):
        done = self.run_it("-a", "3", "-d", "c.example", "-u", "m")
        self.assertEqual(done.returncode, 0)
        rows = self.table()
        self.assertEqual([r[1] for r in rows], ["m1", "m2", "m3"])
        self.assertEqual([xmcrypt(line.split(";")[2]) for line in done.stdout.splitlines()], [r[2] for r in rows])
        self.assertTrue(os.path.isdir(os.path.join(self.root, "domains/c.example/m2/mailbox")))

    def test_bad(self):
        for text in ("a.example;../u;p\n", "a.example;u;\n", "a b;u;p\n", "a.example;u;p\na.example;U;p\n"):
            self.assertEqual(self.run_it(text=text).returncode, 2, text)
            self.assertFalse(os.path.exists(os.path.join(self.root, "mailusers.tab")))
        self.assertEqual(self.run_it("-a", "3").returncode, 1)
        self.assertEqual(self.run_it("-Z").returncode, 1)


class Repair(unittest.TestCase):
    def test_missing_folders(self):
        server = Server()
        server.append("mailusers.tab", (DOMAIN, "lost", xmcrypt("losts-password"), "50", "lost", "U"))
        shutil.rmtree(server.path("domains", DOMAIN, "bob", "Maildir", "cur"))
        hikyaku(server.mailroot, "check", code=1)
        text = hikyaku(server.mailroot, "check", "--repair")
        self.assertIn("folders of 2 accounts made", text)
        self.assertNotIn("there is no folder", text)
        self.assertTrue(os.path.isdir(server.path("domains", DOMAIN, "lost", "Maildir", "new")))
        self.assertTrue(os.path.isdir(server.path("domains", DOMAIN, "bob", "Maildir", "cur")))
        with server:
            self.assertTrue(pop3_login(server, "lost", "losts-password"))
            hikyaku(server.mailroot, "check", "--repair", code=3)  # not while a server runs


class Faults(unittest.TestCase):
    def test_two_clients_and_a_person(self):
        """Two connections and an editor change mailusers.tab at once: nobody's change is lost."""
        with Server() as server, Ctrl(server) as one, Ctrl(server) as two:
            for i in range(40):
                self.assertEqual(one.do("useradd", DOMAIN, f"one{i}", "password-1", "U"), 0)
                if i % 8 == 3:
                    server.append("mailusers.tab", (DOMAIN, f"hand{i}", xmcrypt("x" * 9), str(5000 + i), f"hand{i}", "U"))
                self.assertEqual(two.do("useradd", DOMAIN, f"two{i}", "password-1", "U"), 0)
                if i % 2:
                    self.assertEqual(two.do("userdel", DOMAIN, f"one{i}"), 0)
            with open(server.path("mailusers.tab"), encoding="utf-8") as f:
                names = [line.split("\t")[1].strip('"') for line in f if line.startswith('"')]
            wanted = {"alice", "bob"} | {f"one{i}" for i in range(0, 40, 2)} | {f"two{i}" for i in range(40)} | \
                {f"hand{i}" for i in range(3, 40, 8)}
            self.assertEqual(set(names), wanted)
            self.assertEqual(len(names), len(wanted))

    def test_values(self):
        """Quotes, backslashes, Shift_JIS, control bytes, 64 KB."""
        with Server() as server, Ctrl(server) as c:
            for value in (b'say \\"x\\"', b"back\\slash", b"\x83\x5c\x95\x5c", "\u65e5\u672c".encode(), b"x" * 60000):
                c.sock.sendall(b'"uservarsset"\t"%s"\t"alice"\t"Note"\t"%s"\r\n' % (DOMAIN.encode(), value))
                self.assertTrue(c.line().startswith(b"+00000"), value[:20])
                with open(server.path("domains", DOMAIN, "alice", "user.tab"), "rb") as f:
                    self.assertIn(b'"Note"\t"' + value, f.read())
            c.sock.sendall(b'"uservarsset"\t"%s"\t"alice"\t"Note"\t"a\x01b"\r\n' % DOMAIN.encode())
            self.assertTrue(c.line().startswith(b"-00190"))
            c.sock.sendall(b'"uservarsset"\t"x"\t"' + b"y" * 70000 + b'"\r\n')
            self.assertTrue(c.line().startswith(b"-00162"))

    def test_ten_thousand_pipelined(self):
        with Server() as server, Ctrl(server) as c:
            c.sock.settimeout(120)
            line = f'"userauth"\t"{DOMAIN}"\t"nobody"\t"x"\r\n"noop"\r\n'.encode()
            import threading
            sender = threading.Thread(target=lambda: c.sock.sendall(line * 5000), daemon=True)
            sender.start()
            replies = [c.line()[:6] for _ in range(10000)]
            sender.join(60)
            self.assertEqual(set(replies[::2]), {b"-00157"})
            self.assertEqual(set(replies[1::2]), {b"+00000"})

    def test_a_client_that_stops_reading(self):
        """A long list waits in its table, not in memory; others are served meanwhile."""
        server = Server(env={"ASAN_OPTIONS": "quarantine_size_mb=1"})
        with open(server.path("mailusers.tab"), "ab") as f:
            for i in range(100000):
                f.write(b'"%s"\t"u%d"\t"1d1d1d1d"\t%d\t"u%d"\t"U"\n' % (DOMAIN.encode(), i, 1000 + i, i))

        def memory(pid):
            with open(f"/proc/{pid}/status", encoding="utf-8") as f:
                return int(next(line for line in f if line.startswith("RssAnon")).split()[1])
        with server, Ctrl(server) as slow, Ctrl(server) as other:
            pid = server.role_pid("control")
            before = memory(pid)
            slow.sock.sendall(b'"userlist"\r\n' * 3)
            for _ in range(30):
                self.assertEqual(other.do("noop"), 0)
            self.assertEqual(other.do("useradd", DOMAIN, "meanwhile", "password-1", "U"), 0)
            self.assertLess(memory(pid) - before, 8000)
            lines = 0
            for _ in range(3):
                self.assertTrue(slow.line().startswith(b"+00100"))
                while slow.line() != b".":
                    lines += 1
            self.assertGreaterEqual(lines, 3 * 100002)
            self.assertLess(memory(pid) - before, 8000)

    def test_links(self):
        """Links inside the MailRoot lead nowhere."""
        with Server() as server, Ctrl(server) as c:
            os.symlink("/etc", server.path("filters", "out"))
            os.symlink("/etc/passwd", server.path("filters", "file"))
            os.symlink("/etc", server.path("domains", DOMAIN, "evil"))
            for path in ("filters/out/passwd", "filters/file", f"domains/{DOMAIN}/evil/passwd", "../x",
                         "filters/../../etc/passwd", "filters\\..\\..\\x", "/etc/passwd", "C:\\x", "server.key"):
                self.assertLess(c.do("cfgfileget", path), 0, path)
                number = c.do("cfgfileset", path)
                if number == 101:
                    c.sock.sendall(b"x\r\n.\r\n")
                    self.assertLess(int(c.line()[:6]), 0, path)
            self.assertLess(c.do("filelist", "filters/out", "*"), 0)
            c.do("useradd", DOMAIN, "evil", "password-1", "U")
            self.assertFalse(os.path.exists("/etc/Maildir"))


if __name__ == "__main__":
    unittest.main()
