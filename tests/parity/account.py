"""The account of what was compared with Spark: how many rows of each stage, and how far apart they were.

``WMLCLIENT_PARITY_LEAST`` is how many rows each stage must have; ``WMLCLIENT_PARITY_REPORT`` names the JSON file that
the account is written into, by version of Spark: `docs/reference/parity.json` is such a one.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pyspark
from attrs import define, field

from wmlclient.scoring.registry import supported

LEAST = int(os.environ.get("WMLCLIENT_PARITY_LEAST", "0"))
REPORT = os.environ.get("WMLCLIENT_PARITY_REPORT", "")
VERSION = ".".join(pyspark.__version__.split(".")[:2])

REFUSED = {
    "org.apache.spark.ml.clustering.DistributedLDAModel",
    "org.apache.spark.ml.fpm.FPGrowthModel",
}
"""Stages whose answers Spark itself does not give twice alike: their models are scored by Spark."""
MISSING = {"3.5": {"org.apache.spark.ml.feature.TargetEncoderModel"}}
"""Stages that a version of Spark does not have yet."""


@define
class Account:
    """What was compared.

    Attributes:
        rows: Rows on which Spark and the scorer agreed, by Java class of the stage.
        largest: The largest difference of two floats, by Java class, of models of that one stage; not of Spark 3.
    """

    rows: Counter[str] = field(factory=Counter)
    largest: dict[str, float] = field(factory=dict)

    def add(self, classes: Collection[str], rows: int, largest: float) -> None:
        """Counts one comparison of a model of these stages."""
        self.rows.update(dict.fromkeys(classes, rows))
        alone = [name for name in classes if not name.endswith(".PipelineModel")]
        # Beside Spark 3, vectors are settled before they are compared: what is left says nothing.
        if len(alone) == 1 and not VERSION.startswith("3."):
            self.largest[alone[0]] = max(largest, self.largest.get(alone[0], 0.0))

    def merge(self, other: Mapping[str, Any]) -> None:
        """Adds a worker's account."""
        self.rows.update(other["rows"])
        for name, largest in other["largest"].items():
            self.largest[name] = max(largest, self.largest.get(name, 0.0))

    def to_json(self) -> dict[str, Any]:
        """For :meth:`merge`."""
        return {"rows": dict(self.rows), "largest": self.largest}

    def due(self) -> list[str]:
        """The stages that the scorer does and this Spark has; Python's own name for one is no other stage."""
        left_out = REFUSED | MISSING.get(VERSION, set())
        return [name for name in supported() if name not in left_out and not name.startswith("pyspark.")]

    def short(self) -> list[str]:
        """The stages with too few rows."""
        return [name for name in self.due() if self.rows[name] < LEAST]

    def write(self, path: Path, seed: int) -> None:
        """Writes it beside those of other versions."""
        known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        stages = {
            name: {"rows": self.rows[name], "largest_difference": self.largest.get(name)}
            for name in self.due()
        }
        known[VERSION] = {"spark": pyspark.__version__, "seed": seed, "stages": stages}
        path.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")


ACCOUNT = Account()
