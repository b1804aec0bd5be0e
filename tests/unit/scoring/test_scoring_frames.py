"""pandas in, pandas out: the values of ``score``, the types of the columns, the rows that are skipped."""

from __future__ import annotations

import datetime
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from scoring_models import FEATURE, assembler, indexer, logistic, schema, text_model, write_pipeline

from wmlclient import scoring
from wmlclient.scoring import InputError, RowError, Scorer, frames
from wmlclient.scoring.values import Sparse

KINDS = ["red", "green", "blue"]


def one_hot(source: str, target: str, size: int, **params: Any) -> Any:
    import pyarrow as pa

    table = pa.table({"categorySizes": pa.array([[size]])})
    return FEATURE + "OneHotEncoderModel", {"inputCols": [source], "outputCols": [target], **params}, table


def kinds_model(folder: Path, invalid: str = "error", times: int = 3, **assembling: Any) -> Scorer:
    """An indexer, a one-hot encoder, an assembler that takes its vector some times, and a logistic regression."""
    size = 4 if invalid == "keep" else 3
    width = size - 1
    spec = [
        indexer(KINDS, "kind", "at", handleInvalid=invalid),
        one_hot("at", "hot", size),
        assembler(["a", "n", "b", *["hot"] * times], **assembling),
        logistic([[0.5, -1.25, 2.0] + [0.75, -0.5, 0.25][:width] * times], [0.125]),
    ]
    return scoring.load(
        write_pipeline(folder, spec), schema(id="bigint", kind="string", a="double", n="int", b="double")
    )


def some_rows(count: int) -> pandas.DataFrame:
    chance = random.Random(3)
    return pandas.DataFrame(
        {
            "id": range(count),
            "kind": [chance.choice(KINDS) for _ in range(count)],
            "a": [chance.choice([0.0, -0.0, 1.5, -2.25]) for _ in range(count)],
            "n": [chance.choice([0, 0, 3]) for _ in range(count)],
            "b": np.array([chance.gauss(0, 1) for _ in range(count)]),
        }
    )


def plain(cell: Any) -> Any:
    """A cell as ``score`` gives it."""
    if isinstance(cell, np.ndarray):
        return cell.tolist()
    if isinstance(cell, list) and len(cell) == 3 and isinstance(cell[1], np.ndarray):
        dense = [0.0] * cell[0]
        for index, value in zip(cell[1].tolist(), cell[2].tolist(), strict=True):
            dense[index] = value
        return dense
    return cell.item() if isinstance(cell, np.generic) else cell


def rows_of(frame: pandas.DataFrame) -> list[dict[str, Any]]:
    return [
        {name: plain(cell) for name, cell in zip(frame.columns, row, strict=True)}
        for row in zip(*[frame[name] for name in frame.columns], strict=True)
    ]


@pytest.mark.parametrize("size", [1, 5, 100, frames.PART + 3])
def test_it_is_what_score_gives(tmp_path: Path, size: int) -> None:
    model = kinds_model(tmp_path / "m")
    frame = some_rows(size)
    out = model.transform(frame)
    assert list(out.columns) == model.output_fields(list(frame.columns))
    assert rows_of(out) == model.score(frame.to_dict("records"))
    # Row by row, without the columns' functions.
    assert rows_of(out.tail(3)) == [model.score([row])[0] for row in frame.tail(3).to_dict("records")]


def test_text(tmp_path: Path) -> None:
    model = scoring.load(text_model(tmp_path / "m"), schema(id="bigint", text="string"))
    texts = ["a b a", "", "ÜBER alles", "x  y"] * 20
    frame = pandas.DataFrame({"text": texts})
    assert rows_of(model.transform(frame)) == model.score([{"text": text} for text in texts])
    assert rows_of(scoring.load(tmp_path / "m").transform(frame)) == rows_of(model.transform(frame))


def test_columns_have_the_types_of_spark(tmp_path: Path) -> None:
    frame = some_rows(20).set_index(pandas.Index([f"row{number}" for number in range(20)]))
    out = kinds_model(tmp_path / "m").transform(frame)
    assert out.index.equals(frame.index)
    assert {name: str(dtype) for name, dtype in out.dtypes.items()} == {
        "id": "int64", "kind": "object", "a": "float64", "n": "int32", "b": "float64", "at": "float64",
        "hot": "object", "features": "object", "rawPrediction": "object", "probability": "object",
        "prediction": "float64",
    }  # fmt: skip
    size, indices, values = out["hot"].iloc[0]
    assert (size, len(indices), len(values)) == (2, len(values), len(indices))
    assert np.stack(out["probability"]).shape == (20, 2)


def test_dense_and_sparse_rows_may_be_mixed(tmp_path: Path) -> None:
    model = kinds_model(tmp_path / "m", times=1)
    frame = some_rows(60)
    out = model.transform(frame)
    assert {type(cell) for cell in out["features"]} == {list, np.ndarray}
    assert rows_of(out) == model.score(frame.to_dict("records"))


def test_what_training_has_not_seen(tmp_path: Path) -> None:
    model = kinds_model(tmp_path / "m", "keep")
    frame = some_rows(60)
    frame.loc[::7, "kind"] = "unseen"
    assert rows_of(model.transform(frame)) == model.score(frame.to_dict("records"))


def test_nulls(tmp_path: Path) -> None:
    model = kinds_model(tmp_path / "m", "keep", handleInvalid="keep")
    frame = some_rows(30).astype({"a": "Float64", "n": "Int32"})
    frame.loc[2, "a"], frame.loc[3, "n"], frame.loc[4, "kind"], frame.loc[5, "b"] = (
        pandas.NA,
        pandas.NA,
        None,
        math.nan,
    )
    out = model.transform(frame)
    assert out["a"][2] is None
    assert out["n"][3] is None
    assert out["kind"][4] is None
    assert out["b"].dtype == np.float64
    assert math.isnan(out["b"][5])
    records = [
        {name: None if value is pandas.NA else value for name, value in row.items()}
        for row in frame.to_dict("records")
    ]
    np.testing.assert_equal(rows_of(out), model.score(records))


def test_rows_that_are_skipped_are_not_there(tmp_path: Path) -> None:
    model = kinds_model(tmp_path / "m", "skip")
    frame = some_rows(50)
    frame.loc[[3, 30], "kind"] = "unseen"
    out = model.transform(frame)
    assert out.index.tolist() == [number for number in range(50) if number not in (3, 30)]
    assert out["id"].tolist() == out.index.tolist()
    assert len(model.transform(frame.iloc[[3, 30]])) == 0


def test_a_row_that_fails_is_named(tmp_path: Path) -> None:
    model = kinds_model(tmp_path / "m")
    frame = some_rows(frames.PART + 50)
    frame.loc[frames.PART + 7, "kind"] = "unseen"
    with pytest.raises(RowError, match="unseen") as caught:
        model.transform(frame)
    assert (caught.value.row, caught.value.column) == (frames.PART + 7, "at")


def test_a_value_of_the_wrong_type_is_named(tmp_path: Path) -> None:
    model = kinds_model(tmp_path / "m")
    frame = some_rows(20).astype({"n": "object"})
    frame.loc[9, "n"] = "three"
    with pytest.raises(RowError, match="'three' is not a whole number") as caught:
        model.transform(frame)
    assert (caught.value.row, caught.value.column) == (9, "n")


def test_no_rows(tmp_path: Path) -> None:
    out = kinds_model(tmp_path / "m").transform(some_rows(0))
    assert len(out) == 0
    assert str(out["prediction"].dtype) == "float64"


def test_columns_that_do_not_fit(tmp_path: Path) -> None:
    model = kinds_model(tmp_path / "m")
    frame = some_rows(2)
    with pytest.raises(InputError, match="'kind' is missing"):
        model.transform(frame.drop(columns="kind"))
    with pytest.raises(InputError, match="there twice"):
        model.transform(pandas.concat([frame, frame[["a"]]], axis=1))
    with pytest.raises(InputError, match="not a string"):
        model.transform(frame.rename(columns={"id": 7}))


def test_vectors_and_times_in_cells(tmp_path: Path) -> None:
    model = scoring.load(write_pipeline(tmp_path / "m", [logistic([[1.0, -1.0]], [0.0])]))
    vectors = [[1.0, 2.0], np.array([3.0, 4.0]), Sparse(2, [1], [5.0]), [2, [0], [6.0]]] * 3
    moment = datetime.datetime(2026, 1, 31, 12)
    frame = pandas.DataFrame({"features": vectors, "when": [moment] * 12})
    out = model.transform(frame)
    assert [margin[1] for margin in out["rawPrediction"]] == [-1.0, -1.0, -5.0, 6.0] * 3
    assert out["when"].tolist() == [moment] * 12
