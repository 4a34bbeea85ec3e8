"""smtpextauth.tab: methods of AUTH that programs check, in both forms, with real clients; and the rights that they give."""
import base64
import os
import smtplib
import socket
import subprocess
import unittest

from harness import DOMAIN, PASSWORD, wait_until
from test_auth import ALICE, OUTSIDE, Programs

FAR = "x@far.example"

# CRAM-MD5 as a program does it: the secrets come in a file, CHALL and DGEST as arguments.
CRAM = """
import hmac, os, sys
user, chall, dgest, path = sys.argv[1:]
if os.stat(path).st_mode & 0o77:
    sys.exit(8)
secrets = dict(line.rstrip("\\n").split(":", 1) for line in open(path))
good = user in secrets and hmac.new(secrets[user].encode(), chall.encode(), "md5").hexdigest() == dgest
sys.exit(0 if good else 1)
"""


class ExtAuth(Programs):
    settings = {"SmtpNoTLSAuths": "PLAIN LOGIN CRAM-MD5 RSA-AUTH"}

    def rights(self, user="anybody", password=OUTSIDE):
        """What somebody may do who logged in by PLAIN: AUTH, MAIL, RCPT elsewhere, VRFY, and SIZE."""
        c = smtplib.SMTP("127.0.0.1", self.server.ports["smtp"], "me.example", timeout=60)
        try:
            c.ehlo()
            codes = [c.docmd("AUTH", "PLAIN " + base64.b64encode(f"\0{user}\0{password}".encode()).decode())[0]]
            c.ehlo()
            codes += [c.mail(FAR)[0], c.rcpt(FAR)[0], c.verify(ALICE)[0], int(c.esmtp_features["size"])]
            return codes
        finally:
            c.close()

    def test_plain_text_methods(self):
        """Whoever the program knows comes in, an account or not, by smtplib and swaks; only what the table has is offered."""
        out = os.path.join(self.server.scratch, "out")
        check = self.program("check", f'printf "[%s]" "$@" >>{out}; echo >>{out}; [ "$4" = "{OUTSIDE}" ]')
        words = (check, "-a", "$(AUTH)", "@@USER", "@@PASS", "[$(CHALL)$(DGEST)$(SECRT)]")
        self.table("smtpextauth.tab", ("PLAIN", *words), ("login", *words))
        self.server.start()
        self.assertEqual(self.features(), ["PLAIN", "LOGIN"])
        for mechanism in ("plain", "login"):
            for user in (ALICE, "somebody", "a'b$(id)"):
                self.assertEqual(self.smtp(user, mechanism=mechanism), 235)
                self.assertEqual(self.smtp(user, PASSWORD, mechanism=mechanism), 535)
        with open(out, encoding="utf-8") as f:
            lines = f.read().splitlines()
        self.assertIn(f"[-a][LOGIN][a'b$(id)][{OUTSIDE}][[]]", lines)
        self.assertEqual(self.raw_plain("\0-x\0" + OUTSIDE), b"535")
        self.assertEqual(self.raw_plain("\0a\nb\0" + OUTSIDE), b"535")
        self.assertEqual(self.raw_plain("\0a\0"), b"535")
        with open(out, encoding="utf-8") as f:
            self.assertEqual(f.read().splitlines(), lines)
        for mechanism in ("cram-md5",):
            self.assertEqual(self.smtp(password=PASSWORD, mechanism=mechanism), 504)
        swaks = subprocess.run(["swaks", "--server", "127.0.0.1", "--port", str(self.server.ports["submission"]), "--auth", "PLAIN", "--auth-user", ALICE,
                                "--auth-password", OUTSIDE, "--from", ALICE, "--to", f"bob@{DOMAIN}"], capture_output=True, timeout=60, check=False)
        self.assertEqual(swaks.returncode, 0, swaks.stdout)
        self.assertEqual(len(self.server.mailbox("bob")), 1)
        self.assertEqual(os.listdir(self.server.path("hikyaku/auth")), [])
        self.assertNotIn(OUTSIDE, self.server.log_text())

    def test_rights(self):
        """Perms of RFILE, else the user's own, else those of smtpauth.tab, else DefaultSmtpPerms."""
        self.server.set(MaxMessageSize="10", DefaultSmtpPerms="M")
        self.server.append("smtpauth.tab", ("printer", "its password", "MV"))
        script = os.path.join(self.server.scratch, "script")
        self.table("smtpextauth.tab", ("PLAIN", self.program("check", f". {script}"), "@@USER", "$(RFILE)"))
        self.server.start()

        def says(text):
            with open(script, "w", encoding="utf-8") as f:
                f.write(text)
        limit = 10 * 1024
        rows = [  # script, user, MAIL, RCPT elsewhere, VRFY, SIZE
            ("exit 0", "anybody", 250, 550, 252, limit),
            ("exit 0", "printer", 250, 550, 250, limit),
            ('echo "Perms=MR" >"$2"', "anybody", 250, 250, 252, limit),
            ('printf "X=1\\r\\n perms = \\"mrvz\\" \\r\\n" >"$2"', "printer", 250, 250, 250, 0),
            ('echo "Perms=" >"$2"', "printer", 550, 503, 252, limit),
            ('echo "Perms=MRVZ" >"$2"; exit 1', "anybody", None, None, None, None),
            ('mkfifo "$2"', "anybody", 250, 550, 252, limit),
            (f'echo Perms=MRZ >{self.server.scratch}/other; ln -s {self.server.scratch}/other "$2"', "anybody", 250, 550, 252, limit),
            ('head -c 300000 /dev/zero >"$2"; echo Perms=MRZ >>"$2"', "anybody", 250, 550, 252, limit),
            ('rm -rf "$(dirname "$2")"', "anybody", 250, 550, 252, limit),
        ]
        for text, user, *want in rows:
            with self.subTest(text=text):
                says(text)
                got = self.rights(user)
                self.assertEqual(got[0], 535 if want[0] is None else 235)
                if want[0] is not None:
                    self.assertEqual(got[1:], want)

    def test_challenge_methods(self):
        """CRAM-MD5 by a program with a file of secrets, and a method of the administrator's own with a base challenge."""
        out = os.path.join(self.server.scratch, "out")
        self.server.append("smtpauth.tab", ("printer", "its password", "MR"))
        cram = self.program("cram", CRAM, shell="/usr/bin/env python3")
        own = self.program("own", f'printf "%s\\n" "$@" >{out}; [ "$3" = YES ]')
        self.table("smtpextauth.tab", ("CRAM-MD5", cram, "@@USER", "@@CHALL", "@@DGEST", "@@SECRT"),
                   ("RSA-AUTH", "foochallenge", own, "@@CHALL", "@@USER", "@@DGEST", "$(PASS)", "@@RFILE"))
        self.server.start()
        self.assertEqual(self.features(), ["CRAM-MD5", "RSA-AUTH"])
        self.assertEqual(self.smtp("printer", "its password", "cram-md5"), 235)
        self.assertEqual(self.smtp("printer", "another", "cram-md5"), 535)
        self.assertEqual(self.smtp(ALICE, PASSWORD, "cram-md5"), 535)
        self.assertEqual(self.smtp(mechanism="plain"), 504)

        def answer(text):
            with socket.create_connection(("127.0.0.1", self.server.ports["submission"]), 60) as s, s.makefile("rwb", 0) as f:
                f.readline()
                f.write(b"EHLO me.example\r\n")
                while f.readline()[3:4] == b"-":
                    pass
                f.write(b"AUTH rsa-auth\r\n")
                self.challenge = base64.b64decode(f.readline().split()[1]).decode()
                f.write(base64.b64encode(text) + b"\r\n")
                return int(f.readline()[:3])
        self.assertEqual(answer(b"some body YES"), 235)
        with open(out, encoding="utf-8") as f:
            told = f.read().split("\n")
        self.assertRegex(self.challenge, r"^foochallenge:<[^<>]+@mail\.test\.example>$")
        self.assertEqual(told[:4], [self.challenge, "some body", "YES", ""])
        self.assertTrue(told[4].startswith(self.server.path("hikyaku/auth") + "/"))
        for text, code in ((b"some body NO", 535), (b"YES", 501), (b" YES", 501), (b"a ", 501), (b"", 501), (b"a b\0YES", 501), (b"-x YES", 535),
                           (b"a\nb YES", 535)):
            with self.subTest(text=text):
                self.assertEqual(answer(text), code)
        self.assertEqual(os.listdir(self.server.path("hikyaku/auth")), [])

    def test_it_decides_nothing(self):
        """A program that fails, and a table that isn't understood, let nobody in by another way."""
        self.server.set(AuthProgramTimeout="1")
        self.program("check", "kill -9 $$")
        self.table("smtpextauth.tab", ("PLAIN", os.path.join(self.bin, "check"), "@@USER"))
        self.server.start()
        self.assertEqual(self.smtp(password=PASSWORD), 454)
        self.program("check", "sleep 60")
        self.assertEqual(self.smtp(password=PASSWORD), 454)
        self.table("smtpextauth.tab", ("NOT A METHOD", os.path.join(self.bin, "check")))
        self.assertTrue(wait_until(lambda: self.features() == []))
        self.assertEqual(self.smtp(password=PASSWORD), 504)
        self.assertIn("not the name of a method", self.server.log_text())
        self.table("smtpextauth.tab", ("PLAIN", os.path.join(self.bin, "check"), "@@USER"))
        self.server.set(SmtpNoTLSAuths="")
        self.assertTrue(wait_until(lambda: self.smtp(password=PASSWORD) == 538))

    def test_bad_logins_are_counted(self):
        out = os.path.join(self.server.scratch, "out")
        self.table("smtpextauth.tab", ("PLAIN", self.program("check", f"echo ran >>{out}; exit 1"), "@@USER"))
        self.server.start()

        def ran():
            with open(out, encoding="utf-8") as f:
                return len(f.read().split())
        tries = 0
        while tries < 40 and (tries == 0 or ran() == tries):
            self.assertEqual(self.smtp(), 535)
            tries += 1
        self.assertLess(ran(), tries)


if __name__ == "__main__":
    unittest.main()
