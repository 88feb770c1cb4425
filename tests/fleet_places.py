"""What tests of fleets in other places have in common: functions that go there, and who watches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import exchange
from deadlines import stretched
from reactivex import Observable
from reactivex import operators as ops
from venue import Ledger, sequence

from rxsocket import Limits
from rxsocket.fleet import ChannelSpec, Fleet, FleetEvent, Lost, Placed, Restored, ShardFailed

SPEC = ChannelSpec(
    subscribe=exchange.subscribe,
    unsubscribe=exchange.unsubscribe,
    by=exchange.key_of,
    acknowledged=exchange.acknowledged,
)
LIMITS = Limits(batch=100, channels=5, connects="100/s")
KEYS = [f"key-{number}" for number in range(10)]
SECRET = "canary-4711-credential"


def lengths(messages: Observable[Any]) -> Observable[Any]:
    """A pipeline."""
    return messages.pipe(ops.map(len))


def fails_on_third(messages: Observable[Any]) -> Observable[Any]:
    """A pipeline that raises."""
    return messages.pipe(ops.map_indexed(_raise_on_third))


def _raise_on_third(message: Any, index: int) -> Any:
    if index == 2:
        raise RuntimeError("the third message is too much")
    return message


class FleetWatch:
    """Who observes all of a fleet.

    Attributes:
        events: What happened.
        got: What came, and what did not.
    """

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.events: list[FleetEvent] = []
        self.values: list[Any] = []
        self.got = Ledger()
        self._changed = asyncio.Event()
        fleet.events.subscribe(self._on_event)
        fleet.messages.subscribe(self._on_message)

    def of(self, *kinds: type[Any]) -> list[Any]:
        """The events of some kinds."""
        return [event for event in self.events if isinstance(event, kinds)]

    def keys_of(self, *kinds: type[Any]) -> set[Any]:
        """The keys that these are about."""
        return {key for event in self.of(*kinds) for key in event.keys}

    async def until(self, condition: Callable[[], bool], seconds: float = 40.0) -> None:
        """Return when it holds; it is looked at whenever something came."""
        async with asyncio.timeout(stretched(seconds)):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def until_live(self) -> None:
        """Return when all channels are live, for the first time or again."""
        await self.until(lambda: self.fleet.stats.live == len(KEYS))

    def _on_event(self, event: FleetEvent) -> None:
        self.events.append(event)
        self._changed.set()

    def _on_message(self, message: Any) -> None:
        if isinstance(message, str):
            self.got(message)
        self.values.append(message)
        self._changed.set()


def processes_of(parent: int) -> list[int]:
    """The processes of fleets that a process has."""
    import psutil  # what is not there on the lowest versions

    children = psutil.Process(parent).children(recursive=True)
    return [one.pid for one in children if "spawn_main" in " ".join(one.cmdline())]


def fleet_of(url: str, **more: Any) -> Fleet:
    """A fleet of ten channels, five a connection."""
    given: dict[str, Any] = {
        "channel": SPEC,
        "limits": LIMITS,
        "dedupe": sequence,
        "auth": {"token": SECRET},
    }
    fleet = Fleet(url, **given | more)
    fleet.want(KEYS)
    return fleet


async def loses_and_finds(watch: FleetWatch, kill: Callable[[], Any]) -> None:
    """Kill a shard with five of the channels: what follows is told, and nothing comes twice."""
    await watch.until_live()
    assert watch.keys_of(Placed) == set(KEYS)
    await watch.until(lambda: len(watch.got.newest) == len(KEYS))
    kill()
    await watch.until(lambda: bool(watch.of(ShardFailed)))
    await watch.until(lambda: bool(watch.of(Restored)))
    await watch.until_live()
    lost, restored = watch.of(Lost), watch.of(Restored)
    assert watch.keys_of(Restored) == watch.keys_of(Lost)
    assert len(watch.keys_of(Lost)) == 5
    assert watch.got.late == []
    # What is missing is of channels that were told to be lost, in the stretch that was told.
    assert {key for key, _, _ in watch.got.missing} <= watch.keys_of(Lost)
    assert min(event.gap for event in restored) > 0
    assert max(event.since for event in lost) <= min(event.at for event in restored)
