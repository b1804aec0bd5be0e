"""What the error that ended a query means for its stream."""

from __future__ import annotations

from wmlclient.runner.spark.failures import chain, mentions, of_kafka, root_cause


def classify(error: BaseException) -> tuple[str, str, bool]:
    """Code, message and whether trying again may help, of the error that ended a query."""
    links = chain(error)
    text = " ".join(link.message for link in links)
    message = root_cause(error)
    if isinstance(error, OSError | EOFError) or links[0].kind.startswith("Py4J"):
        # No exception of the JVM's but none of its answers: it is gone, and this process about to follow.
        return "spark_driver_died", f"Spark does not answer any more: {message}", True
    if "STREAMING_REAL_TIME_MODE" in text or "real time mode" in text:
        return "realtime_not_supported", f"Spark cannot run this model in real time: {message}", False
    if "data may have been missed" in text or "KAFKA_DATA_LOSS" in text or "data may have been lost" in text:
        return (
            "data_lost",
            f"Records that this stream has not read yet are gone from the source topic: {message} "
            "Delete the deployment and create it again to go on from now.",
            False,
        )
    if any(link.kind.endswith(("AuthenticationException", "AuthorizationException")) for link in links):
        return "broker_authentication_failed", f"Kafka refuses this connection: {message}", False
    if any("UnknownTopicOrPartition" in link.kind for link in links) or "UNKNOWN_TOPIC" in text:
        return "topic_not_found", f"A topic of the stream does not exist any more: {message}", False
    if of_kafka(error) or "TimeoutException" in text:
        return "broker_unavailable", f"The Kafka cluster does not answer: {message}", True
    return "stream_failed", message, False


def of_a_record(error: BaseException) -> bool:
    """Whether some record of the batch may be the cause, so that the batch is worth being taken apart."""
    return classify(error)[0] == "stream_failed" or mentions(error, "RecordTooLargeException")
