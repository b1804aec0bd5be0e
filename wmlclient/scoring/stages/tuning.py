"""Tuned models: ``CrossValidatorModel`` and ``TrainValidationSplitModel`` are their best model.

Source: the two classes in ``org.apache.spark.ml.tuning`` of Spark 4.2, and their readers in ``pyspark.ml.tuning``,
which save the same folders when a part of them is written in Python.
"""

from __future__ import annotations

from wmlclient.scoring.registry import Params, Stage, load_stage, loads, training
from wmlclient.scoring.saved import SavedStage

_TRAINING = (
    "collectSubModels",
    "estimator",
    "estimatorParamMaps",
    "evaluator",
    "foldCol",
    "numFolds",
    "parallelism",
    "seed",
    "trainRatio",
)


@loads(
    "org.apache.spark.ml.tuning.CrossValidatorModel",
    "org.apache.spark.ml.tuning.TrainValidationSplitModel",
    "pyspark.ml.tuning.CrossValidatorModel",
    "pyspark.ml.tuning.TrainValidationSplitModel",
    **dict.fromkeys(_TRAINING, training),
)
def tuned_model(saved: SavedStage, params: Params) -> Stage:
    """The best model; the others, which may be saved beside it, are not read."""
    best = load_stage(saved.child("bestModel"))
    return Stage(saved.uid, saved.java_class, best.bind, children=(best,))
