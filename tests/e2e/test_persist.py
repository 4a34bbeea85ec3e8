"""Filters that stay: jobs in, verdicts out; what they answer wrongly, how they die, and who waits for them."""
import os
import signal
import threading
import unittest

from filter_case import ALICE, BOB, FilterCase
from harness import DOMAIN, wait_until

EXAMPLES = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../packaging/examples"))
# Answers by what the sender's address begins with; each start leaves a line.
PROGRAM = r'''#!/usr/bin/python3
import json, os, sys, time
with open(OUT, "a") as f:
    f.write("%d %s\n" % (os.getpid(), " ".join(sys.argv[1:])))
for line in sys.stdin:
    job = json.loads(line)
    word = job["FROM"].partition("@")[0]
    answer = {"id": job["id"], "code": 3 if word == "no" else 0}
    if word == "reply": answer.update(code=3, reply="451 4.7.1 wait for " + job["FROM"])
    if word == "otherid": answer["id"] += 1
    if word == "badcode": answer["code"] = 256
    if word == "textcode": answer["code"] = "3"
    if word == "badreply": answer.update(code=3, reply="550 a\r\nb")
    if word == "die": os.abort()
    if word == "hang": time.sleep(1000)
    if word == "close": os.close(1); time.sleep(1000)
    if word == "slow": time.sleep(0.5)
    if word == "say": print("said", file=sys.stderr, flush=True)
    if word == "fork" and os.fork() == 0: time.sleep(1000)
    text = json.dumps(answer)
    if word == "twice": text += "\n" + text
    if word == "garbage": text = "\x00\xff}{"
    if word == "flood": text = "x" * 10000000
    print(text, flush=True)
'''


class Persist(FilterCase):
    def setUp(self):
        super().setUp()
        self.out = os.path.join(self.server.scratch, "out")
        self.path = os.path.join(self.bin, "stays")
        with open(self.path, "w", encoding="utf-8") as f:
            f.write(PROGRAM.replace("OUT", repr(self.out)))
        os.chmod(self.path, 0o700)

    def started(self):
        if not os.path.exists(self.out):
            return []
        with open(self.out, encoding="utf-8") as f:
            return f.read().splitlines()

    def word(self, word, **more):
        return self.codes(ALICE, sender=f"{word}@far.example", **more)[-1]

    def test_one_for_many(self):
        for stage in ("post-rcpt", "pre-data", "post-data"):
            self.table(stage, ("!persist=1", self.path, stage, "@@FROM"))
        self.server.start()
        for _ in range(5):
            self.assertEqual(self.word("yes"), 250)
        self.assertEqual(sorted(x.split(" ", 1)[1] for x in self.started()), ["post-data ", "post-rcpt ", "pre-data "])
        self.table("post-rcpt")
        self.table("pre-data")
        self.assertTrue(wait_until(lambda: self.word("no") == 550, 20))
        self.assertEqual(self.say(ALICE, sender="reply@far.example")[-1], (451, "4.7.1 wait for reply@far.example"))
        self.assertEqual(self.word("say"), 250)
        self.assertTrue(wait_until(lambda: "said" in self.server.log_text(), 10))
        self.assertEqual(len(self.started()), 3)

    def test_wrong_answers(self):
        """Each is the failure of its own job, and the next one is served by a new process."""
        self.table("post-data", ("!persist=1,timeo=2", self.path))
        self.server.start()
        count = 0
        for word in ("otherid", "badcode", "textcode", "badreply", "die", "hang", "close", "twice", "garbage", "flood"):
            with self.subTest(word=word):
                # Of two answers the first may have been taken as what it is.
                self.assertIn(self.word(word), (250, 451) if word == "twice" else (451,))
                self.assertTrue(wait_until(lambda: self.word("no") == 550, 20))
                self.assertGreater(len(self.started()), count)
                count = len(self.started())
        self.assertEqual(self.word("fork"), 250)
        pid = int(self.started()[-1].split()[0])
        os.kill(pid, signal.SIGKILL)  # while nobody needs it
        self.assertTrue(wait_until(lambda: self.word("no") == 550, 20))
        self.server.set(FilterFailure="pass")
        self.assertTrue(wait_until(lambda: self.word("die") == 250, 20))

    def test_cannot_run(self):
        """A program that isn't there, or ends at once: no job waits for ever."""
        ends = self.program("ends", "exit 1")
        self.table("post-data", ("!persist", ends))
        self.server.start()
        self.assertEqual(self.word("yes"), 451)
        self.table("post-data", ("!persist", os.path.join(self.bin, "missing")))
        self.assertTrue(wait_until(lambda: self.word("yes") == 451 and "can't be run" in self.server.log_text(), 20))
        self.table("post-data", ("!persist=0", self.path), ("!persist=65", self.path))
        self.assertTrue(wait_until(lambda: self.word("no") == 250, 20))
        self.assertIn("persist=PROCESSES", self.server.log_text())

    def test_many_at_a_time(self):
        """No answer reaches another job; processes are bounded; one that is slow holds up only its own job."""
        self.table("post-data", ("!persist=3,timeo=60", self.path))
        self.server.start()
        results = []

        def one(i):
            word = ("no", "yes", "slow")[i % 3]
            results.append((word, self.word(word)))
        threads = [threading.Thread(target=one, args=(i,)) for i in range(60)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual({(w, c) for w, c in results}, {("no", 550), ("yes", 250), ("slow", 250)})
        self.assertEqual(len(results), 60)
        self.assertLessEqual(len(self.started()), 3)

    def test_ends_with_the_server(self):
        self.table("post-data", ("!persist=2", self.path))
        self.server.start()
        self.assertEqual(self.word("yes"), 250)
        pid = int(self.started()[0].split()[0])
        self.server.stop()
        self.assertTrue(wait_until(lambda: not os.path.exists(f"/proc/{pid}"), 20))

    def test_examples(self):
        """Those of the documentation, in Python and in Perl."""
        self.server.append("aliases.tab", (DOMAIN, "no-reply", "alice"))
        self.table("post-rcpt", ("!persist=2,timeo=10", os.path.join(EXAMPLES, "persistent-filter.pl")))
        self.table("post-data", ("!persist,timeo=20", os.path.join(EXAMPLES, "persistent-filter.py")))
        self.server.start()
        replies = self.say(f"no-reply@{DOMAIN}", BOB)
        self.assertEqual(replies[1], (550, f"5.1.1 no-reply@{DOMAIN} takes no mail"))
        self.assertEqual(replies[-1][0], 250)
        self.assertTrue(wait_until(lambda: self.server.mailbox("bob"), 20))
        self.assertIn(b"X-Looked-At: by Python\nReceived: ", self.server.read("bob", self.server.mailbox("bob")[0]))
        self.assertEqual(self.say(ALICE, message="Subject: Win the LOTTERY\r\n\r\nx\r\n")[-1], (550, "5.7.1 No lotteries here"))


if __name__ == "__main__":
    unittest.main()
