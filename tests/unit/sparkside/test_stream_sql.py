"""What streams are made of that needs no JVM: SQL text, the search for bad records, errors in one line."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from wmlclient.runner.engine.ports import KafkaEndpoint, StreamSpec
from wmlclient.runner.spark.failures import Cause, describe, redact, root_cause
from wmlclient.runner.spark.formats import literal
from wmlclient.runner.spark.isolate import Position, find_bad, position_filter
from wmlclient.runner.spark.kafka_options import sink_options, source_options
from wmlclient.runner.spark.settings import DriverFolder, spark_settings, to_properties
from wmlclient.runner.spark.transform import quote


class JavaError(Exception):
    """As py4j raises it: the exception of the JVM behind a proxy."""

    def __init__(self, *links: tuple[str, str]) -> None:
        super().__init__("java")
        self.java_exception = Link(links)


class Link:
    def __init__(self, links: Any) -> None:
        self._links = links

    def getClass(self) -> Any:
        return self

    def getName(self) -> str:
        return str(self._links[0][0])

    def getMessage(self) -> str:
        return str(self._links[0][1])

    def getCause(self) -> Any:
        return Link(self._links[1:]) if len(self._links) > 1 else None


@pytest.mark.parametrize("seed", range(20))
def test_exactly_the_bad_records_are_found(seed: int) -> None:
    dice = random.Random(seed)
    positions: list[Position] = sorted({(dice.randrange(3), dice.randrange(500)) for _ in range(200)})
    bad = set(dice.sample(positions, dice.choice([0, 1, 2, 7, 40])))
    jobs = 0

    def score(first: Position, last: Position) -> None:
        nonlocal jobs
        jobs += 1
        if any(first <= position <= last for position in bad):
            raise JavaError(("x.SparkException", f"{first}"))

    found = find_bad(positions, score, root_cause)
    assert set(found) == bad
    assert all(reason == str(position) for position, reason in found.items())
    assert jobs <= 1 + 2 * len(bad) * 9


def test_nothing_is_searched_in_nothing() -> None:
    assert find_bad([], lambda first, last: None, str) == {}


def test_what_is_no_java_error_ends_the_search() -> None:
    def stopped(first: Position, last: Position) -> None:
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        find_bad([(0, 1)], stopped, str)


def test_position_filters() -> None:
    assert position_filter((1, 5), (1, 5)) == "partition = 1 AND offset = 5"
    assert "BETWEEN struct(CAST(0 AS INT), CAST(3 AS BIGINT))" in position_filter((0, 3), (1, 5))


def test_the_cause_is_told_not_its_wrappers() -> None:
    error = JavaError(
        ("org.apache.spark.SparkException", "Job aborted due to stage failure: Task 0 in stage 1.0 failed"),
        (
            "org.apache.spark.SparkException",
            "[FAILED_EXECUTE_UDF] User defined function failed. SQLSTATE: 39000",
        ),
        ("org.apache.spark.SparkException", "Unseen label: z. To handle unseen labels, set Param."),
    )
    assert root_cause(error) == "Unseen label: z. To handle unseen labels, set Param."


def test_a_printed_cause_is_found_too() -> None:
    text = "Job aborted due to stage failure: x\n\tat a.b\nCaused by: java.lang.NullPointerException: s is null\n\tat c"
    assert (
        root_cause(JavaError(("org.apache.spark.SparkException", text))) == "NullPointerException: s is null"
    )


def test_a_message_ends_where_the_trace_begins() -> None:
    cause = Cause("java.lang.IllegalStateException", "first\nsecond\n\tat x.y(Z.java:1)\n")
    assert describe(cause) == "IllegalStateException: first second"
    assert describe(Cause("a.b.Odd", "")) == "Odd"


def test_passwords_are_taken_out() -> None:
    line = 'PlainLoginModule required username="u" password="a \\"b c";'
    assert redact(line) == 'PlainLoginModule required username="u" password=[redacted];'


def test_names_and_strings_cannot_leave_their_quotes() -> None:
    assert quote("a`b") == "`a``b`"
    assert literal("it's \\ 'x") == "'it\\'s \\\\ \\'x'"


SPEC = StreamSpec(
    "s",
    "/m",
    {"type": "struct", "fields": []},
    KafkaEndpoint(("a:1", "b:2"), "in", "SASL_SSL", "u", "p"),
    KafkaEndpoint(("a:1",), "out"),
    KafkaEndpoint(("a:1",), "dead"),
    "/c",
    1234,
    "sha256:x",
)


def test_a_stream_starts_at_its_creation_and_never_skips_silently() -> None:
    options = source_options(SPEC)
    assert options["startingTimestamp"] == "1234"
    assert options["startingOffsetsByTimestampStrategy"] == "latest"
    assert options["failOnDataLoss"] == "true"
    assert options["kafka.bootstrap.servers"] == "a:1,b:2"
    assert sink_options(SPEC.target)["topic"] == "out"
    assert sink_options(SPEC.target)["kafka.acks"] == "all"


def test_secrets_of_a_driver_are_its_own(tmp_path: Path) -> None:
    folder = DriverFolder.of(tmp_path, "local[2]")
    one, two = (spark_settings(folder, "local[2]", [Path("/j/a.jar")], "1g") for _ in range(2))
    assert one["spark.authenticate"] == "true"
    assert one["spark.authenticate.secret"] != two["spark.authenticate.secret"]
    assert one["spark.jars"] == "/j/a.jar"
    assert one["spark.ui.enabled"] == "false"
    assert one["spark.driver.bindAddress"] == "127.0.0.1"
    assert one["spark.local.dir"] == str(folder.path / "local")
    listed = DriverFolder.of(tmp_path / "a,b", "local[2]")
    assert "spark.local.dir" not in spark_settings(listed, "local[2]", [], "1g")
    cluster = spark_settings(folder, "spark://host.example:7077", [], "1g")
    assert "spark.authenticate.secret" not in cluster
    # A whole day; of a cluster's executors Spark itself knows best.
    patience = "spark.storage.blockManagerHeartbeatTimeoutMs"
    assert (one[patience], patience in cluster) == ("86400000", False)
    assert "spark.driver.host" not in cluster
    assert spark_settings(folder, "spark://127.0.0.1:7077", [], "1g")["spark.driver.host"] == "127.0.0.1"


def test_each_master_has_a_folder(tmp_path: Path) -> None:
    one, two = DriverFolder.of(tmp_path, "local[1]"), DriverFolder.of(tmp_path, "local[2]")
    assert one.path != two.path
    assert one == DriverFolder.of(tmp_path, "local[1]")


def test_properties_are_read_back_as_java_does() -> None:
    assert to_properties({"a": "C:\\x", "b": "ä"}) == "a=C:\\\\x\nb=\\u00e4\n"
