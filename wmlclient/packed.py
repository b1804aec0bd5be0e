"""A function at the service, kept as the bytes that it came in.

Snapshots are written by dill, which would look for the modules that came along with the function where they are not.
"""

from __future__ import annotations

import pickle
from typing import Any


class Packed:
    """A function and the bytes that it was made of; it is called like the function.

    Args:
        content: a pickle, from the user whose process this is.

    >>> Packed(pickle.dumps(abs))(-3)
    3
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        # Here and not when it is called: a service loads it once, before any request.
        self._function = pickle.loads(content)  # noqa: S301 - as said above

    def __call__(self, *values: Any, **named: Any) -> Any:
        """Call the function."""
        return self._function(*values, **named)

    def __reduce__(self) -> tuple[Any, ...]:
        return Packed, (self._content,)


class Packing:
    """Pickles to a :class:`Packed` without making one."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __reduce__(self) -> tuple[Any, ...]:
        return Packed, (self._content,)
