"""Records that are no plain JSON, in streams on Spark: what comes out, and why not, is what the native engine says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from exactly_once import SCHEMA
from kafka_stand import Stream
from saved_models import text_pipeline

from wmlclient.runner.streams.model import Formats, StreamModel

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(420)]

TEXTS: list[bytes | None] = [
    b"a b", None, b"\xff", b"", b'{"text":1}', b'with "quotes" and \\', b"two\nlines", "h\u00e9 \U0001f600".encode(),
]  # fmt: skip
LINES: list[bytes | None] = [
    b"7,a b\n", b'8,"a, ""b"""\r\n', b",c", b"x,a", b"1", b'1,"a', b"1,a\n2,b", b"", None, b"\xff,a", b"9,", b'9,""',
    b'5,"a\nb"', b"+007,x", b"5000000000,x", b"1,a,b", b"1,a\"b", b'1,"a"b', b"1, a ", b'"3",q', b"1.5,x", b" 1,x",
]  # fmt: skip
OTHERS: list[bytes | None] = [b"a b;me;7", b';"";1', b"x;y"]


def rounded(value: Any) -> Any:
    """With twelve digits of each number."""
    if isinstance(value, dict):
        return {name: rounded(each) for name, each in value.items()}
    if isinstance(value, list):
        return [rounded(each) for each in value]
    return float(f"{value:.12g}") if isinstance(value, float) else value


@pytest.mark.parametrize(
    ("source", "target", "values"),
    [
        ({"type": "text", "column": "text"}, {"type": "json", "output": "scores"}, TEXTS),
        ({"type": "csv"}, None, LINES),
        ({"type": "csv", "columns": ["text", "who", "id"], "delimiter": ";"}, None, OTHERS),
    ],
)
def test_formats(
    make_stream: Callable[..., Stream],
    tmp_path: Path,
    source: dict[str, Any],
    target: dict[str, Any] | None,
    values: list[bytes | None],
) -> None:
    model = text_pipeline(tmp_path / "model")
    native = StreamModel.open(Path(model), SCHEMA, Formats(source, target, "t"))
    expected = native.run(values)
    stream = make_stream()
    stream.spec = attrs.evolve(
        stream.spec, model_dir=str(model), input_schema=SCHEMA, source_format=source, target_format=target
    )
    stream.start()
    stream.send([(b"%d" % number, value, [("trace", b"x")]) for number, value in enumerate(values)])
    good, dead = stream.scored(len(expected.scored)), stream.dead(len(expected.verdicts))
    assert {int(record.key): rounded(json.loads(record.value)) for record in good} == {
        number: rounded(json.loads(value)) for number, value in expected.scored.items()
    }
    found = {}
    for record in dead:
        headers = {key: value.decode() for key, value in record.headers}
        found[int(record.key)] = (headers["wml.error.stage"], headers["wml.error.reason"])
        assert (record.value, headers["trace"]) == (values[int(record.key)], "x")
    assert found == {number: tuple(verdict) for number, verdict in expected.verdicts.items()}
