"""The actor that is one shard of a fleet on Ray (C43).

It is made with names alone, as Ray keeps what actors are made with. What it is to have comes by
calls: from the driver, or, when Ray started the actor again and no driver is there, from the
ledger.

::

    driver   begin ── receive ── take ── take ─────────X   X: killed       take: a next driver's
    shard    ====================================X  =============================
    ledger         note(desired)                      part()   X: killed, started again by Ray
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import Any

from rxsocket.endpoint.admission import Admit, Admitted
from rxsocket.events import Aborted, ConnectFailed, Event, Opened, Rejected
from rxsocket.fleet.host import Host, HostSettings
from rxsocket.fleet.orders import Learnt, SetAuth
from rxsocket.fleet.portable import trace_of, without_unpicklable
from rxsocket.fleet.questions import Sealed, Stop

BEAT = 2.0
"""Seconds after which a shard that has nothing to say says so, and speaks with the ledger."""


KEPT = 1000
"""Dials that are remembered, for a ledger that has lost them."""


class Superseded(Exception):
    """Another driver has taken over the fleet."""


class ShardActor:
    """One shard; its methods are called by the driver.

    Args:
        name: The name of the shard.
        ledger: The name of the actor that knows the plan.
        egress: The address that its sockets come from; left out: its node.
    """

    def __init__(self, name: str, ledger: str, egress: str | None) -> None:
        ray: Any = import_module("ray")  # an actor is made where it is installed
        context = ray.get_runtime_context()
        self._name = name
        # Not a handle of it: Ray keeps such an argument in its object store.
        self._ledger: Any = ray.get_actor(ledger, context.namespace)
        self._incarnation = secrets.token_hex(4)
        self._node: str = context.get_node_id()
        self._egress = egress or self._node
        self._host: Host | None = None
        self._settings: HostSettings | None = None
        self._pipeline: bytes | None = None
        self._admission: LedgerAdmission | None = None
        self._term = 0
        self._number: int = 0
        self._unacknowledged = b""
        self._gathering: asyncio.Task[bytes] | None = None
        self._failed = ""
        self._beating = asyncio.get_running_loop().create_task(self._beat())

    def __repr__(self) -> str:
        return f"rxsocket {self._name}"  # Ray's log has it

    # --- the driver's calls

    async def begin(
        self,
        term: int,
        settings: HostSettings,
        pipeline: bytes | None,
        first: Sealed | None,
        auth: SetAuth | None,
    ) -> tuple[str, bool, int]:
        """Have the shard, unless it is there.

        Returns:
            The incarnation, whether it was there, and the number of the last batch that a driver
            said that it has.
        """
        self._check(term)
        was_there = self._host is not None
        if self._host is None:
            self._make(settings, pipeline, first, auth)
        else:
            self._host.attach()
        number = self._number - 1 if self._unacknowledged else self._number
        return self._incarnation, was_there, number

    async def receive(self, term: int, items: list[Any]) -> None:
        """Carry out what the driver says."""
        self._check(term)
        if self._host is not None:
            self._host.receive(items)

    async def take(self, term: int, acknowledged: int) -> tuple[str, int, bytes]:
        """What there is for the driver; the same again until it says that it has it."""
        self._check(term)
        if acknowledged == self._number:
            self._unacknowledged = b""
        if not self._unacknowledged:
            if self._host is None:
                raise ShardAway(self._failed or "it was started again")
            if self._gathering is None:
                self._gathering = asyncio.create_task(self._host.next(BEAT))
            gathering = self._gathering
            try:
                data = await asyncio.shield(gathering)
            except Exception as error:
                await self._fail(error)
                raise ShardAway(self._failed) from None
            self._check(term)
            if self._gathering is gathering:
                self._gathering = None
                self._number += 1
                self._unacknowledged = data
        return self._incarnation, self._number, self._unacknowledged

    async def stop(self, term: int, stop: Stop) -> None:
        """Close the sockets."""
        self._check(term)
        self._beating.cancel()
        host, self._host = self._host, None
        if host is not None:
            await host.close(stop)

    # --- inside

    def _check(self, term: int) -> None:
        if term < self._term:
            raise Superseded("another driver has taken over this fleet")
        self._term = term

    def _make(
        self,
        settings: HostSettings,
        pipeline: bytes | None,
        first: Sealed | None,
        auth: SetAuth | None,
    ) -> Host:
        self._settings, self._pipeline = settings, pipeline
        self._failed = ""
        admission = LedgerAdmission(self._ledger, self._egress, self._incarnation)
        self._admission = admission
        try:
            host = Host(settings, pipeline, first, f"node {self._node[:8]}", admission)
        except Exception as error:
            self._failed = trace_of(error)
            raise ShardAway(self._failed) from None
        admission.report = host.report
        if auth is not None:
            host.receive([auth])
        self._host = host
        return host

    async def _fail(self, error: Exception) -> None:
        """A function of the user's raised: the sockets are closed, and the next driver told."""
        host, self._host = self._host, None
        self._failed, self._gathering = trace_of(error), None
        if host is not None:
            await host.close(Stop())

    async def _beat(self) -> None:
        """Get what is to be had from the ledger, or give it back to one that has lost it."""
        while True:
            known = await of_ledger(self._ledger, "knows", self._name, self._incarnation)
            if self._host is None and known and not self._failed:
                await self._get_back()
            elif self._host is not None and not known:
                await self._give_back(self._host)
            await asyncio.sleep(BEAT)

    async def _get_back(self) -> None:
        term, settings, first, auth = await of_ledger(self._ledger, "settings_of", self._name)
        pipeline, desired = await of_ledger(self._ledger, "desired_of", self._name)
        if self._host is None and settings is not None and term >= self._term:
            self._term = term
            with suppress(ShardAway):  # the driver is told, when it calls
                self._make(settings, pipeline, first, auth).receive([*desired.orders()])

    async def _give_back(self, host: Host) -> None:
        desired = host.desired
        await of_ledger(
            self._ledger,
            "restore",
            self._name,
            self._term,
            self._settings,
            host.newest,
            desired.auth,
        )
        if self._admission is not None:
            await self._admission.give_back()
        orders = [*replace(desired, auth=None).orders()]
        await of_ledger(self._ledger, "note", self._term, self._name, orders, self._pipeline)


class ShardAway(Exception):
    """The actor is there, but no shard in it; the text says why."""


class LedgerAdmission:
    """Stands in a shard for the ``Admission`` of its egress, which the ledger has.

    Args:
        ledger: The ledger.
        egress: The address that the sockets come from.
        incarnation: Of the shard.

    Attributes:
        report: What takes what is learnt.
    """

    def __init__(self, ledger: Any, egress: str, incarnation: str) -> None:
        self._ledger = ledger
        self._egress = egress
        self._incarnation = incarnation
        self.report: Callable[[Any], None] = _nothing
        self._telling: set[asyncio.Task[None]] = set()
        self._answered: dict[int, float | None] = {}
        self._open: set[int] = set()
        self._numbers: dict[int, int] = {}  # of a ledger after the one that admitted it

    def of(self, socket: int) -> Admit:
        """What a socket asks before each dial."""
        return partial(self._admit, socket)

    def on_event(self, socket: int, event: Event) -> None:
        """Something happened to a socket."""
        if isinstance(event, (Aborted, ConnectFailed, Opened, Rejected)):
            telling = asyncio.create_task(self._tell(socket, without_unpicklable(event)))
            self._telling.add(telling)
            telling.add_done_callback(self._telling.discard)

    def forget(self, socket: int) -> None:
        """A socket is closed for good; its place is forgotten with the shard."""

    def cap(self, most: int) -> None:
        """The server takes so many connections of the egress."""
        self._ledger.cap.remote(self._egress, most)

    async def give_back(self) -> None:
        """Tell a ledger that has lost them of the dials of the shard."""
        now = asyncio.get_running_loop().time()
        dials = {
            number: (now - (at or now), number in self._open)
            for number, at in self._answered.items()
        }
        arguments = (self._egress, self._incarnation, dials)
        self._numbers |= await of_ledger(self._ledger, "dialled", *arguments)

    async def _admit(self, socket: int, beside: bool) -> Admitted:
        arguments = (self._egress, self._incarnation, socket, beside)
        number: int = await of_ledger(self._ledger, "admit", *arguments)
        loop = asyncio.get_running_loop()
        self._answered[number] = None
        self._open.add(number)
        for old in [*self._answered][:-KEPT]:
            if old not in self._open:
                del self._answered[old]

        def answered() -> None:
            if self._answered.get(number) is None:
                self._answered[number] = loop.time()
                self._ledger.on_answered.remote(self._numbers.get(number, number))

        def gone() -> None:
            self._open.discard(number)
            self._ledger.on_gone.remote(self._numbers.pop(number, number))

        return Admitted(answered, gone)

    async def _tell(self, socket: int, event: Any) -> None:
        arguments = (self._egress, self._incarnation, socket, event)
        for learnt in await of_ledger(self._ledger, "on_event", *arguments):
            self.report(Learnt(learnt))


def _nothing(_: Any) -> None:
    """There is no shard yet."""


async def of_ledger(ledger: Any, method: str, *arguments: Any) -> Any:
    """Call the ledger; while Ray starts it again, wait for it."""
    from ray.exceptions import ActorUnavailableError

    while True:
        with suppress(ActorUnavailableError):
            return await getattr(ledger, method).remote(*arguments)
        await asyncio.sleep(0.2)
