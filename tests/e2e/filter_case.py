"""What tests of filters share: a server, programs, tables, and a client that says what it was told."""
import os
import smtplib
import stat
import unittest

from harness import DOMAIN, PASSWORD, Server, replace

ALICE, BOB = f"alice@{DOMAIN}", f"bob@{DOMAIN}"
MESSAGE = "Subject: t\r\n\r\nx\r\n"


class FilterCase(unittest.TestCase):
    def setUp(self):
        self.server = Server(settings={"SMTP-MaxErrors": "0", "MaxSessionsPerAddress": "0", "SmtpNoTLSAuths": "PLAIN LOGIN",
                                       "LogFiles": "smtp"})
        self.addCleanup(self.server.close)
        self.bin = self.server.path("filters")
        os.makedirs(self.bin, exist_ok=True)

    def program(self, name, text):
        path = os.path.join(self.bin, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write("#!/bin/sh\n" + text + "\n")
        os.chmod(path, stat.S_IRWXU)
        return path

    def table(self, stage, *rows):
        replace(self.server.path(f"filters.{stage}.tab"),
                b"".join("\t".join(f'"{v}"' for v in row).encode() + b"\n" for row in rows))

    def say(self, *rcpts, sender="x@far.example", login=False, data=True, message=MESSAGE):
        """The codes of MAIL, each RCPT, and DATA (before the message, then after)."""
        c = smtplib.SMTP("127.0.0.1", self.server.ports["submission" if login else "smtp"], "me.example", timeout=60)
        try:
            c.ehlo()
            if login:
                c.login(ALICE, PASSWORD)
            out = [c.mail(sender)]
            out += [c.rcpt(r) for r in rcpts]
            if data:
                try:
                    out.append(c.data(message))
                except smtplib.SMTPDataError as e:
                    out.append((e.smtp_code, e.smtp_error))
            return [(code, text.decode()) for code, text in out]
        finally:
            c.close()

    def codes(self, *rcpts, **words):
        return [code for code, _ in self.say(*rcpts, **words)]
