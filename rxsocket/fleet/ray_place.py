"""Shards in actors of a Ray cluster: ``on="ray"``, or ``Ray(...)`` (C43).

::

    driver ──┬── actor: shard 0     on node 1 ─┐
             ├── actor: shard 1     on node 2 ─┤
             └── actor: ledger ────────────────┘    plan, generation, who may dial from where
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import import_module
from typing import Any

from reactivex import Observable

from rxsocket.fleet.batches import WhenFull, check_when_full
from rxsocket.fleet.host import HostSettings
from rxsocket.fleet.places import Run, Shards, Where
from rxsocket.fleet.plan import Place
from rxsocket.fleet.portable import function_pickled, settings_pickled
from rxsocket.fleet.questions import Sealed
from rxsocket.fleet.ray_link import ActorOptions, RayCluster, RayLink
from rxsocket.fleet.ray_thread import RayThread
from rxsocket.fleet.remote import RemoteShard, all_closed
from rxsocket.fleet.shard import ShardSettings
from rxsocket.streams.receipts import Receipt
from rxsocket.validation import callback, name_or_none, whole_number

MISSING = (
    "on='ray' needs Ray, which is not installed: pip install 'rxsocket[ray]', on each node of the "
    "cluster"
)


@dataclass(frozen=True)
class Ray(Where):
    """Shards in actors of a Ray cluster, as ``on=`` of a fleet (rule C43, places).

    Where Ray runs in this process, it is used; else it is started, or, with ``address``, joined,
    and left again when the fleet was closed. With a ``name`` of the fleet, the actors live on when
    this process dies, and the next fleet of that name takes them over, with all of their channels;
    ``close()`` ends them. Without one they end with this process.

    Args:
        shards: How many; left out: one for each processor of this machine.
        resources: What each of them needs of its node: ``{"CPU": 1}``, or resources of one's own.
        placement: Where they go, as Ray's ``scheduling_strategy``: ``"SPREAD"``, ``"DEFAULT"``, or
            one of ``ray.util.scheduling_strategies``; or one for each shard.
        egress: The addresses that the sockets come from, by any name: one for all shards, or one
            for each. Each has its own turn to dial. Left out: the sockets of a node have one
            address, and the plan takes care that all shards could be on one node.
        namespace: Where the names of the actors count.
        address: The cluster to join: an address, or ``"auto"``.
        pipeline: A function of a module, from the Observable of a shard's messages to one of what
            comes back: it runs in the shards. What it gives is on ``fleet.messages``.
        when_full: What a shard does when the driver takes less than comes: ``"pause"`` reading, or
            ``"drop"`` messages, which are counted in a ``Dropped`` on ``errors``.
        options: Further arguments of ``ray.init``, if it is called.

    Raises:
        TypeError: If an argument is of a wrong type.
        ValueError: If one cannot be used.

    Examples:
        >>> Fleet(url, channel=spec, name="trades", on=Ray(shards=4, resources={"CPU": 1}))
    """

    shards: int | None = None
    resources: Mapping[str, float] | None = None
    placement: Any = "SPREAD"
    egress: str | Sequence[str] | None = None
    namespace: str = "rxsocket"
    address: str | None = None
    pipeline: Callable[[Observable[Any]], Observable[Any]] | None = None
    when_full: WhenFull = "pause"
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        if self.shards is not None:
            whole_number("Ray(shards)", self.shards)
        for name, amount in (self.resources or {}).items():
            if isinstance(amount, bool) or not isinstance(amount, (int, float)) or amount < 0:
                raise ValueError(f"Ray(resources[{name!r}]): pass a number of it, not {amount!r}")
        for name in ("egress", "placement"):
            value = getattr(self, name)
            if isinstance(value, (list, tuple)) and len(value) != self._count:  # pyright: ignore[reportUnknownArgumentType]
                raise ValueError(
                    f"Ray({name}): pass one for all, or one for each of the {self._count} shards"
                )
        name_or_none("Ray(namespace)", self.namespace)
        name_or_none("Ray(address)", self.address)
        if self.pipeline is not None:
            callback("Ray(pipeline)", self.pipeline)
        check_when_full("Ray", self.when_full)

    @property
    def _count(self) -> int:
        return self.shards or os.cpu_count() or 1

    @property
    def places(self) -> tuple[Place, ...]:
        """The shards; without ``egress``, as if they had one address."""
        return tuple(
            Place(f"ray {number}", self.egress_of(number) or "the node")
            for number in range(self._count)
        )

    def egress_of(self, number: int) -> str | None:
        """The egress of a shard; ``None`` for its node."""
        return self.egress if isinstance(self.egress, str) else _of(self.egress, number)

    def actor_options(self, number: int) -> dict[str, Any]:
        """How Ray is to run a shard."""
        resources = dict(self.resources or {})
        placement = self.placement
        if isinstance(placement, (list, tuple)):
            placement = _of(placement, number)  # pyright: ignore[reportUnknownArgumentType]
        return {
            "num_cpus": resources.pop("CPU", 0),
            "num_gpus": resources.pop("GPU", 0),
            "resources": resources,
            "scheduling_strategy": placement,
        }

    def check(self, settings: ShardSettings) -> None:
        """Check that Ray is there, and that what goes to the shards can be pickled."""
        dumps = _ray().cloudpickle.dumps
        settings_pickled(replace(settings, auth=None), dumps, "another node")
        self.pipeline_pickled()

    def pipeline_pickled(self) -> bytes | None:
        """The pipeline as bytes."""
        if self.pipeline is None:
            return None
        dumps = _ray().cloudpickle.dumps
        return function_pickled("Ray(pipeline)", self.pipeline, dumps, "another node")

    def start(self, run: Run) -> Shards:
        """Have the actors started, or take them over."""
        return _RayShards(self, run)


def _of(several: Sequence[Any] | None, number: int) -> Any:
    return None if several is None else several[number]


def _ray() -> Any:
    """The module, which is imported when it is needed: that takes a while."""
    try:
        return import_module("ray")
    except ImportError as error:
        raise ImportError(MISSING) from error


class _RayShards(Shards):
    is_elsewhere = True

    def __init__(self, on: Ray, run: Run) -> None:
        self._on = on
        self._run_of = run
        self._ray = _ray()
        self._thread: RayThread | None = None
        self._relay = relay = run.relay(self._push)
        self._following = relay.start()
        settings = settings_pickled(
            replace(run.settings, auth=None), self._ray.cloudpickle.dumps, "another node"
        )
        cluster = run.loop.event_loop.create_task(self._attach())
        cluster.add_done_callback(self._on_attached)
        self._cluster = cluster
        pipeline = on.pipeline_pickled()
        self._shards: dict[str, RemoteShard] = {}
        self.named = self._shards
        for number, place in enumerate(on.places):
            name = place.name
            made_with = HostSettings(
                name=name,
                settings=settings,
                auth=relay.kind,
                lead=relay.lead,
                when_full=on.when_full,
            )
            options, egress = on.actor_options(number), on.egress_of(number)
            self._shards[name] = RemoteShard(
                name,
                RayLink(cluster, made_with, pipeline, options, egress),
                run.loop,
                partial(run.report, name),
                partial(run.deliver, name),
                relay,
                None,
                run.output,
            )

    def close(self, code: int, reason: str) -> Receipt[None]:
        self._following.dispose()
        closed = all_closed(self._run_of.loop, self._shards.values(), code, reason)
        receipt: Receipt[None] = Receipt(self._run_of.loop, _report_nothing)
        closed.when_done(partial(self._on_closed, receipt))
        return receipt

    def _on_closed(self, receipt: Receipt[None]) -> None:
        self._detaching = self._run_of.loop.event_loop.create_task(self._detach(receipt))

    async def _attach(self) -> RayCluster:
        ray, on = self._ray, self._on
        self._thread = RayThread.use(ray, self._options())
        if self._thread is not None:
            await self._thread.started()
        run = self._run_of
        options = ActorOptions(namespace=on.namespace, is_detached=run.name is not None)
        name = run.name or f"unnamed {secrets.token_hex(8)}"
        cluster = RayCluster(ray, name, options)
        await cluster.attach(run.settings.limits)
        return cluster

    def _options(self) -> dict[str, Any]:
        on = self._on
        options: dict[str, Any] = {
            "address": on.address,
            "namespace": on.namespace,
            "log_to_driver": False,
            "configure_logging": False,
        }
        if on.address is None:
            options["include_dashboard"] = False
        return options | dict(on.options)

    def _on_attached(self, attached: asyncio.Task[RayCluster]) -> None:
        if attached.cancelled():
            return
        error = attached.exception()
        loop = self._run_of.loop
        with loop.turn():
            if error is None:
                self._run_of.began(attached.result().desired)
            else:
                self._run_of.end(_start_failed(error))

    async def _detach(self, receipt: Receipt[None]) -> None:
        with suppress(Exception):
            if self._cluster.done():
                self._cluster.result().end()
            else:
                self._cluster.cancel()
        if self._thread is not None:
            await self._thread.release()
        with self._run_of.loop.turn():
            receipt.settle(None)

    def _push(self, value: Sealed) -> None:
        for shard in self._shards.values():
            shard.push(value)


def _start_failed(error: BaseException) -> Exception:
    if not isinstance(error, Exception):
        return RuntimeError(f"Ray could not be started: {type(error).__name__}")
    return error


def _report_nothing(
    observer: str, stream: str, error: BaseException, *, detached: bool = True
) -> None:
    """Nobody but the fleet observes the receipt."""
