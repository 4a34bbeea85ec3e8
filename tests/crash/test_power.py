"""Cuts the power at many moments of a traced run, with the worst a disk may do to what wasn't synced.

A state is built for each cut, a server is started on it as after a reboot, and the mailboxes are judged by what
the clients had been told by then. The judge itself is tried on traces whose syncs were taken away.
"""
import glob
import os
import random
import shutil
import time
import unittest

from crash_harness import (LARGE, SETTINGS, USERS, FarServer, Server, Traffic, far_faults, faults, queue_is_empty,
                           wait_until)
from trace_model import Model, mark, read_trace

CUTS = int(os.environ.get("CRASH_CUTS", "60"))  # more for a longer search
SEED = int(os.environ.get("CRASH_SEED", "20100503"))
SECONDS_MAX = 2.5 * CUTS


class Power(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.far = FarServer()
        made = Server(users=USERS, settings={**SETTINGS, **cls.far.settings()})
        made.append("smtprelay.tab", ("127.0.0.1", "255.255.255.255"))
        cls.scratch = made.scratch
        cls.made = made
        cls.snapshot = os.path.join(made.scratch, "snapshot")
        trace = os.path.join(made.scratch, "trace")
        with Server(mailroot=made.mailroot) as server:  # folders and logs exist, as on any day but the first
            before = Traffic(server)
            for i in range(4):
                before.send(f"old{i}", ["carol"])
        shutil.copytree(made.mailroot, cls.snapshot, ignore=shutil.ignore_patterns("*.sock"))
        with Server(mailroot=made.mailroot, env={
                "HIKYAKU_TRACE": trace, "HIKYAKU_LIFE": "a", "HIKYAKU_CLOCK": "3600"}) as server:
            traffic = Traffic(server, lambda text: mark(trace, text))
            traffic.texts, traffic.acked, traffic.tried = before.texts, dict(before.acked), dict(before.tried)
            cls.far.on_taken = lambda what: mark(trace, " ".join(("taken",) + what))
            for round_ in range(3):
                for i in range(3):
                    traffic.send(f"m{round_}{i}", [USERS[i]])
                traffic.send(f"both{round_}", ["alice", "bob"])
                traffic.send(f"large{round_}", ["bob"], LARGE)
                traffic.send(f"far{round_}", [f"one{round_}@far.example", "alice", f"grey{round_}@far.example"])
                traffic.send(f"lost{round_}", [f"bad{round_}@far.example"])
                traffic.remove("carol", [f"old{round_}"])
                traffic.remove("alice", [f"m{round_}0"])
            wait_until(lambda: queue_is_empty(server.mailroot), 10)
        cls.far.on_taken = lambda what: None
        cls.old, cls.tried = before.acked, traffic.tried
        cls.removing = traffic.removing
        cls.records = read_trace(trace)
        cls.model = Model(cls.snapshot, cls.records)

    @classmethod
    def tearDownClass(cls):
        cls.far.close()
        cls.made.close()

    def told(self, at):
        """What was known outside before record `at`: acknowledged, removed, taken by the other server."""
        acked, removed, taken = dict(self.old), set(), []
        for where, text in self.model.marks:
            words = text.split()
            if where >= at:
                break
            if words[0] == "acked":
                acked[words[1]] = self.tried[words[1]]
            elif words[0] == "taken":
                taken.append(tuple(words[1:]))
            else:
                removed.add((words[1], words[2]))
        return acked, removed, taken

    def judge(self, model, at, policy, seed):
        folder = os.path.join(self.scratch, "cut")
        shutil.rmtree(folder, ignore_errors=True)
        model.build(folder, model.cut(at, policy, random.Random(seed)))
        acked, removed, taken = self.told(at)
        self.far.taken = []
        server = Server(mailroot=folder, env={"HIKYAKU_LIFE": f"after-{at}"})
        try:
            server.start()
            if not wait_until(lambda: queue_is_empty(folder), 10):
                left = {p: open(p, "rb").read()[:2000] for p in glob.glob(os.path.join(folder, "queue", "*", "*"))}
                return [f"the queue is not empty: {left}"], server.log_text()
            wrong = faults(folder, acked, self.tried, removed, self.removing) + far_faults(acked, taken + self.far.taken)
            return wrong, server.log_text()
        except RuntimeError as e:
            return [str(e)], ""
        finally:
            server.close()

    def test_marks(self):
        self.assertGreaterEqual(len(self.model.marks), 15)

    def test_cuts(self):
        rng = random.Random(SEED)
        after_marks = [where + 1 for where, _ in self.model.marks]
        cuts = [(at, "none") for at in after_marks]
        while len(cuts) < CUTS:
            cuts.append((rng.randrange(self.model.length), rng.choice(["none", "all", "some", "some"])))
        rng.shuffle(cuts)
        began = time.monotonic()
        for count, (at, policy) in enumerate(cuts):
            with self.subTest(at=at, policy=policy):
                wrong, log = self.judge(self.model, at, policy, count)
                self.assertEqual(wrong, [], log[-3000:])
            if time.monotonic() - began > SECONDS_MAX:
                break
        self.assertGreater(count, 20)

    def test_the_judge_notices(self):
        """Without the syncs of the run the same cuts must lose messages."""
        records = [r for r in self.records if r[0] not in ("sync+", "sync-")]
        model = Model(self.snapshot, records)
        saved, self.model = self.model, model
        try:
            wrong, _ = self.judge(model, model.length, "none", 1)
        finally:
            self.model = saved
        self.assertTrue(wrong)


if __name__ == "__main__":
    unittest.main()
