"""`hikyaku verify`: finds what is wrong in mailboxes, queue and counters; repairs without losing a message."""
import glob
import json
import os
import smtplib
import subprocess
import time
import unittest

from harness import DOMAIN, PASSWORD, PROGRAM, Server, wait_until


class Verify(unittest.TestCase):
    def setUp(self):
        self.server = Server(settings={"LoginDelay": "0", "SmartDNSHost": "127.0.0.1@9", "DnssecAnchor": "", "RemoteTimeout": "2",
                                       "SmtpNoTLSAuths": "PLAIN"})
        self.addCleanup(self.server.close)
        subprocess.run(["chmod", "o=", self.server.mailroot], check=True)

    def verify(self, *words, code=None):
        done = subprocess.run([PROGRAM, "verify", *words, "--mailroot", self.server.mailroot], capture_output=True, text=True,
                              check=False, timeout=60)
        if code is not None:
            self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def send(self, to=f"alice@{DOMAIN}", text="Subject: t\r\n\r\nhello\r\n"):
        c = smtplib.SMTP("127.0.0.1", self.server.ports["submission"], "me.example", timeout=30)
        try:
            c.starttls()
            c.login(f"alice@{DOMAIN}", PASSWORD)
            c.sendmail(f"alice@{DOMAIN}", [to], text)
        finally:
            c.close()

    def mailbox(self, *parts):
        return self.server.path("domains", DOMAIN, "alice", "Maildir", *parts)

    def test_nothing_wrong(self):
        self.server.start()
        for _ in range(3):
            self.send()
        before = self.verify()
        self.assertIn("2 mailboxes with 3 messages", before)
        self.assertNotIn("error", before.replace("0 errors", ""))
        self.assertIn("server runs", self.verify("--repair", code=3))

    def test_mailbox(self):
        self.server.start()
        for _ in range(3):
            self.send()
        self.server.stop()
        path = glob.glob(self.mailbox("new", "*"))[0]
        with open(path, "r+b") as f:
            f.truncate(10)
        old = self.mailbox("tmp", "1.x.y")
        with open(old, "wb") as f:
            f.write(b"x")
        os.utime(old, (time.time() - 200000,) * 2)
        out = self.verify(code=2)
        self.assertIn("it has 10 octets, its name says", out)
        self.assertIn("1 files of deliveries that were interrupted", out)
        self.verify("--repair", code=2)
        self.assertFalse(os.path.exists(old))
        self.assertEqual(len(os.listdir(self.mailbox("new"))), 3)
        rows = [json.loads(line) for line in self.verify("--json").splitlines()]
        self.assertTrue(any("octets" in row["what"] for row in rows))

    def test_counter(self):
        """A counter that would be believed, and is wrong."""
        self.server.start()
        self.send()
        self.assertTrue(wait_until(lambda: glob.glob(self.server.path("hikyaku/mailbox/*/*/count")), 5))
        count = next(p for p in glob.glob(self.server.path("hikyaku/mailbox/*/*/count")) if "alice" in p)
        new, path = self.mailbox("new"), glob.glob(self.mailbox("new", "*"))[0]
        times = os.stat(new)
        os.rename(path, path + "-gone")
        os.rename(path + "-gone", path.split(",W=")[0] + ",W=99999")
        os.utime(new, ns=(times.st_atime_ns, times.st_mtime_ns))
        self.assertIn("counter of the mailbox is wrong", self.verify())
        self.server.stop()
        self.assertIn("counted anew", self.verify("--repair"))
        self.assertEqual(os.path.getsize(count), 0)

    def test_queue(self):
        self.server.start()
        for i in range(3):
            self.send("x@far.example", f"Subject: {i}\r\n\r\nx\r\n")
        self.assertTrue(wait_until(lambda: len(glob.glob(self.server.path("queue/??/*.journal"))) == 3, 30))
        self.server.stop()
        entries = sorted(p for p in glob.glob(self.server.path("queue/??/*")) if "." not in os.path.basename(p))
        with open(entries[0], "r+b") as f:
            f.truncate(100)
        os.remove(entries[1])
        out = self.verify(code=2)
        self.assertIn("2 messages in the queue", out)
        self.assertIn("its message is gone", out)
        self.assertIn("--repair sets it aside", out)
        self.verify("--repair", code=2)
        self.assertEqual(len(glob.glob(self.server.path("queue/damaged/*"))), 2)
        self.assertFalse(os.path.exists(entries[1] + ".journal"))
        self.assertIn("1 messages in the queue", self.verify())
        self.assertTrue(os.path.exists(entries[2]))


if __name__ == "__main__":
    unittest.main()
