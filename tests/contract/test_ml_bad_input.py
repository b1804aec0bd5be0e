"""Whatever comes in, an answer of the contract goes out: no internal error, no invalid JSON."""

from __future__ import annotations

import string
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from contract_service import Service
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ml_service import DOCUMENT, OPERATIONS, MlUser, first_user

JSON_BODIES = sorted(id for id, each in OPERATIONS.items() if each.validator is not None)
MEMBERS = sorted(
    {name for each in DOCUMENT["definitions"].values() for name in each.get("properties", {})}
    # The service's only member that starts a process when it is right.
    - {"runtimeType"}
)

texts = st.text(max_size=30)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=4),
    max_leaves=12,
)
bodies = st.dictionaries(st.sampled_from(MEMBERS), values, max_size=6) | values
# A dot alone is taken out of an address before it is sent.
segments = st.text(min_size=1, max_size=40).filter(lambda text: text.strip(".") != "")


@pytest.fixture(scope="module")
def user(shared: Service) -> MlUser:
    return first_user(shared)


@pytest.fixture(scope="module")
def session(user: MlUser) -> Iterator[str]:
    id = user.start()
    yield id
    user.operation("closeSessionByForce", id)


@pytest.mark.parametrize("id", JSON_BODIES)
@pytest.mark.parametrize(
    "body",
    ["", "{", "[1,2", '"text"', "7", "null", "[]", "NaN", b"\xff\xfe", "[" * 200 + "]" * 200, '{"a":' * 5000],
)
def test_what_is_no_json_object_is_400(user: MlUser, session: str, id: str, body: str | bytes) -> None:
    answer = user.operation(id, session, data=body)
    assert answer.status == 400
    assert answer.body["message"]


@settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(id=st.sampled_from(JSON_BODIES), body=bodies)
def test_any_body_has_an_answer_of_the_contract(user: MlUser, session: str, id: str, body: Any) -> None:
    if isinstance(body, dict) and id == "executeCode":
        body = {**body, "code": "pass"}
    assert user.operation(id, session, json=body).status in (200, 201, 400, 401, 403, 404, 409, 501)


@settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(id=st.sampled_from(sorted(OPERATIONS)), first=segments, second=segments)
def test_any_address_has_an_answer(user: MlUser, id: str, first: str, second: str) -> None:
    operation = OPERATIONS[id]
    given = iter(quote(each.encode("utf-8", "replace"), safe="") for each in (first, second))
    path = "/".join(next(given) if part.startswith("{") else part for part in operation.path.split("/"))
    response = user.session.request(
        operation.method, user.service.url + path, headers=user.headers, data=b"{}", timeout=30
    )
    assert response.status_code in (200, 400, 401, 404, 405, 501), response.text
    if response.status_code >= 400:
        assert response.json()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(token=st.text(string.ascii_letters + string.digits + "-_.=+/", max_size=300))
def test_any_token_is_401(user: MlUser, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    answer = user.session.get(f"{user.service.url}/sessions", headers=headers, timeout=30)
    assert answer.status_code == 401
    revoked = user.session.delete(
        f"{user.service.url}/login/refreshToken", params={"refreshToken": token}, timeout=30
    )
    assert revoked.status_code == 401


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=200),
    kind=st.sampled_from(["multipart/form-data; boundary=b", "text/plain", ""]),
)
def test_any_form_has_an_answer(user: MlUser, session: str, content: bytes, kind: str) -> None:
    headers = {"Content-Type": kind}
    answer = user.operation("uploadSessionFile", session, data=content, headers=headers)
    assert answer.status in (201, 400)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=values, text=texts)
def test_values_come_back_as_they_were_sent(user: MlUser, session: str, value: Any, text: str) -> None:
    request = {
        "code": f"said = {ascii(text)}\nprint(said, end='')",
        "inputParameters": [{"name": "value", "value": value}],
        "outputParameters": ["value", "said"],
    }
    answer = user.operation("executeCode", session, json=request)
    if answer.status == 400:  # a number that JSON has and this service has no room for
        assert "not JSON" in answer.body["message"]
        return
    assert answer.body["success"], answer.body
    assert [each["value"] for each in answer.body["outputParameters"]] == [value, text]
