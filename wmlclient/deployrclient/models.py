"""The models of Machine Learning Server: the generated ones, which also take their members by place.

>>> LoginRequest("user", "password").username
'user'
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from enum import Enum
from typing import Any

import requests
from msrest.exceptions import HttpOperationError
from msrest.serialization import Model

from wmlclient._generated.ml_server import models as _generated

CLASSES: dict[str, type] = {}
"""Every model and enumeration by its name."""


def _by_place(model: type[Model]) -> type[Model]:
    """The model with a constructor that takes members by place: required ones first, else as in the document."""
    required = {name for name, rules in model._validation.items() if rules.get("required")}
    names = sorted(model._attribute_map, key=lambda name: name not in required)

    def init(self: Model, *members: Any, **more: Any) -> None:
        if len(members) > len(names):
            raise TypeError(f"{model.__name__} takes {len(names)} members, {len(members)} were given.")
        given = dict(zip(names, members, strict=False))
        twice = sorted(given.keys() & more.keys())
        if twice:
            raise TypeError(f"{model.__name__} got {twice[0]} twice, by place and by name.")
        model.__init__(self, **given, **more)  # type: ignore[no-untyped-call]

    place = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [
        inspect.Parameter(name, place, default=inspect.Parameter.empty if name in required else None)
        for name in names
    ]
    init.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY), *parameters]
    )
    members: dict[str, Any] = {
        "__init__": init,
        "__doc__": model.__doc__,
        "__module__": __name__,
        # msrest would look for the models of a nested member in the package above.
        "_infer_class_models": classmethod(lambda cls: CLASSES),
    }
    return type(model.__name__, (model,), members)


# The generator makes up classes for forms, whose parts are arguments of their operations.
for _name in (name for name in _generated.__all__ if not name.startswith("Paths")):
    _class = getattr(_generated, _name)
    CLASSES[_name] = _class if issubclass(_class, Enum) else _by_place(_class)
globals().update(CLASSES)


class ErrorException(HttpOperationError):
    """A call that failed.

    Attributes:
        error: The :class:`Error` that was answered.
        message: Why.
        response: The response of ``requests``.
    """

    def __init__(self, error: Any, response: requests.Response) -> None:
        Exception.__init__(self, error.message, error)
        self.error = error
        self.inner_exception = None
        self.message = error.message or f"Operation returned an invalid status code {response.reason!r}"
        self.response = response

    def __reduce__(self) -> tuple[Callable[..., ErrorException], tuple[Any, requests.Response]]:
        return type(self), (self.error, self.response)


def __getattr__(name: str) -> Any:  # for type checkers: the names above are made while this is imported
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [*CLASSES, "ErrorException"]
