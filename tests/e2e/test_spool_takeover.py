"""What XMail left in its spool when it stopped: each message once, with its history, at every start."""
import json
import os
import smtplib
import subprocess
import time
import unittest

from harness import DOMAIN, PROGRAM, Server, wait_until
from sink import Sink
from xmail_spool import SLOG, left, make_spool, put, spool_text

MESSAGE = "Received: from x\nSubject: {}\n\nhello\n.one dot\n..two\n.\nend\n"


def run(*words):
    return subprocess.run([PROGRAM, *words], capture_output=True, text=True, timeout=60)


class SpoolTakeover(unittest.TestCase):
    def server(self, **settings):
        s = Server(settings=settings)
        self.addCleanup(s.close)
        make_spool(s.mailroot)
        return s

    def queue(self, server, *words):
        out = run("queue", "list", "--json", "--mailroot", server.mailroot, *words)
        return json.loads(out.stdout)

    def test_local_mail_is_delivered_once_and_unstuffed(self):
        s = self.server()
        put(s.mailroot, "mess", "1764000000123.1.2.host",
            spool_text("s@far.example", [f"alice@{DOMAIN}", f"bob@{DOMAIN}"], MESSAGE.format("both")))
        put(s.mailroot, "mess", "1764000000124.1.2.host", spool_text("", ["alice@" + DOMAIN],
                                                                     MESSAGE.format("null"), info=None), "1/0")
        s.start()
        self.assertTrue(wait_until(lambda: len(s.mailbox("alice")) == 2 and len(s.mailbox("bob")) == 1))
        self.assertTrue(s.read("bob", s.mailbox("bob")[0]).endswith(MESSAGE.format("both").encode()))
        self.assertEqual(left(s.mailroot), [])
        self.assertTrue(wait_until(lambda: self.queue(s) == []))
        s.stop()
        s.start()
        time.sleep(0.5)
        self.assertEqual((len(s.mailbox("alice")), len(s.mailbox("bob"))), (2, 1))

    def test_mail_of_spool_local_is_not_stuffed(self):
        """XMail keeps what it took from spool/local as it was: a line .x lies there as .x."""
        s = self.server()
        text = spool_text("s@far.example", ["alice@" + DOMAIN], "Subject: plain\n\n") + b".x\r\n..y\r\nno end"
        put(s.mailroot, "mess", "1764000000123.1.2.host", text)
        s.start()
        self.assertTrue(wait_until(lambda: s.mailbox("alice")))
        self.assertTrue(s.read("alice", s.mailbox("alice")[0]).endswith(b"\n\n.x\n..y\nno end\n"))

    def test_history_tries_and_frozen(self):
        s = self.server(DefaultSMTPGateways="127.0.0.1:1")
        now = int(time.time())
        name, frozen = f"{now - 600}000.1.2.host", f"{now - 900}000.1.3.host"
        put(s.mailroot, "rsnd", name, spool_text("s@far.example", ["r@far.example"], MESSAGE.format("later")))
        put(s.mailroot, "slog", name, SLOG.format(first=now - 500, second=now - 20).encode())
        put(s.mailroot, "froz", frozen, spool_text("s@far.example", ["r2@far.example"], MESSAGE.format("ice")))
        put(s.mailroot, "slog", frozen, b"something in a form of its own\n550 5.1.1 no such user\n")
        put(s.mailroot, "lock", name, b"")
        s.start()
        [waiting] = self.queue(s)
        self.assertEqual(waiting["tries"], 2)
        self.assertAlmostEqual(waiting["next_try"], now - 20 + 480 + 30, delta=2)
        self.assertIn("452 4.2.2 still full", waiting["recipients"][0]["reason"])
        [ice] = self.queue(s, "--frozen")
        self.assertIn("550 5.1.1 no such user", ice["recipients"][0]["reason"])
        shown = run("queue", "show", "--mailroot", s.mailroot, waiting["id"]).stdout
        self.assertIn("451 4.7.1 try later", shown)
        self.assertIn(name, shown)
        self.assertEqual(left(s.mailroot), [])
        traced = run("trace", "--mailroot", s.mailroot, waiting["id"])
        self.assertIn("XMail's spool", traced.stdout)

    def test_relayed_once(self):
        sink = Sink({})
        self.addCleanup(sink.close)
        s = self.server(DefaultSMTPGateways=f"127.0.0.1:{sink.port}")
        for i in range(3):
            put(s.mailroot, "mess", f"176400000012{i}.1.2.host",
                spool_text("s@far.example", ["r@far.example"], MESSAGE.format(i)))
        s.start()
        self.assertTrue(wait_until(lambda: self.queue(s) == [] and len(sink.messages) == 3))

    def test_hostile_and_damaged_files(self):
        s = self.server()
        good = spool_text("s@far.example", ["alice@" + DOMAIN], MESSAGE.format("good"))
        odd_names = ["a\nb", "n" * 255, "..x", "%s%n", "-rf"]
        for name in odd_names:
            put(s.mailroot, "mess", name, good)
        bad = {"empty": b"", "cut": good[:60], "text": b"hello\n" * 1000, "nul": b"\0" * 100000,
               "rcpt": good.replace(b"RCPT TO:<alice", b"RCPT TO:<\x01")}
        for name, text in bad.items():
            put(s.mailroot, "rsnd", name, text)
        mess = s.path("spool", "0", "1", "mess")
        os.mkfifo(os.path.join(mess, "fifo"))
        os.symlink("/etc/passwd", os.path.join(mess, "link"))
        os.mkdir(os.path.join(mess, "folder"))
        os.symlink(s.path("spool", "0"), s.path("spool", "7"))
        s.start()
        self.assertTrue(wait_until(lambda: len(s.mailbox("alice")) == len(odd_names)))
        self.assertEqual(sorted(os.path.basename(p) for p in left(s.mailroot, "queue/damaged")), sorted(bad))
        for name, text in bad.items():
            with open(s.path("queue", "damaged", "xmail", "0", "1", "rsnd", name), "rb") as f:
                self.assertEqual(f.read(), text)
        self.assertEqual(sorted(os.listdir(mess)), ["fifo", "folder", "link"])

    def test_processing_that_had_begun_is_held(self):
        s = self.server()
        with open(s.path("domains", DOMAIN, "alice", "mailproc.tab"), "w") as f:
            f.write('"mailbox"\n')
        for user, name, rest in (("alice", "1764000000123.1.1.h", b'"mailbox"\r\n'),
                                 ("bob", "1764000000124.1.1.h", b'"redirect"\t"x@far.example"\n')):
            put(s.mailroot, "mess", name, spool_text("s@far.example", [f"{user}@{DOMAIN}"], MESSAGE.format(user)))
            put(s.mailroot, "mprc", name, rest)
        s.start()
        self.assertTrue(wait_until(lambda: s.mailbox("alice")))
        [held] = self.queue(s)
        self.assertTrue(held["held"])
        self.assertEqual(s.mailbox("bob"), [])
        run("queue", "release", "--mailroot", s.mailroot, held["id"])
        self.assertTrue(wait_until(lambda: s.mailbox("bob")))

    def commands(self, s, path, *rows):
        os.makedirs(os.path.dirname(s.path(path)), exist_ok=True)
        with open(s.path(path), "w", encoding="utf-8") as f:
            f.writelines("\t".join(f'"{v}"' for v in row) + "\n" for row in rows)

    def test_processing_goes_on_behind_what_is_done(self):
        sink = Sink({})
        self.addCleanup(sink.close)
        s = self.server(DefaultSMTPGateways=f"127.0.0.1:{sink.port}")
        ran = os.path.join(s.scratch, "ran")
        note = ("external", "0", "20", "/bin/sh", "-c", f"echo $0 >>{ran}", "@@RCPT")
        send = ("redirect", "r@far.example")
        self.commands(s, f"domains/{DOMAIN}/alice/mailproc.tab", note, ("mailbox",), note, send)
        self.commands(s, f"domains/{DOMAIN}/bob/mailproc.tab", note, ("mailbox",), send)
        self.commands(s, "custdomains/cust.example.tab", note, send)

        def line(row):
            return "\t".join(f'"{v}"' for v in row) + "\r\n"
        for number, (to, part, rest) in enumerate(((f"alice@{DOMAIN}", "mprc", line(("mailbox",)) + line(note) + line(send)),
                                                   (f"bob@{DOMAIN}", "mprc", line(send)), ("x@cust.example", "cust", line(send)))):
            name = f"176400000012{number}.1.1.h"
            put(s.mailroot, "mess", name, spool_text("s@far.example", [to], MESSAGE.format(to)))
            put(s.mailroot, part, name, rest.encode())
        s.start()
        self.assertTrue(wait_until(lambda: len(sink.messages) == 3 and self.queue(s) == [], 40), s.log_text()[-3000:])
        self.assertEqual((len(s.mailbox("alice")), len(s.mailbox("bob"))), (1, 0))
        with open(ran, encoding="utf-8") as f:
            self.assertEqual(f.read(), f"alice@{DOMAIN}\n")
        # Lines of one table, where another one has lines too: that was all of it, or not.
        s.stop()
        self.commands(s, f"domains/{DOMAIN}/mailproc.tab", note, ("mailbox",))
        put(s.mailroot, "mess", "1764000000129.1.1.h", spool_text("s@far.example", [f"bob@{DOMAIN}"], MESSAGE.format("x")))
        put(s.mailroot, "mprc", "1764000000129.1.1.h", line(("mailbox",)).encode())
        s.start()
        self.assertTrue(wait_until(lambda: [e["held"] for e in self.queue(s)] == [True]))

    def test_what_was_done_is_told_to_xmail(self):
        sink = Sink({"MAIL": "451 4.7.1 later"})
        self.addCleanup(sink.close)
        s = self.server(DefaultSMTPGateways=f"127.0.0.1:{sink.port}", RetryFirst="600")
        program = os.path.join(s.scratch, "program")
        send, run_it = ("redirect", "z@far.example"), ("external", "0", "20", program)
        self.commands(s, f"domains/{DOMAIN}/alice/mailproc.tab", send, run_it, ("mailbox",))
        self.commands(s, f"domains/{DOMAIN}/bob/mailproc.tab", ("smtprelay", f"127.0.0.1:{sink.port}"))
        s.start()
        with smtplib.SMTP("127.0.0.1", s.ports["smtp"], timeout=60) as c:
            c.sendmail("s@far.example", [f"alice@{DOMAIN}", f"bob@{DOMAIN}"], "Subject: t\r\n\r\nx\r\n")

        def waiting():
            return sorted((e["recipients"][0]["address"], e["tries"] > 0) for e in self.queue(s))
        self.assertTrue(wait_until(lambda: len(waiting()) == 3 and all(tried for _, tried in waiting()), 40), waiting())
        s.stop()
        out = run("export-spool", "--mailroot", s.mailroot)
        self.assertEqual(out.returncode, 0, out.stderr)
        self.assertIn("became 3 files in spool/0/0, 1 of them frozen", out.stdout)
        self.assertIn(f"frozen: it was to be handed to 127.0.0.1:{sink.port}", out.stdout)
        [mprc] = os.listdir(s.path("spool/0/0/mprc"))
        with open(s.path("spool/0/0/mprc", mprc), encoding="utf-8") as f:
            self.assertEqual(f.read().splitlines(), [f'"external"\t"0"\t"20"\t"{program}"', '"mailbox"'])
        with open(s.path("spool/0/0/mess", mprc), "rb") as f:
            self.assertIn(f"RCPT TO:<alice@{DOMAIN}>".encode(), f.read())
        [slog] = os.listdir(s.path("spool/0/0/slog"))
        self.assertEqual(os.listdir(s.path("spool/0/0/froz")), [slog])
        # And back: what was sent on isn't sent on again.
        with open(program, "w", encoding="utf-8") as f:
            f.write("#!/bin/sh\n")
        os.chmod(program, 0o700)
        sink.script.clear()
        sink.messages.clear()
        s.start()
        self.assertTrue(wait_until(lambda: self.queue(s) == [], 40), s.log_text()[-3000:])
        self.assertEqual((len(s.mailbox("alice")), len(sink.messages)), (1, 1))
        self.assertIn(b"<z@far.example>", sink.messages[0]["rcpts"][0])

    def test_not_while_xmail_runs(self):
        s = self.server()
        name = "1764000000123.1.2.host"
        path = put(s.mailroot, "mess", name, spool_text("s@far.example", ["alice@" + DOMAIN], "Subject: x\n\n"))
        fake = os.path.join(s.scratch, "XMail")
        subprocess.run(["cp", "/bin/sleep", fake], check=True)
        xmail = subprocess.Popen([fake, "60"], env={"MAIL_ROOT": s.mailroot})
        try:
            with open(s.path("XMail.pid"), "w") as f:
                f.write(f"{xmail.pid}\n")
            with self.assertRaises(RuntimeError):
                s.start()
            self.assertIn("XMail runs on this MailRoot", s.log_text())
            self.assertTrue(os.path.exists(path))
        finally:
            xmail.kill()
            xmail.wait()
        s.start()
        self.assertTrue(wait_until(lambda: s.mailbox("alice")))


if __name__ == "__main__":
    unittest.main()
