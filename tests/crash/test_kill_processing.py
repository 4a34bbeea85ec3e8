"""Kills the queue role, and everything, while programs and commands handle a message: it comes where it shall, once, and no
command that was over is repeated, but the one that a kill came upon."""
import collections
import os
import shutil
import stat
import unittest

from crash_harness import DOMAIN, SETTINGS, USERS, FarServer, Server, Traffic, faults, kill_points, wait_until
from harness import replace
from test_kill import CHANGES
from test_kill_relay import waiting
from trace_model import read_trace

POINTS_MAX = 30
MESSAGES = ("one", "two")


class KillProcessing(unittest.TestCase):
    def setUp(self):
        self.far = FarServer()
        self.made = Server(users=USERS, settings={**SETTINGS, **self.far.settings(), "RemoveSpoolErrors": 0})
        self.runs = os.path.join(self.made.scratch, "runs")
        filters = self.made.path("filters")
        os.makedirs(filters, exist_ok=True)
        self.note = self.program("note", f'm=$(sed -n "s/^Subject: \\([a-z]*\\).*/\\1/p" "$2"); echo "$1 $m" >>{self.runs}; exit "${{3:-0}}"')
        self.table("filters/in.tab", (self.note, "look", "@@FILE"), (self.note, "change", "@@FILE", "7"), (self.note, "last", "@@FILE"))
        self.table("filters.in.tab", ("*", f"alice@{DOMAIN}", "0.0.0.0/0", "0.0.0.0/0", "in.tab"))
        self.table(f"domains/{DOMAIN}/alice/mailproc.tab", ("external", "0", "60", self.note, "first", "@@FILE"), ("redirect", "away@far.example"),
                   ("mailbox",), ("lredirect", f"bob@{DOMAIN}"), ("external", "0", "60", self.note, "second", "@@FILE"))

    def tearDown(self):
        self.far.close()
        self.made.close()

    def program(self, name, text):
        path = self.made.path("filters", name)
        with open(path, "w", encoding="utf-8") as f:
            f.write("#!/bin/sh\n" + text + "\n")
        os.chmod(path, stat.S_IRWXU)
        return path

    def table(self, path, *rows):
        replace(self.made.path(path), b"".join("\t".join(f'"{v}"' for v in row).encode() + b"\n" for row in rows))

    def fresh(self, env):
        folder = os.path.join(self.made.scratch, "run")
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.made.mailroot, folder)
        self.far.taken, self.far.deferred = [], set()
        if os.path.exists(self.runs):
            os.remove(self.runs)
        return Server(mailroot=folder, env=env)

    def run_traffic(self, server):
        traffic = Traffic(server)
        for name in MESSAGES:
            traffic.send(name, ["alice"])
        return traffic

    def count(self):
        trace = os.path.join(self.made.scratch, "trace")
        with self.fresh({"HIKYAKU_TRACE": trace}) as server:
            pid = server.role_pid("queue")
            self.run_traffic(server)
            self.assertTrue(wait_until(lambda: not waiting(server.mailroot), 60))
            self.judge(server, Traffic(server), 0, "without a kill")
            records = read_trace(trace)
        return sum(1 for r in records if r[1] == pid and r[0] in CHANGES and (r[0] != "open" or r[4] & 0o1100))

    def judge(self, server, traffic, kills, when):
        acked = traffic.acked or {name: ["alice"] for name in MESSAGES}
        to_both = {name: ["alice", "bob"] for name in acked}
        tried = {name: ["alice", "bob"] for name in MESSAGES}
        wrong = faults(server.mailroot, to_both, tried, set(), set())
        wanted = collections.Counter(("mail", name, "away") for name in acked)
        got = collections.Counter(self.far.taken)
        wrong += [f"{what} didn't get there" for what in wanted - got]
        with open(self.runs, encoding="utf-8") as f:
            runs = collections.Counter(tuple(line.split()) for line in f)
        steps = [(step, name) for step in ("look", "change", "last", "first", "second") for name in acked]
        wrong += [f"{step} wasn't run" for step in steps if runs[step] == 0]
        if sum(runs.values()) > 5 * len(MESSAGES) + kills * len(MESSAGES):
            wrong.append(f"repeated: {runs}")
        self.assertEqual(wrong, [], f"{when}: {server.log_text()[-3000:]}")

    def one_kill(self, n):
        server = self.fresh({"HIKYAKU_KILL": f"queue:{n}"})
        try:
            server.start()
        except RuntimeError:
            pass
        traffic = self.run_traffic(server)
        wait_until(lambda: not waiting(server.mailroot), 3)
        kills = 1 + server.log_text().count("role ended")
        server.kill()
        with Server(mailroot=server.mailroot) as again:
            self.assertTrue(wait_until(lambda: not waiting(again.mailroot), 60), f"killed at {n}: {again.log_text()[-3000:]}")
            self.judge(again, traffic, kills, f"killed at {n}")
        server.close()

    def test_each_change(self):
        count = self.count()
        self.assertGreater(count, 10)
        for n in kill_points(count + 1, POINTS_MAX):
            with self.subTest(n=n):
                self.one_kill(n)

    def test_in_a_program(self):
        """A program that ends the queue role, then everything, while it runs: it is run again, those before it aren't."""
        for who in ("queue", "runner"):
            with self.subTest(who=who):
                killer = self.program("killer", f'echo "killer x" >>{self.runs}; p=$(cat {self.runs}.pid); rm -f {self.runs}.pid; '
                                      '[ -z "$p" ] || kill -9 $p; exit 0')
                self.table(f"domains/{DOMAIN}/alice/mailproc.tab", ("external", "0", "60", self.note, "first", "@@FILE"), ("redirect", "away@far.example"),
                           ("external", "0", "60", killer), ("mailbox",), ("lredirect", f"bob@{DOMAIN}"), ("external", "0", "60", self.note, "second", "@@FILE"))
                with self.fresh({}) as server:
                    with open(self.runs + ".pid", "w", encoding="utf-8") as f:
                        f.write(str(server.role_pid(who)))
                    traffic = Traffic(server)
                    traffic.send("one", ["alice"])
                    self.assertTrue(wait_until(lambda: not waiting(server.mailroot), 90), server.log_text()[-3000:])
                    self.assertEqual(faults(server.mailroot, {"one": ["alice", "bob"]}, {"one": ["alice", "bob"]}, set(), set()), [])
                    self.assertTrue(wait_until(lambda: self.far.taken, 20))
                    self.assertEqual(self.far.taken, [("mail", "one", "away")])
                    with open(self.runs, encoding="utf-8") as f:
                        runs = collections.Counter(line.split()[0] for line in f)
                    self.assertEqual(runs, {"look": 1, "change": 1, "last": 1, "first": 1, "killer": 2, "second": 1})


if __name__ == "__main__":
    unittest.main()
