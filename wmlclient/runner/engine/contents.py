"""Uploaded archives: looked into before they count, then kept for good."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from wmlclient.scoring import archive, metadata
from wmlclient.scoring.errors import ArchiveError

from ..store import ArchiveStore, PendingArchive, StorageFull, Store
from .errors import Conflict, Invalid, NoRoom

logger = logging.getLogger("wmlclient.runner.engine")

Kind = Literal["PipelineModel", "Pipeline"]


class Contents:
    """Archives of models and definitions.

    Args:
        store: Rows; asked which archives are still named.
        archives: Where archives are.
        allow_foreign_classes: Whether models may hold stages that are not Spark's own.
    """

    def __init__(self, store: Store, archives: ArchiveStore, allow_foreign_classes: bool = False) -> None:
        self._store = store
        self._archives = archives
        self._foreign = allow_foreign_classes

    def receive(self) -> PendingArchive:
        """Start an upload.

        Raises:
            NoRoom: The disk is full.
        """
        try:
            return self._archives.receive()
        except StorageFull:
            raise NoRoom() from None

    def put(
        self, pending: PendingArchive, kind: Kind, present: str | None, attach: Callable[[str, int], bool]
    ) -> None:
        """Take an upload: verify it, keep it, and only then name it in a row. The upload is used up.

        Args:
            pending: The upload, all bytes written.
            kind: What it has to be.
            present: The digest that the row has already, or None. The same bytes again are fine.
            attach: Names digest and size in the row; False where the row is gone or was filled meanwhile.

        Raises:
            Invalid: ``invalid_model_content``: not a saved pipeline, or an unsafe or damaged archive.
            Conflict: ``content_already_uploaded``: other bytes are there.
            NoRoom: The disk is full.
        """
        try:
            pending.finish()
            if present is None:
                self._verify_and_keep(pending, kind, attach)
            elif present != pending.digest:
                raise _other_content()
        except ArchiveError as error:
            raise Invalid("invalid_model_content", f"The uploaded content is refused: {error}.") from None
        except StorageFull:
            raise NoRoom() from None
        finally:
            pending.discard()

    def _verify_and_keep(
        self, pending: PendingArchive, kind: Kind, attach: Callable[[str, int], bool]
    ) -> None:
        digest = pending.digest
        with self._archives.lock:
            try:
                folder = self._archives.unpack(digest, pending.path, archive.unpack)
                self._verify(folder, kind)
                self._archives.adopt(pending)
                if not attach(digest, pending.size):
                    raise _other_content()
            except BaseException:
                self.forget(digest)
                raise

    def _verify(self, folder: Path, kind: Kind) -> None:
        info = metadata.inspect(folder)
        if info.kind != kind:
            wanted = "a fitted PipelineModel" if kind == "PipelineModel" else "an unfitted Pipeline"
            raise ArchiveError(f"not a saved Spark ML {kind}: it holds a {info.kind}; upload {wanted}")
        if info.foreign and not self._foreign:
            raise ArchiveError(
                f"{metadata.foreign_sentence(info.foreign[0])}: Spark would load it by that name and run its code. "
                "Publish the pipeline without this stage, or have the server started with --allow-foreign-classes"
            )

    def forget(self, digest: str | None) -> None:
        """Remove an archive that no row names any more."""
        with self._archives.lock:
            if digest is not None and digest not in self._store.digests():
                self._archives.remove(digest)

    def folder(self, digest: str) -> Path:
        """The folder with the saved pipeline, as Spark loads it; unpacked on first use.

        Raises:
            Invalid: The archive was damaged on the disk.
            NoRoom: The disk is full.
        """
        try:
            with self._archives.lock:
                top = self._archives.unpack(digest, self._archives.path(digest), archive.unpack)
            return metadata.find_root(top)
        except (ArchiveError, FileNotFoundError) as error:
            logger.error("archive %s cannot be read: %s", digest, error)
            raise Invalid(
                "load_model_failure", "The model's archive is damaged; publish the model again."
            ) from None
        except StorageFull:
            raise NoRoom() from None

    def path(self, digest: str) -> Path:
        """The archive's file."""
        return self._archives.path(digest)

    def sweep(self) -> None:
        """Remove what a crash left behind."""
        with self._archives.lock:
            for digest in self._archives.sweep(self._store.digests()):
                logger.info("removed the archive %s: no model names it", digest)


def _other_content() -> Conflict:
    return Conflict(
        "content_already_uploaded",
        "This version has other content already; a version never changes. Publish again.",
    )
