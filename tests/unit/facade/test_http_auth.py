"""Tokens, retries, timeouts: the rules that every call shares."""

from __future__ import annotations

import logging
import pickle
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from facade_stub import PASSWORD, Answer, Stub, error, jwt
from urllib3.exceptions import ProtocolError

from wmlclient import errors, http
from wmlclient.auth import Tokens, lifetime
from wmlclient.client import Client

Connect = Callable[..., Client]
MODELS = "/published_models$"


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http.PatientRetry, "BACKOFF", 0.001)


def test_nothing_is_sent_before_the_first_call(connect: Connect, stub: Stub) -> None:
    connect()

    assert stub.requests == []


def test_the_token_is_fetched_once_and_sent(client: Client, stub: Stub) -> None:
    for _ in range(3):
        assert client.instance.plan == "lite"

    assert len(stub.calls("GET", "identity/token")) == 1
    (token,) = stub.tokens
    sent = stub.calls("GET", "wml_instances")
    assert [r.headers["authorization"] for r in sent] == [f"Bearer {token}"] * 3
    assert sent[0].headers["user-agent"].startswith("wmlclient/")
    assert "x-ms-client-request-id" not in sent[0].headers


def test_a_hundred_threads_fetch_one_token(client: Client, stub: Stub) -> None:
    stub.token_delay = 0.2
    model = stub.add_model("m")
    together = threading.Barrier(100)

    def call(_: int) -> str:
        together.wait(20)
        return client.models.get(model).name

    with ThreadPoolExecutor(100) as pool:
        assert list(pool.map(call, range(100))) == ["m"] * 100
    assert len(stub.calls("GET", "identity/token")) == 1


def test_a_hundred_threads_share_one_refusal(connect: Connect, stub: Stub) -> None:
    """A wrong password asked a hundred times locks an account."""
    stub.token_delay = 0.3
    client = connect(password="wrong")
    together = threading.Barrier(100)

    def call(_: int) -> str:
        together.wait(20)
        with pytest.raises(errors.AuthenticationError) as caught:
            client.models.list().first()
        return caught.value.code or ""

    with ThreadPoolExecutor(100) as pool:
        assert set(pool.map(call, range(100))) == {"invalid_credentials"}
    assert len(stub.calls("GET", "identity/token")) < 10


def test_a_token_is_renewed_before_it_expires() -> None:
    now = [0.0]
    given = iter([jwt(600), jwt(601), jwt(3600), "not a jwt"])
    tokens = Tokens(lambda: next(given), monotonic=lambda: now[0])
    first = tokens.get()

    now[0] = 539
    assert tokens.get() == first
    now[0] = 541  # less than a tenth of its life is left
    second = tokens.get()
    assert second != first
    now[0] += 3600
    third = tokens.get()
    now[0] += 3539  # a long-lived token is renewed a minute before
    assert tokens.get() == third
    now[0] += 2
    fourth = tokens.get()
    now[0] += 1e9
    assert tokens.get() == fourth == "not a jwt"  # it does not say when it expires: kept until it is refused


@pytest.mark.parametrize("token", ["", "a.b.c", "a.e30.c", "a.W10.c", jwt(-5)], ids=range(5))
def test_a_token_that_does_not_say_when_it_expires(token: str) -> None:
    assert lifetime(token, time.time()) is None


def test_an_expired_token_is_replaced_once_and_the_call_repeated(client: Client, stub: Stub) -> None:
    model = stub.add_model("m")
    client.models.get(model)
    stub.tokens.clear()  # as after a restart of the service with another key

    assert client.models.get(model).name == "m"
    assert len(stub.calls("GET", "identity/token")) == 2
    assert len(stub.calls("GET", "published_models")) == 3


def test_an_upload_is_sent_again_whole_after_a_refused_token(
    client: Client, stub: Stub, saved_model: object
) -> None:
    stub.script("PUT", "content", Answer(401, error("expired_authorization_token", "expired")))

    model = client.models.publish(saved_model, "m", training_schema="text string, sentiment int")

    refused, taken = stub.calls("PUT", "content")
    assert refused.body == taken.body == stub.content[model.id]
    assert refused.headers["authorization"] != taken.headers["authorization"]


def test_a_refusal_that_lasts_is_an_error(client: Client, stub: Stub) -> None:
    refusal = Answer(401, error("invalid_authorization_token", "no"))
    stub.script("GET", MODELS, refusal, refusal, refusal)

    with pytest.raises(errors.AuthenticationError, match="Check username and password"):
        client.models.list().first()
    assert len(stub.calls("GET", MODELS)) == 2


def test_a_given_token_is_used_as_it_is(connect: Connect, stub: Stub) -> None:
    stub.tokens.add("mine")
    client = connect(username=None, password=None, token="mine")
    assert client.models.list().first() is None

    stub.tokens.clear()
    with pytest.raises(errors.AuthenticationError):
        client.models.list().first()
    assert stub.calls("GET", "identity/token") == []


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_safe_call_is_repeated_twice(client: Client, stub: Stub, status: int) -> None:
    model = stub.add_model("m")
    stub.script("GET", "published_models/", *[Answer(status)] * 2)

    assert client.models.get(model).name == "m"
    assert len(stub.calls("GET", "published_models/")) == 3


def test_then_the_last_answer_is_the_error(client: Client, stub: Stub) -> None:
    stub.script("GET", MODELS, *[Answer(503, error("overloaded", "Too busy."))] * 3)

    with pytest.raises(errors.ServerError, match="Too busy") as caught:
        client.models.list().first()
    assert (caught.value.status, caught.value.request_id) == (503, "req-4711")
    assert len(stub.calls("GET", MODELS)) == 3


@pytest.mark.parametrize("status", [400, 404, 409, 500, 501])
def test_other_answers_are_not_repeated(client: Client, stub: Stub, status: int) -> None:
    stub.script("GET", MODELS, Answer(status))

    with pytest.raises(errors.ApiError):
        client.models.list().first()
    assert len(stub.calls("GET", MODELS)) == 1


def test_a_post_is_never_repeated_blindly(client: Client, stub: Stub) -> None:
    model = client.models.get(stub.add_model("m"))
    for answer in (Answer(503), Answer(429), Answer(drop=True)):
        stub.script("POST", "deployments", answer)
        before = len(stub.calls("POST"))
        with pytest.raises((errors.ApiError, errors.TransportError)):
            model.deploy("d")
        assert len(stub.calls("POST")) == before + 1


def test_a_broken_connection_is_repeated_for_a_safe_call(client: Client, stub: Stub) -> None:
    model = stub.add_model("m")
    stub.script("GET", "published_models/", Answer(drop=True))

    assert client.models.get(model).name == "m"


def test_retry_after_is_obeyed_within_limits(
    client: Client, stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    stub.script(
        "GET", MODELS, Answer(429, headers={"Retry-After": "7"}), Answer(503, headers={"Retry-After": "9999"})
    )

    client.models.list().first()

    assert [s for s in slept if s >= 1] == [7, 120]


def test_the_pause_grows_and_varies() -> None:
    policy = http.retry_policy(5)
    for _ in range(3):
        policy = policy.increment("GET", "/", error=ProtocolError("reset"))  # type: ignore[assignment]
    pauses = {policy.get_backoff_time() for _ in range(20)}

    longest = http.PatientRetry.BACKOFF * 4
    assert len(pauses) > 1
    assert all(longest / 2 <= pause <= longest for pause in pauses)


def test_with_options_is_a_copy_that_shares_the_token(client: Client, stub: Stub) -> None:
    client.models.list().first()
    impatient = client.with_options(timeout=0.2, max_retries=0)
    stub.script("GET", MODELS, Answer(503))

    with pytest.raises(errors.ServerError):
        impatient.models.list().first()
    stub.script("GET", MODELS, Answer(200, {"resources": []}, delay=1.0))
    with pytest.raises(errors.RequestTimeoutError, match="with_options"):
        impatient.models.list().first()
    assert client.models.list().first() is None
    assert len(stub.calls("GET", "identity/token")) == 1


def test_no_answer_says_where_and_what_to_do() -> None:
    with Client("http://127.0.0.1:9", username="u", password=PASSWORD, instance_id="i") as client:
        with pytest.raises(errors.TransportError) as caught:
            client.models.list().first()
    text = str(caught.value)
    assert "GET http://127.0.0.1:9/v3/identity/token: no answer: " in text
    assert "refused" in text
    assert PASSWORD not in text
    assert caught.value.retriable


def test_a_page_of_something_else_is_no_answer(client: Client, stub: Stub) -> None:
    stub.script("GET", MODELS, Answer(200, b"<html>Log in</html>", {"Content-Type": "application/json"}))

    with pytest.raises(errors.ResponseError, match="Check that the url"):
        client.models.list().first()


def test_a_netrc_does_not_replace_the_token(
    client: Client, stub: Stub, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login x password y\n")  # type: ignore[operator]
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))  # type: ignore[operator]

    client.models.list().first()

    assert all("Bearer" in r.headers["authorization"] for r in stub.calls("GET", MODELS))


def test_closing_twice_is_fine_and_then_nothing_works(connect: Connect, stub: Stub) -> None:
    client = connect()
    deployment = client.models.get(stub.add_model("m")).deploy("d", wait=False)
    client.close()
    client.close()

    for call in (
        lambda: client.models.list().first(),
        lambda: deployment.score({"x": 1}),
        lambda: client.kafka,
    ):
        with pytest.raises(errors.ConfigError, match="closed"):
            call()


def test_no_secret_leaves_through_log_repr_or_error(
    connect: Connect, stub: Stub, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        client = connect()
        stub.add_model("m")
        model = client.models.list().first()
        assert model is not None
        deployment = model.deploy("d")
        deployment.score({"x": 1})
        shown = [
            repr(x)
            for x in (client, client.models, model, deployment, client._service, client._service._tokens)
        ]
        stub.script("GET", MODELS, Answer(403, error("not_matching_authorization_token", "no")))
        with pytest.raises(errors.PermissionDeniedError) as caught:
            client.models.list().first()

    (token,) = stub.tokens
    basic = stub.calls("GET", "identity/token")[0].headers["authorization"].removeprefix("Basic ")
    pickled = pickle.dumps(caught.value).decode("latin-1")
    everything = "\n".join([*shown, str(caught.value), pickled, caplog.text])
    assert "POST" in caplog.text
    for secret in (PASSWORD, token, basic):
        assert secret not in everything
