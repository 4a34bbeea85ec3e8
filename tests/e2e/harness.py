"""A private server for a test: a MailRoot in a scratch folder, listeners on free loopback ports."""
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

PROGRAM = os.environ.get("HIKYAKU", os.path.join(os.path.dirname(__file__), "../..", os.environ.get("BUILD_FOLDER", "build/san"),
                                                 "hikyaku"))
PROGRAM = os.path.abspath(PROGRAM)
DOMAIN = "test.example"
PASSWORD = "secret-word"
SERVICES = ("smtp", "smtps", "submission", "pop3", "pop3s", "ctrl", "ctrls", "finger", "http", "https")


def free_ports(count):
    """Ports that nobody listens on now."""
    held = []
    for _ in range(count):
        s = socket.socket()
        s.bind(("127.0.0.1", 0))
        held.append(s)
    ports = [s.getsockname()[1] for s in held]
    for s in held:
        s.close()
    return ports


def is_alive(pid):
    """A zombie isn't."""
    try:
        with open(f"/proc/{pid}/stat", encoding="latin-1") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Server:
    """hikyaku serve over a MailRoot made by hikyaku init, or over one that the test brings."""

    def __init__(self, users=("alice", "bob"), settings=None, mailroot=None, words=(), env=None,
                 listen=True, command=None):
        self.scratch = tempfile.mkdtemp(prefix="hikyaku-test-")
        self.mailroot = mailroot or os.path.join(self.scratch, "MailRoot")
        self.ports = dict(zip(SERVICES, free_ports(len(SERVICES))))
        self.words = list(words)
        self.command = command
        self.env = dict(os.environ, **(env or {}))
        self.process = None
        self.log_to = None  # instead of the file log_path
        self.log_path = os.path.join(self.scratch, "log")
        if mailroot is None:
            command = [PROGRAM, "init", "--mailroot", self.mailroot, "--domain", DOMAIN,
                       "--admin", "admin:" + PASSWORD]
            for user in users:
                command += ["--user", user + ":" + PASSWORD]
            subprocess.run(command, check=True, capture_output=True)
        if mailroot is None:
            self.set(CheckMailerDomain="0",  # the tests' domains don't exist
                     WeeklyLetter="0")  # nor is there a letter on a Monday morning
        if settings:
            self.set(**settings)
        if listen:
            self.set(**{f"Listen-{service}": f"127.0.0.1:{port}" for service, port in self.ports.items()})

    def path(self, *parts):
        return os.path.join(self.mailroot, *parts)

    def set(self, **values):
        """Sets server.tab variables; a_b stands for a-b, None removes."""
        names = {name.replace("_", "-"): value for name, value in values.items()}
        with open(self.path("server.tab"), encoding="utf-8") as f:
            lines = [line for line in f if line.split("\t")[0].strip('"') not in names]
        lines += [f'"{name}"\t"{value}"\n' for name, value in names.items() if value is not None]
        replace(self.path("server.tab"), "".join(lines).encode())

    def append(self, table, *rows):
        """Appends rows to a table as an editor of a shell script would."""
        with open(self.path(table), "ab") as f:
            for row in rows:
                f.write("\t".join(f'"{value}"' for value in row).encode() + b"\n")

    def start(self):
        self.log = open(self.log_path, "ab")
        command = self.command or [PROGRAM, "serve", "--mailroot", self.mailroot]
        self.process = subprocess.Popen(command + self.words, stdout=self.log, stderr=self.log_to or self.log, env=self.env,
                                        stdin=subprocess.DEVNULL)
        self.wait_ready()
        return self

    def wait_ready(self, seconds=60):
        deadline = time.monotonic() + seconds
        for service in ("smtp", "pop3"):
            while True:
                try:
                    with socket.create_connection(("127.0.0.1", self.ports[service]), 5) as s:
                        s.settimeout(5)
                        if s.recv(1):
                            break
                except OSError:
                    pass
                if self.process.poll() is not None or time.monotonic() > deadline or self.was_killed():
                    raise RuntimeError("server did not start:\n" + self.log_text())
                time.sleep(0.05)

    def was_killed(self):
        """While it started, as a test wanted."""
        return False

    def log_text(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def role_pid(self, role):
        """The process id of a role, from the process list."""
        for pid in os.listdir("/proc"):
            if not pid.isdigit():
                continue
            try:
                with open(f"/proc/{pid}/stat", encoding="latin-1") as f:
                    parent = int(f.read().rsplit(")", 1)[1].split()[1])
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    words = f.read().split(b"\0")
            except OSError:
                continue
            if parent == self.process.pid and len(words) > 2 and words[2] == role.encode():
                return int(pid)
        return None

    def role_pids(self):
        return [p for p in (self.role_pid(r) for r in ("control", "smtpd", "access", "queue", "relay", "web", "runner")) if p]

    def kill(self):
        """As a crash of everything at once."""
        pids = self.role_pids()
        self.process.kill()
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        wait_until(lambda: not any(map(is_alive, pids)), 10)
        self.log.close()

    def stop(self):
        """A clean stop; the exit code."""
        if self.process is None or self.process.poll() is not None:
            return None
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        self.log.close()
        return code

    def close(self):
        try:
            if self.process is not None and self.process.poll() is None:
                self.stop()
        finally:
            text = self.log_text() if os.path.exists(self.log_path) else ""
            shutil.rmtree(self.scratch, ignore_errors=True)
        if "AddressSanitizer" in text or "runtime error" in text or "LeakSanitizer" in text:
            sys.stderr.write(text[-6000:])
            raise AssertionError("a sanitizer complained")

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.close()

    def mailbox(self, user, folder="new", domain=DOMAIN):
        """Names of the files in a user's Maildir."""
        path = self.path("domains", domain, user, "Maildir", folder)
        return sorted(os.listdir(path)) if os.path.isdir(path) else []

    def read(self, user, name, folder="new"):
        with open(self.path("domains", DOMAIN, user, "Maildir", folder, name), "rb") as f:
            return f.read()


def xmcrypt(password):
    """XMail's reversible password: each octet XOR 101, in hex."""
    return "".join(f"{b ^ 101:02x}" for b in password.encode())


def replace(path, data):
    """A new version of a file, as careful editors write it."""
    with open(path + ".new", "wb") as f:
        f.write(data)
    os.rename(path + ".new", path)


def wait_until(what, seconds=20):
    """Waits until what() is true; its last value."""
    deadline = time.monotonic() + seconds
    value = what()
    while not value and time.monotonic() < deadline:
        time.sleep(0.05)
        value = what()
    return value
