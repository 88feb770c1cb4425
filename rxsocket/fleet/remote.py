"""A shard elsewhere, as the fleet sees it: orders go out, reports and messages come in (C43).

::

    controller ── take(order) ──►  RemoteShard ── send ──►  link ──►  Host
    controller ◄── report ───────      │       ◄─ receive ──
                                   what it was told
    link       ============X  ·····  ============
    reports    Live        Closed    Opened Live             told again, as after a lost connection

A shard that ended is started again, and told what it was told. To the fleet that is what the loss
of all its connections at once would be, and a ``ShardFailed`` that says why.
"""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable, Hashable, Iterable
from typing import Any, NoReturn

from rxsocket.auth.credentials import Credential
from rxsocket.endpoint.admission import Admitted
from rxsocket.errors import SocketError
from rxsocket.events import Cause, Closed, Dropped, Opened
from rxsocket.fleet.admission import Admission
from rxsocket.fleet.counts import FleetCounts, added
from rxsocket.fleet.credential_relay import CredentialRelay
from rxsocket.fleet.desired_state import DesiredState
from rxsocket.fleet.events import ShardFailed
from rxsocket.fleet.orders import (
    CapConnections,
    CloseSocket,
    Messages,
    Order,
    Report,
    SetAuth,
    SocketEvent,
    Subscribe,
    Unsubscribe,
)
from rxsocket.fleet.portable import portable_error
from rxsocket.fleet.questions import (
    Answered,
    Counted,
    CredentialWanted,
    DialAnswered,
    DialGone,
    Discarded,
    OnlyThese,
    Output,
    Pushed,
    Question,
    Raised,
    Sealed,
    Started,
    Stop,
    Withdrawn,
)
from rxsocket.fleet.shard import when_all_done
from rxsocket.fleet.shard_link import LinkLost, ShardLink
from rxsocket.fleet.shard_socket import Deliver
from rxsocket.policy.backoff import Backoff
from rxsocket.policy.verdicts import Verdict
from rxsocket.runtime.loop import SocketLoop
from rxsocket.streams.receipts import Receipt

PATIENCE = 30.0
"""Seconds of silence after which a shard is taken as dead."""
BEAT = 2.0
"""Seconds after which a shard that has nothing to say says so."""
LIVED = 30.0
"""Seconds after which a shard that ended is started again at once."""
TRIES = 3
"""Times that a shard may end before it has begun: then it is not started again."""


class ShardEnded(SocketError):
    """A shard ended that was not to; its text has the traceback, if a function raised."""


class RemoteShard:
    """A shard elsewhere. Its methods are called on the fleet's loop, and so are its callbacks.

    Args:
        name: The name of the place.
        link: How it is reached.
        loop: The fleet's loop.
        report: Called with each report.
        deliver: Asked for what takes the messages of a channel.
        relay: Gives it credentials.
        admission: Says when its sockets may dial; ``None`` if somebody else than the fleet does.
        output: Called with what its pipeline gives.

    Attributes:
        name: The name of the place.
        where: Where it is, for people.
    """

    def __init__(
        self,
        name: str,
        link: ShardLink,
        loop: SocketLoop,
        report: Callable[[Report], None],
        deliver: Deliver,
        relay: CredentialRelay,
        admission: Admission | None = None,
        output: Callable[[Any], None] | None = None,
    ) -> None:
        self.name = name
        self.where = ""
        self._link = link
        self._loop = loop
        self._report = report
        self._deliver = deliver
        self._relay = relay
        self._admission = admission
        self._output = output
        self._desired = DesiredState()
        self._takers: dict[tuple[int, Hashable], Callable[[Any], None]] = {}
        self._outgoing: asyncio.Queue[tuple[Any, bool]] = asyncio.Queue()
        self._asked: dict[int, asyncio.Task[None]] = {}
        self._admitted: dict[int, Admitted] = {}
        self._open: dict[int, int] = {}
        self._heard_at = 0.0
        self._counted = FleetCounts(), FleetCounts()  # before it was started again, and since
        self._is_there = self._has_begun = False
        self._raised = ""
        self._backoff = Backoff()
        self._closed: Receipt[None] | None = None
        self._running = loop.event_loop.create_task(self._run(), name=f"shard {name}")

    def __repr__(self) -> str:
        return f"<RemoteShard {self.name}: {self.where or 'not there'}>"

    def masked(self, text: str) -> str:
        """Mask the newest credentials in a text; from any thread."""
        return self._relay.masked(text)

    @property
    def counts(self) -> FleetCounts:
        """What its sockets have counted, as far as it has said so; from any thread."""
        return added(self._counted)

    def take(self, order: Order) -> None:
        """Have an order carried out, now or when the shard is there."""
        match order:
            case SetAuth(number, value):
                order = SetAuth(number, Sealed.of(Credential.of(value)))
            case Subscribe(socket, keys):
                for key in keys:
                    self._takers[socket, key] = self._deliver(socket, key)
            case Unsubscribe(socket, keys):
                for key in keys:
                    self._takers.pop((socket, key), None)
            case CloseSocket(number):
                for socket, key in [one for one in self._takers if one[0] == number]:
                    del self._takers[socket, key]
            case CapConnections(most) if self._admission is not None:
                self._admission.cap(most)
                return
            case _:
                pass
        self._desired.take(order)
        self._send(order, is_secret=isinstance(order, SetAuth))

    def push(self, value: Sealed) -> None:
        """The source of the credential gave another one."""
        self._send(Pushed(value), is_secret=True)

    def close(self, code: int = 1000, reason: str = "") -> Receipt[None]:
        """Have the shard close its sockets and end; the receipt settles when it is gone."""
        if self._closed is None:
            self._closed = Receipt(self._loop, _report_nothing)
            self._loop.event_loop.create_task(self._close(self._closed, Stop(code, reason)))
        return self._closed

    def abort_after(self, seconds: float) -> None:
        """Do nothing: its process has a time of its own for that."""

    async def _close(self, closed: Receipt[None], stop: Stop) -> None:
        self._running.cancel()
        await asyncio.wait((self._running,))
        for number in tuple(self._admitted):
            self._on_dial_gone(number)
        try:
            await self._link.stop(stop)
        finally:
            with self._loop.turn():
                closed.settle(None)

    # --- one shard after the other

    async def _run(self) -> None:
        failures = 0
        while True:
            began = self._loop.event_loop.time()
            self._raised, self._has_begun = "", False
            error: Exception
            is_final = False
            try:
                await self._live()
            except LinkLost as lost:
                error, is_final = ShardEnded(self._why(lost)), lost.is_final
            except Exception as raised:  # what came was none of ours
                error = raised
                await self._link.kill()
            failures = 1 if self._loop.event_loop.time() - began > LIVED else failures + 1
            gives_up = is_final or (not self._has_begun and failures >= TRIES)
            with self._loop.turn():
                self._on_gone(error, restarts=not gives_up)
            if gives_up:
                return
            if failures > 1:
                await asyncio.sleep(self._backoff.delay(failures - 1))

    async def _live(self) -> NoReturn:
        has_it = await self._link.start(self._relay.newest, self._desired.auth)
        with self._loop.turn():
            self._on_there(has_it=has_it)
        sending = asyncio.create_task(self._send_all())
        try:
            while True:
                receiving = asyncio.create_task(self._receive())
                try:
                    await asyncio.wait((receiving, sending), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    receiving.cancel()
                if sending.done():
                    sending.result()
                items: list[Any] = pickle.loads(await receiving)
                self._heard_at = self._loop.wall_time()
                with self._loop.turn():
                    for item in items:
                        self._take_in(item)
        finally:
            self._is_there = False
            sending.cancel()

    def _on_there(self, *, has_it: bool) -> None:
        """It takes orders now: it is to have what the one before had."""
        self._outgoing = asyncio.Queue()
        self._is_there = True
        self._heard_at = self._loop.wall_time()
        if not has_it:
            self._counted = self.counts.past, FleetCounts()
        desired = self._desired
        for order in desired.orders():
            self._send(order, is_secret=isinstance(order, SetAuth))
        if has_it:
            keys = {number: tuple(have) for number, have in desired.sockets.items()}
            self._send(OnlyThese(keys, desired.generation))

    async def _receive(self) -> bytes:
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._link.receive()
        except TimeoutError:
            await self._link.kill()
            raise LinkLost(f"it said nothing for {PATIENCE:g} s, and was ended") from None

    async def _send_all(self) -> None:
        while True:
            item, is_secret = await self._outgoing.get()
            items = [item]
            while not is_secret and not self._outgoing.empty():
                following, is_secret = self._outgoing.get_nowait()
                if is_secret:
                    await self._link.send(items, is_secret=False)
                    items = []
                items.append(following)
            await self._link.send(items, is_secret=is_secret)

    def _send(self, item: Any, *, is_secret: bool = False) -> None:
        if self._is_there:
            self._outgoing.put_nowait((item, is_secret))

    def _why(self, lost: LinkLost) -> str:
        return self.masked(f"{lost}\n{self._raised}" if self._raised else str(lost))

    def _on_gone(self, error: Exception, *, restarts: bool) -> None:
        """Its connections are lost since it was heard of, and nobody waits for answers."""
        for task in tuple(self._asked.values()):
            task.cancel()
        for number in tuple(self._admitted):
            self._on_dial_gone(number)
        lost, self._open = self._open, {}
        for socket, epoch in lost.items():
            reason = f"the shard {self.name} ended"
            closed = Closed(
                epoch=epoch,
                code=1006,
                reason=reason,
                cause=Cause.LOST,
                verdict=Verdict.RECONNECT,
                at=self._heard_at,
            )
            self._report(SocketEvent(socket, closed))
        at = self._loop.wall_time()
        self._report(ShardFailed(shard=self.name, error=error, restarts=restarts, at=at))

    # --- what comes from it

    def _take_in(self, item: Any) -> None:
        match item:
            case Messages(messages):
                self._on_messages(messages)
            case SocketEvent(socket, event):
                if isinstance(event, Opened):
                    self._open[socket] = event.epoch
                elif isinstance(event, Closed) and self._open.get(socket) == event.epoch:
                    del self._open[socket]
                if self._admission is not None:
                    self._admission.on_event((self.name, socket), event)
                self._report(item)
            case Question(number, matter):
                answering = self._answer(number, matter)
                task = self._asked[number] = self._loop.event_loop.create_task(answering)
                task.add_done_callback(lambda _: self._asked.pop(number, None))
            case Withdrawn(number):
                if number in self._asked:
                    self._asked[number].cancel()
            case DialAnswered(number):
                if number in self._admitted:
                    self._admitted[number].answered()
            case DialGone(number):
                self._on_dial_gone(number)
            case Output(values):
                if self._output is not None:
                    for value in values:
                        self._output(value)
            case Discarded(count):
                why = f"the fleet took less than came to shard {self.name}"
                dropped = Dropped(epoch=0, count=count, reason=why, at=self._loop.wall_time())
                self._report(SocketEvent(0, dropped))
            case Counted(counts):
                self._counted = self._counted[0], counts
            case Raised(text):
                self._raised = text
            case Started(where):
                self.where, self._has_begun = where, True
            case _:
                self._report(item)

    def _on_messages(self, messages: tuple[tuple[int, Hashable, Any], ...]) -> None:
        takers, pending = self._takers, self._loop.pending
        for socket, key, data in messages:
            taker = takers.get((socket, key))
            if taker is not None:
                taker(data)
            if pending:
                self._loop.run_pending()

    def _on_dial_gone(self, number: int) -> None:
        admitted = self._admitted.pop(number, None)
        if admitted is not None:
            admitted.answered()
            admitted.gone()

    async def _answer(self, number: int, matter: Any) -> None:
        try:
            if isinstance(matter, CredentialWanted):
                value: Any = await self._relay.answer(matter)
            else:
                value = None
                if self._admission is not None:
                    admit = self._admission.of((self.name, matter.socket))
                    admitted = await admit(matter.beside)
                    if admitted is not None:
                        self._admitted[number] = admitted
        except Exception as error:
            self._send(Answered(number, error=portable_error(error)))
        else:
            self._send(Answered(number, value), is_secret=value is not None)


def all_closed(
    loop: SocketLoop, shards: Iterable[RemoteShard], code: int, reason: str
) -> Receipt[None]:
    """Close shards; the receipt settles when all of them are gone."""
    receipt: Receipt[None] = Receipt(loop, _report_nothing)
    when_all_done([shard.close(code, reason) for shard in shards], lambda: receipt.settle(None))
    return receipt


def _report_nothing(
    observer: str, stream: str, error: BaseException, *, detached: bool = True
) -> None:
    """Nobody but the fleet observes the receipt of a shard."""
