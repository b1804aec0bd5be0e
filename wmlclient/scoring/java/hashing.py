"""MurmurHash3 (x86, 32 bits, seed 42) as Spark's ``HashingTF`` and ``FeatureHasher`` use it since 3.0.

Source: ``org.apache.spark.ml.feature.FeatureHasher.murmur3Hash``, which calls ``Murmur3_x86_32.hashInt``,
``hashLong`` and ``hashUnsafeBytes2``; the last is the published algorithm over UTF-8, tail included.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

SEED = 42
MANY_WORDS = 32
"""Four bytes so many times are hashed for all texts together; longer texts are few, and hashed on their own."""
_MASK = 0xFFFFFFFF
_13, _15, _16, _17, _19 = map(np.uint32, (13, 15, 16, 17, 19))
_TAILS = np.array([0, 0xFF, 0xFFFF, 0xFFFFFF], np.uint32)


def _mix_k1(k1: int) -> int:
    k1 = (k1 * 0xCC9E2D51) & _MASK
    k1 = ((k1 << 15) | (k1 >> 17)) & _MASK
    return (k1 * 0x1B873593) & _MASK


def _mix_h1(h1: int, k1: int) -> int:
    h1 ^= k1
    h1 = ((h1 << 13) | (h1 >> 19)) & _MASK
    return (h1 * 5 + 0xE6546B64) & _MASK


def _final(h1: int, length: int) -> int:
    h1 ^= length
    h1 ^= h1 >> 16
    h1 = (h1 * 0x85EBCA6B) & _MASK
    h1 ^= h1 >> 13
    h1 = (h1 * 0xC2B2AE35) & _MASK
    h1 ^= h1 >> 16
    return h1 - (1 << 32) if h1 & 0x80000000 else h1


def hash_bytes(data: bytes, seed: int = SEED) -> int:
    """The signed hash of bytes.

    >>> hash_bytes(b"spark")
    -226056714
    """
    length = len(data)
    aligned = length & ~3
    h1 = seed
    for k1 in struct.unpack(f"<{aligned >> 2}I", data[:aligned]):
        h1 = _mix_h1(h1, _mix_k1(k1))
    # An empty tail mixes to 0 and leaves the hash as it is.
    h1 ^= _mix_k1(int.from_bytes(data[aligned:], "little"))
    return _final(h1, length)


def hash_int(value: int, seed: int = SEED) -> int:
    """The signed hash of a 32-bit integer."""
    return _final(_mix_h1(seed, _mix_k1(value & _MASK)), 4)


def hash_long(value: int, seed: int = SEED) -> int:
    """The signed hash of a 64-bit integer."""
    h1 = _mix_h1(seed, _mix_k1(value & _MASK))
    return _final(_mix_h1(h1, _mix_k1((value >> 32) & _MASK)), 8)


def hash_double(value: float, seed: int = SEED) -> int:
    """The signed hash of a double, by its bits; every NaN is the same one, as in ``doubleToLongBits``."""
    if value != value:
        return hash_long(0x7FF8000000000000, seed)
    return hash_long(struct.unpack("<q", struct.pack("<d", value))[0], seed)


def hash_text(value: str, seed: int = SEED) -> int:
    """The signed hash of a string. A lone surrogate is ``?``, as Java encodes it."""
    return hash_bytes(value.encode("utf-8", "replace"), seed)


def hash_many(text: Any, starts: Any, lengths: Any) -> Any:
    """:func:`hash_bytes` of many parts of a text at once.

    Args:
        text: UTF-8, uint8.
        starts: Where the parts start, int64.
        lengths: How many bytes each has, int64.

    Returns:
        The signed hashes, int32.
    """
    padded = np.zeros(len(text) + 4, np.uint8)
    padded[: len(text)] = text
    # The four bytes from each place on, as one number.
    fours = np.array(np.ndarray((len(text) + 1,), "<u4", padded.data, strides=(1,)), dtype=np.uint32)
    hashes = np.full(len(starts), SEED, np.uint32)
    words = lengths >> 2
    for word in range(min(int(words.max(initial=0)), MANY_WORDS)):
        some = np.flatnonzero(words > word)
        mixed = hashes[some] ^ _mix_many(fours.take(starts[some] + 4 * word))
        hashes[some] = ((mixed << _13) | (mixed >> _19)) * np.uint32(5) + np.uint32(0xE6546B64)
    tails = fours.take(starts + (words << 2)) & _TAILS.take(lengths & 3)
    hashes ^= _mix_many(tails)
    hashes ^= lengths.astype(np.uint32)
    hashes ^= hashes >> _16
    hashes *= np.uint32(0x85EBCA6B)
    hashes ^= hashes >> _13
    hashes *= np.uint32(0xC2B2AE35)
    hashes ^= hashes >> _16
    found = hashes.view(np.int32)
    for long in np.flatnonzero(words > MANY_WORDS).tolist():
        found[long] = hash_bytes(text[starts[long] : starts[long] + lengths[long]].tobytes())
    return found


def _mix_many(parts: Any) -> Any:
    parts = parts * np.uint32(0xCC9E2D51)
    parts = (parts << _15) | (parts >> _17)
    return parts * np.uint32(0x1B873593)


def hasher(element: str) -> Any:
    """The hash function for the elements of an array of that type, or ``None`` if Spark has none."""
    by_type: dict[str, Any] = {
        "string": hash_text,
        "double": hash_double,
        "bigint": hash_long,
        "int": hash_int,
        "smallint": hash_int,
        "tinyint": hash_int,
        "boolean": lambda value: hash_int(1 if value else 0),
    }
    return by_type.get(element)
