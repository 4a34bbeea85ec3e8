#!/usr/bin/env python3
"""A filter that stays (filters.post-data.tab), so that Python starts once and not for each message:

    "!persist,timeo=20"  "/usr/local/libexec/persistent-filter.py"

It gets one job a line, as JSON, whose members are the macros (FILE, FROM, REMOTEADDR, ...), and answers each with one
line: the job's id, a code as a filter's exit code, and maybe a reply for code 3. What it writes to standard error is
in the log. Here: messages with the word "lottery" in their Subject are refused, the others get a field.
"""
import json
import os
import sys

TAG = b"<<MAIL-DATA>>"


def judge(job):
    with open(job["FILE"], "rb") as f:
        head, tag, message = f.read().partition(TAG + b"\r\n")
    header = message.partition(b"\r\n\r\n")[0]
    for line in header.split(b"\r\n"):
        if line.lower().startswith(b"subject:") and b"lottery" in line.lower():
            print("refused:", job["FROM"], file=sys.stderr, flush=True)
            return {"code": 3, "reply": "550 5.7.1 No lotteries here"}
    new = job["FILE"] + ".new"
    with open(new, "wb") as f:
        f.write(head + tag + b"X-Looked-At: by Python\r\n" + message)
    os.rename(new, job["FILE"])
    return {"code": 0}


for line in sys.stdin:
    job = json.loads(line)
    print(json.dumps({"id": job["id"], **judge(job)}), flush=True)
