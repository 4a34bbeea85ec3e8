"""Log files by the browser's API: in pieces, with filters, whole; names that lead elsewhere."""
import os
import unittest
import urllib.parse

from test_web import WebTest

NAME = "smtp-202611300000"
RECORDS = 4000


def record(n):
    return f'"mail"\t"192.0.2.{n % 200}"\t"2026-11-30 {n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}"\t"RCPT=OK"\t"r{n}@x"\n'


class Logs(WebTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.write(NAME, "".join(map(record, range(RECORDS))).encode())
        cls.write("audit-209901", b'{"secret": 1}\n')

    @classmethod
    def write(cls, name, data):
        os.makedirs(cls.server.path("logs"), exist_ok=True)
        with open(cls.server.path("logs", name), "wb") as f:
            f.write(data)

    def setUp(self):
        self.client = self.signed_in()

    def read(self, name=NAME, **query):
        status, value, _ = self.client.api("GET", f"/logs/{name}?" + urllib.parse.urlencode(query))
        self.assertEqual(status, 200, value)
        return value

    def test_list(self):
        names = {f["name"]: f for f in self.client.api("GET", "/logs")[1]}
        self.assertEqual((names[NAME]["kind"], names[NAME]["size"]), ("smtp", os.path.getsize(self.server.path("logs", NAME))))
        self.assertFalse([n for n in names if n.startswith("audit") or n.endswith(".index")])

    def test_all_of_it_in_pieces(self):
        seen, before = [], {}
        while True:
            piece = self.read(limit=900, **before)
            seen += [r["values"][-1] for r in piece["rows"]]
            if not piece["next"]:
                break
            before = {"before": piece["next"]}
        self.assertEqual(seen, [f"r{n}@x" for n in reversed(range(RECORDS))])

    def test_filters(self):
        values = lambda **query: [r["values"][-1] for r in self.read(limit=1000, **query)["rows"]]
        self.assertEqual(values(search="R1234@"), ["r1234@x"])
        self.assertEqual(values(**{"from": "2026-11-30 01:06:39"}), ["r3999@x"])
        self.assertEqual(values(**{"from": "2026-11-30T00:30:00", "until": "2026-11-30 00:30:01"}), ["r1801@x", "r1800@x"])
        self.assertEqual(len(values(until="2026-11-30 00:05")), 360)
        self.assertEqual(values(**{"from": "2026-12-01"}), [])
        self.assertEqual(values(search="no such text"), [])

    def test_odd_files(self):
        self.write("odd-1", b"x" * 300000 + b"\nlast \xff\x00\"line")
        rows = [r["values"] for r in self.read("odd-1", limit=1000)["rows"]]
        self.assertTrue(rows[0][0].startswith("last "))
        self.assertEqual(sum(len(r[0]) for r in rows[1:]), 300000)
        self.write("odd-2", b"")
        self.assertEqual(self.read("odd-2")["rows"], [])

    def test_whole_file(self):
        status, text, fields = self.client.api("GET", f"/logs/{NAME}/file")
        self.assertEqual((status, fields["Content-Disposition"]), (200, f'attachment; filename="{NAME}"'))
        with open(self.server.path("logs", NAME), "rb") as f:
            self.assertEqual(text, f.read())

    def test_names_that_lead_elsewhere(self):
        os.symlink(self.server.path("webadmins.tab"), self.server.path("logs", "link-1"))
        os.mkdir(self.server.path("logs", "folder-1"))
        os.mkfifo(self.server.path("logs", "fifo-1"))
        for name in ("..%2fwebadmins.tab", "%2e%2e%2fwebadmins.tab", "link-1", "folder-1", "fifo-1", "..", ".hidden", "audit-209901",
                     "folder-1%2f..%2f..%2fserver.tab", "none"):
            for behind in ("", "/file"):
                with self.subTest(name=name, behind=behind):
                    self.assertEqual(self.client.api("GET", f"/logs/{name}{behind}")[0], 404)

    def test_not_for_viewers(self):
        viewer = self.signed_in("viewer")
        for path in ("/logs", f"/logs/{NAME}", f"/logs/{NAME}/file"):
            self.assertEqual(viewer.api("GET", path)[0], 403)


if __name__ == "__main__":
    unittest.main()
