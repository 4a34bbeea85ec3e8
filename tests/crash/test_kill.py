"""Kills a role in place of each of its changes of the file system; then everything, and starts again.

Afterwards each acknowledged message is there once and whole, nothing that was removed is back, and the queue is
empty.
"""
import glob
import os
import shutil
import unittest

from crash_harness import LARGE, SETTINGS, USERS, Server, Traffic, faults, kill_points, queue_is_empty, wait_until
from trace_model import read_trace

CHANGES = {"write", "trunc", "rename", "link", "unlink", "mkdir", "rmdir", "sync+", "open"}
POINTS_MAX = 24  # kills a role and kind of traffic


class Kill(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.made = Server(users=USERS, settings=SETTINGS)

    @classmethod
    def tearDownClass(cls):
        cls.made.close()

    def fresh(self, env):
        """A server over a copy of the prepared MailRoot."""
        folder = os.path.join(self.made.scratch, "run")
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.made.mailroot, folder)
        return Server(mailroot=folder, env=env)

    def prepare(self, traffic):
        for i in range(4):
            self.assertTrue(traffic.send(f"old{i}", ["carol"]))

    def smtpd(self, traffic):
        traffic.send("one", ["alice"])
        traffic.send("two", ["alice", "bob"])
        traffic.send("large", ["bob"], LARGE)

    def queue(self, traffic):
        traffic.send("q1", ["alice", "bob"])
        traffic.send("q2", ["alice", "bob", "carol"])
        wait_until(lambda: queue_is_empty(traffic.server.mailroot), 1.5)

    def access(self, traffic):
        traffic.remove("carol", ["old1", "old3"])
        traffic.remove("carol", ["old0"])

    def changes_of(self, role, run):
        """How many changes the role makes in this traffic."""
        server = self.fresh({})
        trace = os.path.join(self.made.scratch, "trace-" + role)
        with server:
            traffic = Traffic(server)
            self.prepare(traffic)
        server = Server(mailroot=server.mailroot, env={"HIKYAKU_TRACE": trace})
        with server:
            traffic.server = server
            pid = server.role_pid(role)
            run(traffic)
            records = read_trace(trace)
        count = sum(1 for r in records if r[1] == pid and r[0] in CHANGES and (r[0] != "open" or r[4] & 0o1100))
        self.assertGreater(count, 5)
        return count

    def one_kill(self, role, run, n):
        server = self.fresh({})
        with server:
            traffic = Traffic(server)
            self.prepare(traffic)
        server = Server(mailroot=server.mailroot, env={"HIKYAKU_KILL": f"{role}:{n}"})
        traffic.server = server
        try:
            server.start()
            run(traffic)
        except RuntimeError:
            pass  # killed while it started: the next start must mend that
        server.kill()
        again = Server(mailroot=server.mailroot)
        with again:
            self.assertTrue(wait_until(lambda: queue_is_empty(again.mailroot)), f"queue after kill {n}")
            wrong = faults(again.mailroot, traffic.acked, traffic.tried, traffic.removed, traffic.removing)
            self.assertEqual(wrong, [], f"{role} killed at change {n}: {again.log_text()[-3000:]}")
            left = glob.glob(os.path.join(glob.escape(again.mailroot), "domains", "*", "*", "Maildir", "tmp", "*"))
            self.assertLess(len(left), 4)
        server.close()

    def every_kill(self, role, run):
        count = self.changes_of(role, run)
        for n in kill_points(count + 1, POINTS_MAX):
            with self.subTest(role=role, n=n):
                self.one_kill(role, run, n)

    def test_smtpd(self):
        self.every_kill("smtpd", self.smtpd)

    def test_queue(self):
        self.every_kill("queue", self.queue)

    def test_access(self):
        self.every_kill("access", self.access)

    def test_recovery(self):
        """The recovery itself is killed, again and again."""
        for n in kill_points(11, 11):
            with self.subTest(n=n):
                server = self.fresh({})
                server.start()
                traffic = Traffic(server)
                self.prepare(traffic)
                self.smtpd(traffic)
                self.access(traffic)
                server.kill()
                for _ in range(2):
                    broken = Server(mailroot=server.mailroot, env={"HIKYAKU_KILL": f"recover:{n}", "HIKYAKU_LIFE": "b"})
                    try:
                        broken.start()
                        broken.kill()
                    except RuntimeError:
                        broken.log.close()
                with Server(mailroot=server.mailroot, env={"HIKYAKU_LIFE": "c"}) as again:
                    self.assertTrue(wait_until(lambda: queue_is_empty(again.mailroot)))
                    self.assertEqual(faults(again.mailroot, traffic.acked, traffic.tried, traffic.removed,
                                            traffic.removing), [])
                server.close()


if __name__ == "__main__":
    unittest.main()
