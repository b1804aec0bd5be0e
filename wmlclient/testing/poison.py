"""Records that break pipelines, made for one model: each kind that streams have been seen to stumble over."""

from __future__ import annotations

import itertools
import json
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

from attrs import field, frozen

#: ``aside``: no row for any model of this schema. ``scored``: strange, and a row all the same. ``either``: that depends
#: on the model, or on what the topics take.
Fate = Literal["aside", "scored", "either"]

_WHOLE = ("byte", "short", "integer", "long")
_NUMBERS = (*_WHOLE, "float", "double")
_MEGABYTE = 1_000_000
_DEPTH = 100_000
#: Kinds of which a few say as much as many.
_LARGE = ("large", "deep")
_MOST_LARGE = 10
_SAMPLES: dict[str, Any] = {"string": "a word", "boolean": True, "array": []}


@frozen
class PoisonRecord:
    """A record to send, and what has to become of it.

    Attributes:
        kind: what is wrong with it, such as ``"cut"`` or ``"twice"``.
        value: its bytes; None for a record without a value.
        key: its key, unlike that of any other; None where that is what is strange.
        fate: ``"aside"`` (it has to become a dead letter), ``"scored"``, or ``"either"``.
        timestamp: milliseconds since 1970 to send it with; None for now.
    """

    kind: str
    value: bytes | None = field(repr=lambda value: repr(value if value is None else value[:60]))
    key: bytes | None
    fate: Fate
    timestamp: int | None = None


def poison_records(
    schema: Any, count: int | None = None, *, needed: Sequence[str] = (), seed: int = 0
) -> list[PoisonRecord]:
    """Records of every kind that goes wrong in practice, for a model's input.

    Broken JSON and bytes that are no text; values that are absent, empty, of the wrong type, too large for their
    type or no number; fields that are missing or there twice; more than a megabyte; 100,000 levels; the framing of a
    schema registry; times of long ago and times to come.

    Args:
        schema: the model's input: a Spark ``StructType``, or its JSON.
        count: how many; by default one of each kind. The large ones are ten of a kind at most.
        needed: columns that the model cannot work without; a record that lacks each of them is among the kinds.
        seed: of their order and contents.

    Returns:
        The records, in any order.

    Example:
        >>> schema = {"fields": [{"name": "id", "type": "integer"}, {"name": "text", "type": "string"}]}
        >>> records = poison_records(schema, needed=["text"])
        >>> next(record.value for record in records if record.kind == "missing text")
        b'{"id":1}'
    """
    described: Mapping[str, Any] = schema.jsonValue() if hasattr(schema, "jsonValue") else schema
    fields = [(each["name"], _plain(each["type"])) for each in described["fields"]]
    chance = random.Random(seed)  # noqa: S311 - nobody is to be kept from guessing it
    kinds = list(_kinds(fields, needed))
    made: list[PoisonRecord] = []
    large: dict[str, int] = {}
    for number, kind in enumerate(itertools.cycle(kinds)):
        if len(made) >= (len(kinds) if count is None else count):
            break
        if kind.name in _LARGE:
            large[kind.name] = large.get(kind.name, 0) + 1
            if large[kind.name] > _MOST_LARGE:
                continue
        key = None if kind.name == "null key" else b"poison-%d" % number
        made.append(PoisonRecord(kind.name, kind.make(chance), key, kind.fate, kind.timestamp))
    chance.shuffle(made)
    return made


@frozen
class _Kind:
    name: str
    make: Callable[[random.Random], bytes | None]
    fate: Fate = "aside"
    timestamp: int | None = None


def _kinds(fields: Sequence[tuple[str, str]], needed: Sequence[str]) -> Iterator[_Kind]:
    good = {name: _sample(kind) for name, kind in fields}
    text = _json(good)

    def some(chance: random.Random) -> bytes:
        return text[:-1] + b',"wml_poison":%d}' % chance.randrange(1 << 30)

    yield _Kind("cut", lambda chance: text[: chance.randrange(1, len(text))])
    yield _Kind("no JSON", lambda _: b"not json at all")
    yield _Kind("no object", lambda _: b"[" + text + b"]")
    yield _Kind("two values", lambda _: text + text)
    yield _Kind("empty", lambda _: b"")
    yield _Kind("null value", lambda _: None)
    yield _Kind("not UTF-8", lambda _: text[:-1] + b',"wml_poison":"\xff\xfe"}')
    yield _Kind("lone surrogate bytes", lambda _: text[:-1] + b',"wml_poison":"\xed\xa0\x80"}')
    yield _Kind("no field of the model", lambda _: b'{"wml_poison":1}')
    yield _Kind("deep", lambda _: b'{"wml_poison":' + b"[" * _DEPTH + b"]" * _DEPTH + b"," + text[1:])
    yield _Kind("framed", lambda chance: b"\0" + chance.randrange(1, 1 << 31).to_bytes(4, "big") + text)
    room = next((name for name, kind in fields if kind == "string"), "wml_poison")
    yield _Kind("large", _put(good, room, b'"' + b"x" * _MEGABYTE + b'"'), "either")
    for name in needed:
        rest = _json({other: value for other, value in good.items() if other != name})
        yield _Kind(f"missing {name}", lambda _, rest=rest: rest)  # type: ignore[misc]
    for name, kind in fields:
        if kind in _SAMPLES or kind in _NUMBERS:
            yield _Kind(f"twice {name}", _put(good, name, _json(good[name]), twice=True))
            yield _Kind(f"wrong type {name}", _put(good, name, b'{"no":1}'))
    for name, kind in fields:
        if kind in _NUMBERS:
            yield _Kind(f"NaN {name}", _put(good, name, b"NaN"))
            yield _Kind(f"text {name}", _put(good, name, b'"nineteen"'))
        if kind in _WHOLE:
            yield _Kind(f"2^63 {name}", _put(good, name, b"9223372036854775808"))
            yield _Kind(f"fraction {name}", _put(good, name, b"0.5"))
            yield _Kind(f"1e400 {name}", _put(good, name, b"1e400"))
        elif kind == "double":
            yield _Kind(f"1e400 {name}", _put(good, name, b"1e400"), "either")
            yield _Kind(f"-0.0 {name}", _put(good, name, b"-0.0"), "either")
    yield _Kind("null key", some, "either")
    yield _Kind("long ago", some, "either", 1)
    yield _Kind("ahead", some, "either", _in_a_while())


def _put(
    good: Mapping[str, Any], name: str, value: bytes, *, twice: bool = False
) -> Callable[[random.Random], bytes]:
    rest = {other: value for other, value in good.items() if twice or other != name}
    text = b"{" + _json(name) + b":" + value + (b"," if rest else b"") + _json(rest)[1:]
    return lambda _: text


def _in_a_while() -> int:
    """A time that brokers still take: by default they refuse what is more than an hour ahead."""
    return time.time_ns() // 1_000_000 + 50 * 60_000


def _plain(kind: Any) -> str:
    return kind if isinstance(kind, str) else str(kind.get("type"))


def _sample(kind: str) -> Any:
    return 1 if kind in _NUMBERS else _SAMPLES.get(kind)


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
