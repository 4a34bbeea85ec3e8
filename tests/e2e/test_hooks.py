"""HTTP hooks: what they are sent, signed; what their answers do; what isn't an answer."""
import base64
import hashlib
import hmac
import http.server
import json
import os
import ssl
import subprocess
import threading
import unittest

from filter_case import ALICE, BOB, FilterCase
from harness import free_ports, wait_until

SECRET = b"a secret of sixteen octets or more"


class Hook(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.heard.append((self.path, dict(self.headers), body))
        job = json.loads(body)
        answer = self.server.answer(job)
        if isinstance(answer, bytes):
            self.wfile.write(answer)
            self.close_connection = True
            return
        text = json.dumps({"id": job["id"], **answer}).encode()
        self.send_response(200)
        if self.server.form == "chunks":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"5\r\n" + text[:5] + b"\r\n" + b"%X;x=y\r\n" % (len(text) - 5) + text[5:] + b"\r\n0\r\n\r\n")
        elif self.server.form == "length":
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)
        else:
            self.end_headers()
            self.wfile.write(text)
            self.close_connection = True


class Hooks(FilterCase):
    def setUp(self):
        super().setUp()
        self.hook = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
        self.hook.heard, self.hook.answer, self.hook.form = [], lambda job: {"code": 0}, "length"
        threading.Thread(target=self.hook.serve_forever, daemon=True).start()
        self.addCleanup(self.hook.server_close)
        self.addCleanup(self.hook.shutdown)
        self.url = f"http://127.0.0.1:{self.hook.server_address[1]}/mail?x=1"
        with open(self.server.path("hook.secret"), "wb") as f:
            f.write(SECRET + b"\n")

    def use(self, url=None, stage="post-data", secret="hook.secret"):
        self.table(stage, ("!http,timeo=5", url or self.url, secret))
        if self.server.process is None:
            self.server.start()

    def test_what_it_is_sent(self):
        self.use()
        self.assertEqual(self.codes(ALICE, BOB, message="Subject: t\r\n\r\n.x\r\n")[-1], 250)
        path, fields, body = self.hook.heard[0]
        self.assertEqual(path, "/mail?x=1")
        digest = hmac.new(SECRET, fields["Hikyaku-Time"].encode() + b"." + body, hashlib.sha256).hexdigest()
        self.assertEqual(fields["Hikyaku-Signature"], "sha256=" + digest)
        job = json.loads(body)
        self.assertEqual((job["table"], job["FROM"], job["sender"], job["recipients"], job["helo"], job["whole"]),
                         ("filters.post-data.tab", "x@far.example", "x@far.example", [ALICE, BOB], "me.example", True))
        self.assertNotIn("FILE", job)
        message = base64.b64decode(job["message"])
        self.assertTrue(message.startswith(b"Received: from me.example"), message)
        self.assertTrue(message.endswith(b"\r\nSubject: t\r\n\r\n.x\r\n"), message)
        # A large message is cut, and says so.
        self.assertEqual(self.codes(ALICE, message="Subject: t\r\n\r\n" + ("x" * 70 + "\r\n") * 20000)[-1], 250)
        job = json.loads(self.hook.heard[1][2])
        self.assertFalse(job["whole"])
        self.assertGreater(len(base64.b64decode(job["message"])), 1000000)
        self.use(stage="post-rcpt")
        self.assertTrue(wait_until(lambda: self.codes(BOB)[-1] == 250 and json.loads(self.hook.heard[-2][2])["table"] == "filters.post-rcpt.tab", 20))
        job = json.loads(self.hook.heard[-2][2])
        self.assertEqual((job["CRCPT"], job["recipients"], "message" in job), (BOB, [BOB], False))

    def test_verdicts(self):
        self.use()
        for form in ("length", "chunks", "close"):
            self.hook.form = form
            self.hook.answer = lambda job: {"code": 3, "reply": "550 5.7.1 not this"}
            self.assertEqual(self.say(ALICE)[-1], (550, "5.7.1 not this"), form)
            self.hook.answer = lambda job: {"code": 0}
            self.assertEqual(self.codes(ALICE)[-1], 250, form)

    def test_wrong_answers(self):
        self.use()
        head = b"HTTP/1.1 200 OK\r\n"
        rows = [b"", b"garbage\r\n\r\n", b"HTTP/1.1 500 no\r\n\r\n", b"HTTP/1.1 302 x\r\nLocation: http://127.0.0.1/\r\n\r\n", head + b"\r\n{}",
                head + b"Content-Length: 100000000\r\n\r\n", head + b"Content-Length: 50\r\n\r\n{}", head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
                head + b"Transfer-Encoding: chunked\r\n\r\nffffffff\r\n", head + b"X: y\r\n" * 1000 + b"\r\n", head + b"\r\n" + b"x" * 100000]
        for row in rows:
            with self.subTest(row=row[:60]):
                self.hook.answer = lambda job, row=row: row
                self.assertEqual(self.codes(ALICE)[-1], 451)
        for answer in ({"code": 300}, {"id": 10 ** 9, "code": 0}, {"code": 3, "reply": "550 a\r\nb"}):
            self.hook.answer = lambda job, answer=answer: answer
            self.assertEqual(self.codes(ALICE)[-1], 451, answer)
        self.assertEqual(self.server.mailbox("alice"), [])

    def test_tables(self):
        """A line that names no hook is said and skipped; one without its secret, or its server, defers."""
        self.use(f"http://127.0.0.1:{free_ports(1)[0]}/")
        self.assertEqual(self.codes(ALICE)[-1], 451)
        for url, secret in ((self.url, "missing"), (self.url, "server.tab.short")):
            with open(self.server.path("server.tab.short"), "w", encoding="ascii") as f:
                f.write("short")
            self.use(url, secret=secret)
            self.assertTrue(wait_until(lambda: self.codes(ALICE)[-1] == 451, 20))
        for url in ("ftp://127.0.0.1/", "http://", "http://a b/", "http://a:99999/", "http://a/\x7f", "file:///etc/passwd"):
            self.use(url)
            self.assertTrue(wait_until(lambda: self.codes(ALICE)[-1] == 250, 20), url)
        self.assertEqual(self.hook.heard, [])

    def test_tls(self):
        """The server's certificate must be good: one that certs.pem doesn't know isn't."""
        key, cert = (os.path.join(self.server.scratch, x) for x in ("key", "cert"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", cert, "-days", "2",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        self.hook.socket = context.wrap_socket(self.hook.socket, server_side=True)
        self.use(f"https://localhost:{self.hook.server_address[1]}/")
        self.assertEqual(self.codes(ALICE)[-1], 451)
        self.server.stop()
        with open(cert, "rb") as f, open(self.server.path("certs.pem"), "wb") as out:
            out.write(f.read())
        self.server.set(SSLUseCertsFile="1")
        self.server.start()
        self.assertEqual(self.codes(ALICE)[-1], 250)


if __name__ == "__main__":
    unittest.main()
