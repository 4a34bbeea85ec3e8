"""Certificates and keys by the API and by `hikyaku tls`: installing, refusing, requests, names (SNI), authorities."""
import glob
import os
import shutil
import socket
import ssl
import stat
import subprocess
import tempfile

from harness import PROGRAM, replace, wait_until
from test_client_certs import Authority
from test_web import WebTest


def shown(port, name=None):
    """The certificate that the server shows who asks for the name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), 20) as s, context.wrap_socket(s, server_hostname=name) as t:
        return ssl.DER_cert_to_PEM_cert(t.getpeercert(True)).strip()


class Certificates(WebTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.ca = Authority()
        cls.folder = tempfile.mkdtemp(prefix="hikyaku-tls-")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)
        cls.ca.close()
        super().tearDownClass()

    def owner(self):
        client = self.signed_in()
        self.assertEqual(client.api("POST", "/session/confirm", {"password": "secret-word"})[0], 204)
        return client

    def text(self, name):
        with open(self.ca.path(name), encoding="ascii") as f:
            return f.read()

    def present(self):
        with open(self.server.path("server.cert"), encoding="ascii") as f, open(self.server.path("server.key"), encoding="ascii") as g:
            return f.read(), g.read()

    def signed(self, request):
        """What the authority answers to a request: the certificate."""
        path = os.path.join(self.folder, "request")
        with open(path, "w", encoding="ascii") as f:
            f.write(request)
        done = subprocess.run(["openssl", "x509", "-req", "-in", path, "-CA", self.ca.path("root.pem"), "-CAkey", self.ca.path("root.key"),
                               "-days", "30", "-copy_extensions", "copy"], check=True, capture_output=True, text=True)
        return done.stdout

    def tool(self, *words, stdin=None):
        return subprocess.run([PROGRAM, "tls", *words, "--mailroot", self.server.mailroot], input=stdin, capture_output=True, text=True,
                              timeout=60, check=False, cwd=self.folder)

    def shows(self, pem, name=None, service="smtps"):
        first = pem[:pem.index("-----END")]
        self.assertTrue(wait_until(lambda: shown(self.server.ports[service], name).startswith(first.strip())), f"{name} {service}")

    def test_refused(self):
        """What can't be used is refused with its reason, and nothing changes."""
        client, before = self.owner(), self.present()
        for pem, key, why in (
                (self.text("good.pem"), self.text("wrong.key"), "doesn't belong to the certificate of good"),
                (self.text("good.pem"), None, "doesn't belong"),
                (self.text("good.pem"), self.text("good.key"), "its issuer, root, is missing"),
                (self.text("deep.pem"), self.text("deep.key"), "its issuer, root, is missing"),
                (self.text("deep.pem").split("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----", self.text("deep.key"),
                 "its issuer, middle2, is missing"),
                (self.text("expired.pem"), self.text("expired.key"), "of expired has expired"),
                (self.text("early.pem"), self.text("early.key"), "of early isn't valid yet"),
                (self.text("good.key"), self.text("good.key"), "no certificate"),
                ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", None, "no certificate")):
            body = {"certificate": pem} if key is None else {"certificate": pem, "key": key}
            status, answer, _ = client.api("PUT", "/tls/server", body)
            self.assertEqual((status, answer["number"]), (422, 280), answer)
            self.assertIn(why, answer["detail"])
            self.assertNotIn("PRIVATE", answer["detail"])
        protected = subprocess.run(["openssl", "pkey", "-in", self.ca.path("good.key"), "-aes128", "-passout", "pass:x"], check=True,
                                   capture_output=True, text=True).stdout
        status, answer, _ = client.api("PUT", "/tls/server", {"certificate": self.text("good.pem"), "key": protected})
        self.assertIn("passphrase", answer["detail"])
        for place in ("..", "a%2Fb", "*.x.example", ".x", "a b"):
            self.assertEqual(client.api("PUT", "/tls/" + place.replace(" ", "%20"), {"certificate": "x"})[0] // 100, 4, place)
        self.assertEqual(self.present(), before)
        self.assertNotIn("PRIVATE", self.server.log_text())

    def test_install(self):
        """A chain in any order, with its root, counts at once for all services; keys stay closed to others."""
        client = self.owner()
        middle = self.text("deep.pem").split("-----BEGIN CERTIFICATE-----")
        shuffled = "".join("-----BEGIN CERTIFICATE-----" + part for part in reversed(middle[1:])) + self.text("root.pem")
        status, answer, _ = client.api("PUT", "/tls/server", {"certificate": shuffled, "key": self.text("deep.key")})
        self.assertEqual(status, 204, answer)
        for service in ("smtps", "pop3s", "ctrls", "https"):
            self.shows(self.text("deep.pem"), service=service)
        now = client.api("GET", "/tls")[1]["certificate"]
        self.assertEqual((now["subject"], now["issuer"], now["chain"]), ("CN=deep", "CN=middle2", 3))
        self.assertEqual([c["subject"] for c in now["above"]], ["CN=middle2", "CN=middle1", "CN=root"])
        self.assertEqual(stat.S_IMODE(os.stat(self.server.path("server.key")).st_mode) & 0o037, 0)
        self.assertEqual(glob.glob(self.server.path("hikyaku", "tls", "*")), [])
        audit = client.api("GET", "/audit?search=tlsset")[1]
        self.assertIn("tlsset", str(audit))
        self.assertNotIn("PRIVATE", str(audit))

    def test_request(self):
        """The key of a request never leaves; what an authority makes of it is installed without one."""
        client = self.owner()
        before = self.present()
        status, answer, _ = client.api("POST", "/tls/server/request", {"names": ["mx.test.example", "*.w.test.example", "192.0.2.7"]})
        self.assertEqual(status, 200, answer)
        self.assertEqual(self.present(), before)
        certificate = self.signed(answer["request"])
        told = subprocess.run(["openssl", "x509", "-noout", "-ext", "subjectAltName"], input=certificate, check=True,
                              capture_output=True, text=True).stdout
        self.assertIn("DNS:mx.test.example, DNS:*.w.test.example, IP Address:192.0.2.7", told)
        status, answer, _ = client.api("PUT", "/tls/server", {"certificate": certificate + self.text("root.pem")})
        self.assertEqual(status, 204, answer)
        self.shows(certificate)
        self.assertEqual(glob.glob(self.server.path("hikyaku", "tls", "*")), [])
        self.assertEqual(client.api("POST", "/tls/server/request", {"names": ["a b"]})[0], 422)
        self.assertEqual(client.api("POST", "/tls/server/request", {"names": ["x,DNS:evil.example"]})[0], 422)

    def test_hosts(self):
        """Clients get the certificate of the name that they ask for, and the server's own for any other."""
        client = self.owner()
        self.assertEqual(client.api("POST", "/tls/One.example/self-signed", {})[0], 204)
        self.assertEqual(client.api("POST", "/tls/two.example/self-signed", {"names": ["two.example", "*.two.example"]})[0], 204)
        hosts = {h["host"]: h["certificate"] for h in client.api("GET", "/tls")[1]["hosts"]}
        self.assertEqual(sorted(hosts), ["one.example", "two.example"])
        self.assertEqual(hosts["one.example"]["troubles"], ["self-signed"])
        held = {}
        for host in hosts:
            with open(self.server.path("tls", host, "server.cert"), encoding="ascii") as f:
                held[host] = f.read()
        for name, host in (("one.example", "one.example"), ("ONE.example", "one.example"), ("two.example", "two.example"),
                           ("mail.two.example", "two.example")):
            self.shows(held[host], name)
        own = self.present()[0]
        for name in (None, "a.b.two.example", "three.example", "server"):
            self.shows(own, name)
        self.shows(held["one.example"], "one.example", "https")
        self.assertEqual(client.api("DELETE", "/tls/one.example")[0], 204)
        self.assertFalse(os.path.exists(self.server.path("tls", "one.example")))
        self.shows(own, "one.example")
        self.assertEqual(client.api("DELETE", "/tls/one.example")[0], 404)
        self.assertEqual(client.api("DELETE", "/tls/server")[0], 422)

    def test_interrupted(self):
        """An installation that a crash cut off is completed at the next start."""
        with open(self.ca.path("self.pem"), encoding="ascii") as f, open(self.ca.path("self.key"), encoding="ascii") as g:
            cert, key = f.read(), g.read()
        self.server.stop()
        os.makedirs(self.server.path("hikyaku", "tls"), exist_ok=True)
        replace(self.server.path("hikyaku", "tls", "install"), f"server\n{key}{cert}".encode())
        replace(self.server.path("server.key"), key.encode())
        self.server.start()
        self.shows(cert)
        self.assertEqual(self.present(), (cert, key))

    def test_by_hand(self):
        """Files that another program replaces count without being told."""
        for name in ("server.key", "server.cert"):
            with open(self.ca.path("self." + ("key" if name.endswith("key") else "pem")), "rb") as f:
                replace(self.server.path(name), f.read())
        self.shows(self.text("self.pem"), service="pop3s")

    def test_authorities(self):
        client = self.owner()
        self.assertEqual(client.api("POST", "/tls-authorities", {"certificate": self.text("root.pem")})[0], 204)
        self.assertEqual(client.api("POST", "/tls-authorities", {"certificate": self.text("root.pem")})[0], 409)
        self.assertEqual(client.api("POST", "/tls-authorities", {"certificate": self.text("stranger.pem")})[0], 204)
        self.assertEqual(client.api("POST", "/tls-authorities", {"certificate": "nothing"})[1]["number"], 280)
        known = {a["subject"]: a["fingerprint"] for a in client.api("GET", "/tls")[1]["authorities"]}
        self.assertEqual(sorted(known), ["CN=root", "CN=stranger"])
        # with its root known here the chain is whole
        status, answer, _ = client.api("PUT", "/tls/server", {"certificate": self.text("good.pem"), "key": self.text("good.key")})
        self.assertEqual(status, 204, answer)
        self.assertEqual(client.api("DELETE", "/tls-authorities/" + known["CN=root"])[0], 204)
        with open(self.server.path("certs.pem"), encoding="ascii") as f:
            self.assertEqual(f.read(), self.text("stranger.pem"))
        self.assertEqual(client.api("DELETE", "/tls-authorities/" + known["CN=root"])[0], 404)
        self.assertEqual(client.api("DELETE", "/tls-authorities/" + known["CN=stranger"])[0], 204)
        self.assertFalse(os.path.exists(self.server.path("certs.pem")))

    def test_tool(self):
        """The same by the command line, while the server runs and while it doesn't."""
        for running in (True, False):
            if not running:
                self.server.stop()
                self.addCleanup(self.server.start)
            done = self.tool("self-signed", "server", "mail.test.example")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("server\tmail.test.example\t", self.tool("list").stdout)
            request = self.tool("request", "cli.example", "cli.example", "b.cli.example")
            self.assertTrue(request.stdout.startswith("-----BEGIN CERTIFICATE REQUEST-----\n"), request.stderr)
            with open(os.path.join(self.folder, "answer.pem"), "w", encoding="ascii") as f:
                f.write(self.signed(request.stdout) + self.text("root.pem"))
            done = self.tool("install", "cli.example", "answer.pem")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("cli.example\tcli.example b.cli.example\t", self.tool("list").stdout)
            done = self.tool("install", "server", self.ca.path("good.pem"), self.ca.path("wrong.key"))
            self.assertEqual(done.returncode, 4)
            self.assertIn("doesn't belong", done.stderr)
            self.assertEqual(self.tool("remove", "cli.example").returncode, 0)
            done = self.tool("trust", "-", stdin=self.text("root.pem"))
            self.assertEqual(done.returncode, 0, done.stderr)
            os.unlink(self.server.path("certs.pem"))
