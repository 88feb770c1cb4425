"""A shard elsewhere, as the fleet sees it: orders go out, reports and messages come in (C45).

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
import logging
import pickle
from collections.abc import Callable, Hashable
from typing import Any, Protocol

from rxsocket.auth.credentials import Credential
from rxsocket.endpoint.admission import Admit, Admitted
from rxsocket.events import Cause, Closed, Opened
from rxsocket.fleet.credential_relay import CredentialRelay
from rxsocket.fleet.events import ShardFailed
from rxsocket.fleet.orders import (
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
    CredentialWanted,
    DialAnswered,
    DialGone,
    Discarded,
    Output,
    Pushed,
    Question,
    Raised,
    Sealed,
    Started,
    Withdrawn,
)
from rxsocket.fleet.shard_socket import Deliver
from rxsocket.fleet.told import Told
from rxsocket.policy.backoff import Backoff
from rxsocket.runtime.loop import SocketLoop
from rxsocket.runtime.threads import log

PATIENCE = 30.0
"""Seconds of silence after which a shard is taken as dead."""
BEAT = 2.0
"""Seconds after which a shard that has nothing to say says so."""
LIVED = 30.0
"""Seconds after which a shard that ended is started again at once."""
TRIES = 3
"""Times that a shard may end before it has begun: then it is not started again."""


class LinkLost(Exception):
    """The shard at the other end of a link is gone; the text says what is known of it."""


class ShardLink(Protocol):
    """How a shard elsewhere is reached."""

    async def start(self, first: Sealed | None, told: Told) -> bool:
        """Have a shard, which is not there.

        Args:
            first: The credential to begin with.
            told: What the shard is to have.

        Returns:
            Whether it has what it was told already: it was there before this fleet was.

        Raises:
            LinkLost: If there is none.
        """
        ...

    async def send(self, items: list[Any], *, is_secret: bool) -> None:
        """Send; a secret goes by itself."""
        ...

    async def receive(self) -> bytes:
        """What the shard has for the fleet; returns in time if it has nothing.

        Raises:
            LinkLost: If it is gone.
        """
        ...

    async def stop(self) -> None:
        """Have the shard close its sockets and end; wait for that, but not for ever."""
        ...

    async def kill(self) -> None:
        """End the shard as it is."""
        ...


class ShardEnded(Exception):
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
        admit: Lets its sockets dial, if the fleet does that.
        output: Called with what its pipeline gives.
    """

    def __init__(
        self,
        name: str,
        link: ShardLink,
        loop: SocketLoop,
        report: Callable[[Report], None],
        deliver: Deliver,
        relay: CredentialRelay,
        admit: Admit | None = None,
        output: Callable[[Any], None] | None = None,
    ) -> None:
        self.name = name
        self._link = link
        self._loop = loop
        self._report = report
        self._deliver = deliver
        self._relay = relay
        self._admit = admit
        self._output = output
        self._told = Told()
        self._takers: dict[tuple[int, Hashable], Callable[[Any], None]] = {}
        self._open: dict[int, int] = {}
        self._outgoing: asyncio.Queue[tuple[Any, bool]] = asyncio.Queue()
        self._asked: dict[int, asyncio.Task[None]] = {}
        self._admitted: dict[int, Admitted] = {}
        self._is_there = False
        self._has_begun = False
        self._raised = ""
        self.where = ""
        self.dropped = 0
        self._backoff = Backoff()
        self._running: asyncio.Task[None] | None = None
        self._is_closing = False

    def start(self) -> None:
        """Have the shard started; nothing waits for that."""
        self._running = self._loop.event_loop.create_task(self._run(), name=f"shard {self.name}")

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
            case _:
                pass
        self._told.take(order)
        self._send(order, is_secret=isinstance(order, SetAuth))

    def push(self, value: Sealed) -> None:
        """The source of the credential gave another one."""
        self._send(Pushed(value), is_secret=True)

    async def close(self) -> None:
        """Have the shard close its sockets and end; returns when it is gone."""
        self._is_closing = True
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
            await asyncio.wait((running,))
        await self._link.stop()

    # --- one shard after the other

    async def _run(self) -> None:
        failures = 0
        while True:
            began = self._loop.event_loop.time()
            self._raised, self._has_begun = "", False
            error: Exception
            try:
                await self._live()
                return
            except LinkLost as lost:
                error = ShardEnded(self._why(lost))
            except asyncio.CancelledError:
                raise
            except Exception as raised:
                error = raised
                await self._link.kill()
            failures = 1 if self._loop.event_loop.time() - began > LIVED else failures + 1
            gives_up = failures >= TRIES and not self._has_begun
            with self._loop.turn():
                self._on_gone(error, restarts=not gives_up)
            if gives_up:
                return
            if failures > 1:
                await asyncio.sleep(self._backoff.delay(failures - 1))

    async def _live(self) -> None:
        self._outgoing = asyncio.Queue()
        has_it = await self._link.start(self._relay.newest, self._told)
        self._is_there = True
        if not has_it:
            for order in self._told.orders():
                self._send(order, is_secret=isinstance(order, SetAuth))
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
                items: list[Any] = pickle.loads(receiving.result())
                with self._loop.turn():
                    for item in items:
                        self._take_in(item)
        finally:
            self._is_there = False
            sending.cancel()

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
        return f"{lost}\n{self._raised}" if self._raised else str(lost)

    def _on_gone(self, error: Exception, *, restarts: bool) -> None:
        """All its connections are lost, and nobody waits for what it asked."""
        for task in tuple(self._asked.values()):
            task.cancel()
        for number in tuple(self._admitted):
            self._on_dial_gone(number)
        for socket, epoch in tuple(self._open.items()):
            at = self._loop.wall_time()
            reason = f"the shard {self.name} ended"
            closed = Closed(epoch=epoch, code=1006, reason=reason, cause=Cause.LOST, at=at)
            self._report(SocketEvent(socket, closed))
        self._open.clear()
        log(logging.WARNING, "shard %s: %s", self.name, error)
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
                self.dropped += count
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
                admitted = await self._admit(matter.beside) if self._admit is not None else None
                if admitted is not None:
                    self._admitted[number] = admitted
                value = None
        except Exception as error:
            self._send(Answered(number, error=portable_error(error)))
        else:
            self._send(Answered(number, value), is_secret=value is not None)
