"""Models made by hand, scored: what comes out, in which order and form, and what goes wrong how."""

from __future__ import annotations

import json
import math
import tarfile
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scoring_models import (
    assembler,
    indexer,
    logistic,
    schema,
    text_model,
    tokenizer,
    write_pipeline,
    write_stage,
)

from wmlclient import scoring
from wmlclient.scoring import ArchiveError, InputError, RowDropped, RowError, Scorer
from wmlclient.scoring.plan import CHUNK, COLUMNS_FROM

TEXT = schema(id="bigint", text="string", sentiment="string")
OUTPUTS = ["words", "tf", "features", "rawPrediction", "probability", "prediction"]


@pytest.fixture(scope="module")
def text_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return text_model(tmp_path_factory.mktemp("text") / "model")


@pytest.fixture(scope="module")
def text(text_folder: Path) -> Scorer:
    return scoring.load(text_folder, TEXT)


# -- what it is ---------------------------------------------------------------------------------------------------


def test_stages_fields_and_types(text: Scorer) -> None:
    assert [stage.outputs for stage in text.stages] == [
        ("label",), ("words",), ("tf",), ("features",), ("rawPrediction", "probability", "prediction"),
    ]  # fmt: skip
    assert text.stages[1].inputs == ("text",)
    assert text.output_fields(["text", "id"]) == ["text", "id", *OUTPUTS]
    assert text.output_fields() == ["id", "text", "sentiment", "label", *OUTPUTS]
    assert text.output_types(["text"])["words"] == "array<string>"
    assert text.output_types(["text"])["features"] == "vector"
    assert text.required == ("text",)
    assert text.schema == TEXT
    assert "5 stages" in repr(text)


def test_without_a_schema_the_input_is_found_out(text_folder: Path) -> None:
    model = scoring.load(text_folder)
    assert [(f["name"], f["type"]) for f in model.schema["fields"]] == [
        ("sentiment", "string"),
        ("text", "string"),
    ]
    assert model.required == ("text",)


def test_a_folder_an_archive_and_a_stage_alone_load(text_folder: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "m.tar.gz", "w:gz") as tar:
        tar.add(text_folder, arcname="model")
    row = [{"text": "a b"}]
    assert scoring.load(tmp_path / "m.tar.gz").score(row) == scoring.load(text_folder).score(row)
    alone = write_stage(tmp_path / "tokenizer", *tokenizer()[:1], "Tokenizer_1", tokenizer()[1])
    assert scoring.load(alone).score([{"text": "A b"}]) == [{"text": "A b", "words": ["a", "b"]}]


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        scoring.load(tmp_path / "none")
    with pytest.raises(ArchiveError, match="not a saved Spark ML pipeline"):
        scoring.load(tmp_path)


# -- scoring ------------------------------------------------------------------------------------------------------


def test_one_row_of_text(text: Scorer) -> None:
    """By hand: hashes as Spark's, counts, factors, the margin, the probability."""
    from wmlclient.scoring.java.hashing import hash_text

    fields, values = text.score_table(["text"], [["Good good  day"]])
    row = dict(zip(fields, values[0], strict=True))
    assert row["words"] == ["good", "good", "", "day"]
    counts: dict[int, float] = {}
    for word in row["words"]:
        counts[hash_text(word) % 32] = counts.get(hash_text(word) % 32, 0.0) + 1.0
    indices = sorted(counts)
    assert row["tf"] == [32, indices, [counts[i] for i in indices]]
    scaled = [counts[i] * (1.0 + i / 7) for i in indices]
    assert row["features"] == [32, indices, scaled]
    margin = 0.125 + sum(v * (0.5 if i % 3 else -0.75) for i, v in zip(indices, scaled, strict=True))
    assert row["rawPrediction"] == pytest.approx([-margin, margin], abs=1e-15)
    assert row["probability"] == pytest.approx(
        [1 / (1 + math.exp(margin)), 1 / (1 + math.exp(-margin))], abs=1e-15
    )
    assert row["prediction"] == (1.0 if margin > 0 else 0.0)


def test_dicts_in_dicts_out_with_dense_vectors(text: Scorer) -> None:
    rows = text.score([{"text": "a", "id": 5}, {"text": "b"}, {"id": 7, "text": "c", "other": "kept"}])
    assert [row["id"] for row in rows] == [5, None, 7]
    assert list(rows[0]) == ["text", "id", "other", *OUTPUTS]
    assert rows[2]["other"] == "kept"
    assert len(rows[0]["tf"]) == 32
    assert set(map(type, rows[0]["tf"])) == {float}


def test_answers_are_json(text: Scorer, tmp_path: Path) -> None:
    _, values = text.score_table(["text"], [["a"], [""], ["😀 \ud83d"]])
    json.loads(json.dumps(values, allow_nan=False))
    write_pipeline(tmp_path / "m", [assembler(["x", "y"]), logistic([[1.0, 1.0]], [0.0])])
    model = scoring.load(tmp_path / "m", schema(x="double", y="float"))
    rows = [["Infinity", 1.0], [1e308, 1e38], [-0.0, 5e-324]]
    for some in (rows, rows * COLUMNS_FROM):
        fields, values = model.score_table(["x", "y"], some)
        row = dict(zip(fields, values[0], strict=True))
        assert (row["x"], row["features"]) == ("Infinity", ["Infinity", 1.0])
        assert row["rawPrediction"] == ["-Infinity", "Infinity"]
        assert row["probability"] == [0.0, 1.0]
        json.loads(json.dumps(values, allow_nan=False))


def test_input_types(tmp_path: Path) -> None:
    write_pipeline(tmp_path / "m", [assembler(["a", "b", "c", "v"], "out")])
    model = scoring.load(tmp_path / "m", schema(a="int", b="double", c="boolean", v="vector"))
    fields, values = model.score_table(
        ["a", "b", "c", "v"],
        [
            [1, 2, True, [3.0, "NaN"]],
            [1, "-Infinity", False, [2, [1], [5]]],
            [1, 0, True, {"type": 1, "values": [1, 2]}],
        ],
    )
    assert values[0] == [1, 2.0, True, [3.0, "NaN"], [1.0, 2.0, 1.0, 3.0, "NaN"]]
    assert values[1] == [1, "-Infinity", False, [2, [1], [5.0]], [1.0, "-Infinity", 0.0, 0.0, 5.0]]
    assert values[2][4] == [1.0, 0.0, 1.0, 1.0, 2.0]
    assert type(values[0][1]) is float
    assert type(values[0][0]) is int


def test_float_columns_are_narrowed(tmp_path: Path) -> None:
    write_pipeline(tmp_path / "m", [assembler(["x", "y"], "out")])
    model = scoring.load(tmp_path / "m", schema(x="float", y="double"))
    assert model.score([{"x": 0.1, "y": 0.1}])[0]["out"] == [0.10000000149011612, 0.1]


# -- rows and columns ---------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.sampled_from("ab cΣ\tÉ😀"), max_size=12), min_size=COLUMNS_FROM, max_size=40))
def test_rows_alone_as_in_columns(text: Scorer, sentences: list[str]) -> None:
    _, together = text.score_table(["text"], [[s] for s in sentences])
    alone = [text.score_table(["text"], [[s]])[1][0] for s in sentences]
    assert repr(together) == repr(alone)


FLOATS = st.floats(width=64) | st.sampled_from([0.0, -0.0, 1.0, math.inf, -math.inf, math.nan])


@pytest.fixture(scope="module", params=["binomial", "multinomial", "thresholds"])
def numbers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    rows = (
        [[1.0, -2.0, 0.5]]
        if request.param == "binomial"
        else [[1.0, -2.0, 0.5], [0.0, 1.0, 2.0], [-1.0, 3.0, 0.1]]
    )
    extra = {"thresholds": [0.2, 0.5, 0.3]} if request.param == "thresholds" else {}
    folder = tmp_path_factory.mktemp("numbers") / "m"
    stages = [assembler(["x", "y", "z"], handleInvalid="keep"), logistic(rows, [0.25] * len(rows), **extra)]
    return scoring.load(write_pipeline(folder, stages), schema(x="double", y="double", z="double"))


@settings(max_examples=80, deadline=None)
@given(rows=st.lists(st.tuples(FLOATS, FLOATS, FLOATS), min_size=COLUMNS_FROM, max_size=30))
def test_numbers_alone_as_in_columns(numbers: Scorer, rows: list[tuple[float, ...]]) -> None:
    _, together = numbers.score_table(["x", "y", "z"], rows)
    alone = [numbers.score_table(["x", "y", "z"], [row])[1][0] for row in rows]
    assert repr(together) == repr(alone)


def test_order_is_kept_over_many_chunks(text: Scorer) -> None:
    count = 2 * CHUNK + 17
    _, values = text.score_table(["id", "text"], [[i, f"w{i % 50}"] for i in range(count)])
    assert [row[0] for row in values] == list(range(count))
    assert [row[2] for row in values] == [[f"w{i % 50}"] for i in range(count)]


def test_bad_rows_of_a_later_chunk_have_their_own_numbers(text: Scorer) -> None:
    rows: list[list[Any]] = [[f"w{i}"] for i in range(CHUNK + 50)]
    rows[CHUNK + 7] = [None]
    table = text.run(["text"], rows)
    assert list(table.problems) == [CHUNK + 7]
    assert table.problems[CHUNK + 7].row == CHUNK + 7
    assert [row[1] for row in table.values[CHUNK : CHUNK + 9]] == [
        *([f"w{CHUNK + i}"] for i in range(7)), None, [f"w{CHUNK + 8}"],
    ]  # fmt: skip


def test_many_threads(text: Scorer) -> None:
    expected = text.score_table(["text"], [[f"a b{i}"] for i in range(200)])
    wrong: list[Any] = []

    def work() -> None:
        for _ in range(20):
            if text.score_table(["text"], [[f"a b{i}"] for i in range(200)]) != expected:
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# -- labels -------------------------------------------------------------------------------------------------------


def test_the_label_is_filled_in_behind_the_payload(text_folder: Path) -> None:
    model = scoring.load(text_folder, TEXT, label_col="sentiment")
    fields, values = model.score_table(["text", "id"], [["a", 1], ["b", 2]])
    assert fields == ["text", "id", "sentiment", "label", *OUTPUTS]
    assert [row[2:4] for row in values] == [["bad", 0.0], ["bad", 0.0]]
    fields, values = model.score_table(["sentiment", "text"], [["good", "a"]])
    assert fields[:3] == ["sentiment", "text", "label"]
    assert values[0][2] == 1.0


def test_a_numeric_label_is_filled_in_as_a_number(tmp_path: Path) -> None:
    write_pipeline(tmp_path / "m", [indexer(["2.0", "1.0"], "y", "label"), tokenizer()])
    model = scoring.load(tmp_path / "m", schema(text="string", y="double"), label_col="y")
    assert model.score([{"text": "a"}]) == [{"text": "a", "y": 2.0, "label": 0.0, "words": ["a"]}]


def test_a_label_column_that_nothing_indexes(text_folder: Path) -> None:
    assert scoring.load(text_folder, TEXT, label_col="id").output_fields(["text"])[0:2] == ["text", "words"]


# -- what goes wrong ----------------------------------------------------------------------------------------------


def test_input_errors(text: Scorer) -> None:
    def kind(fields: list[str], values: list[list[Any]]) -> tuple[str, str | None]:
        with pytest.raises(InputError) as caught:
            text.score_table(fields, values)
        return caught.value.kind, caught.value.field

    assert kind(["id"], [[1]]) == ("missing_field", "text")
    assert kind(["text", "text"], [["a", "b"]]) == ("duplicate_field", "text")
    assert kind(["text", "words"], [["a", []]]) == ("duplicate_field", "words")
    assert kind(["text"], []) == ("no_rows", None)
    assert kind(["text"], [["a", "b"]]) == ("row_length", None)
    with pytest.raises(InputError, match="needs the column 'text'"):
        Scorer(text._stage, schema(id="int"))
    with pytest.raises(InputError, match="'text' is int, but stage Tokenizer_1 takes a string"):
        Scorer(text._stage, schema(text="int"))


def test_bad_rows_do_not_spoil_the_others(tmp_path: Path) -> None:
    stages = [indexer(["a", "b"], "c", "i"), assembler(["i", "x"]), logistic([[1.0, 2.0]], [0.0])]
    model = scoring.load(write_pipeline(tmp_path / "m", stages), schema(c="string", x="double"))
    rows = [["a", 1.0], ["zebra", 2.0], [None, 3.0], ["b", None], ["b", "NaN"], ["b", "much"]] + [
        ["a", 1.0]
    ] * 10
    for some in (rows[:6], rows):
        table = model.run(["c", "x"], some)
        assert sorted(table.problems) == [1, 2, 3, 4, 5]
        assert [row[:3] for row in table.values[:3]] == [
            ["a", 1.0, 0.0],
            ["zebra", 2.0, None],
            [None, 3.0, None],
        ]
        assert table.values[0] == model.score_table(["c", "x"], [rows[0]])[1][0]
        assert table.problems[1].column == "i"
        assert table.problems[1].stage == "StringIndexerModel_0"
        assert "'zebra', which was not seen in training" in table.problems[1].reason
        assert "null" in table.problems[2].reason
        assert "'x' is null" in table.problems[3].reason
        assert "'x' is NaN" in table.problems[4].reason
        assert (table.problems[5].column, table.problems[5].row) == ("x", 5)
    with pytest.raises(RowError, match=r"row 1: column 'i' \(stage StringIndexerModel_0\)"):
        model.score_table(["c", "x"], rows)
    with pytest.raises(RowError, match="row 0"):
        model.score_table(["c", "x"], [rows[1]])


def test_null_in_text(text: Scorer) -> None:
    with pytest.raises(RowError, match="row 0: column 'words'.*'text' is null"):
        text.score_table(["text"], [[None]])


def test_rows_that_spark_drops(tmp_path: Path) -> None:
    stages = [indexer(["a", "b"], "c", "i", handleInvalid="skip"), tokenizer("c", "w")]
    model = scoring.load(write_pipeline(tmp_path / "m", stages), schema(c="string"))
    rows = [["a"], ["zebra"], ["b"]] * 5
    fields, values = model.score_table(["c"], rows)
    assert values[1] == ["zebra", None, None]
    assert len(values) == 15
    assert isinstance(model.run(["c"], rows).problems[1], RowDropped)
    dropped = model.transform_table(["c"], rows)
    assert [row[0] for row in dropped.values] == ["a", "b"] * 5
