"""The contract holds whatever happens in whatever order (C2, C5 to C10, C15, C20, C23, C26)."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from socket_machine import BehaviorAuth, ProviderAuth, SocketMachine, SubjectAuth, ValueAuth

MACHINES = (ValueAuth, BehaviorAuth, SubjectAuth, ProviderAuth)
EXAMPLES = {ValueAuth: 80, BehaviorAuth: 60, SubjectAuth: 40, ProviderAuth: 80}
PART = 8  # by default a part of them: one in so many
QUICK = settings(
    stateful_step_count=40,
    deadline=None,
    report_multiple_bugs=False,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
)


@pytest.mark.parametrize("machine", MACHINES)
def test_any_interleaving(machine: type[SocketMachine], full: bool) -> None:
    """Always the same interleavings."""
    examples = EXAMPLES[machine] // (1 if full else PART)
    run_state_machine_as_test(machine, settings=settings(QUICK, max_examples=examples))


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.skipif("EXPLORE" not in os.environ, reason="EXPLORE=1 looks for new trouble")
@pytest.mark.parametrize("machine", MACHINES)
def test_ten_times_as_many(machine: type[SocketMachine]) -> None:
    """Others each time: to look for trouble, not to tell whether a change made some."""
    many = settings(QUICK, derandomize=False, max_examples=10 * EXAMPLES[machine])
    run_state_machine_as_test(machine, settings=many)
