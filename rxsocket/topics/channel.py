"""Channels: messages that a server sends because it was asked to, by message (C22)."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from reactivex import abc

from rxsocket.runtime.home import Home
from rxsocket.streams.feed import Feed, Report
from rxsocket.streams.stream import Stream
from rxsocket.topics.subscription import Subscription

__all__ = ["Channel", "ChannelFeed"]


class ChannelFeed(Feed[Any]):
    """The observers of one channel, and what it is.

    Attributes:
        match: Whether a message is of this channel, when there is no key.
        by: What a message's key is.
        key: The key of this channel's messages.
        subscription: What is asked of the server.
    """

    __slots__ = ("by", "key", "match", "subscription")

    def __init__(
        self,
        name: str,
        home: Home,
        report: Report,
        join: Callable[[ChannelFeed], abc.DisposableBase],
        subscription: Subscription,
        match: Callable[[Any], object] | None,
        by: Callable[[Any], Any],
        key: Hashable,
    ) -> None:
        super().__init__(f"channel {name}", home, report, lambda: join(self))
        self.subscription = subscription
        self.match = match
        self.by = by
        self.key = key


class Channel(Stream[Any]):
    """The messages of one subscription; ``socket.channel``.

    Its first subscriber asks for it, its last one that leaves ends it, and each reconnect asks for
    it again, before anything that was queued is sent (C19).

    ::

        connection    o-----------------x   o-------------
        subscribers   --1--2------------------------0
        on the wire   --S-----------------  S-------U
        messages      ----a--b--other-----  --c------
        channel       ----a--b------------  --c------
    """
