"""Sessions: kernels with an owner, a working directory and a history. They end with the service."""

from __future__ import annotations

import logging
import secrets
import shutil
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from attrs import define, field, frozen

from . import workfiles
from .clock import new_id, now_ms
from .errors import Conflict, Gone, Invalid, NotFound, NotReady
from .kernels import Kernel, KernelEnded, KernelError, Kernels, NoSuchObject, Runtime, RuntimeMissing

logger = logging.getLogger("wmlclient.runner.sessions")

T = TypeVar("T")
Pairs = list[tuple[str, Any]]

#: Sessions that ended by themselves and are still told from those that never were.
_REMEMBERED = 1000
_HISTORY = 1000


@frozen
class Settings:
    """How sessions are kept.

    Attributes:
        idle: Seconds without a call after which a session is closed.
        most: Number of sessions at once.
    """

    idle: float = 3600.0
    most: int = 40


@frozen
class Executed:
    """What became of an execution.

    Attributes:
        error: Why it failed; None where it ran to its end.
        outputs: Names and values, in the order asked.
        console: What it printed.
        changed: Names of files that it made or changed.
    """

    error: str | None
    outputs: list[tuple[str, Any]]
    console: str
    changed: list[str]


@define(eq=False)
class Session:
    """A session; its kernel is spoken to on its one worker thread.

    Attributes:
        id: Identity.
        name: Name.
        owner: User.
        runtime: Language.
        folder: Its folder; its files are in ``work``.
        used_at: When it was last used, in milliseconds since 1970.
        running: Calls that are on their way or wait.
        history: Code that was executed, oldest first.
    """

    id: str
    name: str
    owner: str
    runtime: Runtime
    folder: Path
    used_at: int
    running: int = 0
    history: deque[str] = field(factory=lambda: deque(maxlen=_HISTORY))
    worker: ThreadPoolExecutor = field(factory=lambda: ThreadPoolExecutor(1, "session"), repr=False)
    kernel_or_none: Kernel | None = field(default=None, repr=False)

    @property
    def work(self) -> Path:
        """The working directory."""
        return self.folder / "work"

    @property
    def kernel(self) -> Kernel:
        """The kernel of a session that has started."""
        assert self.kernel_or_none is not None
        return self.kernel_or_none


class SessionService:
    """All sessions.

    Args:
        kernels: Starts kernels.
        folder: Where sessions have their folders; emptied, since none outlives the service.
        settings: How they are kept.
        clock: Milliseconds since 1970.
    """

    def __init__(
        self,
        kernels: Kernels,
        folder: Path,
        settings: Settings | None = None,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._kernels = kernels
        self._folder = folder
        self._settings = settings if settings is not None else Settings()
        self._clock = clock
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}
        self._gone: OrderedDict[str, tuple[str, str]] = OrderedDict()
        self._closing = threading.Event()
        shutil.rmtree(folder, ignore_errors=True)
        self._passing = folder / "passing"
        self._passing.mkdir(mode=0o700, parents=True)

    def start(self) -> None:
        """Look after idle sessions from now on."""
        threading.Thread(target=self._look_after, name="sessions-idle", daemon=True).start()

    def close(self) -> None:
        """End all of them. Twice is fine."""
        self._closing.set()
        with self._lock:
            sessions = list(self._sessions.values())
            self._sessions.clear()
        self._kernels.close()
        for session in sessions:
            session.worker.shutdown(wait=True, cancel_futures=True)
            shutil.rmtree(session.folder, ignore_errors=True)

    def counts(self) -> tuple[int, int]:
        """Sessions there are, and how many there may be."""
        with self._lock:
            return len(self._sessions), self._settings.most

    def create(
        self,
        owner: str,
        name: str | None,
        runtime: Runtime,
        prepare: Callable[[Session], None] | None = None,
    ) -> Future[Session]:
        """Start a session.

        Args:
            owner: User.
            name: Name; a random one by default.
            runtime: Language.
            prepare: Called with the new session on its thread before anybody sees it.

        Raises:
            Invalid: The language is not there.
            NotReady: There are too many.
        """
        try:
            self._kernels.check(runtime)
        except RuntimeMissing as error:
            raise Invalid("runtime_not_available", str(error)) from None
        id = new_id()
        session = Session(
            id, name or secrets.token_hex(8)[:15], owner, runtime, self._folder / id, self._clock(), running=1
        )
        with self._lock:
            if len(self._sessions) >= self._settings.most or self._closing.is_set():
                raise NotReady(
                    "service_busy",
                    f"There are {len(self._sessions)} sessions already; close one, or try later.",
                )
            self._sessions[id] = session

        def begin() -> Session:
            try:
                session.folder.mkdir(mode=0o700, parents=True)
                session.kernel_or_none = self._kernels.start(runtime, session.folder)
                if prepare is not None:
                    prepare(session)
            except BaseException as error:
                self._drop(session)
                raise _translated(error) from error
            self._done(session)
            return session

        return session.worker.submit(begin)

    def list(self, owner: str) -> list[Session]:
        """A user's own sessions that are there, oldest first."""
        with self._lock:
            found = [each for each in self._sessions.values() if each.owner == owner]
        return [each for each in found if each.kernel_or_none is not None and each.kernel.ended is None]

    def get(self, owner: str, id: str) -> Session:
        """A user's own session; its idle time begins again.

        Raises:
            NotFound: There is none.
            Gone: It has come to an end by itself.
        """
        with self._lock:
            session = self._sessions.get(id)
            gone = self._gone.get(id)
        if session is not None and session.owner == owner and session.kernel_or_none is not None:
            reason = session.kernel.ended
            if reason is None:
                session.used_at = self._clock()
                return session
            self._bury(session, reason)
            raise _gone(reason)
        if gone is not None and gone[0] == owner:
            raise _gone(gone[1])
        raise NotFound("session_not_found", "There is no such session.")

    def submit(self, session: Session, work: Callable[[], T]) -> Future[T]:
        """Do something with a session's kernel, after all that was asked of it before.

        The future fails with :class:`Gone`, :class:`NotFound` or :class:`Invalid`, besides what the work itself raises.
        """
        with self._lock:
            session.running += 1

        def run() -> T:
            try:
                return work()
            except KernelError as error:
                raise _translated(error) from None
            finally:
                self._done(session)

        try:
            return session.worker.submit(run)
        except RuntimeError:  # closed meanwhile
            raise NotFound("session_not_found", "There is no such session.") from None

    def execute(self, session: Session, code: str, inputs: Pairs, outputs: Sequence[str]) -> Future[Executed]:
        """Run code. Code that fails, or ends the session, is no failure of the call."""

        def run() -> Executed:
            session.history.append(code)
            before = workfiles.state(session.work)
            try:
                done = session.kernel.execute(code, inputs, list(outputs))
            except KernelEnded as error:
                text = f"The session has ended: {error}."
                return Executed(text, [], session.kernel.console(), [])
            except KernelError as error:
                return Executed(str(error), [], session.kernel.console(), [])
            after = workfiles.state(session.work)
            return Executed(done.error, done.outputs, done.console, workfiles.changed(before, after))

        return self.submit(session, run)

    def finish(self, owner: str, id: str, force: bool) -> None:
        """Close a session.

        Args:
            owner: User.
            id: Its identity.
            force: Also while it is at work.

        Raises:
            NotFound: There is none.
            Gone: It has come to an end by itself.
            Conflict: It is at work.
        """
        session = self.get(owner, id)
        with self._lock:
            if session.running and not force:
                raise Conflict(
                    "session_busy", "The session is at work: cancel that, wait for it, or close by force."
                )
        self._drop(session)

    def sweep(self) -> None:
        """Close what has been idle for too long, and forget what has ended by itself."""
        now = self._clock()
        with self._lock:
            found = [each for each in self._sessions.values() if each.kernel_or_none is not None]
        for session in found:
            reason = session.kernel.ended
            if reason is None and not session.running and now - session.used_at >= self._settings.idle * 1000:
                reason = f"it was idle for {self._settings.idle:.0f} s"
            if reason is not None:
                self._bury(session, reason)

    # -- files

    @staticmethod
    def write_file(session: Session, name: str, source: BinaryIO) -> None:
        """Take a file; one of this name is replaced."""
        workfiles.put(session.work, name, source)

    def copy_file(self, session: Session, name: str) -> Path:
        """A copy of a file, for the caller to remove.

        Raises:
            NotFound: ``file_not_found``.
        """
        target = self.passing()
        with workfiles.open_file(session.work / workfiles.check_name(name)) as source:
            with open(target, "wb") as file:
                shutil.copyfileobj(source, file, 1 << 20)
        return target

    def passing(self) -> Path:
        """A new place for a file on its way, for the caller to remove."""
        return self._passing / secrets.token_hex(8)

    # -- what is done behind

    def _done(self, session: Session) -> None:
        with self._lock:
            session.running -= 1
            session.used_at = self._clock()

    def _bury(self, session: Session, reason: str) -> None:
        with self._lock:
            self._gone[session.id] = session.owner, reason
            while len(self._gone) > _REMEMBERED:
                self._gone.popitem(last=False)
        logger.info("session %s has ended: %s", session.id, reason)
        self._drop(session)

    def _drop(self, session: Session) -> None:
        with self._lock:
            self._sessions.pop(session.id, None)
        if session.kernel_or_none is not None:
            session.kernel_or_none.end()
        session.worker.shutdown(wait=False)
        shutil.rmtree(session.folder, ignore_errors=True)

    def _look_after(self) -> None:
        while not self._closing.wait(min(30.0, max(0.2, self._settings.idle / 4))):
            try:
                self.sweep()
            except Exception:
                logger.exception("idle sessions could not be closed")


def _gone(reason: str) -> Gone:
    return Gone("session_gone", f"The session has ended: {reason}.")


def _translated(error: BaseException) -> BaseException:
    if isinstance(error, KernelEnded):
        return _gone(str(error))
    if isinstance(error, NoSuchObject):
        return NotFound("object_not_found", f"The workspace has no object {str(error)[:80]!r}.")
    if isinstance(error, KernelError):
        return Invalid("session_refused", str(error))
    return error
