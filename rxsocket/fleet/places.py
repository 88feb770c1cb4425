"""Where the shards of a fleet are: what ``on=`` says, and what it makes at each start (C43).

::

    on="loop"        LoopPlace     one shard here, on the loop of the fleet
    on="processes"   Processes     one in each process of this machine
    on="ray"         Ray           one in each actor
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from rxsocket.fleet.admission import Admission
from rxsocket.fleet.credential_relay import CredentialRelay
from rxsocket.fleet.desired_state import DesiredState
from rxsocket.fleet.events import Capped, Throttled
from rxsocket.fleet.orders import Learnt, Report
from rxsocket.fleet.plan import Place
from rxsocket.fleet.remote import RemoteShard
from rxsocket.fleet.shard import Shard, ShardSettings
from rxsocket.runtime.loop import SocketLoop
from rxsocket.streams.receipts import Receipt


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What shards are made with at one start of a fleet; callbacks are called on its loop.

    Attributes:
        loop: The loop of the fleet.
        settings: What sockets are made with.
        name: The name of the fleet; ``None`` if it has none of its user's.
        report: Called with the name of a shard and each of its reports.
        deliver: Asked for what takes the messages of a channel, by shard, socket and key.
        output: Called with what a pipeline gives.
        began: Called once, maybe at once, with what shards of an earlier driver have.
        source_failed: Called with what went wrong with the source of the credential.
        end: Called with why the fleet cannot go on.
        admissions: Those of earlier starts, by egress: a server counts on.
    """

    loop: SocketLoop
    settings: ShardSettings
    name: str | None
    report: Callable[[str, Report], None]
    deliver: Callable[[str, int, Hashable], Callable[[Any], None]]
    output: Callable[[Any], None]
    began: Callable[[Mapping[str, DesiredState]], None]
    source_failed: Callable[[Exception], None]
    end: Callable[[Exception], None]
    admissions: dict[str, Admission]

    def admission(self, place: Place) -> Admission:
        """Says when the sockets of the egress of a place may dial, if the fleet does that."""
        loop, before = self.loop.event_loop, self.admissions.get(place.egress)
        if before is None:
            made = Admission(
                self.settings.limits, loop, shard=place.name, wall_time=self.loop.wall_time
            )
        else:
            made = before.on_loop(loop)
        made.on_learnt = partial(self._on_learnt, place.name)
        self.admissions[place.egress] = made
        return made

    def _on_learnt(self, place: str, event: Throttled | Capped) -> None:
        self.report(place, Learnt(event))

    def relay(self, push: Callable[[Any], None]) -> CredentialRelay:
        """Gives credentials to shards elsewhere."""
        timeout = self.settings.options.get("auth_timeout", 10.0)
        return CredentialRelay(self.settings.auth, timeout, self.loop, push, self.source_failed)


class Shards(ABC):
    """The shards of one run.

    Attributes:
        named: Them, by the names of their places.
        is_elsewhere: Whether a loop that ends has to wait for them. Sockets see to themselves.
    """

    named: Mapping[str, Shard | RemoteShard]

    is_elsewhere = False

    @abstractmethod
    def close(self, code: int, reason: str) -> Receipt[None]:
        """Close all of them; the receipt settles when nothing is left."""


class Where(ABC):
    """What ``on=`` says; checked, and used at each start."""

    @property
    @abstractmethod
    def places(self) -> tuple[Place, ...]:
        """The places, which are known before anything is started."""

    @abstractmethod
    def check(self, settings: ShardSettings) -> None:
        """Check that shards can be made there with these settings.

        Raises:
            TypeError: If something cannot go there; the text names the argument.
            ImportError: If what is needed is not installed.
            RuntimeError: If none may be started here and now.
        """

    @abstractmethod
    def start(self, run: Run) -> Shards:
        """Have the shards started; on the loop of the fleet."""


class LoopPlace(Where):
    """One shard, on the loop of the fleet."""

    NAME = "loop"

    @property
    def places(self) -> tuple[Place, ...]:
        """The loop."""
        return (Place(self.NAME),)

    def check(self, settings: ShardSettings) -> None:
        """Everything can be here."""

    def start(self, run: Run) -> Shards:
        """Make the shard."""
        return _LoopShards(run)


class _LoopShards(Shards):
    def __init__(self, run: Run) -> None:
        name = LoopPlace.NAME
        self._shard = Shard(
            name,
            run.settings,
            run.loop,
            partial(run.report, name),
            partial(run.deliver, name),
            run.admission(Place(name)),
        )
        self.named = {name: self._shard}
        run.began({})

    def close(self, code: int, reason: str) -> Receipt[None]:
        return self._shard.close(code, reason)
