"""Publishing live models: the session stays as it was, and the archive is what Spark loads."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from facade_stub import INSTANCE, PASSWORD, USER, Stub

from wmlclient import errors
from wmlclient.client import Client

pytestmark = pytest.mark.spark

ROWS = [(1, "good day", "pos"), (2, "bad day", "neg"), (3, "so good", "pos"), (4, "so bad", "neg")]


@pytest.fixture(scope="module")
def train(spark: Any) -> Any:
    return spark.createDataFrame(ROWS, "id int, text string, mood string")


@pytest.fixture(scope="module")
def pipeline(spark: Any) -> Any:
    from pyspark.ml import Pipeline
    from pyspark.ml.classification import LogisticRegression
    from pyspark.ml.feature import HashingTF, IndexToString, StringIndexer, Tokenizer

    return Pipeline(
        stages=[
            StringIndexer(inputCol="mood", outputCol="label", stringOrderType="alphabetAsc"),
            Tokenizer(inputCol="text", outputCol="words"),
            HashingTF(inputCol="words", outputCol="features", numFeatures=32),
            LogisticRegression(maxIter=3),
            IndexToString(inputCol="prediction", outputCol="predicted", labels=["neg", "pos"]),
        ]
    )


@pytest.fixture(scope="module")
def fitted(pipeline: Any, train: Any) -> Any:
    return pipeline.fit(train)


@pytest.fixture
def stub() -> Iterator[Stub]:
    service = Stub()
    yield service
    service.close()


@pytest.fixture
def client(stub: Stub) -> Iterator[Client]:
    with Client(stub.url, username=USER, password=PASSWORD, instance_id=INSTANCE) as client:
        yield client


def test_the_session_is_used_and_left_as_it_was(
    spark: Any,
    client: Client,
    stub: Stub,
    fitted: Any,
    train: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = dict(spark.conf.getAll)

    model = client.models.publish(fitted, "m", sample=train)

    assert dict(spark.conf.getAll) == before
    assert type(spark).getActiveSession() is spark
    assert list(tmp_path.iterdir()) == []
    body = stub.models[model.id]["entity"]
    assert body["label_column"] == "mood"
    assert body["framework"]["version"] == ".".join(spark.version.split(".")[:2])
    assert body["training_data_schema"]["fields"][2]["metadata"] == {"modeling_role": "target"}
    assert body["training_data_schema"]["fields"][0]["type"] == "integer"
    assert body["sample"]["values"] == [list(row) for row in ROWS]


def test_a_frame_of_spark_is_scored_in_its_session(
    spark: Any, client: Client, fitted: Any, train: Any
) -> None:
    model = client.models.publish(fitted, "m", sample=train)
    given = train.drop("mood").withColumn("note", train["text"])

    found = model.score_frame(given)

    assert found.sparkSession is given.sparkSession
    assert found.columns == fitted.transform(given).columns
    assert found.orderBy("id").collect() == fitted.transform(given).orderBy("id").collect()


def test_spark_loads_what_was_uploaded(
    spark: Any, client: Client, stub: Stub, fitted: Any, pipeline: Any, train: Any, tmp_path: Path
) -> None:
    import tarfile

    from pyspark.ml import Pipeline, PipelineModel

    model = client.models.publish(fitted, "m", sample=train, pipeline=pipeline)

    (definition,) = stub.definitions
    for guid, cls in ((model.id, PipelineModel), (definition, Pipeline)):
        (tmp_path / f"{guid}.tar.gz").write_bytes(stub.content[guid])
        with tarfile.open(tmp_path / f"{guid}.tar.gz") as tar:
            tar.extractall(tmp_path / guid, filter="data")
        assert len(cls.load(f"file://{tmp_path / guid}").stages if cls is PipelineModel else
                   cls.load(f"file://{tmp_path / guid}").getStages()) == 5  # fmt: skip
    loaded = PipelineModel.load(f"file://{tmp_path / model.id}")
    assert [r.predicted for r in loaded.transform(train).collect()] == [
        r.predicted for r in fitted.transform(train).collect()
    ]


def test_a_lone_stage_is_wrapped(client: Client, stub: Stub, fitted: Any, train: Any) -> None:
    prepared = fitted.transform(train).select("features", "label")

    model = client.models.publish(fitted.stages[3], "m", sample=prepared)

    body = stub.models[model.id]["entity"]
    assert body["label_column"] == "label"
    assert body["sample"]["values"][0][0] == [32, *map(list, _sparse(prepared.first().features))]
    assert body["training_data_schema"]["fields"][0]["type"]["type"] == "udt"


def _sparse(vector: Any) -> tuple[Any, Any]:
    return vector.indices.tolist(), vector.values.tolist()


def test_times_of_spark_get_their_zone(spark: Any, client: Client, stub: Stub, fitted: Any) -> None:
    moment = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.timezone.utc)
    sample = spark.createDataFrame([("x", moment, moment.date())], "text string, at timestamp, day date")

    model = client.models.publish(fitted, "m", sample=sample)

    (row,) = stub.models[model.id]["entity"]["sample"]["values"]
    assert row == ["x", "2026-01-02T03:04:05+00:00", "2026-01-02"]


def test_a_pandas_sample_and_a_saved_folder_say_the_same(
    client: Client, stub: Stub, fitted: Any, train: Any, tmp_path: Path
) -> None:
    fitted.write().overwrite().save(f"file://{tmp_path / 'saved'}")
    sample = pd.DataFrame(ROWS, columns=["id", "text", "mood"]).astype({"id": "int32"})

    live = client.models.publish(fitted, "m", sample=train)
    saved = client.models.publish(tmp_path / "saved", "m", sample=sample)

    first, second = (stub.models[m.id]["entity"] for m in (live, saved))
    for entity in (first, second):
        del entity["model_version"]
    assert first == second


def test_what_is_not_fitted_is_refused(
    client: Client, stub: Stub, pipeline: Any, train: Any, fitted: Any
) -> None:
    from pyspark.ml.classification import LogisticRegression

    for unfitted in (pipeline, LogisticRegression()):
        with pytest.raises(errors.NotAModelError, match="not fitted. Publish what its fit"):
            client.models.publish(unfitted, "m", sample=train)
    with pytest.raises(errors.NotAModelError, match="unfitted Pipeline"):
        client.models.publish(fitted, "m", sample=train, pipeline=fitted)
    with pytest.raises(errors.NotAModelError):
        client.models.publish(train, "m", sample=train)
    assert stub.requests == []


def test_a_python_stage_that_cannot_be_saved(client: Client, stub: Stub, spark: Any, train: Any) -> None:
    from pyspark.ml import PipelineModel, Transformer

    class Mine(Transformer):
        def _transform(self, dataset: Any) -> Any:
            return dataset

    with pytest.raises(errors.PayloadError, match="cannot save"):
        client.models.publish(PipelineModel([Mine()]), "m", sample=train)
    assert stub.requests == []
