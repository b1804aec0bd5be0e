"""What Java does differently. The expected values are Spark's and Java's own answers (4.2.0, Java 17)."""

from __future__ import annotations

import random
import re
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wmlclient.scoring.java import hashing, regex
from wmlclient.scoring.java.numbers import double_text, is_double_text, to_float
from wmlclient.scoring.java.strings import lower, utf16_length


@pytest.mark.parametrize(
    ("text", "index"),  # HashingTF(numFeatures=2**30)
    [("spark", 847685110), ("", 142593372)],
)
def test_hash_of_text(text: str, index: int) -> None:
    assert hashing.hash_text(text) % (1 << 30) == index


def test_hash_of_null_and_letters() -> None:
    index = {term: hashing.hash_text(term) % 100 for term in ("a", "b")}  # null is at 42, the seed
    assert sorted({*index.values(), hashing.SEED % 100}) == [42, 65, 67]


@given(st.binary(max_size=40))
def test_hash_is_the_published_algorithm(data: bytes) -> None:
    """Against a second, literal writing of MurmurHash3_x86_32."""
    mask, h = 0xFFFFFFFF, 42
    for at in range(0, len(data) - len(data) % 4, 4):
        k = struct.unpack_from("<I", data, at)[0] * 0xCC9E2D51 & mask
        k = (k << 15 | k >> 17) & mask
        h ^= k * 0x1B873593 & mask
        h = ((h << 13 | h >> 19) & mask) * 5 + 0xE6546B64 & mask
    tail, k = data[len(data) - len(data) % 4 :], 0
    for at, byte in enumerate(tail):
        k ^= byte << 8 * at
    if tail:
        k = k * 0xCC9E2D51 & mask
        k = (k << 15 | k >> 17) & mask
        h ^= k * 0x1B873593 & mask
    h ^= len(data)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        h = (h ^ h >> shift) * factor & mask
    assert hashing.hash_bytes(data) & mask == h


def test_hashes_of_numbers_differ_by_type() -> None:
    hashes = [hashing.hasher(kind)(1) for kind in ("int", "bigint", "double")]
    assert len(set(hashes)) == 3
    assert hashing.hasher("boolean")(True) == hashing.hash_int(1)
    assert hashing.hash_double(0.0) != hashing.hash_double(-0.0)
    assert hashing.hash_double(float("nan")) == hashing.hash_double(-float("nan"))
    assert hashing.hasher("date") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ABC", "abc"),
        ("\u0130I", "i\u0307i"),
        ("ΟΔΟΣ", "οδος"),
        ("ΣΑΣ.Α", "σας.α".replace("ς", "σ")),
        ("ΑΣ:Α", "ας:α"),
        ("ΑΣ-Α", "ασ-α"),
        ("ΑΣ_Α", "ασ_α"),
        ("ΑΣ1Α", "ασ1α"),
        ("Σ", "σ"),
        ("ǅ", "ǆ"),
        ("ẞ", "ß"),
        ("\U00010570\u2c2fA", "\U00010570\u2c2fa"),
    ],
)
def test_lower(text: str, expected: str) -> None:
    assert lower(text) == expected


@given(st.text())
def test_lower_is_pythons_where_nothing_is_special(text: str) -> None:
    if not re.search(
        "[Σ\u2c2f\ua7c0-\ua7dc\U00010570-\U00010595\u1c89\U00010d50-\U00010d65\U00016ea0-\U00016eb8]", text
    ):
        assert lower(text) == text.lower()


def test_utf16_length() -> None:
    assert [utf16_length(t) for t in ("", "ab", "é", "😀", "a😀b")] == [0, 2, 1, 2, 4]


# -- regular expressions ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (r"\s+", "a\u00a0b c\u2003\x85d\x1c", ["a\u00a0b", "c\u2003\x85d\x1c"]),
        (r"\W+", "naïve café", ["na", "ve", "caf"]),
        (r"\s", " a  b ", ["", "a", "", "b"]),
        (r"\s", "", [""]),
        (r"\s", " ", []),
        (r"x", "axxbxx", ["a", "", "b"]),
        (r"[,;]", "a,b;;", ["a", "b"]),
        (r"\Q.\E", "a.b", ["a", "b"]),
        (r"\x41|\u0042|\x{1F600}|\0103", "1A2B3😀4C5", ["1", "2", "3", "4", "5"]),
        (r"[\]\-a]", "1]2-3a4", ["1", "2", "3", "4"]),
        (r"[-a]|[b-]", "1-2a3b", ["1", "2", "3"]),
    ],
)
def test_split(pattern: str, text: str, found: list[str]) -> None:
    assert regex.splitter(pattern, keep_empty=True)(text) == found
    assert regex.splitter(pattern, keep_empty=False)(text) == [part for part in found if part]


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (r"\w+", "naïve ٣ a_1", ["na", "ve", "a_1"]),
        (r"\d+", "1٣2", ["1", "2"]),
        (r".+", "a\u2028b\x85c\rd\x0be", ["a", "b", "c", "d\x0be"]),
        (r"\S+$", "a b\r\n", ["b"]),
        (r"b$", "b b\u2028", ["b"]),
        (r"[\S\r]+$", "a b\r\n", ["b"]),
        (r"\S+\z", "a b\n", []),
        (r"^a", "aa", ["a"]),
        (r"(a|b)+?", "abc", ["a", "b"]),
        (r"(?:x)y|(?>a)b", "xy ab", ["xy", "ab"]),
        (r"\p{Alpha}+", "aéb", ["a", "b"]),
        (r"\P{Alnum}", "a-1", ["-"]),
        (r"[^\D]", "a1", ["1"]),
    ],
)
def test_find(pattern: str, text: str, found: list[str]) -> None:
    assert regex.finder(pattern)(text) == found


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        (r"\bword\b", r"\\b"),
        (r"\B", r"\\B"),
        (r"\p{L}+", "Unicode property"),
        (r"\pL", "Unicode property"),
        (r"\p{IsGreek}", "Unicode property"),
        (r"(?i)a", r"\(\?"),
        (r"(?<name>a)", r"\(\?"),
        (r"(a)\1", r"\\1"),
        (r"\k<a>", r"\\k"),
        (r"[a[bc]]", "inside a class"),
        (r"[a-z&&[^b]]", "intersection"),
        (r"[\w-z]", "range"),
        (r"a*", "empty string"),
        (r"", "empty string"),
        (r"a|", "empty string"),
        (r"^", "empty string"),
        (r"(?=a)", "empty string"),
        (r"(a*)+b", "empty string"),
        (r"\R", r"\\R"),
        (r"\X", r"\\X"),
        (r"\G", r"\\G"),
        (r"a{2}{3}", "repetition of a repetition"),
        (r"(", "not a regular expression"),
        (r"a)", "not a regular expression"),
        (r"[a", "not a regular expression"),
        (r"\x{110000}", r"\\x"),
        (r"(?<=a+)b", "look-behind"),
    ],
)
def test_what_is_refused_by_name(pattern: str, says: str) -> None:
    with pytest.raises(regex.Unsupported, match=says):
        regex.finder(pattern)


@given(
    st.text(st.sampled_from("ab \t\n\u00a0,é😀"), max_size=30),
    st.sampled_from([r"\s", r"[ab]", r"\W", ",", r"\S+"]),
)
def test_both_ways_to_split_agree(text: str, pattern: str) -> None:
    whole = regex.splitter(pattern, keep_empty=True)(text)
    assert regex.splitter(pattern, keep_empty=False)(text) == [part for part in whole if part]
    assert not whole or whole[-1] or whole == [""]


# -- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (1.0, "1.0"),
        (1234567.0, "1234567.0"),
        (1e7, "1.0E7"),
        (12345678.9, "1.23456789E7"),
        (0.001, "0.001"),
        (0.00099, "9.9E-4"),
        (1e22, "1.0E22"),
        (1.5e-10, "1.5E-10"),
        (float("nan"), "NaN"),
        (float("-inf"), "-Infinity"),
    ],
)
def test_double_text(value: float, text: str) -> None:
    assert double_text(value) == text
    assert is_double_text(text)


@given(st.floats())
def test_double_text_reads_back(value: float) -> None:
    text = double_text(value)
    assert is_double_text(text)
    assert float(text.replace("Infinity", "inf")) == value or value != value


@pytest.mark.parametrize(
    "text", ["", "1", "1.", ".5", "1e5", "1.0e7", "01.0", "1.50", "10000000.0", "1.0E2", "nan", "+1.0"]
)
def test_what_java_never_writes(text: str) -> None:
    assert not is_double_text(text)


def test_to_float() -> None:
    chance = random.Random(1)
    for _ in range(1000):
        value = chance.gauss(0, 10.0 ** chance.randint(-40, 38))
        assert to_float(value) == struct.unpack("<f", struct.pack("<f", value))[0]
    assert to_float(1e300) == float("inf")
    assert to_float(-1e300) == float("-inf")
