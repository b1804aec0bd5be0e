"""How often clients may call and how much they may keep, where the server was started with such limits."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Literal

from attrs import frozen

from .problems import Problem

Kind = Literal["deployment", "prediction", "other"]

_MINUTE = 60.0


@frozen
class Quotas:
    """Limits of the service's plan; None is no limit.

    Attributes:
        models: Models that are kept.
        deployments: Deployments that are kept.
        deployment_calls: Calls in a minute that make, change or delete a deployment.
        prediction_calls: Scoring calls in a minute.
        other_calls: Other calls in a minute; those for a token do not count.
    """

    models: int | None = None
    deployments: int | None = None
    deployment_calls: int | None = None
    prediction_calls: int | None = None
    other_calls: int | None = None


class Meter:
    """Counts the calls of each minute.

    Args:
        quotas: The limits.
        clock: Seconds that only go up.
    """

    def __init__(self, quotas: Quotas, clock: Callable[[], float] = time.monotonic) -> None:
        given = {
            "deployment": quotas.deployment_calls,
            "prediction": quotas.prediction_calls,
            "other": quotas.other_calls,
        }
        self._limits = {kind: limit for kind, limit in given.items() if limit is not None}
        self._clock = clock
        self._began = clock()
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()

    def count(self, kind: Kind) -> None:
        """Count a call.

        Raises:
            Problem: 429 ``rate_limit_exceeded``, with ``Retry-After``: there were as many as may be in this minute.
        """
        limit = self._limits.get(kind)
        if limit is None:
            return
        with self._lock:
            now = self._clock()
            if now - self._began >= _MINUTE:
                self._began, self._counts = now, {}
            count = self._counts[kind] = self._counts.get(kind, 0) + 1
            left = math.ceil(self._began + _MINUTE - now)
        if count > limit:
            raise Problem(
                429,
                "rate_limit_exceeded",
                f"Rate limit exceeded: {limit} {kind} requests in a minute; try again in {left} s.",
                {"retry-after": str(left)},
            )


def check_plan(kind: Literal["deployments", "models"], limit: int | None, present: int) -> None:
    """Return where the plan allows one more.

    Raises:
        Problem: 403 ``deployments_plan_limit_reached`` or ``models_plan_limit_reached``.
    """
    if limit is not None and present >= limit:
        raise Problem(403, f"{kind}_plan_limit_reached", f"Current plan 'local' only allows {limit} {kind}")
