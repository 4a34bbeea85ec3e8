#!/usr/bin/env python3
"""Runs the unit test programs and the end-to-end tests; ends with a line "N passed, N failed"."""
import os
import re
import subprocess
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
UNIT_LIMIT = 300  # seconds a unit test program may take


def run_units(build):
    """Each program is cmocka's: count its [ OK ] and [ FAILED ] lines."""
    passed = failed = 0
    base = os.path.join(ROOT, build, "test")
    programs = sorted(os.path.join(d, f) for d, _, files in os.walk(base) for f in files
                      if f.endswith("_test"))
    if not programs:
        print("no unit test programs in", base)
        return 0, 1
    for program in programs:
        name = os.path.relpath(program, base)
        try:
            done = subprocess.run([program], capture_output=True, timeout=UNIT_LIMIT, cwd=ROOT)
            text = (done.stdout + done.stderr).decode("utf-8", "replace")
            code = done.returncode
        except subprocess.TimeoutExpired as e:
            text, code = ((e.stdout or b"") + (e.stderr or b"")).decode("utf-8", "replace"), "timeout"
        good = len(re.findall(r"^\[ +OK +\]", text, re.M))
        bad = len(set(re.findall(r"^\[ +FAILED +\] (\w+)$", text, re.M)))
        if code == 0 and good == 0 and "[  SKIPPED ]" in text:
            print(f"skip {name}: {text.strip()}")
            continue
        if code != 0 or good == 0:
            bad = max(bad, 1)
            print(f"--- {name}: exit {code}\n{text[-8000:]}")
        print(f"{'ok  ' if bad == 0 else 'FAIL'} {name}: {good} passed, {bad} failed", flush=True)
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


def run_python(folders, names):
    """The tests of the folders, or those named."""
    sys.path[:0] = [os.path.join(HERE, folder) for folder in ("e2e", "crash")]
    suite = unittest.TestSuite()
    if names:
        suite.addTests(unittest.TestLoader().loadTestsFromNames(names))
    for folder in [] if names else folders:
        suite.addTests(unittest.TestLoader().discover(os.path.join(HERE, folder)))
    result = unittest.TextTestRunner(resultclass=Result, verbosity=0, buffer=False).run(suite)
    for test, reason in result.skipped:
        print(f"skip {test.id()}: {reason}")
    return Result.passed, len(result.failures) + len(result.errors), len(result.skipped)


def main():
    what = sys.argv[1] if len(sys.argv) > 1 else "all"
    build = os.environ.get("BUILD_FOLDER", "build/san")
    passed = failed = skipped = 0
    if what in ("all", "unit"):
        passed, failed = run_units(build)
        if what == "all" or os.path.isdir(os.path.join(ROOT, "build/release/test")):
            p, f = run_units("build/release")  # what only an unsanitized program can show
            passed, failed = passed + p, failed + f
    folders = {"all": ["e2e", "crash"], "e2e": ["e2e"], "crash": ["crash"]}.get(what)
    if folders:
        os.environ.setdefault("HIKYAKU", os.path.join(ROOT, build, "hikyaku"))
        p, f, skipped = run_python(folders, sys.argv[2:])
        passed, failed = passed + p, failed + f
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
