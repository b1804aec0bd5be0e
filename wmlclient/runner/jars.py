"""The jars that Spark and the embedded Kafka broker need beside pyspark's own: fetched once, pinned, kept.

``jars.lock.json`` names each jar with its SHA-256. Apache Ivy, which pyspark ships, fetches them from the Maven
repository that Ivy is set up for; no poms are read, so nothing unpinned can come along. From then on only local
files are used. Each set lies in a folder of its own, named after what it holds, which appears only when it is
complete.

Environment:
    ``WMLCLIENT_CACHE``: the cache folder, instead of the user's.
    ``WMLCLIENT_IVY_SETTINGS``: an ``ivysettings.xml`` of one's own, for a company mirror.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from xml.sax.saxutils import quoteattr

from attrs import frozen

from wmlclient.runner.engine.ports import PortError
from wmlclient.runner.java import find_java, find_pyspark

logger = logging.getLogger("wmlclient.runner.jars")

FETCH_SECONDS = 600.0
_BROKER = "broker"
_CONNECTOR = "connector-"

_SETTINGS = """<ivysettings>
  <settings defaultResolver="central"/>
  <property name="ivy.checksums" value=""/>
  <caches defaultCacheDir={cache}/>
  <resolvers><ibiblio name="central" m2compatible="true" usepoms="false"/></resolvers>
</ivysettings>
"""
_MODULE = """<ivy-module version="2.0">
  <info organisation="wmlclient" module="jars"/>
  <configurations><conf name="jars"/></configurations>
  <dependencies>
{dependencies}
  </dependencies>
</ivy-module>
"""
_DEPENDENCY = (
    '    <dependency org="{org}" name="{name}" rev="{rev}" transitive="false" conf="jars->default"/>'
)


class JarsUnavailable(PortError):
    """The jars are not here and could not be fetched, or are not the pinned ones."""


@frozen
class Jar:
    """One pinned jar: its Maven coordinates and what its bytes must hash to."""

    org: str
    name: str
    rev: str
    sha256: str

    @property
    def file(self) -> str:
        """Its name in the cache."""
        return f"{self.name}-{self.rev}.jar"


def connector_jars(pyspark_version: str | None = None) -> list[Path]:
    """Spark's Kafka connector for a version of pyspark, as local paths; fetched where they are not here yet.

    Args:
        pyspark_version: E.g. ``"4.2.0"``; the installed one by default. The connector is locked for each minor
            version, as one of another minor fails with ``NoSuchMethodError``.

    Raises:
        JarsUnavailable: No connector is locked for this version, or it cannot be fetched.
    """
    version = find_pyspark().version if pyspark_version is None else pyspark_version
    name = _CONNECTOR + ".".join(version.split(".")[:2])
    if name not in lock():
        known = ", ".join(key.removeprefix(_CONNECTOR) for key in lock() if key.startswith(_CONNECTOR))
        raise JarsUnavailable(
            "connector_not_locked",
            f"There is no Kafka connector for pyspark {version}; there is for {known}. "
            "Run: pip install 'pyspark>=4.0,<4.3'",
        )
    return jar_set(name)


def broker_jars() -> list[Path]:
    """The Kafka broker, as local paths; fetched where they are not here yet.

    Raises:
        JarsUnavailable: They cannot be fetched.
    """
    return jar_set(_BROKER)


@cache
def lock() -> Mapping[str, tuple[Jar, ...]]:
    """All pinned sets of jars, by name."""
    text = resources.files("wmlclient.runner").joinpath("jars.lock.json").read_text(encoding="utf-8")
    return {name: tuple(Jar(**jar) for jar in jars) for name, jars in json.loads(text)["sets"].items()}


def cache_dir() -> Path:
    """Where fetched jars are kept: ``WMLCLIENT_CACHE``, or the user's cache folder."""
    chosen = os.environ.get("WMLCLIENT_CACHE", "")
    if chosen:
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("wmlclient", appauthor=False))


def set_dir(name: str) -> Path:
    """The folder of one set; another lock file means another folder."""
    digest = hashlib.sha256(
        "\n".join(f"{jar.file} {jar.sha256}" for jar in lock()[name]).encode()
    ).hexdigest()
    return cache_dir() / "jars" / f"{name}-{digest[:12]}"


def is_cached(name: str) -> bool:
    """Whether a set is here, so that it can be used without a network."""
    return set_dir(name).is_dir()


def jar_set(name: str, *, show_progress: bool | None = None) -> list[Path]:
    """The jars of one set of the lock file.

    Args:
        name: E.g. ``"broker"`` or ``"connector-4.2"``.
        show_progress: Whether to draw a progress bar on stderr while fetching; by default where it is a terminal.

    Raises:
        JarsUnavailable: With code ``jars_not_fetched`` or ``jars_changed``.
        JavaNotFound: They must be fetched, and there is no Java to do it with.
        PysparkMissing: Likewise without pyspark, whose Ivy is used.
    """
    target = set_dir(name)
    jars = lock()[name]
    if not target.is_dir():
        _fetch_locked(name, jars, target, show_progress)
    _verify(jars, target, cached=True)
    return [target / jar.file for jar in jars]


def _fetch_locked(name: str, jars: Sequence[Jar], target: Path, show_progress: bool | None) -> None:
    from filelock import FileLock, Timeout

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.parent / f".{target.name}.lock", timeout=FETCH_SECONDS):
            if target.is_dir():
                return
            staging = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
            try:
                _fetch(name, jars, staging, show_progress)
                (staging / "jars").rename(target)
            finally:
                shutil.rmtree(staging, ignore_errors=True)
    except Timeout:
        raise JarsUnavailable(
            "jars_not_fetched",
            f"Another process has been fetching the jars into {target} for {FETCH_SECONDS:.0f} s. Try again later.",
        ) from None
    except OSError as error:
        raise JarsUnavailable(
            "jars_not_fetched",
            f"The jars cannot be kept in {target.parent}: {error}. Set WMLCLIENT_CACHE to a folder with room.",
        ) from error


def _fetch(name: str, jars: Sequence[Jar], staging: Path, show_progress: bool | None) -> None:
    pyspark = find_pyspark()
    ivy = sorted((pyspark.home / "jars").glob("ivy-*.jar"))
    if not ivy:
        raise JarsUnavailable(
            "ivy_not_found",
            f"pyspark {pyspark.version} in {pyspark.home} has no ivy-*.jar. Run: pip install --force-reinstall pyspark",
        )
    java = find_java(for_spark=False)
    own_settings = os.environ.get("WMLCLIENT_IVY_SETTINGS", "")
    settings = Path(own_settings).expanduser() if own_settings else staging / "ivysettings.xml"
    if not own_settings:
        settings.write_text(_SETTINGS.format(cache=quoteattr(str(staging / "ivy"))), encoding="utf-8")
    module = staging / "ivy.xml"
    dependencies = "\n".join(_DEPENDENCY.format(org=jar.org, name=jar.name, rev=jar.rev) for jar in jars)
    module.write_text(_MODULE.format(dependencies=dependencies), encoding="utf-8")
    pattern = str(staging / "jars" / "[artifact]-[revision].[ext]")
    # "bundle": poms that a settings file of one's own lets in give some jars this type.
    command = [str(java.executable), "-Xmx256m", "-cp", str(ivy[-1])]
    command += ["org.apache.ivy.Main", "-settings", str(settings), "-cache", str(staging / "ivy")]
    command += ["-ivy", str(module), "-retrieve", pattern, "-types", "jar", "bundle"]
    logger.info("fetching %d jars (%s) into %s", len(jars), name, cache_dir())
    with _progress(len(jars), f"fetching {name} jars", show_progress) as advance:
        code, output = _run_ivy(command, advance)
    missing = [jar.file for jar in jars if not (staging / "jars" / jar.file).is_file()]
    if code != 0 or missing:
        logger.warning("Ivy ended with %d:\n%s", code, "\n".join(output[-40:]))
        raise JarsUnavailable(
            "jars_not_fetched",
            f"The {name} jars could not be fetched ({_reason(output, missing)}). Connect once to the network and run "
            "`wmlclient doctor --fetch`, or set WMLCLIENT_CACHE to a folder where they already are, or "
            "WMLCLIENT_IVY_SETTINGS to the ivysettings.xml of your mirror.",
        )
    _verify(jars, staging / "jars", cached=False)


def _run_ivy(command: Sequence[str], advance: Callable[[], None]) -> tuple[int, list[str]]:
    """Run Ivy with a deadline; ``advance`` is called for each jar."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def read() -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                lines.put(line.rstrip())
        lines.put(None)

    threading.Thread(target=read, name="ivy-output", daemon=True).start()
    output: list[str] = []
    deadline = time.monotonic() + FETCH_SECONDS
    try:
        while True:
            try:
                line = lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                output.append(f"no end after {FETCH_SECONDS:.0f} s")
                return 1, output
            if line is None:
                break
            output.append(line)
            if "[SUCCESSFUL" in line:
                advance()
        return process.wait(30), output
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _reason(output: Sequence[str], missing: Sequence[str]) -> str:
    """What Ivy says in one line, without the addresses it tried."""
    for pattern in (
        r"UnknownHostException|[Hh]ost .* not found|Connection refused|timed? ?out",
        r"no end after",
    ):
        for line in output:
            if re.search(pattern, line):
                if "no end" in line:
                    return line
                return "the Maven repository cannot be reached"
    if any("Server access Error" in line or "SSLHandshake" in line for line in output):
        return "the Maven repository cannot be reached"
    return (
        f"not found: {', '.join(missing[:3])}" + (" ..." if len(missing) > 3 else "")
        if missing
        else "Ivy failed"
    )


def _verify(jars: Sequence[Jar], folder: Path, *, cached: bool) -> None:
    for jar in jars:
        path = folder / jar.file
        try:
            actual = _sha256(path)
        except OSError:
            actual = "missing"
        if actual != jar.sha256:
            advice = (
                f"Delete {folder} and try again." if cached else "The repository in use serves another file."
            )
            raise JarsUnavailable(
                "jars_changed",
                f"{path.name} is not the pinned jar: sha256 is {actual}, must be {jar.sha256}. {advice}",
            )


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


@contextlib.contextmanager
def _progress(total: int, title: str, show: bool | None) -> Iterator[Callable[[], None]]:
    if show is None:
        show = sys.stderr is not None and sys.stderr.isatty()
    if not show:
        yield lambda: None
        return
    from tqdm.auto import tqdm

    with tqdm(total=total, desc=title, unit="jar", file=sys.stderr) as bar:
        yield lambda: bar.update(1) and None
