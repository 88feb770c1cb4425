"""The actor that knows the plan of a fleet on Ray, and when its sockets may dial (C43).

It outlives the driver and the shards. It keeps nothing on a disk: when it is started again itself,
the shards give back what they have.

::

    driver   attach ── note ────────────X       attach      X: killed; the next one gets the plan
    ledger   ===================X  =====================    X: killed; the shards give it back
    shard    ── admit ── part ─────── restore ── admit ─
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any

from rxsocket.endpoint.admission import Admitted
from rxsocket.events import Event
from rxsocket.fleet.admission import Admission
from rxsocket.fleet.desired_state import DesiredState
from rxsocket.fleet.events import Capped, Throttled
from rxsocket.fleet.host import HostSettings
from rxsocket.fleet.orders import Order, SetAuth
from rxsocket.fleet.questions import OnlyThese, Sealed
from rxsocket.limits import Limits

GATHERING = 5.0
"""Seconds in which a ledger that was started again hears from all shards, before anybody dials."""


@dataclass(slots=True)
class _ShardPart:
    """What one shard is to have."""

    settings: HostSettings | None = None
    pipeline: bytes | None = field(default=None, repr=False)
    first: Sealed | None = None
    desired: DesiredState = field(default_factory=DesiredState)


class LedgerActor:
    """The plan and its generation, by shard; and the dials of each egress.

    What is secret comes and goes in calls of its own, which are small: Ray keeps what is large in
    its object store.

    Args:
        fleet: The name of the fleet.
        limits: What the server allows.
    """

    def __init__(self, fleet: str, limits: Limits) -> None:
        self._fleet = fleet
        self._limits = limits
        self._term = 0
        self._parts: dict[str, _ShardPart] = {}
        self._admissions: dict[str, Admission] = {}
        self._dials: dict[int, tuple[str, Admitted]] = {}
        self._incarnations: dict[str, str] = {}
        self._last = secrets.randbelow(2**48)  # no number of the ledger before means one of these
        ray: Any = import_module("ray")  # an actor is made where it is installed
        is_anew: bool = ray.get_runtime_context().was_current_actor_reconstructed
        now = asyncio.get_running_loop().time()
        self._admits_from = now + GATHERING if is_anew else now
        self._learnt: list[Throttled | Capped] = []

    def __repr__(self) -> str:
        return f"ledger of {self._fleet}"

    # --- for the driver

    async def attach(self) -> tuple[int, dict[str, DesiredState]]:
        """A driver takes the fleet over: its term, and what each shard is to have."""
        self._term += 1
        return self._term, {name: _shown(part.desired) for name, part in self._parts.items()}

    async def begin(self, term: int, name: str, pipeline: bytes | None) -> None:
        """A shard begins anew: it has no sockets."""
        if term >= self._term:
            part = self._parts.setdefault(name, _ShardPart())
            before = part.desired
            part.desired = DesiredState(auth=before.auth, pace=before.pace, paused=before.paused)
            part.pipeline = pipeline

    async def note(
        self,
        term: int,
        name: str,
        orders: list[Order | OnlyThese],
        pipeline: bytes | None = None,
    ) -> None:
        """A shard is told this."""
        if term >= self._term:
            part = self._parts.setdefault(name, _ShardPart())
            part.pipeline = pipeline or part.pipeline
            for order in orders:
                if isinstance(order, OnlyThese):
                    part.desired.keep_only(order.keys)
                else:
                    part.desired.take(order)

    async def keep(
        self, term: int, name: str, settings: HostSettings, first: Sealed | None
    ) -> None:
        """What the sockets of a shard are made with, and the newest credential."""
        if term >= self._term:
            part = self._parts.setdefault(name, _ShardPart())
            part.settings, part.first = settings, first

    async def remember(self, term: int, newest: Sealed) -> None:
        """There is another credential, which all shards have."""
        if term >= self._term:
            for part in self._parts.values():
                part.first = newest

    # --- for the shards

    async def knows(self, name: str, incarnation: str) -> bool:
        """Whether it knows what a shard is to have; of an earlier incarnation nothing is left."""
        before = self._incarnations.get(name)
        self._incarnations[name] = incarnation
        if before not in (None, incarnation):
            for number in [one for one, (of, _) in self._dials.items() if of == before]:
                await self.on_gone(number)
        part = self._parts.get(name)
        return part is not None and part.settings is not None

    async def settings_of(
        self, name: str
    ) -> tuple[int, HostSettings | None, Sealed | None, SetAuth | None]:
        """What the sockets of a shard are made with."""
        part = self._parts[name]
        return self._term, part.settings, part.first, part.desired.auth

    async def desired_of(self, name: str) -> tuple[bytes | None, DesiredState]:
        """Its pipeline, and what a shard is to have; without what is secret."""
        part = self._parts[name]
        return part.pipeline, _shown(part.desired)

    async def restore(
        self,
        name: str,
        term: int,
        settings: HostSettings,
        first: Sealed | None,
        auth: SetAuth | None,
    ) -> None:
        """Get back from a shard what was known before.

        What it has comes with ``note``, and its dials with ``dialled``.
        """
        self._term = max(self._term, term)
        part = self._parts.setdefault(name, _ShardPart())
        part.settings, part.first = settings, first
        part.desired.auth = auth

    # --- dials

    async def admit(self, egress: str, shard: str, socket: int, beside: bool) -> int:
        """Wait for the turn of a socket to dial; returns the number of the dial."""
        await asyncio.sleep(self._admits_from - asyncio.get_running_loop().time())
        admitted = await self._admission(egress).of((shard, socket))(beside)
        assert admitted is not None
        self._last += 1
        self._dials[self._last] = shard, admitted
        return self._last

    async def on_answered(self, number: int) -> None:
        """The server has answered a dial."""
        if number in self._dials:
            self._dials[number][1].answered()

    async def on_gone(self, number: int) -> None:
        """Nothing is left of a connection."""
        _, admitted = self._dials.pop(number, ("", None))
        if admitted is not None:
            admitted.answered()
            admitted.gone()

    async def on_event(
        self, egress: str, shard: str, socket: int, event: Event
    ) -> list[Throttled | Capped]:
        """Something happened to a socket; returns what that teaches."""
        self._learnt = []
        self._admission(egress).on_event((shard, socket), event)
        return self._learnt

    async def cap(self, egress: str, most: int) -> None:
        """The server takes so many connections of an egress."""
        self._admission(egress).cap(most)

    async def dialled(
        self, egress: str, shard: str, dials: dict[int, tuple[float, bool]]
    ) -> dict[int, int]:
        """Get back the dials of a shard: how long ago each was answered, and whether it is open.

        Returns:
            The new number of each that is open.
        """
        numbers: dict[int, int] = {}
        for before, (ago, is_open) in dials.items():
            admitted = self._admission(egress).resumed(ago)
            if not is_open:
                admitted.gone()
                continue
            self._last += 1
            self._dials[self._last] = shard, admitted
            numbers[before] = self._last
        return numbers

    def _admission(self, egress: str) -> Admission:
        found = self._admissions.get(egress)
        if found is None:
            found = self._admissions[egress] = Admission(
                self._limits,
                asyncio.get_running_loop(),
                shard=egress,
                on_learnt=self._learnt_now,
            )
        return found

    def _learnt_now(self, event: Throttled | Capped) -> None:
        self._learnt.append(event)


def _shown(desired: DesiredState) -> DesiredState:
    return replace(desired, auth=None)
