"""What the crash tests share: a small traffic whose fate at the clients is known, and how it is judged."""
import glob
import os
import random
import re
import socket
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))
os.environ.setdefault("HIKYAKU", os.path.join(HERE, "../../build/debug/hikyaku"))  # starts quickly

import harness  # noqa: E402
from harness import DOMAIN, PASSWORD, wait_until  # noqa: E402
from lines import Lines  # noqa: E402
from sink import Sink  # noqa: E402

USERS = ("alice", "bob", "carol")
SETTINGS = {"MaxSessionsPerAddress": 0, "WorkerThreads": 2, "TraceDays": 0}
LARGE = 300000


SECONDS_MAX = int(os.environ.get("KILL_SECONDS", "25"))  # a test spends on kills


def kill_points(count, most):
    """Of the moments 1 to count `most`, evenly spread, in an order of chance: what time leaves out now comes another time.
    Ends when the time is over, but not before the fifth."""
    points = sorted({1 + i * count // most for i in range(most)} | {count})
    random.shuffle(points)
    began = time.monotonic()
    for i, n in enumerate(points):
        if i >= 5 and time.monotonic() - began > SECONDS_MAX:
            return
        yield n


class Server(harness.Server):
    """With HIKYAKU_KILL its start() raises RuntimeError as soon as the role has been killed."""

    def was_killed(self):
        return "HIKYAKU_KILL" in self.env and "role ended" in self.log_text()


def text_of(name, octets=400):
    lines = [f"Subject: {name}", ""]
    while sum(map(len, lines)) < octets:
        lines.append(f"{name} line {len(lines)} .......................................")
    return "\n".join(lines) + "\n"


class Traffic:
    """Sends and removes; remembers what was acknowledged, what may be, what was removed."""

    def __init__(self, server, on_ack=lambda text: None):
        self.server, self.on_ack = server, on_ack
        self.texts, self.acked, self.tried, self.removed, self.removing = {}, {}, {}, set(), set()

    def send(self, name, rcpts, octets=400):
        """False when the server went away."""
        self.texts[name] = text_of(name, octets)
        try:
            with Lines(self.server.ports["smtp"], seconds=6) as c:
                c.say("EHLO client.example")
                if not c.say("MAIL FROM:<s@far.example>").startswith("250"):
                    return False
                for rcpt in rcpts:
                    if not c.say(f"RCPT TO:<{rcpt if '@' in rcpt else rcpt + '@' + DOMAIN}>").startswith("250"):
                        return False
                if not c.say("DATA").startswith("354"):
                    return False
                self.tried[name] = rcpts
                c.send(self.texts[name].replace("\n", "\r\n").encode())
                if not c.say(".").startswith("250"):
                    return False
                self.acked[name] = rcpts
                self.on_ack("acked " + name)
                return True
        except (OSError, EOFError):
            return False

    def remove(self, user, names):
        """POP3: deletes the messages of these names; they count as removed when QUIT said +OK."""
        try:
            with Lines(self.server.ports["pop3"], seconds=6) as c:
                c.say(f"USER {user}@{DOMAIN}")
                if not c.say("PASS " + PASSWORD).startswith("+OK"):
                    return False
                c.send(b"LIST\r\n")
                c.reply()
                for number in [line.split()[0].decode() for line in c.many()]:
                    c.send(f"TOP {number} 0\r\n".encode())
                    c.reply()
                    subject = [line for line in c.many() if line.startswith(b"Subject: ")][0][9:].decode()
                    if subject in names:
                        c.say("DELE " + number)
                        self.removing.add((user, subject))
                if not c.say("QUIT").startswith("+OK"):
                    return False
                for name in names:
                    self.removed.add((user, name))
                    self.on_ack(f"removed {user} {name}")
                return True
        except (OSError, EOFError):
            return False


class FarServer(Sink):
    """The other side of relaying: refuses recipients named bad, defers those named grey once, takes all others.
    Names what it takes before it says so: ("mail", name), ("report", name)."""

    def __init__(self):
        self.on_taken = lambda what: None
        self.taken, self.deferred = [], set()
        super().__init__({"RCPT": self.rcpt, "dot": self.dot})

    def settings(self):
        return {"DefaultSMTPGateways": f"127.0.0.1:{self.port}", "RetryFirst": 1, "RetryLongest": 1}

    def rcpt(self, session, line):
        if b"<bad" in line:
            return "550 5.1.1 no such user"
        if b"<grey" in line and line not in self.deferred:
            self.deferred.add(line)
            return "451 4.7.1 later"
        return ""

    def dot(self, session, _line):
        names = re.findall(rb"^Subject: (\w+)\r$", session.body, re.M)
        is_report = session.sender.startswith(b"MAIL FROM:<>")
        whole = is_report or session.body.replace(b"\r\n", b"\n").endswith(text_of(names[0].decode()).encode())
        for line in session.rcpts:
            what = ("report" if is_report else "mail" if whole else "broken", names[-1].decode(),
                    re.search(rb"<(\w+)@", line).group(1).decode())
            self.on_taken(what)
            self.taken.append(what)
        return ""


def far_faults(acked, taken):
    """What acknowledged mail for other servers didn't get there, nor was reported."""
    wrong = [f"half of {what}" for what in taken if what[0] == "broken"]
    for name, rcpts in acked.items():
        for rcpt in rcpts:
            user = rcpt.split("@")[0]
            if "@" not in rcpt:
                continue
            wanted = ("report", name, "s") if user.startswith("bad") else ("mail", name, user)
            if wanted not in taken:
                wrong.append(f"{wanted} is missing")
    return wrong


def mailbox(root, user):
    """The messages: name -> how often, and the broken ones."""
    found, broken = {}, []
    for path in glob.glob(os.path.join(glob.escape(root), "domains", DOMAIN, user, "Maildir", "[nc]*", "*")):
        with open(path, "rb") as f:
            found.setdefault(f.read().decode("utf-8", "replace"), []).append(path)
    names = {}
    for text, paths in found.items():
        subject = next((line[9:] for line in text.split("\n") if line.startswith("Subject: ")), None)
        if subject is None or not text.endswith(text_of(subject, LARGE if subject.startswith("large") else 400)):
            broken += paths
        else:
            names[subject] = names.get(subject, 0) + len(paths)
    return names, broken


def faults(root, acked, tried, removed, removing):
    """What is wrong in the mailboxes, in words."""
    wrong = []
    for user in USERS:
        names, broken = mailbox(root, user)
        wrong += [f"{user}: not whole: {path}" for path in broken]
        for name, rcpts in acked.items():
            if user in rcpts and (user, name) not in removing and names.get(name, 0) != 1:
                wrong.append(f"{user}: {name} was acknowledged and is there {names.get(name, 0)} times")
        for name, count in names.items():
            if user not in tried.get(name, ()):
                wrong.append(f"{user}: {name} was never sent here")
            if (user, name) in removed:
                wrong.append(f"{user}: {name} was removed and is back")
            elif count > 1:
                wrong.append(f"{user}: {name} is there {count} times")
    return wrong


def queue_is_empty(root):
    """No entry waits (the state of other files in queue/ doesn't matter; `hikyaku verify` removes a journal without its entry)."""
    return not [p for p in glob.glob(os.path.join(glob.escape(root), "queue", "**"), recursive=True)
                if os.path.isfile(p) and not os.path.basename(p).startswith(".") and not p.endswith(".journal")]


def free_port_refuses(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return False
    except OSError:
        return True


__all__ = ["DOMAIN", "LARGE", "PASSWORD", "SETTINGS", "Server", "Traffic", "USERS", "faults", "mailbox",
           "queue_is_empty", "wait_until", "free_port_refuses"]
