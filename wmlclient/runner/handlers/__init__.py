"""One function for each operation of a contract, by its ``operationId``; a package for each contract.

A handler gets the services and a :class:`Call`, and gives an :class:`Answer`. Plain functions run on a thread, for
they wait for the database; coroutines run on the event loop and must not wait there.
"""

from __future__ import annotations

from .registry import Answer, Call, Handler, Handlers, Services

__all__ = ["Answer", "Call", "Handler", "Handlers", "Services"]
