"""A Python function as a web service: its inputs and outputs from its annotations, itself packed by cloudpickle."""

from __future__ import annotations

import inspect
import io
import pickle
import site
import sys
import sysconfig
import threading
import typing
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from attrs import frozen

from wmlclient.errors import ConfigError
from wmlclient.packed import Packing

#: What holds the function in the service's workspace, and the one output of a function that names none.
FUNCTION, RESULT = "packed_function", "result"

_NAMES = {
    "int": "integer",
    "float": "numeric",
    "str": "character",
    "bool": "logical",
    "list": "vector",
    "tuple": "vector",
    "ndarray": "vector",
    "array": "vector",
    "Series": "vector",
    "matrix": "matrix",
    "DataFrame": "data.frame",
}
KINDS = ("logical", "numeric", "integer", "character", "vector", "matrix", "data.frame")
_lock = threading.Lock()


@frozen
class Definition:
    """What a function takes and gives.

    Attributes:
        inputs: types by name.
        outputs: types by name.
        code: what runs it.
    """

    inputs: dict[str, str]
    outputs: dict[str, str]
    code: str


def define(function: Callable[..., Any], outputs: Mapping[str, Any] | None = None) -> Definition:
    """What a function takes and gives.

    Args:
        function: a function whose parameters all have a type.
        outputs: names and types of what it gives, where that is a dict; by default the one ``result``, of the type
            that the function says it returns.

    Raises:
        ConfigError: a parameter has no type, or none that a web service knows.

    Example:
        >>> def add(x: float, y: float) -> float:
        ...     return x + y
        >>> define(add).inputs
        {'x': 'numeric', 'y': 'numeric'}
    """
    try:
        hints = typing.get_type_hints(function)
    except Exception as error:
        raise ConfigError(f"The annotations of {_name(function)} cannot be read: {error}.") from None
    inputs: dict[str, str] = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise ConfigError(
                f"{_name(function)} takes {parameter}: a web service has named inputs only. Name each of them."
            )
        if parameter.name not in hints:
            raise ConfigError(
                f"The parameter {parameter.name} of {_name(function)} has no type. Write one, such as "
                f"`{parameter.name}: float`."
            )
        inputs[parameter.name] = kind_of(hints[parameter.name], parameter.name)
    given = ", ".join(f"{name}={name}" for name in inputs)
    if outputs is None:
        back = hints.get("return")
        if back is None:
            raise ConfigError(
                f"{_name(function)} does not say what it returns. Write a type, such as `-> float`, or give outputs=."
            )
        return Definition(inputs, {RESULT: kind_of(back, "return")}, f"{RESULT} = {FUNCTION}({given})")
    found = {name: kind_of(type_, name) for name, type_ in outputs.items()}
    taken = "\n".join(f"{name} = {RESULT}[{name!r}]" for name in found)
    return Definition(inputs, found, f"{RESULT} = {FUNCTION}({given})\n{taken}")


def kind_of(annotation: Any, name: str) -> str:
    """The type of a web service that an annotation means.

    >>> kind_of(list[float], "x"), kind_of("data.frame", "x")
    ('vector', 'data.frame')

    Raises:
        ConfigError: none.
    """
    if annotation in KINDS:
        return str(annotation)
    origin = typing.get_origin(annotation) or annotation
    kind = _NAMES.get(getattr(origin, "__name__", str(origin)))
    if kind is None:
        raise ConfigError(
            f"{name}: {annotation!r} is no type of a web service. Use int, float, str, bool, list, numpy.ndarray, "
            "numpy.matrix or pandas.DataFrame."
        )
    return kind


def pack(function: Callable[..., Any]) -> bytes:
    """A function with all it needs of the user's own modules; what is installed is imported at the service.

    Raises:
        ConfigError: cloudpickle is missing, or the function holds what cannot be packed.
    """
    try:
        import cloudpickle
    except ImportError:
        raise ConfigError(
            "Functions are packed by cloudpickle. Run: pip install 'wmlclient[sessions]'"
        ) from None
    target = io.BytesIO()
    with _lock, _by_value(cloudpickle, list(_own_modules())):
        try:
            cloudpickle.CloudPickler(target).dump(function)
        except Exception as error:
            raise ConfigError(f"{_name(function)} cannot be packed: {error}.") from None
    return pickle.dumps(Packing(target.getvalue()))


def _own_modules() -> Iterator[ModuleType]:
    """Modules that are loaded and not installed: the service cannot import them."""
    paths = sysconfig.get_paths()
    installed = {Path(paths[name]).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    installed |= {Path(folder).resolve() for folder in [*site.getsitepackages(), site.getusersitepackages()]}
    own = Path(__file__).resolve().parent
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if not file or module.__name__ == "__main__":
            continue
        path = Path(file).resolve()
        if not any(path.is_relative_to(folder) for folder in (*installed, own)):
            yield module


@contextmanager
def _by_value(cloudpickle: Any, modules: list[ModuleType]) -> Iterator[None]:
    registered = []
    try:
        for module in modules:
            if (
                module.__name__ in sys.modules
                and module.__name__ not in cloudpickle.list_registry_pickle_by_value()
            ):
                cloudpickle.register_pickle_by_value(module)
                registered.append(module)
        yield
    finally:
        for module in registered:
            cloudpickle.unregister_pickle_by_value(module)


def _name(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))
