"""What should be looked at, all together."""
import collections
import datetime
import json
import os
import subprocess
import time
import unittest

from harness import DOMAIN, PROGRAM, wait_until
from test_relay import send
from test_web_queue import QueueTest


class Warnings(QueueTest):
    def warnings(self):
        status, value, _ = self.client.api("GET", "/warnings")
        self.assertEqual(status, 200, value)
        found = {}
        for w in value:
            found.setdefault(w["kind"], []).append(w)
        return found

    def log(self, kind, days_ago, size):
        day = datetime.date.today() - datetime.timedelta(days=days_ago)
        os.makedirs(self.server.path("logs"), exist_ok=True)
        with open(self.server.path("logs", f"{kind}-{day:%Y%m%d}0000"), "wb") as f:
            f.truncate(size)

    def test_logs_that_grow(self):
        mb = 1 << 20
        for days in range(1, 11):
            self.log("grows", days, mb)
            self.log("steady", days, mb)
            self.log("small", days, 10)
        self.log("grows", 0, 5 * mb)
        self.log("steady", 0, 4 * mb)
        self.log("small", 0, 1000)
        self.log("fresh", 0, 9 * mb)
        self.assertEqual([(w["about"], w["n"], w["of"]) for w in self.warnings()["log"]], [("grows", 5 * mb, mb)])

    def test_queue_and_limits(self):
        ident = self.deferred("held.example")
        self.assertNotIn("kept", self.warnings())
        self.client.api("POST", f"/queue/{ident}", {"order": "hold"})
        self.assertTrue(wait_until(lambda: self.warnings().get("kept")))
        send(self.server, ["no@frozen.example"])
        self.assertTrue(wait_until(lambda: self.warnings().get("frozen")))
        self.assertNotIn("old", self.warnings())
        self.client.api("POST", "/limits", {"account": f"bob@{DOMAIN}"})
        self.assertEqual([(w["about"], w["level"]) for w in self.warnings()["stopped"]], [(f"bob@{DOMAIN}", "bad")])
        self.client.api("DELETE", f"/limits/bob@{DOMAIN}")
        self.assertNotIn("stopped", self.warnings())

    def test_mailboxes(self):
        for user, limit in (("alice", "1"), ("bob", "100000")):
            self.client.api("PATCH", f"/users/{DOMAIN}/{user}", {"variables": {"MaxMBSize": limit}})
        full = os.path.join(os.path.dirname(self.server.path("domains", DOMAIN, "alice", "Maildir", "new")), "new", "1.filled.x")
        with open(full, "wb") as f:
            f.write(b"Subject: x\n\n" + b"x" * 5000)
        status, value, _ = self.client.api("POST", "/warnings/mailboxes", {})
        self.assertEqual(status, 202, value)
        found = wait_until(lambda: self.client.api("GET", f"/jobs/{value['job']}")[1].get("result"))
        self.assertEqual([(w["kind"], w["about"], w["of"]) for w in found], [("mailbox-full", f"alice@{DOMAIN}", 1024)])

    def counts(self, step, *tool):
        if tool:
            rows = json.loads(subprocess.run([PROGRAM, "statistics", "--json", "--step", step, "--mailroot", self.server.path()],
                                             capture_output=True, check=True).stdout)
        else:
            status, rows, _ = self.client.api("GET", f"/statistics?step={step}")
            self.assertEqual(status, 200, rows)
        total = collections.Counter()
        for row in rows:
            total.update(row["counts"])
        return total

    def test_figures(self):
        before = self.counts("hour")
        send(self.server, [f"alice@{DOMAIN}"])
        after = self.counts("hour")
        self.assertEqual(after["accepted_rcpts"] - before["accepted_rcpts"], 1)
        self.assertGreater(after["accepted_bytes"], before["accepted_bytes"])
        send(self.server, ["yes@far.example"])
        self.assertTrue(wait_until(lambda: self.counts("hour")["relayed"] > before["relayed"]))
        after = self.counts("hour")
        self.assertEqual(self.counts("day")["accepted_rcpts"], after["accepted_rcpts"])
        self.assertEqual(self.counts("day", "tool")["accepted_rcpts"], after["accepted_rcpts"])
        self.assertEqual(self.client.api("GET", "/statistics?step=week")[0], 422)
        later = int(time.time()) + 7200
        self.assertEqual(self.client.api("GET", f"/statistics?from={later}&until={later + 1}")[1], [])
        self.server.stop()
        self.server.start()
        self.assertEqual(self.counts("hour", "tool")["accepted_rcpts"], after["accepted_rcpts"])
        send(self.server, [f"alice@{DOMAIN}"])
        self.assertEqual(self.counts("hour", "tool")["accepted_rcpts"], after["accepted_rcpts"] + 1)


if __name__ == "__main__":
    unittest.main()
