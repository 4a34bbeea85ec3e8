"""Mail fetched from IMAP servers (option IMAPS)."""
import os
import unittest

from harness import DOMAIN, Server, wait_until, xmcrypt
from imapsource import ImapSource
from popsource import mail
from test_fetch import QUICK, subjects


def link(source, options="IMAPS", password="far-word"):
    return (DOMAIN, "alice", f"127.0.0.1:{source.port}", "far", xmcrypt(password), options)


def once(hook):
    seen = []

    def maybe(*arguments):
        if seen:
            return None
        seen.append(1)
        return hook(*arguments)
    return maybe


def closes(*_):
    raise EOFError


class Imap(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(settings=dict(QUICK, MaxMessageSize="100")).start()
        cls.tls = (cls.server.path("server.cert"), cls.server.path("server.key"))

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def setUp(self):
        self.links()
        for name in self.server.mailbox("alice"):
            os.unlink(self.server.path("domains", DOMAIN, "alice", "Maildir", "new", name))

    def links(self, *rows):
        path = self.server.path("pop3links.tab")
        with open(path + ".new", "w", encoding="utf-8") as f:
            f.write("".join("\t".join(f'"{v}"' for v in row) + "\n" for row in rows))
        os.rename(path + ".new", path)

    def state(self):
        path = self.server.path("hikyaku", "fetch.tab")
        return open(path, encoding="utf-8").read() if os.path.exists(path) else ""

    def ask_all(self):
        """Without the pauses after failures."""
        with open(self.server.path(".psync-trigger"), "w", encoding="ascii"):
            pass

    def got(self, *wanted):
        wait_until(lambda: self.ask_all() or len(subjects(self.server)) >= len(wanted))
        self.assertEqual(subjects(self.server), sorted(wanted), self.state() + self.server.log_text()[-3000:])

    def visits(self, source, count):
        target = source.connections + count
        self.assertTrue(wait_until(lambda: self.ask_all() or (source.connections >= target and source.busy == 0)), self.server.log_text()[-3000:])

    def test_taken_and_deleted(self):
        bodies = [(3, mail("one", ".dot\r\n..two")), (5, b"Subject: bare\n\nlf\rcr\0nul"), (900, mail("three", "x" * 50000))]
        for uidplus in (True, False):
            with self.subTest(uidplus=uidplus), ImapSource(self.tls, bodies, uidplus=uidplus) as far:
                self.setUp()
                self.links(link(far))
                self.got("one", "bare", "three")
                self.assertTrue(wait_until(lambda: far.uids() == []))
                texts = [self.server.read("alice", n) for n in self.server.mailbox("alice")]
                self.assertTrue(any(t.endswith(b"\n\n.dot\n..two\n") for t in texts))
                self.assertTrue(any(t.endswith(b"\n\nlf\ncrnul\n") for t in texts))
                self.assertTrue(all(b"with IMAPS (" in t for t in texts))

    def test_left(self):
        with ImapSource(self.tls, [(1, mail("one")), (2, mail("two"))]) as far:
            self.links(link(far, "IMAPS,Leave"))
            self.got("one", "two")
            self.visits(far, 2)
            far.validity = 8  # the same mail under other ids
            with far.lock:
                far.messages.append([9, mail("three"), set()])
            self.got("one", "two", "three")
            self.visits(far, 2)
            self.got("one", "two", "three")
            self.assertEqual((far.uids(), far.taken.count(9)), ([1, 2, 9], 1))
            self.assertFalse([c for c in far.commands if b"STORE" in c])

    def test_breaks_off(self):
        for word in ("FETCH", "STORE", "EXPUNGE", "LOGOUT"):
            with self.subTest(word=word), ImapSource(self.tls, [(i, mail(f"m{i}")) for i in range(1, 9)], script={word: once(closes)}) as far:
                self.setUp()
                self.links(link(far))
                self.got(*[f"m{i}" for i in range(1, 9)])
                self.assertTrue(wait_until(lambda: self.ask_all() or far.uids() == []))
                self.visits(far, 1)
                self.got(*[f"m{i}" for i in range(1, 9)])

    def test_wrong(self):
        rows = [  # what it does, what the error says
            ({"LOGIN": lambda s, tag, _: tag + b" NO [AUTHENTICATIONFAILED] no\r\n"}, "login refused"),
            ({"SELECT": lambda s, tag, _: tag + b" NO gone\r\n"}, "doesn't open INBOX"),
            ({"SELECT": lambda s, tag, _: b"certainly\r\n"}, "doesn't speak IMAP"),
            ({"FETCH": lambda s, tag, rest: None if b"1:*" in rest else b"* 1 FETCH (UID 77 BODY[] {3}\r\nabc)\r\n" + tag + b" OK\r\n"},
             "another message"),
            ({"FETCH": lambda s, tag, rest: None if b"1:*" in rest else b"* 1 FETCH (UID 1 BODY[] {99999999999}\r\nabc"},
             "larger than may be"),
            ({"FETCH": lambda s, tag, rest: None if b"1:*" in rest else b"* 1 FETCH (UID 1 BODY[] NIL)\r\n" + tag + b" OK\r\n"},
             "doesn't give it"),
            ({"CAPABILITY": lambda s, tag, _: b"* OK {99999999999}\r\n"}, "nobody asked for"),
        ]
        for script, said in rows:
            with self.subTest(said=said), ImapSource(self.tls, [(1, mail("one"))], script=script) as far:
                self.links(link(far))
                self.assertTrue(wait_until(lambda: said in self.state()), self.state())
                self.assertEqual((subjects(self.server), far.uids()), ([], [1]))


if __name__ == "__main__":
    unittest.main()
