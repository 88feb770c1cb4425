"""The streams of a socket as users hold them, each made when somebody first asks for it."""

from __future__ import annotations

from typing import Any

from rxsocket.auth.credentials import Credential
from rxsocket.events import Closed, Event, Opened, Problem
from rxsocket.lazy import lazy
from rxsocket.publishing.feeds import Feeds
from rxsocket.states import State
from rxsocket.streams.held import Session
from rxsocket.streams.stream import Stream, ValueStream

__all__ = ["Shelf"]


class Shelf:
    """What ``Socket`` shows of its feeds, stream by stream.

    Args:
        feeds: Where the values come from.
    """

    def __init__(self, feeds: Feeds) -> None:
        self._feeds = feeds

    @lazy
    def events(self) -> Stream[Event]:
        """See ``Socket.events``."""
        return Stream(self._feeds.events)

    @lazy
    def opens(self) -> Stream[Opened]:
        """See ``Socket.opens``."""
        return Stream(self._feeds.opens)

    @lazy
    def closes(self) -> Stream[Closed]:
        """See ``Socket.closes``."""
        return Stream(self._feeds.closes)

    @lazy
    def messages(self) -> Stream[Any]:
        """See ``Socket.messages``."""
        return Stream(self._feeds.messages)

    @lazy
    def batches(self) -> Stream[list[Any]]:
        """See ``Socket.batches``."""
        return Stream(self._feeds.batches)

    @lazy
    def sessions(self) -> Stream[Session[Any]]:
        """See ``Socket.sessions``."""
        return Stream(self._feeds.sessions)

    @lazy
    def errors(self) -> Stream[Problem]:
        """See ``Socket.errors``."""
        return Stream(self._feeds.errors)

    @lazy
    def state(self) -> ValueStream[State]:
        """See ``Socket.state``."""
        return ValueStream(self._feeds.state)

    @lazy
    def latency(self) -> ValueStream[float | None]:
        """See ``Socket.latency``."""
        return ValueStream(self._feeds.latency)

    @lazy
    def auth(self) -> ValueStream[Credential]:
        """See ``Socket.auth``."""
        return ValueStream(self._feeds.auth)
