"""A program of those years, by IBM's own Python client for v3: everything that it can do with a Spark pipeline.

Run by an old Python with the old client and a PySpark of its own, and so without this project. Needs the
``credentials.json`` of a service as its argument.
"""

import json
import os
import sys
import tempfile

from pyspark.ml import Pipeline
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.feature import HashingTF, Tokenizer
from pyspark.sql import SparkSession
from watson_machine_learning_client import WatsonMachineLearningAPIClient

ROWS = [(1, "what a lovely day", 1.0), (2, "awful just awful", 0.0), (3, "lovely", 1.0)]
PAYLOAD = {"fields": ["id", "text"], "values": [[1, "what a day"]]}


def fitted():
    spark = (
        SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("OFF")
    train = spark.createDataFrame(ROWS, ["id", "text", "label"])
    stages = [
        Tokenizer(inputCol="text", outputCol="words"),
        HashingTF(inputCol="words", outputCol="features", numFeatures=256),
        LogisticRegression(maxIter=5),
    ]
    pipeline = Pipeline(stages=stages)
    return train, pipeline, pipeline.fit(train)


def main(path):
    with open(path) as file:
        given = json.load(file)
    names = ("url", "username", "password", "instance_id")
    client = WatsonMachineLearningAPIClient({name: given[name] for name in names})
    assert client.service_instance.get_details()["metadata"]["guid"] == given["instance_id"]
    train, pipeline, model = fitted()

    meta = client.repository.ModelMetaNames
    about = {
        meta.NAME: "Tweets",
        meta.EVALUATION_METHOD: "binary",
        meta.EVALUATION_METRICS: [{"name": "areaUnderROC", "value": 0.9, "threshold": 0.8}],
    }
    stored = client.repository.store_model(
        model=model, meta_props=about, training_data=train, pipeline=pipeline
    )
    uid = client.repository.get_model_uid(stored)
    assert client.repository.get_model_details(uid)["entity"]["name"] == "Tweets"
    client.repository.list()
    client.repository.list_models()
    loaded = client.repository.load(uid).transform(train).select("prediction").collect()
    assert [row.prediction for row in loaded] == [1.0, 0.0, 1.0]
    client.repository.download(uid, "model.tar.gz")
    assert os.path.getsize("model.tar.gz")

    made = client.deployments.create(uid, name="tweets", description="d")
    id, url = client.deployments.get_uid(made), client.deployments.get_scoring_url(made)
    assert client.deployments.get_status(id) == "DEPLOY_SUCCESS"
    first = client.deployments.score(url, PAYLOAD)
    assert first["fields"][:2] == PAYLOAD["fields"]
    client.deployments.list()

    before = client.deployments.get_details(id)["entity"]["deployed_version"]["guid"]
    client.repository.update_model(uid, content_path="model.tar.gz")
    client.deployments.update(id)
    details = client.deployments.get_details(id)
    assert details["entity"]["deployed_version"]["guid"] != before
    assert client.deployments.score(url, PAYLOAD) == first
    client.deployments.delete(id)
    client.repository.delete(uid)
    left = client.repository.get_model_details()["resources"]
    assert uid not in [each["metadata"]["guid"] for each in left]
    print("the program has done all of its work")  # noqa: T201 - a script


if __name__ == "__main__":
    credentials = os.path.abspath(sys.argv[1])
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.chdir(tempfile.mkdtemp())
    main(credentials)
