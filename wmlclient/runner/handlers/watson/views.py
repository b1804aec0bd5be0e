"""Records as the v3 API shows them. Addresses are absolute: clients follow them as they stand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from ...engine import connections
from ...engine.clock import iso
from ...engine.schemas import input_schema, label_column
from ...store import Definition, Deployment, Model, Page, Version
from . import page_tokens

T = TypeVar("T")

_CHOSEN = ("delivery", "latency", "workers", "receipts")
_COUNTS = ("records_in", "records_out", "dead_letters", "batches", "aborted", "restarts", "workers")
_RATES = ("records_per_second", "records_out_per_second", "dead_letters_per_second")


class Views:
    """Makes the JSON of one answer.

    Args:
        base: Scheme and host of the request.
        instance_id: The service instance.
    """

    def __init__(self, base: str, instance_id: str) -> None:
        self._base = base
        self._assets = f"{base}/v3/ml_assets"
        self.instance_url = f"{base}/v3/wml_instances/{instance_id}"
        self.published_url = f"{self.instance_url}/published_models"
        self.deployments_url = f"{self.instance_url}/deployments"
        self.models_url = f"{self._assets}/models"
        self.definitions_url = f"{self._assets}/training_definitions"
        self.experiments_url = f"{self._assets}/experiments"

    def definition(self, definition: Definition) -> dict[str, Any]:
        """A training definition."""
        return self._definition(definition, f"{self.definitions_url}/{definition.id}")

    def experiment(self, definition: Definition) -> dict[str, Any]:
        """The same for clients of 2017: at another address, and with another name for its version."""
        shown = self._definition(definition, f"{self.experiments_url}/{definition.id}")
        shown["entity"]["experiment_version"] = shown["entity"]["training_definition_version"]
        return shown

    def _definition(self, definition: Definition, url: str) -> dict[str, Any]:
        entity = _literal(definition.body)
        entity.setdefault("author", {})
        entity["training_definition_version"] = _version(url, definition.version_id, definition.created_at)
        return {
            "metadata": _metadata(definition.id, url, definition.created_at, definition.modified_at),
            "entity": entity,
        }

    def model(self, model: Model, version: Version) -> dict[str, Any]:
        """A model of the repository, with one of its versions."""
        url = f"{self.models_url}/{model.id}"
        entity = {name: value for name, value in model.body.items() if name != "certificate"}
        entity |= {
            "ml_asset_guid": model.id,
            "ml_asset_url": url,
            "versions_url": f"{url}/versions",
            "model_version": _version(url, version.id, version.created_at),
        }
        return {
            "metadata": _metadata(model.id, url, model.created_at, model.modified_at),
            "entity": entity,
        }

    def whole_version(self, model: Model, version: Version) -> dict[str, Any]:
        """One version by itself: with the schema of its input, and which engine scores it."""
        shown = self.model(model, version)
        schema = input_schema(model.body)
        if schema is not None:
            shown["entity"]["input_data_schema"] = schema
        if version.certificate is not None:
            shown["entity"]["parity"] = version.certificate
        return shown

    def version_url(self, model_id: str, version_id: str) -> str:
        """The address of a version."""
        return f"{self.models_url}/{model_id}/versions/{version_id}"

    def published(
        self, model: Model, version: Version, deployments: int, deployed: Version | None = None
    ) -> dict[str, Any]:
        """A published model.

        Args:
            model: The model.
            version: Its newest version.
            deployments: How many it has.
            deployed: The version of its newest online deployment, or None.
        """
        url = f"{self.published_url}/{model.id}"
        body = model.body
        entity: dict[str, Any] = {
            "runtime_environment": _runtime(body),
            "author": body.get("author") or {},
            "name": body["name"],
            "model_type": _model_type(body),
        }
        if body.get("description") is not None:
            entity["description"] = body["description"]
        if (label := label_column(body)) is not None:
            entity["label_col"] = label
        for name, schema in (
            ("training_data_schema", body.get("training_data_schema")),
            ("input_data_schema", input_schema(body)),
            ("output_data_schema", body.get("output_data_schema")),
        ):
            if schema:
                entity[name] = schema
        entity |= {
            "latest_version": self.version(model.id, version),
            "deployments": {"count": deployments, "url": f"{url}/deployments"},
            "learning_configuration_url": f"{url}/learning_configuration",
            "learning_iterations_url": f"{url}/learning_iterations",
            "feedback_url": f"{url}/feedback",
            "evaluation_metrics_url": f"{url}/evaluation_metrics",
        }
        if deployed is not None:
            entity["deployed_version"] = self.version(model.id, deployed)
        if version.certificate is not None:
            entity["parity"] = version.certificate
        return {
            "metadata": _metadata(model.id, url, model.created_at, model.modified_at),
            "entity": entity,
        }

    def deployment(
        self,
        deployment: Deployment,
        model: Model,
        version: Version,
        previous: Version | None = None,
        progress: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """A deployment of a model's version. Secrets of its connections are masked.

        Args:
            deployment: The deployment.
            model: Its model.
            version: The version that it runs.
            previous: The one that it ran before.
            progress: What a stream last told of itself.
        """
        model_url = f"{self.published_url}/{model.id}"
        url = f"{model_url}/deployments/{deployment.id}"
        made_of = self._service(model) if model.service else self._model(model, version)
        entity: dict[str, Any] = {
            "runtime_environment": _runtime(model.body),
            "name": deployment.name,
            "type": deployment.kind,
            "status": deployment.status,
            "model_type": _model_type(model.body),
            **made_of,
        }
        if previous is not None:
            entity["previous_version"] = self.version(model.id, previous)
        if deployment.description is not None:
            entity["description"] = deployment.description
        if deployment.kind == "online":
            entity["scoring_url"] = f"{url}/online"
        else:
            entity |= connections.masked_request(deployment.body)
            entity |= {name: deployment.body[name] for name in _CHOSEN if name in deployment.body}
            if progress is not None:
                entity["stream"] = _progress(progress)
            if deployment.spark_service is not None:
                entity["spark_service"] = connections.masked_spark_service(deployment.spark_service)
        if deployment.progress is not None:
            entity["progress"] = deployment.progress
        if deployment.status == "COMPLETED":
            entity["status_message"] = "SUCCESS"
        if deployment.failure:
            entity["status_message"] = deployment.failure[0]["message"]
            entity["status_details"] = {
                "status": deployment.status,
                "failure": {"errors": deployment.failure},
            }
        if deployment.engine is not None:
            entity["engine"] = deployment.engine
            entity["engine_reason"] = deployment.engine_reason
        return {
            "metadata": _metadata(deployment.id, url, deployment.created_at, deployment.modified_at),
            "entity": entity,
        }

    def _model(self, model: Model, version: Version) -> dict[str, Any]:
        named = reference(model, f"{self.published_url}/{model.id}")
        return {
            "published_model": {"author": model.body.get("author") or {}, **named},
            "deployable_asset": {"type": "model", **named},
            "deployed_version": self.version(model.id, version),
        }

    def _service(self, model: Model) -> dict[str, Any]:
        assert model.service is not None
        path = "/".join(quote(model.service[name], safe="") for name in ("name", "version"))
        return {"deployable_asset": {"type": "service", **reference(model, f"{self._base}/services/{path}")}}

    def version(self, model_id: str, version: Version) -> dict[str, Any]:
        """A version, named."""
        return {
            "url": self.version_url(model_id, version.id),
            "guid": version.id,
            "created_at": iso(version.created_at),
        }


def reference(model: Model, url: str) -> dict[str, Any]:
    """A published model, named by what shows something of it."""
    named = {"name": model.body["name"], "url": url, "guid": model.id, "created_at": iso(model.created_at)}
    if model.body.get("description") is not None:
        named["description"] = model.body["description"]
    return named


def page(
    found: Page[T],
    url: str,
    limit: int,
    show: Callable[[T], dict[str, Any]],
    query: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A list, in the dialects of 2017 (``count``) and of 2018 (``limit``, ``first``, ``next``) at once.

    ``next`` is left out on the last page: clients loop while it is there.
    """
    kept = {"limit": limit, **{key: value for key, value in (query or {}).items() if value is not None}}
    answer: dict[str, Any] = {
        "count": found.total,
        "limit": limit,
        "resources": [show(item) for item in found.items],
        "first": {"url": f"{url}?{urlencode(kept)}"},
    }
    if found.next is not None:
        start = page_tokens.encode(found.next, url.rpartition("/")[2])
        answer["next"] = {"url": f"{url}?{urlencode({**kept, 'start': start})}"}
    return answer


def _progress(told: Mapping[str, Any]) -> dict[str, Any]:
    names = (*_COUNTS, *_RATES, "lag", "latency_ms", "last_batch_at", "last_error")
    shown = {name: told[name] for name in names if name in told}
    if isinstance(shown.get("last_batch_at"), int):
        shown["last_batch_at"] = iso(shown["last_batch_at"])
    return shown


def _metadata(id: str, url: str, created_at: int, modified_at: int) -> dict[str, Any]:
    return {"guid": id, "url": url, "created_at": iso(created_at), "modified_at": iso(modified_at)}


def _version(asset_url: str, id: str, created_at: int) -> dict[str, Any]:
    url = f"{asset_url}/versions/{id}"
    return {"guid": id, "url": url, "content_url": f"{url}/content", "created_at": iso(created_at)}


def _model_type(body: Mapping[str, Any]) -> str:
    framework = body["framework"]
    return f"{framework['name']}-{framework['version']}"


def _runtime(body: Mapping[str, Any]) -> str:
    runtimes: Sequence[Mapping[str, Any]] = body["framework"].get("runtimes") or ()
    return f"{runtimes[0]['name']}-{runtimes[0]['version']}" if runtimes else "None Provided"


def _literal(value: Any) -> Any:
    """Without null, true and false: the genuine client evaluates a definition's entity as a Python literal."""
    if isinstance(value, dict):
        return {key: _literal(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_literal(item) for item in value if item is not None]
    return str(value).lower() if isinstance(value, bool) else value
