"""A client that sends exactly what a test says, and TLS without asking who the other is."""
import socket
import ssl
import time


def any_certificate():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Lines:
    """One connection; every wait has a limit."""

    def __init__(self, port, source=None, tls=False, seconds=30, greeting=True):
        self.sock = socket.create_connection(("127.0.0.1", port), seconds,
                                             (source, 0) if source else None)
        self.sock.settimeout(seconds)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.start_tls()
        self.data = b""
        self.ended = False
        self.greeting = self.reply() if greeting else None

    def start_tls(self):
        self.sock = any_certificate().wrap_socket(self.sock, server_hostname="localhost")
        self.data = b""

    def send(self, octets):
        self.sock.sendall(octets)

    def line(self):
        """The next line without its end; b"" at the end of the connection."""
        while b"\n" not in self.data:
            try:
                more = self.sock.recv(65536)
            except ConnectionResetError:
                more = b""
            if not more:
                self.ended = True
                rest, self.data = self.data, b""
                return rest
            self.data += more
        line, self.data = self.data.split(b"\n", 1)
        return line.rstrip(b"\r")

    def reply(self):
        """A reply of SMTP (all its lines) or one line of POP3, as text."""
        lines = [self.line()]
        while lines[-1][:3].isdigit() and lines[-1][3:4] == b"-":
            lines.append(self.line())
        return b"\n".join(lines).decode("utf-8", "replace")

    def say(self, text):
        """Sends a line, returns the reply."""
        self.send((text if isinstance(text, bytes) else text.encode()) + b"\r\n")
        return self.reply()

    def many(self):
        """The lines of a POP3 answer behind +OK, up to the dot."""
        lines = []
        while (line := self.line()) != b".":
            if not line and self.ended:
                raise EOFError("the answer ends without its dot")
            lines.append(line[1:] if line.startswith(b".") else line)
        return lines

    def until_closed(self, seconds=20):
        """All that still comes; fails when the other side doesn't close."""
        deadline = time.monotonic() + seconds
        got, self.data = self.data, b""
        while True:
            self.sock.settimeout(max(0.1, deadline - time.monotonic()))
            try:
                more = self.sock.recv(65536)
            except ConnectionResetError:
                return got
            if not more:
                return got
            got += more

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
