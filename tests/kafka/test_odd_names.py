"""Folders and files with names that are patterns, lists or addresses for somebody: a home like any other."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
from pyarrow import parquet
from spark_stand import Fitted

import wmlclient

pytestmark = [pytest.mark.kafka, pytest.mark.spark, pytest.mark.timeout(300)]

ODD = "a ü€ %20 #1 [x]{y,z}?"
ROWS = [{"id": 1, "text": "what a day"}, {"id": 2, "text": "bad"}]


def test_a_home_and_files_of_any_name(pipelines: dict[str, Fitted], tmp_path: Path) -> None:
    folder = tmp_path / ODD
    saved = folder / "model"
    shutil.copytree(pipelines["text"].path, saved)
    with open(folder / "in put.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["id", "text"])
        writer.writeheader()
        writer.writerows(ROWS)
    spark = wmlclient.SparkService(cluster_master_url="local[2]")
    with wmlclient.Client.local(folder / "home", kafka=True) as client:
        model = client.models.publish(str(saved), "m", training_schema=pipelines["text"].schema)
        assert model.wait_parity().engine == "native"
        expected = [row["prediction"] for row in model.deploy("online").score(ROWS).to_dicts()]
        for name, service in (("native", None), ("spark", spark)):
            target = folder / f"{name}.parquet"
            model.deploy(name, source=folder / "in put.csv", target=target, spark=service).wait()
            assert parquet.read_table(target)["prediction"].to_pylist() == expected
        target = folder / "on spark.csv"
        model.deploy("again", source=folder / "spark.parquet", target=target, spark=spark).wait()
        assert len(target.read_text(encoding="utf-8").splitlines()) == 3
        source = client.kafka.topic("in").create()
        targets = [client.kafka.topic(name).create() for name in ("native", "spark")]
        for topic, service in zip(targets, (None, spark), strict=True):
            model.deploy(topic.name, source=source, target=topic, spark=service).wait(timeout=120)
        source.send(ROWS)
        for topic in targets:
            assert [each.value["prediction"] for each in topic.read(2, timeout=60)] == expected
    with wmlclient.Client.local(folder / "home", kafka=True) as client:
        client.kafka.topic("in").send(ROWS[:1])
        for name in ("native", "spark"):
            assert [each.value["id"] for each in client.kafka.topic(name).read(3, timeout=120)] == [1, 2, 1]
    # Nobody took a part of a name for another folder.
    assert [path.name for path in tmp_path.iterdir()] == [ODD]
