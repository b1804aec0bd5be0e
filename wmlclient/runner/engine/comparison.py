"""The service's Spark, as the comparison of :mod:`wmlclient.scoring.proof` asks for one."""

from __future__ import annotations

from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path
from typing import Any

from attrs import frozen

from wmlclient.scoring.errors import SparkRefused

from .ports import SparkPool, TransformFailed, TransformResult


@frozen
class SparkTable:
    """Spark's transform of a model.

    Attributes:
        pool: Where Spark is; asked when it is needed, and not before.
        model_dir: Folder with the saved model.
        timeout: Seconds for one transform.
    """

    pool: SparkPool
    model_dir: Path
    timeout: float

    def version(self) -> str:
        """Spark's version; starts it where it does not run.

        Raises:
            PortError: Spark is not there.
        """
        return self.pool.get(None).version()

    def transform(
        self, schema: dict[str, Any], fields: list[str], values: list[list[Any]]
    ) -> TransformResult:
        """Score with Spark, and wait for it.

        Raises:
            SparkRefused: It cannot score the rows.
            PortError: Spark is not there.
            TimeoutError: It took too long.
        """
        asked = self.pool.get(None).transform(str(self.model_dir), schema, fields, values)
        try:
            return asked.result(self.timeout)
        except TransformFailed as error:
            raise SparkRefused(error.message) from None
        except FutureTimeout:
            raise TimeoutError from None
