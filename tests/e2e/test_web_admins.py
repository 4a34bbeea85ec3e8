"""Administrators of the web: second factors, tokens, and the record of who changed what."""
import base64
import hashlib
import hmac
import json
import os
import struct
import time
from urllib.parse import parse_qs, urlparse

from harness import DOMAIN, PASSWORD, wait_until
from test_web import Client, WebTest


def totp(secret, shift=0):
    key = base64.b32decode(secret)
    mac = hmac.new(key, struct.pack(">Q", int(time.time()) // 30 + shift), hashlib.sha1).digest()
    at = mac[19] & 15
    return f"{(struct.unpack('>I', mac[at:at + 4])[0] & 0x7fffffff) % 1000000:06d}"


class Administrators(WebTest):
    def test_life_of_one(self):
        owner = self.signed_in()
        status, answer, _ = owner.api("POST", "/admins", {"name": "helper", "right": "admin"})
        self.assertEqual(status, 201)
        helper = Client(self.server)
        self.assertEqual(helper.sign_in("helper", answer["password"])[0], 200)
        self.assertEqual(helper.api("GET", "/admins")[0], 403)
        self.assertEqual(owner.api("POST", "/admins", {"name": "helper", "right": "admin"})[0], 409)
        self.assertEqual(owner.api("PATCH", "/admins/helper", {"right": "viewer"})[0], 200)
        self.assertEqual(helper.api("GET", "/session")[1]["right"], "viewer")
        self.assertEqual(owner.api("PATCH", "/admins/helper", {"password": "quite-another"})[0], 200)
        self.assertEqual(helper.api("GET", "/session")[0], 401)  # signed out
        self.assertEqual(helper.sign_in("helper", "quite-another")[0], 200)
        self.assertEqual(helper.api("PUT", "/session/password", {"password": "his-own-word"})[0], 200)
        self.assertEqual(helper.api("GET", "/session")[0], 200)  # this sign-in stays
        self.assertIn({"name": "helper", "right": "viewer", "second_factor": False, "recovery_codes": 0},
                      owner.api("GET", "/admins")[1])
        self.assertEqual(owner.api("DELETE", "/admins/helper")[0], 204)
        self.assertEqual(helper.api("GET", "/session")[0], 401)
        self.assertEqual(owner.api("DELETE", "/admins/helper")[0], 404)

    def test_the_last_owner_stays(self):
        owner = self.signed_in()
        self.assertEqual(owner.api("DELETE", "/admins/admin")[1]["error"], "last-owner")
        self.assertEqual(owner.api("PATCH", "/admins/admin", {"right": "viewer"})[1]["error"], "last-owner")

    def test_bad_names_and_values(self):
        owner = self.signed_in()
        for body in ({"name": "", "right": "admin"}, {"name": "a\tb", "right": "admin"}, {"name": 'a"b', "right": "admin"},
                     {"name": "#a", "right": "admin"}, {"name": " a", "right": "admin"}, {"name": "x" * 200, "right": "admin"},
                     {"name": "a", "right": "root"}, {"name": "a", "right": "admin", "password": "short"}, {"right": "admin"}):
            self.assertEqual(owner.api("POST", "/admins", body)[0], 422, body)
        self.assertEqual(owner.api("PATCH", "/admins/admin", {})[0], 422)

    def test_a_second_factor(self):
        owner = self.signed_in()
        password = owner.api("POST", "/admins", {"name": "careful", "right": "admin"})[1]["password"]
        client = Client(self.server)
        client.sign_in("careful", password)
        begun = client.api("POST", "/session/second-factor")[1]
        uri = urlparse(begun["uri"])
        self.assertEqual((uri.scheme, uri.netloc, parse_qs(uri.query)["secret"]), ("otpauth", "totp", [begun["secret"]]))
        self.assertEqual(Client(self.server).sign_in("careful", password)[0], 200)  # not yet
        self.assertEqual(client.api("PUT", "/session/second-factor", {"code": "000000"})[0], 422)
        codes = client.api("PUT", "/session/second-factor", {"code": totp(begun["secret"])})[1]["recovery_codes"]
        self.assertEqual(len(set(codes)), 10)
        with open(self.server.path("webadmins.tab")) as f:
            self.assertNotIn(codes[0], f.read())

        def sign_in(code=None):
            body = {"name": "careful", "password": password, **({"code": code} if code else {})}
            return Client(self.server).api("POST", "/session", body)

        self.assertEqual(sign_in()[1]["error"], "second-factor")
        code = totp(begun["secret"])
        self.assertEqual(sign_in(code)[0], 200)
        self.assertNotEqual(sign_in(code)[0], 200)  # a code counts once
        self.assertTrue(wait_until(lambda: sign_in(codes[0])[0] == 200, 30))  # the wrong one is forgiven after a while
        self.assertNotEqual(sign_in(codes[0])[0], 200)
        self.assertIn({"name": "careful", "right": "admin", "second_factor": True, "recovery_codes": 9},
                      owner.api("GET", "/admins")[1])
        self.assertEqual(client.api("DELETE", "/session/second-factor")[0], 204)
        self.assertTrue(wait_until(lambda: sign_in()[0] == 200, 60))
        self.assertEqual(owner.api("DELETE", "/admins/careful")[0], 204)


class Tokens(WebTest):
    def bearer(self, token):
        return Client(self.server, **{"Authorization": "Bearer " + token, "X-Hikyaku": None})

    def test_token(self):
        owner = self.signed_in()
        made = owner.api("POST", "/tokens", {"name": "script", "right": "admin", "areas": ["users", "domains"], "days": 1})[1]
        self.assertRegex(made["token"], "^hik_[0-9a-f]{64}$")
        with open(self.server.path("webtokens.tab")) as f:
            self.assertNotIn(made["token"], f.read())
        program = self.bearer(made["token"])
        self.assertEqual(program.api("GET", "/domains")[0], 200)
        self.assertEqual(program.api("POST", "/users", {"domain": DOMAIN, "name": "by-token"})[0], 201)
        self.assertEqual(program.api("DELETE", f"/users/{DOMAIN}/by-token")[0], 204)  # nobody to ask for a password
        self.assertEqual(program.api("GET", "/options")[1]["error"], "token")
        for method, path in (("GET", "/session"), ("GET", "/tokens"), ("POST", "/tokens"), ("GET", "/admins")):
            self.assertEqual(program.api(method, path)[0], 403, path)
        rows = [r for r in owner.api("GET", "/tokens")[1] if r["id"] == made["id"]]
        self.assertEqual([(r["name"], r["by"], r["areas"]) for r in rows], [("script", "admin", "users domains")])
        self.assertNotIn(made["token"], json.dumps(rows))
        self.assertEqual(self.signed_in("viewer").api("DELETE", "/tokens/" + made["id"])[0], 404)
        self.assertEqual(owner.api("DELETE", "/tokens/" + made["id"])[0], 204)
        self.assertEqual(program.api("GET", "/domains")[0], 401)

    def test_rights(self):
        viewer = self.signed_in("viewer")
        self.assertEqual(viewer.api("POST", "/tokens", {"name": "x", "right": "owner"})[0], 422)
        token = viewer.api("POST", "/tokens", {"name": "x", "right": "viewer"})[1]["token"]
        program = self.bearer(token)
        self.assertEqual(program.api("GET", "/options")[0], 200)
        self.assertEqual(program.api("POST", "/domains", {"domain": "t.example"})[0], 403)

    def test_wrong_tokens(self):
        for token in ("", "x", "hik_" + "0" * 64, "hik_" + "0" * 5000):
            self.assertEqual(self.bearer(token).api("GET", "/domains")[0], 401, token)
        # a cookie doesn't help a wrong token
        client = self.signed_in()
        self.assertEqual(client.api("GET", "/domains", Authorization="Bearer x")[0], 401)
        for table in ("webtokens.tab", "webadmins.tab"):
            self.assertEqual(client.api("GET", "/tables/" + table)[0], 404)


class Audit(WebTest):
    def newest(self, client, search=""):
        return client.api("GET", f"/audit?search={search}")[1]["rows"]

    def test_changes(self):
        client = self.signed_in()
        self.assertEqual(self.newest(client)[0]["act"], "sign-in")
        client.api("POST", "/users", {"domain": DOMAIN, "name": "seen", "password": "a-secret-word"})
        row = self.newest(client)[0]
        self.assertEqual((row["by"], row["from"], row["via"], row["act"], row["what"]),
                         ("admin", "127.0.0.1", "web", "useradd", [DOMAIN, "seen"]))
        change = row["changes"][0]
        self.assertEqual((change["file"], change["removed"]), ("mailusers.tab", []))
        self.assertEqual(change["added"][0][:3], [DOMAIN, "seen", "********"])
        version = client.api("GET", "/options")[1]["version"]
        client.api("PATCH", "/options", {"version": version, "values": {"MaxRecipients": "333"}})
        version = client.api("GET", "/options")[1]["version"]
        client.api("PATCH", "/options", {"version": version, "values": {"MaxRecipients": "444"}})
        row = self.newest(client)[0]
        self.assertEqual(row["what"], ["server.tab"])
        self.assertEqual(row["changes"], [{"file": "server.tab", "removed": [["MaxRecipients", "333"]],
                                           "added": [["MaxRecipients", "444"]], "more": 0}])
        client.api("PUT", f"/users/{DOMAIN}/seen/password", {"password": "another-secret"})
        self.assertEqual(self.newest(client)[0]["act"], "userpasswd")
        client.api("DELETE", f"/users/{DOMAIN}/seen")
        self.assertEqual(self.newest(client)[0]["act"], "userdel")
        Client(self.server).sign_in("nobody", "a-wrong-secret")
        self.assertEqual([r["what"] for r in self.newest(client, "sign-in-refused")], [["nobody"]])
        piece = client.api("GET", "/audit?limit=1&offset=1")[1]
        self.assertEqual((piece["rows"][0]["act"], piece["more"]), ("userdel", True))
        folder = self.server.path("logs")
        text = "".join(open(os.path.join(folder, f)).read() for f in os.listdir(folder) if f.startswith("audit-"))
        for secret in ("a-secret-word", "another-secret", "a-wrong-secret", PASSWORD, "$y$", "SCRAM"):
            self.assertNotIn(secret, text)

    def test_who_may_read_it(self):
        self.assertEqual(self.signed_in("viewer").api("GET", "/audit")[0], 403)


if __name__ == "__main__":
    import unittest
    unittest.main()
