"""What a fleet tells and delivers, compared with what the venue fed, in virtual time."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from internals import EPOCH
from venue import VenueFake

from rxsocket.fleet import Lost, Moved, Placed, Restored

ROUNDING = 1e-4


class Hole(NamedTuple):
    """Messages of a channel that did not come."""

    key: str
    first: int
    last: int


class FleetWatch:
    """Watches ``messages`` and ``events`` of a fleet over a venue that keeps its times.

    Args:
        fleet: The fleet.
        venue: The venue.
        flight: Seconds that a message may be on its way: what was, as a link was lost, is lost.
        unheard: Seconds until the venue has heard of what counts as live without an answer.

    Attributes:
        wrong: What is not as it should be, in words.
        holes: What did not come.
        lost: The stretches in which the fleet said that a channel was not live.
        live: Channels that are live, as the fleet tells it.
        count: How many messages came.
    """

    def __init__(
        self, fleet: Any, venue: VenueFake, *, flight: float = 0.0, unheard: float = 0.0
    ) -> None:
        venue.keeps_times = True
        self._venue = venue
        self._early, self._late = flight + ROUNDING, unheard + ROUNDING
        self.wrong: list[str] = []
        self.holes: list[Hole] = []
        self.lost: dict[str, list[list[float]]] = {}
        self.live: set[str] = set()
        self.wanted: set[str] = set()
        self.newest: dict[str, int] = {}
        self.moved: list[Moved] = []
        self.events: list[Any] = []
        self.count = 0
        fleet.events.subscribe(self._on_event)
        fleet.messages.subscribe(self._on_message)

    def want(self, keys: Iterable[str]) -> None:
        """From now on these are wanted; those that are not begin anew when they are again."""
        self.wanted = set(keys)
        for key in set(self.newest) - self.wanted:
            del self.newest[key]
        self.live &= self.wanted
        self.check()
        for key in set(self.lost) - self.wanted:
            del self.lost[key]

    def _on_message(self, message: str) -> None:
        said = json.loads(message)
        if "seq" not in said:
            return
        self.count += 1
        key, number = said["key"], said["seq"]
        if key not in self.wanted:
            self.wrong.append(f"{key}: number {number} came, and it is not wanted")
            return
        newest = self.newest.get(key)
        if newest is not None and number <= newest:
            self.wrong.append(f"{key}: number {number} came after {newest}")
            return
        if newest is not None and number > newest + 1:
            self.holes.append(Hole(key, newest + 1, number - 1))
        self.newest[key] = number

    def _on_event(self, event: Any) -> None:
        self.events.append(event)
        keys = getattr(event, "keys", ())
        match event:
            case Placed():
                for key in keys:
                    if key in self.live:
                        self.wrong.append(f"{key}: {event} while it was live")
                self.live |= set(keys)
            case Lost():
                for key in keys:
                    if key not in self.live:
                        self.wrong.append(f"{key}: {event} while it was not live")
                    self.lost.setdefault(key, []).append([event.since - EPOCH, float("inf")])
                self.live -= set(keys)
            case Restored():
                for key in keys:
                    stretches = self.lost.get(key, [])
                    if key in self.live or not stretches:
                        self.wrong.append(f"{key}: {event} while it was not lost")
                        continue
                    since, _ = stretches[-1]
                    until = event.at - EPOCH
                    stretches[-1][1] = until
                    if abs(until - since - event.gap) > ROUNDING:
                        self.wrong.append(f"{key}: {event} after {until - since:.3f} s")
                self.live |= set(keys)
            case Moved():
                self.moved.append(event)
                for key in keys:
                    if key not in self.live:
                        self.wrong.append(f"{key}: {event} while it was not live")

    def check(self) -> None:
        """Add what is missing, and was not told, to what is wrong."""
        self.wrong += [f"{hole.key}: {hole} is missing, and was not told" for hole in self.untold()]
        self.holes.clear()

    def untold(self) -> list[Hole]:
        """What did not come, and was fed while the fleet said that the channel was live."""
        found: list[Hole] = []
        for hole in self.holes:
            stretches = self.lost.get(hole.key, [])
            times = self._venue.times[hole.key][hole.first - 1 : hole.last]
            if not all(
                any(since - self._early <= at <= until + self._late for since, until in stretches)
                for at in times
            ):
                found.append(hole)
        return found
