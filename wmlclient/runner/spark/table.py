"""The tables of :mod:`wmlclient.exchange` with the errors and answers of the engine's ports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wmlclient import exchange
from wmlclient.exchange import ROW, ExchangeError, has_vectors, simple_string
from wmlclient.runner.engine.ports import TransformFailed, TransformResult

__all__ = ["ROW", "from_lines", "has_vectors", "request_schema", "simple_string", "to_lines"]


def request_schema(schema: dict[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    """See :func:`wmlclient.exchange.request_schema`.

    Raises:
        TransformFailed: The schema lacks a column, or a column is named twice.
    """
    try:
        return exchange.request_schema(schema, fields)
    except ExchangeError as error:
        raise TransformFailed(error.message, error.code) from None


def to_lines(schema: dict[str, Any], fields: Sequence[str], values: Sequence[Sequence[Any]]) -> str:
    """See :func:`wmlclient.exchange.to_lines`.

    Raises:
        TransformFailed: A row is of the wrong length, or a value cannot be of its column's type.
    """
    try:
        return exchange.to_lines(schema, fields, values)
    except ExchangeError as error:
        raise TransformFailed(error.message, error.code) from None


def from_lines(
    text: str, output: dict[str, Any], fields: Sequence[str], values: Sequence[Sequence[Any]]
) -> TransformResult:
    """See :func:`wmlclient.exchange.from_lines`."""
    answer = exchange.from_lines(text, output, fields, values)
    return TransformResult(answer.fields, answer.values, answer.dtypes)
