"""What mailing lists do to posts: the tag of the subject and its number, texts around the body; and senders that are refused."""
import base64
import email
import email.header
import email.message
import email.policy
import os
import unittest

from harness import DOMAIN, Server, replace
from test_lists import FAST, LIST, add_list, lists, mails, post, refusal


def subject(message):
    """As a mail program shows it."""
    return str(email.header.make_header(email.header.decode_header(message["Subject"].replace("\n", ""))))


class Tags(unittest.TestCase):
    def setUp(self):
        self.server = Server(users=("alice", "bob", "carol"), settings=FAST)
        self.addCleanup(self.server.close)

    def begin(self, **options):
        add_list(self.server, "team", [(f"alice@{DOMAIN}", "RW"), (f"bob@{DOMAIN}", "R")], **options)
        self.server.start()

    def posted(self, *subjects):
        for i, text in enumerate(subjects, 1):
            post(self.server, text=f"Subject: {text}\r\nMIME-Version: 1.0\r\n\r\nx\r\n".encode())
            mails(self.server, "bob", i)
        return mails(self.server, "bob", len(subjects))

    def test_numbers(self):
        self.begin(ListTag="[team %03d]")
        jis = base64.b64encode("Re: [team 001] 会議の件".encode("iso-2022-jp")).decode()
        got = self.posted("one", "Re: [team 001] one", f"=?ISO-2022-JP?B?{jis}?=")
        self.assertEqual(sorted(map(subject, got)), ["[team 001] one", "[team 002] Re: one", "[team 003] Re: 会議の件"])
        self.assertIn("ISO-2022-JP", next(m for m in got if "003" in m["Subject"])["Subject"])
        self.server.stop()
        self.server.start()
        post(self.server, text="Subject: four\r\n\r\nx\r\n")
        self.assertIn("[team 004] four", map(subject, mails(self.server, "alice", 4)))

    def test_other_letters(self):
        self.begin(ListTag="[会報:%d]")
        got = self.posted("plain", "Re: =?UTF-8?B?" + base64.b64encode("[会報:1] 返事".encode()).decode() + "?=")
        self.assertEqual(sorted(map(subject, got)), ["[会報:1] plain", "[会報:2] Re: 返事"])
        for m in got:
            self.assertTrue(m["Subject"].isascii())

    def test_what_is_held_gets_its_number_when_it_goes(self):
        self.begin(ListTag="[team %d]", ListModeration="1", ListModerators=f"carol@{DOMAIN}")
        post(self.server, sender="x@far.example", text="Subject: held\r\n\r\nx\r\n")
        mails(self.server, "carol")
        post(self.server, text="Subject: first\r\n\r\nx\r\n")
        mails(self.server, "bob")
        waiting = lists(self.server, "held").stdout.split()[0]
        self.assertEqual(lists(self.server, "approve", waiting).returncode, 0)
        self.assertEqual({m["Subject"] for m in mails(self.server, "bob", 2)}, {"[team 1] first", "[team 2] held"})


def table(server, name, file, lines):
    replace(server.path("domains", DOMAIN, name, file), "".join(f'"{line}"\n' for line in lines).encode())


class Texts(unittest.TestCase):
    """header.tab and footer.tab, as mail programs read what members get."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server(users=("alice", "bob"), settings=FAST)
        add_list(cls.server, "team", [(f"bob@{DOMAIN}", "R")], ClosedML="0")
        table(cls.server, "team", "header.tab", ["前書き", ""])
        table(cls.server, "team", "footer.tab", ["-- ", "退会は担当者まで"])
        cls.server.start()

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def through(self, octets):
        for name in self.server.mailbox("bob"):
            os.remove(self.server.path("domains", DOMAIN, "bob", "Maildir", "new", name))
        post(self.server, text=octets.replace(b"\n", b"\r\n"), options=["BODY=8BITMIME"])
        mails(self.server, "bob")
        name = self.server.mailbox("bob")[0]
        return email.message_from_bytes(self.server.read("bob", name), policy=email.policy.default)

    def test_plain(self):
        for charset, encoding in [("utf-8", "8bit"), ("utf-8", "base64"), ("utf-8", "quoted-printable"), ("iso-2022-jp", "7bit"),
                                  ("iso-2022-jp", "base64"), ("shift_jis", "8bit"), ("euc-jp", "quoted-printable")]:
            with self.subTest(charset=charset, encoding=encoding):
                m = email.message.EmailMessage()
                m["Subject"] = "t"
                m.set_content("本文です\n", charset=charset, cte=encoding)
                got = self.through(m.as_bytes())
                self.assertEqual(got.get_content_type(), "text/plain")
                self.assertEqual([line.rstrip() if line != "-- " else line for line in got.get_content().splitlines()],
                                 ["前書き", "", "本文です", "-- ", "退会は担当者まで"])
                self.assertEqual(got.defects, [])

    def test_letters_that_it_has_not(self):
        got = self.through(b"Subject: t\n\nplain\n")
        self.assertEqual(got["MIME-Version"], "1.0")
        parts = [part.get_content() for part in got.iter_parts()]
        self.assertEqual([p.split() for p in parts], [["前書き"], ["plain"], ["--", "退会は担当者まで"]])

    def test_attachments_and_alternatives(self):
        m = email.message.EmailMessage()
        m["Subject"] = "t"
        m.set_content("本文です\n")
        m.add_alternative("<p>本文です</p>\n", subtype="html")
        self.assertEqual([p.get_content_type() for p in self.through(m.as_bytes()).walk()],
                         ["multipart/mixed", "text/plain", "multipart/alternative", "text/plain", "text/html", "text/plain"])
        m.add_attachment(b"\0\1\2" * 50000, maintype="application", subtype="octet-stream")
        got = self.through(m.as_bytes())
        self.assertEqual([p.get_content_type() for p in got.walk()],
                         ["multipart/mixed", "text/plain", "multipart/alternative", "text/plain", "text/html", "application/octet-stream",
                          "text/plain"])
        self.assertEqual(list(got.iter_parts())[2].get_content(), b"\0\1\2" * 50000)
        self.assertIn("退会", list(got.iter_parts())[3].get_content())

    def test_signed(self):
        body = b'This is signed.\n--b\n\nplain\n--b\nContent-Type: application/pgp-signature\n\nx\n--b--\n'
        got = self.through(b'Subject: t\nContent-Type: multipart/signed; boundary="b"; protocol="application/pgp-signature"\n\n' + body)
        self.assertEqual(got.as_bytes().split(b"\n\n", 1)[1], body)


class Refused(unittest.TestCase):
    """refuse.tab of an account and of a list."""

    def setUp(self):
        self.server = Server(users=("alice", "bob"), settings=FAST)
        self.addCleanup(self.server.close)
        add_list(self.server, "team", [(f"bob@{DOMAIN}", "R")], ClosedML="0")
        self.server.start()

    def test_refused(self):
        rude, kind = "x@rude.example", "x@kind.example"
        for to in (f"bob@{DOMAIN}", LIST):
            name = to.split("@")[0]
            with self.subTest(to=to):
                self.assertIsNone(refusal(post, self.server, to, rude))
                table(self.server, name, "refuse.tab", ["*@RUDE.example", "a@b.example"])
                self.assertEqual(refusal(post, self.server, to, rude), 550)
                self.assertIsNone(refusal(post, self.server, to, kind))
                self.assertEqual(refusal(post, self.server, f"alice@{DOMAIN}", rude), None)
        self.assertIsNone(refusal(post, self.server, f"bob@{DOMAIN}", ""))
        self.assertIn("refuse.tab:1", self.server.log_text())
        os.remove(self.server.path("domains", DOMAIN, "bob", "refuse.tab"))
        self.assertIsNone(refusal(post, self.server, f"bob@{DOMAIN}", rude))

    def test_another_way(self):
        """What a list, or sendmail, brings is taken."""
        table(self.server, "bob", "refuse.tab", ["*"])
        post(self.server, text="Subject: by the list\r\n\r\nx\r\n")
        self.assertEqual(mails(self.server, "bob")[0]["Subject"], "by the list")


if __name__ == "__main__":
    unittest.main()
