"""What can go wrong with storage."""

from __future__ import annotations


class StoreError(Exception):
    """The store cannot do what was asked."""


class StorageFull(StoreError):
    """No room on the disk. Nothing of what was being written is left behind."""


class Referenced(StoreError):
    """A row names another that is not there, or is still named by one."""
