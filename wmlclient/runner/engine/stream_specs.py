"""A stream in full, made of what was asked for and of what scores its records."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .connections import stream_endpoints
from .contents import Contents
from .formats import stream_formats
from .ports import StreamSpec


def scoring(contents: Contents, schema: dict[str, Any], digest: str) -> dict[str, Any]:
    """The members of a specification that say what is done with records: a model scores them.

    Args:
        contents: Archives.
        schema: The JSON of the model's input.
        digest: Of the model's content.
    """
    return {"model_dir": str(contents.folder(digest)), "input_schema": schema, "model_digest": digest}


def stream_spec(
    id: str, body: Mapping[str, Any], work: dict[str, Any], created_at: int, checkpoints: Path
) -> StreamSpec:
    """The specification.

    Args:
        id: Of the deployment.
        body: The request, and what was chosen for it.
        work: What is done with records; see :func:`scoring`.
        created_at: Milliseconds since 1970.
        checkpoints: Folder of all streams' checkpoints.

    Raises:
        Invalid: Its connections or formats are malformed.
    """
    ends = stream_endpoints(body)
    formats = stream_formats(body, work["input_schema"])
    checkpoints.mkdir(mode=0o700, parents=True, exist_ok=True)
    return StreamSpec(
        stream_id=id,
        source=ends.source,
        target=ends.target,
        dead_letter=ends.dead_letter,
        checkpoint_dir=str(checkpoints / id),
        created_at_ms=created_at,
        delivery=body.get("delivery", "at_least_once"),
        workers=body.get("workers", 1),
        receipts=body.get("receipts", False),
        source_format=formats.source,
        target_format=formats.target,
        latency=body.get("latency", "default"),
        **work,
    )
