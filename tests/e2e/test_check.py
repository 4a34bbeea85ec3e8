"""`hikyaku check`: each fault of a MailRoot is found, with file and line; a good MailRoot has none."""
import json
import os
import shutil
import subprocess
import unittest

from harness import DOMAIN, PROGRAM, Server, xmcrypt


class Check(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(users=("alice", "bob"))

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def setUp(self):
        self.root = os.path.join(self.server.scratch, self._testMethodName)
        shutil.copytree(self.server.mailroot, self.root)

    def path(self, *parts):
        return os.path.join(self.root, *parts)

    def write(self, name, data):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "wb") as f:
            f.write(data)

    def append(self, name, data):
        with open(self.path(name), "ab") as f:
            f.write(data)

    def lines_in(self, name):
        with open(self.path(name), "rb") as f:
            return f.read().count(b"\n")

    def check(self):
        done = subprocess.run([PROGRAM, "check", "--mailroot", self.root, "--json"], capture_output=True,
                              timeout=60)
        self.assertNotIn(b"ERROR: ", done.stderr)  # of a sanitizer
        return done.returncode, [json.loads(line) for line in done.stdout.decode().splitlines()]

    def assertFound(self, level, name, line, words):
        code, findings = self.check()
        for f in findings:
            if (f["level"], f["file"], f["line"]) == (level, name, line) and words in f["what"]:
                self.assertEqual(code, {"note": 0, "warning": 1, "error": 2}[level], findings)
                self.assertTrue(f["advice"])
                return
        self.fail(f"no {level} at {name}:{line} with '{words}' in {findings}")

    def test_fresh_mailroot(self):
        self.assertEqual(self.check(), (0, []))

    def test_plain_output(self):
        self.append("aliases.tab", f'"{DOMAIN}"\t"x"\t"nobody"\n'.encode())
        done = subprocess.run([PROGRAM, "check", "--mailroot", self.root], capture_output=True, text=True)
        self.assertIn(f"aliases.tab:{self.lines_in('aliases.tab')}: error: ", done.stdout)
        self.assertIn("1 errors, 0 warnings, 0 notes", done.stdout)
        self.assertEqual(done.returncode, 2)

    def test_usage(self):
        for words in (["--nonsense"], ["--mailroot", "/nonexistent"], ["--mailroot", self.path("domains")]):
            done = subprocess.run([PROGRAM, "check"] + words, capture_output=True, text=True)
            self.assertEqual(done.returncode, 3, words)
            self.assertTrue(done.stderr)

    def test_malformed_line(self):
        self.append("aliases.tab", b'"open quote\n')
        self.assertFound("error", "aliases.tab", self.lines_in("aliases.tab"), "quote")

    def test_too_few_columns(self):
        self.append("mailusers.tab", f'"{DOMAIN}"\t"carol"\n'.encode())
        self.assertFound("error", "mailusers.tab", 3, "2 values where 6")

    def test_bad_value(self):
        self.append("smtp.ipmap.tab", b'"1.2.3"\t"255.255.255.255"\t"DENY"\t"1"\n')
        self.assertFound("error", "smtp.ipmap.tab", self.lines_in("smtp.ipmap.tab"), "IP address")

    def test_no_line_end(self):
        self.append("domains.tab", b'"more.example"')
        self.assertFound("warning", "domains.tab", 0, "no end")

    def test_unknown_domain(self):
        self.append("mailusers.tab", b'"other.example"\t"carol"\t"00"\t"9"\t"carol"\t"U"\n')
        self.assertFound("error", "mailusers.tab", 3, "not in domains.tab")

    def test_account_twice(self):
        with open(self.path("mailusers.tab"), "rb") as f:
            first = f.readline()
        self.append("mailusers.tab", first)
        self.assertFound("error", "mailusers.tab", 3, "twice")

    def test_dangling_alias(self):
        self.append("aliases.tab", f'"{DOMAIN}"\t"x"\t"nobody"\n'.encode())
        self.assertFound("error", "aliases.tab", self.lines_in("aliases.tab"), "no account")

    def test_alias_of_account(self):
        self.append("aliases.tab", f'"{DOMAIN}"\t"alice"\t"bob"\n'.encode())
        self.assertFound("warning", "aliases.tab", self.lines_in("aliases.tab"), "account alice")

    def test_alias_domain_of_nothing(self):
        self.append("aliasdomain.tab", b'"a.example"\t"gone.example"\n')
        self.assertFound("error", "aliasdomain.tab", self.lines_in("aliasdomain.tab"), "gone.example")

    def test_open_relay(self):
        self.append("smtprelay.tab", b'"0.0.0.0"\t"0.0.0.0"\n')
        self.assertFound("error", "smtprelay.tab", self.lines_in("smtprelay.tab"), "everybody")

    def test_open_relay_ipv6(self):
        self.append("smtprelay.tab", b'"::/0"\n')
        self.assertFound("error", "smtprelay.tab", self.lines_in("smtprelay.tab"), "everybody")

    def test_private_relay_is_fine(self):
        self.append("smtprelay.tab", b'"192.168.0.0"\t"255.255.0.0"\n')
        self.assertEqual(self.check(), (0, []))

    def test_open_control(self):
        self.write("ctrl.ipmap.tab", b"")
        self.assertFound("error", "ctrl.ipmap.tab", 0, "anybody")

    def test_weak_control_password(self):
        self.append("ctrlaccounts.tab", f'"root"\t"{xmcrypt("root")}"\n'.encode())
        self.assertFound("error", "ctrlaccounts.tab", 2, "no password of its own")

    def test_unknown_setting(self):
        self.append("server.tab", b'"Nonsense"\t"1"\n')
        self.assertFound("warning", "server.tab", self.lines_in("server.tab"), "Nonsense")

    def test_bad_setting(self):
        self.append("server.tab", b'"MaxMTAOps"\t"many"\n')
        self.assertFound("error", "server.tab", self.lines_in("server.tab"), "many")

    def test_postmaster_nowhere(self):
        with open(self.path("server.tab"), "rb") as f:
            text = f.read()
        self.write("server.tab", text.replace(f'alice@{DOMAIN}'.encode(), f"gone@{DOMAIN}".encode()))
        self.assertFound("error", "server.tab", 0, "PostMaster")

    def test_programs(self):
        mailproc = f"domains/{DOMAIN}/alice/mailproc.tab"
        self.write("filters/a.tab", b'"!odd"\t"/bin/true"\n"/not/there"\t"@@FILE"\n')
        self.write("filters.in.tab", b'"*"\t"*"\t"0.0.0.0/0"\t"0.0.0.0/0"\t"a.tab"\n"*"\t"*"\t"x"\t"0.0.0.0/0"\t"a.tab"\n')
        self.write("filters.out.tab", b'"*"\t"*"\t"0.0.0.0/0"\t"0.0.0.0/0"\t"none.tab"\n')
        self.write(mailproc, b'"mailbox"\n"smtp"\n"what"\n"external"\t"0"\t"x"\t"/bin/true"\n')
        for name, line, words in (("filters/a.tab", 1, "flag"), ("filters/a.tab", 2, "isn't there"), ("filters.in.tab", 2, "address"),
                                  ("filters.out.tab", 1, "isn't there"), (mailproc, 2, "smtp"), (mailproc, 3, "not a command"), (mailproc, 4, "seconds")):
            with self.subTest(name=name, line=line):
                self.assertFound("error", name, line, words)

    def test_programs_of_logins(self):
        self.write("smtpextauth.tab", b'"NOT A METHOD"\t"/bin/true"\n"PLAIN"\t"/not/there"\n')
        self.write("userauth/pop3/.tab", b'"userauht"\t"/bin/true"\n')
        for name, line, words in (("smtpextauth.tab", 1, "method"), ("smtpextauth.tab", 2, "isn't there"), ("userauth/pop3/.tab", 1, "action")):
            with self.subTest(name=name, line=line):
                self.assertFound("error", name, line, words)

    def test_user_variable(self):
        self.append(f"domains/{DOMAIN}/alice/user.tab", b'"MaxMBSize"\t"lots"\n')
        path = f"domains/{DOMAIN}/alice/user.tab"
        self.assertFound("warning", path, self.lines_in(path), "number of kilobytes")

    def test_shift_jis_is_a_note(self):
        self.append(f"domains/{DOMAIN}/alice/user.tab", '"Address"\t"表示能力"\r\n'.encode("shift_jis"))
        self.assertFound("note", f"domains/{DOMAIN}/alice/user.tab", 0, "not UTF-8")

    def test_world_readable(self):
        os.chmod(self.root, 0o755)
        os.chmod(self.path("mailusers.tab"), 0o644)
        self.assertFound("warning", "mailusers.tab", 0, "every user of this machine")

    def test_world_writable(self):
        os.chmod(self.root, 0o777)
        self.assertFound("error", ".", 0, "change the tables")

    def test_no_certificate(self):
        os.unlink(self.path("server.cert"))
        self.assertFound("warning", "server.cert", 0, "no certificate")

    def test_key_of_another(self):
        other = Server(users=("alice",))
        try:
            shutil.copy(other.path("server.key"), self.path("server.key"))
        finally:
            other.close()
        self.assertFound("error", "server.cert", 0, "")

    def test_name_not_covered(self):
        with open(self.path("server.tab"), "rb") as f:
            text = f.read()
        self.write("server.tab", text.replace(f'"mail.{DOMAIN}"'.encode(), b'"other.example"'))
        self.assertFound("warning", "server.cert", 0, "not for other.example")

    def test_spool_of_xmail(self):
        self.write("spool/0/1/slog/1.1.1.host", b"log")
        self.assertEqual(self.check(), (0, []))
        self.write("spool/0/1/rsnd/1.1.1.host", b"mail")
        self.write("spool/local/2-1.1.host", b"mail")
        self.assertFound("note", "spool", 0, "1 messages here, and 1 files")

    def test_no_folder(self):
        shutil.rmtree(self.path("domains", DOMAIN, "bob"))
        self.assertFound("warning", "mailusers.tab", 2, "no folder")

    def test_both_kinds_of_mailbox(self):
        os.mkdir(self.path("domains", DOMAIN, "bob", "mailbox"))
        self.assertFound("warning", "mailusers.tab", 2, "both")

    def test_cmdalias_hides_account(self):
        path = f"cmdaliases/{DOMAIN}/bob.tab"
        self.write(path, b'"smtp"\n')
        self.assertFound("warning", path, 0, "account bob")

    def test_custdomain_for_the_world(self):
        self.write("custdomains/.tab", b'"smtp"\n')
        self.assertFound("warning", "custdomains/.tab", 0, "every domain")

    def test_custdomain_that_is_never_found(self):
        self.write("custdomains/.Upper.example.tab", b'"smtp"\n')
        self.assertFound("warning", "custdomains/.Upper.example.tab", 0, "lower case")

    def test_hostile_files(self):
        """Nothing that a file can hold ends the program in another way than with its report."""
        for data in (b"\0" * 5000, b'"' * 100000, b"\xff\xfe" * 1000, b'"a"\t' * 50000, os.urandom(65536)):
            for name in ("mailusers.tab", "server.tab", "aliases.tab", "ctrl.ipmap.tab", "server.cert",
                         f"domains/{DOMAIN}/alice/user.tab"):
                with self.subTest(name=name, data=data[:4]):
                    shutil.rmtree(self.root)
                    shutil.copytree(self.server.mailroot, self.root)
                    self.write(name, data)
                    code, _ = self.check()
                    self.assertIn(code, (0, 1, 2))

    def test_changes_nothing(self):
        def state():
            return {os.path.join(d, f): os.stat(os.path.join(d, f)).st_mtime_ns
                    for d, _, files in os.walk(self.root) for f in files}
        before = state()
        self.check()
        self.assertEqual(state(), before)


if __name__ == "__main__":
    unittest.main()
