"""Batch executions of web services."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from wmlclient import waiting
from wmlclient.errors import CodeError, WaitTimeoutError
from wmlclient.mlservice import MlService

__all__ = ["Batch"]

_FINISHED = ("Complete", "Failed")


class Batch:
    """A web service at work for many requests: what :meth:`WebService.batch` gives.

    Attributes:
        id: its identity.
    """

    def __init__(
        self,
        service: MlService,
        path: Sequence[str],
        id: str,
        decoded: Callable[[Mapping[str, Any]], Any],
    ) -> None:
        self._service = service
        self._path = (*path, id)
        self._decoded = decoded
        self.id = id

    @property
    def state(self) -> str:
        """``Pending``, ``InProgress``, ``Complete`` or ``Failed``, asked for at each access."""
        return str(self._look(False)["state"])

    @property
    def progress(self) -> tuple[int, int]:
        """How many requests are done, and how many there are."""
        found = self._look(False)
        return int(found["completedItemCount"]), int(found["totalItemCount"])

    def wait(self, timeout: float | None = None, progress: bool | None = None) -> Batch:
        """Returns once all requests are done.

        Args:
            timeout: seconds; None waits for ever.
            progress: whether a bar is shown; None for on a terminal or in a notebook.

        Raises:
            CodeError: the execution could not go on.
            WaitTimeoutError: it takes longer.
        """
        found = waiting.poll(
            lambda: self._look(False),
            lambda state: state["state"] in _FINISHED,
            timeout=timeout,
            late=lambda state, seconds: WaitTimeoutError(
                f"The batch execution is {state['state']} after {seconds:g} s. Wait longer, or cancel() it."
            ),
            text=lambda state: f"{state['completedItemCount']} of {state['totalItemCount']}",
            label="batch",
            progress=progress,
        )
        if found["state"] == "Failed":
            raise CodeError(
                f"The batch execution has failed after {found['completedItemCount']} of {found['totalItemCount']} "
                "records: the service's processes could not be started, or the service has ended meanwhile."
            )
        return self

    def results(self) -> list[Any]:
        """What the service gave for each record so far, in their order; None where there is nothing yet.

        A record whose code failed has a :class:`CodeError` in its place.
        """
        return [
            None if each is None else self._result(each) for each in self._look(True)["batchExecutionResults"]
        ]

    def files(self, record: int) -> list[str]:
        """Names of the files that a record's request has written."""
        names: list[str] = self._service.call("GET", (*self._path, str(record), "files")).json()
        return names

    def file(self, record: int, name: str) -> bytes:
        """One of these files."""
        return self._service.call("GET", (*self._path, str(record), "files", name)).content

    def cancel(self) -> None:
        """Ends what runs, and forgets the execution with its results."""
        self._service.call("DELETE", self._path)

    def _result(self, result: Mapping[str, Any]) -> Any:
        try:
            return self._decoded(result)
        except CodeError as error:
            return error

    def _look(self, results: bool) -> dict[str, Any]:
        query = {"showPartialResults": str(results).lower()}
        found: dict[str, Any] = self._service.call("GET", self._path, query=query).json()
        return found

    def __repr__(self) -> str:
        return f"Batch({self.id!r})"
