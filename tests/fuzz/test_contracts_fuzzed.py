"""Both contracts under requests that schemathesis makes up: no fault of the service, and nothing that is not said."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import fuzzing
import hypothesis
import pytest
from fuzzing import CASES, LABELS, SCHEMAS, Target
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import FlakyStrategyDefinition, Unsatisfiable
from schemathesis.generation import GenerationMode
from schemathesis.generation.stateful import run_state_machine_as_test

SEED = int(os.environ["WMLCLIENT_FUZZ_SEED"])
_STEPS = 25
_EACH = max(2, CASES * 9 // 10 // len(LABELS))

Record = Callable[[str, object], None]


def _settings(examples: int, **more: Any) -> settings:
    return settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
        **more,
    )


@pytest.mark.parametrize(("name", "label"), LABELS)
def test_an_operation(targets: dict[str, Target], record_property: Record, name: str, label: str) -> None:
    target, operation = targets[name], fuzzing.operation(name, label)
    before = target.counts.total()
    # Any text may be part of a path or a header, and any bytes an upload.
    has_form = any(each.media_type == "application/json" for each in operation.body)
    wrong = _EACH // 4 if has_form or operation.query else 0
    shares = {GenerationMode.POSITIVE: _EACH - wrong, GenerationMode.NEGATIVE: wrong}
    for mode, share in shares.items():
        if not share:
            continue

        @hypothesis.seed(SEED)
        @_settings(share)
        @given(fuzzing.aimed(operation, mode))
        def send(drawn: tuple[Any, int]) -> None:
            target.call(*drawn)

        try:
            send()
        except Unsatisfiable:
            # There is nothing in it that could be wrong.
            assert mode is GenerationMode.NEGATIVE
    record_property(f"fuzz {name}", target.counts.total() - before)


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_sequences(targets: dict[str, Target], record_property: Record, name: str) -> None:
    target = targets[name]
    faults: list[Exception] = []

    class Sequences(SCHEMAS[name].as_state_machine()):  # type: ignore[misc]
        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            return target.arguments()

        def before_call(self, case: Any) -> None:
            if "instance_id" in (case.path_parameters or {}):
                case.path_parameters["instance_id"] = target.known("")["instance_id"]

        def validate_response(self, response: Any, case: Any, **more: Any) -> None:
            try:
                target.check(case, response)
            except Exception as fault:
                faults.append(fault)
                raise

    before, turn = target.counts.total(), 0
    while target.counts.total() - before < CASES // 10:
        machine = hypothesis.seed(SEED + turn)(Sequences)
        try:
            run_state_machine_as_test(machine, settings=_settings(20, stateful_step_count=_STEPS))
        except FlakyStrategyDefinition:
            # The service keeps what earlier sequences made, so the same choices may meet other answers.
            if faults:
                raise faults[0] from None
        turn += 1
        assert turn < 1000
    record_property(f"fuzz {name} in sequences", target.counts.total() - before)
