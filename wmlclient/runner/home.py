"""The folder of a runner: locked while it runs, private, and with what has to outlive it."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import uuid
from pathlib import Path
from typing import Any

from .private import write_private
from .store import Store


class HomeInUse(Exception):
    """Another runner works in this folder."""


class Home:
    """A runner's folder, made where it is missing and locked until :meth:`close`.

    Args:
        path: The folder.

    Raises:
        HomeInUse: Another process has it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(self._lock, 32).decode("ascii", "replace").strip()
            os.close(self._lock)
            raise HomeInUse(
                f"{self.path} is in use by another runner{f' (process {owner})' if owner else ''}. "
                "Stop that one, or choose another --home."
            ) from None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)
        # Who waits for this file must not find that of the last run.
        self.credentials.unlink(missing_ok=True)

    @property
    def credentials(self) -> Path:
        """``credentials.json``: there when the runner is ready."""
        return self.path / "credentials.json"

    def write_credentials(self, credentials: dict[str, Any]) -> None:
        """Write ``credentials.json``: whole or not at all, readable for its owner only."""
        write_private(self.credentials, json.dumps(credentials, indent=2) + "\n")

    def close(self) -> None:
        """Give the folder back. Twice is fine."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def identity(
    store: Store, username: str | None, password: str | None, instance_id: str | None
) -> tuple[str, str, str]:
    """User, password and instance of a home: what is given, else that of the last start, else new ones; all kept."""
    given = {"username": username, "password": password, "instance_id": instance_id}
    made = {
        "username": lambda: f"user-{secrets.token_hex(4)}",
        "password": lambda: secrets.token_urlsafe(24),
        "instance_id": lambda: str(uuid.uuid4()),
    }
    values = []
    for name, value in given.items():
        kept = store.setting(name)
        chosen = value or kept or made[name]()
        if chosen != kept:
            store.keep_setting(name, chosen)
        values.append(chosen)
    return values[0], values[1], values[2]
