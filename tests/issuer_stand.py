"""A real OpenID Connect issuer in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import certificates
import requests
from attrs import frozen
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


@frozen
class Issued:
    """An issuer that runs.

    Attributes:
        url: Its identity.
        ca_file: Its certificate.
    """

    url: str
    ca_file: str

    def token(self, **order: Any) -> str:
        """A token: good for ``ida``, unless ``claims``, ``algorithm``, ``kid`` or ``other_key`` say otherwise."""
        return str(self._post("mint", order)["token"])

    def rotate(self) -> None:
        """Sign with another key from now on."""
        self._post("rotate", {})

    def asked(self) -> dict[str, int]:
        """How often the keys were fetched, and the token was asked for."""
        found: dict[str, int] = requests.get(f"{self.url}/asked", verify=self.ca_file, timeout=10).json()
        return found

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        answer = requests.post(f"{self.url}/{path}", json=body, verify=self.ca_file, timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json()


@contextmanager
def issuing(folder: Path) -> Iterator[Issued]:
    """An issuer until the end of the block."""
    key, certificate = certificates.self_signed()
    public = certificate.public_bytes(Encoding.PEM)
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "ca.pem").write_bytes(public)
    (folder / "server.pem").write_bytes(secret + public)
    command = [sys.executable, str(Path(__file__).with_name("issuer_process.py")), str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            port = int(process.stdout.readline())
            yield Issued(f"https://localhost:{port}/tenant", str(folder / "ca.pem"))
        finally:
            process.stdin.close()
            process.wait(10)
