"""The control role dies while tables are saved by the API: each is as it was, or as it shall be."""
import os
import random
import re
import signal
import threading

from harness import wait_until
from test_web import WebTest


class Crash(WebTest):
    def add(self, client, name):
        """Adds a row as a page does; True: the server said that it is stored."""
        status, now, _ = client.api("GET", "/tables/smtpfwd.tab")
        if status != 200:
            return False
        change = {"op": "add", "values": [name, "gw.example"]}
        return client.api("PATCH", "/tables/smtpfwd.tab", {"version": now["version"], "changes": [change]})[0] == 200

    def test_control_is_killed(self):
        client = self.signed_in()
        stored = []
        for n in range(3):
            names = [f"d{n}-{i}.example" for i in range(20)]

            def work(names=names):
                stored.extend(name for name in names if self.add(client, name))

            thread = threading.Thread(target=work)
            thread.start()
            thread.join(random.random() * 0.2)
            pid = self.server.role_pid("control")
            if pid:
                os.kill(pid, signal.SIGKILL)
            thread.join()
            self.assertTrue(wait_until(lambda n=n: self.add(client, f"after{n}.example"), 60))
            stored.append(f"after{n}.example")
        with open(self.server.path("smtpfwd.tab")) as f:
            lines = f.read().splitlines()
        for line in lines:
            self.assertRegex(line, r'^(#.*)?$|^"[\w.-]+"\t"gw.example"$')
        there = [re.match('"(.*?)"', line)[1] for line in lines if line.startswith('"')]
        self.assertEqual(len(there), len(set(there)))
        self.assertLessEqual(set(stored), set(there))
        self.assertEqual([f for f in os.listdir(self.server.mailroot) if "smtpfwd.tab.tmp" in f], [])


if __name__ == "__main__":
    import unittest
    unittest.main()
