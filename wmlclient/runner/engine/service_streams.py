"""A web service as a stream: what is refused, what its workers are told, and what stands for it among the models."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from attrs import evolve

from ..store import ArchiveStore, Model, Store, Version, WebService
from .choice import Choice, choose
from .clock import new_id, now_ms
from .connections import stream_endpoints
from .errors import Invalid, NotFound, field_error
from .formats import stream_formats
from .ports import StreamSetupError
from .webservices import WebServiceService
from .workers import StreamProgram

#: Seconds that one record may take: a worker that is silent for longer loses its partitions.
RECORD_SECONDS = 30.0

_REASON = "a web service runs in guarded processes of its own, without Spark"


class ServiceStreams:
    """Web services that are streams.

    Args:
        store: Rows.
        services: What there is.
        archives: Where their snapshots are.
        copies: How many records of one worker run at once, where no pool of the service says otherwise.
        clock: Milliseconds since 1970.
    """

    def __init__(
        self,
        store: Store,
        services: WebServiceService,
        archives: ArchiveStore,
        copies: int = 4,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._store = store
        self._services = services
        self._archives = archives
        self._copies = copies
        self._clock = clock

    def choice(self, body: Mapping[str, Any], header: str | None) -> Choice:
        """How a stream of a web service is run.

        Args:
            body: The request.
            header: ``X-Spark-Service-Instance``, or None.

        Raises:
            Invalid: It is no stream, or asks for what only models have.
        """
        if body["type"] != "stream":
            raise Invalid(
                "not_supported_deployment_type",
                "A web service is deployed as a stream alone: it answers requests and runs batches at its own "
                "address, `/api/{name}/{version}`.",
                {"type": "field", "name": "type"},
            )
        if header or body.get("engine") == "spark" or body.get("latency") == "realtime":
            raise Invalid(
                "engine_conflict",
                f"Spark cannot stream this: {_REASON}. Leave out the Spark service, `engine` and `latency`.",
                {"type": "field", "name": "engine"},
            )
        formats = stream_formats(body, None)
        for where, given in (("input.source", formats.source), ("output.target", formats.target)):
            if given is not None and given["type"] != "json":
                raise field_error(
                    f"{where}.format.type", "A web service reads and writes JSON: leave `format` out."
                )
        certificate = {"engine": "native", "reason": _REASON}
        found = choose(body, None, stream_endpoints(body), certificate, lambda: None, lambda: None)
        return evolve(found, reason=_REASON)

    def stand_in(self, name: str, version: str) -> tuple[Model, Version]:
        """What stands for a web service among the models, kept.

        Raises:
            NotFound: There is no such service.
            Invalid: It is a realtime service.
        """
        service = self._services.get(name, version)
        if service.runtime != "Python":
            raise Invalid(
                "runtime_not_available",
                "A realtime service is no stream: publish its model by the v3 API, and deploy that.",
            )
        if not service.body["inputParameterDefinitions"]:
            raise Invalid(
                "no_inputs", f"The web service {name[:80]!r} takes nothing of a record: it has no inputs."
            )
        now = self._clock()
        body: dict[str, Any] = {
            "name": name,
            "framework": {"name": "python", "version": ".".join(platform.python_version_tuple()[:2])},
        }
        if service.body["description"]:
            body["description"] = service.body["description"]
        model = Model(new_id(), body, now, now, service={"name": name, "version": version})
        made = Version(new_id(), model.id, now)
        self._store.models.add(model, made)
        return model, made

    def known(self, named: Mapping[str, str]) -> bool:
        """Whether there is such a web service."""
        return any(named == {"name": each.name, "version": each.version} for each in self._services.all())

    def work(self, named: Mapping[str, str]) -> dict[str, Any]:
        """What the specification of a stream says of a web service as it is now.

        Args:
            named: Its name and version.

        Raises:
            StreamSetupError: ``service_not_found``.
        """
        try:
            service = self._services.get(named["name"], named["version"])
        except NotFound as error:
            raise StreamSetupError("service_not_found", error.message) from None
        return {
            "model_dir": "",
            "input_schema": {"type": "struct", "fields": []},
            "model_digest": digest(service),
            "program": self._program(service),
        }

    def _program(self, service: WebService) -> StreamProgram:
        body = service.body
        return StreamProgram(
            code=body["code"],
            init=body["initCode"],
            inputs=body["inputParameterDefinitions"],
            outputs=body["outputParameterDefinitions"],
            snapshot=None if service.digest is None else str(self._archives.path(service.digest)),
            copies=self._copies if service.pool is None else service.pool["most"],
            seconds=RECORD_SECONDS,
            stateless=bool(body.get("stateless")),
        )


def digest(service: WebService) -> str:
    """What tells one content of a web service from another, as ``sha256:...``."""
    names = ("code", "initCode", "inputParameterDefinitions", "outputParameterDefinitions")
    content = [service.digest, *(service.body[name] for name in names)]
    return f"sha256:{hashlib.sha256(orjson.dumps(content)).hexdigest()}"
