"""A socket that speaks a protocol: how it is made, and what is said on its link alone (C48).

A protocol is a function that makes the socket, or takes one that was made for it, and an object
whose methods give Observables::

    graphql("wss://example.com/graphql", auth=token)       # makes the socket
    graphql(Socket(url, **graphql_options(auth=token)))    # takes one

What it does on the link itself is here, around the transport: whether the server chose the
subprotocol, and answers that belong to one connection, such as the pong to a ping.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypeAlias

from reactivex import Observable, abc

from rxsocket.errors import ConnectionLost, HandshakeError
from rxsocket.policy.verdicts import FAIL_AT_FIRST, Verdicts
from rxsocket.protocols.link_observer import LinkObserver, observed
from rxsocket.socket import Socket
from rxsocket.transports.base import Link, Request, Signal, Transport
from rxsocket.transports.names import TransportName, transport_for

Reply: TypeAlias = Callable[[str | bytes], str | bytes | None]
"""Given a message as it came, what to answer at once over the same connection; or ``None``."""

WAITING = 64
"""Answers that may wait for a peer that does not read; of more, the newest are kept."""


class SubprotocolNotChosen(HandshakeError):
    """The server opened the WebSocket, but does not speak the subprotocol (RFC 6455, 4.2.2).

    Attributes:
        subprotocol: What was asked for.
        chosen: What the server chose instead, if anything.
    """

    def __init__(self, subprotocol: str, chosen: str | None, hint: str) -> None:
        how = "without a subprotocol" if chosen is None else f"with the subprotocol {chosen!r}"
        super().__init__(
            f"the server does not speak {subprotocol!r}: it opened the WebSocket {how}; {hint}"
        )
        self.subprotocol = subprotocol
        self.chosen = chosen


def judging(table: Verdicts) -> Verdicts:
    """A verdict table in which a server that does not speak the subprotocol ends the socket.

    Once a connection of a run was stable, it is tried again, as with whatever cannot succeed (C16).
    """
    return table.override({SubprotocolNotChosen: FAIL_AT_FIRST})


class SpeakingTransport:
    """A transport whose links speak a protocol; around the one that moves the bytes.

    Args:
        transport: That one: its name, or a function.
        protocol: The name of the protocol.
        subprotocol: What the server has to choose, or the attempt has failed; ``None`` for
            anything.
        hint: What to do if it does not, for the error.
        reply: Gives what is answered to a message at once, on each connection, whether it delivers
            yet or not.

    Attributes:
        protocol: The name of the protocol.
        wraps: The transport around which it is.
        on_answered: Called with each answer that was written; see :func:`count_answers`.

    Raises:
        ValueError: If that cannot send.
    """

    def __init__(
        self,
        transport: TransportName | Transport,
        protocol: str,
        *,
        subprotocol: str | None = None,
        hint: str = "",
        reply: Reply | None = None,
    ) -> None:
        name: object = transport
        if name == "sse":
            raise ValueError(f"transport: 'sse' only receives; {protocol} takes a WebSocket")
        self.wraps = transport
        self.protocol = protocol
        self.subprotocol = subprotocol
        self.hint = hint
        self.reply = reply
        self.on_answered: Callable[[str | bytes], None] | None = None
        self._dial = transport_for(transport)

    def __call__(self, request: Request) -> Observable[Signal]:
        """One connection, cold."""
        return observed(self._dial(request), lambda observer: _Speaker(self, observer))


class _Speaker(LinkObserver):
    """One link: it checks its subprotocol, and answers what is to be answered on it."""

    def __init__(self, speaking: SpeakingTransport, observer: abc.ObserverBase[Signal]) -> None:
        super().__init__(observer)
        self._speaking = speaking
        self._link: Link | None = None
        self._waiting: deque[str | bytes] = deque(maxlen=WAITING)
        self._draining: asyncio.Task[None] | None = None

    def on_next(self, value: Signal) -> None:
        if self._is_stopped:
            return
        if self._link is None:
            self._begin(value)
            return
        reply = self._speaking.reply
        if reply is not None and isinstance(value, (list, str, bytes)):
            messages = value if isinstance(value, list) else [value]
            self._write([said for said in map(reply, messages) if said is not None])
        self._observer.on_next(value)

    def stop(self) -> None:
        """Answer and pass on nothing more."""
        super().stop()
        if self._draining is not None:
            self._draining.cancel()

    def _begin(self, value: Any) -> None:
        link: Link = value
        wanted, chosen = self._speaking.subprotocol, link.subprotocol
        if wanted in (None, chosen):
            self._link = link
            self._observer.on_next(link)
            return
        self._is_stopped = True
        link.close(1002, "subprotocol not chosen")
        link.abort()  # nobody else knows of it
        self._observer.on_error(SubprotocolNotChosen(str(wanted), chosen, self._speaking.hint))

    def _write(self, replies: list[str | bytes]) -> None:
        if not replies or self._link is None:
            return
        if self._draining is not None:
            self._waiting.extend(replies)
            return
        with suppress(ConnectionLost):  # the transport is about to say how it ended
            if not self._write_now(self._link, replies):
                drain = self._drain(self._link)
                self._draining = asyncio.get_running_loop().create_task(drain)

    async def _drain(self, link: Link) -> None:
        with suppress(ConnectionLost):
            await link.drain()
            while self._waiting:
                replies = [*self._waiting]
                self._waiting.clear()
                if not self._write_now(link, replies):
                    await link.drain()
        self._draining = None

    def _write_now(self, link: Link, replies: list[str | bytes]) -> bool:
        has_room, on_answered = link.write(replies), self._speaking.on_answered
        if on_answered is not None:
            for reply in replies:
                on_answered(reply)
        return has_room


def count_answers(socket: Socket[Any, Any]) -> None:
    """Count in ``socket.stats`` what is answered on its links, as what it sends is (C45)."""
    engine = socket._engine  # pyright: ignore[reportPrivateUsage]
    speaking: Any = engine.options.transport
    speaking.on_answered = engine.publisher.on_sent


def made_for(
    socket: Socket[Any, Any], protocol: str, function: str, given: Mapping[str, object]
) -> Socket[Any, Any]:
    """Check a socket that a protocol is given.

    Args:
        socket: The socket.
        protocol: The name of the protocol.
        function: The function that was called, as in ``"graphql"``.
        given: What it was given besides.

    Raises:
        TypeError: If there is an argument that is one of the socket's.
        ValueError: If the socket was not made for it; the text says how that is done.
    """
    for name in given:
        raise TypeError(
            f"{function}({name}): goes with an address; a socket is made with it: "
            f"Socket(url, **{function}_options({name}=...))"
        )
    transport = socket._engine.options.transport  # pyright: ignore[reportPrivateUsage]
    if getattr(transport, "protocol", None) != protocol:
        raise ValueError(
            f"{function}(socket): this one was not made for {protocol}: pass its address instead, "
            f"as in {function}(url, auth=...), or make it with Socket(url, "
            f"**{function}_options(auth=...))"
        )
    return socket
