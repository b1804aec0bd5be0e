"""A table of which some rows cannot be scored: the others are, each in its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import saved_models

from wmlclient.runner.engine import native
from wmlclient.runner.engine.errors import Invalid
from wmlclient.runner.engine.scored import RowProblem

FIELDS = ["id", "text"]
NULL = RowProblem(0, "invalid_input_data", "the column 'text' is null", "words")


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> native.NativeScorer:
    folder = saved_models.text_pipeline(tmp_path_factory.mktemp("model") / "text")
    schema = {"type": "struct", "fields": saved_models.TEXT_SCHEMA["fields"][:2]}
    return native.load(folder, schema, "label", saved_models.TEXT_SCHEMA)


def good(scorer: native.NativeScorer, row: list[Any]) -> list[Any]:
    scored = scorer.score(FIELDS, [row])
    assert not scored.errors
    return scored.values[0]


@pytest.mark.parametrize("size", [2, 7, 50, 2_000])
def test_a_row_that_a_stage_refuses(scorer: native.NativeScorer, size: int) -> None:
    rows: list[list[Any]] = [[number, f"text {number}"] for number in range(size)]
    bad = sorted({0, size // 2} if size > 2 else {1})
    for number in bad:
        rows[number][1] = None
    scored = scorer.score(FIELDS, rows)
    assert scored.errors == [NULL._replace(row=number) for number in bad]
    assert scored.fields[:3] == ["id", "text", "words"]
    for number, (row, answer) in enumerate(zip(rows, scored.values, strict=True)):
        if number in bad:
            assert answer == [number, *[None] * (len(scored.fields) - 1)]
        elif number < 20:
            assert answer == good(scorer, row)
        assert answer[0] == number


def test_a_value_of_the_wrong_type(scorer: native.NativeScorer) -> None:
    rows = [[1, "what a day"], ["2", "so sad"], [3, {"a": 1}], [2**31, 7], [5, None], [6, "so sad"]]
    scored = scorer.score(FIELDS, rows)
    assert [problem[:2] for problem in scored.errors] == [
        (1, "invalid_payload"), (2, "invalid_payload"), (3, "invalid_payload"), (4, "invalid_input_data"),
    ]  # fmt: skip
    assert [problem.column for problem in scored.errors] == ["id", "text", "id", "words"]
    assert scored.errors[0].reason == "expected a whole number (int), got the string '2'"
    assert [row[:2] for row in scored.values] == [
        [1, "what a day"], [None, "so sad"], [3, None], [None, None], [5, None], [6, "so sad"],
    ]  # fmt: skip
    assert scored.values[5] == good(scorer, rows[5])
    assert scored.values[1][2:] == [None] * (len(scored.fields) - 2)


def test_problems_as_the_contract_has_them() -> None:
    assert NULL.as_json() == {
        "row": 0, "code": "invalid_input_data", "reason": "the column 'text' is null", "column": "words",
    }  # fmt: skip
    assert "column" not in NULL._replace(column=None).as_json()


@pytest.mark.parametrize(
    ("rows", "code", "message"),
    [
        ([[1, None]], "invalid_input_data", "row 0: column 'words'"),
        ([[1, None], [2, None]], "invalid_input_data", "row 0: column 'words'"),
        ([[1, None], [2, 7]], "invalid_payload", "row 1, field 'text'"),
        ([["1", "a"], ["2", "b"]], "invalid_payload", "row 0, field 'id'"),
        ([[1, "a"], [2, None], [3]], "invalid_payload", "row 2 has 1 values"),
    ],
)
def test_no_row_that_can_be_scored(
    scorer: native.NativeScorer, rows: list[list[Any]], code: str, message: str
) -> None:
    with pytest.raises(Invalid, match=message) as caught:
        scorer.score(FIELDS, rows)
    assert caught.value.code == code


def test_rows_that_spark_would_drop_are_no_errors(tmp_path: Path) -> None:
    folder = saved_models.text_pipeline(tmp_path / "m", labels=("happy", "sad"))
    [metadata] = folder.glob("stages/0_*/metadata/part-*")
    document = json.loads(metadata.read_text())
    document["paramMap"]["handleInvalid"] = "skip"
    metadata.write_text(json.dumps(document))
    fields = [{"name": name, "type": "string", "nullable": True, "metadata": {}} for name in ("mood", "text")]
    skipping = native.load(folder, {"type": "struct", "fields": fields}, None)
    scored = skipping.score(["mood", "text"], [["sad", "a"], ["angry", "b"], ["happy", None]])
    assert [problem.row for problem in scored.errors] == [2]
    assert scored.values[1][2:] == [None] * (len(scored.fields) - 2)
