"""Fifty ways in which a server of the other side misbehaves. Each gets one message for itself; a message to a well-behaved
server follows it. The mail is kept, or fails with a reason, or was taken; nothing hangs, nothing dies, and no way of
saying yes at the wrong moment counts as acceptance."""
import os
import re
import subprocess
import tempfile
import time
import unittest

from harness import Server, wait_until
from sink import Sink
from test_relay import FAST, send

KEPT = "delivery deferred"
FAILED = "delivery failed"
TAKEN = "delivered"


def twice(line):
    return line + b"\r\n" + line + b"\r\n"


def endless(key):
    """Continuation lines for as long as somebody reads."""
    def more(session, _):
        code = {"connect": b"220", "DATA": b"354"}.get(key, b"250")
        end = time.monotonic() + 30
        while time.monotonic() < end:
            session.sock.sendall(code + b"-and so on\r\n" * 1000)
        raise EOFError
    return more


def drops(key):
    """A byte a moment, never a line."""
    def drip(session, _):
        end = time.monotonic() + 30
        while time.monotonic() < end:
            session.sock.sendall(b"2")
            time.sleep(0.2)
        raise EOFError
    return {key: drip}


def reset_after(text):
    def say(session, _):
        session.say(text)
        raise EOFError
    return say


def every_second(reply):
    """Of the recipients, as greylisting by recipient does."""
    def rcpt(session, line):
        return reply if b"second@" in line else ""
    return rcpt


def ways(tls):
    """name, script, keywords, TLS of the server, what becomes of the mail"""
    p = ("PIPELINING",)
    rows = []
    for key in ("connect", "EHLO", "MAIL", "RCPT", "DATA", "in-data", "dot"):
        rows.append((f"closes at {key}", {key: None}, p, None, KEPT))
    for key in ("MAIL", "RCPT", "DATA", "dot"):
        rows.append((f"421 at {key}, then closes", {key: reset_after("421 4.3.2 going down")}, p, None, KEPT))
        rows.append((f"hangs at {key}", {key: 20}, p, None, KEPT))
        rows.append((f"a reply with no code at {key}", {key: b"certainly\r\n"}, p, None, KEPT))
        rows.append((f"a reply of 999 at {key}", {key: b"999 what\r\n"}, p, None, KEPT))
        rows.append((f"endless lines at {key}", {key: endless(key)}, p, None, KEPT))
    for key in ("connect", "EHLO"):
        rows.append((f"hangs at {key}", {key: 20}, p, None, KEPT))
        rows.append((f"endless lines at {key}", {key: endless(key)}, p, None, KEPT))
        rows.append((f"drops at {key}", drops(key), p, None, KEPT))
    rows += [
        ("drops behind the dot", drops("dot"), p, None, KEPT),
        ("a line of 1 MB", {"connect": b"220 " + b"x" * 1000000 + b"\r\n"}, p, None, TAKEN),
        ("codes of one reply differ", {"RCPT": b"250-a\r\n550 b\r\n"}, p, None, KEPT),
        ("NUL in the greeting", {"connect": b"220 a\0b\r\n250 x\r\n"}, p, None, f"{KEPT}|{TAKEN}"),
        ("greets with 554", {"connect": "554 5.3.2 no"}, p, None, KEPT + "|" + FAILED),
        ("250 at DATA", {"DATA": "250 fine"}, p, None, KEPT),
        ("250 at DATA without pipelining", {"DATA": "250 fine"}, (), None, KEPT),
        ("354 behind the dot", {"dot": "354 more"}, p, None, KEPT),
        ("354 at RCPT", {"RCPT": "354 go"}, (), None, KEPT),
        ("354, then closes", {"in-data": None}, (), None, KEPT),
        ("421 behind the dot", {"dot": "421 4.3.2 no"}, p, None, KEPT),
        ("552 behind the dot", {"dot": "552 5.2.2 full"}, p, None, FAILED),
        ("503 for all commands", {k: "503 5.5.1 no" for k in ("MAIL", "RCPT", "DATA")}, p, None, FAILED),
        ("announces SIZE, refuses at MAIL", {"MAIL": "552 5.3.4 big"}, ("SIZE 100000",), None, FAILED),
        ("SIZE too small", {}, ("SIZE 10",), None, FAILED),
        ("SIZE is no number", {}, ("SIZE lots",), None, TAKEN),
        ("SIZE overflows", {}, ("SIZE 99999999999999999999999",), None, TAKEN),
        ("announces a thousand things", {}, [f"X{i}" for i in range(1000)], None, KEPT + "|" + TAKEN),
        ("recipient greylisted, another taken", {"RCPT": every_second("450 4.2.0 later")}, p, None, KEPT),
        ("recipient refused, another taken", {"RCPT": every_second("550 5.1.1 who")}, p, None, FAILED),
        ("replies doubled", {"RCPT": twice(b"250 ok"), "MAIL": twice(b"250 ok")}, p, None, KEPT + "|" + TAKEN),
        ("replies before it is asked", {"EHLO": b"250-x\r\n250 PIPELINING\r\n" + b"250 ok\r\n" * 3 + b"354 go\r\n250 ok\r\n"},
         (), None, KEPT),
        ("STARTTLS offered, refused", {"STARTTLS": "454 4.7.0 not now"}, p, tls, KEPT + "|" + TAKEN),
        ("STARTTLS offered, closes", {"STARTTLS": None}, p, tls, KEPT + "|" + TAKEN),
        ("garbage for a handshake", {"STARTTLS": reset_after(b"220 go\r\n" + b"nonsense " * 20)}, p, tls, KEPT + "|" + TAKEN),
        ("replies in plain text behind STARTTLS", {"STARTTLS": reset_after(b"220 go\r\n250 ok\r\n250 ok\r\n")}, p, tls,
         KEPT + "|" + TAKEN),
        ("a certificate of nobody", {}, p, tls, TAKEN),
    ]
    return rows


class HostileServers(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        pair = [os.path.join(self.folder.name, n) for n in ("cert", "key")]
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=elsewhere.invalid", "-days",
                        "2", "-out", pair[0], "-keyout", pair[1]], check=True, capture_output=True)
        self.rows = ways(pair)

    def test_fifty_ways(self):
        self.assertGreaterEqual(len(self.rows), 50)
        self.assertEqual(len({r[0] for r in self.rows}), len(self.rows))
        sinks = [Sink(script, keywords=keywords, tls=tls) for _, script, keywords, tls, _ in self.rows]
        good = Sink()
        try:
            server = Server(settings=dict(FAST, RetryFirst="3600", RetryLongest="3600", RemoteTimeout="3"), listen=True)
            # Before the start: a table that is changed later counts a moment later, and mail would go elsewhere.
            server.append("smtpfwd.tab", *[(f"w{i}.example", f"127.0.0.1:{s.port}") for i, s in enumerate(sinks)],
                          ("good.example", f"127.0.0.1:{good.port}"))
            with server:
                self.walk(server, sinks, good)
        finally:
            for sink in sinks + [good]:
                sink.close()

    def walk(self, server, sinks, good):
        pids = [server.role_pid(role) for role in ("queue", "relay")]
        for i in range(len(sinks)):
            send(server, [f"first@w{i}.example", f"second@w{i}.example"])
        send(server, ["a@good.example"])
        self.assertTrue(wait_until(lambda: good.messages, 60))
        for i, (name, _, _, _, wanted) in enumerate(self.rows):
            with self.subTest(name):
                told = rf"({KEPT}|{FAILED}|{TAKEN}) .*rcpt=\"?second@w{i}\.example"
                self.assertTrue(wait_until(lambda t=told: re.search(t, server.log_text()), 120), server.log_text()[-3000:])
                found = re.search(told, server.log_text()).group(1)
                self.assertIn(found, wanted.split("|"), [x for x in server.log_text().splitlines() if f"w{i}.ex" in x])
                self.assertNotIn("DNS: ", "".join(x for x in server.log_text().splitlines() if f"w{i}.ex" in x))
                if found == TAKEN:
                    self.assertTrue(sinks[i].messages)
        self.assertEqual([server.role_pid(role) for role in ("queue", "relay")], pids)
