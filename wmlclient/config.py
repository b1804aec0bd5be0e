"""Where a client's settings come from: the environment, a profile file, a ``credentials.json``."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from wmlclient.errors import ConfigError

NAMES = ("url", "username", "password", "instance_id")
PREFIX = "WMLCLIENT_"


@frozen
class Credentials:
    """What it takes to reach a service: the shape of the service's own credentials.

    Attributes:
        url: base URL of the service.
        username: its user.
        password: never shown.
        instance_id: the instance that models and deployments belong to.
        kafka: credentials of the Kafka service that belongs to it, if any; never shown.
        schema_registry: of the registry of schemas of its streams, or of several; never shown.
        origin: where these were found.
    """

    url: str
    username: str
    password: str = field(repr=False)
    instance_id: str
    kafka: Mapping[str, Any] | None = field(default=None, repr=False)
    schema_registry: Any = field(default=None, repr=False)
    origin: str = field(default="arguments", eq=False)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], origin: str) -> Credentials:
        """Checks that nothing is missing; values the client does not need are passed over."""
        missing = [name for name in NAMES if not mapping.get(name)]
        if missing:
            raise ConfigError(f"{origin}: {', '.join(missing)} missing.", tried=(origin,))
        return cls(
            **{name: str(mapping[name]) for name in NAMES},
            kafka=mapping.get("kafka"),
            schema_registry=mapping.get("schema_registry"),
            origin=origin,
        )


def default_profile_path() -> Path:
    """``profiles.toml`` in this user's configuration folder (``~/.config/wmlclient`` on Linux)."""
    import platformdirs

    return Path(platformdirs.user_config_dir("wmlclient", appauthor=False)) / "profiles.toml"


def from_file(path: str | os.PathLike[str]) -> Credentials:
    """Reads a ``credentials.json``, as a service hands it out and as ``wmlclient serve`` writes it.

    Raises:
        ConfigError: there is no such file, it cannot be read, or something is missing in it.
    """
    origin = str(path)
    return Credentials.from_mapping(_read_json(Path(path), origin), origin)


def from_env(environ: Mapping[str, str] | None = None) -> Credentials:
    """Reads ``WMLCLIENT_URL``, ``_USERNAME``, ``_PASSWORD`` and ``_INSTANCE_ID``.

    ``WMLCLIENT_CREDENTIALS`` may name a ``credentials.json``; the single variables win over what it holds.

    Raises:
        ConfigError: something is missing; the text lists every place that was tried.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    tried = [PREFIX + name.upper() for name in NAMES]
    path = environ.get(PREFIX + "CREDENTIALS")
    tried.append(f"{PREFIX}CREDENTIALS{f' ({path})' if path else ''}")
    if path:
        values.update(_read_json(Path(path), f"{PREFIX}CREDENTIALS={path}"))
    for name in NAMES:
        if environ.get(PREFIX + name.upper()):
            values[name] = environ[PREFIX + name.upper()]
    missing = [name for name in NAMES if not values.get(name)]
    if missing:
        raise ConfigError(
            f"Not in the environment: {', '.join(missing)}. Tried {', '.join(tried)}. "
            "Set these, or use Client.local() for a service of your own.",
            tried=tuple(tried),
        )
    return Credentials.from_mapping(values, "environment")


def from_profile(name: str = "default", path: str | os.PathLike[str] | None = None) -> Credentials:
    """Reads one table of a profile file.

    A table holds ``url``, ``username``, ``password`` and ``instance_id``, or ``credentials``: the path of a
    ``credentials.json``, relative to the profile file. ``path`` may also be a ``credentials.json`` itself.

    Raises:
        ConfigError: no such file or profile, or something is missing in it.
    """
    file = (
        Path(path)
        if path is not None
        else Path(os.environ.get(PREFIX + "PROFILES") or default_profile_path())
    )
    if file.suffix == ".json":
        return from_file(file)
    origin = f"profile {name!r} of {file}"
    profiles = _read_toml(file)
    if not isinstance(profiles.get(name), dict):
        known = ", ".join(sorted(k for k, v in profiles.items() if isinstance(v, dict))) or "none"
        raise ConfigError(f"{file}: no profile {name!r}. It has: {known}.", tried=(str(file),))
    table = dict(profiles[name])
    if table.get("credentials"):
        named = file.parent / Path(str(table["credentials"])).expanduser()
        table = {**_read_json(named, f"{origin}, credentials {named}"), **table}
    return Credentials.from_mapping(table, origin)


def _read_json(path: Path, origin: str) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{origin}: cannot be read: {error.strerror}.", tried=(str(path),)) from None
    except ValueError:
        # The text of the parser's error could show a password.
        raise ConfigError(f"{origin}: is not JSON.", tried=(str(path),)) from None
    if not isinstance(values, dict):
        raise ConfigError(f"{origin}: is not a JSON object.", tried=(str(path),))
    return values


def _read_toml(path: Path) -> dict[str, Any]:
    import sys

    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        found: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
        return found
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read: {error.strerror}. A profile is a TOML table such as [default] "
            f"with {', '.join(NAMES)}.",
            tried=(str(path),),
        ) from None
    except ValueError as error:
        raise ConfigError(f"{path}: is not TOML: {type(error).__name__}.", tried=(str(path),)) from None
