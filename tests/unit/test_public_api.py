"""The names that users may rely on: one that comes or goes does so on purpose."""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys

import pytest

import wmlclient
from wmlclient import errors, scoring

PUBLIC = {
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
}
SCORING = {
    "ArchiveError",
    "InputError",
    "Limits",
    "RowDropped",
    "RowError",
    "Scorer",
    "ScoringError",
    "SparkRefused",
    "Table",
    "UnsupportedModel",
    "check_table",
    "describe",
    "load",
    "model_digest",
    "scorer_digest",
}
ERRORS = sorted(errors.__all__)


def test_exported_names() -> None:
    assert set(wmlclient.__all__) == PUBLIC
    assert set(scoring.__all__) == SCORING


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_name_is_there_and_shown_by_dir(name: str) -> None:
    assert getattr(wmlclient, name) is not None
    assert name in dir(wmlclient)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = wmlclient.no_such_name


@pytest.mark.parametrize("name", sorted(PUBLIC - {"__version__", "errors"}))
def test_every_class_and_its_public_methods_are_documented(name: str) -> None:
    cls = getattr(wmlclient, name)
    bare = [
        member
        for member, value in vars(cls).items()
        if not member.startswith("_")
        and (inspect.isfunction(value) or isinstance(value, (property, classmethod)))
        and not inspect.getdoc(getattr(cls, member))
    ]

    assert inspect.getdoc(cls)
    assert bare == []


@pytest.mark.parametrize("name", ERRORS)
def test_every_error_is_a_wml_error_that_survives_pickling(name: str) -> None:
    cls = getattr(errors, name)
    error = cls("what is wrong", status=404, request_id="r-1")

    again = pickle.loads(pickle.dumps(error))

    assert isinstance(again, errors.WmlError)
    assert type(again) is cls
    assert str(again) == "what is wrong"
    assert (again.status, again.request_id) == (404, "r-1")


def test_errors_lists_all_of_its_errors() -> None:
    classes = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.WmlError)
    }

    assert classes == set(errors.__all__)


def test_help_and_dir_load_nothing_heavy() -> None:
    """What a shell with completion does must not cost a second."""
    code = "import sys, wmlclient; dir(wmlclient); wmlclient.NotFoundError; print('pyspark' in sys.modules)"

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )

    assert done.stdout.strip() == "False"
