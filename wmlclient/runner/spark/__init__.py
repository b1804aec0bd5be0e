"""Spark behind the runner: a driver process of its own (``driver``), and the side that talks to it (``pool``).

The parent side (``pool``, ``runner``, ``client``, ``coalesce``, ``settings``) imports neither pyspark
nor py4j. The driver side (all the other modules) runs in ``python -m wmlclient.runner.spark.driver``.
"""

from __future__ import annotations
