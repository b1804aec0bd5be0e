"""The parity certificate: which engine scores a model, and the proof that its numbers are Spark's."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from wmlclient import display
from wmlclient.translate import utc


@frozen
class Certificate:
    """What came out when the service scored the same rows natively and in Spark.

    Attributes:
        state: ``"pending"``, ``"checked"``, or ``"unavailable"`` if the service could not start Spark.
        engine: ``"native"`` or ``"spark"``; None until it is known.
        reason: why that engine, or what is in the way.
        rows: number of rows that were compared.
        mismatches: number of values that differ: a discrete one that is not equal, or a float that is off by more
            than 1e-12, relative or absolute.
        largest_difference: the largest difference between two floats; None if there are none.
        columns: the largest difference by output column.
        examples: up to five mismatches, each a dict with ``row``, ``column``, ``native``, ``spark``.
        origin: ``"sample"``, or ``"generated"`` if the rows were made from the schema.
        spark_version: the Spark that was compared with.
        model_digest: digest of the model's archive.
        checked_at: when.
    """

    state: str
    engine: str | None = None
    reason: str | None = None
    rows: int | None = None
    mismatches: int | None = None
    largest_difference: float | None = None
    columns: Mapping[str, float] = field(factory=dict)
    examples: tuple[Mapping[str, Any], ...] = ()
    origin: str | None = None
    spark_version: str | None = None
    model_digest: str | None = None
    checked_at: dt.datetime | None = None

    @classmethod
    def _of(cls, wire: Any) -> Certificate:
        """From the generated client's ``ParityCertificate``."""
        return cls(
            state=str(wire.state),
            engine=wire.engine,
            reason=wire.reason,
            rows=wire.rows,
            mismatches=wire.mismatches,
            largest_difference=wire.largest_difference,
            columns=dict(wire.columns or {}),
            examples=tuple(
                {"row": e.row, "column": e.column, "native": e.native, "spark": e.spark}
                for e in wire.examples or ()
            ),
            origin=wire.origin,
            spark_version=wire.spark_version,
            model_digest=wire.model_digest,
            checked_at=utc(wire.checked_at),
        )

    @property
    def exact(self) -> bool:
        """True if rows were compared and no value differs."""
        return self.state == "checked" and bool(self.rows) and self.mismatches == 0

    def __str__(self) -> str:
        if self.state != "checked":
            return f"{self.state}: {self.reason}" if self.reason else self.state
        text = f"scored by the {self.engine} engine"
        if self.rows:
            text += f": {self.rows:,} rows compared with Spark {self.spark_version}"
            text += f", {self.mismatches or 'no'} mismatches"
        if self.largest_difference is not None:
            text += f", largest difference {self.largest_difference:.1e}"
        return f"{text}. {self.reason}" if self.reason else text

    def _repr_html_(self) -> str:
        return display.card(
            "Parity certificate",
            [
                ("state", self.state),
                ("engine", self.engine),
                ("reason", self.reason),
                ("rows compared", f"{self.rows:,} ({self.origin})" if self.rows is not None else None),
                ("mismatches", self.mismatches),
                ("largest difference", self.largest_difference),
                ("Spark", self.spark_version),
                ("checked", self.checked_at),
            ]
            + [
                (f"row {e['row']}, {e['column']}", f"native {e['native']!r}, Spark {e['spark']!r}")
                for e in self.examples
            ],
        )
