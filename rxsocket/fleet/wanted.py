"""Which channels are wanted: those of the set, and those that somebody observes (C41)."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

from reactivex import Observable, abc

from rxsocket.fleet.channel import BY_OBSERVER, BY_SET, FleetChannel, MessagePath
from rxsocket.fleet.hubs import FleetChannelHub
from rxsocket.fleet.publisher import FleetPublisher
from rxsocket.fleet.sources import set_of_keys
from rxsocket.streams.multicast import Hub


class WantedChannels:
    """The channels that are wanted, whether the fleet runs or not; on its loop.

    Args:
        publisher: The streams of the fleet.
        path: What its channels have in common.
        check: Raises an ``ImpossiblePlan`` for keys that the limits do not allow; any thread.
        changed: Called when there is something to plan.

    Attributes:
        channels: The channels, in the order in which they were wanted. One that is not wanted any
            more stays until it was let go of.
        is_running: Whether the fleet runs.
    """

    def __init__(
        self,
        publisher: FleetPublisher,
        path: MessagePath,
        check: Callable[[Iterable[Hashable]], None],
        changed: Callable[[], None],
    ) -> None:
        self.channels: dict[Hashable, FleetChannel] = {}
        self.is_running = self._was_told = False
        self._publisher = publisher
        self._loop = publisher.loop
        self._path = path
        self._check = check
        self._changed = changed
        self._hubs: WeakValueDictionary[Hashable, FleetChannelHub] = WeakValueDictionary()
        self._source: Observable[Any] | None = None
        self._following: abc.DisposableBase | None = None

    # --- from any thread

    def hub(self, key: Hashable) -> FleetChannelHub:
        """What observers of a channel subscribe to; they share it."""
        publisher = self._publisher
        with self._loop.lock:
            found = self._hubs.get(key)
            if found is None:
                found = self._hubs[key] = FleetChannelHub(
                    key,
                    self._loop,
                    publisher.report,
                    publisher.connect,
                    publisher.read_gate,
                    on_first=self._on_observed,
                    on_last=self._on_left,
                )
            return found

    def want(self, keys: Any) -> None:
        """Want these channels, besides those that are observed, or follow an Observable.

        Raises:
            TypeError: If they are no keys.
            ImpossiblePlan: If they do not fit.
        """
        if isinstance(keys, Observable):
            source: Observable[Any] = keys  # pyright: ignore[reportUnknownVariableType]
            self._loop.run(lambda: self._want_from(source))
            return
        checked = set_of_keys("want(keys)", keys)
        self._check(checked)
        self._loop.run(lambda: self._want_alone(checked))

    # --- the set

    def follow(self) -> None:
        """The fleet runs: follow the Observable, if there is one."""
        source = self._source
        if source is not None:
            self._following = source.subscribe(
                lambda keys: self._loop.run(lambda: self._on_next(source, keys)),
                partial(self._publisher.source_failed, "want(keys)"),
            )

    def stop_following(self) -> None:
        """It does not run, or is to want something else."""
        following, self._following = self._following, None
        if following is not None:
            following.dispose()

    def _want_alone(self, keys: tuple[Hashable, ...]) -> None:
        self.stop_following()
        self._source = None
        self._want(keys)

    def _want_from(self, source: Observable[Any]) -> None:
        self.stop_following()
        self._source = source
        if self.is_running:
            self.follow()

    def _on_next(self, source: Observable[Any], keys: Any) -> None:
        if source is not self._source:
            return
        try:
            checked = set_of_keys("want(an Observable's value)", keys)
            self._check(checked)
        except Exception as error:
            self._publisher.source_failed("want(keys)", error)
        else:
            self._want(checked)

    def _want(self, keys: Iterable[Hashable]) -> None:
        wanted = dict.fromkeys(keys)
        self._was_told = True
        for key, channel in tuple(self.channels.items()):
            if key not in wanted and channel.wanted & BY_SET:
                self._unwant(channel, BY_SET)
        for key in wanted:
            self._channel(key).wanted |= BY_SET
        self._changed()

    def _unwant(self, channel: FleetChannel, by: int) -> None:
        channel.wanted &= ~by
        if not channel.wanted:
            channel.error = channel.lost_at = None  # who wants it again asks anew
            if not self.is_running:
                del self.channels[channel.key]

    # --- observers

    def _on_observed(self, hub: FleetChannelHub) -> None:
        channel = self._channel(hub.key)
        channel.wanted |= BY_OBSERVER
        channel.error = None
        self._publisher.observed[hub.key] = hub
        self._refresh(channel)
        self._changed()

    def _on_left(self, hub: FleetChannelHub) -> None:
        self._publisher.observed.pop(hub.key, None)
        channel = self.channels.get(hub.key)
        if channel is not None:
            self._refresh(channel)
            self._unwant(channel, BY_OBSERVER)
            self._changed()

    def adopt(self, key: Hashable) -> FleetChannel:
        """An earlier driver wanted it: it is wanted until this one says what is."""
        channel = self._channel(key)
        if not self._was_told:
            channel.wanted |= BY_SET
        return channel

    def fail(self, channel: FleetChannel, error: Exception) -> None:
        """It is not asked for any more: its observers are told, all others go on."""
        hub = self._publisher.observed.pop(channel.key, None)
        channel.wanted &= ~BY_OBSERVER
        self._refresh(channel)
        if hub is not None:
            with self._loop.turn():
                hub.end(error)

    def on_ended(self) -> None:
        """The streams have ended, and nobody observes anything; the set is for the next start."""
        for channel in tuple(self.channels.values()):
            self._refresh(channel)
            self._unwant(channel, BY_OBSERVER)

    def forget_unwanted(self) -> None:
        """Forget what nobody wants, and is nowhere."""
        for channel in tuple(self.channels.values()):
            if not channel.wanted and channel.socket is None:
                del self.channels[channel.key]

    def refresh(self) -> None:
        """Say of each channel who gets its messages."""
        for channel in self.channels.values():
            self._refresh(channel)

    def _refresh(self, channel: FleetChannel) -> None:
        messages, hub = self._publisher.messages, self._publisher.observed.get(channel.key)
        own: tuple[Hub[Any], ...] = () if hub is None else (hub,)
        channel.hubs = (*own, messages) if messages.is_needed else own

    def _channel(self, key: Hashable) -> FleetChannel:
        found = self.channels.get(key)
        if found is None:
            found = self.channels[key] = FleetChannel(key, self._path)
            self._refresh(found)
        return found
