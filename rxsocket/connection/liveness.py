"""Whether a connection that is open is alive: pings, a heartbeat, the age of its data (C17)."""

from __future__ import annotations

from collections.abc import Callable

from rxsocket.engine.engine import Engine
from rxsocket.engine.options import SocketOptions
from rxsocket.events import Cause, Fresh, Stale
from rxsocket.explain.format import span
from rxsocket.liveness.heartbeat import Heartbeating
from rxsocket.liveness.keepalive import Keepalive, Staleness
from rxsocket.publishing.publisher import Publisher
from rxsocket.runtime.loop import SocketLoop
from rxsocket.runtime.loop_monitor import LoopListener
from rxsocket.transports.base import Link, StreamNotice


class Liveness:
    """Watches one connection, from its opening to its end.

    Args:
        link: The connection.
        epoch: Its number.
        options: What to watch for.
        loop: Where it lives.
        publisher: Where latency and events go.
        loop_listener: What knows of a blocked loop, and of time that jumped.
        fail: Called, once, with the cause and a text, when the connection is no use any more.
    """

    def __init__(
        self,
        link: Link,
        epoch: int,
        options: SocketOptions,
        loop: SocketLoop,
        publisher: Publisher,
        loop_listener: LoopListener,
        fail: Callable[[Cause, str], None],
    ) -> None:
        self._epoch = epoch
        self._options = options
        self._loop = loop
        self._publisher = publisher
        self._loop_listener = loop_listener
        self._fail = fail
        self._keepalive: Keepalive | None = None
        if options.ping_interval is not None:
            self._keepalive = Keepalive(
                link,
                options.ping_interval,
                options.ping_timeout,
                loop_listener,
                publisher,
                fail,
            )
        self._heartbeat: Heartbeating | None = None
        if options.heartbeat is not None:
            self._heartbeat = Heartbeating(
                link,
                options.heartbeat,
                blocked_since=loop_listener.blocked_since,
                failed=lambda why: fail(Cause.HEARTBEAT, why),
                raised=lambda error: publisher.report("heartbeat=", "messages", error),
                sent=lambda message: publisher.on_sent(message, epoch),
            )
        self._staleness: Staleness | None = None
        if options.stale_after is not None:
            self._staleness = Staleness(
                options.stale_after,
                blocked_since=loop_listener.blocked_since,
                on_stale=self._on_stale,
                on_fresh=self._on_fresh,
            )
        self._is_listening = bool(self._keepalive or self._heartbeat or self._staleness)
        if self._is_listening:
            loop_listener.add_probe(self.probe)

    @property
    def needs_messages(self) -> bool:
        return self._heartbeat is not None or self._staleness is not None

    def on_message(self, message: str | bytes) -> None:
        is_answer = self._heartbeat is not None and self._heartbeat.takes(message)
        if self._staleness is not None and not is_answer:
            self._staleness.on_message()

    def on_life(self) -> None:
        """The peer says that it lives, in something that is no message (C50)."""
        if self._staleness is not None:
            self._staleness.on_message()

    def pause(self) -> None:
        """Nothing is read for now: that nothing comes is our own doing (C27)."""
        for part in (self._keepalive, self._heartbeat, self._staleness):
            if part is not None:
                part.pause()

    def resume(self) -> None:
        for part in (self._keepalive, self._heartbeat, self._staleness):
            if part is not None:
                part.resume()

    def stop(self) -> None:
        if self._is_listening:
            self._loop_listener.remove_probe(self.probe)
        for part in (self._keepalive, self._heartbeat, self._staleness):
            if part is not None:
                part.stop()

    def probe(self, jumped: float) -> None:
        """Ping now: time jumped by so many seconds or, if 0, the loop was blocked.

        Without pings, as in a browser, the heartbeat asks the peer.
        """
        if self._keepalive is not None:
            self._keepalive.probe(jumped)
        elif self._heartbeat is not None:
            self._heartbeat.probe()

    def _on_stale(self, silence: float) -> None:
        event = Stale(epoch=self._epoch, silence=silence, at=self._loop.wall_time())
        self._publisher.publish(event)
        if self._options.on_stale == "reconnect":
            self._fail(Cause.STALE, f"no message came for {span(silence)}")

    def _on_fresh(self, silence: float) -> None:
        event = Fresh(epoch=self._epoch, silence=silence, at=self._loop.wall_time())
        self._publisher.publish(event)


def take_notice(notice: StreamNotice, engine: Engine, liveness: Liveness | None) -> None:
    """The peer lives, and may have said how long to wait next time, or where its stream is.

    Args:
        notice: What it said.
        engine: The socket's running parts.
        liveness: What watches the connection; ``None`` while another one delivers.
    """
    if notice.wait is not None:
        engine.run_state.reconnection_time = notice.wait
    if liveness is None:
        return
    liveness.on_life()
    if notice.place is not None:
        engine.hooks.on_place(notice.place)
