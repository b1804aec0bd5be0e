"""Two versions' scored records side by side: flips and shifts."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from wmlclient.errors import BrokerError, ConfigError, LocalModeError, PayloadError
from wmlclient.replays import Replay, _error, _since, run
from wmlclient.runner.streams import shift
from wmlclient.runner.streams.shift import Comparison, distance, label_of

TYPES = {"words": "array<string>", "probability": "vector", "prediction": "double", "old": "int"}


def dense(*values: float) -> dict[str, Any]:
    return {"type": 1, "values": list(values)}


def test_flips_and_shifts_are_counted() -> None:
    found = Comparison(TYPES, {name: kind for name, kind in TYPES.items() if name != "old"} | {"new": "int"})
    same = {"words": ["a"], "probability": dense(0.4, 0.6), "prediction": 1.0}
    for offset in range(8):
        found.add((0, offset), same, same)
    found.add((1, 3), same, same | {"probability": dense(0.9, 0.1), "prediction": 0.0})
    found.add((1, 4), same, same | {"probability": dense(0.3, 0.7), "words": None})
    told = found.to_json()
    assert (told["label"], told["compared"], told["flips"]) == ("prediction", 10, 1)
    assert told["pairs"] == [[1.0, 0.0, 1]]
    assert told["examples"] == [{"partition": 1, "offset": 3, "before": 1.0, "after": 0.0}]
    assert told["columns"]["words"] == {"changed": 1}
    moved = told["columns"]["probability"]
    assert (moved["changed"], moved["p50"]) == (2, 0.0)
    assert moved["largest"] == pytest.approx(0.5)
    assert moved["mean"] == pytest.approx(0.06)
    assert moved["p99"] == moved["largest"]
    assert (told["only_before"], told["only_after"]) == (["old"], ["new"])


@pytest.mark.parametrize(
    ("kind", "before", "after", "expected"),
    [
        ("double", 1, "NaN", None),
        ("double", "NaN", "NaN", 0.0),
        ("double", "Infinity", "-Infinity", None),
        ("double", None, 1.0, None),
        ("string", "a", "b", None),
        ("vector", dense(1, 2), dense(1, 2, 3), None),
        ("array<double>", [1.0, 2.0], [1.0, 4.5], 2.5),
        ("vector", {"type": 0, "size": 9, "indices": [3], "values": [1]}, dense(*[0.0] * 9), 1.0),
    ],
)
def test_a_distance_is_a_number_or_none(kind: str, before: Any, after: Any, expected: float | None) -> None:
    assert distance(kind, before, after) == expected


def test_the_label_is_the_prediction_of_a_classifier_or_its_name() -> None:
    assert label_of({"prediction": "int"}) == "prediction"
    assert label_of({"prediction": "double", "mood": "string"}) == "mood"
    assert label_of({"prediction": "double"}) is None
    assert Comparison(TYPES, TYPES, "nothing").label is None


def test_a_sample_of_many_is_drawn_from_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shift, "KEPT", 100)
    found = Comparison({"x": "double"}, {"x": "double"})
    for number in range(2_000):
        found.add((0, number), {"x": 0.0}, {"x": float(number)})
    told = found.to_json()["columns"]["x"]
    assert told["largest"] == 1999.0
    assert told["mean"] == 999.5
    assert 700 < told["p50"] < 1300
    assert told["p90"] > 1500


def test_the_outcome_is_told_in_words() -> None:
    counted = Comparison(TYPES, TYPES)
    row = {"words": ["<b>"], "probability": dense(0.4, 0.6), "prediction": 1.0, "old": 1}
    counted.add((0, 7), row, row | {"prediction": 0.0})
    told = {
        "records": 2,
        "scored": 1,
        "refused": 1,
        "refused_before": 1,
        **counted.to_json(),
        "refusals": [],
        "ranges": {"0": [6, 8]},
        "seconds": 0.5,
    }
    found = Replay._of(told, "v2", "v1", "side")
    assert found.flip_rate == 1.0
    assert found.ranges == {0: (6, 8)}
    text = str(found)
    assert "2, 1 scored to side" in text
    assert "1 of 1 in 'prediction' (100.00%)" in text
    assert "partition 0, offset 7: 1.0 to 0.0" in text
    assert "mean 1, p50 1, p90 1, p99 1, largest 1" in text
    assert "Version v2 beside v1" in found._repr_html_()
    assert Replay._of(told | {"flips": None, "label": None}, "v2", "v1", "side").flip_rate is None


def test_where_a_history_begins() -> None:
    at = dt.datetime(2026, 11, 22, 8, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    assert _since(at) == {"at_ms": 1_795_327_200_000}
    assert _since(7) == {"offset": 7}
    assert _since("beginning") == {}


@pytest.mark.parametrize("wrong", [dt.datetime(2026, 11, 22), -1, True, "yesterday"])
def test_a_beginning_that_is_none_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigError, match="since"):
        _since(wrong)


def test_an_end_has_its_class_by_its_code() -> None:
    assert isinstance(_error("topic_not_found", "x"), BrokerError)
    assert isinstance(_error("model_not_native", "x"), PayloadError)


def test_a_process_that_says_nothing_is_told_with_its_last_line() -> None:
    with pytest.raises(LocalModeError, match="KeyError: 'spec'"):
        run({})
