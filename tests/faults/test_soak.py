"""C2, C5, C20, C26: twenty seconds of everything at once; the benchmark runs for minutes."""

from __future__ import annotations

import logging

import pytest
from benchmarks.soak import soak


def test_a_soak(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events keep to the grammar, each message has its outcome, one connection is left, no leak."""
    monkeypatch.setattr(logging.getLogger("rxsocket"), "disabled", True)  # pytest keeps records
    report = soak(20.0, seed=7)
    print(report)
    assert not report.problems, str(report)
    sent, received = report.rows["messages sent"], report.rows["messages received"]
    assert isinstance(sent, int) and sent > 500
    assert isinstance(received, int) and received > 500
