"""What others notice of a session that attacks the machine: their p99 beside that of a calm time, in one run.

    .venv/bin/python benchmarks/neighbours.py [--seconds N] [--memory MIB] [--disk MIB]

A user calls a trivial web service over and over while a session of somebody else forks without end, allocates, writes
or loops without end, or four requests of another web service do. Where the session dies of it, a new one does it again.
The goal: no p99 above 2 x the calm one.
A calm time is measured before each attack: what else disturbs the machine disturbs both.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import requests
from figures import Figure, report
from measure import Figures, poster
from webservices import Service

import wmlclient
from wmlclient import errors

ATTACKS = {
    "forks without end": "import os\nwhile True:\n    os.fork()",
    "60 processes that loop": "import os\nfor _ in range(59):\n    if os.fork() == 0: break\nwhile True: pass",
    "allocates 10 GB": "kept = []\nwhile len(kept) < 160: kept.append(bytearray(b'x') * (64 << 20))",
    "writes 10 GB": (
        "block = bytes(64 << 20)\nfor number in range(160):\n"
        "    with open(f'{number % 32}.{number}', 'wb') as file: file.write(block)"
    ),
    "loops without end": "while True: pass",
}
# Requests that are under way when they are no longer wanted run on, so these end by themselves.
OF_SERVICES = {
    "forks without end": "os.fork()",
    "loops": "pass",
}
SERVED = "import os, time\ny, until = 0, time.monotonic() + {seconds}\nwhile time.monotonic() < until: {code}"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=6.0, help="length of each measurement (default: 6)")
    parser.add_argument("--memory", type=int, default=2048, help="MiB that a session may use (default: 2048)")
    parser.add_argument("--disk", type=int, default=2048, help="MiB that a session may write (default: 2048)")
    options = parser.parse_args()
    figures, notes = [], []
    with tempfile.TemporaryDirectory() as scratch, runner(Path(scratch), options) as credentials:
        service = Service(credentials)
        service.publish("1.0")
        call = poster(service.session, service.url("1.0"), json.dumps({"x": 5}).encode())
        attacks = [(f"a session {name}", session(credentials, code)) for name, code in ATTACKS.items()]
        for name, code in OF_SERVICES.items():
            code = SERVED.format(seconds=options.seconds, code=code)
            attacks.append((f"a service {name}", requests_of(service, f"attack-{len(attacks)}", code)))
        for name, attack in attacks:
            calm = timed(call, options.seconds)
            with attack as reasons:
                found = timed(call, options.seconds)
            met = found.p99 <= 2 * calm.p99
            figures.append(
                Figure(f"p99, {name}", found.p99, "ms", calm.p99, "nobody attacks", "<= 2 x calm", met)
            )
            notes.append(f"{name}: {' / '.join(sorted(set(reasons))) or 'goes on'}")
    notes.append(f"a session has {options.memory} MiB of memory and {options.disk} MiB of disk")
    shown = report("a web service beside a session that attacks", figures, notes)
    return 0 if all(each.met for each in shown) else 1


@contextlib.contextmanager
def runner(scratch: Path, options: argparse.Namespace) -> Iterator[Path]:
    """A runner with these limits of sessions; yields its credentials."""
    home = scratch / "home"
    command = [sys.executable, "-m", "wmlclient.runner", "--home", str(home), "--port", "0"]
    command += ["--session-memory", str(options.memory), "--session-disk", str(options.disk)]
    with (scratch / "runner.log").open("wb") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            until = time.monotonic() + 60
            while not (home / "credentials.json").exists():
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError((scratch / "runner.log").read_text()[-2000:])
                time.sleep(0.05)
            yield home / "credentials.json"
        finally:
            process.terminate()


def timed(call: object, seconds: float) -> Figures:
    """Call for some seconds, one call after the other."""
    samples = []
    until = time.perf_counter() + seconds
    while (started := time.perf_counter()) < until:
        call()  # type: ignore[operator]
        samples.append((time.perf_counter() - started) * 1000)
    return Figures(samples)


@contextlib.contextmanager
def session(credentials: Path, code: str) -> Iterator[list[str]]:
    """Have sessions of another client run code, one after the other, until the block ends; yields why they ended."""
    reasons: list[str] = []
    over = threading.Event()
    known = json.loads(credentials.read_text())
    login = (known["url"], known["username"], known["password"], known["instance_id"])
    with wmlclient.Client(*login) as client:

        def work() -> None:
            while not over.is_set():
                session = client.sessions.create()
                running.append(session.id)
                try:
                    session.run(code)
                except errors.WmlError as error:
                    if not over.is_set():
                        reasons.append(str(error).partition("\n")[0][-90:])
                finally:
                    force(session.id)

        def force(id: str) -> None:
            with contextlib.suppress(requests.RequestException):
                token = requests.post(
                    f"{login[0]}/login", json={"username": login[1], "password": login[2]}, timeout=60
                ).json()["access_token"]
                headers = {"Authorization": f"Bearer {token}"}
                requests.delete(f"{login[0]}/sessions/{id}/force", headers=headers, timeout=60)

        running: list[str] = []
        thread = threading.Thread(target=work)
        thread.start()
        while not running:
            time.sleep(0.05)
        yield reasons
        over.set()
        # The last of them may have come a moment ago.
        while thread.is_alive():
            force(running[-1])
            thread.join(0.5)


@contextlib.contextmanager
def requests_of(service: Service, name: str, code: str) -> Iterator[list[str]]:
    """Have four requests at a time of another web service run code until the block ends; yields what came of them."""
    service.publish("1", name, code)
    reasons: list[str] = []
    over = threading.Event()

    def work() -> None:
        with requests.Session() as own:
            own.headers.update(service.session.headers)
            while not over.is_set():
                response = own.post(service.url("1", name), json={"x": 1}, timeout=120)
                answer = response.json()
                reasons.append(str(answer.get("errorMessage") or answer.get("message") or "answered")[:90])
                if response.status_code == 503:
                    over.wait(float(response.headers.get("Retry-After", 1)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    yield reasons
    over.set()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    sys.exit(main())
