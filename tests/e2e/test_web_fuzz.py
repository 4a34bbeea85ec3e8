"""Hostile values in every parameter and member of every route, as the API's description names them."""
import json
import random
import re
import urllib.parse

from harness import DOMAIN, replace
from test_web import Client, WebTest

VALUES = ("", "x", DOMAIN, "alice", "bob@" + DOMAIN, "..", "../..", "/etc/passwd", "a/b", "a\\b", "a\tb", "a\r\nX: y", "a\0b", "\x7f",
          "<script>alert(1)</script>", '"', '""', "'; --", "%s%n", "{x}", "${X}", "@@FILE", "*", "?", "a" * 300, "a" * 70000, "表能ソ",
          "\ud800", "\u202e", "-1", "0", "1", "99999999999999999999", "1e999", "none", "null", None, True, False, 0, -1, 2**63, 1.5, [],
          [[]], [None], ["x", 1], {}, {"x": {}}, {"op": "add"}, [{"op": "set", "line": -1}], [["mailbox"]], {"MaxMBSize": "x" * 100})
# what would end the test itself, or all others' sign-ins
LEFT_OUT = {("DELETE", "/api/v1/session"), ("DELETE", "/api/v1/sign-ins/{id}"), ("GET", "/api/v1/events"),
            ("PUT", "/api/v1/session/password"), ("PATCH", "/api/v1/options"), ("POST", "/api/v1/restart")}


class Fuzz(WebTest):
    settings = {"MaxSessionsPerAddress": "0", "SmartDNSHost": "127.0.0.1@9:udp"}

    def value(self, only_text=False):
        while True:
            value = self.random.choice(VALUES)
            if not only_text or isinstance(value, str):
                return value

    def path(self, pattern, operation):
        names = re.findall(r"\{(\w+)\}", pattern)
        good = {"domain": DOMAIN, "user": "alice", "list": "list", "path": "spammers.tab"}
        for name in names:
            text = good.get(name, "x") if self.random.random() < 0.5 else self.value(True)[:2000]
            text = urllib.parse.quote(text.encode("utf-8", "surrogatepass"), safe="")
            pattern = pattern.replace("{" + name + "}", text)
        query = [(p["name"], self.value(True)[:500].encode("utf-8", "surrogatepass"))
                 for p in operation["parameters"] if p["in"] == "query" and self.random.random() < 0.7]
        return pattern + ("?" + urllib.parse.urlencode(query) if query else "")

    def body(self, operation):
        if "requestBody" not in operation:
            return None
        if self.random.random() < 0.1:
            return self.value()
        members = operation["requestBody"]["content"]["application/json"]["schema"]["properties"]
        return {name: self.value() for name in members if self.random.random() < 0.9}

    def test_every_route(self):
        seed = random.randrange(2**32)
        self.random = random.Random(seed)
        client, roles = self.signed_in(), self.server.role_pids()
        client.api("POST", "/lists", {"domain": DOMAIN, "name": "list"})
        paths = client.api("GET", "/openapi.json")[1]["paths"]
        routes = [(m.upper(), p, o) for p, item in paths.items() for m, o in item.items() if (m.upper(), p) not in LEFT_OUT]
        self.assertGreater(len(routes), 40)
        self.keep = {t: open(self.server.path(t), "rb").read() for t in ("webadmins.tab", "server.tab")}
        for _ in range(2):
            for method, pattern, operation in routes:
                path, body = self.path(pattern, operation), self.body(operation)
                with self.subTest(seed=seed, method=method, path=path[:300], body=str(body)[:300]):
                    self.one(client, method, path, body)
        self.assertEqual(self.server.role_pids(), roles)  # none died

    def one(self, client, method, path, body):
        status, answer, fields = client.ask(method, path, body)
        self.assertNotIn(status, (500, 501), answer)
        self.assertIn(status // 100, (2, 4, 5))
        if status >= 400 and fields.get("Content-Type") == "application/json":
            self.assertIsInstance(answer["error"], str)
        self.assertNotIn(b"\r\nX: y", str(fields).encode())
        self.assertIsNone(fields.get("X"))
        for table, text in self.keep.items():
            if open(self.server.path(table), "rb").read() != text:
                replace(self.server.path(table), text)


if __name__ == "__main__":
    import unittest
    unittest.main()
