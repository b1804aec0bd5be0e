"""``GET /metrics``: how the streams do, for Prometheus. Basic authentication with the service's user."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .problems import Problem

if TYPE_CHECKING:
    from .engine.service import Engine
    from .handlers import Services
    from .incoming import Headers

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
PATH = "/metrics"

_LABELS = ("deployment", "name")
_COUNTERS = {
    "records_in": "Records read from the source since the stream was started.",
    "records_out": "Scored records written since the stream was started.",
    "dead_letters": "Records that went to the dead-letter topic since the stream was started.",
    "aborted": "Batches that were given up and read again.",
    "restarts": "How often workers had to be replaced, and the stream had to be started again.",
}
_RATES = {
    "records_per_second": "Records read",
    "records_out_per_second": "Scored records written",
    "dead_letters_per_second": "Dead letters",
}


def matches(method: str, path: str) -> bool:
    """Whether a request is for this route."""
    return method == "GET" and path == PATH


def answer(services: Services, headers: Headers) -> bytes:
    """The metrics, in Prometheus' text format.

    Raises:
        Problem: 401 without the right user and password, 501 without the package.
    """
    authorization = headers.authorization
    services.auth.login(authorization.decode("latin-1") if authorization is not None else None)
    if importlib.util.find_spec("prometheus_client") is None:
        raise Problem(
            501,
            "metrics_not_available",
            "prometheus-client is not installed where the service runs. Run: pip install 'wmlclient[local]'",
        )
    return text(services.engine)


def text(engine: Engine) -> bytes:
    """The metrics of an engine's streams."""
    from prometheus_client import CollectorRegistry, generate_latest

    class Streams:
        def collect(self) -> Iterator[Any]:
            return _families(engine)

    registry = CollectorRegistry()
    registry.register(Streams())
    return generate_latest(registry)


def _families(engine: Engine) -> Iterator[Any]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    up = GaugeMetricFamily(
        "wmlclient_stream_running", "Whether a stream runs.", labels=(*_LABELS, "engine", "status")
    )
    counters = {
        name: CounterMetricFamily(f"wmlclient_stream_{name}", text, labels=_LABELS)
        for name, text in _COUNTERS.items()
    }
    rates = {
        name: GaugeMetricFamily(
            f"wmlclient_stream_{name}", f"{what} a second, over the last seconds.", labels=_LABELS
        )
        for name, what in _RATES.items()
    }
    lag = GaugeMetricFamily(
        "wmlclient_stream_lag", "Records that wait in a partition.", labels=(*_LABELS, "partition")
    )
    latency = GaugeMetricFamily(
        "wmlclient_stream_latency_seconds",
        "From a record's timestamp to the end of its batch.",
        labels=(*_LABELS, "quantile"),
    )
    trouble = GaugeMetricFamily(
        "wmlclient_stream_last_error",
        "The last trouble as a label; gone once a batch has gone well.",
        labels=(*_LABELS, "error"),
    )
    for deployment in engine.store.deployments.all():
        if deployment.kind != "stream":
            continue
        own = (deployment.id, deployment.name)
        running = float(deployment.status == "RUNNING")
        up.add_metric((*own, deployment.engine or "", deployment.status), running)
        told = engine.streams.progress(deployment.id)
        last = (told or {}).get("last_error") or next(
            (each["message"] for each in deployment.failure or ()), None
        )
        if last:
            trouble.add_metric((*own, str(last)), 1.0)
        if told is None:
            continue
        for name, counter in counters.items():
            counter.add_metric(own, told.get(name, 0))
        for name, rate in rates.items():
            rate.add_metric(own, told.get(name, 0.0))
        for partition, waiting in (told.get("lag") or {}).items():
            lag.add_metric((*own, str(partition)), waiting)
        for quantile, share in (("0.5", "p50"), ("0.99", "p99")):
            milliseconds = (told.get("latency_ms") or {}).get(share)
            if milliseconds is not None:
                latency.add_metric((*own, quantile), milliseconds / 1000)
    yield from (up, *counters.values(), *rates.values(), lag, latency, trouble)
