"""A real broker, and real Spark in its driver process."""

from __future__ import annotations

from kafka_stand import broker, make_stream
from spark_stand import driver_home, driver_pool, pipelines, runner
from stream_stand import stand

__all__ = ["broker", "driver_home", "driver_pool", "make_stream", "pipelines", "runner", "stand"]
