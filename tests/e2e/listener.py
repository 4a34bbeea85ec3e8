"""What servers of the other side have in common: they listen on loopback, a thread a connection."""
import socket
import threading


class Listener:
    """serve_one(socket) of a subclass serves a connection and closes its socket. A subclass calls serve() when it is ready."""

    def __init__(self, host="127.0.0.1", port=0):
        self.connections = 0
        self.clients = []  # their addresses
        self.commands = []
        self.lock = threading.RLock()
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind((host, port))
        self.sock.listen(200)
        self.port = self.sock.getsockname()[1]
        self.open = True

    def serve(self):
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while self.open:
            try:
                s, address = self.sock.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
                self.clients.append(address[0])
            threading.Thread(target=self.serve_one, args=(s,), daemon=True).start()

    def serve_one(self, sock):
        raise NotImplementedError

    def close(self):
        self.open = False
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
