"""The sockets of one place, on one loop: orders in, reports out (C41).

::

    Subscribe(1, [A B])  ──►  socket 1 ── channels([A B]) ──► deliver(1, A), deliver(1, B)
    Live(1, [A B])       ◄──      ▲
                              admission    one for all sockets of the place

A shard knows nothing of the plan. What it is made of can be pickled, if the user's functions can,
so that it may live in another process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

from rxsocket.auth.outcomes import AuthChange, InEffect, NotInEffect, Overtaken, Refused, Stored
from rxsocket.endpoint.admission import Admit
from rxsocket.endpoint.endpoint import AddressSource, Endpoint
from rxsocket.events import Closed, Event
from rxsocket.fleet.admission import Admission
from rxsocket.fleet.counts import FleetCounts, Sum
from rxsocket.fleet.orders import (
    AuthSettled,
    CapConnections,
    CloseSocket,
    Learnt,
    OpenSocket,
    Order,
    PauseReading,
    ReconnectAll,
    Redial,
    Report,
    ResumeReading,
    SetAuth,
    SetPace,
    SocketEvent,
    Subscribe,
    Unsubscribe,
)
from rxsocket.fleet.shard_socket import Deliver, ShardSocket
from rxsocket.fleet.spec import ChannelSpec
from rxsocket.limits import Limits
from rxsocket.runtime.loop import SocketLoop
from rxsocket.socket import Socket
from rxsocket.streams.receipts import Receipt

MOST_ASKED = 20
"""How many sockets are asked for their secrets; most have the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardSettings:
    """What the sockets of every shard of a fleet are made with.

    Attributes:
        url: Where they connect.
        channel: How channels are asked for.
        limits: What the server allows.
        auth: What ``Socket(auth=)`` takes. In another process it is something that can be there.
        options: Further arguments of each socket.
        label: What their fleet is called in the log, without secrets.
    """

    url: AddressSource | Endpoint = field(repr=False)
    channel: ChannelSpec
    limits: Limits
    auth: Any = field(repr=False)
    options: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    label: str = ""


class ShardAdmission(Protocol):
    """Says when the sockets of a shard may dial, and is told what comes of that."""

    def of(self, socket: int) -> Admit:
        """What a socket asks before each dial."""
        ...

    def on_event(self, socket: int, event: Event) -> None:
        """Something happened to a socket."""
        ...

    def forget(self, socket: int) -> None:
        """A socket is closed for good."""
        ...

    def cap(self, most: int) -> None:
        """The server takes so many connections of the address."""
        ...


class Shard:
    """The sockets of one place. Its methods are called on the loop, and so are its callbacks.

    Args:
        name: The name of the place.
        settings: What its sockets are made with.
        loop: The loop that they live on, which is bound until the shard is closed.
        report: Called with each report.
        deliver: Asked for what takes the messages of a channel, each time that it is asked for.
        admission: Says when its sockets may dial, if others of the same address are elsewhere; left
            out: the shard has one of its own.
    """

    def __init__(
        self,
        name: str,
        settings: ShardSettings,
        loop: SocketLoop,
        report: Callable[[Report], None],
        deliver: Deliver,
        admission: ShardAdmission | None = None,
    ) -> None:
        self.name = name
        self._settings = settings
        self._loop = loop
        self._report = report
        self._deliver = deliver
        self._endpoint = Endpoint.of(settings.url)
        self._admission: ShardAdmission = admission or Admission(
            settings.limits,
            loop.event_loop,
            shard=name,
            on_learnt=lambda event: report(Learnt(event)),
            wall_time=loop.wall_time,
        )
        self._limits = settings.limits.of_a_socket
        self._sockets: dict[int, ShardSocket] = {}
        self._closing: dict[Receipt[None], ShardSocket] = {}
        self._sum = Sum()
        self._pushed: list[Any] = []
        self._is_paused = False

    def __repr__(self) -> str:
        return f"<Shard {self.name}: {len(self._sockets)} sockets>"

    def masked(self, text: str) -> str:
        """Mask the secrets of the newest sockets in a text; from any thread."""
        for each in tuple(self._sockets.values())[-MOST_ASKED:]:
            text = each.masked(text)
        return text

    @property
    def counts(self) -> FleetCounts:
        """What its sockets have counted; from any thread."""
        return self._sum.counts

    def take(self, order: Order) -> None:
        """Carry out an order; whatever comes of it is reported."""
        match order:
            case OpenSocket(number):
                self._open(number)
            case CloseSocket(number):
                self._close(number)
            case Subscribe(number, keys, generation):
                if number in self._sockets:
                    self._sockets[number].subscribe(keys, generation)
            case Unsubscribe(number, keys, generation):
                if number in self._sockets:
                    self._sockets[number].unsubscribe(keys, generation)
            case SetAuth(number, value):
                self._set_auth(number, value)
            case ReconnectAll():
                for each in self._sockets.values():
                    each.socket.reconnect()
            case Redial(number, asks):
                if number in self._sockets:
                    self._sockets[number].redial(asks=asks)
            case SetPace(pace):
                self._set_pace(pace)
            case CapConnections(most):
                self._admission.cap(most)
            case PauseReading():
                self._is_paused = True
                for each in self._sockets.values():
                    each.pause()
            case ResumeReading():
                self._is_paused = False
                for each in self._sockets.values():
                    each.resume()

    def close(self, code: int = 1000, reason: str = "") -> Receipt[None]:
        """Close every socket; the receipt settles when nothing is left of them.

        Args:
            code: The close code.
            reason: The text that goes with it.
        """
        for number in tuple(self._sockets):
            self._close(number, code, reason)
        receipt: Receipt[None] = Receipt(self._loop, _report_nothing)
        when_all_done(tuple(self._closing), lambda: receipt.settle(None))
        return receipt

    def abort_after(self, seconds: float) -> None:
        """Drop connections whose closing takes longer than that."""
        for socket in tuple(self._closing.values()):
            socket.abort_after(seconds)

    def _on_closed(self, receipt: Receipt[None]) -> None:
        closed = self._closing.pop(receipt, None)
        if closed is not None:
            self._sum.remove(closed)

    def _open(self, number: int) -> None:
        if number in self._sockets:
            return
        settings = self._settings
        socket: Socket[Any, Any] = Socket(
            replace(self._endpoint, admission=self._admission.of(number)),
            name=f"{settings.label} {self.name}/{number}",
            auth=settings.auth,
            limits=self._limits,
            loop=self._loop.event_loop,
            **settings.options,
        )
        for value in self._pushed:
            socket.set_auth(value)  # which is kept for its start
        made = ShardSocket(
            number,
            socket,
            settings.channel,
            self._loop,
            self._on_report,
            self._deliver,
            self._limits,
        )
        self._sockets[number] = made
        self._sum.add(made)
        made.start()
        if self._is_paused:
            made.pause()

    def _on_report(self, report: Report) -> None:
        if isinstance(report, SocketEvent):
            self._admission.on_event(report.socket, report.event)
        self._report(report)
        if isinstance(report, SocketEvent) and isinstance(report.event, Closed):
            self._loop.event_loop.call_soon(self._loop.run, self._renew_paces)

    def _set_pace(self, pace: float | None) -> None:
        limits = self._settings.limits.of_a_socket
        self._limits = limits if pace is None else Limits(pace, batch=limits.batch)
        self._loop.event_loop.call_soon(self._loop.run, self._renew_paces)

    def _renew_paces(self) -> None:
        """Sockets that have no connection are made anew, if they have another pace."""
        for number, old in tuple(self._sockets.items()):
            if old.limits is self._limits or old.is_open:
                continue
            self._close(number)
            self._open(number)
            for keys, generation in old.carried():
                self._sockets[number].subscribe(keys, generation)

    def _close(self, number: int, code: int = 1000, reason: str = "") -> None:
        found = self._sockets.pop(number, None)
        if found is not None:
            receipt = found.close(code, reason)
            self._closing[receipt] = found
            receipt.when_done(partial(self._on_closed, receipt))
            self._admission.forget(number)

    def _set_auth(self, number: int, value: Any) -> None:
        self._pushed = [value]
        receipts = [each.socket.set_auth(value) for each in self._sockets.values()]

        def settled() -> None:
            outcome = worst([receipt.result() for receipt in receipts])
            self._report(AuthSettled(number, outcome))

        when_all_done(receipts, settled)


def when_all_done(receipts: Iterable[Receipt[Any]], function: Callable[[], None]) -> None:
    """Call a function when all of these have an outcome; now, if they have."""
    waiting = set(receipts)

    def done(receipt: Receipt[Any]) -> None:
        waiting.discard(receipt)
        if not waiting:
            function()

    if not waiting:
        function()
    for receipt in tuple(waiting):
        receipt.when_done(partial(done, receipt))


_WORST_FIRST = (Refused, NotInEffect, Overtaken, InEffect, Stored)


def worst(outcomes: Sequence[AuthChange]) -> AuthChange:
    """The outcome of a change of the credential on several sockets."""
    rank = {kind: number for number, kind in enumerate(_WORST_FIRST)}
    return min(outcomes, key=lambda outcome: rank[type(outcome)], default=Stored())


def _report_nothing(
    observer: str, stream: str, error: BaseException, *, detached: bool = True
) -> None:
    """Nobody but the fleet observes the receipt of a shard."""
