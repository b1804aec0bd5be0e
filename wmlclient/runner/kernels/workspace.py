"""The workspace, seen from inside of a kernel: set, read, save and load its objects.

Loaded in the kernel as a module of its own, beside the user's code. Data goes through files.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

#: Levels of nesting that an answer may have.
DEPTH = 64


class Refused(Exception):
    """What was asked for cannot be done; the text says why."""


class Missing(Exception):
    """There is no such object."""


def _objects() -> dict[str, Any]:
    namespace: dict[str, Any] = _shell().user_ns
    return namespace


def _shell() -> Any:
    from IPython.core.getipython import get_ipython

    return get_ipython()


def _own() -> dict[str, Any]:
    """The user's objects, without those that the shell itself puts there."""
    hidden = _shell().user_ns_hidden
    nothing = object()
    return {
        name: value
        for name, value in _objects().items()
        if not name.startswith("_") and hidden.get(name, nothing) is not value
    }


def names() -> list[str]:
    """Names of the user's objects."""
    return sorted(_own())


def write_names(target: str) -> None:
    """Names of the user's objects, as JSON."""
    Path(target).write_text(json.dumps(names()), encoding="utf-8")


def set_inputs(source: str) -> None:
    """Set variables from JSON: a list of pairs."""
    for name, value in json.loads(Path(source).read_text(encoding="utf-8")):
        _objects()[name] = value


def write_outputs(names: list[str], target: str) -> None:
    """Write variables as JSON: a list of pairs, in the order asked.

    Raises:
        NameError: One is not there.
        Refused: One has no form in JSON.
    """
    objects, found = _objects(), []
    for name in names:
        if name not in objects:
            raise NameError(f"name {name!r} is not defined")
        found.append((name, plain(objects[name], name)))
    Path(target).write_text(json.dumps(found), encoding="utf-8")


def put(name: str, source: str) -> None:
    """Take an object from a file of dill's."""
    import dill

    try:
        value = dill.loads(Path(source).read_bytes())  # noqa: S301 - the user's own process is where this belongs
    except Exception as error:
        raise Refused(
            f"The object cannot be read: {type(error).__name__}: {error}. Send what dill.dumps of the same Python made."
        ) from None
    _objects()[name] = value


def get(name: str, target: str) -> None:
    """Write an object to a file, by dill."""
    Path(target).write_bytes(_dumped(name, _found(name)))


def delete(name: str) -> None:
    """Remove an object."""
    _found(name)
    del _objects()[name]


def save(target: str) -> None:
    """Write all objects to a file; what two of them share stays shared."""
    import dill

    objects = _own()
    try:
        data = dill.dumps(objects)
    except Exception:
        for name, value in objects.items():
            _dumped(name, value)
        raise
    Path(target).write_bytes(data)


def load(source: str) -> None:
    """Add the objects of a file that :func:`save` wrote."""
    import dill

    _objects().update(dill.loads(Path(source).read_bytes()))  # noqa: S301 - as above


def _found(name: str) -> Any:
    try:
        return _own()[name]
    except KeyError:
        raise Missing(name) from None


def _dumped(name: str, value: Any) -> bytes:
    import dill

    try:
        data: bytes = dill.dumps(value)
        return data
    except Exception as error:
        raise Refused(
            f"`{name}` ({type(value).__name__}) cannot be saved: {error}. Delete it from the workspace first."
        ) from None


def plain(value: Any, name: str = "value", depth: int = DEPTH) -> Any:
    """A value as JSON has it: arrays as lists, data frames as a dict of columns, what is not finite as None.

    >>> plain({"a": (1, float("nan"))})
    {'a': [1, None]}

    Raises:
        Refused: It has no such form.
    """
    if value is None or isinstance(value, bool):
        return value
    if depth == 0:
        raise Refused(f"`{name}` cannot be answered: it is nested deeper than {DEPTH} levels.")
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    if isinstance(value, int):
        if not -(2**63) <= value < 2**64:
            raise Refused(f"`{name}` cannot be answered: an integer of it has more than 64 bits.")
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, (list, tuple)):
        return [plain(item, name, depth - 1) for item in value]
    if isinstance(value, dict):
        return {plain(str(key)): plain(item, name, depth - 1) for key, item in value.items()}
    kind = f"{type(value).__module__.partition('.')[0]}.{type(value).__name__}"
    if kind == "pandas.DataFrame":
        return {str(column): plain(value[column].tolist(), name, depth - 1) for column in value.columns}
    if kind in ("pandas.NAType", "pandas.NaTType"):
        return None
    if hasattr(value, "tolist"):  # arrays, series, and the scalars of numpy
        return plain(value.tolist(), name, depth - 1)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise Refused(f"`{name}` cannot be answered: {type(value).__name__} has no form in JSON.")
