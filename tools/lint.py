#!/usr/bin/env python3
"""Checks what the compiler can't: layers, banned calls, lengths, comments, the map, RFC references.

    tools/lint.py        prints "file:line: what is wrong", ends with 1 if anything is
"""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
os.chdir(ROOT)

# A folder includes itself and folders of lower layers; equal ones only where named here.
LAYERS = {"base": 0, "sys": 1, "conf": 2, "mail": 2, "wire": 3, "users": 3, "store": 3, "spool": 3, "admin": 3,
          "lists": 3, "gates": 3, "process": 3, "auth": 3, "takeover": 3, "backup": 3, "import": 3, "history": 3, "watch": 3,
          "acme": 4, "runner": 4, "fetch": 4, "web": 4,
          "smtpd": 4, "pop3d": 4, "queue": 4, "relay": 4, "control": 4, "fingerd": 4, "master": 5, "tools": 5}
SIDEWAYS = {("conf", "mail"), ("wire", "users"), ("store", "users"), ("spool", "users"), ("spool", "store"),
            ("web", "users"), ("admin", "users"), ("admin", "store"), ("admin", "spool"),
            ("lists", "users"), ("lists", "spool"), ("gates", "users"), ("auth", "users"), ("auth", "process"), ("auth", "wire"),
            ("takeover", "users"), ("takeover", "store"), ("takeover", "spool"), ("takeover", "admin"), ("takeover", "process"),
            ("watch", "users"), ("watch", "spool"), ("watch", "backup"),
            ("history", "users"), ("backup", "users"), ("backup", "store"), ("backup", "spool"), ("backup", "admin"),
            ("import", "users"), ("import", "store"),
            ("tools", "master")}

LINE_MAX, FUNCTION_MAX, FILE_MAX, TEST_FILE_MAX, NESTING_MAX = 100, 60, 600, 800, 3
ONLY_BELOW_2 = re.compile(
    r"(?<![\w.>])(open|openat|read|write|pread|pwrite|rename|unlink|mkdir|rmdir|fsync|fdatasync|ftruncate|"
    r"pthread_\w+|fork|execve?|execvp?|fopen|open_memstream|opendir|link|symlink|truncate|nanosleep)\s*\(")
BANNED = re.compile(
    r"(?<![\w.>])(v?sprintf|strcpy|strcat|strncpy|strncat|gets|strtok|strtok_r|atoi|atol|strtol|strtoul|sscanf|"
    r"system|popen|sleep|usleep|tmpnam|mktemp|setjmp|longjmp|alloca|malloc|calloc|realloc|strdup|"
    r"assert|abort|exit|printf)\s*\(")
PROTOTYPE = re.compile(
    r"^(?!typedef|extern|static|UNUSED|return)[A-Za-z_][\w\s*]*?\b(\w+)\((?:[^;{}]|\n)*?\)[^;{}]*;", re.M)
MAY_PRINT = ("tools", "main.c", "master/status.c", "master/master.c")
TEST_HEADERS = ("scratch.h", "dialogue.h", "test_root.h")
LATER_WORDS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|\bstub\b", re.I)
MACHINE = re.compile(r"/work/|/tmp/hk|/root/")
findings = []


def say(path, line, what):
    findings.append(f"{path}:{line}: {what}")


def sources():
    for folder, folders, files in os.walk("src"):
        folders.sort()
        for name in sorted(files):
            if name.endswith((".c", ".h", ".def")):
                yield os.path.join(folder, name)


def folder_of(path):
    parts = path.split("/")
    return parts[1] if len(parts) > 2 else None


def without_comments(text):
    """The text with comments and literals blanked, lines kept."""
    def blank(m):
        return re.sub(r"[^\n]", " ", m.group(0))
    return re.sub(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', blank, text, flags=re.S)


def check_includes(path, text):
    own = folder_of(path)
    test = path.endswith(("_test.c", "_fuzz.c"))
    if own is None:
        return
    if own not in LAYERS:
        say(path, 1, f"folder {own} has no layer in tools/lint.py")
        return
    for m in re.finditer(r'^#include "([^"/]+)/', text, re.M):
        other = m.group(1)
        line = text.count("\n", 0, m.start()) + 1
        if other not in LAYERS:
            say(path, line, f"include of unknown folder {other}")
        elif other != own and LAYERS[other] >= LAYERS[own] and (own, other) not in SIDEWAYS and not test:
            say(path, line, f"{own} (layer {LAYERS[own]}) must not include {other} (layer {LAYERS[other]})")


def check_calls(path, code):
    own = folder_of(path)
    test = path.endswith(("_test.c", "_fuzz.c") + TEST_HEADERS)
    for number, line in enumerate(code.split("\n"), 1):
        m = ONLY_BELOW_2.search(line)
        if m and own not in ("base", "sys") and not test:
            say(path, number, f"{m.group(1)}() is called in sys/ only")
        m = BANNED.search(line)
        if m and own != "base" and not test and not (
                m.group(1) == "printf" and any(p in path for p in MAY_PRINT)):
            say(path, number, f"{m.group(1)}() is not used here")


def check_lengths(path, text, code):
    lines = text.split("\n")
    most = TEST_FILE_MAX if path.endswith("_test.c") else FILE_MAX
    if len(lines) > most and not path.endswith(".def"):
        say(path, len(lines), f"file longer than {most} lines")
    fenced = False
    for number, line in enumerate(lines, 1):
        if re.search(r"clang-format (off|on)", line):
            fenced = "clang-format off" in line
        elif len(line) > LINE_MAX and not fenced:
            say(path, number, f"line longer than {LINE_MAX}")
    start = None
    for number, line in enumerate(code.split("\n"), 1):
        if line == "{":
            start = number
        elif line == "}" and start is not None:
            if number - start > FUNCTION_MAX:
                say(path, start, f"function of {number - start} lines")
            start = None
        m = re.match(r"( +)(if|for|while|do|switch)\b", line)
        if m and start is not None and len(m.group(1)) > 4 * NESTING_MAX:
            say(path, number, f"nested deeper than {NESTING_MAX}")


def check_releases(path, code):
    """A buffer with cleanup is made before the first return: the cleanup runs there too."""
    for m in re.finditer(r"^ +struct buf ([^=;{]*) AUTO_RELEASE_BUF[^=;]*;", code, re.M):
        rest = code[m.end():code.find("\n}", m.end())]
        for name in re.findall(r"\w+", m.group(0).replace("AUTO_RELEASE_BUF", "").replace("struct buf", "")):
            made = re.search(rf"\bbuf_init\(&{name}\b", rest)
            leaves = re.search(r"\breturn\b", rest)
            if made is None or (leaves and leaves.start() < made.start()):
                say(path, code.count("\n", 0, m.start()) + 1, f"{name} may be released before buf_init")


def check_docstrings(path, text, code):
    """Each function of a header has words above it: its own, or of the block it stands in."""
    if not path.endswith(".h") or path.endswith(TEST_HEADERS):
        return
    blocks = text.split("\n")
    for m in PROTOTYPE.finditer(code):
        line = code.count("\n", 0, m.start())
        above = line - 1
        while above >= 0 and blocks[above].strip() and "*/" not in blocks[above]:
            above -= 1
        if above < 0 or not blocks[above].strip():
            say(path, line + 1, f"{m.group(1)}() has no comment")


def check_comments(path, text):
    for m in re.finditer(r"^[^\"\n/]*(?<!:)//.*$", text, re.M):
        say(path, text.count("\n", 0, m.start()) + 1, "// comment")
    if not text.startswith("/*"):
        say(path, 1, "no heading comment")


def check_words(path, text):
    for number, line in enumerate(text.split("\n"), 1):
        for pattern in (LATER_WORDS, MACHINE):
            m = pattern.search(line)
            if m:
                say(path, number, f"'{m.group(0)}'")


def check_headers():
    flags = ["-std=c17", "-D_GNU_SOURCE", "-DHIKYAKU_VERSION=\"x\"", "-iquote", "src", "-fsyntax-only", "-x", "c"]
    for path in sources():
        if not path.endswith(".h"):
            continue
        done = subprocess.run(["gcc"] + flags + [path], capture_output=True, text=True)
        if done.returncode != 0:
            say(path, 1, "does not compile alone: " + done.stderr.split("\n")[0])


def check_options():
    with open("src/conf/options.def", encoding="utf-8") as f:
        text = f.read()
    rows = list(re.finditer(r"^OPT\((.*?)\)\n(?=OPT|/\*|$)", text, re.M | re.S))
    if len(rows) != len(re.findall(r"^OPT\(", text, re.M)):
        say("src/conf/options.def", 1, "a row that lint can't read")
    for m in rows:
        strings = re.findall(r'"((?:\\.|[^"\\])*)"', m.group(1))
        if len(strings) < 3 or not re.search(r"[\u3040-\u30ff\u4e00-\u9fff]", strings[-1]):
            say("src/conf/options.def", text.count("\n", 0, m.start()) + 1, "lacks its English or Japanese text")


def check_map():
    if not os.path.exists("docs/MAP.md"):
        say("docs/MAP.md", 1, "missing")
        return
    with open("docs/MAP.md", encoding="utf-8") as f:
        text = f.read()
    for path in sources():
        name = path[len("src/"):]
        if not name.endswith(("_test.c", "_fuzz.c", "_int.h")) and name not in text:
            say("docs/MAP.md", 1, f"says nothing of {name}")
    for m in re.finditer(r"`((?:src/)?[a-z0-9]+/[a-z0-9_]+\.(?:c|h|def))`", text):
        name = m.group(1).replace("src/", "")
        if not os.path.exists("src/" + name):
            say("docs/MAP.md", text.count("\n", 0, m.start()) + 1, f"names {name}, which is not there")


def check_rfcs():
    if not os.path.exists("docs/rfc.tsv"):
        say("docs/rfc.tsv", 1, "missing")
        return
    with open("docs/rfc.tsv", encoding="utf-8") as f:
        known = {line.split("\t")[0] for line in f if line.strip()}
    for path in sources():
        with open(path, encoding="utf-8") as f:
            text = f.read()
        for m in re.finditer(r"\bRFC (\d{3,5})", text):
            if m.group(1) not in known:
                say(path, text.count("\n", 0, m.start()) + 1, f"RFC {m.group(1)} is not in docs/rfc.tsv")


def check_generated():
    done = subprocess.run([sys.executable, "tools/make-docs.py", "--check"], capture_output=True, text=True)
    if done.returncode != 0:
        findings.extend((done.stdout + done.stderr).strip().split("\n"))


def check_links():
    pages = ["README.md", "README.ja.md"] + [os.path.join(d, n) for d, _, names in os.walk("docs") for n in names
                                               if n.endswith(".md")]
    for page in pages:
        with open(page, encoding="utf-8") as f:
            text = f.read()
        check_words(page, text)
        for m in re.finditer(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text):
            if not os.path.exists(os.path.join(os.path.dirname(page), m.group(1))):
                say(page, text.count("\n", 0, m.start()) + 1, f"link to {m.group(1)}, which is not there")


def check_said():
    """What ui/src/said.ts translates, the program still says."""
    literals, page = set(), "ui/src/said.ts"
    for path in sources():
        if not path.endswith("_test.c"):
            with open(path, encoding="utf-8") as f:
                text = re.sub(r'%" PRI\w+(\s*")?', lambda m: "%d" if m.group(1) else '%d"', f.read())
            for m in re.finditer(r'"(?:\\.|[^"\\\n])*"(?:\s*"(?:\\.|[^"\\\n])*")*', text):
                joined = "".join(re.findall(r'"((?:\\.|[^"\\\n])*)"', m.group(0)))
                literals.add(re.sub(r"%[-0-9.*]*(?:ll|[lzh])?[a-z]", "{}", joined.replace('\\"', '"')))
    with open(page, encoding="utf-8") as f:
        text = f.read()
    for m in re.finditer(r"""\[\s*(["'])(.+?)\1,\s*(["']).*?\3,?\s*\]""", text):
        if not {m.group(2), m.group(2).removesuffix(": {}")} & literals:
            say(page, text.count("\n", 0, m.start()) + 1, f"no source says: {m.group(2)}")


def main():
    for path in sources():
        with open(path, encoding="utf-8") as f:
            text = f.read()
        check_words(path, text)
        check_comments(path, text)
        if path.endswith(".def"):
            continue
        code = without_comments(text)
        check_includes(path, text)
        check_calls(path, code)
        check_lengths(path, text, code)
        check_releases(path, code)
        check_docstrings(path, text, code)
    check_headers()
    check_options()
    check_map()
    check_rfcs()
    check_generated()
    check_links()
    check_said()
    for finding in findings:
        print(finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
