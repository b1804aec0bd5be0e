"""Spark ML models, scored without Spark: rows in, rows out, Spark's numbers.

A saved ``PipelineModel`` is a folder of JSON and Parquet. It is read as such, nothing in it is executed, and each
stage is computed as Spark computes it. A stage that cannot be computed exactly is refused by name::

    from wmlclient import scoring

    model = scoring.load("sentiment")               # a folder, or a .tar.gz of it
    model.score([{"text": "what a day"}])           # every column of transform, vectors as lists of floats

No Spark, no Java, no network. It needs numpy and pyarrow.
"""

from __future__ import annotations

from wmlclient.scoring.archive import Limits
from wmlclient.scoring.check import check_table
from wmlclient.scoring.errors import (
    ArchiveError,
    InputError,
    RowDropped,
    RowError,
    ScoringError,
    UnsupportedModel,
)
from wmlclient.scoring.scorer import Scorer, Table, load

__all__ = [
    "ArchiveError",
    "InputError",
    "Limits",
    "RowDropped",
    "RowError",
    "Scorer",
    "ScoringError",
    "Table",
    "UnsupportedModel",
    "check_table",
    "load",
]
