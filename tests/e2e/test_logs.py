"""XMail's log files, the log of events as text and JSON, fail2ban, FINGER, metrics."""
import glob
import json
import os
import poplib
import re
import smtplib
import socket
import subprocess
import time
import unittest

from harness import DOMAIN, PASSWORD, PROGRAM, Server, wait_until
from test_ctrl import Ctrl

FILTER = os.path.join(os.path.dirname(__file__), "../../packaging/fail2ban/hikyaku.conf")


def records(server, name):
    """The rows of a log file, each a list of values."""
    rows = []
    for path in sorted(glob.glob(server.path("logs", name + "-*"))):
        with open(path, encoding="utf-8", errors="replace") as f:
            text = f.read()
        assert text == "" or text.endswith("\n")
        rows += [[v[1:-1] for v in line.split("\t")] for line in text.splitlines()]
    return rows


def send(server, to=("alice",), sender="a@far.example", text="Subject: x\r\n\r\nhello\r\n"):
    with smtplib.SMTP("127.0.0.1", server.ports["smtp"], "client.example", timeout=30) as c:
        return c.sendmail(sender, [f"{name}@{DOMAIN}" for name in to], text)


def bad_pop3_login(server, name):
    with socket.create_connection(("127.0.0.1", server.ports["pop3"]), 30) as s:
        f = s.makefile("rb")
        f.readline()
        s.sendall(b"USER " + name + b"\r\nPASS wrong\r\n")
        return f.readline() + f.readline()


def finger(server, query, seconds=30):
    with socket.create_connection(("127.0.0.1", server.ports["finger"]), seconds) as s:
        s.settimeout(seconds)
        s.sendall(query)
        data = b""
        while more := s.recv(4096):
            data += more
        return data.decode()


class LogFiles(unittest.TestCase):
    def test_columns(self):
        words = ["-Mr", "1", "-Sl", "-Pl", "-Cl", "-Fl", "-Ql"]
        with Server(words=words, settings={"LoginDelay": "0"}) as server:
            send(server)
            send(server, to=("alice", "bob"))
            with self.assertRaises(smtplib.SMTPRecipientsRefused):
                send(server, to=("nobody",))
            wait_until(lambda: len(server.mailbox("bob")) == 1)
            p = poplib.POP3("127.0.0.1", server.ports["pop3"], timeout=30)
            p.user("alice")
            p.pass_(PASSWORD)
            p.quit()
            self.assertIn(b"-ERR", bad_pop3_login(server, b"alice"))
            with Ctrl(server) as c:
                self.assertEqual(c.do("noop"), 0)
            finger(server, b"alice\r\n")
            rows = records(server, "smtp")
            self.assertEqual({len(r) for r in rows}, {13})
            self.assertEqual([r[9] for r in rows if r[9].startswith("RCPT=")],
                             ["RCPT=OK"] * 3 + ["RCPT=EAVAIL"])
            done = [r for r in rows if r[9] == "RECV=OK"]
            self.assertEqual(len(done), 2)
            self.assertEqual([done[0][i] for i in (2, 4, 5, 6, 7)],
                             ["127.0.0.1", "client.example", DOMAIN, "a@far.example", f"alice@{DOMAIN}"])
            self.assertRegex(done[0][3], r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$")
            self.assertGreater(int(done[0][11]), 20)
            rows = wait_until(lambda: len(r := records(server, "smail")) == 3 and r)
            self.assertEqual({(len(r), r[5]) for r in rows}, {(9, "LOCAL")})
            rows = records(server, "pop3")
            self.assertEqual([(r[4], r[5], r[6]) for r in rows],
                             [("alice", "", "LOGIN"), ("alice", "", "ELOGIN")])
            self.assertEqual([len(r) for r in rows], [9, 7])
            self.assertEqual(rows[0][7], "2")
            self.assertEqual([(r[0], r[1], r[2], r[4]) for r in records(server, "ctrl")],
                             [("127.0.0.1", "admin", "", "REQ"), ("127.0.0.1", "admin", "", "AUTH")])
            self.assertEqual([r[4] for r in records(server, "finger")], ["alice"])
            for path in glob.glob(server.path("logs", "*")):
                self.assertRegex(os.path.basename(path), r"^(smtp|pop3|smail|ctrl|finger|trace)-\d{10}00$")

    def test_values_stay_values(self):
        """Quotes, TABs, line ends, other encodings: a value can't become a column or a record."""
        with Server(words=["-Pl", "-Sl", "-Fl"], settings={"LoginDelay": "0"}) as server:
            names = [b'a"b', b"a\tb", b"\x82\xa0\x81\x5c", b"x" * 900, b'"\t"forged"\t"LOGIN"']
            for name in names:
                bad_pop3_login(server, name)
            finger(server, b'"\r\n')
            rows = records(server, "pop3")
            with open(glob.glob(server.path("logs", "pop3-*"))[0], "rb") as f:
                lines = f.read().splitlines()
            self.assertEqual({line.count(b"\t") for line in lines}, {6})
            self.assertTrue(all(r[6] == "ELOGIN" for r in rows))

    def test_off_by_default(self):
        with Server() as server:
            send(server)
            self.assertEqual([n for n in os.listdir(server.path("logs")) if not n.startswith("trace-")], [])
            server.set(LogFiles="smtp")
            wanted = {"RCPT=OK", "RECV=OK"}  # it may begin to count in the middle of a session
            self.assertTrue(wait_until(lambda: send(server) or {r[9] for r in records(server, "smtp")} == wanted))

    def test_unwritable(self):
        """Neither a log file nor a standard error that takes nothing stops the mail."""
        server = Server(words=["-Sl", "-Ql", "-Pl"], settings={"LoginDelay": "0"})
        try:
            with open("/dev/full", "ab") as full:
                server.log_to = full
                server.start()
                os.chmod(server.path("logs"), 0o500)
                os.rmdir(server.path("logs"))
                with open(server.path("logs"), "w", encoding="utf-8"):
                    pass
                self.assertEqual(send(server), {})
                self.assertEqual(len(server.mailbox("alice")), 1)
                os.unlink(server.path("logs"))
        finally:
            server.close()


    def test_full_disk(self):
        """Where logs/ is full, mail goes on; when there is room again, whole records follow a torn one."""
        server = Server(words=["-Sl", "-Pl", "-Cl"], settings={"LoginDelay": "0", "TraceDays": "0"})
        logs = server.path("logs")
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32k", "none", logs], capture_output=True,
                          check=False).returncode != 0:
            server.close()
            self.skipTest("needs root, for a small file system")
        try:
            filler = os.path.join(logs, "filler")
            with server:
                send(server)
                with open(filler, "wb", buffering=0) as f:
                    try:
                        while f.write(b"x" * 512):
                            pass
                    except OSError:
                        pass
                for _ in range(40):
                    self.assertEqual(send(server), {})
                with Ctrl(server) as c:
                    self.assertEqual(c.do("noop"), 0)
                self.assertIn(b"-ERR", bad_pop3_login(server, b"alice"))
                self.assertEqual(len(server.mailbox("alice")), 41)
                self.assertIn("log file not written", server.log_text())
                os.unlink(filler)
                send(server)
                with open(glob.glob(os.path.join(logs, "smtp-*"))[0], encoding="utf-8") as f:
                    lines = f.read().split("\n")
                self.assertEqual(lines.pop(), "")
                self.assertEqual([line.count("\t") for line in lines[-2:]], [12, 12])
                self.assertLessEqual(sum(line.count("\t") != 12 for line in lines), 1)  # the torn one
        finally:
            subprocess.run(["umount", "-l", logs], check=True)

    def test_a_link_is_no_log_file(self):
        """Nothing is appended to what a link in logs/ leads to."""
        server = Server(words=["-Sl", "-Mr", "24"], settings={"LoginDelay": "0"})
        target = os.path.join(server.scratch, "target")
        with open(target, "wb"):
            pass
        today = time.strftime("%Y%m%d")
        os.symlink(target, server.path("logs", f"smtp-{today}0000"))
        with server:
            self.assertEqual(send(server), {})
            if time.strftime("%Y%m%d") == today:
                self.assertIn("log file not written", server.log_text())
        self.assertEqual(os.path.getsize(target) if os.path.exists(target) else 0, 0)


class Events(unittest.TestCase):
    def test_json(self):
        with Server(settings={"LogFormat": "json", "LoginDelay": "0"}) as server:
            send(server)
            for name in (b'a"b\\', b"\x82\xa0", "\u3042".encode(), b"x" * 1000, b"y\x01z"):
                bad_pop3_login(server, name)
            lines = server.log_text().splitlines()
            first = next(i for i, line in enumerate(lines) if line.startswith("{"))
            events = [json.loads(line) for line in lines[first:] if line.startswith("{")]
            self.assertEqual(len(events), len(lines) - first)
            accepted = next(e for e in events if e["event"] == "message accepted")
            self.assertEqual(accepted["role"], "smtpd")
            self.assertRegex(accepted["session"], r"^smtp-[0-9a-f]{8,}$")
            logins = [e["login"] for e in events if e["event"] == "login failed"]
            self.assertEqual(logins[0], 'a"b\\')
            self.assertEqual(logins[2], "\u3042")
            self.assertEqual(logins[3], "x" * 1000)

    def test_one_id_follows_session_and_message(self):
        with Server() as server:
            send(server, to=("alice", "bob"))
            wait_until(lambda: server.mailbox("bob"))
            accepted = re.search(r"message accepted session=(\S+) id=(\S+)", server.log_text())
            self.assertTrue(accepted)
            name = server.mailbox("bob")[0]
            self.assertIn(accepted.group(2), server.read("bob", name).decode())

    def test_secrets_stay_out(self):
        with Server(settings={"LogLevel": "debug", "LoginDelay": "0"}, words=["-Pl", "-Cl", "-Sl"]) as server:
            p = poplib.POP3("127.0.0.1", server.ports["pop3"], timeout=30)
            p.user("alice")
            p.pass_(PASSWORD)
            p.quit()
            with Ctrl(server) as c:
                c.do("useradd", DOMAIN, "carol", "carols-password", "U")
                c.do("userpasswd", DOMAIN, "carol", "carols-password-2")
            text = server.log_text()
            for name in os.listdir(server.path("logs")):
                with open(server.path("logs", name), encoding="utf-8") as f:
                    text += f.read()
            self.assertNotIn(PASSWORD, text)
            self.assertNotIn("carols-password", text)

    def test_fail2ban(self):
        """Its filter sees each failed login of each service, and no address that a name forges."""
        for form in ("text", "json"):
            with Server(settings={"LogFormat": form, "LoginDelay": "0", "SmtpNoTLSAuths": "PLAIN LOGIN"}) as server:
                bad_pop3_login(server, b"alice")
                bad_pop3_login(server, b"x client=10.9.9.9 ")
                bad_pop3_login(server, b'","client":"10.9.9.9"')
                c = smtplib.SMTP("127.0.0.1", server.ports["submission"], timeout=30)
                c.starttls()
                with self.assertRaises(smtplib.SMTPAuthenticationError):
                    c.login("login failed session=x client=10.9.9.9", "wrong")
                c.close()
                with Ctrl(server, login=False) as ctrl:
                    self.assertEqual(ctrl.do("admin", "wrong"), -161)
                log = os.path.join(server.scratch, "log")
                done = subprocess.run(["fail2ban-regex", "--print-all-matched", log, FILTER],
                                      capture_output=True, text=True, timeout=120, check=False)
                failed = server.log_text().count("login failed")
                self.assertGreaterEqual(failed, 5)
                matched = re.search(r"(\d+) matched", done.stdout)
                self.assertTrue(matched, done.stdout + done.stderr)
                wanted = sum("login failed" in line.split("client", 1)[0]
                             for line in server.log_text().splitlines())
                self.assertEqual(int(matched.group(1)), wanted, done.stdout)
                done = subprocess.run(["fail2ban-regex", "-o", "ip", log, FILTER], capture_output=True,
                                      text=True, timeout=120, check=False)
                self.assertEqual(set(done.stdout.split()), {"127.0.0.1"})


class Finger(unittest.TestCase):
    def test_answers(self):
        with Server() as server:
            with open(server.path("domains", DOMAIN, "alice", "user.tab"), "ab") as f:
                f.write(b'"RealName"\t"Alice \x1b[31mRed"\n"HomePage"\t"http://a.example/"\n')
            text = finger(server, f"alice@{DOMAIN}\r\n".encode())
            self.assertIn(f"alice@{DOMAIN}", text)
            self.assertIn("Alice [31mRed", text)
            self.assertIn("http://a.example/", text)
            self.assertIn("alice@", finger(server, b"/W alice\r\n"))
            self.assertEqual(finger(server, b"nobody\r\n"), "No such user\r\n")
            self.assertEqual(finger(server, b"a@far.example\r\n"), "No such user\r\n")
            for query in (b"\r\n", b"alice@" + DOMAIN.encode() + b"@host\r\n", b"a\x00b\r\n", b"x" * 600 + b"\r\n"):
                self.assertTrue(finger(server, query).startswith("Invalid query"), query)
            with open(server.path("finger.ipmap.tab"), "wb") as f:
                f.write(b'"127.0.0.0"\t"255.0.0.0"\t"DENY"\t1\n')
            wait_until(lambda: "not allowed" in finger(server, b"alice\r\n"))

    def test_off_unless_configured(self):
        server = Server()
        server.set(**{"Listen-finger": None})
        with server:
            with self.assertRaises(ConnectionRefusedError):
                finger(server, b"alice\r\n")


class Metrics(unittest.TestCase):
    def metrics(self, server):
        done = subprocess.run([PROGRAM, "metrics", "--mailroot", server.mailroot], capture_output=True, text=True,
                              timeout=60, check=True)
        values = {}
        for line in done.stdout.splitlines():
            self.assertRegex(line, r'^(# (HELP|TYPE) \S+ .+|[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? -?\d+)$')
            if not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                self.assertNotIn(name, values)
                values[name] = int(value)
        return values

    def open_sessions(self, server, role):
        done = subprocess.run([PROGRAM, "status", "--json", "--mailroot", server.mailroot], capture_output=True, text=True, timeout=60,
                              check=True)
        return next(r["sessions"] for r in json.loads(done.stdout)["roles"] if r["name"] == role)

    def test_text_format(self):
        """Each name has its HELP and TYPE before its values, which stand together; counters say so in their names."""
        with Server() as server:
            done = subprocess.run([PROGRAM, "metrics", "--mailroot", server.mailroot], capture_output=True, text=True,
                                  timeout=60, check=True)
            kinds, helped, finished, now = {}, set(), set(), None
            for line in done.stdout.splitlines():
                if line.startswith("# HELP "):
                    self.assertNotIn(line.split()[2], helped)
                    helped.add(line.split()[2])
                elif line.startswith("# TYPE "):
                    self.assertNotIn(line.split()[2], kinds)
                    kinds[line.split()[2]] = line.split()[3]
                else:
                    name = re.match(r"[a-z_]+", line).group()
                    self.assertIn(name, kinds)
                    if name != now:
                        self.assertNotIn(name, finished)
                        finished.add(name)
                        now = name
            self.assertEqual(set(kinds), helped)
            self.assertEqual(finished, helped)
            for name, kind in kinds.items():
                self.assertEqual(kind, "counter" if name.endswith("_total") else "gauge", name)
            self.assertTrue(done.stdout.endswith("\n"))

    def test_counts(self):
        with Server(settings={"LoginDelay": "0"}, words=["-PX", "2"]) as server:
            before = self.metrics(server)
            self.assertEqual(before["hikyaku_up"], 1)
            send(server)
            send(server, to=("alice", "bob"))
            bad_pop3_login(server, b"alice")
            self.assertTrue(wait_until(lambda: self.open_sessions(server, "access") == 0))
            held = [socket.create_connection(("127.0.0.1", server.ports["pop3"]), 30) for _ in range(3)]
            answers = [s.recv(200) for s in held]
            self.assertEqual(sorted(a[:4] for a in answers), [b"+OK ", b"+OK ", b"-ERR"])
            for s in held:
                s.close()
            wait_until(lambda: self.metrics(server)['hikyaku_deliveries_total{result="delivered"}'] == 2)
            after = self.metrics(server)

            def grew(name):
                return after["hikyaku_" + name] - before["hikyaku_" + name]
            self.assertEqual(grew('messages_accepted_total{via="mailbox"}'), 1)
            self.assertEqual(grew('messages_accepted_total{via="queue"}'), 1)
            self.assertEqual(grew('logins_total{service="pop3",result="bad"}'), 1)
            self.assertEqual(grew('refused_connections_total{limit="service"}'), 1)
            self.assertEqual(grew('sessions_total{service="smtp"}'), 2)
            self.assertEqual(after["hikyaku_accounts"], 2)
            self.assertGreater(after["hikyaku_certificate_expires_seconds"], 0)
            done = subprocess.run([PROGRAM, "status", "--json", "--mailroot", server.mailroot],
                                  capture_output=True, text=True, timeout=60, check=True)
            status = json.loads(done.stdout)
            self.assertIn({"service": "pop3", "result": "bad", "value": 1}, status["metrics"]["logins_total"])
            self.assertIsInstance(status["metrics"]["log_lines_lost_total"], int)
            text = subprocess.run([PROGRAM, "status", "--mailroot", server.mailroot],
                                  capture_output=True, text=True, timeout=60, check=True).stdout
            self.assertIn("connections refused: -?X of the service", text)

    def test_a_restarted_role_goes_on_counting(self):
        with Server() as server:
            send(server)
            os.kill(server.role_pid("smtpd"), 9)
            wait_until(lambda: server.role_pid("smtpd"))
            server.wait_ready()
            send(server)
            self.assertEqual(self.metrics(server)['hikyaku_messages_accepted_total{via="mailbox"}'], 2)
            self.assertEqual(self.metrics(server)['hikyaku_role_restarts_total{role="smtpd"}'], 1)


if __name__ == "__main__":
    unittest.main()
