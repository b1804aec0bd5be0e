"""What a Parquet file says of itself, read without the library that reads its data.

pyarrow ends the whole process on some footers that contradict themselves, and trusts what pages claim to unpack to.
So both are read here first: the footer and the head of each page, which are Thrift structs in its compact protocol.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, BinaryIO

from attrs import frozen

__all__ = ["Footer", "FooterError", "Unreadable", "read_footer"]

_MAGIC = b"PAR1"
_MAX_FOOTER = 64 << 20
_MAX_DEPTH = 32
_PAGE_HEADER = 1 << 18
_MAX_PAGES = 1_000_000
_BYTE_ARRAY = 6


class FooterError(ValueError):
    """The file is no Parquet file, or contradicts itself."""


class Unreadable(Exception):
    """Files are damaged, or hold more than is read; the message says what of them, "is ..." or "has ..."."""


@frozen
class Footer:
    """What a file holds, by its own account.

    Attributes:
        rows: Rows of all groups.
        values: Values of all columns, nulls included.
        unpacked: Bytes of all pages, unpacked.
        texts: Paths of the columns of strings.
    """

    rows: int
    values: int
    unpacked: int
    texts: tuple[str, ...]


def read_footer(path: Path) -> Footer:
    """The footer and the page heads of a file.

    Raises:
        FooterError: They are damaged, or do not go together.
        OSError: It cannot be read.
    """
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        if size < 12:
            raise FooterError("it is too short")
        file.seek(size - 8)
        tail = file.read(8)
        length = int.from_bytes(tail[:4], "little")
        if tail[4:] != _MAGIC or not 0 < length <= min(size - 12, _MAX_FOOTER):
            raise FooterError("it has no footer")
        file.seek(size - 8 - length)
        try:
            return _checked(_Compact(file.read(length)).struct(), file, size - 8 - length)
        except (LookupError, TypeError, AttributeError, UnicodeDecodeError) as error:
            raise FooterError(f"its footer is damaged ({type(error).__name__})") from None


def _checked(footer: dict[int, Any], file: BinaryIO, end: int) -> Footer:
    leaves = _leaves(footer[2])
    values = unpacked = rows = 0
    texts = []
    for group in footer[4]:
        rows += _count(group[3])
        if len(group[1]) != len(leaves):
            raise FooterError(f"a row group has {len(group[1])} columns where the schema has {len(leaves)}")
        for chunk, (leaf, kind) in zip(group[1], leaves, strict=True):
            about = chunk[3]
            if tuple(about[3]) != leaf or about[1] != kind:
                raise FooterError("a row group has other columns than the schema")
            values += _count(about[5])
            if kind == _BYTE_ARRAY:
                texts.append(b".".join(leaf).decode())
            unpacked += max(_count(about[6]), _pages(about, file, end))
    if rows != _count(footer[3]):
        raise FooterError(f"it says {footer[3]} rows, and its groups {rows}")
    return Footer(rows, values, unpacked, tuple(dict.fromkeys(texts)))


def _leaves(schema: list[dict[int, Any]]) -> list[tuple[tuple[bytes, ...], int]]:
    """Path and physical type of each column, from the schema's elements in depth-first order."""
    elements = iter(schema)
    leaves = []

    def walk(prefix: tuple[bytes, ...], count: int) -> None:
        if len(prefix) > _MAX_DEPTH:
            raise FooterError("its schema is too deep")
        for _ in range(count):
            element = next(elements, None)
            if element is None:
                raise FooterError("its schema is not whole")
            path = (*prefix, element[4])
            if element.get(5):
                walk(path, _count(element[5]))
            else:
                leaves.append((path, element[1]))

    root = next(elements, None)
    walk((), _count(root.get(5, 0)) if root else 0)
    if next(elements, None) is not None:
        raise FooterError("its schema has more elements than it says")
    return leaves


def _pages(about: dict[int, Any], file: BinaryIO, end: int) -> int:
    """Bytes that the pages of a column claim to unpack to."""
    if about[7] == 0:
        return 0
    # A page that is not there has no place, or the place 0.
    at = min((_count(place) for place in (about[9], about.get(11)) if place), default=0)
    stop = at + _count(about[7])
    if not 4 <= at <= stop <= end:
        raise FooterError("a column lies outside of the file")
    unpacked = 0
    for _ in range(_MAX_PAGES):
        if at >= stop:
            return unpacked
        file.seek(at)
        compact = _Compact(file.read(min(_PAGE_HEADER, stop - at)))
        header = compact.struct()
        unpacked += _count(header[2])
        at += compact.at + _count(header[3])
        if at > stop:
            raise FooterError("a page lies outside of its column")
    raise FooterError("a column has too many pages")


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise FooterError(f"it has a count of {value!r:.40}")
    return value


class _Compact:
    """Thrift's compact protocol: structs as dicts by field number, all else as what it is."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        fields: dict[int, Any] = {}
        field = 0
        while head := self._byte():
            delta, kind = head >> 4, head & 15
            field = field + delta if delta else self._zigzag()
            if field in fields:
                raise FooterError("a field comes twice")
            fields[field] = kind == 1 if kind in (1, 2) else self._value(kind, depth + 1)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise FooterError("its footer is nested too deep")
        if kind in (1, 2, 3):  # in a list a bool is a byte, too
            return self._byte()
        if kind in (4, 5, 6):
            return self._zigzag()
        if kind == 7:
            return self._take(8)
        if kind == 8:
            return self._take(self._varint())
        if kind in (9, 10):
            head = self._byte()
            count = head >> 4 if head >> 4 < 15 else self._varint()
            if count > len(self._data) - self.at:
                raise FooterError("a list is longer than the footer")
            return [self._value(head & 15, depth + 1) for _ in range(count)]
        if kind == 12:
            return self.struct(depth)
        raise FooterError(f"its footer has a value of type {kind}")

    def _byte(self) -> int:
        if self.at >= len(self._data):
            raise FooterError("its footer ends early")
        self.at += 1
        return self._data[self.at - 1]

    def _take(self, count: int) -> bytes:
        if count > len(self._data) - self.at:
            raise FooterError("its footer ends early")
        self.at += count
        return self._data[self.at - count : self.at]

    def _varint(self) -> int:
        number = shift = 0
        while shift < 70:
            byte = self._byte()
            number |= (byte & 127) << shift
            if byte < 128:
                return number
            shift += 7
        raise FooterError("a number is too long")

    def _zigzag(self) -> int:
        number = self._varint()
        return (number >> 1) ^ -(number & 1)
