"""Certificates from an authority (ACME): Pebble, as Debian ships it, checks signatures, nonces and proofs; it refuses some nonces on purpose."""
import glob
import json
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
import unittest

import peers
from harness import Server, free_ports, replace, wait_until
from test_tls import shown
from test_web import Client

SECRET = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
HOOK = """#!/usr/bin/python3
import sys, urllib.request, json
action, name, value = sys.argv[1:4]
body = {"host": name + ".", "value": value}
what = "set-txt" if action == "add" else "clear-txt"
urllib.request.urlopen(urllib.request.Request("http://127.0.0.1:%d/" + what, json.dumps(body).encode()), timeout=20).read()
open(%r, "a").write(action + " " + name + "\\n")
"""


def listens(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


class Acme(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        try:
            cls.bin = os.path.join(peers.unpack("pebble"), "usr", "bin")
        except OSError as e:
            raise unittest.SkipTest(str(e)) from e
        cls.folder = tempfile.mkdtemp(prefix="hikyaku-acme-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.server = Server()
        cls.addClassCleanup(cls.server.close)
        directory, manage, dns, records, other = free_ports(5)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key", "-out",
                        "cert", "-subj", "/CN=localhost", "-days", "30", "-addext", "subjectAltName=DNS:localhost"],
                       cwd=cls.folder, check=True, capture_output=True)
        cls.run_beside("pebble-challtestsrv", "-defaultIPv6", "", "-defaultIPv4", "127.0.0.1", "-dns01", f"127.0.0.1:{dns}", "-management",
                       f"127.0.0.1:{records}", "-http01", "", "-https01", "", "-tlsalpn01", "")
        cls.pebble(directory, manage, dns, False)
        cls.pebble(other, free_ports(1)[0], dns, True)
        cls.directory, cls.closed = f"https://localhost:{directory}/dir", f"https://localhost:{other}/dir"
        shutil.copy(os.path.join(cls.folder, "cert"), cls.server.path("certs.pem"))
        cls.hook, cls.hook_log = os.path.join(cls.folder, "hook"), os.path.join(cls.folder, "hook.log")
        with open(cls.hook, "w", encoding="ascii") as f:
            f.write(HOOK % (records, cls.hook_log))
        os.chmod(cls.hook, 0o755)
        cls.server.set(SmartDNSHost=f"127.0.0.1@{dns}", DnssecAnchor="", SSLUseCertsFile="1", AcmeDirectory=cls.directory, AcmeAgree="1", AcmeContact="postmaster@test.example")
        cls.server.start()
        if not wait_until(lambda: listens(directory) and listens(other) and listens(records), 60):
            raise AssertionError("Pebble doesn't answer")

    @classmethod
    def pebble(cls, port, manage, dns, closed):
        config = {"pebble": {"listenAddress": f"127.0.0.1:{port}", "managementListenAddress": f"127.0.0.1:{manage}",
                             "certificate": os.path.join(cls.folder, "cert"), "privateKey": os.path.join(cls.folder, "key"),
                             "httpPort": cls.server.ports["http"], "tlsPort": cls.server.ports["https"], "ocspResponderURL": "",
                             "externalAccountBindingRequired": closed, "externalAccountMACKeys": {"kid-1": SECRET}}}
        path = os.path.join(cls.folder, f"config-{port}")
        with open(path, "w", encoding="ascii") as f:
            json.dump(config, f)
        cls.run_beside("pebble", "-config", path, "-dnsserver", f"127.0.0.1:{dns}")

    @classmethod
    def run_beside(cls, name, *words):
        with open(os.path.join(cls.folder, name + ".log"), "ab") as log:
            env = dict(os.environ, PEBBLE_VA_NOSLEEP="1", PEBBLE_WFE_NONCEREJECT="15", PEBBLE_AUTHZREUSE="0")
            p = subprocess.Popen([os.path.join(cls.bin, name), *words], stdout=log, stderr=log, env=env)
        cls.addClassCleanup(p.wait, 30)
        cls.addClassCleanup(p.kill)

    def client(self):
        client = Client(self.server)
        self.assertEqual(client.sign_in()[0], 200)
        return client

    def state(self, client):
        return client.api("GET", "/tls")[1]["acme"]

    def order(self, **settings):
        """Orders with these settings; the state afterwards."""
        client = self.client()
        self.server.set(**settings)
        wanted = [settings["AcmeNames"], settings["AcmeChallenge"], settings.get("AcmeDirectory", self.directory)]
        self.assertTrue(wait_until(lambda: [self.state(client)[n] for n in ("wanted", "challenge", "directory")] == wanted))
        self.assertTrue(wait_until(lambda: client.api("POST", "/tls-order", {})[0] == 204, 90))  # 503: one is under way
        self.assertTrue(wait_until(lambda: self.state(client)["phase"] == "idle", 90))
        return self.state(client)

    def has(self, *names):
        """The names of the certificate that all services show now, by Pebble."""
        def told():
            pem = shown(self.server.ports["pop3s"])
            done = subprocess.run(["openssl", "x509", "-noout", "-issuer", "-ext", "subjectAltName"], input=pem, capture_output=True,
                                  text=True, check=True).stdout
            return "Pebble" in done and all(f"DNS:{n}" in done for n in names) and done.count("DNS:") == len(names)
        self.assertTrue(wait_until(told, 20), self.server.log_text()[-3000:])

    def test_http(self):
        """Two names proved by the web role, whoever else may reach it; nothing is left behind."""
        replace(self.server.path("http.ipmap.tab"), b'"127.0.0.1"\t"255.255.255.255"\t"ALLOW"\t1\n')
        state = self.order(AcmeNames="one.acme.example two.acme.example", AcmeChallenge="http-01")
        self.assertEqual((state["why"], state["fails"]), ("", 0))
        self.has("one.acme.example", "two.acme.example")
        self.assertEqual(glob.glob(self.server.path("hikyaku", "acme", "http", "*")), [])
        self.assertEqual(os.stat(self.server.path("hikyaku", "acme", "account.key")).st_mode & 0o077, 0)
        self.assertNotIn("PRIVATE", self.server.log_text())
        for path in ("/.well-known/acme-challenge/none", "/.well-known/acme-challenge/..%2Fstate", "/.well-known/acme-challenge/.x"):
            self.assertEqual(Client(self.server).ask("GET", path)[0], 404, path)

    def test_alpn(self):
        state = self.order(AcmeNames="three.acme.example", AcmeChallenge="tls-alpn-01")
        self.assertEqual(state["why"], "")
        self.has("three.acme.example")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["acme-tls/1"])
        for name in ("three.acme.example", "server.key", "account.key"):
            with self.assertRaises(OSError), socket.create_connection(("127.0.0.1", self.server.ports["https"]), 20) as s:
                context.wrap_socket(s, server_hostname=name)

    def test_dns(self):
        """A wildcard needs the DNS: the program of acmedns.tab puts the record up and takes it down."""
        replace(self.server.path("acmedns.tab"), f'"{self.hook}"\t"@@ACTION"\t"@@NAME"\t"@@VALUE"\n'.encode())
        state = self.order(AcmeNames="*.w.acme.example", AcmeChallenge="dns-01")
        self.assertEqual(state["why"], "")
        self.has("*.w.acme.example")
        with open(self.hook_log, encoding="ascii") as f:
            self.assertEqual(f.read(), "add _acme-challenge.w.acme.example\nremove _acme-challenge.w.acme.example\n")

    def test_refused(self):
        """What goes wrong is said; the old certificate stays; the next try is later."""
        before = shown(self.server.ports["smtps"])
        state = self.order(AcmeNames="*.v.acme.example", AcmeChallenge="http-01")
        self.assertIn("doesn't offer http-01 for *.v.acme.example", state["why"])
        self.assertGreater(state["next"], time.time() + 100)
        self.assertEqual(shown(self.server.ports["smtps"]), before)
        self.server.set(AcmeAgree="0")
        client = self.client()
        self.assertTrue(wait_until(lambda: not self.state(client)["agreed"]))
        self.assertIn("AcmeAgree", client.api("POST", "/tls-order", {})[1]["detail"])
        self.server.set(AcmeAgree="1")

    def test_external_account(self):
        """An authority that wants an account of its own first."""
        self.addCleanup(lambda: self.server.set(AcmeDirectory=self.directory))
        state = self.order(AcmeNames="four.acme.example", AcmeChallenge="http-01", AcmeDirectory=self.closed)
        self.assertIn("acmekeys.tab", state["why"])
        replace(self.server.path("acmekeys.tab"), f'"{self.closed}"\t"kid-1"\t"{SECRET}"\n'.encode())
        state = self.order(AcmeNames="four.acme.example", AcmeChallenge="http-01", AcmeDirectory=self.closed)
        self.assertEqual(state["why"], "")
        self.has("four.acme.example")


if __name__ == "__main__":
    unittest.main()
