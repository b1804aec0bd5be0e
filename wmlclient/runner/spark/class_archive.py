"""Spark's classes as the JVM has them in memory, kept in a file: a driver that has it starts in 0.6 of the time.

That is Java's class data sharing (JEP 350). Nothing depends on the file: a JVM looks itself whether it was made by the
same Java from the same jars and is sound, and does without it where it is not, or where there is none. Only one that
has lost its end would end the JVM, so its size is in its name.
"""

from __future__ import annotations

import hashlib
import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from wmlclient.runner.engine.ports import PortError
from wmlclient.runner.jars import cache_dir
from wmlclient.runner.java import Java, Pyspark, find_java, find_pyspark
from wmlclient.runner.processes import tail
from wmlclient.runner.spark.settings import FOREIGN_VARIABLES

logger = logging.getLogger("wmlclient.runner.spark")

MAKE_SECONDS = 300.0
_WORK = "wmlclient.runner.spark.class_work"


class NotArchived(PortError):
    """The file could not be made. Spark starts without it, and takes its time."""


def kept(java: Java, pyspark: Pyspark) -> Path | None:
    """The file with the classes of this Spark on this Java, if there is one."""
    for file in _folder().glob(f"{_name(java, pyspark)}-*.jsa"):
        if file.stem.endswith(f"-{file.stat().st_size}"):
            return file
    return None


def java_options(java: Java, pyspark: Pyspark) -> list[str]:
    """What tells a driver's JVM to take the classes from there; nothing where they are not kept."""
    file = kept(java, pyspark)
    return [f"-XX:SharedArchiveFile={file}", "-XX:+VerifySharedSpaces"] if file is not None else []


def make() -> Path:
    """Run Spark once for a little of everything, have its JVM keep the classes (230 MB), and say where.

    Takes half a minute. What was kept before for the same Spark goes; drivers that run have it as long as they do.

    Raises:
        JavaNotFound: There is no Java.
        PysparkMissing: There is no pyspark.
        NotArchived: With code ``classes_not_archived``.
    """
    java, pyspark = find_java(), find_pyspark()
    name, place = _name(java, pyspark), _folder()
    env = {key: value for key, value in os.environ.items() if key not in FOREIGN_VARIABLES}
    env["JAVA_HOME"] = str(java.home)
    try:
        place.mkdir(parents=True, exist_ok=True)
        # Beside its place, so that it appears there whole or not at all.
        with tempfile.TemporaryDirectory(prefix=".making-", dir=place) as folder:
            made, log = Path(folder, "classes.jsa"), Path(folder, "log")
            with open(log, "wb") as sink:
                done = subprocess.run(
                    [sys.executable, "-m", _WORK, folder, str(made)],
                    env=env,
                    stdin=subprocess.DEVNULL,
                    stdout=sink,
                    stderr=subprocess.STDOUT,
                    timeout=MAKE_SECONDS,
                    check=False,
                )
            if done.returncode or not made.is_file():
                logger.warning("Spark's classes could not be kept:\n%s", tail(log, 40))
                raise NotArchived(
                    "classes_not_archived",
                    f"The run of Spark whose classes were to be kept ended with {done.returncode}; its end is in the "
                    "log of this program. Spark starts without them, as before.",
                )
            for old in place.glob(f"{name}-*.jsa"):
                old.unlink(missing_ok=True)
            return made.replace(place / f"{name}-{made.stat().st_size}.jsa")
    except subprocess.TimeoutExpired:
        raise NotArchived(
            "classes_not_archived",
            f"Spark was not done after {MAKE_SECONDS:.0f} s. Try again when the machine has less to do.",
        ) from None
    except OSError as error:
        raise NotArchived(
            "classes_not_archived",
            f"Spark's classes cannot be kept in {place}: {error}. Set WMLCLIENT_CACHE to a folder with room.",
        ) from error


def _folder() -> Path:
    return cache_dir() / "classes"


def _name(java: Java, pyspark: Pyspark) -> str:
    key = f"{java.executable} {java.full_version} {pyspark.home} {pyspark.version}"
    return f"spark-{pyspark.version}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
