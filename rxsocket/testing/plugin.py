"""The pytest plugin of rxsocket: fixtures, and two things that hold for every test.

- ``websocket_server``: a scripted server on loopback, started.
- ``virtual_clock``: virtual time; nothing may be scheduled on it any more when the test is over.
- ``fake_socket``: makes sockets with a fake server, in virtual time.

A test fails when a socket of it was left open, or when the events of one broke the grammar. A test
that is marked ``leaves_sockets_open`` may leave them; they are closed all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest

from rxsocket.amounts import amount
from rxsocket.socket import Socket
from rxsocket.testing import VirtualClock, clock, fake, server
from rxsocket.testing.fake import Fake
from rxsocket.testing.oversight import oversight
from rxsocket.testing.server import Server

__all__ = ["fake_socket", "virtual_clock", "websocket_server"]

MARK = "leaves_sockets_open"


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known, and look over every socket from now on."""
    config.addinivalue_line("markers", f"{MARK}: sockets that the test left open do not fail it")
    oversight.install()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    """Begin to look over the sockets of a test, those of its fixtures included."""
    oversight.begin()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
    """A socket of a fixture for several tests is not one that the first of them left open."""
    if fixturedef.scope == "function":
        return (yield)
    before, oversight.paused = oversight.paused, True
    try:
        return (yield)
    finally:
        oversight.paused = before


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    """Judge the sockets of a test when its fixtures are gone."""
    result = yield
    oversight.end(may_stay_open=item.get_closest_marker(MARK) is not None)
    return result


@pytest.fixture
def websocket_server() -> Iterator[Server]:
    """A scripted WebSocket server on loopback; see ``rxsocket.testing.server``."""
    with server() as started:
        yield started


@pytest.fixture
def virtual_clock() -> Iterator[VirtualClock]:
    """Virtual time; at the end nothing may be scheduled on it any more."""
    with clock() as time:
        yield time
        time.advance(0)
        assert not time.tasks, f"tasks left: {time.tasks}"
        assert time.pending == 0, f"{amount(time.pending, 'timer')} left"


@pytest.fixture
def fake_socket(
    virtual_clock: VirtualClock,
) -> Iterator[Callable[..., tuple[Socket, Fake]]]:
    """A function that makes a socket and its fake server, in virtual time.

    It takes scripts, ``tokens=`` and ``latency=`` for ``fake()``, and the options of a ``Socket``::

        def test_a_drop(fake_socket, virtual_clock):
            socket, feed = fake_socket(accept().send("hello").drop(), auth="secret")

    The sockets are closed at the end.
    """
    made: list[Socket] = []

    def make(
        *scripts: Any, tokens: Any = None, latency: float = 0.0, **options: Any
    ) -> tuple[Socket, Fake]:
        feed = fake(*scripts, tokens=tokens, latency=latency)
        options.setdefault("transport", feed)
        socket = Socket(feed.url, **options)
        made.append(socket)
        return socket, feed

    yield make
    for socket in made:
        socket.close()
    virtual_clock.advance(3)
