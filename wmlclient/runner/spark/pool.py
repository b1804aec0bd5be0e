"""The Spark drivers of a runner: one for each master URL, each started when it is first needed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from wmlclient.runner.jars import connector_jars
from wmlclient.runner.spark.runner import DriverRunner

DEFAULT_MASTER = "local[2]"


class DriverPool:
    """The real :class:`wmlclient.runner.engine.ports.SparkPool`. Making one starts nothing.

    Args:
        home: The runner's folder; drivers use ``spark/`` and ``logs/`` in it.
        default_master: Master URL that ``get(None)`` means.
        jars: Gives the Kafka connector's jars, which only streams need.
        driver_memory: Heap of each driver's JVM, as Spark writes it.
        allow_foreign_classes: Whether drivers load stages that are not Spark's own.
    """

    def __init__(
        self,
        home: Path,
        default_master: str = DEFAULT_MASTER,
        jars: Callable[[], Sequence[Path]] = connector_jars,
        driver_memory: str = "1g",
        allow_foreign_classes: bool = False,
    ) -> None:
        self._home = Path(home)
        self._default_master = default_master
        self._jars = jars
        self._driver_memory = driver_memory
        self._foreign = allow_foreign_classes
        self._lock = threading.Lock()
        self._runners: dict[str, DriverRunner] = {}

    def get(self, master: str | None = None) -> DriverRunner:
        """The runner for this master URL; None means the default one."""
        chosen = master or self._default_master
        with self._lock:
            if chosen not in self._runners:
                self._runners[chosen] = DriverRunner(
                    self._home, chosen, self._jars, self._driver_memory, self._foreign
                )
            return self._runners[chosen]

    def close(self) -> None:
        """End all drivers. Twice is fine; a later ``get`` starts anew."""
        with self._lock:
            runners, self._runners = list(self._runners.values()), {}
        threads = [threading.Thread(target=runner.close) for runner in runners]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
