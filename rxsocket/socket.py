"""The socket: an auth subject, switch-mapped into connections, shared as streams.

The whole shape is in :meth:`Socket._connections`; the rest of this file are doors to the rooms that
own what is behind them.
"""

from __future__ import annotations

import asyncio
import ssl as ssl_module
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

import reactivex
from reactivex import Observable, abc
from reactivex import operators as ops

from rxsocket.address import Address
from rxsocket.arguments import (
    callback,
    code_to_send,
    function,
    instance,
    reason_to_send,
    seconds,
    seconds_or_none,
)
from rxsocket.auth.carriers import Carrier, query
from rxsocket.auth.changes import AuthChange
from rxsocket.auth.credentials import ANONYMOUS, AuthValue, Credential
from rxsocket.auth.keyring import Claim
from rxsocket.auth.leases import Lease, leases
from rxsocket.engine import Engine
from rxsocket.events import Closed, Ended, Event, Opened, Problem, State
from rxsocket.held import Session
from rxsocket.options import USER_AGENT, Headers, connection_options
from rxsocket.plan import Plan
from rxsocket.policy.backoff import Backoff
from rxsocket.policy.verdicts import Judge, standard
from rxsocket.receipts import Receipt
from rxsocket.runtime import Home
from rxsocket.sending.outbox import Sent
from rxsocket.streams import Stream, ValueStream
from rxsocket.supervisor import supervised
from rxsocket.transports.seam import Transport
from rxsocket.transports.websockets import websockets_transport

__all__ = ["Socket"]

Auth: TypeAlias = AuthValue | Observable[Any] | Callable[..., Any] | None
Callback: TypeAlias = Callable[[], Any] | Callable[[Any], Any]


class Socket:
    """A WebSocket whose connection follows its credential.

    Making one starts nothing. Subscribing to ``messages``, ``opens``, ``closes``, ``sessions`` or
    ``events`` connects, and so do a callback, ``connect()`` and ``with``; all share one connection.
    When the last of them leaves it is closed with 1000 (C1). Lost links, refused handshakes and bad
    messages are values: the streams outlive them (C3).

    ::

        auth        A---------------------B-------------
        connection  --o===================x-o===========
        opens       --o---------------------o-----------
        closes      ----------------------x-------------
        messages    -----1--2-----3-----------4--5------

    Observers are called on the loop that runs where the socket is first used, else on a background
    thread (C24). Every method may be called from any thread (C25).

    Args:
        url: Address, ``ws://`` or ``wss://``.
        auth: A mapping or a string; an Observable of these; or a function, sync or async, that is
            asked before each attempt. ``None`` means logged out. Left out: no credential (C11).
        carrier: How the credential goes on a connection: ``query()`` or ``header()``.
        transport: What moves the bytes; see ``rxsocket.transports.seam``. Default: ``websockets``.
        verdicts: What follows an end: a function from ``End`` to ``Verdict``; default
            ``standard()``.
        backoff: How long to wait between attempts.
        stable_after: Seconds after which an open connection counts as a success (C15).
        rejected: Given a message that came within ``stable_after`` of the opening, whether it says
            that the credential was refused. Such a message is not delivered (C9).
        clean_close: What the peer's 1000 means: ``"complete"``, or ``"reconnect"`` for a feed that
            closes so but goes on.
        auth_timeout: Seconds that a provider may take; ``None`` for as long as it likes.
        linger: Seconds to stay connected after the last subscriber left.
        loop: The asyncio loop to live on, instead of the one chosen.
        ssl: TLS settings for ``wss://``; ``None`` for the default ones.
        proxy: Address of a proxy; ``True`` takes it from the environment, ``None`` uses none.
        additional_headers: Headers to send with each handshake.
        subprotocols: Subprotocols to offer, in order of preference.
        compression: ``"deflate"``, or ``None`` for none.
        max_size: Largest message in bytes that is accepted; a larger one is a FAIL with 1009.
        open_timeout: Seconds that a handshake may take, name look-up and redirects included.
        ping_interval: Seconds between keepalive pings; ``None`` for none.
        ping_timeout: Seconds to wait for a pong before the link counts as lost.
        close_timeout: Seconds that closing may take in the background.
        origin: ``Origin`` header, for servers that ask for one.
        user_agent_header: ``User-Agent`` header; ``None`` for none.

    Raises:
        TypeError: If an argument is of a wrong type.
        ValueError: If an argument cannot be used; the text names it and says what to pass.

    Examples:
        >>> socket = Socket("wss://example.com/feed", auth={"token": "initial"})
        >>> socket.messages.subscribe(print)
        >>> socket.set_auth({"token": "updated"})
        >>> socket.wait()
    """

    def __init__(
        self,
        url: str,
        *,
        auth: Auth | Credential = ANONYMOUS,
        carrier: Carrier | None = None,
        transport: Transport | None = None,
        verdicts: Judge | None = None,
        backoff: Backoff | None = None,
        stable_after: float = 5.0,
        rejected: Callable[[str | bytes], object] | None = None,
        clean_close: Literal["complete", "reconnect"] = "complete",
        auth_timeout: float | None = 10.0,
        linger: float = 0.0,
        loop: asyncio.AbstractEventLoop | None = None,
        ssl: ssl_module.SSLContext | None = None,
        proxy: str | Literal[True] | None = True,
        additional_headers: Headers | None = None,
        subprotocols: Sequence[str] | None = None,
        compression: Literal["deflate"] | None = "deflate",
        max_size: int | None = 2**20,
        open_timeout: float | None = 10.0,
        ping_interval: float | None = 20.0,
        ping_timeout: float | None = 20.0,
        close_timeout: float = 2.0,
        origin: str | None = None,
        user_agent_header: str | None = USER_AGENT,
    ) -> None:
        address = Address.parse(url)
        options = connection_options(
            address,
            ssl=ssl,
            proxy=proxy,
            additional_headers=additional_headers,
            subprotocols=subprotocols,
            compression=compression,
            max_size=max_size,
            open_timeout=open_timeout,
            close_timeout=close_timeout,
            origin=origin,
            user_agent_header=user_agent_header,
        )
        if clean_close not in ("complete", "reconnect"):
            raise ValueError(f"clean_close: pass 'complete' or 'reconnect', not {clean_close!r}")
        plan = Plan(
            address=address,
            carrier=query() if carrier is None else function("carrier", carrier),
            transport=websockets_transport
            if transport is None
            else function("transport", transport),
            options=options,
            verdicts=standard() if verdicts is None else function("verdicts", verdicts),
            backoff=backoff or Backoff(),
            stable_after=seconds("stable_after", stable_after),
            rejected=None if rejected is None else function("rejected", rejected),
            clean_close=clean_close,
            auth_timeout=seconds_or_none("auth_timeout", auth_timeout),
            linger=seconds("linger", linger),
            ping_interval=seconds_or_none("ping_interval", ping_interval),
            ping_timeout=seconds_or_none("ping_timeout", ping_timeout),
        )
        if backoff is not None:
            instance("backoff", backoff, Backoff, "a Backoff such as Backoff(cap=60)")
        if loop is not None and not isinstance(loop, asyncio.AbstractEventLoop):
            raise TypeError(f"loop: pass an asyncio event loop, not {type(loop).__name__}")
        self._engine = Engine(plan, Home(loop), auth, self._connections)
        self._publisher = self._engine.publisher

    def _connections(self) -> Observable[Event]:
        """The heart: every change of the credential is switch-mapped into fresh connections.

        ::

            auth         A---------B------------
            leases       A---------B------------      with reconnect(), each credential is a lease
            switch       co-mm-mm-xco-mm-mm-mm--      c Connecting, o Opened, x Closed
        """
        engine = self._engine
        changed = engine.auth.pipe(ops.distinct_until_changed())  # C6
        again = engine.again.pipe(ops.map(lambda _: engine.auth.value))  # reconnect()
        return reactivex.merge(changed, again).pipe(
            leases(engine.keeps),  # C13
            ops.map(self._supervised),
            ops.switch_latest(),
            ops.take_while(_goes_on, inclusive=True),
        )

    def _supervised(self, lease: Lease[Claim]) -> Observable[Event]:
        return supervised(lease, self._engine)

    # --- streams

    @property
    def events(self) -> Stream[Event]:
        """Everything that happens, as typed values (C2)."""
        return self._publisher.events

    @property
    def opens(self) -> Stream[Opened]:
        """One ``Opened`` for each connection."""
        return self._publisher.opens

    @property
    def closes(self) -> Stream[Closed]:
        """One ``Closed`` for each ``Opened``."""
        return self._publisher.closes

    @property
    def messages(self) -> Stream[Any]:
        """The payload of every message: ``str`` for text, ``bytes`` for binary.

        The first ones of a connection are held until somebody subscribes: 256 messages, 1 MiB or 5
        s at most (C4).
        """
        return self._publisher.messages

    @property
    def batches(self) -> Stream[list[Any]]:
        """The same payloads as ``messages``, in one list for each read from the network.

        For pipelines that work on many messages at once. A list is never empty; those of one read
        are of one connection. It comes before its messages come to ``messages``, and all observers
        of ``batches`` share it. What was held comes as one list (C4).

        ::

            network   [a b c]-------[d]-------[e f]--
            messages  -a-b-c---------d---------e-f---
            batches   [a,b,c]-------[d]-------[e,f]--

        Examples:
            >>> socket.batches.subscribe(lambda rows: table.insert_many(map(json.loads, rows)))
        """
        return self._publisher.batches

    @property
    def sessions(self) -> Stream[Session[Any]]:
        """For each connection one Observable of its messages, which completes when it closed.

        ::

            sessions  --+---------------+--------
                        '--1--2--3|     '--4--5--
        """
        return self._publisher.sessions

    @property
    def errors(self) -> Stream[Problem]:
        """What went wrong without ending a stream. Subscribing does not connect."""
        return self._publisher.errors

    @property
    def state(self) -> ValueStream[State]:
        """What the socket is doing: now, then each change. Subscribing does not connect."""
        return self._publisher.state

    @property
    def auth(self) -> ValueStream[Credential]:
        """The credential in use, masked: now, then each change. Subscribing does not connect."""
        return self._publisher.auth

    def on_open(self, function: Callback) -> abc.DisposableBase:
        """Call back at each open, with the ``Opened`` event or without argument."""
        return self._on(self.opens, "on_open", function)

    def on_close(self, function: Callback) -> abc.DisposableBase:
        """Call back at each close, with the ``Closed`` event or without argument."""
        return self._on(self.closes, "on_close", function)

    def on_message(self, function: Callback) -> abc.DisposableBase:
        """Call back for each message, with its payload or without argument."""
        return self._on(self.messages, "on_message", function)

    def on_error(self, function: Callback) -> abc.DisposableBase:
        """Call back for each problem, with its event or without argument. Does not connect."""
        return self._on(self.errors, "on_error", function)

    # --- doing

    def set_auth(self, value: AuthValue | None) -> Receipt[AuthChange]:
        """Change the credential: the connection follows it (C5 to C8).

        An open connection is closed at once and a new one is made with the new credential. An equal
        value changes nothing. ``None`` logs out: the socket closes and awaits the next credential.
        On a socket that is not running the value is stored for its next start.

        Returns:
            The outcome, to await, subscribe to or block on: ``InEffect``, ``Refused``,
            ``Overtaken`` or ``Stored``.

        Raises:
            TypeError: If the value is no credential.
            ValueError: If it cannot be carried.
        """
        return self._engine.set_auth(value)

    def send(self, data: str | bytes) -> Receipt[Sent]:
        """Send a message over the open connection.

        Returns:
            A receipt: ``Sent`` with the epoch, or the ``SocketError`` that says why it was not
            sent.

        Raises:
            TypeError: If it is neither ``str`` nor ``bytes``.
        """
        return self._engine.send(data)

    def connect(self) -> abc.DisposableBase:
        """Connect and stay connected until the returned Disposable is disposed."""
        return self._engine.hold()

    def reconnect(self) -> None:
        """Make a new connection now; a refused credential may be tried again (C9)."""
        self._engine.reconnect()

    def close(self, code: int = 1000, reason: str = "") -> Receipt[None]:
        """Close the connection and complete every stream. Calling it twice does no harm.

        Args:
            code: Close code to send, 1000 or 3000 to 4999.
            reason: Text to send, at most 123 bytes.

        Returns:
            A receipt that settles when nothing is left, within ``close_timeout`` seconds (C26).

        Raises:
            ValueError: If the code may not be sent, or the reason is too long.
        """
        return self._engine.close(code_to_send("code", code), reason_to_send("reason", reason))

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the socket has ended or nobody is subscribed any more. For plain scripts.

        Ctrl-C closes the socket and is raised again.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            Whether it ended; ``False`` when the time was up.

        Raises:
            SocketFailed: If it ended with a failure.
            RuntimeError: If nothing was started, or on the socket's own loop, which it would block.
        """
        return self._engine.wait(seconds_or_none("timeout", timeout))

    async def wait_closed(self) -> None:
        """Return when the socket has ended, in a coroutine.

        Raises:
            SocketFailed: If it ended with a failure.
        """
        await self._engine.wait_closed()

    def __enter__(self) -> Self:
        self._engine.hold()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._engine.leave(hurry=exc_type is not None)

    async def __aenter__(self) -> Self:
        self._engine.hold()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._engine.closed(hurry=exc_type is not None)

    def __repr__(self) -> str:
        return f"<Socket {self._engine.plan.address.shown}: {self.state.value.value}>"

    def _on(self, stream: Stream[Any], name: str, function: Callback) -> abc.DisposableBase:
        # That a stream failed for good is in the log already; a callback has no place for it.
        return stream.subscribe(callback(f"{name}(function)", function), on_error=lambda _: None)


def _goes_on(event: Event) -> bool:
    return not isinstance(event, Ended)
