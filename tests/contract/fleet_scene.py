"""A fleet, the venue that it connects to, and what happened when; see the fixture ``company``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from exchange import MANY
from scene import known
from venue import Caps, VenueFake

from rxsocket import Limits
from rxsocket.fleet import ChannelSpec, Fleet, FleetEvent
from rxsocket.testing import VirtualClock

E = TypeVar("E")


def names(count: int, begin: int = 0) -> list[str]:
    return [f"K{number}" for number in range(begin, begin + count)]


class FleetScene:
    """A fleet with its venue.

    Attributes:
        entries: Each event with the virtual time it came at.
        problems: What came on ``errors``.
    """

    def __init__(
        self,
        clock: VirtualClock,
        *,
        caps: Caps | None = None,
        latency: float = 0.0,
        watch: bool = True,
        spec: dict[str, Any] | None = None,
        options: dict[str, Any] | None = None,
        venue: VenueFake | None = None,
        **arguments: Any,
    ) -> None:
        self._clock = clock
        self.venue = venue or VenueFake(caps, latency=latency)
        allowed = {"limits": Limits(batch=1000), **arguments}
        self.fleet = Fleet(
            self.venue.url,
            channel=ChannelSpec(**{**MANY, **(spec or {})}),
            options={"transport": self.venue, "backoff": known(), **(options or {})},
            **allowed,
        )
        self.entries: list[tuple[float, FleetEvent]] = []
        self.problems: list[Any] = []
        self.fleet.errors.subscribe(self.problems.append)
        if watch:
            self.watch()

    def watch(self) -> None:
        """Subscribe to ``events``, which starts the fleet."""
        self.fleet.events.subscribe(
            lambda event: self.entries.append((self._clock.time(), event)),
            on_error=lambda _: None,
        )

    @property
    def names(self) -> list[str]:
        """The kinds of events that came."""
        return [type(event).__name__ for _, event in self.entries]

    def of(self, kind: type[E]) -> list[E]:
        """The events of a kind."""
        return [event for _, event in self.entries if isinstance(event, kind)]

    def wrong(self, kind: type[E]) -> list[E]:
        """The problems of a kind."""
        return [problem for problem in self.problems if isinstance(problem, kind)]

    def end(self) -> None:
        """Close the fleet and let everything of it go."""
        self.venue.quiet()
        self.fleet.close()
        self._clock.advance(3.0)


MakeFleet: TypeAlias = Callable[..., FleetScene]
