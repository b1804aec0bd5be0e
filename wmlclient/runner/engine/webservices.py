"""Web services: code with a name, a version, parameters and its own copy of a snapshot."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

from attrs import evolve

from ..store import ArchiveStore, Referenced, Store, WebService
from . import parameters, workfiles
from .clock import new_id, now_ms
from .errors import Conflict, Forbidden, Invalid, NotFound, field_error, missing
from .kernels import Kernels, RuntimeMissing
from .snapshots import SnapshotService

logger = logging.getLogger("wmlclient.runner.services")

_TEXTS = ("code", "initCode", "description", "operationId")


class WebServiceService:
    """All web services. They are found in memory; the store is asked at the start and told of changes.

    Args:
        store: Rows.
        archives: Where the zips of snapshots are.
        snapshots: What a service may be published from.
        kernels: Says which languages there are.
        clock: Milliseconds since 1970.

    Attributes:
        on_change: Called with each service that is no more as it was: published, changed or deleted.
    """

    def __init__(
        self,
        store: Store,
        archives: ArchiveStore,
        snapshots: SnapshotService,
        kernels: Kernels,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._store = store
        self._archives = archives
        self._snapshots = snapshots
        self._kernels = kernels
        self._clock = clock
        self._lock = threading.RLock()
        self._by_name: dict[str, dict[str, WebService]] = {}
        self.on_change: list[Callable[[WebService], None]] = []
        for service in store.web_services.all():
            self._by_name.setdefault(service.name, {})[service.version] = service

    # -- what is there

    def all(self) -> list[WebService]:
        """All versions of all services, oldest first within a name."""
        with self._lock:
            return [each for versions in self._by_name.values() for each in versions.values()]

    def versions(self, name: str) -> list[WebService]:
        """All versions of one service, oldest first.

        Raises:
            NotFound: There is none.
        """
        with self._lock:
            found = list(self._by_name.get(name, {}).values())
        if not found:
            raise _not_found(name)
        return found

    def get(self, name: str, version: str) -> WebService:
        """One version.

        Raises:
            NotFound: There is none.
        """
        try:
            return self._by_name[name][version]
        except KeyError:
            raise _not_found(name, version) from None

    # -- changes

    def publish(
        self, owner: str, name: str, version: str | None, request: Mapping[str, Any], any_name: bool = False
    ) -> WebService:
        """Publish code.

        Args:
            owner: User.
            name: Name.
            version: Version; None for a new one that is made up.
            request: The request's members.
            any_name: Whether the user may add versions to what others have published.

        Raises:
            Invalid: What is asked for cannot be.
            Forbidden: The name is another user's.
            Conflict: This version is there already.
            NotFound: The snapshot is not there.
        """
        self._check_runtime(request.get("runtimeType"))
        body = {**_EMPTY, **_members(request)}
        if not (body["code"] or "").strip():
            raise missing("code")
        made = WebService(new_id(), name, version or new_id(), owner, "Python", self._clock(), body)
        with self._archives.lock:
            return self.add(self._with_snapshot(made, owner, request), version is None, any_name)

    def add(self, made: WebService, name_is_all: bool, any_name: bool) -> WebService:
        """Keep a new service, whose archive is there; for the one who holds the archives' lock.

        Args:
            made: The service.
            name_is_all: Whether the request named no version.
            any_name: Whether the user may add versions to what others have published.

        Raises:
            Forbidden, Conflict: See :meth:`publish`.
        """
        with self._lock:
            present = self._by_name.get(made.name, {})
            if made.version in present:
                raise Conflict(
                    "service_exists",
                    f"The web service {made.name!r} has a version {made.version!r} already: "
                    "change it by PATCH, or publish another version.",
                )
            if not any_name and any(each.owner != made.owner for each in present.values()):
                words = (
                    "name_is_taken",
                    f"The web service {made.name!r} is another user's: take another name.",
                )
                raise Conflict(*words) if name_is_all else Forbidden(*words)
            try:
                self._store.web_services.add(made)
            except Referenced:  # pragma: no cover - the lock and the rows say the same
                raise Conflict("service_exists", "There is such a version already.") from None
            self._by_name.setdefault(made.name, {})[made.version] = made
        self.changed(made)
        return made

    def patch(self, service: WebService, user: str, request: Mapping[str, Any]) -> WebService:
        """Change the members that are given.

        Raises:
            Invalid: What is asked for cannot be.
            NotFound: The service or the snapshot is not there.
        """
        if service.runtime == "Realtime":
            raise Invalid(
                "other_runtime",
                f"{service.name!r} is a realtime service: PATCH /realtime-services changes it.",
            )
        if request.get("runtimeType") is not None:
            self._check_runtime(request["runtimeType"])
        members = _members(request)
        if "code" in members and not members["code"].strip():
            raise missing("code")
        with self._archives.lock:
            new = evolve(service, body={**service.body, **members})
            return self.replace(service, self._with_snapshot(new, user, request))

    def replace(self, old: WebService, new: WebService) -> WebService:
        """Keep a service as it is now; for the one who holds the archives' lock.

        Raises:
            NotFound: It was deleted.
        """
        with self._lock:
            if self._by_name.get(old.name, {}).get(old.version) is None:
                raise _not_found(old.name, old.version)
            self._store.web_services.change(
                old.id, body=new.body, digest=new.digest, size=new.size, pool=new.pool
            )
            self._by_name[old.name][old.version] = new
        if new.digest != old.digest:
            self.forget(old)
        self.changed(new)
        return new

    def delete(self, service: WebService) -> None:
        """Remove one version."""
        with self._archives.lock:
            with self._lock:
                self._store.web_services.delete(service.id)
                versions = self._by_name.get(service.name, {})
                versions.pop(service.version, None)
                if not versions:
                    self._by_name.pop(service.name, None)
            self.forget(service)
        self.changed(service)

    def changed(self, service: WebService) -> None:
        """Tell those who want to know."""
        for call in self.on_change:
            call(service)

    def forget(self, service: WebService) -> None:
        """Remove a service's archive, where no row names it any more."""
        digest = service.digest if service.runtime == "Python" else None
        if digest is not None and digest not in self._store.snapshots.digests():
            self._archives.remove(digest)

    def _with_snapshot(self, service: WebService, user: str, request: Mapping[str, Any]) -> WebService:
        id = request.get("snapshotId")
        if not id:
            return service
        snapshot = self._snapshots.get(user, id)
        if snapshot.runtime != service.runtime:
            raise Invalid(
                "other_runtime",
                f"The snapshot is of {snapshot.runtime}, and the service of {service.runtime}.",
            )
        return evolve(service, digest=snapshot.digest, size=snapshot.size)

    def _check_runtime(self, asked: str | None) -> None:
        if asked == "Realtime":
            raise field_error(
                "runtimeType", "A realtime service is published at /realtime-services, with its model's file."
            )
        try:
            self._kernels.check("Python" if asked == "Python" else "R")
        except RuntimeMissing as error:
            raise Invalid("runtime_not_available", str(error)) from None


_EMPTY: dict[str, Any] = {
    "snapshotId": None,
    "inputParameterDefinitions": [],
    "outputParameterDefinitions": [],
    "outputFileNames": [],
    **dict.fromkeys(_TEXTS),
}


def _members(request: Mapping[str, Any]) -> dict[str, Any]:
    """The members of a request that are kept; null is as good as not there."""
    found = {name: request[name] for name in (*_TEXTS, "snapshotId") if request.get(name) is not None}
    for name in ("inputParameterDefinitions", "outputParameterDefinitions"):
        if request.get(name) is not None:
            found[name] = parameters.definitions(request[name], name)
    if request.get("stateless") is not None:
        found["stateless"] = request["stateless"]
    if request.get("outputFileNames") is not None:
        found["outputFileNames"] = [workfiles.check_name(name) for name in request["outputFileNames"]]
    return found


def _not_found(name: str, version: str | None = None) -> NotFound:
    which = "" if version is None else f" with the version {version[:80]!r}"
    return NotFound("service_not_found", f"There is no web service {name[:80]!r}{which}.")
