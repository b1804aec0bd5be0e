"""Who is let in: every route with every kind of token, and browsers that were talked into calling us."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests
from contract_service import INSTANCE, OPERATIONS, PASSWORD, UNKNOWN, USER, Service
from runner_fakes import Clock

from wmlclient.runner.auth import Authenticator
from wmlclient.runner.users import Users

TOKENS = {"Token_Get", "Token_GetV2", "Token_Refresh"}
SECURED = sorted(set(OPERATIONS) - TOKENS)
KEY = b"k" * 48


def foreign(service: Service) -> str:
    return Authenticator(KEY, Users(USER, PASSWORD), "another-instance").issue()


def expired(service: Service) -> str:
    return Authenticator(KEY, Users(USER, PASSWORD), INSTANCE, 60, Clock().seconds).issue()


def forged(service: Service) -> str:
    return Authenticator(b"z" * 48, Users(USER, PASSWORD), INSTANCE).issue()


KINDS: dict[str, tuple[Callable[[Service], str | None], int, str]] = {
    "none": (lambda service: None, 401, "missing_authorization_token"),
    "forged": (forged, 401, "invalid_authorization_token"),
    "expired": (expired, 401, "expired_authorization_token"),
    "foreign": (foreign, 403, "not_matching_authorization_token"),
}


def test_every_route_but_those_for_tokens_is_secured() -> None:
    assert {id for id, operation in OPERATIONS.items() if not operation.secured} == TOKENS


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("id", SECURED)
def test_no_route_lets_in_without_a_valid_token(service: Service, id: str, kind: str) -> None:
    token, status, code = KINDS[kind]
    # The body is what no operation takes: whoever is not let in learns nothing of it.
    answer = service.operation(id, token=token(service), data=b"{")
    assert (answer.status, answer.code) == (status, code)


@pytest.mark.parametrize("id", [id for id in SECURED if "{instance_id}" in OPERATIONS[id].path])
def test_a_valid_token_opens_no_other_instance(service: Service, id: str) -> None:
    answer = service.operation(id, ids={"instance_id": UNKNOWN}, data=b"{")
    assert (answer.status, answer.code) == (403, "not_matching_authorization_token")


@pytest.mark.parametrize("header", ["Basic dXNlcjpwYXNz", "Token x", "Bearer", "Bearer a b"])
def test_other_schemes_are_named_as_wrong(service: Service, header: str) -> None:
    answer = service.operation("Instances_Get", token=None, headers={"Authorization": header})
    assert (answer.status, answer.code) == (401, "invalid_token_format")
    assert answer.message == "Bearer token format should be used."
    assert answer.response.headers["WWW-Authenticate"] == "Bearer"


def test_a_token_from_the_service_lets_in_with_any_run_of_blanks(service: Service) -> None:
    basic = requests.auth._basic_auth_str(USER.encode(), PASSWORD.encode())
    token = service.call("GET", "/v3/identity/token", token=None, headers={"Authorization": basic}).body[
        "token"
    ]
    for blanks in (" ", "  ", "    "):
        headers = {"Authorization": f"Bearer{blanks}{token}"}
        assert service.operation("Instances_Get", token=None, headers=headers).status == 200
    again = service.operation("Token_Refresh", token=None, json={"token": token}).body["token"]
    assert service.operation("Instances_Get", token=again).status == 200


def test_a_token_expires_while_it_is_in_use(serve: Callable[..., Service]) -> None:
    service = serve(token_lifetime=60)
    clock = Clock()
    service.auth._clock = clock.seconds
    token = service.auth.issue()
    assert service.operation("Instances_Get", token=token).status == 200
    clock.forward(61)
    answer = service.operation("Instances_Get", token=token)
    assert (answer.status, answer.code) == (401, "expired_authorization_token")
    fresh = service.operation("Token_Refresh", token=None, json={"token": token}).body["token"]
    assert service.operation("Instances_Get", token=fresh).status == 200


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Host": "evil.example"}, "host_not_allowed"),
        ({"Host": "evil.example:12800"}, "host_not_allowed"),
        ({"Host": "127.0.0.1.evil.example"}, "host_not_allowed"),
        ({"Host": "[::2]:80"}, "host_not_allowed"),
        ({"Host": ""}, "host_not_allowed"),
        ({"Origin": "http://evil.example"}, "origin_not_allowed"),
        ({"Origin": "null"}, "origin_not_allowed"),
        ({"Origin": "http://127.0.0.1:1"}, "origin_not_allowed"),
        ({"Sec-Fetch-Site": "cross-site"}, "origin_not_allowed"),
    ],
)
def test_a_page_of_another_site_gets_nothing(service: Service, method: str, headers: Any, code: str) -> None:
    for path in ("/v3/identity/token", f"/v3/wml_instances/{INSTANCE}/deployments/{UNKNOWN}/online"):
        answer = service.call(method, path, headers=headers)
        assert (answer.status, answer.code) == (403, code)


@pytest.mark.parametrize("host", ["localhost:1", "LOCALHOST", "[::1]:80", "127.0.0.1"])
def test_loopback_by_any_name_is_answered(service: Service, host: str) -> None:
    answer = service.operation("Instances_Get", headers={"Host": host})
    assert answer.status == 200
    assert answer.url == f"http://{host}/v3/wml_instances/{INSTANCE}"


def test_a_page_of_our_own_is_answered(service: Service) -> None:
    origin = {"Origin": service.url, "Sec-Fetch-Site": "same-origin"}
    assert service.operation("Instances_Get", headers=origin).status == 200


def test_a_server_for_others_answers_to_any_name() -> None:
    from wmlclient.runner.incoming import Gate, Headers

    Gate("0.0.0.0").check(Headers(host=b"scoring.example:12800"))
