"""`hikyaku import`: Maildir and mbox, into accounts, exactly once, whatever interrupts it."""
import email
import glob
import mailbox
import os
import poplib
import shutil
import subprocess
import unittest

from harness import DOMAIN, PASSWORD, PROGRAM, Server

ALICE = f"alice@{DOMAIN}"


class Import(unittest.TestCase):
    def setUp(self):
        self.server = Server(settings={"LoginDelay": "0"})
        self.addCleanup(self.server.close)
        self.source = os.path.join(self.server.scratch, "source")

    def run_import(self, *words, code=0, env=None):
        done = subprocess.run([PROGRAM, "import", *words, "--mailroot", self.server.mailroot], capture_output=True,
                              text=True, check=False, timeout=120, env=dict(os.environ, **(env or {})))
        if code is not None:
            self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def stored(self, user="alice", folder=""):
        """(folder, flags, octets) of each message."""
        out = []
        for path in glob.glob(self.server.path("domains", DOMAIN, user, "Maildir", folder, "[nc]*", "*")):
            with open(path, "rb") as f:
                flags = path.split(":2,")[1] if ":2," in path else None
                out.append((path.split("/")[-2], flags, f.read()))
        return sorted(out, key=lambda row: row[2])

    def make_maildir(self, path, count=3):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        box = mailbox.Maildir(path, factory=None)
        for i in range(count):
            box.add(mailbox.MaildirMessage(f"Subject: {i}\n\nbody {i}\n"))
        old = mailbox.MaildirMessage("Subject: old\r\nX: y\r\n\r\n.dot\r\nlast".encode())
        old.set_subdir("cur")
        old.set_flags("RSF")
        old.set_date(1000000000)
        box.add(old)
        sent = box.add_folder("Sent.2025")
        sent.add(mailbox.MaildirMessage("Subject: sent\n\nx\n"))
        return box

    def test_maildir(self):
        self.make_maildir(self.source)
        os.symlink("/etc/passwd", self.source + "/new/link")
        os.mkfifo(self.source + "/new/pipe")
        os.mkdir(self.source + "/.bad..name")
        before = self.run_import("maildir", self.source, ALICE)
        self.assertIn("5 messages", before)
        self.assertIn("would be imported", before)
        self.assertEqual(self.stored(), [])
        out = self.run_import("maildir", self.source, ALICE, "--do")
        self.assertIn("5 put into mailboxes, 0 were there", out)
        self.assertIn("2 that are no files", out)
        got = self.stored()
        self.assertEqual([row[2] for row in got], [b"Subject: 0\n\nbody 0\n", b"Subject: 1\n\nbody 1\n",
                                                   b"Subject: 2\n\nbody 2\n", b"Subject: old\nX: y\n\n.dot\nlast"])
        self.assertEqual(got[3][:2], ("cur", "FRS"))
        self.assertEqual(got[0][:2], ("new", None))
        path = glob.glob(self.server.path("domains", DOMAIN, "alice", "Maildir/cur/*"))[0]
        self.assertEqual(os.stat(path).st_mtime, 1000000000)
        self.assertEqual([row[2] for row in self.stored(folder=".Sent.2025")], [b"Subject: sent\n\nx\n"])
        self.assertIn("0 put into mailboxes, 5 were there", self.run_import("maildir", self.source, ALICE, "--do"))
        self.server.start()
        pop = poplib.POP3("127.0.0.1", self.server.ports["pop3"], timeout=20)
        pop.user(ALICE)
        pop.pass_(PASSWORD)
        self.assertEqual(len(pop.list()[1]), 3)
        self.assertEqual(sum(int(line.split()[1]) for line in pop.list()[1]),
                         sum(len(b"\r\n".join(pop.retr(n)[1])) + 2 for n in (1, 2, 3)))
        pop.quit()

    def mbox(self, text):
        with open(self.source, "wb") as f:
            f.write(text)

    def test_mbox(self):
        body = b"one\n\nFrom here on\n"
        self.mbox(b"From amy@far.example Mon Nov 24 10:11:12 2025\nSubject: a\nStatus: RO\n\nx\n\n>From y\n>>From z\n\n"
                  b"From MAILER-DAEMON  Tue Nov 25 01:02:03 +0900 2025\r\nSubject: b\r\nX-Status: AF\r\n\r\nz\r\n\r\n"
                  b"From - Tue Nov 25 10:11:12 2025\nSubject: same\n\ns\n\n"
                  b"From - Tue Nov 25 10:11:12 2025\nSubject: same\n\ns\n\n"
                  b"From amy@far.example Mon Nov 24 10:11:12 2025\nReturn-Path: <q@r>\nContent-Length: "
                  + str(len(body)).encode() + b"\nSubject: c\n\n" + body + b"\n"
                  b"From x@y Mon Nov 24 10:11:12 2025\nContent-Length: 9999\nSubject: d\n folded\n\nshort, no end")
        self.assertIn("6 messages", self.run_import("mbox", self.source, ALICE))
        self.assertIn("6 put", self.run_import("mbox", self.source, ALICE, "--do"))
        got = {email.message_from_bytes(row[2])["Subject"].split()[0] + str(i): row for i, row in enumerate(self.stored())}
        texts = sorted(row[2] for row in got.values())
        self.assertEqual(texts, sorted([
            b"Return-Path: <amy@far.example>\nSubject: a\n\nx\n\nFrom y\n>From z\n",
            b"Subject: b\n\nz\n",
            b"Subject: same\n\ns\n", b"Subject: same\n\ns\n",
            b"Return-Path: <q@r>\nSubject: c\n\n" + body,
            b"Return-Path: <x@y>\nSubject: d\n folded\n\nshort, no end"]))
        flags = {row[2].split(b"Subject: ")[1][:1]: row[:2] for row in got.values()}
        self.assertEqual(flags[b"a"], ("cur", "S"))
        self.assertEqual(flags[b"b"], ("cur", "FR"))
        self.assertEqual(flags[b"c"], ("new", None))
        self.assertIn("0 put into mailboxes, 6 were", self.run_import("mbox", self.source, ALICE, "--do"))
        self.run_import("mbox", self.source, ALICE + "/Old", "--do")
        self.assertEqual(len(self.stored(folder=".Old")), 6)

    def test_python_writes_mbox(self):
        box = mailbox.mbox(self.source)
        wanted = []
        for i in range(200):
            text = f"Subject: {i}\n\n" + ("From me\n\nFrom you Mon Nov 24 10:11:12 2025\n" if i % 3 else "x\n" * i)
            box.add(text)
            wanted.append(text.encode())
        box.close()
        self.run_import("mbox", self.source, ALICE, "--do")
        self.assertEqual([row[2] for row in self.stored()], sorted(wanted))

    def test_odd_mboxes(self):
        for text, code in ((b"", 0), (b"\n\n", 0), (b"Subject: no\n\n", 1), (b"From x\n\n", 1), (b"\0" * 5000, 1),
                           (b"From a Mon Nov 24 10:11:12 2025", 0), (b"From a Mon Nov 24 10:11:12 2025\n", 0),
                           (b"From a Mon Nov 24 10:11:12 2025\nSubject: " + b"x" * 3000000, 1)):
            with self.subTest(text=text[:40]):
                self.mbox(text)
                self.run_import("mbox", self.source, ALICE, "--do", code=code)
        self.mbox(b"From a Mon Nov 24 10:11:12 2025\nSubject: long\n\n" + b"y" * 1000000 + b"\n")
        self.run_import("mbox", self.source, ALICE, "--do")
        self.assertIn(1000000 + 16, [len(row[2]) for row in self.stored()])
        self.run_import("mbox", "/dev/zero", ALICE, "--do", code=1)
        self.run_import("mbox", self.source + ".none", ALICE, "--do", code=1)

    def test_trees(self):
        for user in ("alice", "bob", "eve"):
            self.make_maildir(os.path.join(self.source, user, *(["Maildir"] if user == "bob" else [])), count=2)
        out = self.run_import("maildirs", self.source, DOMAIN, "--do", code=2)
        self.assertIn("there is no account eve@", out)
        self.assertEqual((len(self.stored("alice")), len(self.stored("bob"))), (3, 3))
        shutil.rmtree(self.source)
        os.mkdir(self.source)
        for user in ("alice", "bob"):
            with open(os.path.join(self.source, user), "w", encoding="utf-8") as f:
                f.write("From x Mon Nov 24 10:11:12 2025\nSubject: m\n\nx\n")
        self.run_import("mboxes", self.source, DOMAIN, "--do")
        self.assertEqual((len(self.stored("alice")), len(self.stored("bob"))), (4, 4))

    def test_wrong_words(self):
        for words in ((), ("maildir",), ("maildir", "/tmp"), ("what", "a", "b"), ("mbox", "a", "b", "c"), ("mbox", "-x", "b")):
            self.run_import(*words, code=3)
        os.mkdir(self.source)
        self.run_import("maildir", self.source, ALICE, code=1)
        self.run_import("maildir", self.source, "alice", code=1)
        self.run_import("mbox", self.source, ALICE + "/../x", code=1)

    @unittest.skipUnless("san" in PROGRAM, "kills between calls need a build with traces")
    def test_killed_anywhere(self):
        self.make_maildir(self.source)
        n, done = 1, False
        while not done:
            out = subprocess.run([PROGRAM, "import", "maildir", self.source, ALICE, "--do", "--mailroot",
                                  self.server.mailroot], capture_output=True, check=False,
                                 env=dict(os.environ, HIKYAKU_KILL=f"import:{n}"))
            done = out.returncode == 0
            n += 1
        self.assertGreater(n, 15)
        self.assertEqual(len(self.stored()), 4)
        self.assertEqual(len(self.stored(folder=".Sent.2025")), 1)


if __name__ == "__main__":
    unittest.main()
