"""Mail fetched from mailboxes elsewhere (pop3links.tab): the forms of links, ways to log in, what is left and remembered."""
import glob
import os
import re
import time
import unittest

from harness import DOMAIN, Server, wait_until, xmcrypt
from popsource import Source, mail

QUICK = {"FetchInterval": "1", "FetchTimeout": "5", "LogFiles": "psync"}


def link(source, options="CLR", domain=DOMAIN, account="alice", user="far", password="far-word"):
    return (domain, account, f"127.0.0.1:{source.port}", user, xmcrypt(password), options)


def subjects(server, user="alice"):
    found = []
    for name in server.mailbox(user):
        found += re.findall(rb"^Subject: (.*)$", server.read(user, name), re.M)
    return sorted(s.decode() for s in found)


class Fetching(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(users=("alice", "bob", "carol", "lost"), settings=QUICK).start()

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def setUp(self):
        self.links(())
        for user in ("alice", "bob", "carol", "lost"):
            for name in self.server.mailbox(user):
                os.unlink(self.server.path("domains", DOMAIN, user, "Maildir", "new", name))

    def links(self, rows):
        text = "".join("\t".join(f'"{v}"' for v in row) + "\n" for row in rows)
        path = self.server.path("pop3links.tab")
        with open(path + ".new", "w", encoding="utf-8") as f:
            f.write(text)
        os.rename(path + ".new", path)

    def got(self, wanted, user="alice"):
        wait_until(lambda: len(subjects(self.server, user)) >= len(wanted))
        self.assertEqual(subjects(self.server, user), sorted(wanted), self.server.log_text()[-3000:])

    def quiet(self, source, visits=2):
        """Some more visits have come and gone."""
        target = source.connections + visits
        self.assertTrue(wait_until(lambda: source.connections >= target and source.busy == 0), self.server.log_text()[-3000:])

    def test_taken_and_deleted(self):
        odd = b"From: a@b.example\r\nSubject: odd\r\n\r\n.dot\r\n..two\r\nbare\rcr nul\0 lf\nend"
        with Source([("u1", mail("one")), ("u2", odd), ("u3", mail("three", "x" * 300000))]) as far:
            self.links([link(far)])
            self.got(["odd", "one", "three"])
            self.assertTrue(wait_until(lambda: far.uids() == []))
            self.quiet(far)
            self.got(["odd", "one", "three"])
            texts = [self.server.read("alice", n) for n in self.server.mailbox("alice")]
            text = next(t for t in texts if b"Subject: odd" in t)
            self.assertTrue(text.endswith(b"\n\n.dot\n..two\nbare\ncr nul lf\nend\n"), text)
            self.assertTrue(text.startswith(b"Return-Path: <a@b.example>\nDelivered-To: alice@test.example\nReceived: from 127.0.0.1 "), text)
            self.assertIn(b" for <alice@test.example>;", text)
            self.assertEqual(len(next(t for t in texts if b"Subject: three" in t).split(b"\n\n", 1)[1]), 300001)
            log = "".join(open(p, encoding="utf-8").read() for p in glob.glob(self.server.path("logs", "psync-*")))
            self.assertRegex(log, rf'"{DOMAIN}"\t"alice"\t"127.0.0.1:{far.port}"\t"far"\t"CLR"\t"OK"\t"3"\t"300')

    def test_left_and_remembered(self):
        for capabilities in (("UIDL", "PIPELINING"), ()):
            with self.subTest(capabilities=capabilities), Source([("u1", mail("one")), ("u2", mail("two"))], capabilities=capabilities) as far:
                self.setUp()
                self.links([link(far, "CLR,Leave")])
                self.got(["one", "two"])
                self.quiet(far)
                far.add(("u3", mail("three")))
                self.got(["one", "two", "three"])
                self.quiet(far)
                self.got(["one", "two", "three"])
                self.assertEqual(far.uids(), ["u1", "u2", "u3"])
                self.assertEqual(sorted(far.taken), ["u1", "u2", "u3"])
                self.assertEqual(far.count("DELE"), 0)

    def test_asked_for(self):
        self.server.set(FetchInterval="0")
        try:
            with Source([("u1", mail("one"))]) as far:
                self.links([link(far)])
                self.assertTrue(wait_until(lambda: far.port and str(far.port) in self.state()))
                self.assertEqual(far.connections, 0)
                trigger = self.server.path(".psync-trigger")
                with open(trigger, "w", encoding="ascii"):
                    pass
                self.got(["one"])
                self.assertFalse(os.path.exists(trigger))
        finally:
            self.server.set(FetchInterval="1")

    def state(self):
        """What `hikyaku fetch` reads."""
        path = self.server.path("hikyaku", "fetch.tab")
        return open(path, encoding="utf-8").read() if os.path.exists(path) else ""

    def test_switched_off(self):
        with Source([("u1", mail("one"))]) as far, Source([("u1", mail("two"))]) as other:
            off = self.server.path("domains", DOMAIN, "alice", f"far@127.0.0.1:{far.port}.disabled")
            with open(off, "w", encoding="ascii"):
                pass
            self.links([link(far), link(other)])
            self.got(["two"])
            self.assertTrue(wait_until(lambda: '"off"' in self.state()))
            self.assertEqual(far.connections, 0)
            os.unlink(off)
            self.got(["one", "two"])


if __name__ == "__main__":
    unittest.main()
