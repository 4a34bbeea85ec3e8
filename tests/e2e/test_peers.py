"""Mail to and from Postfix, Exim and OpenSMTPD: each message once, as it was."""
import re
import smtplib
import unittest

import peers
from harness import DOMAIN, Server, wait_until
from test_relay import FAST, client, entries

COUNT = 30


def text(i):
    """Dots, long and empty lines, 8-bit octets; each message its own."""
    return (f"From: alice@{DOMAIN}\r\nTo: box@peer.example\r\nSubject: number {i}\r\nMIME-Version: 1.0\r\n"
            f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\nX-Number: {i}\r\n\r\n"
            f".\r\n..two\r\n\r\n{'飛脚' * (i * 10 % 150)}\r\n{'x' * (i * 997 % 20000 % 990)}\r\n" + "line\r\n" * (i * 50) + ".end\r\n").encode()


def body(message):
    return message.replace(b"\r\n", b"\n").split(b"\n\n", 1)[1]


@unittest.skipIf(peers.cannot_run(), peers.cannot_run())
class Peers(unittest.TestCase):
    def there_and_back(self, kind):
        server = Server(settings=FAST)
        try:
            peer = kind(server.ports["smtp"])
        except OSError as e:
            self.skipTest(str(e))
        server.append("smtpfwd.tab", ("peer.example", f"127.0.0.1:{peer.port}"))
        with server:
            # The peer comes up later.
            c = client(server)
            for i in range(COUNT):
                c.sendmail(f"alice@{DOMAIN}", ["box@peer.example"], text(i), ["BODY=8BITMIME"])
            c.close()
            self.assertTrue(wait_until(lambda: "delivery deferred" in server.log_text()))
            with peer:
                self.assertTrue(wait_until(lambda: len(peer.mail()) >= COUNT and not entries(server), 90),
                                (len(peer.mail()), peer.words()[-2000:], server.log_text()[-1500:]))
                got = {int(re.search(rb"\nX-Number: (\d+)", m)[1]): m for m in peer.mail()}
                self.assertEqual((len(peer.mail()), sorted(got)), (COUNT, list(range(COUNT))))
                for i, message in got.items():
                    self.assertEqual(body(message).rstrip(b"\n"), body(text(i)).rstrip(b"\n"), i)
                with smtplib.SMTP("127.0.0.1", peer.port, "them.example", timeout=60) as s:
                    for i in range(COUNT):
                        s.sendmail("box@peer.example", [f"alice@{DOMAIN}"] + [f"bob@{DOMAIN}"] * (i % 2), text(i), ["BODY=8BITMIME"])
                self.assertTrue(wait_until(lambda: len(server.mailbox("alice")) >= COUNT and
                                           len(server.mailbox("bob")) >= COUNT // 2, 90), peer.words()[-2000:])
            for user, numbers in (("alice", range(COUNT)), ("bob", range(1, COUNT, 2))):
                messages = [server.read(user, name) for name in server.mailbox(user)]
                # Nor reports of the delay while the peer came up.
                messages = [m for m in messages if b"\nContent-Type: multipart/report" not in m]
                back = {}
                for message in messages:
                    back[int(re.search(rb"\nX-Number: (\d+)", message)[1])] = message
                self.assertEqual((len(messages), sorted(back)), (len(numbers), list(numbers)))
                for i, message in back.items():
                    self.assertEqual(body(message), body(text(i)), i)

    def test_postfix(self):
        self.there_and_back(peers.Postfix)

    def test_exim(self):
        self.there_and_back(peers.Exim)

    def test_opensmtpd(self):
        self.there_and_back(peers.OpenSmtpd)


if __name__ == "__main__":
    unittest.main()
