"""An IMAP server of the other side, as far as fetching needs one: TLS from the start, one mailbox, UIDs."""
import re
import ssl

from listener import Listener


class ImapSource(Listener):
    """messages: [uid, octets, flags]. `script` maps a word of a command ("LOGIN", "SELECT", "FETCH", "STORE", "EXPUNGE") to a
    function of (session, tag, rest) that returns what is sent instead, or None."""

    def __init__(self, tls, messages=(), script=None, uidplus=True, user="far", password="far-word"):
        super().__init__()
        self.tls, self.script, self.uidplus = tls, script or {}, uidplus
        self.messages = [[uid, octets, set()] for uid, octets in messages]
        self.user, self.password = user, password
        self.validity = 7
        self.taken, self.busy = [], 0
        self.serve()

    def uids(self):
        with self.lock:
            return [m[0] for m in self.messages]

    def serve_one(self, s):
        self.busy += 1
        try:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.tls)
            s = context.wrap_socket(s, server_side=True)
            file = s.makefile("rb")
            s.sendall(b"* OK ready\r\n")
            for line in file:
                line = line.rstrip(b"\r\n")
                self.commands.append(line)
                tag, _, rest = line.partition(b" ")
                word = next((w for w in ("LOGIN", "CAPABILITY", "SELECT", "FETCH", "STORE", "EXPUNGE", "LOGOUT") if w.encode() in rest), "")
                hook = self.script.get(word)
                text = hook(self, tag, rest) if hook else None
                with self.lock:
                    s.sendall(text if text is not None else self.answer(word, rest) + tag + b" OK done\r\n")
                if word == "LOGOUT":
                    return
        except (OSError, EOFError):
            pass
        finally:
            self.busy -= 1
            s.close()

    def answer(self, word, rest):
        if word == "LOGIN" and rest != f'LOGIN "{self.user}" "{self.password}"'.encode():
            return b"* BYE wrong\r\n"
        if word == "CAPABILITY":
            return b"* CAPABILITY IMAP4rev1" + (b" UIDPLUS" if self.uidplus else b"") + b"\r\n"
        if word == "SELECT":
            return b"* %d EXISTS\r\n* 0 RECENT\r\n* OK [UIDVALIDITY %d] ok\r\n" % (len(self.messages), self.validity)
        if word == "FETCH" and b"1:*" in rest:
            return b"".join(b"* %d FETCH (UID %d RFC822.SIZE %d FLAGS (%s))\r\n" % (i + 1, uid, len(octets), b" ".join(flags))
                            for i, (uid, octets, flags) in enumerate(self.messages))
        if word == "FETCH":
            uid = int(re.search(rb"FETCH (\d+)", rest).group(1))
            for i, (u, octets, _) in enumerate(self.messages):
                if u == uid:
                    self.taken.append(uid)
                    return b"* %d FETCH (UID %d BODY[] {%d}\r\n" % (i + 1, uid, len(octets)) + octets + b")\r\n"
            return b""
        if word == "STORE":
            uids = [int(uid) for uid in re.search(rb"STORE ([\d,]+)", rest).group(1).split(b",")]
            for m in self.messages:
                if m[0] in uids:
                    m[2].add(b"\\Deleted")
        if word == "EXPUNGE":
            ranges = [(int(a), int(b)) for a, b in re.findall(rb"(\d+):(\d+)", rest)] or [(0, 1 << 32)]
            self.messages = [m for m in self.messages
                             if b"\\Deleted" not in m[2] or not any(a <= m[0] <= b for a, b in ranges)]
        return b""
