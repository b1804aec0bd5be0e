"""The Spark drivers of a runner: one for each master URL, each started when it is first needed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from wmlclient.runner.engine.ports import PortError
from wmlclient.runner.jars import connector_jars
from wmlclient.runner.java import find_pyspark
from wmlclient.runner.spark.conf import read
from wmlclient.runner.spark.runner import DriverRunner
from wmlclient.runner.spark.table import has_vectors

#: The first version of pyspark with Real-time Mode.
REALTIME_SINCE = (4, 2)
DEFAULT_MASTER = "local[2]"


class DriverPool:
    """The real :class:`wmlclient.runner.engine.ports.SparkPool`. Making one starts nothing.

    Args:
        home: The runner's folder; drivers use ``spark/`` and ``logs/`` in it.
        default_master: Master URL that ``get(None)`` means.
        jars: Gives the Kafka connector's jars, which only streams need.
        driver_memory: Heap of each driver's JVM, as Spark writes it.
        allow_foreign_classes: Whether drivers load stages that are not Spark's own.
        conf: File with settings of Spark for all drivers, or None; see :mod:`wmlclient.runner.spark.conf`.

    Raises:
        SparkUnavailable: The file cannot be used.
    """

    def __init__(
        self,
        home: Path,
        default_master: str = DEFAULT_MASTER,
        jars: Callable[[], Sequence[Path]] = connector_jars,
        driver_memory: str = "1g",
        allow_foreign_classes: bool = False,
        conf: Path | None = None,
    ) -> None:
        self._home = Path(home)
        self._default_master = default_master
        self._jars = jars
        self._driver_memory = driver_memory
        self._foreign = allow_foreign_classes
        self._settings = {} if conf is None else read(conf)
        self._lock = threading.Lock()
        self._runners: dict[str, DriverRunner] = {}

    def get(self, master: str | None = None) -> DriverRunner:
        """The runner for this master URL; None means the default one."""
        chosen = master or self._default_master
        with self._lock:
            if chosen not in self._runners:
                self._runners[chosen] = DriverRunner(
                    self._home, chosen, self._jars, self._driver_memory, self._foreign, self._settings
                )
            return self._runners[chosen]

    def realtime_refusal(self, schema: dict[str, Any]) -> str | None:
        """See :meth:`wmlclient.runner.engine.ports.SparkPool.realtime_refusal`. Starts nothing."""
        try:
            version = find_pyspark().version
        except PortError as error:
            return error.message
        if tuple(int(part) for part in version.split(".")[:2]) < REALTIME_SINCE:
            return f"the Spark of this service is {version}, and Real-time Mode is there from 4.2 on"
        if has_vectors(schema):
            return "the model takes vectors"
        return None

    def close(self) -> None:
        """End all drivers. Twice is fine; a later ``get`` starts anew."""
        with self._lock:
            runners, self._runners = list(self._runners.values()), {}
        threads = [threading.Thread(target=runner.close) for runner in runners]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
