"""Users of a real LDAP directory: who gets in, as what, and who does not."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from attrs import evolve
from contract_service import Service
from directory_stand import ADMIN, ADMIN_PASSWORD, BASE, GROUPS, MEMBERS, PASSWORD, PEOPLE, Served, served
from ml_service import MlUser

from wmlclient.runner import users as accounts
from wmlclient.runner.directory import Directory, DirectorySettings
from wmlclient.runner.users import Caller, DirectoryUnavailable

pytestmark = pytest.mark.spark  # a JDK

ROLES = {role: f"cn={role},{GROUPS}" for role in ("owners", "contributors", "readers")}
SEARCH = {"bind_dn": ADMIN, "bind_password": ADMIN_PASSWORD, "base": PEOPLE}


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("ldaps"), "--useSSL") as found:
        yield found


@pytest.fixture(scope="module")
def starttls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("starttls"), "--useStartTLS") as found:
        yield found


def settings(tls: Served, **more: Any) -> DirectorySettings:
    given = {"url": f"ldaps://127.0.0.1:{tls.port}", "ca_file": str(tls.ca_file), **SEARCH, **ROLES, **more}
    return DirectorySettings(**given)


EXPECTED = {
    "anna": "owner",
    "bert": "contributor",
    "cora": "reader",
    "dora": None,
    "O'Neil (x)*": "reader",
}


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize(
    "more", [{}, {"groups_base": GROUPS}, {"user_dn": f"uid={{}},{PEOPLE}"}], ids=["search", "groups", "bind"]
)
def test_groups_are_roles(tls: Served, more: dict[str, Any], name: str) -> None:
    assert set(EXPECTED) == set(MEMBERS)
    role = EXPECTED[name]
    found = Directory(settings(tls, **more)).verify(name, PASSWORD)
    assert found == (None if role is None else Caller(name, role))


def test_without_groups_in_the_settings_everybody_is_a_contributor(tls: Served) -> None:
    nobody = evolve(settings(tls), owners=None, contributors=None, readers=None)
    assert Directory(nobody).verify("dora", PASSWORD) == Caller("dora", "contributor")


@pytest.mark.parametrize("direct", [False, True], ids=["search", "bind"])
@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("anna", "wrong"),
        ("anna", ""),
        ("anna", "\x00"),
        ("", PASSWORD),
        ("nobody", PASSWORD),
        ("*", PASSWORD),
        ("ann*", PASSWORD),
        ("anna)(uid=*", PASSWORD),
        ("*)(|(uid=*", PASSWORD),
        ("anna\\2a", PASSWORD),
        ("anna\x00", PASSWORD),
        ("anna,ou=people", PASSWORD),
        (f"anna,{PEOPLE}#", PASSWORD),
        ("a" * 1000, PASSWORD),
        ("anna", "p" * 1000),
    ],
)
def test_nobody_else_gets_in(tls: Served, direct: bool, name: str, password: str) -> None:
    more = {"user_dn": f"uid={{}},{PEOPLE}"} if direct else {}
    assert Directory(settings(tls, **more)).verify(name, password) is None


def test_two_entries_of_one_name_are_nobody(tls: Served) -> None:
    assert Directory(settings(tls, filter="(|(uid={})(uid=bert))")).verify("anna", PASSWORD) is None


def test_a_name_is_spelled_as_the_directory_has_it(tls: Served) -> None:
    assert Directory(settings(tls)).verify("ANNA", PASSWORD) == Caller("anna", "owner")


def test_starttls(starttls: Served) -> None:
    url = f"ldap://127.0.0.1:{starttls.port}"
    assert Directory(settings(starttls, url=url, starttls=True)).verify("anna", PASSWORD) == Caller(
        "anna", "owner"
    )


@pytest.mark.parametrize(
    "more", [{"ca_file": None}, {"bind_password": "wrong"}, {"url": "ldaps://127.0.0.1:1"}]
)
def test_a_directory_that_cannot_be_asked(tls: Served, more: dict[str, Any]) -> None:
    """Its certificate is not known, its account is not ours, it is not there."""
    directory = Directory(settings(tls, **more))
    for ask in (lambda: directory.verify("anna", PASSWORD), lambda: directory.find("anna")):
        with pytest.raises(DirectoryUnavailable) as caught:
            ask()
        assert PASSWORD not in str(caught.value)
        assert ADMIN_PASSWORD not in str(caught.value)


@pytest.fixture(scope="module")
def at_directory(tls: Served, serve: Callable[..., Service]) -> Service:
    return serve(directory=settings(tls))


class TestService:
    def test_login_of_both_contracts(self, at_directory: Service) -> None:
        anna = MlUser(at_directory, "anna", PASSWORD)
        assert anna.operation("listSessions").status == 200
        basic = base64.b64encode(f"anna:{PASSWORD}".encode()).decode()
        answer = requests.get(
            f"{at_directory.url}/v3/identity/token", headers={"Authorization": f"Basic {basic}"}, timeout=10
        )
        assert answer.status_code == 200
        assert at_directory.call("GET", "/v3/ml_assets/models", token=answer.json()["token"]).status == 200

    def test_roles_hold(self, at_directory: Service) -> None:
        cora = MlUser(at_directory, "cora", PASSWORD)
        failed = cora.operation("createSession", json={"runtimeType": "Python"})
        assert failed.failure[:2] == (403, "RoleRequiredException")
        assert MlUser(at_directory, "dora", PASSWORD).login().failure[0] == 401
        assert MlUser(at_directory, "anna", "").login().failure[0] == 401

    def test_users_of_this_service_come_first(self, at_directory: Service) -> None:
        accounts.add(at_directory.engine.store, "bert", "own", "reader", 1)
        assert MlUser(at_directory, "bert", PASSWORD).login().failure[0] == 401
        # The directory takes it for the same name.
        assert MlUser(at_directory, "BERT", PASSWORD).login().failure[0] == 401
        assert MlUser(at_directory, "bert", "own").login().status == 200

    def test_a_renewal_asks_again(self, at_directory: Service, monkeypatch: pytest.MonkeyPatch) -> None:
        cora = MlUser(at_directory, "cora", PASSWORD)
        pair = cora.login().body
        pair = cora.operation("renewToken", json={"refreshToken": pair["refresh_token"]}).body
        directory = at_directory.logins.users._directory
        monkeypatch.setattr(directory, "find", lambda name: None)
        renewed = cora.operation("renewToken", json={"refreshToken": pair["refresh_token"]})
        assert renewed.failure[0] == 401
        # Nor does the access token live on.
        assert cora.operation("listSessions", token=pair["access_token"]).failure[0] == 401

    def test_a_directory_that_is_away(self, tls: Served, serve: Callable[..., Service]) -> None:
        away = serve(directory=settings(tls, url="ldaps://127.0.0.1:1", seconds=1))
        answer = MlUser(away, "anna", PASSWORD).login()
        assert answer.failure[:2] == (503, "DirectoryUnavailableException")
        assert BASE not in answer.response.text


def test_what_is_shown_holds_no_password(tls: Served) -> None:
    assert ADMIN_PASSWORD not in repr(settings(tls))
