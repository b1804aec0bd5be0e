"""Admin calls where a broker is gone: another one is asked, within a limit."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("kafka")

from kafka import errors

from wmlclient.kafka_admin import KafkaAdmin


class _Client:
    """Fails as often as it is told, then answers."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.asked: list[tuple[Any, ...]] = []

    def describe_topics(self, topics: list[str]) -> list[dict[str, Any]]:
        self.asked.append(tuple(topics))
        if self.failures:
            raise self.failures.pop(0)
        return [{"name": topics[0], "error_code": 0}]


def test_a_call_goes_to_another_broker_where_one_is_gone() -> None:
    client = _Client(errors.KafkaConnectionError("111"), errors.NotControllerError())
    assert KafkaAdmin(client, 30).describe("t") == {"name": "t", "error_code": 0}
    assert client.asked == [("t",)] * 3


def test_no_call_is_made_again_after_its_time() -> None:
    client = _Client(*[errors.KafkaConnectionError("111")] * 9)
    with pytest.raises(errors.KafkaConnectionError):
        KafkaAdmin(client, 0).describe("t")
    assert client.asked == [("t",)]


@pytest.mark.parametrize(
    "refused", [errors.UnknownTopicOrPartitionError, errors.TopicAlreadyExistsError, errors.KafkaTimeoutError]
)
def test_what_the_brokers_refuse_is_not_asked_again(refused: type[Exception]) -> None:
    client = _Client(refused())
    with pytest.raises(refused):
        KafkaAdmin(client, 30).describe("t")
    assert client.asked == [("t",)]
