"""Schemas of vectors."""

from __future__ import annotations

from typing import Any


def vectors(*names: str) -> Any:
    """A schema of columns of vectors."""
    from pyspark.ml.linalg import VectorUDT
    from pyspark.sql.types import StructField, StructType

    return StructType([StructField(name, VectorUDT(), True) for name in names])
