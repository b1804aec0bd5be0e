"""Continuous learning over the wire, to the letter, beside a Spark that gives the figures a test asks for."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import saved_models
from contract_service import INSTANCE, ONLINE, PASSWORD, SPARK_HEADER, USER, Answered, Service
from runner_fakes import eventually

import wmlclient
from wmlclient import errors

ROC = {"name": "areaUnderROC", "threshold": 0.8}
LEARNING: dict[str, Any] = {"definition": {"method": "binary", "metrics": [ROC]}, "min_feedback_data_size": 5}
COLUMNS = ["id", "text", "label"]
FEEDBACK = {"fields": COLUMNS, "values": [[number, "so good", number % 2] for number in range(10)]}


class Learner:
    """A model with its definition, and the calls that teach it."""

    def __init__(self, service: Service, content: bytes, pipeline: bytes | None) -> None:
        self.service = service
        request = {}
        if pipeline is not None:
            body = {"name": "p", "framework": {"name": "mllib", "version": "4.2"}, "author": {}}
            made = service.operation("TrainingDefinitions_Create", json=body)
            version = made.entity["training_definition_version"]
            service.call("PUT", version["content_url"], data=pipeline)
            request["training_definition_url"] = version["url"]
        self.model = service.published(content, **request)
        self.ids = {"model_id": self.model.guid}

    def call(self, id: str, **more: Any) -> Answered:
        return self.service.operation(f"Learning_{id}", ids={**self.ids, **more.pop("ids", {})}, **more)

    def configure(self, **changes: Any) -> Answered:
        body = {**LEARNING, **changes}
        return self.call("PutConfiguration", json=body, headers=SPARK_HEADER)

    def iterate(self) -> Answered:
        """An iteration that is done."""
        started = self.call("CreateIteration", json={})
        assert (started.status, started.entity["status"]["state"]) == (201, "INITIALIZED")

        def look() -> Answered | None:
            found = self.service.call("GET", started.response.headers["Location"])
            return found if found.entity["status"]["state"] in ("COMPLETED", "FAILED") else None

        done: Answered = eventually(look)
        return done

    def versions(self) -> int:
        found = self.service.operation("Models_ListVersions", ids=self.ids)
        return int(found.body["count"])


@pytest.fixture
def learner(service: Service, content: bytes, pipeline_content: bytes, tmp_path: Path) -> Learner:
    learner = Learner(service, content, pipeline_content)
    service.spark.trained = saved_models.text_pipeline(tmp_path / "new" / "text", weight=0.5)
    return learner


def test_the_configuration_is_echoed_with_its_secrets_masked(learner: Learner) -> None:
    reference = {
        "connection": {"db": "BLUDB", "host": "db.example.com", "username": "u", "password": "sql-s3cr3t"},
        "source": {"tablename": "FEEDBACK", "type": "dashdb"},
    }
    made = learner.configure(feedback_data_reference=reference, auto_retrain="always")
    assert (made.status, learner.call("GetConfiguration").body) == (200, made.body)
    assert made.body["evaluation_definition"] == made.body["definition"] == LEARNING["definition"]
    assert made.body["feedback_data_reference"]["connection"]["password"] == "********"
    assert made.body["spark_service"]["credentials"]["tenant_secret"] == "********"
    assert (made.body["last_training_record"], made.body["auto_redeploy"]) == (0, "never")
    changed = learner.call(
        "UpdateConfiguration", json=[{"op": "replace", "path": "/auto_redeploy", "value": "conditionally"}]
    )
    assert (changed.status, changed.body) == (200, {**made.body, "auto_redeploy": "conditionally"})


@pytest.mark.parametrize(
    ("changes", "code", "word"),
    [
        ({"definition": {"method": "topics", "metrics": [ROC]}}, "evaluation_method_not_supported", "topics"),
        ({"definition": {"method": "binary", "metrics": []}}, "missing_metric", "areaUnderPR"),
        ({"definition": {"method": "regression", "metrics": [ROC]}}, "missing_metric", "rmse"),
        ({"definition": None}, "invalid_request_payload", "definition"),
        ({"auto_retrain": "sometimes"}, "invalid_request_payload", "auto_retrain"),
        ({"min_feedback_data_size": 0}, "invalid_request_payload", "min_feedback_data_size"),
        (
            {"feedback_data_reference": {"source": {"tablename": "T", "type": "dashdb"}}},
            "invalid_feedback_data_connection",
            "feedback_data_reference.connection",
        ),
        (
            {"feedback_data_reference": {"connection": {}, "source": {"tablename": "T", "type": "ftp"}}},
            "invalid_feedback_data_connection",
            "postgresql",
        ),
    ],
)
def test_a_configuration_that_is_wrong(
    learner: Learner, changes: dict[str, Any], code: str, word: str
) -> None:
    refused = learner.configure(**changes)
    assert (refused.status, refused.code) == (400, code)
    assert word in refused.message
    patch = [{"op": "replace", "path": f"/{name}", "value": value} for name, value in changes.items()]
    learner.configure()
    assert learner.call("UpdateConfiguration", json=patch).code == code


def test_too_little_feedback(learner: Learner) -> None:
    learner.configure()
    assert learner.call("StoreFeedback", json={**FEEDBACK, "values": FEEDBACK["values"][:2]}).body == {
        "count": 2
    }
    done = learner.iterate()
    assert done.entity["status"]["state"] == "FAILED"
    assert done.entity["status"]["errors"][0]["code"] == "invalid_input_data"
    assert "2 rows of new feedback, and an iteration needs 5" in done.entity["status"]["message"]


def test_rows_that_do_not_fit_are_refused_whole(learner: Learner) -> None:
    learner.configure()
    wrong = learner.call("StoreFeedback", json={"fields": COLUMNS, "values": [[1, "a", 1], ["x", "b", 0]]})
    assert (wrong.status, wrong.code) == (400, "invalid_payload")
    assert learner.call("StoreFeedback", json=FEEDBACK).body == {"count": 10}


@pytest.mark.parametrize(
    ("retrain", "redeploy", "before", "after", "trained", "moved"),
    [
        ("never", "always", 0.5, 0.9, False, False),
        ("conditionally", "always", 0.85, 0.9, False, False),
        ("conditionally", "never", 0.5, 0.9, True, False),
        ("always", "conditionally", 0.9, 0.9, True, False),
        ("conditionally", "conditionally", 0.5, 0.9, True, True),
        ("always", "always", 0.9, 0.5, True, True),
    ],
)
def test_the_rules(
    learner: Learner,
    retrain: str,
    redeploy: str,
    before: float,
    after: float,
    trained: bool,
    moved: bool,
) -> None:
    service = learner.service
    service.spark.figures = {"values": [after], "before": [before]}
    online = service.call("POST", learner.model.entity["deployments"]["url"], json=ONLINE)
    learner.configure(auto_retrain=retrain, auto_redeploy=redeploy)
    learner.call("StoreFeedback", json=FEEDBACK)
    done = learner.iterate()
    assert done.entity["status"]["state"] == "COMPLETED", done.body
    assert learner.versions() == 1 + trained
    assert (done.entity.get("redeployed"), "new_version" in done.entity) == (
        moved if trained else None,
        trained,
    )
    shown = service.call("GET", online.url).entity
    assert (shown["deployed_version"]["guid"] != online.entity["deployed_version"]["guid"]) is moved
    phases = ["monitoring", "training"] if trained else ["monitoring"]
    told = service.operation("PublishedModels_ListEvaluationMetrics", ids=learner.ids).body
    assert [each["phase"] for each in told["resources"]] == phases
    assert told["resources"][0]["values"] == [{**ROC, "value": before}]
    assert told["resources"] == done.entity["evaluations"]
    assert learner.call("GetConfiguration").body["last_training_record"] == (10 if trained else 0)


def test_what_spark_is_given(learner: Learner) -> None:
    learner.configure(auto_retrain="always")
    learner.call("StoreFeedback", json=FEEDBACK)
    learner.iterate()
    (first, measured), (second, trained) = learner.service.spark.jobs
    assert (first, second) == ("evaluate", "train")
    assert (measured["method"], measured["metrics"]) == ("binary", ["areaUnderROC"])
    assert measured["values"] == FEEDBACK["values"]
    held = [FEEDBACK["values"][4], FEEDBACK["values"][9]]
    assert trained["held"] == {"fields": COLUMNS, "values": held}
    assert trained["values"] == [row for row in FEEDBACK["values"] if row not in held]
    again = learner.iterate()
    assert "0 rows of new feedback" in again.entity["status"]["message"]


def test_one_at_a_time(learner: Learner) -> None:
    learner.configure()
    learner.call("StoreFeedback", json=FEEDBACK)
    learner.service.spark.hold.clear()
    started = learner.call("CreateIteration", json={})
    refused = learner.call("CreateIteration", json={})
    assert (refused.status, refused.code) == (409, "active_evaluation_conflict")
    eventually(lambda: learner.service.call("GET", started.url).entity["status"]["state"] == "RUNNING")
    running = learner.call("ListIterations", params={"status": "RUNNING", "limit": 1}).body
    assert (running["count"], "next" in running) == (1, False)
    learner.service.spark.hold.set()
    eventually(lambda: learner.service.call("GET", started.url).entity["status"]["state"] == "COMPLETED")
    assert learner.call("ListIterations", params={"status": "RUNNING"}).body["resources"] == []


def test_a_refusal_of_spark_and_a_missing_definition_are_told(service: Service, content: bytes) -> None:
    learner = Learner(service, content, None)
    learner.configure(auto_retrain="always")
    learner.call("StoreFeedback", json=FEEDBACK)
    missing = learner.iterate().entity["status"]
    assert (missing["state"], missing["errors"][0]["code"]) == ("FAILED", "not_found")
    assert "Publish the model with its pipeline" in missing["message"]
    service.spark.refuse = "Unseen label: maybe"
    assert learner.iterate().entity["status"]["message"] == "Unseen label: maybe"
    assert learner.versions() == 1


def test_a_restart_ends_what_was_under_way(learner: Learner) -> None:
    learner.configure()
    learner.call("StoreFeedback", json=FEEDBACK)
    learner.service.spark.hold.clear()
    started = learner.call("CreateIteration", json={})
    learner.service.engine.learning.start()
    status = learner.service.call("GET", started.url).entity["status"]
    assert (status["state"], status["errors"][0]["code"]) == ("FAILED", "operation_timeout")
    learner.service.spark.hold.set()


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables")


@pytest.fixture(scope="module")
def client(serve: Callable[..., Service], tables: Path) -> Iterator[wmlclient.Client]:
    service = serve(data_folders=(tables,))
    with wmlclient.Client(service.url, username=USER, password=PASSWORD, instance_id=INSTANCE) as client:
        yield client


def test_feedback_in_a_table(client: wmlclient.Client, tables: Path) -> None:
    path = tables / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.execute(
            "CREATE TABLE feedback (id INTEGER PRIMARY KEY, text TEXT, label INTEGER, note TEXT)"
        )
        connection.execute("INSERT INTO feedback VALUES (1, 'so good', 1, 'n'), (2, 'so bad', 0, 'n')")
    connection.close()
    folder = saved_models.text_pipeline(tables / "text")
    model = client.models.publish(folder, "m", training_schema=saved_models.TEXT_SCHEMA, label_col="label")
    spark = wmlclient.SparkService(cluster_master_url="local[2]")
    table = wmlclient.Database("sqlite", db=str(path)).table("feedback")
    assert model.learning.configuration is None
    made = model.learning.configure("binary", {"areaUnderROC": 0.8}, spark=spark, feedback=table)
    assert made == model.learning.configuration
    assert model.learning.add_feedback([{"id": 3, "text": "so so", "label": 0}]) == 3
    done = model.learning.run().wait()
    assert (done.state, done.redeployed, done.new_version) == ("COMPLETED", False, None)
    assert done.evaluations == model.evaluations
    assert (done.evaluations[0]["phase"], done.evaluations[0]["metrics"][0]["value"]) == ("monitoring", 0.5)
    assert [each.id for each in model.learning.iterations] == [done.id]
    nothing = wmlclient.Database("sqlite", db=str(path)).table("nothing")
    model.learning.configure("binary", ["areaUnderROC"], spark=spark, feedback=nothing)
    with pytest.raises(errors.BadRequestError, match="There is no sqlite table 'nothing'") as refused:
        model.learning.add_feedback([{"id": 4, "text": "a", "label": 0}])
    assert refused.value.code == "sql_error"
    with pytest.raises(errors.ApiError, match="in no folder that this service may use") as outside:
        model.learning.configure(
            "binary",
            ["areaUnderROC"],
            spark=spark,
            feedback=wmlclient.Database("sqlite", db="/etc/x.db").table("t"),
        )
    assert outside.value.code == "path_not_allowed"
