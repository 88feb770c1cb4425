"""The tables of a fleet, with less of everything: no cap is exceeded, and nothing is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FLEET = Path(__file__).with_name("fleet.py")
ROOT = FLEET.parents[2]


def run(what: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FLEET), what, "--short"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=170)


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("what", ["converge", "rotate"])
def test_caps_are_kept_and_nothing_is_missing(what: str) -> None:
    """C41, C42: on the wire, with a venue in another process."""
    done = run(what)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_message_costs_little_more_than_of_a_socket() -> None:
    """C41: at most 1.3 times as much, in one of three short runs at least."""
    runs: list[str] = []
    for _ in range(3):
        done = run("cost")
        if done.returncode == 0:
            return
        runs.append(done.stdout + done.stderr)
    raise AssertionError("\n".join(runs))
