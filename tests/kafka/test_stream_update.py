"""The model of a running stream is changed under load: each record is scored once, by the version its receipt names."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from attrs import evolve
from exactly_once import SCHEMA, headers_of, lost_and_double, places, read, send, tweet
from saved_models import text_pipeline
from stream_stand import StreamStand
from waiting import eventually

from wmlclient import scoring
from wmlclient.runner.engine.ports import StreamSetupError

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

SWAPS = 20


def test_versions_change_under_load_and_each_record_has_one(stand: StreamStand, tmp_path: Path) -> None:
    first = stand.spec(partitions=2, workers=2)
    second = evolve(
        first, model_dir=str(text_pipeline(tmp_path / "second", weight=-0.5)), model_digest="sha256:beef"
    )
    heard = stand.start(first)
    done = threading.Event()
    sent = 0

    def feed() -> None:
        nonlocal sent
        while not done.is_set():
            send(first.source, [tweet(number) for number in range(sent, sent + 500)])
            sent += 500

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        for number in range(SWAPS):
            if number == SWAPS // 2:
                # One that dies comes back with the version that counts then.
                stand.kill(first)
            stand.streams.update_stream(first if number % 2 else second)
    finally:
        done.set()
        feeder.join()
    good = read(first.target, sent, 120)
    assert lost_and_double(places(first), good) == (0, 0)
    assert heard.kinds() == ["running"]
    models = {spec.model_digest: scoring.load(spec.model_dir, SCHEMA) for spec in (first, second)}
    counted = dict.fromkeys(models, 0)
    by_version: dict[str, list[dict[str, object]]] = {digest: [] for digest in models}
    for record in good:
        digest = headers_of(record)["wml.model.digest"]
        counted[digest] += 1
        by_version[digest].append(json.loads(record.value()))
    assert min(counted.values()) > 0
    for digest, records in by_version.items():
        table = models[digest].score_table(["id", "text"], [[each["id"], each["text"]] for each in records])
        at = table[0].index("probability")
        expected = [{"type": 1, "values": row[at]} for row in table[1]]
        assert [each["probability"] for each in records] == expected


def test_a_version_that_cannot_be_loaded_leaves_the_one_before_at_work(
    stand: StreamStand, tmp_path: Path
) -> None:
    spec = stand.spec()
    heard = stand.start(spec)
    with pytest.raises(StreamSetupError, match="cannot be loaded") as caught:
        stand.streams.update_stream(
            evolve(spec, model_dir=str(tmp_path / "nothing"), model_digest="sha256:dead")
        )
    assert caught.value.code == "update_failed"
    send(spec.source, [tweet(1)])
    [record] = read(spec.target, 1)
    assert headers_of(record)["wml.model.digest"] == spec.model_digest
    stand.kill(spec)
    send(spec.source, [tweet(2)])
    assert [headers_of(each)["wml.model.digest"] for each in read(spec.target, 2)] == [spec.model_digest] * 2
    eventually(lambda: heard.progress().get("restarts") == 1)
