"""What a Spark driver is told before it starts: a properties file, readable for its owner only.

A file, as settings on the command line (where pyspark puts them) are there for every user of the machine to read,
and one of them is a secret.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from attrs import frozen

_LOG_CONFIG = Path(__file__).with_name("log4j2.properties")
# Settings of the user's shell that would give the driver another Spark, other files or another mode.
FOREIGN_VARIABLES = (
    "SPARK_HOME",
    "SPARK_CONF_DIR",
    "SPARK_LOCAL_DIRS",
    "SPARK_REMOTE",
    "SPARK_MASTER",
    "SPARK_LOCAL_IP",
    "SPARK_TESTING",
    "SPARK_API_MODE",
    "SPARK_CONNECT_MODE_ENABLED",
    "PYSPARK_GATEWAY_PORT",
    "PYSPARK_GATEWAY_SECRET",
    "PYSPARK_SUBMIT_ARGS",
    "PYSPARK_PIN_THREAD",
    "PYTHONSTARTUP",
)


@frozen
class DriverFolder:
    """Where one driver keeps its files: ``home/spark/<id>/`` and ``home/logs/spark-<id>.log``."""

    path: Path
    log: Path

    @classmethod
    def of(cls, home: Path, master: str) -> DriverFolder:
        """The folder of the driver for this master; the same one at each start."""
        name = hashlib.sha256(master.encode()).hexdigest()[:12]
        home = Path(home).absolute()
        return cls(path=home / "spark" / name, log=home / "logs" / f"spark-{name}.log")

    @property
    def properties(self) -> Path:
        """Spark's settings."""
        return self.path / "spark.properties"

    @property
    def pid_file(self) -> Path:
        """Id of the JVM, for a successor that finds it still there."""
        return self.path / "jvm.pid"


def is_local(master: str) -> bool:
    """Whether all of Spark runs in the driver's own JVM."""
    return master == "local" or master.startswith("local[")


def _on_this_machine(master: str) -> bool:
    host = urlsplit(master).hostname if "://" in master else ""
    return is_local(master) or host in ("127.0.0.1", "localhost", "::1")


def spark_settings(
    folder: DriverFolder,
    master: str,
    jars: Iterable[Path],
    memory: str,
    extra: Mapping[str, str] | None = None,
    java_options: Sequence[str] = (),
) -> dict[str, str]:
    """All settings of one driver.

    Args:
        folder: Its folder.
        master: Where Spark runs.
        jars: Files that Spark hands over to its executors.
        memory: Heap of the driver.
        extra: Settings that are set beside these, or instead of them; jars are added to ours.
        java_options: For the driver's JVM.
    """
    logging = f"-Dlog4j2.configurationFile={_LOG_CONFIG.as_uri()}"
    settings = {
        "spark.master": master,
        "spark.app.name": "wmlclient",
        "spark.submit.deployMode": "client",
        "spark.driver.memory": memory,
        "spark.sql.warehouse.dir": str(folder.path / "warehouse"),
        "spark.driver.extraJavaOptions": " ".join(map(_quoted, (logging, *java_options))),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        # A stream and an online request share the cores: neither waits for the other's queue.
        "spark.scheduler.mode": "FAIR",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        # The history of jobs, for a UI that is off, has filled the memory of long-lived streaming drivers.
        "spark.ui.retainedJobs": "20",
        "spark.ui.retainedStages": "20",
        "spark.ui.retainedTasks": "200",
        "spark.sql.ui.retainedExecutions": "10",
        "spark.sql.streaming.ui.enabled": "false",
        # Spark's own list, but for kafka: the old way of writing there runs a query of its own behind our back,
        # whose observed counts never come.
        "spark.sql.sources.useV1SourceList": "avro,csv,json,orc,parquet,text",
        "spark.sql.streaming.numRecentProgressUpdates": "3",
        # An idle stream looks for records this often; 10 ms is Spark's own value, and keeps a core warm.
        "spark.sql.streaming.pollingDelay": "50",
        "spark.sql.streaming.stopTimeout": "60000",
        "spark.sql.streaming.forceDeleteTempCheckpointLocation": "true",
        "spark.redaction.regex": "(?i)secret|password|token|access[.]?key|jaas|sasl",
        "spark.sql.redaction.options.regex": "(?i)url|secret|password|token|jaas|sasl",
    }
    local = str(folder.path / "local")
    if "," not in local:  # two folders, for Spark
        settings["spark.local.dir"] = local
    if _on_this_machine(master):
        settings |= {"spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1"}
    if is_local(master):
        settings |= {"spark.authenticate": "true", "spark.authenticate.secret": secrets.token_hex(32)}
        # A laptop that was closed for two minutes: Spark would take its one executor, itself, for dead, and end later.
        settings["spark.storage.blockManagerHeartbeatTimeoutMs"] = "86400000"
    more = dict(extra or {})
    paths = [str(jar) for jar in jars] + [jar for jar in (more.pop("spark.jars", None),) if jar]
    if paths:
        settings["spark.jars"] = ",".join(paths)
    return settings | more


def _quoted(option: str) -> str:
    """One option of a JVM, as Spark's launcher reads it out of several."""
    escaped = option.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def to_properties(settings: Mapping[str, str]) -> str:
    """As java.util.Properties reads it."""
    lines = []
    for key, value in settings.items():
        plain = value.replace("\\", "\\\\").replace("\n", "\\n")
        escaped = "".join(char if " " <= char <= "~" else f"\\u{ord(char):04x}" for char in plain)
        lines.append(f"{key}={escaped}\n")
    return "".join(lines)
