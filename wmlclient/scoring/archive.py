"""Archives of saved models: unpacked safely, inspected without running anything.

A saved Spark ML model is a folder of JSON and Parquet; it travels as a ``.tar.gz`` of that folder. Nothing in an
archive is trusted: see :func:`unpack` for what is refused.
"""

from __future__ import annotations

import gzip
import json
import logging
import os
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

from attrs import frozen

from wmlclient.scoring.errors import ArchiveError
from wmlclient.scoring.tar import TarReader

__all__ = ["Limits", "ModelInfo", "StageInfo", "find_root", "inspect", "unpack"]

_log = logging.getLogger("wmlclient.scoring.archive")

_PIPELINES = {
    "org.apache.spark.ml.PipelineModel": "PipelineModel",
    "org.apache.spark.ml.Pipeline": "Pipeline",
    "pyspark.ml.pipeline.PipelineModel": "PipelineModel",
    "pyspark.ml.pipeline.Pipeline": "Pipeline",
}
MAX_METADATA_BYTES = 64 << 20


@frozen
class Limits:
    """How much an archive may hold.

    Attributes:
        count: Members, folders included.
        total: Bytes of all files, unpacked.
        ratio: Unpacked bytes for one packed byte, looked at once ``ratio_floor`` bytes are unpacked.
        ratio_floor: Bytes that any archive may unpack to.
        depth: Folders in one name.
    """

    count: int = 50_000
    total: int = 4 << 30
    ratio: int = 200
    ratio_floor: int = 16 << 20
    depth: int = 32


@frozen
class StageInfo:
    """A saved stage: its uid, its class, the Spark version that wrote it, its folder below the model's."""

    uid: str
    java_class: str
    spark_version: str
    folder: str


@frozen
class ModelInfo:
    """What a saved pipeline is, read from its JSON alone.

    Attributes:
        kind: ``"PipelineModel"`` (fitted) or ``"Pipeline"``.
        uid: The pipeline's uid.
        spark_version: The Spark that saved it.
        stages: Every saved stage inside, nested ones too, in the pipeline's order.
    """

    kind: str
    uid: str
    spark_version: str
    stages: tuple[StageInfo, ...]

    @property
    def foreign_classes(self) -> tuple[str, ...]:
        """Classes that are not Spark's own: loading them in Spark runs code that Spark does not ship."""
        own = ("org.apache.spark.ml.", "pyspark.ml.")
        return tuple(sorted({s.java_class for s in self.stages if not s.java_class.startswith(own)}))


class _Counted:
    """A reader that counts what it gave."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self.count = 0

    def read(self, size: int = -1) -> bytes:
        piece = self._raw.read(size)
        self.count += len(piece)
        return piece


class _Unzipped:
    """The unpacked bytes of a gzip stream, within limits, with gzip's errors made clear."""

    def __init__(self, raw: IO[bytes], limits: Limits) -> None:
        self._packed = _Counted(raw)
        self._gzip = gzip.GzipFile(fileobj=self._packed, mode="rb")  # type: ignore[call-overload]
        self._limits = limits
        self._count = 0

    def read(self, size: int, /) -> bytes:
        try:
            piece: bytes = self._gzip.read(min(size, 1 << 16))
        except EOFError:
            raise ArchiveError("the archive is truncated: the compressed data ends early") from None
        except (OSError, zlib.error) as error:
            if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile):
                raise
            what = "damaged" if self._count else "not a gzip file (.tar.gz)"
            raise ArchiveError(f"the archive is {what}: {error}") from None
        self._count += len(piece)
        limits = self._limits
        # Headers and padding count too: an archive of a million empty members is as bad as a large file.
        if self._count > limits.total + limits.count * 2048:
            raise ArchiveError(f"the archive unpacks to more than {limits.total} bytes")
        if self._count > max(limits.ratio_floor, limits.ratio * self._packed.count):
            raise ArchiveError(f"the archive unpacks to more than {limits.ratio} times its size")
        return piece


def unpack(
    source: str | os.PathLike[str] | IO[bytes],
    target_dir: str | os.PathLike[str],
    limits: Limits | None = None,
) -> None:
    """Unpacks a ``.tar.gz`` into a folder, or raises and leaves nothing behind.

    Only regular files and folders are written. Refused, by name: links, devices, pipes, sparse files; absolute
    names, ``..``, backslashes, drive letters, control characters; a name that comes twice; more members, bytes,
    depth or compression than ``limits`` allow. Files get mode 0600, folders 0700, whatever the archive says.

    Args:
        source: The archive: a path, or an open binary file.
        target_dir: A folder that does not exist or is empty.
        limits: See :class:`Limits`.

    Raises:
        ArchiveError: The archive is unsafe, damaged or too large.
        FileExistsError: The target is not empty.
        OSError: The disk is full, or the target cannot be written.
    """
    target = Path(target_dir)
    existed = target.exists()
    if existed and any(target.iterdir()):
        raise FileExistsError(f"{target} is not empty: an archive is unpacked into a new folder")
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        if isinstance(source, (str, os.PathLike)):
            with open(source, "rb") as file:
                _unpack(file, target, limits or Limits())
        else:
            _unpack(source, target, limits or Limits())
    except BaseException:
        for entry in list(target.iterdir()):
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        if not existed:
            target.rmdir()
        raise


def _unpack(file: IO[bytes], target: Path, limits: Limits) -> None:
    stream = _Unzipped(file, limits)
    reader = TarReader(stream)
    count = total = 0
    for member in reader:
        count += 1
        total += member.size
        if count > limits.count:
            raise ArchiveError(f"the archive has more than {limits.count} members")
        if total > limits.total:
            raise ArchiveError(f"the archive unpacks to more than {limits.total} bytes")
        parts = safe_parts(member.name, limits.depth)
        if not parts:  # "./", the folder itself
            if not member.is_dir:
                raise ArchiveError(f"the archive has a file without a name: {member.name!r}")
            continue
        path = target.joinpath(*parts)
        try:
            if member.is_dir:
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
            else:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                _write(path, reader.data())
        except (FileExistsError, NotADirectoryError):
            raise ArchiveError(f"the archive has the name {member.name[:200]!r} twice") from None
    while stream.read(1 << 16):  # the rest of the gzip stream, so that its checksum is verified
        pass
    if not count:
        raise ArchiveError("the archive is empty")
    _log.debug("unpacked %d members, %d bytes", count, total)


def safe_parts(name: str, depth: int = Limits().depth) -> tuple[str, ...]:
    """The folders and file of a member's name, or an :class:`ArchiveError` if it could leave the target."""
    shown = repr(name[:200])
    if name.startswith("/") or "\\" in name or name[1:2] == ":":
        raise ArchiveError(f"the archive has an absolute or Windows name: {shown}")
    if any(ord(c) < 32 or ord(c) == 127 for c in name):
        raise ArchiveError(f"the archive has a name with control characters: {shown}")
    parts = tuple(part for part in PurePosixPath(name).parts if part != ".")
    if ".." in parts:
        raise ArchiveError(f"the archive has a name with '..': {shown}")
    if len(parts) > depth:
        raise ArchiveError(f"the archive has a name deeper than {depth} folders: {shown}")
    if any(len(part.encode()) > 255 for part in parts):
        raise ArchiveError(f"the archive has a name that is too long: {shown}")
    return parts


def _write(path: Path, pieces: Iterator[bytes]) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        for piece in pieces:
            file.write(piece)


def read_metadata(folder: Path) -> dict[str, Any] | None:
    """The JSON that Spark writes beside every stage, or ``None`` if the folder has none.

    Spark up to 3.5 names it ``metadata/part-00000``, Spark 4 ``metadata/part-00000-<uuid>-c000.txt``.

    Raises:
        ArchiveError: There is such a file, and it is not that JSON.
    """
    files = sorted((folder / "metadata").glob("part-*"))
    if not files:
        return None
    where = f"{folder.name}/metadata"
    if sum(file.stat().st_size for file in files) > MAX_METADATA_BYTES:
        raise ArchiveError(f"{where} is larger than {MAX_METADATA_BYTES} bytes")
    if any(file.suffix in (".gz", ".bz2", ".snappy", ".lz4", ".zst") for file in files):
        raise ArchiveError(f"{where} is compressed; save the model with Spark's default settings")
    text = "".join(file.read_text("utf-8", "replace") for file in files).strip()
    line = text.split("\n", 1)[0]
    try:
        metadata = json.loads(line)
    except (ValueError, RecursionError):
        raise ArchiveError(f"{where} is not JSON: the model is damaged") from None
    if not isinstance(metadata, dict):
        raise ArchiveError(f"{where} is not a JSON object: the model is damaged")
    for key in ("class", "uid", "sparkVersion"):
        if not isinstance(metadata.get(key), str):
            raise ArchiveError(f"{where} has no {key!r}: not a saved Spark ML stage")
    for key in ("paramMap", "defaultParamMap"):
        if not isinstance(metadata.get(key, {}), dict):
            raise ArchiveError(f"{where}: {key} is not a JSON object")
    return metadata


def find_root(folder: str | os.PathLike[str]) -> Path:
    """The folder of the model: the given one, or the only one below it that holds a saved stage.

    Archives are made of the model's folder or of its contents; both are accepted, three levels deep.
    """
    root = Path(folder)
    for _ in range(4):
        if (root / "metadata").is_dir():
            return root
        inside = [p for p in root.iterdir() if p.is_dir() and not p.name.startswith((".", "__MACOSX"))]
        if len(inside) != 1:
            break
        root = inside[0]
    raise ArchiveError("not a saved Spark ML pipeline: there is no folder 'metadata' in it")


def inspect(folder: str | os.PathLike[str]) -> ModelInfo:
    """What the pipeline saved in a folder is made of. Reads JSON, runs nothing.

    Example:
        >>> from wmlclient.scoring import archive
        >>> archive.inspect("sentiment").stages[0].java_class          # doctest: +SKIP
        'org.apache.spark.ml.feature.Tokenizer'

    Raises:
        ArchiveError: The folder is not a saved ``PipelineModel`` or ``Pipeline``.
    """
    root = find_root(folder)
    metadata = read_metadata(root)
    kind = _PIPELINES.get(metadata["class"]) if metadata else None
    if metadata is None or kind is None:
        found = (
            f"it holds a {metadata['class'].rpartition('.')[2]}" if metadata else "its metadata is missing"
        )
        raise ArchiveError(f"not a saved Spark ML pipeline: {found}; save a PipelineModel")
    stages = tuple(_walk(root, root, 0))
    uids = metadata.get("paramMap", {}).get("stageUids", [])
    direct = {s.uid for s in stages}
    missing = [uid for uid in uids if uid not in direct]
    if missing:
        raise ArchiveError(f"the model is not whole: the stage {missing[0]!r} has no folder")
    return ModelInfo(kind, metadata["uid"], metadata["sparkVersion"], stages)


def _walk(root: Path, folder: Path, depth: int) -> Iterator[StageInfo]:
    if depth > Limits().depth:
        raise ArchiveError("the model's stages are nested too deep")
    for path in sorted(p for p in folder.iterdir() if p.is_dir() and not p.is_symlink()):
        if path.name in ("metadata", "data"):
            continue
        metadata = read_metadata(path)
        if metadata is not None:
            name = str(path.relative_to(root).as_posix())
            yield StageInfo(metadata["uid"], metadata["class"], metadata["sparkVersion"], name)
        yield from _walk(root, path, depth + 1)
