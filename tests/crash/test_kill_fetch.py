"""Kills the queue role at its changes of the file system, the relay role and the whole server at any time, while mail is
fetched from elsewhere and a user reads and removes it: in the end each message was there once, and nothing is left where
it was to be removed."""
import collections
import os
import random
import shutil
import signal
import threading
import time
import unittest

from crash_harness import DOMAIN, PASSWORD, SETTINGS, USERS, LARGE, Server, kill_points, mailbox, text_of, wait_until
from harness import xmcrypt
from lines import Lines
from popsource import Source
from test_kill import CHANGES
from trace_model import read_trace

POINTS_MAX = 12
FETCH = {"FetchInterval": 1, "FetchTimeout": 5}


class Reader(threading.Thread):
    """Alice, who removes what she has read."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.stops = port, threading.Event()
        self.removed, self.perhaps = collections.Counter(), set()

    def run(self):
        while not self.stops.is_set():
            try:
                self.once()
            except (OSError, EOFError, IndexError):
                pass
            time.sleep(0.05)

    def once(self):
        with Lines(self.port, seconds=6) as c:
            c.say(f"USER alice@{DOMAIN}")
            if not c.say("PASS " + PASSWORD).startswith("+OK"):
                return
            c.send(b"LIST\r\n")
            c.reply()
            names = []
            for number in [line.split()[0].decode() for line in c.many()]:
                c.send(f"TOP {number} 0\r\n".encode())
                c.reply()
                names.append([line for line in c.many() if line.startswith(b"Subject: ")][0][9:].decode())
                c.say("DELE " + number)
            self.perhaps |= set(names)
            if c.say("QUIT").startswith("+OK"):
                self.removed.update(names)
                self.perhaps -= set(names)

    def end(self):
        self.stops.set()
        if self.is_alive():
            self.join(30)


class KillFetch(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.made = Server(users=USERS, settings={**SETTINGS, **FETCH})

    @classmethod
    def tearDownClass(cls):
        cls.made.close()

    def setUp(self):
        self.sources = []

    def tearDown(self):
        for s in self.sources:
            s.close()

    def source(self, prefix, count, large=0):
        names = [f"{prefix}{i}" for i in range(count)] + [f"large{prefix}{i}" for i in range(large)]
        bodies = [(n, text_of(n, LARGE if n.startswith("large") else 400).replace("\n", "\r\n").encode()) for n in names]
        s = Source(bodies)
        self.sources.append(s)
        return s

    def fresh(self, env):
        """A server over a copy of the prepared MailRoot, and three links: a mailbox, the queue, one that leaves."""
        folder = os.path.join(self.made.scratch, "run")
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.made.mailroot, folder)
        self.tearDown()
        self.sources = []
        self.taken, self.queued, self.left = self.source("a", 8, 1), self.source("b", 6, 1), self.source("c", 6)
        server = Server(mailroot=folder, env=env)
        for s, domain, user, options in ((self.taken, DOMAIN, "alice", "CLR"), (self.queued, "@" + DOMAIN, "bob", "CLR"),
                                         (self.left, DOMAIN, "carol", "CLR,Leave")):
            server.append("pop3links.tab", (domain, user, f"127.0.0.1:{s.port}", "far", xmcrypt("far-word"), options))
        return server

    def is_done(self, server):
        queue = [n for folder in os.listdir(server.path("queue")) if len(folder) == 2 for n in os.listdir(server.path("queue", folder))]
        return self.taken.uids() == [] and self.queued.uids() == [] and len(set(self.left.taken)) == 6 and not queue

    def judge(self, server, reader, what):
        names = {"alice": [f"a{i}" for i in range(8)] + ["largea0"], "bob": [f"b{i}" for i in range(6)] + ["largeb0"],
                 "carol": [f"c{i}" for i in range(6)]}
        for user, wanted in names.items():
            found, broken = mailbox(server.mailroot, user)
            count = collections.Counter(found)
            if user == "alice":
                count.update(reader.removed)
            wrong = {n: count[n] for n in set(wanted) | set(count)
                     if count[n] != 1 and not (user == "alice" and n in reader.perhaps and count[n] == 0)}
            self.assertEqual((wrong, broken), ({}, []), f"{what}: {user}\n{server.log_text()[-4000:]}")

    def finish(self, mailroot, reader, what):
        """Once more, undisturbed."""
        with Server(mailroot=mailroot) as again:
            other = Reader(again.ports["pop3"])
            other.start()
            done = wait_until(lambda: self.is_done(again), 60)
            visits = self.left.connections + 2
            wait_until(lambda: self.left.connections >= visits, 30)
            other.end()
            reader.removed.update(other.removed)
            reader.perhaps |= other.perhaps
            self.assertTrue(done, f"{what}: {self.taken.uids()} {self.queued.uids()} {again.log_text()[-4000:]}")
            self.judge(again, reader, what)

    def count(self):
        trace = os.path.join(self.made.scratch, "trace")
        with self.fresh({"HIKYAKU_TRACE": trace}) as server:
            pid = server.role_pid("queue")
            self.assertTrue(wait_until(lambda: self.is_done(server), 60), server.log_text()[-3000:])
            records = read_trace(trace)
        return sum(1 for r in records if r[1] == pid and r[0] in CHANGES and (r[0] != "open" or r[4] & 0o1100))

    def test_queue(self):
        count = self.count()
        self.assertGreater(count, 50)
        for n in kill_points(count, POINTS_MAX):
            with self.subTest(change=n):
                server = self.fresh({"HIKYAKU_KILL": f"queue:{n}"})
                try:
                    server.start()
                except RuntimeError:
                    pass
                wait_until(lambda: self.is_done(server), 4)
                server.kill()
                self.finish(server.mailroot, Reader(0), f"queue killed at {n}")

    def test_at_any_time(self):
        dice = random.Random(7)
        for role in ("relay", "queue", "relay", None, None, "queue"):
            with self.subTest(role=role):
                server = self.fresh({})
                for s in self.sources:  # so that there is something to interrupt
                    s.script["RETR"] = lambda session, number: time.sleep(0.02)
                server.start()
                reader = Reader(server.ports["pop3"])
                if role != "queue":  # docs/crash-tests.md, "What is left to believe"
                    reader.start()
                for _ in range(3):
                    time.sleep(dice.uniform(0.05, 0.8))  # when is the point
                    pid = server.role_pid(role) if role else None
                    if pid:
                        os.kill(pid, signal.SIGKILL)
                reader.end()
                server.kill()
                self.finish(server.mailroot, reader, f"{role} killed")


if __name__ == "__main__":
    unittest.main()
