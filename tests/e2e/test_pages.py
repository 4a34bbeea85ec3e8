"""The pages in a browser: Chromium, driven by browser/pages.js over a server of its own."""
import json
import os
import shutil
import subprocess
import unittest

from harness import DOMAIN, PASSWORD, Server
from test_relay import FAST, FakeDns, send
from test_web import Client

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(HERE, "browser")
CHROMIUM = shutil.which("chromium")


@unittest.skipUnless(CHROMIUM and shutil.which("node"), "chromium or node is missing")
class Pages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dns = FakeDns()
        cls.dns.a("mail.test.example", "192.0.2.80")
        cls.dns.a("far.example", "127.0.0.1")  # where nobody listens: its mail waits
        cls.server = Server(users=("alice", "bob", "dave"), settings={
            **FAST, "RetryFirst": "3600", "RetryLongest": "3600", "SmartDNSHost": f"127.0.0.1@{cls.dns.port}",
            "HeloDomain": "mail.test.example"}).start()
        client = Client(cls.server)
        client.sign_in()
        client.api("POST", "/lists", {"domain": DOMAIN, "name": "news"})
        client.api("POST", "/aliases", {"domain": DOMAIN, "alias": "sales*", "target": "bob"})
        client.api("POST", "/groups", {"id": "staff", "name": "Staff", "last": "2030-03-31", "list": f"news@{DOMAIN}", "person": "Ann"})
        client.api("POST", "/groups/staff/members", {"addresses": [f"alice@{DOMAIN}", f"bob@{DOMAIN}"]})
        send(cls.server, ["x@far.example"], "Subject: s\r\n\r\n<img src=x onerror=\"document.title=1\">'\"&amp;\r\n")
        send(cls.server, [f"dave@{DOMAIN}"])
        done = subprocess.run(["node", "pages.js", f"http://127.0.0.1:{cls.server.ports['http']}", PASSWORD, CHROMIUM],
                              cwd=FOLDER, capture_output=True, text=True, timeout=600,
                              env=dict(os.environ, BACKUPS=os.path.join(cls.server.scratch, "backups")))
        cls.results = {r["name"]: r["problem"] for r in map(json.loads, done.stdout.splitlines())}
        cls.stderr = done.stderr

    @classmethod
    def tearDownClass(cls):
        cls.server.close()
        cls.dns.sock.close()

    def went_well(self, name):
        self.assertIn(name, self.results, self.stderr)
        self.assertIsNone(self.results[name])

    def rows(self, *path):
        with open(self.server.path(*path), encoding="utf-8") as f:
            return [[v.strip('"') for v in line.rstrip("\n").split("\t")] for line in f if line.strip()]

    def test_account(self):
        self.went_well("account")
        variables = dict(self.rows("domains", DOMAIN, "carol", "user.tab"))
        self.assertEqual((variables["MaxMBSize"], variables["Telephone"]), ("4096", "0120-000-000"))

    def test_two_administrators(self):
        self.went_well("changed_by_two")
        variables = dict(self.rows("domains", DOMAIN, "bob", "user.tab"))
        self.assertEqual((variables["Telephone"], variables["Address"]), ("111", "222"))

    def test_removed_and_back(self):
        self.went_well("removed_and_back")
        self.assertIn("dave", [row[1] for row in self.rows("mailusers.tab")])

    def test_forwarding(self):
        self.went_well("forwarding")
        self.assertEqual(self.rows("domains", DOMAIN, "alice", "mailproc.tab"),
                         [["redirect", "a@elsewhere.example", "b@elsewhere.example"]])

    def test_list_member(self):
        self.went_well("list_member")
        self.assertEqual(self.rows("domains", DOMAIN, "news", "mlusers.tab"), [["one@elsewhere.example", "R"]])
        variables = dict(self.rows("domains", DOMAIN, "news", "user.tab"))
        self.assertEqual((variables["ClosedML"], variables["ListModeration"]), ("1", "2"))

    def test_group(self):
        self.went_well("group")
        group = next(row for row in self.rows("groups.tab") if row[0] == "g1")
        self.assertEqual((group[3], group[4]), ("2030-03-31", f"news@{DOMAIN}"))
        self.assertIn(["g1", DOMAIN, "bob"], self.rows("groupmembers.tab"))
        copied, answer = self.rows("groups", "g1.tab")
        self.assertEqual(copied, ["copy", "archive@elsewhere.example"])
        self.assertEqual((answer[3], answer[5]), ("7", "Back on Monday."))
        self.assertEqual(dict(self.rows("domains", DOMAIN, "bob", "user.tab"))["MaxMBSize"], "4321")

    def test_in_japanese(self):
        self.went_well("in_japanese")

    def test_many_at_once(self):
        self.went_well("many_at_once")
        names = [row[1] for row in self.rows("mailusers.tab")]
        self.assertTrue({"erin", "frank"} <= set(names), names)

    def test_rows_in_order(self):
        self.went_well("rows_in_order")
        self.assertEqual([row[0] for row in self.rows("smtp.ipmap.tab")[-2:]], ["192.0.2.2", "192.0.2.1"])

    def test_filter_with_flags(self):
        self.went_well("filter_with_flags")
        self.assertEqual(self.rows("filters.pre-data.tab"), [["!aex,timeo=5", "/usr/bin/true", "@@FROM", "with blank"]])

    def test_filter_file(self):
        self.went_well("filter_file")
        self.assertEqual(self.rows("filters", "spam.tab"), [["/usr/bin/false"], ["!timeo=60,milter", "inet:127.0.0.1:11332"]])
        self.assertEqual(self.rows("filters.in.tab"), [["*", "*@test.example", "0.0.0.0/0", "0.0.0.0/0", "spam.tab"]])

    def test_filter_test(self):
        self.went_well("filter_test")

    def test_command(self):
        self.went_well("command")
        self.assertEqual(self.rows("domains", DOMAIN, "dave", "mailproc.tab"), [["filter", "0", "30", "/usr/bin/true", "@@FILE"]])

    def test_explained(self):
        self.went_well("explained")

    def test_dns_of_a_domain(self):
        self.went_well("dns_of_a_domain")

    def test_block_list(self):
        self.went_well("block_list")
        self.assertIn(["CustMapsList", "bl.example:-20"], self.rows("server.tab"))

    def test_certificates(self):
        self.went_well("certificates")
        done = subprocess.run(["openssl", "x509", "-noout", "-ext", "subjectAltName", "-in", self.server.path("server.cert")],
                              capture_output=True, text=True, check=True)
        self.assertIn("DNS:mx.pages.example", done.stdout)

    def test_second_factor(self):
        self.went_well("second_factor")
        helper = next(row for row in self.rows("webadmins.tab") if row[0] == "helper")
        self.assertEqual(len(helper[4].split()), 9)

    def test_delegate(self):
        self.went_well("delegate")
        self.assertEqual(self.rows("webdelegates.tab"),
                         [["deputy", "domains", DOMAIN], ["deputy", "max-users", "1"], ["deputy", "email", f"alice@{DOMAIN}"],
                          ["deputy", "support-person", "Hanako"]])

    def test_token_and_record(self):
        self.went_well("token_and_record")

    def test_queue(self):
        self.went_well("queue")

    def test_on_trial(self):
        self.went_well("on_trial")
        addresses = [row[0] for row in self.rows("smtprelay.tab")]
        self.assertTrue("192.0.2.61" in addresses and "192.0.2.62" not in addresses, addresses)

    def test_backups(self):
        self.went_well("backups")
        self.assertEqual(len(os.listdir(os.path.join(self.server.scratch, "backups", "restored"))), 1)

    def test_manual(self):
        self.went_well("manual")

    @unittest.skipUnless(os.environ.get("IMAGES"), "only for new pictures of the manual")
    def test_images(self):
        self.went_well("images")

    def test_restart(self):
        self.went_well("restart")

    def test_statistics(self):
        self.went_well("statistics")
        self.went_well("statistics of a domain")

    def test_weekly(self):
        self.went_well("weekly")

    def test_emergency(self):
        self.went_well("emergency")

    def test_looks(self):
        for name in ("looks_wide", "looks_narrow"):
            with self.subTest(name):
                self.went_well(name)


if __name__ == "__main__":
    unittest.main()
