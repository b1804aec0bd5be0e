"""A web service of a trivial function beside a bare echo and MLflow's pyfunc server, in one run.

    .venv/bin/python benchmarks/webservices.py [--calls N] [--skip-mlflow]

Each request of ours has a process of its own, started before it comes, unless the service is stateless: then a process
runs many, as in the servers beside it. The goals: p50 <= 2 x the echo's and >= 10 x below MLflow's; >= 1,000 requests a
second by 4 workers on 2 cores, which more forks than two cores can do would be, so it is the stateless service's; a new
version warm within 1 s.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import processor
import requests
from figures import Figure, report
from measure import HERE, Group, in_blocks, poster, uvicorn
from mlflow_peer import serve_mlflow

import wmlclient

BLOCKS = 10
CONNECTIONS = 4
COUNTED = 400
ECHO, OURS, STATELESS = "echo", "web service", "stateless web service"
MLFLOW = "mlflow models serve, pyfunc"
SERVICE = {
    "code": "y = 2 * x",
    "runtimeType": "Python",
    "inputParameterDefinitions": [{"name": "x", "type": "numeric"}],
    "outputParameterDefinitions": [{"name": "y", "type": "numeric"}],
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=1500, help="timed calls of each (default: 1500)")
    parser.add_argument("--slow-calls", type=int, default=200, help="timed calls of MLflow (default: 200)")
    parser.add_argument("--seconds", type=float, default=8.0, help="length of the load (default: 8)")
    parser.add_argument("--skip-mlflow", action="store_true", help="leave MLflow out, with its download")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
        folder = Path(scratch)
        echo = stack.enter_context(uvicorn("echo:app", folder))
        stack.enter_context(wmlclient.Client.local(home=folder / "home"))
        runner, echoing = processor.child("wmlclient.runner").pid, processor.child("echo:app").pid
        service = Service(folder / "home" / "credentials.json")
        body = json.dumps({"x": 5}).encode()
        warm = [service.publish(f"{number}.0") for number in range(5)]
        service.publish("1.0", "kept", stateless=True)
        calls: dict[str, Callable[[], object]] = {
            ECHO: poster(stack.enter_context(requests.Session()), f"{echo}/echo", body),
            OURS: poster(service.session, service.url("1.0"), body),
            STATELESS: poster(service.session, service.url("1.0", "kept"), body),
        }
        groups = [Group(calls, rounds=max(1, options.calls // BLOCKS), warm_up=20)]
        if not options.skip_mlflow:
            url = stack.enter_context(serve_mlflow("mlflow_function.py", scratch=folder))
            frame = json.dumps({"dataframe_split": {"columns": ["x"], "data": [[5]]}}).encode()
            call = poster(stack.enter_context(requests.Session()), f"{url}/invocations", frame)
            groups.append(Group({MLFLOW: call}, rounds=max(1, options.slow_calls // BLOCKS), warm_up=2))
        found = in_blocks(groups, BLOCKS)
        bare = found[ECHO]
        figures = []
        for name in (OURS, STATELESS):
            ours = found[name].p50
            figures.append(
                Figure(f"{name}, p50", ours, "ms", bare.p50, ECHO, "<= 2 x echo", ours <= 2 * bare.p50)
            )
            if MLFLOW in found:
                peer = found[MLFLOW].p50
                met = peer >= 10 * ours
                figures.append(Figure(f"{name}, p50", ours, "ms", peer, MLFLOW, ">= 10 x below", met))
            figures.append(Figure(f"{name}, p99", found[name].p99, "ms", bare.p99, ECHO))
        if MLFLOW in found:
            figures.append(Figure("the echo itself, p50", bare.p50, "ms", found[MLFLOW].p50, MLFLOW))
        urls = {OURS: service.url("1.0"), STATELESS: service.url("1.0", "kept"), ECHO: f"{echo}/echo"}
        rates = {name: load(url, service.token, body.decode(), options.seconds) for name, url in urls.items()}
        forks, fork_cpu = bare_forks()
        echo_cost = processor.milliseconds_a_call(echoing, calls[ECHO], COUNTED)
        for name in (OURS, STATELESS):
            title, rate = f"{name}, requests a second by 4", _rate(rates[name])
            met = rate >= 1000 and not rates[name]["bad"]
            goal = (">= 1,000, none refused", met) if name == STATELESS else ("", None)
            figures.append(Figure(title, rate, "1/s", _rate(rates[ECHO]), ECHO, *goal))
            if name == OURS:
                figures.append(Figure(title, rate, "1/s", forks, "bare forks, one core"))
            cost = processor.milliseconds_a_call(runner, calls[name], COUNTED)
            figures.append(Figure(f"{name}, CPU of a request", cost, "ms", echo_cost, ECHO))
            figures.append(Figure(f"{name}, CPU of a request", cost, "ms", fork_cpu, "bare fork"))
        start = statistics.median(warm)
        figures.append(Figure("publish to first answer", start, "s", limit="<= 1 s", met=start <= 1.0))
    shown = report("a web service of a trivial function", figures)
    return 0 if all(each.met is not False for each in shown) else 1


class Service:
    """Versions of one web service on a runner.

    Args:
        credentials: The runner's ``credentials.json``.
    """

    def __init__(self, credentials: Path) -> None:
        known = json.loads(credentials.read_text())
        self._base = known["url"]
        login = {"username": known["username"], "password": known["password"]}
        answer = requests.post(f"{self._base}/login", json=login, timeout=30)
        self.token = str(answer.json()["access_token"])
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {self.token}"

    def url(self, version: str, name: str = "double") -> str:
        return f"{self._base}/api/{name}/{version}"

    def publish(self, version: str, name: str = "double", code: str | None = None, **more: Any) -> float:
        """Publish a version, and use it where it is our own; the seconds that this took."""
        started = time.perf_counter()
        address = f"{self._base}/services/{name}/{version}"
        request = SERVICE | ({"code": code} if code else {}) | more
        made = self.session.post(address, json=request, timeout=30)
        if made.status_code != 201:
            raise RuntimeError(made.text)
        if code is None:
            answer = self.session.post(self.url(version, name), json={"x": 5}, timeout=30)
            if answer.json()["outputParameters"] != {"y": 10.0}:
                raise RuntimeError(answer.text)
        return time.perf_counter() - started


def load(url: str, token: str, body: str, seconds: float) -> dict[str, Any]:
    """Keep four requests on their way for some seconds."""
    job = {
        "url": url,
        "token": token,
        "body": body,
        "connections": CONNECTIONS,
        "seconds": seconds,
        "core": 1,
    }
    done = subprocess.run(
        [sys.executable, str(HERE / "load.py"), json.dumps(job)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _rate(found: dict[str, Any]) -> float:
    return float(found["good"] / found["seconds"])


def bare_forks(seconds: float = 2.0) -> tuple[float, float]:
    """What a request costs at least: a bare interpreter forks, and waits for a copy that ends at once.

    Returns:
        Forks a second, and milliseconds of CPU for each.
    """
    code = (
        "import os, time\n"
        f"until, count = time.perf_counter() + {seconds}, 0\n"
        "while time.perf_counter() < until:\n"
        "    pid = os.fork()\n"
        "    if pid == 0: os._exit(0)\n"
        "    os.waitpid(pid, 0)\n"
        "    count += 1\n"
        f"print(count / {seconds}, sum(os.times()[:4]) / count * 1000)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    rate, cpu = map(float, done.stdout.split())
    return rate, cpu


if __name__ == "__main__":
    sys.exit(main())
