"""Each operation of Machine Learning Server as it should go, and as it should fail, with the exact codes and bodies."""

from __future__ import annotations

from typing import Any

import dill
import pytest
import requests
from contract_service import PASSWORD, USER, Service
from ml_service import OPERATIONS, UNKNOWN, MlUser, other_user

from wmlclient.runner.dialects import ML_SERVER

NO_SESSION = (404, "SessionNotFoundException", "There is no such session.")
NO_SNAPSHOT = (404, "SnapshotNotFoundException", "There is no such snapshot.")
INVALID_CREDENTIALS = (401, "InvalidCredentialsException", "invalid credentials")
INVALID_REFRESH = (401, "InvalidRefreshTokenException", "invalid or expired refresh token")
INVALID_ACCESS = (401, "InvalidAccessTokenException", "invalid or expired access token")
MISSING_ACCESS = (401, "MissingAccessTokenException", "missing access token")


def test_operations_and_handlers_are_the_same_set() -> None:
    _, handlers = ML_SERVER.load()
    assert set(handlers) == set(OPERATIONS)


@pytest.mark.parametrize("id", sorted(id for id, each in OPERATIONS.items() if each.secured))
def test_every_call_but_those_for_tokens_needs_one(user: MlUser, id: str) -> None:
    assert user.operation(id, token=None).failure == MISSING_ACCESS
    assert user.operation(id, token="no.such.token").failure == INVALID_ACCESS


class TestAuthentication:
    def test_login(self, user: MlUser) -> None:
        body = user.login().body
        assert set(body) == {"token_type", "access_token", "expires_in", "expires_on", "refresh_token"}
        assert (body["token_type"], body["expires_in"]) == ("Bearer", 3600)
        assert user.operation("status", token=body["access_token"]).status == 200

    @pytest.mark.parametrize(
        "body",
        [
            {"username": USER, "password": "wrong"},
            {"username": "nobody", "password": PASSWORD},
            {"username": USER, "password": None},
            {},
        ],
    )
    def test_wrong_credentials(self, user: MlUser, body: dict[str, Any]) -> None:
        answer = user.operation("login", json=body)
        assert answer.failure == INVALID_CREDENTIALS
        assert answer.response.headers["WWW-Authenticate"] == "Bearer"

    @pytest.mark.parametrize("body", ["[]", "", "{", '"text"', '{"username": 7}'])
    def test_malformed_login(self, user: MlUser, body: str) -> None:
        assert user.operation("login", data=body).status == 400

    def test_renewal(self, user: MlUser) -> None:
        old = user.login().body
        new = user.operation("renewToken", json={"refreshToken": old["refresh_token"]})
        assert new.status == 200
        assert user.operation("listSessions", token=new.body["access_token"]).status == 200
        assert user.operation("listSessions", token=old["access_token"]).failure == INVALID_ACCESS
        again = user.operation("renewToken", json={"refreshToken": old["refresh_token"]})
        assert again.failure == INVALID_REFRESH
        assert user.operation("renewToken", json={"refreshToken": None}).failure == INVALID_REFRESH

    @pytest.mark.parametrize("in_path", [False, True])
    def test_revocation(self, user: MlUser, in_path: bool) -> None:
        token = user.login().body["refresh_token"]
        url = f"{user.service.url}/login/refreshToken"

        def revoke() -> requests.Response:
            where, query = (f"{url}/{token}", None) if in_path else (url, {"refreshToken": token})
            return requests.delete(
                where, params=query, headers={"Content-Type": "application/json"}, timeout=10
            )

        assert (revoke().status_code, revoke().status_code) == (200, 401)
        assert user.operation("renewToken", json={"refreshToken": token}).failure == INVALID_REFRESH

    def test_revocation_of_nothing(self, user: MlUser) -> None:
        assert user.operation("revokeRefreshToken").failure == (
            400,
            "MissingQueryParameterException",
            "The parameter refreshToken is missing.",
        )
        assert user.operation("revokeRefreshToken", params={"refreshToken": "x"}).failure == INVALID_REFRESH


class TestStatusAndNodes:
    def test_status(self, user: MlUser, session: str) -> None:
        body = user.operation("status").body
        assert body["statusCode"] == "pass"
        assert set(body["components"]) == {"backends", "authentication", "database"}
        (backend,) = body["components"]["backends"]["components"].values()
        assert backend["details"]["pythonActiveShellCount"] >= 1

    def test_nodes(self, user: MlUser) -> None:
        url = user.service.url
        assert user.operation("getComputeNodes").body == {"computeNodes": [url]}
        for id in ("setComputeNodes", "addComputeNode"):
            assert user.operation(id, json={"entries": [url]}).status == 200
            refused = user.operation(id, json={"entries": ["http://1.1.1.1"]})
            assert refused.failure[:2] == (400, "OneComputeNodeException")
        assert user.operation("removeComputeNode", json={"entries": ["http://1.1.1.1"]}).status == 200
        assert user.operation("removeComputeNode", json={"entries": [url]}).status == 400

    @pytest.mark.parametrize("id", ["setComputeNodes", "addComputeNode", "removeComputeNode"])
    def test_nodes_are_for_owners(self, stranger: MlUser, id: str) -> None:
        assert stranger.operation(id, json={"entries": []}).failure == (
            403,
            "OwnerRequiredException",
            "Only Owners change the compute nodes.",
        )


class TestSessions:
    def test_create_and_list(self, user: MlUser, session: str) -> None:
        found = {each["id"]: each for each in user.operation("listSessions").body}
        assert found[session] == {
            "id": session,
            "name": "Session 1",
            "owner": USER,
            "runtimeType": "Python",
        }

    def test_a_name_is_made_up(self, user: MlUser, own: str) -> None:
        (name,) = (each["name"] for each in user.operation("listSessions").body if each["id"] == own)
        assert len(name) == 15

    @pytest.mark.parametrize("body", [{}, {"name": None, "runtimeType": None}, {"runtimeType": "R"}])
    def test_r_is_the_default_and_is_not_there(self, user: MlUser, body: dict[str, Any]) -> None:
        status, kind, message = user.operation("createSession", json=body).failure
        assert (status, kind) == (400, "RuntimeNotAvailableException")
        assert '"runtimeType": "Python"' in message

    @pytest.mark.parametrize("body", [{"runtimeType": "Ruby"}, {"name": 7}, []])
    def test_malformed(self, user: MlUser, body: Any) -> None:
        assert user.operation("createSession", json=body).status == 400

    def test_readers_have_none(self, shared: Service) -> None:
        reader = other_user(shared, "reader", "reader")
        failure = reader.operation("createSession", json={"runtimeType": "Python"}).failure
        assert failure[:2] == (403, "RoleRequiredException")

    def test_close(self, user: MlUser) -> None:
        id = user.start()
        assert user.operation("closeSession", id).status == 200
        assert user.operation("closeSession", id).failure == NO_SESSION
        assert id not in [each["id"] for each in user.operation("listSessions").body]


# Everything that is done to one session.
OF_ONE_SESSION: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "executeCode": ((), {"json": {"code": "1"}}),
    "closeSession": ((), {}),
    "closeSessionByForce": ((), {}),
    "cancelSession": ((), {}),
    "getSessionConsoleOutput": ((), {}),
    "listSessionHistory": ((), {}),
    "uploadSessionFile": ((), {"files": {"file": ("a.txt", b"x")}}),
    "listSessionFiles": ((), {}),
    "getSessionFile": (("a.txt",), {}),
    "deleteSessionFile": (("a.txt",), {}),
    "listWorkspaceObjects": ((), {}),
    "setWorkspaceObject": (("x",), {"data": dill.dumps(1)}),
    "getWorkspaceObject": (("x",), {}),
    "deleteWorkspaceObject": (("x",), {}),
    "CreateSnapshot": ((), {"json": {}}),
    "LoadSnapshot": ((UNKNOWN,), {}),
}


def test_all_of_them_are_listed_above() -> None:
    assert set(OF_ONE_SESSION) == {id for id, each in OPERATIONS.items() if "/sessions/{id}" in each.path}


@pytest.mark.parametrize("id", OF_ONE_SESSION)
def test_only_the_owner_sees_a_session(user: MlUser, stranger: MlUser, session: str, id: str) -> None:
    ids, more = OF_ONE_SESSION[id]
    assert stranger.operation(id, session, *ids, **more).failure == NO_SESSION
    assert user.operation(id, UNKNOWN, *ids, **more).failure == NO_SESSION
    assert session not in [each["id"] for each in stranger.operation("listSessions").body]
    assert session in [each["id"] for each in user.operation("listSessions").body]


def test_other_addresses_are_not_found(user: MlUser) -> None:
    url = user.service.url
    for path in ("/sessions/a/b/c", "/user/login", "/nothing"):
        assert requests.get(url + path, headers=user.headers, timeout=10).status_code == 404
    answer = requests.put(f"{url}/sessions", headers=user.headers, timeout=10)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
    assert answer.json()["exceptionType"] == "MethodNotAllowedException"
