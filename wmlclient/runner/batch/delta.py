"""Tables of Delta Lake, by the ``deltalake`` package: a version is there whole or not at all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from .failures import JobFailed
from .reading import Reader, of_dataset

# Of deltalake 1.6: it would go to another folder, or end the process.
_MISREAD = re.compile(r"%[0-9A-Fa-f]{2}|[\[\]\\]")


def read(place: dict[str, Any], types: dict[str, str]) -> Reader:
    """The newest version of a table.

    Args:
        place: Where it is.
        types: The model's input columns with their short types.

    Raises:
        JobFailed: The package is not installed, or cannot take the path.
    """
    deltalake = _package()
    table = deltalake.DeltaTable(_address(place), storage_options=_options(place))
    return of_dataset(table.to_pyarrow_dataset(), types)


def write(place: dict[str, Any], tables: Iterator[pa.Table]) -> None:
    """Make the rows the table's new version; the versions before stay what they were.

    Args:
        place: Where it is; made where it is missing.
        tables: The rows; what their making raises is raised here, and nothing is written.

    Raises:
        JobFailed: The package is not installed, or cannot take the path.
    """
    deltalake = _package()
    address = _address(place)
    first = next(tables)
    raised: list[BaseException] = []

    def batches() -> Iterator[pa.RecordBatch]:
        try:
            yield from first.to_batches()
            for table in tables:
                yield from table.to_batches()
        except BaseException as error:
            raised.append(error)
            raise

    rows = pa.RecordBatchReader.from_batches(first.schema, batches())
    try:
        deltalake.write_deltalake(
            address, rows, mode="overwrite", schema_mode="overwrite", storage_options=_options(place)
        )
    except BaseException:
        if raised:
            raise raised[0] from None
        raise


def _package() -> Any:
    try:
        import deltalake
    except ImportError:
        raise JobFailed(
            "not_supported", "Delta tables need a package more. Run: pip install 'wmlclient[delta]'"
        ) from None
    return deltalake


def _address(place: dict[str, Any]) -> str:
    if place["kind"] != "file":
        return f"s3://{place['bucket']}/{place['key']}"
    path = str(place["path"])
    wrong = _MISREAD.search(path)
    if wrong is not None:
        raise JobFailed(
            "not_supported",
            f"The package for Delta tables takes {wrong[0]!r} in {path!r} for something else than a part of a name. "
            "Name a path without it.",
        )
    return path


def _options(place: dict[str, Any]) -> dict[str, str] | None:
    if place["kind"] == "file":
        return None
    given = place["connection"]
    return {
        "AWS_ACCESS_KEY_ID": given["access_key"],
        "AWS_SECRET_ACCESS_KEY": given["secret_key"],
        "AWS_ENDPOINT_URL": given["url"],
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
        # Two writers at once: the second one is refused, not taken for the first.
        "aws_conditional_put": "etag",
    }
