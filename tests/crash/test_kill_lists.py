"""Kills the queue role, and everything, while a list numbers its posts and sends them: each post comes once, with one number for all
members, which no other post has."""
import email
import glob
import os
import shutil
import unittest

from crash_harness import DOMAIN, SETTINGS, USERS, Server, Traffic, kill_points, wait_until
from test_kill import CHANGES
from test_kill_relay import waiting
from test_lists import add_list
from trace_model import read_trace

POINTS_MAX = 30
POSTS = ("one", "two")
MEMBERS = ("alice", "bob")


def subjects(root, user):
    found = []
    for path in glob.glob(os.path.join(glob.escape(root), "domains", DOMAIN, user, "Maildir", "[nc]*", "*")):
        with open(path, "rb") as f:
            found.append(email.message_from_bytes(f.read())["Subject"])
    return sorted(found)


class KillLists(unittest.TestCase):
    def setUp(self):
        self.made = Server(users=USERS, settings=SETTINGS)
        self.addCleanup(self.made.close)
        add_list(self.made, "team", [(f"{user}@{DOMAIN}", "R") for user in MEMBERS], ClosedML="0", ListTag="[%d]")

    def fresh(self, env):
        folder = os.path.join(self.made.scratch, "run")
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.made.mailroot, folder)
        return Server(mailroot=folder, env=env)

    def post(self, server):
        traffic = Traffic(server)
        for name in POSTS:
            traffic.send(name, ["team"])
        return traffic

    def judge(self, root, traffic, when):
        got = [subjects(root, user) for user in MEMBERS]
        self.assertEqual(got[0], got[1], when)
        names = [text.split("] ")[1] for text in got[0]]
        numbers = [text.split("] ")[0] for text in got[0]]
        self.assertEqual(len(set(numbers)), len(numbers), when)
        self.assertEqual(len(set(names)), len(names), when)
        self.assertLessEqual(set(traffic.acked), set(names), when)
        self.assertLessEqual(set(names), set(traffic.tried), when)

    def test_each_change(self):
        trace = os.path.join(self.made.scratch, "trace")
        with self.fresh({"HIKYAKU_TRACE": trace}) as server:
            pid = server.role_pid("queue")
            traffic = self.post(server)
            self.assertTrue(wait_until(lambda: not waiting(server.mailroot), 60))
            self.judge(server.mailroot, traffic, "without a kill")
            self.assertEqual(len(subjects(server.mailroot, "bob")), len(POSTS))
        count = sum(1 for r in read_trace(trace) if r[1] == pid and r[0] in CHANGES and (r[0] != "open" or r[4] & 0o1100))
        self.assertGreater(count, 10)
        for n in kill_points(count + 1, POINTS_MAX):
            with self.subTest(n=n):
                self.one_kill(n)

    def one_kill(self, n):
        server = self.fresh({"HIKYAKU_KILL": f"queue:{n}"})
        self.addCleanup(server.close)
        try:
            server.start()
        except RuntimeError:
            pass
        traffic = self.post(server)
        wait_until(lambda: not waiting(server.mailroot), 3)
        server.kill()
        with Server(mailroot=server.mailroot) as again:
            self.assertTrue(wait_until(lambda: not waiting(again.mailroot), 60), f"killed at {n}: {again.log_text()[-3000:]}")
            self.judge(again.mailroot, traffic, f"killed at {n}: {again.log_text()[-3000:]}")


if __name__ == "__main__":
    unittest.main()
