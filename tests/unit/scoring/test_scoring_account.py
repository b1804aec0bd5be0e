"""The published account of the comparison with Spark is whole."""

from __future__ import annotations

import json
from pathlib import Path

from wmlclient.scoring.registry import described, supported

REFUSED = {"DistributedLDAModel", "FPGrowthModel"}


def test_every_stage_was_compared_on_ten_thousand_rows(root: Path) -> None:
    known = json.loads((root / "docs/reference/parity.json").read_text(encoding="utf-8"))
    stages = known["4.2"]["stages"]
    due = {name for name in supported() if name.rpartition(".")[2] not in REFUSED}
    assert set(stages) == {name for name in due if not name.startswith("pyspark.")}
    assert min(stage["rows"] for stage in stages.values()) >= 10_000
    assert max(stage["largest_difference"] or 0.0 for stage in stages.values()) <= 1e-12


def test_every_stage_says_what_it_does() -> None:
    assert [name for name, text in described().items() if not text.endswith(".")] == []
