"""MailRoots as XMail left them: taken over as they are, and left as they are."""
import base64
import hashlib
import hmac
import os
import re
import subprocess
import tempfile
import time
import unittest

from harness import PROGRAM, Server, free_ports, wait_until, xmcrypt
from lines import Lines

D = "x.example"
# Shift_JIS: the second octet of each of these characters is 0x5C, a backslash.
HYOU, NOU, SO = "表".encode("cp932"), "能".encode("cp932"), "ソ".encode("cp932")
# As XMail wrote it: LF after header fields, CRLF in the Received lines and at the end, stuffed dots.
STUFFED = (b"Return-Path: <a@far.example>\nDelivered-To: taro@x.example\n"
           b"Received: from far ([10.0.0.1]:1)\r\n\tby x.example with [XMail 1.27 ESMTP Server]\r\n"
           b"\tid <S1> for <taro@x.example>;\r\n\tMon, 3 Feb 2014 10:11:12 +0900\n"
           b"Subject: old\n\n..dotted line\nplain\n...three\r\n")
STUFFED_WIRE = STUFFED.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
OLD_NAME = "1391389872123.140215.4b2.oldhost"


def rows(*lines):
    return b"".join(b"\t".join(b'"' + (v if isinstance(v, bytes) else v.encode()) + b'"' for v in line) + b"\r\n"
                    for line in lines)


def write(path, data, when=None):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)
    if when is not None:
        os.utime(path, (when, when))


def make_mailroot(root, marker=None):
    """Tables with CRLF ends and Shift_JIS; accounts with Maildir and mailbox folders."""
    users = [(D, name, xmcrypt("pw-" + name), str(i + 1), name, kind)
             for i, (name, kind) in enumerate((("taro", "U"), ("Hanako", "U"), ("jiro", "U"), ("ml", "M")))]
    tables = {
        "server.tab": b"# " + HYOU + b" server settings\r\n" + rows(
            ("RootDomain", D), ("SmtpServerDomain", "mail." + D), ("POP3Domain", D),
            ("PostMaster", "taro@" + D), ("HeloDomain", D), ("CustomUnknownVariable", HYOU),
            ("RemoveSpoolErrors", "0"), ("EnableAuthSMTP-POP3", "0"), ("MaxMTAOps", "16")),
        "domains.tab": rows((D,), ("second.example",)),
        "mailusers.tab": b"# " + HYOU + NOU + b"\\\r\n" + rows(*users)
                         + b"\"second.example\"\t\"saburo\"\t\"" + xmcrypt("pw-saburo").encode()
                         + b"\"\t9\t\"saburo\"\t\"U\"\r\n",
        "aliases.tab": b"#\t" + SO + b"\r\n" + rows(
            (D, SO, "taro"), (D, b"name-" + HYOU, "jiro"), (D, "info", "Hanako"), (D, "sales-*", "jiro"),
            (D, "sales-eu*", "Hanako"), ("second.example", "*", "saburo"), (D, "there", "saburo@second.example"),
            (D, "chain", "info")) + b"\r\n# the end",
        "aliasdomain.tab": rows(("alias.example", D), ("*.wild.example", "second.example")),
        "extaliases.tab": b"", "ctrlaccounts.tab": rows(("admin", xmcrypt("ctl"))),
        "smtprelay.tab": b'"10.9.9.9"\t"255.255.255.255"\r\n', "smtpgw.tab": b"", "smtpfwd.tab": b"",
        "smtpauth.tab": rows(("printer", "pr-secret", "MR")), "userdef.tab": rows(("RealName", "")),
        "spammers.tab": b"", "spam-address.tab": b"", "pop3links.tab": b"", "filters.in.tab": b"",
        "smtp.ipmap.tab": b'"0.0.0.0"\t"0.0.0.0"\t"ALLOW"\t1\r\n',
        "pop3.ipmap.tab": b'"0.0.0.0"\t"0.0.0.0"\t"ALLOW"\t"1"\r\n',
        "message.id": b"4711\r\n", "domainadmin.tab": b"what XMailCFG keeps \\ here",
    }
    for name, data in tables.items():
        write(os.path.join(root, name), data)
    for domain, user, kind in ((D, "taro", "Maildir"), (D, "Hanako", "mailbox"), (D, "jiro", "Maildir"),
                               (D, "ml", "mailbox"), ("second.example", "saburo", "Maildir")):
        folder = os.path.join(root, "domains", domain, user)
        write(os.path.join(folder, "user.tab"), rows(("RealName", HYOU), ("MaxMBSize", "10000")))
        for part in ("tmp", "new", "cur") if kind == "Maildir" else (".",):
            os.makedirs(os.path.join(folder, kind, part))
    write(os.path.join(root, "domains", D, "ml", "mlusers.tab"), rows(("taro@" + D, "RW"), ("Hanako@" + D, "R")))
    for name in ("cmdaliases/" + D, "custdomains", "filters", "logs", "pop3locks", "spool/temp", "spool/local",
                 "msgsync", "tabindex"):
        os.makedirs(os.path.join(root, name))
    if marker is not None:
        write(os.path.join(root, "hikyaku", "marker"), marker)


def snapshot(root):
    """Octets of every file that is XMail's."""
    found = {}
    for folder, _, files in os.walk(root):
        part = os.path.relpath(folder, root)
        if part.split("/")[0] in ("hikyaku", "queue", "pop3locks", "domains") and not part.startswith("domains"):
            continue
        for name in files:
            if name.endswith(".tab") or part == ".":
                with open(os.path.join(folder, name), "rb") as f:
                    found[os.path.join(part, name)] = f.read()
    return found


def pop3(port, user, password, tls=False):
    c = Lines(port, tls=tls)
    answer = (c.say("USER " + user), c.say("PASS " + password))
    if not answer[1].startswith("+OK"):
        raise AssertionError(str(answer))
    return c


class TakenOver(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory(prefix="hikyaku-xmail-")
        root = cls.root = os.path.join(cls.scratch.name, "MailRoot")
        now = int(time.time())
        make_mailroot(root, f"origin taken-over\nformat 1\nmade {now}\n".encode())
        taro = os.path.join(root, "domains", D, "taro", "Maildir", "new")
        write(os.path.join(taro, OLD_NAME), STUFFED, 1391389872)
        write(os.path.join(taro, "1391389999999.1.1.oldhost"), b"Subject: second\n\nx\n", 1391389999)
        hanako = os.path.join(root, "domains", D, "Hanako", "mailbox")
        write(os.path.join(hanako, "1391389873456.140216.4b3.oldhost"),
              b"Return-Path: <b@far.example>\r\nSubject: crlf\r\n\r\n..x\r\ny\r\n", 1391389873)
        cls.before = snapshot(root)
        ports = free_ports(4)
        cls.server = Server(mailroot=root, listen=False, command=[PROGRAM, "serve", "-Ms", root], words=[
            "-SI", f"127.0.0.1:{ports[0]}", "-PI", f"127.0.0.1:{ports[1]}", "-X-", "-B-", "-U-", "-F-", "-C-", "-W-",
            "-MM", "-Pl", "-Sl", "-Ql", "-Mr", "24"])
        cls.server.ports.update(smtp=ports[0], pop3=ports[1])
        cls.server.start()

    @classmethod
    def tearDownClass(cls):
        try:
            cls.server.close()
        finally:
            cls.scratch.cleanup()

    def send(self, *recipients, text=b"Subject: new\r\n\r\n..starts\r\nend\r\n", sender="s@far.example"):
        """The reply to each RCPT and to the message."""
        with Lines(self.server.ports["smtp"]) as c:
            c.say("EHLO client.example")
            c.say(f"MAIL FROM:<{sender}>")
            replies = [c.say(b"RCPT TO:<" + (r if isinstance(r, bytes) else r.encode()) + b">") for r in recipients]
            if any(r.startswith("250") for r in replies):
                c.say("DATA")
                c.send(text)
                replies.append(c.say("."))
            c.say("QUIT")
        return [r[:3] for r in replies]

    def folder(self, user, *parts, domain=D):
        path = os.path.join(self.root, "domains", domain, user, *parts)
        return sorted(n for n in os.listdir(path) if os.path.isfile(os.path.join(path, n)) and n[0] != ".")

    def test_old_message(self):
        c = pop3(self.server.ports["pop3"], "taro@" + D, "pw-taro")
        c.say("UIDL")
        uids = [line.split() for line in c.many()]
        self.assertEqual(uids[0], [b"1", OLD_NAME.encode()])
        c.say("RETR 1")
        lines = []
        while (line := c.line()) != b".":
            lines.append(line)
        wire = b"\r\n".join(lines) + b"\r\n"
        self.assertEqual(wire, STUFFED_WIRE, "as XMail sent it: dots were stuffed on disk")
        size = int(c.say("LIST 1").split()[2])
        self.assertEqual(size, len(STUFFED_WIRE.replace(b"\r\n..", b"\r\n.")))
        c.say("QUIT")

    def test_mailbox_folder(self):
        self.assertEqual(self.send("hanako@" + D), ["250", "250"])
        c = pop3(self.server.ports["pop3"], "HANAKO@" + D.upper(), "pw-Hanako")
        c.say("UIDL")
        self.assertEqual(c.many()[0].split()[1], b"1391389873456.140216.4b3.oldhost")
        self.assertTrue(c.say("RETR 1").startswith("+OK"))
        raw = c.many()
        self.assertEqual(raw[-2:], [b".x", b"y"])
        c.say("RETR " + c.say("STAT").split()[1])
        self.assertEqual(c.many()[-2:], [b".starts", b"end"])
        c.say("QUIT")
        self.assertFalse(os.path.isdir(os.path.join(self.root, "domains", D, "Hanako", "Maildir")))
        for name in self.folder("Hanako", "mailbox"):
            with open(os.path.join(self.root, "domains", D, "Hanako", "mailbox", name), "rb") as f:
                text = f.read()
            self.assertEqual(text.count(b"\n"), text.count(b"\r\n"), f"{name} has the folder's line ends")

    def test_aliases(self):
        cases = [  # address, account that gets it (None: refused with 550)
            ("info@" + D, "Hanako"), ("SALES-asia@" + D, "jiro"), ("sales-europe@" + D, "Hanako"),
            ("anything@second.example", "saburo"), ("there@" + D, "saburo"), ("taro@alias.example", "taro"),
            ("zzz@deep.wild.example", "saburo"), ("nobody@" + D, None), ("chain@" + D, None),
            ("nobody@alias.example", None), ("x@other.example", None),
            ("postmaster@" + D, "taro"), ("postmaster@second.example", None)]
        for i, (address, account) in enumerate(cases):
            with self.subTest(address):
                mark = f"alias-{i}"
                answer = self.send(address, text=f"Subject: {mark}\r\n\r\nx\r\n".encode())
                if account is None:
                    if address != "postmaster@second.example":
                        self.assertEqual(answer, ["550"])
                    continue
                self.assertEqual(answer, ["250", "250"])
                self.assertTrue(wait_until(lambda: self.find(account, mark), 10), address)

    def find(self, account, mark):
        domain = "second.example" if account == "saburo" else D
        parts = ("mailbox",) if account == "Hanako" else ("Maildir", "new")
        for name in self.folder(account, *parts, domain=domain):
            with open(os.path.join(self.root, "domains", domain, account, *parts, name), "rb") as f:
                if mark.encode() in f.read():
                    return name
        return None

    def test_list(self):
        text = b"Subject: to the list\r\n\r\nx\r\n"
        self.assertEqual(self.send("ml@" + D, text=text, sender="taro@" + D), ["250", "250"])
        for account in ("taro", "Hanako"):
            self.assertTrue(wait_until(lambda: self.find(account, "to the list"), 10), account)

    def test_apop(self):
        with Lines(self.server.ports["pop3"]) as c:
            stamp = re.search(r"<[^<>]+@[^<>]+>", c.greeting).group(0)
            digest = hashlib.md5((stamp + "pw-taro").encode()).hexdigest()
            self.assertTrue(c.say(f"APOP taro@{D} {digest}").startswith("+OK"))
            c.say("QUIT")

    def test_logins(self):
        for user, password in (("taro", "pw-taro"), ("jiro@alias.example", "pw-jiro"),
                               ("saburo@second.example", "pw-saburo"), ("taro:" + D, "pw-taro")):
            with self.subTest(user):
                pop3(self.server.ports["pop3"], user, password).say("QUIT")

    def test_cram_md5(self):
        with Lines(self.server.ports["smtp"]) as c:
            offered = c.say("EHLO client.example")
            self.assertRegex(offered, r"250.AUTH .*CRAM-MD5")
            challenge = base64.b64decode(c.say("AUTH CRAM-MD5")[4:])
            self.assertIn(b"@mail.x.example>", challenge)
            digest = hmac.new(b"pw-jiro", challenge, "md5").hexdigest()
            self.assertEqual(c.say(base64.b64encode(f"jiro@{D} {digest}".encode()))[:3], "235")

    def test_smtpauth_tab(self):
        with Lines(self.server.ports["smtp"]) as c:
            c.say("EHLO client.example")
            plain = base64.b64encode(b"\0printer\0pr-secret").decode()
            self.assertEqual(c.say("AUTH PLAIN " + plain)[:3], "235")
            c.say("MAIL FROM:<printer@x.example>")
            self.assertEqual(c.say("RCPT TO:<taro@x.example>")[:3], "250")
            self.assertEqual(c.say("RCPT TO:<far@other.example>")[:3], "250")

    def test_new_message_is_unstuffed_on_disk(self):
        self.assertEqual(self.send("jiro@" + D, text=b"Subject: unstuffed\r\n\r\n..starts\r\n"), ["250", "250"])
        name = self.find("jiro", "unstuffed")
        with open(os.path.join(self.root, "domains", D, "jiro", "Maildir", "new", name), "rb") as f:
            self.assertTrue(f.read().endswith(b"\n\n.starts\n"))

    def test_zz_tables_untouched(self):
        """Named to run last: what everything above left behind."""
        after = snapshot(self.root)
        self.assertEqual({n: after.get(n) for n in self.before}, self.before)
        extra = set(after) - set(self.before) - {"./XMail.pid"}
        self.assertEqual({n for n in extra if not n.startswith("./.")}, set())


class CommandLine(unittest.TestCase):
    """Started as XMail is: its command line, MAIL_CMD_LINE and MAIL_ROOT, under the name XMail."""

    def run_as(self, command, words, env, check):
        with tempfile.TemporaryDirectory(prefix="hikyaku-xmail-") as scratch:
            root = os.path.join(scratch, "MailRoot")
            make_mailroot(root)  # no marker: XMail has just been stopped
            before = snapshot(root)
            smtp, pop = free_ports(2)
            fill = {"root": root, "smtp": smtp, "pop": pop}
            server = Server(mailroot=root, listen=False, command=command,
                            words=[w.format(**fill) for w in words],
                            env={k: v.format(**fill) for k, v in env.items()})
            server.ports.update(smtp=smtp, pop3=pop)
            with server:
                check(server, root)
            self.assertEqual({n: v for n, v in snapshot(root).items() if n in before}, before)

    OTHERS_OFF = ["-X-", "-B-", "-U-", "-F-", "-C-", "-W-", "-Y-"]

    def deliver(self, server, root):
        with Lines(server.ports["smtp"]) as c:
            c.say("HELO client.example")
            c.say("MAIL FROM:<s@far.example>")
            self.assertEqual(c.say(f"RCPT TO:<taro@{D}>")[:3], "250")
            c.say("DATA")
            self.assertEqual(c.say("Subject: x\r\n\r\nx\r\n.")[:3], "250")
        c = pop3(server.ports["pop3"], "taro@" + D, "pw-taro")
        self.assertTrue(c.say("STAT").startswith("+OK 1 "))
        c.say("QUIT")
        with open(os.path.join(root, "hikyaku", "marker"), encoding="utf-8") as f:
            self.assertIn("origin taken-over\n", f.read())

    def xmail(self):
        link = os.path.join(os.path.dirname(PROGRAM), "XMail")
        return link if os.path.exists(link) else self.skipTest("no link named XMail beside the program")

    def test_switches(self):
        self.run_as([self.xmail()], ["-Ms", "{root}", "-Md", "-SI", "127.0.0.1:{smtp}", "-PI", "127.0.0.1:{pop}"]
                    + self.OTHERS_OFF, {}, self.deliver)

    def test_port_switches(self):
        self.run_as([self.xmail()], ["-Ms", "{root}", "-SI", "127.0.0.1", "-Sp", "{smtp}", "-PI", "127.0.0.1", "-Pp",
                                     "{pop}"] + self.OTHERS_OFF, {}, self.deliver)

    def test_environment(self):
        self.run_as([self.xmail()], [], {
            "MAIL_ROOT": "{root}",
            "MAIL_CMD_LINE": "-SI 127.0.0.1:{smtp} -PI 127.0.0.1:{pop} " + " ".join(self.OTHERS_OFF)}, self.deliver)

    def test_serve_takes_switches(self):
        self.run_as([PROGRAM, "serve", "--mailroot"], ["{root}", "-SI", "127.0.0.1:{smtp}", "-PI",
                                                       "127.0.0.1:{pop}"] + self.OTHERS_OFF, {}, self.deliver)

    def test_pop3_off(self):
        def check(server, root):
            with self.assertRaises(OSError):
                Lines(server.ports["pop3"], seconds=2)
        with tempfile.TemporaryDirectory(prefix="hikyaku-xmail-") as scratch:
            root = os.path.join(scratch, "MailRoot")
            make_mailroot(root)
            smtp, pop = free_ports(2)
            server = Server(mailroot=root, listen=False, command=[self.xmail()],
                            words=["-Ms", root, "-SI", f"127.0.0.1:{smtp}", "-P-"] + self.OTHERS_OFF)
            server.ports.update(smtp=smtp, pop3=smtp)  # what the harness waits for
            with server:
                server.ports["pop3"] = pop
                check(server, root)

    def test_unknown_switch(self):
        done = subprocess.run([self.xmail(), "-Ms", "/nonexistent", "-Zz"], capture_output=True, timeout=20)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(b"-Zz", done.stderr + done.stdout)

    def test_missing_mailroot(self):
        done = subprocess.run([self.xmail(), "-Ms", "/nonexistent/MailRoot"], capture_output=True, timeout=20)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(b"/nonexistent/MailRoot", done.stderr + done.stdout)


if __name__ == "__main__":
    unittest.main()
