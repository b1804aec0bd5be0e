from __future__ import annotations

import base64
import math

import pytest

from wmlclient import wire

SERVICE = {
    "credentials": {"tenant_id": "t", "cluster_master_url": "local[2]", "tenant_secret": "s3cr3t"},
    "version": "2.0",
}


def test_spark_service_round_trip() -> None:
    header = wire.encode_spark_service(SERVICE)
    assert "\n" not in header
    assert wire.decode_spark_service(header) == SERVICE


def test_spark_service_made_with_echo_and_base64() -> None:
    shell = base64.b64encode(b'{"credentials": {"tenant_id": "t"}, "version": "2.0"}\n').decode()
    assert wire.decode_spark_service(shell + "\n") == {"credentials": {"tenant_id": "t"}, "version": "2.0"}


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("{}", "base64"),
        ("e30-_w==", "base64"),
        (base64.b64encode(b"s3cr3t{").decode(), "not JSON"),
        (base64.b64encode(b"\xff\xfe").decode(), "not JSON"),
        (base64.b64encode(b"[]").decode(), "not an object"),
        (base64.b64encode(b'{"credentials":"s3cr3t"}').decode(), "`credentials`"),
        (base64.b64encode(b'{"credentials":{"cluster_master_url":7}}').decode(), "cluster_master_url"),
        (base64.b64encode(b"[" * 9000).decode(), "not JSON"),
        ("A" * 20000, "longer"),
    ],
)
def test_malformed_spark_service_has_a_reason_and_no_secret(header: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        wire.decode_spark_service(header)
    assert "s3cr3t" not in str(caught.value)


def test_non_finite_numbers_become_words_and_the_rest_stays() -> None:
    row = [1.0, None, "NaN-ish", [0.5, math.inf], {"a": -math.inf}, True]
    assert wire.words_for_non_finite(row) == [
        1.0,
        None,
        "NaN-ish",
        [0.5, "Infinity"],
        {"a": "-Infinity"},
        True,
    ]
    finite = [[1.0, 2.0], ["x"]]
    assert wire.words_for_non_finite(finite) is finite
    assert wire.words_for_non_finite((math.nan,)) == ["NaN"]


def test_floats_from_json() -> None:
    assert math.isnan(wire.float_from_json("NaN"))
    assert wire.float_from_json(3) == 3.0
    for wrong in ("nan", "1", True, None, [1.0]):
        with pytest.raises(ValueError, match="not a number"):
            wire.float_from_json(wrong)
