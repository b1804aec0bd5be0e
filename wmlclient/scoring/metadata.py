"""The JSON beside every saved stage, and what a saved pipeline is made of. Nothing is run."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import frozen

from wmlclient.scoring.archive import Limits
from wmlclient.scoring.classes import is_known
from wmlclient.scoring.errors import ArchiveError

__all__ = ["ModelInfo", "StageInfo", "find_root", "foreign_sentence", "inspect", "read_metadata"]

_PIPELINES = {
    "org.apache.spark.ml.PipelineModel": "PipelineModel",
    "org.apache.spark.ml.Pipeline": "Pipeline",
    "pyspark.ml.pipeline.PipelineModel": "PipelineModel",
    "pyspark.ml.pipeline.Pipeline": "Pipeline",
}
# Two stages keep a model of the older library among their data. It has no uid, and its reader knows its own classes.
_OLDER = (
    "org.apache.spark.mllib.clustering.BisectingKMeansModel",
    "org.apache.spark.mllib.clustering.DistributedLDAModel",
)
MAX_METADATA_BYTES = 64 << 20
_PACKED = (".gz", ".bz2", ".snappy", ".lz4", ".zst", ".deflate")


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
        java_class: Its class: Spark's, or PySpark's where a part of it has no Java writer.
        spark_version: The Spark that saved it.
        stages: Every saved stage inside, nested ones too, in the pipeline's order.
    """

    kind: str
    uid: str
    java_class: str
    spark_version: str
    stages: tuple[StageInfo, ...]

    @property
    def foreign(self) -> tuple[StageInfo, ...]:
        """Stages of classes that are not Spark's own: loading them runs code that Spark does not ship."""
        return tuple(stage for stage in self.stages if not is_known(stage.java_class))


def foreign_sentence(stage: StageInfo) -> str:
    """What is wrong with a stage of a foreign class, for an error."""
    return (
        f"the stage {stage.uid[:80]!r} (in {stage.folder[:120]!r}) is of the class {stage.java_class[:120]!r}, "
        "which is none of Spark ML's own (3.4 to 4.2)"
    )


def read_metadata(folder: Path) -> dict[str, Any] | None:
    """The JSON that Spark writes beside every stage, or ``None`` if the folder has none.

    Spark up to 3.5 names it ``metadata/part-00000``, Spark 4 ``metadata/part-00000-<uuid>-c000.txt``.

    Raises:
        ArchiveError: There is such a file, and it is not that JSON.
    """
    metadata = _read(folder)
    if metadata is None:
        return None
    where = f"{folder.name}/metadata"
    for key in ("class", "uid", "sparkVersion"):
        if not isinstance(metadata.get(key), str):
            raise ArchiveError(f"{where} has no {key!r}: not a saved Spark ML stage")
    for key in ("paramMap", "defaultParamMap"):
        if not isinstance(metadata.get(key, {}), dict):
            raise ArchiveError(f"{where}: {key} is not a JSON object")
    return metadata


def _read(folder: Path) -> dict[str, Any] | None:
    where = f"{folder.name}/metadata"
    file = _only_part(folder / "metadata", where)
    if file is None:
        return None
    line = file.read_text("utf-8", "replace").strip().split("\n", 1)[0]
    try:
        metadata = json.loads(line, object_pairs_hook=_once, parse_int=_long)
    except _Refused as error:
        raise ArchiveError(f"{where} {error}: the model is damaged") from None
    except (ValueError, RecursionError):
        raise ArchiveError(f"{where} is not JSON: the model is damaged") from None
    if not isinstance(metadata, dict):
        raise ArchiveError(f"{where} is not a JSON object: the model is damaged")
    return metadata


def _only_part(folder: Path, where: str) -> Path | None:
    """The file that Spark reads: it takes the first line of any file there, whatever its name."""
    if not folder.is_dir():
        return None
    seen = [path for path in folder.iterdir() if not path.name.startswith((".", "_"))]
    odd = sorted(path.name for path in seen if not path.name.startswith("part-") or not path.is_file())
    if odd:
        raise ArchiveError(
            f"{where} holds {odd[0][:80]!r}, which is not metadata: the model was tampered with"
        )
    if any(path.suffix in _PACKED for path in seen):
        raise ArchiveError(f"{where} is compressed; save the model with Spark's default settings")
    if sum(path.stat().st_size for path in seen) > MAX_METADATA_BYTES:
        raise ArchiveError(f"{where} is larger than {MAX_METADATA_BYTES} bytes")
    full = [path for path in seen if path.stat().st_size]
    if len(full) > 1:
        raise ArchiveError(
            f"{where} holds {len(full)} files where Spark writes one: the model was tampered with"
        )
    return next(iter(full or seen), None)


class _Refused(Exception):
    """JSON that two readers may take for two things."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Refused("names a key twice")
    return found


def _long(digits: str) -> int:
    if len(digits) > 20 or not -(1 << 63) <= int(digits) < 1 << 63:
        raise _Refused("holds a whole number beyond 64 bits")
    return int(digits)


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
        >>> from wmlclient.scoring import metadata
        >>> metadata.inspect("sentiment").stages[0].java_class         # doctest: +SKIP
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
    stages = tuple(walk(root))
    uids = metadata.get("paramMap", {}).get("stageUids", [])
    known = {stage.uid for stage in stages}
    missing = [uid for uid in uids if uid not in known] if isinstance(uids, list) else [uids]
    if missing:
        raise ArchiveError(f"the model is not whole: the stage {missing[0]!r:.80} has no folder")
    return ModelInfo(kind, metadata["uid"], metadata["class"], metadata["sparkVersion"], stages)


def walk(root: Path) -> Iterator[StageInfo]:
    """Every stage saved below a folder, wherever it stands: Spark finds stages by paths that uids make up."""
    depth = len(root.parts)
    for name, folders, _ in os.walk(root):
        folder = Path(name)
        if len(folder.parts) - depth > Limits().depth:
            raise ArchiveError("the model's stages are nested too deep")
        folders.sort()
        if "metadata" not in folders or folder == root:
            continue
        older = _read(folder)
        if older is not None and "uid" not in older and older.get("class") in _OLDER:
            continue
        metadata = read_metadata(folder)
        if metadata is not None:
            place = folder.relative_to(root).as_posix()
            yield StageInfo(metadata["uid"], metadata["class"], metadata["sparkVersion"], place)
