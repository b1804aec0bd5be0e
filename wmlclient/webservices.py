"""Web services: functions that the service answers for, each version under a name of its own."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from wmlclient import display, functions
from wmlclient.batches import Batch
from wmlclient.errors import CodeError, ConfigError, NotFoundError, PayloadError
from wmlclient.mlservice import MlService, models
from wmlclient.sessions import Sessions
from wmlclient.translate import translate
from wmlclient.values import from_json, to_json

if TYPE_CHECKING:
    from wmlclient.deployment import Deployment
    from wmlclient.topics import KafkaTopic

__all__ = ["WebService", "WebServices"]


class WebServices:
    """The web services that the user sees: ``client.services``."""

    def __init__(self, service: MlService) -> None:
        self._service = service

    def publish(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        version: str | None = None,
        outputs: Mapping[str, Any] | None = None,
        description: str | None = None,
        stateless: bool = False,
    ) -> WebService:
        """Publishes a function.

        It is packed by cloudpickle, with what it uses of the user's own modules and the values that it refers to;
        packages are imported at the service, which needs them and the same minor version of Python.

        Args:
            function: a function with types: int, float, str, bool, list, numpy.ndarray, numpy.matrix,
                pandas.DataFrame.
            name: name of the service; the function's by default.
            version: a version that is not there yet; the service makes one up.
            outputs: names and types, for a function that returns a dict; by default what the function says it returns.
            description: what it does; the first line of the function's docstring by default.
            stateless: that no call changes what another one finds. A process then runs many calls, which saves the
                service some milliseconds for each; by default each call has a process of its own.

        Raises:
            ConfigError: the function has no types, or cannot be packed.
            ConflictError: this version is there already.

        Example:
            >>> def add(x: float, y: float) -> float:                                  # doctest: +SKIP
            ...     return x + y
            >>> service = client.services.publish(add, version="1.0")                  # doctest: +SKIP
            >>> service(1, y=2)                                                        # doctest: +SKIP
            3.0
        """
        called = name or getattr(function, "__name__", "")
        if not called:
            raise ConfigError("name: give the service a name.")
        request = _request(self._service, function, outputs, description)
        request.stateless = stateless or None
        try:
            with translate():
                if version is None:
                    version = self._service.api.publish_web_service(called, request)
                else:
                    self._service.api.publish_web_service_version(called, version, request)
        finally:
            _forget(self._service, request)
        published = self.get(called, version)
        return WebService(self._service, published._shown, _defaults(function))

    def list(self, name: str | None = None) -> list[WebService]:
        """All versions of all services, or of one; oldest first."""
        api = self._service.api
        with translate():
            found = (
                api.get_all_web_services() if name is None else api.get_all_web_service_versions_by_name(name)
            )
        return [WebService(self._service, each) for each in found]

    def get(self, name: str, version: str | None = None) -> WebService:
        """One version; by default the one that was published last.

        Raises:
            NotFoundError: there is none.
        """
        if version is None:
            return self.list(name)[-1]
        with translate():
            found = self._service.api.get_web_service_version(name, version)
        if not found:
            raise NotFoundError(f"There is no web service {name!r} with the version {version!r}.", status=404)
        return WebService(self._service, found[0])

    def __repr__(self) -> str:
        return f"WebServices({self._service.url!r})"


class WebService:
    """One version of a web service. It is called like the function it was made of.

    Attributes:
        name: its name.
        version: its version.
        description: what it does.
        inputs: types of its inputs by name.
        outputs: types of its outputs by name.
        published_by: the user who published it.
        stateless: whether a process runs many of its calls.
    """

    def __init__(
        self, service: MlService, shown: models.WebService, defaults: Mapping[str, Any] | None = None
    ) -> None:
        self._service = service
        # Of the function at hand: the service knows names and types alone.
        self._defaults = dict(defaults or {})
        self._use(shown)

    def _use(self, shown: models.WebService) -> None:
        self._shown = shown
        self.name = str(shown.name)
        self.version = str(shown.version)
        self.description = shown.description or ""
        self.inputs = _types(shown.input_parameter_definitions)
        self.outputs = _types(shown.output_parameter_definitions)
        self.published_by = str(shown.version_published_by or "")
        self.stateless = bool(shown.stateless)
        # Names alone may leave one out that others without a default follow.
        kind: Any = inspect.Parameter.POSITIONAL_OR_KEYWORD
        places: list[inspect.Parameter] = []
        for name in self.inputs:
            default = self._defaults.get(name, inspect.Parameter.empty)
            if places and places[-1].default is not places[-1].empty and default is inspect.Parameter.empty:
                kind = inspect.Parameter.KEYWORD_ONLY
            places.append(inspect.Parameter(name, kind, default=default))
        self.__signature__ = inspect.Signature(places)

    @property
    def path(self) -> tuple[str, ...]:
        """Parts of its address."""
        return "api", self.name, self.version

    def __call__(self, *values: Any, **named: Any) -> Any:
        """Runs it for one request.

        Returns:
            Its output; a dict by name where it has several, None where it has none. Vectors and matrices are numpy
            arrays, data frames pandas', where these are installed.

        Raises:
            TypeError: an input is missing, or is none of its own.
            CodeError: the code failed, with what it had printed in ``console``.
        """
        body = self.record(*values, **named)
        return self.decoded(self._service.call("POST", self.path, body).json())

    def record(self, *values: Any, **named: Any) -> dict[str, Any]:
        """The body of a request.

        Raises:
            TypeError: an input is missing, or is none of its own.
            PayloadError: one cannot be sent.
        """
        bound = self.__signature__.bind(*values, **named)
        bound.apply_defaults()
        return {name: to_json(value, name) for name, value in bound.arguments.items()}

    def decoded(self, result: Mapping[str, Any]) -> Any:
        """The outputs of a result.

        Raises:
            CodeError: there are none, since the code failed.
        """
        if not result["success"]:
            raise CodeError(str(result["errorMessage"]), console=result.get("consoleOutput") or "")
        given = result["outputParameters"]
        found = {name: from_json(given.get(name), kind) for name, kind in self.outputs.items()}
        if len(found) == 1:
            return next(iter(found.values()))
        return found or None

    def batch(self, records: Any, *, parallel: int = 10) -> Batch:
        """Runs it for many requests.

        Args:
            records: a data frame with a column for each input, or dicts by input.
            parallel: how many requests run at once, as far as the service has processes.
        """
        if hasattr(records, "to_dict") and hasattr(records, "columns"):
            records = records.to_dict("records")
        bodies = [self.record(**each) for each in _mappings(records)]
        path = (*self.path, "batch")
        answer = self._service.call("POST", path, bodies, {"parallelCount": parallel}).json()
        return Batch(self._service, path, str(answer["batchExecutionId"]), self.decoded)

    def deploy(
        self,
        name: str,
        *,
        source: KafkaTopic,
        target: KafkaTopic,
        dead_letter: KafkaTopic | str | None = None,
        delivery: str | None = None,
        workers: int | None = None,
        receipts: bool | None = None,
        description: str | None = None,
    ) -> Deployment:
        """Runs it for each record of a Kafka topic; returns at once, and ``.wait()`` waits until it runs.

        A record is a JSON object with a member for each input. It goes on to ``target`` with the outputs as members,
        in the place of members of their names. A record for which the function raises goes to ``dead_letter``, with
        the reason. The stream goes with the service: an update restarts it where it was, a deletion deletes it.

        Args:
            name: a name for the deployment.
            source: the topic to read.
            target: the topic to write.
            dead_letter: topic, on the target's connection, for records that cannot be read or fail. By default the
                target's name and ``.dead-letters``.
            delivery: ``"exactly_once"``, the default within one cluster, or ``"at_least_once"``. Exactly once is what
                is written to Kafka; what the function does elsewhere may happen again after an accident.
            workers: processes that share the partitions; 1 by default. Each has service processes of its own.
            receipts: whether each record written names its source in its headers.
            description: what it is for.

        Raises:
            PayloadError: source and target are no Kafka topics.
            BadRequestError: the service refuses it.

        Example:
            >>> stream = service.deploy("sums", source=kafka.topic("in"), target=kafka.topic("out"))  # doctest: +SKIP
            >>> stream.wait().state                                                                  # doctest: +SKIP
            <State.READY: 'ready'>
        """
        from wmlclient import deployments

        wishes = deployments.wishes(None, delivery, workers, receipts, None)
        body = {"name": name, **deployments.ends(source, target, dead_letter), **wishes}
        if body["type"] != "stream":
            raise PayloadError(
                "A web service runs files by .batch(records); give source= and target= as Kafka topics."
            )
        if description is not None:
            body["description"] = description
        url = "/".join([self._service.url, "services", *(quote(part, safe="") for part in self.path[1:])])
        deployment = deployments.create_of_service(self._service.scoring, url, body)
        deployment._kafka = source.connection
        return deployment

    def swagger(self) -> dict[str, Any]:
        """Its own Swagger document."""
        with translate():
            found: dict[str, Any] = self._service.api.get_web_service_swagger(self.name, self.version)
        return found

    def versions(self) -> list[WebService]:
        """All versions of this name, oldest first."""
        return WebServices(self._service).list(self.name)

    def update(
        self,
        function: Callable[..., Any] | None = None,
        *,
        outputs: Mapping[str, Any] | None = None,
        description: str | None = None,
        stateless: bool | None = None,
    ) -> WebService:
        """Changes this version: its function, its description, whether it is stateless. What is not given stays.

        Raises:
            PermissionDeniedError: it is another user's.
        """
        request = models.PublishWebServiceRequest(description=description, runtime_type="Python")
        if function is not None:
            request = _request(self._service, function, outputs, description, keep=True)
        request.stateless = stateless
        try:
            with translate():
                self._service.api.patch_web_service_version(self.name, self.version, request)
                (shown,) = self._service.api.get_web_service_version(self.name, self.version)
        finally:
            _forget(self._service, request)
        if function is not None:
            self._defaults = _defaults(function)
        self._use(shown)
        return self

    def delete(self) -> None:
        """Removes this version."""
        with translate():
            self._service.api.delete_web_service_version(self.name, self.version)

    def __repr__(self) -> str:
        inputs = ", ".join(f"{name}: {kind}" for name, kind in self.inputs.items())
        outputs = ", ".join(f"{name}: {kind}" for name, kind in self.outputs.items())
        return f"WebService({self.name!r}, {self.version!r}, ({inputs}) -> ({outputs}))"

    def _repr_html_(self) -> str:
        return display.card(
            f"{self.name} {self.version}",
            [
                ("description", self.description),
                *((f"input {name}", kind) for name, kind in self.inputs.items()),
                *((f"output {name}", kind) for name, kind in self.outputs.items()),
                ("published by", self.published_by),
            ],
        )


def _defaults(function: Callable[..., Any]) -> dict[str, Any]:
    parameters = inspect.signature(function).parameters.values()
    return {each.name: each.default for each in parameters if each.default is not each.empty}


def _request(
    service: MlService,
    function: Callable[..., Any],
    outputs: Mapping[str, Any] | None,
    description: str | None,
    keep: bool = False,
) -> models.PublishWebServiceRequest:
    """The request that publishes a function, with a snapshot that holds it."""
    defined = functions.define(function, outputs)
    if description is None and not keep:
        description = (inspect.getdoc(function) or "").partition("\n")[0] or None
    packed = functions.pack(function)
    with Sessions(service).create() as session:
        session.put_pickled(functions.FUNCTION, packed)
        snapshot = session.snapshot()
    return models.PublishWebServiceRequest(
        snapshot_id=snapshot,
        code=defined.code,
        description=description,
        operation_id=getattr(function, "__name__", None),
        input_parameter_definitions=_definitions(defined.inputs),
        output_parameter_definitions=_definitions(defined.outputs),
        runtime_type="Python",
    )


def _forget(service: MlService, request: models.PublishWebServiceRequest) -> None:
    """The service keeps a copy of its own."""
    if request.snapshot_id is not None:
        with translate():
            service.api.delete_snapshot(request.snapshot_id)


def _definitions(types: Mapping[str, str]) -> list[models.ParameterDefinition]:
    return [models.ParameterDefinition(name=name, type=kind) for name, kind in types.items()]


def _types(given: Iterable[models.ParameterDefinition] | None) -> dict[str, str]:
    return {str(each.name): str(each.type) for each in given or ()}


def _mappings(records: Iterable[Any]) -> Iterable[Mapping[str, Any]]:
    for number, each in enumerate(records):
        if not isinstance(each, Mapping):
            raise TypeError(f"records: number {number} is no dict by input, but {type(each).__name__}.")
        yield each
