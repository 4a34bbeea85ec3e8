"""Kills the control role in place of each of its changes: tables and folders agree again after the next start.

Every command that was answered has happened; the one under way has happened or not; the next ones can be done.
"""
import glob
import json
import os
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "e2e"))

from crash_harness import SETTINGS, Server, kill_points  # noqa: E402
from harness import DOMAIN, PROGRAM, wait_until  # noqa: E402
from test_ctrl import Ctrl  # noqa: E402
from test_kill import CHANGES  # noqa: E402
from trace_model import read_trace  # noqa: E402

OTHER = "other.example"
STEPS = [
    ("useradd", DOMAIN, "anna", "long-password", "U"),
    ("userpasswd", DOMAIN, "anna", "another-password"),
    ("aliasadd", DOMAIN, "ann", "anna"),
    ("uservarsset", DOMAIN, "anna", "MaxMBSize", "5"),
    ("domainadd", OTHER),
    ("useradd", OTHER, "otto", "long-password", "U"),
    ("aliasadd", OTHER, "o", "otto"),
    ("userdel", DOMAIN, "anna"),
    ("domaindel", OTHER),
]


POINTS_MAX = 60


class KillControl(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.made = Server(users=("alice",), settings={**SETTINGS, "PasswordScheme": "xmcrypt", "LoginDelay": "0"})

    @classmethod
    def tearDownClass(cls):
        cls.made.close()

    def fresh(self, env):
        folder = os.path.join(self.made.scratch, "run")
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.made.mailroot, folder)
        return Server(mailroot=folder, env=env)

    def steps(self, server, first=0):
        """How many commands were answered with success, from `first` on."""
        done = first
        try:
            c = Ctrl(server)
            for words in STEPS[first:]:
                if c.do(*words) != 0:
                    break
                done += 1
        except OSError:
            pass
        return done

    def accounts(self, c):
        return {f"{user}@{domain}" for domain, user, _, _ in c.lines("userlist")}

    def check(self, server, done, n):
        """Tables and folders agree, whatever was cut off."""
        ran = subprocess.run([PROGRAM, "check", "--mailroot", server.mailroot, "--json"], capture_output=True, text=True)
        findings = [json.loads(line) for line in ran.stdout.splitlines()]
        self.assertEqual([f for f in findings if f["level"] != "note"], [], f"kill {n} after {done} commands")
        with Ctrl(server) as c:
            there = self.accounts(c)
            self.assertIn("alice@" + DOMAIN, there)
            for address in there:
                user, domain = address.split("@")
                self.assertTrue(os.path.isdir(server.path("domains", domain, user)), f"{n}: no folder of {address}")
            folders = {f"{os.path.basename(p)}@{os.path.basename(os.path.dirname(p))}"
                       for p in glob.glob(os.path.join(glob.escape(server.mailroot), "domains", "*", "*"))
                       if os.path.isdir(p)}
            if 1 <= done <= 7:
                self.assertTrue(done == 7 or f"anna@{DOMAIN}" in there, (n, done))
            if done >= 8:
                self.assertNotIn(f"anna@{DOMAIN}", there | folders)
            if done == 9:
                self.assertEqual(c.lines("domainlist", OTHER), [])
                self.assertFalse(os.path.exists(server.path("domains", OTHER)))

    def changes(self, run=lambda server: None):
        """How many changes the control role makes at the start and in what is run."""
        """A kill there is another matter: no role gets its index, and nothing is changed."""
        trace = os.path.join(self.made.scratch, "trace")
        with self.fresh({"HIKYAKU_TRACE": trace}) as server:
            pid = server.role_pid("control")
            run(server)
            records = read_trace(trace)
        # One more isn't in the trace, because it fails: there is no old socket to remove.
        return 1 + sum(1 for r in records if r[1] == pid and r[0] in CHANGES and (r[0] != "open" or r[4] & 0o1100))

    def test_every_change(self):
        server = self.fresh({})
        with server:
            self.assertEqual(self.steps(server), len(STEPS))
            self.check(server, len(STEPS), 0)
        first = self.changes()
        seen = set()
        for n in kill_points(self.changes(self.steps) + 1 - first, POINTS_MAX):
            n += first
            with self.subTest(n=n):
                server = self.fresh({"HIKYAKU_KILL": f"control:{n}"})
                try:
                    server.start()
                except RuntimeError:
                    pass
                done = self.steps(server)
                seen.add(done)
                server.kill()
                with Server(mailroot=server.mailroot) as again:
                    self.check(again, done, n)
                    # What was cut off can be done, or has been done.
                    with Ctrl(again) as c:
                        if done < len(STEPS):
                            self.assertIn(c.do(*STEPS[done]), (0, -13, -12, -26, -157, -231, -59), (n, c.last))
                server.close()
        self.assertGreater(len(seen), 2)


if __name__ == "__main__":
    unittest.main()
