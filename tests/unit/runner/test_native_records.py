"""Records to rows and back without Spark: the same reasons, the same form, every record in exactly one place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import saved_models

from wmlclient import scoring
from wmlclient.runner import verdicts
from wmlclient.runner.streams.decoder import Decoder
from wmlclient.runner.streams.encoder import Encoder, writes
from wmlclient.runner.streams.membership import Membership
from wmlclient.runner.streams.model import StreamModel, not_null

SCHEMA = {"type": "struct", "fields": saved_models.TEXT_SCHEMA["fields"][:2]}


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> scoring.Scorer:
    return scoring.load(saved_models.text_pipeline(tmp_path_factory.mktemp("model") / "text"), SCHEMA)


@pytest.fixture(scope="module")
def model(scorer: scoring.Scorer) -> StreamModel:
    return StreamModel(scorer, SCHEMA)


BAD: list[tuple[bytes | None, str, str]] = [
    (b'{"id":1,"text":"a"', "decode", "malformed JSON"),
    (b"", "decode", "empty value"),
    (b" \n", "decode", "empty value"),
    (None, "decode", "null value"),
    (b"[1]", "decode", "not a JSON object"),
    (b'"text"', "decode", "not a JSON object"),
    (b"null", "decode", "not a JSON object"),
    (b'{"id":1}', "schema", "missing field: text"),
    (b"{}", "schema", "missing field: text"),
    (b'{"other":1}', "schema", "missing field: text"),
    (b'{"id":1,"text":5}', "schema", "wrong type: text must be a string"),
    (b'{"id":1,"text":{"a":1}}', "schema", "wrong type: text must be a string"),
    (b'{"id":"1","text":"a"}', "schema", "wrong type: id must be a whole number (integer)"),
    (b'{"id":1.5,"text":"a"}', "schema", "wrong type: id must be a whole number (integer)"),
    (b'{"id":true,"text":"a"}', "schema", "wrong type: id must be a whole number (integer)"),
    (b'{"id":5000000000,"text":"a"}', "schema", "wrong type: id must be a whole number (integer)"),
    (b'{"id":9223372036854775808,"text":"a"}', "schema", "wrong type: id must be a whole number (integer)"),
    (b'{"id":1,"text":null}', "schema", "null in field: text"),
    (b'{"id":null,"text":null}', "schema", "no field of the model has a value"),
    (b'{"id":1,"text":"\xff\xfe"}', "decode", "not valid UTF-8"),
    (b'{"id":1,"text":"a"} {"id":2,"text":"b"}', "decode", "malformed JSON"),
    (b'{"id":1,"text":"a"},{"id":2,"text":"b"}', "decode", "more than one JSON value"),
    (b'{"id":1,"text":"a"}}', "decode", "malformed JSON"),
    (b'{"id":1,"id":2,"text":"a"}', "decode", "a field is there twice"),
    (b'{"id":1,"i\\u0064":2,"text":"a"}', "decode", "a field is there twice"),
    (b'{"id":1,"text":"a","u":1,"u":2}', "decode", "a field is there twice"),
    (b"\x00\x00\x00\x00\x01" + b'{"id":1,"text":"a"}', "decode", "malformed JSON"),
    (b"{'id':1,'text':'a'}", "decode", "malformed JSON"),
    (b'{"id":1,"text":"\\ud83d"}', "decode", "malformed JSON"),
    (b'{"id":NaN,"text":"a"}', "decode", "malformed JSON"),
    (b'{"id":1e400,"text":"a"}', "decode", "malformed JSON"),
    (b'{"id":1,"text":"a","d":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "decode", "malformed JSON"),
]
GOOD: list[bytes | None] = [
    b'{"id":1,"text":"a b"}',
    b' \n {"text" : "  spaces: 1 " , "id": 99} ',
    b'{"text":"enough"}',
    b'{"id":null,"text":"enough"}',
    b'{"id":1,"text":""}',
    b'{"id":1,"text":"{\\"id\\":2}"}',
]


@pytest.mark.parametrize(("value", "stage", "reason"), BAD)
def test_a_bad_record_has_its_stage_and_reason(
    model: StreamModel, value: bytes | None, stage: str, reason: str
) -> None:
    outcome = model.run([value])
    assert outcome.scored == {}
    assert outcome.verdicts == {0: (stage, reason)}
    assert (reason in verdicts.DECODE) == (stage == "decode")


def test_among_good_ones_each_bad_one_has_the_same(model: StreamModel) -> None:
    values = [value for pair in zip(GOOD * 6, (bad for bad, _, _ in BAD), strict=False) for value in pair]
    outcome = model.run(values)
    assert sorted({*outcome.scored, *outcome.verdicts}) == list(range(len(values)))
    assert not outcome.scored.keys() & outcome.verdicts.keys()
    for number, (_, stage, reason) in enumerate(BAD):
        assert outcome.verdicts[2 * number + 1] == (stage, reason)
    alone = [model.run([value]).scored[0] for value in GOOD]
    assert [outcome.scored[2 * number] for number in range(len(BAD))] == (alone * 6)[: len(BAD)]


def test_scored_records_are_in_the_form_of_sparks_to_json(model: StreamModel, scorer: scoring.Scorer) -> None:
    found = json.loads(model.run([b'{"id":7,"text":"what a Day"}']).scored[0])
    fields, [row] = scorer.score_table(["id", "text"], [[7, "what a Day"]])
    expected = dict(zip(fields, row, strict=True))
    assert list(found) == fields
    vectors = [name for name, kind in scorer.output_types(["id", "text"]).items() if kind == "vector"]
    assert vectors
    for name in vectors:
        value = expected[name]
        if len(value) == 3 and isinstance(value[1], list):
            assert found[name] == {"type": 0, "size": value[0], "indices": value[1], "values": value[2]}
        else:
            assert found[name] == {"type": 1, "values": value}
    rest = [name for name in fields if name not in vectors]
    assert [found[name] for name in rest] == [expected[name] for name in rest]
    assert b" :" not in model.run([b'{"id":7,"text":"x"}']).scored[0]


def test_unknown_fields_keep_their_text_and_their_place(model: StreamModel) -> None:
    unknown = (
        b'"s":"5","i":7,"big":123456789012345678901234567890,"f":0.1234567890123456789,"e":1e-7,"n":null,'
        b'"o":{"k":[1,"2",null,{"x":false}]},"":"empty name","q`\'\\"":[]'
    )
    [text] = model.run([b'{"id":1,' + unknown + b',"text":"a b","prediction":"mine"}']).scored.values()
    assert text.startswith(b'{"id":1,"text":"a b",' + unknown.replace(b"'", b"'") + b',"')
    found = json.loads(text)
    assert isinstance(found["prediction"], float)
    assert list(found).count("prediction") == 1


def test_a_field_without_a_value_is_left_out(model: StreamModel) -> None:
    found = json.loads(model.run([b'{"id":null,"text":"a"}']).scored[0])
    assert "id" not in found
    assert found["text"] == "a"


def test_a_record_that_fails_in_a_stage_goes_aside_alone(
    model: StreamModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a batch does, the good records of it come out."""
    values: list[bytes | None] = [b'{"id":%d,"text":"t %d"}' % (n, n) for n in range(50)]
    whole = model.run(values)
    real = Encoder.write

    def fragile(self: Encoder, columns: Any, extras: Any) -> list[bytes]:
        texts = real(self, columns, extras)
        if any(b'"id":13,' in text for text in texts):
            raise OverflowError("no room")
        return texts

    monkeypatch.setattr(Encoder, "write", fragile)
    outcome = model.run(values)
    assert outcome.verdicts == {13: ("encode", "the scored row cannot be written (OverflowError)")}
    assert outcome.scored == {place: text for place, text in whole.scored.items() if place != 13}


def test_columns_in_which_a_null_fails_are_known_beforehand(scorer: scoring.Scorer) -> None:
    assert not_null(scorer, SCHEMA) == ["text"]


def test_numbers_that_json_cannot_hold_are_words() -> None:
    columns = [[1.0, float("nan"), None], [[float("inf")], [2.0], []], [0.1, -0.0, 3.4e38]]
    texts = Encoder(["a", "b", "c"], ["double", "array<double>", "float"], 1).write(columns, {})
    assert texts == [
        b'{"a":1.0,"b":["Infinity"],"c":0.1}',
        b'{"a":"NaN","b":[2.0],"c":-0.0}',
        b'{"b":[],"c":3.4e+38}',
    ]


@pytest.mark.parametrize("kind", ["timestamp", "date", "decimal(10,2)", "map<string,int>", "array<date>"])
def test_types_that_only_spark_writes_are_known(kind: str) -> None:
    assert not writes(kind)


def test_the_next_offset_is_the_last_and_one_whatever_the_holes() -> None:
    class Message:
        def __init__(self, partition: int, offset: int) -> None:
            self.partition, self.offset = lambda: partition, lambda: offset

    messages = [Message(0, 3), Message(1, 10), Message(0, 7), Message(1, 90)]
    assert Membership.after(messages) == {0: 8, 1: 91}
    assert Membership.after([]) == {}


def test_a_decoder_reads_a_model_without_columns() -> None:
    rows = Decoder({"type": "struct", "fields": []}, (), ()).read([b"{}", b'{"a":1}'])
    assert rows.places == [0, 1]
    assert rows.extras == {1: {"a": "1"}}


def test_a_model_folder_is_opened_or_refused_by_name(tmp_path: Path) -> None:
    from wmlclient.runner.engine.ports import StreamSetupError

    with pytest.raises(StreamSetupError) as caught:
        StreamModel.open(tmp_path, SCHEMA)
    assert caught.value.code == "load_model_failure"
