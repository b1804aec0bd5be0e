"""Rows through saved pipelines in the driver process: Spark's own answers, row for row."""

from __future__ import annotations

import math
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import pytest
from spark_stand import Fitted

from wmlclient.runner.engine.ports import TransformFailed, TransformResult
from wmlclient.runner.engine.spark_scorer import SparkScorer
from wmlclient.runner.spark.pool import DriverPool
from wmlclient.runner.spark.runner import DriverRunner

pytestmark = [pytest.mark.spark, pytest.mark.timeout(300)]

SECONDS = 200


def ask(runner: DriverRunner, model: Fitted, fields: list[str], values: list[list[Any]]) -> TransformResult:
    return runner.transform(model.path, model.schema, fields, values).result(SECONDS)


def online(value: Any) -> Any:
    """A value of Spark's ``toJSON`` in the online form."""
    if isinstance(value, dict) and value.get("type") == 1:
        return value["values"]
    if isinstance(value, dict) and value.get("type") == 0:
        return [value["size"], value["indices"], value["values"]]
    return value


def refused(runner: DriverRunner, model: Fitted, fields: list[str], values: list[list[Any]]) -> str:
    with pytest.raises(TransformFailed) as caught:
        ask(runner, model, fields, values)
    text = str(caught.value)
    assert "\n" not in text
    assert "__wml" not in text
    return text


def test_version(runner: DriverRunner) -> None:
    import importlib.metadata

    assert runner.version() == importlib.metadata.version("pyspark")


@pytest.mark.parametrize("name", ["text", "strict", "skipping", "vectors"])
def test_answers_are_sparks_own(runner: DriverRunner, pipelines: dict[str, Fitted], name: str) -> None:
    model = pipelines[name]
    values = [[online(row.get(field)) for field in model.fields] for row in model.expected]
    result = ask(runner, model, model.fields, values)
    assert result.fields[: len(model.fields)] == model.fields
    # Spark's toJSON leaves nulls out; none of these rows has one in an output.
    assert result.fields == list(model.expected[0])
    assert result.values == [[online(row[field]) for field in result.fields] for row in model.expected]


def test_types_are_named_as_spark_names_them(runner: DriverRunner, pipelines: dict[str, Fitted]) -> None:
    result = ask(runner, pipelines["text"], ["text", "id"], [["a", 1]])
    assert result.fields == [
        "text", "id", "words", "hash", "features", "rawPrediction", "probability", "prediction"
    ]  # fmt: skip
    assert result.dtypes == {
        "text": "string",
        "id": "int",
        "words": "array<string>",
        "hash": "vector",
        "features": "vector",
        "rawPrediction": "vector",
        "probability": "vector",
        "prediction": "double",
    }
    [size, indices, values] = result.values[0][3]
    assert (size, len(indices), values) == (256, 1, [1.0])
    assert math.isclose(sum(result.values[0][6]), 1.0)


def test_thousands_of_rows_keep_their_order(runner: DriverRunner, pipelines: dict[str, Fitted]) -> None:
    values = [[f"row {number}", number] for number in range(9000)]
    result = ask(runner, pipelines["text"], ["text", "id"], values)
    assert [row[1] for row in result.values] == list(range(9000))
    assert [row[2][1] for row in result.values] == [str(number) for number in range(9000)]


def test_no_rows_have_columns_all_the_same(runner: DriverRunner, pipelines: dict[str, Fitted]) -> None:
    result = ask(runner, pipelines["text"], ["text"], [])
    assert result.values == []
    assert result.fields[-1] == "prediction"


def test_rows_that_a_stage_drops_keep_their_place(runner: DriverRunner, pipelines: dict[str, Fitted]) -> None:
    values = [[1, 1.0, "a"], [2, 1.0, "unseen"], [3, None, "b"], [4, "NaN", "b"], [5, 2.0, "c"]]
    result = ask(runner, pipelines["skipping"], ["id", "x", "kind"], values)
    assert [row[:3] for row in result.values] == values
    dropped = [all(value is None for value in row[3:]) for row in result.values]
    assert dropped == [False, True, True, True, False]


def test_a_bad_row_is_refused_with_sparks_reason(runner: DriverRunner, pipelines: dict[str, Fitted]) -> None:
    fields, model = ["id", "x", "kind"], pipelines["strict"]
    assert "Unseen label: zz" in refused(runner, model, fields, [[1, 1.0, "zz"]])
    assert "NaN" in refused(runner, model, fields, [[1, "NaN", "a"]])
    assert "Malformed" in refused(runner, model, fields, [[1, "text", "a"]])
    assert "is no string" in refused(runner, model, fields, [[1, 1.0, 5]])
    assert "no column 'y'" in refused(runner, model, ["y"], [[1]])
    assert "NullPointerException" in refused(runner, pipelines["text"], ["text"], [[None]])
    assert "text" in refused(runner, pipelines["text"], ["id"], [[1]])


def test_bad_rows_are_found_among_good_ones(driver_pool: DriverPool, pipelines: dict[str, Fitted]) -> None:
    model = pipelines["text"]
    scorer = SparkScorer(driver_pool, Path(model.path), model.schema)
    rows = [[f"word {n}", n] for n in range(60)]
    rows[7][0] = rows[51][0] = None
    found = scorer.score(["text", "id"], rows).result(SECONDS)
    assert [error.row for error in found.errors] == [7, 51]
    assert all("NullPointerException" in error.reason for error in found.errors)
    assert [row[1] for row in found.values] == list(range(60))
    assert [n for n, row in enumerate(found.values) if row[-1] is None] == [7, 51]


def test_non_finite_numbers_travel_as_strings(runner: DriverRunner, pipelines: dict[str, Fitted]) -> None:
    result = ask(runner, pipelines["vectors"], ["id", "features"], [[1, ["Infinity", 0.0, "NaN"]]])
    assert result.values[0][1] == ["Infinity", 0.0, "NaN"]


def test_a_model_that_loses_columns_says_so(runner: DriverRunner, pipelines: dict[str, Fitted]) -> None:
    assert "SQLTransformer" in refused(runner, pipelines["narrow"], ["id", "x"], [[1, 2.0]])


def test_fifty_callers_at_once_get_their_own_rows(runner: DriverRunner, pipelines: dict[str, Fitted]) -> None:
    model = pipelines["strict"]
    fields = ["id", "x", "kind"]
    bad = {7, 23}
    futures = {
        caller: runner.transform(
            model.path,
            model.schema,
            fields,
            [[caller * 10 + i, 1.0, "zz" if caller in bad else "abc"[i]] for i in range(3)],
        )
        for caller in range(50)
    }
    assert not wait(futures.values(), SECONDS).not_done
    for caller, future in futures.items():
        if caller in bad:
            assert "Unseen label: zz" in str(future.exception())
        else:
            assert [row[0] for row in future.result().values] == [
                caller * 10,
                caller * 10 + 1,
                caller * 10 + 2,
            ]


def test_a_folder_that_holds_no_model(
    runner: DriverRunner, pipelines: dict[str, Fitted], tmp_path: Any
) -> None:
    with pytest.raises(TransformFailed) as caught:
        runner.transform(str(tmp_path), pipelines["text"].schema, ["text"], [["a"]]).result(SECONDS)
    assert caught.value.code == "load_model_failure"
