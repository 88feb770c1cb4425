"""C17: a peer that vanishes without a FIN is noticed by its silence."""

from __future__ import annotations

import pytest

from rxsocket import Cause, Closed, ConnectFailed, Event, Opened, Socket, State, Verdict, Waiting
from rxsocket.testing import VirtualClock, fake


@pytest.mark.parametrize("latency", [0.0, 0.3])
@pytest.mark.parametrize("frozen_at", [1.0, 19.9, 20.05, 25.0, 40.1, 60.4, 359.0])
@pytest.mark.parametrize(("interval", "patience"), [(20.0, 20.0), (5.0, 3.0), (30.0, 1.0)])
def test_a_frozen_peer_is_noticed_in_time(
    clock: VirtualClock, interval: float, patience: float, frozen_at: float, latency: float
) -> None:
    """Whenever it freezes, it is noticed within ping_interval + ping_timeout + 1 s."""
    peer = fake(latency=latency)
    socket = Socket(peer.url, transport=peer, ping_interval=interval, ping_timeout=patience)
    closed: list[tuple[float, Closed]] = []
    socket.closes.subscribe(lambda event: closed.append((clock.time(), event)))
    clock.advance(frozen_at)
    peer.freeze()
    clock.advance(interval + patience + 1.0)
    [(at, event)] = closed
    assert frozen_at < at <= frozen_at + interval + patience + 1.0
    assert event == Closed(
        epoch=1,
        code=1006,
        reason="keepalive ping timeout",
        cause=Cause.SILENT,
        verdict=Verdict.RECONNECT,
    )
    socket.close()
    clock.advance(2.0)


def test_close_timeout_is_no_part_of_it(clock: VirtualClock) -> None:
    """The silent peer is dropped at once, without a closing handshake; the next dial follows."""
    peer = fake()
    socket = Socket(
        peer.url, transport=peer, ping_interval=10.0, ping_timeout=5.0, close_timeout=60.0
    )
    events: list[tuple[float, Event]] = []
    socket.events.subscribe(lambda event: events.append((clock.time(), event)))
    problems: list[object] = []
    socket.errors.subscribe(problems.append)
    clock.advance(1.0)
    peer.freeze()
    clock.advance(14.0)
    assert [at for at, event in events if isinstance(event, Closed)] == [15.0]
    clock.advance(0.0)
    assert peer.live == 0 and peer.connections == 0
    assert peer.closes == [(1, 1006, "")]
    clock.advance(2.0)
    assert socket.state.value is State.OPEN
    assert [type(problem) for problem in problems] == [Closed]
    [waiting] = [event for _, event in events if isinstance(event, Waiting)]
    assert waiting.cause is Cause.SILENT
    assert [e.cause for _, e in events if isinstance(e, Opened)] == [Cause.STARTED, Cause.SILENT]
    socket.close()
    clock.advance(2.0)


def test_a_peer_that_answers_is_left_alone(clock: VirtualClock) -> None:
    """Half an hour of pongs, slow ones included, closes nothing."""
    peer = fake(latency=4.9)
    socket = Socket(peer.url, transport=peer, ping_interval=20.0, ping_timeout=5.0)
    events: list[Event] = []
    socket.events.subscribe(events.append)
    clock.advance(1800.0)
    assert [type(event).__name__ for event in events] == ["Connecting", "Opened"]
    socket.close()
    clock.advance(10.0)


def test_a_pong_that_comes_too_late_is_silence(clock: VirtualClock) -> None:
    """A round trip that takes longer than ping_timeout counts as silence."""
    peer = fake(latency=5.1)
    socket = Socket(peer.url, transport=peer, ping_interval=20.0, ping_timeout=5.0)
    closed: list[Closed] = []
    socket.closes.subscribe(closed.append)
    clock.advance(31.0)
    assert [event.cause for event in closed] == [Cause.SILENT]
    socket.close()
    clock.advance(10.0)


@pytest.mark.parametrize("frozen_at", [61.0, 65.3, 79.9, 81.2])
def test_bytes_are_a_sign_of_life(clock: VirtualClock, frozen_at: float) -> None:
    """A pong that waits behind what comes ends nothing; a peer that falls silent is noticed."""
    peer = fake(latency=7.0)  # no pong is ever in time
    socket = Socket(peer.url, transport=peer, ping_interval=20.0, ping_timeout=5.0)
    closed: list[tuple[float, Closed]] = []
    socket.closes.subscribe(lambda event: closed.append((clock.time(), event)))
    clock.advance(10.0)
    while clock.time() + 3.0 < frozen_at:
        clock.advance(3.0)
        peer.push("tick")
    clock.advance(frozen_at - clock.time())
    assert closed == []
    peer.freeze()
    clock.advance(20.0 + 5.0 + 1.0)
    assert [event.cause for _, event in closed] == [Cause.SILENT]
    socket.close()
    clock.advance(10.0)


@pytest.mark.parametrize("off", ["ping_interval", "ping_timeout"])
def test_it_can_be_turned_off(clock: VirtualClock, off: str) -> None:
    """Without ping_interval nothing is sent; without ping_timeout a silent peer is waited for."""
    peer = fake()
    options = {"ping_interval": 1.0, "ping_timeout": 1.0, off: None}
    socket = Socket(peer.url, transport=peer, **options)  # type: ignore[arg-type]
    closed: list[Closed] = []
    socket.closes.subscribe(closed.append)
    clock.advance(1.5)
    peer.freeze()
    clock.advance(3600.0)
    assert closed == []
    socket.close()
    clock.advance(2.0)


def test_it_ends_with_its_connection(clock: VirtualClock) -> None:
    """A keepalive judges only its own connection, not the one after a change of credential."""
    peer = fake()
    socket = Socket(peer.url, transport=peer, auth="a", ping_interval=10.0, ping_timeout=5.0)
    closed: list[Closed] = []
    socket.closes.subscribe(closed.append)
    clock.advance(9.0)
    peer.freeze()
    socket.set_auth("b")
    clock.advance(3600.0)
    assert [(event.epoch, event.cause) for event in closed] == [(1, Cause.AUTH_CHANGED)]
    socket.close()
    clock.advance(2.0)


def test_a_silent_handshake_is_bounded_by_open_timeout(clock: VirtualClock) -> None:
    """Before the link is open, open_timeout bounds the silence."""
    peer = fake(latency=3600.0)
    socket = Socket(peer.url, transport=peer, open_timeout=7.0)
    failed: list[tuple[float, object]] = []
    socket.errors.subscribe(lambda problem: failed.append((clock.time(), problem)))
    socket.connect()
    clock.advance(7.0)
    [(at, problem)] = failed
    assert at == 7.0 and isinstance(problem, ConnectFailed)
    assert isinstance(problem.error, TimeoutError)
    socket.close()
    clock.advance(2.0)
