"""What is counted for each domain: exactly what happened, after a restart and killed roles too."""
import collections
import json
import os
import signal
import smtplib
import subprocess
import unittest

from harness import DOMAIN, PROGRAM, wait_until
from test_relay import send
from test_web import Client
from test_web_queue import QueueTest

SECOND = "second.example"
TEXT = "Subject: figures\r\n\r\n.hello\r\n"


class Figures(QueueTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        client = Client(cls.server)
        assert client.sign_in()[0] == 200
        assert client.api("POST", "/domains", {"domain": SECOND})[0] == 204
        assert client.api("POST", "/users", {"domain": SECOND, "name": "carol", "password": "carols-word"})[0] == 201
        assert client.api("POST", "/aliases", {"domain": SECOND, "alias": "away", "target": "x@far.example"})[0] in (200, 201, 204)
        assert client.api("POST", "/alias-domains", {"domain": SECOND, "alias": "also.example"})[0] in (200, 201, 204)

    def total(self, path):
        status, rows, _ = self.client.api("GET", path)
        self.assertEqual(status, 200, rows)
        total = collections.Counter()
        for row in rows:
            total.update(row["counts"])
        return total

    def figures(self, domain, step="hour"):
        return self.total(f"/domains/{domain}/statistics?step={step}")

    def grown(self, domain, before, **expected):
        """Its figures grew by exactly that, but for octets that aren't told."""

        def more():
            grown = self.figures(domain) - before
            return {k: v for k, v in grown.items() if k in expected or not k.startswith("octets")}

        wait_until(lambda: more() == expected)
        self.assertEqual(more(), expected)
        self.assertEqual(self.figures(domain, "day"), self.figures(domain))
        return self.figures(domain)

    def refused(self, *addresses):
        with smtplib.SMTP("127.0.0.1", self.server.ports["smtp"], "me.example", timeout=30) as c:
            c.ehlo()
            c.mail("x@far.example")
            return [c.rcpt(a)[0] for a in addresses]

    def test_exactly(self):
        first, second, all_before = self.figures(DOMAIN), self.figures(SECOND), self.total("/statistics")
        send(self.server, [f"alice@{DOMAIN}"], TEXT)
        octets = self.total("/statistics")["accepted_bytes"] - all_before["accepted_bytes"]
        first = self.grown(DOMAIN, first, accepted=1, delivered=1, octets_in=octets)
        # By the queue, to both domains, one of them under another name.
        send(self.server, [f"alice@{DOMAIN}", f"bob@{DOMAIN}", "carol@also.example"], TEXT)
        first = self.grown(DOMAIN, first, accepted=2, delivered=2)
        second = self.grown(SECOND, second, accepted=1, delivered=1)
        # Elsewhere: the sender's domain; that of the alias that leads there.
        sent = len(self.sink.messages)
        before = self.total("/statistics")["relayed_bytes"]
        send(self.server, ["yes@far.example"], TEXT)
        self.assertTrue(wait_until(lambda: len(self.sink.messages) > sent))
        octets = len(self.sink.messages[-1]["data"].replace(b"\n..", b"\n."))
        first = self.grown(DOMAIN, first, sent=1, octets_out=octets)
        self.assertEqual(self.total("/statistics")["relayed_bytes"] - before, octets)
        send(self.server, [f"away@{SECOND}"], TEXT)
        second = self.grown(SECOND, second, accepted=1, sent=1)
        send(self.server, ["grey@far.example"], TEXT)
        first = self.grown(DOMAIN, first, deferred=1)
        send(self.server, ["no@far.example"], TEXT)
        first = self.grown(DOMAIN, first, failed=1, delivered=1)  # and the report
        self.assertEqual(self.refused(f"nobody@{DOMAIN}", "x@far.example", f"x@a.{DOMAIN}", "nobody@also.example"), [550] * 4)
        self.grown(DOMAIN, first, refused=1)
        self.grown(SECOND, second, refused=1)

    def test_strangers(self):
        """No other name ever has figures."""
        for i in range(20):
            self.refused(f"x@d{i}.example", f"d{i}@e.example")
        send(self.server, ["yes@far.example", f"carol@{SECOND}"], sender=f"alice@{DOMAIN}")
        self.assertTrue(wait_until(lambda: self.figures(SECOND)["delivered"]))
        rows = {r["domain"]: r["counts"] for r in self.client.api("GET", "/statistics/domains")[1]}
        self.assertEqual(rows.keys(), {DOMAIN, SECOND})
        self.assertEqual(rows[SECOND], dict(self.figures(SECOND)))
        for path in ("/domains/far.example/statistics", "/domains/*/statistics"):
            self.assertEqual(self.client.api("GET", path)[0], 404, path)
        for query in ("step=week", "from=x", "until=-1"):
            for path in (f"/domains/{DOMAIN}/statistics", "/statistics/domains"):
                self.assertEqual(self.client.api("GET", f"{path}?{query}")[0], 422, (path, query))

    def tool(self, *words):
        out = subprocess.run([PROGRAM, "statistics", "--json", *words, "--mailroot", self.server.path()], capture_output=True, check=True)
        return json.loads(out.stdout)

    def test_tool(self):
        send(self.server, [f"carol@{SECOND}"])
        wanted = dict(self.figures(SECOND))
        self.assertEqual(self.tool("--domain", SECOND)[-1]["counts"].keys(), wanted.keys())
        for step in ("hour", "day"):
            self.assertEqual({r["domain"]: r["counts"] for r in self.tool("--domains", "--step", step)}[SECOND], wanted)
        plain = subprocess.run([PROGRAM, "statistics", "--domains", "--mailroot", self.server.path()], capture_output=True, text=True, check=True).stdout
        self.assertRegex(plain, rf"(?m)^{SECOND}\n    accepted +\d+$")
        for words, code in ((("--domain", "far.example"), 1), (("--domain", SECOND, "--domains"), 3)):
            self.assertEqual(subprocess.run([PROGRAM, "statistics", *words, "--mailroot", self.server.path()], capture_output=True).returncode, code)

    def kill(self, role):
        pid = self.server.role_pid(role)
        os.kill(pid, signal.SIGKILL)
        self.assertTrue(wait_until(lambda: self.server.role_pid(role) not in (None, pid)))

    def test_restarts(self):
        """Nothing is lost with a role, the one that samples too, and nothing counted twice."""
        before = self.figures(DOMAIN)
        for role in ("smtpd", "queue", "control"):
            send(self.server, [f"alice@{DOMAIN}", f"bob@{DOMAIN}"], TEXT)
            self.assertTrue(wait_until(lambda: self.client.api("GET", "/queue")[1]["total"] == len(self.entries())))
            self.assertTrue(wait_until(lambda: not [e for e in self.entries() if e["tries"] == 0]))
            self.kill(role)
        wait_until(lambda: self.client.api("GET", f"/domains/{DOMAIN}/statistics")[0] == 200)
        self.grown(DOMAIN, before, accepted=6, delivered=6)
        send(self.server, [f"alice@{DOMAIN}"], TEXT)
        self.server.stop()
        self.server.start()
        self.client = self.signed_in()
        after = self.grown(DOMAIN, before, accepted=7, delivered=7)
        self.server.kill()
        self.server.start()
        self.client = self.signed_in()
        self.assertEqual(self.figures(DOMAIN), after)
        send(self.server, [f"alice@{DOMAIN}"], TEXT)
        self.grown(DOMAIN, after, accepted=1, delivered=1)


if __name__ == "__main__":
    unittest.main()
