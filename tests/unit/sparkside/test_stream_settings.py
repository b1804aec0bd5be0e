"""What Spark streams are made of beside SQL: settings from a file, counts, the search that halves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from wmlclient.runner.engine.halving import find_refused
from wmlclient.runner.engine.ports import KafkaEndpoint, SparkUnavailable, StreamSetupError, StreamSpec
from wmlclient.runner.spark import slots
from wmlclient.runner.spark.conf import read
from wmlclient.runner.spark.kafka_options import bound, producer_options, source_options
from wmlclient.runner.spark.pool import DriverPool
from wmlclient.runner.spark.progress import Counts, lag, positions
from wmlclient.runner.spark.settings import DriverFolder, spark_settings

END = KafkaEndpoint(("b:1",), "in")
SPEC = StreamSpec("s", "m", {"type": "struct", "fields": []}, END, END, END, "c", 1, "sha256:x")


def test_settings_are_read_as_spark_reads_its_own(tmp_path: Path) -> None:
    file = tmp_path / "spark.conf"
    file.write_text("# for k8s\n\nspark.executor.memory  2g\nspark.jars=/a.jar\nspark.x = y z\n")
    found = read(file)
    assert found == {"spark.executor.memory": "2g", "spark.jars": "/a.jar", "spark.x": "y z"}
    folder = DriverFolder.of(tmp_path, "k8s://https://h:6443")
    settings = spark_settings(folder, "k8s://https://h:6443", [Path("/kafka.jar")], "1g", found)
    assert settings["spark.jars"] == "/kafka.jar,/a.jar"
    assert settings["spark.executor.memory"] == "2g"
    assert settings["spark.master"] == "k8s://https://h:6443"


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("spark.master local[9]", "sets spark.master"),
        ("hunter2", "is no setting"),
        ("spark.wmlclient.recordsPerBatch many", "no number of records"),
    ],
)
def test_a_wrong_line_is_named_and_not_shown(tmp_path: Path, line: str, what: str) -> None:
    file = tmp_path / "spark.conf"
    file.write_text(f"spark.a b\n{line}\n")
    with pytest.raises(SparkUnavailable, match=f"Line 2 .*{what}") as caught:
        DriverPool(tmp_path, conf=file)
    assert "hunter2" not in caught.value.message


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SparkUnavailable, match="no-such"):
        read(tmp_path / "no-such")


def test_batches_are_bounded_and_records_in_real_time_do_not_linger() -> None:
    assert bound() == {"maxOffsetsPerTrigger": "250000"}
    assert bound(40) == {"maxOffsetsPerTrigger": "40"}
    # Real-time Mode ends where it is there.
    assert not source_options(SPEC).keys() & bound().keys()
    assert producer_options(END, 0)["kafka.linger.ms"] == "0"
    assert "topic" not in producer_options(END)


def test_counts_add_up() -> None:
    counts = Counts()
    counts.add(10, 2, 0, "2026-01-01T00:00:00Z", 2.0)
    counts.add(5, 0, 1, "2026-01-01T00:00:01Z", 0.5)
    assert (counts.records_in, counts.records_out, counts.dead_letters, counts.batches) == (15, 13, 2, 2)
    assert counts.last_batch_id == 1
    told = counts.to_json()
    rates = [told[f"{name}_per_second"] for name in ("records", "records_out", "dead_letters")]
    assert rates == [10.0, 10.0, 0.0]
    assert told["latency_ms"] == {"p50": None, "p99": None}
    counts.trouble("a record")
    assert (counts.to_json()["aborted"], counts.to_json()["last_error"]) == (1, "a record")
    counts.add(8, 8, 2, "2026-01-01T00:00:02Z", 0.5, (20.0, 90.0))
    told = counts.to_json()
    assert (told["latency_ms"], told["last_error"]) == ({"p50": 20.0, "p99": 90.0}, None)
    assert (told["records_out_per_second"], told["dead_letters_per_second"]) == (0.0, 16.0)
    # A batch of which no record was looked at says nothing new; and after a while nothing comes any more.
    counts.add(1, 0, 3, "2026-01-01T00:00:03Z", 0.5)
    counts._fresh_until = 0.0
    told = counts.to_json()
    assert (told["latency_ms"]["p50"], told["records_per_second"]) == (20.0, 0.0)


def test_lag_is_known_only_where_both_ends_are() -> None:
    told: dict[str, Any] = {
        "sources": [{"endOffset": {"t": {"0": 5, "1": 7}}, "latestOffset": {"t": {"0": 9}}}]
    }
    assert lag(told) == {"0": 4}
    assert positions(told, "endOffset") == {0: 5, 1: 7}
    assert lag({"sources": [{"endOffset": {"t": {"0": 5}}, "latestOffset": None}]}) == {}


class Context:
    """A Spark of so many cores."""

    def __init__(self, cores: int) -> None:
        self.cores = cores
        self.spark = self

    def sparkContext(self) -> Context:
        return self

    def isLocal(self) -> bool:
        return True

    def defaultParallelism(self) -> int:
        return self.cores


def test_streams_in_real_time_hold_their_slots_until_they_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "partitions", lambda source: 2)
    held = slots.Slots(Context(4))  # type: ignore[arg-type]
    fast, slow = evolve(SPEC, latency="realtime"), evolve(SPEC, stream_id="slow")
    held.take(fast)
    held.take(slow)
    # Of the two that are left the other stream needs one.
    with pytest.raises(StreamSetupError, match="2 are free, one of which other streams need"):
        held.take(evolve(fast, stream_id="fast-2"))
    held.free("slow")
    held.take(evolve(fast, stream_id="fast-2"))
    with pytest.raises(StreamSetupError) as caught:
        held.take(slow)
    assert caught.value.code == "spark_slots_taken"
    held.free("s")
    held.take(slow)


def test_a_search_ends_with_its_last_attempt_or_with_another_error() -> None:
    asked: list[int] = []

    def attempt(some: Any) -> None:
        asked.append(len(some))
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        find_refused(range(8), attempt, lambda error: True, known=True, most=2)
    assert asked == [4, 2]
    with pytest.raises(ValueError, match="no"):
        find_refused(range(8), attempt, lambda error: False)
    assert set(find_refused(range(3), attempt, lambda error: True)) == {0, 1, 2}
