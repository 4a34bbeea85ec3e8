"""Programs of userauth/pop3 that follow changes of accounts: useradd, useredit, userdel, domaindrop; and the command userauth."""
import os
import subprocess
import threading
import unittest

from harness import DOMAIN, PASSWORD, PROGRAM, wait_until
from test_auth import OUTSIDE, Programs
from test_ctrl import Ctrl

OTHER = "other.example"


class Followers(Programs):
    def setUp(self):
        super().setUp()
        self.out = os.path.join(self.server.scratch, "out")
        self.says = os.path.join(self.server.scratch, "code")
        self.say(0)
        program = self.program("follow", f'printf "[%s]" "$@" >>{self.out}; echo >>{self.out}; exit "$(cat {self.says})"')
        words = (program, "@@USER", "@@DOMAIN", "@@PASSWD", "@@PATH")
        self.table(f"userauth/pop3/{DOMAIN}.tab", *((action, words[0], action, *words[1:]) for action in
                                                     ("userauth", "useradd", "useredit", "userdel", "domaindrop")))

    def say(self, code):
        with open(self.says, "w", encoding="ascii") as f:
            f.write(str(code))

    def told(self):
        """What programs were told since the last call."""
        if not os.path.exists(self.out):
            return []
        with open(self.out, encoding="utf-8") as f:
            lines = f.read().splitlines()
        os.remove(self.out)
        return lines

    def folder(self, *names):
        return self.server.path("domains", *names) + "/"

    def test_they_follow(self):
        self.server.start()
        with Ctrl(self.server) as c:
            self.assertEqual(c.do("useradd", DOMAIN, "Carol", "carol-pass", "U"), 0)
            self.assertEqual(self.told(), [f"[useradd][Carol][{DOMAIN}][carol-pass][{self.folder(DOMAIN, 'Carol')}]"])
            self.assertEqual(c.do("userpasswd", DOMAIN, "carol", "another-pass"), 0)
            self.assertEqual(self.told(), [f"[useredit][Carol][{DOMAIN}][another-pass][{self.folder(DOMAIN, 'Carol')}]"])
            self.assertEqual(c.do("userauth", DOMAIN, "carol", OUTSIDE), 0)
            self.assertEqual(self.told(), [f"[userauth][Carol][{DOMAIN}][{OUTSIDE}][{self.folder(DOMAIN, 'Carol')}]"])
            self.assertEqual(c.do("userdel", DOMAIN, "carol"), 0)
            self.assertEqual(self.told(), [f"[userdel][Carol][{DOMAIN}][][{self.folder(DOMAIN, 'Carol')}]"])
            # Lists don't log in; what can't be done isn't told; other domains have no program.
            self.assertEqual(c.do("useradd", DOMAIN, "list", "list-pass", "M"), 0)
            self.assertEqual(c.do("userdel", DOMAIN, "list"), 0)
            self.assertEqual(c.do("useradd", DOMAIN, "alice", "alice-pass", "U"), -13)
            self.assertEqual(c.do("useradd", DOMAIN, "a/b", "alice-pass", "U"), -216)
            self.assertEqual(c.do("userdel", DOMAIN, "nobody"), -12)
            self.assertEqual(c.do("userpasswd", DOMAIN, "nobody", "any-password"), -157)
            self.assertEqual(c.do("userpasswd", DOMAIN, "alice", "x"), -230)
            self.assertEqual(c.do("userauth", DOMAIN, "nobody", "x"), -157)
            self.assertEqual(c.do("domaindel", "nowhere.example"), -59)
            self.assertEqual(c.do("domainadd", OTHER), 0)
            self.assertEqual(c.do("useradd", OTHER, "dora", "dora-pass", "U"), 0)
            self.assertEqual(c.do("userauth", OTHER, "dora", "dora-pass"), 0)
            self.assertEqual(c.do("domaindel", OTHER), 0)
            self.assertEqual(self.told(), [])
            self.assertEqual(c.do("domaindel", DOMAIN), 0)
            self.assertEqual(self.told(), [f"[domaindrop][][{DOMAIN}][][{self.folder(DOMAIN)}]"])

    def test_no_means_nothing_changes(self):
        self.say(1)
        self.server.start()
        with open(self.server.path("mailusers.tab"), "rb") as f:
            before = f.read()
        for code, number in (("1", -24), ("kill", -141)):
            if code == "kill":
                self.program("follow", "kill -9 $$")
            with self.subTest(code=code), Ctrl(self.server) as c:
                self.assertEqual(c.do("userauth", DOMAIN, "alice", PASSWORD), number)
                for words in (("useradd", DOMAIN, "carol", "carol-pass", "U"), ("userpasswd", DOMAIN, "alice", "another-pass"),
                              ("userdel", DOMAIN, "alice"), ("domaindel", DOMAIN), ("useradd", DOMAIN, "-x", "carol-pass", "U")):
                    self.assertEqual(c.do(*words), -141, words)
                self.assertEqual(c.do("noop"), 0)
        with open(self.server.path("mailusers.tab"), "rb") as f:
            self.assertEqual(f.read(), before)
        self.assertFalse(os.path.exists(self.folder(DOMAIN, "carol")))
        self.assertTrue(os.path.exists(self.folder(DOMAIN, "alice")))

    def test_others_are_served_meanwhile(self):
        gate = os.path.join(self.server.scratch, "gate")
        self.program("follow", f"while [ ! -e {gate} ]; do sleep 0.1; done")
        self.server.start()
        results = []

        def change(name):
            with Ctrl(self.server) as c:
                results.append(c.do("useradd", DOMAIN, name, "carol-pass", "U"))
        threads = [threading.Thread(target=change, args=(name,)) for name in ("carol", "carol", "dave")]
        for t in threads:
            t.start()
        with Ctrl(self.server) as c:
            self.assertEqual(c.do("aliasadd", DOMAIN, "al", "alice"), 0)
            self.assertTrue(wait_until(lambda: c.do("noop") == 0))
        with open(gate, "w", encoding="ascii"):
            pass
        for t in threads:
            t.join()
        self.assertEqual(sorted(results), [-13, 0, 0])  # the second carol: she was there by then
        if "carol" in self.server.log_text():
            self.assertIn("a program followed a change that failed here", self.server.log_text())

    def test_tools(self):
        """`hikyaku users` goes the same way; without a server no program can be asked, so nothing is changed."""
        def users(*words):
            return subprocess.run([PROGRAM, "users", *words, "--mailroot", self.server.mailroot], input="tool-password\ntool-password\n",
                                  capture_output=True, text=True, timeout=120, check=False)
        self.assertNotEqual(users("add", f"carol@{DOMAIN}", "--generate").returncode, 0)
        self.assertFalse(os.path.exists(self.folder(DOMAIN, "carol")))
        self.server.start()
        done = users("add", f"carol@{DOMAIN}", "--generate")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(self.told()[0].startswith(f"[useradd][carol][{DOMAIN}]["))


if __name__ == "__main__":
    unittest.main()
