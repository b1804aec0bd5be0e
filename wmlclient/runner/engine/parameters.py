"""Inputs and outputs of web services: their seven types, and what a request may give for each."""

from __future__ import annotations

import keyword
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .errors import Invalid, field_error

Definition = dict[str, str]

#: The types of Machine Learning Server, by all the names that programs give them.
TYPES: dict[str, str] = {
    **dict.fromkeys(("logical", "bool", "boolean"), "logical"),
    **dict.fromkeys(("numeric", "float", "double", "number"), "numeric"),
    **dict.fromkeys(("integer", "int"), "integer"),
    **dict.fromkeys(("character", "string", "str"), "character"),
    **dict.fromkeys(("vector", "array", "list", "numpy.array", "numpy.ndarray"), "vector"),
    **dict.fromkeys(("matrix", "numpy.matrix"), "matrix"),
    **dict.fromkeys(("data.frame", "dataframe", "DataFrame", "pandas.DataFrame"), "data.frame"),
}

#: What holds the one table of a realtime service.
REALTIME_INPUT: Definition = {"name": "inputData", "type": "data.frame"}
REALTIME_OUTPUT: Definition = {"name": "outputData", "type": "data.frame"}


def definitions(given: Sequence[Mapping[str, Any]] | None, where: str) -> list[Definition]:
    """Parameters as they are kept: each with one of the seven types.

    Args:
        given: Those of a request; None for none.
        where: The request's member, for errors.

    >>> definitions([{"name": "x", "type": "string"}], "inputParameterDefinitions")
    [{'name': 'x', 'type': 'character'}]

    Raises:
        Invalid: A name that no variable can have, or that is there twice, or an unknown type.
    """
    found: list[Definition] = []
    for each in given or ():
        name, type_ = each.get("name"), each.get("type")
        if not variable(name):
            raise field_error(
                where,
                f"{str(name)[:80]!r} is no name for a parameter: a Python name without `_` before it is.",
            )
        if any(name == other["name"] for other in found):
            raise field_error(where, f"The parameter {str(name)[:80]!r} is there twice.")
        if type_ not in TYPES:
            raise field_error(
                where,
                f"{str(type_)[:80]!r} is no type of the parameter {str(name)[:80]!r}; give one of: "
                "logical, numeric, integer, character, vector, matrix, data.frame.",
            )
        found.append({"name": str(name), "type": TYPES[type_]})
    return found


def variable(name: Any) -> bool:
    """Whether code can have a variable of this name."""
    return (
        isinstance(name, str)
        and name.isidentifier()
        and not keyword.iskeyword(name)
        and not name.startswith("_")
    )


def check(inputs: Sequence[Definition], given: Any) -> None:
    """Return where a request gives each input, and each as its type says; null is a value of all types.

    Raises:
        Invalid: ``invalid_input``, naming the input.
    """
    if not isinstance(given, dict):
        raise Invalid("invalid_input", "The body is no JSON object with a member for each input.")
    for each in inputs:
        name, type_ = each["name"], each["type"]
        if name not in given:
            raise _wrong(name, f"The input `{name}` is missing; it is of the type {type_}.")
        value = given[name]
        if value is not None and not _FITS[type_](value):
            raise _wrong(name, f"The input `{name}` is {_said(value)}; expected: {_WISHES[type_]}.")
    if len(given) > len(inputs):
        known = {each["name"] for each in inputs}
        name = next(name for name in given if name not in known)
        raise _wrong(name, f"The service has no input {name[:80]!r}.")


def _wrong(name: str, message: str) -> Invalid:
    return Invalid("invalid_input", message, {"type": "field", "name": name[:80]})


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _integer(value: Any) -> bool:
    # JSON knows one kind of number, and some clients write 3.0.
    return _number(value) and (isinstance(value, int) or value.is_integer())


def _vector(value: Any) -> bool:
    return isinstance(value, list)


def _matrix(value: Any) -> bool:
    return (
        isinstance(value, list)
        and all(isinstance(row, list) for row in value)
        and len({len(row) for row in value}) <= 1
    )


def _frame(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and all(isinstance(column, list) for column in value.values())
        and len({len(column) for column in value.values()}) <= 1
    )


_FITS: dict[str, Callable[[Any], bool]] = {
    "logical": lambda value: isinstance(value, bool),
    "numeric": _number,
    "integer": _integer,
    "character": lambda value: isinstance(value, str),
    "vector": _vector,
    "matrix": _matrix,
    "data.frame": _frame,
}

_WISHES = {
    "logical": "true or false",
    "numeric": "a number",
    "integer": "a whole number",
    "character": "a string",
    "vector": "an array",
    "matrix": "an array of rows of one length",
    "data.frame": "an object of columns, arrays of one length",
}


def _said(value: Any) -> str:
    words = {bool: "true or false", int: "a number", float: "a number", str: "a string", list: "an array"}
    return words.get(type(value), "an object")
