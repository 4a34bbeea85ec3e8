"""A POP3 server of the other side: gives its messages, or misbehaves as a script says."""
import hashlib
import ssl

from listener import Listener


class Source(Listener):
    """Listens on loopback. messages: [uidl, octets] pairs, which stay between sessions. `script` maps a verb (or "connect",
    "body") to a function of (session, argument), whose value is sent instead of the usual reply; None: the usual reply;
    EOFError closes. Messages that were deleted go at QUIT."""

    def __init__(self, messages=(), script=None, user="far", password="far-word", capabilities=("UIDL", "PIPELINING"), tls=None,
                 implicit=False, port=0):
        super().__init__(port=port)
        self.messages = [list(m) for m in messages]
        self.script = script or {}
        self.user, self.password = user, password
        self.capabilities = list(capabilities)
        self.tls, self.implicit = tls, implicit
        self.apop = True
        self.taken = []  # what RETR gave, whole
        self.busy = 0
        self.most_busy = 0
        self.serve()

    def serve_one(self, sock):
        Session(self, sock).run()

    def add(self, *messages):
        with self.lock:
            self.messages += [list(m) for m in messages]

    def uids(self):
        with self.lock:
            return [m[0] for m in self.messages]

    def count(self, verb):
        with self.lock:
            return sum(1 for c in self.commands if c.split(b" ")[0].upper() == verb.encode())


def stuffed(octets):
    return b"\r\n".join(b"." + line if line.startswith(b".") else line for line in octets.split(b"\r\n"))


class Session:
    def __init__(self, source, sock):
        self.source = source
        self.sock = sock
        self.file = sock.makefile("rb")
        self.list = []
        self.deleted = set()
        self.logged_in = False
        self.user = b""
        self.challenge = b"<1.2@far.example>"

    def say(self, line):
        self.sock.sendall(line if isinstance(line, bytes) and line.endswith(b"\n") else (line if isinstance(line, bytes)
                                                                                      else line.encode()) + b"\r\n")

    def to_tls(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.source.tls)
        self.sock = context.wrap_socket(self.sock, server_side=True)
        self.file = self.sock.makefile("rb")

    def run(self):
        try:
            if self.source.implicit:
                self.to_tls()
            greeting = b"+OK ready" + (b" " + self.challenge if self.source.apop else b"")
            self.reply("connect", b"", greeting)
            while True:
                line = self.file.readline(70000)
                if not line:
                    return
                line = line.rstrip(b"\r\n")
                with self.source.lock:
                    self.source.commands.append(line)
                verb, _, argument = line.partition(b" ")
                verb = verb.decode().upper()
                self.reply(verb, argument, None)
                if verb == "QUIT":
                    return
        except (OSError, EOFError, ValueError):
            pass
        finally:
            if self.logged_in:
                with self.source.lock:
                    self.source.busy -= 1
            self.file.close()
            self.sock.close()

    def reply(self, verb, argument, usual):
        hook = self.source.script.get(verb)
        text = hook(self, argument) if hook else None
        if text is None:
            text = usual if usual is not None else getattr(self, "do_" + verb.lower(), self.unknown)(argument)
        if text is not None:
            self.say(text)
        if verb == "STLS" and text is not None and text.startswith(b"+OK"):
            self.to_tls()

    def unknown(self, _):
        return b"-ERR what"

    def log_in(self):
        with self.source.lock:
            self.logged_in = True
            self.source.busy += 1
            self.source.most_busy = max(self.source.most_busy, self.source.busy)
            self.list = [tuple(m) for m in self.source.messages]
        return b"+OK welcome"

    def do_capa(self, _):
        return b"+OK\r\n" + b"".join(c.encode() + b"\r\n" for c in self.source.capabilities) + b".\r\n"

    def do_stls(self, _):
        return b"+OK go" if self.source.tls else b"-ERR no"

    def do_user(self, name):
        self.user = name
        return b"+OK"

    def do_pass(self, word):
        good = self.user == self.source.user.encode() and word == self.source.password.encode()
        return self.log_in() if good else b"-ERR [AUTH] wrong"

    def do_apop(self, argument):
        if not self.source.apop:
            return b"-ERR no"
        name, _, given = argument.partition(b" ")
        right = hashlib.md5(self.challenge + self.source.password.encode()).hexdigest().encode()
        return self.log_in() if name == self.source.user.encode() and given == right else b"-ERR wrong"

    def do_list(self, _):
        rows = b"".join(b"%d %d\r\n" % (i + 1, len(m[1])) for i, m in enumerate(self.list) if i not in self.deleted)
        return b"+OK\r\n" + rows + b".\r\n"

    def do_uidl(self, _):
        rows = b"".join(b"%d %s\r\n" % (i + 1, m[0].encode()) for i, m in enumerate(self.list) if i not in self.deleted)
        return b"+OK\r\n" + rows + b".\r\n"

    def do_retr(self, number):
        i = int(number) - 1
        with self.source.lock:
            self.source.taken.append(self.list[i][0])
        body = stuffed(self.list[i][1])
        return b"+OK\r\n" + body + (b"" if body.endswith(b"\r\n") else b"\r\n") + b".\r\n"

    def do_dele(self, number):
        self.deleted.add(int(number) - 1)
        return b"+OK"

    def do_quit(self, _):
        gone = [self.list[i] for i in self.deleted]
        with self.source.lock:
            for m in gone:
                if list(m) in self.source.messages:
                    self.source.messages.remove(list(m))
        return b"+OK bye"


def mail(subject, body="hello", **fields):
    """A message with CRLF."""
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    lines += ["From: <writer@far.example>", "To: <alice@test.example>", f"Subject: {subject}", "", body]
    return "\r\n".join(lines).encode() + b"\r\n"
