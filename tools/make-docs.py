#!/usr/bin/env python3
"""Writes the generated parts of the documentation from the rows and headings of the sources.

    tools/make-docs.py [PROGRAM]     docs/MAP.md, docs/tables.md, docs/rfc.tsv, man/hikyaku.8; with
                                     PROGRAM also man/hikyaku-conf.5
    tools/make-docs.py --check       ends with 1 when one of the first four is behind

Between "<!-- generated: NAME -->" and "<!-- end -->" (manual pages: `.\\" generated: NAME` and `.\\" end`)
a page is the tool's; the rest is a person's.
"""
import os
import re
import subprocess
import sys

os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

FOLDERS = [
    ("base", "0: text, memory, maps, clock, errors, log. No knowledge of mail or files."),
    ("sys", "1: everything that talks to the kernel: files, commits, locks, pool, streams, TLS, roles."),
    ("conf", "2: tables and settings."),
    ("mail", "2: addresses, dates, message data, trace fields."),
    ("wire", "3: what line protocols share: sessions, engine, SASL."),
    ("users", "3: domains, accounts, aliases, passwords, access tables."),
    ("store", "3: mailboxes."),
    ("spool", "3: queue entries on disk."),
    ("admin", "3: changes to tables and account folders; only the control role makes them."),
    ("lists", "3: mailing lists: who may post, and the entries that go to the members."),
    ("gates", "3: who may connect, send and relay: decisions without a session."),
    ("backup", "3: copies of a MailRoot, and bringing them back."),
    ("history", "3: every change of a table, kept; only the control role does it."),
    ("watch", "3: what an administrator should look at, and the weekly letter that tells it."),
    ("import", "3: mail from other systems."),
    ("auth", "3: logins that programs of the administrator decide."),
    ("process", "3: the administrator's programs: lines that name them, macros."),
    ("takeover", "3: XMail's spool and MailRoot become ours, and go back."),
    ("smtpd", "4: SMTP and submission."),
    ("pop3d", "4: POP3."),
    ("queue", "4: scheduling and local delivery."),
    ("relay", "4: mail to other servers: routes, connections, messages."),
    ("acme", "4: certificates from an authority: both roles' halves of it."),
    ("fetch", "4: mail from mailboxes elsewhere: both roles' halves of it."),
    ("control", "4: the control protocol."),
    ("fingerd", "4: FINGER."),
    ("runner", "4: runs programs, for the roles that may not."),
    ("web", "4: administration by HTTP: the API, sign-ins, the pages of ui/."),
    ("master", "5: starting, watching and stopping roles; listeners; recovery."),
    ("tools", "5: commands for people: init, check, options."),
]

TITLES = {
    "1460": "POP3 (LAST)", "1869": "SMTP service extensions", "1870": "SIZE", "1939": "POP3", "1985": "ETRN",
    "2034": "ENHANCEDSTATUSCODES", "2104": "HMAC", "2195": "CRAM-MD5", "2449": "CAPA", "2595": "STLS",
    "2920": "PIPELINING", "3030": "CHUNKING", "3206": "AUTH and SYS response codes", "3207": "STARTTLS",
    "3454": "stringprep", "3461": "DSN", "3463": "status codes", "3629": "UTF-8", "3848": "ESMTPSA and kin",
    "4013": "SASLprep", "4422": "SASL", "4616": "PLAIN", "4648": "base64", "4954": "AUTH", "5034": "POP3 AUTH",
    "5321": "SMTP", "5322": "message format", "5802": "SCRAM", "6125": "names in certificates",
    "6152": "8BITMIME", "6409": "submission", "6531": "SMTPUTF8", "6856": "UTF8 for POP3",
    "7677": "SCRAM-SHA-256", "8018": "PBKDF2", "8098": "disposition notifications", "8446": "TLS 1.3",
    "1952": "gzip", "3986": "URI", "5789": "PATCH", "6265": "cookies", "9110": "HTTP", "9112": "HTTP/1.1",
    "7489": "DMARC", "2369": "List- fields", "2919": "List-Id", "6068": "mailto",
    "8996": "TLS 1.0 and 1.1 retired", "9422": "LIMITS",
}


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def heading(path):
    """The first sentence of a file's heading comment."""
    text = re.match(r"/\*(.*?)\*/", read(path), re.S).group(1)
    text = " ".join(line.strip(" *") for line in text.split("\n")).strip()
    text = re.sub(r"^\S+\.(?:c|h|def) - ", "", text)
    sentence = re.split(r"(?<=[.;:])\s", text, maxsplit=1)[0].rstrip(".;:")
    return sentence[:1].upper() + sentence[1:]


def file_map():
    out = []
    for folder, what in FOLDERS:
        out += [f"### src/{folder} - layer {what}", "", "| file | what it is |", "|---|---|"]
        for name in sorted(os.listdir("src/" + folder)):
            if name.endswith((".c", ".h", ".def")) and not name.endswith(("_test.c", "_fuzz.c")):
                text = heading(f"src/{folder}/{name}").replace("|", "\\|")
                out.append(f"| `{folder}/{name}` | {text} |")
        out.append("")
    out.append("`main.c`: the table of commands.")
    return "\n".join(out)


def gate_list(japanese):
    """The gates in their order, from src/gates/gates.def."""
    stages = {"CONNECT": ("connection", "接続時"), "MAIL": ("MAIL FROM", "MAIL FROM"), "RCPT": ("RCPT TO", "RCPT TO")}
    out = ["| | 関門 | いつ | 決めるもの | 内容 | WhiteList |" if japanese else
           "| | gate | at | decided by | what it does | WhiteList |", "|---|---|---|---|---|---|"]
    row = re.compile(r'^GATE\(\w+, "([^"]+)", (\w+), (\w+), "([^"]+)",\s+"([^"]+)",\s+"([^"]+)"\)', re.M)
    for i, m in enumerate(row.finditer(read("src/gates/gates.def")), 1):
        name, stage, white, source, en, ja = m.groups()
        free = ("免除" if japanese else "is free") if white == "SKIP" else ""
        out.append(f"| {i} | {name} | {stages[stage][japanese]} | {source} | {ja if japanese else en} | {free} |")
    return "\n".join(out)


def table_list():
    out = ["| table | columns | what it is |", "|---|---|---|"]
    for m in re.finditer(r'^TABLE\("([^"]+)", (\d+), (\d+), "([^"]*)", "([^"]*)"', read("src/conf/tables.def"), re.M):
        path, least, most, _, text = m.groups()
        columns = least if least == most else f"{least} or more" if most == "0" else f"{least} to {most}"
        out.append(f"| `{path}` | {columns} | {text} |")
    return "\n".join(out)


def rfc_list():
    found = {}
    for folder, _, names in os.walk("src"):
        for name in names:
            if not name.endswith((".c", ".h", ".def")):
                continue
            path = os.path.join(folder, name)[len("src/"):]
            text = read("src/" + path)
            numbers = set(re.findall(r"\bRFC (\d{3,5})", text))
            if name == "commands.c":  # the last column of each command's row
                numbers |= set(re.findall(r'"(\d{4}) [0-9.]+" \}', text))
            for number in numbers:
                found.setdefault(number, set()).add(path)
    return "".join(f"{n}\t{TITLES.get(n, '?')}\t{' '.join(sorted(found[n]))}\n" for n in sorted(found, key=int))


def roff(text):
    """A line of text for mdoc: nothing in it is a macro or an escape."""
    text = text.replace("\\", "\\e")
    return "\\&" + text if text[:1] in (".", "'") else text


def people_verbs():
    """The verbs of `hikyaku users` and its kin, from the rows of tools/people.c."""
    out, noun = [], None
    row = re.compile(r'^    \{ "(\w+)",\s+"(\w+)",\s+"\w+",\s+"\w*",\s+(?:"[^"]*"|NULL),\s+"([^"]*)",\s+"([^"]*)" \}',
                     re.M)
    for m in row.finditer(read("src/tools/people.c")):
        if m.group(1) == "undelete":
            continue
        if m.group(1) != noun:
            out += [".El"] if noun else []
            noun = m.group(1)
            out += [".It Cm " + noun, '.Bl -tag -compact -width "settings"']
        out += [".It Cm " + m.group(2), roff(m.group(3) + (": " if m.group(3) else "") + m.group(4))]
    return "\n".join(out + [".El"])


def metric_rows():
    out = []
    for m in re.finditer(r'^METRIC\(\w+, (\w+), "(\w+)", "((?:\\.|[^"])*)", "([^"]+)"\)', read("src/sys/metrics.def"), re.M):
        out += [f".It hikyaku_{m.group(2)}", roff(m.group(4))]
    return "\n".join(out)


def man_page(path):
    text = read(path)
    for name, made in (("verbs", people_verbs()), ("metrics", metric_rows())):
        text, count = re.subn(rf'(\.\\" generated: {name}\n).*?(\.\\" end\n)',
                              lambda m, made=made: m.group(1) + made + "\n" + m.group(2), text, flags=re.S)
        if count != 1:
            sys.exit(f"{path}: no place for {name}")
    return text


def between(path, parts):
    text = read(path)
    for name, made in parts.items():
        text, count = re.subn(rf"(<!-- generated: {name} -->\n).*?(<!-- end -->)",
                              lambda m, made=made: m.group(1) + made + "\n" + m.group(2), text, flags=re.S)
        if count != 1:
            sys.exit(f"{path}: no place for {name}")
    return text


def pages():
    return {"docs/MAP.md": between("docs/MAP.md", {"files": file_map()}),
            "docs/tables.md": between("docs/tables.md", {"tables": table_list()}),
            "docs/manual.md": between("docs/manual.md", {"gates": gate_list(False)}),
            "docs/manual.ja.md": between("docs/manual.ja.md", {"gates": gate_list(True)}),
            "docs/rfc.tsv": rfc_list(), "man/hikyaku.8": man_page("man/hikyaku.8")}


def conf_page(program):
    rows = subprocess.run([program, "options", "--mdoc"], check=True, capture_output=True, text=True).stdout
    return read("man/hikyaku-conf.5.head") + rows + read("man/hikyaku-conf.5.tail")


def main():
    made = pages()
    if "--check" in sys.argv:
        behind = [p for p, text in made.items() if not os.path.exists(p) or read(p) != text]
        for path in behind:
            print(f"{path}:1: behind the sources: tools/make-docs.py writes it")
        return 1 if behind else 0
    if len(sys.argv) > 1:
        made["man/hikyaku-conf.5"] = conf_page(sys.argv[1])
    for path, text in made.items():
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
