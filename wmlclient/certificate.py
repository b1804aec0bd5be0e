"""The parity certificate: which engine scores a model, and the proof that its numbers are Spark's."""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import field, fields, frozen

from wmlclient import display
from wmlclient.errors import PayloadError
from wmlclient.translate import utc

_EXAMPLE = ("row", "origin", "input", "column", "native", "spark")


@frozen
class Certificate:
    """What came out when the same rows were scored natively and in Spark.

    Attributes:
        state: ``"pending"``, ``"checked"``, or ``"unavailable"`` if the service could not start Spark.
        engine: ``"native"`` or ``"spark"``; None until it is known.
        reason: why that engine, or what is in the way.
        rows: number of rows that were compared.
        sample_rows: how many of them came from the sample.
        generated_rows: how many were generated, from the input's schema and the model's own edges.
        refused_rows: rows that the native engine refuses, and Spark too when it was asked.
        mismatches: number of values that differ: a discrete one that is not equal, or a float that is off by more
            than 1e-12, relative or absolute.
        largest_difference: the largest difference between two floats; None if there are none.
        columns: the largest difference by output column.
        examples: up to five mismatches, each a dict with ``row`` (its number), ``origin`` (``"sample"`` or
            ``"generated"``), ``input`` (the row itself), ``column``, ``native``, ``spark``.
        input: the columns that the model's stages read, and their types; it holds for these.
        spark_version: the Spark that was compared with.
        seed: makes the same generated rows again.
        model_digest: digest of the model's content, see :func:`wmlclient.scoring.model_digest`.
        scorer_digest: digest of the native scorer's code, which alone it proves.
        checked_at: when.
        format: the format of the certificate as JSON.
        seal: checksum over the rest, which tells an edited certificate. It is no signature.
    """

    state: str
    engine: str | None = None
    reason: str | None = None
    rows: int | None = None
    sample_rows: int | None = None
    generated_rows: int | None = None
    refused_rows: int | None = None
    mismatches: int | None = None
    largest_difference: float | None = None
    columns: Mapping[str, float] = field(factory=dict)
    examples: tuple[Mapping[str, Any], ...] = ()
    input: Mapping[str, str] = field(factory=dict)
    spark_version: str | None = None
    seed: int | None = None
    model_digest: str | None = None
    scorer_digest: str | None = None
    checked_at: dt.datetime | None = None
    format: int | None = None
    seal: str | None = None

    @classmethod
    def _of(cls, wire: Any) -> Certificate:
        """From the generated client's ``ParityCertificate``."""
        plain = {each.name: getattr(wire, each.name) for each in fields(cls)}
        plain |= {
            "state": str(wire.state),
            "columns": dict(wire.columns or {}),
            "input": dict(wire.input or {}),
            "examples": tuple({key: getattr(e, key) for key in _EXAMPLE} for e in wire.examples or ()),
            "checked_at": utc(wire.checked_at),
        }
        return cls(**plain)

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Certificate:
        """From its JSON, such as :meth:`to_json` gives.

        Raises:
            PayloadError: it is no certificate.
        """
        known = {each.name for each in fields(cls)}
        plain = {name: value for name, value in given.items() if name in known and value is not None}
        try:
            if "checked_at" in plain:
                moment = dt.datetime.fromisoformat(plain["checked_at"].replace("Z", "+00:00"))
                plain["checked_at"] = moment.astimezone(dt.timezone.utc)
            if "examples" in plain:
                plain["examples"] = tuple({key: e.get(key) for key in _EXAMPLE} for e in plain["examples"])
            return cls(**plain)
        except (TypeError, ValueError, AttributeError):
            raise PayloadError("This is no parity certificate. Make one with wmlclient parity.") from None

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Certificate:
        """From a file that :meth:`save` or ``wmlclient parity --out`` wrote.

        Raises:
            PayloadError: there is none in the file.
            OSError: the file cannot be read.
        """
        try:
            given = json.loads(Path(path).read_text("utf-8"))
        except ValueError:
            given = None
        if not isinstance(given, dict):
            raise PayloadError(f"{os.fspath(path)}: not a certificate. Make one with wmlclient parity.")
        return cls.from_json(given)

    def to_json(self) -> dict[str, Any]:
        """Its members as JSON has them; what says nothing is left out."""
        found = {each.name: getattr(self, each.name) for each in fields(type(self))}
        if self.checked_at is not None:
            moment = self.checked_at.astimezone(dt.timezone.utc)
            found["checked_at"] = f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
        found["columns"] = dict(self.columns)
        found["input"] = dict(self.input)
        found["examples"] = [dict(example) for example in self.examples]
        return {name: value for name, value in found.items() if value or value == 0}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes it to a file, for ``client.models.publish(..., certificate=path)``."""
        text = json.dumps(self.to_json(), indent=1, ensure_ascii=False)
        Path(path).write_text(text + "\n", "utf-8")

    @property
    def exact(self) -> bool:
        """True if rows were compared and no value differs."""
        return self.state == "checked" and bool(self.rows) and self.mismatches == 0

    def __str__(self) -> str:
        if self.state != "checked":
            return f"{self.state}: {self.reason}" if self.reason else self.state
        text = f"scored by the {self.engine} engine"
        if self.rows:
            text += f": {self._compared} compared with Spark {self.spark_version}"
            text += f", {self.mismatches or 'no'} mismatches"
        if self.largest_difference is not None:
            text += f", largest difference {self.largest_difference:.1e}"
        return f"{text}. {self.reason}" if self.reason else text

    @property
    def _compared(self) -> str:
        parts = [f"{self.rows:,} rows"]
        if self.sample_rows and self.generated_rows:
            parts.append(f"({self.sample_rows:,} of the sample, {self.generated_rows:,} generated)")
        elif self.sample_rows or self.generated_rows:
            parts.append("of the sample" if self.sample_rows else "generated")
        return " ".join(parts)

    def _repr_html_(self) -> str:
        card = display.card(
            "Parity certificate",
            [
                ("state", self.state),
                ("engine", self.engine),
                ("reason", self.reason),
                ("rows compared", self._compared if self.rows is not None else None),
                ("refused by both", self.refused_rows or None),
                ("mismatches", self.mismatches),
                ("largest difference", self.largest_difference),
                ("Spark", self.spark_version),
                ("model", self.model_digest),
                ("scorer", self.scorer_digest),
                ("seed", self.seed),
                ("checked", self.checked_at),
            ],
        )
        if self.columns:
            card += display.table(
                ("column", "largest difference"), [(name, f"{by:.1e}") for name, by in self.columns.items()]
            )
        if not self.examples:
            return card
        rows = [
            (
                f"{e.get('origin') or ''} {e['row']}".strip(),
                e.get("input"),
                e["column"],
                e.get("native"),
                e.get("spark"),
            )
            for e in self.examples
        ]
        return card + display.table(("row", "input", "column", "native", "Spark"), rows)
