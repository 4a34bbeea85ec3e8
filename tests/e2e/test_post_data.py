"""filters.post-data.tab: what programs see of a message, what they change, how they misbehave; nothing is lost or delivered before."""
import glob
import os
import smtplib
import socket
import threading
import unittest

from filter_case import ALICE, BOB, MESSAGE, FilterCase
from harness import DOMAIN, PASSWORD, replace, wait_until

# A filter that puts a field in front of the message's header, in the form that its line ends have.
ADD_FIELD = r'''awk '{ print } /^<<MAIL-DATA>>/ { printf "X-Seen: yes%s\n", END_CR }' END_CR="$2" "$1" >"$1.n" && mv "$1.n" "$1"'''


class PostData(FilterCase):
    def message(self, user, count=1):
        self.assertTrue(wait_until(lambda: len(self.server.mailbox(user)) >= count, 20), user)
        return self.server.read(user, self.server.mailbox(user)[-1])

    def empty(self, *users):
        for user in users:
            for name in self.server.mailbox(user):
                os.remove(self.server.path("domains", DOMAIN, user, "Maildir/new", name))

    def test_what_they_see(self):
        out = os.path.join(self.server.scratch, "out")
        show = self.program("show", f'cat "$1" >{out}; shift; printf "[%s]" "$@" >{out}.args')
        self.server.append("aliases.tab", (DOMAIN, "ally", "alice"))
        self.table("post-data", (show, "@@FILE", "@@FROM", "@@CRCPT", "@@USERAUTH"))
        self.server.start()
        self.assertEqual(self.codes(f"ally@{DOMAIN}", BOB, message="Subject: t\r\n\r\n.dot\r\n..\r\nx\r\n"), [250, 250, 250, 250])
        with open(out, "rb") as f:
            head, data = f.read().split(b"<<MAIL-DATA>>\r\n")
        lines = head.decode().split("\r\n")
        self.assertRegex(lines[0], r"^me.example;\[127.0.0.1\]:\d+;mail.test.example;\[127.0.0.1\]:\d+;[^;]+;Hikyaku$")
        self.assertEqual(lines[1], "mail.test.example")
        self.assertEqual(lines[3:], ["MAIL FROM:<x@far.example>", f"RCPT TO:<ally@{DOMAIN}> {{ra={ALICE}}}", f"RCPT TO:<{BOB}> {{ra={BOB}}}", ""])
        self.assertTrue(data.startswith(b"Received: from me.example"), data)
        self.assertIn(b"id " + lines[2].encode(), data)
        self.assertTrue(data.endswith(b"Subject: t\r\n\r\n..dot\r\n...\r\nx\r\n"), data)
        self.assertEqual(data.count(b"\n"), data.count(b"\r\n"))
        with open(out + ".args", encoding="utf-8") as f:
            self.assertEqual(f.read(), "[x@far.example][][-]")
        for user in ("alice", "bob"):
            self.assertTrue(self.message(user).endswith(b"Subject: t\n\n.dot\n..\nx\n"))
        self.assertTrue(wait_until(lambda: not glob.glob(self.server.path("hikyaku/filter/*")), 5))

    def test_verdicts(self):
        rows = [  # script, the code after the message
            ("exit 0", 250), ("exit 3", 550), ("exit 19", 550), ("exit 7", 250), ("exit 16", 250), ("exit 99", 250),
            ('echo "451 4.7.1 come back" >"$1.rej"; exit 3', 451), ('echo "554 no" >"$1.rej"; exit 19', 554),
            ('echo "550 unused" >"$1.rej"; exit 0', 250), ('mkfifo "$1.rej"; exit 3', 550),
        ]
        self.program("f", "exit 0")
        self.table("post-data", (os.path.join(self.bin, "f"), "@@FILE"))
        self.server.start()
        for script, code in rows:
            with self.subTest(script=script):
                self.empty("alice")
                self.program("f", script)
                self.assertEqual(self.codes(ALICE)[-1], code)
                self.assertEqual(len(self.server.mailbox("alice")), code == 250)
        self.program("f", 'echo "451 4.7.1 come back" >"$1.rej"; exit 3')
        self.assertIn("come back", self.say(ALICE)[-1][1])
        self.assertIn("refused by a filter", self.server.log_text())

    def test_order_and_end(self):
        out = os.path.join(self.server.scratch, "out")
        say = self.program("say", f'echo "$1" >>{out}; exit "$2"')
        self.table("post-data", ("!aex", say, "one", "0"), (say, "two", "7"), (say, "three", "16"), (say, "four", "3"))
        self.server.start()
        self.assertEqual(self.codes(ALICE)[-1], 250)
        self.assertEqual(self.codes(ALICE, login=True, sender=ALICE)[-1], 250)
        with open(out, encoding="utf-8") as f:
            self.assertEqual(f.read().split(), ["one", "two", "three", "two", "three"])

    def test_changes(self):
        """What a filter makes of FILE is used: in a mailbox, in a queue entry, by the filter behind it; any change shows."""
        second = self.program("second", 'sed "s/^Subject: t/Subject: changed/" "$1" >"$1.n"; grep -q X-Seen "$1" && mv "$1.n" "$1"')
        first = self.program("first", ADD_FIELD)
        for cr in ("\r", ""):
            self.table("post-data", (first, "@@FILE", cr), (second, "@@FILE"))
            if self.server.process is None:
                self.server.start()
            for rcpts in ((ALICE,), (ALICE, BOB)):
                with self.subTest(cr=cr, rcpts=rcpts):
                    self.empty("alice", "bob")
                    self.assertTrue(wait_until(lambda: self.codes(*rcpts)[-1] == 250, 10))
                    text = self.message("alice")
                    self.assertIn(b"X-Seen: yes\nReceived: ", text)
                    self.assertIn(b"\nSubject: changed\n\nx\n", text)
                    self.assertNotIn(b"\r", text)
                    self.assertTrue(text.startswith(b"Return-Path: <x@far.example>\nDelivered-To: alice@test.example\n"))
        # The same size, the same time: it counts all the same.
        self.program("first", 'touch -r "$1" "$1.t"; sed -i "s/^x/y/" "$1"; touch -r "$1.t" "$1"; rm "$1.t"')
        self.table("post-data", (first, "@@FILE"))
        self.empty("alice")

        def seen():
            return self.codes(ALICE)[-1] == 250 and self.message("alice").endswith(b"Subject: t\n\ny\n")
        self.assertTrue(wait_until(seen, 10))

    def test_external_alias(self):
        """What a delivery adds is added to what filters have left."""
        self.server.append("extaliases.tab", ("far.example", "x", DOMAIN, "bob"))
        self.table("post-data", (self.program("f", ADD_FIELD), "@@FILE"))
        self.server.start()
        self.assertEqual(self.codes(ALICE)[-1], 250)
        text = self.message("alice")
        self.assertTrue(text.startswith(b"Return-Path: <bob@test.example>\n"), text)
        self.assertIn(b"\nSubject: t\nReply-To: bob@test.example\n\nx\n", text)

    def test_broken_files(self):
        """FILE that can't be used: the message isn't lost, nor changed; FilterFailure decides."""
        rows = ['rm "$1"', 'echo broken >"$1"', ': >"$1"', 'head -c -1 "$1" >"$1.n"; mv "$1.n" "$1"', 'head -c 100 "$1" >"$1.n"; mv "$1.n" "$1"',
                'sed -i "s/^MAIL FROM.*/MAIL FROM:<y@far.example>\\r/" "$1"', 'sed -i "/^RCPT TO/d" "$1"',
                'sed -i "s/^RCPT TO.*/&\\nRCPT TO:<z@far.example>\\r/" "$1"', 'printf ".\\r\\nMAIL FROM:<>\\r\\n" >>"$1"', 'printf "a\\rb\\r\\n" >>"$1"',
                'printf "a\\000b\\r\\n" >>"$1"', 'ln -sf /etc/passwd "$1"', 'rm "$1"; mkfifo "$1"', 'rm "$1"; mkdir "$1"; exit 0',
                'sed -i "/^<<MAIL-DATA>>/q" "$1"', 'head -c 1000000000 /dev/zero >"$1"', 'kill -9 $$', 'sed -i "s/^x/y/" "$1"; kill -SEGV $$', "exec no-such-thing"]
        self.program("f", "exit 0")
        self.table("post-data", ("!timeo=60", os.path.join(self.bin, "f"), "@@FILE"), (self.program("g", 'grep -q "^x" "$1" || exit 3'), "@@FILE"))
        self.server.start()
        for failure, code in (("defer", 451), ("pass", 250)):
            self.server.set(FilterFailure=failure)
            self.program("f", "kill -9 $$")
            self.assertTrue(wait_until(lambda: self.codes(ALICE)[-1] == code, 20))
            for script in rows:
                if script == "exec no-such-thing" and failure == "pass":
                    continue
                with self.subTest(script=script, failure=failure):
                    self.empty("alice")
                    self.program("f", script)
                    code_now = 250 if script == "exec no-such-thing" else code
                    got = self.codes(ALICE)[-1]
                    self.assertIn(got, (code_now, 451) if script == "exec no-such-thing" else (code_now,))
                    self.assertEqual(len(self.server.mailbox("alice")), got == 250)
                    if got == 250:
                        self.assertTrue(self.message("alice").endswith(b"Subject: t\n\nx\n"))
        for path in glob.glob(self.server.path("hikyaku/filter/*")):
            self.assertTrue(os.path.isdir(path) or path.endswith(".n"), path)

    def test_bdat(self):
        self.table("post-data", (self.program("f", 'grep -q evil "$1" && exit 3; ' + ADD_FIELD), "@@FILE"))
        self.server.start()
        c = smtplib.SMTP("127.0.0.1", self.server.ports["smtp"], "me.example", timeout=60)
        self.addCleanup(c.close)
        c.ehlo()
        self.assertTrue(c.has_extn("chunking"))
        for word, code in ((b"evil", 550), (b"good", 250)):
            c.mail("x@far.example")
            c.rcpt(ALICE)
            text = b"Subject: t\r\n\r\n.a\r\n" + word + b"\r\n"
            c.send(b"BDAT 14\r\n" + text[:14])
            self.assertEqual(c.getreply()[0], 250)
            c.send(b"BDAT %d LAST\r\n" % (len(text) - 14) + text[14:] + b"NOOP\r\n")
            self.assertEqual(c.getreply()[0], code)
            self.assertEqual(c.getreply()[0], 250)
        self.assertTrue(self.message("alice").endswith(b"Subject: t\n\n.a\ngood\n"))
        self.assertIn(b"X-Seen", self.message("alice"))
        # Given up between two chunks: nothing stays.
        c.mail("x@far.example")
        c.rcpt(ALICE)
        c.send(b"BDAT 4\r\nabcd")
        self.assertEqual(c.getreply()[0], 250)
        self.assertEqual(c.rset()[0], 250)
        self.assertEqual(len(self.server.mailbox("alice")), 1)

    def test_own_users(self):
        """Date and Message-ID that are missing are there before filters see the message."""
        out = os.path.join(self.server.scratch, "out")
        self.table("post-data", (self.program("f", f'cat "$1" >{out}'), "@@FILE"))
        self.server.start()
        self.assertEqual(self.codes(BOB, login=True, sender=ALICE)[-1], 250)
        with open(out, "rb") as f:
            text = f.read()
        self.assertEqual((text.count(b"\r\nDate: "), text.count(b"\r\nMessage-ID: <"), text.count(b"Delivered-To")), (1, 1, 0))
        text = self.message("bob")
        self.assertEqual((text.count(b"\nDate: "), text.count(b"\nMessage-ID: <"), text.count(b"Delivered-To")), (1, 1, 1))
        self.assertIn(b"\nX-AuthUser: " + ALICE.encode(), text)

    def test_large(self):
        """A large message goes through the disk; the role's memory doesn't grow with it."""
        self.server.set(MaxMessageSize="200000")
        self.server.env["ASAN_OPTIONS"] = self.server.env.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"
        self.table("post-data", (self.program("f", ADD_FIELD), "@@FILE"))
        self.server.start()
        smtpd = self.server.role_pid("smtpd")

        def peak():
            with open(f"/proc/{smtpd}/status", encoding="ascii") as f:
                return next(int(x.split()[1]) for x in f if x.startswith("VmHWM"))
        self.assertEqual(self.codes(ALICE)[-1], 250)
        before = peak()
        line = ".123456789" * 7 + "\r\n"
        self.assertEqual(self.codes(ALICE, BOB, message="Subject: t\r\n\r\n" + line * 500000)[-1], 250)
        self.assertLess(peak() - before, 20000)
        for user in ("alice", "bob"):
            self.assertTrue(wait_until(lambda u=user: any(len(self.server.read(u, n)) > 30000000 for n in self.server.mailbox(u)), 60))

    def test_nobody_sees_it_meanwhile(self):
        """While a filter runs the message is in no mailbox and no queue; when the server dies the client has had no 250."""
        go = os.path.join(self.server.scratch, "go")
        self.table("post-data", ("!timeo=60", self.program("f", f'echo >{go}.began; while [ ! -e {go} ]; do sleep 0.1; done')))
        self.server.start()
        results = []

        def one(*rcpts):
            try:
                results.append(self.codes(*rcpts)[-1])
            except (OSError, smtplib.SMTPException):
                results.append(None)
        threads = [threading.Thread(target=one, args=rcpts) for rcpts in ((ALICE,), (ALICE, BOB))]
        for t in threads:
            t.start()
        self.assertTrue(wait_until(lambda: os.path.exists(go + ".began"), 20))
        self.assertEqual(self.server.mailbox("alice") + glob.glob(self.server.path("queue/??/*")), [])
        self.assertEqual(self.codes(ALICE, data=False), [250, 250])  # others are served
        self.server.kill()
        for t in threads:
            t.join()
        self.assertEqual(results, [None, None])
        with open(go, "w", encoding="ascii"):
            pass
        self.server.start()
        self.assertEqual(self.server.mailbox("alice"), [])
        self.assertEqual(glob.glob(self.server.path("hikyaku/filter/*")), [])
        self.assertTrue(wait_until(lambda: self.codes(ALICE)[-1] == 250, 20))

    def test_client_goes_away(self):
        """A client that doesn't wait for the reply: its message is dropped, the program's end finds nobody."""
        out = os.path.join(self.server.scratch, "out")
        self.table("post-data", (self.program("f", f"sleep 1; echo >>{out}"),))
        self.server.start()
        c = smtplib.SMTP("127.0.0.1", self.server.ports["smtp"], "me.example", timeout=60)
        c.ehlo()
        c.mail("x@far.example")
        c.rcpt(ALICE)
        c.docmd("DATA")
        c.send(MESSAGE.encode() + b".\r\n")
        c.close()
        self.assertTrue(wait_until(lambda: os.path.exists(out), 20))
        self.assertTrue(wait_until(lambda: not glob.glob(self.server.path("hikyaku/filter/*")), 20))
        self.assertEqual(self.codes(BOB)[-1], 250)

    def test_many_wait(self):
        """A thousand sessions wait for their filters, and others are served."""
        go = os.path.join(self.server.scratch, "go")
        self.server.set(MaxPrograms="8")
        self.table("post-data", ("!aex,timeo=100", self.program("f", f"while [ ! -e {go} ]; do sleep 0.1; done")))
        self.server.start()
        waiting = []
        for _ in range(1000):
            c = socket.create_connection(("127.0.0.1", self.server.ports["smtp"]), 120)
            self.addCleanup(c.close)
            c.sendall(b"EHLO me.example\r\nMAIL FROM:<x@far.example>\r\nRCPT TO:<" + ALICE.encode() + b">\r\nDATA\r\n")
            waiting.append(c)
        for c in waiting:
            f = c.makefile("rb")
            while not f.readline().startswith(b"354"):
                pass
            c.sendall(MESSAGE.encode() + b".\r\n")
        self.assertEqual(self.codes(BOB, login=True, sender=ALICE)[-1], 250)
        with open(f"/proc/{self.server.role_pid('smtpd')}/status", encoding="ascii") as f:
            threads = next(int(x.split()[1]) for x in f if x.startswith("Threads"))
        self.assertLess(threads, 100)
        with open(go, "w", encoding="ascii"):
            pass
        self.assertEqual({c.recv(3) for c in waiting}, {b"250"})
        self.assertEqual(len(self.server.mailbox("alice")), 1000)


if __name__ == "__main__":
    unittest.main()
