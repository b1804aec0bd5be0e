"""``GET /metrics``: what the streams tell, for whoever has user and password."""

from __future__ import annotations

import base64
from typing import Any

from contract_service import INSTANCE, PASSWORD, USER, Service, eventually

import wmlclient

BASIC = {"Authorization": f"Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"}
KAFKA = {"kafka_brokers_sasl": ["127.0.0.1:9092"]}
STREAM: dict[str, Any] = {
    "name": "tweets",
    "type": "stream",
    "input": {"connection": KAFKA, "source": {"topic": "in", "type": "kafka"}},
    "output": {"connection": KAFKA, "target": {"topic": "out", "type": "kafka"}},
    "workers": 2,
    "receipts": True,
}
TOLD: dict[str, Any] = {
    "records_in": 1000,
    "records_out": 990,
    "dead_letters": 10,
    "batches": 4,
    "aborted": 1,
    "restarts": 2,
    "workers": 2,
    "records_per_second": 99.5,
    "records_out_per_second": 90.5,
    "dead_letters_per_second": 9.0,
    "lag": {"0": 7, "1": 0},
    "latency_ms": {"p50": 12, "p99": None},
    "last_batch_at": 1_700_000_000_000,
    "last_error": 'a "quoted" trouble',
}


def test_what_a_stream_tells_is_in_its_entity_and_in_the_metrics(service: Service, content: bytes) -> None:
    url = service.published(content).entity["deployments"]["url"]
    made = service.call("POST", url, json=STREAM)
    assert made.status == 201
    running = service.until(made.url, "RUNNING")
    assert running.entity["engine"] == "native"
    assert running.entity["engine_reason"].startswith("no Spark service is named")
    chosen = {name: running.entity[name] for name in ("delivery", "latency", "workers", "receipts")}
    assert chosen == {"delivery": "exactly_once", "latency": "default", "workers": 2, "receipts": True}
    assert "stream" not in running.entity
    id = running.body["metadata"]["guid"]
    service.native.tell(id, "progress", **TOLD)
    stream = eventually(lambda: service.call("GET", made.url).entity.get("stream"))
    assert stream == {**TOLD, "last_batch_at": "2023-11-14T22:13:20.000Z"}

    answer = service.session.get(f"{service.url}/metrics", headers=BASIC, timeout=30)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    lines = answer.text.splitlines()
    own = f'deployment="{id}",name="tweets"'
    named = f'deployment="{id}",engine="native",name="tweets",status="RUNNING"'
    assert f"wmlclient_stream_running{{{named}}} 1.0" in lines
    assert f"wmlclient_stream_records_in_total{{{own}}} 1000.0" in lines
    assert f'wmlclient_stream_lag{{{own},partition="0"}} 7.0' in lines
    assert f'wmlclient_stream_latency_seconds{{{own},quantile="0.5"}} 0.012' in lines
    assert not any('quantile="0.99"' in line for line in lines)
    for name, value in (("records", "99.5"), ("records_out", "90.5"), ("dead_letters", "9.0")):
        assert f"wmlclient_stream_{name}_per_second{{{own}}} {value}" in lines
    told = f'deployment="{id}",error="a \\"quoted\\" trouble",name="tweets"'
    assert f"wmlclient_stream_last_error{{{told}}} 1.0" in lines
    assert f"wmlclient_stream_restarts_total{{{own}}} 2.0" in lines


def test_why_a_stream_has_failed_is_in_the_metrics(service: Service, content: bytes) -> None:
    url = service.published(content).entity["deployments"]["url"]
    made = service.call("POST", url, json=STREAM)
    service.until(made.url, "RUNNING")
    id = made.body["metadata"]["guid"]
    service.native.tell(id, "failed", code="data_lost", message="The records are gone.", retriable=False)
    service.until(made.url, "FAILED")
    lines = service.session.get(f"{service.url}/metrics", headers=BASIC, timeout=30).text.splitlines()
    named = f'deployment="{id}",error="The records are gone.",name="tweets"'
    assert f"wmlclient_stream_last_error{{{named}}} 1.0" in lines


def test_a_notebook_shows_how_a_stream_does(service: Service, content: bytes) -> None:
    url = service.published(content).entity["deployments"]["url"]
    made = service.call("POST", url, json=STREAM)
    service.until(made.url, "RUNNING")
    service.native.tell(
        made.body["metadata"]["guid"], "progress", **{**TOLD, "latency_ms": {"p50": 12, "p99": 40}}
    )
    with wmlclient.Client(service.url, username=USER, password=PASSWORD, instance_id=INSTANCE) as client:
        stream = client.deployments.get(made.body["metadata"]["guid"])
        progress = eventually(lambda: stream.progress)
    assert (progress.state, progress.records_out_per_second, progress.lag) == ("ready", 90.5, {0: 7, 1: 0})
    card = stream._repr_html_()
    shown = (
        "1,000 (100/s)",
        "990 (90/s)",
        "10 (9/s)",
        "7 (0: 7)",
        "p50 12 ms, p99 40 ms",
        "a &quot;quoted&quot; trouble",
    )
    for text in shown:
        assert text in card
        assert text in progress._repr_html_()
    assert "state       ready" in str(progress)


def test_metrics_are_not_for_everybody(service: Service) -> None:
    wrong = {"Authorization": f"Basic {base64.b64encode(b'x:y').decode()}"}
    for headers in ({}, wrong, {"Authorization": f"Bearer {service.auth.issue()}"}):
        answer = service.session.get(f"{service.url}/metrics", headers=headers, timeout=30)
        assert answer.status_code == 401
        assert "wmlclient_stream" not in answer.text
