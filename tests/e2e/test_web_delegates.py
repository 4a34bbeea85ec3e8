"""Administrators of some domains: what they reach, their limits, when they may come."""
import concurrent.futures
import re
import socket
import threading
import time
from urllib.parse import quote

from harness import DOMAIN, PASSWORD
from test_relay import send
from test_web import Client, WebTest

OWN, OTHER = "own.example", "other.example"
VALUES = {"domains": OWN, "max-users": "4", "max-lists": "1", "max-aliases": "2", "max-members": "2", "max-mailbox-kb": "5000",
          "person": "Hanako", "memo": "not for her", "support-email": "help@test.example"}


class Delegates(WebTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server.stop()
        port = cls.server.ports["http"]
        cls.server.set(**{"Listen-http": f"127.0.0.1:{port}, [::1]:{port}"})
        cls.server.start()
        owner = cls.signed_in_as("admin")
        for domain in (OWN, OTHER):
            assert owner.api("POST", "/domains", {"domain": domain})[0] == 204
            for name in ("ann", "ben"):
                assert owner.api("POST", "/users", {"domain": domain, "name": name, "password": PASSWORD})[0] == 201
            owner.api("POST", "/aliases", {"domain": domain, "alias": "info", "target": "ann"})
            owner.api("POST", "/lists", {"domain": domain, "name": "club"})
            send(cls.server, [f"ann@{domain}"])  # it has figures
        cls.owner = owner

    @classmethod
    def signed_in_as(cls, name, password=PASSWORD):
        client = Client(cls.server)
        assert client.sign_in(name, password)[0] == 200, name
        return client

    made = 0

    def delegate(self, **more):
        Delegates.made += 1
        name = f"deputy{Delegates.made}"
        values = {**VALUES, **{k.replace("_", "-"): v for k, v in more.items()}}
        status, answer, _ = self.owner.api("POST", "/delegates", {"name": name, "password": "deputys-word", "values": values})
        self.assertEqual(status, 201, answer)
        return name, self.signed_in_as(name, "deputys-word")

    def test_every_route(self):
        """No route that isn't meant for them, none with another's domain, and no list tells of one."""
        _, client = self.delegate()
        counts = dict.fromkeys(("own", "path", "body", "list", "none"), 0)
        for pattern, item in client.api("GET", "/openapi.json")[1]["paths"].items():
            for method, operation in item.items():
                kind, method = operation["x-domain"], method.upper()
                counts[kind] += 1
                path = re.sub(r"\{\w+\}", "ann", pattern.replace("{domain}", OTHER))
                body = {"domain": OTHER, "name": "x", "alias": "x", "target": "ann"} if "requestBody" in operation else None
                with self.subTest(method=method, path=path):
                    if kind == "list":
                        status, answer, _ = client.ask(method, path)
                        self.assertEqual(status, 200)
                        self.assertIn(OWN, str(answer))
                        self.assertNotIn(OTHER, str(answer))
                        self.assertNotIn(DOMAIN, str(answer))
                        self.assertNotIn(OTHER, str(client.ask(method, path + f"?domain={OTHER}&search=ann@{OTHER}")[1]))
                    elif kind != "own":
                        status, answer, _ = client.ask(method, path, body)
                        self.assertEqual((status, answer["error"]), (403, "right"))
        self.assertTrue(all(n > 2 for n in counts.values()), counts)
        self.assertNotIn('"x"', open(self.server.path("mailusers.tab")).read())

    def test_their_own(self):
        name, client = self.delegate(forwarding="1")
        self.assertEqual(client.api("GET", "/session")[1]["right"], "domain")
        self.assertEqual(client.api("GET", f"/users/{OWN}/ann")[0], 200)
        self.assertEqual(client.api("PATCH", f"/users/{OWN}/ann", {"variables": {"RealName": "Ann"}})[0], 200)
        self.assertEqual(client.api("PUT", f"/users/{OWN}/ann/password", {})[0], 200)
        self.assertEqual(client.api("PUT", f"/users/{OWN}/ann/forwarding", {"keep": True, "addresses": ["x@far.example"]})[0], 200)
        self.assertEqual(client.api("PUT", f"/users/{OWN}/ann/forwarding", {"keep": True, "addresses": []})[0], 200)
        for path, lines in ((f"/users/{OWN}/ann/lines/refuse", ["*@rude.example"]), (f"/users/{OWN}/club/lines/refuse", []),
                            (f"/users/{OWN}/club/lines/footer", ["a", "", "日本"])):
            self.assertEqual(client.api("PUT", path, {"lines": lines})[0], 200, path)
            self.assertEqual(client.api("GET", path)[1]["lines"], lines)
        for path, lines, status in ((f"/users/{OWN}/ann/lines/footer", ["a"], 404), (f"/users/{OWN}/ann/lines/user", ["a"], 404),
                                    (f"/users/{OWN}/ann/lines/refuse", [""], 422), (f"/users/{OWN}/club/lines/footer", ["a\tb"], 422),
                                    (f"/users/{OWN}/ann/lines/refuse", "x", 422)):
            self.assertEqual(client.api("PUT", path, {"lines": lines})[0], status, path)
        self.assertEqual(client.api("PUT", "/session/password", {"password": "deputys-other"})[0], 200)
        self.assertEqual({s["name"] for s in client.api("GET", "/sign-ins")[1]}, {name})
        rows = client.api("GET", "/audit")[1]["rows"]
        self.assertEqual({r["by"] for r in rows}, {name})
        self.assertEqual(rows, self.owner.api("GET", "/audit?by=" + name)[1]["rows"])
        mine = client.api("GET", "/delegation")[1]
        self.assertEqual((mine["values"]["support-email"], mine["counts"]["lists"]), ("help@test.example", 1))
        self.assertNotIn("memo", mine["values"])

    def test_values(self):
        _, client = self.delegate()
        user = f"/users/{OWN}/ben"
        for variables, status in (({"MaxMBSize": "4000"}, 200), ({"MaxMBSize": "5001"}, 403), ({"MaxMBSize": "0"}, 403),
                                  ({"MaxMBSize": None}, 403), ({"SmtpPerms": "MRZ"}, 403), ({"MaxMessageSize": "0"}, 403)):
            self.assertEqual(client.api("PATCH", user, {"variables": variables})[0], status, variables)
        names = {v["name"] for v in client.api("GET", "/user-variables")[1]}
        self.assertTrue("MaxMBSize" in names and "SmtpPerms" not in names)
        for addresses in (["x@far.example"], [f"ann@{OTHER}"], [OTHER]):  # no forwarding; into another's domain
            body = {"keep": True, "addresses": addresses}
            self.assertEqual(client.api("PUT", user + "/forwarding", body)[0], 403, addresses)
        for target in ("x@far.example", f"ann@{OTHER}"):
            self.assertEqual(client.api("POST", "/aliases", {"domain": OWN, "alias": "t", "target": target})[0], 403, target)
        link = {"server": "far.example", "remote_user": "x", "password": "y", "options": "CLR"}
        self.assertEqual(client.api("POST", user + "/links", link)[0], 403)
        for path in (f"{quote('../' + OTHER, safe='')}/ann", f"{quote(OWN + '/../' + OTHER, safe='')}/ann", f"{OWN}/{quote('../' + OTHER + '/ann', safe='')}"):
            self.assertIn(client.api("GET", "/users/" + path)[0], (403, 404), path)
        for domain in ("*", "*.example", "own.exampl?", ""):
            self.assertEqual(client.api("POST", "/aliases", {"domain": domain, "alias": "t", "target": "ann"})[0], 403, domain)

    def test_limits(self):
        """Requests at the same time don't get past a limit together."""
        _, client = self.delegate()
        answers = []

        def add(i):
            answers.append(client.api("POST", "/users", {"domain": OWN, "name": f"new{i}"})[0])

        threads = [threading.Thread(target=add, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(answers), [201, 201] + [409] * 6)
        made = [r for r in client.api("GET", "/users")[1]["rows"] if r["name"].startswith("new")]
        self.assertEqual([r["max_kb"] for r in made], [5000, 5000])
        for r in made:
            self.assertEqual(client.api("DELETE", f"/users/{OWN}/{r['name']}")[0], 204)
        self.assertEqual(client.api("POST", "/lists", {"domain": OWN, "name": "second"})[0], 409)
        self.assertEqual([client.api("POST", "/aliases", {"domain": OWN, "alias": f"a{i}", "target": "ann"})[0] for i in range(2)],
                         [204, 409])
        self.assertEqual([client.api("POST", f"/lists/{OWN}/club/members", {"address": f"m{i}@far.example"})[0] for i in range(3)],
                         [204, 204, 409])
        self.assertEqual(client.api("GET", "/delegation")[1]["counts"], {"users": 2, "lists": 1, "aliases": 2})

    def test_tokens(self):
        _, client = self.delegate()
        self.assertEqual(client.api("POST", "/tokens", {"name": "x", "right": "owner"})[0], 422)
        token = client.api("POST", "/tokens", {"name": "x", "right": "admin"})[1]["token"]
        program = Client(self.server, **{"Authorization": "Bearer " + token, "X-Hikyaku": None})
        self.assertEqual(program.api("GET", f"/users/{OWN}/ann")[0], 200)
        for path in (f"/users/{OTHER}/ann", "/options", "/queue"):
            self.assertEqual(program.api("GET", path)[0], 403, path)
        self.assertEqual(program.ask("GET", "/metrics")[0], 403)
        self.assertNotIn(OTHER, str(program.api("GET", "/users")[1]))

    def values(self, name, **more):
        values = {**VALUES, **{k.replace("_", "-"): v for k, v in more.items()}}
        self.assertEqual(self.owner.api("PUT", "/delegates/" + name, {"values": values})[0], 204, values)

    def may_sign_in(self, name, client=None):
        status, answer, _ = (client or Client(self.server)).sign_in(name, "deputys-word")
        return status == 200 or answer["error"]

    def test_hours(self):
        name, client = self.delegate()

        def window(first, last):
            now = time.localtime().tm_hour * 60 + time.localtime().tm_min
            return "-".join(f"{(now + m) % 1440 // 60:02}:{(now + m) % 60:02}" for m in (first, last))

        for first, last, may in ((120, 240, "not-now"), (-120, 120, True), (-120, -60, "not-now"), (-700, 700, True), (120, -120, "not-now")):
            self.values(name, hours=window(first, last))
            self.assertEqual(self.may_sign_in(name), may, window(first, last))
            self.assertEqual(client.api("GET", "/session")[0], 200 if may is True else 401)  # the one from before, too
        self.values(name, hours=window(-120, 120))
        token = client.api("POST", "/tokens", {"name": "x", "right": "admin"})[1]["token"]
        program = Client(self.server, **{"Authorization": "Bearer " + token, "X-Hikyaku": None})
        self.assertEqual(program.api("GET", "/users")[0], 200)
        self.values(name, hours=window(120, 240))
        self.assertEqual(program.api("GET", "/users")[0], 401)

    def test_longest_sign_in(self):
        name, client = self.delegate(sign_in_minutes="600")
        self.assertEqual(client.api("GET", "/session")[0], 200)
        self.values(name, sign_in_minutes="0")  # over as soon as it began
        self.assertEqual(client.api("GET", "/users")[0], 401)
        fresh = Client(self.server)
        self.assertIs(self.may_sign_in(name, fresh), True)
        self.assertEqual(fresh.api("GET", "/users")[0], 401)
        self.values(name, sign_in_minutes="600")
        fresh = Client(self.server)
        self.assertIs(self.may_sign_in(name, fresh), True)
        self.assertEqual(fresh.api("GET", "/users")[0], 200)

    def test_addresses(self):
        """Networks of both kinds; one that is all of a kind is everywhere."""
        name, _ = self.delegate()
        for networks, v4, v6 in (("127.0.0.1", True, False), ("127.0.0.2/31, ::1", False, True), ("127.0.0.0/31", True, False),
                                 ("::1/128, 127.0.0.0/8", True, True), ("2001:db8::/32, 192.0.2.0/24", False, False), ("::/0", True, True),
                                 ("fe80::/10", False, False), ("0.0.0.0/0", True, True)):
            self.values(name, networks=networks)
            for host, may in (("127.0.0.1", v4), ("::1", v6)):
                client = Client(self.server)
                client.host = host
                with self.subTest(networks=networks, host=host):
                    self.assertEqual(self.may_sign_in(name, client), may or "not-here")
                    self.assertEqual(client.api("GET", "/users")[0], 200 if may else 401)

    def test_edges(self):
        """Each limit where it begins: the last one goes, one more doesn't, and a place that is given back is free."""
        _, client = self.delegate(max_users="3", max_lists="2", max_aliases="2", max_members="1", max_mailbox_kb="100")
        club = f"/lists/{OWN}/club/members"
        for path, body, gone in (("/users", {"name": "edge"}, "/users/{domain}/edge"), ("/lists", {"name": "edgelist"}, "/users/{domain}/edgelist"),
                                 ("/aliases", {"alias": "edge", "target": "ann"}, "/aliases/{domain}/edge"),
                                 (club, {"address": "edge@far.example"}, club + "/edge@far.example")):
            with self.subTest(path=path):
                gone = gone.format(domain=OWN)
                more = {k: v.replace("edge", "more") if k in ("name", "alias", "address") else v for k, v in body.items()}
                self.assertIn(client.api("POST", path, {"domain": OWN, **body})[0], (201, 204))
                status, answer, _ = client.api("POST", path, {"domain": OWN, **more})
                self.assertEqual((status, answer.get("number")), (409, 271), answer)
                self.assertEqual(client.api("DELETE", gone)[0], 204)
                self.assertIn(client.api("POST", path, {"domain": OWN, **more})[0], (201, 204))
                self.assertEqual(client.api("DELETE", gone.replace("edge", "more"))[0], 204)
        user = f"/users/{OWN}/ben"
        for kb, status in (("100", 200), ("101", 403), ("1", 200), ("0", 403)):
            self.assertEqual(client.api("PATCH", user, {"variables": {"MaxMBSize": kb}})[0], status, kb)
        self.assertEqual(client.api("POST", "/domains", {"domain": "new.example"})[0], 403)  # domains are the owner's
        self.assertEqual(client.api("POST", "/import/users", {"text": f"x@{OWN},a-password", "mode": "merge", "test": False})[0], 403)

    def test_none_at_all(self):
        _, client = self.delegate(max_users="0", max_lists="0", max_aliases="0", max_members="0")
        for path, body in (("/users", {"name": "zero"}), ("/lists", {"name": "zero"}), ("/aliases", {"alias": "zero", "target": "ann"}),
                           (f"/lists/{OWN}/club/members", {"address": "zero@far.example"})):
            self.assertEqual(client.api("POST", path, {"domain": OWN, **body})[0], 409, path)

    def test_last_place(self):
        """Two at the last free place, again and again, of each kind: exactly one gets it."""
        _, client = self.delegate(max_users="3", max_aliases="2", max_members="1")
        for path, member, more, gone in (("/users", "name", {}, "/users/{}/{}"), ("/aliases", "alias", {"target": "ann"}, "/aliases/{}/{}"),
                                         (f"/lists/{OWN}/club/members", "address", {}, "/lists/{}/club/members/{}")):
            for turn in range(5):
                names = [f"r{turn}{i}" + ("@far.example" if member == "address" else "") for i in range(2)]
                with concurrent.futures.ThreadPoolExecutor(2) as both:
                    answers = list(both.map(lambda n: client.api("POST", path, {"domain": OWN, member: n, **more})[0], names))
                won = [n for n, status in zip(names, answers) if status in (201, 204)]
                self.assertEqual((len(won), answers.count(409)), (1, 1), (path, answers))
                self.assertEqual(client.api("DELETE", gone.format(OWN, won[0]))[0], 204)

    def test_history(self):
        """He sees what he did; not what others did, in his domains or elsewhere."""
        name, client = self.delegate()
        self.owner.api("PATCH", f"/users/{OTHER}/ann", {"variables": {"RealName": "Other Ann"}})
        self.assertEqual(client.api("PATCH", f"/users/{OWN}/ann", {"variables": {"RealName": "Own Ann"}})[0], 200)
        text = str(client.api("GET", f"/audit?by=admin&search={OTHER}")[1]) + str(client.api("GET", "/audit")[1])
        self.assertIn("Own Ann", text)
        self.assertNotIn("Other Ann", text)
        self.assertNotIn(OTHER, text)
        for path in ("/history", "/history/1", "/history?file=domains"):
            self.assertEqual(client.api("GET", path)[0], 403, path)
        self.assertEqual(client.api("POST", "/history/1", {"order": "undo"})[0], 403)
        told = {d["name"]: d for d in self.owner.api("GET", "/delegates")[1]}[name]
        self.assertGreaterEqual(told["last_sign_in"], 1)

    def test_figures(self):
        _, client = self.delegate()
        self.assertTrue(client.api("GET", f"/domains/{OWN}/statistics")[1])
        self.assertEqual([r["domain"] for r in client.api("GET", "/statistics/domains")[1]], [OWN])
        for path in (f"/domains/{OTHER}/statistics", f"/domains/{DOMAIN}/statistics", "/domains/*/statistics", "/statistics"):
            self.assertEqual(client.api("GET", path)[0], 403, path)

    def test_stopped_in_mid_session(self):
        name, client = self.delegate()
        token = client.api("POST", "/tokens", {"name": "x", "right": "admin"})[1]["token"]
        program = Client(self.server, **{"Authorization": "Bearer " + token, "X-Hikyaku": None})
        self.assertEqual((client.api("GET", "/users")[0], program.api("GET", "/users")[0]), (200, 200))
        self.values(name, stopped="1")
        self.assertEqual((client.api("GET", "/users")[0], program.api("GET", "/users")[0]), (401, 401))
        self.assertEqual(client.api("POST", "/users", {"domain": OWN, "name": "late"})[0], 401)
        self.assertEqual(self.owner.api("GET", f"/users/{OWN}/late")[0], 404)
        self.values(name)
        self.assertIs(self.may_sign_in(name), True)

    def test_when_and_where(self):
        name, client = self.delegate()
        body = {"name": name, "password": "deputys-word"}
        for values, error in (({"stopped": "1"}, "stopped"), ({"networks": "192.0.2.0/24"}, "not-here"),
                              ({"networks": "nonsense"}, None), ({"hours": "25:00-26:00"}, None), ({"hours": "9-5"}, None),
                              ({"domains": "unknown.example"}, None), ({"max-users": "-1"}, None), ({"colour": "red"}, None)):
            status = self.owner.api("PUT", "/delegates/" + name, {"values": {**VALUES, **values}})[0]
            self.assertEqual(status, 204 if error else 422, values)
            if error:
                self.assertEqual(client.api("GET", "/session")[0], 401)  # at once
                self.assertEqual(Client(self.server).api("POST", "/session", body)[1]["error"], error)
        self.assertEqual(self.owner.api("PUT", "/delegates/" + name, {"values": {"networks": "127.0.0.0/8", "hours": "00:00-24:00"}})[0], 204)
        self.assertEqual(client.api("GET", "/domains")[1], [])  # nothing is his any more
        self.assertEqual(client.api("GET", f"/users/{OWN}/ann")[0], 403)
        self.assertEqual(self.owner.api("PUT", "/delegates/admin", {"values": VALUES})[0], 404)
        self.assertEqual(self.owner.api("DELETE", "/admins/" + name)[0], 204)
        self.assertEqual(client.api("GET", "/session")[0], 401)


class Control(WebTest):
    def test_commands(self):
        """The control role refuses by itself what the web role would ask for an administrator of some domains."""
        self.server.append("webadmins.tab", ("deputy", self.stored(), "domain"))
        self.server.append("webdelegates.tab", ("deputy", "domains", DOMAIN))
        control = socket.socket(socket.AF_UNIX)
        control.settimeout(60)
        control.connect(self.server.path("hikyaku", "control.sock"))
        lines = control.makefile("rw", newline="")
        lines.readline()

        def say(*words):
            lines.write("\t".join(f'"{w}"' for w in words) + "\r\n")
            lines.flush()
            return lines.readline()[:6]

        self.assertEqual(say("as", "deputy", "127.0.0.1"), "+00000")
        for words in (("domainadd", "x.example"), ("useradd", "x.example", "a", PASSWORD, "U"), ("custdomset", DOMAIN),
                      ("uservarsset", DOMAIN, "alice", "SmtpPerms", "MRZ"), ("usersetmproc", DOMAIN, "alice"), ("restart",),
                      ("cfgfileget", "mailusers.tab"), ("filelist", "logs", "*"), ("etrn", "*"), ("removedlist",)):
            self.assertEqual(say(*words), "-00270", words)
        with open(self.server.path("webadmins.tab")) as f:
            admins = f.read()
        mailproc = f"domains/{DOMAIN}/alice/mailproc.tab"
        for path, text in (("server.tab", '"a"\t"b"'), ("webdelegates.tab", '"deputy"\t"domains"\t"x.example"'),
                           ("webadmins.tab", admins.replace('"domain"', '"owner"')), (mailproc, '"external"\t"0"\t"9"\t"/bin/true"'),
                           (f"domains/{DOMAIN}/alice/user.tab", '"SmtpPerms"\t"MRZ"'),
                           (f"domains/{DOMAIN}/mailproc.tab", '"mailbox"')):
            self.assertEqual(say("cfgfileset", path), "+00101", path)
            lines.write("".join(line + "\r\n" for line in text.splitlines()) + ".\r\n")
            lines.flush()
            self.assertEqual(lines.readline()[:6], "-00270", path)
        self.assertEqual(say("userpasswd", DOMAIN, "alice", "a-new-secret"), "+00000")
        self.assertEqual(say("as", "nobody", "127.0.0.1"), "+00000")
        self.assertEqual(say("userpasswd", DOMAIN, "alice", "a-new-secret"), "-00270")
        control.close()


if __name__ == "__main__":
    import unittest
    unittest.main()
