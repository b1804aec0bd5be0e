"""What a saved model is made of: its bill of materials, the same from a file and from a service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import asdict, field, frozen

from wmlclient import display

__all__ = ["Description", "StageDescription"]


@frozen
class StageDescription:
    """One stage of a model.

    Attributes:
        uid: its uid, such as ``"StringIndexer_1f0c"``.
        java_class: its class.
        folder: where it is in the saved model, such as ``"stages/0_StringIndexer_1f0c"``.
        params: the parameters that matter to scoring and are set or have a default, long ones cut. For a stage that
            is not scored natively, those that were set.
        inputs: columns that it reads.
        outputs: columns that it adds.
        native: whether it is scored without Spark.
        reason: why it is not.
        files: number of its files.
        size: bytes of its files.
    """

    uid: str
    java_class: str
    folder: str
    params: Mapping[str, Any] = field(factory=dict)
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    native: bool = True
    reason: str | None = None
    files: int = 0
    size: int = 0

    @property
    def name(self) -> str:
        """Its class without the package."""
        return self.java_class.rpartition(".")[2]


@frozen
class Description:
    """What a saved model is made of.

    Attributes:
        kind: ``"PipelineModel"``.
        uid: its uid.
        spark_version: the Spark that it was trained and saved with.
        saved_at: when, as ISO 8601 in UTC.
        native: whether all of it is scored without Spark.
        stages: its stages in order; those of a nested pipeline stand in its place.
        input: columns that it reads, each a dict with ``name`` and ``type``; the type is None where only Spark
            knows it.
        output: columns that come out, the input's included, in Spark's order.
        files: number of files.
        size: bytes of them all, unpacked.
        archive_size: bytes of the archive; None for a folder.
        digest: digest of the archive, ``sha256:`` and 64 hexadecimal digits; None for a folder.
    """

    kind: str
    uid: str
    spark_version: str
    saved_at: str | None
    native: bool
    stages: tuple[StageDescription, ...]
    input: tuple[Mapping[str, Any], ...]
    output: tuple[Mapping[str, Any], ...]
    files: int
    size: int
    archive_size: int | None = None
    digest: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON has it."""
        return asdict(
            self, value_serializer=lambda _, __, value: list(value) if isinstance(value, tuple) else value
        )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Description:
        """The reverse of :meth:`to_dict`. What it does not know is left out."""
        known = {name: values[name] for name in cls.__annotations__ if name in values}
        stages = []
        for stage in values["stages"]:
            kept = {name: stage[name] for name in StageDescription.__annotations__ if name in stage}
            kept |= {name: tuple(stage.get(name) or ()) for name in ("inputs", "outputs")}
            stages.append(StageDescription(**kept))
        known |= {name: tuple(values.get(name) or ()) for name in ("input", "output")}
        return cls(**{**known, "stages": tuple(stages)})

    def __str__(self) -> str:
        return "\n".join(
            [
                *(f"{name.ljust(8)}  {value}" for name, value in self._facts() if value is not None),
                "stages",
                *(f"  {line}" for stage in self.stages for line in _lines(stage)),
            ]
        )

    def _facts(self) -> list[tuple[str, str | None]]:
        size = f"{shown_size(self.size)} in {self.files} files"
        if self.archive_size is not None:
            size += f", archive {shown_size(self.archive_size)}"
        refused = [stage.name for stage in self.stages if not stage.native]
        return [
            ("model", f"{self.kind} {self.uid}"),
            ("saved by", f"Spark {self.spark_version}" + (f", {self.saved_at}" if self.saved_at else "")),
            ("engine", "native" if self.native else f"spark, for {', '.join(refused) or 'the whole model'}"),
            ("input", _columns(self.input)),
            ("output", _columns(self.output)),
            ("size", size),
            ("digest", self.digest),
        ]

    def _repr_html_(self) -> str:
        facts = display.card(f"Model {self.uid}", self._facts())
        rows = [
            (
                stage.name,
                ", ".join(stage.inputs),
                ", ".join(stage.outputs),
                ", ".join(f"{name}={value}" for name, value in stage.params.items()),
                "native" if stage.native else f"spark: {stage.reason}",
                shown_size(stage.size),
            )
            for stage in self.stages
        ]
        return facts + display.table(("stage", "reads", "adds", "params", "engine", "size"), rows)


def shown_size(size: int) -> str:
    """A number of bytes for people.

    >>> shown_size(512), shown_size(2048), shown_size(5 << 20)
    ('512 bytes', '2.0 kB', '5.2 MB')
    """
    for unit, power in (("GB", 3), ("MB", 2), ("kB", 1)):
        if size >= 1000**power:
            return f"{size / 1000**power:.1f} {unit}"
    return f"{size} bytes"


def _columns(columns: tuple[Mapping[str, Any], ...]) -> str | None:
    return ", ".join(f"{c['name']} ({c.get('type') or 'type not known'})" for c in columns) or None


def _lines(stage: StageDescription) -> list[str]:
    reads, adds = ", ".join(stage.inputs), ", ".join(stage.outputs)
    arrow = f": {reads} -> {adds}" if reads or adds else ""
    lines = [f"{stage.name}{arrow}  ({shown_size(stage.size)})"]
    params = ", ".join(f"{name}={display.short(value, 60)}" for name, value in stage.params.items())
    if params:
        lines.append(f"    {params}")
    if not stage.native:
        lines.append(f"    not scored natively: {stage.reason}")
    return lines
