"""Topics of the facade on a real broker."""

from __future__ import annotations

import threading
from typing import Any

import attrs
import pandas as pd
import pytest

from wmlclient import KafkaConnection, errors

pytestmark = pytest.mark.kafka


@pytest.fixture
def strict(kafka_broker: Any) -> KafkaConnection:
    """The same broker, as one that makes no topics on demand."""
    return attrs.evolve(kafka_broker.connection, create_topics=False)


def test_what_is_sent_is_read(kafka_broker: Any) -> None:
    topic = kafka_broker.topic()
    assert topic.read() == []

    assert topic.send({"id": 1, "text": "ü"}) == 1
    assert topic.send(pd.DataFrame({"id": [2, 3]}), key="id", headers={"h": "v"}) == 2
    assert topic.send(["plain", b"\xff\xfe"], key=lambda record: "k") == 2

    first, second, third, text, raw = topic.read()
    assert (first.key, first.value, first.offset) == (None, {"id": 1, "text": "ü"}, 0)
    assert first.raw == '{"id":1,"text":"ü"}'.encode()
    assert (second.key, second.value, second.headers) == ("2", {"id": 2}, {"h": b"v"})
    assert (text.key, text.value) == ("k", "plain")
    assert raw.value == b"\xff\xfe"
    assert topic.read(2) == [first, second]
    assert third.timestamp.tzinfo is not None


def test_keys_stay_together(kafka_broker: Any) -> None:
    topic = kafka_broker.topic(partitions=3)

    topic.send([{"id": i, "k": i % 5} for i in range(500)], key="k")

    records = topic.read(500)
    places = {(r.key, r.partition) for r in records}
    assert len(places) == 5
    assert len({partition for _, partition in places}) > 1
    for partition in range(3):
        offsets = [r.offset for r in records if r.partition == partition]
        assert offsets == sorted(offsets)


def test_read_waits_and_keeps_what_it_has(kafka_broker: Any) -> None:
    topic = kafka_broker.topic()
    later = threading.Timer(0.5, topic.send, [[{"id": 1}]])
    later.start()
    assert [r.value for r in topic.read(1, timeout=30)] == [{"id": 1}]
    later.join()

    with pytest.raises(errors.WaitTimeoutError, match=r"1 of 2 records came in 0.5 s") as caught:
        topic.read(2, timeout=0.5)
    assert [r.value for r in caught.value.records] == [{"id": 1}]


def test_tail_sees_what_is_sent_after_it_began(kafka_broker: Any) -> None:
    topic = kafka_broker.topic()
    topic.send({"id": 1})

    with topic.tail(idle=3) as records, topic.tail(from_beginning=True, idle=3) as all_records:
        topic.send({"id": 2})
        assert [r.value["id"] for r in records] == [2]
        assert [r.value["id"] for r in all_records] == [1, 2]
    records.close()


def test_a_topic_that_is_not_there(strict: KafkaConnection, kafka_broker: Any) -> None:
    missing = strict.topic("misspelt")

    for call in (
        missing.read,
        missing.tail,
        lambda: missing.send({"a": 1}),
        lambda: missing.delete(missing_ok=False),
    ):
        with pytest.raises(errors.BrokerError, match="no topic 'misspelt'"):
            call()
    assert not missing.exists()
    missing.delete()

    made = kafka_broker.topic()
    with pytest.raises(errors.BrokerError, match="there already"):
        made.create(exist_ok=False)
    made.create()


def test_the_embedded_broker_makes_topics_on_first_use(kafka_broker: Any) -> None:
    topic = kafka_broker.connection.topic("on-demand")
    try:
        topic.send({"a": 1})
        assert len(topic.read(1)) == 1
    finally:
        topic.delete()


def test_wrong_password_and_wrong_protocol_are_told_apart(strict: KafkaConnection) -> None:
    wrong = attrs.evolve(strict, password="wr0ng-secret")
    plain = KafkaConnection(brokers=strict.brokers)

    for connection, said in ((wrong, "refuses user"), (plain, "hangs up on PLAINTEXT")):
        topic = connection.topic("t")
        for call in (topic.read, topic.exists, topic.create, lambda topic=topic: topic.send({"a": 1})):
            with pytest.raises(errors.BrokerError, match=said) as caught:
                call()
            assert "wr0ng-secret" not in str(caught.value)


def test_what_cannot_be_sent_is_named_before_anything_is_sent(kafka_broker: Any) -> None:
    topic = kafka_broker.topic()

    with pytest.raises(errors.PayloadError, match="Record 1 has no field 'id'"):
        topic.send([{"id": 1}, {"x": 1}], key="id")
    with pytest.raises(errors.PayloadError, match="column 'x'"):
        topic.send([{"id": 1}, {"x": object()}])
    assert topic.read() == []


def test_nothing_is_left_running(kafka_broker: Any) -> None:
    topic = kafka_broker.topic()
    topic.send({"a": 1})
    topic.read(1)

    assert [t.name for t in threading.enumerate() if t.name.startswith("kafka")] == []
