"""Admin calls where a broker is gone: another one is asked, within a limit."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("kafka")

from kafka import errors

from wmlclient.kafka_admin import KafkaAdmin


class _Cluster:
    """Clients of it fail as often as it is told, then answer."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.asked: list[tuple[Any, ...]] = []
        self.made: list[_Client] = []

    def connect(self) -> _Client:
        self.made.append(_Client(self))
        return self.made[-1]


class _Client:
    def __init__(self, cluster: _Cluster) -> None:
        self.cluster = cluster
        self.closed = False

    def describe_topics(self, topics: list[str]) -> list[dict[str, Any]]:
        self.cluster.asked.append(tuple(topics))
        if self.cluster.failures:
            raise self.cluster.failures.pop(0)
        return [{"name": topics[0], "error_code": 0}]

    def close(self) -> None:
        self.closed = True


def test_a_call_goes_to_another_broker_where_one_is_gone() -> None:
    cluster = _Cluster(errors.KafkaConnectionError("111"), errors.UnknownBrokerIdError(1))
    admin = KafkaAdmin(cluster.connect, 30)
    assert admin.describe("t") == admin.describe("t") == {"name": "t", "error_code": 0}
    assert cluster.asked == [("t",)] * 4
    # Each try has a client that knows of no broker yet.
    assert [each.closed for each in cluster.made] == [True, True, False]
    admin.close()
    assert all(each.closed for each in cluster.made)


def test_no_call_is_made_again_after_its_time() -> None:
    cluster = _Cluster(*[errors.KafkaConnectionError("111")] * 9)
    with pytest.raises(errors.KafkaConnectionError):
        KafkaAdmin(cluster.connect, 0).describe("t")
    assert cluster.asked == [("t",)]


@pytest.mark.parametrize(
    "refused", [errors.UnknownTopicOrPartitionError, errors.TopicAlreadyExistsError, errors.KafkaTimeoutError]
)
def test_what_the_brokers_refuse_is_not_asked_again(refused: type[Exception]) -> None:
    cluster = _Cluster(refused())
    with pytest.raises(refused):
        KafkaAdmin(cluster.connect, 30).describe("t")
    assert cluster.asked == [("t",)]
