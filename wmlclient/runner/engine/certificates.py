"""Parity certificates: does the native scorer give Spark's numbers for this very model?

Each new content is checked once, in the background. Where it cannot be (no Java, a driver that died) the
certificate says so, and a deployment of the model asks for another try.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from ..store import Model, Store, Version
from . import native
from .clock import iso, now_ms
from .comparison import SparkTable, compare
from .contents import Contents
from .errors import EngineError
from .ports import PortError, SparkPool
from .schemas import input_schema, label_column

logger = logging.getLogger("wmlclient.runner.engine")

Certificate = dict[str, Any]

_ROWS = 1000
_SEED = 20170907


def pending_certificate(digest: str) -> Certificate:
    """The certificate of a content that has not been checked yet."""
    return {
        "state": "pending",
        "engine": None,
        "reason": "the native scorer is being compared with Spark",
        "model_digest": digest,
    }


class CertificateService:
    """Checks contents, one after the other.

    Args:
        store: Rows; keeps the certificates.
        contents: Archives.
        spark: Where Spark is.
        clock: Milliseconds since 1970.
        timeout: Seconds that Spark may take for one check.
    """

    def __init__(
        self,
        store: Store,
        contents: Contents,
        spark: SparkPool,
        clock: Callable[[], int] = now_ms,
        timeout: float = 300.0,
    ) -> None:
        self._store = store
        self._contents = contents
        self._spark = spark
        self._clock = clock
        self._timeout = timeout
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
        """The certificate of a version, waited for; checked again where Spark was not there the last time."""
        certificate = version.certificate
        if certificate is not None and certificate["state"] == "checked":
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
        try:
            certificate = self._check(model, version)
        except (PortError, EngineError) as error:
            certificate = {"state": "unavailable", "engine": None, "reason": error.message}
        except TimeoutError:
            reason = f"Spark gave no answer within {self._timeout:.0f} s; deploy again to check again"
            certificate = {"state": "unavailable", "engine": None, "reason": reason}
        except Exception as error:
            logger.exception("the parity check of version %s failed", version_id)
            reason = f"the check failed with an unexpected {type(error).__name__}; see the service's log"
            certificate = {"state": "unavailable", "engine": None, "reason": reason}
        certificate |= {"model_digest": version.digest, "checked_at": iso(self._clock())}
        self._store.models.set_certificate(version_id, certificate)
        logger.info(
            "model %s: parity %s, engine %s: %s",
            model.id, certificate["state"], certificate["engine"], certificate["reason"],
        )  # fmt: skip
        return certificate

    def _check(self, model: Model, version: Version) -> Certificate:
        from wmlclient.scoring import parity

        schema = input_schema(model.body)
        if schema is None:
            reason = "the model was published without training_data_schema and input_data_schema; publish it with one"
            return {"state": "unavailable", "engine": None, "reason": reason}
        assert version.digest is not None
        folder = self._contents.folder(version.digest)
        label, training = label_column(model.body), model.body.get("training_data_schema")
        try:
            scorer = native.load(folder, schema, label, training)
        except native.UnsupportedModel as error:
            return {"state": "checked", "engine": "spark", "reason": str(error), "rows": 0, "mismatches": 0}
        if version.sample is not None:
            origin, fields, values = "sample", version.sample["fields"], version.sample["values"]
        else:
            origin = "generated"
            fields, values = parity.generate_rows(schema, _ROWS, _SEED, hints=scorer.hints)
        spark = SparkTable(
            self._spark.get(None), folder, schema, self._timeout, native.label_filler(folder, training, label)
        )
        return compare(scorer, spark, fields, values) | {"origin": origin}
