"""What happens to a native stream when its broker, its topics or its records are bad."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, NewPartitions  # type: ignore[attr-defined]
from exactly_once import (
    SCHEMA,
    TIMES,
    headers_of,
    lost_and_double,
    make_topic,
    places,
    read,
    send,
    topic_of,
    tweet,
)
from stream_stand import StreamStand
from waiting import eventually

from wmlclient.audits import Audit, audit
from wmlclient.envelope import group
from wmlclient.groups import group_ranges
from wmlclient.runner.engine.ports import StreamSpec
from wmlclient.runner.streams.clients import connection
from wmlclient.testing import poison_records

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300 * TIMES)]


def test_every_kind_of_poison_goes_aside_whole_and_no_good_record_is_lost(stand: StreamStand) -> None:
    count, bad = 100_000 * TIMES, 10_000 * TIMES
    spec = stand.spec(partitions=2)
    heard = stand.start(spec)
    made = poison_records(SCHEMA, bad, needed=["text"], seed=20261121)
    poison = {each.key: each for each in made}
    records = [tweet(number) for number in range(count - bad)]
    step = count // bad
    for place, each in enumerate(made):
        records.insert(place * step, (each.key, each.value, [("kind", each.kind.encode())]))
    send(spec.source, records, {each.key: each.timestamp or 0 for each in poison.values()})
    done = eventually(
        lambda: (told := heard.progress()).get("records_in") == count and told, 120 * TIMES, stand.logs
    )
    good = read(spec.target, done["records_out"])
    dead = read(spec.dead_letter, done["dead_letters"])
    assert lost_and_double(places(spec), good + dead) == (0, 0)
    stages = {headers_of(record)["kind"]: headers_of(record)["wml.error.stage"] for record in dead}
    assert stages["large"] == "oversize"
    for record in dead:
        if record.key() is not None:
            assert record.value() == poison[record.key()].value
    kinds = [headers_of(record).get("kind") for record in good]
    assert kinds.count(None) == count - bad
    assert {kind for kind in kinds if kind} == {"null key", "long ago", "ahead"}
    assert heard.kinds() == ["running"]


def test_partitions_that_are_added_are_read_from_their_first_record(stand: StreamStand) -> None:
    spec = stand.spec()
    heard = stand.start(spec)
    send(spec.source, [tweet(number) for number in range(100)])
    admin = AdminClient(connection(spec.source))
    admin.create_partitions([NewPartitions(spec.source.topic, 3)])[spec.source.topic].result(30)
    send(spec.source, [tweet(number) for number in range(100, 400)])
    eventually(lambda: heard.progress().get("records_in") == 400, 60, stand.logs)
    good = read(spec.target, 400)
    assert len({headers_of(record)["wml.source.partition"] for record in good}) == 3
    assert lost_and_double(places(spec), good) == (0, 0)


def test_sources_that_are_deleted_and_made_again_are_read_from_their_first_record(stand: StreamStand) -> None:
    once, least = stand.spec(1), stand.spec(2, delivery="at_least_once")
    keys = {b"key-%d" % number for number in range(1000, 1120)}

    def progress(spec: StreamSpec) -> dict[str, Any]:
        return stand.heard[spec.stream_id].progress()

    def begin(spec: StreamSpec) -> None:
        stand.start(spec)
        send(spec.source, [tweet(number) for number in range(50)])
        eventually(lambda: progress(spec).get("records_out") == 50, 60, stand.logs)
        topics = AdminClient(connection(spec.source))
        topics.delete_topics([spec.source.topic])[spec.source.topic].result(30)

    def again(spec: StreamSpec, partitions: int) -> None:
        eventually(lambda: "not exist" in (progress(spec)["last_error"] or ""), 30, stand.logs)
        make_topic(spec.source, partitions)
        # More than before, so that where the old one ended lies within.
        send(spec.source, [tweet(number) for number in range(1000, 1120)])

    def scored(spec: StreamSpec) -> list[Any]:
        found = read(spec.target, 1)
        return found if keys <= {record.key() for record in found} else []

    def audited(spec: StreamSpec) -> Audit:
        source, target, letters = (topic_of(end) for end in (spec.source, spec.target, spec.dead_letter))

        def all_of_it() -> dict[int, tuple[int, int]] | None:
            ranges = group_ranges(source, group(spec.stream_id), spec.created_at_ms)
            return ranges if sum(end for _, end in ranges.values()) == 120 else None

        found = audit(source, target, letters, eventually(all_of_it, 30, stand.logs))
        assert found.inputs == 120
        return found

    begin(once)
    begin(least)
    again(once, 3)
    again(least, 1)
    assert len(eventually(lambda: scored(once), 60, stand.logs)) == 170
    eventually(lambda: scored(least), 60, stand.logs)
    # An audit speaks of the topics as they are, and says what it left out.
    found = {spec.delivery: audited(spec) for spec in (once, least)}
    told = found["exactly_once"]
    assert (told.ok, told.outputs, told.left_out) == (True, 120, 50)
    assert "50 results of a topic that had" in str(told)
    assert (found["at_least_once"].missing, found["at_least_once"].left_out >= 50) == ((), True)
    assert {kind for heard in stand.heard.values() for kind in heard.kinds()} == {"running"}
