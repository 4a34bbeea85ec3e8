"""filters.in.tab and filters.out.tab with programs that stay, milters and HTTP hooks: each verdict, changes, failures."""
import glob
import http.server
import os
import threading

from harness import DOMAIN, wait_until
from milter import Milter, edit, text
from sink import Sink
from test_hooks import SECRET, Hook
from test_processing import ALICE, BOB, Processing

# Its verdict is what the sender's address begins with; 7 changes the message.
STAYS = """#!/usr/bin/python3
import json, sys
for line in sys.stdin:
    job = json.loads(line)
    code = int(job["FROM"].partition("@")[0].lstrip("c"))
    if code == 7:
        with open(job["FILE"], newline="") as f: message = f.read()
        with open(job["FILE"], "w", newline="") as f: f.write(message.replace("one", "by " + job["RRCPT"]))
    print(json.dumps({"id": job["id"], "code": code, "reply": "because of it"}), flush=True)
"""


class Talks(Processing):
    settings = {"RemoveSpoolErrors": "0"}

    def outcome(self, sender, to=ALICE):
        """Into the mailbox, a report to the sender, frozen; then all of that goes."""
        self.send(to, sender=sender)
        self.drained()
        user = to.partition("@")[0]
        got = (self.texts(user), self.texts("bob") if user != "bob" else [], len(self.frozen()))
        for path in glob.glob(self.server.path("domains", DOMAIN, "*", "Maildir/new/*")) + self.frozen():
            os.remove(path)
        return got

    def check(self, sender, mailbox, report, frozen):
        texts, reports, ice = self.outcome(sender)
        self.assertEqual((len(texts), len(reports), ice), (mailbox, report, frozen), self.server.log_text()[-2000:])
        return (texts + reports + [""])[0]

    def test_persistent(self):
        stays = self.program("stays", STAYS.partition("\n")[2], head="#!/usr/bin/python3\n")
        self.filters("in", ("!persist=2", stays))
        self.server.append("aliases.tab", *((DOMAIN, f"c{code}", "bob") for code in (0, 4, 5, 6, 7, 20)))
        self.server.start()
        rows = {0: (1, 0, 0), 4: (0, 0, 0), 5: (0, 0, 1), 20: (0, 0, 0), 7: (1, 0, 0)}
        for code, want in rows.items():
            with self.subTest(code=code):
                said = self.check(f"c{code}@far.example", *want)
                self.assertEqual("by " + ALICE in said, code == 7)
                self.assertEqual("\none\n" in said, code == 0)

    def test_milter(self):
        m = Milter(path=os.path.join(self.server.scratch, "m.sock"), actions=0x33)
        self.addCleanup(m.close)
        self.filters("in", ("!milter,timeo=20", m.where), select=("*", ALICE, "0.0.0.0/0", "0.0.0.0/0"))
        self.server.start()
        report = "report@far.example"
        rows = [  # answers, into the mailbox, a report, frozen
            ([b"a"], 1, 0, 0), ([b"c"], 1, 0, 0), ([b"d"], 0, 0, 0), ([b"q" + text("looks odd"), b"c"], 0, 0, 1),
            ([b"y" + text("554 5.7.1 a virus")], 0, 1, 1), ([b"r"], 0, 1, 1)]
        for answers, *want in rows:
            with self.subTest(answers=answers):
                m.answers = {b"E": answers}
                said = self.check(BOB if want[1] else report, *want)
                self.assertEqual("a virus" in said, answers[0].startswith(b"y"))
        self.assertEqual(m.told(b"M") + m.told(b"R"), [f"<{BOB}>\0".encode(), f"<{ALICE}>\0".encode()])
        self.assertEqual(b"".join(m.told(b"B")), b"one\r\n.two\r\n")
        m.answers = {b"E": [edit(b"h", "X-Seen", "yes"), b"b" + b"another\r\n.body\r\n", b"c"]}
        said = self.check(report, 1, 0, 0)
        self.assertIn("\nX-Seen: yes\n", said)
        self.assertTrue(said.endswith("\n\nanother\n.body\n"), said)
        # It asks for patience, though what fails may pass; then it takes the message.
        self.server.set(FilterFailure="pass")
        seen = []

        def later(_):
            seen.append(1)
            return [b"y" + text("451 4.7.1 not yet") if len(seen) == 1 else b"c"]
        m.answers = {b"E": later}
        self.check(report, 1, 0, 0)
        self.assertEqual(len(seen), 2)
        self.assertIn("451 4.7.1 not yet", self.server.log_text())

    def test_hook(self):
        hook = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
        hook.heard, hook.answer, hook.form = [], None, "length"
        threading.Thread(target=hook.serve_forever, daemon=True).start()
        self.addCleanup(hook.server_close)
        self.addCleanup(hook.shutdown)
        with open(self.server.path("hook.secret"), "wb") as f:
            f.write(SECRET)
        sink = Sink({})
        self.addCleanup(sink.close)
        self.server.set(DefaultSMTPGateways=f"127.0.0.1:{sink.port}")
        self.server.append("smtprelay.tab", ("127.0.0.1", "255.255.255.255"))
        self.filters("out", ("!http,timeo=5", f"http://127.0.0.1:{hook.server_address[1]}/", "hook.secret"))
        self.server.start()
        for code, sent, reports, frozen in ((0, 1, 0, 0), (4, 0, 0, 0), (5, 0, 0, 1), (6, 0, 1, 1)):
            with self.subTest(code=code):
                hook.answer = lambda job, code=code: {"code": code, "reply": "not to " + job["RCPT"]}
                before = len(sink.messages)
                _, told, ice = self.outcome(BOB, to="x@far.example")
                self.assertEqual((len(sink.messages) - before, len(told), ice), (sent, reports, frozen))
                self.assertEqual(["not to x@far.example" in t for t in told], [True] * reports)

    def test_flags_where_there_are_none(self):
        """A command isn't a line of filters: what can't work there is named, and the message waits."""
        self.table(f"domains/{DOMAIN}/alice/mailproc.tab", ("filter", "0", "10", "!persist", "/bin/true"))
        self.server.set(RetryFirst="600")
        self.server.start()
        self.send(ALICE)
        self.assertTrue(wait_until(lambda: "flags are for lines of filter tables" in self.server.log_text(), 20))
        self.assertEqual(len(self.entries()), 1)
