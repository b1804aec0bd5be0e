"""What is taken of Spark's SQL, and what is refused by name."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import pytest
from feature_cases import load_feature, outputs
from scoring_models import FEATURE, write_stage

from wmlclient import scoring
from wmlclient.scoring import InputError, UnsupportedModel

TYPES = {"a": "double", "b": "double", "i": "int", "l": "bigint", "s": "string", "t": "boolean", "f": "float"}


def select(folder: Path, statement: str) -> Any:
    return load_feature(folder, "SQLTransformer", {"statement": statement}, TYPES)


def computed(folder: Path, expression: str, *rows: tuple[Any, ...]) -> list[Any]:
    """The expression for rows of some of the columns."""
    model = select(folder, f"SELECT *, {expression} AS o FROM __THIS__")
    return outputs(model, [[*row, *[None] * (len(TYPES) - len(row))] for row in rows])


@pytest.mark.parametrize(
    ("expression", "rows", "expected"),
    [
        ("a + b * 2", [(1.0, 3.0), (None, 1.0), ("NaN", 1.0)], [7.0, None, "NaN"]),
        ("a / b", [(1.0, 4.0), (None, 0.0), (1.0, 0.0)], [0.25, None, "a division by zero"]),
        ("a % b", [(-7.0, 4.0), ("Infinity", 4.0), (7.5, "Infinity")], [-3.0, "NaN", 7.5]),
        ("a = b", [("NaN", "NaN"), (0.0, -0.0), (1.0, None)], [True, True, None]),
        ("a < b", [(1.0, "NaN"), ("NaN", 1.0), ("NaN", "NaN")], [True, False, False]),
        ("a >= b", [("NaN", 1.0), ("NaN", "NaN"), (1.0, "NaN")], [True, True, False]),
        ("a > 0 AND b > 0", [(-1.0, None), (None, -1.0), (1.0, None)], [False, False, None]),
        ("a > 0 OR b > 0", [(1.0, None), (None, 1.0), (-1.0, None)], [True, True, None]),
        ("a IN (1, 2.5)", [(2.5,), (3.0,), (None,)], [True, False, None]),
        ("a NOT BETWEEN 1 AND 2", [(0.0,), (1.0,), (None,)], [True, False, None]),
        ("CASE WHEN a > 1 THEN 'x' WHEN a > 0 THEN s END", [(2.0,), (None,)], ["x", None]),
        ("CASE a WHEN 1 THEN b ELSE 0 END", [(1.0, 7.0), (2.0, 7.0)], [7.0, 0.0]),
        ("coalesce(a, b, 0.5)", [(None, 2.0), (None, None)], [2.0, 0.5]),
        ("greatest(a, b)", [(1.0, "NaN"), (None, 1.0), (None, None)], ["NaN", 1.0, None]),
        ("least(a, b)", [(1.0, "NaN"), (2.0, 1.0)], [1.0, 1.0]),
        ("floor(a)", [(-1.5,), ("NaN",), (1e300,)], [-2, 0, 2**63 - 1]),
        ("ceil(a)", [(-1.5,), ("-Infinity",)], [-1, -(2**63)]),
        ("sqrt(a)", [(4.0,), (-1.0,)], [2.0, "NaN"]),
        ("ln(a)", [(1.0,), (0.0,), ("NaN",)], [0.0, None, "NaN"]),
        ("pow(a, b)", [(2.0, 3.0), (1.0, "Infinity"), (-8.0, 0.5), (0.0, -1.0), ("NaN", 0.0), (-10.0, 999.0)],
         [8.0, "NaN", "NaN", "Infinity", 1.0, "-Infinity"]),
        ("sign(a)", [(-0.5,), (-0.0,), ("NaN",)], [-1.0, -0.0, "NaN"]),
        ("isnan(a)", [("NaN",), (None,)], [True, False]),
        ("CAST(a AS INT)", [(-1.9,), ("NaN",), (2147483648.0,)],
         [-1, "nan does not fit int", "2147483648.0 does not fit int"]),
    ],
)  # fmt: skip
def test_doubles(tmp_path: Path, expression: str, rows: list[tuple[Any, ...]], expected: list[Any]) -> None:
    assert repr(computed(tmp_path, expression, *rows)) == repr(expected)


@pytest.mark.parametrize(
    ("expression", "rows", "expected"),
    [
        ("i + 1", [(1,), (2**31 - 1,), (None,)], [2, "2147483648 does not fit int", None]),
        ("i + l", [(2**31 - 1, 1)], [2**31]),
        ("-i", [(-(2**31),), (5,)], ["2147483648 does not fit int", -5]),
        ("i / 2", [(7,)], [3.5]),
        ("i % 4", [(-7,), (7,)], [-3, 3]),
        ("i % l", [(7, 0)], ["a division by zero"]),
        ("i > 0.5", [(0,), (1,)], [False, True]),
        ("l > 9007199254740992e0", [(None, 2**53 + 1), (None, 2**53 + 3)], [False, True]),
        ("abs(i)", [(-3,), (-(2**31),)], [3, "2147483648 does not fit int"]),
        ("i * 0.5e0", [(3,)], [1.5]),
        ("CAST(i AS STRING)", [(-3,)], ["-3"]),
        ("CAST(l AS INT)", [(1, 2**31)], ["2147483648 does not fit int"]),
        ("if(i > 1, i, l)", [(2, 9), (0, 9)], [2, 9]),
        ("i IS NULL", [(None,), (1,)], [True, False]),
        ("isnotnull(i)", [(None,), (1,)], [False, True]),
    ],
)
def test_whole_numbers(
    tmp_path: Path, expression: str, rows: list[tuple[Any, ...]], expected: list[Any]
) -> None:
    assert computed(tmp_path, expression, *[(None, None, *row) for row in rows]) == expected


@pytest.mark.parametrize(
    ("expression", "text", "expected"),
    [
        ("length(s)", "a😀", 2),
        ("concat(s, '-', s)", "é", "é-é"),
        ("s || 'x'", None, None),
        ("s < 'b'", "a", True),
        ('s = "a\'b"', "a'b", True),
        ("nvl(s, 'none')", None, "none"),
    ],
)
def test_texts(tmp_path: Path, expression: str, text: Any, expected: Any) -> None:
    assert computed(tmp_path, expression, (None, None, None, None, text)) == [expected]


def test_the_columns_are_those_that_are_selected(tmp_path: Path) -> None:
    model = select(tmp_path, "SELECT t.s, `i`, a AS x, a - b AS y FROM __THIS__ AS t")
    assert model.output_fields() == ["s", "i", "x", "y"]
    assert model.output_types() == {"s": "string", "i": "int", "x": "double", "y": "double"}
    assert outputs(model, [[3.0, 1.0, 7, 8, "z", True, 0.5]], "y") == [2.0]


def test_types_are_sparks(tmp_path: Path) -> None:
    statement = (
        "SELECT i + 1 AS c1, i + l AS c2, i / 1 AS c3, floor(a) AS c4, length(s) AS c5, a > 1 AS c6, 1 AS c7, "
        "3000000000 AS c8, if(t, 1, 2.5e0) AS c9, coalesce(a, i, 0.5) AS c10 FROM __THIS__"
    )
    types = ["int", "bigint", "double", "bigint", "int", "boolean", "int", "bigint", "double", "double"]
    assert list(select(tmp_path, statement).output_types().values()) == types


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("SELECT * FROM __THIS__ WHERE a > 1", "the clause WHERE"),
        ("SELECT a FROM __THIS__ GROUP BY a", "the clause GROUP"),
        ("SELECT DISTINCT a FROM __THIS__", "the clause DISTINCT"),
        ("SELECT * FROM __THIS__ LIMIT 5", "the clause LIMIT"),
        ("SELECT * FROM __THIS__ ORDER BY a", "the clause ORDER"),
        ("SELECT * FROM __THIS__ JOIN other ON a = b", "the clause JOINS"),
        ("WITH t AS (SELECT 1) SELECT * FROM __THIS__", "the clause WITH"),
        ("SELECT * FROM other", "no plain FROM __THIS__"),
        ("SELECT 1 AS o", "no plain FROM __THIS__"),
        ("SELECT * FROM (SELECT * FROM __THIS__)", "no plain FROM __THIS__"),
        ("SELECT * FROM __THIS__ TABLESAMPLE (10 ROWS)", "more than a name"),
        ("SELECT * FROM __THIS__ UNION SELECT * FROM __THIS__", "something else, than one SELECT"),
        ("SELECT 1; SELECT 2", "more, or something else"),
        ("DROP TABLE x", "something else, than one SELECT"),
        ("SELECT * EXCEPT (a) FROM __THIS__", "a * with exceptions"),
        ("SELECT a + 1 FROM __THIS__", "a + 1 without a name"),
        ("SELECT *, sum(a) AS o FROM __THIS__", "SUM(a)"),
        ("SELECT *, rand() AS o FROM __THIS__", "RAND()"),
        ("SELECT *, round(a, 1) AS o FROM __THIS__", "ROUND(a, 1)"),
        ("SELECT *, my_udf(a) AS o FROM __THIS__", "MY_UDF(a)"),
        ("SELECT *, row_number() OVER (ORDER BY a) AS o FROM __THIS__", "ROW_NUMBER() OVER"),
        ("SELECT *, (SELECT 1) AS o FROM __THIS__", "(SELECT 1)"),
        ("SELECT *, upper(s) AS o FROM __THIS__", "UPPER(s)"),
        ("SELECT *, i * 0.5 AS o FROM __THIS__", "decimal and int together"),
        ("SELECT *, 0.5 AS o FROM __THIS__", "a decimal result"),
        ("SELECT *, abs(0.5) AS o FROM __THIS__", "ABS(0.5)"),
        ("SELECT *, NULL AS o FROM __THIS__", "a void result"),
        ("SELECT *, CASE WHEN t THEN 1.0 ELSE 0.0 END AS o FROM __THIS__", "decimal together"),
        ("SELECT *, a + s AS o FROM __THIS__", "arithmetic with double and string"),
        ("SELECT *, s > 1 AS o FROM __THIS__", "int and string together"),
        ("SELECT *, f + 1 AS o FROM __THIS__", "the float column 'f'"),
        ("SELECT *, CAST(s AS DOUBLE) AS o FROM __THIS__", "a CAST of a string to double"),
        ("SELECT *, CAST(a AS STRING) AS o FROM __THIS__", "a CAST of a double to string"),
        ("SELECT *, try_cast(a AS INT) AS o FROM __THIS__", "a TRY_ function"),
        ("SELECT *, 'a\\nb' AS o FROM __THIS__", "a backslash"),
        ("SELECT *, a -- twice\n AS o FROM __THIS__", "a comment"),
        ("SELECT *, a + 1 AS b FROM __THIS__", "named like the column 'b'"),
        ("SELECT *, a FROM __THIS__", "two columns 'a'"),
        ("SELECT a + 1 AS x, x + 1 AS y FROM __THIS__", "the column 'x', which it names itself"),
        ("SELECT other.a FROM __THIS__", "the column other.a"),
        ("SELECT a FROM __THIS__ AS t(x)", "more than a name"),
        ("SELECT FROM WHERE", "not understood"),
        ("SELECT *, " + "(" * 3000 + "a" + ")" * 3000 + " AS o FROM __THIS__", "nested too deep"),
    ],
)  # fmt: skip
def test_what_is_refused(tmp_path: Path, statement: str, reason: str) -> None:
    with pytest.raises(UnsupportedModel, match="SQLTransformer_0") as caught:
        select(tmp_path, statement)
    assert reason in caught.value.reason


def test_a_column_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'zz'"):
        select(tmp_path, "SELECT *, zz + 1 AS o FROM __THIS__")


def test_without_a_schema_types_are_guessed_from_their_use(tmp_path: Path) -> None:
    statement = "SELECT *, a * 2 AS x, length(b) AS y, c = 'z' AS q, NOT d AS r FROM __THIS__"
    write_stage(tmp_path / "m", FEATURE + "SQLTransformer", "SQL_0", {"statement": statement})
    model = scoring.load(tmp_path / "m")
    kinds = {field["name"]: field["type"] for field in model.schema["fields"]}
    assert kinds == {"a": "double", "b": "string", "c": "string", "d": "boolean"}
    row = model.score([{"a": 1.5, "b": "xy", "c": "z", "d": False}])[0]
    assert [row[name] for name in "xyqr"] == [3.0, 2, True, True]


def test_without_sqlglot_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sqlglot", None)
    with pytest.raises(UnsupportedModel, match="pip install sqlglot"):
        select(tmp_path, "SELECT * FROM __THIS__")


def test_nothing_is_rounded_on_the_way(tmp_path: Path) -> None:
    found = computed(tmp_path, "exp(a) + log10(b)", (1.0, 1000.0))[0]
    assert found == math.exp(1.0) + math.log10(1000.0)
