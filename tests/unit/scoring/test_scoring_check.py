"""Payloads against schemas."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scoring_models import schema

from wmlclient.scoring import InputError, check_table

PEOPLE = schema(age="int", income="double", name="string", member="boolean")


def refused(fields: list[Any], values: Any, against: dict[str, Any] = PEOPLE, **more: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        check_table(against, fields, values, **more)
    return caught.value


def test_a_good_table() -> None:
    check_table(
        PEOPLE,
        ["name", "age", "member", "income"],
        [["a", 1, True, 1.5], [None, None, None, None], ["", 0, False, 7]],
    )


def test_fields() -> None:
    values = [[1, 2.0, "a", True]]
    error = refused(["age", "income", "name", "x"], values)
    assert (error.kind, error.field, error.row) == ("unknown_field", "x", None)
    assert "'age', 'income', 'name', 'member'" in error.message
    error = refused(["age", "age", "name", "member"], values)
    assert (error.kind, error.field) == ("duplicate_field", "age")
    error = refused(["age", "income", "name"], [[1, 2.0, "a"]])
    assert (error.kind, error.field) == ("missing_field", "member")
    check_table(PEOPLE, ["name"], [["a"]], required=["name"])
    assert refused(["name"], [["a"]], required=["age"]).kind == "missing_field"
    assert refused([1, "income", "name", "member"], values).kind == "unknown_field"


def test_rows() -> None:
    fields = ["age", "income", "name", "member"]
    assert refused(fields, []).kind == "no_rows"
    error = refused(fields, [[1, 2.0, "a", True], [1, 2.0, "a"]])
    assert (error.kind, error.row) == ("row_length", 1)
    assert "3 values, but there are 4 fields" in error.message
    for row in ("abcd", {"a": 1}, None, 5):
        error = refused(fields, [[1, 2.0, "a", True], row])
        assert (error.kind, error.row) == ("row_length", 1)


GOOD: list[tuple[str, list[Any]]] = [
    ("tinyint", [-128, 127]),
    ("smallint", [-32768, 32767]),
    ("int", [-(1 << 31), (1 << 31) - 1]),
    ("bigint", [-(1 << 63), (1 << 63) - 1]),
    ("double", [1, 1.5, "NaN", "Infinity", "-Infinity", 1 << 63, -0.0, 10**300]),
    ("float", [1, 1.5, "NaN"]),
    ("boolean", [True, False]),
    ("string", ["", "é😀", "x" * 10_000]),
    ("date", ["2026-02-28"]),
    ("timestamp", ["2026-02-28T12:00:00Z", "2026-02-28 12:00:00", "2026-02-28T12:00:00.5+01:00", "2026-02-28T12:00",
                   "2026-02-28"]),
    ("decimal(10,2)", ["1.25", 3, 1.5]),
    ("array<string>", [[], ["a", None]]),
    ("array<double>", [[1, 2.5, "NaN"]]),
    ("array<int>", [[1]]),
    ("vector", [[1, 2.5, "NaN"], [4, [0, 3], [1.0, 2.0]], {"type": 1, "values": [1.0]}, [],
                {"type": 0, "size": 3, "indices": [1], "values": [2.0]}]),
]  # fmt: skip
BAD: list[tuple[str, list[Any]]] = [
    ("tinyint", [128, -129, 1.0, "1", True]),
    ("int", [1 << 31, -(1 << 31) - 1, 2.0, "NaN", False, [1]]),
    ("bigint", [1 << 63, -(1 << 63) - 1]),
    ("double", ["1", "nan", "inf", True, [], {}, 10**400]),
    ("boolean", [0, 1, "true"]),
    ("string", [1, 1.5, True, [], {}, "\ud800", "a\udfffb"]),
    ("date", ["2026-02-30", "soon", 5]),
    ("timestamp", ["yesterday", 5, "2026-02-30T12:00:00", "2026-02-28T25:00:00", "2026-02-28T12"]),
    ("decimal(10,2)", ["x", True, "NaN"]),
    ("array<string>", ["a", [1], {"a": 1}]),
    ("array<int>", [[1.5], [True]]),
    ("vector", ["a", [[1]], [4, [3, 0], [1.0, 2.0]], [4, [0], [1.0, 2.0]], [2, [2], [1.0]], [-1, [], []],
                [4, [1, 1], [1.0, 1.0]], {"type": 2}, {"values": [1]}, ["a"], [True], {"type": 1, "values": "ab"}]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "values"), GOOD)
def test_good_values(kind: str, values: list[Any]) -> None:
    for value in values:
        check_table(schema(c=kind), ["c"], [[value]])
    check_table(schema(c=kind), ["c"], [[value] for value in values] + [[None]])


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, values in BAD for value in values])
def test_bad_values(kind: str, value: Any) -> None:
    good = next(values for name, values in GOOD if name == kind)
    rows = [[v] for v in good] + [[None], [value], [good[0]]]
    error = refused(["c"], rows, schema(c=kind))
    assert (error.kind, error.field, error.row) == ("wrong_type", "c", len(good) + 1)
    assert f"row {len(good) + 1}, field 'c': expected" in error.message
    assert len(error.message) < 300


def test_null_where_it_is_not_allowed() -> None:
    strict = schema(c="double")
    strict["fields"][0]["nullable"] = False
    error = refused(["c"], [[1.0], [None]], strict)
    assert (error.kind, error.row) == ("wrong_type", 1)
    assert "null is not allowed" in error.message


def test_messages_for_people() -> None:
    assert refused(["c"], [["old"]], schema(c="int")).message == (
        "row 0, field 'c': expected a whole number (int), got the string 'old'"
    )
    assert "expected a number, got true" in refused(["c"], [[True]], schema(c="double")).message
    assert (
        "an array, each item a string, got the array"
        in refused(["c"], [[[1]]], schema(c="array<string>")).message
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=6,
)


@given(st.lists(JSON, min_size=1, max_size=6), st.sampled_from([kind for kind, _ in GOOD]))
def test_one_by_one_as_together(values: list[Any], kind: str) -> None:
    """A column is good if each of its values is; nothing but InputError is raised, whatever comes."""

    def good(rows: list[Any]) -> bool:
        try:
            check_table(schema(c=kind), ["c"], rows)
        except InputError:
            return False
        return True

    assert good([[v] for v in values]) == all(good([[v]]) for v in values)
