"""C40: what storing costs beside the broker's client alone, and an outage at a rate."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from brokers import needs_brokers

BENCH = Path(__file__).with_name("sinks.py")
SMALL = ["--messages", "4000", "--rounds", "3", "--rate", "2000", "--seconds", "1"]


@pytest.mark.slow
@needs_brokers
@pytest.mark.timeout(150)
def test_storing_costs_little_more_than_the_client() -> None:
    """At most 30 % more; with the broker stopped in between, everything is stored once."""
    done = subprocess.run(
        [sys.executable, str(BENCH), *SMALL], capture_output=True, text=True, timeout=140
    )
    assert done.returncode == 0, done.stderr
    ratios = [float(text) for text in re.findall(r"([\d.]+) x", done.stdout)]
    assert len(ratios) == 4 and max(ratios) <= 1.3, done.stdout
    rows = re.findall(
        r"came ([\d,]+), stored ([\d,]+), duplicates ([\d,]+), other 0; entries ([\d,]+), "
        r"ids ([\d,]+);",
        done.stdout,
    )
    assert len(rows) == 2, done.stdout
    for came, stored, duplicates, entries, ids in rows:
        assert came == entries == ids
        assert int(stored.replace(",", "")) + int(duplicates.replace(",", "")) == int(
            came.replace(",", "")
        )
