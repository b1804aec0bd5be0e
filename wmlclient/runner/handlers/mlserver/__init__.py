"""Machine Learning Server 9.1 to 9.3."""

from __future__ import annotations

from ..registry import Handlers

handlers = Handlers(
    __name__,
    (
        "authentication",
        "status",
        "sessions",
        "content",
        "snapshots",
        "services",
        "consumption",
        "nodes",
        "realtime",
        "pools",
    ),
)
operation = handlers.operation
