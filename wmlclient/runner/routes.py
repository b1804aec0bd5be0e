"""The contract as the runner sees it: operations with their paths, parameters and the schema of their body."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import jsonschema
from attrs import field, frozen
from jsonschema.exceptions import best_match

from .engine.errors import Invalid, missing

_METHODS = ("get", "put", "post", "patch", "delete")


@frozen
class Parameter:
    """A query or header parameter.

    Attributes:
        name: As the contract spells it.
        place: ``query`` or ``header``.
        type: ``string``, ``integer`` or ``boolean``.
        minimum: Smallest number, or None.
        maximum: Largest number, or None.
        default: Value where the request has none.
        required: Whether every request has one.
    """

    name: str
    place: str
    type: str
    minimum: int | None = None
    maximum: int | None = None
    default: Any = None
    required: bool = False

    def read(self, text: str | None) -> Any:
        """The parameter's value.

        Raises:
            Invalid: ``invalid_query_parameter_value``.
        """
        if text is None:
            if self.required:
                raise Invalid(
                    "missing_query_parameter",
                    f"The parameter {self.name} is missing.",
                    {"type": "parameter", "name": self.name},
                )
            return self.default
        if self.type == "string":
            return text
        value: Any = None
        if self.type == "boolean":
            value = {"true": True, "false": False, "1": True, "0": False}.get(text.lower())
        elif re.fullmatch(r"-?[0-9]{1,18}", text):
            value = int(text)
            if (
                self.minimum is not None
                and value < self.minimum
                or self.maximum is not None
                and value > self.maximum
            ):
                value = None
        if value is None:
            raise Invalid(
                "invalid_query_parameter_value", self._wish(text), {"type": "parameter", "name": self.name}
            )
        return value

    def _wish(self, text: str) -> str:
        bounds = f" from {self.minimum} to {self.maximum}" if self.minimum is not None else ""
        return f"The parameter {self.name} is {text[:40]!r}; expected: {self.type}{bounds}."


@frozen
class Operation:
    """One operation of the contract.

    Attributes:
        id: Its ``operationId``.
        method: In upper case.
        path: Template, such as ``/v3/wml_instances/{instance_id}``.
        parameters: Those of query and header.
        secured: Whether it needs a bearer token.
        upload: Whether its body is bytes.
        form: Whether its body is a form.
        other_path: A second template that leads to it, with its parameters of the query in the path; or None.
        validator: Checks a JSON body; None where there is none.
    """

    id: str
    method: str
    path: str
    parameters: tuple[Parameter, ...]
    secured: bool
    upload: bool
    validator: Any = field(default=None, repr=False, eq=False)
    form: bool = False
    other_path: str | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """All templates that lead to it."""
        return (self.path,) if self.other_path is None else (self.path, self.other_path)

    def check_body(self, body: Any) -> None:
        """Return where a body has the form that the contract says.

        Raises:
            Invalid: ``invalid_request_payload``, naming the member.
        """
        error = best_match(self.validator.iter_errors(body))
        if error is not None:
            raise _invalid_body(error)


def operations(document: Mapping[str, Any]) -> list[Operation]:
    """All operations of a Swagger 2.0 document."""
    definitions = {name: _plain_schema(schema) for name, schema in document["definitions"].items()}
    found = []
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                found.append(_operation(document, definitions, path, method, item[method]))
    return found


def body_schema(document: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema of the document as JSON Schema that stands alone."""
    definitions = {name: _plain_schema(each) for name, each in document["definitions"].items()}
    return {"allOf": [_plain_schema(schema)], "definitions": definitions}


def _operation(
    document: Mapping[str, Any], definitions: dict[str, Any], path: str, method: str, raw: Mapping[str, Any]
) -> Operation:
    parameters: list[Parameter] = []
    upload, validator, form = False, None, False
    for reference in raw.get("parameters", ()):
        given = (
            document["parameters"][reference["$ref"].rpartition("/")[2]] if "$ref" in reference else reference
        )
        if given["in"] == "body":
            schema = given["schema"]
            upload = schema.get("format") == "binary"
            if not upload:
                whole = {"allOf": [_plain_schema(schema)], "definitions": definitions}
                validator = jsonschema.Draft4Validator(whole)
        elif given["in"] == "formData":
            form = True
        elif given["in"] in ("query", "header"):
            parameters.append(
                Parameter(
                    given["name"],
                    given["in"],
                    given["type"],
                    given.get("minimum"),
                    given.get("maximum"),
                    given.get("default"),
                    given["in"] == "query" and given.get("required", False),
                )  # fmt: skip
            )
    security = raw.get("security", document.get("security", []))
    secured = any(name.lower() == "bearer" for choice in security for name in choice)
    return Operation(
        raw["operationId"],
        method.upper(),
        path,
        tuple(parameters),
        secured,
        upload,
        validator,
        form,
        raw.get("x-also-at"),
    )


def _plain_schema(schema: Any) -> Any:
    """Swagger's ``x-nullable`` in the words of JSON Schema. Other words than those of an ``x-open`` enum pass."""
    if isinstance(schema, list):
        return [_plain_schema(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: _plain_schema(value) for key, value in schema.items()}
    if schema.get("x-open") is True:
        plain.pop("enum")
    if schema.get("x-nullable") is True:
        if isinstance(schema.get("type"), str):
            plain["type"] = [schema["type"], "null"]
        if "enum" in plain:
            plain["enum"] = [*schema["enum"], None]
    return plain


def _invalid_body(error: jsonschema.ValidationError) -> Invalid:
    place = ".".join(str(part) for part in error.absolute_path)
    if error.validator == "required":
        # The message of jsonschema begins with the name in quotes.
        lacking = error.message.split("'")[1]
        name = f"{place}.{lacking}" if place else lacking
        problem = ""
    else:
        name = place or "body"
        problem = f" ({_why(error)})"
    return missing(name, problem)


def _why(error: jsonschema.ValidationError) -> str:
    # jsonschema's own message quotes the value, which may be a secret or a megabyte.
    expected = error.validator_value
    several = expected if isinstance(expected, list) else [expected]
    words = {
        "type": f"expected: {' or '.join(str(each) for each in several)}",
        "enum": f"expected one of: {', '.join(str(each) for each in several if each is not None)}",
        "minLength": "it is empty",
        "minItems": "it is empty",
        "maxItems": f"more than {expected} entries",
    }
    return words.get(str(error.validator), str(error.validator))
