"""Mail fetched from a Dovecot by POP3, POP3 with Leave and IMAP, while connections are cut, Dovecot is killed and started
again, and our roles and our whole server are: in the end each message was there once, and is gone where it was to be removed."""
import collections
import os
import random
import re
import signal
import time
import unittest

import peers
from harness import DOMAIN, Server, wait_until, xmcrypt

PAIRS = (("take", "alice", "CLR"), ("leave", "bob", "CLR,Leave"), ("imap", "carol", "IMAPS"))
EACH = 80  # messages a source gets for each interruption
CUTS = 6
SEED = int(os.environ.get("HIKYAKU_SEED", random.randrange(1 << 32)))


def named(pid, names):
    """Processes below pid of these names."""
    parents, called = {}, {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat", encoding="latin-1") as f:
                head, tail = f.read().rsplit(")", 1)
        except OSError:
            continue
        parents[int(entry)], called[int(entry)] = int(tail.split()[1]), head.split("(", 1)[1]
    below, todo = set(), [pid]
    while todo:
        one = todo.pop()
        below.add(one)
        todo += [p for p, parent in parents.items() if parent == one]
    return [p for p in below if called.get(p) in names]


def kill(pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


@unittest.skipIf(peers.cannot_run(), peers.cannot_run())
class KillDovecot(unittest.TestCase):
    def setUp(self):
        self.server = Server(users=[user for _, user, _ in PAIRS], settings={"FetchInterval": "1", "FetchTimeout": "5"})
        self.addCleanup(self.server.close)
        try:
            self.far = peers.Dovecot((self.server.path("server.cert"), self.server.path("server.key")), [far for far, _, _ in PAIRS])
        except OSError as e:
            self.skipTest(str(e))
        for far, user, options in PAIRS:
            port = self.far.imaps_port if options == "IMAPS" else self.far.port
            self.server.append("pop3links.tab", (DOMAIN, user, f"127.0.0.1:{port}", far, xmcrypt("far-word"), options))
        self.put = 0

    def more(self):
        for i in range(self.put, self.put + EACH):
            for far, _, _ in PAIRS:
                self.far.put(far, f"1700000000.M{i}.far", f"From: a@far.example\nSubject: {far}{i}\n\n{'x' * (i * 37 % 3000)}\n".encode())
        self.put += EACH

    def ask(self):
        """Without the pauses after failures."""
        with open(self.server.path(".psync-trigger"), "w", encoding="ascii"):
            pass

    def here(self, user):
        """By subject; what has none counts as itself."""
        texts = [self.server.read(user, n) for n in self.server.mailbox(user)]
        subjects = [re.search(rb"^Subject: (\w+)$", text, re.M) for text in texts]
        return collections.Counter(s.group(1).decode() if s else text for s, text in zip(subjects, texts))

    def counts(self):
        return [len(self.server.mailbox(user)) for _, user, _ in PAIRS]

    def interrupt(self, what):
        if what == "connections":
            kill(named(self.far.process.pid, ("pop3", "imap")))
        elif what == "dovecot":
            self.far.stop()
            self.far.start()
        elif what == "server":
            self.server.kill()
            self.server.start()
        else:
            kill([pid for pid in [self.server.role_pid(what)] if pid])

    def visited_since(self, then):
        with open(self.server.path("hikyaku", "fetch.tab"), encoding="utf-8") as f:
            return all(int(line.split("\t")[5].strip('"')) > then for line in f)

    def is_done(self):
        self.ask()
        return self.counts() == [self.put] * 3 and (self.far.left("take"), self.far.left("imap")) == (0, 0)

    def test_each_once(self):
        dice = random.Random(SEED)
        with self.far:
            self.server.start()
            for i in range(CUTS):
                what = ("connections", "dovecot", "server", "relay", "queue")[i] if i < 5 else dice.choice(("connections", "dovecot", "server"))
                before = self.counts()
                self.more()
                # Not before one is under way.
                wait_until(lambda before=before: self.ask() or any(now > old for now, old in zip(self.counts(), before)))
                time.sleep(dice.uniform(0, 0.05))  # when is the point
                self.interrupt(what)
            done = wait_until(self.is_done, 90)
            now = int(time.time())
            wait_until(lambda: self.ask() or self.visited_since(now), 30)
            words = (SEED, self.counts(), [self.far.left(far) for far, _, _ in PAIRS], self.server.log_text()[-3000:], self.far.words()[-1000:])
            for far, user, _ in PAIRS:
                found = self.here(user)
                wrong = {name: found[name] for name in set(found) | {f"{far}{i}" for i in range(self.put)} if found[name] != 1}
                self.assertEqual(wrong, {}, words)
            self.assertTrue(done, words)
            self.assertEqual(self.far.left("leave"), self.put)


if __name__ == "__main__":
    unittest.main()
