"""Accounts, lists and aliases by the API."""
import os
import unittest

from harness import DOMAIN
from test_web import WebTest


class Users(WebTest):
    def test_life_of_an_account(self):
        client = self.signed_in()
        status, answer, _ = client.api("POST", "/users", {"domain": DOMAIN, "name": "carol"})
        self.assertEqual(status, 201)
        self.assertRegex(answer["password"], "^[a-z2-9]{16}$")
        self.assertEqual(client.api("POST", "/users", {"domain": DOMAIN, "name": "carol"})[0], 409)
        url = f"/users/{DOMAIN}/carol"
        self.assertEqual(client.api("PATCH", url, {"variables": {"RealName": "キャロル <b>\"x\"</b>", "MaxMBSize": "5000"}})[0], 204)
        now = client.api("GET", url)[1]
        self.assertEqual(now["variables"]["RealName"], "キャロル <b>\"x\"</b>")
        self.assertEqual(now["state"]["MailboxMessages"], "0")
        self.assertEqual(client.api("PATCH", url, {"variables": {"MaxMBSize": None}})[0], 204)
        self.assertNotIn("MaxMBSize", client.api("GET", url)[1]["variables"])
        for bad in ({"MaxMBSize": "much"}, {"NoSuch": "1"}, {"RealName": "a\tb"}, {"RealName": 5}, {}):
            self.assertEqual(client.api("PATCH", url, {"variables": bad})[0], 422, bad)
        self.assertEqual(client.api("PUT", url + "/password", {"password": "another-secret"})[1], {"password": None})
        self.assertEqual(client.api("PUT", url + "/password", {"password": "short"})[0], 422)
        self.assertEqual(client.api("DELETE", url)[0], 204)
        self.assertEqual(client.api("GET", url)[0], 404)
        removed = next(r for r in client.api("GET", "/removed")[1] if r["what"] == f"carol@{DOMAIN}")
        self.assertEqual(client.api("POST", f"/removed/{removed['id']}")[0], 204)
        self.assertEqual(client.api("GET", url)[0], 200)
        self.assertNotIn("another-secret", self.server.log_text())

    def test_search(self):
        client = self.signed_in()
        for name in ("search-one", "search-two"):
            client.api("POST", "/users", {"domain": DOMAIN, "name": name})
        self.assertEqual(client.api("GET", "/users?search=SEARCH-")[1]["total"], 2)
        self.assertEqual(client.api("GET", "/users?search=search-one@test")[1]["rows"], [{"domain": DOMAIN, "name": "search-one"}])
        self.assertEqual(len(client.api("GET", "/users?limit=1&offset=1&search=search-")[1]["rows"]), 1)
        self.assertEqual(client.api("GET", "/users?domain=none.example")[1]["total"], 0)

    def test_names(self):
        client = self.signed_in()
        for name in ("", "..", "a/b", "a b", "a\\b", "-x'\"<", "a\nb", ".hidden", "x" * 300):
            with self.subTest(name):
                self.assertIn(client.api("POST", "/users", {"domain": DOMAIN, "name": name})[0], (409, 422))
        self.assertEqual(client.api("GET", f"/users/{DOMAIN}/..%2Fbob")[0], 404)

    def test_processing(self):
        client = self.signed_in()
        url = f"/users/{DOMAIN}/bob/mailproc"
        self.assertEqual(client.api("GET", url)[1], {"lines": []})
        lines = [["mailbox"], ["redirect", "bob@elsewhere.example"]]
        self.assertEqual(client.api("PUT", url, {"lines": lines})[0], 204)
        self.assertEqual(client.api("GET", url)[1], {"lines": lines})
        with open(self.server.path("domains", DOMAIN, "bob", "mailproc.tab")) as f:
            self.assertEqual(f.read(), '"mailbox"\n"redirect"\t"bob@elsewhere.example"\n')
        for bad in ([["a\tb"]], ["mailbox"], [[]], [[1]], "x"):
            self.assertEqual(client.api("PUT", url, {"lines": bad})[0], 422, bad)
        self.assertEqual(client.api("PUT", url, {"lines": []})[0], 204)
        self.assertFalse(os.path.exists(self.server.path("domains", DOMAIN, "bob", "mailproc.tab")))

    def test_links(self):
        client = self.signed_in()
        url = f"/users/{DOMAIN}/bob/links"
        link = {"server": "pop.elsewhere.example", "remote_user": "bob@elsewhere", "password": "remote-secret", "options": "CLR"}
        self.assertEqual(client.api("POST", url, link)[0], 204)
        row = client.api("GET", url)[1][0]
        self.assertEqual((row["server"], row["remote_user"], row["options"], row["state"]),
                         ("pop.elsewhere.example", "bob@elsewhere", "CLR", "ON"))
        self.assertNotIn("password", row)
        one = url + "/pop.elsewhere.example/bob%40elsewhere"
        self.assertEqual(client.api("PUT", one, {"on": "0"})[0], 204)
        self.assertEqual(client.api("GET", url)[1][0]["state"], "OFF")
        self.assertEqual(client.api("DELETE", one)[0], 204)
        self.assertEqual(client.api("GET", url)[1], [])


class Lists(WebTest):
    def test_list(self):
        client = self.signed_in()
        self.assertEqual(client.api("POST", "/lists", {"domain": DOMAIN, "name": "news"})[0], 204)
        self.assertEqual(client.api("GET", "/lists")[1]["rows"], [{"domain": DOMAIN, "name": "news"}])
        self.assertEqual(client.api("GET", f"/users/{DOMAIN}/news")[1]["type"], "list")
        url = f"/lists/{DOMAIN}/news/members"
        self.assertEqual(client.api("POST", url, {"address": "a@elsewhere.example", "rights": "R"})[0], 204)
        self.assertEqual(client.api("POST", url, {"address": "b@elsewhere.example"})[0], 204)
        self.assertEqual(client.api("POST", url, {"address": "b@elsewhere.example"})[0], 409)
        self.assertEqual(client.api("GET", url + "?search=a@")[1],
                         {"total": 1, "rows": [{"address": "a@elsewhere.example", "rights": "R"}]})
        self.assertEqual(client.api("DELETE", url + "/a%40elsewhere.example")[0], 204)
        self.assertEqual(client.api("GET", url)[1]["total"], 1)


class Aliases(WebTest):
    def test_aliases(self):
        client = self.signed_in()
        new = {"domain": DOMAIN, "alias": "sales*", "target": "bob"}
        self.assertEqual(client.api("POST", "/aliases", new)[0], 204)
        self.assertEqual(client.api("POST", "/aliases", new)[0], 409)
        self.assertEqual(client.api("GET", "/aliases?search=sales")[1]["rows"], [new])
        self.assertEqual(client.api("DELETE", f"/aliases/{DOMAIN}/sales*")[0], 204)
        self.assertEqual(client.api("GET", "/aliases?search=sales")[1]["total"], 0)

    def test_other_kinds(self):
        client = self.signed_in()
        self.assertEqual(client.api("POST", "/alias-domains", {"domain": DOMAIN, "alias": "*.alias.example"})[0], 204)
        self.assertEqual(client.api("GET", "/alias-domains")[1]["rows"], [{"domain": DOMAIN, "alias": "*.alias.example"}])
        self.assertEqual(client.api("DELETE", "/alias-domains/*.alias.example")[0], 204)
        self.assertEqual(client.api("POST", "/external-aliases",
                                    {"address": f"bob@{DOMAIN}", "remote": "bob@elsewhere.example"})[0], 204)
        self.assertEqual(client.api("GET", "/external-aliases")[1]["rows"],
                         [{"remote_domain": "elsewhere.example", "remote_name": "bob", "domain": DOMAIN, "name": "bob"}])
        self.assertEqual(client.api("DELETE", "/external-aliases/bob%40elsewhere.example")[0], 204)


if __name__ == "__main__":
    unittest.main()
