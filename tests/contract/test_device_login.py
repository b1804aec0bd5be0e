"""A login with a code at a real issuer, and what the client then does with its tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from contract_service import INSTANCE, Service
from issuer_stand import Issued, issuing

import wmlclient
from wmlclient import DeviceLogin
from wmlclient.errors import AuthenticationError, ConfigError
from wmlclient.runner.issuer import IssuerSettings


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issued]:
    with issuing(tmp_path_factory.mktemp("issuer")) as found:
        yield found


def test_a_person_is_asked_once(issuer: Issued, serve: Callable[..., Service]) -> None:
    service = serve(issuer=IssuerSettings(issuer.url, "api", ca_file=issuer.ca_file))
    shown: list[str] = []
    login = DeviceLogin(issuer.url, "program", ["api/.default"], show=shown.append, verify=issuer.ca_file)
    with wmlclient.Client(service.url, instance_id=INSTANCE, login=login) as client:
        assert list(client.models.list()) == []
        assert client.services.list() == []
    assert shown == [f"To log in, open {issuer.url}/enter and type ABCD-EFGH"]
    polls = issuer.asked()["polls"]
    assert polls == 2

    # The next one comes by the refresh token.
    assert login.token().count(".") == 2
    assert (len(shown), issuer.asked()["polls"]) == (1, polls)
    # Until the issuer has ended that.
    login._refresh = "revoked"
    assert login.token().count(".") == 2
    assert len(shown) == 2
    assert "revoked" not in repr(login)


def test_an_issuer_that_cannot_be_asked(issuer: Issued) -> None:
    for address in ("https://127.0.0.1:1", issuer.url):
        # The other's certificate is not known.
        with pytest.raises(ConfigError, match="cannot be asked how to log in"):
            DeviceLogin(address, "program", ["api/.default"]).token()


def test_an_issuer_that_refuses(issuer: Issued, monkeypatch: pytest.MonkeyPatch) -> None:
    import msal

    login = DeviceLogin(issuer.url, "p", ["api/.default"], show=lambda text: None, verify=issuer.ca_file)
    answer = {"error": "access_denied", "error_description": "The person has said no."}
    monkeypatch.setattr(msal.PublicClientApplication, "acquire_token_by_device_flow", lambda *_: answer)
    with pytest.raises(AuthenticationError, match="The person has said no"):
        login.token()


@pytest.mark.parametrize(
    ("issuer_url", "client_id", "scopes"),
    [("http://x", "p", ["s"]), ("https://x", "", ["s"]), ("https://x", "p", []), ("https://x", "p", "s")],
)
def test_what_is_missing(issuer_url: str, client_id: str, scopes: list[str]) -> None:
    with pytest.raises(ConfigError, match="issuer=|client_id="):
        DeviceLogin(issuer_url, client_id, scopes)


def test_a_login_goes_alone(issuer: Issued) -> None:
    login = DeviceLogin(issuer.url, "p", ["api/.default"])
    with pytest.raises(ConfigError, match="alone"):
        wmlclient.Client("http://127.0.0.1:1", "u", "p", "i", login=login)
    with pytest.raises(ConfigError, match="or login="):
        wmlclient.Client("http://127.0.0.1:1", instance_id="i")
