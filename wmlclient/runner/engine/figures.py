"""The figures by which models are measured: their names, which way is better, and what of them a request asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .errors import Invalid, field_error

#: By method and by the names of the service and of Spark: Spark's name.
FIGURES: dict[str, dict[str, str]] = {
    "binary": {"areaUnderROC": "areaUnderROC", "areaUnderPR": "areaUnderPR"},
    "multiclass": {
        "accuracy": "accuracy",
        "f1": "f1",
        "weightedFMeasure": "weightedFMeasure",
        "weightedPrecision": "weightedPrecision",
        "weightedRecall": "weightedRecall",
        "weightedTruePositiveRate": "weightedTruePositiveRate",
        "weightedFalsePositiveRate": "weightedFalsePositiveRate",
        "logLoss": "logLoss",
        "hammingLoss": "hammingLoss",
    },
    "regression": {
        "explainedVariance": "var",
        "meanAbsoluteError": "mae",
        "meanSquaredError": "mse",
        "rootMeanSquaredError": "rmse",
        "r2": "r2",
        "var": "var",
        "mae": "mae",
        "mse": "mse",
        "rmse": "rmse",
    },
}
_SMALLER_IS_BETTER = frozenset(("weightedFalsePositiveRate", "logLoss", "hammingLoss", "mae", "mse", "rmse"))


def definition(given: Any) -> dict[str, Any]:
    """What a request says of the figures, checked: ``{"method", "metrics": [{"name", "threshold"?}]}``.

    Raises:
        Invalid: ``evaluation_method_not_supported``, ``missing_metric``, ``invalid_request_payload``.
    """
    method = given["method"]
    known = FIGURES.get(method)
    if known is None:
        raise Invalid(
            "evaluation_method_not_supported",
            f"The evaluation method {method[:80]!r} is not supported: use {', '.join(FIGURES)}.",
            {"type": "field", "name": "definition.method"},
        )
    if not given["metrics"]:
        raise Invalid(
            "missing_metric",
            f"The definition names no metric: use {', '.join(known)}.",
            {"type": "field", "name": "definition.metrics"},
        )
    kept = []
    for metric in given["metrics"]:
        if metric["name"] not in known:
            raise field_error(
                "definition.metrics",
                f"The metric {metric['name'][:80]!r} is none of {method}: use {', '.join(known)}.",
                "missing_metric",
            )
        kept.append({key: metric[key] for key in ("name", "threshold") if metric.get(key) is not None})
    return {"method": method, "metrics": kept}


def spark_names(defined: Mapping[str, Any]) -> list[str]:
    """Spark's names of the figures of a definition, in order."""
    return [FIGURES[defined["method"]][metric["name"]] for metric in defined["metrics"]]


def better(defined: Mapping[str, Any], new: Sequence[float], old: Sequence[float]) -> bool:
    """Whether the first figure of one model is better than that of another.

    >>> better({"method": "regression", "metrics": [{"name": "rmse"}]}, [0.1], [0.2])
    True
    """
    (first, *_) = spark_names(defined)
    return new[0] < old[0] if first in _SMALLER_IS_BETTER else new[0] > old[0]


def missed(defined: Mapping[str, Any], values: Sequence[float]) -> list[str]:
    """The figures that do not reach their threshold.

    >>> missed({"method": "binary", "metrics": [{"name": "areaUnderROC", "threshold": 0.8}]}, [0.7])
    ['areaUnderROC']
    """
    found = []
    for metric, name, value in zip(defined["metrics"], spark_names(defined), values, strict=True):
        threshold = metric.get("threshold")
        if threshold is None:
            continue
        if value > threshold if name in _SMALLER_IS_BETTER else value < threshold:
            found.append(str(metric["name"]))
    return found
