"""sendmail as cron, PHP, mutt and git send-email call it; files in spool/local."""
import email
import email.header
import os
import subprocess
import unittest

from harness import DOMAIN, PROGRAM, Server, wait_until
from sink import Sink
from test_logs import records
from test_relay import FAST, gateway


class Sendmail(unittest.TestCase):
    def call(self, server, *words, text="", code=0, env=None):
        program = os.path.join(server.scratch, "sendmail")
        if not os.path.islink(program):
            os.symlink(PROGRAM, program)
        done = subprocess.run([program, *words], input=text.encode() if isinstance(text, str) else text,
                              capture_output=True, timeout=60, check=False,
                              env={**os.environ, "MAIL_ROOT": server.mailroot, **(env or {})})
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stderr.decode()

    def mail(self, server, user="alice", count=1):
        names = wait_until(lambda: len(server.mailbox(user)) >= count and server.mailbox(user))
        self.assertTrue(names, server.log_text()[-1500:])
        folder = server.path("domains", DOMAIN, user, "Maildir", "new")
        newest = max(names, key=lambda n: os.stat(os.path.join(folder, n)).st_mtime_ns)
        return email.message_from_bytes(server.read(user, newest))

    def test_callers(self):
        with Sink() as sink, gateway(sink) as server:
            to = f"alice@{DOMAIN}"
            with self.subTest("cron"):
                self.call(server, "-FCronDaemon", "-i", "-B8BITMIME", "-oem", to,
                          text=f"From: root (Cron Daemon)\nTo: {to}\nSubject: Cron\n\n.\nout\n")
                m = self.mail(server)
                self.assertEqual(m["Subject"], "Cron")
                self.assertTrue(m.get_payload().startswith(".\nout"))
                self.assertTrue(m["Date"] and m["Message-ID"])
                self.assertIn("root@", m["X-AuthUser"])
            with self.subTest("PHP"):
                self.call(server, "-t", "-i", text=f"To: \"A, B\" <{to}>, (c) x@far.example\nBcc: bob@{DOMAIN},\n"
                          f" y@far.example\nSubject: p\n\nbody\n")
                m = self.mail(server, count=2)
                self.assertIsNone(m["Bcc"])
                self.assertIn("root@", m["From"])
                self.assertEqual(self.mail(server, "bob")["Subject"], "p")
                self.assertTrue(wait_until(lambda: sum(len(s["rcpts"]) for s in sink.messages) == 2))
            with self.subTest("mutt, git"):
                self.call(server, "-oem", "-oi", "-f", "me@far.example", "--", to, text="Subject: m\n\n.\nx\n")
                self.assertEqual(self.mail(server, count=3)["Return-Path"], "<me@far.example>")
            with self.subTest("a dot ends it"):
                self.call(server, to, text="Subject: d\n\none\n.\ntwo\n")
                self.assertEqual(self.mail(server, count=4).get_payload(), "one\n")
            with self.subTest("-ti and CRLF"):
                self.call(server, "-ti", text=f"To: {to}\r\nSubject: c\r\n\r\nline\r\n")
                self.assertEqual(self.mail(server, count=5).get_payload(), "line\n")
            with self.subTest("notices of delivery"):
                del sink.messages[:]
                self.call(server, "-N", "success,delay", "-R", "hdrs", "-V", "e1", "n@far.example", text="x\n")
                self.assertTrue(wait_until(lambda: sink.messages))
                self.assertIn(b" RET=HDRS ENVID=e1", sink.messages[0]["from"])
                self.assertIn(b" NOTIFY=SUCCESS,DELAY", sink.messages[0]["rcpts"][0])
                self.call(server, "-N", "nonsense", "n@far.example", text="x\n", code=67)
                self.call(server, "-V", "a RET=FULL", "n@far.example", text="x\n", code=67)
            self.call(server, text="Subject: x\n\n", code=2)
            self.assertIn("No such user", self.call(server, f"nobody@{DOMAIN}", text="x\n", code=67))
            self.call(server, "--nonsense", to, code=64)

    def test_mutt(self):
        with Server(settings=FAST) as server:
            self.call(server, f"bob@{DOMAIN}", text="Subject: first\n\nx\n")
            rc = os.path.join(server.scratch, "muttrc")
            with open(rc, "w", encoding="utf-8") as f:
                f.write(f'set sendmail="{server.scratch}/sendmail -oem -oi"\nset from="me@{DOMAIN}"\nset use_envelope_from=yes\n'
                        'set copy=no\nset send_charset="utf-8"\n')
            subprocess.run(["mutt", "-n", "-F", rc, "-s", "飛脚", "-b", f"bob@{DOMAIN}", "--", f"alice@{DOMAIN}"], input="本文\n.\nend\n",
                           text=True, timeout=60, check=True, env={**os.environ, "MAIL_ROOT": server.mailroot, "LC_ALL": "C.UTF-8"})
            m = self.mail(server)
            self.assertEqual(str(email.header.make_header(email.header.decode_header(m["Subject"]))), "飛脚")
            self.assertEqual(m.get_payload(decode=True).decode(), "本文\n.\nend\n")
            self.assertEqual(m["Return-Path"], f"<me@{DOMAIN}>")
            self.assertIsNone(m["Bcc"])
            self.mail(server, "bob", count=2)

    def test_without_a_server(self):
        server = Server(settings=FAST, words=["-Ll", "-Lt", "1"])
        self.call(server, f"alice@{DOMAIN}", text="Subject: later\n\n..x\n")
        self.assertEqual(len(os.listdir(server.path("spool", "local"))), 1)
        with server:
            m = self.mail(server)
            self.assertEqual((m["Subject"], m.get_payload()), ("later", "..x\n"))
            self.assertEqual(os.listdir(server.path("spool", "local")), [])
            self.assertEqual([len(r) for r in records(server, "lmail")], [4])

    def test_files_of_old_scripts(self):
        with Sink() as sink, gateway(sink) as server:
            def drop(name, text):
                with open(server.path("spool", "temp", name), "wb") as f:
                    f.write(text)
                os.rename(server.path("spool", "temp", name), server.path("spool", "local", name))
            drop("1", b"mail from:<a@far.example>\r\nrcpt to:<alice@" + DOMAIN.encode() + b">\r\n"
                 b"rcpt to:<x@far.example>\r\n\r\nSubject: old\r\n\r\n.dot\r\nbare\rcr\x00\r\n")
            drop("2", b"nonsense\r\n")
            drop("3", b"mail from:<>\nrcpt to:<nobody@" + DOMAIN.encode() + b">\n\nSubject: n\n\nx\n")
            def old():
                return [n for n in server.mailbox("alice") if b"Subject: old" in server.read("alice", n)]
            name, = wait_until(old)
            self.assertTrue(server.read("alice", name).endswith(b"\n\n.dot\nbare\ncr\n"))
            self.assertTrue(wait_until(lambda: sink.messages))
            self.assertTrue(sink.messages[0]["data"].endswith(b"\r\n.dot\r\nbare\r\ncr\r\n"))
            self.assertTrue(wait_until(lambda: os.path.exists(server.path("spool", "local-damaged", "2"))))
            self.assertTrue(wait_until(lambda: os.listdir(server.path("spool", "local")) == []))
            self.assertTrue(wait_until(lambda: len(server.mailbox("alice")) == 2))  # the double bounce of 3 is PostMaster's


if __name__ == "__main__":
    unittest.main()
