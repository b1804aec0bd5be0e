"""Settings of Spark that whoever runs the service gives it: a file as Spark's own ``spark-defaults.conf``."""

from __future__ import annotations

import re
from pathlib import Path

from wmlclient.runner.engine.ports import SparkUnavailable

#: Ours among them: records in one batch at most, and how long a batch of Real-time Mode lasts.
RECORDS_PER_BATCH = "spark.wmlclient.recordsPerBatch"
REALTIME_BATCH = "spark.wmlclient.realtimeBatch"

_LINE = re.compile(r"(spark\.[^\s=]+)(?:\s*=\s*|\s+)(.*)")
#: Told by each Spark service, or by how drivers work here.
_FIXED = ("spark.master", "spark.submit.deployMode", "spark.app.name")


def read(path: Path) -> dict[str, str]:
    """The settings of a file.

    Args:
        path: The file: in each line a name and a value, with a space or ``=`` between them; ``#`` begins a comment.

    Raises:
        SparkUnavailable: It cannot be read, or names what cannot be set in it.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SparkUnavailable("spark_conf", f"The Spark settings {path} cannot be read: {error}.") from None
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        # Not what the line holds: it may be a secret.
        if match is None:
            raise _wrong(path, number, "is no setting. Write spark.name value")
        name, value = match.group(1), match.group(2).strip()
        if name in _FIXED:
            raise _wrong(path, number, f"sets {name}, which is not set here. Take it out")
        if name == RECORDS_PER_BATCH and not re.fullmatch("[1-9][0-9]{0,8}", value):
            raise _wrong(path, number, f"sets {name} to what is no number of records. Give a whole number")
        found[name] = value
    return found


def _wrong(path: Path, number: int, what: str) -> SparkUnavailable:
    return SparkUnavailable("spark_conf", f"Line {number} of the Spark settings {path} {what}.")
