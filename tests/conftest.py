"""What holds for every test: the grammar of events (C2), and nothing left behind (C26)."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from rxsocket.engine import Engine
from rxsocket.events import Event, Message
from rxsocket.publisher import Publisher
from rxsocket.testing import Grammar, VirtualClock, clock


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="also run what is marked slow")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--full"):
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]


@pytest.fixture
def virtual() -> Iterator[VirtualClock]:
    """Virtual time; at the end nothing may be scheduled on it any more."""
    with clock() as time:
        yield time
        time.advance(0)
        assert not time.tasks, f"tasks left: {time.tasks}"
        assert time.pending == 0, f"{time.pending} timers left"


@pytest.fixture(autouse=True)
def grammar(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The events of every socket keep to the grammar (C2)."""
    grammars: dict[Publisher, Grammar] = {}
    broken: list[BaseException] = []
    publish, deliver = Publisher.publish, Publisher.deliver

    def check(publisher: Publisher, event: Event) -> None:
        try:
            grammars.setdefault(publisher, Grammar()).check(event)
        except AssertionError as error:
            broken.append(error)

    def checked_publish(self: Publisher, event: Event) -> None:
        check(self, event)
        publish(self, event)

    class Checked(list[Any]):
        """Messages, each of which is checked when it is taken to be delivered."""

        def __init__(self, publisher: Publisher, batch: list[Any]) -> None:
            super().__init__(batch)
            self._publisher = publisher

        def __iter__(self) -> Iterator[Any]:
            for data in super().__iter__():
                check(self._publisher, Message(epoch=self._publisher._epoch, data=data))
                yield data

    def checked_deliver(self: Publisher, batch: list[Any]) -> None:
        deliver(self, Checked(self, batch))

    monkeypatch.setattr(Publisher, "publish", checked_publish)
    monkeypatch.setattr(Publisher, "deliver", checked_deliver)
    yield
    if broken:
        raise broken[0]
    for grammar in grammars.values():
        grammar.done()


@pytest.fixture(autouse=True)
def nothing_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No socket is left open, and no thread or file descriptor is left of it (C26)."""
    engines: list[Engine] = []
    made = Engine.__init__

    def noted(self: Engine, *arguments: Any, **options: Any) -> None:
        made(self, *arguments, **options)
        engines.append(self)

    monkeypatch.setattr(Engine, "__init__", noted)
    threads, files = set(threading.enumerate()), _open_sockets()
    yield
    running = [engine for engine in engines if engine._running is not None]
    for engine in running:
        if not engine.home.loop.is_closed():
            engine.close()
    for thread in set(threading.enumerate()) - threads:
        thread.join(timeout=3.0)
    left = [thread for thread in set(threading.enumerate()) - threads if thread.is_alive()]
    assert not running, f"sockets left open: {[engine.plan.address.shown for engine in running]}"
    assert not left, f"threads left: {left}"
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
