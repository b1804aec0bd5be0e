"""The version of a stream that Spark runs is changed under load."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from exactly_once import SCHEMA
from kafka_stand import Stream
from saved_models import text_pipeline

from wmlclient import scoring
from wmlclient.runner.engine.ports import PortError

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(420)]


def test_no_record_is_lost_and_each_receipt_names_its_version(
    make_stream: Callable[..., Stream], tmp_path: Path
) -> None:
    stream = make_stream()
    one = attrs.evolve(
        stream.spec,
        model_dir=str(text_pipeline(tmp_path / "one")),
        input_schema=SCHEMA,
        model_digest="sha256:one",
        receipts=True,
    )
    two = attrs.evolve(
        one, model_dir=str(text_pipeline(tmp_path / "two", weight=-0.5)), model_digest="sha256:two"
    )
    stream.spec = one
    stream.start()
    done, sent = threading.Event(), 0

    def feed() -> None:
        nonlocal sent
        while not done.is_set():
            rows = [json.dumps({"id": n, "text": f"so good {n}"}).encode() for n in range(sent, sent + 20)]
            stream.send([(b"k", row, []) for row in rows])
            sent += 20

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        stream.scored(20)
        stream.runner.update_stream(two)
        stream.scored(sent + 20)
        with pytest.raises(PortError, match="cannot be loaded"):
            stream.runner.update_stream(attrs.evolve(two, model_dir=str(tmp_path)))
        stream.runner.update_stream(one)
    finally:
        done.set()
        feeder.join()
    # Behind all others, so scored when they are.
    stream.send([(b"k", json.dumps({"id": sent, "text": "the last"}).encode(), [])])
    found: dict[int, dict[str, Any]] = defaultdict(dict)
    count = sent + 1
    while sent not in found:
        records = stream.scored(count)
        count = len(records) + 1
        for record in records:
            row, headers = json.loads(record.value), {key: value.decode() for key, value in record.headers}
            assert int(headers["wml.source.offset"]) == row["id"]
            found[row["id"]][headers["wml.model.digest"]] = row["probability"]["values"]
    assert sorted(found) == list(range(sent + 1))
    assert stream.kinds().count("running") == 1
    assert "failed" not in stream.kinds()
    models = {spec.model_digest: scoring.load(spec.model_dir, SCHEMA) for spec in (one, two)}
    for id, versions in found.items():
        text = "the last" if id == sent else f"so good {id}"
        for digest, values in versions.items():
            [answer] = models[digest].score([{"id": id, "text": text}])
            assert values == pytest.approx(answer["probability"], rel=1e-12)
    single = [next(iter(found[id])) for id in sorted(found) if len(found[id]) == 1]
    # At least once: by both are only records of a batch at a border; all others in the order of the versions.
    assert [each for each, before in zip(single, [None, *single], strict=False) if each != before] == [
        "sha256:one", "sha256:two", "sha256:one",
    ]  # fmt: skip
