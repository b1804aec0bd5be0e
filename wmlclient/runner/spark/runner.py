"""One Spark, seen from the runner's engine: transforms that are coalesced, streams that report."""

from __future__ import annotations

import json
import logging
import os
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path
from typing import Any

from attrs import define, field

from wmlclient.runner import lines
from wmlclient.runner.engine.ports import (
    PortError,
    SparkUnavailable,
    StreamEvent,
    StreamSetupError,
    StreamSpec,
    TransformResult,
)
from wmlclient.runner.java import find_java, find_pyspark
from wmlclient.runner.private import write_private
from wmlclient.runner.spark import class_archive
from wmlclient.runner.spark.client import DriverProcess, driver_command
from wmlclient.runner.spark.coalesce import Coalescer
from wmlclient.runner.spark.settings import FOREIGN_VARIABLES, DriverFolder, spark_settings, to_properties

logger = logging.getLogger("wmlclient.runner.spark")

TRANSFORM_SECONDS = 600.0
STOP_SECONDS = 90.0
# Loading a model, waiting for the end of a batch, and starting a query.
UPDATE_SECONDS = 180.0
CHECK_SECONDS = 60.0
# Scoring needs no connector: its start waits this long for the jars, and then goes without.
_JARS_SECONDS = 20.0
_MASTER = re.compile(r"local(\[[0-9*]+(,[0-9]+)?\])?|(spark|k8s|yarn)(://[^\s]+)?")

OnEvent = Callable[[StreamEvent], None]


@define(eq=False)
class _Stream:
    spec: StreamSpec
    on_event: OnEvent
    # Set when the driver has been asked to start it, or when that has failed.
    asked: threading.Event = field(factory=threading.Event)
    stopping: bool = False
    driver: DriverProcess | None = None

    def tell(self, kind: Any, details: dict[str, Any] | None = None) -> None:
        try:
            self.on_event(StreamEvent(self.spec.stream_id, kind, details or {}))
        except Exception:
            logger.exception("the listener of stream %s failed", self.spec.stream_id)


class DriverRunner:
    """The real :class:`wmlclient.runner.engine.ports.SparkRunner`: one driver process on one master.

    The driver is started on first use, and anew on the next use after it has died.
    """

    def __init__(
        self,
        home: Path,
        master: str,
        jars: Callable[[], Sequence[Path]],
        memory: str = "1g",
        foreign: bool = False,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.master = master
        self.folder = DriverFolder.of(home, master)
        self._jars, self._memory, self._foreign = jars, memory, foreign
        self._settings = dict(settings or {})
        self._starting = threading.Lock()
        self._lock = threading.Lock()
        self._driver: DriverProcess | None = None
        self._has_connector = False
        self._streams: dict[str, _Stream] = {}
        self._coalescer = Coalescer(self._transform)
        self._closed = False

    @property
    def pid(self) -> int | None:
        """Process id of the driver's Python half, while it runs."""
        driver = self._driver
        return driver.pid if driver is not None and driver.alive else None

    @property
    def jvm_pid(self) -> int | None:
        """Process id of its JVM, while it runs."""
        driver = self._driver
        return driver.facts.get("jvm_pid") if driver is not None and driver.alive else None

    def version(self) -> str:
        """Spark's version; starts the driver where it does not run.

        Raises:
            SparkUnavailable: With the reason and what to do.
        """
        return str(self._running().facts["version"])

    def transform(
        self, model_dir: str, schema: dict[str, Any], fields: list[str], values: list[list[Any]]
    ) -> Future[TransformResult]:
        """See :meth:`wmlclient.runner.engine.ports.SparkRunner.transform`. Never blocks."""
        key = (str(model_dir), json.dumps(schema, sort_keys=True), tuple(fields))
        return self._coalescer.submit(key, values)

    def job(self, op: str, args: dict[str, Any]) -> Future[Any]:
        """See :meth:`wmlclient.runner.engine.ports.SparkRunner.job`."""
        return self._running().call(op, **args)

    def check_stream(self, spec: StreamSpec) -> None:
        """See :meth:`wmlclient.runner.engine.ports.SparkRunner.check_stream`."""
        call = self._running(with_connector=True).call("check_stream", spec=lines.spec_to_json(spec))
        _answer(call, CHECK_SECONDS)

    def start_stream(self, spec: StreamSpec, on_event: OnEvent) -> None:
        """See :meth:`wmlclient.runner.engine.ports.SparkRunner.start_stream`."""
        stream = _Stream(spec, on_event)
        with self._lock:
            if spec.stream_id in self._streams:
                raise ValueError(f"stream {spec.stream_id} runs already")
            self._streams[spec.stream_id] = stream
        threading.Thread(
            target=self._start, args=(stream,), name=f"start-{spec.stream_id}", daemon=True
        ).start()

    def update_stream(self, spec: StreamSpec) -> None:
        """See :meth:`wmlclient.runner.engine.ports.StreamEngine.update_stream`."""
        with self._lock:
            stream = self._streams.get(spec.stream_id)
        if stream is None or not stream.asked.wait(STOP_SECONDS):
            return
        driver = stream.driver
        if driver is not None and driver.alive:
            try:
                driver.call("update_stream", spec=lines.spec_to_json(spec)).result(UPDATE_SECONDS)
            except FutureTimeout:
                raise StreamSetupError(
                    "update_failed",
                    f"Spark has not taken the version for {UPDATE_SECONDS:.0f} s. Try again later.",
                ) from None
        stream.spec = spec

    def stop_stream(self, stream_id: str) -> None:
        """See :meth:`wmlclient.runner.engine.ports.SparkRunner.stop_stream`."""
        with self._lock:
            stream = self._streams.get(stream_id)
        if stream is None:
            return
        stream.stopping = True
        stream.asked.wait(STOP_SECONDS)
        driver = stream.driver
        if driver is not None and driver.alive:
            try:
                driver.call("stop_stream", stream_id=stream_id).result(STOP_SECONDS)
            except FutureTimeout:
                logger.warning("stream %s does not stop; ending its driver", stream_id)
                driver.kill()
            except SparkUnavailable:
                pass
        self._forget(stream)

    def close(self) -> None:
        """End the driver and all its streams. Twice is fine."""
        self._closed = True
        self._coalescer.close()
        with self._starting:
            driver, self._driver = self._driver, None
        if driver is not None:
            driver.close()
        with self._lock:
            self._streams.clear()

    # -- the driver -------------------------------------------------------------------------------------------

    def _running(self, with_connector: bool = False) -> DriverProcess:
        """The driver, started where needed."""
        with self._starting:
            if self._closed:
                raise SparkUnavailable("spark_closed", "Spark was closed.")
            driver = self._driver
            if driver is not None and driver.alive and (self._has_connector or not with_connector):
                return driver
            jars = self._connector(required=with_connector)
            if driver is not None and driver.alive:
                # It was started while the connector could not be had; no stream can be running in it.
                logger.info("restarting Spark with the Kafka connector")
                driver.close()
            self._driver = self._start_driver(jars)
            self._has_connector = bool(jars)
            return self._driver

    def _start_driver(self, jars: Sequence[Path]) -> DriverProcess:
        if not _MASTER.fullmatch(self.master):
            raise SparkUnavailable(
                "invalid_spark_master",
                f"{self.master!r} is no Spark master. Use local[2], spark://host:7077, k8s://... or yarn.",
            )
        try:
            pyspark, java = find_pyspark(), find_java()
        except PortError as error:
            raise SparkUnavailable(error.code, error.message) from None
        try:
            for folder in (self.folder.path / "local", self.folder.log.parent):
                folder.mkdir(parents=True, exist_ok=True)
            os.chmod(self.folder.path, 0o700)
            options = class_archive.java_options(java, pyspark)
            settings = spark_settings(self.folder, self.master, jars, self._memory, self._settings, options)
            write_private(self.folder.properties, to_properties(settings))
        except OSError as error:
            raise SparkUnavailable("spark_folder", f"{self.folder.path} cannot be used: {error}.") from error
        env = {key: value for key, value in os.environ.items() if key not in FOREIGN_VARIABLES}
        env["JAVA_HOME"] = str(java.home)
        driver = DriverProcess(
            driver_command(self.folder.path, self._foreign),
            log=self.folder.log,
            env=env,
            on_event=self._take_event,
            on_death=self._mourn,
        )
        driver.wait_ready()
        logger.info("Spark %s is ready (process %d)", driver.facts.get("version"), driver.pid)
        return driver

    def _connector(self, required: bool) -> Sequence[Path]:
        """The connector's jars; without them where they are not required and do not come soon."""
        box: Future[Sequence[Path]] = Future()

        def fetch() -> None:
            try:
                box.set_result(self._jars())
            except BaseException as error:
                box.set_exception(error)

        threading.Thread(target=fetch, name="connector-jars", daemon=True).start()
        try:
            return box.result(None if required else _JARS_SECONDS)
        except FutureTimeout:
            logger.info("starting Spark without the Kafka connector, which is still being fetched")
        except PortError as error:
            if required:
                raise SparkUnavailable(error.code, error.message) from None
            logger.info("starting Spark without the Kafka connector: %s", error)
        return ()

    def _transform(self, key: Any, values: list[list[Any]]) -> TransformResult:
        model_dir, schema, fields = key
        call = self._running().call(
            "transform", model_dir=model_dir, schema=json.loads(schema), fields=list(fields), values=values
        )
        return TransformResult(**_answer(call, TRANSFORM_SECONDS))

    # -- streams ----------------------------------------------------------------------------------------------

    def _start(self, stream: _Stream) -> None:
        try:
            driver = stream.driver = self._running(with_connector=True)
            if stream.stopping:
                return
            call = driver.call("start_stream", spec=lines.spec_to_json(stream.spec))
            stream.asked.set()
            call.result()
        except PortError as error:
            if self._forget(stream) and not stream.stopping:
                stream.tell(
                    "failed", {"code": error.code, "message": error.message, "retriable": error.retriable}
                )
        except Exception as error:
            logger.exception("stream %s could not be started", stream.spec.stream_id)
            if self._forget(stream) and not stream.stopping:
                stream.tell("failed", {"code": "stream_failed", "message": repr(error), "retriable": False})
        finally:
            stream.asked.set()

    def _forget(self, stream: _Stream) -> bool:
        with self._lock:
            if self._streams.get(stream.spec.stream_id) is not stream:
                return False
            del self._streams[stream.spec.stream_id]
            return True

    def _take_event(self, event: dict[str, Any]) -> None:
        with self._lock:
            stream = self._streams.get(event["stream_id"])
        if stream is None:
            return
        if event["kind"] == "failed":
            self._forget(stream)
        stream.tell(event["kind"], event["details"])

    def _mourn(self, death: SparkUnavailable) -> None:
        """The driver is gone, and with it all its streams."""
        if self._closed or not death.retriable:
            return
        with self._lock:
            lost = [
                stream
                for stream in self._streams.values()
                if stream.driver is not None and not stream.stopping
            ]
            lost = [stream for stream in lost if stream.driver is not None and not stream.driver.alive]
        for stream in lost:
            if self._forget(stream):
                stream.tell("failed", {"code": death.code, "message": death.message, "retriable": True})


def _answer(call: Future[Any], seconds: float) -> Any:
    try:
        return call.result(seconds)
    except FutureTimeout:
        text = f"Spark has not answered for {seconds:.0f} s."
        raise SparkUnavailable("spark_timeout", text, retriable=True) from None
