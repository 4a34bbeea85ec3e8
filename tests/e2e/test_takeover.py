"""hikyaku takeover and export-spool: a whole MailRoot as XMail leaves it, rehearsed, taken over, given back."""
import fcntl
import glob
import os
import pwd
import subprocess
import tempfile
import shutil
import unittest

from harness import DOMAIN, PASSWORD, PROGRAM, Server, wait_until, xmcrypt
from xmail_spool import SLOG, left, make_spool, put, spool_text


def run(*words, env=None, timeout=120):
    return subprocess.run([PROGRAM, *words], capture_output=True, text=True, timeout=timeout,
                          env=dict(os.environ, **(env or {})))


def snapshot(root):
    """Everything about every file but the time it was read."""
    found = {}
    for folder, folders, names in os.walk(root):
        for name in folders + names + ["."]:
            path = os.path.join(folder, name)
            st = os.lstat(path)
            content = b""
            if os.path.isfile(path) and not os.path.islink(path):
                with open(path, "rb") as f:
                    content = f.read()
            found[path] = (st.st_mode, st.st_uid, st.st_gid, st.st_ino, st.st_size, st.st_mtime_ns, st.st_ctime_ns, content)
    return found


def xmail_root(windows=False):
    """A MailRoot of XMail with two accounts and a list."""
    root = tempfile.mkdtemp(prefix="hikyaku-xmail-")
    eol = "\r\n" if windows else "\n"

    def write(path, *rows, encoding="utf-8"):
        os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
        with open(os.path.join(root, path), "wb") as f:
            f.write("".join(row + eol for row in rows).encode(encoding))

    def row(*values):
        return "\t".join(f'"{value}"' for value in values)

    write("server.tab", row("RootDomain", DOMAIN), row("PostMaster", "alice@" + DOMAIN), row("SmtpServerDomain", DOMAIN),
          row("DefaultSMTPGateways", "127.0.0.1:1"))
    write("domains.tab", row(DOMAIN))
    write("mailusers.tab", *[row(DOMAIN, user, xmcrypt(PASSWORD), i + 1, user, kind)
                             for i, (user, kind) in enumerate((("alice", "U"), ("bob", "U"), ("all", "M")))])
    for table in ("aliases", "aliasdomain", "extaliases", "smtprelay", "smtpauth", "ctrlaccounts", "pop3links"):
        write(table + ".tab")
    write("aliases.tab", row(DOMAIN, "postmaster", "alice"))
    kind = "mailbox" if windows else "Maildir/new"
    for user in ("alice", "bob"):
        write(f"domains/{DOMAIN}/{user}/user.tab", row("RealName", "表示能力"), encoding="cp932" if windows else "utf-8")
        for i in range(3):
            write(f"domains/{DOMAIN}/{user}/{kind}/{1700000000 + i}.{user}.host", "Subject: old", "", "..x")
    if not windows:
        for folder in ("cur", "tmp"):
            for user in ("alice", "bob"):
                os.makedirs(os.path.join(root, "domains", DOMAIN, user, "Maildir", folder))
    write(f"domains/{DOMAIN}/alice/.ipconn", "192.0.2.9")
    write(f"domains/{DOMAIN}/alice/x@pop.example.disabled")
    write("domains/%s/all/user.tab" % DOMAIN, row("ClosedML", "0"))
    write("domains/%s/all/mlusers.tab" % DOMAIN, row("alice@" + DOMAIN, "RW"))
    write("tabindex/mailusers.1.tbi", "index")
    write("dnscache/mx/0/far.example", "cache")
    write("pop3locks/alice@" + DOMAIN, "1")
    for folder in ("cmdaliases/" + DOMAIN, "custdomains", "filters", "logs", "msgsync", "pop3links", "bin"):
        os.makedirs(os.path.join(root, folder), exist_ok=True)
    make_spool(root)
    return root


class Takeover(unittest.TestCase):
    def root(self, **more):
        root = xmail_root(**more)
        self.addCleanup(shutil.rmtree, root, ignore_errors=True)
        return root

    def write(self, root, path, text):
        os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
        with open(os.path.join(root, path), "w") as f:
            f.write(text)

    def fill_spool(self, root):
        put(root, "mess", "1764000000123.1.1.h", spool_text("s@far.example", ["bob@" + DOMAIN], "Subject: new\n\n.x\n"))
        put(root, "rsnd", "1764000000124.1.1.h", spool_text("s@far.example", ["r@far.example"], "Subject: again\n\n.y\n"))
        put(root, "froz", "1764000000125.1.1.h", spool_text("s@far.example", ["q@far.example"], "Subject: ice\n\n"))
        put(root, "slog", "1764000000125.1.1.h", SLOG.format(first=1764000200, second=1764000900).encode())

    def test_rehearsal_changes_nothing(self):
        for windows in (False, True):
            with self.subTest(windows=windows):
                root = self.root(windows=windows)
                self.fill_spool(root)
                before = snapshot(root)
                done = run("takeover", "--mailroot", root)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual(snapshot(root), before)
                for text in ("nothing was changed", "1 domains, 2 accounts, 1 lists, 1 aliases", "; 6 messages",
                             "1 new, 1 tried before, 1 frozen", "1 last logins, 1 links that are switched off",
                             "2 files of tabindex/ and dnscache/", "What --do does"):
                    self.assertIn(text, done.stdout)
                if windows:
                    self.assertIn("CRLF line ends", done.stdout)
                    self.assertIn("0 accounts with Maildir, 2 with mailbox", done.stdout)

    def test_no_message_is_opened(self):
        root = self.root()
        for words in ((), ("--do",)):
            trace = os.path.join(root, "..", os.path.basename(root) + ".trace")
            self.addCleanup(lambda path=trace: os.path.exists(path) and os.unlink(path))
            run("takeover", *words, "--mailroot", root, env={"HIKYAKU_TRACE": trace})
            with open(trace, "rb") as f:
                opened = f.read()
            self.assertIn(b"/Maildir/new\n", opened)
            self.assertNotIn(b"/Maildir/new/", opened)

    def test_programs_that_need_a_hand(self):
        root = self.root()
        script = os.path.join(root, "bin", "good.sh")
        self.write(root, "bin/good.sh", "#!/bin/sh\n")
        os.chmod(script, 0o755)
        self.write(root, "bin/crlf.sh", "#!/bin/sh\r\n")
        self.write(root, "bin/lost.pl", "#!/opt/none/perl -w\n")
        self.write(root, "bin/pe", "MZ\x90")
        for name in ("crlf.sh", "lost.pl", "pe"):
            os.chmod(os.path.join(root, "bin", name), 0o755)
        self.write(root, "filters.in.tab", '"*"\t"*"\t"0.0.0.0/0"\t"0.0.0.0/0"\t"f.tab"\n"*"\t"*"\t"0.0.0.0/0"\t"0.0.0.0/0"\t"no.tab"\n')
        self.write(root, "filters/f.tab",
                   f'"!aex"\t"{script}"\t"@@FILE"\n"C:\\XMail\\filter.exe"\t"@@FILE"\n"{script}"\t"D:\\data\\rules"\n')
        self.write(root, f"domains/{DOMAIN}/alice/mailproc.tab",
                   f'"external"\t"0"\t"0"\t"{root}/bin/crlf.sh"\n"filter"\t"0"\t"0"\t"{root}/bin/lost.pl"\n"mailbox"\n')
        self.write(root, f"cmdaliases/{DOMAIN}/robot.tab", f'"external"\t"0"\t"0"\t"{root}/bin/pe"\n')
        self.write(root, "custdomains/.old.example.tab", '"external"\t"0"\t"0"\t"run.bat"\n')
        out = run("takeover", "--mailroot", root).stdout
        hand = out[out.index("Needs a hand"):]
        for text in ("filters.in.tab, line 2: there is no file filters/no.tab",
                     "filters/f.tab, line 2: C:\\XMail\\filter.exe is a path of Windows",
                     "filters/f.tab, line 3: the argument D:\\data\\rules is a path of Windows",
                     "bin/crlf.sh its first line ends in CRLF", "its interpreter /opt/none/perl isn't there",
                     "bin/pe is a program for Windows", "run.bat is a program or script for Windows"):
            self.assertIn(text, hand)
        self.assertNotIn("good.sh isn't", out)
        self.assertIn("6 programs named by tables, 5 of them can't run here", out)

    def test_do_then_serve_then_again(self):
        root = self.root()
        self.fill_spool(root)
        tables = {p: open(p, "rb").read() for p in glob.glob(root + "/*.tab")}
        done = run("takeover", "--do", "--mailroot", root)
        self.assertEqual(done.returncode, 0, done.stderr)
        [report] = glob.glob(root + "/hikyaku/takeover-*.txt")
        with open(report) as f:
            self.assertIn("1 new, 1 tried before, 1 frozen", f.read())
        self.assertEqual(left(root), [])
        self.assertEqual(left(root, "tabindex") + left(root, "dnscache") + left(root, "pop3locks"), [])
        for path, text in tables.items():
            with open(path, "rb") as f:
                self.assertEqual(f.read(), text, path)
        again = run("takeover", "--do", "--mailroot", root)
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertIn("was taken over before", again.stdout)
        s = Server(mailroot=root, words=())
        self.addCleanup(s.close)
        s.start()
        self.assertTrue(wait_until(lambda: len(s.mailbox("bob")) == 4))
        self.assertEqual(len(s.mailbox("alice")), 3)

    def test_two_at_once_and_a_running_server(self):
        root = self.root()
        os.makedirs(os.path.join(root, "hikyaku"))
        with open(os.path.join(root, "hikyaku", "lock"), "w") as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            for words in (("takeover", "--do"), ("export-spool",)):
                refused = run(*words, "--mailroot", root)
                self.assertEqual(refused.returncode, 1)
                self.assertIn("holds hikyaku/lock", refused.stderr)
            self.assertFalse(os.path.exists(root + "/hikyaku/marker"))
            self.assertEqual(run("takeover", "--mailroot", root).returncode, 0)

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_owner(self):
        root = self.root()
        outside = self.root()
        os.symlink(outside, os.path.join(root, "domains", DOMAIN, "alice", "link"))
        self.fill_spool(root)
        done = run("takeover", "--do", "--owner", "nobody", "--mailroot", root)
        self.assertEqual(done.returncode, 0, done.stderr)
        nobody = pwd.getpwnam("nobody").pw_uid
        for path, facts in snapshot(root).items():
            self.assertEqual(facts[1], nobody, path)
        self.assertNotEqual(os.stat(outside).st_uid, nobody)
        self.assertEqual(run("takeover", "--do", "--owner", "no-such-user", "--mailroot", root).returncode, 1)

    def test_wrong_usage(self):
        self.assertEqual(run("takeover", "--please").returncode, 3)
        self.assertEqual(run("export-spool", "x").returncode, 3)
        self.assertEqual(run("takeover", "--mailroot", "/nonexistent").returncode, 1)

    def test_there_and_back(self):
        """What XMail gets back is what it gave, one file a recipient, and we take it again."""
        root = self.root()
        self.fill_spool(root)
        both = spool_text("s@far.example", ["r@far.example", "o'neil@far.example"], "Subject: two\n\n.\n..\n.x\n")
        put(root, "mess", "1764000000129.1.1.h", both)
        self.assertEqual(run("takeover", "--do", "--mailroot", root).returncode, 0)
        back = run("export-spool", "--mailroot", root)
        self.assertEqual(back.returncode, 0, back.stderr)
        self.assertIn("4 entries became 5 files in spool/0/0, 1 of them frozen", back.stdout)
        self.assertEqual(sorted(p for p in left(root, "queue") if "/damaged/" not in p), [])
        texts = []
        for path in glob.glob(root + "/spool/0/0/mess/*"):
            with open(path, "rb") as f:
                head, data = f.read().split(b"<<MAIL-DATA>>\r\n")
                lines = head.decode().split("\r\n")
                self.assertRegex(lines[0], r"^\[.*\]:\d+;\[.*\]:\d+;\w{3}, \d+ \w{3} \d{4} [\d:]+ [+-]\d{4}$")
                self.assertEqual(lines[3], "MAIL FROM:<s@far.example>")
                texts.append((lines[4], data))
        whole = both.split(b"<<MAIL-DATA>>\r\n")[1]
        self.assertIn(("RCPT TO:<r@far.example>", whole), texts)
        self.assertIn(("RCPT TO:<o'neil@far.example>", whole), texts)
        self.assertIn(("RCPT TO:<bob@%s>" % DOMAIN, b"Subject: new\r\n\r\n..x\r\n"), texts)
        self.assertEqual(len(texts), 4)
        [log] = glob.glob(root + "/spool/0/0/slog/*")
        with open(log) as f:
            self.assertIn("452 4.2.2 still full", f.read())
        self.assertEqual(os.listdir(root + "/spool/0/0/froz"), [os.path.basename(log)])
        self.assertEqual(run("export-spool", "--mailroot", root).returncode, 0)
        self.assertEqual(run("takeover", "--do", "--mailroot", root).returncode, 0)
        self.assertEqual(left(root), [])

    def test_a_newer_format_is_refused(self):
        root = self.root()
        self.fill_spool(root)
        self.write(root, "hikyaku/marker", "origin taken-over\nformat 3\nmade 1764000000\n")
        before = snapshot(root)
        for words in (("takeover", "--do"), ("export-spool",)):
            refused = run(*words, "--mailroot", root)
            self.assertEqual(refused.returncode, 1)
            self.assertIn("a newer version of Hikyaku works on this MailRoot", refused.stderr)
        self.assertEqual(snapshot(root), before)
        refused = run("serve", "--mailroot", root)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("newer version", refused.stderr)
        self.assertEqual(len(left(root)), 4)


if __name__ == "__main__":
    unittest.main()
