"""The queue in the browser's API: what waits and why, orders about it, frozen mail, reading a message."""
import unittest

from harness import DOMAIN, wait_until
from sink import Sink
from test_relay import FAST, send
from test_web import WebTest

REPLIES = {"grey": "451 4.7.1 greylisted, come back", "no": "550 5.1.1 no such person"}


def answer(_, line):
    return next((reply for word, reply in REPLIES.items() if b"<" + word.encode() in line), "250 2.1.5 ok")


class QueueTest(WebTest):
    """A server whose mail goes to a sink; RemoveSpoolErrors 0 keeps what failed."""

    @classmethod
    def setUpClass(cls):
        cls.sink = Sink({"RCPT": answer})
        cls.settings = {**FAST, "RetryFirst": "3600", "RetryLongest": "3600", "RemoveSpoolErrors": "0",
                        "DefaultSMTPGateways": f"127.0.0.1:{cls.sink.port}"}
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.sink.close()

    def setUp(self):
        self.client = self.signed_in()

    def entries(self, **query):
        words = "&".join(f"{k}={v}" for k, v in query.items())
        status, value, _ = self.client.api("GET", "/queue?" + words)
        self.assertEqual(status, 200, value)
        return value["rows"]

    def deferred(self, domain):
        """The id of a message that waits for that domain, after its first try."""
        send(self.server, [f"grey@{domain}"], f"Subject: for {domain}\r\n\r\nThe body.\r\n")
        found = wait_until(lambda: [e for e in self.entries(domain=domain) if e["tries"] > 0])
        self.assertTrue(found, self.server.log_text())
        return found[0]["id"]

    def job(self, body):
        status, value, _ = self.client.api("POST", "/queue", body)
        self.assertEqual(status, 202, value)
        done = wait_until(lambda: self.client.api("GET", f"/jobs/{value['job']}")[1].get("result"))
        self.assertTrue(done)
        return done

    def audit(self, act):
        return [r for r in self.client.api("GET", f"/audit?search={act}")[1]["rows"] if r["act"] == act]


class Queue(QueueTest):
    def test_where_and_why(self):
        ident = self.deferred("where.example")
        row = next(r for r in self.client.api("GET", "/queue/destinations")[1]["rows"] if r["domain"] == "where.example")
        self.assertEqual((row["entries"], row["recipients"], row["held"]), (1, 1, 0))
        self.assertIn("4.7.1", row["reasons"][0]["text"])
        entry = next(e for e in self.entries(search="greylisted", domain="where.example"))
        self.assertEqual((entry["id"], entry["from"], entry["auth"], entry["state"], entry["client"]),
                         (ident, f"alice@{DOMAIN}", f"alice@{DOMAIN}", "waiting", "127.0.0.1"))
        self.assertEqual(entry["to"][0]["address"], "grey@where.example")
        whole = self.client.api("GET", f"/queue/{ident}")[1]
        self.assertEqual([(r["address"], r["state"]) for r in whole["recipients"]], [("grey@where.example", "waiting")])
        self.assertIn("greylisted", " ".join(whole["history"]))
        self.assertRegex(whole["client"], r"^127\.0\.0\.1:\d+$")

    def test_filters(self):
        ident = self.deferred("filter.example")
        for query, meant in (({"to": "GREY@filter.example"}, True), ({"to": "who@filter.example"}, False),
                             ({"from": f"alice@{DOMAIN}", "domain": "filter.example"}, True),
                             ({"auth": "nobody"}, False), ({"client": "127.0.0.1", "search": ident}, True),
                             ({"client": "127.0.0.2"}, False), ({"search": "no%20such%20text"}, False),
                             ({"state": "held", "search": ident}, False), ({"state": "waiting", "search": ident}, True)):
            with self.subTest(query):
                self.assertEqual(ident in [e["id"] for e in self.entries(limit=1000, **query)], meant)
        self.assertEqual(self.client.api("GET", "/queue?state=odd")[0], 422)

    def test_pieces(self):
        for n in range(3):
            send(self.server, [f"grey@p{n}.pieces.example"])
        self.assertTrue(wait_until(lambda: len(self.entries(search="pieces.example")) == 3))
        rows = [self.entries(search="pieces.example", limit=1, offset=n) for n in range(4)]
        self.assertEqual([len(r) for r in rows], [1, 1, 1, 0])
        self.assertEqual(len({r[0]["id"] for r in rows[:3]}), 3)

    def test_hold_release_reroute(self):
        ident = self.deferred("orders.example")
        order = lambda **body: self.client.api("POST", f"/queue/{ident}", body)[0]
        state = lambda: self.client.api("GET", f"/queue/{ident}")[1]
        self.assertEqual(order(order="hold"), 204)
        self.assertTrue(wait_until(lambda: state()["state"] == "held"))
        self.assertIn(ident, [e["id"] for e in self.entries(state="held")])
        self.assertEqual(order(order="release"), 204)
        self.assertTrue(wait_until(lambda: state()["state"] == "waiting"))
        with Sink() as other:
            self.assertEqual(order(order="reroute", hosts=f"127.0.0.1:{other.port}"), 204)
            self.assertEqual(order(order="try"), 204)
            self.assertTrue(wait_until(lambda: other.messages), self.server.log_text())
        self.assertTrue(wait_until(lambda: self.client.api("GET", f"/queue/{ident}")[0] == 404))
        self.assertEqual(order(order="hold"), 404)
        self.assertIn(ident, [r["what"][1] for r in self.audit("queueorder")])

    def test_wrong_orders(self):
        ident = self.deferred("wrong.example")
        for body in ({"order": "delete"}, {"order": "freeze"}, {}):
            with self.subTest(body):
                self.assertEqual(self.client.api("POST", f"/queue/{ident}", body)[0], 422)
        for body in ({"order": "hold"}, {"order": "hold", "ids": ["../../server.tab"]}, {"order": "hold", "ids": [7]},
                     {"order": "odd", "ids": [ident]}, {"order": "hold", "ids": [ident], "filter": {}},
                     {"order": "hold", "filter": {"state": "odd"}}):
            with self.subTest(body):
                self.assertEqual(self.client.api("POST", "/queue", body)[0], 422)
        for path in ("..%2f..%2fserver.tab", "0" * 13, "nothing", "00000000000000000"):
            with self.subTest(path):
                self.assertEqual(self.client.api("GET", f"/queue/{path}")[0], 404)
                self.assertEqual(self.client.api("DELETE", f"/queue/{path}")[0], 404)
                self.assertEqual(self.client.api("POST", f"/queue/{path}/message", {"reason": "x"})[0], 404)

    def test_many(self):
        for n in range(4):
            send(self.server, [f"grey@m{n}.many.example"])
        self.assertTrue(wait_until(lambda: len(self.entries(search="many.example")) == 4))
        self.assertEqual(self.job({"order": "hold", "filter": {"search": "many.example"}}), {"done": 4, "failed": 0})
        held = wait_until(lambda: len(self.entries(search="many.example", state="held")) == 4 and
                          self.entries(search="many.example", state="held"))
        self.assertTrue(held)
        self.job({"order": "release", "ids": [held[0]["id"]]})
        self.assertTrue(wait_until(lambda: len(self.entries(search="many.example", state="held")) == 3))
        self.job({"order": "delete", "filter": {"search": "many.example", "state": "held"}})
        self.assertTrue(wait_until(lambda: [e["id"] for e in self.entries(search="many.example")] == [held[0]["id"]]))

    def test_frozen(self):
        send(self.server, ["no@frozen.example"])
        frozen = lambda: self.entries(state="frozen", domain="frozen.example")
        self.assertTrue(wait_until(frozen), self.server.log_text())
        ident = frozen()[0]["id"]
        self.assertNotIn(ident, [e["id"] for e in self.entries(limit=1000)])
        whole = self.client.api("GET", f"/queue/{ident}")[1]
        self.assertEqual(whole["state"], "frozen")
        self.assertEqual(self.client.api("POST", f"/queue/{ident}", {"order": "hold"})[0], 422)
        REPLIES["no"] = "451 4.2.0 later"
        self.assertEqual(self.client.api("POST", f"/queue/{ident}", {"order": "try"})[0], 204)
        self.assertTrue(wait_until(lambda: self.client.api("GET", f"/queue/{ident}")[1]["state"] == "waiting"))
        REPLIES["no"] = "550 5.1.1 no such person"
        send(self.server, ["no@frozen2.example"])
        gone = wait_until(lambda: self.entries(state="frozen", domain="frozen2.example"))[0]["id"]
        self.assertEqual(self.client.api("DELETE", f"/queue/{gone}")[0], 204)
        self.assertEqual(self.client.api("GET", f"/queue/{gone}")[0], 404)

    def test_reading_a_message(self):
        ident = self.deferred("read.example")
        self.assertEqual(self.client.api("POST", f"/queue/{ident}/message", {})[0], 422)
        self.assertEqual(self.audit("read-message"), [])
        status, text, fields = self.client.api("POST", f"/queue/{ident}/message", {"reason": "asked by its sender"})
        self.assertEqual((status, fields["Content-Type"]), (200, "message/rfc822"))
        with open(self.server.path("queue", ident[11:13], ident), "rb") as f:
            self.assertEqual(f.read().split(b"\n\n", 1)[1], text)
        self.assertIn(b"The body.", text)
        self.assertEqual(self.audit("read-message")[0]["what"], [f"{ident}: asked by its sender"])

    def test_what_a_viewer_may(self):
        ident = self.deferred("viewer.example")
        viewer = self.signed_in("viewer")
        self.assertEqual(viewer.api("GET", f"/queue/{ident}")[0], 200)
        for method, path, body in (("POST", f"/queue/{ident}", {"order": "hold"}), ("DELETE", f"/queue/{ident}", None),
                                   ("POST", "/queue", {"order": "hold", "filter": {}}),
                                   ("POST", f"/queue/{ident}/message", {"reason": "curious"})):
            with self.subTest(method=method, path=path):
                self.assertEqual(viewer.api(method, path, body)[0], 403)


if __name__ == "__main__":
    unittest.main()
