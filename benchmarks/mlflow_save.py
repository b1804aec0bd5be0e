"""Save a PipelineModel as an MLflow model; runs in MLflow's environment: ``python mlflow_save.py MODEL TARGET``."""

from __future__ import annotations

import sys

import mlflow.spark
from pyspark.ml import PipelineModel
from pyspark.sql import SparkSession

if __name__ == "__main__":
    SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    mlflow.spark.save_model(PipelineModel.load(sys.argv[1]), sys.argv[2])
