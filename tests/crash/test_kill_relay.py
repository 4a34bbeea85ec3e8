"""Kills the queue role, and the relay role, at each of their changes while mail goes to another server: all that was
acknowledged gets there, or its sender is told, or it is kept in queue/frozen; and little comes twice."""
import collections
import os
import shutil
import subprocess
import unittest

from crash_harness import SETTINGS, USERS, FarServer, Server, Traffic, far_faults, faults, kill_points, wait_until
from harness import PROGRAM
from test_kill import CHANGES
from trace_model import read_trace

POINTS_MAX = 40


def waiting(root):
    """Entries that aren't settled: queue/??, not queue/frozen."""
    return [name for folder in os.listdir(os.path.join(root, "queue")) if len(folder) == 2
            for name in os.listdir(os.path.join(root, "queue", folder)) if not name.endswith(".journal")]


class KillRelay(unittest.TestCase):
    def setUp(self):
        self.far = FarServer()
        self.settings = {**SETTINGS, **self.far.settings(), "RemoveSpoolErrors": 0}

    def tearDown(self):
        self.far.close()
        self.made.close()

    def make(self, **settings):
        self.made = Server(users=USERS, settings={**self.settings, **settings})
        self.made.append("smtprelay.tab", ("127.0.0.1", "255.255.255.255"))

    def fresh(self, env):
        folder = os.path.join(self.made.scratch, "run")
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.made.mailroot, folder)
        self.far.taken, self.far.deferred = [], set()
        return Server(mailroot=folder, env=env)

    def run_traffic(self, server):
        traffic = Traffic(server)
        traffic.send("far1", ["one@far.example"])
        traffic.send("far2", ["two@far.example", "alice", "bad2@far.example"])
        traffic.send("far3", ["grey3@far.example", "three@far.example"])
        traffic.send("lost", ["bad4@far.example"])
        wait_until(lambda: not waiting(server.mailroot), 4)
        return traffic

    def frozen(self, server):
        done = subprocess.run([PROGRAM, "queue", "list", "--frozen", "--mailroot", server.mailroot], timeout=60,
                              capture_output=True, text=True, check=True)
        return [user for user in ("bad2", "bad4") if user + "@far.example" in done.stdout]

    def count(self, role):
        trace = os.path.join(self.made.scratch, "trace")
        with self.fresh({"HIKYAKU_TRACE": trace}) as server:
            pid = server.role_pid(role)
            self.run_traffic(server)
            self.assertEqual(self.frozen(server), ["bad2", "bad4"])
            records = read_trace(trace)
        return sum(1 for r in records if r[1] == pid and r[0] in CHANGES and (r[0] != "open" or r[4] & 0o1100))

    def one_kill(self, role, n):
        server = self.fresh({"HIKYAKU_KILL": f"{role}:{n}"})
        try:
            server.start()
        except RuntimeError:
            pass
        traffic = self.run_traffic(server)
        kills = server.log_text().count("role ended")  # each process of the role is killed at the same point
        server.kill()
        with Server(mailroot=server.mailroot) as again:
            settled = wait_until(lambda: not waiting(again.mailroot), 30)
            self.assertTrue(settled, f"{role} killed at {n}: {waiting(again.mailroot)} {again.log_text()[-3000:]}")
            wrong = faults(again.mailroot, traffic.acked, traffic.tried, set(), set())
            wrong += far_faults(traffic.acked, self.far.taken)
            self.assertEqual(wrong, [], f"{role} killed at {n}: {again.log_text()[-3000:]}")
            lost = [f"bad{i}" for i, name in ((2, "far2"), (4, "lost")) if name in traffic.acked]
            self.assertLessEqual(set(lost), set(self.frozen(again)), f"{role} killed at {n}")
            twice = [k for k, v in collections.Counter(self.far.taken).items() if v > 2 + kills]
            self.assertEqual(twice, [], f"{role} killed at {n}: sent again and again")
        server.close()

    def every_kill(self, role, most):
        count = min(self.count(role), most)
        self.assertGreater(count, 3)
        for n in kill_points(count + 1, POINTS_MAX):
            with self.subTest(role=role, n=n):
                self.one_kill(role, n)

    def test_queue(self):
        self.make()
        self.every_kill("queue", 1000)

    def test_relay(self):
        """Its only changes are records of the trace: each stands between what the other server said and what the queue
        role hears of it."""
        self.make(TraceDays=1)
        self.every_kill("relay", 6)


if __name__ == "__main__":
    unittest.main()
