"""Which engine runs a stream, what it promises, and why: said when the stream is made, or refused by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, get_args

from attrs import frozen

from wmlclient.kafka_login import login_of
from wmlclient.runner.kafka_security import java_refusal
from wmlclient.wire import SPARK_SERVICE_HEADER

from .connections import StreamEndpoints, spark_service
from .errors import Invalid, field_error
from .ports import Delivery

ENGINES = ("auto", "native", "spark")
LATENCIES = ("default", "realtime")
MOST_WORKERS = 64

Certificate = Mapping[str, Any]


@frozen
class Choice:
    """What was chosen for a stream.

    Attributes:
        engine: ``native`` or ``spark``; None while the model's check, which decides, is under way.
        reason: Why that engine; None with it.
        delivery: What is promised.
        workers: Processes that share the work.
        receipts: Whether scored records name their source and model.
        latency: ``default``, or ``realtime`` for Spark's Real-time Mode.
        spark: The Spark service that runs it, decoded, or None.
        asked: Engine and delivery as the request has them, kept until the engine is known.
    """

    engine: str | None
    reason: str | None
    delivery: Delivery
    workers: int = 1
    receipts: bool = False
    latency: str = "default"
    spark: dict[str, Any] | None = None
    asked: dict[str, Any] | None = None

    def to_body(self) -> dict[str, Any]:
        """What is kept with the deployment, beside the engine."""
        return {
            "delivery": self.delivery,
            "workers": self.workers,
            "receipts": self.receipts,
            "latency": self.latency,
            **({"asked": self.asked} if self.asked is not None else {}),
        }


def choose(
    body: Mapping[str, Any],
    header: str | None,
    ends: StreamEndpoints,
    certificate: Certificate | None,
    refusal: Callable[[], str | None],
    realtime_refusal: Callable[[], str | None],
) -> Choice:
    """Choose for a request.

    Args:
        body: The request: perhaps ``engine``, ``delivery``, ``latency``, ``workers`` and ``receipts``.
        header: ``X-Spark-Service-Instance``, or None.
        ends: Where the stream reads and writes.
        certificate: Of the model.
        refusal: Says why the native engine cannot stream the model, or None where it can.
        realtime_refusal: Says why Spark cannot stream it in Real-time Mode, as far as is known without Spark.

    Raises:
        Invalid: ``missing_prediction_spark_definition`` where the model needs Spark and none is named, and a code of
            its own for each wish that cannot be had together with the others.
    """
    engine = _one_of(body, "engine", ENGINES, "auto")
    wanted: Any = _one_of(body, "delivery", (*get_args(Delivery), None), None)
    latency = _one_of(body, "latency", LATENCIES, "default")
    workers, receipts = body.get("workers") or 1, bool(body.get("receipts"))
    if not isinstance(workers, int) or not 1 <= workers <= MOST_WORKERS:
        raise field_error("workers", f"`workers` is a whole number from 1 to {MOST_WORKERS}.")
    if latency == "realtime" and engine == "native":
        raise _no_realtime(
            "the native engine has no Real-time Mode, and answers within milliseconds without one"
        )
    if header and engine == "native":
        raise Invalid(
            "engine_conflict",
            f"`engine` is native, but the header `{SPARK_SERVICE_HEADER}` names a Spark service. Leave one out.",
            {"type": "field", "name": "engine"},
        )
    if header or engine == "spark":
        _check_login(ends)
        chosen = _spark(header, engine, wanted, workers, receipts, latency)
        reason = realtime_refusal() if latency == "realtime" else None
        if reason is not None:
            raise _no_realtime(reason)
        return chosen
    if latency == "realtime":
        raise needs_spark("the latency realtime is Spark's Real-time Mode")
    reason = refusal()
    if reason is None and certificate is not None and certificate["engine"] == "spark":
        reason = str(certificate["reason"])
    if reason is not None:
        raise (
            needs_spark(reason)
            if engine == "auto"
            else Invalid("model_not_native", f"The model cannot be streamed natively: {reason}.")
        )
    together = bool(set(ends.source.brokers) & set(ends.target.brokers))
    delivery: Delivery = wanted or ("exactly_once" if together else "at_least_once")
    if certificate is None or certificate["engine"] is None:
        asked = {"engine": engine, "delivery": wanted}
        return Choice(None, None, delivery, workers, receipts, asked=asked)
    return Choice("native", native_reason(certificate), delivery, workers, receipts)


def moved(body: Mapping[str, Any], ends: StreamEndpoints, reason: str) -> Choice:
    """What becomes of a stream that was taken while its model was being checked, and that only Spark can run.

    Args:
        body: What is kept with the deployment.
        ends: Where the stream reads and writes.
        reason: Why only Spark.

    Raises:
        Invalid: It asked for what Spark does not have.
    """
    asked = body.get("asked") or {}
    if asked.get("engine") == "native":
        raise Invalid("model_not_native", f"The model cannot be streamed natively: {reason}.")
    wishes = [(*wish, wish[0]) for wish in _wishes(asked.get("delivery"), body.get("workers", 1))]
    wishes += [
        (refused.field, f"Spark cannot log in so: {refused}", f"{side}.connection.{refused.field}")
        for side, refused in _refused_logins(ends)
    ]
    for name, text, where in wishes:
        raise Invalid(
            f"{name}_not_supported",
            f"Only Spark can run this stream: {reason}. {text}. Deploy it again without `{where}`.",
            {"type": "field", "name": where},
        )
    return Choice(
        "spark",
        f"the check of the model came after the stream, and asks for Spark: {reason}",
        "at_least_once",
        receipts=body.get("receipts", False),
    )


def native_reason(certificate: Certificate) -> str:
    """Why a stream without a Spark service is scored natively."""
    return f"no Spark service is named, and {certificate['reason']}"


def needs_spark(reason: str) -> Invalid:
    """The refusal of a stream whose model needs Spark, where the request names none."""
    return Invalid(
        "missing_prediction_spark_definition",
        f"For type stream spark instance must be provided in `{SPARK_SERVICE_HEADER}` header, "
        f"as nothing else can run it: {reason}",
        {"type": "header", "name": SPARK_SERVICE_HEADER},
    )


def _no_realtime(reason: str) -> Invalid:
    return Invalid(
        "latency_not_supported",
        f"The latency realtime cannot be had: {reason}. Leave `latency` out.",
        {"type": "field", "name": "latency"},
    )


def _spark(
    header: str | None, engine: str, wanted: Any, workers: int, receipts: bool, latency: str
) -> Choice:
    service = spark_service(header, "stream")
    for name, text in _wishes(wanted, workers):
        raise Invalid(
            f"{name}_not_supported",
            f"{text}. Leave `{name}` out, or the Spark service, so that the native engine runs the stream.",
            {"type": "field", "name": name},
        )
    reason = "the request asks for it" if engine == "spark" else "the request names a Spark service"
    if latency == "realtime":
        reason += ", in Real-time Mode"
    return Choice("spark", reason, "at_least_once", receipts=receipts, latency=latency, spark=service)


def _wishes(wanted: Any, workers: int) -> list[tuple[str, str]]:
    """What is wished for and Spark does not have: members of the request, and why."""
    found = []
    if wanted == "exactly_once":
        found.append(("delivery", "Spark's Kafka sink delivers at least once, not exactly once"))
    if workers > 1:
        found.append(("workers", "Spark shares the work among its own executors"))
    return found


def _refused_logins(ends: StreamEndpoints) -> list[tuple[str, Any]]:
    sides = (("input", ends.source), ("output", ends.target))
    found = [(side, java_refusal(login_of(end))) for side, end in sides]
    return [(side, refused) for side, refused in found if refused is not None]


def _check_login(ends: StreamEndpoints) -> None:
    for side, refused in _refused_logins(ends):
        where = f"{side}.connection.{refused.field}"
        raise Invalid(
            f"{refused.field}_not_supported",
            f"`{where}` cannot be had with Spark: {refused}. Leave the Spark service out, so that the native "
            "engine runs the stream, or log in another way.",
            {"type": "field", "name": where},
        )


def _one_of(body: Mapping[str, Any], name: str, allowed: tuple[Any, ...], default: Any) -> Any:
    value = body.get(name)
    value = default if value is None else value
    if value not in allowed:
        raise field_error(name, f"`{name}` is one of {', '.join(str(each) for each in allowed if each)}.")
    return value
