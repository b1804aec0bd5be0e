"""A saved stage, read from its folder: JSON for what it is, Parquet for what it learned. No JVM, no code run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from wmlclient.scoring.apart import Form, read
from wmlclient.scoring.cells import Cells
from wmlclient.scoring.errors import ArchiveError, UnsupportedModel
from wmlclient.scoring.footer import Unreadable
from wmlclient.scoring.metadata import read_metadata

__all__ = ["SavedStage", "read_stage"]


@frozen
class SavedStage:
    """What a stage's folder says.

    Attributes:
        folder: Where it is.
        uid: Its uid.
        java_class: Its class.
        spark_version: The Spark that saved it, for example ``"4.2.0"``.
        metadata: The whole JSON, for the stages that keep more than params there.
    """

    folder: Path
    uid: str
    java_class: str
    spark_version: str
    metadata: Mapping[str, Any] = field(repr=False)

    @property
    def version(self) -> tuple[int, int]:
        """Major and minor version of the Spark that saved it."""
        numbers = self.spark_version.split(".")
        try:
            return int(numbers[0]), int(numbers[1])
        except (IndexError, ValueError):
            raise ArchiveError(
                f"stage {self.uid} was saved by an unknown Spark {self.spark_version!r:.40}"
            ) from None

    def params(self) -> dict[str, Any]:
        """The params that are set, over the defaults of the Spark that saved the stage."""
        return {**self.metadata.get("defaultParamMap", {}), **self.metadata.get("paramMap", {})}

    def is_set(self, name: str) -> bool:
        """Whether the param was set, rather than left at its default."""
        return name in self.metadata.get("paramMap", {})

    def refuse(self, reason: str) -> UnsupportedModel:
        """The error that says why this stage is not scored natively."""
        return UnsupportedModel(self.uid, reason, self.java_class)

    def damaged(self, reason: str) -> ArchiveError:
        """The error that says what is wrong with this stage's files."""
        return ArchiveError(f"stage {self.uid} is damaged: {reason}")

    def rows(self, name: str = "data") -> list[dict[str, Any]]:
        """The rows of a subfolder's Parquet files; vectors and matrices are decoded, structs are dicts."""
        rows: list[dict[str, Any]] = self._read("rows", name)
        return rows

    def columns(self, name: str = "data") -> dict[str, Cells]:
        """The columns of a subfolder's Parquet files, by name: see :data:`wmlclient.scoring.cells.Cells`."""
        columns: dict[str, Cells] = self._read("columns", name)
        return columns

    def _read(self, form: Form, name: str) -> Any:
        files = sorted((self.folder / name).glob("*.parquet"))
        if not files:
            raise self.damaged(f"there is no Parquet file in {name!r}")
        try:
            return read(form, files)
        except Unreadable as error:
            raise self.damaged(f"{name!r} {error}") from None

    def row(self, name: str = "data") -> dict[str, Any]:
        """The only row of :meth:`rows`."""
        rows = self.rows(name)
        if len(rows) != 1:
            raise self.damaged(f"{name!r} has {len(rows)} rows, not 1")
        return rows[0]

    def only(self, name: str, *columns: str) -> tuple[Any, ...]:
        """Some columns of the only row of a subfolder's Parquet."""
        row = self.row(name)
        missing = [column for column in columns if column not in row]
        if missing:
            raise self.damaged(f"{name!r} has no column {missing[0]!r}, but {', '.join(map(repr, row))}")
        return tuple(row[column] for column in columns)

    def child(self, name: str) -> SavedStage:
        """A stage saved inside this one."""
        return read_stage(self.folder / name)

    def children(self) -> Iterator[SavedStage]:
        """The stages of a pipeline, in order."""
        uids = self.params().get("stageUids")
        if not isinstance(uids, list) or not all(isinstance(uid, str) for uid in uids):
            raise self.damaged("its list of stages is missing")
        folders: dict[str, Path] = {}
        stages = self.folder / "stages"
        for folder in stages.iterdir() if stages.is_dir() else ():
            folders[folder.name] = folder
        width = len(str(len(uids)))
        for index, uid in enumerate(uids):
            folder = folders.get(f"{index:0{width}d}_{uid}")  # type: ignore[assignment]
            if folder is None:
                raise self.damaged(f"its stage {uid!r:.80} has no folder")
            child = read_stage(folder)
            if child.uid != uid:
                raise self.damaged(f"the folder of its stage {uid!r:.80} holds another, {child.uid!r:.80}")
            yield child


def read_stage(folder: Path) -> SavedStage:
    """The stage saved in a folder.

    Raises:
        ArchiveError: There is none, or it is damaged.
    """
    metadata = read_metadata(folder) if folder.is_dir() else None
    if metadata is None:
        raise ArchiveError(f"not a saved Spark ML stage: {folder.name!r} has no metadata")
    return SavedStage(folder, metadata["uid"], metadata["class"], metadata["sparkVersion"], metadata)
