"""The history of tables: changes by pages, tools and hand, differences, undo, changes that want to be confirmed."""
import os
import subprocess
import unittest

from harness import DOMAIN, PROGRAM, replace, wait_until
from test_web import WebTest

RELAY = "smtprelay.tab"


class History(WebTest):
    def setUp(self):
        self.client = self.signed_in()

    def tool(self, *words, code=0):
        done = subprocess.run([PROGRAM, "history", *words, "--mailroot", self.server.path()], capture_output=True, text=True)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stdout

    def rows(self, **query):
        words = "&".join(f"{k}={v}" for k, v in query.items())
        status, value, _ = self.client.api("GET", "/history?" + words)
        self.assertEqual(status, 200, value)
        return value["rows"]

    def lines(self, number):
        """[(file, sign, values)]"""
        value = self.client.api("GET", f"/history/{number}")[1]
        return [(c["file"], line["sign"], line["values"]) for c in value["changes"] for h in c["hunks"] for line in h["lines"]]

    def text(self, table):
        if not os.path.exists(self.server.path(table)):
            return ""
        with open(self.server.path(table)) as f:
            return f.read()

    def change(self, table, *changes, **more):
        version = self.client.api("GET", "/tables/" + table)[1]["version"]
        body = {"version": version, "changes": list(changes), **more}
        status, value, _ = self.client.api("PATCH", "/tables/" + table, body)
        self.assertEqual(status, 200, value)
        return self.rows(file=table, limit=1)[0]

    def order(self, number, order):
        return self.client.api("POST", f"/history/{number}", {"order": order})

    def by_hand(self, table, text):
        replace(self.server.path(table), text.encode())
        old = os.stat(self.server.path(table)).st_mtime - 10  # as if it had been still for a while
        os.utime(self.server.path(table), (old, old))

    def test_pages_and_undo(self):
        row = self.change(RELAY, {"op": "add", "values": ["192.0.2.1"]}, {"op": "add", "values": ["192.0.2.2"]})
        self.assertEqual((row["by"], row["via"], row["act"], row["files"]), ("admin", "web", "cfgfileset", [RELAY]))
        self.assertEqual(self.lines(row["id"]), [(RELAY, "+", ["192.0.2.1"]), (RELAY, "+", ["192.0.2.2"])])
        other = self.change(RELAY, {"op": "add", "values": ["192.0.2.3"]})
        self.assertEqual(self.order(row["id"], "undo")[0], 204)
        self.assertNotIn("192.0.2.1", self.text(RELAY))
        self.assertIn("192.0.2.3", self.text(RELAY))
        back = self.rows(file=RELAY, limit=1)[0]
        self.assertEqual((back["act"], back["undoes"]), ("historyundo", row["id"]))
        self.assertEqual(self.client.api("GET", f"/history/{row['id']}")[1]["undone"], back["id"])
        # What was taken back can't be once more; taking back the undo brings it again.
        status, value, _ = self.order(row["id"], "undo")
        self.assertEqual((status, value["number"]), (409, 263))
        self.assertEqual(self.order(back["id"], "undo")[0], 204)
        self.assertIn("192.0.2.1", self.text(RELAY))
        self.assertEqual(self.order(other["id"], "undo")[0], 204)

    def test_lines_changed_since(self):
        row = self.change("smtpfwd.tab", {"op": "add", "values": ["a.example", "one.example"]})
        line = self.client.api("GET", "/tables/smtpfwd.tab")[1]["rows"][-1]
        later = self.change("smtpfwd.tab", {"op": "set", "line": line["line"], "old": line["values"], "values": ["a.example", "two.example"]})
        status, value, _ = self.order(row["id"], "undo")
        self.assertEqual((status, value["number"]), (409, 263))
        self.assertIn("smtpfwd.tab", value["detail"])
        self.assertEqual(self.order(later["id"], "undo")[0], 204)
        self.assertEqual(self.order(row["id"], "undo")[0], 204)
        self.assertNotIn("a.example", self.text("smtpfwd.tab"))

    def test_by_hand(self):
        self.change("spam-address.tab", {"op": "add", "values": ["one@x"]})
        self.by_hand("spam-address.tab", self.text("spam-address.tab").replace("one@x", "two@x") + '# a word\n"three@x"\n')
        row = self.rows(file="spam-address.tab", limit=1)[0]
        self.assertEqual((row["by"], row["via"]), ("", "hand"))
        self.assertEqual([(s, v) for _, s, v in self.lines(row["id"])],
                         [("-", ["one@x"]), ("+", ["two@x"]), ("+", ["# a word"]), ("+", ["three@x"])])
        # Another one, found when the server makes a change itself.
        self.by_hand("spam-address.tab", '"four@x"\n')
        self.change("spam-address.tab", {"op": "add", "values": ["five@x"]})
        two = self.rows(file="spam-address.tab", limit=2)
        self.assertEqual([r["via"] for r in two], ["web", "hand"])
        self.assertEqual(self.order(two[1]["id"], "undo")[0], 204)
        self.assertTrue(self.text("spam-address.tab").endswith('"two@x"\n# a word\n"three@x"\n"five@x"\n'))
        # A file that goes.
        os.remove(self.server.path("spam-address.tab"))
        gone = self.rows(file="spam-address.tab", limit=1)[0]
        self.assertEqual((gone["via"], {s for _, s, _ in self.lines(gone["id"])}), ("hand", {"-"}))
        self.assertEqual(self.order(gone["id"], "undo")[0], 204)
        self.assertIn("five@x", self.text("spam-address.tab"))

    def test_accounts(self):
        status, _, _ = self.client.api("POST", "/users", {"domain": DOMAIN, "name": "carol", "password": "secret-of-carol"})
        self.assertIn(status, (200, 201, 204))
        row = next(r for r in self.rows(file="mailusers.tab", limit=1) if r["act"] == "useradd")
        (_, sign, values), = self.lines(row["id"])
        self.assertEqual((sign, values[:3]), ("+", [DOMAIN, "carol", "********"]))
        status, value, _ = self.order(row["id"], "undo")
        self.assertEqual((status, value["number"]), (409, 264))
        self.assertEqual(self.client.api("PATCH", f"/users/{DOMAIN}/carol", {"variables": {"RealName": "Carol"}})[0], 200)
        row = self.rows(file=f"domains/{DOMAIN}/carol/", limit=1)[0]
        self.assertIn((f"domains/{DOMAIN}/carol/user.tab", "+", ["RealName", "Carol"]), self.lines(row["id"]))
        mode = os.stat(self.server.path("hikyaku", "history", "changes.db")).st_mode & 0o777
        self.assertEqual(mode, 0o600)

    def test_unless_confirmed(self):
        number = self.change("smtpgw.tab", {"op": "add", "values": ["b.example", "gw.example"]}, confirm_within=600)["id"]
        self.assertIn(number, [r["id"] for r in self.rows(waiting=1)])
        self.assertEqual(self.order(number, "confirm")[0], 204)
        self.assertEqual(self.order(number, "confirm")[0], 404)
        self.assertNotIn(number, [r["id"] for r in self.rows(waiting=1)])
        options = self.client.api("GET", "/options")[1]
        body = {"version": options["version"], "values": {"PostMaster": "bob@" + DOMAIN}, "confirm_within": 2}
        self.assertEqual(self.client.api("PATCH", "/options", body)[0], 200)
        row = self.rows(file="server.tab", limit=1)[0]
        # The role's death doesn't matter.
        os.kill(self.server.role_pid("control"), 9)
        wait_until(lambda: "bob@" + DOMAIN not in self.text("server.tab"), 60)
        wait_until(lambda: self.rows(file="server.tab", limit=1)[0]["undoes"] == row["id"], 60)
        self.assertEqual(self.rows(waiting=1), [])
        self.assertIn("gw.example", self.text("smtpgw.tab"))
        for bad in (-1, 86401, "600"):
            self.assertEqual(self.client.api("PATCH", "/options", {**body, "confirm_within": bad, "version": ""})[0], 422)

    def test_tool(self):
        number = str(self.change("userdef.tab", {"op": "add", "values": ["RealName", "Nobody"]})["id"])
        self.assertIn("by admin from 127.0.0.1", self.tool("--file", "userdef.tab", "--by", "admin", "--days", "1"))
        self.assertIn("+ RealName\tNobody", self.tool("show", number))
        self.tool("undo", number)
        self.assertNotIn("Nobody", self.text("userdef.tab"))
        self.tool("undo", number, code=4)
        self.tool("show", "999999", code=4)
        self.tool("forget", number, code=3)

    def test_rights(self):
        viewer = self.signed_in("viewer")
        for method, path in (("GET", "/history"), ("GET", "/history/1"), ("POST", "/history/1")):
            self.assertEqual(viewer.api(method, path, {} if method == "POST" else None)[0], 403)
        self.assertEqual(self.client.api("POST", "/admins", {"name": "other", "right": "owner"})[0], 201)
        row = self.rows(file="webadmins.tab", limit=1)[0]
        self.assertEqual(self.lines(row["id"])[0][2], ["other", "********", "owner"])
        self.assertEqual(self.order(row["id"], "undo")[1]["number"], 264)
        for path in ("/history/0", "/history/x", "/history?before=x", "/history?since=99999999999999999999"):
            self.assertEqual(self.client.api("GET", path)[0], 422)
        self.assertEqual(self.client.api("GET", "/history/99999")[0], 404)


if __name__ == "__main__":
    unittest.main()
