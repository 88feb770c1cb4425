"""The loops that the core of the tests on real connections runs on."""

from __future__ import annotations

import asyncio
import importlib.util

import pytest

LOOPS = ["asyncio"]
if importlib.util.find_spec("uvloop") is not None:
    LOOPS.append("uvloop")


@pytest.fixture(params=LOOPS)
def each_loop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the test on asyncio's own loop, and with the background thread on uvloop (C24)."""
    name: str = request.param
    if name == "uvloop":
        import uvloop

        monkeypatch.setattr(asyncio, "new_event_loop", uvloop.new_event_loop)
    return name
