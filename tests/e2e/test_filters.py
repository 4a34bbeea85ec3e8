"""Filters of the SMTP session, run by the runner role: what they see, what they say, and how they misbehave."""
import glob
import os
import smtplib
import threading
import time
import unittest

from filter_case import ALICE, BOB, FilterCase
from harness import DOMAIN, replace, wait_until


class Filters(FilterCase):
    def test_what_they_see(self):
        out = os.path.join(self.server.scratch, "out")
        show = self.program("show", f'for a in "$@"; do printf "[%s]" "$a" >>{out}; done; echo >>{out}; cat "$1" >>{out}')
        self.server.append("aliases.tab", (DOMAIN, "ally", "alice"))
        self.table("post-rcpt", (show, "@@FILE", "@@CRCPT", "@@RRCPT", "@@FROM", "@@USERAUTH", "@@NONE", "a$(FROM)b$(X)", "$(", "@@REMOTEADDR"))
        self.table("pre-data", (show, "@@FILE", "@@LOCALADDR"))
        self.server.start()
        self.assertEqual(self.codes(f"ally@{DOMAIN}", BOB), [250, 250, 250, 250])
        with open(out, encoding="utf-8", newline="") as f:
            lines = f.read().split("\n")
        self.assertRegex(lines[0], r"^\[/.*/hikyaku/filter/[^\]]+\]\[ally@test.example\]\[alice@test.example\]\[x@far.example\]\[-\]\[\]"
                         r"\[ax@far.exampleb\]\[\$\(\]\[\[127.0.0.1\]:\d+\]$")
        self.assertRegex(lines[1], r"^me.example;\[127.0.0.1\]:\d+;mail.test.example;\[127.0.0.1\]:\d+;[^;]+;Hikyaku\r$")
        self.assertEqual(lines[2], "mail.test.example\r")
        self.assertEqual(lines[4], "MAIL FROM:<x@far.example>\r")
        self.assertTrue(lines[5].startswith("[/"))
        text = "\n".join(lines)
        self.assertIn("RCPT TO:<ally@test.example> {ra=alice@test.example}\r\nRCPT TO:<bob@test.example> {ra=bob@test.example}\r\n", text)
        self.assertTrue(wait_until(lambda: not glob.glob(self.server.path("hikyaku/filter/*")), 5))

    def test_verdicts(self):
        rows = [  # script, codes of RCPT and DATA
            ("exit 0", [250, 250]),
            ("exit 3", [550, 554]),
            ('echo "451 4.7.1 come back" >"$1.rej"; exit 3', [451, 554]),
            ('echo "no way" >"$1.rej"; exit 3', [550, 554]),
            ('printf "550 a\\001b\\n" >"$1.rej"; exit 3', [550, 554]),
            ("exit 7", [250, 250]),
            ("exit 16", [250, 250]),
            ("exit 19", [550, 554]),
            ("rm -f \"$1\"; exit 0", [250, 250]),
            ("echo broken >\"$1\"; exit 7", [250, 250]),
        ]
        self.program("f", "exit 0")
        self.table("post-rcpt", (os.path.join(self.bin, "f"), "@@FILE"))
        self.server.start()
        for script, codes in rows:
            with self.subTest(script=script):
                self.program("f", script)
                self.assertEqual(self.codes(ALICE)[1:], codes)
        self.program("f", 'echo "451 4.7.1 come back" >"$1.rej"; exit 3')
        self.assertIn("come back", self.say(ALICE)[1][1])
        self.program("f", 'case "$2" in bob*) exit 3;; esac')
        self.table("post-rcpt", (os.path.join(self.bin, "f"), "@@FILE", "@@CRCPT"))
        self.assertTrue(wait_until(lambda: self.codes(ALICE, BOB) == [250, 250, 550, 250], 10))
        self.assertEqual(self.server.mailbox("bob"), [])

    def test_pre_data(self):
        self.table("pre-data", (self.program("no", "exit 3"),))
        self.server.start()
        self.assertEqual(self.codes(ALICE), [250, 250, 550])
        c = smtplib.SMTP("127.0.0.1", self.server.ports["smtp"], "me.example", timeout=30)
        self.addCleanup(c.close)
        c.ehlo()
        self.assertFalse(c.has_extn("chunking"))
        c.mail("x@far.example")
        c.rcpt(ALICE)
        c.send(b"BDAT 3 LAST\r\nx\r\n")
        self.assertEqual(c.getreply()[0], 502)
        self.assertEqual(c.noop()[0], 250)
        self.assertEqual(self.server.mailbox("alice"), [])

    def test_order_and_flags(self):
        out = os.path.join(self.server.scratch, "out")
        say = self.program("say", f'echo "$1" >>{out}; exit "$2"')
        self.table("pre-data", ("!aex", say, "one", "0"), ("!wlex", say, "two", "0"), ("!aex,wlex,timeo=5", say, "three", "16"),
                   ("!what", say, "bad", "3"), (say, "four", "0"))
        self.server.start()

        def ran(**words):
            if os.path.exists(out):
                os.remove(out)
            self.codes(ALICE, **words)
            with open(out, encoding="utf-8") as f:
                return f.read().split()
        self.assertEqual(ran(), ["one", "two", "three"])
        self.assertEqual(ran(login=True, sender=ALICE), ["two", "four"])
        replace(self.server.path("smtp.ipprop.tab"), b'"127.0.0.1/32"\t"WhiteList=1"\n')
        self.assertTrue(wait_until(lambda: ran() == ["one", "four"], 10))
        self.assertIn("aex, wlex, timeo", self.server.log_text())

    def test_failures(self):
        """What can't be decided is deferred, or passes where FilterFailure says so."""
        rows = ["kill -9 $$", "kill -SEGV $$", "sleep 100", "trap '' TERM; sleep 100", "sleep 100 & sleep 100",
                "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done"]
        self.program("f", "exit 0")
        missing = os.path.join(self.bin, "missing")
        self.table("pre-data", ("!timeo=1", os.path.join(self.bin, "f"), "@@FILE"))
        self.server.start()
        for script in rows:
            with self.subTest(script=script):
                self.program("f", script)
                self.assertEqual(self.codes(ALICE)[-1], 451)
        self.program("f", "head -c 400000000 /dev/zero >\"$1\"; exit 0")
        self.assertIn(self.codes(ALICE)[-1], (250, 451))
        self.table("pre-data", (missing,))
        self.assertTrue(wait_until(lambda: self.codes(ALICE)[-1] == 451 and missing in self.server.log_text(), 10))
        self.server.set(FilterFailure="pass")
        self.assertTrue(wait_until(lambda: self.codes(ALICE)[-1] == 250, 10))
        self.assertTrue(wait_until(lambda: not glob.glob(self.server.path("hikyaku/filter/*")), 5))

    def test_output_is_logged(self):
        self.server.set(LogFiles="filters")
        self.table("pre-data", (self.program("f", "echo told; echo wrong >&2; exit 5"), "@@FROM"))
        self.server.start()
        self.assertEqual(self.codes(ALICE)[-1], 250)
        self.assertTrue(wait_until(lambda: "program ended" in self.server.log_text(), 5))
        line = next(x for x in self.server.log_text().splitlines() if "program ended" in x)
        self.assertIn("code=5", line)
        self.assertIn("told", line)
        self.assertIn("wrong", line)
        with open(glob.glob(self.server.path("logs/filters-*"))[0], encoding="utf-8") as f:
            values = [v.strip('"') for v in f.readline().rstrip("\n").split("\t")]
        self.assertEqual(values[0], "x@far.example")
        self.assertEqual(values[5], "pre-data")
        self.assertEqual(values[7:9], ["0", "5"])
        self.assertTrue(values[9].endswith("/filters/f x@far.example"))
        self.assertEqual(values[10], "told?wrong")

    def test_injection(self):
        """An address is one argument, whatever is in it."""
        out = os.path.join(self.server.scratch, "out")
        self.table("pre-data", (self.program("f", f'printf "%s\\n" "$#" "$1" >{out}'), "@@FROM"))
        self.server.start()
        for sender in ("-x@far.example", "$(touch${IFS}x)@far.example", "`id`@far.example", "a;b|c&d@far.example", "*?@far.example"):
            with self.subTest(sender=sender):
                if os.path.exists(out):
                    os.remove(out)
                if self.codes(ALICE, sender=f'"{sender[:-12]}"@far.example')[0] != 250:
                    continue
                with open(out, encoding="utf-8") as f:
                    count, value = f.read().splitlines()
                self.assertEqual(count, "1")
                self.assertTrue(value.strip('"').startswith(sender[:-12]) or value.startswith('"' + sender[:-12]), value)

    def test_many_wait(self):
        """Waiting filters hold no session thread; a program that runs at a time holds the others in line."""
        self.server.set(MaxPrograms="4")
        self.table("pre-data", ("!timeo=30", self.program("f", "sleep 0.2"),))
        self.server.start()
        results = []

        def one():
            results.append(self.codes(ALICE)[-1])
        threads = [threading.Thread(target=one) for _ in range(60)]
        for t in threads:
            t.start()
        time.sleep(0.3)
        c = smtplib.SMTP("127.0.0.1", self.server.ports["smtp"], "me.example", timeout=20)
        self.assertEqual(c.noop()[0], 250)
        c.close()
        for t in threads:
            t.join()
        self.assertEqual(results, [250] * 60)

    def test_runner_dies(self):
        """Its programs end with it; the session is told to come again, and the next one is served."""
        self.table("pre-data", ("!timeo=2", self.program("f", "sleep 1"),))
        self.server.start()
        results = []
        t = threading.Thread(target=lambda: results.append(self.codes(ALICE)[-1]))
        t.start()
        time.sleep(0.5)
        before = self.server.role_pid("runner")
        os.kill(before, 9)
        self.assertTrue(wait_until(lambda: self.server.role_pid("runner") not in (None, before), 20))
        self.assertTrue(wait_until(lambda: self.codes(ALICE)[-1] == 250, 20))
        t.join()
        self.assertEqual(results, [451])


if __name__ == "__main__":
    unittest.main()
