"""Programs that people use: swaks, curl, mutt, fetchmail, nodemailer, openssl."""
import os
import pty
import select
import shutil
import signal
import subprocess
import time
import unittest

from harness import DOMAIN, PASSWORD, Server, wait_until, xmcrypt

HERE = os.path.dirname(os.path.abspath(__file__))
LIMIT = 60


def needs(program):
    return unittest.skipUnless(shutil.which(program), program + " is not installed")


def run(words, feed=b"", limit=LIMIT, env=None, cwd=None):
    done = subprocess.run(words, input=feed, capture_output=True, timeout=limit, env=env, cwd=cwd)
    return done.returncode, (done.stdout + done.stderr).decode("utf-8", "replace"), done.stdout


def run_in_terminal(words, env, seconds=LIMIT):
    """For programs that insist on a terminal; the exit code and what they showed."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execvpe(words[0], words, env)
    shown, deadline, status = b"", time.monotonic() + seconds, None
    while time.monotonic() < deadline and status is None:
        if select.select([fd], [], [], 0.2)[0]:
            try:
                shown += os.read(fd, 65536)
            except OSError:
                pass
        ended, code = os.waitpid(pid, os.WNOHANG)
        status = os.waitstatus_to_exitcode(code) if ended else None
    if status is None:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    os.close(fd)
    return status, shown.decode("utf-8", "replace")


class Clients(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(users=("alice", "bob", "carol", "dave", "erin", "frank", "grace"),
                            settings={"MaxSessionsPerAddress": 0}).start()
        cls.scratch = os.path.join(cls.server.scratch, "clients")
        os.mkdir(cls.scratch)

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def port(self, service):
        return str(self.server.ports[service])

    def file(self, name, octets):
        path = os.path.join(self.scratch, name)
        with open(path, "wb") as f:
            f.write(octets)
        return path

    def environment(self):
        return dict(os.environ, HOME=self.scratch, TERM="xterm", LC_ALL="C.UTF-8",
                    FETCHMAILHOME=self.scratch)

    def texts(self, user):
        return [self.server.read(user, n) for n in self.server.mailbox(user)]

    def find(self, user, word):
        """The one message of the user's mailbox that has the word."""
        found = wait_until(lambda: [t for t in self.texts(user) if word in t], 10)
        self.assertEqual(len(found), 1, f"{word} in the mailbox of {user}")
        return found[0]

    def put(self, user, name, text):
        """A message that lies in the mailbox already."""
        folder = self.server.path("domains", DOMAIN, user, "Maildir")
        with open(os.path.join(folder, "tmp", name), "wb") as f:
            f.write(text)
        os.rename(os.path.join(folder, "tmp", name), os.path.join(folder, "new", name))

    # --- swaks --------------------------------------------------------------------------------

    def swaks(self, *words, to="alice", service="smtp", code=0):
        rc, text, _ = run(["swaks", "--server", "127.0.0.1", "--port", self.port(service), "--helo",
                           "client.example", "--to", to + "@" + DOMAIN, *words], env=self.environment())
        self.assertEqual(rc, code, text)
        return text

    @needs("swaks")
    def test_swaks_plain(self):
        self.swaks("--from", "x@elsewhere.example", "--header", "Subject: swaks-plain", "--body", "one\n.two\n..three")
        text = self.find("alice", b"swaks-plain")
        self.assertIn(b"\n.two\n..three\n", text)
        self.assertTrue(text.startswith(b"Return-Path: <x@elsewhere.example>\n"))

    @needs("swaks")
    def test_swaks_starttls(self):
        text = self.swaks("--tls", "--from", "x@elsewhere.example", "--header", "Subject: swaks-tls")
        self.assertIn("TLS started", text)
        self.assertIn(b"with ESMTPS", self.find("alice", b"swaks-tls"))

    @needs("swaks")
    def test_swaks_auth(self):
        for mechanism in ("PLAIN", "LOGIN"):
            for service, tls in (("submission", "--tls"), ("smtps", "--tls-on-connect")):
                mark = f"swaks-{mechanism}-{service}".lower()
                self.swaks(tls, "--auth", mechanism, "--auth-user", "bob@" + DOMAIN, "--auth-password",
                           PASSWORD, "--from", "bob@" + DOMAIN, "--header", "Subject: " + mark,
                           service=service, to="bob")
                self.assertIn(b"with ESMTPSA", self.find("bob", mark.encode()))

    @needs("swaks")
    def test_swaks_wrong_password(self):
        text = self.swaks("--tls", "--auth", "PLAIN", "--auth-user", "grace@" + DOMAIN, "--auth-password",
                          "wrong", "--from", "grace@" + DOMAIN, service="submission", code=28)
        self.assertIn("535 5.7.8", text)

    @needs("swaks")
    def test_swaks_no_password_in_the_clear(self):
        text = self.swaks("--auth", "PLAIN", "--auth-user", "grace@" + DOMAIN, "--auth-password", PASSWORD,
                          "--from", "grace@" + DOMAIN, service="submission", code=28)
        self.assertNotIn("235", text)

    @needs("swaks")
    def test_swaks_pipelining_and_recipients(self):
        text = self.swaks("--pipeline", "--from", "x@elsewhere.example", "--header", "Subject: swaks-many",
                          "--to", f"carol@{DOMAIN},dave@{DOMAIN},postmaster@{DOMAIN}")
        self.assertIn("PIPELINING", text)
        for user in ("carol", "dave", "alice"):
            self.find(user, b"swaks-many")

    @needs("swaks")
    def test_swaks_large(self):
        lines = b"".join(b"%06d %s\n" % (i, b"x" * 70) for i in range(60000))
        self.swaks("--from", "x@elsewhere.example", "--header", "Subject: swaks-large", "--body",
                   "@" + self.file("large", lines), to="erin")
        self.assertTrue(self.find("erin", b"swaks-large").rstrip(b"\n").endswith(lines.rstrip(b"\n")))

    @needs("swaks")
    def test_swaks_unknown_user(self):
        self.assertIn("550 5.1.1", self.swaks("--from", "x@elsewhere.example", to="nobody", code=24))

    # --- curl ---------------------------------------------------------------------------------

    def curl(self, *words, code=0):
        rc, text, out = run(["curl", "-sS", "-k", "--max-time", "50", *words])
        self.assertEqual(rc, code, text)
        return out

    @needs("curl")
    def test_curl_smtp(self):
        letter = self.file("curl.eml", b"From: c@elsewhere.example\r\nSubject: curl-plain\r\n\r\n.hidden\r\nend\r\n")
        self.curl(f"smtp://127.0.0.1:{self.port('smtp')}/client.example", "--mail-from", "c@elsewhere.example",
                  "--mail-rcpt", "carol@" + DOMAIN, "-T", letter)
        self.assertTrue(self.find("carol", b"curl-plain").endswith(b"\n\n.hidden\nend\n"))

    @needs("curl")
    def test_curl_smtps(self):
        letter = self.file("curls.eml", b"From: carol@test.example\r\nSubject: curl-tls\r\n\r\nx\r\n")
        self.curl(f"smtps://127.0.0.1:{self.port('smtps')}/client.example", "--user", f"carol@{DOMAIN}:{PASSWORD}",
                  "--mail-from", "carol@" + DOMAIN, "--mail-rcpt", "carol@" + DOMAIN, "-T", letter)
        self.find("carol", b"curl-tls")
        rc = self.curl(f"smtps://127.0.0.1:{self.port('smtps')}/client.example", "--user", f"carol@{DOMAIN}:wrong",
                       "--mail-from", "carol@" + DOMAIN, "--mail-rcpt", "carol@" + DOMAIN, "-T", letter, code=67)
        self.assertEqual(rc, b"")

    @needs("curl")
    def test_curl_pop3(self):
        for i in range(3):
            self.put("frank", f"160000000{i}.M1P1Q{i}.old", b"Subject: curl-%d\n\n.dot\nbody %d\n" % (i, i))
        who = ("--user", f"frank@{DOMAIN}:{PASSWORD}")
        for scheme in ("pop3", "pop3s"):
            base = f"{scheme}://127.0.0.1:{self.port(scheme)}/"
            listed = self.curl(base, *who).split(b"\r\n")
            self.assertEqual(len([l for l in listed if l]), 3)
            self.assertEqual(self.curl(base + "2", *who), b"Subject: curl-1\r\n\r\n.dot\r\nbody 1\r\n")
        self.curl("-l", "-X", "DELE", base + "2", *who)
        wait_until(lambda: len(self.server.mailbox("frank")) == 2, 5)
        self.assertEqual([n[:10] for n in self.server.mailbox("frank")], ["1600000000", "1600000002"])
        self.curl("--ssl-reqd", f"pop3://127.0.0.1:{self.port('pop3')}/1", *who)

    # --- mutt ---------------------------------------------------------------------------------

    def mutt(self, folder, extra, keys):
        rc = self.file("muttrc", b"set sleep_time=0\nset pop_authenticators=user\nset ssl_starttls=no\n"
                       b"set ssl_force_tls=no\nset pop_delete=yes\nset delete=yes\nset move=no\n"
                       b"set wait_key=no\nset quit=yes\nset mark_old=no\nset pop_checkinterval=1\n"
                       b"set header_cache=\"\"\nset message_cachedir=\"\"\n" + extra)
        status, shown = run_in_terminal(["mutt", "-n", "-F", rc, "-f", folder, "-e", f"push '{keys}'"],
                                        self.environment())
        self.assertEqual(status, 0, shown)

    @needs("mutt")
    def test_mutt_maildir(self):
        self.swaks("--from", "x@elsewhere.example", "--header", "Subject: mutt-maildir", to="grace")
        self.find("grace", b"mutt-maildir")
        copy = os.path.join(self.scratch, "mutt-maildir")
        self.mutt(self.server.path("domains", DOMAIN, "grace", "Maildir"), b"",
                  f"<search>mutt-maildir<enter><display-message><pipe-message>cat > {copy}<enter><exit><quit>")
        with open(copy, "rb") as f:
            self.assertIn(b"mutt-maildir", f.read())
        # Read by mutt it lies in cur/, with a flag; POP3 shows it by Pop3ScanCur only.
        self.assertEqual(len(self.server.mailbox("grace", "cur")), 1)

    @needs("mutt")
    def test_mutt_pop3(self):
        self.put("dave", "1500000000.M1P1Q0.old", b"From: a@b.example\nSubject: mutt-pop\n\n.mutt reads\n")
        before = len(self.server.mailbox("dave"))
        copy = os.path.join(self.scratch, "mutt-pop")
        self.mutt(f"pop://127.0.0.1:{self.port('pop3')}",
                  f"set pop_user=dave@{DOMAIN}\nset pop_pass={PASSWORD}\n".encode(),
                  f"<first-entry><pipe-message>cat > {copy}<enter><delete-message><quit>")
        with open(copy, "rb") as f:
            self.assertIn(b"\n.mutt reads\n", f.read())
        wait_until(lambda: len(self.server.mailbox("dave")) == before - 1, 10)
        self.assertFalse([t for t in self.texts("dave") if b"mutt-pop" in t])

    # --- fetchmail ----------------------------------------------------------------------------

    def fetchmail(self, options, code):
        box = os.path.join(self.scratch, "fetched")
        rc = self.file("fetchmailrc", (
            f'poll 127.0.0.1 service {self.port("pop3")} protocol pop3 uidl username "erin@{DOMAIN}" '
            f'password "{PASSWORD}" {options} mda "/bin/sh -c \'cat >> {box}\'"\n').encode())
        os.chmod(rc, 0o600)
        status, text, _ = run(["fetchmail", "-f", rc, "--idfile", os.path.join(self.scratch, "ids"),
                               "--pidfile", os.path.join(self.scratch, "fetchmail.pid"), "--nosyslog"],
                              env=self.environment())
        self.assertEqual(status, code, text)
        if not os.path.exists(box):
            return b""
        with open(box, "rb") as f:
            return f.read()

    @needs("fetchmail")
    def test_fetchmail_uidl(self):
        self.put("erin", "1400000000.M1P1Q0.old", b"From: a@b.example\nSubject: fetch-one\n\nbody\n")
        self.assertIn(b"fetch-one", self.fetchmail("sslproto '' keep", 0))
        count = len(self.server.mailbox("erin"))
        first = self.fetchmail("sslproto '' keep", 1)
        self.put("erin", "1400000001.M1P1Q1.old", b"From: a@b.example\nSubject: fetch-two\n\nbody\n")
        both = self.fetchmail("no sslcertck keep", 0)
        self.assertEqual(both[:len(first)], first)
        self.assertEqual(both[len(first):].count(b"Subject: fetch"), 1)
        self.assertEqual(len(self.server.mailbox("erin")), count + 1)

    # --- nodemailer ---------------------------------------------------------------------------

    @needs("node")
    def test_nodemailer(self):
        folder = os.path.join(HERE, "node")
        for mode, service in (("starttls", "submission"), ("tls", "smtps"), ("plain", "smtp")):
            rc, text, _ = run(["node", "send.js", mode, self.port(service), "alice@" + DOMAIN, PASSWORD,
                               "alice@" + DOMAIN], cwd=folder)
            self.assertEqual(rc, 0, text)
            got = self.find("alice", f"Subject: nodemailer {mode}".encode())
            self.assertIn(b"dots.txt", got)
            self.assertIn(b"\n.\n..two\n", got)

    # --- openssl ------------------------------------------------------------------------------

    def s_client(self, words, feed):
        rc, text, _ = run(["openssl", "s_client", "-crlf", "-ign_eof", "-quiet", *words], feed=feed)
        self.assertEqual(rc, 0, text)
        return text

    @needs("openssl")
    def test_openssl(self):
        pop = f"USER alice@{DOMAIN}\nPASS {PASSWORD}\nSTAT\nQUIT\n".encode()
        smtp = b"EHLO client.example\nNOOP\nQUIT\n"
        for words, feed, wanted in (
                (["-connect", "127.0.0.1:" + self.port("smtp"), "-starttls", "smtp"], smtp, "250-AUTH"),
                (["-connect", "127.0.0.1:" + self.port("submission"), "-starttls", "smtp"], smtp, "221"),
                (["-connect", "127.0.0.1:" + self.port("smtps")], smtp, "221"),
                (["-connect", "127.0.0.1:" + self.port("smtps"), "-tls1_2"], smtp, "221"),
                (["-connect", "127.0.0.1:" + self.port("pop3"), "-starttls", "pop3"], pop, "+OK"),
                (["-connect", "127.0.0.1:" + self.port("pop3s"), "-tls1_3"], pop, "+OK")):
            with self.subTest(" ".join(words)):
                self.assertIn(wanted, self.s_client(words, feed))

    @needs("openssl")
    def test_openssl_old_tls_refused(self):
        rc, text, _ = run(["openssl", "s_client", "-tls1_1", "-cipher", "ALL@SECLEVEL=0", "-connect",
                           "127.0.0.1:" + self.port("smtps")])
        self.assertNotEqual(rc, 0, text)


class CramMd5(unittest.TestCase):
    """Passwords as XMail kept them: CRAM-MD5 is offered and works."""

    @needs("swaks")
    def test_swaks_cram_md5(self):
        server = Server(settings={"PasswordScheme": None, "SmtpNoTLSAuths": None})
        with open(server.path("mailusers.tab"), "w", encoding="utf-8") as f:
            for i, user in enumerate(("alice", "bob")):
                f.write(f'"{DOMAIN}"\t"{user}"\t"{xmcrypt(PASSWORD)}"\t{i + 1}\t"{user}"\t"U"\n')
        server.set(SmtpNoTLSAuths="CRAM-MD5", PasswordScheme="xmcrypt")
        with server:
            for word, code, wanted in ((PASSWORD, 0, "235"), ("wrong", 28, "535")):
                rc, text, _ = run(["swaks", "--server", "127.0.0.1", "--port", str(server.ports["submission"]),
                                   "--auth", "CRAM-MD5", "--auth-user", "bob@" + DOMAIN, "--auth-password", word,
                                   "--from", "bob@" + DOMAIN, "--to", "alice@" + DOMAIN, "--tls"])
                self.assertEqual(rc, code, text)
                self.assertIn(wanted, text)
            self.assertEqual(len(server.mailbox("alice")), 1)


if __name__ == "__main__":
    unittest.main()
