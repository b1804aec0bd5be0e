"""What a model is made of, told by a service, and by the command line for a saved one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import saved_models
from click.testing import CliRunner
from facade_stub import INSTANCE, PASSWORD, USER, Stub

from wmlclient import Client, Description, errors, scoring
from wmlclient.cli import main


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_models.text_pipeline(tmp_path_factory.mktemp("saved") / "text", labels=("bad", "good"))


@pytest.fixture
def materials(saved: Path) -> dict[str, Any]:
    return scoring.describe(saved).to_dict() | {"archive_size": 7, "digest": "sha256:00"}


def run(stub: Stub, folder: Path, *arguments: str) -> str:
    path = folder / "credentials.json"
    values = {"url": stub.url, "username": USER, "password": PASSWORD, "instance_id": INSTANCE}
    path.write_text(json.dumps(values))
    result = CliRunner().invoke(main, ["--credentials", str(path), *arguments], prog_name="wmlclient")
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_service_tells_what_a_model_is_made_of(
    client: Client, stub: Stub, materials: dict[str, Any]
) -> None:
    stub.materials = materials
    model = client.models.get(stub.add_model("m"))
    asked = len(stub.requests)
    found = model.describe()
    assert found == Description.from_dict(materials)
    assert found.stages[2].params["numFeatures"] == saved_models.FEATURES
    assert len(stub.requests) == asked, "it was there already"
    assert "HashingTF" in found._repr_html_()


def test_a_model_of_a_list_is_looked_at_again(client: Client, stub: Stub, materials: dict[str, Any]) -> None:
    stub.materials = materials
    stub.add_model("m")
    (model,) = client.models.list()
    assert model.describe().digest == "sha256:00"


def test_a_service_that_does_not_tell(client: Client, stub: Stub) -> None:
    model = client.models.get(stub.add_model("m"))
    with pytest.raises(errors.NotSupportedError, match=r"wmlclient\.scoring\.describe"):
        model.describe()


def test_models_show(stub: Stub, tmp_path: Path, materials: dict[str, Any]) -> None:
    id = stub.add_model("m")
    assert "bill_of_materials" not in json.loads(run(stub, tmp_path, "models", "show", id, "--json"))
    stub.materials = materials
    shown = json.loads(run(stub, tmp_path, "models", "show", id, "--json"))
    assert shown["bill_of_materials"] == materials
    assert shown == json.loads(run(stub, tmp_path, "--output", "json", "models", "show", id))
    assert "HashingTF: words -> features" in run(stub, tmp_path, "models", "show", id)


def test_describe_needs_no_service(saved: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.tar.gz"
    path.write_bytes(saved_models.archive(saved))
    text = CliRunner().invoke(main, ["describe", str(path)]).stdout
    assert "Spark 4.2.0, 2017-09-06T12:13:20Z" in text
    assert "digest    sha256:" in text
    for arguments in (["describe", str(saved), "--json"], ["--output", "json", "describe", str(saved)]):
        found = CliRunner().invoke(main, arguments).stdout
        assert json.loads(found) == scoring.describe(saved).to_dict()


def test_describe_of_what_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("no archive")
    for path, says in (("x", "not a gzip file"), (".", "there is no folder 'metadata'")):
        result = CliRunner().invoke(main, ["describe", str(tmp_path / path)])
        assert result.exit_code == 1
        assert says in result.stderr
        assert "Traceback" not in result.output
