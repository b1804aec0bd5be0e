"""Small things that several handlers of Machine Learning Server need."""

from __future__ import annotations

import asyncio
import keyword
from collections.abc import AsyncGenerator, AsyncIterator
from concurrent.futures import Future
from contextlib import asynccontextmanager
from datetime import datetime, timezone
from typing import TypeVar, cast

import anyio.to_thread
from starlette.datastructures import FormData, Headers
from starlette.formparsers import MultiPartException, MultiPartParser

from ...engine.errors import Forbidden, Invalid, field_error
from ...engine.sessions import Session
from ...users import READER
from ..registry import Call, Services

T = TypeVar("T")


async def outcome(future: Future[T]) -> T:
    """What another thread comes to; nothing waits for it but this call."""
    return await asyncio.wrap_future(future)


async def session(services: Services, call: Call) -> Session:
    """The caller's session that the path names.

    Raises:
        NotFound, Gone: There is none, or no more.
    """
    return await anyio.to_thread.run_sync(services.engine.sessions.get, call.caller.name, call.path["id"])


def may_run_code(call: Call) -> None:
    """Return where the caller may run code of its own here.

    Raises:
        Forbidden: Readers may not.
    """
    if call.caller.role == READER:
        raise Forbidden(
            "role_required", "Readers use web services; sessions are for Contributors and Owners."
        )


def object_name(call: Call) -> str:
    """The object that the path names.

    Raises:
        Invalid: ``invalid_object_name``.
    """
    return variable(call.path["objectName"], "objectName")


def variable(name: str | None, where: str) -> str:
    """A name that a variable can have.

    Raises:
        Invalid: ``invalid_object_name``.
    """
    if not name or not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
        raise field_error(
            where,
            f"{(name or '')[:80]!r} is no name for an object: a Python name without `_` before it is.",
            "invalid_object_name",
        )
    return name


def dotnet(ms: int) -> str:
    """A time as .NET writes it, UTC and without saying so.

    >>> dotnet(1479671449752)
    '2016-11-20T19:50:49.7520000'
    """
    moment = datetime.fromtimestamp(ms // 1000, tz=timezone.utc)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}0000"


def clean(text: str) -> str:
    """Text that UTF-8 has a form for; file names and prints may hold bytes that are none."""
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


@asynccontextmanager
async def form(call: Call) -> AsyncIterator[FormData]:
    """The parts of a form; large files are on the disk until the end.

    Raises:
        Invalid: ``invalid_form``.
    """
    assert call.chunks is not None
    if not call.content_type.lower().startswith("multipart/form-data"):
        raise Invalid("invalid_form", "Send the file as multipart/form-data.")
    body = cast("AsyncGenerator[bytes, None]", call.chunks())
    parser = MultiPartParser(Headers({"content-type": call.content_type}), body, max_files=10)
    try:
        found = await parser.parse()
    except (MultiPartException, KeyError, UnicodeDecodeError, LookupError) as error:
        raise Invalid("invalid_form", f"The form cannot be read: {str(error)[:200]}") from None
    try:
        yield found
    finally:
        await found.close()
