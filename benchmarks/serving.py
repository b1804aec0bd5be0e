"""A runner that serves: requests a second on one core, its delay beside an echo, and the memory that it takes."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import processor
import psutil
from figures import Figure
from measure import HERE, fetch_token, uvicorn

import wmlclient

SERVER_CORE, LOAD_CORE = 0, 1
MEGABYTE = 1e6


def measure(
    model: Any, sample: Any, row: dict[str, Any], big: Any, big_folder: Path, scratch: Path
) -> list[Figure]:
    """The figures of a runner that serves a model, and then another one that is big.

    Args:
        model: A fitted pipeline.
        sample: Rows for its certificate.
        row: The row that is scored.
        big: Another fitted pipeline, which takes the same rows as ``sample_of_big``.
        big_folder: Where it is saved.
        scratch: A folder.
    """
    with contextlib.ExitStack() as stack:
        echo = stack.enter_context(uvicorn("echo:app", scratch))
        client = stack.enter_context(wmlclient.Client.local(home=scratch / "home"))
        runner = processor.child("wmlclient.runner")
        _pin(runner, SERVER_CORE)
        _pin(processor.child("echo:app"), SERVER_CORE)
        token = fetch_token(scratch / "home" / "credentials.json")
        online = client.models.publish(model, name="served", sample=sample, label_col="label").deploy(
            "served", timeout=300
        )
        if online.score([row]).engine != "native":
            raise RuntimeError("the model is not scored natively")
        _pin(runner, SERVER_CORE)
        body = json.dumps({"fields": list(row), "values": [list(row.values())]})
        urls = {"echo": f"{echo}/echo", "ours": str(online.scoring_url)}
        delays: dict[str, list[float]] = {"echo": [], "ours": []}
        for _ in range(3):
            for name, url in urls.items():
                delays[name].append(_load(url, token, body, 1, 1.5)["p50"])
        rates = {name: _load(url, token, body, 16, 4.0) for name, url in urls.items()}
        small = runner.memory_info().rss
        client.models.publish(big[0], name="big", sample=big[1], label_col="label").deploy("big", timeout=300)
        large = runner.memory_info().rss
    size = sum(file.stat().st_size for file in big_folder.rglob("*") if file.is_file())
    ours, bare = (sorted(delays[name])[1] for name in ("ours", "echo"))
    rate, bad = rates["ours"]["good"] / rates["ours"]["seconds"], rates["ours"]["bad"]
    limit = 150 * MEGABYTE + 2 * size
    return [
        Figure("HTTP, one row, p50", ours, "us", bare, "echo", "<= 1.5 x echo", ours <= 1.5 * bare),
        Figure(
            "HTTP, requests a second on one core",
            rate,
            "1/s",
            rates["echo"]["good"] / rates["echo"]["seconds"],
            "echo",
            ">= 2,000, none refused",
            rate >= 2000 and not bad,
        ),
        Figure("memory, a small model", small / MEGABYTE, "MB", limit="<= 150", met=small <= 150 * MEGABYTE),
        Figure(
            f"memory, and one of {size / MEGABYTE:.1f} MB",
            large / MEGABYTE,
            "MB",
            limit=f"<= 150 + 2 x model = {limit / MEGABYTE:.0f}",
            met=large <= limit,
        ),
    ]


def _pin(process: psutil.Process, core: int) -> None:
    for thread in process.threads():
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(thread.id, {core})


def _load(url: str, token: str, body: str, connections: int, seconds: float) -> dict[str, Any]:
    job = {
        "url": url,
        "token": token,
        "body": body,
        "connections": connections,
        "seconds": seconds,
        "core": LOAD_CORE,
    }
    done = subprocess.run(
        [sys.executable, str(HERE / "load.py"), json.dumps(job)], capture_output=True, text=True, timeout=60
    )
    if done.returncode:
        raise RuntimeError(f"the load failed:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found
