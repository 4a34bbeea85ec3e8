"""Milters: what they are told, what they do to messages, how they fail; and those of Debian, where they are installed."""
import os
import shutil
import socket
import struct
import subprocess
import unittest

from filter_case import ALICE, BOB, FilterCase
from harness import DOMAIN, free_ports, wait_until
from milter import CONTINUE, Milter, edit, text

GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"


class Milters(FilterCase):
    def milter(self, **words):
        m = Milter(**words)
        self.addCleanup(m.close)
        return m

    def use(self, m, stage="post-data", flags="timeo=20"):
        self.table(stage, (f"!milter,{flags}", m if isinstance(m, str) else m.where))
        if self.server.process is None:
            self.server.start()

    def delivered(self, user="alice"):
        self.assertTrue(wait_until(lambda: self.server.mailbox(user), 20))
        name = self.server.mailbox(user)[0]
        data = self.server.read(user, name)
        os.remove(self.server.path("domains", DOMAIN, user, "Maildir/new", name))
        return data

    def test_what_it_is_told(self):
        m = self.milter(path=os.path.join(self.server.scratch, "m.sock"))
        self.use(m)
        body = "".join(f".line {i}\r\n" for i in range(20000))
        self.assertEqual(self.codes(ALICE, BOB, login=True, sender=ALICE,
                                    message="Subject: a\r\n\tb\r\nX: y\r\nDate: d\r\nMessage-ID: <m>\r\n\r\n" + body)[-1], 250)
        self.assertRegex(m.told(b"C")[0], rb"^\[127\.0\.0\.1\]\x004..127\.0\.0\.1\x00$")
        self.assertEqual(m.told(b"H"), [b"me.example\0"])
        self.assertEqual(m.told(b"M"), [b"<alice@test.example>\0"])
        self.assertEqual(m.told(b"R"), [b"<alice@test.example>\0", b"<bob@test.example>\0"])
        self.assertEqual(m.told(b"L")[-4:], [b"Subject\0a\n\tb\0", b"X\0y\0", b"Date\0d\0", b"Message-ID\0<m>\0"])
        self.assertFalse(any(x.startswith(b"Received\0") for x in m.told(b"L")))
        self.assertEqual(b"".join(m.told(b"B")), body.encode())
        self.assertTrue(all(len(x) <= 65535 for x in m.told(b"B")))
        self.assertIn(b"{auth_authen}\0alice@test.example\0", b"".join(m.told(b"D")))
        self.assertEqual([k for k, _ in m.heard[-1] if k not in b"DLBR"], [b"O", b"C", b"H", b"M", b"T", b"N", b"E", b"Q"])
        text_kept = self.delivered()
        self.assertTrue(text_kept.endswith(body.replace("\r", "").encode()))
        # What it doesn't want to be told, and doesn't answer.
        m.protocol = 0x1 | 0x2 | 0x10 | 0x200 | 0x80 | 0x8000 | 0x40000
        self.assertEqual(self.codes(ALICE)[-1], 250)
        self.assertEqual([k for k, _ in m.heard[-1] if k != b"D"], [b"O", b"M", b"R", b"L", b"N", b"E", b"Q"])

    def test_verdicts(self):
        m = self.milter()
        self.use(m)
        rows = [  # when, answers, code, delivered
            (b"E", [b"a"], 250, 1), (b"E", [b"r"], 550, 0), (b"E", [b"t"], 451, 0), (b"E", [b"d"], 250, 0),
            (b"E", [b"p", b"p", b"y" + text("554 5.7.1 spam")], 554, 0), (b"C", [b"a"], 250, 1), (b"C", [b"r"], 550, 0), (b"H", [b"t"], 451, 0),
            (b"M", [b"y" + text("450 4.7.1 grey")], 450, 0), (b"R", [b"r"], 550, 0), (b"T", [b"r"], 550, 0), (b"L", [b"r"], 550, 0),
            (b"N", [b"d"], 250, 0), (b"B", [b"s"], 250, 1), (b"B", [b"y" + text("550 5.6.0 no")], 550, 0),
        ]
        for when, answers, code, delivered in rows:
            for rcpts in ((ALICE,), (ALICE, BOB)):
                with self.subTest(when=when, answers=answers, rcpts=rcpts):
                    m.answers = {when: answers}
                    self.assertEqual(self.codes(*rcpts)[-1], code)
                    if delivered:
                        self.assertTrue(self.delivered().endswith(b"Subject: t\n\nx\n"))
                        if len(rcpts) > 1:
                            self.delivered("bob")
                    self.assertEqual(self.server.mailbox("alice"), [])
        m.answers = {b"E": [b"y" + text("554 5.7.1 spam found")]}
        self.assertEqual(self.say(ALICE)[-1], (554, "5.7.1 spam found"))
        m.answers = {b"E": [b"d"]}
        self.codes(ALICE)
        self.assertTrue(wait_until(lambda: "message discarded by a filter" in self.server.log_text(), 10))

    def test_changes(self):
        m = self.milter()
        self.use(m)
        rows = [  # edits, the message behind our Received
            ([edit(b"h", "X-A", "1")], b"Subject: t\nX-A: 1\n\nx\n"),
            ([edit(b"i", "X-A", "1\n2", 1)], b"X-A: 1\n\t2\nSubject: t\n\nx\n"),
            ([edit(b"m", "Subject", "u", 1), edit(b"h", ".X", "y")], b"Subject: u\n.X: y\n\nx\n"),
            ([edit(b"m", "Subject", "", 1), edit(b"h", "A", "b")], b"A: b\n\nx\n"),
            ([b"b.new\r\n", b"b\r\nbody", b"b\r\n."], b"Subject: t\n\n.new\n\nbody\n.\n"),
            ([edit(b"h", "X", "a\r\n\r\nbody\r\n.\r\n")], b"Subject: t\nX: a\n\tbody\n\t.\n\nx\n"),
        ]
        for edits, expected in rows:
            with self.subTest(edits=edits):
                m.answers = {b"E": edits + [CONTINUE]}
                self.assertEqual(self.codes(ALICE)[-1], 250)
                data = self.delivered()
                self.assertTrue(data.endswith(b"\n" + expected), data)
                self.assertIn(b"Received: from me.example", data)
        m.answers = {b"E": [edit(b"i", "X-Top", "1", 0), CONTINUE]}
        self.assertEqual(self.codes(ALICE)[-1], 250)
        self.assertIn(b"Delivered-To: alice@test.example\nX-Top: 1\nReceived: ", self.delivered())
        # The edits of a message that is refused count for nothing; a filter behind the milter sees those of others.
        seen = os.path.join(self.server.scratch, "seen")
        self.table("post-data", ("!milter", m.where), (self.program("f", f'cat "$1" >{seen}'), "@@FILE"))

        def shown():
            return self.codes(ALICE)[-1] == 250 and os.path.exists(seen)
        self.assertTrue(wait_until(shown, 20))
        with open(seen, "rb") as f:
            self.assertIn(b"<<MAIL-DATA>>\r\nX-Top: 1\r\nReceived: ", f.read())

    def test_recipients(self):
        """At post-rcpt the verdict is about the recipient that was just given."""
        m = self.milter(answers={b"R": lambda data: [b"r"] if data.startswith(b"<bob") else [CONTINUE]})
        self.use(m, "post-rcpt")
        self.assertEqual(self.codes(ALICE, BOB, ALICE), [250, 250, 550, 250, 250])
        self.assertEqual(m.told(b"R"), [b"<alice@test.example>\0", b"<bob@test.example>\0"])
        self.assertEqual(m.told(b"T") + m.told(b"E"), [])

    def test_failures(self):
        """Nothing is lost: what can't be decided comes again, or passes unchanged where FilterFailure says so."""
        m = self.milter()
        self.use(m, flags="timeo=2")
        rows = [{b"E": [None]}, {b"C": [None]}, {b"E": []}, {b"M": []}, {b"E": [b"z"]}, {b"E": [b"hX A\0b\0", CONTINUE]}, {b"C": [edit(b"h", "A", "b")]},
                {b"E": [edit(b"h", "A", "b"), None]}, {b"E": [b"+" + text("<x@y>"), CONTINUE]}, {b"E": [b"q" + text("held"), CONTINUE]},
                {b"E": [b"y" + text("250 fine")]}, {b"E": [b""]}, {b"E": [b"b" + b"x" * 2000000, CONTINUE]}, {b"L": [b"s"]}]
        for failure, code in (("defer", 451), ("pass", 250)):
            self.server.set(FilterFailure=failure)
            m.answers = {b"E": [b"z"]}
            self.assertTrue(wait_until(lambda: self.codes(ALICE)[-1] == code, 20))
            if code == 250:
                while self.server.mailbox("alice"):
                    self.delivered()
            for answers in rows:
                with self.subTest(answers=str(answers)[:60], failure=failure):
                    m.answers = answers
                    self.assertEqual(self.codes(ALICE)[-1], code)
                    if code == 250:
                        self.assertTrue(self.delivered().endswith(b"Subject: t\n\nx\n"))
        m.answers = {b"E": [CONTINUE]}
        for offer in (b"O" + struct.pack(">III", 1, 0, 0), b"O\0\0", b"c"):
            m.raw_offer = offer
            self.assertEqual(self.codes(ALICE)[-1], 250)
        self.server.set(FilterFailure="defer")
        self.assertTrue(wait_until(lambda: self.codes(ALICE)[-1] == 451, 20))
        # Nobody there; nobody who accepts; a place that isn't this machine's.
        m.close()
        silent = socket.socket()
        self.addCleanup(silent.close)
        silent.bind(("127.0.0.1", 0))
        silent.listen(1)
        for where in ("inet:127.0.0.1:%d" % free_ports(1)[0], "unix:" + os.path.join(self.server.scratch, "none"),
                      "inet:127.0.0.1:%d" % silent.getsockname()[1]):
            self.use(where, flags="timeo=1")
            self.assertTrue(wait_until(lambda: self.codes(ALICE)[-1] == 451, 20), where)
        self.use("inet:192.0.2.1:25")
        self.assertTrue(wait_until(lambda: self.codes(ALICE)[-1] == 250 and "not an address of this machine" in self.server.log_text(), 20))

    @unittest.skipUnless(shutil.which("rspamd"), "Rspamd isn't installed")
    def test_rspamd(self):
        """Rspamd of the system, in a folder of its own: what it marks is marked, what it refuses is refused."""
        port, folder = free_ports(1)[0], os.path.join(self.server.scratch, "rspamd")
        os.makedirs(folder)
        with open(os.path.join(folder, "rspamd.conf"), "w", encoding="utf-8") as f:
            f.write(f'''
options {{ pidfile = "{folder}/pid"; url_tld = "{folder}/tld"; disable_hyperscan = true; dns {{ nameserver = ["127.0.0.1:1"]; timeout = 0.1s; retransmits = 1; }} gtube_patterns = "all"; }}
logging {{ type = "file"; filename = "{folder}/log"; }}
worker "rspamd_proxy" {{ bind_socket = "127.0.0.1:{port}"; milter = yes; count = 1; timeout = 60s;
  upstream "local" {{ default = yes; self_scan = yes; }} }}
metric "default" {{ actions {{ reject = 15; add_header = 6; }} }}
''')
        with open(os.path.join(folder, "tld"), "w", encoding="ascii") as f:
            f.write("com\n")  # the system's list takes it minutes to compile
        with open(os.path.join(folder, "out"), "wb") as log:
            daemon = subprocess.Popen(["rspamd", "-f", "-i", "-c", os.path.join(folder, "rspamd.conf"), "-u", "root", "-g", "root"], stdout=log, stderr=log)
        self.addCleanup(daemon.wait)
        self.addCleanup(daemon.terminate)

        def listens():
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return True
            except OSError:
                return False
        self.assertTrue(wait_until(listens, 60))
        self.use(f"inet:127.0.0.1:{port}", flags="timeo=60")
        self.assertEqual(self.codes(ALICE, message="Subject: t\r\nFrom: a@far.example\r\n\r\nhello\r\n")[-1], 250)
        self.assertTrue(self.delivered().endswith(b"\n\nhello\n"))
        code, reply = self.say(ALICE, message=f"Subject: t\r\nFrom: a@far.example\r\n\r\n{GTUBE}\r\n")[-1]
        self.assertEqual(code, 554, reply)
        self.assertEqual(self.server.mailbox("alice"), [])

    @unittest.skipUnless(shutil.which("clamav-milter") and shutil.which("clamd"), "ClamAV's milter isn't installed")
    def test_clamav(self):
        """ClamAV's milter of the system with a signature of our own: what it knows is refused, the rest is marked as clean."""
        folder = os.path.join(self.server.scratch, "clam")
        os.makedirs(os.path.join(folder, "db"))
        with open(os.path.join(folder, "db", "own.ndb"), "w", encoding="ascii") as f:
            f.write(f"Hikyaku.Test:0:*:{b'HIKYAKU-TEST-VIRUS'.hex()}\n")
        config = {"clamd": f"Foreground yes\nDatabaseDirectory {folder}/db\nLocalSocket {folder}/clamd\nUser root\n",
                  "clamav-milter": f"Foreground yes\nMilterSocket unix:{folder}/clamav-milter\nClamdSocket unix:{folder}/clamd\nUser root\n"
                                   f"OnInfected Reject\nRejectMsg found %v\nAddHeader Replace\nTemporaryDirectory {folder}\n"}
        for name, text_of in config.items():
            with open(os.path.join(folder, name + ".conf"), "w", encoding="ascii") as f:
                f.write(text_of)
            daemon = subprocess.Popen([name, "-c", f.name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.addCleanup(daemon.wait)
            self.addCleanup(daemon.terminate)
            self.assertTrue(wait_until(lambda path=os.path.join(folder, name): os.path.exists(path), 60))
        self.use(f"unix:{folder}/clamav-milter", flags="timeo=60")
        self.assertEqual(self.codes(ALICE)[-1], 250)
        self.assertIn(b"X-Virus-Status: Clean\n", self.delivered())
        code, reply = self.say(ALICE, message="Subject: t\r\n\r\nxHIKYAKU-TEST-VIRUSx\r\n")[-1]
        self.assertEqual(code, 550, reply)
        self.assertIn("found Hikyaku.Test", reply)
        self.assertEqual(self.server.mailbox("alice"), [])

    @unittest.skipUnless(shutil.which("opendkim"), "OpenDKIM isn't installed")
    def test_opendkim(self):
        """OpenDKIM of the system signs mail of our users; its field stands in front."""
        sock, folder = os.path.join(self.server.scratch, "dkim.sock"), os.path.join(self.server.scratch, "dkim")
        os.makedirs(folder, 0o700)
        subprocess.run(["openssl", "genrsa", "-out", os.path.join(folder, "k.private"), "2048"], check=True, capture_output=True)
        os.chmod(os.path.join(folder, "k.private"), 0o600)
        with open(os.path.join(folder, "conf"), "w", encoding="ascii") as f:
            f.write(f"Syslog no\nMode s\nDomain {DOMAIN}\nSelector k\nKeyFile {folder}/k.private\nSocket local:{sock}\nCanonicalization relaxed/simple\n"
                    f"PidFile {folder}/pid\nBackground no\nUserID root\nRequireSafeKeys no\n")
        daemon = subprocess.Popen(["opendkim", "-f", "-x", os.path.join(folder, "conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(daemon.wait)
        self.addCleanup(daemon.terminate)
        self.assertTrue(wait_until(lambda: os.path.exists(sock), 30))
        self.use("unix:" + sock, flags="timeo=30")
        self.assertEqual(self.codes(BOB, login=True, sender=ALICE, message=f"From: {ALICE}\r\nSubject: t\r\n\r\nx\r\n")[-1], 250)
        self.assertRegex(self.delivered("bob"), rb"DKIM-Signature: v=1; a=rsa-sha256;[^:]*d=test.example;")


if __name__ == "__main__":
    unittest.main()
