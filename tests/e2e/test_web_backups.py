"""Backups by the API: made, verified, restored by a process of its own, stopped, killed; each day by itself."""
import glob
import os
import signal
import unittest

from harness import DOMAIN, Server, wait_until
from test_backup import send, subjects
from test_web import Client


class Backups(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(settings={"PostMaster": f"bob@{DOMAIN}"})
        cls.dir = os.path.join(cls.server.scratch, "kept")
        cls.server.start()
        cls.client = Client(cls.server)
        cls.client.sign_in()

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def set(self, **values):
        version = self.client.api("GET", "/options")[1]["version"]
        self.assertEqual(self.client.api("PATCH", "/options", {"version": version, "values": values})[0], 200)

    def state(self):
        status, value, _ = self.client.api("GET", "/backups")
        self.assertEqual(status, 200, value)
        return value

    def order(self, path, body=None, status=204):
        got, value, _ = self.client.api("POST", path, body or {})
        self.assertEqual(got, status, value)
        return value

    def ends(self, path, body=None, state="done"):
        """Orders it; what is told at its end."""
        self.order(path, body)
        return self.wait_for(state)

    def wait_for(self, state):
        wait_until(lambda: not self.state()["busy"])
        now = self.state()
        self.assertEqual(now["work"]["state"], state, now)
        return now

    def mails(self):
        return glob.glob(os.path.join(self.server.mailroot, "domains", DOMAIN, "alice", "Maildir", "*", "*"))

    def process(self):
        """The one at work."""
        for path in glob.glob("/proc/[0-9]*/stat"):
            try:
                with open(path, encoding="utf-8", errors="replace") as f:
                    text = f.read()
            except OSError:
                continue
            name, rest = text.split("(", 1)[1].rsplit(")", 1)
            if name == "hikyaku-backup" and int(rest.split()[1]) == self.server.process.pid:
                return int(text.split()[0])
        return None

    def slow_snapshot(self):
        """One whose first mail takes long to read."""
        name = self.ends("/backups")["backups"][0]["name"]
        path = glob.glob(os.path.join(self.dir, name, "MailRoot", "domains", DOMAIN, "alice", "Maildir", "*", "*"))[0]
        os.unlink(path)
        with open(path, "wb") as f:
            f.truncate(1 << 30)
        return name

    def test_all(self):
        self.order("/backups", status=409)  # no folder yet
        self.set(BackupFolder=self.dir, BackupKeep="2")
        wait_until(lambda: self.client.api("POST", "/backups-look", {})[0] == 204)
        wait_until(lambda: not self.state()["busy"])
        for i in range(3):
            send(self.server, "alice", f"mail {i}")
        wait_until(lambda: len(self.mails()) == 3)
        for part in (self.made_and_verified, self.back, self.aside, self.not_understood, self.stopped, self.killed, self.daily):
            with self.subTest(part.__name__):
                part()

    def made_and_verified(self):
        now = self.ends("/backups")
        self.assertEqual((now["work"]["act"], now["work"]["by"], len(now["backups"])), ("make", "admin", 1))
        self.assertEqual(now["backups"][0]["files"], now["work"]["files"])
        name = now["backups"][0]["name"]
        snapshot = os.path.join(self.dir, name, "MailRoot")
        self.assertEqual(subjects(snapshot, "alice"), ["mail 0", "mail 1", "mail 2"])
        self.assertFalse(os.path.exists(os.path.join(snapshot, ".backup")))
        self.ends(f"/backups/{name}/verify")
        path = os.path.join(snapshot, "server.tab")
        with open(path, "a", encoding="utf-8") as f:
            f.write("more\n")
        now = self.ends(f"/backups/{name}/verify", state="damaged")
        self.assertEqual([n["file"] for n in now["work"]["notes"]], ["server.tab"])
        kinds = [w["kind"] for w in self.client.api("GET", "/warnings")[1]]
        self.assertIn("backup", kinds)

    def back(self):
        name = self.ends("/backups")["backups"][0]["name"]
        for path in self.mails()[:2]:
            os.unlink(path)
        now = self.ends(f"/backups/{name}/restore", {"what": f"alice@{DOMAIN}/INBOX", "place": "back"})
        self.assertEqual((now["work"]["messages"], now["work"]["present"]), (2, 1))
        self.assertEqual(subjects(self.server.mailroot, "alice"), ["mail 0", "mail 1", "mail 2"])
        for path in self.mails():
            os.unlink(path)
        now = self.ends(f"/backups/{name}/restore", {"what": "all", "place": "back"})
        self.assertEqual(now["work"]["messages"], 3)
        self.assertEqual(len(self.mails()), 3)

    def aside(self):
        name = self.state()["backups"][0]["name"]
        now = self.ends(f"/backups/{name}/restore", {"what": f"alice@{DOMAIN}/INBOX", "place": "aside"})
        folder = now["work"]["folder"]
        self.assertEqual((os.path.dirname(folder), now["aside"]), (os.path.join(self.dir, "restored"), [folder]))
        self.assertEqual(subjects(folder, "alice"), ["mail 0", "mail 1", "mail 2"])

    def not_understood(self):
        name = self.state()["backups"][0]["name"]
        for body in ({"what": "@/", "place": "back"}, {"what": "all", "place": "elsewhere"}, {"what": "all"},
                     {"what": f"alice@{DOMAIN}/../x", "place": "aside"}):
            self.order(f"/backups/{name}/restore", body, status=422)
        now = self.ends("/backups/..%2F..%2Fx/verify", state="failed")
        self.assertIn("no such backup", now["work"]["why"])
        self.ends(f"/backups/{name}/restore", {"what": "nobody.example", "place": "back"}, state="failed")

    def stopped(self):
        name = self.slow_snapshot()
        self.order(f"/backups/{name}/verify")
        self.assertEqual(self.order("/backups", status=409)["number"], 290)
        self.order("/backups-stop")
        self.wait_for("stopped")

    def killed(self):
        self.order(f"/backups/{self.state()['backups'][0]['name']}/verify")
        wait_until(lambda: self.process() is not None and self.state()["work"]["state"] == "running")
        os.kill(self.process(), signal.SIGKILL)
        self.wait_for("interrupted")

    def daily(self):
        before = {b["name"] for b in self.state()["backups"]}
        self.set(BackupTime="00:00", BackupFolder=os.path.join(self.server.mailroot, "inside"))
        wait_until(lambda: len(self.server.mailbox("bob")) == 1)
        self.assertIn("lies in the MailRoot", self.server.read("bob", self.server.mailbox("bob")[0]).decode())
        self.set(BackupFolder=self.dir)
        os.unlink(os.path.join(self.server.mailroot, "hikyaku", "backup", "daily"))
        wait_until(lambda: not {b["name"] for b in self.state()["backups"]} <= before and not self.state()["busy"])
        now = self.state()
        self.assertEqual((now["work"]["act"], now["work"]["by"], now["work"]["pruned"]), ("make", "", 1))
        self.assertEqual(len(now["backups"]), 2)


if __name__ == "__main__":
    unittest.main()
