"""Whether a connection that is open is alive: pings, a heartbeat, the age of its data (C17)."""

from __future__ import annotations

from typing import Protocol

from rxsocket.engine.options import SocketOptions
from rxsocket.events import Cause, Fresh, Stale
from rxsocket.explain.format import span
from rxsocket.liveness.heartbeat import Heartbeating
from rxsocket.liveness.keepalive import Keepalive, Staleness
from rxsocket.publishing.publisher import Publisher
from rxsocket.runtime.loop import SocketLoop
from rxsocket.runtime.loop_monitor import LoopListener
from rxsocket.transports.base import Link

__all__ = ["Liveness"]


class Patient(Protocol):
    """The connection that is looked after."""

    def no_use(self, cause: Cause, reason: str) -> None:
        """It is no use any more.

        With SILENT and BLOCKED nothing can be said to the peer; with other causes it is worth a
        close frame.
        """
        ...


class Liveness:
    """Looks after one connection, from its opening to its end.

    Args:
        link: The connection.
        epoch: Its number.
        plan: What to look after.
        home: The loop.
        publisher: Where latency and events go.
        vigil: What knows of a blocked loop, and of time that jumped.
        patient: Told, once, when it is no use any more.
    """

    def __init__(
        self,
        link: Link,
        epoch: int,
        options: SocketOptions,
        loop: SocketLoop,
        publisher: Publisher,
        loop_listener: LoopListener,
        patient: Patient,
    ) -> None:
        self._epoch = epoch
        self._options = options
        self._loop = loop
        self._publisher = publisher
        self._vigil = loop_listener
        self._patient = patient
        self._keepalive: Keepalive | None = None
        if options.ping_interval is not None:
            self._keepalive = Keepalive(link, options.ping_interval, options.ping_timeout, self)
        self._heartbeat: Heartbeating | None = None
        if options.heartbeat is not None:
            self._heartbeat = Heartbeating(
                link,
                options.heartbeat,
                blocked_since=loop_listener.blocked_since,
                failed=lambda why: patient.no_use(Cause.HEARTBEAT, why),
                raised=lambda error: publisher.report("heartbeat=", "messages", error),
            )
        self._staleness: Staleness | None = None
        if options.stale_after is not None:
            self._staleness = Staleness(
                options.stale_after,
                blocked_since=loop_listener.blocked_since,
                stale=self._stale,
                fresh=self._fresh,
            )
        if self._keepalive or self._heartbeat or self._staleness:
            loop_listener.attend(self)

    @property
    def listens(self) -> bool:
        """Whether it wants the messages."""
        return self._heartbeat is not None or self._staleness is not None

    def heard(self, message: str | bytes) -> None:
        """A message came."""
        answer = self._heartbeat is not None and self._heartbeat.heard(message)
        if self._staleness is not None and not answer:
            self._staleness.heard()

    def pause(self) -> None:
        """Nothing is read for now: that nothing comes is our own doing (C27)."""
        for one in (self._keepalive, self._heartbeat, self._staleness):
            if one is not None:
                one.pause()

    def resume(self) -> None:
        """It is read again."""
        for one in (self._keepalive, self._heartbeat, self._staleness):
            if one is not None:
                one.resume()

    def stop(self) -> None:
        """The connection is over."""
        self._vigil.leave(self)
        for one in (self._keepalive, self._heartbeat, self._staleness):
            if one is not None:
                one.stop()

    def probe(self, jumped: float) -> None:
        """See :class:`~rxsocket.runtime.loop_monitor.Watched`."""
        if self._keepalive is not None:
            self._keepalive.probe(jumped)

    def blocked_since(self, begin: float) -> float:
        """See :class:`~rxsocket.liveness.keepalive.Watcher`."""
        return self._vigil.blocked_since(begin)

    def measured(self, latency: float) -> None:
        """See :class:`~rxsocket.liveness.keepalive.Watcher`."""
        self._publisher.measured(latency)

    def lost(self, cause: Cause, reason: str) -> None:
        """See :class:`~rxsocket.liveness.keepalive.Watcher`."""
        self._patient.no_use(cause, reason)

    def _stale(self, silence: float) -> None:
        event = Stale(epoch=self._epoch, silence=silence, at=self._loop.wall_time())
        self._publisher.publish(event)
        if self._options.on_stale == "reconnect":
            self._patient.no_use(Cause.STALE, f"no message came for {span(silence)}")

    def _fresh(self, silence: float) -> None:
        event = Fresh(epoch=self._epoch, silence=silence, at=self._loop.wall_time())
        self._publisher.publish(event)
