"""Fits small models with the Spark at hand, saves them, and notes what that Spark answers.

``python make.py ARCHIVE [FOLDER]``; it needs pyspark and numpy, nothing of this project: see ``build.py``. A FOLDER
keeps the cases that are made, so that a run that was ended goes on where it was. The archive holds

    cases.json             the input tables, and for each model its answers; doubles exactly, as repr() writes them
    <case>/...             a model, as this Spark saved it

The cases are in ``corpus_features.py`` and ``corpus_predictors.py``; a stage that this Spark does not have leaves
its case out.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import sys
import tarfile
import tempfile
import traceback
import warnings
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from spark_values import to_json  # noqa: E402 - beside the tests

NUMBER = "row_number"
WITH_CHECKSUMS = "indexing"  # this case keeps Spark's .crc files and _SUCCESS marks


def main(target: Path, work: Path) -> None:
    warnings.simplefilter("ignore")
    import corpus_cases
    import corpus_tables
    import pyspark

    os.environ["PYSPARK_PYTHON"] = sys.executable  # OneVsRest has workers in Python
    spark = session(work)
    frames = {name: table.frame(spark) for name, table in corpus_tables.ALL.items()}
    document: dict[str, Any] = {"spark": pyspark.__version__, "tables": {}, "cases": {}}
    for name, frame in frames.items():
        document["tables"][name] = {
            "schema": json.loads(frame.schema.json()),
            "values": [[to_json(v) for v in row] for row in frame.collect()],
        }
    failed = []
    for case in corpus_cases.all_cases():
        known = work / f"{case.name}.json"
        try:
            if not known.exists():
                made = made_case(spark, case, frames[case.table].drop(*case.without), work / case.name)
                known.write_text(json.dumps(made), encoding="utf-8")
                print(case.name, flush=True)  # noqa: T201 - progress of a program
            document["cases"][case.name] = json.loads(known.read_text("utf-8"))
        except Exception:  # the others are worth a try: a start of Spark takes longer than a case
            traceback.print_exc()
            failed.append(case.name)
    spark.stop()
    if failed:
        sys.exit(f"not made, as these failed: {', '.join(failed)}")
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
    pack(target, work, sorted(document["cases"]), text)


def made_case(spark: Any, case: Any, frame: Any, folder: Path) -> dict[str, Any]:
    """Fits and saves a case; returns what Spark answers."""
    shutil.rmtree(folder, ignore_errors=True)
    save(case.fit(spark), folder, case.java)
    found = answers(case, frame, load(folder))
    if case.name != WITH_CHECKSUMS:
        for path in folder.rglob("*"):
            if path.name.endswith(".crc") or path.name == "_SUCCESS":
                path.unlink()
    return found


def session(home: Path) -> Any:
    from pyspark.sql import SparkSession

    session = (
        SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.sql.shuffle.partitions", "1")
        .config("spark.default.parallelism", "1")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.warehouse.dir", str(home / ".warehouse"))
        .config("spark.local.dir", str(home / ".local"))
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("OFF")
    return session


def save(model: Any, folder: Path, java: bool) -> None:
    """Saves as ``save()`` does, or as a Scala program would, where PySpark alone would write its own classes."""
    if java:
        model._to_java().save(str(folder))
    else:
        model.save(str(folder))


def load(folder: Path) -> Any:
    """What Spark makes of the saved model, which is the one to be compared with: saving may lose a default."""
    from pyspark.ml import PipelineModel

    return PipelineModel.load(str(folder))


def answers(case: Any, frame: Any, model: Any) -> dict[str, Any]:
    """What Spark answers, but for the columns that it was given."""
    answer = model.transform(frame)
    rows = answer.collect()
    added = [name for name in answer.columns if name not in frame.columns]
    return {
        "table": case.table,
        "without": list(case.without),
        "fields": answer.columns,
        "dtypes": dict(answer.dtypes),
        "rows": [row[NUMBER] for row in rows],
        "added": added,
        "values": [[to_json(row[name]) for name in added] for row in rows],
    }


def pack(target: Path, home: Path, names: list[str], text: str) -> None:
    """The archive; the same files make the same bytes."""
    (home / "cases.json").write_text(text + "\n", encoding="utf-8")

    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = member.mtime = 0
        member.uname = member.gname = ""
        member.mode = 0o755 if member.isdir() else 0o644
        return member

    part = target.with_name(target.name + ".part")
    with open(part, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for name in ["cases.json", *names]:
                tar.add(home / name, arcname=name, recursive=False, filter=plain)
                for path in sorted(home.joinpath(name).rglob("*")):
                    tar.add(path, arcname=str(path.relative_to(home)), recursive=False, filter=plain)
    part.replace(target)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        kept = Path(sys.argv[2] if len(sys.argv) > 2 else temporary)
        kept.mkdir(parents=True, exist_ok=True)
        main(Path(sys.argv[1]), kept)
