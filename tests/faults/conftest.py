"""One server process for all tests of a run, and a proxy before it."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from .server_process import BadProxy, Process

if sys.platform == "win32":
    collect_ignore_glob = ["test_*.py"]  # there are no SIGSTOP and SIGKILL


@pytest.fixture(scope="session")
def _process() -> Iterator[Process]:
    process = Process()
    yield process
    process.stop()


@pytest.fixture
def far(_process: Process) -> Process:
    """A server in another process, which serves everybody until told otherwise."""
    _process.plays()
    return _process


@pytest.fixture
def doomed() -> Iterator[Process]:
    """A server of the test's own, to be killed."""
    process = Process()
    yield process
    if process.alive:
        process.stop()


@pytest.fixture
def proxy(far: Process) -> Iterator[BadProxy]:
    """A proxy before the server."""
    made = BadProxy(far.address)
    yield made
    made.stop()
