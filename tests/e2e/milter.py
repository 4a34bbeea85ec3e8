"""A milter for tests: speaks Sendmail's protocol, notes what it is told, answers as it is scripted."""
import os
import socket
import struct
import threading

CONTINUE = b"c"


def text(*words):
    return b"".join(w.encode() + b"\0" for w in words)


def edit(kind, name, value, index=None):
    return kind + (struct.pack(">I", index) if index is not None else b"") + text(name, value)


class Milter:
    """answers: kind of packet -> packets to send; those not named get "c". On a socket at `path`, or on a port of loopback."""

    def __init__(self, path=None, answers=None, actions=0x13, protocol=0):
        self.answers = dict(answers or {})
        self.actions, self.protocol = actions, protocol
        self.heard = []  # one list of (kind, data) a conversation
        self.raw_offer = None
        self.socket = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        if path and os.path.exists(path):
            os.remove(path)
        self.socket.bind(path or ("127.0.0.1", 0))
        self.where = "unix:" + path if path else "inet:127.0.0.1:%d" % self.socket.getsockname()[1]
        self.socket.listen(50)
        threading.Thread(target=self.serve, daemon=True).start()

    def close(self):
        self.socket.close()

    def serve(self):
        while True:
            try:
                c, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.converse, args=(c,), daemon=True).start()

    def converse(self, c):
        heard = []
        self.heard.append(heard)
        f = c.makefile("rb")
        quiet = {b"L": 0x80, b"C": 0x1000, b"H": 0x2000, b"M": 0x4000, b"R": 0x8000, b"T": 0x10000, b"N": 0x40000, b"B": 0x80000}
        try:
            while True:
                size = f.read(4)
                if len(size) < 4:
                    return
                packet = f.read(struct.unpack(">I", size)[0])
                kind = packet[:1]
                heard.append((kind, packet[1:]))
                if kind == b"O":
                    answers = [self.raw_offer or b"O" + struct.pack(">III", 6, self.actions, self.protocol)]
                elif kind in (b"D", b"Q") or self.protocol & quiet.get(kind, 0):
                    continue
                else:
                    answers = self.answers.get(kind, [CONTINUE])
                    answers = answers(packet[1:]) if callable(answers) else answers
                for a in answers:
                    if a is None:
                        c.close()
                        return
                    c.sendall(struct.pack(">I", len(a)) + a)
        except OSError:
            pass
        finally:
            c.close()

    def told(self, kind):
        """What the last conversation told with packets of that kind."""
        return [data for k, data in self.heard[-1] if k == kind]
