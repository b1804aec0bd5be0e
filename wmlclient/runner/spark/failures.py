"""What a Java exception says, in one line that a user can act on."""

from __future__ import annotations

import re
from typing import Any

from attrs import frozen

_LIMIT = 600
# Wrappers that say no more than "something inside failed"; what they wrap says it.
_WRAPPERS = re.compile(
    r"FAILED_EXECUTE_UDF|Job aborted|STREAM_FAILED|Exception thrown in awaitResult|TASK_WRITE_FAILED"
)
_PLAIN = (
    "SparkException",
    "IllegalArgumentException",
    "RuntimeException",
    "AnalysisException",
    "SparkRuntimeException",
)
# Where a message turns into a stack trace, a plan or a query.
_NOISE = re.compile(r"at |Driver stacktrace|== |JVM stacktrace|!")
_SECRETS = re.compile(r"(?i)((?:password|secret)\s*=\s*)(\"(?:[^\"\\]|\\.)*\"|[^\s,;\]]+)")


class Stopped(Exception):
    """The stream was stopped in the middle of a batch, which will be read again."""


@frozen
class Cause:
    """One link of a chain of exceptions: the Java class and what it says."""

    kind: str
    message: str


def chain(error: BaseException) -> list[Cause]:
    """The chain of causes, outermost first; a Python exception is a chain of one."""
    java = getattr(error, "java_exception", None)
    if java is None:
        return [Cause(type(error).__name__, str(error))]
    links: list[Cause] = []
    while java is not None and len(links) < 20:
        links.append(Cause(str(java.getClass().getName()), str(java.getMessage() or "")))
        java = java.getCause()
    # Of a task on an executor there may be nothing but its printed trace.
    for kind, message in re.findall(
        r"^Caused by: ([\w.$]+)(?:: (.*))?$", links[-1].message, flags=re.MULTILINE
    ):
        links.append(Cause(kind, message))
    return links


def root_cause(error: BaseException) -> str:
    """The line that says what is wrong."""
    links = chain(error)
    for link in reversed(links):
        if link.message and not _WRAPPERS.search(link.message.splitlines()[0]):
            return describe(link)
    return describe(links[-1])


def describe(cause: Cause) -> str:
    """One link as one line: ``NullPointerException: ...``, or the message alone where the class says nothing."""
    name = cause.kind.rpartition(".")[2].rpartition("$")[2]
    lines: list[str] = []
    for raw in cause.message.splitlines():
        if _NOISE.match(raw.strip()) or len(lines) == 4:
            break
        lines += [raw.strip()] if raw.strip() else []
    line = " ".join(lines)
    line = re.sub(r"\s*SQLSTATE: \w+$", "", line)
    text = line if line and name in _PLAIN else f"{name}: {line}" if line else name
    return redact(text[:_LIMIT])


def redact(text: str) -> str:
    """Take out what looks like a password."""
    return _SECRETS.sub(r"\1[redacted]", text)


def mentions(error: BaseException, *classes: str) -> bool:
    """Whether a class whose name ends so is in the chain."""
    return any(link.kind.endswith(classes) for link in chain(error))


def of_kafka(error: BaseException) -> bool:
    """Whether Kafka's client raised it: the trouble is with the cluster, not with a record."""
    return any(link.kind.startswith("org.apache.kafka.") for link in chain(error))


def java_error(error: Any) -> bool:
    """Whether it came out of the JVM."""
    return getattr(error, "java_exception", None) is not None
