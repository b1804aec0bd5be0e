"""A published function as a Kafka stream: each record run apart from others, once, whatever its code does."""

from __future__ import annotations

import os
from typing import Any

import pytest

from wmlclient import Client

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]


def classify(id: int, text: str) -> str:
    """What becomes of a text."""
    if text == "raise":
        raise ValueError("no such text")
    if text == "end":
        os._exit(3)
    if text == "look":
        # What a worker of the stream has: the logins of Kafka come to it through its pipe.
        return " ".join(sorted(os.environ)) + f" {os.getppid()}"
    # State that another record would find, if there were any.
    seen = classify.__dict__.setdefault("seen", [])
    seen.append(id)
    return f"{text.upper()} {len(seen)}"


def test_a_function_is_a_stream(wml_client: Client, kafka_broker: Any) -> None:
    service = wml_client.services.publish(classify, version="1.0")
    source, target = kafka_broker.topic(partitions=2), kafka_broker.topic()
    try:
        stream = service.deploy("texts", source=source, target=target, receipts=True, workers=2)
        stream.wait(60)
        good = [{"id": number, "text": "a", "more": [number]} for number in range(60)]
        bad = [
            {"id": 100, "text": "raise"},
            {"id": 101, "text": "end"},
            {"id": 102},
            {"id": "x", "text": "a"},
        ]
        source.send([*good[:30], *bad, *good[30:], {"id": 103, "text": "look"}], key="id")

        found = {record.value["id"]: record.value for record in target.read(61, timeout=90)}
        looked = found.pop(103)["result"]
        assert found == {each["id"]: {**each, "result": "A 1"} for each in good}
        assert "KAFKA" not in looked.upper()
        assert "WMLCLIENT" not in looked.replace("WMLCLIENT_ONE_ROW", "")

        letters = {letter.record.value["id"]: letter for letter in _letters(stream, 4)}
        assert (letters[100].stage, letters[100].reason) == ("score", "ValueError: no such text")
        assert (letters[101].stage, letters[101].reason) == (
            "score", "The request was ended: its process exited with 3.",
        )  # fmt: skip
        assert (letters[102].stage, letters[102].reason) == ("schema", "missing field: text")
        assert letters["x"].stage == "schema"
        assert str(stream.audit()) == "65 records in, 61 scored, 4 dead letters: 0 missing, 0 double"

        def other(id: int, text: str) -> str:
            return "other"

        service.update(other)
        stream.wait(60)
        source.send([{"id": 200, "text": "a"}])
        assert target.read(62, timeout=60)[-1].value == {"id": 200, "text": "a", "result": "other"}
    finally:
        service.delete()


def _letters(stream: Any, count: int) -> list[Any]:
    from runner_fakes import eventually

    found: list[Any] = eventually(lambda: len(letters := stream.dead_letters()) >= count and letters, 60)
    return found
