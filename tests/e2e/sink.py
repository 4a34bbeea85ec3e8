"""A mail server of the other side: takes messages, or misbehaves as a script says."""
import base64
import ssl
import time

from listener import Listener


class Sink(Listener):
    """Listens on loopback. `script` maps a verb (or "connect", "data", "dot") to what is answered instead of the
    usual reply: a text, or a function of (session, line) that returns one; None closes; a number of seconds is a
    pause before the usual reply."""

    def __init__(self, script=None, keywords=("PIPELINING", "8BITMIME", "SIZE 10000000", "SMTPUTF8", "DSN"), port=0,
                 host="127.0.0.1", tls=None, name="sink.example"):
        super().__init__(host, port)
        self.script = script or {}
        self.keywords = list(keywords)
        self.tls = tls  # (certificate, key)
        self.name = name
        self.messages = []  # dicts: from, rcpts, data, tls, helo, auth
        self.serve()

    def serve_one(self, sock):
        Session(self, sock).run()

    def texts(self):
        return [m["data"].decode("utf-8", "replace") for m in self.messages]


class Session:
    def __init__(self, sink, sock):
        self.sink, self.sock, self.data = sink, sock, b""
        self.sock.settimeout(60)
        self.is_tls, self.body = False, b""
        self.helo = self.auth = None
        self.reset()

    def reset(self):
        self.sender, self.rcpts = None, []

    def line(self):
        while b"\n" not in self.data:
            more = self.sock.recv(65536)
            if not more:
                raise EOFError
            self.data += more
        line, self.data = self.data.split(b"\n", 1)
        return line.rstrip(b"\r")

    def say(self, text):
        self.sock.sendall(text if isinstance(text, bytes) else text.encode() + b"\r\n")

    def usual(self, key, line, reply):
        """Says what the script wants for key, else the reply; True when it was the usual one."""
        odd = self.sink.script.get(key)
        if callable(odd):
            odd = odd(self, line)
            if odd == "":
                odd = False
        if odd is None and key in self.sink.script:
            raise EOFError
        if isinstance(odd, (int, float)) and not isinstance(odd, bool):
            time.sleep(odd)
            odd = False
        if odd:
            self.say(odd)
            return odd[:1] in ("2", "3")
        self.say(reply)
        return True

    def run(self):
        try:
            self.usual("connect", b"", f"220 {self.sink.name} ESMTP sink")
            while True:
                line = self.line()
                with self.sink.lock:
                    self.sink.commands.append(line)
                if not self.command(line):
                    return
        except (EOFError, OSError, ValueError):
            pass
        finally:
            self.sock.close()

    def command(self, line):
        verb = line.split(b" ")[0].upper().decode("latin-1")
        if verb == "EHLO":
            words = [self.sink.name] + self.sink.keywords
            if self.sink.tls and not self.is_tls:
                words.append("STARTTLS")
            self.helo = line
            lines = [f"250{'-' if i + 1 < len(words) else ' '}{w}" for i, w in enumerate(words)]
            self.usual("EHLO", line, "\r\n".join(lines))
        elif verb == "STARTTLS":
            if self.usual(verb, line, "220 go"):
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(*self.sink.tls)
                self.sock = context.wrap_socket(self.sock, server_side=True)
                self.is_tls, self.data = True, b""
        elif verb == "MAIL":
            self.reset()
            if self.usual(verb, line, "250 2.1.0 ok"):
                self.sender = line
        elif verb == "RCPT":
            if self.usual(verb, line, "250 2.1.5 ok"):
                self.rcpts.append(line)
        elif verb == "DATA":
            if not self.rcpts:
                self.say("554 5.5.1 no recipients")
            elif self.usual(verb, line, "354 go"):
                return self.take_data()
        elif verb == "AUTH":
            self.take_auth(line)
        elif verb == "QUIT":
            self.usual(verb, line, "221 bye")
            return False
        else:
            self.usual(verb, line, "250 ok")
        return True

    def take_auth(self, line):
        words = line.split(b" ")
        if words[1] in (b"PLAIN", b"XOAUTH2"):
            self.auth = base64.b64decode(words[2] if len(words) > 2 else self.line())
        elif words[1] == b"LOGIN":
            answers = []
            for ask in (b"Username:", b"Password:"):
                self.say("334 " + base64.b64encode(ask).decode())
                answers.append(base64.b64decode(self.line()))
            self.auth = b"\0".join(answers)
        self.usual("AUTH", line, "235 2.7.0 in")

    def take_data(self):
        body = b""
        if "in-data" in self.sink.script:
            self.sock.recv(10)
            raise EOFError
        while (line := self.line()) != b".":
            body += (line[1:] if line.startswith(b".") else line) + b"\r\n"
        message = {"from": self.sender, "rcpts": self.rcpts, "data": body, "tls": self.is_tls, "helo": self.helo,
                   "auth": self.auth}
        self.body = body
        if self.usual("dot", b"", "250 2.0.0 taken"):
            with self.sink.lock:
                self.sink.messages.append(message)
        self.reset()
        return True
