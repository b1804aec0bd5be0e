"""Batches and feedback on tables of a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import saved_models
from contract_service import INSTANCE, PASSWORD, USER, Service
from postgres_stand import PASSWORD as SECRET
from postgres_stand import USER as OWNER
from postgres_stand import Postgres, postgres

import wmlclient
from wmlclient import errors


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    yield from postgres()


@pytest.fixture(scope="module")
def model(
    serve: Callable[..., Service], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[wmlclient.Model]:
    service = serve()
    folder = saved_models.text_pipeline(tmp_path_factory.mktemp("model") / "text")
    with wmlclient.Client(service.url, username=USER, password=PASSWORD, instance_id=INSTANCE) as client:
        yield client.models.publish(folder, "m", training_schema=saved_models.TEXT_SCHEMA, label_col="label")


def database(server: Postgres, password: str = SECRET) -> wmlclient.Database:
    return wmlclient.Database(
        "postgresql", db="postgres", host="127.0.0.1", port=server.port, username=OWNER, password=password
    )


def test_a_table_is_scored_into_a_table(model: wmlclient.Model, server: Postgres) -> None:
    with server.connect() as connection:
        connection.execute("CREATE SCHEMA sales")
        connection.execute(
            "CREATE TABLE sales.tweets (id int PRIMARY KEY, text text, price numeric(8, 2), at timestamptz)"
        )
        connection.execute(
            "INSERT INTO sales.tweets SELECT n, CASE n % 3 WHEN 0 THEN NULL ELSE 'row ' || n END, n / 2.0, now() "
            "FROM generate_series(1, 20000) n"
        )
    batch = model.deploy(
        "nightly", source=database(server).table("sales.tweets"), target=database(server).table("scored")
    )
    batch.wait(120)
    good = 20000 - 20000 // 3
    assert batch.rows == {
        "rows_read": 20000,
        "rows_written": good,
        "rows_bad": 20000 - good,
        "rows_total": 20000,
    }
    with server.connect() as connection:
        (count, low) = connection.execute("SELECT count(*), min(price) FROM scored").fetchone()
        assert (count, float(low)) == (good, 0.5)
        assert connection.execute("SELECT min(row), count(*) FROM scored_bad_rows").fetchone() == (
            2,
            20000 - good,
        )
        connection.execute("ALTER TABLE scored DROP COLUMN prediction")
    again = model.deploy(
        "again", source=database(server).table("sales.tweets"), target=database(server).table("scored")
    )
    with pytest.raises(errors.DeploymentFailedError, match="has no column 'prediction'") as failed:
        again.wait(120)
    assert failed.value.code == "sql_error"
    with server.connect() as connection:
        assert connection.execute("SELECT count(*) FROM scored").fetchone() == (good,)


def test_a_wrong_password_is_told_and_not_shown(model: wmlclient.Model, server: Postgres) -> None:
    wrong = database(server, "wr0ng-s3cr3t").table("sales.tweets")
    batch = model.deploy("wrong", source=wrong, target=wrong.database.table("other"))
    with pytest.raises(errors.DeploymentFailedError, match="password authentication failed") as failed:
        batch.wait(60)
    assert "s3cr3t" not in str(failed.value)
    assert failed.value.code == "sql_error"


def test_feedback_in_postgresql(model: wmlclient.Model, server: Postgres) -> None:
    with server.connect() as connection:
        connection.execute("CREATE TABLE feedback (n serial PRIMARY KEY, id int, text text, label int)")
    spark = wmlclient.SparkService(cluster_master_url="local[2]")
    model.learning.configure(
        "binary", ["areaUnderROC"], spark=spark, feedback=database(server).table("feedback")
    )
    rows = [{"id": number, "text": "so good", "label": number % 2} for number in range(4)]
    assert model.learning.add_feedback(rows) == 4
    assert model.learning.run().wait(60).state == "COMPLETED"
