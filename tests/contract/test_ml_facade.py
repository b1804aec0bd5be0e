"""Sessions and web services as the client offers them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import own_arithmetic
import pandas as pd
import pytest
from contract_service import INSTANCE, PASSWORD, USER, Service
from runner_fakes import eventually

import wmlclient
from wmlclient import errors


@pytest.fixture(scope="module")
def client(shared: Service) -> Iterator[wmlclient.Client]:
    with wmlclient.Client(shared.url, username=USER, password=PASSWORD, instance_id=INSTANCE) as client:
        yield client


def add(x: float, y: float) -> float:
    """Adds two numbers.

    And says nothing else."""
    return x + own_arithmetic.scaled(y)


def describe(frame: pd.DataFrame, weights: np.ndarray, label: str, whole: bool) -> dict[str, Any]:
    """Uses all kinds of values."""
    frame["weighted"] = frame["a"] * weights
    return {"frame": frame, "total": float(frame["weighted"].sum()), "label": label.upper(), "whole": whole}


class TestSessions:
    def test_run(self, client: wmlclient.Client, tmp_path: Path) -> None:
        with client.sessions.create("mine") as session:
            done = session.run(
                "y = sum(x) + sum(a['b'])\nprint('summed', end='')\nopen('left.txt', 'w').close()",
                inputs={"x": np.array([1, 2.5]), "a": pd.DataFrame({"b": [1, 2]})},
                outputs=["y"],
            )
            assert (done["y"], done.console, done.changed_files) == (6.5, "summed", ("left.txt",))
            assert session.id in [each.id for each in client.sessions.list()]
            session.put("pair", (1, {2}))
            assert session.get("pair") == (1, {2})
            assert {"x", "y", "pair"} <= set(session.objects())
            (tmp_path / "rows.csv").write_text("1,2")
            session.upload(tmp_path / "rows.csv")
            assert session.files() == ["left.txt", "rows.csv"]
            assert session.download("rows.csv") == b"1,2"
            snapshot = session.snapshot("kept")
        with client.sessions.create(snapshot=snapshot) as session:
            assert session.get("pair") == (1, {2})
        with pytest.raises(errors.NotFoundError, match="no such session"):
            session.run("1")

    def test_code_that_fails(self, client: wmlclient.Client) -> None:
        with client.sessions.create() as session:
            with pytest.raises(errors.CodeError, match="^ZeroDivisionError: division by zero$") as caught:
                session.run("print('so far')\n1 / 0")
            assert caught.value.console == "so far\n"
            with pytest.raises(errors.PayloadError, match="x cannot be sent: set"):
                session.run("1", inputs={"x": {1}})


class TestServices:
    def test_life(self, client: wmlclient.Client) -> None:
        service = client.services.publish(add, version="1.0")
        try:
            assert (service.name, service.version, service.description) == ("add", "1.0", "Adds two numbers.")
            assert service.inputs == {"x": "numeric", "y": "numeric"}
            assert service.outputs == {"result": "numeric"}
            assert repr(service) == "WebService('add', '1.0', (x: numeric, y: numeric) -> (result: numeric))"
            assert "Adds two numbers." in service._repr_html_()
            assert (service(1, 2), service(1, y=np.float64(2)), service(y=2, x=1)) == (7.0, 7.0, 7.0)
            operation = service.swagger()["paths"]["/api/add/1.0"]["post"]["operationId"]
            assert operation == "add"
            other = client.services.publish(add, name="add")
            assert [each.version for each in service.versions()] == ["1.0", other.version]
            assert client.services.get("add").version == other.version
            other.delete()

            def subtract(x: float, y: float) -> float:
                return x - y

            assert service.update(subtract)(3, 2) == 1.0
            assert service.description == "Adds two numbers."
            assert service.update(description="subtracts").description == "subtracts"
            assert service(3, 2) == 1.0
            assert [each.version for each in client.services.list("add")] == ["1.0"]
        finally:
            service.delete()
        with pytest.raises(errors.NotFoundError, match="no web service 'add'") as caught:
            service(1, 2)
        assert caught.value.code == "ServiceNotFoundException"

    def test_numpy_and_pandas_both_ways(self, client: wmlclient.Client) -> None:
        outputs = {"frame": pd.DataFrame, "total": float, "label": str, "whole": bool}
        service = client.services.publish(describe, version="1.0", outputs=outputs)
        frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
        found = service(frame, np.array([0.5, 2.0]), label="l", whole=True)
        assert (found["total"], found["label"], found["whole"]) == (4.5, "L", True)
        pd.testing.assert_frame_equal(found["frame"], frame.assign(weighted=[0.5, 4.0]))
        service.delete()

    def test_vectors_and_matrices(self, client: wmlclient.Client) -> None:
        def transposed(m: np.matrix) -> np.matrix:
            return m.T

        service = client.services.publish(transposed, version="1.0")
        back = service(np.array([[1, 2], [3, 4]]))
        assert isinstance(back, np.ndarray)
        assert back.tolist() == [[1, 3], [2, 4]]
        service.delete()

    def test_batch(self, client: wmlclient.Client) -> None:
        def half(x: float) -> float:
            if x == 0:
                raise ValueError("nothing to halve")
            return x / 2

        service = client.services.publish(half, version="1.0")
        batch = service.batch(pd.DataFrame({"x": [2.0, 0.0, 5.0]})).wait(30)
        first, second, third = batch.results()
        assert (first, third, batch.state, batch.progress) == (1.0, 2.5, "Complete", (3, 3))
        assert isinstance(second, errors.CodeError)
        assert str(second) == "ValueError: nothing to halve"
        assert batch.files(0) == []
        again = service.batch([{"x": 4}])
        eventually(lambda: again.results() == [2.0])
        again.cancel()
        with pytest.raises(errors.NotFoundError):
            again.state  # noqa: B018
        with pytest.raises(TypeError):
            service.batch([{"z": 4}])
        service.delete()

    def test_defaults_of_the_function_at_hand(self, client: wmlclient.Client) -> None:
        def area(width: float, height: float = 2.0) -> float:
            return width * height

        service = client.services.publish(area, version="1.0")
        assert (service(3), service(3, 5), service(height=1, width=4)) == (6.0, 15.0, 4.0)
        with pytest.raises(TypeError, match="missing"):
            client.services.get("area", "1.0")(3)
        service.delete()

    def test_failures(self, client: wmlclient.Client) -> None:
        def fails(x: float) -> float:
            print("so far")  # noqa: T201
            raise ValueError("no luck")

        service = client.services.publish(fails, version="1.0")
        with pytest.raises(errors.CodeError, match="^ValueError: no luck$") as caught:
            service(1)
        assert caught.value.console.startswith("so far\n")
        with pytest.raises(TypeError, match="missing"):
            service()
        with pytest.raises(errors.BadRequestError, match="The input `x` is a string"):
            service("1")
        with pytest.raises(errors.ConflictError, match="has a version '1.0' already"):
            client.services.publish(fails, version="1.0")
        service.delete()
        assert not [each for each in client.services.list() if each.name == "fails"]


def test_needs_user_and_password(shared: Service) -> None:
    with wmlclient.Client(shared.url, token="t", instance_id=INSTANCE) as client:
        with pytest.raises(errors.ConfigError, match="username="):
            client.services.list()
    with wmlclient.Client(shared.url, username=USER, password="wrong", instance_id=INSTANCE) as client:
        with pytest.raises(errors.AuthenticationError, match="invalid credentials"):
            client.sessions.list()
