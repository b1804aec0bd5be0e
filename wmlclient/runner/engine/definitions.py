"""Training definitions: unfitted pipelines, kept beside the models that came from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..store import Definition, Page, PendingArchive, Store
from .clock import new_id, now_ms
from .contents import Contents
from .errors import NotFound
from .models import check_framework


class DefinitionService:
    """Training definitions.

    Args:
        store: Rows.
        contents: Archives.
        clock: Milliseconds since 1970.
    """

    def __init__(self, store: Store, contents: Contents, clock: Callable[[], int] = now_ms) -> None:
        self._store = store
        self._contents = contents
        self._clock = clock

    def create(self, body: Mapping[str, Any]) -> Definition:
        """A definition that waits for its content.

        Raises:
            Invalid: The framework is not Spark's.
        """
        check_framework(body)
        now = self._clock()
        definition = Definition(new_id(), dict(body), new_id(), now, now)
        self._store.definitions.add(definition)
        return definition

    def get(self, id: str) -> Definition:
        """One definition, with content or without.

        Raises:
            NotFound: There is none.
        """
        definition = self._store.definitions.get(id)
        if definition is None:
            raise NotFound()
        return definition

    def version(self, id: str, version_id: str) -> Definition:
        """The same, where this is its version."""
        definition = self.get(id)
        if definition.version_id != version_id:
            raise NotFound()
        return definition

    def page(self, limit: int, start: int | None) -> Page[Definition]:
        """Definitions with content, oldest first."""
        return self._store.definitions.page(limit, start)

    def delete(self, id: str) -> None:
        """Remove a definition and its content; models that came from it stay."""
        definition = self.get(id)
        self._store.definitions.delete(id)
        self._contents.forget(definition.digest)

    def upload(self, id: str, version_id: str, pending: PendingArchive) -> None:
        """Take the content; see :meth:`Contents.put` for what is refused."""
        try:
            definition = self.version(id, version_id)
        except NotFound:
            pending.discard()
            raise
        self._contents.put(
            pending,
            "Pipeline",
            definition.digest,
            lambda digest, size: self._store.definitions.set_content(id, digest, size, self._clock()),
        )
