"""The runner's process: from settings to a server that answers, and back to nothing left behind."""

from __future__ import annotations

import ctypes
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any

from wmlclient.scoring.apart import read_apart

from .control import Control
from .settings import Settings

if TYPE_CHECKING:
    from .compose import Embedded
    from .directory import Directory
    from .engine.service import Engine
    from .home import Home
    from .issuer import Issuer
    from .users import Users

logger = logging.getLogger("wmlclient.runner")

M_ARENA_MAX = -8  # malloc.h


class StartFailed(Exception):
    """The runner cannot start.

    Attributes:
        code: Stable, machine-readable.
        message: What is wrong and what to do.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return self.message


def main(settings: Settings, control: Control | None = None) -> int:
    """Run until a signal, or the end of the control pipe, ends it. For the main thread of a process of its own.

    Args:
        settings: How to run.
        control: The parent's pipe, or None for a runner of its own.

    Returns:
        The exit code: 0, or 2 where it could not start; the reason is logged.
    """
    _share_malloc()
    read_apart()
    run = _Run(settings, control)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, run.on_signal)
    try:
        run.run()
        return 0
    except StartFailed as error:
        logger.error("%s", error.message)
        if control is not None:
            control.say({"event": "failed", "code": error.code, "message": error.message})
        return 2


def _share_malloc() -> None:
    """One arena for all threads: by default glibc gives each its own, and keeps there what they free."""
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # not every C library has it
        if mallopt is not None:
            mallopt(M_ARENA_MAX, 1)


class _Run:
    def __init__(self, settings: Settings, control: Control | None) -> None:
        self._settings = settings
        self._control = control
        self._stopping = threading.Event()
        self._server: Any = None
        self._failed: StartFailed | None = None

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        logger.info("ending: %s", signal.Signals(number).name)
        self.stop()

    def stop(self) -> None:
        """End the server, from any thread or signal handler."""
        self._stopping.set()
        if self._server is not None:
            self._server.should_exit = True

    def run(self) -> None:
        # The socket first: a port in use is told in a moment, before anything heavy is imported.
        listener = _bind(self._settings.host, self._settings.port)
        try:
            home = _home(self._settings)
            try:
                self._serve(listener, home)
            finally:
                home.credentials.unlink(missing_ok=True)
                home.close()
        finally:
            listener.close()

    def _serve(self, listener: socket.socket, home: Home) -> None:
        from . import compose
        from .engine.ports import PortError
        from .store import StoreError

        embedded = compose.Embedded(home.path, self._settings)
        kafka = _Background(embedded.start) if self._settings.kafka else None
        try:
            engine = _engine(self._settings, home, embedded)
        except (OSError, StoreError) as error:
            raise StartFailed("home_unusable", f"{home.path} cannot be used: {error}") from error
        except PortError as error:
            raise StartFailed(error.code, error.message) from None
        try:
            credentials, app = _app(self._settings, engine, home, listener)
            engine.start()
            self._server = _uvicorn(app, lambda: self._on_started(home, credentials, kafka, embedded))
            if self._stopping.is_set():
                self._server.should_exit = True
            self._server.run(sockets=[listener])
        finally:
            engine.close()
            embedded.stop()
        if self._failed is not None:
            raise self._failed

    def _on_started(
        self, home: Home, credentials: dict[str, Any], kafka: _Background | None, embedded: Embedded
    ) -> None:
        """The server answers; what is left to be ready for takes its time on a thread."""

        def get_ready() -> None:
            from .engine.ports import PortError

            try:
                if kafka is not None:
                    credentials["kafka"] = kafka.result()
                if self._stopping.is_set():
                    return
                home.write_credentials(credentials)
            except (PortError, OSError) as error:
                self._failed = StartFailed(getattr(error, "code", "home_unusable"), str(error))
                self.stop()
                return
            logger.info("ready: %s, credentials in %s", credentials["url"], home.credentials)
            if self._control is not None:
                self._control.say({"event": "ready", "url": credentials["url"]})

        threading.Thread(target=get_ready, name="ready", daemon=True).start()
        if self._control is not None:
            self._control.listen({"kafka": lambda: {"kafka": embedded.start()}}, self.stop)


class _Background:
    """A call on a thread of its own, begun at once."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._value: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(call,), daemon=True)
        self._thread.start()

    def _run(self, call: Callable[[], Any]) -> None:
        try:
            self._value = call()
        except BaseException as error:
            self._error = error

    def result(self) -> Any:
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._value


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        reason = error.strerror or str(error)
        raise StartFailed(
            "port_in_use",
            f"Cannot listen on {host}:{port}: {reason}. Choose another --port; --port 0 takes a free one.",
        ) from None
    return listener


def _home(settings: Settings) -> Home:
    from .home import Home, HomeInUse

    try:
        return Home(settings.home)
    except HomeInUse as error:
        raise StartFailed("home_in_use", str(error)) from None
    except OSError as error:
        raise StartFailed("home_unusable", f"{settings.home} cannot be used: {error}") from None


def _engine(settings: Settings, home: Home, embedded: Embedded) -> Engine:
    from . import compose
    from .engine.service import Engine

    spark = compose.spark_pool(home.path, settings)
    return Engine(
        home.path,
        spark,
        compose.topic_admin(embedded),
        allow_foreign_classes=settings.allow_foreign_classes,
        allow_uncertified=settings.allow_uncertified,
        kernels=compose.kernels(home.path, settings),
        session_settings=settings.sessions,
        workers=compose.workers(home.path, settings),
        service_settings=settings.services,
        native_streams=compose.native_streams(home.path, settings),
        batches=compose.batches(home.path, spark),
        folders=compose.folders(home.path, settings),
    )


def _app(
    settings: Settings, engine: Engine, home: Home, listener: socket.socket
) -> tuple[dict[str, Any], Any]:
    """The credentials to hand out and the ASGI application that honours them."""
    from .app import App
    from .auth import INSTANCE_ID, Authenticator, signing_key
    from .handlers import Services
    from .home import identity
    from .logins import Logins
    from .users import Users

    if settings.instance_id is not None and not INSTANCE_ID.fullmatch(settings.instance_id):
        raise StartFailed(
            "invalid_instance_id", "An instance id is made of letters, digits and '-', 64 at most."
        )
    if settings.username is not None and ":" in settings.username:
        raise StartFailed(
            "invalid_username", "A user name holds no ':', since Basic credentials end it there."
        )
    username, password, instance_id = identity(
        engine.store, settings.username, settings.password, settings.instance_id
    )
    key = signing_key(home.path / "secret.key")
    users = Users(username, password, engine.store, directory=_directory(settings))
    issuer = _issuer(settings, users)
    auth = Authenticator(key, users, instance_id, settings.token_lifetime, issuer=issuer)
    logins = Logins(key, users, engine.store, settings.token_lifetime, issuer=issuer)
    host, port = listener.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104 - looked for, not bound
    credentials = {
        "url": f"http://{shown}:{port}",
        "username": username,
        "password": password,
        "instance_id": instance_id,
    }
    return credentials, App(Services(engine, auth, logins, settings))


def _directory(settings: Settings) -> Directory | None:
    from .directory import Directory, DirectoryRefused

    try:
        return None if settings.directory is None else Directory(settings.directory)
    except DirectoryRefused as error:
        raise StartFailed("directory_unusable", str(error)) from None


def _issuer(settings: Settings, users: Users) -> Issuer | None:
    from .issuer import Issuer, IssuerRefused

    try:
        return None if settings.issuer is None else Issuer(settings.issuer, users)
    except IssuerRefused as error:
        raise StartFailed("issuer_unusable", str(error)) from None


def _uvicorn(app: Any, on_started: Callable[[], None]) -> Any:
    import uvicorn

    from .protocol import Protocol

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            on_started()

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            # uvicorn would raise the signal again at its end; ours is a clean one, with exit code 0.
            logger.info("ending: %s", signal.Signals(sig).name)
            self.should_exit = True

    return Server(
        uvicorn.Config(
            app,
            http=Protocol,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            # A session that is reused a minute later finds its connection open.
            timeout_keep_alive=75,
            timeout_graceful_shutdown=5,
        )
    )
