"""The pytest plugin of rxsocket: fixtures, and two things that hold for every test.

- ``websocket_server``: a scripted server on loopback, started.
- ``virtual_clock``: virtual time; nothing may be scheduled on it any more when the test is over.
- ``fake_socket``: makes sockets with a fake server, in virtual time.

A test fails when a socket of it was left open, or when the events of one broke the grammar. A test
that is marked ``leaves_sockets_open`` may leave them; they are closed all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import Any

import pytest

from rxsocket.engine.engine import Engine
from rxsocket.events import Event, Message
from rxsocket.explain.format import amount
from rxsocket.publishing.publisher import Publisher
from rxsocket.socket import Socket
from rxsocket.testing import VirtualClock, clock, fake, server
from rxsocket.testing.fake import Fake
from rxsocket.testing.grammar import Grammar
from rxsocket.testing.server import Server

MARK = "leaves_sockets_open"


class SocketChecks:
    """Checks the sockets that are made while a test runs: grammar (C2), none left open (C26).

    Attributes:
        paused: Whether new sockets are not checked.
    """

    def __init__(self) -> None:
        self.paused = False
        self._engines: list[Engine] = []
        self._grammars: dict[Publisher, Grammar] = {}
        self._broken: list[AssertionError] = []
        self._installed = False

    def install(self) -> None:
        """Check every socket from now on; a second time does nothing."""
        if self._installed:
            return
        self._installed = True
        made, publish, deliver = Engine.__init__, Publisher.publish, Publisher.deliver

        def watched_init(engine: Engine, *arguments: Any, **options: Any) -> None:
            made(engine, *arguments, **options)
            if not self.paused:
                self._engines.append(engine)
                self._grammars[engine.publisher] = Grammar()

        def watched_publish(publisher: Publisher, event: Event, *rest: Any, **more: Any) -> None:
            self._check_event(publisher, event)
            publish(publisher, event, *rest, **more)

        def watched_deliver(
            publisher: Publisher, batch: list[Any], *rest: Any, **more: Any
        ) -> None:
            if publisher in self._grammars:
                batch = _CheckedBatch(batch, partial(self._check_message, publisher))
            deliver(publisher, batch, *rest, **more)

        replaced: tuple[tuple[type[Any], str, Any], ...] = (
            (Engine, "__init__", watched_init),
            (Publisher, "publish", watched_publish),
            (Publisher, "deliver", watched_deliver),
        )
        for owner, name, function in replaced:
            setattr(owner, name, function)

    def start_test(self) -> None:
        """Forget the sockets of the test before."""
        self._engines.clear()
        self._grammars.clear()
        self._broken.clear()

    def finish_test(self, *, may_stay_open: bool = False) -> None:
        """Close what the test left open.

        Raises:
            AssertionError: If a socket was left open, or its events broke the grammar.
        """
        engines, grammars, broken = list(self._engines), dict(self._grammars), list(self._broken)
        self.start_test()
        left = [engine for engine in engines if engine.is_used]
        for engine in left:
            if not engine.loop.event_loop.is_closed():
                engine.close()
        if broken:
            raise broken[0]
        if left and not may_stay_open:
            shown = ", ".join(engine.label for engine in left)
            raise AssertionError(
                f"left open: {shown}; close() the socket, or use it in a with; "
                f"@pytest.mark.{MARK} allows it"
            )
        for engine in engines:
            if engine not in left:
                grammars[engine.publisher].done()

    def _check_message(self, publisher: Publisher, data: Any) -> None:
        epoch: int = publisher._epoch  # pyright: ignore[reportPrivateUsage]
        self._check_event(publisher, Message(epoch=epoch, data=data))

    def _check_event(self, publisher: Publisher, event: Event) -> None:
        grammar = self._grammars.get(publisher)
        if grammar is None:
            return
        try:
            grammar.check(event)
        except AssertionError as error:
            self._broken.append(error)


class _CheckedBatch(list[Any]):
    """Messages of one read; each is checked when it is taken to be delivered."""

    def __init__(self, batch: list[Any], check: Callable[[Any], None]) -> None:
        super().__init__(batch)
        self._check = check

    def __iter__(self) -> Iterator[Any]:
        for message in super().__iter__():
            self._check(message)
            yield message


checks = SocketChecks()


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known, and check every socket from now on."""
    config.addinivalue_line("markers", f"{MARK}: sockets that the test left open do not fail it")
    checks.install()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    """Start checking the sockets of a test, those of its fixtures included."""
    checks.start_test()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
    """Do not check sockets of fixtures that live longer than one test."""
    if fixturedef.scope == "function":
        return (yield)
    before, checks.paused = checks.paused, True
    try:
        return (yield)
    finally:
        checks.paused = before


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    """Check the sockets of a test after its fixtures."""
    result = yield
    checks.finish_test(may_stay_open=item.get_closest_marker(MARK) is not None)
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
