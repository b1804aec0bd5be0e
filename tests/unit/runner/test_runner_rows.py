"""Rows that cannot be scored, with either engine."""

from __future__ import annotations

from typing import Any

import pytest
from deploying import FIELDS, ROWS, online, score, status
from runner_fakes import FakeSpark

from wmlclient.runner.engine.errors import Invalid, NotReady
from wmlclient.runner.engine.ports import SparkUnavailable
from wmlclient.runner.engine.spark_scorer import MAX_JOBS


@pytest.mark.parametrize("engine", ["native", "spark"])
@pytest.mark.parametrize(
    ("fields", "rows", "code", "message"),
    [
        (
            ["id", "text", "X"],
            [[1, "a", 2]],
            "invalid_payload",
            "Input Json parsing failed with error: invalid field: X",
        ),
        (
            ["id", "text", "id"],
            [[1, "a", 2]],
            "invalid_payload",
            "Input Json parsing failed with error: struct already has field: id",
        ),
        (["id"], [[1]], "*", "text"),
        (["id", "text"], [["one", "a"]], "invalid_payload", "row 0, field 'id'"),
        (["id", "text"], [[1, 7]], "invalid_payload", "row 0, field 'text'"),
        (["id", "text"], [[1, "a"], [1]], "invalid_payload", "row 1 has 1 values"),
        (["id", "text"], [], "invalid_input_data", "no rows"),
        ([], [[]], "*", ""),
    ],
)
def test_bad_rows_are_refused_by_both_engines(
    world: Any, content: bytes, engine: str, fields: list[str], rows: Any, code: str, message: str
) -> None:
    world.spark.skew = 1.0 if engine == "spark" else 0.0
    made = online(world, content)
    assert status(world, made.id, "DEPLOY_SUCCESS").engine == engine
    with pytest.raises(Invalid) as caught:
        score(world, made, fields, rows)
    assert code in ("*", caught.value.code)
    assert caught.value.code in ("invalid_payload", "invalid_input_data")
    assert message in caught.value.message


def test_spark_scores_where_the_certificate_says_so(world: Any, content: bytes) -> None:
    world.spark.skew = 1.0
    made = online(world, content)
    assert status(world, made.id, "DEPLOY_SUCCESS").engine == "spark"
    _, values, errors = score(world, made, FIELDS, ROWS)
    assert not errors
    assert {row[-1] for row in values} <= {1.0, 2.0}
    world.spark.down = SparkUnavailable("spark_driver_died", "The driver died.", retriable=True)
    with pytest.raises(NotReady, match="The driver died"):
        score(world, made, FIELDS, ROWS)


def on_spark(world: Any, content: bytes) -> Any:
    world.spark.skew = 1.0
    made = online(world, content)
    assert status(world, made.id, "DEPLOY_SUCCESS").engine == "spark"
    return made


def test_spark_answers_the_good_rows_and_has_a_reason_for_each_bad_one(world: Any, content: bytes) -> None:
    made = on_spark(world, content)
    rows = [[n, f"what a day {n}"] for n in range(40)]
    rows[0][1] = rows[17][1] = rows[39][1] = None  # which Tokenizer refuses
    rows[5][0] = "five"
    fields, values, errors = score(world, made, FIELDS, rows)
    assert [error.row for error in errors] == [0, 5, 17, 39]
    assert [error.code for error in errors] == [
        "invalid_input_data",
        "invalid_payload",
        *["invalid_input_data"] * 2,
    ]
    assert errors[1].column == "id"
    place = fields.index("prediction")
    assert [row[0] for row in values] == [None if n == 5 else n for n in range(40)]
    assert [n for n, row in enumerate(values) if row[place] is None] == [0, 5, 17, 39]


def test_spark_refuses_all_rows(world: Any, content: bytes) -> None:
    made = on_spark(world, content)
    with pytest.raises(Invalid, match="Spark cannot score these rows"):
        score(world, made, FIELDS, [[1, None], [2, None], [3, None]])


def test_so_many_bad_rows_that_looking_for_them_would_take_too_long(world: Any, content: bytes) -> None:
    made = on_spark(world, content)
    calls = world.spark.calls
    with pytest.raises(Invalid, match="Spark cannot score these rows"):
        score(world, made, FIELDS, [[n, None if n % 2 else "a"] for n in range(400)])
    assert world.spark.calls - calls <= 1 + MAX_JOBS


def test_spark_that_goes_while_bad_rows_are_looked_for(
    world: Any, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = on_spark(world, content)
    transform = FakeSpark.transform

    def once(spark: FakeSpark, *arguments: Any) -> Any:
        answer = transform(spark, *arguments)
        spark.down = SparkUnavailable("spark_driver_died", "The driver died.", retriable=True)
        return answer

    monkeypatch.setattr(FakeSpark, "transform", once)
    with pytest.raises(NotReady, match="The driver died"):
        score(world, made, FIELDS, [[1, None], [2, "a"]])
