"""The service instance: its plan, and what of it is used."""

from __future__ import annotations

import datetime as dt
from typing import Any

from attrs import field, frozen

from wmlclient import display
from wmlclient.translate import utc

_COUNTERS = (
    "computation_time",
    "model_count",
    "prediction_count",
    "deployment_count",
    "gpu_count",
    "capacity_units",
)


@frozen
class Counter:
    """How much of something is used.

    Attributes:
        current: used so far.
        limit: most that the plan allows; None if there is no limit.
    """

    current: int
    limit: int | None = None

    def __str__(self) -> str:
        return f"{self.current}" if self.limit is None else f"{self.current} of {self.limit}"


@frozen
class Instance:
    """One service instance, as of one look at it.

    Attributes:
        id: its id.
        plan: name of its plan, such as ``"lite"``.
        status: the service's word for its state, such as ``"Active"``.
        region: where it is.
        created_at: since when, UTC.
        usage: counters by name, such as ``usage["model_count"]``; those the service tells.
        expires_at: when the counters start again.
    """

    id: str
    plan: str | None = None
    status: str | None = None
    region: str | None = None
    created_at: dt.datetime | None = None
    usage: dict[str, Counter] = field(factory=dict)
    expires_at: dt.datetime | None = None

    @classmethod
    def _of(cls, wire: Any) -> Instance:
        """From the generated client's ``Instance``."""
        entity, usage = wire.entity, wire.entity.usage
        counters = {name: getattr(usage, name, None) for name in _COUNTERS}
        return cls(
            id=str(wire.metadata.guid),
            plan=entity.plan,
            status=entity.status,
            region=entity.region,
            created_at=utc(wire.metadata.created_at),
            usage={name: Counter(c.current or 0, c.limit) for name, c in counters.items() if c is not None},
            expires_at=utc(usage.expiration_date) if usage is not None else None,
        )

    def _repr_html_(self) -> str:
        return display.card(
            f"Instance {self.id}",
            [
                ("plan", self.plan),
                ("status", self.status),
                ("region", self.region),
                ("created", self.created_at),
            ]
            + [(name.replace("_", " "), counter) for name, counter in self.usage.items()],
        )
