"""hikyaku filter-test: what each filter would do to a message, in sessions and in the queue, and that nothing else happens."""
import glob
import os
import re
import subprocess
import threading

from filter_case import ALICE, BOB, FilterCase
from harness import DOMAIN, PROGRAM, replace, wait_until
from milter import Milter, edit, text
from test_hooks import SECRET, Hook, http
from test_web import Client

MESSAGE = f"Return-Path: <x@far.example>\nFrom: y@far.example\nTo: A <{ALICE}>,\n {BOB}\nSubject: t\n\none\n.two\nend\n"
STAYS = """#!/usr/bin/python3
import json, sys
for line in sys.stdin:
    job = json.loads(line)
    with open(job["FILE"]) as f: rcpts = f.read().count("RCPT TO")
    print(json.dumps({"id": job["id"], "code": 3, "reply": "451 4.7.1 %s of %d" % (job["CRCPT"], rcpts)}), flush=True)
"""


class FilterTool(FilterCase):
    def setUp(self):
        super().setUp()
        self.file = os.path.join(self.server.scratch, "mail.eml")
        with open(self.file, "w", encoding="utf-8") as f:
            f.write(MESSAGE)

    def rows(self, path, *rows):
        os.makedirs(os.path.dirname(self.server.path(path)), exist_ok=True)
        replace(self.server.path(path), b"".join("\t".join(f'"{v}"' for v in row).encode() + b"\n" for row in rows))

    def run_tool(self, *words, code=0):
        out = subprocess.run([PROGRAM, "filter-test", "--mailroot", self.server.mailroot, *words], capture_output=True, text=True,
                             timeout=60, check=False)
        self.assertEqual(out.returncode, code, out.stdout + out.stderr)
        self.assertEqual(glob.glob(self.server.path("hikyaku/filter/*")), [])
        return out.stdout if code != 1 else out.stderr

    def said(self, out):
        """What is said of each line: its place -> the lines below it."""
        parts = re.split(r"(?m)^(\S+:\d+(?: for \S+?)?(?:, not reached)?)$", out)
        return dict(zip(parts[1::2], parts[2::2]))

    def test_session(self):
        seen = self.server.path("seen")
        stays = os.path.join(self.bin, "stays")
        with open(stays, "w", encoding="utf-8") as f:
            f.write(STAYS)
        os.chmod(stays, 0o700)
        show = self.program("show", f'cp "$1" {seen}; shift; echo "$@"; echo oops >&2')
        change = self.program("change", 'sed -i s/one/three/ "$1"; exit 16')
        self.table("post-rcpt", ("!persist=1", stays), ("!wlex", show, "@@FILE"))
        self.table("pre-data", ("!aex", show, "@@FILE", "@@CRCPT", "$(FROM) $(USERAUTH)", "@@REMOTEADDR"))
        self.table("post-data", ("!odd", show), (change, "@@FILE"), (show, "@@FILE"), ("/nowhere", "x"))
        said = self.said(self.run_tool("--client", "192.0.2.7", "--helo", "h.example", self.file, code=4))
        self.assertIn("code 3: refused: 451 4.7.1 " + ALICE + " of 0", said[f"filters.post-rcpt.tab:1 for {ALICE}"])
        self.assertIn("code 3: refused: 451 4.7.1 " + BOB + " of 0", said[f"filters.post-rcpt.tab:1 for {BOB}"])
        self.assertIn("code 0: goes on", said[f"filters.post-rcpt.tab:2 for {BOB}, not reached"])
        self.assertIn("  | x@far.example - [192.0.2.7]:", said["filters.pre-data.tab:1, not reached"])
        self.assertIn("  | oops", said["filters.pre-data.tab:1, not reached"])
        self.assertIn("not run: a flag other than", said["filters.post-data.tab:1, not reached"])
        changed = said["filters.post-data.tab:2, not reached"]
        self.assertIn("code 16: goes on; nothing behind it counts", changed)
        self.assertIn("  - one\n  + three\n", changed)
        self.assertIn("fails: /nowhere can't be run", said["filters.post-data.tab:4, not reached"])
        self.assertIn("the client is told 451", said["filters.post-data.tab:4, not reached"])
        with open(seen, "rb") as f:
            head, _, message = f.read().partition(b"<<MAIL-DATA>>\r\n")
        self.assertRegex(head, rb"^h\.example;\[192\.0\.2\.7\]:\d+;[^;]+;\[127\.0\.0\.1\]:25;[^;]+;Hikyaku\r\n")
        self.assertIn(b"\r\nMAIL FROM:<x@far.example>\r\n", head)
        self.assertEqual(message, MESSAGE.replace("one", "three").replace(".two", "..two").replace("\n", "\r\n").encode())
        # Who logged in; a client that is on the white list.
        self.rows("smtp.ipprop.tab", ("192.0.2.7/32", "WhiteList=1"))
        self.table("post-rcpt", ("!wlex", show, "@@FILE"))
        self.table("post-data", ("!aex", show))
        said = self.said(self.run_tool("--client", "192.0.2.7", "--auth", ALICE, "--from", "", "--to", BOB, self.file))
        self.assertIn("WhiteList=1", said[f"filters.post-rcpt.tab:1 for {BOB}"])
        self.assertIn("logged in", said["filters.post-data.tab:1"])
        self.assertIn("not run", said["filters.pre-data.tab:1"])

    def test_queue(self):
        where = os.path.join(self.server.scratch, "m.sock")
        milter = Milter(path=where, answers={b"E": [edit(b"h", "X-Seen", "yes"), b"c"]})
        self.addCleanup(milter.close)
        hook = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
        hook.heard, hook.answer, hook.form = [], lambda job: {"code": 6, "reply": "not " + job["RCPT"]}, "length"
        threading.Thread(target=hook.serve_forever, daemon=True).start()
        self.addCleanup(hook.server_close)
        self.addCleanup(hook.shutdown)
        with open(self.server.path("hook.secret"), "wb") as f:
            f.write(SECRET)
        alias = f"amy@{DOMAIN}"
        self.server.append("aliases.tab", (DOMAIN, "amy", "alice"))
        seen = self.server.path("seen")
        drop = self.program("drop", f'cp "$1" {seen}; exit 4')
        self.rows("filters.in.tab", ("*", ALICE, "0.0.0.0/0", "0.0.0.0/0", "a.tab"),
                  ("*", "*", "192.0.2.0/24", "0.0.0.0/0", "never.tab"), ("*", "*", "0.0.0.0/0", "0.0.0.0/0", "all.tab"))
        self.rows("filters.out.tab", ("*", "*@far.example", "0.0.0.0/0", "0.0.0.0/0", "all.tab"))
        self.rows("filters/a.tab", ("!milter", "unix:" + where))
        self.rows("filters/all.tab", ("!http,timeo=5", f"http://127.0.0.1:{hook.server_address[1]}/", "hook.secret"))
        self.rows(f"domains/{DOMAIN}/alice/mailproc.tab", ("mailbox",), ("filter", "0", "10", drop, "@@FILE"), ("odd",))
        out = self.run_tool("--to", alias, "--to", "z@far.example", "--to", f"nobody@{DOMAIN}", self.file, code=4)
        self.assertIn(f"to {alias}: an account\n", out)
        self.assertIn("to z@far.example: on another server\n", out)
        self.assertIn(f"to nobody@{DOMAIN}: no such user here\n", out)
        said = self.said(out)
        self.assertEqual(list(said), [f"filters/a.tab:1 for {alias}", f"filters/all.tab:1 for {alias}",
                                      f"domains/{DOMAIN}/alice/mailproc.tab:1 for {alias}, not reached",
                                      f"domains/{DOMAIN}/alice/mailproc.tab:2 for {alias}, not reached",
                                      f"domains/{DOMAIN}/alice/mailproc.tab:3 for {alias}, not reached",
                                      "filters/all.tab:1 for z@far.example"])
        self.assertIn("code 7: goes on, changed", said[f"filters/a.tab:1 for {alias}"])
        self.assertIn("  + X-Seen: yes\n", said[f"filters/a.tab:1 for {alias}"])
        self.assertIn(f"code 6: refused, the sender is told: not {alias}", said[f"filters/all.tab:1 for {alias}"])
        self.assertIn("code 4: dropped, nobody is told", said[f"domains/{DOMAIN}/alice/mailproc.tab:2 for {alias}, not reached"])
        with open(seen, "rb") as f:
            lines = f.read().split(b"\r\n")
        self.assertRegex(lines[0], rb"^\[127\.0\.0\.1\]:\d+;\[127\.0\.0\.1\]:25;")
        self.assertEqual(lines[3:6], [b"MAIL FROM:<x@far.example>", f"RCPT TO:<{alias}>".encode(), b"<<MAIL-DATA>>"])
        self.assertIn(b"X-Seen: yes", lines)
        # A milter that asks for patience; one that isn't there; a file that isn't there.
        milter.answers = {b"E": [b"y" + text("451 4.7.1 later")]}
        self.assertIn("tried again later: 451 4.7.1 later", self.run_tool("--to", ALICE, self.file, code=4))
        milter.close()
        os.remove(where)
        self.assertIn("the message waits and is tried again", self.run_tool("--to", ALICE, self.file, code=4))
        os.remove(self.server.path("filters/all.tab"))
        self.assertIn("filters/all.tab isn't there", self.run_tool("--to", BOB, self.file, code=1))

    def test_words(self):
        self.assertIn("no filter is meant for it", self.run_tool(self.file))
        with open(self.file, "w", encoding="utf-8") as f:
            f.write("Subject: x\n\nx\n")
        self.assertIn("names no sender", self.run_tool(self.file, code=1))
        self.assertIn("names no recipient", self.run_tool("--from", "", self.file, code=1))
        self.assertIn("is not an address", self.run_tool("--client", "x", self.file, code=1))
        self.run_tool("--to", "a@@b", "--from", "", self.file, code=1)
        self.run_tool("/nowhere", code=1)
        self.run_tool(code=3)

    def test_by_order(self):
        """The same from the browser: control writes the order, the master runs it as a process of its own."""
        change = self.program("change", 'sed -i s/one/three/ "$1"; echo "$2"; exit 16')
        slow = self.program("slow", "sleep 2")
        self.table("post-data", (change, "@@FILE", "@@FROM"))
        self.rows("filters.in.tab", ("*", BOB, "0.0.0.0/0", "0.0.0.0/0", "b.tab"))
        self.rows("filters/b.tab", (self.program("no", "exit 6"),))
        with open(self.server.path(".filtertest"), "w", encoding="ascii") as f:
            f.write("{}")  # left by a server that doesn't run any more: not carried out
        self.server.start()
        self.server.wait_ready()
        web = Client(self.server)
        self.assertEqual(web.sign_in()[0], 200)

        def test(status=202, **body):
            begun = web.api("POST", "/filter-test", {"message": MESSAGE, **body})
            self.assertEqual(begun[0], status, begun[1])
            if status == 202:
                self.assertTrue(wait_until(lambda: not web.api("GET", "/filter-test")[1]["running"]))
                return web.api("GET", "/filter-test")[1]["result"]
        self.assertEqual(web.api("GET", "/filter-test")[1], {"running": False, "result": None})
        found = test()
        self.assertEqual((found["sender"], [r["address"] for r in found["recipients"]], found["passes"]),
                         ("x@far.example", [ALICE, BOB], False))
        first, second = found["lines"]
        self.assertEqual((first["table"], first["code"], first["verdict"], first["removed"], first["added"], first["output"]),
                         ("filters.post-data.tab", 16, "goes-on", ["one"], ["three"], ["x@far.example"]))
        self.assertEqual((second["for"], second["code"], second["verdict"], second["words"][0][-3:]), (BOB, 6, "refused", "/no"))
        for bad in ({"client": "x"}, {"to": ["$(touch /tmp/x)@@"]}, {"message": "no fields"}):
            self.assertIn("error", test(**bad))
        for bad in ({"message": ""}, {"to": "x"}, {"to": ["a\nb"]}, {"from": "a\tb"}, {"to": ["a@b"] * 51}):
            test(422, **bad)
        self.table("post-data", (slow,))
        self.assertEqual(web.api("POST", "/filter-test", {"message": MESSAGE})[0], 202)
        test(409)
        self.assertTrue(wait_until(lambda: not web.api("GET", "/filter-test")[1]["running"]))
        self.assertEqual(self.server.mailbox("bob"), [])
        self.assertEqual(os.listdir(self.server.path("hikyaku/filtertest")), ["result"])  # nobody's mail stays there

