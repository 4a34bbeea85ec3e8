"""What would happen to a client, whom the gates refused, and what the DNS must say, by the API."""
import smtplib
import urllib.parse

from harness import DOMAIN, wait_until
from test_relay import FakeDns
from test_web import WebTest


class Explain(WebTest):
    @classmethod
    def setUpClass(cls):
        cls.dns = FakeDns()
        cls.settings = {"SmartDNSHost": f"127.0.0.1@{cls.dns.port}", "DnssecAnchor": "", "HeloDomain": "mail.test.example",
                        "CustMapsList": "lists.example:1"}
        cls.dns.a("9.2.0.192.lists.example", "127.0.0.2")
        cls.dns.a("mail.test.example", "192.0.2.80")
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.dns.sock.close()

    def ask(self, admin, **query):
        return admin.api("GET", "/explain?" + urllib.parse.urlencode(query))

    def test_tables_decide(self):
        client = self.signed_in()
        self.server.append("spammers.tab", ("192.0.2.0", "255.255.255.128", "code=1"))
        self.assertTrue(wait_until(lambda: not self.ask(client, client="192.0.2.7", service="smtp")[1]["allowed"]))
        answer = self.ask(client, client="192.0.2.7", service="smtp")[1]
        step = answer["steps"][-1]
        self.assertEqual((step["stage"], step["gate"], step["action"], step["source"], step["line"]),
                         ("connect", "spammers", "refuse", "spammers.tab", 2))
        self.assertTrue(step["ja"] and step["reply"].startswith("5"))
        self.server.append("pop3.ipmap.tab", ("192.0.2.0", "255.255.255.0", "DENY", "5"))
        self.assertTrue(wait_until(lambda: not self.ask(client, client="192.0.2.7", service="pop3")[1]["allowed"]))
        self.assertEqual(self.ask(client, client="127.0.0.1", service="finger")[1]["allowed"], True)

    def test_relaying(self):
        client = self.signed_in()
        mail = {"client": "198.51.100.5", "service": "smtp", "from": "a@far.example"}
        self.assertTrue(self.ask(client, to=f"bob@{DOMAIN}", **mail)[1]["allowed"])
        away = self.ask(client, to="x@elsewhere.example", **mail)[1]
        self.assertEqual((away["allowed"], away["recipient"], away["steps"][-1]["gate"]), (False, "remote", "relay"))
        mine = {**mail, "from": f"bob@{DOMAIN}", "login": f"bob@{DOMAIN}", "tls": "1"}
        self.assertTrue(self.ask(client, to="x@elsewhere.example", **mine)[1]["allowed"])
        unknown = self.ask(client, to=f"nobody@{DOMAIN}", **mail)[1]
        self.assertEqual((unknown["allowed"], unknown["recipient"]), (False, "unknown-user"))

    def test_the_dns_is_asked(self):
        answer = self.ask(self.signed_in(), client="192.0.2.9", service="smtp")[1]
        listed = [s for s in answer["steps"] if s["gate"] in ("maps", "spammers")]
        self.assertIn("refuse", {s["action"] for s in listed})

    def test_who_is_over_a_limit(self):
        client = self.signed_in()
        self.server.append("limits.tab", ("address", "messages", "1", "3600", "delay=1"))
        with smtplib.SMTP("127.0.0.1", self.server.ports["smtp"], "far.example", 30, ("127.0.0.9", 0)) as smtp:
            smtp.ehlo()
            self.assertTrue(wait_until(lambda: smtp.sendmail("a@far.example", f"bob@{DOMAIN}", "x") == {}
                                       and client.api("GET", "/limits")[1] != []))
        held = client.api("GET", "/limits")[1][0]
        self.assertEqual([held[k] for k in ("whom", "who", "what", "action", "delay", "count", "window")],
                         ["address", "127.0.0.9", "messages", "delay", "1", "1", "3600"])
        self.assertEqual(self.signed_in("viewer").api("DELETE", "/limits/127.0.0.9")[0], 403)
        self.assertEqual(client.api("DELETE", "/limits/127.0.0.9")[0], 204)
        self.assertEqual(client.api("GET", "/limits")[1], [])
        self.assertEqual(client.api("DELETE", "/limits/127.0.0.9")[0], 404)

    def test_services_answer(self):
        client = self.signed_in()
        answer = client.api("GET", "/reachable")[1]
        self.assertEqual(answer["host"], "mail.test.example")
        tries = {t["service"]: t for t in answer["tries"] if not t["by_name"]}
        self.assertEqual(set(tries) & {"smtp", "pop3", "http"}, {"smtp", "pop3", "http"})
        self.assertTrue(tries["smtp"]["answers"] and tries["smtp"]["text"].startswith("220 "), tries)
        self.assertEqual(tries["smtp"]["address"], f"127.0.0.1:{self.server.ports['smtp']}")
        self.assertEqual(self.signed_in("viewer").api("GET", "/reachable")[0], 403)

    def test_bad_questions(self):
        client = self.signed_in()
        for query in ({"client": "x", "service": "smtp"}, {"client": "192.0.2.1", "service": "x"},
                      {"client": "192.0.2.1", "service": "smtp", "from": "a b"}, {"client": "192.0.2.1", "service": "smtp", "to": "@"},
                      {"client": "192.0.2.1", "service": "smtp", "login": "nobody"}):
            self.assertEqual(self.ask(client, **query)[0], 422, query)
        wrong = self.ask(client, client="192.0.2.1", service="smtp", to="@")[1]
        self.assertEqual((wrong["error"], wrong["values"]), ("bad-address", {"value": "@"}))

    def test_who_was_refused(self):
        client = self.signed_in()
        with smtplib.SMTP("127.0.0.1", self.server.ports["smtp"], "far.example", 30) as smtp:
            smtp.ehlo()
            self.assertEqual(smtp.mail("a@far.example")[0], 250)
            self.assertEqual(smtp.rcpt("x@elsewhere.example")[0], 550)
        self.assertTrue(wait_until(lambda: client.api("GET", "/refused")[1] != []))
        row = client.api("GET", "/refused")[1][0]
        self.assertEqual((row["client"], row["count"]), ("127.0.0.1", 1))

    def test_what_the_dns_must_say(self):
        client = self.signed_in()
        status, answer, _ = client.api("GET", f"/domains/{DOMAIN}/dns")
        self.assertEqual((status, answer["host"]), (200, "mail.test.example"))
        records = {(r["name"], r["type"]): r for r in answer["records"]}
        host = records["mail.test.example", "A"]
        self.assertEqual((host["state"], host["found"]), ("ok", ["192.0.2.80"]))
        self.assertEqual(records["80.2.0.192.in-addr.arpa", "PTR"]["state"], "missing")
        self.assertEqual(records[DOMAIN, "MX"]["state"], "missing")
        self.assertEqual(client.api("GET", "/domains/not.ours.example/dns")[0], 404)


if __name__ == "__main__":
    import unittest
    unittest.main()
