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

    HMAIL = """-- MySQL dump
CREATE TABLE `hm_domains` (`domainid` int(11) NOT NULL, `domainname` varchar(80), `domainactive` tinyint(4), PRIMARY KEY (`domainid`));
INSERT INTO `hm_domains` VALUES (1,'old.example',1),(2,'%(here)s',1);
INSERT INTO `hm_domain_aliases` (`daid`,`dadomainid`,`daalias`) VALUES (1,1,'older.example');
INSERT INTO `hm_accounts` (`accountid`,`accountdomainid`,`accountaddress`,`accountpassword`,`accountactive`,`accountmaxsize`,
 `accountpwencryption`,`accountforwardenabled`,`accountforwardaddress`,`accountvacationmessageon`) VALUES
 (1,1,'ann@old.example','clear-text-1',1,100,0,0,'',0),(2,1,'ben@old.example','a1b2c3d4e5f6',1,0,3,1,'ben@far.example',1),
 (3,2,'alice@%(here)s','x',1,0,3,0,'',0),(4,1,'off@old.example','clear-text-2',0,0,0,0,'',0);
INSERT INTO `hm_aliases` (`aliasid`,`aliasname`,`aliasvalue`,`aliasactive`) VALUES (1,'sales@old.example','ann@old.example',1),
 (2,'gone@old.example','ann@old.example',0);
INSERT INTO `hm_distributionlists` (`distributionlistid`,`distributionlistaddress`,`distributionlistenabled`,
 `distributionlistmode`,`distributionlistrequireaddress`) VALUES (1,'all@old.example',1,1,''),(2,'news@old.example',1,2,'ann@old.example');
INSERT INTO `hm_distributionlistsrecipients` (`distributionlistrecipientlistid`,`distributionlistrecipientaddress`) VALUES
 (1,'ann@old.example'),(1,'ben@old.example'),(2,'ben@old.example');
INSERT INTO `hm_imapfolders` (`folderid`,`folderaccountid`,`folderparentid`,`foldername`) VALUES (1,1,-1,'INBOX'),(2,1,-1,'Work'),
 (3,1,2,'2024.old'),(4,3,-1,'INBOX');
INSERT INTO `hm_messages` (`messageid`,`messageaccountid`,`messagefolderid`,`messagefilename`,`messagetype`,`messageflags`,`messagecreatetime`) VALUES
 (1,1,1,'{AB000000-0000-0000-0000-000000000001}.eml',2,1,'2020-01-02 03:04:05'),
 (2,1,3,'{CD000000-0000-0000-0000-000000000002}.eml',2,12,'2020-01-02 03:04:06'),
 (3,1,1,'{EF000000-0000-0000-0000-000000000003}.eml',2,32,'2020-01-02 03:04:07'),
 (4,1,1,'C:\\\\Data\\\\x\\\\{GH000000-0000-0000-0000-000000000004}.eml',2,32,'2020-01-02 03:04:07'),
 (5,0,0,'{QQ000000-0000-0000-0000-000000000005}.eml',1,32,'2020-01-02 03:04:07'),
 (6,3,4,'{AB000000-0000-0000-0000-000000000006}.eml',2,0,'2020-01-02 03:04:07'),
 (7,1,1,'../../../../etc/passwd',2,0,'2020-01-02 03:04:07');
"""

    def test_hmailserver(self):
        data, dump = os.path.join(self.server.scratch, "Data"), os.path.join(self.server.scratch, "dump.sql")
        with open(dump, "w", encoding="utf-8") as f:
            f.write(self.HMAIL % {"here": DOMAIN})
        for user, name in (("old.example/ann", "AB/{AB000000-0000-0000-0000-000000000001}.eml"),
                           ("old.example/ann", "CD/{CD000000-0000-0000-0000-000000000002}.eml"),
                           ("old.example/ann", "{GH000000-0000-0000-0000-000000000004}.eml"),
                           (f"{DOMAIN}/alice", "AB/{AB000000-0000-0000-0000-000000000006}.eml")):
            path = os.path.join(data, user, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as f:
                f.write(f"Subject: {name[-7:-5]}\r\n\r\n.x\r\n".encode())
        out = self.run_import("hmailserver", data, dump, code=2)
        self.assertIn("4 messages", out)
        self.assertFalse(os.path.exists(self.server.path("domains", "old.example")))
        for _ in range(2):
            out = self.run_import("hmailserver", data, dump, "--do", code=2)
            self.assertIn("the file of a message is missing", out)
            self.assertIn("forwarded its mail to ben@far.example", out)
            box = self.server.path("domains", "old.example", "ann", "Maildir")
            got = {p[len(box) + 1:]: open(p, "rb").read() for p in glob.glob(box + "/[nc]*/*") + glob.glob(box + "/.W*/[nc]*/*")}
            self.assertEqual(sorted(got.values()), [b"Subject: 01\n\n.x\n", b"Subject: 02\n\n.x\n", b"Subject: 04\n\n.x\n"])
            self.assertEqual([os.path.dirname(n) for n, text in sorted(got.items(), key=lambda x: x[1])],
                             ["cur", ".Work.2024_old/cur", "new"])
            self.assertEqual([n.split(":2,")[1] for n, text in sorted(got.items(), key=lambda x: x[1]) if ":" in n], ["S", "FR"])
            self.assertEqual(len(self.stored()), 1)
        with open(self.server.path("mailusers.tab"), encoding="utf-8") as f:
            text = f.read()
        self.assertEqual(text.count('"old.example"\t"ann"'), 1)
        with open(self.server.path("domains/old.example/all/mlusers.tab"), encoding="utf-8") as f:
            self.assertEqual(f.read().replace("\r", ""), '"ann@old.example"\t"RW"\n"ben@old.example"\t"RW"\n')
        with open(self.server.path("domains/old.example/news/mlusers.tab"), encoding="utf-8") as f:
            self.assertEqual(f.read().replace("\r", ""), '"ann@old.example"\t"RW"\n"ben@old.example"\t"R"\n')
        with open(self.server.path("aliases.tab"), encoding="utf-8") as f:
            self.assertIn('"sales"', f.read())
        self.server.start()
        pop = poplib.POP3("127.0.0.1", self.server.ports["pop3"], timeout=20)
        pop.user("ann@old.example")
        pop.pass_("clear-text-1")
        pop.quit()
        self.assertIn("0 put", self.run_import("hmailserver", data, dump, "--do", code=2))
        with open(dump, "wb") as f:
            f.write("INSERT".encode("utf-16"))
        self.assertIn("UTF-16", self.run_import("hmailserver", data, dump, code=1))

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
        self.assertGreater(n, 10)
        self.assertEqual(len(self.stored()), 4)
        self.assertEqual(len(self.stored(folder=".Sent.2025")), 1)


if __name__ == "__main__":
    unittest.main()
