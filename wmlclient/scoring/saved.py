# ruff: noqa: B905 - lengths are checked where they may differ; strict= costs time in each call
"""A saved stage, read from its folder: JSON for what it is, Parquet for what it learned. No JVM, no code run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from wmlclient.scoring.errors import ArchiveError, UnsupportedModel
from wmlclient.scoring.metadata import read_metadata
from wmlclient.scoring.tables import MAX_VALUES, TooLarge, read_tables
from wmlclient.scoring.values import Sparse, to_dense

__all__ = ["Matrix", "SavedStage", "read_stage"]

MAX_SIZE = 1 << 26
"""The size of a sparse vector. Some stages write it out, and a size takes no room in a file."""


@frozen
class Matrix:
    """A matrix of a saved model, by rows.

    Attributes:
        rows: Each row, dense or sparse as the matrix was saved.
        num_cols: Values in a row.
        by_column: It was saved sparse and column by column, which is the order in which Spark sums then.
    """

    rows: list[list[float] | Sparse]
    num_cols: int
    by_column: bool = False

    @property
    def num_rows(self) -> int:
        """The number of rows."""
        return len(self.rows)

    def dense(self) -> list[list[float]]:
        """All values, ``dense()[i][j]``."""
        return [to_dense(row) for row in self.rows]


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

    def table(self, name: str = "data") -> Any:
        """The Parquet files of a subfolder as one ``pyarrow.Table``."""
        import pyarrow as pa

        files = sorted((self.folder / name).glob("*.parquet"))
        if not files:
            raise self.damaged(f"there is no Parquet file in {name!r}")
        try:
            return read_tables(files)
        except TooLarge as error:
            raise self.damaged(f"{name!r} is larger than a model can be: {error}") from None
        except (pa.ArrowException, OSError, MemoryError, KeyError, ValueError) as error:
            # pyarrow looks columns up by names that a damaged file spells in two ways.
            raise self.damaged(f"{name!r} is not readable Parquet: {error}") from None

    def rows(self, name: str = "data") -> list[dict[str, Any]]:
        """The rows of :meth:`table`; vectors and matrices are decoded, structs are dicts."""
        table = self.table(name)
        columns = {}
        for column in table.column_names:
            try:
                cells = table.column(column).to_pylist()
            except UnicodeDecodeError:
                raise self.damaged(f"{name!r} has a text in {column!r} that is not UTF-8") from None
            decode = _decoder(table.schema.field(column).type)
            columns[column] = [decode(cell) for cell in cells] if decode else cells
        return [dict(zip(columns, row)) for row in zip(*columns.values())]

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


def _decoder(arrow_type: Any) -> Callable[[Any], Any] | None:
    """Decodes vectors and matrices, known by the names of their struct's fields, at any depth."""
    from pyarrow import types

    if types.is_struct(arrow_type):
        names = {arrow_type.field(i).name for i in range(arrow_type.num_fields)}
        if names == {"type", "size", "indices", "values"}:
            return _vector
        if names == {"type", "numRows", "numCols", "colPtrs", "rowIndices", "values", "isTransposed"}:
            return _matrix
        inner = {f.name: d for f in arrow_type if (d := _decoder(f.type)) is not None}
        if inner:
            return lambda cell: cell and {k: inner[k](v) if k in inner else v for k, v in cell.items()}
    elif types.is_list(arrow_type) or types.is_large_list(arrow_type):
        element = _decoder(arrow_type.value_type)
        if element is not None:
            return lambda cell: cell and [element(item) for item in cell]
    return None


def _vector(cell: dict[str, Any] | None) -> list[float] | Sparse | None:
    if cell is None:
        return None
    if cell["type"] == 1:
        return list(cell["values"])
    if cell["size"] > MAX_SIZE:
        raise ArchiveError(f"the model holds a vector of the size {cell['size']}")
    return Sparse(cell["size"], list(cell["indices"]), list(cell["values"]))


def _matrix(cell: dict[str, Any] | None) -> Matrix | None:
    if cell is None:
        return None
    rows, cols = cell["numRows"], cell["numCols"]
    transposed = bool(cell["isTransposed"])
    values = cell["values"]
    if rows * cols > MAX_VALUES:
        raise ArchiveError(f"the model holds a matrix of {rows} x {cols}")
    if cell["type"] == 0:  # compressed by column, or by row when transposed
        ends, others = cell["colPtrs"], cell["rowIndices"]
        indices: list[list[int]] = [[] for _ in range(rows)]
        stored: list[list[float]] = [[] for _ in range(rows)]
        for major in range(rows if transposed else cols):
            for at in range(ends[major], ends[major + 1]):
                i, j = (major, others[at]) if transposed else (others[at], major)
                indices[i].append(j)
                stored[i].append(values[at])
        return Matrix([Sparse(cols, i, v) for i, v in zip(indices, stored)], cols, by_column=not transposed)
    if len(values) != rows * cols:
        raise ArchiveError(f"the model holds a matrix of {rows} x {cols} with {len(values)} values")
    if transposed:
        return Matrix([values[i * cols : (i + 1) * cols] for i in range(rows)], cols)
    return Matrix([values[i::rows] for i in range(rows)], cols)
