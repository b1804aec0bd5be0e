"""Versions of an online deployment changed under load, beside the same load with nothing changed, in one run.

    .venv/bin/python benchmarks/versions.py [--swaps 50] [--rate 200] [--clients 4]

Requests are sent at fixed times, whether or not the one before was answered, so a pause of the service shows up in
its latencies. Printed: requests, failures, answers that name no version or hold another version's numbers (0 is the
goal of both), and the p50 and p99 of both phases with their ratio. The exit code says whether the goals were met.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import orjson
import requests

import wmlclient

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import saved_models

ROW = {"id": 1, "text": "what a day"}
BODY = orjson.dumps({"fields": list(ROW), "values": [list(ROW.values())]})


class Load:
    """Clients that send at a fixed rate until they are told to stop.

    Attributes:
        seconds: Latency of each answer, from when its request was due.
        failed: What was not answered 200.
        wrong: Answers that name no version or another than the one whose numbers they hold.
    """

    def __init__(self, url: str, token: str, expected: dict[str, Any], rate: float, clients: int) -> None:
        self.seconds: list[float] = []
        self.failed: list[str] = []
        self.wrong: list[Any] = []
        self._url, self._expected = url, expected
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._over = threading.Event()
        pause = clients / rate
        start = time.perf_counter()
        self._threads = [
            threading.Thread(target=self._send, args=(start + pause * number / clients, pause))
            for number in range(clients)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> Load:
        """End it; returns itself."""
        self._over.set()
        for thread in self._threads:
            thread.join()
        return self

    def _send(self, due: float, pause: float) -> None:
        with requests.Session() as session:
            while not self._over.wait(max(0.0, due - time.perf_counter())):
                try:
                    answer = session.post(self._url, BODY, headers=self._headers, timeout=30)
                    if answer.status_code != 200:
                        self.failed.append(answer.text)
                    elif self._expected.get(answer.headers.get("X-Model-Version", "")) != answer.json():
                        self.wrong.append(answer.headers.get("X-Model-Version"))
                except requests.RequestException as error:
                    self.failed.append(str(error))
                self.seconds.append(time.perf_counter() - due)
                due += pause

    def line(self, name: str) -> str:
        """Its figures."""
        p50, p99 = (1000 * each for each in self.percentiles())
        return (
            f"{name:22} {len(self.seconds):7} requests, {len(self.failed)} failed, {len(self.wrong)} wrong, "
            f"p50 {p50:.2f} ms, p99 {p99:.2f} ms"
        )

    def percentiles(self) -> tuple[float, float]:
        """p50 and p99."""
        cuts = statistics.quantiles(self.seconds, n=100)
        return cuts[49], cuts[98]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--swaps", type=int, default=50)
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second (default: 200)")
    parser.add_argument("--clients", type=int, default=4)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        # Two models written by hand: nothing here needs Spark, and so nothing is compared with it.
        wmlclient.Client.local(allow_uncertified=True) as client,
    ):
        first, second = (
            saved_models.text_pipeline(Path(folder) / str(weight), weight=weight) for weight in (0.25, -2.0)
        )
        model = client.models.publish(
            first, "versions", training_schema=saved_models.TEXT_SCHEMA, label_col="label"
        )
        online = model.deploy("versions")
        versions = [model.version, model.publish_version(second)]
        token = client._service._tokens.get()
        url, headers = str(online.scoring_url), {"Authorization": f"Bearer {token}"}
        expected = {}
        for version in versions:
            online.update(version)
            expected[version.id] = requests.post(url, BODY, headers=headers, timeout=30).json()
        assert expected[versions[0].id] != expected[versions[1].id], "the versions must differ"

        load = Load(url, token, expected, options.rate, options.clients)
        began = time.perf_counter()
        for swap in range(options.swaps):
            online.update(versions[swap % 2])
            time.sleep(0.1)
        took = time.perf_counter() - began
        moved = load.stop()
        load = Load(url, token, expected, options.rate, options.clients)
        time.sleep(took)
        still = load.stop()
    print(still.line("nothing changed"))
    print(moved.line(f"{options.swaps} swaps in {took:.1f} s"))
    ratios = [a / b for a, b in zip(moved.percentiles(), still.percentiles(), strict=True)]
    print(
        f"{'ratio':22} p50 x {ratios[0]:.2f}, p99 x {ratios[1]:.2f}; {len(moved.seconds) / took:.0f} requests/s"
    )
    return int(bool(moved.failed or moved.wrong or still.failed or still.wrong))


if __name__ == "__main__":
    sys.exit(main())
