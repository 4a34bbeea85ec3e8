"""Certificates of clients: SSLWantVerify, SSLWantCert, SSLAllowSelfSigned, SSLMaxCertsDepth, certs.pem and certs/."""
import base64
import os
import poplib
import shutil
import socket
import ssl
import subprocess
import tempfile
import unittest

from harness import DOMAIN, PROGRAM, Server, wait_until
from test_web import Client

CONFIG = """
[ca]
default_ca=d
[d]
dir=.
database=index
serial=serial
new_certs_dir=.
default_md=sha256
policy=p
unique_subject=no
[p]
commonName=supplied
[root]
basicConstraints=critical,CA:TRUE
keyUsage=keyCertSign
subjectKeyIdentifier=hash
[leaf]
basicConstraints=CA:FALSE
[server]
basicConstraints=CA:FALSE
extendedKeyUsage=serverAuth
[req]
distinguished_name=n
[n]
"""


class Authority:
    """Certificates of every kind, made by openssl."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="hikyaku-certs-")
        with open(self.path("conf"), "w", encoding="ascii") as f:
            f.write(CONFIG)
        open(self.path("index"), "wb").close()
        with open(self.path("serial"), "w", encoding="ascii") as f:
            f.write("1000\n")
        self.own("root", "root")
        self.own("stranger", "root")
        self.own("self", "leaf")
        self.sign("good", "root", "leaf")
        self.sign("wrong", "stranger", "leaf")
        self.sign("expired", "root", "leaf", "20200101000000Z", "20200102000000Z")
        self.sign("early", "root", "leaf", "20980101000000Z", "20990101000000Z")
        self.sign("server-only", "root", "server")
        self.sign("middle1", "root", "root")
        self.sign("middle2", "middle1", "root")
        self.sign("deep", "middle2", "leaf")
        with open(self.path("deep.pem"), "ab") as f:
            for name in ("middle2", "middle1"):
                f.write(open(self.path(name + ".pem"), "rb").read())
        self.own("self-expired", "leaf", "20200101000000Z", "20200102000000Z")

    def path(self, name):
        return os.path.join(self.folder, name)

    def openssl(self, *words):
        subprocess.run(["openssl", *words], cwd=self.folder, check=True, capture_output=True)

    def request(self, name):
        self.openssl("req", "-config", "conf", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                     name + ".key", "-out", name + ".req", "-subj", "/CN=" + name)

    def own(self, name, kind, begin="20200101000000Z", end="20990101000000Z"):
        self.request(name)
        self.openssl("ca", "-config", "conf", "-batch", "-selfsign", "-keyfile", name + ".key", "-in", name + ".req", "-out",
                     name + ".pem", "-notext", "-extensions", kind, "-startdate", begin, "-enddate", end)

    def sign(self, name, by, kind, begin="20200101000000Z", end="20990101000000Z"):
        self.request(name)
        self.openssl("ca", "-config", "conf", "-batch", "-cert", by + ".pem", "-keyfile", by + ".key", "-in", name + ".req",
                     "-out", name + ".pem", "-notext", "-extensions", kind, "-startdate", begin, "-enddate", end)

    def close(self):
        shutil.rmtree(self.folder)


class ClientCerts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.ca = Authority()
        cls.server = Server()
        shutil.copy(cls.ca.path("root.pem"), cls.server.path("certs.pem"))
        cls.server.start()

    @classmethod
    def tearDownClass(cls):
        cls.server.close()
        cls.ca.close()

    def context(self, name):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if name is not None:
            context.load_cert_chain(self.ca.path(name + ".pem"), self.ca.path(name + ".key"))
        return context

    def enters(self, name, service="smtps"):
        """Is a client with this certificate greeted? With TLS 1.3 it hears of a refusal only behind the handshake."""
        try:
            with socket.create_connection(("127.0.0.1", self.server.ports[service]), 20) as s, \
                    self.context(name).wrap_socket(s) as t:
                if service == "https":
                    t.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                return len(t.recv(1)) == 1
        except OSError:
            return False

    def settings(self, **values):
        """Waits until a client that tells the difference does: with these settings another set of clients comes in."""
        names = ("SSLWantVerify", "SSLWantCert", "SSLAllowSelfSigned", "SSLMaxCertsDepth", "SSLUseCertsFile", "SSLUseCertsDir")
        self.server.set(**{n: values.get(n, 0) for n in names})

    def judged(self, good, bad, services=("smtps",)):
        """Exactly these come in."""
        for service in services:
            for name in bad:
                self.assertTrue(wait_until(lambda n=name, s=service: not self.enters(n, s), 20), f"{name} is refused, {service}")
            for name in good:
                self.assertTrue(wait_until(lambda n=name, s=service: self.enters(n, s), 20), f"{name} comes in, {service}")

    def test_kinds(self):
        every = ("good", "wrong", "expired", "early", "self", "self-expired", "server-only", "deep", None)
        self.settings()
        self.judged(every, ())
        self.settings(SSLWantCert=1)
        self.judged([n for n in every if n], [None])
        self.settings(SSLWantCert=1, SSLWantVerify=1, SSLUseCertsFile=1)
        self.judged(("good", "deep"), [n for n in every if n not in ("good", "deep")])
        self.assertIn("certificate has expired", self.server.log_text())
        self.settings(SSLWantVerify=1, SSLUseCertsFile=1)
        self.judged(("good", "deep", None), [n for n in every if n not in ("good", "deep", None)])
        self.settings(SSLWantCert=1, SSLWantVerify=1, SSLUseCertsFile=1, SSLAllowSelfSigned=1)
        self.judged(("good", "deep", "self"), [n for n in every if n not in ("good", "deep", "self")])
        self.settings(SSLWantCert=1, SSLWantVerify=1, SSLUseCertsFile=1, SSLMaxCertsDepth=1)
        self.judged(("good",), [n for n in every if n != "good"])
        self.settings(SSLWantCert=1, SSLWantVerify=1)
        self.judged((), every)

    def test_folder(self):
        os.makedirs(self.server.path("certs"), exist_ok=True)
        self.settings(SSLWantCert=1, SSLWantVerify=1, SSLUseCertsDir=1)
        self.judged((), ("good", None))
        shutil.copy(self.ca.path("root.pem"), self.server.path("certs", "root.pem"))
        subprocess.run(["openssl", "rehash", self.server.path("certs")], check=True, capture_output=True)
        self.judged(("good",), ("wrong", None))

    def test_every_service(self):
        self.settings(SSLWantCert=1, SSLWantVerify=1, SSLUseCertsFile=1)
        self.judged(("good",), ("expired", None), ("smtps", "pop3s", "ctrls", "https"))
        box = poplib.POP3("127.0.0.1", self.server.ports["pop3"], timeout=20)
        self.addCleanup(box.close)
        box.stls(self.context("good"))
        self.assertTrue(box.capa())
        other = poplib.POP3("127.0.0.1", self.server.ports["pop3"], timeout=20)
        self.addCleanup(other.close)
        with self.assertRaises(OSError):
            other.stls(self.context("wrong"))
            other.capa()

    def test_resumption(self):
        """A session that a good certificate began goes on without asking again; a stranger's doesn't begin."""
        self.settings(SSLWantCert=1, SSLWantVerify=1, SSLUseCertsFile=1)
        self.judged(("good",), (None,))
        context = self.context("good")
        session = None
        for i in range(2):
            with socket.create_connection(("127.0.0.1", self.server.ports["smtps"]), 20) as s, \
                    context.wrap_socket(s, session=session) as t:
                self.assertTrue(t.recv(100).startswith(b"220"))
                self.assertEqual(t.session_reused, i == 1)
                session = t.session

    def api(self, method, path, body=None, status=200):
        answer = self.client.api(method, path, body)
        self.assertEqual(answer[0], status, answer[1])
        return answer[1]

    def tool(self, *words):
        return subprocess.run([PROGRAM, "tls", *words, "--mailroot", self.server.mailroot], capture_output=True, text=True, timeout=60,
                              check=False)

    def taken_in(self, name, text, password):
        """The file of a client, taken apart by openssl, as files of that name."""
        with open(self.ca.path(name + ".p12"), "wb") as f:
            f.write(base64.b64decode(text))
        for end, word in ((".pem", "-nokeys"), (".key", "-nocerts")):
            self.ca.openssl("pkcs12", "-in", name + ".p12", "-passin", "pass:" + password, word, "-nodes", "-out", name + end)

    def without_authority(self):
        self.server.stop()
        shutil.rmtree(self.server.path("hikyaku", "authority"), ignore_errors=True)
        self.server.start()

    def test_own_authority(self):
        self.without_authority()
        self.settings(SSLWantCert=0)
        self.client = Client(self.server)
        self.assertEqual(self.client.sign_in()[0], 200)
        self.assertEqual(self.api("GET", "/authority"), {"certificate": None, "pem": "", "permitted": [], "issued": [], "suggested": [DOMAIN]})
        ann = {"address": f"ann@{DOMAIN}", "days": 30}
        self.api("POST", "/authority/clients", ann, 404)
        self.api("POST", "/authority", {"name": ""}, 422)
        self.api("POST", "/authority", {"name": "飛脚 authority"}, 204)
        self.api("POST", "/authority", {"name": "another"}, 409)
        self.assertEqual(os.stat(self.server.path("hikyaku", "authority", "key")).st_mode & 0o777, 0o600)
        with open(self.ca.path("own.pem"), "w", encoding="ascii") as f:
            f.write(self.api("GET", "/authority")["pem"])
        self.assertEqual(self.api("GET", "/authority")["permitted"], [])
        for bad in ({**ann, "address": "ann"}, {**ann, "days": 0}, {**ann, "days": 99999}, {**ann, "days": "x"},
                    {**ann, "address": f"a,DNS:x@{DOMAIN}"}, {**ann, "address": f"a@{DOMAIN}\r\nx"}):
            self.api("POST", "/authority/clients", bad, 422)
        made = self.api("POST", "/authority/clients", ann)
        self.taken_in("ann", made["file"], made["password"])
        self.ca.openssl("verify", "-CAfile", "own.pem", "-purpose", "sslclient", "ann.pem")
        with open(self.ca.path("password"), "w", encoding="ascii") as f:
            f.write("a-long-password\n")
        done = self.tool("issue", f"carl@{DOMAIN}", "1", "--generate")
        self.taken_in("carl", done.stdout, done.stderr.split()[-1])
        done = self.tool("issue", f"ben@{DOMAIN}", "365", "--password-file", self.ca.path("password"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.taken_in("ben", done.stdout, "a-long-password")
        self.settings(SSLWantCert=1, SSLWantVerify=1)
        self.judged(("ann", "ben"), ("good", "wrong", None), ("smtps", "pop3s"))

        context = self.context("ann")  # a session that begins before
        with socket.create_connection(("127.0.0.1", self.server.ports["smtps"]), 20) as s, context.wrap_socket(s) as t:
            self.assertTrue(t.recv(100).startswith(b"220"))
            session = t.session
        serials = {r["name"]: r["serial"] for r in self.api("GET", "/authority")["issued"]}
        self.api("DELETE", f"/authority/issued/{serials[ann['address']]}", None, 204)
        self.api("DELETE", "/authority/issued/00ff", None, 404)
        self.judged(("ben",), ("ann", "good", None), ("smtps", "pop3s"))
        with self.assertRaises(OSError), socket.create_connection(("127.0.0.1", self.server.ports["smtps"]), 20) as s, \
                context.wrap_socket(s, session=session) as t:
            if t.recv(100) == b"":
                raise OSError
        self.settings(SSLWantCert=1, SSLWantVerify=1, SSLUseCertsFile=1)  # others' authorities have no list of that kind
        self.judged(("good", "ben"), ("ann", "wrong"))
        row = next(r for r in self.api("GET", "/authority")["issued"] if r["name"] == ann["address"])
        self.assertGreater(row["revoked"], row["begun"])

        self.settings(SSLWantCert=0)
        self.api("POST", "/tls/server/signed", {"names": ["mail.test.example"]}, 204)
        trusting = ssl.create_default_context(cafile=self.ca.path("own.pem"))

        def is_trusted():
            try:
                with socket.create_connection(("127.0.0.1", self.server.ports["smtps"]), 20) as s, \
                        trusting.wrap_socket(s, server_hostname="mail.test.example"):
                    return True
            except OSError:
                return False
        self.assertTrue(wait_until(is_trusted))
        self.assertIn("server", self.tool("issued").stdout)
        self.assertNotIn(made["password"], self.server.log_text())

    def refused_by_openssl(self, name, why):
        done = subprocess.run(["openssl", "verify", "-CAfile", "limited.pem", name + ".pem"], cwd=self.ca.folder, capture_output=True, text=True)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(why, done.stdout + done.stderr)

    def signed_by_a_thief(self, name, alternative):
        """With the authority's key, past all checks."""
        with open(self.ca.path(name + ".ext"), "w", encoding="ascii") as f:
            f.write(f"subjectAltName={alternative}\n")
        self.ca.request(name)
        self.ca.openssl("x509", "-req", "-in", name + ".req", "-CA", "limited.pem", "-CAkey", self.server.path("hikyaku", "authority", "key"),
                        "-CAcreateserial", "-days", "5", "-extfile", name + ".ext", "-out", name + ".pem")

    def test_limited_authority(self):
        self.without_authority()
        self.settings(SSLWantCert=0)
        self.client = Client(self.server)
        self.assertEqual(self.client.sign_in()[0], 200)
        for bad in (["a b"], ["x,DNS:y"], ["a..b"], [f"d{i}.example" for i in range(61)], "x", [1]):
            self.api("POST", "/authority", {"name": "limited", "domains": bad}, 422)
        done = self.tool("authority", "Limited", DOMAIN, "例え.example")
        self.assertEqual(done.returncode, 0, done.stderr)
        state = self.api("GET", "/authority")
        self.assertEqual(state["permitted"], [DOMAIN, "xn--r8jz45g.example"])
        with open(self.ca.path("limited.pem"), "w", encoding="ascii") as f:
            f.write(state["pem"])
        text = subprocess.run(["openssl", "x509", "-in", "limited.pem", "-noout", "-text"], cwd=self.ca.folder, capture_output=True, text=True).stdout
        self.assertIn("X509v3 Name Constraints: critical", text)
        for address in ("ann@elsewhere.example", f"ann@sub.{DOMAIN}", f"ann@not{DOMAIN}", f"ann@{DOMAIN}.example"):
            answer = self.api("POST", "/authority/clients", {"address": address, "days": 30}, 422)
            self.assertIn("own domains only", str(answer), address)
        for names in (["mail.elsewhere.example"], [f"mail.{DOMAIN}", "elsewhere.example"], ["127.0.0.1"], ["::1"], [f"not{DOMAIN}"]):
            self.assertIn("own domains only", str(self.api("POST", "/tls/server/signed", {"names": names}, 422)), names)
        self.assertEqual(self.api("GET", "/authority")["issued"], [])
        made = self.api("POST", "/authority/clients", {"address": f"Ann@{DOMAIN}", "days": 30})
        self.taken_in("limited-ann", made["file"], made["password"])
        self.ca.openssl("verify", "-x509_strict", "-CAfile", "limited.pem", "-purpose", "sslclient", "limited-ann.pem")
        self.api("POST", "/tls/server/signed", {"names": [f"mail.{DOMAIN}", f"*.{DOMAIN}", "mail.例え.example"]}, 204)
        self.ca.openssl("verify", "-CAfile", "limited.pem", "-purpose", "sslserver", self.server.path("server.cert"))
        self.signed_by_a_thief("thief", f"DNS:mail.{DOMAIN}")
        self.ca.openssl("verify", "-CAfile", "limited.pem", "thief.pem")
        for alternative, why in (("DNS:elsewhere.example", "permitted subtree violation"), ("email:ann@elsewhere.example", "permitted subtree violation"),
                                 (f"email:ann@sub.{DOMAIN}", "permitted subtree violation"), ("IP:192.0.2.1", "excluded subtree violation")):
            self.signed_by_a_thief("thief", alternative)
            self.refused_by_openssl("thief", why)
        self.signed_by_a_thief("thief-mail", "email:ann@elsewhere.example")
        self.settings(SSLWantCert=1, SSLWantVerify=1)
        self.judged(("limited-ann",), ("thief-mail", None), ("smtps", "pop3s"))


if __name__ == "__main__":
    unittest.main()
