"""Converts pipelines with `onnxmltools` and times onnxruntime; runs in its environment: ``python onnx_run.py JOBS``."""

from __future__ import annotations

import json
import statistics
import sys
import time
from typing import Any

import numpy as np
import onnxruntime
import pandas
from onnxmltools import convert_sparkml
from onnxmltools.convert.common.data_types import FloatTensorType, StringTensorType
from pyspark.ml import PipelineModel
from pyspark.sql import SparkSession


def timed(spark: SparkSession, job: dict[str, Any]) -> dict[str, Any]:
    frame = pandas.read_parquet(job["rows"])
    expected = frame.pop("prediction").to_numpy()
    kinds = {
        name: StringTensorType if kind.kind == "O" else FloatTensorType for name, kind in frame.dtypes.items()
    }
    model = PipelineModel.load(job["model"])
    try:
        converted = convert_sparkml(
            model, job["name"], [(name, kind([None, 1])) for name, kind in kinds.items()], spark_session=spark
        )
    except Exception as error:
        lines = str(error).strip().splitlines()
        return {"reason": f"{type(error).__name__}: {lines[0] if lines else ''}"[:160]}
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        converted.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    wanted = {given.name for given in session.get_inputs()}
    columns = {
        name: frame[[name]].to_numpy(dtype=object if kinds[name] is StringTensorType else np.float32)
        for name in frame
        if name in wanted
    }
    one = {name: column[:1] for name, column in columns.items()}
    row_times = []
    for _ in range(2_000):
        started = time.perf_counter()
        session.run(None, one)
        row_times.append(time.perf_counter() - started)
    batch_times = []
    for _ in range(3):
        started = time.perf_counter()
        answers = session.run(None, columns)
        batch_times.append(time.perf_counter() - started)
    names = [output.name for output in session.get_outputs()]
    labels = np.asarray(answers[names.index("prediction")]).ravel()
    return {
        "row": statistics.median(row_times) * 1e6,
        "rate": len(frame) / statistics.median(batch_times),
        "flipped": int((labels.astype(np.float64) != expected).sum()),
        "rows": len(frame),
    }


if __name__ == "__main__":
    session = (
        SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .getOrCreate()
    )
    found = {job["name"]: timed(session, job) for job in json.loads(sys.argv[1])["jobs"]}
    session.stop()
    print(json.dumps(found))
