"""Spark ML models, scored without Spark: rows in, rows out, Spark's numbers.

A saved ``PipelineModel`` is a folder of JSON and Parquet. It is read as such, nothing in it is executed, and each
stage is computed as Spark computes it. A stage that cannot be computed exactly is refused by name::

    from wmlclient import scoring

    model = scoring.load("sentiment")               # a folder, or a .tar.gz of it
    model.score([{"text": "what a day"}])           # every column of transform, vectors as lists of floats

No Spark, no Java, no network. It needs numpy and pyarrow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wmlclient.scoring.archive import Limits
    from wmlclient.scoring.check import check_table
    from wmlclient.scoring.digests import model_digest, scorer_digest
    from wmlclient.scoring.errors import (
        ArchiveError,
        InputError,
        RowDropped,
        RowError,
        ScoringError,
        SparkRefused,
        UnsupportedModel,
    )
    from wmlclient.scoring.materials import describe
    from wmlclient.scoring.scorer import Scorer, Table, load

__all__ = [
    "ArchiveError",
    "InputError",
    "Limits",
    "RowDropped",
    "RowError",
    "Scorer",
    "ScoringError",
    "SparkRefused",
    "Table",
    "UnsupportedModel",
    "check_table",
    "describe",
    "load",
    "model_digest",
    "scorer_digest",
]

_MODULES = {
    "Limits": "archive",
    "Scorer": "scorer",
    "Table": "scorer",
    "check_table": "check",
    "describe": "materials",
    "load": "scorer",
    "model_digest": "digests",
    "scorer_digest": "digests",
}


def __getattr__(name: str) -> Any:
    # numpy and pyarrow cost more than the rest of the package: they are loaded when a model is.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULES.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
