"""C2, C5, C20, C26: everything at once, for some seconds; the benchmark runs for minutes."""

from __future__ import annotations

import logging

import pytest
from benchmarks.soak import soak


def test_a_soak(monkeypatch: pytest.MonkeyPatch, full: bool) -> None:
    """Events keep to the grammar, each message has its outcome, one connection is left, no leak."""
    monkeypatch.setattr(logging.getLogger("rxsocket"), "disabled", True)  # pytest keeps records
    seconds = 20.0 if full else 5.0
    report = soak(seconds, seed=7)
    print(report)
    assert not report.problems, str(report)
    sent, received = report.rows["messages sent"], report.rows["messages received"]
    assert isinstance(sent, int) and sent > 25 * seconds
    assert isinstance(received, int) and received > 25 * seconds
