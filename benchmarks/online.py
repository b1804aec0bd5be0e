"""One row, scored online: our service beside a bare echo, Spark in process and `mlflow models serve`, in one run.

    python3 dev.py bench [--calls N] [--skip-mlflow]

Figures of a busy machine are only worth something as ratios, so that is what the goals are:
our p50 <= 1.5 x the echo's, and >= 100 x below MLflow's. MLflow gets a virtual environment of its own in the
user's cache folder, made on the first run (about 1.3 GB, with a pyspark of its own).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import requests
from echo import SCORE_PATH
from measure import Figures, import_seconds, in_turn, poster, uvicorn
from mlflow_peer import serve_mlflow
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.feature import IDF, HashingTF, Tokenizer
from pyspark.sql import SparkSession

import wmlclient

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))
from tweets_data import load_tweets

SCHEMA = "id int, text string, label double"
FIELDS = ["id", "text"]
IMPORT_LIMIT = 0.150


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--calls", type=int, default=1500, help="timed calls of each HTTP figure (default: 1500)"
    )
    parser.add_argument(
        "--spark-calls", type=int, default=40, help="timed calls of Spark in process (default: 40)"
    )
    parser.add_argument("--mlflow-calls", type=int, default=150, help="timed calls of MLflow (default: 150)")
    parser.add_argument("--skip-mlflow", action="store_true", help="leave MLflow out, with its download")
    options = parser.parse_args()

    tweets = load_tweets()
    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.log.level", "ERROR")
        .getOrCreate()
    )
    train = spark.createDataFrame(
        [(t.id, t.text, 1.0 if t.mean_sentiment > 0 else 0.0) for t in tweets], SCHEMA
    )
    model = fit(train)
    row = [tweets[0].id, tweets[0].text]

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        figures = time_http(model, train, row, folder, options.calls)
        figures["Spark, transform().collect() in process"] = time_spark(
            spark, model, row, options.spark_calls
        )
        if not options.skip_mlflow:
            model.write().overwrite().save(str(folder / "model"))
            body = json.dumps({"dataframe_split": {"columns": FIELDS, "data": [row]}}).encode()
            with serve_mlflow(folder / "model", folder) as url, requests.Session() as session:
                call = {"mlflow": poster(session, f"{url}/invocations", body)}
                figures["mlflow models serve, Spark flavor"] = in_turn(call, options.mlflow_calls, 10)[
                    "mlflow"
                ]
    spark.stop()
    imports = {module: import_seconds(module) for module in ("requests", "wmlclient")}
    return report(figures, imports)


def fit(train: object) -> PipelineModel:
    return Pipeline(
        stages=[
            Tokenizer(inputCol="text", outputCol="words"),
            HashingTF(inputCol="words", outputCol="counts", numFeatures=1 << 16),
            IDF(inputCol="counts", outputCol="features"),
            LogisticRegression(featuresCol="features", labelCol="label"),
        ]
    ).fit(train)


def time_http(model: PipelineModel, train: object, row: list, folder: Path, calls: int) -> dict[str, Figures]:
    """The echo, the echo behind Connexion and our service, call by call in turn."""
    body = json.dumps({"fields": FIELDS, "values": [row]}).encode()
    with (
        wmlclient.Client.local(home=folder / "home") as client,
        uvicorn("echo:app", folder) as bare,
        uvicorn("echo:through_connexion", folder, "--factory") as connexion,
        requests.Session() as bare_session,
        requests.Session() as connexion_session,
        requests.Session() as our_session,
    ):
        published = client.models.publish(model, name="benchmark", sample=train, label_col="label")
        deployment = published.deploy("benchmark", timeout=300)
        first = deployment.score([row], fields=FIELDS)
        if first.engine != "native":
            raise RuntimeError(
                f"the model is scored by {first.engine}, not native: {published.refresh().parity}"
            )
        token = fetch_token(folder / "home" / "credentials.json")
        our_session.headers["Authorization"] = f"Bearer {token}"
        connexion_session.headers["Authorization"] = f"Bearer {token}"
        return in_turn(
            {
                "echo, same server": poster(bare_session, f"{bare}/echo", body),
                "wmlclient, HTTP": poster(our_session, deployment.scoring_url, body),
                "wmlclient, deployment.score()": lambda: deployment.score([row], fields=FIELDS),
                "echo through Connexion": poster(connexion_session, f"{connexion}{SCORE_PATH}", body),
            },
            calls,
            warm_up=200,
        )


def fetch_token(credentials: Path) -> str:
    known = json.loads(credentials.read_text())
    url, user = f"{known['url']}/v3/identity/token", (known["username"], known["password"])
    return str(requests.get(url, auth=user, timeout=30).json()["token"])


def time_spark(spark: SparkSession, model: PipelineModel, row: list, calls: int) -> Figures:
    frame = spark.createDataFrame([tuple(row)], "id int, text string")
    return in_turn({"spark": lambda: model.transform(frame).collect()}, calls, warm_up=10)["spark"]


def report(figures: dict[str, Figures], imports: dict[str, float]) -> int:
    echo, ours = figures["echo, same server"], figures["wmlclient, HTTP"]
    connexion = figures["echo through Connexion"]
    print("\none row, online")
    for name, figure in figures.items():
        print(f"  {name:<42} {figure}   {figure.p50 / echo.p50:8.2f} x echo")
    goals = [("p50 of ours / echo", ours.p50 / echo.p50, "<= 1.5", ours.p50 <= 1.5 * echo.p50)]
    mlflow = figures.get("mlflow models serve, Spark flavor")
    if mlflow:
        goals.append(("p50 of MLflow / ours", mlflow.p50 / ours.p50, ">= 100", mlflow.p50 >= 100 * ours.p50))
    goals.append(
        (
            "import wmlclient, s",
            imports["wmlclient"],
            f"<= {IMPORT_LIMIT}",
            imports["wmlclient"] <= IMPORT_LIMIT,
        )
    )
    print("\ngoals")
    for name, value, goal, met in goals:
        print(f"  {name:<42} {value:9.3f}   goal {goal:<8} {'met' if met else 'MISSED'}")
    print("\nbeside these")
    print(f"  {'Connexion on the scoring call would add':<42} {connexion.p50 - echo.p50:9.3f} ms to the p50")
    print(f"  {'import requests, s':<42} {imports['requests']:9.3f}")
    return 0 if all(met for *_, met in goals) else 1


if __name__ == "__main__":
    sys.exit(main())
