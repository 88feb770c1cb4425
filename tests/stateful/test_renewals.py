"""C13, C34 and C35 hold whatever happens in whatever order; so do C2, C5, C20 and C26 meanwhile."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from renewal_machine import (
    BreakingRenewals,
    HandoverRenewals,
    InBandRenewals,
    RenewalMachine,
)

MACHINES = (HandoverRenewals, InBandRenewals, BreakingRenewals)
QUICK = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    report_multiple_bugs=False,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
)


@pytest.mark.parametrize("machine", MACHINES)
def test_any_renewals(machine: type[RenewalMachine], full: bool) -> None:
    """Always the same ones."""
    examples = 40 if full else 15
    run_state_machine_as_test(machine, settings=settings(QUICK, max_examples=examples))


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.skipif("EXPLORE" not in os.environ, reason="EXPLORE=1 looks for new trouble")
@pytest.mark.parametrize("machine", MACHINES)
def test_ten_times_as_many_renewals(machine: type[RenewalMachine]) -> None:
    """Others each time."""
    many = settings(QUICK, derandomize=False, max_examples=400)
    run_state_machine_as_test(machine, settings=many)
