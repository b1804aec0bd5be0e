"""One row, scored online: our service beside a bare echo, Spark in process and `mlflow models serve`, in one run.

    python3 dev.py bench [--calls N] [--skip-mlflow]

Figures of a busy machine are only worth something as ratios, so that is what the goals are:
our p50 <= 1.5 x the echo's, and >= 100 x below MLflow's. MLflow gets a virtual environment of its own in the
user's cache folder, made on the first run (about 1.3 GB, with a pyspark of its own).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas
import requests
from echo import SCORE_PATH
from measure import Figures, Group, fetch_token, import_seconds, in_blocks, poster, uvicorn
from mlflow_peer import serve_mlflow
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.feature import IDF, HashingTF, Tokenizer
from pyspark.sql import DataFrame, SparkSession

import wmlclient

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))
from tweets_data import load_tweets

SCHEMA = "id int, text string, label double"
FIELDS = ["id", "text"]
BLOCKS = 10
IMPORT_LIMIT = 0.150

ECHO = "echo, same server"
OURS = "wmlclient, HTTP"
FACADE = "wmlclient, deployment.score()"
CONNEXION = "echo through Connexion"
SPARK = "Spark, transform().collect() in process"
MLFLOW = "mlflow models serve, Spark flavor"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--calls", type=int, default=1500, help="timed calls of each HTTP figure (default: 1500)"
    )
    parser.add_argument(
        "--slow-calls", type=int, default=100, help="timed calls of Spark and MLflow (default: 100)"
    )
    parser.add_argument("--skip-mlflow", action="store_true", help="leave MLflow out, with its download")
    options = parser.parse_args()
    fast, slow = max(1, options.calls // BLOCKS), max(1, options.slow_calls // BLOCKS)

    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.sql.execution.arrow.pyspark.enabled", "true")
        .config("spark.log.level", "ERROR")
        .getOrCreate()
    )
    tweets = load_tweets()
    rows = [(t.id, t.text, 1.0 if t.mean_sentiment > 0 else 0.0) for t in tweets]
    train = spark.createDataFrame(pandas.DataFrame(rows), SCHEMA)
    model = fit(train)
    row = list(rows[0][:2])
    frame = spark.createDataFrame(pandas.DataFrame([row]), "id int, text string")

    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
        folder = Path(scratch)
        groups = [
            Group(http_calls(stack, model, train, row, folder), rounds=fast, warm_up=30),
            Group({SPARK: lambda: model.transform(frame).collect()}, rounds=slow, warm_up=2),
        ]
        if not options.skip_mlflow:
            model.write().overwrite().save(str(folder / "model"))
            url = stack.enter_context(serve_mlflow("mlflow_save.py", folder / "model", scratch=folder))
            body = json.dumps({"dataframe_split": {"columns": FIELDS, "data": [row]}}).encode()
            session = stack.enter_context(requests.Session())
            groups.append(
                Group({MLFLOW: poster(session, f"{url}/invocations", body)}, rounds=slow, warm_up=2)
            )
        figures = in_blocks(groups, BLOCKS)
    spark.stop()
    return report(figures, {module: import_seconds(module) for module in ("requests", "wmlclient")})


def fit(train: DataFrame) -> PipelineModel:
    return Pipeline(
        stages=[
            Tokenizer(inputCol="text", outputCol="words"),
            HashingTF(inputCol="words", outputCol="counts", numFeatures=1 << 16),
            IDF(inputCol="counts", outputCol="features"),
            LogisticRegression(featuresCol="features", labelCol="label"),
        ]
    ).fit(train)


def http_calls(
    stack: contextlib.ExitStack, model: PipelineModel, train: DataFrame, row: list[Any], folder: Path
) -> dict[str, Callable[[], object]]:
    """The echo, the echo behind Connexion and our service, each by a session of its own."""
    bare = stack.enter_context(uvicorn("echo:app", folder))
    connexion = stack.enter_context(uvicorn("echo:through_connexion", folder, "--factory"))
    client = stack.enter_context(wmlclient.Client.local(home=folder / "home"))
    published = client.models.publish(model, name="benchmark", sample=train, label_col="label")
    deployment = published.deploy("benchmark", timeout=300)
    scores = deployment.score([row], fields=FIELDS)
    if scores.engine != "native":
        raise RuntimeError(f"the model is scored by {scores.engine}, not native: {published.parity}")

    body = json.dumps({"fields": FIELDS, "values": [row]}).encode()
    token = {"Authorization": f"Bearer {fetch_token(folder / 'home' / 'credentials.json')}"}
    sessions = [stack.enter_context(requests.Session()) for _ in range(3)]
    for session in sessions:
        session.headers.update(token)
    return {
        ECHO: poster(sessions[0], f"{bare}/echo", body),
        OURS: poster(sessions[1], str(deployment.scoring_url), body),
        FACADE: lambda: deployment.score([row], fields=FIELDS),
        CONNEXION: poster(sessions[2], f"{connexion}{SCORE_PATH}", body),
    }


def report(figures: dict[str, Figures], imports: dict[str, float]) -> int:
    echo, ours, connexion = figures[ECHO], figures[OURS], figures[CONNEXION]
    print("\none row, online")
    for name, figure in figures.items():
        print(f"  {name:<42} {figure}   {figure.p50 / echo.p50:8.2f} x echo")
    goals = [("p50 of ours / echo", ours.p50 / echo.p50, "<= 1.5", ours.p50 <= 1.5 * echo.p50)]
    mlflow, facade = figures.get(MLFLOW), figures[FACADE]
    if mlflow:
        # As the users of each call it: through requests, and through the client.
        ratio = mlflow.p50 / facade.p50
        goals.append(("p50 of MLflow / deployment.score()", ratio, ">= 100", ratio >= 100))
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
    if mlflow:
        print(f"  {'p50 of MLflow / ours, both by requests':<42} {mlflow.p50 / ours.p50:9.3f}")
        print(f"  {'p50 of MLflow / echo, both by requests':<42} {mlflow.p50 / echo.p50:9.3f}")
    print(f"  {'import requests, s':<42} {imports['requests']:9.3f}")
    return 0 if all(met for *_, met in goals) else 1


if __name__ == "__main__":
    sys.exit(main())
