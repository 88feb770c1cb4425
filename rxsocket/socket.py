"""The socket: an auth subject, switch-mapped into connections, shared as streams.

:meth:`Socket._connections` is the library in four lines. The other methods check their arguments,
and call the part that owns the matter: the engine, the topics, the channels, the requests.
"""

from __future__ import annotations

import asyncio
import ssl as ssl_module
import sys
import weakref
from collections.abc import Callable, Hashable, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, TypeAlias, overload

from reactivex import Observable, abc
from reactivex.disposable import Disposable

from rxsocket.auth.carrier import AnyCarrier
from rxsocket.auth.credentials import ANONYMOUS, AuthValue, Credential, Identity, Ticket
from rxsocket.auth.groups import CredentialGroup, group_renewals
from rxsocket.auth.outcomes import AuthChange
from rxsocket.auth.strategies import Strategy
from rxsocket.codecs import Codec
from rxsocket.endpoint.endpoint import AddressSource, Endpoint
from rxsocket.engine.auth import AuthUpdate
from rxsocket.engine.engine import Engine
from rxsocket.engine.opening import Opening
from rxsocket.engine.options import Headers, SocketOptions
from rxsocket.engine.receiving import check_can_send
from rxsocket.errors import SocketFailed
from rxsocket.events import Closed, Event, Opened, Problem
from rxsocket.explain.explanation import Explanation, explain
from rxsocket.limits import Limits
from rxsocket.liveness.heartbeat import Heartbeat
from rxsocket.liveness.stability import StableAfter
from rxsocket.policy.backoff import Backoff
from rxsocket.policy.verdicts import Judge
from rxsocket.resume.cursor import Cursor
from rxsocket.resume.tracker import CursorTracker
from rxsocket.runtime.cells import adopt
from rxsocket.runtime.direct import switch_map
from rxsocket.runtime.loop import SocketLoop
from rxsocket.runtime.scheduler import LoopScheduler
from rxsocket.sending.interceptors import Interceptor, Interceptors, Outgoing
from rxsocket.sending.outbox import Sent
from rxsocket.sending.payload import Sendable
from rxsocket.session.gate import gated
from rxsocket.session.supervisor import session
from rxsocket.state import State
from rxsocket.stats import Stats, stats_of
from rxsocket.streams.receipts import Receipt
from rxsocket.streams.replay import Session
from rxsocket.streams.stream import Stream, ValueStream
from rxsocket.topics.asking import ChannelOptions, ManyOptions, keys_of
from rxsocket.topics.channels import Channel, ChannelRoutes, Channels
from rxsocket.topics.listeners import EventEnvelope, Listener, Topics
from rxsocket.topics.requests import Answers, Requests
from rxsocket.topics.subscriptions import Answer
from rxsocket.topics.topic import Emitter, Envelope, envelope_or_default
from rxsocket.transports.base import Transport
from rxsocket.transports.names import TransportName
from rxsocket.validation import (
    callback,
    code_to_send,
    reason_to_send,
    seconds_or_none,
)
from rxsocket.version import USER_AGENT

if sys.version_info >= (3, 13):
    from typing import TypeVar
else:
    from typing_extensions import TypeVar
if TYPE_CHECKING:
    from typing_extensions import TypeForm

T = TypeVar("T", default=str | bytes)
S = TypeVar("S", default=T)
P = TypeVar("P")
F = TypeVar("F", default=Any)
"""With a default: a type checker that cannot tell has ``Any``."""

Auth: TypeAlias = AuthValue | Observable[Any] | Callable[..., Any] | None


class Socket(Generic[T, S]):
    """A WebSocket whose connection follows its credential.

    Making one starts nothing. Subscribing to ``messages``, ``opens``, ``closes``, ``sessions`` or
    ``events`` connects, and so do a callback, ``connect()`` and ``with``; all share one connection.
    When the last of them leaves it is closed with 1000 (rule C1, lazy and shared). Lost links,
    refused handshakes and bad messages are values: the streams outlive them (rule C3, ends).

    ::

        auth        A---------------------B-------------
        connection  --o===================x-o===========
        opens       --o---------------------o-----------
        closes      ----------------------x-------------
        messages    -----1--2-----3-----------4--5------

    Observers are called on the loop that runs where the socket is first used, else on a background
    thread (rule C24, delivery). Every method may be called from any thread (rule C25, any thread).

    The arguments, in five groups: the *credential* (``auth`` to ``auth_timeout``), the *connection*
    (``transport`` to ``user_agent_header``, with the names that ``websockets`` uses), what *follows
    an end* (``verdicts`` to ``clean_close``), *delivery* (``codec`` to ``loop``), and *liveness*
    (``ping_interval`` to ``on_stale``).

    Args:
        url: Address: ``ws://``, ``wss://``, ``unix:/run/feed.sock:/path``, or ``http://`` and
            ``https://`` for server-sent events (rule C50, server-sent events). Or a sequence of
            these, a function that is asked for one before each attempt, an Observable of them, or
            ``endpoint(...)``, which names the hosts that are allowed
            (rule C33, an endpoint for each attempt).
        name: What it is called in its repr, in the log and on its card. In a notebook, a socket
            takes the place of an earlier one of the same name, which is closed.
        auth: A mapping, a string or a ``Ticket``; an Observable of these; a function, sync or
            async, that is asked before each attempt; or ``refreshing(function)``, which other
            sockets may share. ``None`` means logged out. Left out: no credential
            (rule C11, nobody and logged out).
        carrier: How the credential goes on a connection: ``query()``, ``header()``, ``cookie()``,
            ``subprotocol()``, ``first_message()``, ``client_certificate()``, a function of yours,
            or several with ``&``.
        on_auth_change: What a new credential does to an open connection: ``reconnect()``,
            ``handover()`` or ``in_band()`` (rule C13, strategies).
        identity: Who a credential's value is; two that are the same somebody are a renewal
            (rule C14, identity). It is ``""`` of a ``Ticket`` without ``auth``. Left out: JSON Web
            Tokens with the same ``sub`` are, and what ``refreshing()`` renews.
        max_age: Seconds after which a connection is renewed, as ``on_auth_change`` says; for
            servers that cut long ones. A little earlier, so that not all are at once.
        rejected: Given a message that came before the connection was stable, not decoded, whether
            it says that the credential was refused. Such a message is not delivered
            (rule C9, refused credentials are remembered).
        auth_timeout: Seconds that a provider may take; ``None`` for as long as it likes.
        transport: What moves the bytes: ``"websockets"``, ``"picows"`` for speed (it needs ``pip
            install 'rxsocket[fast]'``), ``"sse"`` for server-sent events (``rxsocket[sse]``),
            ``"browser"`` where Python runs in one (rule C57, in the browser), or a function, see
            ``rxsocket.transports.base``. ``"auto"`` is ``"sse"`` where the address begins with
            http, else ``"websockets"``, or in a browser ``"browser"``.
        ssl: TLS settings for ``wss://``; a function that makes them for each attempt; ``None`` for
            the default ones.
        proxy: Address of a proxy; ``True`` takes it from the environment, ``None`` uses none.
        additional_headers: Headers to send with each handshake.
        subprotocols: Subprotocols to offer, in order of preference.
        compression: ``"deflate"``, or ``None`` for none; ``"auto"`` is ``"deflate"`` on a transport
            that can do it, which ``"picows"`` cannot.
        max_size: Largest message in bytes that is accepted; a larger one is a FAIL with 1009.
        open_timeout: Seconds that a handshake may take, name look-up and redirects included.
        close_timeout: Seconds that closing may take in the background.
        origin: ``Origin`` header, for servers that ask for one.
        user_agent_header: ``User-Agent`` header; ``None`` for none.
        verdicts: What follows an end: a function from ``End`` to ``Verdict``; default
            ``standard()``.
        backoff: How long to wait between attempts.
        stable_after: Seconds after which an open connection counts as a success
            (rule C15, backoff); or an Observable whose first value says so, subscribed to at each
            open; or a function from the connection's messages to one, such as
            ``ops.first(is_ready)``.
        max_attempts: Attempts without a stable connection after which the socket ends with
            ``SocketFailed``; ``None`` for no limit (rule C3, ends).
        give_up_after: Seconds of an outage after which no other attempt begins and the socket ends
            with ``SocketFailed``; ``None`` for no limit. Waiting for a credential is no outage.
        clean_close: What the peer's 1000 means: ``"complete"``, or ``"reconnect"`` for a feed that
            closes so but goes on. The 204 of an event stream completes, whatever is said here.
        codec: What makes values of messages and messages of values: ``json_codec()``,
            ``messagepack_codec()``, either with ``type=``, or an object with ``encode`` and
            ``decode``. ``"auto"``, for a feed that you do not know yet: text that is JSON is
            decoded, other text stays ``str`` and binary messages ``bytes``; what is sent is text or
            bytes as they are, and JSON of anything else. Left out: ``str`` for text messages,
            ``bytes`` for binary ones.
        cursor: What the place of a message in its stream is, such as its sequence number: a
            function of the message, or ``cursor(function, start=...)``. The next connection can go
            on from the newest one, and a ``Missed`` says which numbers did not come
            (rule C38, resuming).
        envelope: How a topic and its payload are one message, an object with ``wrap(topic, data)``
            and ``unwrap(message)``. Default: ``{"topic": ..., "data": ...}``.
        queue_for: Seconds that a message may wait for a connection; 0 fails it at once
            (rule C21, while not open).
        limits: How fast the server lets clients send, and how many keys of ``channels`` one message
            may ask for: ``Limits(pace="5/s", batch=200)``. What goes out waits for its turn
            (rule C36, limits of sending). What ``Limits`` says of several sockets is for a
            ``Fleet``, and refused here.
        linger: Seconds to stay connected after the last subscriber left.
        loop: The asyncio loop to live on, instead of the one chosen.
        gate: An Observable of booleans that says whether it may be connected: at ``False`` the
            connection is closed with 1000, at ``True`` the same subscribers are connected again.
            Until its first value it is closed (rule C35, a gate).
        ping_interval: Seconds between keepalive pings; ``None`` for none. An event stream has none:
            after so many seconds of silence, the system asks the peer. A browser has none.
        ping_timeout: Seconds to wait for a pong, or an answer, before the link counts as lost.
        heartbeat: A heartbeat in messages, besides the pings; see ``heartbeat()``.
        stale_after: Seconds without a message after which ``Stale`` is emitted; ``None`` for never.
            Pongs and answers to the heartbeat are no messages here; comments of an event stream
            count as ones.
        on_stale: What follows: ``"event"``, nothing else; or ``"reconnect"``, a new connection.

    Raises:
        TypeError: If an argument is of a wrong type.
        ValueError: If an argument cannot be used; the text names it and says what to pass.
        ImportError: If the library of the transport is not installed.

    Examples:
        >>> socket = Socket("wss://example.com/feed", auth={"token": "initial"})
        >>> socket.messages.subscribe(print)
        >>> socket.set_auth({"token": "updated"})
        >>> socket.wait()
    """

    def __init__(
        self,
        url: AddressSource | Endpoint,
        *,
        name: str | None = None,
        # The credential
        auth: Auth | Credential = ANONYMOUS,
        carrier: AnyCarrier | None = None,
        on_auth_change: Strategy | None = None,
        identity: Identity | None = None,
        max_age: float | None = None,
        rejected: Callable[[str | bytes], object] | None = None,
        auth_timeout: float | None = 10.0,
        # The connection
        transport: TransportName | Transport = "auto",
        ssl: ssl_module.SSLContext | Callable[[], ssl_module.SSLContext] | None = None,
        proxy: str | Literal[True] | None = True,
        additional_headers: Headers | None = None,
        subprotocols: Sequence[str] | None = None,
        compression: Literal["auto", "deflate"] | None = "auto",
        max_size: int | None = 2**20,
        open_timeout: float | None = 10.0,
        close_timeout: float = 2.0,
        origin: str | None = None,
        user_agent_header: str | None = USER_AGENT,
        # What follows an end
        verdicts: Judge | None = None,
        backoff: Backoff | None = None,
        stable_after: StableAfter = 5.0,
        max_attempts: int | None = None,
        give_up_after: float | None = None,
        clean_close: Literal["complete", "reconnect"] = "complete",
        # Delivery
        codec: Codec[S, T] | Literal["auto"] | None = None,
        cursor: Callable[[T], Hashable | None] | Cursor | None = None,
        envelope: Envelope | None = None,
        queue_for: float = 5.0,
        limits: Limits | None = None,
        linger: float = 0.0,
        loop: asyncio.AbstractEventLoop | None = None,
        gate: Observable[bool] | None = None,
        # Liveness
        ping_interval: float | None = 20.0,
        ping_timeout: float | None = 20.0,
        heartbeat: Heartbeat | None = None,
        stale_after: float | None = None,
        on_stale: Literal["event", "reconnect"] = "event",
    ) -> None:
        options = SocketOptions.checked(
            url=url,
            name=name,
            carrier=carrier,
            on_auth_change=on_auth_change,
            identity=identity,
            max_age=max_age,
            rejected=rejected,
            auth_timeout=auth_timeout,
            transport=transport,
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
            verdicts=verdicts,
            backoff=backoff,
            stable_after=stable_after,
            max_attempts=max_attempts,
            give_up_after=give_up_after,
            clean_close=clean_close,
            codec=codec,
            cursor=cursor,
            queue_for=queue_for,
            limits=limits,
            linger=linger,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            heartbeat=heartbeat,
            stale_after=stale_after,
            on_stale=on_stale,
            gate=gate,
        )
        if loop is not None and not isinstance(loop, asyncio.AbstractEventLoop):
            raise TypeError(f"loop: pass an asyncio event loop, not {type(loop).__name__}")
        if loop is not None and loop.is_closed():
            raise ValueError("loop: this one is closed; pass one that runs, or none")
        self._engine = engine = Engine(options, SocketLoop(loop), auth, self._connections)
        if options.receives_only and envelope is None:
            envelope = EventEnvelope(engine.publisher, are_texts=options.codec is None)
        self._envelope = envelope_or_default(envelope)
        self._publisher = engine.publisher
        # Made on first use: most sockets need none of them.
        self._topics: Topics | None = None
        self._channels: ChannelRoutes | None = None
        self._requests: Requests | None = None
        self._scheduler: LoopScheduler | None = None
        self._cursor: CursorTracker | None = None
        if options.cursor is not None:
            self._get_cursor()
        adopt(self._closer, options.name)

    def _closer(self) -> Disposable:
        engine = weakref.ref(self._engine)  # which is not to be kept for its cell

        def close() -> None:
            running = engine()
            if running is not None:
                running.close()

        return Disposable(close)

    def _connections(self) -> Observable[Event]:
        """Every change of the credential is switch-mapped into fresh connections.

        ::

            auth         A---------B------------      no equal one comes through (C6)
            groups       A---------B------------      with reconnect(), each is a group of its own
            switch_map   co-mm-mm-xco-mm-mm-mm--      c Connecting, o Opened, x Closed
        """
        connections = self._engine.auth.subject.pipe(
            group_renewals(_renews),  # C13
            switch_map(self._session),
        )
        gate = self._engine.options.gate
        return connections if gate is None else connections.pipe(gated(gate, self._engine))  # C35

    def _session(self, group: CredentialGroup[AuthUpdate]) -> Observable[Event]:
        return session(group, self._engine)

    @property
    def name(self) -> str | None:
        """The name that it was given, or ``None``."""
        return self._engine.options.name

    @property
    def url(self) -> str:
        """The newest address, without user info or query values.

        While there is none, the name of what is asked for it.
        """
        return self._engine.addresses.shown

    @property
    def stats(self) -> Stats:
        """What the socket has counted since it was made, as a snapshot; from any thread
        (rule C45, stats and metrics).

        It is counted whoever looks, and looking does not connect.

        Examples:
            >>> stats = socket.stats
            >>> print(f"{stats.messages_received:,} messages, {stats.outage:.0f} s without")
        """
        return stats_of(self._engine)

    # --- streams

    @property
    def events(self) -> Stream[Event]:
        """Everything that happens, as typed values (rule C2, grammar)."""
        return Stream(self._publisher.events)

    @property
    def opens(self) -> Stream[Opened]:
        """One ``Opened`` for each connection."""
        return Stream(self._publisher.opens)

    @property
    def closes(self) -> Stream[Closed]:
        """One ``Closed`` for each ``Opened``."""
        return Stream(self._publisher.closes)

    @property
    def messages(self) -> Stream[T]:
        """The payload of every message: what the codec makes of it, or ``str`` and ``bytes``.

        A message that does not decode is a ``DecodeFailed`` on ``errors``.

        The first ones of a connection are held until somebody subscribes: 256 messages, 1 MiB or 5
        s at most (rule C4, late subscribers).
        """
        return Stream(self._publisher.messages)

    @property
    def batches(self) -> Stream[list[T]]:
        """The same payloads as ``messages``, in one list for each read from the network.

        For pipelines that work on many messages at once. A list is never empty; those of one read
        are of one connection. It comes before its messages come to ``messages``, and all observers
        of ``batches`` share it. What was held comes as one list (rule C4, late subscribers).

        ::

            network   [a b c]-------[d]-------[e f]--
            messages  -a-b-c---------d---------e-f---
            batches   [a,b,c]-------[d]-------[e,f]--

        Examples:
            >>> socket.batches.subscribe(lambda rows: table.insert_many(map(json.loads, rows)))
        """
        return Stream(self._publisher.batches)

    @property
    def sessions(self) -> Stream[Session[T]]:
        """For each connection one Observable of its messages, which completes when it closed.

        ::

            sessions  --+---------------+--------
                        '--1--2--3|     '--4--5--
        """
        return Stream(self._publisher.sessions)

    @property
    def errors(self) -> Stream[Problem]:
        """What went wrong without ending a stream. Subscribing does not connect."""
        return Stream(self._publisher.errors)

    @property
    def state(self) -> ValueStream[State]:
        """What the socket is doing: now, then each change. Subscribing does not connect."""
        return ValueStream(self._publisher.state)

    @property
    def latency(self) -> ValueStream[float | None]:
        """How long the last ping and its pong took, in seconds; ``None`` before the first
        (rule C17, silent links).

        Subscribing does not connect. ``ping_interval`` says how often it is measured.
        """
        return ValueStream(self._publisher.latency)

    @property
    def auth(self) -> ValueStream[Credential]:
        """The credential in use, masked: now, then each change. Subscribing does not connect."""
        return ValueStream(self._publisher.auth)

    @property
    def cursor(self) -> ValueStream[Any]:
        """The newest place in the stream: now, then each change. Subscribing does not connect.

        ``None`` before the first, and for a socket without ``cursor=``. It has the place of a
        message before any observer has the message; where there are observers of ``batches``, that
        of the last one that was read before they have them. Messages that nobody has subscribed to
        yet count, too (rule C38, resuming).

        Examples:
            >>> socket.cursor.pipe(ops.throttle_first(1.0)).subscribe(store)
        """
        return ValueStream(self._get_cursor().hub)

    @property
    def scheduler(self) -> LoopScheduler:
        """The scheduler of the socket's loop, for what is timed and made of no stream
        (rule C24, delivery).

        Operators that a stream is piped into need none: unless they are given another one, they
        stay on the socket's loop, and virtual time is theirs, too. Without it RxPY calls what is
        made of something else on a thread of its own. Asking for it does not connect.

        Examples:
            >>> socket.messages.pipe(ops.debounce(0.5)).subscribe(print)
            >>> reactivex.interval(1.0, scheduler=socket.scheduler).subscribe(socket.outgoing)
        """
        with self._engine.loop.lock:
            if self._scheduler is None:
                self._scheduler = LoopScheduler(self._engine.loop, self._publisher.report)
        return self._scheduler

    @overload
    def on_open(self, function: Callable[[Opened], object]) -> abc.DisposableBase: ...
    @overload
    def on_open(self, function: Callable[[], object]) -> abc.DisposableBase: ...
    def on_open(self, function: Callable[..., object]) -> abc.DisposableBase:
        """Call back at each open, with the ``Opened`` event or without argument."""
        return self._on(self.opens, "on_open", function)

    @overload
    def on_close(self, function: Callable[[Closed], object]) -> abc.DisposableBase: ...
    @overload
    def on_close(self, function: Callable[[], object]) -> abc.DisposableBase: ...
    def on_close(self, function: Callable[..., object]) -> abc.DisposableBase:
        """Call back at each close, with the ``Closed`` event or without argument."""
        return self._on(self.closes, "on_close", function)

    @overload
    def on_message(self, function: Callable[[T], object]) -> abc.DisposableBase: ...
    @overload
    def on_message(self, function: Callable[[], object]) -> abc.DisposableBase: ...
    def on_message(self, function: Callable[..., object]) -> abc.DisposableBase:
        """Call back for each message, with its payload or without argument."""
        return self._on(self.messages, "on_message", function)

    @overload
    def on_error(self, function: Callable[[Problem], object]) -> abc.DisposableBase: ...
    @overload
    def on_error(self, function: Callable[[], object]) -> abc.DisposableBase: ...
    def on_error(self, function: Callable[..., object]) -> abc.DisposableBase:
        """Call back for each problem, with its event or without argument. Does not connect."""
        return self._on(self.errors, "on_error", function)

    # --- doing

    def set_auth(self, value: AuthValue | Ticket | None) -> Receipt[AuthChange]:
        """Change the credential: the connection follows it
        (rule C5, change to rule C8, during anything).

        An open connection is closed at once and a new one is made with the new credential. An equal
        value changes nothing. ``None`` logs out: the socket closes and awaits the next credential.
        On a socket that is not running the value is stored for its next start. A ``Ticket`` says
        where to connect, too (rule C33, an endpoint for each attempt).

        Returns:
            The outcome, to await, subscribe to or block on. ``InEffect`` when a connection is open
            with it and a message came or, on a server that says nothing, 0.25 s passed;
            ``Refused``; ``NotInEffect`` when the server closed two connections at once without a
            word of the credential, when none was open within 30 s, or the socket ended;
            ``Overtaken`` by a newer one; or ``Stored``.

        Raises:
            TypeError: If the value is not a credential.
            ValueError: If it cannot be carried, or is a ticket for a host that is not allowed.
        """
        return self._engine.auth.set_auth(value)

    @overload
    def send(self: Socket[str | bytes, str | bytes], data: Sendable) -> Receipt[Sent]: ...
    @overload
    def send(self, data: S) -> Receipt[Sent]: ...
    def send(self, data: Any) -> Receipt[Sent]:
        """Send a message: text, bytes, or an iterable of either as one fragmented message.

        With a codec, whatever it encodes. While the socket is not open it waits, in order, up to
        ``queue_for`` seconds, with at most 256 others and 2 MiB (rule C21, while not open). On an
        idle socket this connects, until the receipt settles (rule C1, lazy and shared); one that
        has ended is not started again by it.

        ::

            send      1--2--3-----4---------5|
            state     waiting o-------x waiting
            written           123-4--
            receipts          ✓✓✓-✓------------✗   5: nothing opened within queue_for

        Returns:
            A receipt: ``Sent`` with the epoch it was written to, or the ``SocketError`` that says
            why it was not sent. It is one or the other, never both (rule C20, receipts).

        Raises:
            TypeError: If it is none of these, or the codec cannot encode its type.
            ValueError: If it is text that has no encoding, or the codec cannot encode it.

        Examples:
            >>> socket.send("hello")                     # from any thread
            >>> await socket.send(b"hello")              # in a coroutine: Sent(epoch=1)
            >>> socket.send("hello").result(5)           # in a plain script
            >>> socket.send(["one mess", "age"])         # two fragments
        """
        return self._engine.send(data)

    @property
    def outgoing(self) -> Outgoing:
        """An observer to pipe a stream into: ``numbers.subscribe(socket.outgoing)``
        (rule C20, receipts).
        """
        return Outgoing(self._engine.send, self._engine.report_not_sent)

    @overload
    def listener(self, topic: str) -> Listener[Any]: ...
    @overload
    def listener(self, topic: str, *, type: type[P]) -> Listener[P]: ...
    @overload
    def listener(self, topic: str, *, type: TypeForm[F]) -> Listener[F]: ...
    @overload
    def listener(self, topic: str, *, type: Any) -> Listener[Any]: ...
    def listener(self, topic: str, *, type: Any = Any) -> Listener[Any]:
        """The payloads of a topic, as an Observable; subscribing connects.

        Args:
            topic: Its name; segments that begin with a colon are parameters: ``"chat/:room"``.
            type: What to decode payloads into: a ``msgspec.Struct``, dataclass or ``TypedDict``.

        Raises:
            TypeError: If values of the type cannot be decoded.
            ValueError: If the name cannot be one.

        Examples:
            >>> chat = socket.listener("chat/:room", type=ChatMessage)
            >>> chat.with_params(room=1).subscribe(lambda message: print(message.text))
        """
        return self._get_topics().listener(topic, type)

    @overload
    def emitter(self, topic: str) -> Emitter[Any]: ...
    @overload
    def emitter(self, topic: str, mapper: Callable[[F], Any]) -> Emitter[F]: ...
    def emitter(self, topic: str, mapper: Callable[[Any], Any] | None = None) -> Emitter[Any]:
        """Send payloads to a topic, one by one with ``emit`` or as a stream: it is an observer.

        Args:
            topic: Its name; segments that begin with a colon are parameters.
            mapper: Makes what is sent of a payload, on the thread that emits it: a class or a
                function whose parameter has a type, which is that of the payloads, too.

        Examples:
            >>> chat = socket.emitter("chat/:room")
            >>> chat.emit({"text": "hello"}, params={"room": 1})
            >>> say = socket.emitter("chat/:room", ChatMessage)
            >>> say.emit("hello", params={"room": 1})
        """
        return self._get_topics().emitter(topic, mapper)

    def channel(
        self,
        *,
        subscribe: Any,
        unsubscribe: Any = None,
        match: Callable[[Any], object] | None = None,
        key: Hashable = None,
        by: Callable[[Any], Any] | None = None,
        acknowledged: Answer | None = None,
        acknowledged_within: float | None = None,
        stale_after: float | None = None,
    ) -> Channel[T]:
        """The messages that a server sends because it was asked to, by message
        (rule C22, channels).

        However many subscribe, one subscribe message is sent on each connection, before anything
        that was queued; when the last one leaves, ``unsubscribe`` is sent, if that connection
        carried the subscribe.

        Args:
            subscribe: The message that asks for it: text, bytes or a value with a form in JSON;
                with a codec, whatever that encodes, text and bytes, too: ``json_codec()`` puts text
                into quotes, so pass it the value. Or a function that makes it, called for each
                connection; it may take a ``Subscribing``, which has the credential of that
                connection, the key and the cursor.
            unsubscribe: The message that ends it, likewise; ``Subscribing.nothing`` for none, where
                the server has ended it by itself.
            match: Says whether a message is of this channel. It is asked about every message.
            key: Instead of ``match``: the key of its messages, found by one look-up.
            by: What the key of a message is. Left out: its topic, by the socket's envelope.
            acknowledged: Says of a message what it answers: ``True`` for accepted, ``False`` or an
                exception for refused, ``None`` if it is no answer. What was refused fails, alone.
            acknowledged_within: Seconds after which it is asked for again if that was not answered.
            stale_after: Seconds without a message of it after which it is asked for again, while
                the connection lives. Each time the patience is doubled, up to 16 times; a
                ``ChannelStale`` says so (rule C37, many channels).

        Raises:
            TypeError: If a message cannot be sent, or a function is none.
            ValueError: If it cannot be told which messages are of the channel.

        Examples:
            >>> trades = socket.channel(
            ...     subscribe={"op": "subscribe", "channel": "trades"},
            ...     unsubscribe={"op": "unsubscribe", "channel": "trades"},
            ...     match=lambda message: '"trades"' in message,
            ... )
        """
        options = ChannelOptions(
            subscribe=subscribe,
            unsubscribe=unsubscribe,
            match=match,
            key=key,
            by=by,
            acknowledged=acknowledged,
            acknowledged_within=acknowledged_within,
            stale_after=stale_after,
        )
        return self._get_channels().channel(options)

    def channels(
        self,
        keys: Iterable[Hashable],
        *,
        subscribe: Callable[..., Any],
        unsubscribe: Callable[..., Any] | None = None,
        by: Callable[[Any], Any] | None = None,
        acknowledged: Answer | None = None,
        acknowledged_within: float | None = None,
        stale_after: float | None = None,
    ) -> Channels[T]:
        """The messages of many keys, asked for in few messages; ``[key]`` is the channel of one.

        ``limits=Limits(pace="5/s", batch=200)`` says how many keys a message may ask for, and how
        fast such messages may go (rule C36, limits of sending). They go in order of arrival, anew
        at the same pace on each connection, and each is made when it may be written, of the keys
        that are wanted then. However many observe a key, it is asked for once on a connection, and
        let go of with the last of them (rule C37, many channels).

        ::

            keys         A B C D E              batch=2
            on the wire  [AB]  [CD]  [E]        0.2 s apart
            channels     ---a-b---c-b---e--     it goes on though D was refused
            channels[D]  X                      SubscriptionRefused

        Args:
            keys: What is asked for, such as symbols; each value that can be looked up.
            subscribe: Makes the message that asks for a list of keys, of what ``channel`` takes.
                With a second argument it is given a ``Subscribing``, which has the credential of
                the connection and the cursor. Where it raises, or returns nothing, a
                ``ChannelFailed`` says so of each key.
            unsubscribe: Makes the message that ends keys, likewise.
            by: What the key of a message is. Left out: its topic, by the socket's envelope.
            acknowledged: Says of a message what it answers: a mapping of keys to ``True``,
                ``False`` or an exception; keys that are accepted; ``True``, ``False`` or an
                exception for all that the oldest unanswered message asked for; ``None`` if it is no
                answer. A key that was refused fails, alone.
            acknowledged_within: Seconds after which a key without an answer is asked for again,
                alone.
            stale_after: Seconds without a message of a key after which it is asked for again,
                alone: with ``unsubscribe`` it is ended first. Each time the patience is doubled, up
                to 16 times; a ``ChannelStale`` says so, and the connection is left alone.

        Raises:
            TypeError: If a function is none, or a key cannot be looked up.
            ValueError: If there are no keys.

        Examples:
            >>> quotes = socket.channels(
            ...     ["BTC-USD", "ETH-USD"],
            ...     subscribe=lambda keys: {"op": "subscribe", "args": keys},
            ...     by=lambda message: message["symbol"],
            ... )
            >>> quotes.subscribe(print)
            >>> quotes["BTC-USD"].subscribe(print)
        """
        options = ManyOptions(
            keys=keys_of(keys),
            subscribe=subscribe,
            unsubscribe=unsubscribe,
            by=by,
            acknowledged=acknowledged,
            acknowledged_within=acknowledged_within,
            stale_after=stale_after,
        )
        return self._get_channels().channels(options)

    @overload
    def request(
        self,
        payload: Any,
        *,
        match: Callable[[Any], object] | None = ...,
        id: str | Callable[[Any], Any] | None = ...,
        timeout: float | None = ...,
        answers: int | None = ...,
        idempotent: bool = ...,
    ) -> Answers[T]: ...
    @overload
    def request(
        self,
        payload: Any,
        *,
        match: Callable[[Any], object] | None = ...,
        id: str | Callable[[Any], Any] | None = ...,
        type: type[P],
        timeout: float | None = ...,
        answers: int | None = ...,
        idempotent: bool = ...,
    ) -> Answers[P]: ...
    @overload
    def request(
        self,
        payload: Any,
        *,
        match: Callable[[Any], object] | None = ...,
        id: str | Callable[[Any], Any] | None = ...,
        type: TypeForm[F],
        timeout: float | None = ...,
        answers: int | None = ...,
        idempotent: bool = ...,
    ) -> Answers[F]: ...
    @overload
    def request(
        self,
        payload: Any,
        *,
        match: Callable[[Any], object] | None = ...,
        id: str | Callable[[Any], Any] | None = ...,
        type: Any,
        timeout: float | None = ...,
        answers: int | None = ...,
        idempotent: bool = ...,
    ) -> Answers[Any]: ...
    def request(
        self,
        payload: Any,
        *,
        match: Callable[[Any], object] | None = None,
        id: str | Callable[[Any], Any] | None = None,
        type: Any = None,
        timeout: float | None = 10.0,
        answers: int | None = 1,
        idempotent: bool = False,
    ) -> Answers[Any]:
        """Ask something and wait for the answer: await it, or subscribe to it.

        It fails at once when the connection that carried it ends; no message of another one is
        taken for its answer.

        Args:
            payload: What to send: text, bytes, or a value with a form in JSON; with a codec,
                whatever that encodes, text and bytes, too: ``json_codec()`` puts text into quotes.
            match: Says whether a message is the answer.
            id: Instead of ``match``: the name of the JSON field that holds the id of a request and
                of its answer, also of one that a codec has decoded into a struct or a dataclass;
                or a function that finds it in both. A mapping without that field gets a number.
            type: What to decode an answer into, as for a codec; on a socket without codec it is
                JSON. Left out: it is as ``messages`` has it. One that does not decode fails the
                request, with ``Undecodable``.
            timeout: Seconds to wait for each answer; ``None`` for as long as it takes.
            answers: How many answers complete it; ``None`` goes on until disposed.
            idempotent: Whether it may be sent again on the next connection when one is lost.

        Raises:
            TypeError: If the payload cannot be sent, a function is none, or nothing can be decoded
                into the type.
            ValueError: If it cannot be told which message is the answer.

        Examples:
            >>> total = await socket.request({"method": "sum", "params": [1, 2]}, id="id")
            >>> time = await socket.request({"op": "time"}, id="id", type=Time)
        """
        with self._engine.loop.lock:
            if self._requests is None:
                check_can_send(receives_only=self._engine.options.receives_only)
                self._requests = Requests(self._engine)
        return self._requests.request(payload, match, id, type, timeout, answers, idempotent)

    def before_send(self, function: Interceptor) -> abc.DisposableBase:
        """Let a function see, and replace, everything that is sent; see ``Interceptors``."""
        return Interceptors(self._engine.hooks).before_send(function)

    def after_receive(self, function: Interceptor) -> abc.DisposableBase:
        """Let a function see, and replace, everything that comes in; see ``Interceptors``."""
        return Interceptors(self._engine.hooks).after_receive(function)

    def connect(self) -> abc.DisposableBase:
        """Connect and stay connected until the returned Disposable is disposed."""
        return self._engine.connect()

    def reconnect(self) -> None:
        """Make a new connection now; a refused credential may be tried again
        (rule C9, refused credentials are remembered).
        """
        self._engine.reconnect()

    def renew(
        self,
        within: float | None = None,
        url: str | None = None,
        why: str = "",
        code: int = 1000,
    ) -> None:
        """Renew the connection without a new credential, because the server says so
        (rule C34, renewed when told).

        It is done as ``on_auth_change`` says: ``handover()`` makes the next connection first,
        ``reconnect()`` and ``in_band()`` close the old one first. While none is open there is
        nothing to renew: the next one is about to be made.

        ::

            messages   --1--2--goaway--3-----4--
            within             |---------------|      seconds
            renewal                    o~o            after a jitter, and in time whatever comes

        Args:
            within: Seconds until the old connection must be left. It begins after a part of them
                that is different for each socket, so that many that are told at once do not dial
                at once, and is over before they are: if the next connection is refused, or has not
                caught up by then, the old one is closed, and the next one dialled at once. Left
                out: it begins at once, and a next connection that is refused leaves the old one.
            url: The address of the next attempt alone; it may be the server's. One that cannot be
                used, or is on a host that is not allowed (see ``endpoint()``), is a
                ``SourceFailed`` on ``errors``, and the next attempt goes where it goes without.
            why: Text for the reason of the close, the events, ``explain()`` and the log; it may be
                the server's.
            code: Close code for the old connection, 1000 or 3000 to 4999: some servers forget a
                session that was closed with 1000, which is to be resumed.

        Raises:
            TypeError: If an argument is of a wrong type.
            ValueError: If ``within`` or ``code`` cannot be used.

        Examples:
            >>> goaway = socket.messages.pipe(ops.filter(lambda message: "goaway" in message))
            >>> goaway.subscribe(lambda _: socket.renew(within=2.0, why="the server said goaway"))
        """
        self._engine.renew(within, url, why, code)

    def close(self, code: int = 1000, reason: str = "") -> Receipt[None]:
        """Close the connection and complete every stream. Calling it twice does no harm.

        Args:
            code: Close code to send, 1000 or 3000 to 4999.
            reason: Text to send, at most 123 bytes.

        Returns:
            A receipt that settles when nothing is left, within ``close_timeout`` seconds
            (rule C26, shutdown).

        Raises:
            ValueError: If the code may not be sent, or the reason is too long.
        """
        return self._engine.close(code_to_send("code", code), reason_to_send("reason", reason))

    def explain(self) -> Explanation:
        """Say what the socket is doing, since when, why, what is next, and what you can do.

        Returns:
            The explanation: ``print`` it, or read its fields.

        Examples:
            >>> print(socket.explain())
            waiting for a credential for 12 s: connection 3 was open 14 min, then closed by the \
server with 4001 'token expired'; then the server refused the handshake with HTTP 403 (Forbidden)
            next: nothing, until there is another one
            you can: call set_auth(...) with another credential, or reconnect() to try the same \
one again
        """
        history, state = self._publisher.history, self._publisher.state.value
        now, paused = self._engine.loop.wall_time(), self._publisher.read_gate.explain()
        upcoming, stats = self._engine.upcoming(), self.stats
        asked = self._engine.auth.source_problem(), self._engine.run_state.asking
        more = stats.outage, stats.waiting, *asked
        return explain(history.events, state, now, history.forgotten, paused, upcoming, *more)

    def opened(self, timeout: float | None = None) -> Receipt[Opened]:
        """Wait until it is open: await it in a coroutine, call ``result()`` on it in a script.

        It connects nothing, so say before what is to. A refused credential is no end: it waits for
        another one, and when the time is over the error says what keeps the socket from opening.

        ::

            state   CONNECTING--WAITING--CONNECTING--OPEN-------
            early   ?--------------------------------Opened|
            late                                            Opened|     at once

        Args:
            timeout: Seconds to wait at most; ``None`` for as long as it takes.

        Returns:
            A receipt of the ``Opened`` of the connection that is open then, which settles after the
            observers of that have been called. Cancelling the wait for it leaves nothing
            (rule C46, opened). It fails with ``TimeoutError`` when the time is over, with
            ``SocketFailed`` or ``NotConnected`` when the socket ends first or nobody is subscribed
            any more; the text is that of ``explain()``.

        Raises:
            TypeError: If ``timeout`` is not a number.
            ValueError: If it is negative.
            RuntimeError: If nothing connects this socket.

        Examples:
            >>> async with socket:
            ...     await socket.opened(10)
            >>> socket.messages.subscribe(print)
            >>> socket.opened(10).result()               # in a plain script, or in a notebook
        """
        return Opening(self._engine, seconds_or_none("timeout", timeout), self.explain)

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
        """Return when the socket has ended or nobody is subscribed any more, in a coroutine.

        Raises:
            SocketFailed: If it ended with a failure.
            RuntimeError: If nothing was started.
        """
        await self._engine.wait_closed()

    def __enter__(self) -> Self:
        self._engine.connect()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._engine.close_and_block(interrupted=exc_type is not None)

    async def __aenter__(self) -> Self:
        self._engine.connect()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._engine.close_and_wait(interrupted=exc_type is not None)

    def __repr__(self) -> str:
        if not hasattr(self, "_engine"):  # an error of __init__ is shown, with its frames
            return "<Socket: not made>"
        return f"<Socket {self._engine.label}: {self.state.value.value}>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        from rxsocket.render.card_view import card_view  # only a notebook asks for it

        return card_view(self._engine).bundle()

    def _ipython_display_(self) -> None:
        from rxsocket.render.card_view import card_view

        card_view(self._engine).display()

    def _display_(self) -> Any:
        from rxsocket.render.card_view import card_view

        return card_view(self._engine)

    def _repr_html_(self) -> str:
        from rxsocket.render.card_view import card_view

        return str(card_view(self._engine).static()["text/html"])

    def _get_topics(self) -> Topics:
        with self._engine.loop.lock:
            if self._topics is None:
                self._topics = Topics(self._engine, self._envelope)
        return self._topics

    def _get_cursor(self) -> CursorTracker:
        engine = self._engine
        with engine.loop.lock:
            if self._cursor is None:
                self._cursor = CursorTracker(
                    engine.loop, engine.publisher, engine.hooks, engine.options.cursor
                )
        return self._cursor

    def _get_channels(self) -> ChannelRoutes:
        with self._engine.loop.lock:
            if self._channels is None:
                check_can_send(receives_only=self._engine.options.receives_only)
                self._channels = ChannelRoutes(self._engine, self._envelope)
        return self._channels

    def _on(
        self, stream: Stream[Any], name: str, function: Callable[..., object]
    ) -> abc.DisposableBase:
        return stream.subscribe(callback(f"{name}(function)", function), on_error=_ignore)


def _renews(_: AuthUpdate, following: AuthUpdate) -> bool:
    return following.renews_connection


def _ignore(error: Exception) -> None:
    """That a stream failed for good is in the log already; a callback has no place for it."""
    if not isinstance(error, SocketFailed):
        raise error  # it could not be subscribed
