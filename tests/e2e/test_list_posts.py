"""What mailing lists do to posts: the tag of the subject and its number."""
import base64
import email
import email.header
import unittest

from harness import DOMAIN, Server
from test_lists import FAST, LIST, add_list, lists, mails, post


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


if __name__ == "__main__":
    unittest.main()
