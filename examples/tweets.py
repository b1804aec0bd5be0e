"""The whole way with real tweets: train in Spark, publish, deploy, score online and from Kafka to Kafka.

    python3 dev.py example

Ends with a report, and with an exit code other than 0 unless every score is Spark's own.
"""

from __future__ import annotations

import random
import statistics
import sys
import time
from typing import Any

import pandas
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.feature import IDF, HashingTF, RegexTokenizer, StopWordsRemover
from pyspark.sql import DataFrame, SparkSession
from tweets_data import TweetsUnavailable, load_tweets

import wmlclient

HELD_BACK = 1000
SINGLE_CALLS = 500
LIMIT = 1e-12  # largest |difference| between our probability and Spark's

Scored = dict[int, tuple[float, list[float]]]  # tweet id -> prediction, probability


def main() -> int:
    rows = labelled(load_tweets())
    train_rows, test_rows = rows[HELD_BACK:], rows[:HELD_BACK]
    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.execution.arrow.pyspark.enabled", "true")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.log.level", "ERROR")
        .getOrCreate()
    )
    schema = "id int, text string, label double"
    train = spark.createDataFrame(pandas.DataFrame(train_rows), schema)
    test = spark.createDataFrame(pandas.DataFrame(test_rows), schema)

    say(f"training in Spark {spark.version} on {len(train_rows):,} tweets, {len(test_rows):,} held back")
    pipeline_model = fit(train)
    expected = scored_by_spark(pipeline_model, test)
    records = [{"id": r["id"], "text": r["text"]} for r in test_rows]

    say("starting the runner")
    with wmlclient.Client.local() as client:
        say("publishing; the service compares itself with Spark in the background")
        model = client.models.publish(
            pipeline_model, name="Sentiment Prediction", sample=train, label_col="label"
        )

        say("deploying online")
        online_deployment = model.deploy("sentiment", timeout=300)
        answer = online_deployment.score(records)
        online = {row["id"]: (row["prediction"], row["probability"]) for row in answer}
        milliseconds = latencies(online_deployment, records[:SINGLE_CALLS])

        say("starting a Kafka broker, deploying the stream")
        tweets, scored = client.kafka.topic("tweets"), client.kafka.topic("scored")
        stream_deployment = model.deploy("tweets", source=tweets, target=scored).wait(timeout=300)
        started = time.perf_counter()
        sent = tweets.send(records, key="id")
        values = [record.value for record in scored.read(sent, timeout=180)]
        seconds = time.perf_counter() - started
        streamed = {v["id"]: (v["prediction"], v["probability"]["values"]) for v in values}
        chosen = (
            f"{stream_deployment.engine}, {stream_deployment.delivery}: {stream_deployment.engine_reason}"
        )
        dead_letters = len(client.kafka.topic("scored.dead-letters").read())
        stream_deployment.delete()
        certificate = model.refresh().parity
    spark.stop()

    labels = {r["id"]: r["label"] for r in test_rows}
    correct = sum(online[i][0] == label for i, label in labels.items())
    by_online, by_stream = agree(online, expected), agree(streamed, expected)
    print(f"""
  accuracy on held-back tweets   {correct / len(labels):.3f} ({correct:,} of {len(labels):,})
  agreement with Spark, online   {by_online[0]:,} of {len(expected):,}, largest |dp| {by_online[1]:.1e}
  agreement with Spark, stream   {by_stream[0]:,} of {len(expected):,}, largest |dp| {by_stream[1]:.1e}
  online latency, one tweet      p50 {statistics.median(milliseconds):.2f} ms ({len(milliseconds)} calls over HTTP)
  online engine                  {answer.engine}
  certificate                    {certificate}
  stream engine                  {chosen}
  stream, Kafka to Kafka         {sent:,} sent, {len(values):,} scored in {seconds:.1f} s, {dead_letters} dead letters
""")
    if dead_letters or not by_online[0] == by_stream[0] == len(expected):
        print("FAILED: not every tweet was scored as Spark scores it.")
        return 1
    print("All scores are Spark's own.")
    return 0


def labelled(tweets: list[Any]) -> list[dict[str, Any]]:
    """Tweets with label 1.0 (people rated it positive on average) or 0.0 (negative), in a fixed random order.

    The few whose ratings cancel out exactly are left out: there is no right answer to learn or to count.
    """
    rows = [
        {"id": t.id, "text": t.text, "label": 1.0 if t.mean_sentiment > 0 else 0.0}
        for t in tweets
        if t.mean_sentiment != 0
    ]
    random.Random(0).shuffle(rows)
    return rows


def fit(train: DataFrame) -> PipelineModel:
    return Pipeline(
        stages=[
            RegexTokenizer(inputCol="text", outputCol="words", pattern="[^a-z0-9'#@:()]+"),
            StopWordsRemover(inputCol="words", outputCol="kept"),
            HashingTF(inputCol="kept", outputCol="counts", numFeatures=1 << 16),
            IDF(inputCol="counts", outputCol="features"),
            LogisticRegression(featuresCol="features", labelCol="label", regParam=0.01),
        ]
    ).fit(train)


def scored_by_spark(model: PipelineModel, frame: DataFrame) -> Scored:
    rows = model.transform(frame).select("id", "prediction", "probability").collect()
    return {row["id"]: (row["prediction"], [float(p) for p in row["probability"]]) for row in rows}


def latencies(deployment: Any, records: list[dict[str, Any]]) -> list[float]:
    """Milliseconds of one call for each record, as a caller sees them: Python, HTTP and scoring together."""
    found = []
    for record in records:
        started = time.perf_counter()
        deployment.score([record])
        found.append((time.perf_counter() - started) * 1000)
    return found


def agree(ours: Scored, spark: Scored) -> tuple[int, float]:
    """How many tweets got Spark's prediction and probability, and the largest difference between two probabilities."""
    count, largest = 0, 0.0
    for key, (prediction, probability) in spark.items():
        if key in ours:
            difference = max(abs(a - b) for a, b in zip(ours[key][1], probability, strict=True))
            largest = max(largest, difference)
            count += ours[key][0] == prediction and difference <= LIMIT
    return count, largest


BEGAN = time.monotonic()


def say(text: str) -> None:
    print(f"[{time.monotonic() - BEGAN:5.1f} s] {text}", flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (TweetsUnavailable, wmlclient.WmlError) as error:
        sys.exit(f"example: {error}")
