"""What both ends of the wire must spell alike: the Spark service header and numbers that JSON has no word for.

The standard library only, so that either half may import it without a cost.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Mapping
from typing import Any

#: How a non-finite double is written in JSON; Spark's ``to_json`` writes the same three words.
NON_FINITE: dict[str, float] = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}

SPARK_SERVICE_HEADER = "X-Spark-Service-Instance"
REQUEST_ID_HEADER = "X-Global-Transaction-ID"
SCORING_ENGINE_HEADER = "X-Scoring-Engine"
MODEL_VERSION_HEADER = "X-Model-Version"

_HEADER_LIMIT = 16 * 1024


def encode_spark_service(service: Mapping[str, Any]) -> str:
    """The value of ``X-Spark-Service-Instance``: standard base64, one line, of the service's JSON.

    Args:
        service: ``{"credentials": {"cluster_master_url": ...}, "version": "2.0"}`` and what else the service gave.

    >>> encode_spark_service({"version": "2.0"})
    'eyJ2ZXJzaW9uIjoiMi4wIn0='
    """
    return base64.b64encode(json.dumps(service, separators=(",", ":")).encode()).decode("ascii")


def decode_spark_service(header: str) -> dict[str, Any]:
    """The Spark service that a header names; the reverse of :func:`encode_spark_service`.

    White space around the header and a line end inside the decoded text are fine: the documented way to make one is
    ``echo '{...}' | base64 --wrap=0``, which leaves both.

    Raises:
        ValueError: With the reason: not base64, not JSON, not an object. The message never quotes the content,
            which holds a secret.

    >>> decode_spark_service("eyJ2ZXJzaW9uIjoiMi4wIn0=")
    {'version': '2.0'}
    """
    text = header.strip()
    if not text:
        raise ValueError("it is empty")
    if len(text) > _HEADER_LIMIT:
        raise ValueError(f"it is longer than {_HEADER_LIMIT} characters")
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("it is not standard base64 on one line") from None
    try:
        service = json.loads(raw.decode("utf-8"))
    except (UnicodeDecodeError, ValueError, RecursionError):
        raise ValueError("the decoded text is not JSON") from None
    if not isinstance(service, dict):
        raise ValueError("the decoded JSON is not an object")
    credentials = service.get("credentials", {})
    if not isinstance(credentials, dict):
        raise ValueError("`credentials` in it is not an object")
    master = credentials.get("cluster_master_url")
    if master is not None and not isinstance(master, str):
        raise ValueError("`credentials.cluster_master_url` in it is not a string")
    return service


def words_for_non_finite(value: Any) -> Any:
    """The same value, with every NaN and infinity in it replaced by its JSON word.

    Returns the very object where there is nothing to replace.

    >>> words_for_non_finite([1.5, float("nan"), [float("-inf")]])
    [1.5, 'NaN', ['-Infinity']]
    """
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, (list, tuple)):
        new = [words_for_non_finite(item) for item in value]
        same = isinstance(value, list) and all(a is b for a, b in zip(new, value, strict=True))
        return value if same else new
    if isinstance(value, dict):
        return {key: words_for_non_finite(item) for key, item in value.items()}
    return value


def float_from_json(value: Any) -> float:
    """A JSON number, or one of the words of :data:`NON_FINITE`, as a float.

    Raises:
        ValueError: It is neither.

    >>> float_from_json("-Infinity"), float_from_json(2)
    (-inf, 2.0)
    """
    if isinstance(value, str) and value in NON_FINITE:
        return NON_FINITE[value]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"not a number: a {type(value).__name__}")
    return float(value)
