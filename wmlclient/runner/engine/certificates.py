"""Parity certificates: does the native scorer give Spark's numbers for this very model?

Each new content is checked once, in the background; a certificate that came with it and holds takes the place of that.
Where it cannot be checked (no Java, a driver that died) the certificate says so, and a deployment of the model asks for
another try.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from wmlclient.scoring import certificates
from wmlclient.scoring.digests import model_digest, scorer_digest
from wmlclient.scoring.errors import ArchiveError, InputError, SparkRefused
from wmlclient.scoring.memory import give_back

from ..store import Model, Store, Version
from . import native
from .clock import iso, now_ms
from .comparison import SparkTable
from .contents import Contents
from .errors import EngineError, Invalid
from .ports import PortError, SparkPool, SparkUnavailable
from .schemas import input_schema, label_column

logger = logging.getLogger("wmlclient.runner.engine")

Certificate = dict[str, Any]

_WITHOUT_SPARK = (
    "Or publish the model with certificate=, made where a Spark is; "
    "or start the service with --allow-uncertified, to score it natively all the same."
)


def pending_certificate() -> Certificate:
    """The certificate of a content that has not been checked yet."""
    return {
        "state": "pending",
        "engine": None,
        "reason": "the native scorer is being compared with Spark",
    }


class CertificateService:
    """Checks contents, one after the other.

    Args:
        store: Rows; keeps the certificates.
        contents: Archives.
        spark: Where Spark is.
        clock: Milliseconds since 1970.
        timeout: Seconds that Spark may take for one job of a check.
        allow_uncertified: Whether what cannot be checked is scored natively all the same.
    """

    def __init__(
        self,
        store: Store,
        contents: Contents,
        spark: SparkPool,
        clock: Callable[[], int] = now_ms,
        timeout: float = 300.0,
        allow_uncertified: bool = False,
    ) -> None:
        self._store = store
        self._contents = contents
        self._spark = spark
        self._clock = clock
        self._timeout = timeout
        self._allow_uncertified = allow_uncertified
        self._running: dict[str, Future[Certificate]] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="parity")

    def submit(self, version_id: str) -> Future[Certificate]:
        """Check a version in the background; asked twice at once, it is one check."""
        with self._lock:
            running = self._running.get(version_id)
            if running is None:
                running = self._running[version_id] = self._pool.submit(self._check_and_keep, version_id)
                running.add_done_callback(lambda _: self._running.pop(version_id, None))
            return running

    def checked(self, version: Version) -> Certificate:
        """The certificate of a version, waited for.

        Checked again where Spark was not there the last time, and where it proves another native scorer than this.
        """
        certificate = version.certificate
        if (
            certificate is not None
            and certificate["state"] == "checked"
            and certificate.get("scorer_digest") == scorer_digest()
        ):
            return certificate
        return self.submit(version.id).result()

    def resume(self) -> None:
        """Check what a restart has interrupted."""
        for version in self._store.models.with_content():
            if version.certificate is None or version.certificate["state"] == "pending":
                self.submit(version.id)

    def close(self) -> None:
        """Start no more checks."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _check_and_keep(self, version_id: str) -> Certificate:
        version = self._store.models.version(version_id)
        model = self._store.models.get(version.model_id) if version is not None else None
        if version is None or model is None or version.digest is None:
            return {"state": "unavailable", "engine": None, "reason": "the model was deleted"}
        model = version.of(model)
        given = model.body.get("certificate")
        flaw = self._flaw(given, model, version.digest) if given is not None else None
        if given is not None and flaw is None:
            certificate = certificates.sealed(given)
        else:
            certificate = self._made(model, version, flaw)
        self._store.models.set_certificate(version_id, certificate)
        logger.info(
            "model %s: parity %s, engine %s: %s",
            model.id, certificate["state"], certificate["engine"], certificate["reason"],
        )  # fmt: skip
        give_back()  # a check reads the model more than once, and holds some thousand rows
        return certificate

    def _flaw(self, given: Any, model: Model, digest: str) -> str | None:
        """Why the certificate that came with a model does not hold."""
        try:
            folder = self._contents.folder(digest)
            scorer = self._scorer(model, digest)
            return certificates.flaw(
                given, model_digest(folder), scorer.inputs if scorer is not None else None
            )
        except EngineError as error:
            return error.message

    def _scorer(self, model: Model, digest: str) -> native.NativeScorer | None:
        """The native scorer of a model, if there is one."""
        schema = input_schema(model.body)
        if schema is None:
            return None
        label, training = label_column(model.body), model.body.get("training_data_schema")
        try:
            return native.load(self._contents.folder(digest), schema, label, training)
        except native.UnsupportedModel:
            return None

    def _made(self, model: Model, version: Version, flaw: str | None) -> Certificate:
        """A certificate of our own, or why there is none.

        Args:
            model: The model.
            version: Its version.
            flaw: Why the certificate that came with it does not hold, if one came.
        """
        before = f"the certificate that came with the model is not accepted: {flaw}; " if flaw else ""
        try:
            certificate = self._check(model, version)
            return certificates.sealed({**certificate, "reason": f"{before}{certificate['reason']}"})
        except SparkUnavailable as error:
            reason = error.message if error.retriable else f"{error.message} {_WITHOUT_SPARK}"
        except (PortError, EngineError) as error:
            reason = error.message
        except SparkRefused as error:
            reason = f"Spark cannot load the model: {error}"
        except TimeoutError:
            reason = f"Spark gave no answer within {self._timeout:.0f} s; deploy again to check again"
        except Exception as error:
            logger.exception("the parity check of version %s failed", version.id)
            reason = f"the check failed with an unexpected {type(error).__name__}; see the service's log"
        engine, reason = None, f"{before}{reason}"
        if self._allow_uncertified and self._has_native(model, version):
            engine, reason = "native", f"uncertified, as the service was started to allow it: {reason}"
        checked_at = iso(self._clock())
        return {"state": "unavailable", "engine": engine, "reason": reason, "checked_at": checked_at}

    def _has_native(self, model: Model, version: Version) -> bool:
        try:
            return version.digest is not None and self._scorer(model, version.digest) is not None
        except EngineError:
            return False

    def _check(self, model: Model, version: Version) -> Certificate:
        from wmlclient.scoring.proof import prove

        schema = input_schema(model.body)
        if schema is None:
            raise Invalid(
                "model_not_checked",
                "the model was published without training_data_schema and input_data_schema; publish it with one",
            )
        assert version.digest is not None
        folder = self._contents.folder(version.digest)
        sample = version.sample
        try:
            return prove(
                folder,
                schema,
                SparkTable(self._spark, folder, self._timeout),
                sample=(sample["fields"], sample["values"]) if sample else None,
                label=label_column(model.body),
                training=model.body.get("training_data_schema"),
                checked_at=iso(self._clock()),
            )
        except (ArchiveError, InputError) as error:
            raise Invalid("load_model_failure", f"The model cannot be loaded: {error}.") from None
