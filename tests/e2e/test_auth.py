"""Logins that programs of the administrator decide: userauth/pop3, with real clients and programs that misbehave."""
import base64
import os
import poplib
import smtplib
import socket
import stat
import subprocess
import unittest

from harness import DOMAIN, PASSWORD, Server, replace, wait_until, xmcrypt

ALICE = f"alice@{DOMAIN}"
OUTSIDE = "the word of the directory"  # what the programs here take for right


class Programs(unittest.TestCase):
    """What the classes share: a server of its own, and programs in its MailRoot."""
    settings = {}

    def setUp(self):
        self.server = Server(settings=dict({"MaxSessionsPerAddress": "0", "SmtpNoTLSAuths": "PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256", "LoginDelay": "0",
                                            "Pop3BadLoginDelay": "0", "LogFiles": "smtp,pop3,ctrl"}, **self.settings))
        self.addCleanup(self.server.close)
        self.bin = self.server.path("bin")
        os.makedirs(self.bin, exist_ok=True)

    def program(self, name, text, shell="/bin/sh"):
        path = os.path.join(self.bin, name)
        with open(path + ".new", "w", encoding="utf-8") as f:
            f.write(f"#!{shell}\n{text}\n")
        os.chmod(path + ".new", stat.S_IRWXU)
        os.rename(path + ".new", path)
        return path

    def table(self, path, *rows):
        os.makedirs(os.path.dirname(self.server.path(path)), exist_ok=True)
        replace(self.server.path(path), b"".join("\t".join(f'"{v}"' for v in row).encode() + b"\n" for row in rows))

    def pop3(self, user=ALICE, password=OUTSIDE):
        """What PASS says, without its text behind the code."""
        c = poplib.POP3("127.0.0.1", self.server.ports["pop3"], timeout=60)
        try:
            c.user(user)
            return " ".join(c.pass_(password).decode().split()[:1])
        except poplib.error_proto as e:
            return " ".join(str(e.args[0], "ascii").split()[:2])
        finally:
            c.close()

    def smtp(self, user=ALICE, password=OUTSIDE, mechanism="plain"):
        """The code of AUTH."""
        c = smtplib.SMTP("127.0.0.1", self.server.ports["submission"], "me.example", timeout=60)
        try:
            c.ehlo()
            c.user, c.password = user, password
            return c.auth(mechanism.upper(), getattr(c, "auth_" + mechanism.replace("-", "_")))[0]
        except smtplib.SMTPAuthenticationError as e:
            return e.smtp_code
        finally:
            c.close()

    def raw_plain(self, text):
        """The code of AUTH PLAIN with this text, whatever it is."""
        with socket.create_connection(("127.0.0.1", self.server.ports["submission"]), 60) as s, s.makefile("rwb", 0) as f:
            f.readline()
            f.write(b"EHLO me.example\r\n")
            while f.readline()[3:4] == b"-":
                pass
            f.write(b"AUTH PLAIN " + base64.b64encode(text.encode()) + b"\r\n")
            return f.readline()[:3]

    def features(self):
        c = smtplib.SMTP("127.0.0.1", self.server.ports["submission"], "me.example", timeout=60)
        c.ehlo()
        c.close()
        return c.esmtp_features.get("auth", "").split()


def same(password):
    return f'[ "$3" = "{password}" ]'


class UserAuth(Programs):
    def setUp(self):
        super().setUp()
        self.check = self.program("check", same(OUTSIDE))
        self.table(f"userauth/pop3/{DOMAIN}.tab", ("userauth", self.check, "@@USER", "@@DOMAIN", "@@PASSWD", "$(PATH)"))

    def test_clients(self):
        """All ways to log in that show the password; those that can't work aren't listed."""
        self.server.start()
        self.assertEqual(self.pop3(), "+OK")
        self.assertEqual(self.pop3(password=PASSWORD), "-ERR [AUTH]")
        for mechanism in ("plain", "login"):
            self.assertEqual(self.smtp(mechanism=mechanism), 235)
            self.assertEqual(self.smtp(mechanism=mechanism, password=PASSWORD), 535)
        for user, code in (("alice", 0), ("nobody", 67)):
            curl = subprocess.run(["curl", "-sS", f"pop3://127.0.0.1:{self.server.ports['pop3']}/", "-u", f"{user}@{DOMAIN}:{OUTSIDE}"],
                                  capture_output=True, timeout=60, check=False)
            self.assertEqual(curl.returncode, code, curl.stderr)
        curl = subprocess.run(["curl", "-sS", f"smtp://127.0.0.1:{self.server.ports['submission']}/me.example", "-u", f"{ALICE}:{OUTSIDE}",
                               "--mail-from", ALICE, "--mail-rcpt", f"bob@{DOMAIN}", "-T", "-"], input=b"Subject: t\r\n\r\nx\r\n",
                              capture_output=True, timeout=60, check=False)
        self.assertEqual(curl.returncode, 0, curl.stderr)
        self.assertEqual(len(self.server.mailbox("bob")), 1)
        self.assertEqual(self.features(), ["PLAIN", "LOGIN"])
        c = poplib.POP3("127.0.0.1", self.server.ports["pop3"], timeout=60)
        self.assertEqual(c.capa()["SASL"], ["PLAIN", "LOGIN"])
        c.close()

    def test_readable_passwords_do_not_help(self):
        """APOP, CRAM-MD5 and SCRAM would go by mailusers.tab: never where a program decides, still elsewhere."""
        os.remove(self.server.path(f"userauth/pop3/{DOMAIN}.tab"))
        self.table("userauth/pop3/other.example.tab", ("userauth", self.check))
        self.server.set(PasswordScheme="xmcrypt")
        old = self.server.path("mailusers.tab")
        with open(old, encoding="utf-8") as f:
            rows = [line.rstrip("\n").split("\t") for line in f]
        for row in rows:
            row[2] = f'"{xmcrypt(PASSWORD)}"'
        replace(old, "".join("\t".join(row) + "\n" for row in rows).encode())
        self.server.start()

        def apop():
            c = poplib.POP3("127.0.0.1", self.server.ports["pop3"], timeout=60)
            try:
                return c.apop(ALICE, PASSWORD)[:3]
            except poplib.error_proto as e:
                return str(e.args[0])[:4]
            finally:
                c.close()
        self.assertEqual(apop(), b"+OK")
        self.assertEqual(self.smtp(password=PASSWORD, mechanism="cram-md5"), 235)
        self.assertEqual(self.features(), ["PLAIN", "LOGIN"])
        self.table(f"userauth/pop3/{DOMAIN}.tab", ("userauth", self.check, "@@USER", "@@DOMAIN", "@@PASSWD"))
        self.assertTrue(wait_until(lambda: self.smtp() == 235))
        self.assertNotEqual(apop(), b"+OK")
        self.assertEqual(self.smtp(password=PASSWORD, mechanism="cram-md5"), 535)
        self.table("userauth/pop3/.tab", ("userauth", self.check))
        c = None

        def greeting():
            nonlocal c
            c = poplib.POP3("127.0.0.1", self.server.ports["pop3"], timeout=60)
            c.close()
            return c.getwelcome()
        self.assertTrue(wait_until(lambda: b"<" not in greeting()))

    def test_which_table(self):
        """The domain's, else everybody's; the account must be one of ours; an alias domain counts as the real one."""
        self.table("userauth/pop3/.tab", ("userauth", self.program("no", "exit 1")))
        self.server.append("aliasdomain.tab", ("alias.example", DOMAIN))
        self.server.start()
        self.assertEqual(self.pop3(), "+OK")
        self.assertEqual(self.pop3("alice@alias.example"), "+OK")
        self.assertEqual(self.pop3(f"ghost@{DOMAIN}"), "-ERR [AUTH]")
        self.assertEqual(self.smtp(f"ghost@{DOMAIN}"), 535)
        os.remove(self.server.path(f"userauth/pop3/{DOMAIN}.tab"))
        # Gone a moment ago: nobody is let in by another table meanwhile, or by mailusers.tab.
        self.assertIn(self.pop3(), ("-ERR [SYS/TEMP]", "+OK"))
        self.assertNotEqual(self.pop3(password=PASSWORD), "+OK")

    def test_table_that_is_not_understood(self):
        self.table(f"userauth/pop3/{DOMAIN}.tab", ("userauht", self.check, "@@USER"))
        self.server.start()
        self.assertEqual(self.pop3(), "-ERR [SYS/TEMP]")
        self.assertEqual(self.pop3(password=PASSWORD), "-ERR [SYS/TEMP]")
        self.assertEqual(self.smtp(password=PASSWORD), 454)
        self.table(f"userauth/pop3/{DOMAIN}.tab", ("useradd", self.check, "@@USER"))
        self.assertTrue(wait_until(lambda: self.pop3(password=PASSWORD) == "+OK"))

    def test_what_it_is_told(self):
        out = os.path.join(self.server.scratch, "out")
        self.program("check", f'printf "%s\\n" "$#" "$@" "$HIKYAKU_USER" "$HIKYAKU_PASSWD" "$HIKYAKU_DOMAIN" "$MAIL_ROOT" >{out}; env | grep -c . >>{out}')
        self.server.start()
        for password in ("simple", "a b  c", "'\"\\`$(id);&|*?", "-x", "\u3042", "$(PASSWD)@@USER", "%s%n", "\x01\t!"):
            with self.subTest(password=password):
                if password.isprintable():
                    self.assertEqual(self.raw_plain(f"\0{ALICE}\0{password}"), b"235")
                if password.isascii():
                    self.assertEqual(self.pop3(password=password), "+OK")
                with open(out, encoding="utf-8", newline="") as f:
                    lines = f.read().split("\n")
                folder = self.server.path("domains", DOMAIN, "alice") + "/"
                self.assertEqual(lines[:9], ["4", "alice", DOMAIN, password, folder, "alice", password, DOMAIN, os.path.realpath(self.server.mailroot)])

    def test_impossible_values(self):
        """Nobody is asked about them: empty passwords, NUL, line ends, names of nobody."""
        out = os.path.join(self.server.scratch, "out")
        self.program("check", f"echo ran >>{out}; exit 0")
        self.server.start()
        self.assertEqual(self.pop3(password=""), "-ERR [AUTH]")
        for text in (f"\0{ALICE}\0", f"\0{ALICE}\0a\0b", f"\0{ALICE}\nx\0a", "\0\0a", f"{ALICE}x\0{ALICE}\0a", f"\0-x@{DOMAIN}\0a", f"\0$(id)@{DOMAIN}\0a"):
            with self.subTest(text=text):
                self.assertIn(self.raw_plain(text), (b"535", b"501"))
        self.assertFalse(os.path.exists(out))
        self.assertEqual(self.smtp(), 235)
        self.assertTrue(os.path.exists(out))

    def test_secrets_are_not_logged(self):
        secret = "Geheim-7391-wort"
        self.program("check", 'set -x; echo "$3"; echo "$3" >&2; [ "$3" = "Geheim-7391-wort" ] && exit 0; exit 1')
        self.server.words = ["-Md"]
        self.server.start()
        self.assertEqual(self.pop3(password=secret), "+OK")
        self.assertEqual(self.pop3(password=secret + "x"), "-ERR [AUTH]")
        self.assertEqual(self.smtp(password=secret), 235)
        self.assertEqual(self.smtp(password=secret + "x"), 535)
        self.program("check", 'echo "$3"; kill -9 $$')
        self.assertEqual(self.smtp(password=secret), 454)
        self.assertTrue(wait_until(lambda: self.server.log_text().count("program failed") == 1))
        texts = [self.server.log_text()]
        for folder, _, names in os.walk(self.server.mailroot):
            for name in names:
                if name != "check" and not name.endswith(".sock"):
                    with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as f:
                        texts.append(f.read())
        for text in texts:
            self.assertNotIn("Geheim-7391", text)
        self.assertIn("program ended", texts[0])

    def decides(self, *rows):
        for script, pop3, smtp in rows:
            with self.subTest(script=script):
                self.program("check", script)
                self.assertEqual((self.pop3(), self.smtp()), (pop3, smtp))

    def test_exit_codes(self):
        """Only 0 lets in; what didn't end by itself decides nothing and isn't a bad login."""
        self.server.start()
        self.decides(("exit 0", "+OK", 235), ("exit 1", "-ERR [AUTH]", 535), ("exit 16", "-ERR [AUTH]", 535), ("exit 255", "-ERR [AUTH]", 535),
                     ("kill -9 $$", "-ERR [SYS/TEMP]", 454), ("exit 127", "-ERR [SYS/TEMP]", 454), ("(sleep 60 &) ; exit 0", "+OK", 235),
                     ("setsid sleep 60 & exit 1", "-ERR [AUTH]", 535), ("head -c 5000000 /dev/zero; exit 0", "+OK", 235), ("cat; exit 0", "+OK", 235))
        os.remove(self.check)
        self.assertEqual((self.pop3(), self.smtp()), ("-ERR [SYS/TEMP]", 454))
        self.program("check", "exit 0", shell="/no/such/shell")
        self.assertEqual(self.pop3(), "-ERR [SYS/TEMP]")

    def test_hanging(self):
        self.server.set(AuthProgramTimeout="1")
        self.server.start()
        self.decides(*((script, "-ERR [SYS/TEMP]", 454) for script in (
            "sleep 60", "trap '' TERM; sleep 60", "trap 'exit 0' TERM; sleep 60 & wait", "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done")))

    def test_bad_logins_are_counted(self):
        out = os.path.join(self.server.scratch, "out")
        self.program("check", f"echo ran >>{out}; exit 1")
        self.server.start()
        for _ in range(40):
            self.assertEqual(self.pop3(password="guess"), "-ERR [AUTH]")
            with open(out, encoding="utf-8") as f:
                ran = len(f.read().split())
            if ran < _ + 1:
                break
        self.assertLess(ran, 40)
        self.program("check", "exit 0")
        self.assertEqual(self.pop3(), "-ERR [AUTH]")

    def test_perl_and_c(self):
        """An administrator's programs needn't be shell scripts."""
        self.program("check", 'exit($ARGV[2] eq "' + OUTSIDE + '" ? 0 : 1);', shell="/usr/bin/perl")
        self.server.start()
        self.assertEqual(self.pop3(), "+OK")
        self.assertEqual(self.pop3(password="x"), "-ERR [AUTH]")
        source = os.path.join(self.server.scratch, "c.c")
        with open(source, "w", encoding="utf-8") as f:
            f.write('#include <string.h>\nint main(int n, char **a) { return n == 5 && !strcmp(a[3], "%s") ? 0 : 5; }\n' % OUTSIDE)
        subprocess.run(["cc", "-o", self.check, source], check=True)
        self.assertEqual(self.pop3(), "+OK")
        self.assertEqual(self.pop3(password="x"), "-ERR [AUTH]")


class ManyLogins(Programs):
    settings = {"MaxPrograms": "8", "AuthProgramTimeout": "60"}

    def test_they_hold_no_thread(self):
        """300 logins wait for slow programs, eight of which run at a time; others are served meanwhile."""
        gate = os.path.join(self.server.scratch, "gate")
        self.table(f"userauth/pop3/{DOMAIN}.tab", ("userauth", self.program("check", f"while [ ! -e {gate} ]; do sleep 0.2; done")))
        self.server.start()
        waiting = []
        for i in range(300):
            s = socket.create_connection(("127.0.0.1", self.server.ports["pop3"]), 60)
            f = s.makefile("rwb", 0)
            f.readline()
            f.write(f"USER alice@{DOMAIN}\r\nPASS x{i}\r\n".encode())
            waiting.append((s, f))
        for _, f in waiting:
            self.assertEqual(f.readline()[:3], b"+OK")
        access = self.server.role_pid("access")
        with open(f"/proc/{access}/status", encoding="ascii") as f:
            threads = int(next(x for x in f if x.startswith("Threads:")).split()[1])
        self.assertLess(threads, 40)
        c = poplib.POP3("127.0.0.1", self.server.ports["pop3"], timeout=60)
        self.assertIn("USER", c.capa())
        c.close()
        with open(gate, "w", encoding="ascii"):
            pass
        answers = []
        for s, f in waiting:
            answers.append(f.readline().split()[0])
            f.close()
            s.close()
        # One session at a time has the mailbox; the others are told so: each was decided.
        self.assertIn(b"+OK", answers)
        self.assertEqual(set(answers) - {b"+OK", b"-ERR"}, set())
        self.assertNotIn("login can't be decided", self.server.log_text())


if __name__ == "__main__":
    unittest.main()
