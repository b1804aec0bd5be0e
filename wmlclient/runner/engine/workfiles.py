"""Files of a session's working directory, in which its code may put what it likes: links are never followed."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from .errors import Invalid, NotFound, field_error

State = dict[str, tuple[int, int, int]]


def check_name(name: str) -> str:
    """A file's name, where it is one.

    Raises:
        Invalid: ``invalid_file_name``.
    """
    wrong = not name or name in (".", "..") or len(name.encode("utf-8", "replace")) > 255
    if wrong or any(each in name for each in "/\\\0"):
        raise field_error(
            "file", f"{name[:80]!r} is no file's name: give one without folders.", "invalid_file_name"
        )
    return name


def state(folder: Path) -> State:
    """The files directly in a folder, and what changes when one is written; none where the session is closed."""
    found: State = {}
    try:
        listed = os.scandir(folder)
    except FileNotFoundError:
        return found
    with listed as entries:
        for entry in entries:
            try:
                if entry.is_file(follow_symlinks=False):
                    about = entry.stat(follow_symlinks=False)
                    found[entry.name] = about.st_mtime_ns, about.st_size, about.st_ino
            except FileNotFoundError:
                continue
    return found


def names(folder: Path) -> list[str]:
    """Names of the files directly in a folder."""
    return sorted(state(folder))


def changed(before: State, after: State) -> list[str]:
    """Names of the files that were made or changed."""
    return sorted(name for name, now in after.items() if before.get(name) != now)


def open_file(path: Path) -> BinaryIO:
    """A regular file, opened.

    Raises:
        NotFound: ``file_not_found``: it is none.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        raise _no_file(path.name) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _no_file(path.name)
    return os.fdopen(descriptor, "rb")


def put(folder: Path, name: str, source: BinaryIO) -> None:
    """Write a file, whole or not at all; one of this name is replaced.

    Raises:
        Invalid: ``invalid_file_name``: not a name, or a folder has it.
    """
    target = folder / check_name(name)
    # Beside the working directory, where the same disk is, and no code sees it half.
    part = folder.parent / f"{secrets.token_hex(8)}.part"
    try:
        with open(part, "xb") as file:
            shutil.copyfileobj(source, file, 1 << 20)
        os.replace(part, target)
    except IsADirectoryError:
        raise field_error("file", f"{name!r} is a folder of the session.", "invalid_file_name") from None
    finally:
        part.unlink(missing_ok=True)


def delete(folder: Path, name: str) -> None:
    """Remove a file.

    Raises:
        NotFound: ``file_not_found``.
    """
    if name not in state(folder):
        raise _no_file(name)
    (folder / name).unlink(missing_ok=True)


def walk(folder: Path) -> Iterator[str]:
    """Paths of all files below a folder, relative to it; links are left out."""
    for top, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            path = Path(top, name)
            if stat.S_ISREG(path.lstat().st_mode):
                yield path.relative_to(folder).as_posix()


def place(folder: Path, relative: str) -> Path:
    """Where a file of a snapshot goes; its folders are made.

    Raises:
        Invalid: It would leave the folder.
    """
    parts = relative.split("/")
    if any(part in ("", ".", "..") for part in parts):
        raise Invalid("invalid_file_name", f"{relative[:80]!r} is no file of a working directory.")
    here = folder
    for part in parts[:-1]:
        here = here / part
        if here.is_symlink() or (here.exists() and not here.is_dir()):
            raise Invalid("invalid_file_name", f"{part[:80]!r} is in the way of {relative[:80]!r}.")
        here.mkdir(exist_ok=True)
    return here / parts[-1]


def _no_file(name: str) -> NotFound:
    return NotFound("file_not_found", f"The session has no file {name[:80]!r}.")
