"""Local files in the words of Hadoop, by which Spark reads and writes: they look like addresses, and are none.

``Path.as_uri()`` will not do: ``%20`` is no space there, it is three more characters of a name.
"""

from __future__ import annotations

import re
from pathlib import Path

_PATTERN = re.compile(r"[\\*?\[\]{}]")


def to_write(path: Path) -> str:
    """What Spark is told to write to; a session whose default is HDFS or S3 writes to this disk all the same.

    >>> to_write(Path("/home/Jürgen/my models [1]"))
    'file:/home/Jürgen/my models [1]'
    """
    return "file:/" + path.absolute().as_posix().lstrip("/")


def to_read(path: Path) -> str:
    r"""What Spark is told to read, where a name may be a pattern: what would be one stands for itself.

    >>> print(to_read(Path("/home/Jürgen/my models [1]")))
    file:/home/Jürgen/my models \[1\]
    """
    return _PATTERN.sub(r"\\\g<0>", to_write(path))
