"""Strangers who mean harm or know no better; a good client beside them is always served."""
import base64
import os
import re
import resource
import smtplib
import socket
import threading
import time
import unittest

from harness import DOMAIN, PASSWORD, Server, wait_until
from lines import Lines

ALICE = f"alice@{DOMAIN}"


def more_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < min(hard, 16384):
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16384), hard))


class Hostile(unittest.TestCase):
    """One server with small limits for all of them."""

    @classmethod
    def setUpClass(cls):
        more_files()
        cls.server = Server(users=("alice", "bob", "carol", "dave"), settings={
            "MaxMessageSize": 200, "LoginDelay": 1, "SMTP-MaxErrors": 10}).start()

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def setUp(self):
        self.pids = self.server.role_pids()

    def tearDown(self):
        self.assertEqual(self.server.role_pids(), self.pids, "a role died")

    def greeted(self, source=None, service="smtp", **more):
        c = Lines(self.server.ports[service], source=source, **more)
        self.addCleanup(c.close)
        if service != "pop3":
            self.assertEqual(c.greeting[:3], "220")
            self.assertEqual(c.say("EHLO client.example")[:3], "250")
        return c

    def begun(self, source=None, to=ALICE):
        c = self.greeted(source)
        self.assertEqual(c.say("MAIL FROM:<evil@far.example>")[:3], "250")
        self.assertEqual(c.say(f"RCPT TO:<{to}>")[:3], "250")
        return c

    def good_client(self, seconds=3.0, user="bob"):
        """Delivers a message and sees it, soon enough."""
        began, before = time.monotonic(), len(self.server.mailbox(user))
        with smtplib.SMTP("127.0.0.1", self.server.ports["smtp"], timeout=20, source_address=("127.0.0.200", 0)) as s:
            s.sendmail("good@far.example", [f"{user}@{DOMAIN}"], b"Subject: good\r\n\r\nx\r\n")
        self.assertEqual(len(self.server.mailbox(user)), before + 1)
        self.assertLess(time.monotonic() - began, seconds)

    def memory_kb(self, role):
        with open(f"/proc/{self.server.role_pid(role)}/status", encoding="ascii") as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))

    # --- many ---------------------------------------------------------------------------------

    def test_2000_connections(self):
        crowd = []
        try:
            for i in range(2000):
                s = socket.create_connection(("127.0.0.1", self.server.ports["smtp"]), 20,
                                             (f"127.1.{i // 40}.{i % 40 // 10 + 1}", 0))
                crowd.append(s)
                if i % 4 == 1:
                    s.sendall(b"EHLO a.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<alice@test.example>\r\nDATA\r\nhalf")
                if i % 4 == 2:
                    s.sendall(b"EH")
                if i % 200 == 100:
                    self.good_client()
            for _ in range(5):
                self.good_client()
            for s in crowd[::100]:
                s.settimeout(20)
                self.assertEqual(s.recv(3), b"220")
        finally:
            for s in crowd:
                s.close()
        self.good_client()
        self.assertEqual(self.server.mailbox("alice"), [])

    def test_limit_per_address(self):
        for service, words in (("smtp", "421 4.7.0"), ("pop3", "-ERR [SYS/TEMP]")):
            with self.subTest(service):
                held = [Lines(self.server.ports[service], source="127.2.0.1") for _ in range(50)]
                extra = Lines(self.server.ports[service], source="127.2.0.1")
                self.assertTrue(extra.greeting.startswith(words), extra.greeting)
                self.assertEqual(extra.until_closed(), b"")
                Lines(self.server.ports[service], source="127.2.0.2").close()
                self.good_client()
                for c in held:
                    c.close()

                def again():
                    with Lines(self.server.ports[service], source="127.2.0.1") as c:
                        return not c.greeting.startswith(words)
                self.assertTrue(wait_until(again, 5), "the places are free again")

    # --- much ---------------------------------------------------------------------------------

    def test_100000_commands(self):
        c = self.greeted("127.3.0.1")
        count = 100000

        def feed():
            c.send(b"NOOP\r\n" * count)
        feeder = threading.Thread(target=feed)
        feeder.start()
        self.good_client()
        lines = 0
        while lines < count:
            self.assertEqual(c.line()[:3], b"250")
            lines += 1
        feeder.join()
        self.assertEqual(c.say("QUIT")[:3], "221")

    def test_never_reads(self):
        """Replies that nobody takes: the server stops reading instead of hoarding."""
        socks = []
        for i in range(20):
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.bind((f"127.3.1.{i + 1}", 0))
            s.connect(("127.0.0.1", self.server.ports["smtp"]))
            s.setblocking(False)
            socks.append(s)

        def push(seconds):
            """Octets that went out: little, once all buffers on the way are full."""
            sent, end = 0, time.monotonic() + seconds
            while time.monotonic() < end:
                for s in socks:
                    try:
                        sent += s.send(b"HELP\r\n" * 4096)
                    except OSError:
                        pass
                time.sleep(0.01)
            return sent
        push(4)
        before = self.memory_kb("smtpd")
        self.assertLess(push(2), 10_000_000, "the server takes no more")
        self.assertLess(self.memory_kb("smtpd") - before, 10000)
        self.good_client()
        for s in socks:
            s.close()

    def test_pop3_never_reads(self):
        folder = self.server.path("domains", DOMAIN, "dave", "Maildir", "new")
        with open(os.path.join(folder, "1.big"), "wb") as f:
            f.write(b"Subject: big\n\n" + b"x" * 76 + b"\n" + b"." * 4_000_000 + b"\n")
        c = self.greeted(service="pop3")
        c.say(f"USER dave@{DOMAIN}")
        self.assertTrue(c.say("PASS " + PASSWORD).startswith("+OK"))
        before = self.memory_kb("access")
        c.send(b"RETR 1\r\n" * 200)
        time.sleep(1)
        self.assertLess(self.memory_kb("access") - before, 30000)
        with Lines(self.server.ports["pop3"]) as other:
            other.say("USER " + ALICE)
            self.assertTrue(other.say("PASS " + PASSWORD).startswith("+OK"))
            other.say("QUIT")
        c.close()

    def test_huge_line(self):
        for service, wanted in (("smtp", "500 5.5.6"), ("pop3", "-ERR line too long")):
            with self.subTest(service):
                role = "smtpd" if service == "smtp" else "access"
                c = self.greeted("127.3.2.1", service)
                before = self.memory_kb(role)
                for _ in range(160):
                    c.send(b"A" * 65536)
                self.assertLess(self.memory_kb(role) - before, 8000)
                self.assertTrue(c.say("").startswith(wanted))
                self.assertTrue(c.say("QUIT")[:3] in ("221", "+OK"))

    def test_huge_line_in_data(self):
        c = self.begun("127.3.2.2")
        c.say("DATA")
        for _ in range(32):
            c.send(b"B" * 65536)
        self.assertIn(c.say("\r\n.")[:3], ("552", "554"))
        self.assertEqual(c.say("NOOP")[:3], "250")
        self.assertEqual(self.server.mailbox("alice"), [])

    def test_long_header(self):
        c = self.begun("127.3.2.3")
        c.say("DATA")
        try:
            for i in range(20000):
                c.send(b"X-Field-%d: yes\r\n" % i)
        except OSError:
            pass
        self.assertEqual(c.say("\r\nx\r\n.")[:3], "552")
        self.assertEqual(self.server.mailbox("alice"), [])

    def test_10000_recipients(self):
        c = self.greeted("127.3.3.1")
        c.say("MAIL FROM:<evil@far.example>")
        threading.Thread(target=c.send, args=(f"RCPT TO:<carol@{DOMAIN}>\r\n".encode() * 10000,)).start()
        codes = [c.line()[:9] for _ in range(10000)]
        self.assertEqual(codes.count(b"250 2.1.5"), 100)
        self.assertEqual(codes.count(b"452 4.5.3"), 9900)
        c.say("DATA")
        self.assertEqual(c.say("Subject: many\r\n\r\nx\r\n.")[:3], "250")
        self.assertEqual(len(self.server.mailbox("carol")), 1)

    def test_guessing_recipients(self):
        c = self.greeted("127.3.3.2")
        c.say("MAIL FROM:<evil@far.example>")
        codes = []
        while len(codes) < 100:
            try:
                codes.append(c.say(f"RCPT TO:<guess{len(codes)}@{DOMAIN}>")[:3])
            except OSError:
                break
            if codes[-1] in ("421", ""):
                break
        self.assertLess(len(codes), 15)
        self.assertIn("421", codes)

    def test_size_lies(self):
        c = self.greeted("127.3.4.1")
        for size, code in (("204801", "552"), ("99999999999999999999999", "5"), ("-1", "501"), ("1e3", "501")):
            self.assertEqual(c.say(f"MAIL FROM:<evil@far.example> SIZE={size}")[:len(code)], code, size)
        self.assertEqual(c.say("MAIL FROM:<evil@far.example> SIZE=10")[:3], "250")
        c.say(f"RCPT TO:<{ALICE}>")
        c.say("DATA")
        c.send(b"Subject: lie\r\n\r\n" + (b"y" * 70 + b"\r\n") * 4000)
        self.assertEqual(c.say(".")[:9], "552 5.3.4")
        self.assertEqual(self.server.mailbox("alice"), [])

    # --- odd ----------------------------------------------------------------------------------

    def test_odd_octets(self):
        lines = (b"NOOP \0", b"\0\0\0\0", b"\xff\xfe\xfd", b"MAIL FROM:<a\xff@far.example>", b"HELO \xe6\x97",
                 b"RCPT TO:<a\0b@test.example>", b"NOOP\rNOOP", b"\r", b"\x1b[2J", b"MAIL FROM:<" + b"(" * 3000 + b">",
                 b"RCPT", b"MAIL FROM:<<<<>>>>", b"RCPT TO:<@@@@@@>", b"VRFY " + b"\xff" * 500, b"EHLO", b"EHLO  ",
                 b"HELO " + b"a." * 500, b"AUTH", b"AUTH \xff", b"AUTH PLAIN \xff\xff", b"MAIL FROM:<a@b> =====")
        for n, line in enumerate(lines):
            with self.subTest(line[:30]):
                c = self.greeted(f"127.4.0.{n + 1}")
                answer = c.say(line)
                self.assertRegex(answer, r"^[2345][0-9][0-9] ")
                self.assertFalse(answer.startswith("250") and line[:4] != b"NOOP", answer)
                self.assertEqual(c.say("RSET")[:3], "250", answer)
                c.close()
        for line in (b"USER \0", b"\xff\xff", b"PASS", b"APOP x", b"TOP 1", b"RETR -1", b"LIST 99999999999999999999",
                     b"AUTH \xff", b"STAT\rSTAT", b"USER " + b"a" * 900):
            c = self.greeted(service="pop3")
            self.assertRegex(c.say(line), r"^(-ERR|\+OK)")
            self.assertTrue(c.say("QUIT").startswith("+OK"))
            c.close()

    def test_bare_lf_ends_no_command(self):
        c = self.greeted("127.4.1.1")
        for line in (b"NOOP\nNOOP\nNOOP", b"MAIL FROM:<a@b.example>\nRCPT TO:<alice@test.example>", b"NOOP x\n", b"\n"):
            self.assertEqual(c.say(line)[:3], "500")
            self.assertEqual(c.say("NOOP x\ty")[:3], "250", "exactly one answer")
        c = self.greeted(service="pop3")
        self.assertTrue(c.say(b"CAPA\nCAPA").startswith("-ERR"))
        self.assertTrue(c.say("QUIT").startswith("+OK"))

    def test_tls_garbage(self):
        for service in ("smtps", "pop3s"):
            for octets in (b"GET / HTTP/1.0\r\n\r\n", os.urandom(3000), b"\x16\x03\x01\xff\xff" + b"\0" * 70000, b"\x80",
                           b"EHLO x\r\n" * 100):
                s = socket.create_connection(("127.0.0.1", self.server.ports[service]), 20)
                try:
                    s.sendall(octets)
                    s.shutdown(socket.SHUT_WR)
                    s.settimeout(10)
                    while s.recv(4096):
                        pass
                except OSError:
                    pass
                s.close()
        self.good_client()
        self.greeted(service="smtps", tls=True).say("QUIT")

    def test_garbage_behind_starttls(self):
        c = self.greeted("127.4.2.1")
        self.assertEqual(c.say("STARTTLS")[:3], "220")
        c.send(b"\x16\x03\x01\x00\x05hello")
        c.until_closed()
        self.good_client()

    def test_injection_behind_starttls(self):
        """What came before the handshake must not be taken for what came in it."""
        for octets in (b"STARTTLS\r\nNOOP\r\n", b"STARTTLS\r\nMAIL FROM:<evil@far.example>\r\nRCPT TO:<alice@test.example>\r\n",
                       b"STARTTLS\r\nRS"):
            with self.subTest(octets):
                c = self.greeted("127.4.2.2")
                c.send(octets)
                first = c.reply()
                if first.startswith("220"):
                    c.start_tls()
                    self.assertEqual(c.say("RCPT TO:<alice@test.example>")[:3], "503")
                else:
                    self.assertEqual(first[:3], "503")
                    self.assertNotEqual(c.say("MAIL FROM:<a@far.example>") if not octets.endswith(b"RS") else "",
                                        "220")
                c.close()

    def test_injection_behind_stls(self):
        c = self.greeted(service="pop3")
        c.send(f"STLS\r\nUSER {ALICE}\r\nPASS {PASSWORD}\r\n".encode())
        first = c.reply()
        if first.startswith("+OK"):
            c.start_tls()
            self.assertTrue(c.say("STAT").startswith("-ERR"))
        else:
            self.assertTrue(first.startswith("-ERR"))

    def test_starttls_forgets(self):
        c = self.greeted("127.4.2.3")
        c.say("MAIL FROM:<a@far.example>")
        c.say("RSET")
        self.assertEqual(c.say("STARTTLS")[:3], "220")
        c.start_tls()
        self.assertEqual(c.say("MAIL FROM:<a@far.example>")[:3], "503")
        self.assertNotIn("STARTTLS", c.say("EHLO client.example"))

    # --- smuggling ----------------------------------------------------------------------------

    def test_smuggling(self):
        """Anything but CRLF.CRLF is no end of data; a bare CR or LF loses the message."""
        inner = b"MAIL FROM:<smuggled@far.example>\r\nRCPT TO:<alice@test.example>\r\nDATA\r\nSubject: smuggled\r\n\r\nx"
        forms = (b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\r.\n", b"\n.\r", b"\r\r\n.\r\r\n",
                 b"\r\n\0.\r\n", b"\r\n.\0\r\n", b"\n\r.\n\r", b"\r\n.\r\r\n", b"\r\n\r.\r\n")
        for n, form in enumerate(forms):
            with self.subTest(form):
                c = self.begun(f"127.5.0.{n + 1}")
                self.assertEqual(c.say("DATA")[:3], "354")
                c.send(b"Subject: outer\r\n\r\nbody" + form + inner + b"\r\n.\r\n")
                self.assertEqual(c.reply()[:3], "550")
                self.assertEqual(c.say("QUIT")[:3], "221", "exactly one answer")
                self.assertEqual(c.until_closed(), b"")
        self.assertEqual(self.server.mailbox("alice"), [])

    def test_smuggling_across_packets(self):
        c = self.begun("127.5.1.1")
        c.say("DATA")
        for part in (b"Subject: x\r", b"\n\r\nbody\n", b".", b"\r", b"\nMAIL FROM:<a@b.example>\r\n"):
            c.send(part)
            time.sleep(0.05)
        self.assertEqual(c.say(".")[:3], "550")
        self.assertEqual(c.say("QUIT")[:3], "221")

    def test_dots_that_are_data(self):
        c = self.begun("127.5.1.2", "carol@" + DOMAIN)
        c.say("DATA")
        c.send(b"Subject: dots\r\n\r\n..\r\n...\r\n.x\r\n. \r\n")
        self.assertEqual(c.say(".")[:3], "250")
        text = [self.server.read("carol", n) for n in self.server.mailbox("carol")]
        text = [t for t in text if b"Subject: dots" in t][0]
        self.assertTrue(text.endswith(b"\n\n.\n..\nx\n \n"), text)

    # --- BDAT ---------------------------------------------------------------------------------

    def test_bdat_without_recipient(self):
        c = self.greeted("127.6.0.1")
        c.send(b"BDAT 6\r\nQUIT\r\nNOOP here\r\n")
        self.assertEqual(c.reply()[:3], "503")
        self.assertEqual(c.reply()[:3], "250", "the octets of the chunk are no command")

    def test_bdat_nonsense(self):
        for n, words in enumerate(("BDAT", "BDAT -1", "BDAT x LAST", "BDAT 99999999999999999999999 LAST", "BDAT 5 FIRST",
                                   "BDAT 0x10 LAST", "BDAT 5 LAST LAST")):
            with self.subTest(words):
                c = self.begun(f"127.6.1.{n + 1}")
                self.assertEqual(c.say(words)[:3], "501")
                self.assertEqual(c.until_closed(), b"")

    def test_bdat_too_large(self):
        c = self.begun("127.6.2.1")
        try:
            c.send(b"BDAT 100000000000 LAST\r\n")
            for _ in range(100):
                c.send(b"z" * 65536)
        except OSError:
            pass
        c.close()
        c = self.begun("127.6.2.2")
        c.send(b"BDAT 300000 LAST\r\n" + (b"z" * 98 + b"\r\n") * 3000)
        self.assertEqual(c.reply()[:3], "552")
        self.assertEqual(c.say("NOOP")[:3], "250")
        self.assertEqual(self.server.mailbox("alice"), [])

    def test_bdat_many_tiny_chunks(self):
        c = self.begun("127.6.3.1", "carol@" + DOMAIN)
        text = b"Subject: tiny\r\n\r\n.\r\n" + b"a\r\n" * 2000
        chunks = b"".join(b"BDAT 1\r\n" + text[i:i + 1] for i in range(len(text))) + b"BDAT 0 LAST\r\n"
        threading.Thread(target=c.send, args=(chunks,)).start()
        codes = [c.reply()[:3] for _ in range(len(text) + 1)]
        self.assertEqual(set(codes), {"250"})
        got = [t for t in (self.server.read("carol", n) for n in self.server.mailbox("carol")) if b"tiny" in t]
        self.assertTrue(got[0].endswith(b"\n\n.\n" + b"a\n" * 2000))

    def test_bdat_mixed_with_data(self):
        c = self.begun("127.6.4.1")
        c.send(b"BDAT 4\r\nx: \r")
        self.assertEqual(c.reply()[:3], "250")
        self.assertEqual(c.say("DATA")[:3], "503")
        self.assertEqual(c.say("MAIL FROM:<a@far.example>")[:3], "503")
        c.send(b"BDAT 3 LAST\r\n\ny\n")
        self.assertEqual(c.reply()[:3], "550", "a bare LF")
        self.assertEqual(self.server.mailbox("alice"), [])

    # --- logins -------------------------------------------------------------------------------

    def smtp_login(self, source, user, password):
        c = self.greeted(source, "smtps", tls=True)
        plain = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        began = time.monotonic()
        answer = c.say("AUTH PLAIN " + plain)
        return answer, time.monotonic() - began

    def pop3_login(self, source, user, password):
        c = self.greeted(source, "pop3")
        began = time.monotonic()
        if not c.say("USER " + user).startswith("+OK"):
            raise AssertionError("USER told something")
        answer = c.say("PASS " + password)
        took = time.monotonic() - began
        c.send(b"QUIT\r\n")
        return answer, took

    def series(self, source, user, out):
        """Bad logins by both services in turn: each delayed twice as long as the one before."""
        out.append(self.smtp_login(source, user, "wrong1"))
        out.append(self.pop3_login(source, user, "wrong2"))
        out.append(self.smtp_login(source, user, "wrong3"))

    def test_bad_logins(self):
        results = {user: [] for user in (ALICE, "nobody@" + DOMAIN, "x@unknown.example")}
        threads = [threading.Thread(target=self.series, args=(f"127.7.0.{n + 1}", user, out))
                   for n, (user, out) in enumerate(results.items())]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        known = results[ALICE]
        self.assertEqual([a for a, _ in known], [a for a, _ in results["nobody@" + DOMAIN]])
        self.assertEqual([a for a, _ in known], [a for a, _ in results["x@unknown.example"]])
        self.assertEqual(known[0][0][:9], "535 5.7.8")
        self.assertTrue(known[1][0].startswith("-ERR [AUTH]"))
        for user, answers in results.items():
            for (_, took), delay in zip(answers, (1, 2, 4)):
                self.assertGreater(took, delay - 0.2, user)
                self.assertLess(took, delay + 1.5, user)
        # From elsewhere the account's owner comes in at once.
        answer, took = self.pop3_login("127.7.0.99", ALICE, PASSWORD)
        self.assertTrue(answer.startswith("+OK"))
        self.assertLess(took, 1)

    def test_too_many_errors(self):
        c = self.greeted("127.7.1.1")
        codes = []
        while len(codes) < 50 and (not codes or codes[-1] not in ("421", "")):
            codes.append(c.say("NONSENSE")[:3])
        self.assertIn("421", codes)
        self.assertLess(len(codes), 15)


class Slow(unittest.TestCase):
    """Clients that send nothing, or a byte at a time."""

    @classmethod
    def setUpClass(cls):
        more_files()
        cls.server = Server(users=("alice", "bob"), settings={
            "SmtpTimeout": 5, "Pop3Timeout": 5, "MaxSessionsPerAddress": 0, "WorkerThreads": 4}).start()

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def test_waits_end(self):
        """All at once: the server has four workers and needs none for those who wait."""
        port = self.server.ports
        opening = b"EHLO c.example\r\nMAIL FROM:<a@far.example>\r\nRCPT TO:<alice@test.example>\r\n"
        cases = {  # name: (service, octets at once, then one each 0.5 s, how the end must look)
            "silent smtp": ("smtp", b"", b"", b"421 4.4.2"),
            "silent submission": ("submission", b"", b"", b"421 4.4.2"),
            "silent pop3": ("pop3", b"", b"", b"-ERR"),
            "silent in the handshake": ("smtps", b"", b"", None),
            "half a handshake": ("pop3s", b"\x16\x03\x01\x02\x00\x01", b"", None),
            "slow handshake": ("smtps", b"\x16\x03\x01\x02\x00", b"\x01" * 60, None),
            "slow command": ("smtp", b"EHLO c.example\r\n", b"NOOP " + b"x" * 60, b"421 4.4.2"),
            "slow pop3 command": ("pop3", b"", b"USER " + b"x" * 60, b"-ERR"),
            "silent in data": ("smtp", opening + b"DATA\r\nSubject: half\r\n", b"", b"421 4.4.2"),
            "silent in a chunk": ("smtp", opening + b"BDAT 100\r\nhalf", b"", b"421 4.4.2"),
            "silent in AUTH": ("pop3", b"AUTH PLAIN\r\n", b"", b"-ERR"),
        }
        results, threads = {}, []

        def run(name, service, now, slowly, _):
            s = socket.create_connection(("127.0.0.1", port[service]), 20)
            s.settimeout(0.5)
            began, got, left = time.monotonic(), b"", slowly
            closed = False
            try:
                s.sendall(now)
                while time.monotonic() - began < 16 and not closed:
                    try:
                        more = s.recv(4096)
                        got += more
                        closed = not more
                    except socket.timeout:
                        if left:
                            s.sendall(left[:1])
                            left = left[1:]
            except OSError:
                closed = True
            results[name] = (closed, time.monotonic() - began, got)
            s.close()
        for name, case in cases.items():
            threads += [threading.Thread(target=run, args=(f"{name} {i}", *case)) for i in range(10)]
        for t in threads:
            t.start()
        time.sleep(1)
        for _ in range(10):
            began = time.monotonic()
            with smtplib.SMTP("127.0.0.1", port["smtp"], timeout=20) as s:
                s.sendmail("good@far.example", ["bob@" + DOMAIN], b"Subject: good\r\n\r\nx\r\n")
            self.assertLess(time.monotonic() - began, 2)
            time.sleep(0.2)
        for t in threads:
            t.join()
        for name, case in cases.items():
            closed, took, got = results[name + " 0"]
            with self.subTest(name):
                self.assertTrue(closed, f"still open after {took:.0f} s: {got}")
                self.assertGreater(took, 3.5)
                if case[3] is not None:
                    self.assertIn(b"\n" + case[3], b"\n" + got.replace(b"\r", b""))
        self.assertEqual(self.server.mailbox("alice"), [])
        self.assertEqual(len(self.server.mailbox("bob")), 10)


if __name__ == "__main__":
    unittest.main()
