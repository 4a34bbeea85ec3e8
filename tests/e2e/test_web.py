"""Administration by HTTP: signing in, rights, settings and tables by the API; hostile clients."""
import gzip
import http.client
import json
import os
import re
import socket
import subprocess
import unittest

from harness import DOMAIN, PASSWORD, Server, replace, wait_until


class Client:
    """A browser without pages: keeps the cookie, says that requests are its own."""

    def __init__(self, server, **fields):
        self.host, self.port = "127.0.0.1", server.ports["http"]
        self.fields = {"X-Hikyaku": "1", **fields}
        self.cookie = None

    def ask(self, method, path, body=None, **more):
        """(status, value or text, fields)"""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        fields = {**self.fields, **{k.replace("_", "-"): v for k, v in more.items()}}
        if self.cookie:
            fields["Cookie"] = self.cookie
        if body is not None:
            fields.setdefault("Content-Type", "application/json")
            body = json.dumps(body).encode()
        connection.request(method, path, body, {k: v for k, v in fields.items() if v is not None})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        for value in answer.headers.get_all("Set-Cookie") or []:
            self.cookie = value.split(";")[0]
            self.set_cookie = value
        if answer.headers.get("Content-Type", "").startswith("application/json") and text:
            text = json.loads(gzip.decompress(text) if answer.headers.get("Content-Encoding") == "gzip" else text)
        return answer.status, text, answer.headers

    def api(self, method, path, body=None, **more):
        return self.ask(method, "/api/v1" + path, body, **more)

    def sign_in(self, name="admin", password=PASSWORD):
        return self.api("POST", "/session", {"name": name, "password": password})


class WebTest(unittest.TestCase):
    settings = {}
    words = ()

    @classmethod
    def setUpClass(cls):
        cls.server = Server(settings=cls.settings, words=cls.words)
        cls.server.append("webadmins.tab", ("viewer", cls.stored(), "viewer"))
        cls.server.start()

    @classmethod
    def stored(cls):
        """The administrator's stored password, for others with the same."""
        with open(cls.server.path("webadmins.tab")) as f:
            return f.readline().split("\t")[1].strip('"')

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def signed_in(self, name="admin"):
        client = Client(self.server)
        self.assertEqual(client.sign_in(name)[0], 200)
        return client


class SignIn(WebTest):
    def test_cookie(self):
        client = self.signed_in()
        self.assertRegex(client.set_cookie, r"^hikyaku=[0-9a-f]{64}; Path=/; HttpOnly; SameSite=Strict$")
        self.assertEqual(client.api("GET", "/session")[1]["name"], "admin")
        self.assertEqual(client.api("DELETE", "/session")[0], 204)
        self.assertEqual(client.api("GET", "/session")[0], 401)

    def test_wrong(self):
        client = Client(self.server)
        for name, password in (("admin", "no"), ("nobody", PASSWORD), ("admin", ""), ("a" * 500, "x")):
            self.assertIn(client.sign_in(name, password)[0], (401, 422, 429))
        self.assertIsNone(client.cookie)

    def test_fixation(self):
        client = Client(self.server)
        client.cookie = "hikyaku=" + "0" * 64
        self.assertEqual(client.api("GET", "/session")[0], 401)
        self.assertEqual(client.sign_in()[0], 200)
        self.assertNotEqual(client.cookie, "hikyaku=" + "0" * 64)

    def test_list_and_end(self):
        one, two = self.signed_in(), self.signed_in()
        mine = [s for s in one.api("GET", "/sign-ins")[1] if s["own"]]
        self.assertEqual(len(mine), 1)
        self.assertEqual(one.api("DELETE", "/sign-ins/others")[0], 204)
        self.assertEqual(two.api("GET", "/session")[0], 401)
        self.assertEqual(one.api("DELETE", f"/sign-ins/{mine[0]['id']}")[0], 204)
        self.assertEqual(one.api("GET", "/session")[0], 401)

    def test_others_are_not_a_viewers(self):
        admin, viewer = self.signed_in(), self.signed_in("viewer")
        own = next(s["id"] for s in admin.api("GET", "/sign-ins")[1] if s["own"])
        self.assertEqual({s["name"] for s in viewer.api("GET", "/sign-ins")[1]}, {"viewer"})
        self.assertEqual(viewer.api("DELETE", f"/sign-ins/{own}")[0], 404)
        self.assertEqual(admin.api("GET", "/session")[0], 200)

    def test_a_removed_administrator_is_out(self):
        path = self.server.path("webadmins.tab")
        self.server.append("webadmins.tab", ("gone", self.stored(), "admin"))
        client = self.signed_in("gone")
        with open(path) as f:
            kept = [line for line in f if not line.startswith('"gone"')]
        replace(path, "".join(kept).encode())
        self.assertEqual(client.api("GET", "/session")[0], 401)

    def test_password_stays_out_of_logs(self):
        Client(self.server).sign_in("admin", "a-secret-that-is-wrong")
        self.assertNotIn("a-secret-that-is-wrong", self.server.log_text())
        self.assertNotIn(PASSWORD, self.server.log_text())


class Idle(WebTest):
    words = ("-Ct", "2")

    def test_kept_link_that_ended(self):
        """The control role ends the web role's idle session; the next request gets another."""
        client = self.signed_in()
        self.assertEqual(client.api("GET", "/domains")[0], 200)
        self.assertTrue(wait_until(lambda: re.search(r"session=ctrl-\S+ reason=timeout", self.server.log_text()), 60))
        self.assertEqual(client.api("GET", "/domains")[0], 200)


class Throttle(WebTest):
    def test_guessing(self):
        client = Client(self.server)
        statuses = [client.sign_in("admin", f"guess{n}")[0] for n in range(4)]
        self.assertEqual(statuses[0], 401)
        self.assertEqual(statuses[-1], 429)


class Rights(WebTest):
    """Generated from the route table, by way of the API's own description."""

    def routes(self):
        for path, item in Client(self.server).api("GET", "/openapi.json")[1]["paths"].items():
            for method, operation in item.items():
                yield method.upper(), re.sub(r"\{\w+\}", "x", path), operation

    def test_nobody_gets_in(self):
        client = Client(self.server)
        count = 0
        for method, path, operation in self.routes():
            if operation["x-right"] == "anybody":
                continue
            with self.subTest(method=method, path=path):
                self.assertEqual(client.ask(method, path, {} if "requestBody" in operation else None)[0], 401)
                count += 1
        self.assertGreater(count, 8)

    def test_a_viewer_changes_nothing(self):
        client = self.signed_in("viewer")
        for method, path, operation in self.routes():
            if operation["x-right"] in ("admin", "owner"):
                with self.subTest(method=method, path=path):
                    self.assertEqual(client.ask(method, path, {} if "requestBody" in operation else None)[0], 403)

    def test_forged_requests(self):
        client = self.signed_in()
        for more in ({"X_Hikyaku": None}, {"Origin": "http://evil.example"}, {"Sec_Fetch_Site": "cross-site"},
                     {"Origin": "null"}):
            with self.subTest(more):
                status, answer, _ = client.api("POST", "/domains", {"domain": "forged.example"}, **more)
                self.assertEqual((status, answer["error"]), (403, "forged"))
        self.assertNotIn("forged.example", open(self.server.path("domains.tab")).read())
        own = {"Origin": f"http://127.0.0.1:{self.server.ports['http']}"}
        self.assertEqual(client.api("POST", "/domains", {"domain": "own.example"}, **own)[0], 204)

    def test_sign_in_from_another_site(self):
        status, answer, _ = Client(self.server, **{"Origin": "http://evil.example"}).sign_in()
        self.assertEqual((status, answer["error"]), (403, "forged"))


class Settings(WebTest):
    def test_change(self):
        client = self.signed_in()
        now = client.api("GET", "/options")[1]
        row = next(o for o in now["options"] if o["name"] == "MaxRecipients")
        self.assertEqual((row["value"], row["fresh"], row["range"]), (None, "100", [100, 100000]))
        status, answer, _ = client.api("PATCH", "/options",
                                       {"version": now["version"], "values": {"MaxRecipients": "200"}})
        self.assertEqual(status, 200)
        with open(self.server.path("server.tab")) as f:
            self.assertIn('"MaxRecipients"\t"200"\n', f.read())
        again = client.api("GET", "/options")[1]
        self.assertEqual(again["version"], answer["version"])
        self.assertEqual(client.api("PATCH", "/options", {"version": again["version"],
                                                         "values": {"MaxRecipients": None}})[0], 200)
        with open(self.server.path("server.tab")) as f:
            self.assertNotIn("MaxRecipients", f.read())

    def test_two_administrators(self):
        one, two = self.signed_in(), self.signed_in()
        version = one.api("GET", "/options")[1]["version"]
        self.assertEqual(two.api("PATCH", "/options", {"version": version, "values": {"LogLevel": "debug"}})[0], 200)
        status, answer, _ = one.api("PATCH", "/options", {"version": version, "values": {"MaxRecipients": "300"}})
        self.assertEqual((status, answer["error"]), (412, "changed"))

    def test_bad_values(self):
        client = self.signed_in()
        version = client.api("GET", "/options")[1]["version"]
        before = open(self.server.path("server.tab"), "rb").read()
        for name, value in (("MaxRecipients", "many"), ("MaxRecipients", "1"), ("NoSuch", "1"), ("RootDomain", "a\tb"),
                            ("RootDomain", "a\nb"), ("RootDomain", "a\x00b"), ("MaxRecipients", 5)):
            with self.subTest(name=name, value=value):
                self.assertEqual(client.api("PATCH", "/options", {"version": version, "values": {name: value}})[0] // 100, 4)
        self.assertEqual(open(self.server.path("server.tab"), "rb").read(), before)


class Tables(WebTest):
    def rows(self, client, table):
        return client.api("GET", f"/tables/{table}")[1]

    def change(self, client, table, version, *changes):
        return client.api("PATCH", f"/tables/{table}", {"version": version, "changes": list(changes)})

    def test_octets_that_stay(self):
        """CRLF, comments, Shift_JIS, a last line without an end: what isn't changed stays."""
        path = self.server.path("smtpfwd.tab")
        text = ('# 表の説明\r\n"a.example"\t"gw1.example"\r\n\r\n"b.example"\t"表能ソ"\r\n'
                '"c.example"\t"gw3.example"').encode("cp932")
        replace(path, text)
        client = self.signed_in()
        now = self.rows(client, "smtpfwd.tab")
        self.assertEqual([r["values"][0] for r in now["rows"]], ["a.example", "b.example", "c.example"])
        self.assertEqual(now["rows"][1]["values"][1], "表能ソ")
        status, answer, _ = self.change(
            client, "smtpfwd.tab", now["version"],
            {"op": "set", "line": 2, "old": ["a.example", "gw1.example"], "values": ["a.example", "gw2.example"]},
            {"op": "set", "line": 4, "old": now["rows"][1]["values"], "values": ["bb.example", "表能ソ"]},
            {"op": "add", "values": ["d.example", "日本.example"]},
            {"op": "remove", "line": 5, "old": ["c.example", "gw3.example"]})
        self.assertEqual(status, 200, answer)
        want = ('# 表の説明\r\n"a.example"\t"gw2.example"\r\n\r\n"bb.example"\t"表能ソ"\r\n'
                '"d.example"\t"日本.example"\r\n').encode("cp932")
        self.assertEqual(open(path, "rb").read(), want)

    def test_order(self):
        replace(self.server.path("smtpgw.tab"), b'"a"\t"1"\n# c\n"b"\t"2"\n"c"\t"3"\n')
        client = self.signed_in()
        version = self.rows(client, "smtpgw.tab")["version"]
        self.assertEqual(self.change(client, "smtpgw.tab", version,
                                     {"op": "move", "line": 4, "old": ["c", "3"], "before": 1},
                                     {"op": "move", "line": 1, "old": ["a", "1"], "before": 0})[0], 200)
        self.assertEqual(open(self.server.path("smtpgw.tab"), "rb").read(), b'"c"\t"3"\n# c\n"b"\t"2"\n"a"\t"1"\n')

    def test_changed_meanwhile(self):
        client = self.signed_in()
        version = self.rows(client, "spammers.tab")["version"]
        self.server.append("spammers.tab", ("10.1.0.0", "255.255.0.0"))
        status, answer, _ = self.change(client, "spammers.tab", version, {"op": "add", "values": ["10.2.0.0", "255.255.0.0"]})
        self.assertEqual((status, answer["error"]), (412, "changed"))
        self.assertNotIn("10.2.0.0", open(self.server.path("spammers.tab")).read())

    def test_hostile_values(self):
        client = self.signed_in()
        version = self.rows(client, "smtpfwd.tab")["version"]
        for value in ("a\tb", "a\r\nb", "a\x00b", "\x1b[2J", 5, None, ["x"]):
            with self.subTest(value):
                self.assertIn(self.change(client, "smtpfwd.tab", version, {"op": "add", "values": ["x.example", value]})[0],
                              (400, 422))
        for value in ('<script>alert(1)</script>', '"quoted"', "a\\b", "' OR 1=1 --", "表能ソ", "../../etc/passwd"):
            with self.subTest(value):
                status, answer, _ = self.change(client, "smtpfwd.tab", version, {"op": "add", "values": ["x.example", value]})
                self.assertEqual(status, 200, answer)
                version = answer["version"]
                self.assertEqual(self.rows(client, "smtpfwd.tab")["rows"][-1]["values"][1], value)

    def test_secrets_are_not_shown(self):
        replace(self.server.path("smtpauth.tab"), b'"robot"\t"plain-secret"\t"MR"\n')
        client = self.signed_in()
        now = self.rows(client, "smtpauth.tab")
        self.assertNotIn("plain-secret", json.dumps(now))
        row = now["rows"][0]
        self.assertEqual(self.change(client, "smtpauth.tab", now["version"],
                                     {"op": "set", "line": 1, "old": row["values"],
                                      "values": ["robot", row["values"][1], "M"]})[0], 200)
        self.assertEqual(open(self.server.path("smtpauth.tab"), "rb").read(), b'"robot"\t"plain-secret"\t"M"\n')

    def test_paths(self):
        client = self.signed_in()
        for path in ("webadmins.tab", "../server.tab", "..%2Fserver.tab", "%2Fetc%2Fpasswd", "server.key", "domains/../server.tab",
                     "hikyaku/marker", "a%00b", "domains/x%2F..%2Fy/user.tab"):
            with self.subTest(path):
                self.assertIn(client.api("GET", "/tables/" + path)[0], (400, 404))


class Domains(WebTest):
    def test_add_and_remove(self):
        client = self.signed_in()
        self.assertEqual(client.api("POST", "/domains", {"domain": "Second.example"})[0], 204)
        self.assertIn({"domain": "second.example"}, client.api("GET", "/domains")[1])
        self.assertEqual(client.api("POST", "/domains", {"domain": "second.example"})[0], 409)
        for bad in ("", "..", "a/b", "a b", "-x", "x" * 300):
            with self.subTest(bad):
                self.assertIn(client.api("POST", "/domains", {"domain": bad})[0], (409, 422))
        self.assertEqual(client.api("DELETE", "/domains/second.example")[0], 204)
        self.assertEqual(client.api("DELETE", "/domains/second.example")[0], 404)


class Hostile(WebTest):
    settings = {"MaxSessionsPerAddress": "0"}

    def raw(self, data, wait=10):
        with socket.create_connection(("127.0.0.1", self.server.ports["http"]), wait) as s:
            s.settimeout(wait)
            s.sendall(data)
            got = b""
            try:
                while True:
                    piece = s.recv(65536)
                    if not piece:
                        return got
                    got += piece
            except TimeoutError:
                return got

    def test_smuggling(self):
        for head in (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"Content-Length: 5\r\nContent-Length: 6\r\n",
                     b"Content-Length: +5\r\n", b"Transfer-Encoding: chunked, identity\r\n", b"Content-Length: 5 \x0b\r\n"):
            with self.subTest(head):
                got = self.raw(b"POST /api/v1/session HTTP/1.1\r\nHost: x\r\n" + head + b"\r\nhello")
                self.assertRegex(got, rb"^HTTP/1\.1 (400|501) ")
                self.assertEqual(got.count(b"HTTP/1.1 "), 1)

    def test_huge_body(self):
        got = self.raw(b"POST /api/v1/session HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n")
        self.assertTrue(got.startswith(b"HTTP/1.1 413 "))

    def test_huge_head(self):
        self.assertTrue(self.raw(b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 414 "))
        many = b"".join(b"X-%d: %s\r\n" % (n, b"v" * 1000) for n in range(50))
        self.assertTrue(self.raw(b"GET / HTTP/1.1\r\nHost: x\r\n" + many + b"\r\n").startswith(b"HTTP/1.1 431 "))

    def test_header_injection(self):
        client = Client(self.server)
        status, text, fields = client.ask("GET", "/%0d%0aSet-Cookie:%20x=1")
        self.assertNotIn("x=1", str(fields))

    def test_what_browsers_are_told(self):
        _, _, fields = Client(self.server).ask("GET", "/")
        self.assertIn("frame-ancestors 'none'", fields["Content-Security-Policy"])
        self.assertNotIn("unsafe", fields["Content-Security-Policy"])
        self.assertEqual(fields["X-Content-Type-Options"], "nosniff")
        self.assertEqual(Client(self.server).ask("GET", "/", If_None_Match=fields["ETag"])[0], 304)

    def test_idle_clients_don_t_disturb(self):
        held = [socket.create_connection(("127.0.0.1", self.server.ports["http"])) for _ in range(300)]
        for s in held[::2]:
            s.sendall(b"GET / HTTP/1.1\r\nHost")
        self.assertTrue(wait_until(lambda: Client(self.server).ask("GET", "/health")[0] == 200))
        for s in held:
            s.close()

    def test_not_json(self):
        client = self.signed_in()
        for body, kind, status in ((b"{", "application/json", 400), (b"[1", "application/json", 400),
                                   (b'{"a":1,"a":2}', "application/json", 400), (b"name=x", "application/x-www-form-urlencoded", 415)):
            connection = http.client.HTTPConnection("127.0.0.1", self.server.ports["http"], timeout=30)
            connection.request("POST", "/api/v1/domains", body,
                               {"Cookie": client.cookie, "X-Hikyaku": "1", "Content-Type": kind})
            self.assertEqual(connection.getresponse().status, status)
            connection.close()


class Access(WebTest):
    def test_ipmap(self):
        self.server.append("http.ipmap.tab", ("127.0.0.0", "255.0.0.0", "DENY", "9"))
        self.assertTrue(wait_until(lambda: Client(self.server).ask("GET", "/health")[0] == 403))

    def test_health_and_metrics(self):
        replace(self.server.path("http.ipmap.tab"), b"")
        self.assertTrue(wait_until(lambda: Client(self.server).ask("GET", "/health")[0] == 200))
        status, text, _ = Client(self.server).ask("GET", "/metrics")
        self.assertEqual(status, 200)
        self.assertIn(b"hikyaku_up 1", text)


class Tls(WebTest):
    settings = {"HeloDomain": "mail.test.example"}

    def make(self, *words):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                        os.path.join(self.server.scratch, "k"), "-out", self.server.path("server.cert"), *words],
                       check=True, capture_output=True)

    def test_certificate(self):
        client = self.signed_in()
        self.make("-subj", "/CN=mail.test.example", "-days", "100", "-addext", "subjectAltName=DNS:mail.test.example,DNS:*.x.example")
        now = client.api("GET", "/tls")[1]["certificate"]
        self.assertEqual((now["subject"], now["issuer"], now["names"], now["self_signed"], now["chain"], now["troubles"]),
                         ("CN=mail.test.example", "CN=mail.test.example", ["mail.test.example", "*.x.example"], True, 0,
                          ["self-signed"]))
        self.assertEqual(round((now["ends"] - now["begins"]) / 86400), 100)
        self.make("-subj", "/CN=<b>表\n", "-utf8", "-days", "1", "-addext", "subjectAltName=DNS:other.example")
        now = client.api("GET", "/tls")[1]["certificate"]
        self.assertEqual((now["names"], now["troubles"]), (["other.example"], ["ends-soon", "self-signed", "other-name"]))
        replace(self.server.path("server.cert"), b"nothing")
        self.assertIsNone(client.api("GET", "/tls")[1]["certificate"])
        os.unlink(self.server.path("server.cert"))
        self.assertIsNone(client.api("GET", "/tls")[1]["certificate"])


if __name__ == "__main__":
    unittest.main()
