"""Lists that come in pages: fetched as they are walked, and walked as often as wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, Generic, TypeVar
from urllib.parse import parse_qs, urlsplit

from wmlclient import display
from wmlclient.errors import ResponseError
from wmlclient.translate import translate

T = TypeVar("T")

SHOWN = 20


class Pages(Generic[T]):
    """A lazy list.

    ``for model in client.models.list()`` fetches page after page; nothing is fetched before, and each loop starts
    afresh.

    Args:
        fetch: gets the page that starts at a token, None for the first.
        make: makes the item of one resource, or None to leave it out.
        what: a word for the items.
        columns: heading and attribute of each column in a notebook.
    """

    def __init__(
        self,
        fetch: Callable[[str | None], Any],
        make: Callable[[Any], T | None],
        what: str,
        columns: Sequence[tuple[str, str]] = (),
    ) -> None:
        self._fetch = fetch
        self._make = make
        self._what = what
        self._columns = columns

    def __iter__(self) -> Iterator[T]:
        start: str | None = None
        seen: set[str] = set()
        while True:
            with translate():
                page = self._fetch(start)
            for resource in page.resources or ():
                item = self._make(resource)
                if item is not None:
                    yield item
            start = _start(page.next.url if page.next is not None else None)
            if start is None:
                return
            if start in seen:
                raise ResponseError(
                    f"The list of {self._what} runs in a circle: a page names an earlier one."
                )
            seen.add(start)

    def first(self) -> T | None:
        """The first item, or None if there is none."""
        return next(iter(self), None)

    def __repr__(self) -> str:
        return f"<lazy list of {self._what}: loop over it, or take .first()>"

    def _repr_html_(self) -> str:
        items = list(islice(self, SHOWN + 1))
        note = f"and more: {SHOWN} shown" if len(items) > SHOWN else ""
        rows = [[getattr(item, name) for _, name in self._columns] for item in items[:SHOWN]]
        return display.table([title for title, _ in self._columns], rows, note)


def _start(url: str | None) -> str | None:
    """The token of the next page. Only the token: the address may name a host that only the service knows."""
    if not url:
        return None
    tokens = parse_qs(urlsplit(url).query).get("start")
    return tokens[0] if tokens else None
