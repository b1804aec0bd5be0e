"""Watson Machine Learning v3."""

from __future__ import annotations

from ..registry import Handlers

handlers = Handlers(
    __name__, ("tokens", "instances", "definitions", "models", "published", "deployments", "learning")
)
operation = handlers.operation
