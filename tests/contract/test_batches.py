"""Batches over the wire, each in a process of its own: on files of this machine and on a real S3-compatible server."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import requests
import saved_models
from contract_service import INSTANCE, PASSWORD, SPARK_HEADER, USER, Service
from pyarrow import parquet
from runner_fakes import eventually

import wmlclient
from wmlclient import errors

SECRET = "storage-s3cr3t"
LONG = 400_000


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def batching(serve: Callable[..., Service], data: Path) -> Service:
    return serve(data_folders=(data,))


@pytest.fixture(scope="module")
def client(batching: Service) -> Iterator[wmlclient.Client]:
    with wmlclient.Client(batching.url, username=USER, password=PASSWORD, instance_id=INSTANCE) as client:
        yield client


@pytest.fixture(scope="module")
def model(client: wmlclient.Client, tmp_path_factory: pytest.TempPathFactory) -> wmlclient.Model:
    folder = saved_models.text_pipeline(tmp_path_factory.mktemp("model") / "text")
    return client.models.publish(folder, "m", training_schema=saved_models.TEXT_SCHEMA, label_col="label")


@pytest.fixture
def long(data: Path) -> Path:
    """A source that takes some seconds."""
    path = data / "long.parquet"
    if not path.exists():
        text = pa.array([f"row {number % 1000} of a long day" for number in range(LONG)])
        parquet.write_table(pa.table({"id": pa.array(range(LONG), pa.int32()), "text": text}), path)
    return path


def job_of(service: Service, id: str) -> Any:
    return service.engine.deployments._batches._runner._jobs.get(id)


def parts(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_files_of_this_machine(batching: Service, model: wmlclient.Model, data: Path) -> None:
    (data / "in.csv").write_text("id,text\n1,what a day\ntwo,so sad\n3,so glad\n", "utf-8")
    batch = model.deploy("nightly", source=data / "in.csv", target=data / "out.parquet")
    assert (batch.kind, str(batch.state), batch.status) == ("batch", "pending", "INITIALIZING")
    assert batch.wait() is batch
    assert (batch.status, str(batch.state), batch.engine) == ("COMPLETED", "ready", "native")
    assert batch.rows == {"rows_read": 3, "rows_written": 2, "rows_bad": 1, "rows_total": 3}
    assert parquet.read_table(data / "out.parquet")["id"].to_pylist() == [1, 3]
    assert "'two' is no int" in (data / "out.parquet.bad-rows.jsonl").read_text("utf-8")
    shown = batching.call("GET", f"/v3/wml_instances/{INSTANCE}/deployments/{batch.id}")
    assert (shown.entity["status_message"], "scoring_url" in shown.entity) == ("SUCCESS", False)
    batch.delete()
    assert (data / "out.parquet").exists()


def test_failures_are_told(model: wmlclient.Model, data: Path) -> None:
    batch = model.deploy("none", source=data / "none.csv", target=data / "out.csv")
    with pytest.raises(errors.DeploymentFailedError, match="no such file") as failed:
        batch.wait()
    assert failed.value.code == "file_not_found"
    with pytest.raises(errors.ApiError, match="no folder that this service may use") as refused:
        model.deploy("passwords", source="/etc/passwd.csv", target=data / "out.csv")
    assert refused.value.status == 403


def test_a_job_that_is_cancelled_leaves_nothing_and_runs_again(
    batching: Service, model: wmlclient.Model, data: Path, long: Path
) -> None:
    target = data / "cancelled.parquet"
    batch = model.deploy("long", source=long, target=target)
    eventually(lambda: parts(data), 60)
    process = job_of(batching, batch.id)
    batch.stop()
    assert (batch.status, str(batch.state)) == ("CANCELED", "stopped")
    assert process.poll() is not None
    assert (target.exists(), parts(data)) == (False, [])
    batch.start().wait(120)
    assert parquet.ParquetFile(target).metadata.num_rows == LONG


def test_a_job_that_is_killed_leaves_nothing_and_runs_again(
    batching: Service, model: wmlclient.Model, data: Path, long: Path
) -> None:
    target = data / "killed.parquet"
    batch = model.deploy("long", source=long, target=target)
    eventually(lambda: parts(data), 60)
    os.kill(job_of(batching, batch.id).pid, signal.SIGKILL)
    with pytest.raises(
        errors.DeploymentFailedError, match="ended with code -9; nothing was written"
    ) as failed:
        batch.wait()
    assert failed.value.code == "job_died"
    eventually(lambda: not parts(data))
    assert not target.exists()
    batch.start().wait(120)
    assert parquet.ParquetFile(target).metadata.num_rows == LONG


def test_a_spark_service_scores_what_its_header_names(
    batching: Service, model: wmlclient.Model, data: Path
) -> None:
    (data / "spark.csv").write_text("id,text\n1,what a day\n2,so sad\n", "utf-8")
    body = {
        "name": "b",
        "type": "batch",
        "description": "d",
        "input": {"source": {"type": "file", "filename": str(data / "spark.csv")}},
        "output": {"target": {"type": "file", "filename": str(data / "spark.json")}},
    }
    url = f"/v3/wml_instances/{INSTANCE}/published_models/{model.id}/deployments"
    made = batching.call("POST", url, json=body, headers=SPARK_HEADER)
    assert (made.status, made.entity["status"]) == (201, "INITIALIZING")
    done = batching.until(made.url, "COMPLETED")
    assert (done.entity["engine"], done.entity["engine_reason"]) == (
        "spark",
        "the request names a Spark service",
    )
    assert len((data / "spark.json").read_text("utf-8").splitlines()) == 2


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an S3-compatible server with a bucket of tweets, which asks for a key."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("moto") / "log"
    with open(log, "wb") as sink:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        server = subprocess.Popen(
            command, stdout=sink, stderr=sink, env={**os.environ, "AWS_EC2_METADATA_DISABLED": "1"}
        )
    url = f"http://127.0.0.1:{port}"
    try:
        eventually(lambda: _answers(url), 60)
        requests.put(f"{url}/tweets", timeout=10).raise_for_status()
        rows = "id,text\n1,what a day\ntwo,so sad\n3,so glad\n"
        requests.put(f"{url}/tweets/in.csv", rows.encode(), timeout=10).raise_for_status()
        yield url
    finally:
        server.terminate()
        server.wait(30)


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/moto-api/", timeout=2).status_code == 200
    except requests.RequestException:
        return False


def test_objects_of_an_s3_compatible_storage(batching: Service, model: wmlclient.Model, storage: str) -> None:
    there = wmlclient.ObjectStorage(storage, access_key="key", secret_key=SECRET)
    batch = model.deploy(
        "s3", source=there.file("tweets", "in.csv"), target=there.file("tweets", "2026/out.parquet")
    )
    assert SECRET not in repr(there)
    batch.wait(120)
    assert batch.rows == {"rows_read": 3, "rows_written": 2, "rows_bad": 1, "rows_total": 3}
    found = requests.get(f"{storage}/tweets/2026/out.parquet", timeout=10).content
    assert parquet.read_table(pa.BufferReader(found))["id"].to_pylist() == [1, 3]
    bad = requests.get(f"{storage}/tweets/2026/out.parquet.bad-rows.jsonl", timeout=10).text
    assert "'two' is no int" in bad
    shown = batching.call("GET", f"/v3/wml_instances/{INSTANCE}/deployments/{batch.id}")
    assert shown.entity["input"]["connection"]["secret_key"] == "********"


def test_a_killed_upload_leaves_no_parts(
    batching: Service, model: wmlclient.Model, storage: str, long: Path
) -> None:
    """A job that is killed in the middle of an upload: its parts are given up, and it runs again."""
    there = wmlclient.ObjectStorage(storage, access_key="key", secret_key=SECRET)
    batch = model.deploy("long", source=long, target=there.file("tweets", "long.parquet"))

    def uploads() -> bool:
        return "<UploadId>" in requests.get(f"{storage}/tweets?uploads", timeout=10).text

    eventually(uploads, 120)
    os.kill(job_of(batching, batch.id).pid, signal.SIGKILL)
    with pytest.raises(errors.DeploymentFailedError, match="nothing was written"):
        batch.wait()
    eventually(lambda: not uploads(), 30)
    assert requests.get(f"{storage}/tweets/long.parquet", timeout=10).status_code == 404


def test_delta_tables_of_an_s3_compatible_storage(model: wmlclient.Model, storage: str) -> None:
    deltalake = pytest.importorskip("deltalake")
    there = wmlclient.ObjectStorage(storage, access_key="key", secret_key=SECRET)
    table = there.file("tweets", "scored.delta")
    model.deploy("delta", source=there.file("tweets", "in.csv"), target=table).wait(120)
    options = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1"}
    options |= {"AWS_ENDPOINT_URL": storage, "AWS_ALLOW_HTTP": "true"}
    made = deltalake.DeltaTable("s3://tweets/scored.delta", storage_options=options)
    assert (made.version(), made.to_pyarrow_table()["id"].to_pylist()) == (0, [1, 3])


@pytest.mark.parametrize(
    ("source", "target"),
    [("tweets/none.csv", "tweets"), ("nobody/in.csv", "tweets"), ("tweets/in.csv", "nobody")],
)
def test_objects_that_are_missing(model: wmlclient.Model, storage: str, source: str, target: str) -> None:
    there = wmlclient.ObjectStorage(storage, access_key="key", secret_key=SECRET)
    bucket, _, name = source.partition("/")
    batch = model.deploy("s3", source=there.file(bucket, name), target=there.file(target, "never.parquet"))
    with pytest.raises(errors.DeploymentFailedError, match="no such file, folder or bucket") as failed:
        batch.wait(120)
    assert failed.value.code == "file_not_found"
    assert requests.get(f"{storage}/{target}/never.parquet", timeout=10).status_code == 404


def test_a_storage_that_is_down(model: wmlclient.Model, data: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    there = wmlclient.ObjectStorage(url, access_key="key", secret_key=SECRET)
    batch = model.deploy("down", source=there.file("tweets", "in.csv"), target=data / "down.csv")
    with pytest.raises(errors.DeploymentFailedError, match="does not answer") as failed:
        batch.wait(120)
    assert failed.value.code == "storage_unavailable"
    assert not (data / "down.csv").exists()


def test_a_wrong_key(model: wmlclient.Model, storage: str, data: Path) -> None:
    # From now on the server checks keys and signatures.
    requests.post(f"{storage}/moto-api/reset-auth", b"0", timeout=10).raise_for_status()
    there = wmlclient.ObjectStorage(storage, access_key="wrong", secret_key=SECRET)
    batch = model.deploy("wrong", source=there.file("tweets", "in.csv"), target=data / "wrong.csv")
    with pytest.raises(errors.DeploymentFailedError, match="Check the keys") as failed:
        batch.wait(120)
    assert failed.value.code == "storage_not_authorized"
    assert SECRET not in str(failed.value)
    assert not (data / "wrong.csv").exists()
