"""What users observe of a fleet: one channel, or all of them (C41)."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from rxsocket.runtime.loop import SocketLoop
from rxsocket.runtime.reporting import Report
from rxsocket.streams.iteration import ReadGate
from rxsocket.streams.multicast import Connect, HubSubscription, RoutedHub
from rxsocket.streams.replay import HoldingHub
from rxsocket.topics.asking import name_of


class FleetChannelHub(RoutedHub[Any]):
    """The observers of one channel, which is wanted as long as there are some.

    Attributes:
        key: The key of the channel.
    """

    __slots__ = ("__weakref__", "key")

    def __init__(
        self,
        key: Hashable,
        loop: SocketLoop,
        report: Report,
        connect: Connect,
        read_gate: ReadGate,
        *,
        on_first: Callable[[FleetChannelHub], None],
        on_last: Callable[[FleetChannelHub], None],
    ) -> None:
        super().__init__(
            f"channel {name_of(key)}",
            loop,
            report,
            connect,
            read_gate,
            on_first=on_first,
            on_last=on_last,
        )
        self.key = key


class FleetMessagesHub(HoldingHub[Any]):
    """The observers of all channels; the first messages are held for the first of them (C4)."""

    __slots__ = ("_on_changed", "_was_needed")

    def __init__(
        self,
        loop: SocketLoop,
        report: Report,
        on_dropped: Callable[[int, str], None],
        connect: Connect,
        read_gate: ReadGate,
        on_changed: Callable[[], None],
    ) -> None:
        super().__init__("messages", loop, report, on_dropped, connect, read_gate)
        self._on_changed = on_changed
        self._was_needed = False

    @property
    def is_needed(self) -> bool:
        """Whether it is to be given messages."""
        return self.observed or self.is_holding

    def start_holding(self) -> None:
        """Hold what comes, until the first observer that counts as audience."""
        super().start_holding()
        self._look()

    def drop_held(self, reason: str = "nobody subscribed") -> None:
        """Stop holding; what was held is lost, which is counted."""
        super().drop_held(reason)
        self._look()

    def end(self, error: Exception | None = None) -> None:
        """Complete every observer, or fail it."""
        super().end(error)
        self._look()

    def _add(self, observer: HubSubscription[Any]) -> None:
        super()._add(observer)
        self._look()

    def _remove(self, observer: HubSubscription[Any]) -> None:
        super()._remove(observer)
        self._look()

    def _look(self) -> None:
        if self.is_needed is not self._was_needed:
            self._was_needed = self.is_needed
            self._on_changed()
