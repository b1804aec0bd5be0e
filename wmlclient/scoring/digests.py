"""Digests that say what a certificate is of: which model, and which code of ours.

Both are what the usual tools give for a folder::

    cd model && find . -type f ! -name '.*' ! -name '_*' -printf '%P\\n' \\
        | LC_ALL=C sort | xargs -d '\\n' sha256sum | sha256sum
"""

from __future__ import annotations

import functools
import hashlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from wmlclient.scoring.archive import Limits, unpack
from wmlclient.scoring.metadata import find_root

__all__ = ["model_digest", "scorer_digest"]


def model_digest(path: str | os.PathLike[str], limits: Limits | None = None) -> str:
    """The digest of a saved model's content: the same for its folder and for any archive of it.

    The SHA-256 of a list: for each file, sorted by the bytes of its path below the model's folder, a line of its own
    SHA-256, two spaces and the path. Files whose names begin with ``.`` or ``_`` do not count: checksums and markers
    of the file system that Spark wrote to, which neither Spark nor this package reads. Times and owners do not count.

    Args:
        path: The folder that ``PipelineModel.save`` wrote, or a ``.tar.gz`` of it.
        limits: What an archive may hold.

    Returns:
        ``sha256:`` and 64 hexadecimal digits.

    Raises:
        ArchiveError: It is no saved model, or it is unsafe.
        FileNotFoundError: There is nothing at the path.
    """
    source = Path(path)
    if source.is_dir():
        return _of_folder(find_root(source))
    with tempfile.TemporaryDirectory(prefix="wmlclient-model-") as folder:
        unpack(source, folder, limits)
        return _of_folder(find_root(folder))


@functools.lru_cache(maxsize=1)
def scorer_digest() -> str:
    """The digest of the native scorer's own code: a certificate proves this code, and no other.

    Made as :func:`model_digest`, of every ``.py`` below ``wmlclient/scoring``; computed once.
    """
    root = Path(__file__).resolve().parent
    return _of_files(root, root.rglob("*.py"))


def _of_folder(root: Path) -> str:
    files = (path for path in root.rglob("*") if path.is_file() and not path.name.startswith((".", "_")))
    return _of_files(root, files)


def _of_files(root: Path, files: Iterable[Path]) -> str:
    whole = hashlib.sha256()
    names = {os.fsencode(path.relative_to(root).as_posix()): path for path in files}
    for name in sorted(names):
        whole.update(f"{_of_file(names[name])}  ".encode() + name + b"\n")
    return f"sha256:{whole.hexdigest()}"


def _of_file(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
