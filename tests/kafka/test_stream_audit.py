"""Receipts, audit, dead letters and replay, on what a native stream has left in Kafka."""

from __future__ import annotations

from pathlib import Path

import pytest
from exactly_once import Heard, headers_of, make_spec, read, send, topic_of, tweet
from waiting import eventually

from wmlclient import envelope, errors, streams
from wmlclient.audits import audit
from wmlclient.groups import group_ranges
from wmlclient.runner.broker import Broker
from wmlclient.runner.streams.engine import NativeStreams

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]


def test_what_came_in_is_what_went_out_and_the_rest_is_told(broker: Broker, tmp_path: Path) -> None:
    spec = make_spec(broker, tmp_path, 2)
    send(spec.source, [tweet(number) for number in range(100)])
    engine, heard = NativeStreams(tmp_path), Heard()
    try:
        engine.start_stream(spec, heard)
        send(spec.source, [(b"k", b"{", [("trace", b"x")]), (b"k", b'{"id":1,"text":null}', [])])
        scored = read(spec.target, 100)
        read(spec.dead_letter, 2)
        source, target, letters = (topic_of(end) for end in (spec.source, spec.target, spec.dead_letter))
        group = envelope.group(spec.stream_id)

        ranges = eventually(
            lambda: (
                (found := group_ranges(source, group, spec.created_at_ms))
                and sum(end - first for first, end in found.values()) == 102
                and found
            )
        )
        found = audit(source, target, letters, ranges)
        assert found.ok
        assert (found.inputs, found.outputs, found.dead_letters) == (102, 100, 2)
        assert str(found).startswith("102 records in, 100 scored, 2 dead letters: 0 missing, 0 double")

        # A result that somebody sends again is double; a source without a result is missing.
        copy = scored[7]
        send(spec.target, [(copy.key(), copy.value(), copy.headers())])
        place = tuple(int(headers_of(copy)[f"wml.source.{part}"]) for part in ("partition", "offset"))
        late = {partition: (first, end + 1) for partition, (first, end) in ranges.items()}
        engine.stop_stream(spec.stream_id)
        send(spec.source, [tweet(number) for number in range(200, 230)])
        found = audit(source, target, letters, late)
        assert not found.ok
        assert found.double == (place,)
        assert found.missing == tuple((partition, end) for partition, (_, end) in sorted(ranges.items()))
        assert f"double: partition {place[0]}, offset {place[1]}" in str(found)

        told = {letter.reason: letter for letter in streams.letters_of(letters, spec.source.topic)}
        assert sorted(told) == ["malformed JSON", "null in field: text"]
        assert told["malformed JSON"].record.raw == b"{"
        assert (told["malformed JSON"].stage, told["malformed JSON"].digest) == ("decode", "sha256:feed")

        before = len(read(spec.source, 132))
        assert streams.replay(letters, source, f"{group}-replay", ["decode"]) == 1
        assert streams.replay(letters, source, f"{group}-replay", ["decode"]) == 0
        again = [record for record in read(spec.source, before + 1) if record.value() == b"{"]
        assert [record.headers() for record in again] == [[("trace", b"x")]] * 2
        assert again[0].timestamp() == again[1].timestamp()
    finally:
        engine.close()


def test_records_without_receipts_prove_nothing(broker: Broker, tmp_path: Path) -> None:
    spec = make_spec(broker, tmp_path)
    send(spec.source, [tweet(1)])
    send(spec.target, [tweet(1)])
    source, target, letters = (topic_of(end) for end in (spec.source, spec.target, spec.dead_letter))
    with pytest.raises(errors.PayloadError, match="receipts=True"):
        audit(source, target, letters, {0: (0, 1)})
