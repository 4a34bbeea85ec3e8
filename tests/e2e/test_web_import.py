"""Many accounts at once by the API, long work, and what pages are told as it happens."""
import http.client
import json
import os

from harness import DOMAIN, wait_until
from test_web import WebTest


class Import(WebTest):
    def ask(self, client, text, mode="merge", test=True, **more):
        return client.api("POST", "/import/users", {"text": text, "mode": mode, "test": test, "domain": DOMAIN, **more})

    def finished(self, client, answer):
        job = f"/jobs/{answer['job']}"
        self.assertTrue(wait_until(lambda: client.api("GET", job)[1]["state"] == "done", 60))
        return client.api("GET", job)[1]

    def accounts(self, client):
        return {r["name"] for r in client.api("GET", "/users")[1]["rows"]}

    def two_of(self, client):
        variables = client.api("GET", f"/users/{DOMAIN}/merged")[1]["variables"]
        return variables["RealName"], variables["MaxMBSize"]

    def test_preview_changes_nothing(self):
        client = self.signed_in()
        text = ("address,password,RealName,MaxMBSize\r\n"
                "imp1,,\"Doe, \"\"J\"\"\",500\r\n"
                "alice@test.example,,Alice,\r\n"
                "bob,,,\r\n"
                "x@not.ours.example,,,\r\n"
                "a/b,,,\r\n"
                "imp1,,,\r\n"
                "imp2,short,,\r\n"
                "imp3,,,much\r\n"
                "imp4,,,,,,\r\n")
        before = self.accounts(client)
        status, answer, _ = self.ask(client, text)
        self.assertEqual(status, 200)
        self.assertEqual(answer["counts"], {"create": 2, "change": 1, "keep": 1, "remove": 0, "bad": 5})
        self.assertEqual({r["line"] for r in answer["rows"] if r["action"] == "bad"}, {5, 6, 7, 8, 9})
        self.assertEqual(self.accounts(client), before)

    def test_merge(self):
        client = self.signed_in()
        text = "domain\tname\tpassword\tRealName\tMaxMBSize\n" \
               f"{DOMAIN}\tmerged\tgiven-word\t合流 <b>\t500\n\tmerged2\t\t\"two\nlines\"\t\n\tmerged3\t\t=1+1\t9\n"
        status, answer, _ = self.ask(client, text, test=False)
        self.assertEqual(status, 202)
        job = self.finished(client, answer)
        self.assertEqual((job["kind"], job["total"], job["result"]["done"], job["result"]["failed"]), ("import", 3, 2, 0))
        rows = {r["name"]: r for r in job["result"]["rows"]}
        self.assertNotIn("merged2", rows)
        self.assertNotIn("password", rows["merged"])
        self.assertRegex(rows["merged3"]["password"], "^[a-z2-9]{16}$")
        self.assertEqual(self.two_of(client), ("合流 <b>", "500"))
        # what was made shows to who began it only
        viewer = self.signed_in("viewer")
        self.assertNotIn("result", viewer.api("GET", f"/jobs/{answer['job']}")[1])
        # again: an empty value leaves what is there
        status, answer, _ = self.ask(client, "address,password,RealName\nmerged,,New\n", test=False)
        self.finished(client, answer)
        self.assertEqual(self.two_of(client), ("New", "500"))
        self.assertEqual(client.api("DELETE", f"/jobs/{answer['job']}")[0], 204)
        self.assertEqual(client.api("GET", f"/jobs/{answer['job']}")[0], 404)
        self.assertNotIn("given-word", self.server.log_text())

    def test_replace(self):
        client = self.signed_in()
        client.api("POST", "/domains", {"domain": "replaced.example"})
        for name in ("stays", "goes"):
            client.api("POST", "/users", {"domain": "replaced.example", "name": name})
        client.api("POST", "/lists", {"domain": "replaced.example", "name": "list"})
        text = "stays@replaced.example\nnew@replaced.example\n"
        self.assertEqual(self.ask(client, text, "replace")[1]["counts"],
                         {"create": 1, "change": 0, "keep": 1, "remove": 1, "bad": 0})
        status, answer, _ = self.ask(client, text + "b/d@replaced.example\n", "replace", False)
        self.assertEqual((status, answer["counts"]["bad"]), (422, 1))
        status, answer, _ = self.ask(client, text, "replace", False)
        self.finished(client, answer)
        self.assertEqual({r["name"] for r in client.api("GET", "/users?domain=replaced.example")[1]["rows"]}, {"stays", "new"})
        self.assertEqual(client.api("GET", "/lists?domain=replaced.example")[1]["total"], 1)
        self.assertTrue(any(r["what"] == "goes@replaced.example" for r in client.api("GET", "/removed")[1]))

    def test_bad_requests(self):
        client = self.signed_in()
        for body in ({"text": "a"}, {"text": 5, "mode": "merge", "test": True}, {"text": "a", "mode": "x", "test": True},
                     {"text": "domain,nonsense\n", "mode": "merge", "test": True}):
            self.assertEqual(client.api("POST", "/import/users", body)[0], 422, body)

    def test_round_trip(self):
        client = self.signed_in()
        client.api("PATCH", f"/users/{DOMAIN}/alice", {"variables": {"RealName": 'A "quoted", name', "Address": "通り 1"}})
        for kind, separator in (("csv", ","), ("tsv", "\t")):
            with self.subTest(kind):
                status, text, fields = client.api("GET", f"/export/users?format={kind}&domain={DOMAIN}")
                self.assertEqual(status, 200)
                self.assertIn("attachment", fields["Content-Disposition"])
                text = text.decode("utf-8-sig")
                self.assertTrue(text.startswith(separator.join(("domain", "name", "RealName", "MaxMBSize"))))
                self.assertIn('"A ""quoted"", name"', text)
                counts = self.ask(client, text)[1]["counts"]
                self.assertEqual((counts["bad"], counts["create"]), (0, 0))


class Events(WebTest):
    def test_stream(self):
        client = self.signed_in()
        connection = http.client.HTTPConnection("127.0.0.1", self.server.ports["http"], timeout=30)
        connection.request("GET", "/api/v1/events", headers={"Cookie": client.cookie})
        answer = connection.getresponse()
        self.assertEqual(answer.headers["Content-Type"], "text/event-stream")

        def event(wanted):
            while True:
                name, value = next_event()
                if name == "event: " + wanted:
                    return value

        def next_event():
            lines = []
            while True:
                line = answer.readline().decode().rstrip("\n")
                if not line and lines:
                    return lines[0], json.loads(lines[1].removeprefix("data: "))
                if line and not line.startswith(":"):
                    lines.append(line)

        self.assertTrue(event("state")["control"])
        self.assertEqual(event("jobs"), [])
        client.api("POST", "/users", {"domain": DOMAIN, "name": "told"})
        self.assertEqual(event("changed"), ["mailusers.tab"])
        client.api("DELETE", "/session")
        answer.read()  # and it ends
        connection.close()


if __name__ == "__main__":
    import unittest
    unittest.main()
