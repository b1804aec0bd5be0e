"""Answers as rows and columns, and as what pandas and numpy users expect."""

from __future__ import annotations

import json
import math
import pickle
from typing import Any

import numpy as np
import pytest

from wmlclient.errors import PayloadError, ResponseError
from wmlclient.scores import Scores

# As IBM's notebooks show it, shortened.
ANSWER = {
    "fields": ["id", "text", "features", "probability", "prediction"],
    "values": [
        [1, "<b>good</b>", [262144, [9639], [1.0]], [0.25, 0.75], 1.0],
        [2, "bad", [262144, [1, 2], [1.0, 2.0]], [0.9, 0.1], 0.0],
    ],
}


def scores(answer: Any = ANSWER, texts: frozenset[str] = frozenset()) -> Scores:
    return Scores._of(json.dumps(answer).encode(), "native", texts)


def test_rows_are_dicts() -> None:
    found = scores()

    assert len(found) == 2
    assert found[0]["prediction"] == 1.0
    assert found[-1]["id"] == 2
    assert found[:1] == [found[0]]
    assert [row["text"] for row in found] == ["<b>good</b>", "bad"]
    assert found.to_dicts() == [dict(zip(ANSWER["fields"], row, strict=True)) for row in ANSWER["values"]]
    assert found.engine == "native"
    with pytest.raises(IndexError):
        found[2]


def test_columns() -> None:
    assert scores().column("prediction") == [1.0, 0.0]
    with pytest.raises(PayloadError, match="no column 'score'. There are: id, text"):
        scores().column("score")


def test_pandas() -> None:
    frame = scores().to_pandas()

    assert list(frame.columns) == ANSWER["fields"]
    assert frame["prediction"].tolist() == [1.0, 0.0]
    assert frame["probability"].tolist() == [[0.25, 0.75], [0.9, 0.1]]


def test_numpy() -> None:
    assert scores().to_numpy("probability").shape == (2, 2)
    assert scores().to_numpy("prediction").dtype == np.float64
    assert scores().to_numpy("features").dtype == object
    assert scores().to_numpy().shape == (2, 5)
    assert scores().to_numpy()[0, 3] == [0.25, 0.75]
    plain = scores({"fields": ["a", "b"], "values": [[1, 2.5]]}).to_numpy()
    assert plain.dtype == np.float64
    assert plain.tolist() == [[1.0, 2.5]]


def test_words_for_nan_become_floats_where_the_column_is_numbers() -> None:
    found = scores(
        {
            "fields": ["x", "label", "probability", "echo"],
            "values": [["NaN", "NaN", [0.5, "-Infinity"], "NaN"], [1.5, "good", [0.5, 0.5], "NaN"]],
        },
        frozenset({"echo"}),
    )

    assert math.isnan(found[0]["x"])
    assert found[0]["label"] == "NaN"
    assert found[0]["probability"] == [0.5, -math.inf]
    assert found.column("echo") == ["NaN", "NaN"]


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'{"fields":["a"]}', b'{"fields":["a"],"values":[[1,2]]}', b'{"fields":1,"values":1}'],
)
def test_what_is_no_table_is_refused(body: bytes) -> None:
    with pytest.raises(ResponseError, match="not a table"):
        Scores._of(body, None)


def test_the_repr_is_short_and_the_html_escaped() -> None:
    assert repr(scores()) == (
        "Scores(2 rows x 5 columns: id, text, features, probability, prediction, engine='native')"
    )
    many = scores({"fields": ["<i>"], "values": [["x" * 500]] * 50})
    page = many._repr_html_()

    assert "&lt;i&gt;" in page
    assert "<i>" not in page
    assert "&lt;b&gt;good" in scores()._repr_html_()
    assert page.count("<tr>") == 11
    assert "50 rows" in page
    assert "x" * 200 not in page


def test_they_pickle() -> None:
    assert pickle.loads(pickle.dumps(scores())) == scores()


FAILED = {
    **ANSWER,
    "values": [ANSWER["values"][0], [2, None, None, None, None]],
    "errors": [{"row": 1, "code": "invalid_input_data", "column": "words", "reason": "the <column> is null"}],
}


def test_rows_that_were_not_scored(caplog: pytest.LogCaptureFixture) -> None:
    found = scores(FAILED)

    assert found.errors == {1: "column 'words': the <column> is null"}
    assert "1 not scored, row 1: column 'words': the <column> is null" in repr(found)
    [record] = caplog.records
    assert (record.levelname, record.name) == ("WARNING", "wmlclient.scores")
    assert "row 1: column 'words'" in record.getMessage()
    shown = found._repr_html_()
    assert "<th>not scored</th>" in shown
    assert "the &lt;column&gt; is null" in shown
    assert "<column>" not in shown


def test_all_rows_were_scored(caplog: pytest.LogCaptureFixture) -> None:
    assert scores().errors == {}
    assert not caplog.records
    assert "not scored" not in repr(scores()) + scores()._repr_html_()


@pytest.mark.parametrize("errors", [[{"row": 1}], [{"reason": "r"}], ["r"], 7])
def test_errors_that_are_none(errors: Any) -> None:
    with pytest.raises(ResponseError):
        scores({**ANSWER, "errors": errors})
