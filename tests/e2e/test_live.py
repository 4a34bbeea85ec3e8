"""Changes of tables and settings take effect while the server runs."""
import os
import poplib
import time
import unittest

from harness import DOMAIN, PASSWORD, Server, replace, wait_until, xmcrypt
from lines import Lines

SOON = 2.0  # seconds in which a change by an outside editor must count
LETTER = b"Subject: live\r\n\r\nx\r\n"


def row(*values):
    return "\t".join(f'"{v}"' for v in values).encode() + b"\n"


class Live(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(users=("alice", "bob", "carol", "dave", "erin"),
                            settings={"MaxSessionsPerAddress": 0, "SMTP-MaxErrors": 0}).start()

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def rcpt(self, address, size=None, source=None):
        """The reply to RCPT TO (or to MAIL when that is refused)."""
        with Lines(self.server.ports["smtp"], source=source) as c:
            c.say("EHLO client.example")
            answer = c.say("MAIL FROM:<s@far.example>" + (f" SIZE={size}" if size else ""))
            if answer.startswith("250"):
                answer = c.say(f"RCPT TO:<{address}>")
            c.send(b"QUIT\r\n")
            return answer

    def send(self, address, text=LETTER, wanted="250"):
        """Without SIZE, so that the size shows at the end only."""
        with Lines(self.server.ports["smtp"]) as c:
            c.say("HELO client.example")
            self.assertEqual(c.say("MAIL FROM:<s@far.example>")[:3], "250")
            self.assertEqual(c.say(f"RCPT TO:<{address}>")[:3], "250")
            self.assertEqual(c.say("DATA")[:3], "354")
            c.send(text)
            answer = c.say(".")
            self.assertEqual(answer[:len(wanted)], wanted, answer)
            c.send(b"QUIT\r\n")

    def login(self, user, password=PASSWORD, source=None):
        with Lines(self.server.ports["pop3"], source=source) as c:
            if c.greeting.startswith("-ERR"):
                return c.greeting
            c.say(f"USER {user}@{DOMAIN}")
            answer = c.say("PASS " + password)
            c.send(b"QUIT\r\n")
            return answer

    def soon(self, what, wanted, message):
        began = time.monotonic()
        self.assertTrue(wait_until(lambda: what().startswith(wanted), 5), f"{message}: {what()}")
        took = time.monotonic() - began
        self.assertLess(took, SOON, message)

    def edit(self, table, change):
        with open(self.server.path(table), "rb") as f:
            data = f.read()
        replace(self.server.path(table), change(data))
        return data

    # --- tables -------------------------------------------------------------------------------

    def test_new_alias(self):
        self.assertEqual(self.rcpt("newalias@" + DOMAIN)[:3], "550")
        self.server.append("aliases.tab", (DOMAIN, "newalias", "bob"))
        self.soon(lambda: self.rcpt("newalias@" + DOMAIN), "250", "appended alias")
        self.edit("aliases.tab", lambda d: d.replace(row(DOMAIN, "newalias", "bob"), b""))
        self.soon(lambda: self.rcpt("newalias@" + DOMAIN), "550", "removed alias")

    def test_new_domain_and_account(self):
        self.assertEqual(self.rcpt("x@late.example")[:3], "550")
        os.makedirs(self.server.path("domains/late.example/x"))
        self.server.append("domains.tab", ("late.example",))
        self.server.append("mailusers.tab", ("late.example", "x", xmcrypt("late"), "900", "x", "U"))
        self.soon(lambda: self.rcpt("x@late.example"), "250", "appended account")
        self.send("x@late.example")
        box = poplib.POP3("127.0.0.1", self.server.ports["pop3"], timeout=20)
        box.user("x@late.example")
        box.pass_("late")
        self.assertEqual(box.stat()[0], 1)
        box.quit()

    def test_new_alias_domain(self):
        self.assertEqual(self.rcpt("alice@other.example")[:3], "550")
        self.server.append("aliasdomain.tab", ("other.example", DOMAIN))
        self.soon(lambda: self.rcpt("alice@other.example"), "250", "appended alias domain")

    def test_account_removed(self):
        self.assertEqual(self.rcpt("dave@" + DOMAIN)[:3], "250")
        with open(self.server.path("mailusers.tab"), "rb") as f:
            data = f.read()
        line = [l for l in data.splitlines(True) if b'"dave"' in l][0]
        self.edit("mailusers.tab", lambda d: d.replace(line, b""))
        self.soon(lambda: self.rcpt("dave@" + DOMAIN), "550", "removed account")
        self.assertIn("[AUTH]", self.login("dave"))
        self.edit("mailusers.tab", lambda d: d + line)
        self.soon(lambda: self.rcpt("dave@" + DOMAIN), "250", "account is back")

    def test_changed_password(self):
        with open(self.server.path("mailusers.tab"), "rb") as f:
            line = [l for l in f if b'"erin"' in l][0]
        fields = line.split(b"\t")
        fields[2] = f'"{xmcrypt("other")}"'.encode()
        self.edit("mailusers.tab", lambda d: d.replace(line, b"\t".join(fields)))
        time.sleep(SOON - 0.5)
        self.assertTrue(self.login("erin", "other").startswith("+OK"))
        self.edit("mailusers.tab", lambda d: d.replace(b"\t".join(fields), line))
        time.sleep(SOON - 0.5)
        self.assertTrue(self.login("erin").startswith("+OK"))

    def test_table_moved_away(self):
        """A miss can't be told from trouble; what is known goes on."""
        path = self.server.path("mailusers.tab")
        os.rename(path, path + ".away")
        try:
            self.soon(lambda: self.rcpt("nobody@" + DOMAIN), "451", "unknown user without the table")
            end = time.monotonic() + 3
            while time.monotonic() < end:
                self.assertEqual(self.rcpt("alice@" + DOMAIN)[:3], "250")
                self.assertEqual(self.rcpt("nobody@" + DOMAIN)[:3], "451")
                time.sleep(0.2)
            self.assertTrue(self.login("alice").startswith("+OK"))
            self.send("alice@" + DOMAIN)
        finally:
            os.rename(path + ".away", path)
        self.soon(lambda: self.rcpt("nobody@" + DOMAIN), "550", "the table is back")

    def test_table_emptied_for_a_moment(self):
        """A script that writes in place: the table is short while it does."""
        path = self.server.path("mailusers.tab")
        with open(path, "rb") as f:
            data = f.read()
        with open(path, "wb") as f:
            f.flush()
            end = time.monotonic() + 1
            while time.monotonic() < end:
                self.assertIn(self.rcpt("alice@" + DOMAIN)[:3], ("250", "451"))
            f.write(data)
        self.soon(lambda: self.rcpt("nobody@" + DOMAIN), "550", "the table is whole again")
        self.assertEqual(self.rcpt("alice@" + DOMAIN)[:3], "250")

    def test_half_written(self):
        """What doesn't end in a line end isn't used."""
        line = row(DOMAIN, "halfalias", "bob")
        with open(self.server.path("aliases.tab"), "ab") as f:
            f.write(line[:-3])
        time.sleep(1.5)
        self.assertEqual(self.rcpt("halfalias@" + DOMAIN)[:3], "550")
        self.assertEqual(self.rcpt("postmaster@" + DOMAIN)[:3], "250")
        with open(self.server.path("aliases.tab"), "ab") as f:
            f.write(line[-3:])
        self.soon(lambda: self.rcpt("halfalias@" + DOMAIN), "250", "completed line")

    def test_broken_line_reported_once(self):
        with open(self.server.path("aliases.tab"), "ab") as f:
            f.write(b'"only-one-brokenvalue\n')
        self.server.append("aliases.tab", (DOMAIN, "afterbroken", "bob"))
        self.soon(lambda: self.rcpt("afterbroken@" + DOMAIN), "250", "the line after a broken one")
        time.sleep(1)

        def reports():
            return [l for l in self.server.log_text().splitlines() if "aliases.tab" in l and "line" in l]
        with open(self.server.path("aliases.tab"), "rb") as f:
            number = 1 + f.read().split(b"\n").index(b'"only-one-brokenvalue')
        found = [l for l in reports() if str(number) in l]
        self.assertEqual(len(found), 1, "\n".join(reports()))
        self.edit("aliases.tab", lambda d: d.replace(b'"only-one-brokenvalue\n', b""))

    # --- settings -----------------------------------------------------------------------------

    def test_max_message_size(self):
        def offered():
            with Lines(self.server.ports["smtp"]) as c:
                return [l[4:] for l in c.say("EHLO c.example").split("\n") if "SIZE" in l][0]
        before = offered()
        self.server.set(MaxMessageSize=20)
        self.soon(offered, "SIZE 20480", "MaxMessageSize")
        self.assertEqual(self.rcpt("alice@" + DOMAIN, size=20481)[:9], "552 5.3.4")
        self.send("alice@" + DOMAIN, LETTER + (b"y" * 70 + b"\r\n") * 400, "552 5.3.4")
        self.server.set(MaxMessageSize=None)
        self.soon(offered, before, "MaxMessageSize's default")

    def test_bad_setting(self):
        self.server.set(MaxRecipients="many")
        self.assertTrue(wait_until(lambda: "MaxRecipients" in self.server.log_text(), 5))
        self.assertEqual(self.rcpt("alice@" + DOMAIN)[:3], "250")
        self.server.set(MaxRecipients=None)

    # --- access -------------------------------------------------------------------------------

    def test_smtp_ipmap(self):
        def greeting():
            with Lines(self.server.ports["smtp"], source="127.0.0.77") as c:
                return c.greeting
        self.assertEqual(greeting()[:3], "220")
        with open(self.server.path("smtp.ipmap.tab"), "ab") as f:
            f.write(b'"127.0.0.77"\t"255.255.255.255"\t"DENY"\t"5"\n')
        self.soon(greeting, "554", "smtp.ipmap.tab")
        self.assertEqual(self.rcpt("alice@" + DOMAIN, source="127.0.0.78")[:3], "250")
        with open(self.server.path("smtp.ipmap.tab"), "ab") as f:
            f.write(b'"127.0.0.77/32"\t"ALLOW"\t"6"\n')
        self.soon(greeting, "220", "a line of higher precedence")

    def test_pop3_ipmap(self):
        replace(self.server.path("pop3.ipmap.tab"), row("127.0.0.66", "255.255.255.255", "DENY", "1"))
        self.soon(lambda: self.login("carol", source="127.0.0.66"), "-ERR [SYS/PERM]", "pop3.ipmap.tab")
        self.assertTrue(self.login("carol").startswith("+OK"))
        own = self.server.path("domains", DOMAIN, "carol", "pop3.ipmap.tab")
        replace(own, row("0.0.0.0", "0.0.0.0", "DENY", "1") + row("127.0.0.65", "255.255.255.255", "ALLOW", "2"))
        self.soon(lambda: self.login("carol"), "-ERR", "the user's pop3.ipmap.tab")
        self.assertTrue(self.login("carol", source="127.0.0.65").startswith("+OK"))
        self.assertTrue(self.login("alice").startswith("+OK"), "others go on")
        os.unlink(own)

    # --- user.tab -----------------------------------------------------------------------------

    def user_tab(self, user, *lines):
        replace(self.server.path("domains", DOMAIN, user, "user.tab"), b"".join(row(*l) for l in lines))

    def test_receive_and_pop_enable(self):
        self.user_tab("bob", ("ReceiveEnable", "0"), ("PopEnable", "0"))
        self.soon(lambda: self.rcpt("bob@" + DOMAIN), "550 5.2.1", "ReceiveEnable")
        self.soon(lambda: self.login("bob"), "-ERR", "PopEnable")
        self.user_tab("bob", ("ReceiveEnable", "1"), ("PopEnable", "1"))
        self.soon(lambda: self.rcpt("bob@" + DOMAIN), "250", "ReceiveEnable 1")
        self.soon(lambda: self.login("bob"), "+OK", "PopEnable 1")

    def test_full_mailbox(self):
        self.user_tab("carol", ("MaxMBSize", "10"))
        self.soon(lambda: self.rcpt("carol@" + DOMAIN, size=20000), "552 5.2.3", "larger than the mailbox")
        big = LETTER + (b"z" * 70 + b"\r\n") * 60
        for _ in range(2):
            self.send("carol@" + DOMAIN, big)
        self.assertEqual(self.rcpt("carol@" + DOMAIN, size=5000)[:9], "452 4.2.2")
        self.send("carol@" + DOMAIN, big, "452 4.2.2")
        self.assertEqual(len(self.server.mailbox("carol")), 2)
        box = poplib.POP3("127.0.0.1", self.server.ports["pop3"], timeout=20)
        box.user("carol@" + DOMAIN)
        box.pass_(PASSWORD)
        box.dele(1)
        box.quit()
        self.send("carol@" + DOMAIN, big)
        self.user_tab("carol", ("MaxMBSize", "0"))

    def test_user_max_message_size(self):
        self.user_tab("erin", ("MaxMessageSize", "5"))
        self.soon(lambda: self.rcpt("erin@" + DOMAIN, size=6000), "552 5.3.4", "the user's MaxMessageSize")
        self.send("erin@" + DOMAIN, LETTER + (b"z" * 70 + b"\r\n") * 90, "552")
        self.user_tab("erin")


if __name__ == "__main__":
    unittest.main()
