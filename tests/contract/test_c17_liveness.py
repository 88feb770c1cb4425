"""C17: latency, heartbeats in messages, stale data, time that jumps, and a blocked loop."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from scene import Make

from rxsocket import (
    Cause,
    Closed,
    Connecting,
    Event,
    Fresh,
    Heartbeat,
    ObserverFailed,
    Opened,
    Resumed,
    Socket,
    Stale,
    State,
    Verdict,
    Waiting,
    heartbeat,
    history,
)
from rxsocket.testing import VirtualClock, accept, reject, unreachable


def of(kind: type[Any], mine: Any) -> list[tuple[float, Any]]:
    return [(at, event) for at, event in mine.entries if isinstance(event, kind)]


# --- latency


def test_latency_is_measured_by_every_ping(clock: VirtualClock, scene: Make) -> None:
    """C17: None first, then the round trip of each ping; it only looks, and it completes."""
    mine = scene(latency=0.25, ping_interval=10.0, watch=False)
    seen: list[float | None] = []
    done: list[bool] = []
    mine.socket.latency.subscribe(seen.append, on_completed=lambda: done.append(True))
    clock.advance(60.0)
    assert seen == [None] and mine.peer.handshakes == []  # C1
    mine.socket.connect()
    clock.advance(31.0)
    assert seen == [None, 0.25, 0.25, 0.25]
    assert mine.socket.latency.value == 0.25
    mine.end()
    assert done == [True]


def test_no_pings_no_latency(clock: VirtualClock, scene: Make) -> None:
    """C17: without keepalive nothing is measured."""
    mine = scene(ping_interval=None)
    clock.advance(600.0)
    assert mine.socket.latency.value is None


# --- heartbeat


def test_a_heartbeat_is_sent_and_its_answer_awaited(clock: VirtualClock, scene: Make) -> None:
    """C17: at intervals; an answer in time keeps the connection for hours."""
    mine = scene(accept().echo(), heartbeat=heartbeat(send="hb", expect="hb", interval=30.0))
    clock.advance(3600.0)
    assert [text for _, text in mine.peer.received] == ["hb"] * 120
    assert mine.names.count("Closed") == 0


def test_an_unanswered_heartbeat_reconnects(clock: VirtualClock, scene: Make) -> None:
    """C17: after interval + timeout it is closed with 3008, although pongs still come."""
    beat = heartbeat(send="hb", expect="hb", interval=30.0, timeout=5.0)
    mine = scene(accept().stay(), accept().stay(), heartbeat=beat)
    clock.advance(40.0)
    [(at, closed)] = of(Closed, mine)
    assert at == 35.0
    assert closed == Closed(
        epoch=1,
        sent=3008,
        reason="no answer to the heartbeat within 5.0 s",
        cause=Cause.HEARTBEAT,
        verdict=Verdict.RECONNECT,
    )
    assert mine.peer.closes[0] == (1, 3008, "no answer to the heartbeat within 5.0 s")
    assert [event.cause for _, event in of(Opened, mine)] == [Cause.STARTED, Cause.HEARTBEAT]


def test_any_message_may_be_the_answer(clock: VirtualClock, scene: Make) -> None:
    """C17: send and expect may be functions; each heartbeat can be different."""
    number = itertools.count(1)
    beat = heartbeat(
        send=lambda: f"ping {next(number)}",
        expect=lambda message: isinstance(message, str) and message.startswith("ping"),
        interval=10.0,
    )
    mine = scene(accept().echo(), heartbeat=beat)
    clock.advance(35.0)
    assert [text for _, text in mine.peer.received] == ["ping 1", "ping 2", "ping 3"]
    assert mine.names.count("Closed") == 0


def test_a_heartbeat_without_an_answer(clock: VirtualClock, scene: Make) -> None:
    """C17: with expect left out nothing is waited for."""
    mine = scene(accept().stay(), heartbeat=heartbeat(send=b"\0", interval=10.0))
    clock.advance(65.0)
    assert [data for _, data in mine.peer.received] == [b"\0"] * 6
    assert mine.names.count("Closed") == 0


@pytest.mark.parametrize("part", ["send", "expect"])
def test_a_heartbeat_that_raises_is_reported(clock: VirtualClock, scene: Make, part: str) -> None:
    """C23: the connection goes on without heartbeats; the failure is on errors, once."""

    def broken(*_: object) -> Any:
        raise KeyError(part)

    options: dict[str, Any] = {"send": "hb", "expect": "hb", part: broken}
    mine = scene(accept().send("a").echo(), heartbeat=heartbeat(interval=10.0, **options))
    clock.advance(300.0)
    [(_, failed)] = of(ObserverFailed, mine)
    assert failed.observer == "heartbeat=" and isinstance(failed.error, KeyError)
    assert mine.socket.state.value is State.OPEN


def test_it_ends_with_its_connection(clock: VirtualClock, scene: Make) -> None:
    """C5, C17: a change of credential takes the heartbeat along to the new connection only."""
    mine = scene(auth="a", heartbeat=heartbeat(send="hb", interval=10.0))
    clock.advance(15.0)
    mine.socket.set_auth("b")
    clock.advance(15.0)
    assert [tuple(message) for message in mine.peer.received] == [(1, "hb"), (2, "hb")]


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"send": 1}, TypeError, r"heartbeat\(send\): pass a message or a function|pass str"),
        ({"send": "a", "expect": 1}, TypeError, r"heartbeat\(expect\)"),
        ({"send": "a", "interval": 0}, ValueError, r"heartbeat\(interval\): pass more than 0"),
        ({"send": "a", "timeout": -1}, ValueError, r"heartbeat\(timeout\)"),
    ],
)
def test_bad_heartbeats(options: dict[str, Any], error: type[Exception], text: str) -> None:
    """C17: a clear error at once."""
    with pytest.raises(error, match=text):
        heartbeat(**options)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"heartbeat": 30}, TypeError, "heartbeat: pass heartbeat"),
        ({"stale_after": 0}, ValueError, "stale_after: pass more than 0 s"),
        ({"stale_after": "60"}, TypeError, "stale_after: pass a number of seconds"),
        ({"on_stale": "close"}, ValueError, "on_stale: pass 'event' or 'reconnect'"),
    ],
)
def test_bad_options(options: dict[str, Any], error: type[Exception], text: str) -> None:
    """C17: a clear error at once."""
    with pytest.raises(error, match=text):
        Socket("ws://example.com", **options)


# --- stale data


def test_stale_data_is_an_event_and_no_reconnect(clock: VirtualClock, scene: Make) -> None:
    """C17: one Stale after stale_after without a message, then one Fresh; the link stays."""
    mine = scene(accept().wait(100.0).send("a").wait(10.0).send("b").stay(), stale_after=60.0)
    clock.advance(1000.0)
    told = [(at, event) for at, event in mine.entries if isinstance(event, (Stale, Fresh))]
    assert told == [
        (60.0, Stale(epoch=1, silence=60.0)),
        (100.0, Fresh(epoch=1, silence=100.0)),
        (170.0, Stale(epoch=1, silence=60.0)),
    ]
    assert mine.names.count("Connecting") == 1 and mine.socket.state.value is State.OPEN
    fresh = mine.events.index(told[1][1])
    assert type(mine.events[fresh + 1]).__name__ == "Message"  # told before the message itself
    assert "no message came for" in str(mine.socket.explain())


def test_messages_in_time_are_not_stale(clock: VirtualClock, scene: Make) -> None:
    """C17: data every 59 s is fresh with a limit of 60 s."""
    script = accept()
    for number in range(30):
        script = script.wait(59.0).send(str(number))
    mine = scene(script, stale_after=60.0)
    clock.advance(30 * 59.0)
    assert of(Stale, mine) == []


def test_stale_data_reconnects_if_asked(clock: VirtualClock, scene: Make) -> None:
    """C17: with on_stale="reconnect" the event comes first, then a new connection."""
    mine = scene(accept().stay(), accept().stay(), stale_after=60.0, on_stale="reconnect")
    clock.advance(65.0)
    assert mine.names == [
        "Connecting",
        "Opened",
        "Stale",
        "Closed",
        "Waiting",
        "Connecting",
        "Opened",
    ]
    [(at, closed)] = of(Closed, mine)
    assert (at, closed.cause, closed.sent, closed.code) == (60.0, Cause.STALE, 3008, None)
    assert closed.reason == "no message came for 1 min"


def test_answers_to_the_heartbeat_are_no_data(clock: VirtualClock, scene: Make) -> None:
    """C17: a server that only answers heartbeats is stale."""
    mine = scene(
        accept().echo(),
        heartbeat=heartbeat(send="hb", expect="hb", interval=10.0),
        stale_after=60.0,
    )
    clock.advance(70.0)
    assert [at for at, _ in of(Stale, mine)] == [60.0]


def test_who_is_told_may_close(clock: VirtualClock, scene: Make) -> None:
    """C5, C17: closing at Fresh closes before the message; nothing comes after the Closed."""
    mine = scene(accept().wait(20.0).send("late").stay(), stale_after=10.0)
    received: list[object] = []
    mine.socket.messages.subscribe(received.append)
    mine.socket.events.subscribe(
        lambda event: mine.socket.close() if isinstance(event, Fresh) else None
    )
    clock.advance(30.0)
    assert received == [] and mine.names[-2:] == ["Closed", "Ended"]


# --- time that jumps


def test_a_jump_probes_the_link_at_once(clock: VirtualClock, scene: Make) -> None:
    """C17: a ping within 1 s; a link that answers goes on."""
    mine = scene(latency=0.1, ping_interval=20.0)
    clock.advance(5.3)
    clock.jump(7200.0)
    clock.advance(1.2)
    assert mine.socket.latency.value == pytest.approx(0.1)
    [(at, resumed)] = of(Resumed, mine)
    assert at <= 6.3 and resumed.slept == pytest.approx(7200.0)
    clock.advance(600.0)
    assert mine.names.count("Closed") == 0


def test_a_dead_link_is_found_soon_after_sleep(clock: VirtualClock, scene: Make) -> None:
    """C17: without an answer in 2 s it reconnects, through the provider (C10)."""
    asked: list[float] = []

    def token() -> str:
        asked.append(clock.time())
        return f"token {len(asked)}"

    mine = scene(auth=token, ping_interval=20.0, ping_timeout=20.0)
    clock.advance(5.0)
    mine.peer.freeze()
    clock.jump(7200.0)
    clock.advance(10.0)
    [(at, closed)] = of(Closed, mine)
    assert at <= 5.0 + 1.0 + 2.0
    assert closed.cause is Cause.SILENT
    assert closed.reason == "no pong within 2.0 s after time jumped by 2 h"
    assert len(asked) == 2 and mine.socket.state.value is State.OPEN


def test_a_jump_ends_a_wait(clock: VirtualClock, scene: Make) -> None:
    """C15, C17: the next attempt is made now, 1 s after the last at the earliest."""
    mine = scene(*[unreachable()] * 5, accept())
    clock.advance(35.0)  # attempts at 0, 2, 6, 14, 30; the next would be at 62
    assert mine.names[-1] == "Waiting"
    clock.jump(600.0)
    clock.advance(1.1)
    assert mine.socket.state.value is State.OPEN
    assert len(of(Connecting, mine)) == 6


def test_a_jump_does_not_overrule_the_server(clock: VirtualClock, scene: Make) -> None:
    """C15, C17: Retry-After is counted in wall time, so a short sleep does not end it."""
    mine = scene(reject(503, {"Retry-After": "120"}), accept())
    clock.advance(10.0)
    clock.jump(50.0)
    clock.advance(58.0)
    assert mine.socket.state.value is State.WAITING
    clock.advance(3.0)
    assert mine.socket.state.value is State.OPEN


@pytest.mark.parametrize("seconds", [-7200.0, 2.5])
def test_a_clock_that_is_set_back_or_a_little_is_no_sleep(
    clock: VirtualClock, scene: Make, seconds: float
) -> None:
    """C17: a correction of the clock is not taken for sleep, once or later."""
    mine = scene(ping_interval=20.0)
    clock.advance(5.0)
    clock.jump(seconds)
    clock.advance(600.0)
    assert of(Resumed, mine) == [] and mine.names == ["Connecting", "Opened"]


def test_a_jump_without_keepalive_is_told_and_no_more(clock: VirtualClock, scene: Make) -> None:
    """C17: who turned pings off gets none; the socket still says that time jumped, if it waits."""
    mine = scene(ping_interval=None, stale_after=600.0)
    clock.advance(5.0)
    clock.jump(7200.0)
    clock.advance(5.0)
    assert len(of(Resumed, mine)) == 1 and mine.socket.state.value is State.OPEN


# --- a blocked loop


def test_a_pong_that_waits_in_the_buffer_counts(clock: VirtualClock, scene: Make) -> None:
    """C17: blocked past the ping timeout, the pong is read before the peer is judged."""
    mine = scene(latency=0.2, ping_interval=10.0, ping_timeout=5.0)
    clock.advance(10.1)  # a ping is on its way
    clock.block(31.0)
    clock.advance(100.0)
    assert mine.names == ["Connecting", "Opened"]


@pytest.mark.parametrize(("latency", "names"), [(5.9, 2), (6.5, 3)])
def test_after_a_block_there_is_a_second_for_reading(
    clock: VirtualClock, scene: Make, latency: float, names: int
) -> None:
    """C17: a pong up to 1 s after the judgment that a block delayed still counts; later, not."""
    mine = scene(latency=latency, ping_interval=10.0, ping_timeout=5.0)
    clock.advance(latency + 10.1)  # a ping is on its way
    clock.block(4.95)
    clock.advance(2.0)
    assert len([name for name in mine.names if name != "Waiting"]) == names
    mine.end()
    clock.advance(latency)  # what is on its way to the fake server


def test_a_blocked_loop_is_named_as_the_cause(clock: VirtualClock, scene: Make) -> None:
    """C17: when no pong comes after a block, the event says who was to blame."""
    mine = scene(ping_interval=10.0, ping_timeout=5.0)
    clock.advance(9.9)
    mine.peer.freeze()
    clock.advance(0.2)
    clock.block(31.0)
    clock.advance(3.0)
    [(_, closed)] = of(Closed, mine)
    assert closed.cause is Cause.BLOCKED and closed.verdict is Verdict.RECONNECT
    assert closed.reason.startswith("the event loop was blocked for at least 3")
    errors = [event for event in history(mine.socket) if isinstance(event, Closed)]
    assert errors == [closed]
    assert "the event loop was blocked for at least 3" in str(mine.socket.explain())


def test_a_short_block_is_not_blamed(clock: VirtualClock, scene: Make) -> None:
    """C17: half a second of work does not excuse a peer that is silent."""
    mine = scene(ping_interval=10.0, ping_timeout=5.0)
    clock.advance(9.9)
    mine.peer.freeze()
    clock.advance(1.0)
    clock.block(0.5)
    clock.advance(5.0)
    [(_, closed)] = of(Closed, mine)
    assert closed.cause is Cause.SILENT


def test_a_server_that_gave_us_up_meanwhile_is_not_blamed(clock: VirtualClock, scene: Make) -> None:
    """C17: its 1011 after our block is ours; the peer's words are kept."""
    mine = scene(accept().wait(30.0).close(1011, "keepalive ping timeout"), ping_interval=20.0)
    clock.advance(12.0)
    clock.block(31.0)
    clock.advance(1.0)
    [(_, closed)] = of(Closed, mine)
    assert (closed.cause, closed.code) == (Cause.BLOCKED, 1011)
    assert closed.reason == "the event loop was blocked for at least 30 s; keepalive ping timeout"


def test_a_link_lost_during_a_block_mentions_it(clock: VirtualClock, scene: Make) -> None:
    """C17: who cut it is not known, so the cause stays; the reason has what is known."""
    mine = scene(accept().wait(30.0).drop(), ping_interval=20.0)
    clock.advance(12.0)
    clock.block(31.0)
    clock.advance(1.0)
    [(_, closed)] = of(Closed, mine)
    assert closed.cause is Cause.LOST
    assert closed.reason == "the event loop was blocked for at least 30 s"


@pytest.mark.parametrize("code", [1001, 1012, 4000])
def test_other_closes_after_a_block_are_the_servers_own(
    clock: VirtualClock, scene: Make, code: int
) -> None:
    """C17: a restart that happens while the loop is blocked is still a restart."""
    mine = scene(accept().wait(30.0).close(code, "bye"), ping_interval=20.0)
    clock.advance(12.0)
    clock.block(31.0)
    clock.advance(1.0)
    [(_, closed)] = of(Closed, mine)
    assert (closed.cause, closed.code, closed.reason) == (Cause.PEER, code, "bye")


def test_after_a_block_the_link_is_probed(clock: VirtualClock, scene: Make) -> None:
    """C17: it does not wait for the next ping to learn whether the server still wants us."""
    mine = scene(latency=0.1, ping_interval=3600.0)
    clock.advance(10.0)
    clock.block(31.0)
    clock.advance(0.2)
    assert mine.socket.latency.value == pytest.approx(0.1)


def test_data_that_waits_in_the_buffer_is_not_stale(clock: VirtualClock, scene: Make) -> None:
    """C17: a message that came while the loop was blocked is read before data counts as stale."""
    mine = scene(accept().wait(15.0).send("a").stay(), stale_after=20.0)
    clock.advance(14.0)
    clock.block(20.0)
    clock.advance(2.0)
    assert of(Stale, mine) == []


def test_waits_are_counted_once(clock: VirtualClock, scene: Make) -> None:
    """C15: a wait that a jump cut short is one failure like any other."""
    mine = scene(*[unreachable()] * 3, accept())
    clock.advance(3.0)
    clock.jump(100.0)
    clock.advance(1.1)
    assert [event.failures for _, event in of(Waiting, mine)][:3] == [1, 2, 3]


def test_events_of_the_whole_keep_to_the_grammar(clock: VirtualClock, scene: Make) -> None:
    """C2: Stale and Fresh name the epoch that is open, Resumed comes at any time."""
    mine = scene(accept().wait(20.0).send("a").stay(), stale_after=10.0)
    clock.advance(15.0)
    clock.jump(100.0)
    clock.advance(10.0)
    named: list[Event] = [event for _, event in mine.entries]
    assert [type(event).__name__ for event in named] == [
        "Connecting",
        "Opened",
        "Stale",
        "Resumed",
        "Fresh",
        "Message",
    ]
    assert isinstance(heartbeat(send="a"), Heartbeat)
