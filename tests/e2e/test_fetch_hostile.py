"""Servers that mail is fetched from and that misbehave, or break off: nothing hangs or dies, no message is lost, none comes twice."""
import os
import time
import unittest

from harness import DOMAIN, Server, wait_until, xmcrypt
from popsource import Source, mail
from test_fetch import link, subjects

HASTY = {"FetchInterval": "1", "FetchTimeout": "2", "MaxMessageSize": "100"}


def endless(text):
    """The same octets for as long as somebody reads."""
    def more(session, _):
        end = time.monotonic() + 60
        while time.monotonic() < end:
            session.sock.sendall(text * 1000)
        raise EOFError
    return more


def closes(session, _):
    raise EOFError


def silent(session, _):
    time.sleep(5)
    raise EOFError


def says(text):
    return lambda session, _: text


def cut_body(session, number):
    session.sock.sendall(b"+OK\r\n" + session.list[int(number) - 1][1][:20])
    raise EOFError


def once(hook):
    """Only the first time; then as usual."""
    seen = []

    def maybe(session, argument):
        if seen:
            return None
        seen.append(1)
        return hook(session, argument)
    return maybe


def on_third(hook):
    seen = []

    def maybe(session, argument):
        seen.append(1)
        return hook(session, argument) if len(seen) == 3 else None
    return maybe


def ways():
    """name, script: each time, what its error says"""
    rows = []
    for verb in ("connect", "USER", "PASS", "CAPA", "LIST", "UIDL", "RETR"):
        rows += [(f"closes at {verb}", {verb: closes}, "closed"), (f"is silent at {verb}", {verb: silent}, "doesn't answer"),
                 (f"rubbish at {verb}", {verb: says(b"certainly")}, "doesn't speak POP3")]
    rows += [
        ("refuses to begin", {"connect": says(b"-ERR not today")}, "not today"),
        ("no list", {"LIST": says(b"-ERR no")}, "no list"),
        ("an endless line as greeting", {"connect": endless(b"+OK" + b"x" * 1000)}, "too long a line"),
        ("endless capabilities", {"CAPA": lambda s, a: s.say(b"+OK") or endless(b"AND SO ON\r\n")(s, a)}, "no end"),
        ("an endless list", {"LIST": lambda s, a: s.say(b"+OK") or endless(b"1 100\r\n")(s, a)}, "makes no sense"),
        ("a list with rubbish", {"LIST": says(b"+OK\r\nfirst 100\r\n.\r\n")}, "makes no sense"),
        ("numbers that fall", {"LIST": says(b"+OK\r\n2 100\r\n1 100\r\n.\r\n")}, "makes no sense"),
        ("cut in a message", {"RETR": cut_body}, "closed"),
        ("an endless line in a message", {"RETR": lambda s, a: s.say(b"+OK") or endless(b"x" * 1000)(s, a)}, "larger than may be"),
        ("endless lines in a message", {"RETR": lambda s, a: s.say(b"+OK") or endless(b"x\r\n")(s, a)}, "larger than may be"),
        ("a message without end", {"RETR": lambda s, a: s.say(b"+OK\r\nSubject: x\n\nx\n.\n") or silent(s, a)}, "doesn't answer"),
        ("won't give it", {"RETR": says(b"-ERR no such message")}, "doesn't give it"),
        ("won't log in", {"PASS": says(b"-ERR [IN-USE] busy")}, "not possible now"),
        ("NULs everywhere", {"LIST": says(b"+OK\r\n\0\0\0\r\n.\r\n")}, "makes no sense"),
    ]
    return rows


class Hostile(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(users=[f"u{i}" for i in range(len(ways()))] + ["alice", "bob"], settings=dict(HASTY, FetchThreads="40")).start()

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def links(self, rows):
        text = "".join("\t".join(f'"{v}"' for v in row) + "\n" for row in rows)
        path = self.server.path("pop3links.tab")
        with open(path + ".new", "w", encoding="utf-8") as f:
            f.write(text)
        os.rename(path + ".new", path)

    def setUp(self):
        self.links(())
        for name in self.server.mailbox("alice"):
            os.unlink(self.server.path("domains", DOMAIN, "alice", "Maildir", "new", name))

    def errors(self):
        """By account: what went wrong last."""
        path = self.server.path("hikyaku", "fetch.tab")
        if not os.path.exists(path):
            return {}
        with open(path, encoding="utf-8", errors="replace") as f:
            rows = [[v.strip('"') for v in line.rstrip("\n").split("\t")] for line in f]
        return {row[1]: row[-1] for row in rows if len(row) > 10}

    def visits(self, source, count):
        target = source.connections + count
        self.assertTrue(wait_until(lambda: self.ask_all() or (source.connections >= target and source.busy == 0), 60), self.server.log_text()[-3000:])

    def expect(self, wanted, user="alice", asks=True):
        """asks: by the trigger, which makes the server forget what it refused."""
        wait_until(lambda: (asks and self.ask_all()) or len(subjects(self.server, user)) >= len(wanted), 40)
        self.assertEqual(subjects(self.server, user), sorted(wanted), self.server.log_text()[-3000:])

    def test_every_way(self):
        """All at once; each says what is wrong, and nothing is taken. Then they behave, and the mail comes."""
        before = {role: self.server.role_pid(role) for role in ("relay", "queue")}
        sources = [Source([("m", mail(f"way {i}"))], script=dict(script)) for i, (_, script, _) in enumerate(ways())]
        try:
            self.links([link(s, account=f"u{i}") for i, s in enumerate(sources)])
            for i, (name, _, said) in enumerate(ways()):
                with self.subTest(way=name):
                    self.assertTrue(wait_until(lambda i=i, said=said: said in self.errors().get(f"u{i}", ""), 90), self.errors().get(f"u{i}"))
                    self.assertEqual(subjects(self.server, f"u{i}"), [])
                    self.assertEqual(sources[i].uids(), ["m"])
            self.assertEqual(before, {role: self.server.role_pid(role) for role in before})
            for s in sources:
                s.script.clear()
            # A changed row begins anew, without the pause; what was refused is asked for again.
            self.links([link(s, "CLR,STLS", account=f"u{i}") for i, s in enumerate(sources)])
            def all_here():
                self.ask_all()
                return all(subjects(self.server, f"u{i}") == [f"way {i}"] for i in range(len(sources)))
            self.assertTrue(wait_until(all_here, 90), self.server.log_text()[-3000:])
        finally:
            for s in sources:
                s.close()

    def ask_all(self):
        with open(self.server.path(".psync-trigger"), "w", encoding="ascii"):
            pass

    def test_breaks_off(self):
        """Wherever the first session ends, each message comes once."""
        bodies = [(f"m{i}", mail(f"message {i}", "x" * (i * 7000))) for i in range(12)]
        names = sorted(f"message {i}" for i in range(12))
        for options in ("CLR", "CLR,Leave"):
            for verb, hook in (("RETR", on_third(closes)), ("RETR", on_third(cut_body)), ("DELE", closes), ("QUIT", closes), ("DELE", silent), ("QUIT", says(b"-ERR not removed"))):
                with self.subTest(options=options, verb=verb), Source(bodies, script={verb: hook if verb == "RETR" else once(hook)}) as far:
                    self.setUp()
                    self.links([link(far, options)])
                    self.expect(names)
                    if "Leave" not in options:
                        self.assertTrue(wait_until(lambda: self.ask_all() or far.uids() == [], 40), (far.uids(), far.commands[-40:], self.errors()))
                    self.visits(far, 1)
                    self.expect(names)
                    self.assertEqual(len(self.server.mailbox("alice")), len(names))

    def test_never_deletes(self):
        """QUIT says yes and removes nothing; DELE is refused."""
        for script in ({"QUIT": says(b"+OK bye")}, {"DELE": says(b"-ERR read only")}):
            with self.subTest(script=list(script)), Source([("m1", mail("one")), ("m2", mail("two"))], script=script) as far:
                self.setUp()
                self.links([link(far)])
                self.expect(["one", "two"])
                self.visits(far, 2)
                self.expect(["one", "two"])

    def test_ids_change(self):
        """With Leave the same mail under new ids isn't new; a new mail under an old id is."""
        with Source([("a1", mail("one")), ("a2", mail("two"))]) as far:
            self.links([link(far, "CLR,Leave")])
            self.expect(["one", "two"])
            with far.lock:
                far.messages = [["b1", mail("one")], ["b2", mail("two")], ["b3", mail("three")]]
            self.expect(["one", "two", "three"])
            with far.lock:
                far.messages = []
            self.visits(far, 2)
            with far.lock:
                far.messages = [["b1", mail("one")], ["b2", mail("four")]]
            self.expect(["one", "two", "three", "four"])
            self.visits(far, 2)
            self.expect(["one", "two", "three", "four"])

    def test_id_is_used_again(self):
        """Without Leave a deleted message's id may come again with another message, or stand for two."""
        with Source([("1", mail("one"))]) as far:
            self.links([link(far)])
            self.expect(["one"])
            self.assertTrue(wait_until(lambda: far.uids() == []))
            far.add(("1", mail("two")), ("1", mail("three")))
            self.expect(["one", "two", "three"])
            self.assertTrue(wait_until(lambda: far.uids() == []))
            self.visits(far, 1)
            self.expect(["one", "two", "three"])

    def test_no_ids(self):
        with Source([("1", mail("one")), ("2", mail("two"))], script={"UIDL": says(b"-ERR what"), "QUIT": once(closes)}) as far:
            self.links([link(far, "CLR,Leave")])
            self.assertTrue(wait_until(lambda: "no UIDL" in self.errors().get("alice", "")))
            self.links([link(far)])
            self.expect(["one", "two"])
            self.assertTrue(wait_until(lambda: far.uids() == []))
            self.visits(far, 1)
            self.expect(["one", "two"])

    def test_sizes(self):
        """What is too large stays, whether the server says so or not; the others come."""
        large = mail("large", "x" * 200000)
        with Source([("m1", mail("one")), ("m2", large), ("m3", mail("three"))]) as far:
            self.links([link(far)])
            self.expect(["one", "three"], asks=False)
            self.assertTrue(wait_until(lambda: far.uids() == ["m2"]))
            self.assertTrue(wait_until(lambda: "larger than messages may be" in self.errors()["alice"]))
            self.assertNotIn("m2", far.taken)
        with Source([("m1", mail("one")), ("m2", large), ("m3", mail("three"))], script={"LIST": says(b"+OK\r\n1 9\r\n2 9\r\n3 9\r\n.\r\n")}) as far:
            self.setUp()
            self.links([link(far)])
            self.expect(["one", "three"], asks=False)
            self.assertTrue(wait_until(lambda: len(far.uids()) == 1))
            self.visits(far, 1)
            self.expect(["one", "three"], asks=False)

    def test_full_mailbox(self):
        """The visit ends there; what didn't fit stays, and comes when there is room."""
        path = self.server.path("domains", DOMAIN, "bob", "user.tab")
        with open(path, encoding="utf-8") as f:
            before = f.read()
        with open(path, "w", encoding="utf-8") as f:
            f.write(before + '"MaxMBSize"\t"100"\n')
        bodies = [(f"m{i}", mail(f"message {i}", ("x" * 70 + "\r\n") * 300)) for i in range(9)]
        with Source(bodies, capabilities=("UIDL",)) as far:
            self.links([link(far, account="bob")])
            self.assertTrue(wait_until(lambda: "full" in self.errors().get("bob", "")))
            some = subjects(self.server, "bob")
            self.assertTrue(0 < len(some) < 9, some)
            with open(path, "w", encoding="utf-8") as f:
                f.write(before)
            self.assertTrue(wait_until(lambda: self.ask_all() or far.uids() == [], 40))
            self.expect([f"message {i}" for i in range(9)], "bob")

    def test_in_a_circle(self):
        """A link to the mailbox that it fills: nothing multiplies, nothing is lost."""
        with Source() as quiet:
            with open(self.server.path("domains", DOMAIN, "alice", "Maildir", "new", "1700000000.M1.old"), "wb") as f:
                f.write(b"From: a@far.example\nSubject: round\n\nx\n")
            row = (DOMAIN, "alice", f"127.0.0.1:{self.server.ports['pop3']}", f"alice@{DOMAIN}", xmcrypt("secret-word"), "CLR")
            self.links([row, link(quiet, account="bob")])
            self.assertTrue(wait_until(lambda: "circle" in self.errors().get("alice", "")), self.server.log_text()[-2000:])
            self.visits(quiet, 3)
            self.expect(["round"])

    def test_own_server(self):
        """From one account of ours to another."""
        for name, user in ((b"one", "bob"), (b".two", "bob")):
            with open(self.server.path("domains", DOMAIN, user, "Maildir", "new", f"1700000001.M{name.decode()[-1]}.old"), "wb") as f:
                f.write(b"From: a@far.example\nSubject: " + name + b"\n\n.x\n")
        had = len(self.server.mailbox("bob"))
        self.links([(DOMAIN, "alice", f"127.0.0.1:{self.server.ports['pop3']}", f"bob@{DOMAIN}", xmcrypt("secret-word"), "APOP,STLS")])
        self.assertTrue(wait_until(lambda: len(self.server.mailbox("alice")) == had and not self.server.mailbox("bob"), 40),
                        self.server.log_text()[-2000:])

    def test_one_at_a_time(self):
        """Two links of one login there are never there together."""
        bodies = [(f"m{i}", mail(f"message {i}")) for i in range(5)]
        with Source(bodies, script={"LIST": lambda s, a: time.sleep(0.3)}) as far:
            self.links([link(far), link(far, account="bob")])
            self.visits(far, 4)
            self.assertEqual(far.most_busy, 1)


if __name__ == "__main__":
    unittest.main()
