"""The PROXY protocol: who the client is, by a balancer that the settings name, and by nobody else."""
import socket
import struct
import unittest

from harness import DOMAIN, Server, replace, wait_until
from lines import Lines
from test_gates import row

BALANCER = "127.0.9.1"
V2 = b"\r\n\r\n\0\r\nQUIT\n"


def v1(client, port=40000):
    family = "TCP6" if ":" in client else "TCP4"
    server = "2001:db8::1" if ":" in client else "198.51.100.1"
    return f"PROXY {family} {client} {server} {port} 25\r\n".encode()


def v2(client, command=1):
    family = socket.AF_INET6 if ":" in client else socket.AF_INET
    ends = socket.inet_pton(family, client) * 2 + struct.pack("!HH", 40000, 25)
    return V2 + bytes([0x20 | command, 0x21 if ":" in client else 0x11]) + struct.pack("!H", len(ends)) + ends


class Proxy(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(settings={"ProxyProtocolFrom": "127.0.9.0/24, 2001:db8:9::/48", "MaxSessionsPerAddress": 3})
        replace(cls.server.path("spammers.tab"), row("192.0.2.0/24", "code=1") + row("2001:db8:2::/48", "code=1") +
                row("127.0.9.2/32", "code=1"))
        cls.server.start()

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def connect(self, service, header, source=BALANCER, **how):
        """What is heard first behind this header."""
        with Lines(self.server.ports[service], source=source, greeting=False) as c:
            c.send(header)
            if how.get("tls"):
                c.start_tls()
            return c.reply()

    def test_who_the_client_is(self):
        for header in (v1, v2):
            for client, code in (("192.0.2.7", "554"), ("198.51.100.7", "220"), ("2001:db8:2::7", "554"),
                                 ("2001:db8:3::7", "220")):
                with self.subTest(header=header.__name__, client=client):
                    self.assertEqual(self.connect("smtp", header(client))[:3], code)
        self.assertIn("client=192.0.2.7", self.server.log_text())
        self.assertTrue(self.connect("pop3", v1("198.51.100.8")).startswith("+OK"))

    def test_log_and_received(self):
        with Lines(self.server.ports["smtp"], source=BALANCER, greeting=False) as c:
            c.send(v2("198.51.100.9"))
            self.assertEqual(c.reply()[:3], "220")
            c.say("EHLO me.example")
            c.say("MAIL FROM:<x@far.example>")
            c.say(f"RCPT TO:<alice@{DOMAIN}>")
            c.say("DATA")
            self.assertEqual(c.say("Subject: x\r\n\r\nx\r\n.")[:3], "250")
        self.assertTrue(wait_until(lambda: self.server.mailbox("alice")))
        text = self.server.read("alice", self.server.mailbox("alice")[0])
        self.assertIn(b"[198.51.100.9]:40000", text)

    def test_tls_behind_it(self):
        for service in ("smtps", "pop3s"):
            self.assertIn(self.connect(service, v2("198.51.100.10"), tls=True)[:3], ("220", "+OK"))

    def test_http(self):
        def status(header, source=BALANCER):
            return self.connect("http", header + b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", source)[:12]
        self.assertEqual(status(v1("127.0.0.1")), "HTTP/1.1 200")
        self.assertEqual(status(v1("198.51.100.11")), "HTTP/1.1 403", "http.ipmap.tab is asked about the client")
        self.assertEqual(status(b"", "127.0.0.1"), "HTTP/1.1 200")
        self.assertEqual(status(v1("198.51.100.11"), "127.0.0.1"), "HTTP/1.1 501")
        self.assertEqual(status(b""), "")

    def test_in_pieces(self):
        for header in (v1("192.0.2.7"), v2("192.0.2.7")):
            with Lines(self.server.ports["smtp"], source=BALANCER, greeting=False) as c:
                for octet in header:
                    c.send(bytes([octet]))
                self.assertEqual(c.reply()[:3], "554")

    def test_commands_in_the_same_segment(self):
        with Lines(self.server.ports["smtp"], source=BALANCER, greeting=False) as c:
            c.send(v1("198.51.100.12") + b"EHLO x\r\nQUIT\r\n")
            self.assertEqual([c.reply()[:3] for _ in range(3)], ["220", "250", "221"])

    def test_the_balancer_itself(self):
        for header in (v2("192.0.2.7", command=0), b"PROXY UNKNOWN\r\n", V2 + b"\x21\0\0\0"):
            self.assertEqual(self.connect("smtp", header)[:3], "220", "its own address counts")
            self.assertEqual(self.connect("smtp", header, "127.0.9.2")[:3], "554")

    def test_no_header(self):
        for header in (b"EHLO x\r\n", b"PROXY TCP4 1.2.3.4\r\n", V2 + b"\x31\x11\0\0", v1("198.51.100.1")[:-2] + b"\n",
                       b"PROXY UNKNOWN " + b"x" * 200):
            with self.subTest(header=header):
                self.assertEqual(self.connect("smtp", header), "")
        with Lines(self.server.ports["smtp"], source=BALANCER, greeting=False) as c:
            c.send(v1("198.51.100.1")[:20])
            c.sock.shutdown(socket.SHUT_WR)
            self.assertEqual(c.reply(), "")
        self.assertIn("no PROXY header", self.server.log_text())
        self.assertEqual(self.connect("smtp", v1("198.51.100.1"))[:3], "220")

    def test_others_may_not(self):
        """For them it is a command that nobody knows: what it claims counts for nothing."""
        with Lines(self.server.ports["smtp"], source="127.0.0.1") as c:
            self.assertEqual(c.greeting[:3], "220")
            self.assertEqual(c.say(v1("192.0.2.7")[:-2])[:3], "500")
            self.assertEqual(c.say("EHLO x")[:3], "250")
        with Lines(self.server.ports["pop3"], source="127.0.0.1") as c:
            self.assertTrue(c.say(v1("192.0.2.7")[:-2]).startswith("-ERR"))
        with Lines(self.server.ports["ctrl"], source=BALANCER) as c:
            self.assertTrue(c.greeting.startswith("+00000"), "the control protocol has no balancers")

    def test_limits_count_clients(self):
        held = []
        try:
            for client in ("198.51.100.21",) * 3 + ("198.51.100.22",) * 3:
                c = Lines(self.server.ports["smtp"], source=BALANCER, greeting=False)
                held.append(c)
                c.send(v1(client))
                self.assertEqual(c.reply()[:3], "220")
            self.assertEqual(self.connect("smtp", v1("198.51.100.21"))[:3], "421")
        finally:
            for c in held:
                c.close()

    def test_live(self):
        self.server.set(ProxyProtocolFrom="127.0.9.0/24,127.0.10.0/24")
        self.assertTrue(wait_until(lambda: self.connect("smtp", v1("192.0.2.7"), "127.0.10.1").startswith("554")))


if __name__ == "__main__":
    unittest.main()
