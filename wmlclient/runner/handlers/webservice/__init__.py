"""What each web service has of its own, by its own document."""

from __future__ import annotations

from ..registry import Handlers

handlers = Handlers(__name__, ("batch",))
operation = handlers.operation
