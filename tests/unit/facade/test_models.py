"""Models: published whole or not at all, listed page by page, found, deleted."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from facade_stub import Answer, Stub, error

from wmlclient import errors, publishing
from wmlclient.client import Client

SAMPLE = pd.DataFrame({"id": [1, 2], "text": ["a", None], "sentiment": [0.0, float("nan")]})
CHECKED = {
    "state": "checked",
    "engine": "native",
    "reason": "every value equal",
    "rows": 1000,
    "mismatches": 0,
    "largest_difference": 1.1e-16,
    "columns": {"probability": 1.1e-16},
    "examples": [],
    "sample_rows": 1000,
    "generated_rows": 0,
    "spark_version": "4.2.0",
    "model_digest": "sha256:00",
    "checked_at": "2026-11-21T10:00:00Z",
}


def test_publish_sends_what_the_service_wants(client: Client, stub: Stub, saved_model: Path) -> None:
    stub.parity = [CHECKED]

    model = client.models.publish(
        saved_model, "Sentiment", sample=SAMPLE, description="d", author="me", progress=False
    )

    (created,) = stub.calls("POST", "models")
    body = created.json
    fields = body.pop("training_data_schema")["fields"]
    assert body == {
        "name": "Sentiment",
        "description": "d",
        "author": {"name": "me"},
        "framework": {"name": "mllib", "version": "4.2", "runtimes": [{"name": "spark", "version": "4.2"}]},
        "label_column": "sentiment",  # not "label": walked back through the StringIndexer
        "training_data_reference": [],
        "hyper_parameters": [],
        "sample": {
            "fields": ["id", "text", "sentiment"],
            "values": [[1, "a", 0.0], [2, None, "NaN"]],
        },
    }
    assert [(f["name"], f["type"], f["metadata"]) for f in fields] == [
        ("id", "long", {}),
        ("text", "string", {}),
        ("sentiment", "double", {"modeling_role": "target"}),
    ]
    assert (model.name, model.label_col, model.model_type) == ("Sentiment", "sentiment", "mllib-4.2")
    assert model.input_schema is not None
    assert [f["name"] for f in model.input_schema["fields"]] == ["id", "text"]
    assert stub.calls("PUT", "content")[0].headers["content-length"] == str(len(stub.content[model.id]))


def test_the_archive_is_the_saved_folder(client: Client, stub: Stub, saved_model: Path) -> None:
    model = client.models.publish(saved_model, "m", training_schema="text string")

    with tarfile.open(fileobj=io.BytesIO(stub.content[model.id]), mode="r:gz") as tar:
        members = tar.getmembers()
    assert members[0].name == "."
    assert "./stages/1_Tokenizer_2/metadata/part-00000" in {m.name for m in members}
    assert {(m.uid, m.uname) for m in members} == {(0, "")}


def test_an_archive_is_sent_as_it_is(client: Client, stub: Stub, saved_model: Path, tmp_path: Path) -> None:
    first = client.models.publish(str(saved_model), "m", training_schema="text string")
    archive = tmp_path / "m.tar.gz"
    archive.write_bytes(stub.content[first.id])

    second = client.models.publish(archive, "m", training_schema="text string")

    assert stub.content[second.id] == stub.content[first.id]


def test_the_pipeline_becomes_a_training_definition(
    client: Client, stub: Stub, saved_model: Path, tmp_path: Path
) -> None:
    pipeline = tmp_path / "pipeline"
    (pipeline / "metadata").mkdir(parents=True)
    text = (saved_model / "metadata" / "part-00000").read_text().replace("PipelineModel", "Pipeline")
    (pipeline / "metadata" / "part-00000").write_text(text)
    shutil.copytree(saved_model / "stages", pipeline / "stages")

    model = client.models.publish(saved_model, "m", training_schema="text string", pipeline=pipeline)

    (definition,) = stub.definitions.values()
    assert definition["entity"]["framework"] == {"name": "mllib", "version": "4.2"}
    assert definition["metadata"]["guid"] in stub.content
    url = definition["entity"]["training_definition_version"]["url"]
    assert stub.models[model.id]["entity"]["training_definition_url"] == url


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "ml_assets/models$"), ("PUT", "models/.*/content"), ("GET", "published_models/")],
)
def test_a_failure_midway_leaves_nothing(
    client: Client, stub: Stub, saved_model: Path, method: str, path: str, tmp_path: Path
) -> None:
    stub.script(method, path, Answer(500, error("disk_full", "No space left.")))

    with pytest.raises(errors.ServerError, match="No space left"):
        client.models.publish(saved_model, "m", training_schema="text string")
    assert stub.models == {}


def test_what_could_not_be_undone_does_not_hide_the_error(
    client: Client, stub: Stub, saved_model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stub.script("PUT", "content", Answer(500, error("disk_full", "No space left.")))
    stub.script("DELETE", "models", Answer(500, error("oops", "Not now.")))

    with pytest.raises(errors.ServerError, match="No space left"):
        client.models.publish(saved_model, "m", training_schema="text string")
    assert "Not now." in caplog.text


def test_an_upload_is_repeated_whole(client: Client, stub: Stub, saved_model: Path) -> None:
    stub.script("PUT", "content", Answer(503))

    model = client.models.publish(saved_model, "m", training_schema="text string")

    refused, taken = stub.calls("PUT", "content")
    assert refused.body == taken.body == stub.content[model.id]


@pytest.mark.parametrize("model", [7, None, object(), SAMPLE, [1]])
def test_what_is_no_model_is_refused_as_both_errors(client: Client, stub: Stub, model: Any) -> None:
    with pytest.raises(errors.PayloadError, match="no Spark ML PipelineModel"):
        client.models.publish(model, "m", training_schema="a int")
    with pytest.raises(TypeError):
        client.models.publish(model, "m", training_schema="a int")
    assert stub.requests == []


def test_paths_that_hold_no_model(client: Client, stub: Stub, saved_model: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.tar.gz").write_text("not an archive")
    stage = saved_model / "stages" / "1_Tokenizer_2"

    for path in (tmp_path / "none", tmp_path / "empty", tmp_path / "text.tar.gz", stage):
        with pytest.raises(errors.PayloadError):
            client.models.publish(path, "m", training_schema="a int")
    assert stub.requests == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "training_schema="),
        ({"sample": SAMPLE.head(0)}, "no rows"),
        ({"sample": 7}, "sample=int"),
        ({"sample": SAMPLE, "label_col": "label"}, "label_col='label': the columns are id, text, sentiment"),
        ({"sample": SAMPLE, "training_schema": "id int"}, "column 'text', training_schema= has not: id"),
        ({"training_schema": "id nonsense"}, "unknown type 'nonsense'"),
        ({"training_schema": "id int", "name": " "}, "name"),
        ({"training_schema": "id int", "pipeline": 7}, "no Spark ML Pipeline"),
    ],
)
def test_bad_arguments_cost_no_call(
    client: Client, stub: Stub, saved_model: Path, arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(errors.PayloadError, match=said):
        client.models.publish(saved_model, arguments.pop("name", "m"), **arguments)
    assert stub.requests == []


def test_a_label_that_the_sample_lacks_is_left_out(client: Client, stub: Stub, saved_model: Path) -> None:
    model = client.models.publish(saved_model, "m", sample=SAMPLE[["text"]])

    assert "label_column" not in stub.models[model.id]["entity"]


def test_a_sample_of_dicts_and_a_large_one(
    client: Client, stub: Stub, saved_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"text": "x" * 100, "sentiment": 1} for _ in range(1500)]
    whole = client.models.publish(saved_model, "m", sample=rows)
    monkeypatch.setattr(publishing, "SAMPLE_BYTES", 20_000)
    cut = client.models.publish(saved_model, "m", sample=rows)

    sizes = [len(stub.models[m.id]["entity"]["sample"]["values"]) for m in (whole, cut)]
    assert sizes == [1000, 125]


def test_parity_looks_again_while_it_is_pending(client: Client, stub: Stub, clock: Any) -> None:
    stub.parity = [{"state": "pending"}, {"state": "pending"}, CHECKED]
    model = client.models.get(stub.add_model("m"))

    first = model.parity
    assert first is not None
    assert first.state == "pending"
    second = model.parity
    assert second is not None
    assert second.exact
    calls = len(stub.requests)
    assert model.parity == second
    assert len(stub.requests) == calls
    assert str(second) == (
        "scored by the native engine: 1,000 rows of the sample compared with Spark 4.2.0, no mismatches, "
        "largest difference 1.1e-16. every value equal"
    )
    assert "native" in repr(model)
    assert "1,000 rows of the sample" in second._repr_html_()


def test_waiting_for_parity(client: Client, stub: Stub, clock: Any) -> None:
    stub.parity = [{"state": "pending"}] * 5 + [CHECKED]
    model = client.models.get(stub.add_model("m"))
    certificate = model.wait_parity(clock=clock)
    assert certificate is not None
    assert certificate.engine == "native"

    stub.parity = [{"state": "pending"}]
    with pytest.raises(errors.WaitTimeoutError, match="not done after 5 s"):
        client.models.get(stub.add_model("m")).wait_parity(5, clock=clock)


def test_a_service_without_certificates(client: Client, stub: Stub) -> None:
    model = client.models.get(stub.add_model("m"))

    assert model.parity is None
    assert model.wait_parity() is None


def test_a_list_is_lazy_and_can_be_walked_again(client: Client, stub: Stub) -> None:
    ids = [stub.add_model(f"m{i}") for i in range(5)]
    stub.page_size = 2
    models = client.models.list()
    assert stub.requests == []

    assert [m.id for m in models] == ids
    assert [m.id for m in models] == ids
    walked = iter(client.models.list())
    next(walked)
    assert [r.query.get("start") for r in stub.calls("GET", "published_models")] == [None, "2", "4"] * 2 + [
        None
    ]
    first = models.first()
    assert first is not None
    assert first.id == ids[0]


def test_a_list_that_runs_in_a_circle_ends(client: Client, stub: Stub) -> None:
    page = {"resources": [], "next": {"url": f"{stub.url}/x?start=1"}}
    stub.script("GET", "published_models", Answer(200, page), Answer(200, page))

    with pytest.raises(errors.ResponseError, match="circle"):
        list(client.models.list())


def test_find_takes_the_newest(client: Client, stub: Stub) -> None:
    stub.add_model("m", "2018-01-01T00:00:00Z")
    newest = stub.add_model("m", "2019-01-01T00:00:00Z")
    stub.add_model("m", "2018-06-01T00:00:00Z")

    assert client.models.find("m").id == newest
    with pytest.raises(errors.NotFoundError, match="no model named 'x'"):
        client.models.find("x")


def test_delete_and_refresh(client: Client, stub: Stub) -> None:
    model = client.models.get(stub.add_model("m"))
    model.delete()

    with pytest.raises(errors.NotFoundError):
        model.refresh()
    with pytest.raises(LookupError):
        client.models.get(model.id)


def test_download_keeps_the_bytes_and_leaves_no_half_file(client: Client, stub: Stub, tmp_path: Path) -> None:
    model = client.models.get(stub.add_model("m"))
    stub.content[model.id] = bytes(range(256)) * 1000
    model.download(tmp_path / "m.tar.gz")
    assert (tmp_path / "m.tar.gz").read_bytes() == stub.content[model.id]

    stub.script("GET", "/content$", Answer(404, error("not_found", "Gone.")))
    with pytest.raises(errors.NotFoundError, match="Gone"):
        model.download(tmp_path / "other")
    assert sorted(p.name for p in tmp_path.glob("*other*")) == []


def test_html(client: Client, stub: Stub) -> None:
    stub.add_model("<b>m</b>")

    page = client.models.list()._repr_html_()
    model = client.models.list().first()

    assert model is not None
    for html in (page, model._repr_html_()):
        assert "&lt;b&gt;m" in html
        assert "<b>" not in html
