"""The comparison and the generated rows: does it see what differs, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from scoring_models import indexer, schema, text_model, tokenizer, write_pipeline

from wmlclient import scoring
from wmlclient.scoring import Table, check_table
from wmlclient.scoring.parity import TOLERANCE, compare, generate_rows


def table(*rows: list[Any], fields: tuple[str, ...] = ("a", "b"), **types: str) -> Table:
    return Table(list(fields), list(rows), {f: types.get(f, "double") for f in fields})


def test_equal_tables() -> None:
    rows = ["x", None, ["a", "b"], [4, [0, 3], [1.0, "NaN"]], "Infinity", True, 0.5]
    found = compare(table(rows, fields=tuple("abcdefg")), table(list(rows), fields=tuple("abcdefg")))
    assert (found.rows, found.mismatches, found.largest_difference, found.examples) == (1, 0, 0.0, [])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("a", "b"),
        ("a", None),
        (1.0, None),
        (1.0, 0.0),
        (1.0, 1),
        (1, True),
        (1.0, 1.0 + 3e-12),
        (1e9, 1e9 * (1 + 3e-12)),
        ("NaN", 1.0),
        ("Infinity", "-Infinity"),
        (["a"], ["a", "b"]),
        (["a"], "a"),
        ([4, [0, 3], [1.0, 2.0]], [4, [0, 2], [1.0, 2.0]]),
        ([4, [0, 3], [1.0, 2.0]], [1.0, 0.0, 0.0, 2.0]),
        ([1.0, 2.0], [1.0, 2.1]),
        ([[1.0], [2.0]], [[1.0], [3.0]]),
    ],
)
def test_what_differs_is_seen(ours: Any, theirs: Any) -> None:
    good = [0.0, 0.0]
    found = compare(table(good, [0.0, ours]), table(good, [0.0, theirs]))
    assert found.mismatches == 1
    assert found.examples == [{"row": 1, "column": "b", "native": ours, "spark": theirs}]


@pytest.mark.parametrize(
    ("ours", "theirs"), [(1.0, 1.0 + 5e-13), (1e9, 1e9 * (1 + 5e-13)), (1e-14, 9e-13), (0.0, -0.0)]
)
def test_what_agrees(ours: float, theirs: float) -> None:
    found = compare(table([ours, [ours]]), table([theirs, [theirs]]))
    assert found.mismatches == 0
    assert 0.0 <= found.largest_difference <= TOLERANCE
    assert set(found.columns) == {"a", "b"}


def test_columns_types_and_rows_that_differ() -> None:
    ours = table([1.0, 2.0], [3.0, 4.0])
    assert compare(ours, table([1.0], [3.0], fields=("a",))).mismatches == 2
    assert compare(ours, table([1.0, 2.0], [3.0, 4.0], b="float")).mismatches == 2
    assert compare(ours, table([1.0, 2.0])).mismatches == 2
    assert compare(ours, table([2.0, 1.0], [4.0, 3.0], fields=("b", "a"))).mismatches == 2


def test_the_largest_difference_is_found_behind_a_mismatch() -> None:
    found = compare(table([[5.0, 1.0], 0.0]), table([[6.0, 1.5], 0.0]))
    assert found.columns["a"] == pytest.approx(1 / 3)


def test_no_more_than_five_examples() -> None:
    found = compare(table(*[[0.0, 0.0]] * 9), table(*[[1.0, 1.0]] * 9))
    assert (found.mismatches, len(found.examples)) == (18, 5)
    json.dumps(found.examples)


EVERY = schema(
    s="string", i="int", b="bigint", y="tinyint", d="double", f="float", o="boolean", w="array<string>",
    n="array<double>", v="vector", t="timestamp", a="date",
)  # fmt: skip


def test_generated_rows_fit_their_schema() -> None:
    fields, rows = generate_rows(EVERY, 500, 7)
    check_table(EVERY, fields, rows)
    assert None not in [value for row in rows for value in row]
    json.dumps(rows, allow_nan=False)
    fields, rows = generate_rows(EVERY, 500, 7, nulls=True, invalid=True)
    check_table(EVERY, fields, rows)
    assert all(None in column for column in zip(*rows, strict=True))
    assert {"NaN", "Infinity", "-Infinity"} & {row[4] for row in rows}


def test_generated_rows_are_the_same_each_time_and_differ_by_seed() -> None:
    assert generate_rows(EVERY, 50, 1) == generate_rows(EVERY, 50, 1)
    assert generate_rows(EVERY, 50, 1) != generate_rows(EVERY, 50, 2)


def test_generated_rows_have_edges() -> None:
    _, rows = generate_rows(EVERY, 2000, 3)
    texts = {row[0] for row in rows}
    assert {"", " "} <= texts
    assert any("😀" in text for text in texts)
    assert any("\u00a0" in text for text in texts)
    assert {(1 << 31) - 1, -(1 << 31)} <= {row[1] for row in rows}
    assert {0.0, 1e100} <= {row[4] for row in rows}
    assert any(row[7] == [] for row in rows)
    assert {len(row[9]) for row in rows} == {3, 4}  # sparse, and dense of the size 4


def test_hints_make_rows_that_mean_something(tmp_path: Path) -> None:
    stages = [indexer(["red", "green"], "colour", "i"), indexer(["7", "8"], "size", "j"), tokenizer()]
    model = scoring.load(
        write_pipeline(tmp_path / "m", stages), schema(colour="string", size="int", text="string")
    )
    assert model.hints == {"colour": ["red", "green"], "size": ["7", "8"]}
    fields, rows = generate_rows(model.schema, 400, 5, hints=model.hints)
    scored = model.run(fields, rows)
    assert 0 < len(scored.problems) < 50
    assert {row[1] for row in rows} > {7, 8}


def test_a_vector_has_the_size_of_the_model(tmp_path: Path) -> None:
    model = scoring.load(text_model(tmp_path / "m"))
    _, rows = generate_rows(schema(tf="vector"), 20, 5, hints=model.hints)
    assert {len(v) if len(v) != 3 else v[0] for (v,) in rows} == {32}
