"""Times MLflow's Spark flavor in process; runs in MLflow's environment: ``python mlflow_run.py JOBS``."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import mlflow.spark
import pandas
from pyspark.ml import PipelineModel
from pyspark.sql import SparkSession


def timed(job: dict[str, Any], folder: Path) -> dict[str, float]:
    frame = pandas.read_parquet(job["rows"]).drop(columns="prediction")
    mlflow.spark.save_model(PipelineModel.load(job["model"]), str(folder / job["name"]))
    model = mlflow.pyfunc.load_model(str(folder / job["name"]))
    one = frame.head(1)
    row_times, batch_times = [], []
    for number in range(-2, job["calls"]):
        started = time.perf_counter()
        model.predict(one)
        if number >= 0:
            row_times.append(time.perf_counter() - started)
    for number in range(-1, 2):
        started = time.perf_counter()
        model.predict(frame)
        if number >= 0:
            batch_times.append(time.perf_counter() - started)
    return {"row": statistics.median(row_times) * 1e6, "rate": len(frame) / statistics.median(batch_times)}


if __name__ == "__main__":
    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.sql.execution.arrow.pyspark.enabled", "true")
        .config("spark.driver.memory", "2g")
        .getOrCreate()
    )
    with tempfile.TemporaryDirectory() as scratch:
        found = {job["name"]: timed(job, Path(scratch)) for job in json.loads(sys.argv[1])["jobs"]}
    session.stop()
    print(json.dumps(found))
