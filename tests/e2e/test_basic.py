"""Mail comes in by SMTP, lies in the mailbox, goes out by POP3."""
import poplib
import smtplib
import ssl
import unittest

from harness import DOMAIN, PASSWORD, Server, wait_until

MESSAGE = (b"From: Carol <carol@elsewhere.example>\r\nTo: alice@test.example\r\nSubject: hello\r\n"
           b"\r\nfirst line\r\n.a line with a dot\r\n..two dots\r\n.\r\nlast line\r\n")


def any_certificate():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Basic(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(users=("alice", "bob", "carol", "dave")).start()

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def smtp(self, service="smtp"):
        return smtplib.SMTP("127.0.0.1", self.server.ports[service], timeout=20)

    def pop3(self, user="alice", password=PASSWORD):
        box = poplib.POP3("127.0.0.1", self.server.ports["pop3"], timeout=20)
        box.user(f"{user}@{DOMAIN}")
        box.pass_(password)
        return box

    def test_round_trip(self):
        with self.smtp() as s:
            s.sendmail("carol@elsewhere.example", [f"alice@{DOMAIN}"], MESSAGE)
        box = self.pop3()
        self.assertEqual(box.stat()[0], 1)
        _, lines, _ = box.retr(1)
        text = b"\r\n".join(lines) + b"\r\n"
        self.assertTrue(text.startswith(b"Return-Path: <carol@elsewhere.example>\r\n"
                                        b"Delivered-To: alice@test.example\r\nReceived: from "), text)
        self.assertTrue(text.endswith(MESSAGE), text)
        self.assertIn(b"for <alice@test.example>", text)
        size = int(box.list(1).split()[2])
        self.assertEqual(size, len(text))
        uid = box.uidl(1).split()[2].decode()
        self.assertEqual(uid, self.server.mailbox("alice")[0].split(":")[0])
        top = box.top(1, 1)[1]
        self.assertEqual(top[-1], b"first line")
        box.dele(1)
        box.quit()
        self.assertEqual(self.server.mailbox("alice"), [])

    def test_several_recipients(self):
        with self.smtp() as s:
            s.sendmail("x@elsewhere.example", [f"bob@{DOMAIN}", f"carol@{DOMAIN}", f"BOB@{DOMAIN}"], MESSAGE)
        for user in ("bob", "carol"):
            wait_until(lambda: self.server.mailbox(user))
            names = self.server.mailbox(user)
            self.assertEqual(len(names), 1)
            text = self.server.read(user, names[0])
            self.assertIn(f"Delivered-To: {user}@{DOMAIN}\n".encode(), text)
            self.assertNotIn(b"for <", text)
            self.assertTrue(text.endswith(MESSAGE.replace(b"\r\n", b"\n")))

    def test_refusals(self):
        with self.smtp() as s:
            s.ehlo("client.example")
            self.assertEqual(s.mail("x@elsewhere.example")[0], 250)
            self.assertEqual(s.rcpt(f"nobody@{DOMAIN}")[0], 550)
            self.assertEqual(s.rcpt("someone@elsewhere.example")[0], 550)
            self.assertEqual(s.rcpt(f"postmaster@{DOMAIN}")[0], 250)
            self.assertEqual(s.docmd("RCPT", "TO:<postmaster>")[0], 250)

    def test_starttls_and_auth(self):
        for service in ("smtp", "submission"):
            with self.smtp(service) as s:
                s.starttls(context=any_certificate())
                s.ehlo("client.example")
                self.assertIn("SCRAM-SHA-256", s.esmtp_features["auth"])
                self.assertEqual(s.login(f"bob@{DOMAIN}", PASSWORD)[0], 235)
                with self.assertRaises(smtplib.SMTPSenderRefused) if service == "submission" else self.subTest():
                    s.sendmail(f"alice@{DOMAIN}", [f"dave@{DOMAIN}"], b"Subject: not mine\r\n\r\nx\r\n")

    def test_submission_adds_fields(self):
        with smtplib.SMTP_SSL("127.0.0.1", self.server.ports["smtps"], timeout=20,
                              context=any_certificate()) as s:
            self.assertEqual(s.docmd("EHLO", "client")[0], 250)
            self.assertEqual(s.docmd("MAIL", f"FROM:<bob@{DOMAIN}>")[0], 530)
            s.ehlo("client.example")
            s.login(f"bob@{DOMAIN}", PASSWORD)
            s.sendmail(f"bob@{DOMAIN}", [f"bob@{DOMAIN}"], b"Subject: bare submission\r\n\r\nx\r\n")
        texts = [self.server.read("bob", n) for n in self.server.mailbox("bob")]
        text = [t for t in texts if b"bare submission" in t][0]
        self.assertIn(b"\nMessage-ID: <", text)
        self.assertIn(b"\nDate: ", text)
        self.assertIn(b"\nX-AuthUser: bob@test.example\n", text)
        self.assertIn(b"with ESMTPSA", text)

    def test_wrong_password(self):
        box = poplib.POP3("127.0.0.1", self.server.ports["pop3"], timeout=20)
        for user in ("dave", "nobody"):
            box.user(f"{user}@{DOMAIN}")
            with self.assertRaises(poplib.error_proto) as caught:
                box.pass_("wrong")
            self.assertIn(b"[AUTH]", caught.exception.args[0])

    def test_pop3_tls(self):
        box = poplib.POP3("127.0.0.1", self.server.ports["pop3"], timeout=20)
        box.stls(any_certificate())
        box.user(f"dave@{DOMAIN}")
        box.pass_(PASSWORD)
        box.quit()
        box = poplib.POP3_SSL("127.0.0.1", self.server.ports["pop3s"], timeout=20, context=any_certificate())
        box.user(f"dave@{DOMAIN}")
        box.pass_(PASSWORD)
        second = poplib.POP3("127.0.0.1", self.server.ports["pop3"], timeout=20)
        second.user(f"dave@{DOMAIN}")
        with self.assertRaises(poplib.error_proto) as caught:
            second.pass_(PASSWORD)
        self.assertIn(b"[IN-USE]", caught.exception.args[0])
        box.quit()


if __name__ == "__main__":
    unittest.main()
