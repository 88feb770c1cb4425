"""What holds for every test: nothing is left behind (C26)."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator

import pytest
from deadlines import AGAIN
from hypothesis import HealthCheck, settings

from rxsocket.testing import VirtualClock

pytest_plugins = ["pytester"]
# How long an example takes says something about the machine, and nothing about the code.
settings.register_profile("full", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("default", settings.get_profile("full"), max_examples=30)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="also run what is marked slow")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("reruns", None):  # a mark would replace what --reruns asks for
        for item in items:
            if isinstance(item, pytest.Function) and {"took", "within"} & vars(item.module).keys():
                item.add_marker(pytest.mark.flaky(**AGAIN))
    if config.getoption("--full"):
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]


def pytest_collection_finish() -> None:
    """Thousands of tests are objects that stay: each ``gc.collect()`` would look at them all."""
    gc.collect()
    gc.freeze()


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("full" if config.getoption("--full") else "default")
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            del os.environ[name]  # clients of other libraries use them for loopback, too
    if sys.flags.dev_mode:  # there asyncio says of any busy machine what took long
        logging.getLogger("asyncio").addFilter(_is_no_slow_callback)
    if not config.pluginmanager.hasplugin("rxsocket"):  # a source tree that was not installed
        config.pluginmanager.import_plugin("rxsocket.testing.plugin")


def _is_no_slow_callback(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("Executing ")


@pytest.fixture(autouse=True, scope="session")
def interruptible() -> Iterator[None]:
    """Let SIGINT reach programs that tests start: a process inherits it if it is ignored here."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> bool:
    """Whether ``--full`` asks for the numbers that take long."""
    return bool(request.config.getoption("--full"))


@pytest.fixture
def clock(virtual_clock: VirtualClock) -> VirtualClock:
    """Virtual time; at the end nothing may be scheduled on it any more."""
    return virtual_clock


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """No thread or file descriptor is left of a socket (C26), and no level of a log.

    The plugin sees to the rest. At DEBUG, frames are read in another way, as the log shows each.
    """
    for thread in threading.enumerate():
        # Of a test that failed, whose sockets were closed since, or of a picture that it showed.
        if thread.name in ("rxsocket", "rxsocket-drawing"):
            thread.join(timeout=3.0)
    threads, files = set(threading.enumerate()), _open_sockets()
    loggers = [logging.getLogger(name) for name in (None, "rxsocket", "rxsocket.transport")]
    levels = [logger.level for logger in loggers]
    yield
    for thread in set(threading.enumerate()) - threads:
        thread.join(timeout=3.0)
    left = [thread for thread in set(threading.enumerate()) - threads if thread.is_alive()]
    assert not left, f"threads left: {left}"
    assert [logger.level for logger in loggers] == levels
    if not _open_sockets() <= files:
        gc.collect()  # a listening socket of the test's own may be in a cycle
    assert _open_sockets() <= files, f"sockets left: {_open_sockets() - files}"


def _open_sockets() -> set[str]:
    """The network sockets of this process, where the system can tell."""
    found: set[str] = set()
    if not os.path.isdir("/proc/self/fd"):
        return found
    for number in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found
