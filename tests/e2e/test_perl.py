"""Perl as administrators' scripts use it: a client that behaves as XMail::Ctrl documents itself."""
import os
import subprocess
import unittest

from harness import DOMAIN, PASSWORD, Server

SCRIPT = os.path.join(os.path.dirname(__file__), "xmail_ctrl.pl")


class Perl(unittest.TestCase):
    def run_it(self, server, password):
        return subprocess.run(["perl", SCRIPT, str(server.ports["ctrl"]), "admin", password, DOMAIN],
                              capture_output=True, text=True, timeout=120, check=False)

    def test_script(self):
        with Server(settings={"PasswordScheme": "xmcrypt", "LoginDelay": "0"}) as server:
            done = self.run_it(server, PASSWORD)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
            done = self.run_it(server, "wrong")
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("-00161", done.stderr)


if __name__ == "__main__":
    unittest.main()
