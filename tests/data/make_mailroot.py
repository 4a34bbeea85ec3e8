#!/usr/bin/env python3
"""Makes a MailRoot as the program given leaves it when everything is killed: mail in a mailbox, an entry in the queue.

    make_mailroot.py PROGRAM OUT.tar.gz

For tests/e2e/test_formats.py: one for each version of the program that changed the form of a file it keeps.
"""
import os
import shutil
import signal
import smtplib
import subprocess
import sys
import tarfile
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "e2e"))
from harness import DOMAIN, PASSWORD, free_ports  # noqa: E402


def main():
    program, out = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    scratch = tempfile.mkdtemp(prefix="hikyaku-old-")
    root = os.path.join(scratch, "MailRoot")
    subprocess.run([program, "init", "--mailroot", root, "--domain", DOMAIN, "--admin", "admin:" + PASSWORD,
                    "--user", "alice:" + PASSWORD, "--user", "bob:" + PASSWORD], check=True)
    smtp, pop3 = free_ports(2)
    with open(os.path.join(root, "server.tab"), "a", encoding="utf-8") as f:
        f.write(f'"Listen-smtp"\t"127.0.0.1:{smtp}"\n"Listen-pop3"\t"127.0.0.1:{pop3}"\n')
        for name in ("smtps", "submission", "pop3s", "ctrl", "ctrls", "finger", "http", "https"):
            f.write(f'"Listen-{name}"\t""\n')
    server = subprocess.Popen([program, "serve", "--mailroot", root], stdin=subprocess.DEVNULL)
    time.sleep(2)
    pids = [int(p) for p in subprocess.run(["pgrep", "-P", str(server.pid)], capture_output=True, text=True,
                                           check=True).stdout.split()]
    queue = [p for p in pids if b"\0queue\0" in open(f"/proc/{p}/cmdline", "rb").read()]
    client = smtplib.SMTP("127.0.0.1", smtp, "old.example", timeout=20)
    client.sendmail("x@far.example", [f"alice@{DOMAIN}"], "Subject: in the mailbox\r\n\r\none\r\n")
    client.sendmail("x@far.example", [f"alice@{DOMAIN}", f"bob@{DOMAIN}"], "Subject: through the queue\r\n\r\ntwo\r\n")
    time.sleep(2)
    os.kill(queue[0], signal.SIGSTOP)
    client.sendmail("x@far.example", [f"alice@{DOMAIN}", f"bob@{DOMAIN}"], "Subject: left in the queue\r\n\r\nthree\r\n")
    for pid in [server.pid] + pids:
        os.kill(pid, signal.SIGKILL)
    server.wait()
    with tarfile.open(out, "w:gz") as tar:
        tar.add(root, "MailRoot", filter=lambda t: None if t.name.endswith((".sock", "/board")) else t)
    shutil.rmtree(scratch)


if __name__ == "__main__":
    main()
