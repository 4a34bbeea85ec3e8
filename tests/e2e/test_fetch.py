"""Mail fetched from mailboxes elsewhere (pop3links.tab): the forms of links, ways to log in, what is left and remembered."""
import glob
import json
import os
import re
import subprocess
import unittest

from harness import DOMAIN, PROGRAM, Server, wait_until, xmcrypt
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

    def test_the_same_twice(self):
        """Two messages that don't differ are two."""
        for capabilities in (("UIDL", "PIPELINING"), ()):
            with self.subTest(capabilities=capabilities), Source([("u1", mail("one")), ("u2", mail("one"))], capabilities=capabilities) as far:
                self.setUp()
                self.links([link(far)])
                self.got(["one", "one"])
                self.assertTrue(wait_until(lambda far=far: far.uids() == []))
                self.quiet(far)
                self.got(["one", "one"])

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

    def only_when_asked(self):
        read = "queue info: settings read again"
        before = self.server.log_text().count(read)
        self.server.set(FetchInterval="0")
        self.assertTrue(wait_until(lambda: self.server.log_text().count(read) > before))

    def test_asked_for(self):
        self.only_when_asked()
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

    def tool(self, *words):
        done = subprocess.run([PROGRAM, "fetch", *words, "--mailroot", self.server.mailroot], capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout + done.stderr

    def test_command(self):
        self.only_when_asked()
        try:
            with Source([("u1", mail("one"))]) as far, Source([("u1", mail("two"))]) as other:
                self.links([link(far), link(other, account="bob"), link(far, "CLR,Bogus", account="carol")])
                self.assertTrue(wait_until(lambda: self.state().count("\n") == 3))
                code, text = self.tool("now", DOMAIN, "bob")
                self.assertEqual(code, 0, text)
                self.got(["two"], "bob")
                self.assertEqual((far.connections, other.connections), (0, 1))
                self.assertTrue(wait_until(lambda: "1 fetched, 0 left" in self.tool()[1]))
                code, text = self.tool("list", "--json")
                self.assertEqual(code, 2, text)  # one is broken
                rows = json.loads(text)
                self.assertEqual([(r["account"], r["state"], r["messages"]) for r in rows],
                                 [("alice", "waits", 0), ("bob", "waits", 1), ("carol", "broken", 0)])
                self.assertIn("Bogus", rows[2]["error"])
                self.assertEqual(self.tool("now", "--json")[0], 3)
        finally:
            self.server.set(FetchInterval="1")

    def test_forms(self):
        """@, ? and &: who gets it; nobody: it stays, or goes to Pop3SyncErrorAccount."""
        several = mail("several", Cc="bob@far.example, Carol <carol@far.example>, x@elsewhere.example", To_Skip="x")
        with Source([("u1", mail("at"))]) as far:
            self.links([link(far, domain="@" + DOMAIN, account="bob")])
            self.got(["at"], "bob")
            text = self.server.read("bob", self.server.mailbox("bob")[0])
            self.assertIn(b"Delivered-To: bob@test.example", text)
        with Source([("u1", several), ("u2", mail("nobody")), ("u3", mail("first", X_Deliver_To="carol@far.example", Cc="bob@far.example"))]) as far:
            self.links([link(far, domain=f"?{DOMAIN},far.example", account="*")])
            self.got(["at", "several"], "bob")
            self.got(["several", "first"], "carol")
            self.quiet(far)
            self.assertEqual(far.uids(), ["u2"])
            self.assertIn("names nobody here", self.state())
            self.server.set(Pop3SyncErrorAccount="lost@" + DOMAIN)
            self.assertEqual(self.tool("now")[0], 0)
            self.got(["nobody"], "lost")
            self.assertTrue(wait_until(lambda: far.uids() == []))
            self.server.set(Pop3SyncErrorAccount=None)

    def test_suffix(self):
        self.server.append("aliasdomain.tab", ("far.example.local", DOMAIN))
        with Source([("u1", mail("suffixed", Cc="bob@far.example"))]) as far:
            self.links([link(far, domain="&.local,far.example", account="*")])
            self.got(["suffixed"], "bob")

    def test_logins(self):
        rows = [  # options, APOP there, good, verbs used
            ("CLR", True, True, "PASS"), ("APOP", True, True, "APOP"), ("APOP", False, True, "PASS"),
            ("FAPOP", True, True, "APOP"), ("FAPOP", False, False, ""),
        ]
        for options, apop, good, verb in rows:
            with self.subTest(options=options, apop=apop), Source([("u1", mail("one"))]) as far:
                self.setUp()
                far.apop = apop
                self.links([link(far, options)])
                if good:
                    self.got(["one"])
                else:
                    self.assertTrue(wait_until(lambda: "no APOP" in self.state()))
                    self.assertEqual(far.count("PASS") + far.count("USER"), 0)
                for v in ("PASS", "APOP"):
                    self.assertEqual(far.count(v) > 0, v == verb)

    def test_out_bind(self):
        with Source([("u1", mail("one"))]) as far:
            self.links([link(far, "CLR,OutBind=127.0.0.9")])
            self.got(["one"])
            self.assertEqual(set(far.clients), {"127.0.0.9"})
            self.links([link(far, "CLR,OutBind=192.0.2.1")])
            self.assertTrue(wait_until(lambda: "use the address asked for" in self.state()), self.state())
            self.assertEqual(set(far.clients), {"127.0.0.9"})

    def test_wrong_password(self):
        with Source([("u1", mail("one"))]) as far:
            self.links([link(far, password="wrong")])
            self.assertTrue(wait_until(lambda: "login refused" in self.state()))
            self.assertIn("failed", self.tool()[1])
            self.links([link(far)])  # a changed row begins anew
            self.got(["one"])

    def test_tls(self):
        cert = (self.server.path("server.cert"), self.server.path("server.key"))
        rows = [  # options, STLS offered, implicit, good
            ("CLR,STLS", True, False, True), ("CLR,STLS", False, False, True), ("CLR,FSTLS", True, False, True),
            ("CLR,FSTLS", False, False, False), ("CLR,POP3S", True, True, True),
        ]
        for options, offered, implicit, good in rows:
            capabilities = ("UIDL", "STLS") if offered else ("UIDL",)
            with self.subTest(options=options, offered=offered), Source([("u1", mail("one"))], capabilities=capabilities,
                                                                        tls=cert if offered else None, implicit=implicit) as far:
                self.setUp()
                self.links([link(far, options)])
                if good:
                    self.got(["one"])
                else:
                    self.assertTrue(wait_until(lambda: "no TLS" in self.state()))
                    self.assertEqual(far.count("PASS"), 0)
        self.server.set(SSLWantVerify="1")
        try:
            with Source(tls=cert, implicit=True) as far:
                self.setUp()
                self.links([link(far, "CLR,POP3S")])
                self.assertTrue(wait_until(lambda: "certificate" in self.state()))  # all roles know the setting
                far.add(("u1", mail("one")))
                self.assertEqual(self.tool("now")[0], 0)
                self.quiet(far)
                self.assertEqual(far.taken, [])
                self.server.set(SSLAllowSelfSigned="1")
                self.assertTrue(wait_until(lambda: self.tool("now")[0] == 0 and subjects(self.server) == ["one"]))
        finally:
            self.server.set(SSLWantVerify=None, SSLAllowSelfSigned=None)

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
