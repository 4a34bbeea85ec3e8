"""MailRoots that earlier versions left, killed in the middle: today's program starts on each and loses nothing.

tests/data/mailroots has one for each version that changed the form of a file; tests/data/make_mailroot.py makes them.
"""
import glob
import os
import poplib
import shutil
import tarfile
import tempfile
import unittest

from harness import DOMAIN, PASSWORD, Server, wait_until

FOLDER = os.path.join(os.path.dirname(__file__), "../data/mailroots")


class Formats(unittest.TestCase):
    def subjects(self, server, user):
        out = []
        for path in glob.glob(server.path("domains", DOMAIN, user, "Maildir", "[nc]*", "*")):
            with open(path, encoding="utf-8") as f:
                out += [line[9:].strip() for line in f if line.startswith("Subject: ")]
        return sorted(out)

    def marker(self, server):
        with open(server.path("hikyaku", "marker"), encoding="ascii") as f:
            return dict(line.split() for line in f)

    def one(self, path):
        scratch = tempfile.mkdtemp(prefix="hikyaku-test-")
        self.addCleanup(shutil.rmtree, scratch, True)
        with tarfile.open(path) as tar:
            tar.extractall(scratch, filter="data") if hasattr(tarfile, "data_filter") else tar.extractall(scratch)
        server = Server(mailroot=os.path.join(scratch, "MailRoot"))
        self.addCleanup(server.close)
        before = self.marker(server)
        server.start()
        self.assertEqual(self.marker(server), dict(before, format="2"), "older programs must not start on it now")
        alice = ["in the mailbox", "left in the queue", "through the queue"]
        self.assertTrue(wait_until(lambda: len(self.subjects(server, "alice")) >= 3 and
                                   len(self.subjects(server, "bob")) >= 2, 20), server.log_text())
        self.assertEqual((self.subjects(server, "alice"), self.subjects(server, "bob")), (alice, alice[1:]))
        self.assertTrue(wait_until(lambda: not glob.glob(server.path("queue/??/*")), 20))
        pop = poplib.POP3("127.0.0.1", server.ports["pop3"], timeout=20)
        pop.user(f"alice@{DOMAIN}")
        pop.pass_(PASSWORD)
        self.assertEqual(len(pop.list()[1]), 3)
        pop.quit()
        server.stop()
        server.start()
        self.assertEqual((self.subjects(server, "alice"), self.subjects(server, "bob")), (alice, alice[1:]))
        server.stop()

    def test_each(self):
        paths = sorted(glob.glob(FOLDER + "/*.tar.gz"))
        self.assertGreaterEqual(len(paths), 3)
        for path in paths:
            with self.subTest(os.path.basename(path)):
                self.one(path)


if __name__ == "__main__":
    unittest.main()
