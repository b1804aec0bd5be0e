"""Realtime services: a saved Spark ML pipeline behind ``inputData`` and ``outputData``, scored without Spark."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import orjson
from attrs import evolve

from ..store import PendingArchive, WebService
from . import exchange, native, parameters
from .clock import new_id, now_ms
from .contents import Contents
from .errors import Invalid, NotFound
from .webservices import WebServiceService

#: The first bytes of what Machine Learning Server's own packages write.
_REVOSCALE = b"blob"

_BODY: dict[str, Any] = {
    "snapshotId": None,
    "code": None,
    "initCode": None,
    "inputParameterDefinitions": [parameters.REALTIME_INPUT],
    "outputParameterDefinitions": [parameters.REALTIME_OUTPUT],
    "outputFileNames": [],
}


class RealtimeService:
    """Publishes and scores them.

    Args:
        services: All web services.
        contents: Where their models are.
        clock: Milliseconds since 1970.
    """

    def __init__(
        self, services: WebServiceService, contents: Contents, clock: Callable[[], int] = now_ms
    ) -> None:
        self._services = services
        self._contents = contents
        self._clock = clock
        self._lock = threading.Lock()
        self._scorers: dict[str, native.NativeScorer] = {}
        services.on_change.append(self._changed)

    def publish(
        self,
        owner: str,
        name: str,
        version: str | None,
        model: PendingArchive,
        about: dict[str, str | None],
        any_name: bool = False,
    ) -> WebService:
        """Publish a model, which is used up.

        Args:
            owner: User.
            name: Name.
            version: Version; None for a new one that is made up.
            model: The archive.
            about: ``description`` and ``operationId``.
            any_name: Whether the user may add versions to what others have published.

        Raises:
            Invalid: It is no model that is scored without Spark.
            Forbidden, Conflict: See :meth:`WebServiceService.publish`.
        """
        body = {**_BODY, **about}
        made = WebService(new_id(), name, version or new_id(), owner, "Realtime", self._clock(), body)

        def attach(digest: str, size: int) -> bool:
            self._load(digest)
            self._services.add(evolve(made, digest=digest, size=size), version is None, any_name)
            return True

        self._put(model, attach)
        return made

    def patch(
        self, service: WebService, model: PendingArchive | None, about: dict[str, str | None]
    ) -> WebService:
        """Change what is given.

        Raises:
            Invalid: It is no realtime service, or no model that is scored without Spark.
            NotFound: It was deleted.
        """
        if service.runtime != "Realtime":
            if model is not None:
                model.discard()
            raise Invalid("other_runtime", f"{service.name!r} runs code: PATCH /services changes it.")
        given = {name: value for name, value in about.items() if value is not None}
        new = evolve(service, body={**service.body, **given})
        if model is None:
            return self._services.replace(service, new)

        def attach(digest: str, size: int) -> bool:
            self._load(digest)
            self._services.replace(service, evolve(new, digest=digest, size=size))
            return True

        self._put(model, attach)
        self._contents.forget(service.digest)
        return new

    def run(self, service: WebService, body: bytes) -> bytes:
        """Score the table of a request.

        Returns:
            The result as JSON.

        Raises:
            Invalid: The table does not fit the model.
        """
        table = orjson.loads(body)["inputData"] or {}
        scorer = self._scorer(service)
        wanted = [each["name"] for each in scorer.schema["fields"] if each["name"] in table]
        scored = scorer.score(
            wanted, [list(row) for row in zip(*(table[name] for name in wanted), strict=True)]
        )
        added = [place for place, name in enumerate(scored.fields) if name not in wanted]
        columns = {scored.fields[place]: [row[place] for row in scored.values] for place in added}
        problem = scored.errors[0] if scored.errors else None
        result = exchange.failed("", [])
        result["success"] = problem is None
        result["errorMessage"] = "" if problem is None else f"Row {problem.row}: {problem.reason}"
        result["outputParameters"] = {"outputData": columns}
        return orjson.dumps(result)

    def _put(self, model: PendingArchive, attach: Callable[[str, int], bool]) -> None:
        model.finish()
        with open(model.path, "rb") as file:
            start = file.read(len(_REVOSCALE))
        if start == _REVOSCALE:
            model.discard()
            raise Invalid(
                "invalid_model_content",
                "The model is one of RevoScale's or MicrosoftML's, which nothing but these packages reads. "
                "Publish a saved Spark ML PipelineModel as .tar.gz.",
            )
        self._contents.put(model, "PipelineModel", None, attach)

    def _load(self, digest: str) -> native.NativeScorer:
        try:
            return native.load_untyped(self._contents.folder(digest))
        except native.UnsupportedModel as error:
            raise Invalid("model_not_supported", f"The model needs Spark: {error}.") from None

    def _scorer(self, service: WebService) -> native.NativeScorer:
        digest = service.digest or ""
        found = self._scorers.get(digest)
        if found is None:
            with self._lock:
                found = self._scorers.get(digest) or self._load(digest)
                self._scorers[digest] = found
        return found

    def _changed(self, service: WebService) -> None:
        if service.runtime != "Realtime" or service.digest is None:
            return
        named = {each.digest for each in self._services.all()}
        with self._lock:
            for digest in [each for each in self._scorers if each not in named]:
                del self._scorers[digest]
        try:
            self._services.get(service.name, service.version)
        except NotFound:
            self._contents.forget(service.digest)
