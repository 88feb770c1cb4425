"""A fleet keeps what it promises, whatever happens in whatever order (C41)."""

from __future__ import annotations

import os

import pytest
from fleet_machine import FleetMachine
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

QUICK = settings(
    stateful_step_count=30,
    deadline=None,
    report_multiple_bugs=False,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
)


def test_an_interleaving() -> None:
    """The same ones each time."""
    short = settings(QUICK, max_examples=3, stateful_step_count=12)
    run_state_machine_as_test(FleetMachine, settings=short)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_any_interleaving() -> None:
    """More of them, always the same."""
    run_state_machine_as_test(FleetMachine, settings=settings(QUICK, max_examples=40))


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.skipif("EXPLORE" not in os.environ, reason="EXPLORE=1 looks for new trouble")
def test_many_more() -> None:
    """Others each time: to look for trouble, not to tell whether a change made some."""
    many = settings(QUICK, derandomize=False, max_examples=600)
    run_state_machine_as_test(FleetMachine, settings=many)
