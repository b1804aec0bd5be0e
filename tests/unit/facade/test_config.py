"""Where settings come from, and what is said when they are not there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from wmlclient import config
from wmlclient.client import Client
from wmlclient.errors import ConfigError

FULL = {
    "url": "http://h:1",
    "username": "u",
    "password": "s3cret",
    "instance_id": "i",
    "access_key": "ignored",
}


@pytest.fixture
def credentials_file(tmp_path: Path) -> Path:
    path = tmp_path / "credentials.json"
    path.write_text(json.dumps({**FULL, "kafka": {"kafka_brokers_sasl": ["k:1"]}}))
    return path


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("URL", "USERNAME", "PASSWORD", "INSTANCE_ID", "CREDENTIALS", "PROFILES"):
        monkeypatch.delenv(f"WMLCLIENT_{name}", raising=False)


def test_from_single_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in config.NAMES:
        monkeypatch.setenv(f"WMLCLIENT_{name.upper()}", FULL[name])

    with Client.from_env(timeout=3) as client:
        assert client.url == "http://h:1"
        assert client.instance_id == "i"


def test_single_variables_win_over_the_file(credentials_file: Path) -> None:
    found = config.from_env({"WMLCLIENT_CREDENTIALS": str(credentials_file), "WMLCLIENT_URL": "http://other"})

    assert found.url == "http://other"
    assert found.password == "s3cret"
    assert found.kafka == {"kafka_brokers_sasl": ["k:1"]}


def test_what_is_missing_is_named_with_every_place_tried() -> None:
    with pytest.raises(ConfigError) as caught:
        config.from_env({"WMLCLIENT_URL": "http://h", "WMLCLIENT_PASSWORD": "s3cret"})

    text = str(caught.value)
    assert "username, instance_id" in text
    for name in ("URL", "USERNAME", "PASSWORD", "INSTANCE_ID", "CREDENTIALS"):
        assert f"WMLCLIENT_{name}" in text
    assert "s3cret" not in text
    assert len(caught.value.tried) == 5


def test_no_secret_in_the_repr(credentials_file: Path) -> None:
    assert "s3cret" not in repr(config.from_file(credentials_file))
    assert "k:1" not in repr(config.from_file(credentials_file))


def test_profiles(tmp_path: Path, credentials_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profiles = tmp_path / "profiles.toml"
    profiles.write_text(
        '[default]\nurl="http://a"\nusername="u"\npassword="s3cret"\ninstance_id="i"\n'
        '[staging]\ncredentials="credentials.json"\nurl="http://b"\n[half]\nurl="http://c"\n'
    )
    monkeypatch.setenv("WMLCLIENT_PROFILES", str(profiles))

    assert config.from_profile().url == "http://a"
    staging = config.from_profile("staging")
    assert (staging.url, staging.username) == ("http://b", "u")
    assert config.from_profile(path=credentials_file).url == "http://h:1"
    with pytest.raises(ConfigError, match="username, password, instance_id missing"):
        config.from_profile("half")
    with pytest.raises(ConfigError, match="no profile 'nope'. It has: default, half, staging"):
        Client.from_profile("nope", profiles)


def test_the_default_place_is_the_users_configuration(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = config.default_profile_path().parent
    folder.mkdir(parents=True)
    (folder / "profiles.toml").write_text(
        '[default]\nurl="http://a"\nusername="u"\npassword="p"\ninstance_id="i"\n'
    )

    assert config.from_profile().url == "http://a"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ("[1]", "not a JSON object"),
        ('{"url":"http://h"}', "username, password, instance_id"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "c.json"
    path.write_text(text)

    with pytest.raises(ConfigError, match=said) as caught:
        config.from_file(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        config.from_file(tmp_path / "none.json")
    with pytest.raises(ConfigError, match="cannot be read"):
        config.from_profile(path=tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text('password = "s3cret')
    with pytest.raises(ConfigError, match="is not TOML") as caught:
        config.from_profile(path=tmp_path / "bad.toml")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("url", ["", "h:1", "ftp://h", "http://", "http://u:s3cret@h"])
def test_a_bad_url_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ConfigError, match="url") as caught:
        Client(url, username="u", password="s3cret", instance_id="i")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("missing", ["username", "password", "instance_id"])
def test_the_client_says_what_it_lacks(missing: str) -> None:
    given = {"username": "u", "password": "p", "instance_id": "i"}
    del given[missing]

    with pytest.raises(
        ConfigError, match="instance_id" if missing == "instance_id" else "username= and password="
    ):
        Client("http://h", **given)


@pytest.mark.parametrize("timeout", [0, -1, (1, 0)])
def test_a_timeout_is_above_zero(timeout: object) -> None:
    with pytest.raises(ConfigError, match="timeout"):
        Client("http://h", username="u", password="p", instance_id="i", timeout=timeout)  # type: ignore[arg-type]
