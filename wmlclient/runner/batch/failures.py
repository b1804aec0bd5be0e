"""What a batch fails with."""

from __future__ import annotations


class JobFailed(Exception):
    """The whole job fails.

    Attributes:
        code: Stable, machine-readable.
        message: What is wrong, where, and the one thing to do. Never a secret.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return self.message
