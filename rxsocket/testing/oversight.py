"""What holds for every test with sockets: the grammar of events (C2), and none left open (C26)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from rxsocket.engine.engine import Engine
from rxsocket.events import Event, Message
from rxsocket.publishing.publisher import Publisher
from rxsocket.testing.grammar import Grammar

__all__ = ["Oversight", "oversight"]


class Oversight:
    """Watches the sockets that are made while a test runs.

    Attributes:
        paused: Whether those that are made now live longer than the test.
    """

    def __init__(self) -> None:
        self.paused = False
        self._engines: list[Engine] = []
        self._grammars: dict[Publisher, Grammar] = {}
        self._broken: list[AssertionError] = []
        self._installed = False

    def install(self) -> None:
        """Look over every socket from now on; a second time does nothing."""
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
            self._check(publisher, event)
            publish(publisher, event, *rest, **more)

        def watched_deliver(
            publisher: Publisher, batch: list[Any], *rest: Any, **more: Any
        ) -> None:
            if publisher in self._grammars:
                batch = _Looked(batch, partial(self._message, publisher))
            deliver(publisher, batch, *rest, **more)

        replaced: tuple[tuple[type[Any], str, Any], ...] = (
            (Engine, "__init__", watched_init),
            (Publisher, "publish", watched_publish),
            (Publisher, "deliver", watched_deliver),
        )
        for owner, name, function in replaced:
            setattr(owner, name, function)

    def begin(self) -> None:
        """A test begins."""
        self._engines.clear()
        self._grammars.clear()
        self._broken.clear()

    def end(self, *, may_stay_open: bool = False) -> None:
        """A test is over: close what it left open.

        Raises:
            AssertionError: If a socket was left open, or its events broke the grammar.
        """
        engines, grammars, broken = list(self._engines), dict(self._grammars), list(self._broken)
        self.begin()
        left = [engine for engine in engines if _runs(engine)]
        for engine in left:
            if not engine.home.loop.is_closed():
                engine.close()
        if broken:
            raise broken[0]
        if left and not may_stay_open:
            shown = ", ".join(engine.plan.label for engine in left)
            raise AssertionError(f"left open: {shown}; close() the socket, or use it in a with")
        for engine in engines:
            if engine not in left:
                grammars[engine.publisher].done()

    def _message(self, publisher: Publisher, data: Any) -> None:
        epoch: int = publisher._epoch  # pyright: ignore[reportPrivateUsage]
        self._check(publisher, Message(epoch=epoch, data=data))

    def _check(self, publisher: Publisher, event: Event) -> None:
        grammar = self._grammars.get(publisher)
        if grammar is None:
            return
        try:
            grammar.check(event)
        except AssertionError as error:
            self._broken.append(error)


class _Looked(list[Any]):
    """Messages of one read; each is looked at when it is taken to be delivered."""

    def __init__(self, batch: list[Any], look: Callable[[Any], None]) -> None:
        super().__init__(batch)
        self._look = look

    def __iter__(self) -> Iterator[Any]:
        for message in super().__iter__():
            self._look(message)
            yield message


def _runs(engine: Engine) -> bool:
    # Held from another thread, it may not have begun to run.
    return engine.memory.running or engine._holds.held  # pyright: ignore[reportPrivateUsage]


oversight = Oversight()
"""The one of this process."""
