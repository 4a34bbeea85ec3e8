#!/usr/bin/env python3
"""Runs the unit test programs and the end-to-end tests; ends with a line "N passed, N failed"."""
import concurrent.futures
import ctypes
import fcntl
import glob
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
UNIT_LIMIT = 300  # seconds a unit test program may take
MODULE_LIMIT = 1200  # seconds the tests of one file may take
LONGEST = ("test_kill_takeover", "test_kill", "test_relay", "test_kill_fetch", "test_power", "test_pages")  # begin first
CLONE_NEWNET, SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x40000000, 0x8913, 0x8914, 1


def run_unit(program):
    """cmocka's: counts its [ OK ] and [ FAILED ] lines. What to print, passed, failed."""
    name = os.path.basename(os.path.dirname(program)) + "/" + os.path.basename(program)
    try:
        done = subprocess.run([program], capture_output=True, timeout=UNIT_LIMIT, cwd=ROOT)
        text = (done.stdout + done.stderr).decode("utf-8", "replace")
        code = done.returncode
    except subprocess.TimeoutExpired as e:
        text, code = ((e.stdout or b"") + (e.stderr or b"")).decode("utf-8", "replace"), "timeout"
    good = len(re.findall(r"^\[ +OK +\]", text, re.M))
    bad = len(set(re.findall(r"^\[ +FAILED +\] (\w+)$", text, re.M)))
    if code == 0 and good == 0 and "[  SKIPPED ]" in text:
        return f"skip {name}: {text.strip()}", 0, 0
    words = ""
    if code != 0 or good == 0:
        bad = max(bad, 1)
        words = f"--- {name}: exit {code}\n{text[-8000:]}\n"
    return words + f"{'ok  ' if bad == 0 else 'FAIL'} {name}: {good} passed, {bad} failed", good, bad


def run_units(build):
    base = os.path.join(ROOT, build, "test")
    programs = sorted(os.path.join(d, f) for d, _, files in os.walk(base) for f in files
                      if f.endswith("_test"))
    if not programs:
        print("no unit test programs in", base)
        return 0, 1
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for words, good, bad in pool.map(run_unit, programs):
            print(words, flush=True)
            passed, failed = passed + good, failed + bad
    return passed, failed


class Result(unittest.TextTestResult):
    """Counts, and names the slow ones."""

    passed = 0

    def startTest(self, test):
        super().startTest(test)
        self.began = time.monotonic()

    def addSuccess(self, test):
        super().addSuccess(test)
        Result.passed += 1
        print(f"ok   {test.id()} ({time.monotonic() - self.began:.1f} s)", flush=True)


def own_network():
    """A network namespace with nothing but loopback, where that is possible: ports are nobody else's, and no test gets out."""
    if os.geteuid() != 0 or ctypes.CDLL(None).unshare(CLONE_NEWNET) != 0:
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack("16sH14x", fcntl.ioctl(s, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | IFF_UP))


def run_python(names):
    """The tests named, in this process."""
    suite = unittest.TestLoader().loadTestsFromNames(names)
    result = unittest.TextTestRunner(resultclass=Result, verbosity=0, buffer=False).run(suite)
    for test, reason in result.skipped:
        print(f"skip {test.id()}: {reason}")
    return Result.passed, len(result.failures) + len(result.errors), len(result.skipped)


def run_module(path):
    """The tests of one file, in a process of their own; what they printed is printed when they are done."""
    name = os.path.basename(path)[:-3]
    with open(path, encoding="utf-8") as f:
        alone = [] if re.search(r"^(from|import) peers\b", f.read(), re.M) else ["--own-network"]
    with tempfile.TemporaryFile("w+", errors="replace") as out:
        child = subprocess.Popen([sys.executable, __file__, "e2e", *alone, name], stdout=out, stderr=subprocess.STDOUT,
                                 start_new_session=True)
        try:
            child.wait(timeout=MODULE_LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        out.seek(0)
        *text, last = out.read().rstrip("\n").split("\n")
    counts = re.fullmatch(r"(\d+) passed, (\d+) failed(?:, (\d+) skipped)?", last)
    if counts is None:
        text += [last, f"FAIL: {name} didn't come to its end"]
    print("\n".join(text), flush=True)
    return tuple(int(n or 0) for n in counts.groups()) if counts else (0, 1, 0)


def run_folders(folders):
    """Two files more at a time than there are processors: most tests wait most of the time."""
    files = [p for folder in folders for p in sorted(glob.glob(os.path.join(HERE, folder, "test_*.py")))]
    rank = {name: i for i, name in enumerate(LONGEST)}
    files.sort(key=lambda p: rank.get(os.path.basename(p)[:-3], len(rank)))
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count() + 2) as pool:
        return [sum(column) for column in zip(*pool.map(run_module, files))]


def main():
    what = sys.argv[1] if len(sys.argv) > 1 else "all"
    build = os.environ.get("BUILD_FOLDER", "build/san")
    passed = failed = skipped = 0
    if what in ("all", "unit"):
        passed, failed = run_units(build)
        if what == "all" or os.path.isdir(os.path.join(ROOT, "build/debug/test")):
            p, f = run_units("build/debug")  # what only an unsanitized program can show
            passed, failed = passed + p, failed + f
    folders = {"all": ["e2e", "crash"], "e2e": ["e2e"], "crash": ["crash"]}.get(what)
    if folders:
        sys.path[:0] = [os.path.join(HERE, folder) for folder in ("e2e", "crash")]
        if "--own-network" in sys.argv:
            sys.argv.remove("--own-network")
            own_network()
        names = sys.argv[2:]
        p, f, skipped = run_python(names) if names else run_folders(folders)
        passed, failed = passed + p, failed + f
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
