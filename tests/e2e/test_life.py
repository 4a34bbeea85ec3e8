"""Starting, stopping, crashing roles, a second server, certificates, status."""
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import unittest

from harness import DOMAIN, PASSWORD, PROGRAM, Server, wait_until
from lines import Lines, any_certificate

LETTER = b"Subject: life\r\n\r\nx\r\n"
ROLES = ("control", "smtpd", "access", "queue", "relay", "web", "runner")


def send(server, *users):
    with Lines(server.ports["smtp"]) as c:
        c.say("EHLO client.example")
        c.say("MAIL FROM:<s@far.example>")
        for user in users:
            c.say(f"RCPT TO:<{user}@{DOMAIN}>")
        c.say("DATA")
        c.send(LETTER)
        return c.say(".")


def certificate_of(port):
    with socket.create_connection(("127.0.0.1", port), 10) as s:
        with any_certificate().wrap_socket(s) as tls:
            return tls.getpeercert(True)


class Life(unittest.TestCase):
    def setUp(self):
        self.server = Server(users=("alice", "bob"))

    def tearDown(self):
        self.server.close()

    def status(self, *words):
        done = subprocess.run([PROGRAM, "status", "--mailroot", self.server.mailroot, *words], capture_output=True,
                              text=True)
        return done.returncode, done.stdout

    def test_each_role_comes_back(self):
        self.server.start()
        for role in ROLES:
            for number in (signal.SIGKILL, signal.SIGABRT):
                before = self.server.role_pid(role)
                os.kill(before, number)
                self.assertTrue(wait_until(lambda: self.server.role_pid(role) not in (None, before)), role)
                self.server.wait_ready()
                self.assertTrue(wait_until(lambda: send(self.server, "alice").startswith("250")), role)
                self.assertTrue(wait_until(lambda: send(self.server, "alice", "bob").startswith("250")), role)
        self.assertTrue(wait_until(lambda: len(self.server.mailbox("bob")) >= 8))
        self.assertIn("role ended", self.server.log_text())
        self.assertRegex(self.status()[1], r"access +running .*restarts 2")

    def test_others_serve_meanwhile(self):
        self.server.start()
        with Lines(self.server.ports["pop3"]) as pop:
            pop.say(f"USER alice@{DOMAIN}")
            self.assertTrue(pop.say("PASS " + PASSWORD).startswith("+OK"))
            os.kill(self.server.role_pid("smtpd"), signal.SIGKILL)
            self.assertTrue(pop.say("STAT").startswith("+OK"))

    def test_stop_answers_sessions(self):
        for how in (signal.SIGTERM, signal.SIGINT, ".shutdown"):
            with self.subTest(how=how):
                self.server.start()
                smtp, pop = Lines(self.server.ports["smtp"]), Lines(self.server.ports["pop3"])
                if how == ".shutdown":
                    open(self.server.path(".shutdown"), "w").close()
                else:
                    self.server.process.send_signal(how)
                self.assertTrue(smtp.reply().startswith("421"))
                self.assertTrue(pop.reply().startswith("-ERR"))
                self.assertEqual(self.server.process.wait(30), 0, self.server.log_text()[-2000:])
                self.assertTrue(os.path.exists(self.server.path("hikyaku", "clean")))
                self.assertFalse(os.path.exists(self.server.path(".shutdown")))

    def test_second_server(self):
        self.server.start()
        done = subprocess.run([PROGRAM, "serve", "--mailroot", self.server.mailroot], capture_output=True, text=True,
                              timeout=30)
        self.assertEqual(done.returncode, 1)
        self.assertIn("another", done.stderr)
        self.assertTrue(send(self.server, "alice").startswith("250"))

    def test_roles_die_with_the_master(self):
        self.server.start()
        pids = self.server.role_pids()
        self.assertEqual(len(pids), len(ROLES))
        self.server.process.kill()
        self.server.process.wait()
        self.assertTrue(wait_until(lambda: not any(os.path.exists(f"/proc/{p}/cmdline") and
                                                   open(f"/proc/{p}/cmdline").read() for p in pids)))

    def test_queue_after_a_crash(self):
        self.server.start()
        os.kill(self.server.role_pid("queue"), signal.SIGSTOP)
        self.assertTrue(send(self.server, "alice", "bob").startswith("250"))
        self.server.kill()
        self.assertEqual(self.server.mailbox("bob"), [])
        self.server.start()
        self.assertTrue(wait_until(lambda: self.server.mailbox("bob") and self.server.mailbox("alice")))

    def test_certificate_reload(self):
        self.server.start()
        other = Server(users=("alice",))
        try:
            first = certificate_of(self.server.ports["smtps"])
            for name in ("server.cert", "server.key"):
                with open(other.path(name), "rb") as f, open(self.server.path(name), "wb") as out:
                    out.write(f.read())
        finally:
            other.close()
        self.server.process.send_signal(signal.SIGHUP)
        self.assertTrue(wait_until(lambda: certificate_of(self.server.ports["smtps"]) != first))
        self.assertTrue(wait_until(lambda: certificate_of(self.server.ports["pop3s"]) != first))
        second = certificate_of(self.server.ports["smtps"])
        with open(self.server.path("server.cert"), "wb") as f:
            f.write(b"nonsense")
        self.server.process.send_signal(signal.SIGHUP)
        self.assertTrue(wait_until(lambda: "certificate" in self.server.log_text()))
        time.sleep(0.3)
        self.assertEqual(certificate_of(self.server.ports["smtps"]), second)

    def test_status(self):
        self.assertEqual(self.status()[0], 3)
        self.server.start()
        code, text = self.status("--json")
        self.assertEqual(code, 0)
        state = json.loads(text)
        self.assertEqual({r["name"] for r in state["roles"]}, set(ROLES))
        self.assertTrue(wait_until(lambda: all(r["state"] == "running"
                                               for r in json.loads(self.status("--json")[1])["roles"])))
        self.assertEqual(state["accounts"], 2)
        self.server.stop()
        self.assertEqual(self.status()[0], 3)

    def test_a_role_that_always_dies(self):
        """Started again ever more slowly; the others go on."""
        self.server.env["HIKYAKU_KILL"] = "queue:1"
        self.server.start()
        self.assertTrue(wait_until(lambda: self.server.log_text().count("role ended") >= 3))
        self.assertTrue(send(self.server, "alice").startswith("250"))
        self.assertTrue(send(self.server, "alice", "bob").startswith("250"))
        self.assertLess(self.server.log_text().count("role ended"), 20)

    def test_service_manager(self):
        """READY=1 and STOPPING=1; a socket that was opened for us is used."""
        with tempfile.TemporaryDirectory() as folder:
            notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            notify.bind(os.path.join(folder, "n"))
            notify.settimeout(30)
            self.server.env["NOTIFY_SOCKET"] = os.path.join(folder, "n")
            self.server.start()
            self.assertIn(b"READY=1", notify.recv(1000))
            self.server.process.send_signal(signal.SIGTERM)
            heard = b""
            while b"STOPPING=1" not in heard:
                heard = notify.recv(1000)
            self.server.process.wait(30)

    @unittest.skipIf(os.geteuid() != 0, "needs root")
    def test_no_root_in_roles(self):
        for folder, _, files in os.walk(self.server.mailroot):
            for name in [folder] + [os.path.join(folder, f) for f in files]:
                os.chown(name, 12345, 12345)
        os.chmod(self.server.scratch, 0o755)
        self.server.start()
        self.assertTrue(send(self.server, "alice", "bob").startswith("250"))
        self.assertTrue(wait_until(lambda: self.server.mailbox("bob")))
        for role in ROLES:
            with open(f"/proc/{self.server.role_pid(role)}/status", encoding="utf-8") as f:
                self.assertRegex(f.read(), r"Uid:\s12345\s12345\s12345\s12345", role)

    @unittest.skipIf(os.geteuid() != 0, "needs root")
    def test_root_takes_over_for_the_owner(self):
        """What a start by root makes belongs to the owner of the MailRoot."""
        for name in ("hikyaku", "queue"):
            shutil.rmtree(self.server.path(name))
        for folder, _, files in os.walk(self.server.mailroot):
            for name in [folder] + [os.path.join(folder, f) for f in files]:
                os.chown(name, 12345, 12345)
        os.chmod(self.server.scratch, 0o755)
        self.server.start()
        self.assertTrue(send(self.server, "alice", "bob").startswith("250"))
        self.assertTrue(wait_until(lambda: self.server.mailbox("bob")))
        for name in ("lock", "run", "board", "marker", "commit"):
            self.assertEqual(os.stat(self.server.path("hikyaku", name)).st_uid, 12345, name)

    def test_not_a_mailroot(self):
        folder = os.path.join(self.server.scratch, "empty")
        os.mkdir(folder)
        done = subprocess.run([PROGRAM, "serve", "--mailroot", folder], capture_output=True, text=True, timeout=30)
        self.assertEqual(done.returncode, 1)
        self.assertIn("server.tab", done.stderr)
        self.assertEqual(os.listdir(folder), [])

    def test_no_strange_descriptors(self):
        self.server.start()
        for role in ROLES:
            folder = f"/proc/{self.server.role_pid(role)}/fd"
            links = [os.readlink(os.path.join(folder, fd)) for fd in os.listdir(folder)]
            self.assertFalse([link for link in links if "hikyaku/lock" in link], role)
            sockets = [link for link in links if link.startswith("socket:")]
            self.assertLessEqual(len(sockets), 12, (role, links))


class Faults(unittest.TestCase):
    """A disk that is full, tables that can't be read, no descriptors left."""

    @unittest.skipIf(os.geteuid() != 0, "needs root to mount")
    def test_full_disk(self):
        server = Server(users=("alice", "bob"))
        small = os.path.join(server.scratch, "small")
        os.mkdir(small)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m,nr_inodes=3000", "none", small],
                          capture_output=True).returncode != 0:
            self.skipTest("can't mount")
        try:
            subprocess.run(["cp", "-a", server.mailroot, small], check=True)
            with Server(mailroot=os.path.join(small, "MailRoot"),
                        settings={"SmtpMinDiskSpace": "0", "MinFreeInodes": "0"}) as full:
                self.assertTrue(send(full, "alice").startswith("250"))
                filler = os.path.join(small, "filler")
                with open(filler, "wb") as f:
                    try:
                        while True:
                            f.write(b"\0" * 65536)
                    except OSError:
                        pass
                accepted = sum(self.try_send(full, "alice") for _ in range(5))
                accepted_queue = sum(self.try_send(full, "alice", "bob") for _ in range(5))
                got = len(full.mailbox("alice"))
                self.assertLessEqual(1 + accepted, got)
                with Lines(full.ports["pop3"]) as pop:  # reading works
                    pop.say(f"USER alice@{DOMAIN}")
                    self.assertTrue(pop.say("PASS " + PASSWORD).startswith("+OK"))
                    self.assertTrue(pop.say("RETR 1").startswith("+OK"))
                    pop.many()
                os.unlink(filler)
                self.assertTrue(wait_until(lambda: self.try_send(full, "alice", "bob")))
                wanted = len(full.mailbox("bob"))
                self.assertTrue(wait_until(lambda: len(full.mailbox("bob")) >= accepted_queue + 1), wanted)
        finally:
            subprocess.run(["umount", small], check=False)
            server.close()

    def try_send(self, server, *users):
        try:
            answer = send(server, *users)
        except (OSError, EOFError):
            return False
        self.assertIn(answer[:1], ("2", "4", "5", ""))
        return answer.startswith("250")

    def test_unreadable_tables(self):
        """Each is reported; nothing is answered for good while one can't be read."""
        for table in ("mailusers.tab", "domains.tab", "aliases.tab"):
            with self.subTest(table=table):
                server = Server(users=("alice", "bob"))
                try:
                    os.unlink(server.path(table))
                    os.mkdir(server.path(table))
                    server.start()
                    with Lines(server.ports["smtp"]) as c:
                        c.say("EHLO c.example")
                        c.say("MAIL FROM:<s@far.example>")
                        self.assertTrue(c.say(f"RCPT TO:<nobody@{DOMAIN}>").startswith("4"))
                    self.assertIn(table, server.log_text())
                finally:
                    server.close()

    def test_unreadable_access_table(self):
        """Nobody gets in, and the log says why."""
        server = Server(users=("alice",))
        os.unlink(server.path("pop3.ipmap.tab"))
        os.mkdir(server.path("pop3.ipmap.tab"))
        with server:
            with Lines(server.ports["pop3"]) as c:
                self.assertTrue(c.greeting.startswith("-ERR"))
            self.assertIn("pop3.ipmap.tab", server.log_text())

    def test_few_descriptors(self):
        import resource
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        server = Server(users=("alice",), settings={"MaxSessionsPerAddress": 0})
        resource.setrlimit(resource.RLIMIT_NOFILE, (120, before[1]))
        try:
            server.process = None
            server.start()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        try:
            held = []
            for _ in range(200):
                s = socket.create_connection(("127.0.0.1", server.ports["smtp"]), 5)
                s.settimeout(0.2)
                held.append(s)
            for s in held:
                s.close()
            self.assertTrue(wait_until(lambda: self.try_send(server, "alice")))
        finally:
            server.close()


if __name__ == "__main__":
    unittest.main()
