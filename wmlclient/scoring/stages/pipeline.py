"""Pipelines: stages in a row, nested as deep as they come."""

from __future__ import annotations

from typing import Any

from wmlclient.scoring.columns import Frame
from wmlclient.scoring.registry import Params, Stage, load_stage, loads, text, texts
from wmlclient.scoring.saved import SavedStage

MAX_DEPTH = 20


@loads(
    "org.apache.spark.ml.PipelineModel", "pyspark.ml.pipeline.PipelineModel", stageUids=texts, language=text
)
def pipeline_model(saved: SavedStage, params: Params) -> Stage:
    """``PipelineModel``; also the one that Python writes when it holds Python stages."""
    depth = sum(parent.name == "stages" for parent in saved.folder.parents)
    if depth > MAX_DEPTH:
        raise saved.refuse(f"pipelines are nested more than {MAX_DEPTH} deep")
    children = tuple(load_stage(child) for child in saved.children())

    def bind(frame: Frame) -> None:
        for child in children:
            child.bind(frame)

    return Stage(saved.uid, saved.java_class, bind, children=children)


def flatten(stage: Stage) -> list[Any]:
    """The stages that do something, in order."""
    if not stage.children:
        return [] if "Pipeline" in stage.java_class.rpartition(".")[2] else [stage]
    return [leaf for child in stage.children for leaf in flatten(child)]
