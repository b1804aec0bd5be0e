"""Small things that several handlers need."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from ..store import PendingArchive
from .registry import Call, Services

_PIECE = 1 << 20

#: For calls that check a password: each takes 64 MiB and 50 ms, and who only guesses must not hold all threads.
guesses = anyio.CapacityLimiter(2)


async def receive(services: Services, call: Call) -> PendingArchive:
    """Take the body of an upload to the disk, in pieces, without holding the event loop."""
    assert call.chunks is not None
    run = anyio.to_thread.run_sync
    pending = await run(services.engine.contents.receive)
    try:
        waiting, size = [], 0
        async for part in call.chunks():
            waiting.append(part)
            size += len(part)
            if size >= _PIECE:
                await run(pending.write, b"".join(waiting))
                waiting, size = [], 0
        await run(pending.write, b"".join(waiting))
    except BaseException:
        pending.discard()
        raise
    return pending


async def receive_to(call: Call, target: Path) -> None:
    """Take the body of an upload to a file that is gone again soon."""
    assert call.chunks is not None
    async with await anyio.open_file(target, "wb") as file:
        async for part in call.chunks():
            await file.write(part)


async def ended(future: Future[Any], seconds: float) -> bool:
    """Whether a future of another thread ends in time, well or not. Giving up does not cancel it."""
    if future.done():
        return True
    waiting = asyncio.wrap_future(future)
    # Looked at, so that a failure nobody waits for any more is no warning.
    waiting.add_done_callback(lambda done: done.cancelled() or done.exception())
    await asyncio.wait([waiting], timeout=seconds)
    return future.done()
