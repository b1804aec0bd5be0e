"""What the engine refuses, as one class for each kind of answer; the codes are those of the v3 API."""

from __future__ import annotations


class EngineError(Exception):
    """A refusal with a name.

    Attributes:
        code: Stable, machine-readable; from the reference's list where it has one.
        message: For the user: what is wrong, where, what to do. Never a secret.
        target: ``{"type": "field" | "parameter" | "header", "name": ...}``: the part of the request at fault, or None.
    """

    def __init__(self, code: str, message: str, target: dict[str, str] | None = None) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.target = target

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[type[EngineError], tuple[str, str, dict[str, str] | None]]:
        return type(self), (self.code, self.message, self.target)


class Invalid(EngineError):
    """The request is wrong, whatever the state of the service."""


class NotFound(EngineError):
    """No such thing."""

    def __init__(
        self,
        code: str = "not_found",
        message: str = "Requested object could not be found.",
        target: dict[str, str] | None = None,
    ) -> None:
        super().__init__(code, message, target)


class Forbidden(EngineError):
    """Not for this caller."""


class Gone(EngineError):
    """It was there, and has come to an end by itself."""


class Conflict(EngineError):
    """Right in itself, but not in this state."""


class NotSupported(EngineError):
    """Part of the contract that this service does not do."""


class NoRoom(EngineError):
    """The disk is full."""

    def __init__(
        self,
        code: str = "storage_full",
        message: str = "The disk of the service is full; nothing was stored. Free some space and try again.",
        target: dict[str, str] | None = None,
    ) -> None:
        super().__init__(code, message, target)


class NotReady(EngineError):
    """Not now; worth another try in a moment."""


def field_error(name: str, message: str, code: str = "invalid_request_payload") -> Invalid:
    """The refusal of one member of the request's body."""
    return Invalid(code, message, {"type": "field", "name": name})


def missing(name: str, why: str = "") -> Invalid:
    """The refusal of a body that lacks a member, or holds a wrong one, in the service's words."""
    return field_error(
        name,
        f"The given payload is missing required fields: {name} or the values of the fields are corrupted.{why}",
    )
