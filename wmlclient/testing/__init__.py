"""For tests of streams, yours and ours: records that break things, and the proof that nothing was lost or doubled.

The brokers to break are the pytest fixtures ``kafka_broker`` and ``kafka_cluster``.
"""

from __future__ import annotations

from wmlclient.testing.poison import PoisonRecord, poison_records
from wmlclient.testing.proof import assert_exactly_once

__all__ = ["PoisonRecord", "assert_exactly_once", "poison_records"]
