"""A registry of schemas that speaks as Confluent's does, and the framing of the records that name its schemas."""

from __future__ import annotations

import base64
import json
import urllib.error
from typing import Any
from urllib.parse import quote

from confluent_kafka import KafkaError, KafkaException

from wmlclient.plain_http import ask, host_of
from wmlclient.runner.engine.ports import StreamSetupError

_TYPE = "application/vnd.schemaregistry.v1+json"
_FRAME = 5
_CONFLICT, _UNPROCESSABLE = 409, 422


class UnknownSchema(Exception):
    """The registry has no such schema, or one that is not to be used here."""


def unframed(value: bytes) -> tuple[int, bytes] | None:
    """The schema's number and the payload; None for a value that has no frame.

    >>> unframed(b"\\0\\0\\0\\0\\x07payload")
    (7, b'payload')
    """
    if len(value) < _FRAME or value[0]:
        return None
    return int.from_bytes(value[1:_FRAME], "big"), value[_FRAME:]


def frame(number: int) -> bytes:
    """What stands before a payload."""
    return b"\0" + number.to_bytes(4, "big")


def unavailable(away: KafkaException) -> StreamSetupError:
    """What a stream that cannot begin says of a registry that is away."""
    return StreamSetupError(
        "registry_unavailable", f"The stream waits: {away.args[0].str()}.", retriable=True
    )


class Registry:
    """One registry.

    Args:
        given: ``url``, and perhaps ``user``, ``password`` and ``ca``.
    """

    def __init__(self, given: dict[str, Any]) -> None:
        self._url = str(given["url"]).rstrip("/")
        self._ca = given.get("ca")
        self._headers = {"Accept": _TYPE}
        if given.get("user"):
            login = f"{given['user']}:{given.get('password') or ''}".encode()
            self._headers["Authorization"] = "Basic " + base64.b64encode(login).decode()

    def schema(self, number: int) -> tuple[str, str]:
        """Type (``AVRO``, ``JSON``, ``PROTOBUF``) and text of a schema.

        Raises:
            UnknownSchema: There is none of this number.
            KafkaException: The registry is away: as for a broker that is, the stream waits.
            StreamSetupError: ``registry_refused``.
        """
        found = self._ask(f"/schemas/ids/{number}")
        if found.get("references"):
            raise UnknownSchema(f"schema {number} refers to others")
        return str(found.get("schemaType") or "AVRO"), str(found["schema"])

    def register(self, subject: str, kind: str, schema: dict[str, Any]) -> int:
        """Register a schema, or find it; returns its number.

        Raises:
            StreamSetupError: ``schema_refused``: it does not go with what the subject has; ``registry_refused``.
            KafkaException: The registry is away.
        """
        body = {"schemaType": kind, "schema": json.dumps(schema)}
        try:
            return int(self._ask(f"/subjects/{quote(subject, safe='')}/versions", body)["id"])
        except UnknownSchema as refused:
            raise StreamSetupError(
                "schema_refused",
                f"The schema registry {host_of(self._url)} does not take the schema of the target: {refused}. Give "
                "another subject, or allow the change there.",
            ) from None

    def _ask(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        headers = self._headers | ({"Content-Type": _TYPE} if body is not None else {})
        data = json.dumps(body).encode() if body is not None else None
        try:
            found: dict[str, Any] = json.loads(ask(self._url + path, headers, data, self._ca))
            return found
        except urllib.error.HTTPError as error:
            with error:
                code, said = error.code, _said(error)
        except OSError as error:
            raise self._away(str(getattr(error, "reason", error))) from None
        except ValueError:
            raise self._away("it does not answer as a registry does") from None
        if code in (401, 403):
            raise StreamSetupError(
                "registry_refused",
                f"The schema registry {host_of(self._url)} refuses this user (HTTP {code}). Check user and password.",
            )
        if code in (404, _CONFLICT, _UNPROCESSABLE):
            raise UnknownSchema(said)
        raise self._away(f"HTTP {code}")

    def _away(self, reason: str) -> KafkaException:
        text = f"the schema registry {host_of(self._url)} is away: {reason}"
        return KafkaException(KafkaError(KafkaError._TRANSPORT, text))


def _said(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read(4096))["message"])[:300]
    except (ValueError, KeyError, TypeError, OSError):
        return f"HTTP {error.code}"
