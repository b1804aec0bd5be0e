"""The bill of materials of a saved model: read from its files, with nothing run, supported or not."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import evolve

from wmlclient.bill import Description, StageDescription
from wmlclient.scoring.archive import Limits, unpack
from wmlclient.scoring.classes import is_known
from wmlclient.scoring.errors import ArchiveError, InputError, UnsupportedModel
from wmlclient.scoring.metadata import find_root, foreign_sentence, walk
from wmlclient.scoring.registry import load_stage, training_params
from wmlclient.scoring.saved import SavedStage, read_stage
from wmlclient.scoring.scorer import Scorer
from wmlclient.scoring.types import simple_type

__all__ = ["describe", "describe_folder", "materials", "with_scorer"]

_INPUTS = ("inputCol", "inputCols", "featuresCol", "userCol", "itemCol", "itemsCol", "offsetCol")
_OUTPUTS = (
    *("outputCol", "outputCols", "rawPredictionCol", "probabilityCol", "predictionCol", "varianceCol"),
    *("leafCol", "linkPredictionCol", "quantilesCol", "topicDistributionCol"),
)
# Read by its stage itself, as it may hold nulls.
_RAW = {"stopWords"}
_ITEMS = 8
_CHARACTERS = 200


def describe(
    path: str | os.PathLike[str],
    schema: Mapping[str, Any] | None = None,
    limits: Limits | None = None,
) -> Description:
    """What a saved model is made of. It need not be one that can be scored.

    Args:
        path: The folder that ``PipelineModel.save`` wrote, or a ``.tar.gz`` of it.
        schema: The input, as the JSON of a Spark ``StructType``, for the types of columns.
        limits: What an archive may hold.

    Example:
        >>> from wmlclient import scoring
        >>> print(scoring.describe("sentiment.tar.gz"))                     # doctest: +SKIP
        model     PipelineModel PipelineModel_4d1f
        ...

    Raises:
        ArchiveError: It is no saved model, or it is damaged or unsafe.
        FileNotFoundError: There is nothing at the path.
    """
    source = Path(path)
    if source.is_dir():
        return describe_folder(source, schema)
    with tempfile.TemporaryDirectory(prefix="wmlclient-model-") as folder:
        unpack(source, folder, limits)
        return describe_folder(folder, schema, *_archive(source))


def describe_folder(
    folder: str | os.PathLike[str],
    schema: Mapping[str, Any] | None = None,
    archive_size: int | None = None,
    digest: str | None = None,
) -> Description:
    """The same for an unpacked model; ``archive_size`` and ``digest`` are those of its archive."""
    root = find_root(folder)
    saved = read_stage(root)
    found = evolve(materials(saved), archive_size=archive_size, digest=digest)
    foreign = [stage for stage in walk(root) if not is_known(stage.java_class)]
    stages = []
    for each, stage in zip(found.stages, _leaves(saved), strict=True):
        reason = next((foreign_sentence(f) for f in foreign if _within(f.folder, each.folder)), None)
        stages.append(_checked(each, stage, reason))
    found = evolve(found, stages=tuple(stages))
    if all(stage.native for stage in found.stages):
        try:
            return with_scorer(found, Scorer(load_stage(saved), schema))
        except UnsupportedModel as error:
            reason = error.reason
        except (InputError, ArchiveError) as error:
            reason = str(error)
        stages = [*stages[:-1], evolve(stages[-1], native=False, reason=reason)] if stages else stages
    columns, output = _guessed(stages, schema)
    return evolve(found, native=False, stages=tuple(stages), input=_listed(columns), output=_listed(output))


def materials(saved: SavedStage, archive: Path | None = None) -> Description:
    """What the files say, whether a stage is scored natively left aside.

    Args:
        saved: The model.
        archive: What it was unpacked from.
    """
    files, size = _sizes(saved.folder)
    archive_size, digest = (None, None) if archive is None else _archive(archive)
    return Description(
        kind=saved.java_class.rpartition(".")[2],
        uid=saved.uid,
        spark_version=saved.spark_version,
        saved_at=_time(saved.metadata.get("timestamp")),
        native=True,
        stages=tuple(_stage(stage, saved.folder) for stage in _leaves(saved)),
        input=(),
        output=(),
        files=files,
        size=size,
        archive_size=archive_size,
        digest=digest,
    )


def with_scorer(found: Description, scorer: Scorer) -> Description:
    """The columns as the scorer knows them."""
    computed = {stage.uid: stage for stage in scorer.stages}
    types = {field["name"]: simple_type(field["type"]) for field in scorer.schema["fields"]}
    return evolve(
        found,
        stages=tuple(_computed(stage, computed.get(stage.uid)) for stage in found.stages),
        input=_listed(types),
        output=_listed(scorer.output_types(list(types))),
    )


def _archive(path: Path) -> tuple[int, str]:
    """Size and digest of an archive."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for piece in iter(lambda: file.read(1 << 20), b""):
            digest.update(piece)
    return path.stat().st_size, f"sha256:{digest.hexdigest()}"


def _listed(columns: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    return tuple({"name": name, "type": kind} for name, kind in columns.items())


def _within(folder: str, stage: str) -> bool:
    return stage == "." or folder == stage or folder.startswith(f"{stage}/")


def _leaves(saved: SavedStage) -> Iterator[SavedStage]:
    """The stages of a pipeline, those of nested ones in their place; a lone stage is its own."""
    if saved.java_class.rpartition(".")[2] in ("PipelineModel", "Pipeline") and is_known(saved.java_class):
        for child in saved.children():
            yield from _leaves(child)
    else:
        yield saved


def _stage(saved: SavedStage, root: Path) -> StageDescription:
    columns = saved.params()
    unused = training_params(saved.java_class)
    params = columns if unused is not None else dict(saved.metadata.get("paramMap", {}))
    left_out = {*_INPUTS, *_OUTPUTS, *((unused or frozenset()) - _RAW)}
    files, size = _sizes(saved.folder)
    return StageDescription(
        uid=saved.uid,
        java_class=saved.java_class,
        folder=saved.folder.relative_to(root).as_posix(),
        params={
            name: _short(value)
            for name, value in sorted(params.items())
            if value is not None and name not in left_out
        },
        inputs=_named(columns, _INPUTS),
        outputs=_named(columns, _OUTPUTS),
        files=files,
        size=size,
    )


def _checked(stage: StageDescription, saved: SavedStage, foreign: str | None) -> StageDescription:
    """The stage, loaded once to see whether it is scored natively."""
    if foreign is not None:
        return evolve(stage, native=False, reason=foreign)
    try:
        load_stage(saved)
    except UnsupportedModel as error:
        return evolve(stage, native=False, reason=error.reason)
    except ArchiveError as error:
        return evolve(stage, native=False, reason=str(error))
    return stage


def _named(params: Mapping[str, Any], names: Any) -> tuple[str, ...]:
    found: list[str] = []
    for name in names:
        value = params.get(name)
        found += [value] if isinstance(value, str) and value else value if isinstance(value, list) else []
    return tuple(dict.fromkeys(map(str, found)))


def _computed(stage: StageDescription, scored: Any) -> StageDescription:
    if scored is None or not scored.outputs:
        return stage
    return evolve(stage, inputs=scored.inputs, outputs=scored.outputs)


def _guessed(
    stages: Sequence[StageDescription], schema: Mapping[str, Any] | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Columns in and out as the stages' params name them: what no stage has made before must be in the input."""
    fields = (schema or {}).get("fields", ())
    types: dict[str, Any] = {field["name"]: simple_type(field["type"]) for field in fields}
    made: dict[str, Any] = {}
    for stage in stages:
        for name in stage.inputs:
            if name not in made:
                types.setdefault(name, None)
        made |= dict.fromkeys(stage.outputs)
    return types, {**types, **{name: None for name in made if name not in types}}


def _short(value: Any) -> Any:
    if isinstance(value, list) and len(value) > _ITEMS:
        return [*map(_short, value[:_ITEMS]), f"... {len(value)} in all"]
    if isinstance(value, str) and len(value) > _CHARACTERS:
        return value[:_CHARACTERS] + "..."
    if isinstance(value, dict):
        text = str(value)
        return value if len(text) <= _CHARACTERS else text[:_CHARACTERS] + "..."
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    return [_short(item) for item in value] if isinstance(value, list) else value


def _sizes(folder: Path) -> tuple[int, int]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return len(files), sum(path.stat().st_size for path in files)


def _time(milliseconds: Any) -> str | None:
    if type(milliseconds) is not int or not 0 < milliseconds < 1 << 46:
        return None
    at = dt.datetime.fromtimestamp(milliseconds / 1000, dt.timezone.utc)
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")
