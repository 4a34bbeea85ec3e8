"""Filters of messages (filters.in, filters.out) and commands (mailproc, cmdaliases, custdomains), run through the queue."""
import glob
import os
import re
import smtplib
import stat
import subprocess
import unittest

from harness import DOMAIN, PASSWORD, PROGRAM, Server, replace, wait_until
from sink import Sink
from test_lists import add_list

ALICE, BOB = f"alice@{DOMAIN}", f"bob@{DOMAIN}"
ALL = ("*", "*", "0.0.0.0/0", "0.0.0.0/0")
TEXT = "Subject: t\r\n\r\none\r\n.two\r\n"


def addresses(message):
    """Recipients of a message that the sink took."""
    return [re.search(rb"<(.*?)>", line).group(1).decode() for line in message["rcpts"]]


class Processing(unittest.TestCase):
    settings = {}

    def setUp(self):
        self.server = Server(users=("alice", "bob", "carol"), settings={
            "SMTP-MaxErrors": "0", "MaxSessionsPerAddress": "0", "SmtpNoTLSAuths": "PLAIN LOGIN", "RemoveSpoolErrors": "1",
            "LogFiles": "filters smail", "RetryFirst": "2", "FilterTimeout": "20", **self.settings})
        self.addCleanup(self.server.close)
        self.bin = self.server.path("filters")
        os.makedirs(self.bin, exist_ok=True)

    def program(self, name, text, head="#!/bin/sh\n"):
        path = os.path.join(self.bin, name)
        with open(path + ".new", "w", encoding="utf-8") as f:
            f.write(head + text + "\n")
        os.chmod(path + ".new", stat.S_IRWXU)
        os.rename(path + ".new", path)
        return path

    def table(self, path, *rows):
        os.makedirs(os.path.dirname(self.server.path(path)), exist_ok=True)
        replace(self.server.path(path), b"".join("\t".join(f'"{v}"' for v in row).encode() + b"\n" for row in rows))

    def filters(self, way, *rows, select=ALL):
        """One line of filters.WAY.tab, and the lines of its file."""
        self.table(f"filters/{way}.tab", *rows)
        self.table(f"filters.{way}.tab", (*select, f"{way}.tab"))

    def send(self, *rcpts, sender="x@far.example", text=TEXT, login=False):
        with smtplib.SMTP("127.0.0.1", self.server.ports["submission" if login else "smtp"], "me.example", timeout=60) as c:
            if login:
                c.login(ALICE, PASSWORD)
            c.sendmail(sender, list(rcpts), text)

    def entries(self):
        return [p for p in glob.glob(self.server.path("queue/[0-9a-f][0-9a-f]/*")) if re.fullmatch("[0-9a-f]+", os.path.basename(p))]

    def frozen(self):
        return [p for p in glob.glob(self.server.path("queue/frozen/*")) if re.fullmatch("[0-9a-f]+", os.path.basename(p))]

    def drained(self, seconds=30):
        if not wait_until(lambda: not self.entries(), seconds):
            self.fail("still in the queue\n" + self.server.log_text()[-3000:])

    def texts(self, user):
        return [self.server.read(user, name).decode() for name in self.server.mailbox(user)]

    def lines(self, path):
        try:
            with open(os.path.join(self.server.scratch, path), encoding="utf-8", newline="") as f:
                return f.read().split("\n")[:-1]
        except FileNotFoundError:
            return []

    def out(self, name="out"):
        return os.path.join(self.server.scratch, name)


class Filters(Processing):
    def test_what_they_see(self):
        out = self.out()
        show = self.program("show", f'for a in "$@"; do printf "[%s]" "$a" >>{out}; done; echo >>{out}; cat "$1" >>{out}')
        self.server.append("aliases.tab", (DOMAIN, "ally", "alice"))
        self.filters("in", (show, "@@FILE", "@@FROM", "@@RFROM", "@@RCPT", "@@RRCPT", "@@REMOTEADDR", "@@LOCALADDR", "@@USERAUTH",
                            "<$(RCPT)>", "@@NONE"))
        self.server.start()
        self.send(f"ally@{DOMAIN}", sender=f"ally@{DOMAIN}", text="Subject: t\r\n\r\none\r\n.two\r\n")
        self.drained()
        got = self.lines("out")
        self.assertRegex(got[0], r"^\[/.*/hikyaku/filter/[^\]]+\]\[ally@test.example\]\[alice@test.example\]\[ally@test.example\]"
                         r"\[alice@test.example\]\[\[127.0.0.1\]:\d+\]\[\[127.0.0.1\]:\d+\]\[-\]\[<ally@test.example>\]\[\]$")
        self.assertRegex(got[1], r"^\[127.0.0.1\]:\d+;\[127.0.0.1\]:\d+;\w{3}, .*\r$")
        self.assertEqual(got[4:7], ["MAIL FROM:<ally@test.example>\r", "RCPT TO:<ally@test.example>\r", "<<MAIL-DATA>>\r"])
        self.assertTrue(all(line.endswith("\r") for line in got[1:]))
        self.assertEqual(got[-2:], ["one\r", "..two\r"])
        self.assertTrue(self.texts("alice")[0].endswith("\none\n.two\n"))
        self.assertEqual(glob.glob(self.server.path("hikyaku/filter/*")), [])

    def test_verdicts(self):
        """Each exit code: delivered here, delivered elsewhere, told to the sender, frozen."""
        note = 'echo "because of it" >"$1.rej"; '
        rows = [  # script, into the mailbox, a report, frozen
            ("exit 0", 1, 0, 0), ("exit 1", 1, 0, 0), ("exit 16", 1, 0, 0), ("exit 255", 1, 0, 0),
            (note + "exit 4", 0, 0, 0), (note + "exit 5", 0, 0, 1), (note + "exit 6", 0, 1, 1), (note + "exit 22", 0, 1, 1),
            (note + "exit 20", 0, 0, 0), ("exit 6", 0, 1, 1)]
        self.server.set(RemoveSpoolErrors="0")
        self.filters("in", (os.path.join(self.bin, "f"), "@@FILE"), select=("*", ALICE, *ALL[2:]))
        self.program("f", "exit 0")
        self.server.start()
        for script, delivered, told, frozen in rows:
            with self.subTest(script=script):
                for path in glob.glob(self.server.path("domains", DOMAIN, "*", "Maildir/new/*")) + glob.glob(self.server.path("queue/frozen/*")):
                    os.remove(path)
                self.program("f", script)
                self.send(ALICE, sender=BOB)
                self.drained()
                self.assertEqual(len(self.server.mailbox("alice")), delivered)
                self.assertEqual(len(self.server.mailbox("bob")), told)
                self.assertEqual(len(self.frozen()), frozen)
                if told and note in script:
                    self.assertIn("because of it", self.texts("bob")[0])

    def test_changes(self):
        add = self.program("add", 'perl -pi -e \'s/^(Subject:.*)\\r$/$1 [seen]\\r/\' "$1"; printf ".dot\\r\\n" | sed "s/^/./" >>"$1"; exit 7')
        tell = self.program("tell", f'grep -c seen "$1" >>{self.out()}; exit 0')
        self.filters("in", (add, "@@FILE"), (tell, "@@FILE"))
        self.server.start()
        self.send(ALICE, BOB)
        self.drained()
        for user in ("alice", "bob"):
            texts = self.texts(user)
            self.assertEqual(len(texts), 1)
            self.assertIn("Subject: t [seen]\n", texts[0])
            self.assertTrue(texts[0].endswith("one\n.two\n.dot\n"), texts[0])
            self.assertIn(f"Delivered-To: {user}@{DOMAIN}\n", texts[0])
        self.assertEqual(self.lines("out"), ["1", "1"])
        ids = re.findall(r'event="?changed by a filter"?.*?about=(\w+)', self.server.log_text()) or re.findall(r"changed by a filter.*?about=(\w+)", self.server.log_text())
        story = subprocess.run([PROGRAM, "trace", "--mailroot", self.server.mailroot, ids[0]], capture_output=True, text=True, check=True).stdout
        self.assertIn("program ended", story)
        self.assertIn("code=7", story)
        self.assertIn("delivered", story)

    def test_a_change_that_isnt_said_isnt_used(self):
        self.filters("in", (self.program("f", 'echo wrong >"$1"; exit 0'), "@@FILE"), (self.program("g", f'cat "$1" >>{self.out()}'), "@@FILE"))
        self.server.start()
        self.send(ALICE)
        self.drained()
        self.assertTrue(self.texts("alice")[0].endswith("one\n.two\n"))
        self.assertIn("<<MAIL-DATA>>\r", self.lines("out"))

    def test_broken_files(self):
        """What a filter leaves behind isn't taken unless it is whole; the message waits, unchanged."""
        rows = [': >"$1"', 'head -c 100 "$1" >"$1.n"; mv "$1.n" "$1"', 'rm "$1"', 'rm "$1"; mkfifo "$1"', 'rm "$1"; ln -s /etc/passwd "$1"',
                'sed -i "s/^RCPT TO.*/RCPT TO:<carol@test.example>\\r/" "$1"', 'sed -i "s/^MAIL FROM.*/MAIL FROM:<a@b.example>\\r/" "$1"',
                'sed -i "/MAIL-DATA/q" "$1"', 'rm "$1"; mkdir "$1"', 'printf ".\\r\\n" >>"$1"', 'head -c 400000000 /dev/zero >"$1"']
        self.program("f", "exit 0")
        self.filters("in", (os.path.join(self.bin, "f"), "@@FILE"))
        self.server.set(RetryFirst="1000")
        self.server.start()
        for n, script in enumerate(rows):
            with self.subTest(script=script):
                self.program("f", script + "; exit 7")
                self.send(ALICE)
                self.assertTrue(wait_until(lambda n=n: self.server.log_text().count("delivery deferred") == n + 1, 30))
        self.assertEqual(self.server.mailbox("alice"), [])
        self.program("f", "exit 0")
        subprocess.run([PROGRAM, "queue", "--mailroot", self.server.mailroot, "flush"], capture_output=True, check=False)
        for path in self.entries():
            subprocess.run([PROGRAM, "queue", "--mailroot", self.server.mailroot, "try", os.path.basename(path)], capture_output=True, check=False)
        self.drained()
        texts = self.texts("alice")
        self.assertEqual(len(texts), len(rows))
        self.assertTrue(all(t.endswith("\none\n.two\n") for t in texts))

    def test_programs_that_misbehave(self):
        rows = ["kill -9 $$", "sleep 100", "trap '' TERM; sleep 100", "sleep 100 & sleep 100", "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done"]
        self.program("f", "exit 0")
        self.filters("in", ("!timeo=1", os.path.join(self.bin, "f"), "@@FILE"))
        self.server.set(RetryFirst="1000")
        self.server.start()
        for n, script in enumerate(rows):
            self.program("f", script)
            self.send(ALICE)
            self.assertTrue(wait_until(lambda n=n: self.server.log_text().count("delivery deferred") == n + 1, 30), script)
        self.program("f", "head -c 1000000000 /dev/zero; (sleep 100 &) ; exit 0")
        self.table("filters/in.tab", ("!timeo=300", os.path.join(self.bin, "f")))
        self.send(ALICE)
        self.assertTrue(wait_until(lambda: len(self.server.mailbox("alice")) == 1, 200))
        self.table("filters/in.tab", (os.path.join(self.bin, "missing"),))
        self.send(ALICE)
        self.assertTrue(wait_until(lambda: self.server.log_text().count("delivery deferred") == len(rows) + 1, 30))
        self.server.set(FilterFailure="pass")
        self.assertTrue(wait_until(lambda: self.send(ALICE) or len(self.server.mailbox("alice")) > 1, 30))

    def test_order_flags_and_stop(self):
        out = self.out()
        say = self.program("say", f'echo "$1" >>{out}; exit "$2"')
        self.table("filters/one.tab", ("!aex", say, "a", "0"), ("!timeo=7", say, "b", "0"), (say, "c", "16"), (say, "d", "0"))
        self.table("filters/two.tab", (say, "e", "0"))
        self.table("filters.in.tab", (*ALL, "two.tab"), ("*", "ally@*", *ALL[2:], "two.tab"), ("*", "*", "10.0.0.0/8", "0.0.0.0/0", "two.tab"),
                   (*ALL, "one.tab"), (*ALL, "two.tab"), ("bad",), (*ALL, "../server.tab"))
        self.server.append("aliases.tab", (DOMAIN, "ally", "alice"))
        self.server.start()
        self.send(f"ally@{DOMAIN}")
        self.drained()
        self.assertEqual(self.lines("out"), ["e", "a", "b", "c"])
        os.remove(out)
        self.send(BOB, sender=ALICE, login=True)
        self.drained()
        self.assertEqual(self.lines("out"), ["e", "b", "c"])
        self.assertIn("not the name of a file below filters/", self.server.log_text())

    def test_out(self):
        sink = Sink()
        self.addCleanup(sink.close)
        out = self.out()
        self.server.append("smtpfwd.tab", ("*", f"127.0.0.1:{sink.port},NeedTLS=0"))
        self.server.append("smtprelay.tab", ("127.0.0.1", "255.255.255.255"))
        script = f'echo "$2" >>{out}; case "$2" in no@*) exit 6;; change@*) printf "more\\r\\n" >>"$1"; exit 7;; esac'
        self.filters("out", (self.program("f", script), "@@FILE", "@@RCPT"), select=("*", "*@far.example", *ALL[2:]))
        self.server.start()
        self.send("a@far.example", "b@far.example", "no@far.example", "change@far.example", "c@near.example", ALICE, sender=BOB)
        self.drained()
        self.assertEqual(sorted(self.lines("out")), ["a@far.example", "b@far.example", "change@far.example", "no@far.example"])
        got = {r: m for m in sink.messages for r in addresses(m)}
        self.assertEqual(sorted(got), ["a@far.example", "b@far.example", "c@near.example", "change@far.example"])
        self.assertTrue(got["change@far.example"]["data"].endswith(b"more\r\n"))
        self.assertFalse(got["a@far.example"]["data"].endswith(b"more\r\n"))
        self.assertEqual(len(self.server.mailbox("alice")), 1)
        self.assertEqual(len(self.server.mailbox("bob")), 1)

    def test_arguments(self):
        """An address is one argument, whatever is in it."""
        out = self.out()
        self.filters("in", (self.program("f", f'printf "%s|" "$#" "$1" "$2" >>{out}; echo >>{out}'), "@@FROM", "x$(FROM)y"))
        self.server.start()
        senders = ["-x@far.example", "$(touch${IFS}x)@far.example", "`id`@far.example", "a;b|c&d@far.example", "*?@far.example", "o'neil@far.example"]
        sent = 0
        for sender in senders:
            try:
                self.send(ALICE, sender=sender if "(" not in sender and ";" not in sender else f'"{sender[:-12]}"@far.example')
                sent += 1
            except smtplib.SMTPException:
                continue
            self.drained()
            count, one, two = self.lines("out")[-1].split("|")[:3] if sender.count("|") == 0 else ("2", "", "xy")
            self.assertEqual(count, "2")
            self.assertEqual(two, f"x{one}y")
        self.assertGreater(sent, 3)

    def test_log(self):
        self.filters("in", (self.program("f", "echo said; exit 3"), "@@RCPT"))
        self.server.start()
        self.send(ALICE)
        self.drained()
        with open(glob.glob(self.server.path("logs/filters-*"))[0], encoding="utf-8") as f:
            values = [v.strip('"') for v in f.readline().rstrip("\n").split("\t")]
        self.assertEqual(values[:2], ["x@far.example", ALICE])
        self.assertEqual(values[5], "in")
        self.assertEqual(values[7:9], ["0", "3"])
        self.assertTrue(values[9].endswith(f"/f {ALICE}"))
        self.assertEqual(values[10], "said")


class Commands(Processing):
    def setUp(self):
        super().setUp()
        self.sink = Sink()
        self.addCleanup(self.sink.close)
        self.server.append("smtpfwd.tab", ("*", f"127.0.0.1:{self.sink.port},NeedTLS=0"))
        self.note = self.program("note", f'printf "%s " "$@" >>{self.out()}; echo >>{self.out()}; exit "${{1:-0}}"')

    def mailproc(self, user, *rows):
        self.table(f"domains/{DOMAIN}/{user}/mailproc.tab" if user else f"domains/{DOMAIN}/mailproc.tab", *rows)

    def sent(self):
        return [(m["from"].decode().split("<")[1].split(">")[0], addresses(m)) for m in self.sink.messages]

    def test_each_command(self):
        other = Sink()
        self.addCleanup(other.close)
        self.mailproc("", ("external", "0", "20", self.note, "0", "domain", "@@RRCPT"))
        self.mailproc("alice", ("external", "-1", "20", self.note, "0", "user", "@@MSGID"), ("mailbox",), ("redirect", "a@far.example", "near.example"),
                      ("lredirect", "b@far.example"), ("smtprelay", f"127.0.0.1:{other.port},NeedTLS=0"), ("external", "0", "20", self.note, "16", "stop"),
                      ("redirect", "never@far.example"))
        self.server.start()
        self.send(ALICE)
        self.drained()
        self.assertTrue(wait_until(lambda: len(self.sink.messages) == 3 and len(other.messages) == 1, 20))
        self.assertEqual(sorted(self.sent()), sorted([(ALICE, ["b@far.example"]), ("x@far.example", ["a@far.example"]), ("x@far.example", ["alice@near.example"])]))
        self.assertEqual(addresses(other.messages[0]), [ALICE])
        self.assertNotIn(b"Delivered-To", other.messages[0]["data"])
        self.assertTrue(all(m["data"].startswith(f"Delivered-To: {ALICE}\r\n".encode()) for m in self.sink.messages))
        self.assertEqual(len(self.server.mailbox("alice")), 1)
        out = self.lines("out")
        self.assertEqual([line.split()[1] for line in out], ["domain", "user", "stop"])
        self.assertEqual(out[0].split()[2], ALICE)
        with open(glob.glob(self.server.path("logs/smail-*"))[0], encoding="utf-8") as f:
            media = [line.split("\t")[5].strip('"') for line in f]
        for medium in ("EXTRN", "LOCAL", "REDIR", "LREDIR", "RLYS", "SMTP"):
            self.assertIn(medium, media)

    def test_files(self):
        """FILE is the message; TMPFILE a copy that the program may keep until it has done with it."""
        script = f'cat "$1" >{self.out("file")}; cp "$2" {self.out("tmp")}; echo x >"$2"; mv "$2" "$2.mine"; rm "$2.mine"; exit 0'
        self.mailproc("alice", ("external", "0", "20", self.program("f", script), "@@FILE", "$(TMPFILE)"),
                      ("external", "0", "0", self.program("g", f'sleep 1; cat "$1" >{self.out("late")}; cat "$2" >>{self.out("late")}'), "@@FILE", "@@TMPFILE"),
                      ("mailbox",))
        self.server.start()
        self.send(ALICE)
        self.drained()
        self.assertEqual(len(self.server.mailbox("alice")), 1)
        self.assertEqual(self.lines("file"), self.lines("tmp"))
        self.assertEqual(self.lines("file")[-2:], ["one\r", "..two\r"])
        self.assertTrue(wait_until(lambda: self.lines("late") == self.lines("file") * 2, 20))
        self.assertTrue(wait_until(lambda: not glob.glob(self.server.path("hikyaku/filter/*")), 20))

    def test_filter_command(self):
        self.mailproc("alice", ("filter", "0", "0", os.path.join(self.bin, "f"), "@@FILE"), ("external", "0", "20", self.note, "0", "after"), ("mailbox",))
        rows = [("exit 0", 1, 1, 0), ("exit 4", 0, 0, 0), ('echo no >"$1.rej"; exit 6', 0, 0, 1), ("exit 16", 0, 0, 0),
                ('printf "more\\r\\n" >>"$1"; exit 7', 1, 1, 0), ('printf "more\\r\\n" >>"$1"; exit 23', 0, 0, 0)]
        self.program("f", "exit 0")
        self.server.start()
        for script, delivered, after, told in rows:
            with self.subTest(script=script):
                for path in glob.glob(self.server.path("domains", DOMAIN, "*", "Maildir/new/*")) + glob.glob(self.out()):
                    os.remove(path)
                self.program("f", script)
                self.send(ALICE, sender=BOB)
                self.drained()
                self.assertEqual(len(self.server.mailbox("alice")), delivered)
                self.assertEqual(len(self.lines("out")), after)
                self.assertEqual(len(self.server.mailbox("bob")), told)
                if delivered:
                    self.assertEqual(self.texts("alice")[0].endswith("more\n"), "more" in script)

    def test_empty_and_bad_tables(self):
        self.mailproc("alice")
        self.mailproc("bob", ("external", "0", "20", self.note, "0", "once"), ("what", "x"), ("mailbox",))
        self.mailproc("carol", ("redirect", "not an address"), ("mailbox",))
        self.server.start()
        self.send(ALICE, BOB, f"carol@{DOMAIN}")
        self.assertTrue(wait_until(lambda: len(self.server.mailbox("alice")) == 1 and self.server.log_text().count("delivery deferred") >= 2, 20))
        self.assertEqual(self.server.mailbox("bob"), [])
        self.assertEqual(self.lines("out"), [])
        self.mailproc("bob", ("external", "0", "20", self.note, "0", "once"), ("external", "0", "20", os.path.join(self.bin, "later")), ("mailbox",))
        self.mailproc("carol", ("mailbox",))
        self.assertTrue(wait_until(lambda: self.lines("out"), 60))
        self.program("later", "exit 0")
        self.drained(60)
        self.assertEqual(self.lines("out"), ["0 once "])
        self.assertEqual([len(self.server.mailbox(u)) for u in ("alice", "bob", "carol")], [1, 1, 1])

    def test_loops(self):
        """Two that redirect to each other, one to itself, and a list in between: the mail ends, its sender is told."""
        self.mailproc("alice", ("redirect", BOB))
        self.mailproc("bob", ("redirect", ALICE))
        self.mailproc("carol", ("mailbox",), ("redirect", f"carol@{DOMAIN}"))
        self.server.start()
        self.send(ALICE, f"carol@{DOMAIN}")
        self.drained()
        self.assertTrue(wait_until(lambda: len(self.sink.messages) == 2, 20))
        self.assertEqual([r for _, r in self.sent()], [["x@far.example"]] * 2)
        self.assertTrue(all(b"loop" in m["data"] for m in self.sink.messages))
        self.assertEqual(len(self.server.mailbox("carol")), 2)

    def test_command_aliases(self):
        self.table(f"cmdaliases/{DOMAIN}/robot.tab", ("external", "0", "20", self.note, "0", "robot", "@@RRCPT", "@@RCPT"), ("redirect", "alice@" + DOMAIN))
        self.table(f"cmdaliases/{DOMAIN}/bob.tab", ("lredirect", "b@far.example"))
        self.table(f"cmdaliases/{DOMAIN}/sink.tab")
        self.server.append("aliases.tab", (DOMAIN, "r2", "robot"))
        self.server.start()
        self.send(f"ROBOT@{DOMAIN}", BOB, f"sink@{DOMAIN}")
        self.drained()
        self.assertEqual(self.lines("out"), [f"0 robot robot@{DOMAIN} ROBOT@{DOMAIN} "])
        self.assertEqual(len(self.server.mailbox("alice")), 1)
        self.assertEqual(self.sent(), [(BOB, ["b@far.example"])])
        self.assertEqual(self.server.mailbox("bob"), [])

    def test_custom_domains(self):
        other = Sink()
        self.addCleanup(other.close)
        self.table("custdomains/cust.example.tab", ("external", "0", "20", self.note, "0", "cust", "@@RCPT"), ("redirect", DOMAIN))
        self.table("custdomains/.parent.example.tab", ("smtprelay", f"127.0.0.1:{other.port},NeedTLS=0"))
        self.table("custdomains/.plain.example.tab", ("smtp",))
        self.server.start()
        self.send("alice@cust.example")
        self.drained()
        self.assertEqual(self.lines("out"), ["0 cust alice@cust.example "])
        self.assertEqual(len(self.server.mailbox("alice")), 1)
        for to in ("a@x.parent.example", "a@x.plain.example"):
            with self.assertRaises(smtplib.SMTPRecipientsRefused):  # no relay for strangers
                self.send(to)
        self.send("a@x.y.parent.example", "b@x.plain.example", sender=ALICE, login=True)
        self.drained()
        self.assertEqual([addresses(m) for m in other.messages], [["a@x.y.parent.example"]])
        self.assertEqual([r for _, r in self.sent()], [["b@x.plain.example"]])

    def test_members_of_a_list(self):
        """Each is filtered and processed as when the mail had come for him alone."""
        add_list(self.server, "team", [(f"{u}@{DOMAIN}", "RW") for u in ("alice", "bob", "carol")], ClosedML="0")
        self.filters("in", (self.program("f", f'echo "$1" >>{self.out()}; exit 4'), "@@RCPT"), select=("*", BOB, *ALL[2:]))
        self.mailproc("carol", ("mailbox",), ("redirect", "c@far.example"))
        self.server.start()
        self.send(f"team@{DOMAIN}")
        self.drained()
        self.assertEqual(self.lines("out"), [BOB])
        self.assertEqual([len(self.server.mailbox(u)) for u in ("alice", "bob", "carol")], [1, 0, 1])
        self.assertEqual(self.sent(), [("x@far.example", ["c@far.example"])])

    def test_by_ctrl(self):
        """What usersetmproc and custdomset write is obeyed; usergetmproc and custdomget give it back."""
        self.server.start()

        def ctrl(*words, text=None):
            command = [PROGRAM, "ctrl", "-s", "127.0.0.1", "-n", str(self.server.ports["ctrl"]), "-u", "admin", "-p", PASSWORD]
            if text is not None:
                with open(self.out("table"), "w", encoding="utf-8") as f:
                    f.write(text)
                command += ["-f", self.out("table")]
            return subprocess.run(command + list(words), capture_output=True, text=True, check=True).stdout
        table = '"mailbox"\n"redirect"\t"a@far.example"\n'
        ctrl("usersetmproc", DOMAIN, "alice", text=table)
        self.assertIn(table.strip(), ctrl("usergetmproc", DOMAIN, "alice").replace("\r\n", "\n"))
        ctrl("custdomset", "cust.example", text=f'"redirect"\t"bob@{DOMAIN}"\n')
        self.assertIn("cust.example", ctrl("custdomlist"))
        self.send(ALICE, "any@cust.example")
        self.drained()
        self.assertEqual(self.sent(), [("x@far.example", ["a@far.example"])])
        self.assertEqual([len(self.server.mailbox(u)) for u in ("alice", "bob")], [1, 1])


if __name__ == "__main__":
    unittest.main()
