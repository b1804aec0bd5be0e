#!/usr/bin/env python3
"""The two commands of the README, each of which does all of its own set-up.

    python3 dev.py example     real tweets: train, publish, deploy, score online and from Kafka to Kafka
    python3 dev.py test        every check: tox's whole list (or `dev.py test unit spark`: some of it)
    python3 dev.py bench       the online figures beside their peers (or `dev.py bench scoring`: the scorer's)
    python3 dev.py env         only make .venv ready; what the other commands and tox do first

Nothing but Python >= 3.10 and a JDK >= 17 has to be there. One virtual environment, `.venv`, serves all
commands and all tox environments, since pyspark alone weighs half a gigabyte.
"""

import argparse
import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = VENV / "wmlclient-env.json"
REPORTS = ROOT / ".reports"
CONSTRAINTS = ROOT / "requirements" / "constraints.txt"
RUN_EXTRAS = ["local", "pandas"]
BENCHMARKS = ["online", "scoring", "streams"]
DEV_EXTRAS = [*RUN_EXTRAS, "test", "docs", "dev"]


def main(argv=None):
    if sys.version_info < (3, 10):
        stop(
            f"Python 3.10 or newer is needed, this is {sys.version.split()[0]}: run dev.py with a newer python3."
        )
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="example|test|bench|env")
    commands.add_parser("example")
    commands.add_parser("bench")
    commands.add_parser("env")
    commands.add_parser("test").add_argument(
        "envs", nargs="*", help="tox environments; all of them by default"
    )
    arguments, rest = parser.parse_known_args(argv)
    if rest and arguments.command in ("test", "env"):
        parser.error(f"unknown arguments: {' '.join(rest)}")

    if arguments.command == "env":
        prepare(DEV_EXTRAS)
        return 0
    check_java()
    if arguments.command == "test":
        return test(arguments.envs)
    script = "examples/tweets.py"
    if arguments.command == "bench":
        name = rest.pop(0) if rest and rest[0] in BENCHMARKS else BENCHMARKS[0]
        script = f"benchmarks/{name}.py"
    prepare([*RUN_EXTRAS, "test"] if arguments.command == "bench" else RUN_EXTRAS)
    return subprocess.call([venv_bin("python"), str(ROOT / script), *rest], cwd=ROOT)


# -- the working environment -------------------------------------------------------------------------------


def prepare(extras):
    """Create `.venv` where it is missing and install what `extras` ask for; does nothing when all is there."""
    with locked(ROOT / ".venv.lock"):
        if not Path(venv_bin("python")).exists():
            create_venv()
        installed = read_stamp()
        if installed.get("digest") == digest() and set(extras) <= set(installed.get("extras", [])):
            return
        wanted = sorted(set(extras) | set(installed.get("extras", [])))
        started = time.monotonic()
        say(f"installing wmlclient[{','.join(wanted)}] into .venv (the first time downloads about 600 MB)")
        run_or_stop(
            [venv_bin("python"), "-m", "pip", "install", "--disable-pip-version-check"]
            + ([] if sys.stdout.isatty() else ["--quiet"])  # a terminal gets pip's progress bars
            + ["--constraint", str(CONSTRAINTS), "--editable", f"{ROOT}[{','.join(wanted)}]"],
            "pip could not install the packages (its own message is above): check the network or your pip "
            "settings, then run the same command again.",
        )
        STAMP.write_text(json.dumps({"digest": digest(), "extras": wanted}))
        say(f".venv is ready after {time.monotonic() - started:.0f} s")


def create_venv():
    say(f"creating .venv with Python {sys.version.split()[0]}")
    attempts = [
        [sys.executable, "-m", "venv", str(VENV)],
        [sys.executable, "-m", "virtualenv", "-q", str(VENV)],
    ]
    for command in attempts:
        if subprocess.call(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0:
            return
        shutil.rmtree(VENV, ignore_errors=True)
    stop(
        f"{sys.executable} can make no virtual environment: install its venv module "
        "(Debian, Ubuntu: the package python3-venv), then run the same command again."
    )


def digest():
    """What decides whether `.venv` is up to date: the requirements, their versions, and the interpreter."""
    text = (ROOT / "setup.cfg").read_bytes() + CONSTRAINTS.read_bytes() + os.fsencode(venv_bin("python"))
    return hashlib.sha256(text).hexdigest()


def read_stamp():
    try:
        return json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}


@contextlib.contextmanager
def locked(path):
    """Two tox environments may start at once; only one may install."""
    import fcntl

    with open(path, "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def check_java():
    """Say in one line what is missing, before half a gigabyte is downloaded for nothing."""
    home = os.environ.get("JAVA_HOME")
    java = os.path.join(home, "bin", "java") if home else "java"
    advice = "install a JDK 17 or 21 and put it on PATH (or set JAVA_HOME), then run the same command again."
    try:
        answer = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        stop(f"Spark and Kafka need Java, and {java!r} does not run ({error}): {advice}")
    found = re.search(r'version "(\d+)', answer.stderr + answer.stdout)
    if not found or int(found.group(1)) < 17:
        stop(
            f"Spark and Kafka need Java 17 or newer, {java!r} is {found.group(1) if found else 'unknown'}: {advice}"
        )


# -- the tests ---------------------------------------------------------------------------------------------


def test(envs):
    prepare(DEV_EXTRAS)
    shutil.rmtree(REPORTS, ignore_errors=True)
    REPORTS.mkdir()
    started = time.monotonic()
    results = REPORTS / "tox.json"
    command = [venv_bin("python"), "-m", "tox", "run", "--result-json", str(results)]
    code = subprocess.call(command + (["-e", ",".join(envs)] if envs else []), cwd=ROOT)
    return max(code, summarize(results, code, time.monotonic() - started))


def summarize(results, tox_code, seconds):
    """Print what became of each environment, and the sum: the last line is what CI reads.

    An environment that failed without a failed test (lint found something, pytest could not collect) counts as one
    failure, so that the sum never looks better than the run was.
    """
    words = ("passed", "failed", "skipped")
    total = dict.fromkeys(words, 0)
    ran = json.loads(results.read_text()).get("testenvs", {}) if results.exists() else {}
    for name, outcome in ran.items():
        if "result" not in outcome:
            continue  # tox's own environments
        counts = count(REPORTS / f"{name}.xml")
        good = outcome["result"].get("success", False)
        if not good and not counts["failed"]:
            counts["failed"] = 1
        for word in words:
            total[word] += counts[word]
        tests = ", ".join(f"{counts[word]} {word}" for word in words if counts[word])
        print(f"{name:>10}: {'ok' if good else 'FAILED'}{f' ({tests})' if tests else ''}")
    if tox_code and not total["failed"]:
        total["failed"] = 1
    print(", ".join(f"{total[word]} {word}" for word in words) + f" in {seconds:.0f}s", flush=True)
    return 1 if total["failed"] else 0


def count(report):
    """Outcomes in one of pytest's reports; zeros where an environment runs no pytest."""
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    if report.exists():
        for suite in ElementTree.parse(report).getroot().iter("testsuite"):
            failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
            skipped = int(suite.get("skipped", 0))
            counts["failed"] += failed
            counts["skipped"] += skipped
            counts["passed"] += int(suite.get("tests", 0)) - failed - skipped
    return counts


# -- small helpers -----------------------------------------------------------------------------------------


def venv_bin(name):
    return str(VENV / "bin" / name)


def run_or_stop(command, message):
    if subprocess.call(command, cwd=ROOT) != 0:
        stop(message)


def say(text):
    print(f"dev.py: {text}", flush=True)


def stop(text):
    print(f"dev.py: {text}", file=sys.stderr, flush=True)
    raise SystemExit(1)


if __name__ == "__main__":
    sys.exit(main())
