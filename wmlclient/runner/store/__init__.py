"""What the runner keeps: rows in a database, archives in a folder. Survives a crash at any moment.

A row that names an archive is written only once the archive is whole and on the disk, so a reader never meets half
a model.
"""

from __future__ import annotations

from .archives import ArchiveStore, PendingArchive
from .database import Store
from .errors import Referenced, StorageFull, StoreError
from .records import (
    Definition,
    Deployment,
    Execution,
    Iteration,
    Learning,
    Login,
    Model,
    Page,
    Snapshot,
    User,
    Version,
    WebService,
)

__all__ = [
    "ArchiveStore",
    "Definition",
    "Deployment",
    "Execution",
    "Iteration",
    "Learning",
    "Login",
    "Model",
    "Page",
    "PendingArchive",
    "Referenced",
    "Snapshot",
    "StorageFull",
    "Store",
    "StoreError",
    "User",
    "Version",
    "WebService",
]
