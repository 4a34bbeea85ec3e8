"""Files as XMail leaves them in its spool, for tests of taking it over."""
import os

FOLDERS = ("mess", "rsnd", "info", "temp", "slog", "lock", "mprc", "cust", "froz")
INFO = "[192.0.2.7]:4321;[192.0.2.1]:25;Thu, 26 Nov 2026 09:00:00 +0900"


def make_spool(mailroot, splits=2):
    for a in range(splits):
        for b in range(splits):
            for folder in FOLDERS:
                os.makedirs(os.path.join(mailroot, "spool", str(a), str(b), folder), exist_ok=True)
    for folder in ("local", "temp"):
        os.makedirs(os.path.join(mailroot, "spool", folder), exist_ok=True)


def spool_text(sender, rcpts, message, info=INFO):
    """The text of a spool file; message has LF line ends and is stuffed here."""
    head = [info] if info else []
    head += ["mail.test.example", "S1A2B", f"MAIL FROM:<{sender}>"]
    head += [f"RCPT TO:<{rcpt}>" for rcpt in rcpts] + ["<<MAIL-DATA>>"]
    lines = ["." + line if line.startswith(".") else line for line in message.split("\n")]
    return ("\r\n".join(head) + "\r\n" + "\r\n".join(lines)).encode("utf-8", "surrogateescape")


def put(mailroot, kind, name, text, folder="0/1"):
    path = os.path.join(mailroot, "spool", folder, kind, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(text)
    return path


def left(mailroot, top="spool"):
    """All regular files below the spool."""
    found = []
    for folder, _, names in os.walk(os.path.join(mailroot, top)):
        found += [os.path.relpath(os.path.join(folder, name), mailroot) for name in names
                  if os.path.isfile(os.path.join(folder, name)) and not os.path.islink(os.path.join(folder, name))]
    return sorted(found)


SLOG = """[PeekTime] {first} : Thu, 26 Nov 2026 10:00:00 +0900
<<
ErrCode   = -41
ErrString = Name not found
SMTP-Error = "451 4.7.1 try later"
>>
[PeekTime] {second} : Thu, 26 Nov 2026 10:08:00 +0900
<<
ErrCode   = -41
SMTP-Error = "452 4.2.2 still full"
>>
"""
