"""CtrlClnt and XMCrypt, as administrators' scripts call them."""
import os
import subprocess
import unittest

from harness import DOMAIN, PASSWORD, PROGRAM, Server


class Tools(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(users=("alice",), settings={"LoginDelay": "0"}).start()
        cls.client = os.path.join(cls.server.scratch, "CtrlClnt")
        cls.crypt = os.path.join(cls.server.scratch, "XMCrypt")
        for name in (cls.client, cls.crypt):
            os.symlink(PROGRAM, name)

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def ctrl(self, *words, port="ctrl", password=PASSWORD, options=(), env=None, text=""):
        login = ["-p", password] if password else []
        done = subprocess.run([self.client, "-s", "127.0.0.1", "-n", str(self.server.ports[port]), "-u", "admin",
                               *login, *options, *words], capture_output=True, text=True, input=text, timeout=60,
                              env={**os.environ, **(env or {})})
        self.assertNotIn(PASSWORD, done.stderr)
        return done.returncode, done.stdout

    def test_list(self):
        self.assertEqual(self.ctrl("domainlist"), (0, f'"{DOMAIN}"\n'))

    def test_change_and_refusal(self):
        self.assertEqual(self.ctrl("aliasadd", DOMAIN, "al", "alice"), (0, ""))
        self.assertEqual(self.ctrl("aliasadd", DOMAIN, "al", "alice")[0], 4)
        self.assertEqual(self.ctrl("aliasdel", DOMAIN, "al")[0], 0)

    def test_wrong_usage(self):
        self.assertEqual(self.ctrl()[0], 3)
        self.assertEqual(self.ctrl("noop", options=["-Z"])[0], 3)
        self.assertEqual(self.ctrl("noop", options=["-t", "x"])[0], 3)

    def test_logins(self):
        self.assertEqual(self.ctrl("noop", options=["-c"])[0], 0)
        self.assertEqual(self.ctrl("noop", password="wrong")[0], 4)
        self.assertEqual(self.ctrl("noop", password=None, env={"CTRL_PASSWORD": PASSWORD})[0], 0)
        path = os.path.join(self.server.scratch, "password")
        with open(path, "w", encoding="utf-8") as f:
            f.write(PASSWORD + "\n")
        self.assertEqual(self.ctrl("noop", password=None, options=["--password-file", path])[0], 0)
        with open(path, "w", encoding="utf-8") as f:
            f.write(PASSWORD + "\r\nsomething else\r\n")
        self.assertEqual(self.ctrl("noop", password=None, options=["--password-file", path])[0], 0)
        self.assertEqual(self.ctrl("noop", options=["-D"])[0], 0)

    def test_tls(self):
        self.assertEqual(self.ctrl("noop", options=["-S"])[0], 0)
        self.assertEqual(self.ctrl("noop", options=["-L"], port="ctrls")[0], 0)
        self.assertEqual(self.ctrl("noop", options=["-L", "-X", "/etc/ssl/certs/ca-certificates.crt"],
                                   port="ctrls")[0], 2)

    def test_uploads_and_files(self):
        path = os.path.join(self.server.scratch, "lines")
        with open(path, "w", encoding="utf-8") as f:
            f.write("one\n.two\n\nthree")
        self.assertEqual(self.ctrl("cfgfileset", "filters/y.tab", options=["-f", path]), (0, ""))
        self.assertEqual(self.ctrl("cfgfileget", "filters/y.tab"), (0, "one\n.two\n\nthree\n"))
        out = os.path.join(self.server.scratch, "out")
        self.assertEqual(self.ctrl("cfgfileget", "filters/y.tab", options=["-f", out]), (0, ""))
        with open(out, encoding="utf-8") as f:
            self.assertEqual(f.read(), "one\n.two\n\nthree\n")
        self.assertEqual(self.ctrl("cfgfileset", "filters/y.tab", text="")[0], 0)
        self.assertFalse(os.path.exists(self.server.path("filters", "y.tab")))

    def test_nobody_there(self):
        done = subprocess.run([self.client, "-s", "127.0.0.1", "-n", "1", "-u", "a", "-p", "b", "noop"],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 2)
        self.assertIn("connect", done.stderr)

    def test_crypt(self):
        def run(*words):
            done = subprocess.run([self.crypt, *words], capture_output=True, text=True)
            return done.returncode, done.stdout.strip()
        self.assertEqual(run("xmail"), (0, "1d08040c09"))
        self.assertTrue(run("--scram", "x")[1].startswith("{SCRAM-SHA-256}"))
        self.assertTrue(run("--yescrypt", "x")[1].startswith("{"))
        self.assertEqual(run()[0], 1)


if __name__ == "__main__":
    unittest.main()
