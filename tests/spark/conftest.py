"""Real Spark, in its driver process."""

from __future__ import annotations

from spark_stand import driver_home, driver_pool, pipelines, runner

__all__ = ["driver_home", "driver_pool", "pipelines", "runner"]
