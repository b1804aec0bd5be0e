"""Where a batch reads and writes: files of this machine, and objects of an S3-compatible storage.

What is written appears whole, by :meth:`Output.commit`, or not at all: a local file is renamed into its place, an
object's parts become an object. What a killed job leaves is a file whose name begins with a dot, or parts that nobody
sees; the runner removes them once it knows of the job's end, and before the job's next run.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, TypeVar

from wmlclient.runner import databases

from .failures import JobFailed

T = TypeVar("T")

_PART = 16 << 20


def part_name(path: Path, job_id: str) -> Path:
    """The name under which a job writes a local file."""
    return path.with_name(f".{path.name}.{job_id}.part")


class Output:
    """A file on its way.

    Attributes:
        file: Takes the bytes.
    """

    def __init__(self, file: Any, finish: Callable[[], None], drop: Callable[[], None]) -> None:
        self.file = file
        self._finish = finish
        self._drop = drop

    def commit(self) -> None:
        """Let it appear."""
        self._finish()

    def discard(self) -> None:
        """Let it never have been."""
        self._drop()


class LocalFiles:
    """Files of this machine.

    Args:
        job_id: The job; part of the name of what is on its way.
    """

    def __init__(self, job_id: str) -> None:
        self._job_id = job_id

    def open(self, place: dict[str, Any]) -> IO[bytes]:
        """A file to read."""
        return open(place["path"], "rb")

    def create(self, place: dict[str, Any]) -> Output:
        """A file to write; one of its name is replaced at the end."""
        path = Path(place["path"])
        part = part_name(path, self._job_id)
        file = open(part, "wb")  # noqa: SIM115 - closed by the output

        def finish() -> None:
            file.flush()
            os.fsync(file.fileno())
            file.close()
            if path.is_dir():  # the files of an earlier run, by Spark
                shutil.rmtree(path)
            os.replace(part, path)

        def drop() -> None:
            with suppress(OSError, ValueError):
                file.close()
            part.unlink(missing_ok=True)

        return Output(file, finish, drop)

    def remove(self, place: dict[str, Any]) -> None:
        """Remove a file that may be there."""
        Path(place["path"]).unlink(missing_ok=True)

    def abort(self, place: dict[str, Any]) -> None:
        """Remove what a run that was killed has left on its way, by Spark as a folder."""
        part = part_name(Path(place["path"]), self._job_id)
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


class Objects:
    """Objects of an S3-compatible storage.

    Args:
        connection: ``url``, ``access_key`` and ``secret_key``.

    Raises:
        JobFailed: s3fs is not installed.
    """

    def __init__(self, connection: dict[str, str]) -> None:
        try:
            import s3fs
        except ImportError:
            raise JobFailed(
                "not_supported", "Object storage needs a package more. Run: pip install 'wmlclient[s3]'"
            ) from None
        self._fs = s3fs.S3FileSystem(
            key=connection["access_key"],
            secret=connection["secret_key"],
            endpoint_url=connection["url"],
            config_kwargs={"connect_timeout": 10, "read_timeout": 60, "retries": {"max_attempts": 2}},
            use_listings_cache=False,
            skip_instance_cache=True,
        )

    def open(self, place: dict[str, Any]) -> Any:
        """An object to read."""
        return self._fs.open(_key(place), "rb", block_size=_PART, cache_type="readahead")

    def create(self, place: dict[str, Any]) -> Output:
        """An object to write; one of its name is replaced at the end."""
        # Asked at once: a wrong bucket or key is to fail before hours of work.
        self._fs.call_s3("head_bucket", Bucket=place["bucket"])
        file = self._fs.open(_key(place), "wb", block_size=_PART, autocommit=False)

        def finish() -> None:
            file.close()
            file.commit()

        def drop() -> None:
            with suppress(Exception):
                file.discard()

        return Output(file, finish, drop)

    def abort(self, place: dict[str, Any]) -> None:
        """Give up what a killed job has uploaded of an object: nobody sees it, and it would be kept for ever."""
        found = self._fs.call_s3("list_multipart_uploads", Bucket=place["bucket"], Prefix=place["key"])
        for upload in found.get("Uploads", ()):
            if upload["Key"] == place["key"]:
                self._fs.call_s3(
                    "abort_multipart_upload",
                    Bucket=place["bucket"],
                    Key=upload["Key"],
                    UploadId=upload["UploadId"],
                )

    def remove(self, place: dict[str, Any]) -> None:
        """Remove an object that may be there."""
        if self._fs.exists(_key(place)):
            self._fs.rm_file(_key(place))


def files(place: dict[str, Any], job_id: str) -> LocalFiles | Objects:
    """What reads and writes at a place."""
    return Objects(place["connection"]) if place["kind"] == "s3" else LocalFiles(job_id)


def _key(place: dict[str, Any]) -> str:
    return f"{place['bucket']}/{place['key']}"


def shown(place: dict[str, Any]) -> str:
    """A place in the words of an error."""
    if place["kind"] == "table":
        return databases.shown(place)
    return repr(place["path"]) if place["kind"] == "file" else repr(f"{place['bucket']}/{place['key']}")


def explained(work: Callable[[], T], place: dict[str, Any], what: str) -> T:
    """Do something with a file, and say in plain words why it fails.

    Args:
        work: What to do.
        place: Where.
        what: ``read`` or ``written``.

    Raises:
        JobFailed: ``storage_full``, ``file_not_found``, ``storage_not_authorized``, ``storage_unavailable``.
    """
    try:
        return work()
    except JobFailed:
        raise
    except Exception as error:
        failure = _failure(error, place, what)
        if failure is None:
            raise
        raise failure from None


def _failure(error: Exception, place: dict[str, Any], what: str) -> JobFailed | None:
    name = shown(place)
    if isinstance(error, databases.DatabaseError):
        return JobFailed(error.code, error.message)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return JobFailed(
            "storage_full", f"{name} cannot be written: the disk is full. Free some space and run it again."
        )
    if isinstance(error, FileNotFoundError):
        return JobFailed(
            "file_not_found", f"{name} cannot be {what}: there is no such file, folder or bucket."
        )
    kind = f"{type(error).__module__}.{type(error).__name__} {error}"
    if "TableNotFoundError" in kind:
        return JobFailed("file_not_found", f"{name} cannot be {what}: there is no Delta table.")
    if isinstance(error, PermissionError) or re.search(
        r"InvalidAccessKeyId|SignatureDoesNotMatch|AccessDenied|Forbidden|40[13]\b", kind
    ):
        return JobFailed(
            "storage_not_authorized",
            f"{name} cannot be {what}: access is denied. Check the keys and their rights.",
        )
    if (
        place["kind"] == "s3"
        and isinstance(error, (OSError, ConnectionError))
        or "botocore" in kind
        or "aiohttp" in kind
        or kind.startswith(("deltalake.", "_internal.", "deltalake._internal."))
    ):
        return JobFailed(
            "storage_unavailable",
            f"{name} cannot be {what}: the object storage does not answer ({type(error).__name__}). "
            "Check its address, and run it again.",
        )
    if isinstance(error, OSError):
        return JobFailed("storage_unavailable", f"{name} cannot be {what}: {os.strerror(error.errno or 0)}.")
    return None
