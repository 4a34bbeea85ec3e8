#!/usr/bin/env python3
"""Measures Hikyaku against Postfix and Dovecot in one run, on the same disk, with the same generator.

    bench.py PROGRAM [--quick] [--journal] [part ...]

Parts: deliver, filters, relay, queue, lists, takeover, large, pop3, fetch, gates, idle, memory, useradd, web (the API
with 100,000 accounts), trace (of 1,000,000 messages), full (mailbox of many messages). Each figure is the median of three runs (one with --quick). Needs root, for the peers
and for --journal, which measures on an ext4 with a journal in a loop-mounted file. Everything listens on loopback only.
"""
import datetime
import http.client
import json
import os
import pwd
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))
import dovecot  # noqa: E402
from harness import xmcrypt  # noqa: E402

DOMAIN = "load.example"
PASSWORD = "load-password"
USERS = 50
HZ = os.sysconf("SC_CLK_TCK")
TRUE = "int main(void) { return 0; }\n"
LOOP = r'''
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
extern char **environ;
int main(int argc, char **argv)
{
    char *words[] = { argv[1], 0 };
    for (int i = atoi(argv[argc - 1]); i > 0; i--) {
        pid_t pid;
        if (posix_spawn(&pid, argv[1], 0, 0, words, environ) != 0 || waitpid(pid, 0, 0) != pid)
            return 1;
    }
    return 0;
}
'''
# A program that stays: says yes to each job. The id comes first in it.
STAYS = r'''
#include <stdio.h>
#include <string.h>
int main(void)
{
    static char line[100000];
    while (fgets(line, sizeof(line), stdin) != NULL) {
        size_t n = strspn(line + 6, "0123456789");
        printf("{\"id\":%.*s,\"code\":0}\n", (int)n, line + 6);
        fflush(stdout);
    }
    return 0;
}
'''


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_port(port, seconds=30):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), 2) as s:
                s.settimeout(5)
                if s.recv(1):
                    return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"nothing answers on port {port}")


def processes_below(pid):
    """pid and all its descendants."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", encoding="latin-1") as f:
                    parents[int(entry)] = int(f.read().rsplit(")", 1)[1].split()[1])
            except OSError:
                pass
    found, todo = [], [pid]
    while todo:
        p = todo.pop()
        found.append(p)
        todo += [c for c, parent in parents.items() if parent == p]
    return found


def cpu_seconds(pid):
    """CPU of a process tree, with children that have ended and been waited for."""
    total = 0
    for p in processes_below(pid):
        try:
            with open(f"/proc/{p}/stat", encoding="latin-1") as f:
                fields = f.read().rsplit(")", 1)[1].split()
            total += sum(int(x) for x in fields[11:15])
        except OSError:
            pass
    return total / HZ


def private_dirty_kb(pid):
    total = 0
    for p in processes_below(pid):
        try:
            with open(f"/proc/{p}/smaps_rollup", encoding="ascii") as f:
                total += int(re.search(r"Private_Dirty:\s+(\d+)", f.read()).group(1))
        except OSError:
            pass
    return total


class Hikyaku:
    name = "hikyaku"

    def __init__(self, program, folder, accounts=0, relay=None, queued=0):
        self.root = os.path.join(folder, "hikyaku")
        self.ports = {s: free_port() for s in ("smtp", "smtps", "submission", "pop3", "pop3s", "ctrl", "http")}
        command = [program, "init", "--mailroot", self.root, "--domain", DOMAIN, "--admin", "a:" + PASSWORD]
        for i in range(USERS):
            command += ["--user", f"u{i}:{PASSWORD}"]
        subprocess.run(command, check=True, capture_output=True)
        self.stored = {}
        with open(os.path.join(self.root, "mailusers.tab"), encoding="utf-8") as f:
            for line in f:
                values = [v.strip('"') for v in line.rstrip("\n").split("\t")]
                self.stored[values[1]] = values[2]
        with open(os.path.join(self.root, "server.tab"), "a", encoding="utf-8") as f:
            for service, port in self.ports.items():
                f.write(f'"Listen-{service}"\t"127.0.0.1:{port}"\n')
            f.write('"MaxSessionsPerAddress"\t"0"\n"CheckMailerDomain"\t"0"\n')
            if relay:
                f.write(f'"DefaultSMTPGateways"\t"127.0.0.1:{relay}"\n')
        if relay:
            with open(os.path.join(self.root, "smtprelay.tab"), "a", encoding="utf-8") as f:
                f.write('"127.0.0.1"\t"255.255.255.255"\n')
        for i in range(USERS):
            path = os.path.join(self.root, "domains", DOMAIN, f"u{i}", "user.tab")
            with open(path, encoding="utf-8") as f:
                text = f.read().replace('"1000000"', '"0"')
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
        if accounts:
            with open(os.path.join(self.root, "mailusers.tab"), "a", encoding="utf-8") as f:
                secret = self.stored["u0"]
                for i in range(accounts):
                    f.write(f'"{DOMAIN}"\t"person{i:06d}"\t"{secret}"\t"{i + 1000}"\t"person{i:06d}"\t"U"\n')
        if queued:
            self.fill_queue(queued)
        self.log = open(os.path.join(folder, "hikyaku.log"), "ab")
        began = time.monotonic()
        self.process = subprocess.Popen([program, "serve", "--mailroot", self.root], stdout=self.log,
                                        stderr=self.log, stdin=subprocess.DEVNULL)
        wait_port(self.ports["smtp"])
        self.ready_after = time.monotonic() - began
        wait_port(self.ports["pop3"])
        self.pid = self.process.pid

    def fill_queue(self, count):
        """Entries as they were an hour ago, for five domains."""
        now, body = int((time.time() - 3600) * 1e6), "Subject: load\n\n" + ("x" * 70 + "\n") * 14
        wire = len(body) + body.count("\n")
        for i in range(256):
            os.makedirs(os.path.join(self.root, "queue", f"{i:02x}"), exist_ok=True)
        for i in range(count):
            entry, to = f"{now + i:013x}{77:05x}", f"u{i}@far{i % 5}.example"
            with open(os.path.join(self.root, "queue", entry[11:13], entry), "w", encoding="utf-8") as f:
                f.write(f"hikyaku-entry 1\nsize {len(body):020d} wire {wire:020d}\nid {entry}\nreceived {now + i}\n"
                        f"client [127.0.0.1]:1\nserver [127.0.0.1]:25\nhelo x\nauth -\nflags - - - -\n"
                        f"from <a@{DOMAIN}>\nto <{to}> <{to}>\n\n{body}")
        os.sync()

    def mailbox(self, user):
        return os.path.join(self.root, "domains", DOMAIN, user, "Maildir")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


class Postfix:
    """Virtual Maildirs, delivered by virtual(8) from its own queue, as Debian ships it."""

    name = "postfix"

    def __init__(self, folder, relay=None):
        self.root = os.path.join(folder, "postfix")
        self.ports = {"smtp": free_port()}
        for d in ("etc", "spool", "data", "mail"):
            os.makedirs(os.path.join(self.root, d))
        owner = pwd.getpwnam("postfix")
        nobody = pwd.getpwnam("nobody")
        os.chown(os.path.join(self.root, "data"), owner.pw_uid, owner.pw_gid)
        os.chown(os.path.join(self.root, "mail"), nobody.pw_uid, nobody.pw_gid)
        for path in (folder, self.root):
            os.chmod(path, 0o755)
        with open(os.path.join(self.root, "etc/users"), "w", encoding="ascii") as f:
            for i in range(USERS):
                f.write(f"u{i}@{DOMAIN} u{i}/\n")
        main = {
            "compatibility_level": "3.6", "queue_directory": f"{self.root}/spool",
            "data_directory": f"{self.root}/data", "command_directory": "/usr/sbin",
            "daemon_directory": "/usr/lib/postfix/sbin", "mail_owner": "postfix", "setgid_group": "postdrop",
            "myhostname": "mail." + DOMAIN, "mydestination": "", "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4", "virtual_mailbox_domains": DOMAIN,
            "virtual_mailbox_base": f"{self.root}/mail", "virtual_mailbox_maps": f"texthash:{self.root}/etc/users",
            "virtual_uid_maps": f"static:{nobody.pw_uid}", "virtual_gid_maps": f"static:{nobody.pw_gid}",
            "virtual_mailbox_limit": "0", "mailbox_size_limit": "0", "message_size_limit": "0",
            "smtpd_client_connection_count_limit": "0", "smtpd_peername_lookup": "no",
            "smtpd_recipient_restrictions": "permit_mynetworks, reject_unauth_destination",
            "mynetworks": "127.0.0.0/8", "maillog_file": f"{self.root}/log", "maillog_file_prefixes": self.root,
            "default_process_limit": "200", "alias_maps": "", "alias_database": "", "syslog_name": "bench",
            "maximal_queue_lifetime": "1d", "smtputf8_enable": "no",
        }
        if relay:
            main["relayhost"] = f"[127.0.0.1]:{relay}"
        with open(os.path.join(self.root, "etc/main.cf"), "w", encoding="ascii") as f:
            for key, value in main.items():
                f.write(f"{key} = {value}\n")
        with open("/usr/share/postfix/master.cf.dist", encoding="ascii") as f:
            lines = f.read().splitlines()
        with open(os.path.join(self.root, "etc/master.cf"), "w", encoding="ascii") as f:
            for line in lines:
                words = line.split()
                if words[:1] == ["smtp"] and words[1:2] == ["inet"]:
                    line = f"127.0.0.1:{self.ports['smtp']} inet n - n - - smtpd"
                elif len(words) >= 8 and not line.startswith("#") and words[4] in ("y", "-"):
                    words[4] = "n"  # no chroot
                    line = " ".join(words)
                f.write(line + "\n")
            f.write("postlog unix-dgram n - n - 1 postlogd\n")
        self.control("start")
        wait_port(self.ports["smtp"])
        with open(os.path.join(self.root, "spool/pid/master.pid"), encoding="ascii") as f:
            self.pid = int(f.read())

    def control(self, word):
        subprocess.run(["postfix", "-c", os.path.join(self.root, "etc"), word], check=True, capture_output=True)

    def mailbox(self, user):
        return os.path.join(self.root, "mail", user)

    def stop(self):
        self.control("stop")


class Dovecot:
    name = "dovecot"
    more = """default_process_limit = 300
default_client_limit = 20000
service pop3-login {
  service_count = 0
  process_min_avail = 2
}
service pop3 {
  process_limit = 300
  service_count = 0
}
service anvil {
  client_limit = 20000
}
service auth {
  client_limit = 20000
}
"""

    def __init__(self, folder, stored):
        self.root = os.path.join(folder, "dovecot")
        self.ports = {service: free_port() for service in ("pop3", "imaps")}
        os.makedirs(os.path.join(self.root, "mail"))
        nobody = pwd.getpwnam("nobody")
        for path in (folder, self.root):
            os.chmod(path, 0o755)
        os.chown(os.path.join(self.root, "mail"), nobody.pw_uid, nobody.pw_gid)
        users, certificate = os.path.join(self.root, "users"), (os.path.join(self.root, "cert.pem"), os.path.join(self.root, "key.pem"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-out", certificate[0],
                        "-keyout", certificate[1]], check=True, capture_output=True)
        with open(users, "w", encoding="ascii") as f:
            for user, secret in stored.items():
                f.write(f"{user}@{DOMAIN}:{secret}:{nobody.pw_uid}:{nobody.pw_gid}::{self.root}/mail/{user}::\n")
        with open(os.path.join(self.root, "conf"), "w", encoding="ascii") as f:
            f.write(dovecot.conf(self.root, os.path.join(self.root, "log"), users, **self.ports, certificate=certificate, more=self.more))
        self.log = open(os.path.join(folder, "dovecot.out"), "ab")
        self.process = subprocess.Popen(["dovecot", "-F", "-c", os.path.join(self.root, "conf")],
                                        stdout=self.log, stderr=self.log)
        wait_port(self.ports["pop3"])
        self.pid = self.process.pid

    def mailbox(self, user):
        return os.path.join(self.root, "mail", user, "Maildir")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


class Bench:
    def __init__(self, program, folder, quick):
        self.program, self.folder, self.runs = program, folder, 1 if quick else 3
        self.quick = quick
        self.load = os.path.join(folder, "load")
        subprocess.run(["cc", "-O2", "-o", self.load, os.path.join(HERE, "load.c"), "-lssl", "-lcrypto", "-pthread"],
                       check=True)

    def run_load(self, *words):
        out = subprocess.run([self.load] + [str(w) for w in words], capture_output=True, text=True, timeout=900)
        match = re.search(r"done (\d+) failed (\d+) seconds ([\d.]+) rate ([\d.]+)", out.stdout)
        if match is None or int(match.group(2)) > 0:
            raise RuntimeError(f"load {words[:5]}: {out.stdout} {out.stderr}")
        return float(match.group(4)), float(match.group(3)), int(match.group(1))

    @staticmethod
    def count_mail(server):
        return sum(len(os.listdir(os.path.join(server.mailbox(f"u{i}"), "new")))
                   for i in range(USERS) if os.path.isdir(os.path.join(server.mailbox(f"u{i}"), "new")))

    def empty(self, server):
        for i in range(USERS):
            new = os.path.join(server.mailbox(f"u{i}"), "new")
            if os.path.isdir(new):
                for name in os.listdir(new):
                    os.unlink(os.path.join(new, name))
        os.sync()

    def one_delivery(self, server, sessions, octets, messages):
        """Delivered messages a second until the last lies in its mailbox, and CPU a message."""
        self.empty(server)
        before, began = cpu_seconds(server.pid), time.monotonic()
        users = [f"u{i}@{DOMAIN}" for i in range(USERS)]
        self.run_load("smtp", "127.0.0.1", server.ports["smtp"], sessions, messages, octets, *users)
        while self.count_mail(server) < messages:
            if time.monotonic() - began > 300:
                raise RuntimeError(f"{server.name}: mail is missing")
            time.sleep(0.02)
        took = time.monotonic() - began
        return messages / took, (cpu_seconds(server.pid) - before) / messages * 1000

    def deliver(self):
        print("\n## Into the mailbox (messages a second; CPU of the server, ms a message)\n")
        print("| octets | sessions | Hikyaku | Postfix | ratio | Hikyaku CPU | Postfix CPU |")
        print("|---|---|---|---|---|---|---|", flush=True)
        with_servers = [Hikyaku(self.program, self.folder), Postfix(self.folder)]
        try:
            for octets in (1024, 20480):
                for sessions in (1, 10, 50):
                    messages = {1: 600, 10: 3000, 50: 3000}[sessions] // (3 if self.quick else 1)
                    rates, cpus = {s.name: [] for s in with_servers}, {s.name: [] for s in with_servers}
                    for _ in range(self.runs):
                        for server in with_servers:
                            rate, cpu = self.one_delivery(server, sessions, octets, messages)
                            rates[server.name].append(rate)
                            cpus[server.name].append(cpu)
                    h, p = (statistics.median(rates[n]) for n in ("hikyaku", "postfix"))
                    hc, pc = (statistics.median(cpus[n]) for n in ("hikyaku", "postfix"))
                    print(f"| {octets} | {sessions} | {h:.0f} | {p:.0f} | {h / p:.1f} | {hc:.2f} | {pc:.2f} |",
                          flush=True)
        finally:
            for server in with_servers:
                server.stop()
                shutil.rmtree(server.root)

    def compile(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path + ".c", "w", encoding="utf-8") as f:
            f.write(text)
        subprocess.run(["cc", "-O2", "-static", "-o", path, path + ".c"], check=True)
        return path

    def bare_runs(self, program):
        """Starts of a program a second, by one loop for each processor that does nothing else."""
        loop, count = self.compile("loop", LOOP), 1000
        began = time.monotonic()
        loops = [subprocess.Popen([loop, program, str(count)]) for _ in range(os.cpu_count())]
        if any(one.wait() for one in loops):
            raise RuntimeError("the bare loop failed")
        return count * len(loops) / (time.monotonic() - began)

    def filters(self):
        true, stays = self.compile("true", TRUE), self.compile("stays", STAYS)
        bare = self.bare_runs(true)
        print(f"\n## Filters (10 sessions, 1 KB; CPU of the server and its programs, ms a message; a bare loop starts {bare:.0f} programs a second)\n")
        print("| table | lines | messages/s | runs/s | of the bare loop | CPU |")
        print("|---|---|---|---|---|---|", flush=True)
        every = '"{}"\t"{}"\t"0.0.0.0/0"\t"0.0.0.0/0"\t"f.tab"\n'
        runs, jobs = f'"{true}"\t"@@FILE"\n', f'"!persist=2"\t"{stays}"\n'
        rows = [  # table, its text, lines of programs, a name for them
            ("filters.in.tab", "", 0, "none"), ("filters.in.tab", every.format("*", "nobody@" + DOMAIN), 0, "for others"),
            *(("filters.in.tab", text, lines, name) for text, name in ((runs, "a compiled program"), (jobs, "a persistent one")) for lines in (1, 10)),
            *(("filters.post-data.tab", text, lines, name) for text, name in ((runs, "a compiled program"), (jobs, "a persistent one"))
              for lines in (1, 10)),
        ]
        for table, text, lines, name in rows:
            server = Hikyaku(self.program, self.folder)  # each its own: tables that shrink are doubted for a while
            try:
                os.makedirs(os.path.join(server.root, "filters"), exist_ok=True)
                selected = table == "filters.in.tab" and lines > 0
                for path, content in (("filters/f.tab", text * lines), (table, every.format("*", "*") if selected else text * max(lines, 1))):
                    with open(os.path.join(server.root, path), "w", encoding="utf-8") as f:
                        f.write(content)
                time.sleep(3)
                count = 3000 // (3 if self.quick else 1) // (1 if lines < 10 else 5)
                results = [self.one_delivery(server, 10, 1024, count) for _ in range(self.runs)]
                rate, cpu = (statistics.median(r[i] for r in results) for i in (0, 1))
                share = f"{rate * lines / bare:.0%}" if text == runs else ""
                print(f"| {table} | {lines}: {name} | {rate:.0f} | {rate * lines:.0f} | {share} | {cpu:.2f} |", flush=True)
            finally:
                server.stop()
                shutil.rmtree(server.root)

    def one_relay(self, server, sink_file, sessions, octets, messages):
        """Messages a second from the first connection until the other side has the last one."""
        def taken():
            with open(sink_file, "rb") as f:
                return int.from_bytes(f.read(8), "little")
        start, before, began = taken(), cpu_seconds(server.pid), time.monotonic()
        self.run_load("smtp", "127.0.0.1", server.ports["smtp"], sessions, messages, octets,
                      *[f"u{i}@far{i}.example" for i in range(5)])
        while taken() < start + messages:
            if time.monotonic() - began > 300:
                raise RuntimeError(f"{server.name}: {taken() - start} of {messages} arrived")
            time.sleep(0.02)
        took = time.monotonic() - began
        return messages / took, (cpu_seconds(server.pid) - before) / messages * 1000

    def relay(self):
        print("\n## Accepted, and sent on to another server (messages a second; CPU, ms a message)\n")
        print("| octets | sessions | Hikyaku | Postfix | ratio | Hikyaku CPU | Postfix CPU |")
        print("|---|---|---|---|---|---|---|", flush=True)
        port, sink_file = free_port(), os.path.join(self.folder, "sink")
        sink = subprocess.Popen([self.load, "sink", "127.0.0.1", str(port), sink_file])
        wait_port(port)
        with_servers = [Hikyaku(self.program, self.folder, relay=port), Postfix(self.folder, relay=port)]
        try:
            for octets in (1024, 20480):
                for sessions in (10, 50):
                    messages = 3000 // (3 if self.quick else 1)
                    rates, cpus = {s.name: [] for s in with_servers}, {s.name: [] for s in with_servers}
                    for _ in range(self.runs):
                        for server in with_servers:
                            rate, cpu = self.one_relay(server, sink_file, sessions, octets, messages)
                            rates[server.name].append(rate)
                            cpus[server.name].append(cpu)
                    h, p = (statistics.median(rates[n]) for n in ("hikyaku", "postfix"))
                    hc, pc = (statistics.median(cpus[n]) for n in ("hikyaku", "postfix"))
                    print(f"| {octets} | {sessions} | {h:.0f} | {p:.0f} | {h / p:.1f} | {hc:.2f} | {pc:.2f} |",
                          flush=True)
        finally:
            sink.kill()
            for server in with_servers:
                server.stop()
                shutil.rmtree(server.root)

    def queue(self):
        count = 100000 // (5 if self.quick else 1)
        print(f"\n## {count} queued messages sent on (messages a second), and mail accepted meanwhile\n", flush=True)
        port, sink_file = free_port(), os.path.join(self.folder, "sink")
        sink = subprocess.Popen([self.load, "sink", "127.0.0.1", str(port), sink_file])
        wait_port(port)
        def taken():
            with open(sink_file, "rb") as f:
                return int.from_bytes(f.read(8), "little")
        start, began, tenths = taken(), time.monotonic(), []
        server = Hikyaku(self.program, self.folder, relay=port, queued=count)
        try:
            began = time.monotonic()
            for tenth in range(1, 11):
                while taken() < start + count * tenth // 10:
                    if time.monotonic() - began > 600:
                        raise RuntimeError(f"{taken() - start} of {count} arrived")
                    time.sleep(0.005)
                tenths.append(time.monotonic())
                if tenth == 5:
                    beside, _ = self.one_delivery(server, 10, 1024, 2000)
            rates = [count / 10 / (b - a) for a, b in zip([began] + tenths, tenths)]
            alone, _ = self.one_delivery(server, 10, 1024, 2000)
            print("each tenth: " + ", ".join(f"{r:.0f}" for r in rates))
            print(f"into mailboxes here meanwhile: {beside:.0f} a second; alone {alone:.0f}; share {beside / alone:.0%}",
                  flush=True)
        finally:
            sink.kill()
            server.stop()
            shutil.rmtree(server.root)

    def make_list(self, server, name, members):
        folder = os.path.join(server.root, "domains", DOMAIN, name)
        os.makedirs(folder)
        with open(os.path.join(folder, "user.tab"), "w", encoding="utf-8") as f:
            f.write('"ClosedML"\t"0"\n')
        with open(os.path.join(folder, "mlusers.tab"), "w", encoding="utf-8") as f:
            f.writelines(f'"{m}"\t"R"\n' for m in members)
        with open(os.path.join(server.root, "mailusers.tab"), "a", encoding="utf-8") as f:
            f.write(f'"{DOMAIN}"\t"{name}"\t""\t"{99000 + len(name)}"\t"{name}"\t"M"\n')

    def post(self, server, name):
        """Seconds until nothing of one post is left in the queue."""
        queue = os.path.join(server.root, "queue")
        began = time.monotonic()
        self.run_load("smtp", "127.0.0.1", server.ports["smtp"], 1, 1, 2048, f"{name}@{DOMAIN}")
        while any(os.listdir(os.path.join(queue, f"{i:02x}")) for i in range(256)):
            if time.monotonic() - began > 600:
                raise RuntimeError("the post is still in the queue")
            time.sleep(0.005)
        return time.monotonic() - began

    def bare_links(self, count):
        """Seconds for as many links into as many folders, each folder synced."""
        folder = tempfile.mkdtemp(prefix="links-", dir=self.folder)
        for i in range(count):
            os.mkdir(os.path.join(folder, str(i)))
        body = os.path.join(folder, "body")
        with open(body, "wb") as f:
            f.write(b"x" * 2048)
        os.sync()
        began = time.monotonic()
        for i in range(count):
            path = os.path.join(folder, str(i))
            os.link(body, path + "/message")
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            os.fsync(fd)
            os.close(fd)
        return time.monotonic() - began

    def lists(self):
        count = 10000 // (5 if self.quick else 1)
        print(f"\n## One message to a list of {count} members\n", flush=True)
        port, sink_file = free_port(), os.path.join(self.folder, "sink")
        sink = subprocess.Popen([self.load, "sink", "127.0.0.1", str(port), sink_file])
        wait_port(port)
        server = Hikyaku(self.program, self.folder, accounts=count, relay=port)
        try:
            for i in range(count):
                for name in ("tmp", "new", "cur"):
                    os.makedirs(os.path.join(server.mailbox(f"person{i:06d}"), name))
                with open(os.path.join(server.mailbox(f"person{i:06d}"), "../user.tab"), "w", encoding="utf-8") as f:
                    f.write('"MaxMBSize"\t"0"\n')
            self.make_list(server, "here", [f"person{i:06d}@{DOMAIN}" for i in range(count)])
            self.make_list(server, "away", [f"u{i}@far{i % 10}.example" for i in range(count)])
            os.sync()
            time.sleep(3)
            here = statistics.median(self.post(server, "here") for _ in range(self.runs))
            found = sum(len(os.listdir(os.path.join(server.mailbox(f"person{i:06d}"), "new"))) for i in range(count))
            bare = statistics.median(self.bare_links(count) for _ in range(self.runs))
            print(f"mailboxes here: {here:.2f} s; as many links and synced folders by a bare loop: {bare:.2f} s; "
                  f"ratio {here / bare:.2f}; {found} of {count * self.runs} arrived")
            with open(sink_file, "rb") as f:
                before = int.from_bytes(f.read(8), "little")
            away = self.post(server, "away")
            with open(sink_file, "rb") as f:
                print(f"on 10 domains elsewhere: {away:.2f} s, "
                      f"{int.from_bytes(f.read(8), 'little') - before} transactions", flush=True)
        finally:
            sink.kill()
            server.stop()
            shutil.rmtree(server.root)

    def takeover(self):
        """A MailRoot of XMail's, taken over, against reading the folders of its mailboxes."""
        accounts = 100000 // (10 if self.quick else 1)
        root = os.path.join(self.folder, "xmail")
        print(f"\n## Takeover of {accounts} accounts with {accounts * 10} messages (seconds)\n", flush=True)
        for name in ("domains.tab", "aliases.tab", "aliasdomain.tab", "extaliases.tab", "ctrlaccounts.tab", "smtprelay.tab"):
            os.makedirs(root, exist_ok=True)
            open(os.path.join(root, name), "w", encoding="utf-8").close()
        with open(os.path.join(root, "domains.tab"), "w", encoding="utf-8") as f:
            f.write(f'"{DOMAIN}"\n')
        with open(os.path.join(root, "server.tab"), "w", encoding="utf-8") as f:
            f.write(f'"RootDomain"\t"{DOMAIN}"\n"PostMaster"\t"root@{DOMAIN}"\n')
        with open(os.path.join(root, "mailusers.tab"), "w", encoding="utf-8") as f:
            f.writelines(f'"{DOMAIN}"\t"p{i}"\t"151517"\t{i + 1}\t"p{i}"\t"U"\n' for i in range(accounts))
        for i in range(accounts):
            box = os.path.join(root, "domains", DOMAIN, f"p{i}")
            for name in ("tmp", "new", "cur"):
                os.makedirs(f"{box}/Maildir/{name}")
            with open(box + "/user.tab", "w", encoding="utf-8") as f:
                f.write('"MaxMBSize"\t"10000"\n')
            for k in range(10):
                with open(f"{box}/Maildir/new/{1500000000000 + k}.{k}.{i}.old", "wb") as f:
                    f.write(b"Subject: x\r\n\r\nx\r\n")
        os.sync()

        def timed(*command):
            began = time.monotonic()
            subprocess.run(command, check=True, capture_output=True)
            return time.monotonic() - began
        find = ("find", os.path.join(root, "domains"), "-type", "f", "-name", "*.old")
        program = [self.program, "takeover", "--mailroot", root]
        timed(*find)
        reads = statistics.median(timed(*find) for _ in range(self.runs))
        rehearsals = statistics.median(timed(*program) for _ in range(self.runs))
        does = timed(*program, "--do")
        print(f"reading the folders (find): {reads:.2f}; rehearsal {rehearsals:.2f}, ratio {rehearsals / reads:.2f}; "
              f"takeover --do {does:.2f}, ratio {does / reads:.2f}", flush=True)
        shutil.rmtree(root)

    def large(self):
        print("\n## 1 MB messages against the disk\n")
        server = Hikyaku(self.program, self.folder)
        try:
            shares = []
            for _ in range(self.runs):
                path = os.path.join(self.folder, "disk")
                block = b"x" * (1 << 20)
                began = time.monotonic()
                for i in range(100):
                    fd = os.open(f"{path}{i}", os.O_WRONLY | os.O_CREAT, 0o600)
                    os.write(fd, block)
                    os.fsync(fd)
                    os.close(fd)
                disk = 100 / (time.monotonic() - began)
                for i in range(100):
                    os.unlink(f"{path}{i}")
                rate, _ = self.one_delivery(server, 10, 1 << 20, 200)
                shares.append((rate / disk, rate, disk))
            share, rate, disk = sorted(shares)[len(shares) // 2]
            print(f"delivered {rate:.0f} MB/s; files of 1 MB written and synced one by one {disk:.0f} MB/s; "
                  f"share {share:.0%}", flush=True)
        finally:
            server.stop()
            shutil.rmtree(server.root)

    def fill(self, server, user, count, octets):
        box = server.mailbox(user)
        nobody = pwd.getpwnam("nobody")
        for d in ("tmp", "new", "cur"):
            os.makedirs(os.path.join(box, d), exist_ok=True)
        text = b"Subject: load\n\n" + (b"x" * 70 + b"\n") * (octets // 71)
        wire = len(text) + text.count(b"\n")
        unique = time.time_ns()  # Dovecot remembers names of files that are gone
        for i in range(count):
            name = f"{1700000000 + i}.M{i}P1Q{unique}.bench,S={len(text)},W={wire}"
            with open(os.path.join(box, "new", name), "wb") as f:
                f.write(text)
        if server.name == "dovecot":
            for base, folders, files in os.walk(os.path.dirname(box)):
                for entry in [base] + [os.path.join(base, x) for x in folders + files]:
                    os.chown(entry, nobody.pw_uid, nobody.pw_gid)

    def pop3(self):
        print("\n## POP3: log in, list, fetch 50 messages of 20 KB, quit (sessions a second, same SCRAM keys)\n")
        hikyaku = Hikyaku(self.program, self.folder)
        other = Dovecot(self.folder, hikyaku.stored)
        try:
            for server in (hikyaku, other):
                for i in range(USERS):
                    self.fill(server, f"u{i}", 50, 20480)
            print("| sessions | Hikyaku | Dovecot | ratio |\n|---|---|---|---|", flush=True)
            for sessions in (1, 10):
                rates = {"hikyaku": [], "dovecot": []}
                for _ in range(self.runs + 1):  # the first one warms the caches
                    for server in (hikyaku, other):
                        rate, _, _ = self.run_load("pop3", "127.0.0.1", server.ports["pop3"], sessions,
                                                   400 if sessions == 1 else 1000, DOMAIN, PASSWORD, USERS)
                        rates[server.name].append(rate)
                h, d = (statistics.median(rates[n][1:]) for n in ("hikyaku", "dovecot"))
                print(f"| {sessions} | {h:.0f} | {d:.0f} | {h / d:.1f} |", flush=True)
        finally:
            for server in (hikyaku, other):
                server.stop()
                shutil.rmtree(server.root)

    @staticmethod
    def bare_pop3(port, user):
        """Seconds for a client that throws away what it fetches: 64 commands at a time, everything deleted."""
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", port), 60) as s:
            replies = s.makefile("rb")
            replies.readline()
            for command in (f"USER {user}@{DOMAIN}", f"PASS {PASSWORD}", "STAT"):
                s.sendall(command.encode() + b"\r\n")
                line = replies.readline()
            count = int(line.split()[1])
            for i in range(1, count + 1, 64):
                some = range(i, min(i + 64, count + 1))
                s.sendall(b"".join(b"RETR %d\r\n" % n for n in some))
                for _ in some:
                    while replies.readline() != b".\r\n":
                        pass
                s.sendall(b"".join(b"DELE %d\r\n" % n for n in some))
                for _ in some:
                    replies.readline()
            s.sendall(b"QUIT\r\n")
            replies.readline()
        return time.monotonic() - began

    def one_fetch(self, server, source, user, column):
        """Seconds of a visit to a Dovecot's mailbox, from its login to its end, as the server's log says."""
        before = os.path.getsize(server.log.name)
        port = source.ports["imaps" if column[2] == "IMAPS" else "pop3"]
        values = (column[0], column[1], f"127.0.0.1:{port}", f"{user}@{DOMAIN}", xmcrypt(PASSWORD), column[2])
        with open(os.path.join(server.root, "pop3links.tab"), "w", encoding="utf-8") as f:
            f.write("\t".join(f'"{v}"' for v in values) + "\n")
        match, deadline = None, time.monotonic() + 120
        while match is None:
            if time.monotonic() > deadline:
                raise RuntimeError("nothing was fetched")
            time.sleep(0.2)
            with open(server.log.name, "rb") as f:
                f.seek(before)
                match = re.search(rb"fetched .*messages=(\d+) .*ms=(\d+)", f.read())
        with open(os.path.join(server.root, "pop3links.tab"), "w", encoding="utf-8"):
            pass
        while os.path.getsize(os.path.join(server.root, "hikyaku", "fetch.tab")) > 0:
            time.sleep(0.2)
        return int(match.group(1)), int(match.group(2)) / 1000

    def fetch(self):
        count = 10000 // (5 if self.quick else 1)
        print(f"\n## {count} messages of 1 KB fetched from Dovecot and deleted there (a second; CPU of the server, ms a message)\n")
        print("| how | messages/s | CPU | into the mailbox and durable |\n|---|---|---|---|", flush=True)
        server = Hikyaku(self.program, self.folder)
        source = Dovecot(self.folder, server.stored)
        ways = (("POP3", (DOMAIN, "u1", "CLR")), ("IMAPS", (DOMAIN, "u2", "IMAPS")), ("POP3, to an address", ("@" + DOMAIN, "u3", "CLR")))
        try:
            rates = []
            for _ in range(self.runs):
                self.fill(source, "u0", count, 1024)
                os.sync()
                rates.append(count / self.bare_pop3(source.ports["pop3"], "u0"))
            print(f"| POP3, a client that keeps nothing | {statistics.median(rates):.0f} | | no |", flush=True)
            for name, column in ways:
                rates, cpus = [], []
                for _ in range(self.runs):
                    self.fill(source, "u0", count, 1024)
                    self.empty(server)
                    before = cpu_seconds(server.pid)
                    fetched, took = self.one_fetch(server, source, "u0", column)
                    rates.append(fetched / took)
                    cpus.append((cpu_seconds(server.pid) - before) / fetched * 1000)
                    if fetched != count:
                        raise RuntimeError(f"{fetched} of {count} were fetched")
                print(f"| {name} | {statistics.median(rates):.0f} | {statistics.median(cpus):.2f} | yes |", flush=True)
        finally:
            for one in (server, source):
                one.stop()
                shutil.rmtree(one.root)

    def gates(self):
        print("\n## Gates\n", flush=True)
        root = tempfile.mkdtemp(prefix="gates-", dir=self.folder)
        subprocess.run([os.path.join(os.path.dirname(self.program), "bench", "gates"), root], check=True, timeout=600)

    def idle(self):
        print("\n## 10,000 idle connections (private dirty memory each)\n")
        for kind, service in (("plain", "smtp"), ("tls", "smtps")):
            server = Hikyaku(self.program, self.folder)
            try:
                def ping():
                    out = subprocess.run([self.load, "ping", "127.0.0.1", str(server.ports["smtp"]), "3000"],
                                         capture_output=True, text=True)
                    return float(out.stdout.split()[-1])
                alone = ping()
                count = 10000 if kind == "plain" else 3000
                before = private_dirty_kb(server.pid)
                holder = subprocess.Popen([self.load, "idle", "127.0.0.1", str(server.ports[service]), str(count),
                                           kind, "15"], stdout=subprocess.PIPE, text=True)
                opened = int(holder.stdout.readline().split()[1])
                time.sleep(1)
                after = private_dirty_kb(server.pid)
                crowded = ping()
                holder.terminate()
                holder.wait()
                print(f"{kind}: {opened} open, {(after - before) / opened:.2f} KB each; a NOOP takes "
                      f"{alone:.0f} us alone, {crowded:.0f} us beside them", flush=True)
            finally:
                server.stop()
                shutil.rmtree(server.root)

    def memory(self):
        print("\n## Memory and start (private dirty memory of all processes)\n")
        for accounts in (0, 100000):
            server = Hikyaku(self.program, self.folder, accounts)
            time.sleep(3)
            print(f"{accounts + USERS} accounts: {private_dirty_kb(server.pid) / 1024:.1f} MB, ready after "
                  f"{server.ready_after:.2f} s", flush=True)
            server.stop()
            shutil.rmtree(server.root)

    def disk_accounts(self, count):
        """Seconds for the same folders, files and synced lines, made by a bare loop."""
        folder = tempfile.mkdtemp(prefix="bare-", dir=self.folder)
        line, text = b"x" * 60, b"y" * 107
        began = time.monotonic()
        table = os.open(os.path.join(folder, "table"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for i in range(count):
            user = os.path.join(folder, f"p{i}")
            for name in ("", "/Maildir", "/Maildir/tmp", "/Maildir/new", "/Maildir/cur"):
                os.mkdir(user + name)
            fd = os.open(user + "/user.tab", os.O_WRONLY | os.O_CREAT, 0o600)
            os.write(fd, text)
            os.close(fd)
            os.write(table, line)
            os.fdatasync(table)
        os.close(table)
        return time.monotonic() - began

    def useradd(self):
        count = 2000 if self.quick else 10000
        print(f"\n## {count} useradd over one connection, one after the other\n", flush=True)
        print("| PasswordScheme | each fifth, s | in all, s | the disk alone, s | share | CPU of the server, s |")
        print("|---|---|---|---|---|---|", flush=True)
        for scheme in ("xmcrypt", "scram"):
            bare = self.disk_accounts(count)
            server = Hikyaku(self.program, self.folder)
            try:
                with open(os.path.join(server.root, "server.tab"), "r+", encoding="utf-8") as f:
                    text = f.read().replace('"PasswordScheme"\t"scram"', f'"PasswordScheme"\t"{scheme}"')
                    f.seek(0)
                    f.write(text)
                    f.truncate()
                time.sleep(2)
                with socket.create_connection(("127.0.0.1", server.ports["ctrl"]), 60) as s:
                    replies = s.makefile("rb")
                    replies.readline()

                    def do(*words):
                        s.sendall(b"\t".join(b'"%s"' % w.encode() for w in words) + b"\r\n")
                        if not replies.readline().startswith(b"+00000"):
                            raise RuntimeError(words[0] + " was refused")
                    do("a", PASSWORD)
                    cpu, began, fifths = cpu_seconds(server.pid), time.monotonic(), []
                    for i in range(count):
                        do("useradd", DOMAIN, f"new{i}", "long-password", "U")
                        if (i + 1) % (count // 5) == 0:
                            fifths.append(time.monotonic())
                cpu = cpu_seconds(server.pid) - cpu
                bare = min(bare, self.disk_accounts(count))
                spent = [b - a for a, b in zip([began] + fifths, fifths)]
                print(f"| {scheme} | {', '.join(f'{x:.2f}' for x in spent)} | {sum(spent):.1f} | {bare:.1f} | "
                      f"{bare / sum(spent):.0%} | {cpu:.1f} |", flush=True)
            finally:
                server.stop()
                # Deleted at the end: ext4 without a journal is slow for a while after deletions.
                os.rename(server.root, os.path.join(self.folder, "made-" + scheme))

    @staticmethod
    def signed_in(server):
        """What asks the API as the administrator."""
        fields = {"X-Hikyaku": "1", "Content-Type": "application/json"}

        def ask(method, path, body=None):
            connection = http.client.HTTPConnection("127.0.0.1", server.ports["http"], timeout=300)
            connection.request(method, "/api/v1" + path, None if body is None else json.dumps(body), fields)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status not in (200, 201, 202, 204):
                raise RuntimeError(f"{method} {path}: {answer.status} {text[:200]}")
            if answer.headers.get("Set-Cookie"):
                fields["Cookie"] = answer.headers["Set-Cookie"].split(";")[0]
            connection.close()
            return json.loads(text) if text else None
        ask("POST", "/session", {"name": "a", "password": PASSWORD})
        return ask

    @staticmethod
    def timed(name, calls):
        spent = []
        for call in calls:
            began = time.monotonic()
            call()
            spent.append(time.monotonic() - began)
        print(f"| {name} | {statistics.median(spent):.2f} | {max(spent):.2f} |", flush=True)

    def web(self):
        accounts = 100000 // (10 if self.quick else 1)
        print(f"\n## The API behind the pages, with {accounts} accounts (seconds, from asking to the whole answer)\n")
        print("| what | middle | slowest |\n|---|---|---|", flush=True)
        server = Hikyaku(self.program, self.folder, accounts)

        def change(i):
            now = ask("GET", f"/tables/mailusers.tab?offset={accounts // 2 + i}&limit=1")
            row = now["rows"][0]
            ask("PATCH", "/tables/mailusers.tab", {"version": now["version"], "changes": [
                {"op": "set", "line": row["line"], "old": row["values"], "values": [*row["values"][:3], str(700000 + i), *row["values"][4:]]}]})

        def put_back():
            last = max(r["id"] for r in ask("GET", "/removed"))
            ask("POST", f"/removed/{last}")

        def bring(round_number):
            text = "domain\tname\tpassword\n" + "".join(f"{DOMAIN}\tbrought{round_number}x{i}\tlong-password\n" for i in range(1000))
            job = ask("POST", "/import/users", {"text": text, "mode": "merge", "test": False})
            while ask("GET", f"/jobs/{job['job']}")["state"] == "running":
                time.sleep(0.05)
        try:
            time.sleep(2)
            ask = self.signed_in(server)
            rounds = range(self.runs)
            self.timed("first 100 accounts", [lambda: ask("GET", "/users?limit=100")] * 5)
            self.timed("search among all", [lambda i=i: ask("GET", f"/users?limit=100&search=son0{i}77") for i in range(5)])
            self.timed("one account", [lambda i=i: ask("GET", f"/users/{DOMAIN}/person00{i}123") for i in range(5)])
            self.timed("100 rows in the middle of mailusers.tab", [lambda: ask("GET", f"/tables/mailusers.tab?offset={accounts // 2}&limit=100")] * 5)
            self.timed("a row there read and changed", [lambda i=i: change(i) for i in range(5)])
            self.timed("a new account", [lambda i=i: ask("POST", "/users", {"domain": DOMAIN, "name": f"new{i}"}) for i in range(5)])
            self.timed("a new password", [lambda i=i: ask("PUT", f"/users/{DOMAIN}/person00{i}123/password", {"password": "another-secret"})
                                     for i in range(5)])
            self.timed("an account removed", [lambda i=i: ask("DELETE", f"/users/{DOMAIN}/new{i}") for i in rounds])
            self.timed("one brought back", [put_back for _ in rounds])
            self.timed("1,000 accounts from a text", [lambda i=i: bring(i) for i in rounds])
        finally:
            server.stop()
            shutil.rmtree(server.root)

    def trace(self):
        count, days = 1000000 // (10 if self.quick else 1), 5
        print(f"\n## The story of one of {count} logged messages, by the API (seconds)\n")
        print("| asked for | middle | slowest |\n|---|---|---|", flush=True)
        server = Hikyaku(self.program, self.folder)
        today = datetime.date.today()
        for day in range(days):
            when = today - datetime.timedelta(days=days - day)
            with open(os.path.join(server.root, "logs", f"trace-{when:%Y%m%d}0000"), "w", encoding="utf-8") as f:
                for n in range(day * count // days, (day + 1) * count // days):
                    at = f'"{when} {n // 3600 % 24:02}:{n // 60 % 60:02}:{n % 60:02}.000 +0000"'
                    f.write(f'{at}\t"smtpd"\t"message accepted"\t"id=5f{n:012}"\t"session=smtp-x{n}"\t"from=s{n % 70000}@past.example"\t'
                            f'"rcpts=1"\t"rcpt=r{n % 9973}@{DOMAIN}"\t"size=1295"\t"message_id=<m{n}@past.example>"\t"client=192.0.2.{n % 250}"\n'
                            f'{at}\t"queue"\t"delivered"\t"id=5f{n:012}"\t"rcpt=r{n % 9973}@{DOMAIN}"\t"status=2.0.0"\n')
        try:
            while len([n for n in os.listdir(os.path.join(server.root, "logs")) if n.endswith(".index")]) < days:
                time.sleep(0.5)
            time.sleep(20 if not self.quick else 3)  # the last one to its end
            ask = self.signed_in(server)

            def find(about, most=50):
                found = ask("GET", "/trace?" + urllib.parse.urlencode({"about": about, "limit": most}))
                if not found["stories"]:
                    raise RuntimeError(f"{about} isn't found")
            picks = [count // 7 * i + 3 for i in range(1, 6)]
            for name, words in (("an id", [f"5f{n:012}" for n in picks]), ("a Message-ID", [f"<m{n}@past.example>" for n in picks]),
                                ("a sender of 14", [f"s{n % 70000}@past.example" for n in picks]),
                                ("a recipient of 100", [f"r{n % 9973}@{DOMAIN}" for n in picks]),
                                ("a client of 4,000", [f"192.0.2.{n % 250}" for n in picks]),
                                ("a pattern", [f"s{n % 70000}@past.*" for n in picks])):
                self.timed(name, [lambda w=w: find(w) for w in words])
        finally:
            server.stop()
            shutil.rmtree(server.root)

    def full(self):
        count = 100000 if self.quick else 1000000
        print(f"\n## Into a mailbox that holds {count} messages (10 sessions, 1 KB)\n")
        server = Hikyaku(self.program, self.folder)
        try:
            rates = []
            for filled in (False, True):
                if filled:
                    new = os.path.join(server.mailbox("u0"), "new")
                    first = os.path.join(server.mailbox("u0"), "first")
                    with open(first, "wb") as f:
                        f.write(b"Subject: x\n\nx\n")
                    for i in range(count):
                        if i % 60000 == 0 and i:
                            os.unlink(first)
                            with open(first, "wb") as f:
                                f.write(b"Subject: x\n\nx\n")
                        os.link(first, os.path.join(new, f"{1600000000 + i}.M{i}P1.bench,S=14,W=17"))
                    os.sync()
                one = []
                for _ in range(self.runs):
                    rate, _, _ = self.run_load("smtp", "127.0.0.1", server.ports["smtp"], 10, 2000, 1024,
                                               f"u0@{DOMAIN}")
                    one.append(rate)
                rates.append(statistics.median(one))
            print(f"empty {rates[0]:.0f}, full {rates[1]:.0f} messages a second, ratio {rates[1] / rates[0]:.2f}",
                  flush=True)
        finally:
            server.stop()
            shutil.rmtree(server.root)


def main():
    words = sys.argv[1:]
    if not words:
        print(__doc__)
        return 2
    program = os.path.abspath(words[0])
    flags = [w for w in words[1:] if w.startswith("--")]
    parts = [w for w in words[1:] if not w.startswith("--")] or ["deliver", "filters", "relay", "queue", "lists", "takeover", "large", "pop3", "fetch", "gates", "idle", "memory", "useradd", "web", "trace", "full"]
    if os.geteuid() != 0:
        print("the peers need root; run `sudo make bench`")
        return 1
    folder = tempfile.mkdtemp(prefix="hikyaku-bench-", dir=os.environ.get("BENCH_FOLDER"))
    image = None
    try:
        work = folder
        if "--journal" in flags:
            image, work = folder + ".img", os.path.join(folder, "mounted")
            os.makedirs(work)
            with open(image, "wb") as f:
                f.truncate(6 << 30)
            subprocess.run(["mkfs.ext4", "-q", image], check=True)
            subprocess.run(["mount", "-o", "loop", image, work], check=True)
        os.chmod(folder, 0o755)
        print(f"# {os.cpu_count()} cores, {'ext4 with a journal (loop)' if image else 'the disk of ' + folder}")
        bench = Bench(program, work, "--quick" in flags)
        for part in parts:
            getattr(bench, part)()
    finally:
        if image:
            subprocess.run(["umount", "-l", os.path.join(folder, "mounted")], check=False)
            os.unlink(image)
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
