"""Starts and stops the embedded broker."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from wmlclient.runner.broker.config import DATA, HEAP, BrokerState, Security, server_properties
from wmlclient.runner.engine.ports import PortError
from wmlclient.runner.jars import broker_jars
from wmlclient.runner.java import Java, find_java
from wmlclient.runner.private import write_private
from wmlclient.runner.processes import Supervised, end_leftover, remember_pid, tail

logger = logging.getLogger("wmlclient.runner.broker")

START_SECONDS = 60.0
_LOG_CONFIG = Path(__file__).with_name("log4j2.properties")
_TRIES = 3


class BrokerFailed(PortError):
    """The embedded broker did not start, or has died."""


class Broker:
    """A real Kafka broker (KRaft, one node) on loopback, whose topics outlive it.

    It runs as a child process that ends with this process, however that ends. A second start on the same folder
    finds the topics, the user and, where it is free, the port again.

    Args:
        home: Folder under which ``kafka/`` is kept.
        security: ``"sasl_plaintext"`` (SASL/PLAIN with a generated user and password) or ``"plaintext"``.
        port: Port to listen on; 0 takes that of last time, or any.
        settings: Further lines of ``server.properties``; they win. ``listeners`` and the protocols of listeners are
            added to the broker's own.

    Example:
        >>> with Broker(home) as broker:  # doctest: +SKIP
        ...     broker.bootstrap
        '127.0.0.1:40123'
    """

    def __init__(
        self,
        home: Path,
        security: Security = "sasl_plaintext",
        port: int = 0,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        if security not in ("sasl_plaintext", "plaintext"):
            raise ValueError(f"security is 'sasl_plaintext' or 'plaintext', not {security!r}")
        self.folder = Path(home).absolute() / "kafka"
        self.security: Security = security
        self._settings = dict(settings or {})
        self._wanted_port = port
        self._state: BrokerState | None = None
        self._process: Supervised | None = None
        self._lock = threading.Lock()

    @property
    def log(self) -> Path:
        """The broker's log file."""
        return self.folder / "broker.log"

    @property
    def _pid_file(self) -> Path:
        return self.folder / "broker.pid"

    @property
    def bootstrap(self) -> str:
        """``host:port`` for clients.

        Raises:
            BrokerFailed: It was not started.
        """
        return f"127.0.0.1:{self._started().port}"

    @property
    def security_protocol(self) -> str:
        """As Kafka spells it: ``"SASL_PLAINTEXT"`` or ``"PLAINTEXT"``."""
        return self.security.upper()

    @property
    def running(self) -> bool:
        """Whether its process is alive."""
        process = self._process
        return process is not None and process.poll() is None

    @property
    def pid(self) -> int | None:
        """The JVM's process id while it runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> Broker:
        """Start it and wait until it answers; nothing to do where it runs. Returns itself.

        Raises:
            BrokerFailed: With the last lines of its log.
            JavaNotFound: There is no Java.
            JarsUnavailable: Its jars are not here and cannot be fetched.
        """
        with self._lock:
            if self.running:
                return self
            java, jars = find_java(for_spark=False), broker_jars()
            try:
                (self.folder / DATA).mkdir(parents=True, exist_ok=True)
                os.chmod(self.folder, 0o700)
                state = BrokerState.load(self.folder / "broker.json")
            except (OSError, ValueError, TypeError) as error:
                raise BrokerFailed(
                    "broker_failed", f"{self.folder} cannot be used for Kafka: {error}"
                ) from error
            # After a kill -9 of its parent the broker of before may still be on its way out, with port and files.
            end_leftover(self._pid_file, str(self.folder), wait=15.0)
            for attempt in range(1, _TRIES + 1):
                try:
                    self._start_once(java, jars, state)
                    break
                except _PortTaken:
                    # Free when looked at, taken when the broker came to it.
                    if attempt == _TRIES or self._wanted_port:
                        raise
                    logger.info("the port was taken in between; trying another one")
            return self

    def stop(self) -> None:
        """Stop it and wait for its end; its topics stay. Fine to call twice."""
        with self._lock:
            process, self._process = self._process, None
            if process is not None:
                process.stop()
                self._pid_file.unlink(missing_ok=True)

    def credentials(self) -> dict[str, object]:
        """The shape of a Message Hub service's credentials, plus ``security_protocol``.

        A broker without SASL has empty ``user`` and ``password``. The REST addresses are there because their
        readers expect them; nothing answers at them.
        """
        state = self._started()
        sasl = self.security == "sasl_plaintext"
        user, password = (state.user, state.password) if sasl else ("", "")
        return {
            "kafka_brokers_sasl": [self.bootstrap],
            "user": user,
            "password": password,
            "api_key": user + password,
            "kafka_admin_url": f"http://127.0.0.1:{state.port}/admin",
            "kafka_rest_url": f"http://127.0.0.1:{state.port}/rest",
            "mqlight_lookup_url": f"http://127.0.0.1:{state.port}/Lookup",
            "security_protocol": self.security_protocol,
        }

    def __enter__(self) -> Broker:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        where = self.bootstrap if self._state is not None else "not started"
        return f"<Broker {where} {self.security} in {self.folder}>"

    def _started(self) -> BrokerState:
        if self._state is None:
            raise BrokerFailed(
                "broker_not_started", "The embedded broker was not started: call start() first."
            )
        return self._state

    def _start_once(self, java: Java, jars: Sequence[Path], state: BrokerState) -> None:
        try:
            state = state.with_ports(self._wanted_port)
        except OSError as error:
            raise BrokerFailed(
                "port_in_use",
                f"Port {self._wanted_port} of 127.0.0.1 cannot be used for Kafka: {error}. Use port 0.",
            ) from error
        properties = self.folder / "server.properties"
        state.save(self.folder / "broker.json")
        write_private(properties, server_properties(state, self.security, self._settings))
        command = [str(java.executable), *HEAP, f"-Dlog4j2.configurationFile={_LOG_CONFIG}"]
        command += ["-Djava.awt.headless=true", "-cp", os.pathsep.join(str(jar) for jar in jars)]
        self._format(command, properties, state)
        process = Supervised([*command, "kafka.Kafka", str(properties)], log=self.log, cwd=self.folder)
        remember_pid(self._pid_file, process.pid)
        started = False
        try:
            self._await(process, state.port)
            started = True
        finally:
            if not started:
                process.stop()
        self._state, self._process = state, process
        logger.info("Kafka answers on 127.0.0.1:%d (process %d)", state.port, process.pid)

    def _format(self, command: Sequence[str], properties: Path, state: BrokerState) -> None:
        if (self.folder / DATA / "meta.properties").is_file():
            return
        tool = [*command, "kafka.tools.StorageTool", "format", "--cluster-id", state.cluster_id]
        tool += ["--config", str(properties), "--ignore-formatted"]
        try:
            done = subprocess.run(
                tool,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=START_SECONDS,
                cwd=self.folder,
                text=True,
                errors="replace",
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise BrokerFailed(
                "broker_failed", f"Kafka's storage was not ready after {START_SECONDS:.0f} s."
            ) from None
        if done.returncode != 0:
            last = "\n".join(done.stdout.splitlines()[-8:])
            raise BrokerFailed(
                "broker_failed", f"Kafka's storage in {self.folder} cannot be formatted:\n{last}"
            )

    def _await(self, process: Supervised, port: int) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(port):
            code = process.poll()
            if code is None and time.monotonic() < deadline:
                time.sleep(0.05)
                continue
            last = tail(self.log)
            if "Address already in use" in tail(self.log, 400):
                raise _PortTaken(
                    "port_in_use",
                    f"Kafka's port {port} of 127.0.0.1 is in use. Stop what uses it, or use port 0.",
                )
            why = (
                f"ended with code {code}"
                if code is not None
                else f"does not answer after {START_SECONDS:.0f} s"
            )
            raise BrokerFailed("broker_failed", f"The embedded Kafka broker {why}; see {self.log}:\n{last}")


class _PortTaken(BrokerFailed):
    pass


def _answers(port: int) -> bool:
    """Whether the broker takes requests: ApiVersions, the one that needs no log-in."""
    header = struct.pack(">hhih", 18, 0, 1, -1)
    with (
        contextlib.suppress(OSError),
        socket.create_connection(("127.0.0.1", port), timeout=1.0) as connection,
    ):
        connection.sendall(struct.pack(">i", len(header)) + header)
        answer = connection.recv(10)
        # Length, the request's number, no error. A connection to a port where nobody listens may be to itself, and then
        # this is the request.
        return len(answer) == 10 and answer[4:] == struct.pack(">ih", 1, 0)
    return False
