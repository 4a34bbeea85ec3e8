"""Gates that ask the DNS: block lists, reverse names, senders' domains, properties by name."""
import glob
import os
import smtplib
import socket
import time
import unittest

from harness import DOMAIN, PASSWORD, Server, replace, wait_until
from test_relay import FakeDns


class DnsGates(unittest.TestCase):
    """127.0.0.1 is localhost to every resolver, and leads back; 127.0.0.2 has no name."""

    def setUp(self):
        self.dns = FakeDns()
        self.addCleanup(self.dns.sock.close)
        self.server = Server(settings={"SmartDNSHost": f"127.0.0.1@{self.dns.port}", "DnssecAnchor": "", "LogFiles": "smtp",
                                       "SMTP-MaxErrors": "0", "MaxSessionsPerAddress": "0", "SmtpNoTLSAuths": "PLAIN LOGIN"})
        self.addCleanup(self.server.close)

    def start(self, **settings):
        self.server.set(**settings)
        self.server.start()

    def smtp_log(self):
        text = ""
        for path in glob.glob(self.server.path("logs", "smtp-*")):
            with open(path, encoding="utf-8", errors="replace") as f:
                text += f.read()
        return text

    def banner(self, source="127.0.0.1"):
        with socket.create_connection(("127.0.0.1", self.server.ports["smtp"]), 20, (source, 0)) as s:
            return s.makefile("rb").readline().decode().strip()

    def mail(self, sender="x@far.example", source="127.0.0.1", login=False):
        c = smtplib.SMTP(timeout=30, source_address=(source, 0))
        try:
            code, text = c.connect("127.0.0.1", self.server.ports["submission" if login else "smtp"])
            if code != 220:
                return code, text.decode()
            c.ehlo("me.example")
            if login:
                c.login(f"alice@{DOMAIN}", PASSWORD)
            code, text = c.mail(sender)
            return code, text.decode()
        finally:
            c.close()

    def test_block_lists(self):
        """Code 1 refuses, 0 demands a login, -S slows down; the strictest of all lists; other answers don't count."""
        self.dns.a("1.0.0.127.refuse.example", "127.0.0.2")
        self.dns.a("2.0.0.127.login.example", "127.0.0.4")
        self.dns.a("3.0.0.127.slow.example", "127.0.0.4")
        self.dns.a("3.0.0.127.login.example", "127.255.255.254")
        self.dns.a("4.0.0.127.refuse.example", "10.0.0.1")
        self.dns.a("5.0.0.127.login.example", "127.0.0.4")
        self.dns.a("5.0.0.127.refuse.example", "127.0.0.4")
        self.start(CustMapsList="slow.example.:-1,login.example:0,refuse.example.:1,silent.example:1", SmtpMsgIPBanMaps="")
        refused = self.banner("127.0.0.1")
        self.assertTrue(refused.startswith("554"), refused)
        self.assertIn("listed by refuse.example", refused)
        self.assertEqual(self.mail(source="127.0.0.2")[0], 530)
        self.assertTrue(self.banner("127.0.0.5").startswith("554"))
        self.assertEqual(self.mail(source="127.0.0.4")[0], 250)
        began = time.monotonic()
        self.assertEqual(self.mail(source="127.0.0.3")[0], 250)
        self.assertGreater(time.monotonic() - began, 1)
        self.assertIn("client slowed down", self.server.log_text())
        self.assertTrue(wait_until(lambda: "SNDRIP=EIPMAP" in self.smtp_log(), 5))
        replace(self.server.path("smtp.ipprop.tab"), b'"127.0.0.1/32"\t"WhiteList=1"\n')
        self.assertTrue(wait_until(lambda: self.banner("127.0.0.1").startswith("220"), 10))

    def test_a_list_that_is_silent(self):
        """It holds nobody for ever."""
        self.dns.odd["1.0.0.127.silent.example"] = lambda query: None
        self.start(CustMapsList="silent.example:1")
        self.assertTrue(self.banner("127.0.0.1").startswith("220"))
        self.assertTrue(self.banner("127.0.0.2").startswith("220"))

    def test_reverse_names(self):
        self.start(**{"SMTP-RDNSCheck": "1"})
        self.assertEqual(self.mail(source="127.0.0.1")[0], 250)
        code, text = self.mail(source="127.0.0.2")
        self.assertEqual((code, text[:6]), (550, "5.7.25"))
        self.assertEqual(self.mail(f"alice@{DOMAIN}", "127.0.0.2", login=True)[0], 250)
        self.server.set(**{"SMTP-RDNSCheck": "-1"})
        self.assertTrue(wait_until(lambda: self.mail(source="127.0.0.2")[0] == 250, 10))
        self.assertIn("SMTP-RDNSCheck", self.server.log_text())

    def test_senders_domain(self):
        self.dns.mx("mail.example", (10, "mx.mail.example"))
        self.dns.a("address.example", "192.0.2.1")
        self.dns.mx("null.example", (0, ""))
        self.dns.odd["silent.example"] = lambda query: None
        self.start(CheckMailerDomain="1")
        for domain, code in (("mail.example", 250), ("address.example", 250), ("null.example", 550), ("none.example", 550),
                             (DOMAIN, 250)):
            with self.subTest(domain=domain):
                self.assertEqual(self.mail(f"x@{domain}")[0], code)
        self.assertEqual(self.mail("")[0], 250)
        self.assertEqual(self.mail("x@silent.example")[0], 250)
        self.assertTrue(wait_until(lambda: "SNDR=ENODNS" in self.smtp_log(), 5))
        replace(self.server.path("smtp.ipprop.tab"), b'"127.0.0.1/32"\t"SenderDomainCheck=0"\n')
        self.assertTrue(wait_until(lambda: self.mail("x@none.example")[0] == 250, 10))

    def test_properties_by_name(self):
        replace(self.server.path("smtp.hnprop.tab"), b'"localhost"\t"EnableVRFY=1"\n".far.example"\t"WhiteList=1"\n')
        self.start()
        for source, code in (("127.0.0.1", 250), ("127.0.0.2", 252)):
            c = smtplib.SMTP("127.0.0.1", self.server.ports["smtp"], timeout=20, source_address=(source, 0))
            self.addCleanup(c.close)
            self.assertEqual(c.verify(f"alice@{DOMAIN}")[0], code)

    def test_pipelining_waits(self):
        """What a client sends ahead is read when its sender is known."""
        self.dns.mx("mail.example", (10, "mx.mail.example"))
        self.start(CheckMailerDomain="1")
        with socket.create_connection(("127.0.0.1", self.server.ports["smtp"]), 20) as s:
            f = s.makefile("rb")
            f.readline()
            s.sendall(b"EHLO x\r\n")
            while f.readline()[3:4] == b"-":
                pass
            s.sendall(f"MAIL FROM:<a@mail.example>\r\nRCPT TO:<alice@{DOMAIN}>\r\nRSET\r\nMAIL FROM:<a@none.example>\r\n"
                      f"RCPT TO:<alice@{DOMAIN}>\r\nQUIT\r\n".encode())
            self.assertEqual([f.readline()[:3] for _ in range(6)], [b"250", b"250", b"250", b"550", b"503", b"221"])

    def test_relay_role_dies(self):
        """Nobody answers then: after a while the session goes on."""
        self.start(CheckMailerDomain="1")
        self.dns.odd["silent.example"] = lambda query: None
        c = smtplib.SMTP("127.0.0.1", self.server.ports["smtp"], timeout=40)
        self.addCleanup(c.close)
        c.ehlo()
        c.putcmd("mail", "FROM:<x@silent.example>")
        time.sleep(0.3)
        os.kill(self.server.role_pid("relay"), 9)
        self.assertEqual(c.getreply()[0], 250)


if __name__ == "__main__":
    unittest.main()
