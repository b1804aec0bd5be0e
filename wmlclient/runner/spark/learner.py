"""Models measured on rows, and pipelines fitted to them. In the driver process only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wmlclient.hadoop import to_read, to_write
from wmlclient.runner.engine.ports import PortError, TransformFailed
from wmlclient.runner.spark.failures import root_cause
from wmlclient.runner.spark.models import ModelCache, check_classes, leaves
from wmlclient.runner.spark.python_saved import for_java
from wmlclient.runner.spark.session import Session
from wmlclient.runner.spark.table import ROW, request_schema, to_lines
from wmlclient.runner.spark.transform import make_frame

_EVALUATORS = {
    "binary": "BinaryClassificationEvaluator",
    "multiclass": "MulticlassClassificationEvaluator",
    "regression": "RegressionEvaluator",
}
_COLUMNS = {
    "binary": ("rawPredictionCol",),
    "multiclass": ("predictionCol", "probabilityCol"),
    "regression": ("predictionCol",),
}


class Learner:
    """Measures and trains.

    Args:
        session: Where.
        models: Loaded models.
        foreign: Whether stages that are not Spark's own are loaded.
    """

    def __init__(self, session: Session, models: ModelCache, foreign: bool = False) -> None:
        self._session, self._models, self._foreign = session, models, foreign

    def evaluate(
        self,
        model_dir: str,
        schema: dict[str, Any],
        fields: Sequence[str],
        values: Sequence[Sequence[Any]],
        method: str,
        metrics: Sequence[str],
    ) -> dict[str, Any]:
        """See :meth:`wmlclient.runner.engine.ports.SparkRunner.job`.

        Raises:
            TransformFailed: With Spark's own reason.
        """
        model = self._models.get(model_dir)
        return {"values": self._figures(model, self._frame(schema, fields, values), method, metrics)}

    def train(
        self,
        pipeline_dir: str,
        model_dir: str,
        target: str,
        schema: dict[str, Any],
        fields: Sequence[str],
        values: Sequence[Sequence[Any]],
        held: dict[str, Any],
        method: str,
        metrics: Sequence[str],
    ) -> dict[str, Any]:
        """See :meth:`wmlclient.runner.engine.ports.SparkRunner.job`.

        Raises:
            TransformFailed: With Spark's own reason.
        """
        check_classes(Path(pipeline_dir), self._foreign)
        jvm = self._session.jvm
        try:
            pipeline = jvm.org.apache.spark.ml.Pipeline.load(to_read(for_java(Path(pipeline_dir))))
        except Exception as error:
            raise TransformFailed(
                f"Spark cannot load the training definition: {root_cause(error)}", "load_model_failure"
            ) from error
        rows = self._frame(schema, fields, values).cache()
        try:
            model = pipeline.fit(rows)
            model.write().overwrite().save(to_write(Path(target)))
        except Exception as error:
            raise TransformFailed(f"Spark cannot train the pipeline: {root_cause(error)}") from error
        finally:
            rows.unpersist()
        kept = self._frame(schema, held["fields"], held["values"])
        return {
            "values": self._figures(model, kept, method, metrics),
            "before": self._figures(self._models.get(model_dir), kept, method, metrics),
        }

    def _frame(self, schema: dict[str, Any], fields: Sequence[str], values: Sequence[Sequence[Any]]) -> Any:
        asked = request_schema(schema, fields)
        frame = make_frame(self._session, to_lines(asked, fields, values), asked)
        return frame.drop(ROW)

    def _figures(self, model: Any, rows: Any, method: str, metrics: Sequence[str]) -> list[float]:
        try:
            scored = model.transform(rows).cache()
            try:
                return [self._figure(model, scored, method, metric) for metric in metrics]
            finally:
                scored.unpersist()
        except PortError:
            raise
        except Exception as error:
            raise TransformFailed(f"Spark cannot measure the model: {root_cause(error)}") from error

    def _figure(self, model: Any, scored: Any, method: str, metric: str) -> float:
        stage = self._predictor(model)
        package = self._session.jvm.org.apache.spark.ml.evaluation
        evaluator = getattr(package, _EVALUATORS[method])().setMetricName(metric)
        evaluator.set(evaluator.getParam("labelCol"), _column(stage, "labelCol"))
        for name in _COLUMNS[method]:
            if stage.hasParam(name):
                evaluator.set(evaluator.getParam(name), _column(stage, name))
        value = float(evaluator.evaluate(scored))
        # NaN is no JSON: a figure that there is not fails as one, with its name.
        if value != value:
            raise TransformFailed(f"The figure {metric} is not defined on these rows. Send others, too.")
        return value

    def _predictor(self, model: Any) -> Any:
        """The last stage that predicts a label."""
        for stage in reversed(leaves(self._session, model)):
            if stage.hasParam("labelCol") and stage.hasParam("predictionCol"):
                return stage
        raise TransformFailed("No stage of the model predicts a label, so it cannot be measured.")


def _column(stage: Any, param: str) -> str:
    return str(stage.getOrDefault(stage.getParam(param)))
