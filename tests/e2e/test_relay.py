"""Mail to other servers: routes, TLS, logins, misbehaving servers, reports, retries."""
import email
import email.policy
import glob
import json
import os
import re
import smtplib
import socket
import struct
import subprocess
import threading
import time
import unittest

from harness import DOMAIN, PASSWORD, PROGRAM, Server, wait_until
from sink import Sink
from test_ctrl import Ctrl

FAST = {"RetryFirst": "1", "RetryLongest": "1", "SmtpNoTLSAuths": "PLAIN LOGIN", "LoginDelay": "0",
        "SmartDNSHost": "127.0.0.1@9", "DnssecAnchor": "", "RemoteTimeout": "4"}


def client(server, user="alice"):
    c = smtplib.SMTP("127.0.0.1", server.ports["submission"], "me.example", timeout=30)
    c.starttls()
    c.login(f"{user}@{DOMAIN}", PASSWORD)
    return c


def send(server, to, text="Subject: t\r\n\r\nhello\r\n", mail=(), rcpt=(), sender=f"alice@{DOMAIN}"):
    c = client(server)
    try:
        return c.sendmail(sender, to, text, mail, rcpt)
    finally:
        c.close()


def entries(server, folder="??"):
    return [p for p in glob.glob(server.path("queue", folder, "*")) if not p.endswith(".journal")]


def gateway(sink, **settings):
    return Server(settings=dict(FAST, DefaultSMTPGateways=f"127.0.0.1:{sink.port}", **settings))


def report(server, user="alice", count=1):
    """The newest message of a mailbox, as a report."""
    names = wait_until(lambda: len(server.mailbox(user)) >= count and server.mailbox(user), 30)
    assert names, server.log_text()
    return email.message_from_bytes(server.read(user, names[-1]), policy=email.policy.default)


def status_fields(message):
    """The delivery-status part's blocks."""
    part = next(p for p in message.walk() if p.get_content_type().endswith("delivery-status"))
    return part.get_payload()


class Relay(unittest.TestCase):
    def test_content_arrives_exactly(self):
        text = "Subject: dots\r\n\r\n.\r\n..x\r\n.y\r\n" + "z" * 900 + "\r\n\r\nlast"
        with Sink() as sink, gateway(sink) as server:
            send(server, ["x@far.example"], text)
            message = wait_until(lambda: sink.messages)[0]
            self.assertTrue(message["data"].endswith(b"\r\n\r\n.\r\n..x\r\n.y\r\n" + b"z" * 900 + b"\r\n\r\nlast\r\n"))
            self.assertTrue(wait_until(lambda: not entries(server)))
            self.assertIn(b"MAIL FROM:<alice@test.example> SIZE=", message["from"])

    def test_large_message(self):
        body = "\r\n".join(f"{i:070}" for i in range(60000))
        with Sink() as sink, gateway(sink) as server:
            send(server, ["x@far.example"], "Subject: l\r\n\r\n" + body + "\r\n")
            message = wait_until(lambda: sink.messages)[0]
            self.assertTrue(message["data"].endswith(body.encode() + b"\r\n"))

    def test_strangers_may_not_relay(self):
        with Sink() as sink, gateway(sink) as server:
            c = smtplib.SMTP("127.0.0.1", server.ports["smtp"], timeout=30)
            with self.assertRaises(smtplib.SMTPRecipientsRefused) as refused:
                c.sendmail("a@far.example", ["x@far.example"], "x\r\n")
            self.assertEqual(refused.exception.recipients["x@far.example"][0], 550)
            server.append("smtprelay.tab", ("127.0.0.1", "255.255.255.255"))
            wait_until(lambda: self.try_relay(server))
            self.assertTrue(wait_until(lambda: sink.messages))

    def try_relay(self, server):
        try:
            with smtplib.SMTP("127.0.0.1", server.ports["smtp"], timeout=30) as c:
                return c.sendmail("a@far.example", ["x@far.example"], "x\r\n") == {}
        except smtplib.SMTPRecipientsRefused:
            return False

    def test_one_connection_carries_many(self):
        with Sink() as sink, gateway(sink, MaxPerDestination="1") as server:
            c = client(server)
            for i in range(20):
                c.sendmail(f"alice@{DOMAIN}", [f"x{i}@far.example"], "x\r\n")
            self.assertTrue(wait_until(lambda: len(sink.messages) == 20))
            self.assertLessEqual(sink.connections, 2)

    def test_many_recipients(self):
        with Sink() as sink, gateway(sink) as server:
            send(server, [f"x{i}@far.example" for i in range(90)] + ["y@other.example", f"bob@{DOMAIN}"])
            self.assertTrue(wait_until(lambda: sum(len(m["rcpts"]) for m in sink.messages) == 91))
            self.assertEqual(len(server.mailbox("bob")), 1)
            self.assertEqual(sorted(len(m["rcpts"]) for m in sink.messages), [1, 40, 50])

    def test_alias_outside(self):
        with Sink() as sink, gateway(sink) as server:
            server.append("aliases.tab", (DOMAIN, "away", "someone@far.example"))
            wait_until(lambda: self.local(server, "away"))
            self.assertTrue(wait_until(lambda: sink.messages))
            self.assertEqual(sink.messages[0]["rcpts"], [b"RCPT TO:<someone@far.example>"])

    def local(self, server, name):
        try:
            with smtplib.SMTP("127.0.0.1", server.ports["smtp"], timeout=30) as c:
                return c.sendmail("a@far.example", [f"{name}@{DOMAIN}"], "x\r\n") == {}
        except smtplib.SMTPRecipientsRefused:
            return False


class Routes(unittest.TestCase):
    def test_tables_and_their_order(self):
        with Sink(name="gw") as gw, Sink(name="fwd") as fwd, Sink(name="default") as default:
            server = gateway(default)
            server.append("smtpgw.tab", ("gw.example", f"@127.0.0.1:{gw.port},@second.example"))
            server.append("smtpfwd.tab", ("*.example", f"127.0.0.1:1;127.0.0.1:{fwd.port}"),
                          ("never.example", "127.0.0.1:1"))
            with server:
                send(server, ["a@gw.example", "b@never.example", "c@far.test"])
                self.assertTrue(wait_until(lambda: gw.messages and fwd.messages and default.messages))
                self.assertEqual(gw.messages[0]["rcpts"], [b"RCPT TO:<@second.example:a@gw.example>"])
                self.assertEqual(fwd.messages[0]["rcpts"], [b"RCPT TO:<b@never.example>"])
                self.assertEqual(default.messages[0]["rcpts"], [b"RCPT TO:<c@far.test>"])

    def test_out_bind(self):
        """The address to connect from: of a host, or of SmtpGwConfig for all others; one that isn't ours is temporary."""
        with Sink() as sink, Server(settings=dict(FAST, SmtpGwConfig="OutBind=127.0.0.8")) as server:
            at = f"127.0.0.1:{sink.port}"
            server.append("smtpfwd.tab", ("one.example", at + ",OutBind=127.0.0.9"), ("two.example", at),
                          ("three.example", at + ",OutBind=192.0.2.1"))
            send(server, [f"x@{domain}.example" for domain in ("one", "two", "three")])
            self.assertTrue(wait_until(lambda: len(sink.messages) == 2 and "use the address asked for" in server.log_text()), server.log_text())
            self.assertEqual(sorted(sink.clients), ["127.0.0.8", "127.0.0.9"])

    def test_address_literal(self):
        with Sink() as sink, Server(settings=dict(FAST, RemotePort=str(sink.port))) as server:
            send(server, ["x@[127.0.0.1]"])
            self.assertTrue(wait_until(lambda: sink.messages))

    def test_mx(self):
        """Preference, a dead first server, null MX, no such domain, MX that leads back here."""
        with Sink(name="one") as one, FakeDns() as dns:
            dns.mx("far.example", (20, "good.example"), (10, "dead.example"))
            dns.a("good.example", "127.0.0.1")
            dns.a("dead.example", "127.0.0.9")
            dns.mx("null.example", (0, ""))
            dns.a("plain.example", "127.0.0.1")
            dns.mx("noaddress.example", (5, "nothing.example"))
            with Server(settings=dict(FAST, SmartDNSHost=f"127.0.0.1@{dns.port}", RemotePort=str(one.port))) as server:
                send(server, ["a@far.example", "b@plain.example", "c@null.example", "d@nowhere.example",
                              "e@noaddress.example"])
                self.assertTrue(wait_until(lambda: len(one.messages) == 2))
                wait_until(lambda: len(server.mailbox("alice")) >= 1, 20)
                time.sleep(1)
                text = "".join(server.read("alice", n).decode() for n in server.mailbox("alice"))
                for rcpt, status in (("c@null", "5.1.10"), ("d@nowhere", "5.1.2"), ("e@noaddress", "5.1.2")):
                    self.assertRegex(text, rf"Final-Recipient: rfc822; {rcpt}.example\nAction: failed\nStatus: {status}\n")

    def test_a_new_line_counts_at_once(self):
        """Also for a domain whose route by the DNS is remembered."""
        with Sink(name="old") as old, Sink(name="new") as new, FakeDns() as dns:
            dns.a("plain.example", "127.0.0.1")
            with Server(settings=dict(FAST, SmartDNSHost=f"127.0.0.1@{dns.port}", RemotePort=str(old.port))) as server:
                send(server, ["a@plain.example"])
                self.assertTrue(wait_until(lambda: old.messages))
                server.append("smtpfwd.tab", ("plain.example", f"127.0.0.1:{new.port}"))
                time.sleep(1)
                send(server, ["b@plain.example"])
                self.assertTrue(wait_until(lambda: new.messages))
                self.assertEqual(len(old.messages), 1)

    def test_dnssec(self):
        """With a key for the root, an answer that isn't signed is no answer; the mail waits and says why."""
        with Sink() as one, FakeDns() as dns:
            dns.a("plain.example", "127.0.0.1")
            server = Server(settings=dict(FAST, SmartDNSHost=f"127.0.0.1@{dns.port}", RemotePort=str(one.port)))
            with open(server.path("root.key"), "w", encoding="utf-8") as f:
                f.write(". IN DS 20326 8 2 " + "AB" * 32 + "\n")
            server.set(DnssecAnchor=server.path("root.key"))
            with server:
                send(server, ["a@plain.example"])
                self.assertTrue(wait_until(lambda: re.search("delivery deferred .*plain.example.*DNSSEC", server.log_text()), 60),
                                server.log_text()[-2000:])
                self.assertEqual(one.messages, [])

    def test_domains_of_one_server(self):
        """Their connections together stay within MaxPerDestination."""
        now, most, lock = [0], [0], threading.Lock()
        def begin(_session, _line):
            with lock:
                now[0] += 1
                most[0] = max(most[0], now[0])
            return ""
        def end(_session, _line):
            time.sleep(0.05)
            with lock:
                now[0] -= 1
            return ""
        with Sink({"MAIL": begin, "dot": end}) as one, FakeDns() as dns:
            dns.a("mx.example", "127.0.0.1")
            for i in range(20):
                dns.mx(f"d{i}.example", (10, "mx.example"))
            with Server(settings=dict(FAST, SmartDNSHost=f"127.0.0.1@{dns.port}", RemotePort=str(one.port),
                                      MaxPerDestination="3")) as server:
                c = client(server)
                for i in range(60):
                    c.sendmail(f"alice@{DOMAIN}", [f"x@d{i % 20}.example"], "Subject: t\r\n\r\nx\r\n")
                self.assertTrue(wait_until(lambda: len(one.messages) == 60, 40), (len(one.messages), server.log_text()[-2000:]))
                self.assertEqual(most[0], 3)
                self.assertLessEqual(one.connections, 30)
                self.assertEqual(server.log_text().count("delivery deferred"), 0)

    def test_names_that_are_aliases(self):
        """CNAMEs of the domain and of its servers; a name that is an alias of itself."""
        with Sink() as one, FakeDns() as dns:
            dns.cname("alias.example", "real.example")
            dns.mx("real.example", (10, "mx.example"))
            dns.cname("mx.example", "host.example")
            dns.a("host.example", "127.0.0.1")
            dns.cname("ring.example", "ring2.example")
            dns.cname("ring2.example", "ring.example")
            with Server(settings=dict(FAST, SmartDNSHost=f"127.0.0.1@{dns.port}", RemotePort=str(one.port))) as server:
                send(server, ["a@alias.example", "b@ring.example"])
                self.assertTrue(wait_until(lambda: one.messages))
                self.assertEqual(one.messages[0]["rcpts"], [b"RCPT TO:<a@alias.example>"])
                self.assertTrue(wait_until(lambda: re.search(r"(deferred|failed) .*rcpt=b@ring.example",
                                                             server.log_text()), 40), server.log_text()[-2000:])

    def test_dns_that_is_silent_or_lies(self):
        """Their mail waits; nobody else's does, and nothing breaks."""
        flags = lambda data, bits: data[:2] + struct.pack(">H", bits) + data[4:6] + b"\0\0\0\0\0\0" + data[12:]
        odd = {"silent.example": lambda data: None,
               "broken.example": lambda data: flags(data, 0x8182),
               "refused.example": lambda data: flags(data, 0x8185),
               "garbage.example": lambda data: data[:2] + os.urandom(200),
               "other.example": lambda data: os.urandom(2) + flags(data, 0x8180)[2:],
               "short.example": lambda data: data[:7],
               "cut.example": lambda data: flags(data, 0x8380)}
        with Sink() as one, FakeDns() as dns:
            dns.odd = odd
            dns.a("good.example", "127.0.0.1")
            dns.mx("control.example", (10, "a\x07b c.example"))
            dns.mx("many.example", *[(i, f"m{i}.example") for i in range(60)])
            dns.a("m0.example", "127.0.0.1")
            with Server(settings=dict(FAST, SmartDNSHost=f"127.0.0.1@{dns.port}", RemotePort=str(one.port))) as server:
                pid = server.role_pid("relay")
                c = client(server)
                for name in odd:
                    for i in range(8):
                        c.sendmail(f"alice@{DOMAIN}", [f"x{i}@{name}"], "Subject: t\r\n\r\nx\r\n")
                c.sendmail(f"alice@{DOMAIN}", ["good@good.example", "many@many.example", "c@control.example"], "x\r\n")
                self.assertTrue(wait_until(lambda: len(one.messages) >= 2, 30),
                                [m["rcpts"] for m in one.messages] + re.findall(".*(?:good|many|control)@.*", server.log_text()))
                for name in odd:
                    self.assertTrue(wait_until(lambda: re.search(rf"delivery deferred .*@{name} .*status=4\.",
                                                                 server.log_text()), 120), name)
                self.assertTrue(wait_until(lambda: "c@control.example" in server.log_text().split("accepted")[-1], 30))
                self.assertEqual(server.role_pid("relay"), pid)
                self.assertTrue(wait_until(lambda: len(entries(server)) == 8 * len(odd), 30), len(entries(server)))

    def test_mail_that_would_come_back(self):
        with FakeDns() as dns:
            dns.mx("loop.example", (10, "us.example"))
            dns.a("us.example", "127.0.0.1")
            server = Server(settings=dict(FAST, SmartDNSHost=f"127.0.0.1@{dns.port}"))
            server.set(RemotePort=str(server.ports["smtp"]))
            with server:
                send(server, ["a@loop.example"])
                self.assertIn("5.4.6", report(server).as_string())

    def test_login_at_the_gateway(self):
        with Sink(keywords=("AUTH PLAIN LOGIN", "PIPELINING")) as sink:
            server = gateway(sink)
            os.makedirs(server.path("userauth", "smtp"), exist_ok=True)
            with open(server.path("userauth", "smtp", "127.0.0.1.tab"), "w", encoding="utf-8") as f:
                f.write('"PLAIN"\t"us"\t"our-word"\n')
            with server:
                send(server, ["x@far.example"])
                self.assertEqual(wait_until(lambda: sink.messages)[0]["auth"], b"\0us\0our-word")
                self.assertNotIn("our-word", server.log_text())

    def test_token_at_the_gateway(self):
        """XOAUTH2; a server that refuses says why in a challenge, which wants an empty answer."""
        why = []

        def refuse(session, line):
            del line
            session.say("334 eyJzdGF0dXMiOiI0MDEifQ==")
            why.append(session.line())
            return "535 5.7.8 the token is over"
        words = ("AUTH XOAUTH2", "PIPELINING")
        server = Server(settings=FAST)
        with Sink(keywords=words) as good, Sink(keywords=words, script={"AUTH": refuse}) as bad:
            os.makedirs(server.path("userauth", "smtp"), exist_ok=True)
            with open(server.path("userauth", "smtp", "127.0.0.1.tab"), "w", encoding="utf-8") as f:
                f.write('"XOAUTH2"\t"us@far.example"\t"our-token"\n')
            server.append("smtpfwd.tab", ("good.example", f"127.0.0.1:{good.port}"), ("bad.example", f"127.0.0.1:{bad.port}"))
            with server:
                send(server, ["a@good.example", "b@bad.example"])
                self.assertEqual(wait_until(lambda: good.messages, 60)[0]["auth"], b"user=us@far.example\1auth=Bearer our-token\1\1")
                self.assertTrue(wait_until(lambda: "the token is over" in server.log_text(), 60))
                self.assertEqual(set(why), {b""})
                self.assertEqual(bad.messages, [])
                self.assertNotIn("our-token", server.log_text())

    def test_tls(self):
        """Opportunistic with any certificate; demanded where it isn't offered; broken TLS."""
        server = Server(settings=FAST)
        pair = (server.path("server.cert"), server.path("server.key"))
        with Sink(tls=pair) as good, Sink() as plain, Sink(tls=pair, script={"STARTTLS": "454 4.7.0 not now"}) as broken:
            server.append("smtpfwd.tab", ("good.example", f"127.0.0.1:{good.port}"),
                          ("must.example", f"127.0.0.1:{plain.port},NeedTLS=2"),
                          ("never.example", f"127.0.0.1:{good.port},NeedTLS=0"),
                          ("broken.example", f"127.0.0.1:{broken.port}"))
            with server:
                send(server, ["a@good.example"])
                self.assertTrue(wait_until(lambda: good.messages)[0]["tls"])
                send(server, ["a@never.example"])
                self.assertTrue(wait_until(lambda: len(good.messages) == 2))
                self.assertFalse(good.messages[1]["tls"])
                send(server, ["a@must.example"])
                self.assertTrue(wait_until(lambda: "offers no TLS" in server.log_text()))
                self.assertEqual(plain.messages, [])
                server.set(SSLWantVerify="1")
                time.sleep(1.5)
                send(server, ["b@good.example"])
                self.assertTrue(wait_until(lambda: "certificate of" in server.log_text()))
                self.assertEqual(len(good.messages), 2)
                with open(server.path("certs.pem"), "wb") as f:
                    f.write(b"not yet\n")
                server.set(SSLUseCertsFile="1")
                self.assertTrue(wait_until(lambda: "certificate authorities not usable" in server.log_text()))
                with open(pair[0], "rb") as one, open(server.path("certs.pem"), "wb") as f:
                    f.write(one.read())
                self.assertTrue(wait_until(lambda: len(good.messages) == 3), server.log_text()[-2000:])


class FakeDns:
    """A resolver that knows what it was told, and nothing else. odd: what it answers about a name instead: a function
    of the query that returns the octets, or None for silence."""

    def __init__(self):
        self.records, self.odd = {}, {}
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    @staticmethod
    def wire(name):
        return b"".join(bytes([len(p)]) + p.encode() for p in name.split(".") if p) + b"\0"

    def a(self, name, *addresses):
        self.records[(name, 1)] = [socket.inet_aton(x) for x in addresses]

    def mx(self, name, *servers):
        self.records[(name, 15)] = [struct.pack(">H", p) + self.wire(s) for p, s in servers]

    def txt(self, name, text):
        self.records[(name, 16)] = [bytes([len(text)]) + text.encode()]

    def ptr(self, name, target):
        self.records[(name, 12)] = [self.wire(target)]

    def cname(self, name, target):
        self.records[(name, 5)] = [self.wire(target)]

    def find(self, name, kind):
        """(name, type, value) of the answer, through CNAMEs."""
        rows = []
        for _ in range(20):
            target = self.records.get((name, 5))
            if kind == 5 or not target:
                break
            rows.append((name, 5, target[0]))
            at, labels = 0, []
            while target[0][at]:
                labels.append(target[0][at + 1:at + 1 + target[0][at]].decode())
                at += target[0][at] + 1
            name = ".".join(labels)
        return rows + [(name, kind, value) for value in self.records.get((name, kind), [])]

    def serve(self):
        while True:
            try:
                data, peer = self.sock.recvfrom(4096)
            except OSError:
                return
            labels, at = [], 12
            while data[at]:
                labels.append(data[at + 1:at + 1 + data[at]].decode().lower())
                at += data[at] + 1
            kind = struct.unpack(">H", data[at + 1:at + 3])[0]
            name = ".".join(labels)
            found = self.find(name, kind)
            if name in self.odd:
                octets = self.odd[name](data)
                if octets is not None:
                    self.sock.sendto(octets, peer)
                continue
            known = any(n == name for n, _ in self.records) or name == ""
            answer = data[:2] + struct.pack(">HHHHH", 0x8180 | (0 if known else 3), 1, len(found), 0, 0)
            answer += data[12:at + 5]
            for owner, owner_kind, value in found:
                answer += self.wire(owner) + struct.pack(">HHIH", owner_kind, 1, 60, len(value)) + value
            self.sock.sendto(answer, peer)


class Reports(unittest.TestCase):
    def test_failure(self):
        odd = {"RCPT": lambda s, line: "550 5.1.1 <b@far.example>: no such user" if b"<b@" in line else ""}
        with Sink(odd) as sink, gateway(sink) as server:
            send(server, ["a@far.example", "b@far.example"], "Subject: original\r\nX-Mine: 1\r\n\r\nbody text\r\n",
                 mail=["RET=HDRS", "ENVID=env+2Bid"], rcpt=["ORCPT=rfc822;orig+2Binal@far.example"])
            self.assertTrue(wait_until(lambda: sink.messages))
            r = report(server)
            self.assertEqual(r["Auto-Submitted"], "auto-replied")
            self.assertEqual(r["Return-Path"], "<>")
            self.assertEqual(r.get_content_type(), "multipart/report")
            blocks = status_fields(r)
            self.assertEqual(blocks[0]["Original-Envelope-Id"], "env+id")
            self.assertEqual(len(blocks), 2)
            self.assertEqual(blocks[1]["Final-Recipient"], "rfc822; b@far.example")
            self.assertEqual(blocks[1]["Original-Recipient"], "rfc822; orig+inal@far.example")
            self.assertEqual(blocks[1]["Action"], "failed")
            self.assertEqual(blocks[1]["Status"], "5.1.1")
            self.assertIn("550 5.1.1", blocks[1]["Diagnostic-Code"])
            human = r.get_body(("plain",)).get_content()
            self.assertIn("[<00>] XMail bounce: Rcpt=[b@far.example];Error=[550 5.1.1", human)
            last = [p for p in r.walk()][-1]
            self.assertEqual(last.get_content_type(), "text/rfc822-headers")
            self.assertIn("X-Mine: 1", last.get_content())
            self.assertNotIn("body text", r.as_string())
            self.assertTrue(wait_until(lambda: not entries(server)))

    def test_settings(self):
        """What happened, some lines of the message, a copy for ErrorsAdmin, PostMaster as the sender."""
        tries = []

        def later(_session, _line):
            tries.append(1)
            return "451 4.3.0 not yet" if len(tries) < 3 else "550 5.7.1 never"
        with Sink({"RCPT": later}) as sink, gateway(sink, NotifySendLogToSender="1", NotifyMsgLinesExtra="2", NoSenderBounce="0",
                                                    ErrorsAdmin=f"bob@{DOMAIN}", TempErrorsAdmin=f"bob@{DOMAIN}",
                                                    NotifyTryPattern="1") as server:
            send(server, ["a@far.example"], "Subject: original\r\n\r\nfirst\r\nsecond\r\nthird\r\n")
            r = report(server, count=2)
            human = r.get_body(("plain",)).get_content()
            self.assertRegex(human, r"\n\d{4}-\d\d-\d\d \d\d:\d\d:\d\d a@far\.example deferred: 4\.3\.0 .*not yet\n")
            self.assertRegex(human, r"\n\d{4}-\d\d-\d\d \d\d:\d\d:\d\d a@far\.example failed: 5\.7\.1 .*never\n")
            self.assertEqual(r["Return-Path"], f"<alice@{DOMAIN}>")  # PostMaster
            self.assertIn("first\nsecond\n", r.as_string())
            self.assertNotIn("third", r.as_string())
            report(server, "bob", count=2)
            texts = [server.read("bob", n).decode() for n in server.mailbox("bob")]
            self.assertEqual(sorted(re.search(r"\nAction: (\w+)", t)[1] for t in texts), ["delayed", "failed"])

    def test_addresses_in_utf8(self):
        """RFC 6533: a report about them is of the global kind."""
        with Sink({"RCPT": "550 5.1.1 no"}, keywords=("PIPELINING", "SMTPUTF8", "8BITMIME")) as sink, gateway(sink) as server:
            c = client(server)
            c.ehlo()
            c.sendmail(f"alice@{DOMAIN}", ["宛先@far.example"], "Subject: 題\r\n\r\nx\r\n".encode(), mail_options=["SMTPUTF8", "BODY=8BITMIME"])
            r = report(server)
            self.assertEqual(r.get_param("report-type"), "global-delivery-status")
            kinds = [p.get_content_type() for p in r.walk()]
            self.assertIn("message/global-delivery-status", kinds)
            self.assertIn("message/global-headers", kinds)
            text = server.read("alice", server.mailbox("alice")[0]).decode()
            self.assertIn("\nFinal-Recipient: utf-8; 宛先@far.example\n", text)

    def test_japanese(self):
        with Sink({"RCPT": "550 5.1.1 no"}) as sink, gateway(sink, ReportLanguage=f"en,ja:{DOMAIN}") as server:
            send(server, ["a@far.example"])
            r = report(server)
            self.assertIn("配送できませんでした", str(r["Subject"]))
            self.assertIn("宛先に配送できませんでした", r.get_body(("plain",)).get_content())

    def test_notify(self):
        """NEVER is silent; SUCCESS is passed on to who knows DSN, and reported for who doesn't."""
        with Sink(keywords=("PIPELINING",)) as old, Sink() as new:
            server = Server(settings=FAST)
            server.append("smtpfwd.tab", ("old.example", f"127.0.0.1:{old.port}"),
                          ("new.example", f"127.0.0.1:{new.port}"), ("dead.example", "127.0.0.1:1"))
            server.set(QueueLifetime="60")
            with server:
                send(server, ["a@new.example"], rcpt=["NOTIFY=SUCCESS,FAILURE"], mail=["RET=FULL"])
                self.assertIn(b"NOTIFY=SUCCESS,FAILURE", wait_until(lambda: new.messages)[0]["rcpts"][0])
                self.assertIn(b"RET=FULL", new.messages[0]["from"])
                send(server, ["a@old.example"], rcpt=["NOTIFY=SUCCESS"])
                self.assertEqual(status_fields(report(server))[1]["Action"], "relayed")
                send(server, [f"bob@{DOMAIN}"], rcpt=["NOTIFY=SUCCESS"])
                self.assertEqual(status_fields(report(server, count=2))[1]["Action"], "delivered")
                self.assertEqual(len(server.mailbox("bob")), 1)

    def test_expiry_and_delay(self):
        with Sink({"MAIL": "451 4.7.1 greylisted, come back"}) as sink, \
                gateway(sink, NotifyTryPattern="2", QueueLifetime="60") as server:
            send(server, ["a@far.example"])
            r = report(server)
            self.assertEqual(status_fields(r)[1]["Action"], "delayed")
            self.assertIn("4.7.1", status_fields(r)[1]["Status"])
            self.assertTrue(status_fields(r)[1]["Will-Retry-Until"])

    def test_greylisting(self):
        seen = {}

        def grey(_session, line):
            seen[line] = seen.get(line, 0) + 1
            return "450 4.2.0 come back" if b"<b@" in line and seen[line] < 3 else ""
        with Sink({"RCPT": grey}) as sink, gateway(sink) as server:
            send(server, ["a@far.example", "b@far.example"])
            self.assertTrue(wait_until(lambda: len(sink.messages) == 2, 30))
            self.assertEqual([m["rcpts"] for m in sink.messages],
                             [[b"RCPT TO:<a@far.example>"], [b"RCPT TO:<b@far.example>"]])
            self.assertTrue(wait_until(lambda: not entries(server)))
            self.assertEqual(server.mailbox("alice"), [])

    def test_no_report_about_a_report(self):
        with Sink({"RCPT": "550 5.1.1 no"}) as sink, gateway(sink, RemoveSpoolErrors="0") as server:
            server.append("smtprelay.tab", ("127.0.0.1", "255.255.255.255"))
            wait_until(lambda: Relay.try_relay(self, server))
            self.assertTrue(wait_until(lambda: len(entries(server, "frozen")) >= 2, 30))
            time.sleep(1.5)
            self.assertFalse(entries(server))
            self.assertEqual(server.mailbox("alice"), [])

    def test_double_bounces_go_to_the_postmaster(self):
        with Sink({"RCPT": "550 5.1.1 no"}) as sink, gateway(sink, RemoveSpoolErrors="1") as server:
            server.append("smtprelay.tab", ("127.0.0.1", "255.255.255.255"))
            wait_until(lambda: Relay.try_relay(self, server))
            self.assertIn("550 5.1.1", report(server).as_string())
            self.assertTrue(wait_until(lambda: not entries(server)))
            self.assertEqual(entries(server, "frozen"), [])


class Hostile(unittest.TestCase):
    """A server that misbehaves: the mail is kept and tried again, or fails with its words; nothing hangs or dies."""

    def outcomes(self, *rows):
        """Rows of what a server answers, and what the log says then of a message for it; a row may have keywords, too."""
        sinks = [Sink(script, keywords=more[0] if more else ("PIPELINING",)) for script, _, *more in rows]
        server = Server(settings=FAST)
        server.append("smtpfwd.tab", *((f"far{i}.example", f"127.0.0.1:{sink.port}") for i, sink in enumerate(sinks)))
        try:
            with server:
                pid = server.role_pid("relay")
                c = client(server)
                for i in range(len(rows)):
                    c.sendmail(f"alice@{DOMAIN}", [f"a@far{i}.example"], "Subject: t\r\n\r\nhello\r\n")
                for i, (script, wanted, *_) in enumerate(rows):
                    with self.subTest(str(script)[:60]):
                        event, *rest = wanted.split(" ", 2)
                        pattern = f"{event} {rest[0]} [^\n]*rcpt=a@far{i}[.]example [^\n]*" + (rest[1] if len(rest) > 1 else "")
                        self.assertTrue(wait_until(lambda p=pattern: re.search(p, server.log_text()), 30), server.log_text()[-2000:])
                self.assertEqual(server.role_pid("relay"), pid)
        finally:
            for sink in sinks:
                sink.close()

    def test_refusals(self):
        later = "451 4.3.0 not now"
        self.outcomes(*(({key: later, **({"HELO": later} if key == "EHLO" else {})},
                         'delivery deferred status=4.3.0 reason="451 4.3.0 not now')
                        for key in ("connect", "EHLO", "MAIL", "RCPT", "DATA", "dot")),
                      *(({key: "554 5.7.1 never"}, "delivery failed 5[.]7[.]1 [^\n]*554 5.7.1 never")
                        for key in ("MAIL", "RCPT", "DATA", "dot")))

    def test_hang_ups(self):
        self.outcomes(*(({key: None}, "delivery deferred") for key in ("connect", "EHLO", "MAIL", "RCPT", "DATA", "in-data", "dot")))

    def test_nonsense(self):
        lines = [b"hello\r\n", b"\r\n", b"22\r\n", b"999 x\r\n", b"100 x\r\n", b"220\r\n250 x\r\n",
                 b"220-" + b"x" * 100000 + b"\r\n", b"220-a\r\n" * 5000, b"\x00" * 100 + b"\r\n",
                 b"220-a\r\n250 b\r\n", b"220 \x1b[31mred\r\n", b"220 a" * 1000 + b"\n"]
        self.outcomes(*(({"connect": line, "EHLO": b"250 hm\r\n", "MAIL": b"5\r\n"}, "delivery deferred") for line in lines))

    def test_lies_about_pipelining(self):
        """A server that drops what was pipelined, or answers too much; one that takes only little."""
        self.outcomes(({"MAIL": lambda s, line: setattr(s, "data", b"") or "", "RCPT": "250 ok\r\n250 ok\r\n250 ok"}, "(delivery deferred|delivered)"),
                      ({}, "delivery failed 5[.]3[.]4", ("SIZE 100",)))

    def test_no_esmtp(self):
        with Sink({"EHLO": "502 5.5.1 what"}, keywords=()) as sink, gateway(sink) as server:
            send(server, ["a@far.example"])
            self.assertTrue(wait_until(lambda: sink.messages))
            self.assertEqual(sink.messages[0]["from"], b"MAIL FROM:<alice@test.example>")

    def test_utf8_and_8bit_are_honest(self):
        with Sink(keywords=("PIPELINING",)) as sink, gateway(sink) as server:
            c = client(server)
            c.ehlo()
            c.mail(f"alice@{DOMAIN}", ["BODY=8BITMIME"])
            c.rcpt("a@far.example")
            c.data("Subject: x\r\n\r\n\u3042\r\n".encode())
            self.assertEqual(status_fields(report(server))[1]["Status"], "5.6.3")
            c.mail(f"alice@{DOMAIN}", ["SMTPUTF8", "BODY=8BITMIME"])
            c.send("RCPT TO:<\u3042@far.example>\r\n".encode())
            self.assertEqual(c.getreply()[0], 250)
            c.data("Subject: \u3042\r\n\r\nx\r\n".encode())
            r = report(server, count=2)
            self.assertIn("\nStatus: 5.6.7\n", r.as_string())
            self.assertEqual(sink.messages, [])

    def test_a_dead_destination_is_probed_not_hammered(self):
        with Sink() as alive:
            server = Server(settings=dict(FAST, MaxPerDestination="5"))
            server.append("smtpfwd.tab", ("dead.example", "127.0.0.1:1"), ("live.example", f"127.0.0.1:{alive.port}"))
            with server:
                c = client(server)
                for i in range(60):
                    c.sendmail(f"alice@{DOMAIN}", [f"x{i}@dead.example"], "x\r\n")
                c.sendmail(f"alice@{DOMAIN}", ["x@live.example"], "x\r\n")
                self.assertTrue(wait_until(lambda: alive.messages))
                self.assertTrue(wait_until(lambda: "destination is down" in server.log_text()))
                time.sleep(4)
                attempts = server.log_text().count("relay info: attempt")
                self.assertLess(attempts, 30)
                self.assertEqual(len(entries(server)), 60)


class Orders(unittest.TestCase):
    def queue(self, server, *words, code=0):
        done = subprocess.run([PROGRAM, "queue", "--mailroot", server.mailroot, *words], capture_output=True, text=True,
                              timeout=60, check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout

    def test_hikyaku_queue(self):
        with Sink() as sink:
            server = Server(settings=dict(FAST, RetryFirst="600", RetryLongest="600"))
            server.append("smtpfwd.tab", ("*.example", "127.0.0.1:1"))
            with server:
                for i in range(4):
                    send(server, [f"x{i}@far.example"])
                send(server, ["y@other.example"], sender="")
                wait_until(lambda: self.queue(server, "list").count("refused") == 5)
                rows = json.loads(self.queue(server, "list", "--json", "--to", "x*"))
                self.assertEqual(len(rows), 4)
                self.assertEqual(rows[0]["auth"], f"alice@{DOMAIN}")
                self.assertIn("Connection refused", rows[0]["recipients"][0]["reason"])
                self.assertEqual(len(json.loads(self.queue(server, "list", "--json", "--from", "<>"))), 1)
                self.assertEqual(len(json.loads(self.queue(server, "list", "--json", "--reason", "REFUSED"))), 5)
                self.assertEqual(len(json.loads(self.queue(server, "list", "--json", "--older", "1000"))), 0)
                self.assertIn("1 messages would be meant", self.queue(server, "delete", "--dry-run", "--to", "x0@*"))
                self.assertEqual(len(entries(server)), 5)
                self.queue(server, "delete", "--to", "x0@*")
                self.assertTrue(wait_until(lambda: len(entries(server)) == 4))
                self.queue(server, "delete", code=3)  # never all by mistake
                self.queue(server, "hold", rows[1]["id"])
                self.assertTrue(wait_until(lambda: "\nheld\n" in self.queue(server, "show", rows[1]["id"])))
                self.queue(server, "reroute", f"127.0.0.1:{sink.port}", "--all")
                self.assertTrue(wait_until(lambda: len(sink.messages) == 3))
                time.sleep(0.5)
                self.assertEqual(len(sink.messages), 3)
                self.queue(server, "release", rows[1]["id"])
                self.assertTrue(wait_until(lambda: len(sink.messages) == 4))
                self.assertTrue(wait_until(lambda: not entries(server)))
                self.queue(server, "show", "nonsense", code=1)

    def test_frozen_by_the_control_protocol(self):
        answers = {"RCPT": "550 5.1.1 no"}
        with Sink(answers) as sink, gateway(sink, RemoveSpoolErrors="0") as server, Ctrl(server) as c:
            send(server, ["a@far.example", "b@far.example"])
            self.assertTrue(wait_until(lambda: len(entries(server, "frozen")) == 1))
            row, = c.lines("frozlist")
            self.assertEqual(len(row), 9)
            self.assertEqual(row[1:5] + row[8:], ["0", "0", f"<alice@{DOMAIN}>", "<a@far.example>", "froz"])
            log = c.lines("frozgetlog", "0", "0", row[0])
            self.assertIn("550 5.1.1 no", str(log))
            self.assertEqual(c.do("frozgetmsg", "0", "0", row[0]), 100)
            text = b""
            while (line := c.line()) != b".":
                text += line + b"\n"
            self.assertIn(b"MAIL FROM:<alice@test.example>\nRCPT TO:<a@far.example>\n<<MAIL-DATA>>\n", text)
            self.assertTrue(text.endswith(b"\nhello\n"))
            self.assertEqual(c.do("frozgetmsg", "0", "0", "../../server.key"), -214)
            self.assertEqual(c.do("frozgetmsg", "0", "0", "0123456789abcdef01"), -19)
            self.assertEqual(c.do("frozsubmit", "0", "0", "0123456789abcdef01"), -164)
            answers.clear()
            self.assertEqual(c.do("frozsubmit", "0", "0", row[0]), 0)
            self.assertTrue(wait_until(lambda: sink.messages))
            self.assertEqual(len(sink.messages[0]["rcpts"]), 2)
            self.assertTrue(wait_until(lambda: not entries(server)))
            self.assertEqual(c.lines("frozlist"), [])
            self.assertEqual(c.do("frozdel", "0", "0", row[0]), 0)

    def test_etrn(self):
        server = Server(settings=dict(FAST, RetryFirst="600", RetryLongest="600", AllowSmtpETRN="1"))
        port = Sink()
        port.close()
        server.append("smtpfwd.tab", ("*.example", f"127.0.0.1:{port.port}"))
        with server:
            send(server, ["x@far.example", "y@other.example"])
            self.assertTrue(wait_until(lambda: server.log_text().count("delivery deferred") >= 2))
            with Sink(port=port.port) as sink:
                with smtplib.SMTP("127.0.0.1", server.ports["smtp"], timeout=30) as c:
                    self.assertIn("etrn", c.ehlo()[1].decode().lower())
                    self.assertEqual(c.docmd("ETRN", "not a domain")[0], 501)
                    self.assertEqual(c.docmd("ETRN", "far.example")[0], 250)
                self.assertTrue(wait_until(lambda: sink.messages))


class Crashes(unittest.TestCase):
    def count(self, sink):
        seen = {}
        for m in sink.messages:
            for r in m["rcpts"]:
                seen[r] = seen.get(r, 0) + 1
        return seen

    def test_roles_killed(self):
        """Relay and queue killed again and again: nothing is lost, and doubles are the few under way."""
        with Sink({"dot": 0.02}) as sink, gateway(sink) as server:
            c = client(server)
            total, kills = 120, 0
            for i in range(total):
                c.sendmail(f"alice@{DOMAIN}", [f"x{i}@far.example"], "x\r\n")
                if i % 30 == 15:
                    pid = server.role_pid("relay" if i % 60 == 15 else "queue")
                    if pid:
                        os.kill(pid, 9)
                        kills += 1
            self.assertTrue(wait_until(lambda: len(self.count(sink)) == total, 60), len(self.count(sink)))
            self.assertTrue(wait_until(lambda: not entries(server), 30))
            doubles = sum(self.count(sink).values()) - total
            self.assertLessEqual(doubles, 25 * kills)

    def test_everything_killed(self):
        with Sink() as sink:
            server = gateway(sink)
            server.start()
            try:
                c = client(server)
                for i in range(40):
                    c.sendmail(f"alice@{DOMAIN}", [f"x{i}@far.example", f"y{i}@other.example"], "x\r\n")
                server.kill()
                server.start()
                self.assertTrue(wait_until(lambda: len(self.count(sink)) == 80, 60))
                self.assertTrue(wait_until(lambda: not entries(server), 30))
            finally:
                server.close()


if __name__ == "__main__":
    unittest.main()
