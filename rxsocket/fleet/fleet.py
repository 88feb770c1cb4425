"""Many channels over many sockets, as one stream (C41)."""

from __future__ import annotations

import asyncio
import itertools
import weakref
from collections.abc import Callable, Hashable, Iterable, Mapping
from types import TracebackType
from typing import Any, Self, TypeAlias

from reactivex import Observable, abc
from reactivex.disposable import Disposable

from rxsocket.auth.credentials import ANONYMOUS, AuthValue, Credential, Ticket
from rxsocket.auth.outcomes import AuthChange
from rxsocket.auth.strategies import Handover
from rxsocket.endpoint.endpoint import AddressSource, Endpoint
from rxsocket.events import Problem
from rxsocket.explain.format import amount
from rxsocket.fleet.events import FleetEvent, ShardFailed
from rxsocket.fleet.explanation import FleetExplanation, FleetStats, explain_fleet
from rxsocket.fleet.on import On, where_of
from rxsocket.fleet.planning import Planning
from rxsocket.fleet.running import FleetEngine
from rxsocket.fleet.shard import ShardSettings
from rxsocket.fleet.snapshots import snapshot_of
from rxsocket.fleet.socket_options import options_of_sockets
from rxsocket.fleet.sources import check_key
from rxsocket.fleet.spec import ChannelSpec
from rxsocket.limits import NO_LIMITS, Limits
from rxsocket.runtime.cells import adopt
from rxsocket.runtime.loop import SocketLoop
from rxsocket.socket import Auth, Socket
from rxsocket.streams.receipts import Receipt
from rxsocket.streams.stream import Stream
from rxsocket.validation import (
    code_to_send,
    function_of_one_or_none,
    instance,
    name_or_none,
    reason_to_send,
    seconds_or_none,
    whole_number,
)

Keys: TypeAlias = Iterable[Hashable] | Observable[Any]

_numbers = itertools.count(1)


class Fleet:
    """Many channels over as many sockets as they need, as one stream (rule C41, a fleet).

    What the server allows is said once, as data: how many channels a connection may carry, how fast
    sockets may dial, and the rest of :class:`~rxsocket.Limits`. The fleet makes the sockets, places
    each wanted channel on one of them, and keeps it alive: it is asked for anew when its connection
    was lost, it moves without a gap when that is better, and when the server answers that it takes
    less than was said, the fleet follows. Who observes sees channels, not sockets.

    ::

        want       {A B C}----------{A B C D}------
        socket 1   o=A=B==========================
        socket 2     o=C====x    o==C==D==========
        messages   ---a-b-c--b-----a-c-d-b--------
        events       P P    Lost    Restored P      P Placed

    Making one starts nothing. Subscribing to ``messages``, ``events`` or a ``channel(key)`` does,
    and so do ``connect()`` and ``with``; when the last of them leaves, the sockets are closed with
    1000. Observers are called on one loop, as those of a socket are (rule C24, delivery). Every
    method may be called from any thread (rule C25, any thread).

    Args:
        url: Where the sockets connect: what ``Socket`` takes.
        channel: How channels are asked for.
        auth: The credential of all sockets: what ``Socket`` takes. An Observable is subscribed to
            once; a function is asked before each attempt, so that a token that is good for one
            connection is minted for each; ``refreshing()`` makes one call for all. Each socket
            follows a change when the limits allow it to dial.
        limits: What the server allows.
        dedupe: What the same message has over two connections, such as its sequence number: unique
            within its channel; ``None`` for a message that has none. With it, a channel that moves
            and a connection that is renewed lose nothing and repeat nothing.
        weight: Gives the bytes a second that are expected of a key; goes with
            ``Limits(bytes=...)``.
        sockets: How many sockets to use. Left out: as few as the limits allow.
        on: Where the sockets are: ``"loop"``, all on the loop of the fleet.
        name: What it is called in its repr and in the log.
        loop: The asyncio loop to live on, instead of the one chosen (rule C24, delivery).
        options: Further arguments of each ``Socket``. Left out, ``on_auth_change`` is
            ``handover(dedupe=...)``, so that a new credential and a connection that has reached its
            age leave no gap. With ``Limits(connections=...)`` one of these is left for that, but
            for another strategy, such as ``reconnect()``.

    Raises:
        TypeError: If an argument is of a wrong type.
        ValueError: If an argument cannot be used; the text names it and says what to pass.

    Examples:
        >>> fleet = Fleet(
        ...     "wss://example.com/feed",
        ...     channel=ChannelSpec(
        ...         subscribe=lambda keys: {"op": "subscribe", "args": keys},
        ...         unsubscribe=lambda keys: {"op": "unsubscribe", "args": keys},
        ...         by=lambda message: message["symbol"],
        ...     ),
        ...     limits=Limits("5/s", batch=200, channels=1024, connects="300/5min"),
        ...     options={"codec": json_codec()},
        ... )
        >>> fleet.want(symbols)
        >>> fleet.messages.subscribe(print)
    """

    def __init__(
        self,
        url: AddressSource | Endpoint,
        *,
        channel: ChannelSpec,
        auth: Auth | Credential = ANONYMOUS,
        limits: Limits | None = None,
        dedupe: Callable[[Any], Hashable | None] | None = None,
        weight: Callable[[Any], float] | None = None,
        sockets: int | None = None,
        on: On = "loop",
        name: str | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        spec = instance("channel", channel, ChannelSpec, "a ChannelSpec(subscribe=...)")
        allowed = (
            NO_LIMITS
            if limits is None
            else instance("limits", limits, Limits, "Limits such as Limits('5/s', channels=200)")
        )
        function_of_one_or_none("dedupe", dedupe)
        function_of_one_or_none("weight", weight)
        if (weight is None) != (allowed.bytes is None):
            raise ValueError("weight: goes with Limits(bytes=...), and that with weight=")
        if sockets is not None:
            whole_number("sockets", sockets)
        where = where_of(on)
        self._name = name_or_none("name", name)
        of_sockets = options_of_sockets(options, allowed, spec, dedupe)
        self._probe: Socket[Any, Any] = Socket(
            url, auth=auth, limits=allowed.of_a_socket, loop=loop, **of_sockets
        )
        self._probe.channels(["any"], **spec.arguments())
        spare = int(isinstance(of_sockets["on_auth_change"], Handover))
        label = self._name or f"fleet-{next(_numbers)}"

        def settings(shared: Any) -> ShardSettings:
            return ShardSettings(
                url=url,
                channel=spec,
                limits=allowed,
                auth=shared,
                options=of_sockets,
                label=label,
            )

        where.check(settings(None))
        self._engine = FleetEngine(
            SocketLoop(loop),
            settings,
            auth,
            Planning(allowed, weight, sockets, spare),
            where,
            self._name,
            dedupe,
            label,
            self._masked,
        )
        adopt(self._closer, self._name)

    def _closer(self) -> abc.DisposableBase:
        engine = weakref.ref(self._engine)  # which is not to be kept for its cell

        def close() -> None:
            running = engine()
            if running is not None:
                running.close()

        return Disposable(close)

    def _masked(self, text: str) -> str:
        history = self._probe._engine.publisher.history  # pyright: ignore[reportPrivateUsage]
        return history.as_read(text)

    @property
    def name(self) -> str | None:
        """The name that it was given, or ``None``."""
        return self._name

    @property
    def url(self) -> str:
        """The address, without user info or query values."""
        return self._probe.url

    # --- what is wanted

    def want(self, keys: Keys) -> None:
        """Want these channels, and none of those that were wanted by this before.

        Channels that are observed one by one are wanted besides. It starts nothing: what is wanted
        is asked for while the fleet runs.

        ::

            want      [A B]-------[B C]--------
            events    --P(A B)------P(C)-------     A is let go of, B goes on

        Args:
            keys: The keys, or an Observable of such sets, which is subscribed to while the fleet
                runs, on its loop; what a ``Subject`` says before that nobody hears, so pass a
                ``BehaviorSubject``. What of it cannot be used is a ``SourceFailed`` on ``errors``,
                and the set before stays.

        Raises:
            TypeError: If they are no keys.
            ValueError: If ``None`` is among them.
            ImpossiblePlan: If they are more than the limits allow; a ``ValueError`` that says which
                limit, and by how much.
        """
        self._engine.wanted.want(keys)

    def channel(self, key: Hashable) -> Stream[Any]:
        """The messages of one channel, which is wanted as long as somebody observes it.

        If the server refuses it, or the limits do not allow one more, its observers get the error,
        and nobody else does; whoever subscribes again asks anew.

        Raises:
            TypeError: If the key cannot be looked up.
            ValueError: If it is ``None``.
        """
        check_key("channel(key)", key)
        return FleetChannelStream(self._engine, key)

    # --- streams

    @property
    def messages(self) -> Stream[Any]:
        """The messages of all channels, in the order in which they came.

        The first ones are held until somebody subscribes, if nobody observes a channel: 256
        messages, 1 MiB or 5 s at most (rule C4, late subscribers).
        """
        return Stream(self._engine.publisher.messages)

    @property
    def events(self) -> Stream[FleetEvent]:
        """What happens to channels, as typed values; subscribing starts the fleet."""
        return Stream(self._engine.publisher.events)

    @property
    def errors(self) -> Stream[Problem | ShardFailed]:
        """What went wrong without ending a stream, on any socket. Subscribing starts nothing."""
        return Stream(self._engine.publisher.errors)

    # --- doing

    def set_auth(self, value: AuthValue | Ticket | None) -> Receipt[AuthChange]:
        """Change the credential of every socket; see ``Socket.set_auth``.

        With ``handover()`` each socket makes its next connection when the limits allow it to dial,
        and delivers over the old one until then.

        Returns:
            The worst of what became of it on the sockets: ``Refused`` if one of them was.

        Raises:
            TypeError: If the value is not a credential.
            ValueError: If it cannot be carried, or is a ticket for a host that is not allowed.
        """
        self._probe.set_auth(value)  # which checks it
        return self._engine.set_auth(value)

    def reconnect(self) -> None:
        """Make new connections now; a refused credential may be tried again
        (rule C9, refused credentials are remembered).
        """
        self._engine.reconnect()

    def rebalance(self) -> None:
        """Load the sockets evenly: channels move, and nothing is lost with ``dedupe=``."""
        self._engine.rebalance()

    def connect(self) -> abc.DisposableBase:
        """Start, and stay connected until the returned Disposable is disposed."""
        return self._engine.connect()

    def close(self, code: int = 1000, reason: str = "") -> Receipt[None]:
        """Close all sockets and complete every stream. Calling it twice does no harm.

        Args:
            code: Close code to send, 1000 or 3000 to 4999.
            reason: Text to send, at most 123 bytes.

        Returns:
            A receipt that settles when nothing is left (rule C26, shutdown).

        Raises:
            ValueError: If the code may not be sent, or the reason is too long.
        """
        return self._engine.close(code_to_send("code", code), reason_to_send("reason", reason))

    @property
    def stats(self) -> FleetStats:
        """The fleet in numbers, at this moment; from any thread."""
        return snapshot_of(self._engine).stats

    def explain(self) -> FleetExplanation:
        """Say what the fleet is doing, what is in the way, and what you can do.

        Examples:
            >>> print(fleet.explain())
            running: 4,950 of 5,000 channels live on 25 sockets, 25 of them open
            next: 50 channels as sockets open and the limits allow it
        """
        return explain_fleet(snapshot_of(self._engine))

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the fleet has ended or nobody is subscribed any more. For plain scripts.

        Ctrl-C closes the fleet and is raised again.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            Whether it ended; ``False`` when the time was up.

        Raises:
            SocketFailed: If it ended with a failure.
            RuntimeError: If nothing was started, or on the fleet's own loop, which it would block.
        """
        return self._engine.wait(seconds_or_none("timeout", timeout))

    async def wait_closed(self) -> None:
        """Return when the fleet has ended or nobody is subscribed any more, in a coroutine.

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
            return "<Fleet: not made>"
        stats = self.stats
        channels, sockets = amount(stats.wanted, "channel"), amount(stats.sockets, "socket")
        what = f"{stats.live:,} of {channels} live on {sockets}"
        return f"<Fleet {f'{self._name} ' if self._name else ''}{self.url}: {what}>"


class FleetChannelStream(Stream[Any]):
    """The messages of one channel of a fleet; ``fleet.channel(key)``."""

    def __init__(self, engine: FleetEngine, key: Hashable) -> None:
        super().__init__(engine.wanted.hub(key))
        self._engine = engine

    def __repr__(self) -> str:
        return self._engine.publisher.masked(super().__repr__())  # it may be named by a key
