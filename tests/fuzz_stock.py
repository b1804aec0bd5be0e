"""A service with one of each thing in it, which is made again where a made-up request has removed it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import requests
import saved_models
from argon2 import PasswordHasher
from attrs import define, field
from contract_service import INSTANCE, ONLINE, PASSWORD, USER, Service, start
from fuzzing import Target
from kernel_fakes import FakeKernels

from wmlclient.runner import users
from wmlclient.runner.dialects import ML_SERVER, WATSON
from wmlclient.runner.engine import sessions
from wmlclient.runner.settings import Limits, Settings


@define
class WatsonStock:
    """A definition, a model, a deployment."""

    service: Service
    model: bytes
    pipeline: bytes
    ids: dict[str, str] = field(factory=dict)

    def known(self, path: str) -> Mapping[str, str]:
        """Parameters of a path that name what is there."""
        found = {"instance_id": INSTANCE, **self.ids}
        if "definition_id" in path:
            found["version_id"] = found["definition_version"]
        return found

    def content(self, path: str) -> bytes:
        """What fits to a path that takes content."""
        return self.pipeline if "training_definitions" in path else self.model

    def fill(self) -> None:
        """Make what is not there."""
        made = self.service
        if not self._there("TrainingDefinitions_Get", "definition_id"):
            definition = made.operation("TrainingDefinitions_Create", json=DEFINITION)
            assert definition.status == 201, definition.body
            version = definition.entity["training_definition_version"]
            self.ids |= {"definition_id": definition.guid, "definition_version": version["guid"]}
            made.call("PUT", version["content_url"], data=self.pipeline)
        if not self._there("PublishedModels_Get", "model_id"):
            model = made.model()
            made.call("PUT", model.entity["model_version"]["content_url"], data=self.model)
            version = model.entity["model_version"]
            self.ids |= {"model_id": model.guid, "version_id": version["guid"]}
        if not self._there("Deployments_Get", "deployment_id"):
            deployed = made.operation("Deployments_Create", ids=self.ids, json=ONLINE)
            assert deployed.status in (201, 202), deployed.body
            self.ids["deployment_id"] = deployed.guid

    def _there(self, operation: str, parameter: str) -> bool:
        return parameter in self.ids and self.service.operation(operation, ids=self.ids).status == 200


@define
class MlStock:
    """A session with an object and a file, a snapshot, a web service."""

    service: Service
    token: str
    ids: dict[str, str] = field(factory=dict)

    def known(self, path: str) -> Mapping[str, str]:
        """Parameters of a path that name what is there."""
        own = self.ids["snapshot"] if path.startswith("/snapshots") else self.ids["session"]
        return {
            "id": own,
            "snapshotId": self.ids["snapshot"],
            "name": "Known",
            "version": "1.0",
            "fileName": "a.txt",
            "objectName": "x",
        }

    def fill(self) -> None:
        """Make what is not there."""
        if "session" not in self.ids or self._call("GET", f"/sessions/{self.ids['session']}/history") != 200:
            made = self._post("/sessions", {"runtimeType": "Python"})
            self.ids["session"] = made["sessionId"]
        at = f"/sessions/{self.ids['session']}"
        assert self._call("POST", f"{at}/workspace/x", data=b"1") == 200
        assert self._call("POST", f"{at}/files", files={"file": ("a.txt", b"text")}) == 201
        if "snapshot" not in self.ids or self._call("GET", f"/snapshots/{self.ids['snapshot']}") != 200:
            self.ids["snapshot"] = self._post(f"{at}/snapshot", {"name": "known"})["snapshotId"]
        if self._call("GET", "/services/Known/1.0") != 200:
            self._post("/services/Known/1.0", {"code": "y = 1", "runtimeType": "Python"})

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        answer = self._send("POST", path, json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def _call(self, method: str, path: str, **more: Any) -> int:
        return self._send(method, path, **more).status_code

    def _send(self, method: str, path: str, **more: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        return self.service.session.request(
            method, self.service.url + path, headers=headers, timeout=30, **more
        )


DEFINITION = {
    "name": "pipeline",
    "framework": {"name": "mllib", "version": "4.2"},
    "author": {},
}


def stocked(home: Path, folder: Path) -> tuple[dict[str, Target], Callable[[], None]]:
    """A service by the names of its contracts, and what ends it."""
    settings = Settings(
        home,
        port=0,
        limits=Limits(json=1 << 20, content=8 << 20, receive=10.0, receive_content=10.0),
        score_wait=0.2,
        sync_wait=2.0,
        token_lifetime=36000.0,
        sessions=sessions.Settings(most=1_000_000),
    )
    # Wrong passwords are tried by the hundred; a hash that costs what it should would be most of the work.
    cheap = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash("nobody has this password")
    users._nobody = lambda: cheap  # type: ignore[assignment]
    service, end = start(home, settings, FakeKernels())
    text = saved_models.text_pipeline(folder / "model")
    unfitted = saved_models.text_pipeline(folder / "pipeline", fitted=False)
    watson = WatsonStock(service, saved_models.archive(text), saved_models.archive(unfitted))
    watson.fill()
    ml_server = MlStock(service, service.logins.login(USER, PASSWORD).access)
    ml_server.fill()
    bearer = service.auth.issue()
    targets = {
        WATSON.name: Target(service.url, lambda: bearer, watson.known, watson.fill, watson.content),
        ML_SERVER.name: Target(service.url, lambda: ml_server.token, ml_server.known, ml_server.fill),
    }

    def close() -> None:
        for target in targets.values():
            target.session.close()
        end()

    return targets, close
