"""How the driver of a fleet on Ray reaches its shards and its ledger (C43).

::

    driver   begin ── take ── take ── take ─X     a call that waits for what there is
    shard       '───────'──────'───────'          one batch each, kept until the next call has it
"""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from rxsocket.fleet.desired_state import DesiredState
from rxsocket.fleet.host import HostSettings
from rxsocket.fleet.orders import SetAuth
from rxsocket.fleet.questions import Answered, Pushed, Sealed, Stop
from rxsocket.fleet.ray_ledger import LedgerActor
from rxsocket.fleet.ray_shard import ShardActor, Superseded, of_ledger
from rxsocket.fleet.shard_link import LinkLost
from rxsocket.limits import Limits
from rxsocket.runtime.threads import run_blocking

CLOSING = 5.0
"""Seconds that the sockets of a shard have for their closing handshakes."""
AWAY = 3.0
"""Seconds without an answer after which a shard is taken as lost."""
SMALL = 64 * 1024
"""Bytes of what may be secret: Ray sends so little with the call, not through its object store."""
CALLS = 10_000
"""Calls that may wait in one actor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActorOptions:
    """How Ray is to run the actors.

    Attributes:
        namespace: Where their names count.
        is_detached: Whether they live on without the driver.
    """

    namespace: str
    is_detached: bool


class RayCluster:
    """The actors of one fleet, for its driver.

    Args:
        ray: The module.
        fleet: The name of the fleet.
        options: How they are run.
        limits: What the server allows.
    """

    def __init__(self, ray: Any, fleet: str, options: ActorOptions) -> None:
        self.ray = ray
        self.term = 0
        self.desired: dict[str, DesiredState] = {}
        self.is_superseded = False
        self._fleet = fleet
        self._options = options
        self.ledger: Any = None

    async def attach(self, limits: Limits) -> None:
        """Take the fleet over, if it was there before.

        Args:
            limits: What the server allows.
        """
        options = {"num_cpus": 0}
        self.ledger = await self._actor("ledger", LedgerActor, options, self._fleet, limits)
        self.term, self.desired = await self.of_ledger("attach")

    async def shard(self, name: str, options: dict[str, Any], egress: str | None) -> Any:
        """The actor of a shard; a new one, unless it is there."""
        ledger = self._name_of("ledger")
        return await self._actor(name, ShardActor, options, name, ledger, egress)

    async def of_ledger(self, method: str, *arguments: Any) -> Any:
        """Call the ledger."""
        return await of_ledger(self.ledger, method, *arguments)

    def end(self) -> None:
        """The fleet was closed: nothing of it is kept."""
        if not self.is_superseded:
            self.ray.kill(self.ledger)

    def _name_of(self, name: str) -> str:
        return f"rxsocket {self._fleet} {name}"

    async def _actor(self, name: str, kind: type, options: dict[str, Any], *arguments: Any) -> Any:
        def make() -> Any:  # which asks the head node
            return (
                self.ray.remote(kind)
                .options(
                    name=self._name_of(name),
                    namespace=self._options.namespace,
                    get_if_exists=True,
                    lifetime="detached" if self._options.is_detached else None,
                    max_restarts=-1,
                    max_task_retries=0,
                    max_concurrency=CALLS,
                    **options,
                )
                .remote(*arguments)
            )

        return await run_blocking(asyncio.get_running_loop(), make)


class RayLink:
    """The link to one shard; on the fleet's loop.

    Args:
        cluster: What gives the actors of the fleet.
        settings: What the shard is made with.
        pipeline: What is done beside the data, pickled.
        options: How Ray is to run it.
        egress: The address that its sockets come from; ``None`` for its node.
    """

    def __init__(
        self,
        cluster: asyncio.Task[RayCluster],
        settings: HostSettings,
        pipeline: bytes | None,
        options: dict[str, Any],
        egress: str | None,
    ) -> None:
        self._attaching = cluster
        self._options = options
        self._egress = egress
        self._settings = settings
        self._pipeline = pipeline
        self._actor: Any = None
        self._incarnation = ""
        self._acknowledged = 0

    async def start(self, first: Sealed | None, auth: SetAuth | None) -> bool:
        """Have the actor, and the shard in it."""
        self._cluster = cluster = await self._attached()
        name = self._settings.name
        for one in (self._settings.settings, pickle.dumps((first, auth))):
            if len(one) > SMALL:
                raise LinkLost(
                    f"what shard {name} is made with has {len(one):,} bytes; as there may be "
                    f"secrets in it, it may have {SMALL:,} at most",
                    is_final=True,
                )
        await cluster.of_ledger("keep", cluster.term, name, self._settings, first)
        try:
            if self._actor is None:  # Ray ends an actor whose first handle is dropped
                self._actor = await cluster.shard(name, self._options, self._egress)
            answer = await self._begin(first, auth)
        except cluster.ray.exceptions.RayError as error:
            raise self._lost(error) from None
        incarnation, was_there, acknowledged = answer
        if incarnation != self._incarnation:
            self._incarnation, self._acknowledged = incarnation, acknowledged
        if not was_there:
            await cluster.of_ledger("begin", cluster.term, name, self._pipeline)
        return bool(was_there)

    async def _begin(self, first: Sealed | None, auth: SetAuth | None) -> tuple[str, bool, int]:
        while True:
            try:
                answer = await self._call("begin", self._settings, self._pipeline, first, auth)
            except self._cluster.ray.exceptions.ActorUnavailableError:
                await asyncio.sleep(0.2)  # Ray starts it again, here or on another node
            else:
                return tuple(answer)

    async def _attached(self) -> RayCluster:
        try:
            return await asyncio.shield(self._attaching)
        except Exception as error:  # the fleet ends with it
            raise LinkLost(f"Ray is not there: {error}", is_final=True) from error

    async def send(self, items: list[Any], *, is_secret: bool) -> None:
        """Send, unless it is gone."""
        cluster = self._cluster
        if is_secret and len(pickle.dumps(items)) > SMALL:
            raise LinkLost(f"a credential has more than {SMALL:,} bytes")
        orders = [item for item in items if not isinstance(item, (Pushed, Answered))]
        calls: list[Awaitable[Any]] = [self._call("receive", items)]
        if orders:
            calls.append(cluster.of_ledger("note", cluster.term, self._settings.name, orders))
        for item in items:
            if isinstance(item, Pushed):
                calls.append(cluster.of_ledger("remember", cluster.term, item.value))
        with suppress(cluster.ray.exceptions.RayError):  # receive() says that it is gone
            await asyncio.gather(*calls)

    async def receive(self) -> bytes:
        """What the shard has for the fleet."""
        errors = self._cluster.ray.exceptions
        loop = asyncio.get_running_loop()
        until: float | None = None
        while True:
            try:
                incarnation, number, data = await self._call("take", self._acknowledged)
            except errors.ActorUnavailableError as error:
                if until is None:
                    until = loop.time() + AWAY
                if loop.time() >= until:
                    raise self._lost(error) from None
                await asyncio.sleep(0.1)
                continue
            except errors.RayError as error:
                raise self._lost(error) from None
            if incarnation != self._incarnation:
                raise LinkLost("its actor was started again by Ray")
            if number != self._acknowledged:
                self._acknowledged = number
                return bytes(data)

    async def stop(self, stop: Stop) -> None:
        """Have the shard close its sockets, and end the actor."""
        if self._actor is not None:
            try:
                async with asyncio.timeout(CLOSING + 1.0):
                    await self._call("stop", stop)
            except Exception as error:  # it has died, or is another driver's
                self._lost(error)
        await self._end(no_restart=True)

    async def kill(self) -> None:
        """Have Ray start the actor again."""
        await self._end(no_restart=False)

    async def _end(self, *, no_restart: bool) -> None:
        if self._actor is not None and not self._cluster.is_superseded:
            with suppress(Exception):
                self._cluster.ray.kill(self._actor, no_restart=no_restart)

    async def _call(self, method: str, *arguments: Any) -> Any:
        if self._actor is None:
            raise LinkLost("its actor died")
        return await getattr(self._actor, method).remote(self._cluster.term, *arguments)

    def _lost(self, error: Exception) -> LinkLost:
        errors = self._cluster.ray.exceptions
        if isinstance(error, errors.RayTaskError):
            cause = getattr(error, "cause", error)
            if isinstance(cause, Superseded):
                self._cluster.is_superseded = True
                return LinkLost(str(cause), is_final=True)
            return LinkLost(f"{type(cause).__name__}: {cause}")
        if isinstance(error, errors.ActorDiedError):
            self._actor = None
            return LinkLost("its actor died")
        if isinstance(error, errors.ActorUnavailableError):
            return LinkLost(f"its actor, or the node that it is on, is away for {AWAY:g} s")
        return LinkLost(f"{type(error).__name__}: {error}")
