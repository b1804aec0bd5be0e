"""The limit: an HTTP server of the runner's own stack (Starlette, uvicorn) that does nothing but answer.

``app`` echoes JSON. ``through_connexion`` echoes on the scoring route of the contract, routed, validated and
authorized by Connexion: what the scoring call would cost if it went the way of all other operations.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

CONTRACT = Path(__file__).resolve().parents[1] / "swagger" / "watson_ml_v3.json"
SCORE_PATH = "/v3/wml_instances/i/deployments/d/online"


async def echo(request: Request) -> Response:
    return Response(orjson.dumps(orjson.loads(await request.body())), media_type="application/json")


app = Starlette(routes=[Route("/echo", echo, methods=["POST"])])


def through_connexion() -> Any:
    """A Connexion app of the whole contract, in which every operation echoes its body. A factory for uvicorn."""
    from connexion import AsyncApp

    document = json.loads(CONTRACT.read_text(encoding="utf-8"))
    for definition in document.get("securityDefinitions", {}).values():
        definition["x-apikeyInfoFunc" if definition["type"] == "apiKey" else "x-basicInfoFunc"] = "echo.allow"
    for item in document["paths"].values():
        for verb, operation in item.items():
            if verb in ("get", "post", "put", "patch", "delete"):
                operation["operationId"] = "echo.answer"
    connexion_app = AsyncApp("echo", specification_dir=CONTRACT.parent)
    connexion_app.add_api(document, pythonic_params=False, strict_validation=False)
    return connexion_app


def allow(*_: Any, **__: Any) -> dict[str, str]:
    return {"sub": "anybody"}


async def answer(body: Any = None, **_: Any) -> Any:
    return body
