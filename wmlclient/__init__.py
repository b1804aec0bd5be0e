"""Publish a Spark ML pipeline once; score it online and from Kafka to Kafka, with Spark's own numbers.

>>> import wmlclient
>>> client = wmlclient.Client.local()                                          # doctest: +SKIP
>>> model = client.models.publish(fitted, name="Sentiment", sample=train)      # doctest: +SKIP
>>> model.deploy("sentiment").score({"id": 1, "text": "what a day"})           # doctest: +SKIP

Errors are in :mod:`wmlclient.errors`; all of them are :class:`WmlError`. The log is ``logging.getLogger("wmlclient")``;
``WMLCLIENT_LOG=debug`` shows it on stderr.
"""

from __future__ import annotations

import importlib
import logging
import os
from typing import TYPE_CHECKING, Any

from wmlclient._version import __version__ as __version__

if TYPE_CHECKING:
    from wmlclient import errors as errors
    from wmlclient.bill import Description as Description
    from wmlclient.certificate import Certificate as Certificate
    from wmlclient.certifying import certify as certify
    from wmlclient.client import Client as Client
    from wmlclient.connections import KafkaConnection as KafkaConnection
    from wmlclient.connections import SparkService as SparkService
    from wmlclient.deployment import Deployment as Deployment
    from wmlclient.devicelogin import DeviceLogin as DeviceLogin
    from wmlclient.errors import ApiError as ApiError
    from wmlclient.errors import NotFoundError as NotFoundError
    from wmlclient.errors import WmlError as WmlError
    from wmlclient.formats import RecordFormat as RecordFormat
    from wmlclient.formats import SchemaRegistry as SchemaRegistry
    from wmlclient.instance import Instance as Instance
    from wmlclient.model import Model as Model
    from wmlclient.records import KafkaRecord as KafkaRecord
    from wmlclient.scores import Scores as Scores
    from wmlclient.states import State as State
    from wmlclient.storage import Database as Database
    from wmlclient.storage import ObjectStorage as ObjectStorage
    from wmlclient.topics import KafkaTopic as KafkaTopic
    from wmlclient.versions import ModelVersion as ModelVersion

# Loaded when asked for: the generated client alone takes longer to import than all the rest.
_HOMES = {
    "ApiError": "errors",
    "Certificate": "certificate",
    "Client": "client",
    "Database": "storage",
    "Deployment": "deployment",
    "Description": "bill",
    "DeviceLogin": "devicelogin",
    "Instance": "instance",
    "KafkaConnection": "connections",
    "KafkaRecord": "records",
    "KafkaTopic": "topics",
    "Model": "model",
    "ModelVersion": "versions",
    "NotFoundError": "errors",
    "ObjectStorage": "storage",
    "RecordFormat": "formats",
    "SchemaRegistry": "formats",
    "Scores": "scores",
    "SparkService": "connections",
    "State": "states",
    "WmlError": "errors",
    "certify": "certifying",
}

__all__ = [
    "ApiError",
    "Certificate",
    "Client",
    "Database",
    "Deployment",
    "Description",
    "DeviceLogin",
    "Instance",
    "KafkaConnection",
    "KafkaRecord",
    "KafkaTopic",
    "Model",
    "ModelVersion",
    "NotFoundError",
    "ObjectStorage",
    "RecordFormat",
    "SchemaRegistry",
    "Scores",
    "SparkService",
    "State",
    "WmlError",
    "__version__",
    "certify",
    "errors",
]

logging.getLogger("wmlclient").addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    if name == "errors":
        return importlib.import_module("wmlclient.errors")
    if name not in _HOMES:
        raise AttributeError(f"module 'wmlclient' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"wmlclient.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _log_to_stderr(level: str) -> None:
    """What ``WMLCLIENT_LOG`` asks for."""
    logger = logging.getLogger("wmlclient")
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(getattr(logging, level.upper(), logging.DEBUG))


if os.environ.get("WMLCLIENT_LOG"):
    _log_to_stderr(os.environ["WMLCLIENT_LOG"])
