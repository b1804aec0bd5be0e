"""Web services of code, published and consumed over a real socket."""

from __future__ import annotations

from typing import Any

import requests
from ml_service import MlUser

RESULT = {"success", "errorMessage", "consoleOutput", "changedFiles", "outputFiles", "outputParameters"}


class Published:
    """Publishes and consumes."""

    def __init__(self, user: MlUser) -> None:
        self.user = user
        self.count = 0

    def __call__(self, code: str, inputs: Any = (), outputs: Any = (), **more: Any) -> str:
        """The name of a new service; parameters are pairs of name and type."""
        self.count += 1
        name = f"service {self.count}"
        request = {
            "code": code,
            "runtimeType": "Python",
            "inputParameterDefinitions": [{"name": n, "type": t} for n, t in inputs],
            "outputParameterDefinitions": [{"name": n, "type": t} for n, t in outputs],
            **more,
        }
        made = self.user.operation("publishWebServiceVersion", name, "1.0", json=request)
        assert made.status == 201, made.body
        return name

    def raw(self, name: str, user: MlUser | None = None, **more: Any) -> requests.Response:
        headers = {"Authorization": (user or self.user).headers["Authorization"]}
        url = f"{self.user.service.url}/api/{name}/1.0"
        return (user or self.user).session.post(url, headers=headers, timeout=60, **more)

    def result(self, name: str, user: MlUser | None = None, **inputs: Any) -> Any:
        response = self.raw(name, user, json=inputs)
        assert response.status_code == 200, response.text
        assert response.headers["Content-Type"] == "application/json"
        body = response.json()
        assert set(body) == RESULT
        return body

    def outputs(self, name: str, **inputs: Any) -> Any:
        body = self.result(name, **inputs)
        assert body["success"], body
        return body["outputParameters"]

    def failure(self, name: str, **inputs: Any) -> tuple[int, str, str]:
        response = self.raw(name, json=inputs)
        body = response.json()
        assert set(body) == {"message", "link", "exceptionType"}
        return response.status_code, body["exceptionType"], body["message"]
