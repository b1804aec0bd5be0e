"""A batch that Spark does by itself: it reads, scores and writes, and no row passes through the runner.

For Parquet, CSV and lines of JSON on this machine, or on a disk that the cluster shares with it. The job is all or
nothing: one row that Spark refuses, or that it may read in another way than the runner, and the whole job is done again
in chunks, which knows how to put rows aside.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import uuid
from pathlib import Path
from typing import Any

from attrs import field, frozen

from wmlclient.runner.engine.ports import BatchSpec, PortError, SparkRunner, TransformFailed

from .storage import part_name

_SECONDS = 7 * 24 * 3600.0
_CANCEL_SECONDS = 60.0
_TEXTS = ("csv", "json")


def can(spec: BatchSpec) -> bool:
    """Whether Spark can do a job by itself."""
    ends = (spec.source, spec.target)
    if spec.engine != "spark" or not all(place["kind"] == "file" for place in ends):
        return False
    path, form = spec.source["path"], spec.source["format"]
    there = os.path.exists(path) if form == "parquet" else form in _TEXTS and os.path.isfile(path)
    return there and spec.target["format"] in ("parquet", *_TEXTS)


def rows_of(path: str) -> int:
    """How many rows a Parquet file, or a folder of them, has."""
    # Here, as it brings pandas: 100 MB that a service without such a job does without.
    from pyarrow import dataset

    return int(dataset.dataset(path, format="parquet").count_rows())


@frozen
class SparkRun:
    """One run of a job by Spark.

    Attributes:
        spec: The job.
        spark: Where.
        id: What Spark calls it; another one for each run, since a cancelled one stays cancelled.
        ended: Set when nothing of it runs or is left.
    """

    spec: BatchSpec
    spark: SparkRunner
    id: str = field(factory=lambda: uuid.uuid4().hex)
    ended: threading.Event = field(factory=threading.Event)

    @property
    def part(self) -> Path:
        """Where it writes."""
        return part_name(Path(self.spec.target["path"]), self.spec.job_id)

    def score(self) -> dict[str, int]:
        """Do it, but for the last step; the counts of rows.

        Raises:
            TransformFailed: Spark refuses a row, or a stage drops some.
            SparkUnavailable: Spark cannot work.
            OSError, pyarrow.ArrowException: A file cannot be read or written.
        """
        spec = self.spec
        self.discard()
        args: dict[str, Any] = {"job_id": self.id, "model_dir": spec.model_dir, "schema": spec.schema}
        args["source"] = {name: spec.source[name] for name in ("path", "format", "header")}
        args["target"] = {"path": str(self.part), "format": spec.target["format"]}
        told = self.spark.job("score_files", args).result(_SECONDS)
        total = told["rows_read"] if "rows_read" in told else rows_of(spec.source["path"])
        written = told.get("rows_written")
        if written is None:
            written = rows_of(str(self.part)) if any(self.part.glob("*.parquet")) else 0
        if written != total or not total:
            raise TransformFailed("A stage of the model drops rows.")
        if spec.target["format"] in _TEXTS:
            self._join(told["columns"])
        return {"rows_read": total, "rows_written": total, "rows_bad": 0}

    def _join(self, columns: list[str]) -> None:
        """Make one file of the parts."""
        with open(self._joined, "wb") as joined:
            if self.spec.target["format"] == "csv" and self.spec.target["header"]:
                names = (name.replace('"', '""') for name in columns)
                joined.write((",".join(f'"{name}"' for name in names) + "\n").encode())
            for part in sorted(self.part.glob("part-*")):
                with open(part, "rb") as file:
                    shutil.copyfileobj(file, joined, 1 << 20)
            joined.flush()
            os.fsync(joined.fileno())

    @property
    def _joined(self) -> Path:
        # Among the parts, so that what removes them removes it.
        return self.part / "joined"

    def commit(self) -> None:
        """Let the target appear."""
        texts = self.spec.target["format"] in _TEXTS
        made, before = self._joined if texts else self.part, self.part.with_suffix(".before")
        _appear(made, Path(self.spec.target["path"]), before)
        Path(self.spec.bad_rows["path"]).unlink(missing_ok=True)
        if texts:
            self.discard()

    def cancel(self) -> None:
        """End it, also before it has begun; returns when it has ended."""
        with contextlib.suppress(PortError, TimeoutError):
            self.spark.job("cancel_files", {"job_id": self.id}).result(_CANCEL_SECONDS)
        self.ended.wait(_CANCEL_SECONDS)

    def discard(self) -> None:
        """Remove what it has written so far."""
        shutil.rmtree(self.part, ignore_errors=True)


def _appear(made: Path, target: Path, before: Path) -> None:
    # A folder cannot replace another, or a file, in one step.
    shutil.rmtree(before, ignore_errors=True)
    if target.exists():
        os.replace(target, before)
    os.replace(made, target)
    if before.is_dir():
        shutil.rmtree(before, ignore_errors=True)
    else:
        before.unlink(missing_ok=True)
