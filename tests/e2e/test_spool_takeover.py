"""What XMail left in its spool when it stopped: each message once, with its history, at every start."""
import json
import os
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
