from __future__ import annotations

import base64
import json
import os
import stat
import string
from pathlib import Path
from typing import Any

import jwt
import pytest
from runner_fakes import Clock

from wmlclient.runner.auth import REFRESHABLE, Authenticator, signing_key
from wmlclient.runner.problems import Problem
from wmlclient.runner.users import Users

KEY = b"k" * 48
INSTANCE = "360c510b-4917-4f2e-a4b1-ffd8b1bd9d64"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def auth(clock: Clock) -> Authenticator:
    return make(clock)


def make(clock: Clock, **changes: Any) -> Authenticator:
    users = Users(changes.pop("username", "user"), "pässword:x")
    given = {"key": KEY, "users": users, "instance_id": INSTANCE, **changes}
    return Authenticator(**given, clock=clock.seconds)


def bearer(token: str) -> bytes:
    return f"Bearer {token}".encode()


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def refusal(call: Any) -> tuple[int, str]:
    with pytest.raises(Problem) as caught:
        call()
    return caught.value.status, caught.value.code


def test_a_login_gives_a_token_that_lets_in(auth: Authenticator) -> None:
    token = auth.login(basic("user", "pässword:x"))
    auth.check(bearer(token))
    auth.check(b"Bearer   " + token.encode() + b" ")
    auth.check(b"bearer\t" + token.encode())


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "missing_authorization_token"),
        ("", "missing_authorization_token"),
        ("Bearer x", "invalid_token_format"),
        ("Basic", "invalid_token_format"),
        ("Basic ???", "invalid_token_format"),
        (basic("user", "wrong"), "invalid_credentials"),
        (basic("", "pässword:x"), "invalid_credentials"),
        (basic("other", "pässword:x"), "invalid_credentials"),
        ("Basic " + base64.b64encode(b"user").decode(), "invalid_credentials"),
        ("Basic " + base64.b64encode(b"\xff\xfe:\xff").decode(), "invalid_credentials"),
    ],
)
def test_a_wrong_login_is_refused(auth: Authenticator, header: str | None, code: str) -> None:
    assert refusal(lambda: auth.login(header)) == (401, code)


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "missing_authorization_token"),
        (b"", "missing_authorization_token"),
        (b"  ", "missing_authorization_token"),
        (b"Bearer", "invalid_token_format"),
        (b"Basic dXNlcjpw", "invalid_token_format"),
        (b"Bearer a b", "invalid_token_format"),
        (b"Bearer x", "invalid_authorization_token"),
        (b"Bearer a.b.c", "invalid_authorization_token"),
        (b"Bearer \xff\xfe", "invalid_authorization_token"),
        (b"Bearer " + b"x" * 20000, "invalid_authorization_token"),
    ],
)
def test_no_token_or_no_real_one_is_refused(auth: Authenticator, header: bytes | None, code: str) -> None:
    assert refusal(lambda: auth.check(header)) == (401, code)


def test_forged_tokens_are_refused(auth: Authenticator, clock: Clock) -> None:
    claims = {"sub": "x", "instanceId": INSTANCE, "exp": int(clock.seconds()) + 100}
    unsigned = jwt.encode(claims, None, algorithm="none")
    other_key = jwt.encode(claims, b"z" * 48, algorithm="HS256")
    other_algorithm = jwt.encode(claims, KEY + KEY, algorithm="HS512")
    without_end = jwt.encode({"sub": "x", "instanceId": INSTANCE}, KEY, algorithm="HS256")
    odd_end = jwt.encode({**claims, "exp": True}, KEY, algorithm="HS256")
    for token in (unsigned, other_key, other_algorithm, without_end, odd_end):
        assert refusal(lambda token=token: auth.check(bearer(token))) == (401, "invalid_authorization_token")
    head, middle, signature = auth.issue().split(".")
    for token in (
        f"{head}.{middle}.",
        f"{head}.{middle}.{signature[::-1]}",
        f"{middle}.{middle}.{signature}",
    ):
        assert refusal(lambda token=token: auth.check(bearer(token))) == (401, "invalid_authorization_token")


def test_a_token_expires_to_the_second_though_it_is_known(auth: Authenticator, clock: Clock) -> None:
    token = auth.issue()
    for _ in range(3):
        auth.check(bearer(token))
    clock.forward(3599)
    auth.check(bearer(token))
    clock.forward(1)
    assert refusal(lambda: auth.check(bearer(token))) == (401, "expired_authorization_token")
    # One that expired before it was ever seen is told the same way.
    assert refusal(lambda: make(clock).check(bearer(token))) == (401, "expired_authorization_token")


def test_a_known_token_is_looked_up_and_not_verified_again(
    auth: Authenticator, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = bearer(auth.issue())
    auth.check(token)
    monkeypatch.setattr("wmlclient.runner.auth.jwt.decode", None)
    auth.check(token)


def test_what_is_known_of_tokens_does_not_grow_without_end(auth: Authenticator) -> None:
    for _ in range(5000):
        auth.check(bearer(auth.issue()))
    assert len(auth._known) <= 4096


def test_a_token_of_another_instance_is_refused(auth: Authenticator, clock: Clock) -> None:
    token = make(clock, instance_id="other").issue()
    assert refusal(lambda: auth.check(bearer(token))) == (403, "not_matching_authorization_token")
    assert refusal(lambda: auth.refresh(token)) == (403, "not_matching_authorization_token")
    assert refusal(lambda: auth.require_instance("other")) == (403, "not_matching_authorization_token")
    auth.require_instance(INSTANCE)


def test_an_expired_token_can_be_refreshed_for_a_while(auth: Authenticator, clock: Clock) -> None:
    token = auth.issue()
    clock.forward(3600 + REFRESHABLE - 1)
    fresh = auth.refresh(token)
    assert fresh != token
    auth.check(bearer(fresh))
    clock.forward(1)
    assert refusal(lambda: auth.refresh(token)) == (401, "expired_authorization_token")
    assert refusal(lambda: auth.refresh("x.y.z")) == (401, "invalid_authorization_token")


@pytest.mark.parametrize("username", ["user", "a?b>c~d", "日本語😀", string.printable])
def test_the_genuine_clients_can_decode_any_token(clock: Clock, username: str) -> None:
    auth = make(clock, username=username, instance_id="A-z-0-" * 10)
    for _ in range(200):
        token = auth.issue()
        assert token.count(".") == 2
        middle = token.split(".")[1]
        # As the client does it: a wrong padding and the standard alphabet.
        claims = json.loads(base64.b64decode(middle + "=" * (-len(middle) % 4), validate=True))
        assert claims["exp"] == int(clock.seconds()) + 3600
        assert username not in token


def test_tokens_survive_a_restart(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "secret.key"
    token = make(clock, key=signing_key(path)).issue()
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    make(clock, key=signing_key(path)).check(bearer(token))
    path.write_bytes(b"short")
    assert len(signing_key(path)) >= 32
