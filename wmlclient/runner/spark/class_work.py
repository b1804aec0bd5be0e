"""A little of everything that a driver does, so that its JVM loads the classes for it. In a process of its own."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

from wmlclient.hadoop import to_read, to_write
from wmlclient.runner.spark.models import ModelCache, load
from wmlclient.runner.spark.session import Session
from wmlclient.runner.spark.settings import DriverFolder, spark_settings, to_properties
from wmlclient.runner.spark.transform import Transformer

_MASTER = "local[2]"
_END_SECONDS = 120.0
_COLUMNS = ("CAST(id AS INT) AS id", "concat('word ', id) AS text", "CAST(id % 2 AS DOUBLE) AS label")


def main() -> None:
    """Entry point: a folder for all files, and the file that takes the classes."""
    home, file = map(Path, sys.argv[1:])
    folder = DriverFolder.of(home, _MASTER)
    folder.path.mkdir(parents=True)
    # The second is of those who read it: a Java that does not know it ends here, and not when a driver is to start.
    options = [f"-XX:ArchiveClassesAtExit={file}", "-XX:+VerifySharedSpaces"]
    folder.properties.write_text(
        to_properties(spark_settings(folder, _MASTER, (), "1g", java_options=options))
    )
    session = Session(folder.path)
    session.start()
    try:
        work(session, home / "work")
    except BaseException:
        session.kill()
        raise
    # A JVM that is killed keeps nothing; this one ends by itself as soon as nobody writes to it any more.
    with contextlib.suppress(Exception):
        session.gateway.shutdown()
    session.gateway.proc.stdin.close()
    session.gateway.proc.wait(_END_SECONDS)


def work(session: Session, folder: Path) -> None:
    """Fit, save, load, score; read and write files; a stream.

    Args:
        session: Has been started.
        folder: Takes files.
    """
    model = _fitted(session)
    model.write().save(to_write(folder / "model"))
    _request(session, str(folder / "model"))
    rows, loaded = _rows(session), load(session, str(folder / "model"))
    for format in ("parquet", "json"):
        rows.write().format(format).save(to_write(folder / format))
        scored = loaded.transform(session.spark.read().format(format).load(to_read(folder / format)))
        scored.select("id", session.seq(["prediction"])).write().csv(to_write(folder / f"{format}-csv"))
    _stream(session, loaded, rows.schema(), folder)


def _rows(session: Session) -> Any:
    return session.spark.range(200).selectExpr(session.seq(list(_COLUMNS)))


def _fitted(session: Session) -> Any:
    ml = session.jvm.org.apache.spark.ml
    made = [
        ml.feature.Tokenizer().setInputCol("text").setOutputCol("words"),
        ml.feature.HashingTF().setInputCol("words").setOutputCol("counts").setNumFeatures(64),
        ml.feature.IDF().setInputCol("counts").setOutputCol("features"),
        ml.classification.LogisticRegression().setMaxIter(2),
    ]
    stages = session.gateway.new_array(ml.PipelineStage, len(made))
    for place, stage in enumerate(made):
        stages[place] = stage
    return ml.Pipeline().setStages(stages).fit(_rows(session))


def _request(session: Session, model: str) -> None:
    schema = json.loads(_rows(session).schema().json())
    fields = [column["name"] for column in schema["fields"]]
    Transformer(session, ModelCache(session)).run(
        model, schema, fields, [[1, "a word", 0.0], [2, "words", 1.0]]
    )


def _stream(session: Session, model: Any, schema: Any, folder: Path) -> None:
    trigger = session.jvm.org.apache.spark.sql.streaming.Trigger.AvailableNow()
    read = session.spark.readStream().schema(schema).json(to_read(folder / "json"))
    made = model.transform(read).selectExpr(session.seq(["to_json(struct(*)) AS value"]))
    query = made.writeStream().format("text").option("checkpointLocation", to_write(folder / "checkpoint"))
    query.trigger(trigger).start(to_write(folder / "streamed")).awaitTermination()


if __name__ == "__main__":
    main()
