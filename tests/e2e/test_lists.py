"""Mailing lists: who may post, what members get, moderation, loops, many members."""
import email
import glob
import os
import re
import smtplib
import subprocess
import time
import unittest

from harness import DOMAIN, PASSWORD, PROGRAM, Server, wait_until
from sink import Sink
from test_relay import FakeDns

FAST = {"RetryFirst": "1", "RetryLongest": "2", "LoginDelay": "0", "SmartDNSHost": "127.0.0.1@9",
        "DnssecAnchor": "", "RemoteTimeout": "4", "SmtpNoTLSAuths": "PLAIN LOGIN"}
LIST = f"team@{DOMAIN}"


def add_list(server, name, members, **options):
    """A list as XMail's CTRL would have left it, made while no server runs."""
    folder = server.path("domains", DOMAIN, name)
    os.makedirs(folder)
    values = {"RealName": "??", "ClosedML": "1", "ReceiveEnable": "1", "UseReplyTo": "1", **options}
    with open(os.path.join(folder, "user.tab"), "w", encoding="utf-8") as f:
        f.writelines(f'"{key}"\t"{value}"\n' for key, value in values.items())
    with open(os.path.join(folder, "mlusers.tab"), "w", encoding="utf-8") as f:
        f.writelines(f'"{address}"\t"{rights}"\n' for address, rights in members)
    with open(server.path("mailusers.tab"), encoding="utf-8") as f:
        number = 1 + max((int(line.split("\t")[3].strip('"')) for line in f if line.strip()), default=0)
    server.append("mailusers.tab", (DOMAIN, name, "", number, name, "M"))


def post(server, to=LIST, sender=f"alice@{DOMAIN}", user=None, text="Subject: t\r\n\r\nhello\r\n", options=()):
    """Over port 25, or logged in over the submission port. Raises what smtplib raises."""
    c = smtplib.SMTP("127.0.0.1", server.ports["submission" if user else "smtp"], "me.example", timeout=30)
    try:
        if user:
            c.login(f"{user}@{DOMAIN}", PASSWORD)
        return c.sendmail(sender, [to] if isinstance(to, str) else to, text, options)
    finally:
        c.close()


def refusal(fn, *args, **words):
    try:
        fn(*args, **words)
    except smtplib.SMTPRecipientsRefused as e:
        return next(iter(e.recipients.values()))[0]
    except smtplib.SMTPResponseException as e:
        return e.smtp_code
    return None


def mails(server, user, count=1, seconds=30):
    """The mailbox's messages, when there are so many."""
    names = wait_until(lambda: len(server.mailbox(user)) >= count and server.mailbox(user), seconds)
    assert names, server.log_text()
    return [email.message_from_bytes(server.read(user, name)) for name in names]


def inodes(server, users):
    return {os.stat(p).st_ino for user in users for p in glob.glob(server.path("domains", DOMAIN, user, "Maildir/new/*"))}


def queue(server):
    return [p for p in glob.glob(server.path("queue", "??", "*"))]


def restart(server):
    """Roles that were killed may hold the ports for a moment."""
    for _ in range(20):
        try:
            return server.start()
        except RuntimeError:
            time.sleep(0.2)
    return server.start()


def lists(server, *words):
    return subprocess.run([PROGRAM, "lists", *words, "--mailroot", server.mailroot], capture_output=True, text=True,
                          check=False)


class Rights(unittest.TestCase):
    """mlusers.tab and ClosedML, in the session."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server(users=("alice", "bob", "carol"), settings=FAST)
        members = [(f"alice@{DOMAIN}", "RW"), (f"bob@{DOMAIN}", "RA"), (f"carol@{DOMAIN}", "R")]
        add_list(cls.server, "team", members)
        add_list(cls.server, "open", members, ClosedML="0")
        add_list(cls.server, "off", members, ReceiveEnable="0")
        add_list(cls.server, "small", members, MaxMessageSize="1", ClosedML="0")
        cls.server.start()

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def test_rights(self):
        rows = [  # list, reverse-path, login, refused with
            ("team", f"alice@{DOMAIN}", None, None),
            ("team", f"ALICE@{DOMAIN}", None, None),
            ("team", f"bob@{DOMAIN}", None, 557),
            ("team", f"bob@{DOMAIN}", "bob", None),
            ("team", f"carol@{DOMAIN}", "carol", 557),
            ("team", "stranger@far.example", None, 557),
            ("team", "", None, 550),
            ("open", "stranger@far.example", None, None),
            ("open", "", None, 550),
            ("off", f"alice@{DOMAIN}", None, 550),
        ]
        for name, sender, user, code in rows:
            with self.subTest(list=name, sender=sender, user=user):
                self.assertEqual(refusal(post, self.server, f"{name}@{DOMAIN}", sender, user), code)

    def test_size(self):
        text = "Subject: big\r\n\r\n" + "x" * 60 * 20 + "\r\n"
        c = smtplib.SMTP("127.0.0.1", self.server.ports["smtp"], "me.example", timeout=30)
        self.addCleanup(c.close)
        c.ehlo()
        c.mail(f"alice@{DOMAIN}")
        self.assertEqual(c.rcpt(f"small@{DOMAIN}")[0], 250)
        self.assertEqual(c.data(text)[0], 552)

    def test_rights_by_program(self):
        """What comes in by spool/local hasn't been checked before the queue."""
        for sender, arrives in ((f"carol@{DOMAIN}", False), (f"alice@{DOMAIN}", True)):
            before = len(self.server.mailbox("carol"))
            subject = "by " + sender
            file = self.server.path("spool", "local", "post.txt")
            os.makedirs(os.path.dirname(file), exist_ok=True)
            with open(os.path.dirname(file) + "/.post", "w", encoding="utf-8") as f:
                f.write(f"mail from:<{sender}>\nrcpt to:<{LIST}>\n\nSubject: {subject}\n\nx\n")
            os.rename(os.path.dirname(file) + "/.post", file)
            got = wait_until(lambda: any(m["Subject"] == subject or "5.7.2" in m.as_string()
                                         for m in mails(self.server, "carol", before + 1)), 30)
            self.assertTrue(got, self.server.log_text())
            newest = [m for m in mails(self.server, "carol") if m["Subject"] == subject]
            self.assertEqual(len(newest), 1 if arrives else 0)


class Posts(unittest.TestCase):
    """What the members get."""

    def setUp(self):
        self.sink = Sink()
        self.server = Server(users=("alice", "bob", "carol"),
                             settings=dict(FAST, DefaultSMTPGateways=f"127.0.0.1:{self.sink.port}"))
        self.addCleanup(self.sink.close)
        self.addCleanup(self.server.close)

    def test_one_file_for_all(self):
        add_list(self.server, "team", [(f"{u}@{DOMAIN}", "RW") for u in ("alice", "bob", "carol")],
                 RealName="The team", ListSender=f"owner@{DOMAIN}")
        self.server.start()
        text = ("From: alice@far.example\r\nReply-To: a@b.example,\r\n c@d.example\r\nList-Id: <other.example>\r\n"
                "List-Unsubscribe: <mailto:x@y.example>\r\nSubject: one\r\n\r\nReply-To: stays\r\n.dot\r\n")
        post(self.server, text=text.replace(".dot", "..dot").replace("..dot", ".dot"))
        got = [mails(self.server, u)[0] for u in ("alice", "bob", "carol")]
        self.assertEqual(len(inodes(self.server, ("alice", "bob", "carol"))), 1)
        self.assertEqual(len({m.as_string() for m in got}), 1)
        m = got[0]
        self.assertEqual(m["Return-Path"], f"<owner@{DOMAIN}>")
        self.assertEqual(m.get_all("Reply-To"), [LIST])
        self.assertEqual(m.get_all("List-Id"), [f'"The team" <team.{DOMAIN}>'])
        self.assertEqual(m.get_all("List-Post"), [f"<mailto:{LIST}>"])
        self.assertIsNone(m["List-Unsubscribe"])
        self.assertEqual(m.get_all("Delivered-To"), [LIST])
        self.assertEqual(m["From"], "alice@far.example")
        self.assertIn(f"for <{LIST}>", m["Received"])
        self.assertEqual(m.get_payload(), "Reply-To: stays\n.dot\n")
        self.assertTrue(wait_until(lambda: not queue(self.server), 20), queue(self.server))

    def test_reply_to_stays(self):
        add_list(self.server, "team", [(f"bob@{DOMAIN}", "R")], UseReplyTo="0", ClosedML="0")
        self.server.start()
        post(self.server, text="Reply-To: me@far.example\r\nSubject: two\r\n\r\nx\r\n")
        m = mails(self.server, "bob")[0]
        self.assertEqual(m.get_all("Reply-To"), ["me@far.example"])
        self.assertEqual(m["Return-Path"], f"<alice@{DOMAIN}>")

    def test_here_and_elsewhere(self):
        """Aliases, doubles and lists in lists; two servers elsewhere get one transaction."""
        self.server.append("aliases.tab", (DOMAIN, "robert", f"bob@{DOMAIN}"), (DOMAIN, "out", "out@far.example"))
        add_list(self.server, "inner", [(f"carol@{DOMAIN}", "R"), (LIST, "R"), ("z@far.example", "R")])
        add_list(self.server, "team", [(f"alice@{DOMAIN}", "RW"), (f"robert@{DOMAIN}", "R"), (f"bob@{DOMAIN}", "R"),
                                       (f"inner@{DOMAIN}", "R"), (f"out@{DOMAIN}", "R"), ("y@far.example", "R")])
        self.server.start()
        post(self.server)
        for user in ("alice", "bob", "carol"):
            self.assertEqual(len(mails(self.server, user)), 1)
        self.assertTrue(wait_until(lambda: len(self.sink.messages) >= 2 and not queue(self.server), 30),
                        self.server.log_text())
        self.assertEqual(sorted(r for m in self.sink.messages for r in m["rcpts"]),
                         [b"RCPT TO:<%s@far.example>" % name for name in (b"out", b"y", b"z")])
        self.assertEqual(len(self.server.mailbox("alice")), 1)
        self.assertIn("post to a list loops", self.server.log_text())

    def test_loop_is_refused(self):
        add_list(self.server, "team", [(f"bob@{DOMAIN}", "R")], ClosedML="0")
        self.server.start()
        code = refusal(post, self.server, text=f"Delivered-To: {LIST}\r\nSubject: round\r\n\r\nx\r\n")
        self.assertEqual(code, 554)

    def test_full_and_gone(self):
        """One member's trouble is his own; the list's sender hears of it."""
        add_list(self.server, "team", [(f"alice@{DOMAIN}", "RW"), (f"nobody@{DOMAIN}", "R"), (f"bob@{DOMAIN}", "R")],
                 ListSender=f"carol@{DOMAIN}")
        self.server.start()
        post(self.server)
        mails(self.server, "alice")
        mails(self.server, "bob")
        report = mails(self.server, "carol")[0]
        self.assertIn("nobody@" + DOMAIN, report.as_string())
        self.assertIn("5.1.1", report.as_string())

    def test_success_is_told(self):
        """NOTIFY=SUCCESS: a list is where a delivery ends (RFC 3461 5.2.7.3)."""
        add_list(self.server, "team", [(f"bob@{DOMAIN}", "R")], ClosedML="0")
        self.server.start()
        c = smtplib.SMTP("127.0.0.1", self.server.ports["smtp"], "me.example", timeout=30)
        self.addCleanup(c.close)
        c.sendmail(f"alice@{DOMAIN}", [LIST], "Subject: t\r\n\r\nx\r\n", rcpt_options=["NOTIFY=SUCCESS"])
        report = mails(self.server, "alice")[0]
        self.assertIn("Action: delivered", report.as_string())
        self.assertEqual(len(mails(self.server, "bob")), 1)

    def test_mailbox_folders(self):
        """A member whose mail is in XMail's mailbox/ folder gets a copy of his own."""
        folder = self.server.path("domains", DOMAIN, "bob")
        subprocess.run(["rm", "-r", folder + "/Maildir"], check=True)
        os.makedirs(folder + "/mailbox")
        add_list(self.server, "team", [(f"{u}@{DOMAIN}", "RW") for u in ("alice", "bob", "carol")])
        self.server.start()
        post(self.server)
        mails(self.server, "alice")
        mails(self.server, "carol")
        self.assertTrue(wait_until(lambda: os.listdir(folder + "/mailbox"), 20))
        self.assertEqual(len(inodes(self.server, ("alice", "carol"))), 1)

    def test_crash(self):
        """Killed at any moment: each member has the message once."""
        users = [f"u{i}" for i in range(20)]
        for user in users:
            subprocess.run([PROGRAM, "users", "add", f"{user}@{DOMAIN}", "--generate", "--mailroot",
                            self.server.mailroot], check=True, capture_output=True)
        add_list(self.server, "team", [(f"{u}@{DOMAIN}", "RW") for u in users] + [(f"alice@{DOMAIN}", "RW")])
        for round_number in range(4):
            restart(self.server)
            post(self.server, text=f"Subject: round {round_number}\r\n\r\nx\r\n")
            time.sleep(0.01 * round_number)
            self.server.kill()
        restart(self.server)
        for user in users:
            mails(self.server, user, 4)
        self.assertTrue(wait_until(lambda: not queue(self.server), 60), queue(self.server))
        for user in users:
            subjects = sorted(m["Subject"] for m in mails(self.server, user, 4))
            self.assertEqual(subjects, [f"round {i}" for i in range(4)])

    def test_large_list_and_a_crash(self):
        """What is known of a large list is recorded while the rest is under way."""
        self.sink.script["dot"] = 0.3
        self.server.set(RelayThreads="4")
        add_list(self.server, "team", [(f"m{i}@far.example", "R") for i in range(600)], ClosedML="0")
        self.server.start()
        post(self.server)
        self.assertTrue(wait_until(lambda: len(self.sink.messages) >= 8, 30), self.server.log_text())
        os.kill(self.server.role_pid("queue"), 9)
        self.assertTrue(wait_until(lambda: not queue(self.server), 60), self.server.log_text())
        got = [r for m in self.sink.messages for r in m["rcpts"]]
        self.assertEqual(len(set(got)), 600)
        self.assertLessEqual(len(got) - 600, 300)


    def test_from_by_policy(self):
        """ListFromRewrite 1: only where the author's domain asks for it, or doesn't answer."""
        dns = FakeDns()
        self.addCleanup(dns.sock.close)
        dns.txt("_dmarc.strict.example", "v=DMARC1; p=reject")
        dns.txt("_dmarc.open.example", "v=DMARC1; p=none; sp=quarantine")
        self.server.set(SmartDNSHost=f"127.0.0.1@{dns.port}")
        add_list(self.server, "team", [(f"bob@{DOMAIN}", "R")], ClosedML="0", UseReplyTo="0", ListFromRewrite="1")
        add_list(self.server, "always", [(f"carol@{DOMAIN}", "R")], ClosedML="0", ListFromRewrite="2")
        self.server.start()
        rows = [('"A, b" <amy@strict.example>', '"A, b" via team', "amy@strict.example"),
                ("amy@strict.example", '"amy" via team', "amy@strict.example"),
                ("amy@sub.open.example", '"amy" via team', "amy@sub.open.example"),
                ("Amy <amy@open.example>", None, None),
                ("=?utf-8?B?44GC?= <amy@none.example>", None, None)]
        for count, (author, name, reply) in enumerate(rows, 1):
            post(self.server, sender="x@far.example", text=f"From: {author}\r\nSubject: {count}\r\n\r\nx\r\n")
            m = next(m for m in mails(self.server, "bob", count) if m["Subject"] == str(count))
            with self.subTest(author=author):
                self.assertEqual(m.get_all("From"), [author] if name is None else [f"{name}\n <{LIST}>"])
                self.assertEqual(m["X-Original-From"], author if name else None)
                self.assertEqual(m["Reply-To"], reply)
        post(self.server, f"always@{DOMAIN}", sender="x@far.example", text="From: a@none.example\r\nSubject: z\r\n\r\nx\r\n")
        m = mails(self.server, "carol")[0]
        self.assertEqual(m["From"], f'"a" via always\n <always@{DOMAIN}>')
        self.assertEqual(m.get_all("Reply-To"), [f"always@{DOMAIN}"])


class Moderation(unittest.TestCase):
    """Posts that wait."""

    def setUp(self):
        self.server = Server(users=("alice", "bob", "carol"), settings=FAST)
        self.addCleanup(self.server.close)

    def begin(self, **options):
        add_list(self.server, "team", [(f"alice@{DOMAIN}", "RW"), (f"bob@{DOMAIN}", "R")],
                 ListModerators=f"carol@{DOMAIN}", **options)
        self.server.start()

    def held(self, count=1):
        out = wait_until(lambda: f"{count} waiting" in lists(self.server, "held").stdout and
                         lists(self.server, "held").stdout, 20)
        self.assertTrue(out, self.server.log_text())
        return [line.split()[0] for line in out.splitlines()[:-1]]

    def test_by_command(self):
        self.begin(ListModeration="1")
        post(self.server, text="Subject: member\r\n\r\nx\r\n")
        mails(self.server, "bob")
        post(self.server, sender="stranger@far.example", text="Subject: stranger\r\n\r\nx\r\n")
        ids = self.held()
        self.assertIn("Subject: stranger", lists(self.server, "show", ids[0]).stdout)
        self.server.stop()
        self.server.start()
        self.assertEqual(self.held(), ids)
        self.assertEqual(len(mails(self.server, "bob")), 1)
        self.assertEqual(lists(self.server, "approve", ids[0]).returncode, 0)
        self.assertEqual({m["Subject"] for m in mails(self.server, "bob", 2)}, {"member", "stranger"})
        self.held(0)
        self.assertEqual(lists(self.server, "approve", ids[0]).returncode, 1)

    def test_reject(self):
        self.begin(ListModeration="2", ClosedML="0")
        post(self.server)
        ids = self.held()
        self.assertEqual(lists(self.server, "reject", ids[0], "--reason", "off topic").returncode, 0)
        report = mails(self.server, "alice")[0].as_string()
        self.assertIn("off topic", report)
        self.assertIn("5.7.1", report)
        self.held(0)
        self.assertEqual(self.server.mailbox("bob"), [])

    def test_by_mail(self):
        self.begin(ListModeration="2")
        post(self.server, text="Subject: =?utf-8?B?44GT44KT44Gr44Gh44Gv?=\r\n\r\none\r\n")
        post(self.server, text="Subject: two\r\n\r\ntwo\r\n")
        notices = mails(self.server, "carol", 2)
        for notice in notices:
            self.assertEqual(notice["Auto-Submitted"], "auto-generated")
            self.assertEqual(notice["Return-Path"], "<>")
            self.assertIsNone(notice["Reply-To"])
        one = next(n for n in notices if "Subject: two" not in n.as_string())
        two = next(n for n in notices if "Subject: two" in n.as_string())

        def answer(notice, verdict):
            text = notice.get_payload()[0].get_payload(decode=True).decode()
            return re.search(rf"team-{verdict}-[0-9a-f]+@{re.escape(DOMAIN)}", text).group()

        forged = answer(one, "ok")
        forged = forged[:-len(DOMAIN) - 2] + ("0" if forged[-len(DOMAIN) - 2] != "0" else "1") + "@" + DOMAIN
        self.assertEqual(refusal(post, self.server, forged, "x@far.example"), 550)
        self.assertEqual(refusal(post, self.server, answer(one, "ok"), ""), 550)
        post(self.server, answer(one, "ok"), f"carol@{DOMAIN}", "carol", text="\r\n")
        self.assertEqual(mails(self.server, "bob")[0].get_payload(), "one\n")
        post(self.server, answer(two, "no").upper(), f"carol@{DOMAIN}", "carol", text="\r\n")
        self.held(0)
        self.assertEqual(refusal(post, self.server, answer(one, "ok"), f"carol@{DOMAIN}", "carol"), 550)
        self.assertTrue(wait_until(lambda: any("5.7.1" in m.as_string() for m in mails(self.server, "alice", 2)), 20))
        self.assertEqual(len(self.server.mailbox("bob")), 1)

    def test_moderators_own(self):
        self.begin(ListModeration="2")
        post(self.server, sender=f"carol@{DOMAIN}", user="carol")
        self.assertEqual(len(mails(self.server, "bob")), 1)
        self.held(0)
