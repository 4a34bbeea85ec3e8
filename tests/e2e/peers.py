"""Postfix, Exim, OpenSMTPD and Dovecot as Debian ships them, without installing them: their packages are unpacked, and each runs in
a mount namespace of its own in which they lie over /usr. Needs root, overlayfs and Debian's archive."""
import glob
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import dovecot

HERE = os.path.dirname(os.path.abspath(__file__))
CACHE = os.path.join(HERE, "..", "..", "build", "peers")
USERS = """Debian-exim:x:9101:9101::/var/empty:/bin/false
opensmtpd:x:9102:9102::/var/lib/opensmtpd/empty:/bin/false
opensmtpq:x:9103:9103::/var/lib/opensmtpd/empty:/bin/false
postfix:x:9104:9104::/var/spool/postfix:/bin/false
peer:x:9106:9106::/var/empty:/bin/false
dovecot:x:9107:9107::/var/empty:/bin/false
dovenull:x:9108:9108::/var/empty:/bin/false
"""
GROUPS = """Debian-exim:x:9101:
opensmtpd:x:9102:
opensmtpq:x:9103:
postfix:x:9104:
postdrop:x:9105:
peer:x:9106:
dovecot:x:9107:
dovenull:x:9108:
"""


def unpack(packages):
    """The folder with the packages ("a b") and what they need; fetched once. Raises OSError when the archive can't be reached."""
    root = os.path.abspath(os.path.join(CACHE, packages.replace(" ", "+")))
    if os.path.isdir(root):
        return root
    with tempfile.TemporaryDirectory() as folder:
        os.makedirs(os.path.join(folder, "partial"))
        fetch = ["apt-get", "-y", "-q", "--download-only", "--no-install-recommends", "--reinstall", "-o", f"Dir::Cache::archives={folder}/",
                 "-o", "APT::Sandbox::User=root", "install", *packages.split()]
        done = subprocess.run(fetch, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode != 0:
            subprocess.run(["apt-get", "-q", "update"], capture_output=True, timeout=300, check=False)
            done = subprocess.run(fetch, capture_output=True, text=True, timeout=300, check=False)
        debs = glob.glob(os.path.join(folder, "*.deb"))
        if done.returncode != 0 or not debs:
            raise OSError(f"{packages} can't be fetched: {done.stderr[-300:]}")
        os.makedirs(CACHE, exist_ok=True)
        part = tempfile.mkdtemp(dir=CACHE)
        for deb in debs:
            subprocess.run(["dpkg", "-x", deb, part], check=True, timeout=120)
        os.chmod(part, 0o755)
        os.rename(part, root)
    return root


def cannot_run():
    """Why peers can't run here; None: they can."""
    if os.geteuid() != 0:
        return "peers need root"
    with open("/proc/filesystems", encoding="ascii") as f:
        return None if "overlay" in f.read() else "peers need overlayfs"


class Peer:
    """start: shell commands inside the namespace, the last of which stays in the foreground."""

    package = ""
    greeting = b"220"

    def __init__(self, onward=0):
        self.onward = onward
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.root = unpack(self.package)
        self.scratch = tempfile.mkdtemp(prefix="hikyaku-peer-")
        os.chmod(self.scratch, 0o755)
        for name in ("mail", "spool", "log", "conf"):
            os.makedirs(os.path.join(self.scratch, name))
        os.chown(os.path.join(self.scratch, "mail"), 9106, 9106)
        for name, more in (("passwd", USERS), ("group", GROUPS)):
            with open(f"/etc/{name}", encoding="utf-8") as f, open(f"{self.scratch}/{name}", "w", encoding="utf-8") as out:
                known = more.split("\n")
                mine = {line.split(":")[0] for line in known}
                out.write("".join(line for line in f if line.split(":")[0] not in mine) + more)
        self.process = None

    def write(self, name, text):
        with open(os.path.join(self.scratch, "conf", name), "w", encoding="utf-8") as f:
            f.write(text)

    def start(self):
        script = f"""set -e
mount -t overlay overlay -o lowerdir={self.root}/usr:/usr /usr
mount -t overlay overlay -o lowerdir={self.root}/etc:/etc /etc
mount --bind {self.scratch}/passwd /etc/passwd
mount --bind {self.scratch}/group /etc/group
mount -t tmpfs tmpfs /var/spool
mount -t tmpfs tmpfs /var/lib
{self.commands()}"""
        with open(os.path.join(self.scratch, "log", "out"), "ab") as out:
            self.process = subprocess.Popen(["unshare", "-m", "-p", "-f", "--kill-child", "--mount-proc", "sh", "-c", script], stdout=out, stderr=out,
                                            start_new_session=True)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 2) as s:
                    s.settimeout(10)
                    if s.recv(3) == self.greeting:
                        return self
            except OSError:
                time.sleep(0.1)
        raise AssertionError(f"{self.package} doesn't answer: {self.words()}")

    def stop(self):
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(30)
            self.process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def words(self):
        """What it logged."""
        text = ""
        for path in glob.glob(os.path.join(self.scratch, "log", "*")):
            with open(path, encoding="utf-8", errors="replace") as f:
                text += f.read()[-3000:]
        return text

    def mail(self):
        """What lies in its mailbox for peer.example."""
        found = []
        for path in glob.glob(os.path.join(self.scratch, "mail", "**", "new", "*"), recursive=True):
            with open(path, "rb") as f:
                found.append(f.read())
        return found

    def commands(self):
        raise NotImplementedError


class Postfix(Peer):
    package = "postfix"

    def commands(self):
        conf, spool = f"{self.scratch}/conf", f"{self.scratch}/spool"
        self.write("main.cf", f"""compatibility_level = 3.6
queue_directory = {spool}
data_directory = {self.scratch}/data
daemon_directory = /usr/lib/postfix/sbin
command_directory = /usr/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = mail.peer.example
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
virtual_mailbox_domains = peer.example
virtual_mailbox_base = {self.scratch}/mail
virtual_mailbox_maps = static:box/
virtual_uid_maps = static:9106
virtual_gid_maps = static:9106
virtual_minimum_uid = 1
mynetworks = 127.0.0.0/8
relayhost = [127.0.0.1]:{self.onward}
maillog_file = {self.scratch}/log/postfix
maillog_file_prefixes = {self.scratch}
alias_maps =
alias_database =
smtputf8_enable = no
""")
        services = [f"127.0.0.1:{self.port} inet n - n - - smtpd", "pickup unix n - n 60 1 pickup", "cleanup unix n - n - 0 cleanup",
                    "qmgr unix n - n 300 1 qmgr", "tlsmgr unix - - n 1000? 1 tlsmgr", "rewrite unix - - n - - trivial-rewrite",
                    "bounce unix - - n - 0 bounce", "defer unix - - n - 0 bounce", "trace unix - - n - 0 bounce",
                    "verify unix - - n - 1 verify", "flush unix n - n 1000? 0 flush", "proxymap unix - - n - - proxymap",
                    "smtp unix - - n - - smtp", "error unix - - n - - error", "retry unix - - n - - error",
                    "virtual unix - n n - - virtual", "anvil unix - - n - 1 anvil", "scache unix - - n - 1 scache",
                    "postlog unix-dgram n - n - 1 postlogd"]
        self.write("master.cf", "".join(s + "\n" for s in services))
        return (f"mkdir -p {self.scratch}/data\nchown 9104:9104 {self.scratch}/data\npostfix -c {conf} check\n"
                f"exec /usr/lib/postfix/sbin/master -c {conf} -d")


class Exim(Peer):
    package = "exim4-daemon-light"

    def commands(self):
        self.write("exim.conf", f"""primary_hostname = mail.peer.example
local_interfaces = 127.0.0.1
daemon_smtp_ports = {self.port}
spool_directory = {self.scratch}/spool
log_file_path = {self.scratch}/log/%slog
pid_file_path = {self.scratch}/exim.pid
exim_user = Debian-exim
never_users =
acl_smtp_rcpt = all
smtp_accept_queue_per_connection = 0
begin acl
all:
  accept
begin routers
here:
  driver = accept
  domains = peer.example
  transport = files
onward:
  driver = manualroute
  route_list = * 127.0.0.1
  self = send
  transport = onward
begin transports
files:
  driver = appendfile
  directory = {self.scratch}/mail/box
  maildir_format
  create_directory
  user = peer
onward:
  driver = smtp
  port = {self.onward}
  allow_localhost
begin retry
* * F,1h,1m
""")
        return (f"chown -R 9101:9101 {self.scratch}/spool {self.scratch}/log\nmkdir /var/lib/exim4\n"
                f"cp {self.scratch}/conf/exim.conf /var/lib/exim4/config.autogenerated\nexec /usr/sbin/exim4 -bdf -q1m")


class OpenSmtpd(Peer):
    package = "opensmtpd"

    def commands(self):
        self.write("smtpd.conf", f"""listen on 127.0.0.1 port {self.port} hostname mail.peer.example
action "files" maildir "{self.scratch}/mail/box" virtual {{ "@" = "peer" }}
action "onward" relay host "smtp://127.0.0.1:{self.onward}"
match from any for domain "peer.example" action "files"
match from any for any action "onward"
""")
        return ("mkdir -p /var/lib/opensmtpd/empty /var/spool/smtpd /var/empty\nchmod 711 /var/spool/smtpd\n"
                f"chmod 644 {self.scratch}/conf/smtpd.conf\nexec /usr/sbin/smtpd -dv -f {self.scratch}/conf/smtpd.conf")


class Dovecot(Peer):
    """POP3 and IMAPS for the user far, whose mail is files of its Maildir. certificate: (certificate, key)."""

    package = "dovecot-pop3d dovecot-imapd"
    greeting = b"+OK"

    def __init__(self, certificate, users=("far",)):
        super().__init__()
        self.certificate, self.users = certificate, users
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.imaps_port = s.getsockname()[1]
        for user in users:
            for name in ("tmp", "new", "cur"):
                os.makedirs(os.path.join(self.box(user), name))
        for folder, _, _ in os.walk(os.path.join(self.scratch, "mail")):
            os.chown(folder, 9106, 9106)

    def box(self, user):
        return os.path.join(self.scratch, "mail", user, "Maildir")

    def put(self, user, name, octets):
        """One more message, with LF."""
        path = os.path.join(self.box(user), "tmp", name)
        with open(path, "wb") as f:
            f.write(octets)
        os.chown(path, 9106, 9106)
        os.rename(path, os.path.join(self.box(user), "new", name))

    def left(self, user):
        """How many messages lie there."""
        return sum(len(os.listdir(os.path.join(self.box(user), name))) for name in ("new", "cur"))

    def commands(self):
        self.write("users", "".join(f"{u}:{{PLAIN}}far-word:9106:9106::{self.scratch}/mail/{u}::\n" for u in self.users))
        self.write("dovecot.conf", dovecot.conf(self.scratch, f"{self.scratch}/log/dovecot", f"{self.scratch}/conf/users", pop3=self.port, imaps=self.imaps_port,
                                                certificate=self.certificate))
        return f"exec /usr/sbin/dovecot -F -c {self.scratch}/conf/dovecot.conf"
