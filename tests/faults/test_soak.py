"""C2, C5, C20, C26: everything at once, for some seconds; the benchmark runs for minutes."""

from __future__ import annotations

import pytest
from benchmarks.soak import soak


@pytest.mark.parametrize(
    "transport", ["websockets", pytest.param("picows", marks=pytest.mark.slow)]
)
@pytest.mark.slow
def test_a_soak(full: bool, transport: str) -> None:
    """Every message, receipt, dial and connection is accounted for, and nothing is left."""
    seconds = 20.0 if full else 5.0
    report = soak(seconds, 7, transport)
    print(report)
    assert not report.problems, str(report)
    sent, received = report.rows["messages sent"], report.rows["messages received"]
    assert isinstance(sent, int) and sent > 10 * seconds
    assert isinstance(received, int) and received > 10 * seconds
