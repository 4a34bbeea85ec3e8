"""Kills whoever takes XMail's spool over in place of each change of the file system, then goes on: each message is
there once. The same with a disk that fills."""
import json
import os
import random
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "e2e"))

from crash_harness import Server, kill_points, wait_until  # noqa: E402
from harness import DOMAIN, PROGRAM  # noqa: E402
from trace_model import read_trace  # noqa: E402
from xmail_spool import SLOG, left, make_spool, put, spool_text  # noqa: E402

CHANGES = {"write", "trunc", "rename", "link", "unlink", "mkdir", "rmdir", "sync+", "open"}
POINTS_MAX = 40


def queue(root, *words):
    out = subprocess.run([PROGRAM, "queue", "list", "--json", "--mailroot", root, *words], capture_output=True,
                         text=True, timeout=60)
    return json.loads(out.stdout)


def fill(root):
    make_spool(root)
    for i, user in enumerate(("alice", "bob", "alice")):
        put(root, "mess", f"176400000010{i}.1.1.h", spool_text("s@far.example", [f"{user}@{DOMAIN}"],
                                                              f"Subject: m{i}\n\n.dot\n"), f"{i % 2}/{i % 2}")
    large = "Subject: large\n\n" + "x" * 70 + "\n" + ("y" * 70 + "\n") * 5000
    put(root, "mess", "1764000000200.1.1.h", spool_text("s@far.example", [f"alice@{DOMAIN}", f"bob@{DOMAIN}"], large))
    for kind in ("rsnd", "froz"):
        name = f"1764000000300.{kind}.1.h"
        put(root, kind, name, spool_text("s@far.example", ["r@far.example"], f"Subject: {kind}\n\n"))
        put(root, "slog", name, SLOG.format(first=4102444000, second=4102444100).encode())
    put(root, "froz", "damaged", b"nothing")


class KillTakeover(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.made = Server(settings={"DefaultSMTPGateways": "127.0.0.1:1", "TraceDays": 0})
        fill(cls.made.mailroot)

    @classmethod
    def tearDownClass(cls):
        cls.made.close()

    def copy(self):
        folder = os.path.join(self.made.scratch, "run")
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.made.mailroot, folder)
        return folder

    def judge(self, root):
        with Server(mailroot=root) as s:
            whole = wait_until(lambda: len(s.mailbox("alice")) == 3 and len(s.mailbox("bob")) == 2)
            self.assertTrue(whole, s.log_text()[-3000:])
            subjects = sorted(s.read(user, name).split(b"Subject: ")[1].split(b"\n")[0].decode()
                              for user in ("alice", "bob") for name in s.mailbox(user))
            self.assertEqual(subjects, ["large", "large", "m0", "m1", "m2"])
            self.assertTrue(wait_until(lambda: len(queue(root)) == 1))
            [frozen] = queue(root, "--frozen")
            self.assertIn("452 4.2.2", frozen["recipients"][0]["reason"])
            self.assertEqual(left(root), [])
            self.assertEqual([os.path.basename(p) for p in left(root, "queue/damaged")], ["damaged"])
            self.assertEqual([p for p in left(root, "queue/xmail") if "/slog/" not in p], [])

    def test_the_start_is_killed(self):
        root = self.copy()
        trace = os.path.join(self.made.scratch, "trace")
        server = Server(mailroot=root, env={"HIKYAKU_TRACE": trace})
        server.start()
        server.stop()
        opened = [r for r in read_trace(trace) if r[0] == "rename" and b"queue/xmail" in r[6]]
        pid = opened[0][1]
        count = sum(1 for r in read_trace(trace)
                    if r[1] == pid and r[0] in CHANGES and (r[0] != "open" or r[4] & 0o1100))
        self.assertGreater(count, 40)
        shutil.rmtree(server.scratch, ignore_errors=True)
        for n in kill_points(count, POINTS_MAX):
            with self.subTest(n=n):
                root = self.copy()
                broken = Server(mailroot=root, env={"HIKYAKU_KILL": f"recover:{n}"})
                with self.assertRaises(RuntimeError):
                    broken.start()
                broken.log.close()
                # XMail, started now by somebody, sees a message or we have it, never both
                names = [os.path.basename(p) for top in ("spool", "queue/xmail") for p in left(root, top)
                         if not p.split("/")[-2] == "slog"]
                self.assertEqual(len(names), len(set(names)))
                self.judge(root)

    def run_tool(self, root, *words, kill=None):
        env = dict(os.environ, **({"HIKYAKU_KILL": kill} if kill else {}))
        done = subprocess.run([PROGRAM, *words, "--mailroot", root], capture_output=True, text=True, env=env, timeout=60)
        self.assertIn(done.returncode, (0, -9) if kill else (0,), done.stderr)
        return done.returncode == 0

    def test_takeover_is_killed(self):
        n, done = 1, False
        while not done:
            root = self.copy()
            done = self.run_tool(root, "takeover", "--do", kill=f"takeover:{n}")
            self.run_tool(root, "takeover", "--do")
            if n % 5 == 1 or done:
                self.judge(root)
            n += random.randint(1, 5) if n < 20 else 14
        self.assertGreater(n, 40)

    def test_export_is_killed(self):
        """Then it is repeated, or the server is started again instead."""
        n, done = 1, False
        while not done:
            root = self.copy()
            self.run_tool(root, "takeover", "--do")
            done = self.run_tool(root, "export-spool", kill=f"export:{n}")
            with self.subTest(n=n):
                if n % 4 != 1:
                    self.run_tool(root, "export-spool")
                    self.assertEqual([len(os.listdir(os.path.join(root, "spool", "0", "0", kind)))
                                      for kind in ("mess", "froz", "slog")], [6, 1, 1])
                    self.assertEqual([p for p in left(root, "queue") if "damaged" not in p and "/slog/" not in p], [])
                self.run_tool(root, "takeover", "--do")
                self.judge(root) if n % 8 == 1 else self.assertEqual(left(root), [])
            n += random.randint(1, 5) if n < 20 else 14
        self.assertGreater(n, 40)


if __name__ == "__main__":
    unittest.main()
