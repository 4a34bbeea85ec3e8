"""`hikyaku backup` and `hikyaku restore`: beside a running server, unchanged files unread, kills, damage."""
import fcntl
import glob
import os
import re
import shutil
import smtplib
import subprocess
import threading
import unittest

from harness import DOMAIN, PASSWORD, PROGRAM, Server, wait_until


def send(server, user, subject):
    c = smtplib.SMTP("127.0.0.1", server.ports["smtp"], "me.example", timeout=30)
    try:
        c.sendmail("x@far.example", f"{user}@{DOMAIN}", f"Subject: {subject}\r\n\r\n{subject}\r\n")
    finally:
        c.close()


def subjects(root, user, folder=""):
    out = []
    for path in glob.glob(os.path.join(root, "domains", DOMAIN, user, "Maildir", folder, "*", "*")):
        with open(path, encoding="utf-8", errors="replace") as f:
            out += [line[9:].strip() for line in f if line.startswith("Subject: ")]
    return sorted(out)


class Backup(unittest.TestCase):
    def setUp(self):
        self.server = Server(settings={"LoginDelay": "0"})
        self.addCleanup(self.server.close)
        self.dir = os.path.join(self.server.scratch, "backups")

    def run_tool(self, *words, code=0, env=None, mailroot=True):
        command = [PROGRAM, *words] + (["--mailroot", self.server.mailroot] if mailroot else [])
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120,
                              env=dict(os.environ, **(env or {})))
        if code is not None:
            self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def backup(self, *words, **more):
        return self.run_tool("backup", self.dir, *words, **more)

    def newest(self):
        return os.path.join(self.dir, sorted(n for n in os.listdir(self.dir) if n[0] == "2")[-1])

    def test_beside_a_server_and_back(self):
        """All of it comes back on an empty place, and works."""
        self.server.start()
        for i in range(5):
            send(self.server, "alice", f"mail {i}")
        self.server.append("aliases.tab", (DOMAIN, "ally", "alice"))
        self.backup()
        snapshot = self.newest()
        self.assertEqual(os.stat(snapshot).st_mode & 0o777, 0o700)
        self.assertEqual(subjects(snapshot + "/MailRoot", "alice"), [f"mail {i}" for i in range(5)])
        self.assertFalse(glob.glob(snapshot + "/MailRoot/hikyaku/commit/*"))
        self.assertIn("all as they were", self.run_tool("backup", "--prove", self.dir, mailroot=False).stdout)
        self.server.stop()
        shutil.rmtree(self.server.mailroot)
        self.run_tool("restore", self.dir, "all")
        self.server.start()
        self.assertEqual(subjects(self.server.mailroot, "alice"), [f"mail {i}" for i in range(5)])
        send(self.server, "ally", "new one")
        self.assertIn("new one", subjects(self.server.mailroot, "alice"))
        self.assertIn("isn't empty", self.run_tool("restore", self.dir, "all", code=1).stderr)

    def test_unchanged_mail_is_not_read(self):
        self.server.start()
        for i in range(3):
            send(self.server, "alice", f"mail {i}")
        self.backup()
        first = self.newest()
        new = self.server.path("domains", DOMAIN, "alice", "Maildir", "new")
        names = os.listdir(new)
        os.rename(os.path.join(new, names[0]), os.path.join(new, "../cur", names[0] + ":2,S"))
        for path in glob.glob(os.path.join(new, "../*/*")):
            os.utime(path, ns=(10**9, os.stat(path).st_mtime_ns))
        before = {p: os.stat(p).st_atime_ns for p in glob.glob(os.path.join(new, "../*/*"))}
        send(self.server, "alice", "fresh")
        out = self.backup().stdout
        second = self.newest()
        self.assertNotEqual(first, second)
        self.assertEqual({p: os.stat(p).st_atime_ns for p in before}, before)
        self.assertEqual(subjects(second + "/MailRoot", "alice"), ["fresh", "mail 0", "mail 1", "mail 2"])
        linked = {os.stat(p).st_ino for p in glob.glob(first + f"/MailRoot/domains/{DOMAIN}/alice/Maildir/*/*")}
        again = [os.stat(p).st_ino for p in glob.glob(second + f"/MailRoot/domains/{DOMAIN}/alice/Maildir/*/*")]
        self.assertEqual(len(linked & set(again)), 3, out)
        self.run_tool("backup", "--prove", second, mailroot=False)
        self.backup("--keep", "1")
        self.assertEqual(len([n for n in os.listdir(self.dir) if n[0] == "2"]), 1)
        self.run_tool("backup", "--prove", self.dir, mailroot=False)

    def test_a_user_a_folder_a_domain(self):
        """What is missing comes back beside the running server; what is there stays."""
        sent = self.server.path("domains", DOMAIN, "bob", "Maildir", ".Sent")
        for name in ("tmp", "new", "cur"):
            os.makedirs(os.path.join(sent, name))
        with open(os.path.join(sent, "cur", "1.M1P1.x,S=14:2,S"), "w", encoding="utf-8") as f:
            f.write("Subject: sent\n")
        self.server.start()
        for name in ("one", "two"):
            send(self.server, "bob", name)
            send(self.server, "alice", name)
        self.backup()
        send(self.server, "bob", "three")
        for path in glob.glob(self.server.path("domains", DOMAIN, "bob", "Maildir", "new", "*")):
            with open(path, encoding="utf-8") as f:
                if "Subject: one" in f.read():
                    os.remove(path)
        os.remove(os.path.join(sent, "cur", "1.M1P1.x,S=14:2,S"))
        self.run_tool("restore", self.dir, f"bob@{DOMAIN}/Sent")
        self.assertEqual(subjects(self.server.mailroot, "bob", ".Sent"), ["sent"])
        self.assertEqual(subjects(self.server.mailroot, "bob"), ["three", "two"])
        self.run_tool("restore", self.dir, f"bob@{DOMAIN}/INBOX")
        self.assertEqual(subjects(self.server.mailroot, "bob"), ["one", "three", "two"])
        out = self.run_tool("restore", self.dir, f"bob@{DOMAIN}").stdout
        self.assertIn("0 files restored", out)
        subprocess.run([PROGRAM, "users", "remove", f"alice@{DOMAIN}", "--mailroot", self.server.mailroot], check=True,
                       capture_output=True)
        self.assertEqual(subjects(self.server.mailroot, "alice"), [])
        self.assertIn("1 lines of tables", self.run_tool("restore", self.dir, f"alice@{DOMAIN}").stdout)
        self.assertEqual(subjects(self.server.mailroot, "alice"), ["one", "two"])
        self.assertTrue(wait_until(lambda: self.accepts("alice"), 10))
        subprocess.run([PROGRAM, "domains", "remove", DOMAIN, "--mailroot", self.server.mailroot], check=True,
                       capture_output=True)
        self.run_tool("restore", self.dir, DOMAIN)
        self.assertTrue(wait_until(lambda: self.accepts("bob"), 10))
        self.assertIn("no account", self.run_tool("restore", self.dir, f"eve@{DOMAIN}", code=1).stderr)

    def accepts(self, user):
        try:
            send(self.server, user, "again")
            return True
        except smtplib.SMTPException:
            return False

    def test_aside(self):
        self.server.start()
        send(self.server, "alice", "one")
        self.backup()
        to = os.path.join(self.server.scratch, "aside")
        self.run_tool("restore", self.dir, f"alice@{DOMAIN}", "--to", to, mailroot=False)
        self.assertEqual(subjects(to, "alice"), ["one"])
        self.assertFalse(os.path.exists(os.path.join(to, "server.tab")))
        self.assertIn("isn't empty", self.run_tool("restore", self.dir, "all", "--to", to, code=1, mailroot=False).stderr)

    def test_mail_while_it_runs(self):
        """Each message that was there at the beginning is in it; each in it is whole."""
        self.server.start()
        for i in range(30):
            send(self.server, "alice", f"early {i}")
        stop = threading.Event()

        def traffic():
            i = 0
            while not stop.is_set():
                send(self.server, "alice", f"late {i}")
                new = self.server.path("domains", DOMAIN, "alice", "Maildir", "new")
                for name in sorted(os.listdir(new))[:2]:
                    os.rename(os.path.join(new, name), os.path.join(new, "../cur", name + ":2,"))
                for path in glob.glob(os.path.join(new, "../cur/*"))[:5]:
                    os.rename(path, path.split(":2,")[0] + (":2,S" if path.endswith(",") else ":2,"))
                i += 1
        thread = threading.Thread(target=traffic)
        thread.start()
        try:
            for _ in range(5):
                self.backup()
                got = subjects(self.newest() + "/MailRoot", "alice")
                self.assertEqual([s for s in got if s.startswith("early")], sorted(f"early {i}" for i in range(30)))
                self.run_tool("backup", "--prove", self.newest(), mailroot=False)
        finally:
            stop.set()
            thread.join()

    def test_queue_comes_along(self):
        """An entry with its journal; restored, it goes on."""
        self.server.set(SmartDNSHost="127.0.0.1@9", DnssecAnchor="", RemoteTimeout="2", SmtpNoTLSAuths="PLAIN")
        self.server.start()
        c = smtplib.SMTP("127.0.0.1", self.server.ports["submission"], "me.example", timeout=30)
        c.starttls()
        c.login(f"alice@{DOMAIN}", PASSWORD)
        c.sendmail(f"alice@{DOMAIN}", ["x@far.example"], "Subject: away\r\n\r\nx\r\n")
        c.close()
        self.assertTrue(wait_until(lambda: glob.glob(self.server.path("queue/??/*.journal")), 30))
        self.backup()
        self.server.stop()
        shutil.rmtree(self.server.mailroot)
        self.run_tool("restore", self.dir, "all")
        listed = self.run_tool("queue", "list").stdout
        self.assertIn("x@far.example", listed)
        self.assertIn("1 messages", listed)
        other = os.path.join(self.server.scratch, "other")
        self.run_tool("restore", self.dir, "all", "--without-queue", "--to", other, mailroot=False)
        self.assertFalse(glob.glob(other + "/queue/??/*"))

    def test_damage_is_found(self):
        self.server.start()
        send(self.server, "alice", "one")
        send(self.server, "alice", "two")
        self.server.stop()
        self.backup()
        one = next(p for p in glob.glob(self.newest() + f"/MailRoot/domains/{DOMAIN}/alice/Maildir/new/*")
                   if "Subject: one" in open(p, encoding="utf-8").read())
        with open(one, "r+", encoding="utf-8") as f:
            f.write("X")
        self.assertIn("1 damaged", self.run_tool("backup", "--prove", self.dir, code=2, mailroot=False).stdout)
        shutil.rmtree(self.server.path("domains", DOMAIN, "alice"))
        self.run_tool("restore", self.dir, f"alice@{DOMAIN}", code=2)
        self.assertEqual(subjects(self.server.mailroot, "alice"), ["two"])
        with open(self.newest() + "/manifest", "r+", encoding="utf-8") as f:
            text = f.read()
            f.seek(0)
            f.truncate()
            f.write(re.sub(r"(D \d+ )domains\n", r"\1../../../tmp/evil\n", text, count=1))
        self.assertIn("damaged", self.run_tool("backup", "--prove", self.newest(), code=1, mailroot=False).stderr)
        with open(self.newest() + "/manifest", "w", encoding="utf-8") as f:
            f.write(text[:len(text) // 2])
        self.run_tool("restore", self.newest(), "all", "--to", self.server.scratch + "/x", code=1, mailroot=False)

    def test_two_at_once_and_wrong_words(self):
        os.makedirs(self.dir)
        with open(self.dir + "/.lock", "w", encoding="utf-8") as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            self.backup(code=1)
        self.assertIn("lies in the MailRoot", self.run_tool("backup", self.server.path("backups"), code=1).stderr)
        for words in (["backup"], ["backup", "--keep", "0", self.dir], ["restore", self.dir],
                      ["restore", self.dir, "x/"], ["restore", self.dir, f"a@{DOMAIN}/../x"],
                      ["restore", self.dir, f"a@{DOMAIN}/.x"], ["backup", self.dir, "more"]):
            self.run_tool(*words, code=3)

    def test_strange_files(self):
        """Pipes, sockets and links are left out; names with anything in them come along."""
        folder = self.server.path("domains", DOMAIN, "alice")
        os.makedirs(folder, exist_ok=True)
        os.mkfifo(folder + "/pipe")
        os.symlink("/etc/passwd", folder + "/link")
        os.symlink("..", folder + "/round")
        os.symlink("/etc", self.server.path("domains", "outside"))
        odd = folder + "/odd\nname %41 é"
        with open(odd, "wb") as f:
            f.write(b"odd")
        self.assertIn("were left out", self.backup().stdout)
        shutil.rmtree(folder)
        self.run_tool("restore", self.dir, f"alice@{DOMAIN}")
        with open(odd, "rb") as f:
            self.assertEqual(f.read(), b"odd")
        self.assertFalse(os.path.lexists(folder + "/link"))
        self.run_tool("backup", "--prove", self.dir, mailroot=False)

    @unittest.skipUnless("san" in PROGRAM, "kills between calls need a build with traces")
    def test_killed_anywhere(self):
        """What has a name is whole; the next run goes on as if nothing had been."""
        self.server.start()
        for i in range(3):
            send(self.server, "alice", f"mail {i}")
        self.server.stop()
        done, n = False, 1
        while not done:
            done = self.backup(code=None, env={"HIKYAKU_KILL": f"backup:{n}"}).returncode == 0
            for name in os.listdir(self.dir) if os.path.isdir(self.dir) else []:
                if name[0] == "2":
                    self.run_tool("backup", "--prove", os.path.join(self.dir, name), mailroot=False)
            n += 13
        self.backup()
        self.assertEqual(subjects(self.newest() + "/MailRoot", "alice"), [f"mail {i}" for i in range(3)])
        self.assertFalse(os.path.exists(self.dir + "/.partial"))
        done, n = False, 1
        shutil.rmtree(self.server.path("domains", DOMAIN, "alice"))
        while not done:
            done = self.run_tool("restore", self.dir, f"alice@{DOMAIN}", code=None,
                                 env={"HIKYAKU_KILL": f"restore:{n}"}).returncode == 0
            n += 3
        self.assertEqual(subjects(self.server.mailroot, "alice"), [f"mail {i}" for i in range(3)])
        self.assertEqual(glob.glob(self.server.path("domains", DOMAIN, "alice", "Maildir/tmp/*")), [])

    def test_full_disk(self):
        """Ends with a reason, leaves nothing, and the next run works."""
        small = os.path.join(self.server.scratch, "small")
        os.makedirs(small)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "none", small], check=False,
                          capture_output=True).returncode != 0:
            self.skipTest("no mounts here")
        self.addCleanup(subprocess.run, ["umount", small], check=False)
        self.server.start()
        for i in range(3):
            send(self.server, "alice", "x" * 50000)
        self.assertIn("No space left", self.run_tool("backup", small, code=1).stderr)
        self.assertEqual(sorted(os.listdir(small)), [".lock"])


if __name__ == "__main__":
    unittest.main()
