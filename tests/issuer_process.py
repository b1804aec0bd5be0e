"""An OpenID Connect issuer: ``python issuer_process.py FOLDER`` serves TLS on loopback until its stdin closes.

Beside what an issuer has it takes ``POST /mint``, which signs any claims, and ``POST /rotate``, which changes the key.
"""

from __future__ import annotations

import http.server
import json
import ssl
import sys
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

KEYS: dict[str, rsa.RSAPrivateKey] = {}
ASKED = {"keys": 0, "polls": 0}


def rotate() -> None:
    count = ASKED["keys"] + len(KEYS) + int(time.time() * 1000)
    KEYS.clear()
    KEYS[f"key-{count}"] = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def minted(order: dict[str, Any], url: str) -> str:
    now = int(time.time())
    claims = {"iss": url, "aud": "api", "sub": "1", "iat": now, "exp": now + 600, "preferred_username": "ida"}
    claims |= order.get("claims", {})
    claims = {name: value for name, value in claims.items() if value is not None}
    (kid, key), *_ = KEYS.items()
    if order.get("other_key"):
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    algorithm = order.get("algorithm", "RS256")
    secret: Any = {"none": None, "HS256": "k" * 48}.get(algorithm, key)
    return jwt.encode(claims, secret, algorithm=algorithm, headers={"kid": order.get("kid", kid)})


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def issuer(self) -> str:
        return f"https://localhost:{self.server.server_address[1]}/tenant"

    def do_GET(self) -> None:
        if self.path == "/tenant/.well-known/openid-configuration":
            names = {
                "authorization": "/authorize",
                "token": "/token",
                "device_authorization": "/device",
            }
            found = {f"{name}_endpoint": self.issuer + path for name, path in names.items()}
            self._answer({"issuer": self.issuer, "jwks_uri": f"{self.issuer}/keys", **found})
        elif self.path == "/tenant/keys":
            ASKED["keys"] += 1
            shown = [
                {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig"}
                for kid, key in KEYS.items()
            ]
            self._answer({"keys": shown})
        else:
            self._answer(ASKED)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        if self.path == "/tenant/mint":
            self._answer({"token": minted(json.loads(body), self.issuer)})
        elif self.path == "/tenant/rotate":
            rotate()
            self._answer({})
        elif self.path == "/tenant/device":
            self._answer(
                {
                    "device_code": "device",
                    "user_code": "ABCD-EFGH",
                    "verification_uri": f"{self.issuer}/enter",
                    "expires_in": 60,
                    "interval": 1,
                }
            )
        else:
            self._token({name: values[0] for name, values in parse_qs(body).items()})

    def _token(self, form: dict[str, str]) -> None:
        if form.get("grant_type", "").endswith(":device_code"):
            ASKED["polls"] += 1
            if ASKED["polls"] < 2:
                return self._answer({"error": "authorization_pending"}, 400)
        elif form.get("refresh_token") != "again":
            return self._answer({"error": "invalid_grant", "error_description": "revoked"}, 400)
        self._answer(
            {
                "token_type": "Bearer",
                "access_token": minted({}, self.issuer),
                "refresh_token": "again",
                "expires_in": 600,
            }
        )
        return None

    def _answer(self, body: Any, status: int = 200) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


def main(folder: Path) -> None:
    rotate()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
