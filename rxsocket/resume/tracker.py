"""Follows the place of each message of a socket (C38)."""

from __future__ import annotations

from typing import Any

from rxsocket.events import Missed
from rxsocket.hooks import Hooks
from rxsocket.publishing.publisher import Publisher
from rxsocket.resume.cursor import Cursor, check_place
from rxsocket.resume.position import Position
from rxsocket.runtime.loop import SocketLoop
from rxsocket.streams.multicast import Hub, ValueHub


class CursorTracker:
    """The newest place in the stream of one socket: what ``socket.cursor`` is.

    It only looks: it does not connect, and what is held for the first subscriber stays so (C4). It
    has a message before any stream does, so whoever gets one finds its place there; who gets a
    batch finds that of the last one in it.

    Args:
        loop: Where the socket lives.
        publisher: What feeds its streams.
        hooks: What gives the newest place to whatever is made for the next connection.
        cursor: What the places are; ``None`` for a socket without them, whose place is ``None``.

    Attributes:
        hub: The newest place.
    """

    def __init__(
        self, loop: SocketLoop, publisher: Publisher, hooks: Hooks, cursor: Cursor | None
    ) -> None:
        self._loop = loop
        self._publisher = publisher
        self._position = Position(None if cursor is None else cursor.start)
        self._reported_in: int | None = None
        self.hub: ValueHub[Any] = ValueHub("cursor", loop, publisher.report, self._position.newest)
        publisher.cursor = self.hub
        if cursor is None:
            return
        self._function, self._gaps = cursor.function, cursor.gaps
        self._place_of = cursor.place_of
        if cursor.place_of is not None:
            self._function = self._of_event
            hooks.on_place = self._on_place
        hooks.cursor = self._newest
        hooks.before_identity_change = (*hooks.before_identity_change, self._forget)
        publisher.before = Hub("messages", loop, publisher.report)
        publisher.before.passive(audience=False).subscribe(self._on_message)

    def _newest(self) -> Any:
        return self.hub.value

    def _on_message(self, message: Any) -> None:
        epoch = self._publisher.delivering_epoch
        try:
            place = self._function(message)
            if place is None:
                return
            if type(place) is not int:  # which needs no check
                check_place("cursor", place)
            is_news = place != self._position.newest
            missing = self._position.move(place, epoch)
        except BaseException as error:
            self._report(error, epoch)
            return
        if is_news:
            self.hub.value = place
            if self.hub.observed:
                self.hub.emit(place)
        if missing is not None and self._gaps and epoch is not None:
            first, last = missing
            at = self._loop.wall_time()
            self._publisher.publish(Missed(epoch=epoch, first=first, last=last, at=at))

    def _of_event(self, message: Any) -> Any:
        """The place of the event that a message came as, whatever a codec made of it (C50)."""
        return self._place(getattr(self._publisher.source, "id", ""))

    def _place(self, id: str) -> Any:
        return None if self._place_of is None else self._place_of(id)

    def _on_place(self, id: str) -> None:
        """An event without data has moved the id, or taken it away."""
        place = self._place(id)
        if place is None:
            self._position = Position()
        else:
            self._position.move(place, self._publisher.delivering_epoch)
        with self._loop.turn():
            self.hub.emit(place)

    def _report(self, error: BaseException, epoch: int | None) -> None:
        """Say that the user's function raised: once for each connection, as each message may."""
        if epoch == self._reported_in:
            self._loop.exit_later(error)
            return
        self._reported_in = epoch
        name = getattr(self._function, "__qualname__", type(self._function).__name__)
        self._publisher.report(name, "cursor", error, detached=False)

    def _forget(self) -> None:
        """The credential is another identity's: so is the stream from here on (C14)."""
        self._position = Position()
        if self.hub.value is not None:
            with self._loop.turn():
                self.hub.emit(None)
