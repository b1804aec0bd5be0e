"""Tokens of a real OpenID Connect issuer: whose are taken, and whose are not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from contract_service import USER, Service
from issuer_stand import Issued, issuing
from ml_service import MlUser

from wmlclient.runner import issuer as issuers
from wmlclient.runner.issuer import Issuer, IssuerRefused, IssuerSettings
from wmlclient.runner.users import Caller

ROLES = {"owners": "ml.owner", "contributors": "ml.user", "readers": "ml.reader"}


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issued]:
    with issuing(tmp_path_factory.mktemp("issuer")) as found:
        yield found


@pytest.fixture(scope="module")
def at_issuer(issuer: Issued, serve: Callable[..., Service]) -> Service:
    return serve(issuer=IssuerSettings(issuer.url, "api", ca_file=issuer.ca_file))


@pytest.fixture(scope="module")
def with_roles(issuer: Issued, serve: Callable[..., Service]) -> Service:
    return serve(issuer=IssuerSettings(issuer.url, "api", ca_file=issuer.ca_file, **ROLES))


def status(service: Service, token: str) -> tuple[int, str]:
    answer = MlUser(service, "", "").operation("listSessions", token=token)
    return answer.status, "" if answer.status == 200 else answer.failure[1]


INVALID = (401, "InvalidAccessTokenException")


def test_a_token_of_the_issuer_is_taken_by_both_contracts(issuer: Issued, at_issuer: Service) -> None:
    token = issuer.token()
    assert status(at_issuer, token) == (200, "")
    assert at_issuer.call("GET", "/v3/ml_assets/models", token=token).status == 200
    assert MlUser(at_issuer, "", "").operation("listSessions", token="no.such.token").status == 401
    # Those of here are as good as before.
    assert at_issuer.call("GET", "/v3/ml_assets/models").status == 200


@pytest.mark.parametrize(
    "order",
    [
        {"claims": {"aud": "another"}},
        {"claims": {"aud": None}},
        {"claims": {"iss": "https://localhost:1"}},
        {"claims": {"iss": None}},
        {"claims": {"exp": 1_000_000_000}},
        {"claims": {"exp": None}},
        {"claims": {"nbf": 9_000_000_000}},
        {"claims": {"sub": None}},
        {"other_key": True},
        {"kid": "nobody's"},
        {"algorithm": "none"},
        {"algorithm": "HS256"},
        {"algorithm": "RS512"},
    ],
    ids=str,
)
def test_what_is_not_taken(issuer: Issued, at_issuer: Service, order: dict[str, Any]) -> None:
    token = issuer.token(**order)
    assert status(at_issuer, token) == INVALID
    assert at_issuer.call("GET", "/v3/ml_assets/models", token=token).status == 401


@pytest.mark.parametrize(
    ("roles", "expected"),
    [
        (["ml.owner"], "owner"),
        (["x", "ml.reader", "ml.user"], "contributor"),
        ("ml.reader", "reader"),
        (["x"], None),
        ([["ml.owner"]], None),
        (None, None),
    ],
)
def test_roles(issuer: Issued, with_roles: Service, roles: Any, expected: str | None) -> None:
    token = issuer.token(claims={"roles": roles})
    if expected is None:
        assert status(with_roles, token) == (403, "UserNotAllowedException")
    else:
        assert status(with_roles, token) == (200, "")
        assert with_roles.logins.check(b"Bearer " + token.encode()) == Caller("ida", expected)


@pytest.mark.parametrize("name", [USER, None, "", 7, "a:b", " x", "x" * 101])
def test_a_name_that_is_taken_or_none(issuer: Issued, at_issuer: Service, name: Any) -> None:
    token = issuer.token(claims={"preferred_username": name})
    assert status(at_issuer, token) == (403, "UserNotAllowedException")


def test_keys_that_change(issuer: Issued, at_issuer: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    assert status(at_issuer, issuer.token()) == (200, "")
    old, before = issuer.token(), issuer.asked()["keys"]
    issuer.rotate()
    # They were asked for just now; who sends made-up keys must not make us ask all the time.
    assert status(at_issuer, issuer.token()) == INVALID
    assert issuer.asked()["keys"] == before
    monkeypatch.setattr(issuers, "PAUSE", 0.0)
    assert status(at_issuer, issuer.token()) == (200, "")
    assert issuer.asked()["keys"] == before + 1
    monkeypatch.undo()
    assert status(at_issuer, old) == INVALID


def test_an_issuer_that_is_away(serve: Callable[..., Service], issuer: Issued) -> None:
    """Its certificate is not known: as good as not there."""
    away = serve(issuer=IssuerSettings(issuer.url, "api"))
    assert status(away, issuer.token()) == (503, "IssuerUnavailableException")
    assert status(away, issuer.token()) == (503, "IssuerUnavailableException")


def test_a_token_of_here_is_not_the_issuers(issuer: Issued, at_issuer: Service) -> None:
    own = at_issuer.logins
    assert isinstance(own._issuer, Issuer)
    assert not own._issuer.mine(at_issuer.auth.issue())


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"url": "http://localhost"}, "no https"),
        ({"audience": ""}, "`audience` is missing"),
        ({"algorithms": ["HS256"]}, "`algorithms` may be"),
        ({"algorithms": ["none"]}, "`algorithms` may be"),
        ({"algorithms": []}, "`algorithms` may be"),
    ],
)
def test_settings_that_are_none(more: dict[str, Any], message: str) -> None:
    with pytest.raises(IssuerRefused, match=message):
        IssuerSettings(**{"url": "https://issuer.example", "audience": "api", **more})
