"""Accounts, lists and aliases by the API."""
import os
import unittest

from harness import DOMAIN, replace
from test_web import WebTest


class Users(WebTest):
    def test_life_of_an_account(self):
        client = self.signed_in()
        status, answer, _ = client.api("POST", "/users", {"domain": DOMAIN, "name": "carol"})
        self.assertEqual(status, 201)
        self.assertRegex(answer["password"], "^[a-z2-9]{16}$")
        self.assertEqual(client.api("POST", "/users", {"domain": DOMAIN, "name": "carol"})[0], 409)
        url = f"/users/{DOMAIN}/carol"
        self.assertEqual(client.api("PATCH", url, {"variables": {"RealName": "キャロル <b>\"x\"</b>", "MaxMBSize": "5000"}})[0], 200)
        now = client.api("GET", url)[1]
        self.assertEqual(now["variables"]["RealName"], "キャロル <b>\"x\"</b>")
        self.assertEqual(now["state"]["MailboxMessages"], "0")
        self.assertEqual(client.api("PATCH", url, {"variables": {"MaxMBSize": None}})[0], 200)
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
        self.assertEqual(client.api("GET", "/users?search=search-one@test")[1]["rows"][0]["name"], "search-one")
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
        self.assertEqual(client.api("GET", url)[1], {"version": "none", "lines": []})
        lines = [["mailbox"], ["redirect", "bob@elsewhere.example"]]
        self.assertEqual(client.api("PUT", url, {"lines": lines})[0], 200)
        self.assertEqual(client.api("GET", url)[1]["lines"], lines)
        with open(self.server.path("domains", DOMAIN, "bob", "mailproc.tab")) as f:
            self.assertEqual(f.read(), '"mailbox"\n"redirect"\t"bob@elsewhere.example"\n')
        for bad in ([["a\tb"]], ["mailbox"], [[]], [[1]], "x"):
            self.assertEqual(client.api("PUT", url, {"lines": bad})[0], 422, bad)
        self.assertEqual(client.api("PUT", url, {"version": "none", "lines": []})[0], 412)
        self.assertEqual(client.api("PUT", url, {"lines": []})[0], 200)
        self.assertFalse(os.path.exists(self.server.path("domains", DOMAIN, "bob", "mailproc.tab")))

    def test_forwarding(self):
        client = self.signed_in()
        url = f"/users/{DOMAIN}/alice/forwarding"
        path = self.server.path("domains", DOMAIN, "alice", "mailproc.tab")
        now = client.api("GET", url)[1]
        self.assertEqual(now, {"version": "none", "keep": True, "addresses": [], "as_account": False, "others": []})
        form = {"keep": False, "addresses": ["a@elsewhere.example", "elsewhere.example"], "as_account": False}
        self.assertEqual(client.api("PUT", url, {**form, "version": now["version"]})[0], 200)
        with open(path, "rb") as f:
            self.assertEqual(f.read(), b'"redirect"\t"a@elsewhere.example"\t"elsewhere.example"\n')
        self.assertEqual(client.api("PUT", url, {**form, "version": now["version"]})[0], 412)
        # what a person wrote in between stays, with its line ends
        replace(path, b'# mine\r\n"external"\t"0"\t"5"\t"/bin/true"\r\n"redirect"\t"x@elsewhere.example"\r\n'
                      b'"redirect"\t"y@elsewhere.example"\r\n')
        now = client.api("GET", url)[1]
        self.assertEqual((now["keep"], now["addresses"], now["others"]),
                         (False, ["x@elsewhere.example", "y@elsewhere.example"], [["external", "0", "5", "/bin/true"]]))
        form = {"keep": True, "addresses": ["z@elsewhere.example"], "as_account": True}
        self.assertEqual(client.api("PUT", url, {**form, "version": now["version"]})[0], 200)
        with open(path, "rb") as f:
            self.assertEqual(f.read(), b'# mine\r\n"external"\t"0"\t"5"\t"/bin/true"\r\n'
                                       b'"lredirect"\t"z@elsewhere.example"\r\n"mailbox"\r\n')
        for bad in ({"keep": "yes", "addresses": []}, {"keep": True, "addresses": ["no address"]},
                    {"keep": True, "addresses": ["a@b\r\nc"]}, {"keep": True}, {"keep": True, "addresses": ["a@x.example"] * 100}):
            self.assertEqual(client.api("PUT", url, bad)[0], 422, bad)
        os.unlink(path)
        self.assertEqual(client.api("PUT", url, {"keep": False, "addresses": []})[0], 422)
        self.assertEqual(client.api("PUT", url, form)[0], 200)
        self.assertEqual(client.api("PUT", url, {"keep": True, "addresses": []})[0], 200)
        self.assertFalse(os.path.exists(path))

    def test_variables(self):
        client = self.signed_in()
        rows = {r["name"]: r for r in client.api("GET", "/user-variables")[1]}
        self.assertEqual((rows["ClosedML"]["user"], rows["ClosedML"]["list"]), (False, True))
        new = {"domain": DOMAIN, "name": "dora", "variables": {"RealName": "Dora", "MaxMBSize": "77", "SmtpPerms": "MR"}}
        for bad in ({"NoSuch": "1"}, {"SmtpPerms": "MX"}, {"MaxMBSize": "-1"}, "x"):
            self.assertEqual(client.api("POST", "/users", {**new, "variables": bad})[0], 422, bad)
        self.assertEqual(client.api("GET", f"/users/{DOMAIN}/dora")[0], 404)
        self.assertEqual(client.api("POST", "/users", new)[0], 201)
        row = client.api("GET", "/users?usage=1&search=dora")[1]["rows"][0]
        self.assertEqual(row, {"domain": DOMAIN, "name": "dora", "real_name": "Dora", "receive": True, "pop": True,
                               "max_kb": 77, "octets": 0, "messages": 0, "last_login": 0})

    def test_two_administrators(self):
        one, two = self.signed_in(), self.signed_in()
        url = f"/users/{DOMAIN}/bob"
        version = one.api("GET", url)[1]["version"]
        self.assertEqual(two.api("PATCH", url, {"version": version, "variables": {"RealName": "Two"}})[0], 200)
        self.assertEqual(one.api("PATCH", url, {"version": version, "variables": {"RealName": "One"}})[0], 412)
        self.assertEqual(one.api("GET", url)[1]["variables"]["RealName"], "Two")

    def test_shift_jis(self):
        path = self.server.path("domains", DOMAIN, "bob", "user.tab")
        replace(path, '"RealName"\t"表能ソ"\r\n"MaxMBSize"\t"1000"\r\n'.encode("cp932"))
        client = self.signed_in()
        url = f"/users/{DOMAIN}/bob"
        self.assertEqual(client.api("GET", url)[1]["variables"]["RealName"], "表能ソ")
        self.assertEqual(client.api("PATCH", url, {"variables": {"Address": "能登"}})[0], 200)
        with open(path, "rb") as f:
            self.assertEqual(f.read(), '"RealName"\t"表能ソ"\r\n"MaxMBSize"\t"1000"\r\n"Address"\t"能登"\r\n'.encode("cp932"))
        self.assertEqual(client.api("PATCH", url, {"variables": {"Address": "\U0001f600"}})[0], 422)

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
        self.assertEqual(client.api("GET", "/lists")[1]["rows"],
                         [{"domain": DOMAIN, "name": "news", "real_name": "??", "receive": True}])
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

    def test_aliases_that_run_commands(self):
        client = self.signed_in()
        for path, of in ((f"cmdaliases/{DOMAIN}/robot.tab", "cmdaliases/*/*.tab"),
                         ("custdomains/custom.example.tab", "custdomains/*.tab")):
            with self.subTest(path):
                url = "/tables/" + path
                self.assertEqual(client.api("GET", url)[1]["total"], 0)
                change = {"op": "add", "values": ["redirect", f"bob@{DOMAIN}"]}
                status, answer, _ = client.api("PATCH", url, {"version": "none", "changes": [change]})
                self.assertEqual(status, 200, answer)
                self.assertEqual(client.api("GET", f"/table-files?of={of}")[1], [path])
                with open(self.server.path(path)) as f:
                    self.assertEqual(f.read(), f'"redirect"\t"bob@{DOMAIN}"\n')
                self.assertEqual(client.api("DELETE", url)[0], 204)
                self.assertEqual(client.api("DELETE", url)[0], 404)
                self.assertFalse(os.path.exists(self.server.path(path)))
        self.assertEqual(client.api("DELETE", "/tables/domains.tab")[0], 422)
        self.assertEqual(client.api("PATCH", "/tables/cmdaliases/not.ours.example/x.tab",
                                    {"version": "none", "changes": [{"op": "add", "values": ["mailbox"]}]})[0], 500)
        self.assertEqual(client.api("GET", "/table-files?of=domains/*/*/user.tab")[0], 404)

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
