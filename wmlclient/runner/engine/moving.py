"""A stream that was taken while its model was being checked, and that the check gives to Spark."""

from __future__ import annotations

import logging

from ..store import Deployment, Store
from .choice import moved, needs_spark
from .connections import stream_endpoints
from .ports import SparkPool, SparkUnavailable, StreamEngine

logger = logging.getLogger("wmlclient.runner.engine")


def to_spark(store: Store, pool: SparkPool, deployment: Deployment, reason: str) -> StreamEngine:
    """Give a stream that has not begun yet to the service's own Spark.

    Args:
        store: Keeps the choice.
        pool: Where Spark is.
        deployment: The stream.
        reason: Why only Spark can run it.

    Raises:
        Invalid: It asked for what Spark does not have, or there is no Spark.
        SparkUnavailable: Spark may be there in a moment.
    """
    body = deployment.body
    choice = moved(body, stream_endpoints(body), reason)
    spark = pool.get(None)
    try:
        spark.version()
    except SparkUnavailable as error:
        if error.retriable:
            raise
        raise needs_spark(f"{reason}; and the service has no Spark of its own: {error.message}") from None
    kept = {name: value for name, value in body.items() if name != "asked"} | choice.to_body()
    store.deployments.update(deployment.id, engine=choice.engine, engine_reason=choice.reason, body=kept)
    logger.info("stream %s is moved to Spark: %s", deployment.id, reason)
    return spark
