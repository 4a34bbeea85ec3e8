"""Kills the control role in place of each change of the commands that change one table or file.

What a command changes is, after the next start, as it was before the command or as the command makes it: nothing else.
"""
import glob
import os
import shutil
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "e2e"))

from crash_harness import SETTINGS, Server, kill_points  # noqa: E402
from harness import DOMAIN  # noqa: E402
from test_ctrl import Ctrl  # noqa: E402
from test_kill import CHANGES  # noqa: E402
from trace_model import read_trace  # noqa: E402

LINK = (DOMAIN, "alice", "pop.far.example", "al")
# What to upload (None: nothing), and the command.
STEPS = [
    (None, ("useradd", DOMAIN, "team", "long-password", "M")),
    (None, ("mluseradd", DOMAIN, "team", "a@far.example", "RW")),
    (None, ("mluserdel", DOMAIN, "team", "a@far.example")),
    (None, ("exaliasadd", "alice@" + DOMAIN, "al@far.example")),
    (None, ("exaliasdel", "al@far.example")),
    (None, ("poplnkadd", *LINK, "secret", "CLR")),
    (None, ("poplnkenable", "0", *LINK)),
    (None, ("poplnkdel", *LINK)),
    (None, ("poplnkadd", *LINK, "secret", "CLR")),
    (None, ("uservarsset", DOMAIN, "alice", "MaxMBSize", "5", "New", "1", "RealName", ".|rm", "Other", "2")),
    ('"mailbox"', ("usersetmproc", DOMAIN, "alice")),
    ("", ("usersetmproc", DOMAIN, "alice")),
    ('"smtp"', ("custdomset", "cust.example")),
    ("", ("custdomset", "cust.example")),
    (None, ("aliasdomainadd", DOMAIN, "also.example")),
    (None, ("aliasdomaindel", "also.example")),
    (None, ("aliasdel", DOMAIN, "webmaster")),
    (f'"{DOMAIN}"\t"postmaster"\t"alice"\n"{DOMAIN}"\t"new"\t"alice"', ("cfgfileset", "aliases.tab")),
]


def lines_of(path):
    """The lines of a table, None when there is none."""
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as f:
        return f.read().splitlines()


POINTS_MAX = 60


class KillTables(unittest.TestCase):
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

    def state(self, server):
        """All that the steps change."""
        user = server.path("domains", DOMAIN, "alice")
        links = lines_of(server.path("pop3links.tab")) or []
        off = [os.path.basename(p) for p in glob.glob(os.path.join(glob.escape(user), "*.disabled"))]
        tables = ["aliases.tab", "aliasdomain.tab", "mailusers.tab", "extaliases.tab"]
        return {
            **{name: lines_of(server.path(name)) for name in tables},
            "links": [(line, "al@pop.far.example.disabled" in off) for line in links if line.startswith('"')],
            "user.tab": lines_of(os.path.join(user, "user.tab")),
            "mailproc.tab": lines_of(os.path.join(user, "mailproc.tab")),
            "members": lines_of(server.path("domains", DOMAIN, "team", "mlusers.tab")) or [],
            "custom": sorted(os.listdir(server.path("custdomains"))),
            "left": glob.glob(os.path.join(glob.escape(server.mailroot), "*.tmp-*")),
        }

    def do(self, c, step):
        text, words = step
        return c.do(*words) if text is None else c.upload(text, *words) if text else self.upload_nothing(c, words)

    def upload_nothing(self, c, words):
        self.assertEqual(c.do(*words), 101)
        c.sock.sendall(b".\r\n")
        c.last = c.line()
        return int(c.last[:6])

    def steps(self, server, after=lambda: None):
        """How many steps were answered with success."""
        done = 0
        try:
            with Ctrl(server) as c:
                for step in STEPS:
                    if self.do(c, step) != 0:
                        break
                    done += 1
                    after()
        except (OSError, AssertionError, ValueError):
            pass
        return done

    def changes(self, run=lambda server: None):
        """How many changes the control role makes at the start and in what is run."""
        trace = os.path.join(self.made.scratch, "trace")
        with self.fresh({"HIKYAKU_TRACE": trace}) as server:
            pid = server.role_pid("control")
            run(server)
            records = read_trace(trace)
        return 1 + sum(1 for r in records if r[1] == pid and r[0] in CHANGES and (r[0] != "open" or r[4] & 0o1100))

    def test_every_change(self):
        wanted = []
        with self.fresh({}) as server:
            wanted.append(self.state(server))
            self.assertEqual(self.steps(server, lambda: wanted.append(self.state(server))), len(STEPS))
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
                    self.assertIn(self.state(again), wanted[done:done + 2], f"kill {n} after {STEPS[max(done - 1, 0)]}")
                server.close()
        self.assertGreater(len(seen), 2)


if __name__ == "__main__":
    unittest.main()
