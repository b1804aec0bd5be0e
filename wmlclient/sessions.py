"""Sessions: Python processes on the service, whose variables and files stay from call to call."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import field, frozen

from wmlclient.errors import CodeError, ConfigError
from wmlclient.mlservice import MlService, models
from wmlclient.translate import translate
from wmlclient.values import to_json

__all__ = ["Ran", "Session", "Sessions"]


@frozen
class Ran:
    """What code has done.

    Attributes:
        outputs: values by name: numbers, strings, lists and dicts.
        console: what it printed.
        changed_files: names of the files that it made or changed.
    """

    outputs: dict[str, Any] = field(factory=dict)
    console: str = ""
    changed_files: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Any:
        """One output."""
        return self.outputs[name]


class Sessions:
    """The user's sessions: ``client.sessions``."""

    def __init__(self, service: MlService) -> None:
        self._service = service

    def create(self, name: str | None = None, *, snapshot: str | None = None) -> Session:
        """Starts a session. Best as a context manager, which closes it.

        Args:
            name: its name; the service makes one up.
            snapshot: id of a snapshot to begin with.

        Raises:
            ApiError: the service refuses.

        Example:
            >>> with client.sessions.create() as session:                              # doctest: +SKIP
            ...     session.run("y = sum(x)", inputs={"x": [1, 2]}, outputs=["y"])["y"]
            3
        """
        request = models.CreateSessionRequest(name=name, snapshot_id=snapshot, runtime_type="Python")
        with translate():
            made = self._service.api.create_session(request)
        return Session(self._service, str(made.session_id))

    def list(self) -> list[Session]:
        """The sessions that there are, oldest first."""
        with translate():
            return [Session(self._service, str(each.id)) for each in self._service.api.list_sessions()]

    def get(self, id: str) -> Session:
        """A session that is there already."""
        return Session(self._service, id)

    def __repr__(self) -> str:
        return f"Sessions({self._service.url!r})"


class Session:
    """One session.

    Attributes:
        id: its identity.
    """

    def __init__(self, service: MlService, id: str) -> None:
        self._service = service
        self.id = id

    def run(self, code: str, inputs: Mapping[str, Any] | None = None, outputs: Sequence[str] = ()) -> Ran:
        """Runs code.

        Args:
            code: Python.
            inputs: variables to set before; numpy arrays come as lists, data frames as dicts of columns.
            outputs: names of the variables to answer.

        Raises:
            CodeError: the code failed, with what it had printed in ``console``.
            PayloadError: an input cannot be sent.
            ApiError: the service refuses.
        """
        given = [
            models.WorkspaceObject(name=name, value=to_json(value, name))
            for name, value in (inputs or {}).items()
        ]
        request = models.ExecuteRequest(code=code, input_parameters=given, output_parameters=list(outputs))
        with translate():
            done = self._service.api.execute_code(self.id, request)
        if not done.success:
            raise CodeError(str(done.error_message), console=done.console_output or "")
        return Ran(
            {str(each.name): each.value for each in done.output_parameters or ()},
            done.console_output or "",
            tuple(done.changed_files or ()),
        )

    def objects(self) -> list[str]:
        """Names of the variables."""
        with translate():
            return list(self._service.api.list_workspace_objects(self.id))

    def put(self, name: str, value: Any) -> None:
        """Sets a variable to any object that dill can pack; both ends need the same minor version of Python.

        Raises:
            ConfigError: dill is not installed.
        """
        self.put_pickled(name, _dill().dumps(value))

    def put_pickled(self, name: str, content: bytes) -> None:
        """Sets a variable to what a pickle holds."""
        with translate():
            self._service.api.set_workspace_object(self.id, name, io.BytesIO(content))

    def get(self, name: str) -> Any:
        """The object of a variable. It is unpickled here, so only from a service that you trust.

        Raises:
            ConfigError: dill is not installed.
        """
        dill = _dill()
        with translate():
            content = b"".join(self._service.api.get_workspace_object(self.id, name))
        return dill.loads(content)

    def files(self) -> list[str]:
        """Names of the files in the working directory."""
        with translate():
            return list(self._service.api.list_session_files(self.id))

    def upload(self, path: str | Path) -> None:
        """Sends a file to the working directory, under its own name."""
        with open(path, "rb") as file, translate():
            self._service.api.upload_session_file(self.id, file)

    def download(self, name: str) -> bytes:
        """The content of a file."""
        with translate():
            return b"".join(self._service.api.get_session_file(self.id, name))

    def snapshot(self, name: str | None = None) -> str:
        """Keeps variables and files, also after the session; returns the snapshot's id."""
        with translate():
            made = self._service.api.create_snapshot(self.id, models.CreateSnapshotRequest(name=name))
        return str(made.snapshot_id)

    def interrupt(self) -> None:
        """Interrupts the code that runs."""
        with translate():
            self._service.api.cancel_session(self.id)

    def close(self) -> None:
        """Ends it, also in the midst of a run."""
        with translate():
            self._service.api.close_session_by_force(self.id)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Session({self.id!r})"


def _dill() -> Any:
    try:
        import importlib

        return importlib.import_module("dill")
    except ImportError:
        raise ConfigError("Objects travel by dill. Run: pip install 'wmlclient[sessions]'") from None
