"""C3, C15: limits that the user sets on an outage, and what counts as the end of one."""

from __future__ import annotations

import pytest
import reactivex
from reactivex import operators as ops
from scene import Make

from rxsocket import (
    Attempted,
    Connecting,
    Ended,
    HandshakeRefused,
    ObserverFailed,
    SocketFailed,
    State,
    Verdict,
    Waiting,
)
from rxsocket.testing import VirtualClock, accept, reject, unreachable


def test_max_attempts_ends_with_everything_that_was_tried(clock: VirtualClock, scene: Make) -> None:
    """C3: the third failure is the last; the error holds each attempt, when, and its outcome."""
    mine = scene(unreachable(), reject(503), accept().close(1012, "soon"), max_attempts=3)
    failures: list[Exception] = []
    mine.socket.messages.subscribe(on_error=failures.append)
    clock.advance(3600.0)
    assert len(mine.peer.handshakes) + 1 == 3  # the first was not reached
    [failure] = failures
    assert isinstance(failure, SocketFailed)
    first, second, third = failure.tried
    assert isinstance(second.error, HandshakeRefused) and second.error.status == 503
    assert (third.number, third.code, third.outcome) == (
        3,
        1012,
        "closed by the server with 1012 'soon'",
    )
    assert second.at - first.at == pytest.approx(2.0)
    assert "max_attempts=3 is reached" in str(failure)
    assert "2. +2.0 s the server refused the handshake with HTTP 503" in str(failure)
    ended = mine.events[-1]
    assert isinstance(ended, Ended) and ended.verdict is Verdict.FAIL and ended.error is failure
    assert mine.socket.state.value is State.CLOSED


def test_one_attempt_means_no_second_one(clock: VirtualClock, scene: Make) -> None:
    """C15: with max_attempts=1 nothing is waited for."""
    mine = scene(*[unreachable()] * 5, max_attempts=1)
    clock.advance(3600.0)
    assert mine.names == ["Connecting", "ConnectFailed", "Ended"]


def test_a_stable_connection_starts_the_count_anew(clock: VirtualClock, scene: Make) -> None:
    """C15: two outages of two attempts each stay below a limit of three."""
    steps = [unreachable(), unreachable(), accept().wait(60.0).drop()] * 2
    mine = scene(*steps, max_attempts=3)
    clock.advance(200.0)
    assert mine.socket.state.value is State.OPEN
    assert mine.names.count("Connecting") == 7


@pytest.mark.parametrize("limit", [0.5, 5.0, 61.0, 600.0])
def test_give_up_after_is_never_overstepped(clock: VirtualClock, scene: Make, limit: float) -> None:
    """C15: no attempt begins later than that, and it ends as soon as that is certain."""
    mine = scene(*[unreachable()] * 100, give_up_after=limit)
    clock.advance(3600.0)
    dials = [at for at, event in mine.entries if isinstance(event, Connecting)]
    [(ended, last)] = [(at, e) for at, e in mine.entries if isinstance(e, Ended)]
    assert dials[-1] <= limit
    assert ended == dials[-1]  # at the failure, without a wait that leads to nothing
    assert isinstance(last.error, SocketFailed)
    assert f"give_up_after={limit:g}" in str(last.error)


def test_give_up_after_counts_from_the_end_of_a_stable_connection(
    clock: VirtualClock, scene: Make
) -> None:
    """C15: hours of health are no part of an outage."""
    mine = scene(accept().wait(7200.0).drop(), *[unreachable()] * 50, give_up_after=30.0)
    clock.advance(7200.0)
    assert mine.socket.state.value is State.WAITING
    clock.advance(60.0)
    [ended] = [at for at, event in mine.entries if isinstance(event, Ended)]
    assert 7200.0 < ended <= 7230.0


def test_retry_after_beyond_the_limit_ends_at_once(clock: VirtualClock, scene: Make) -> None:
    """C15: a server that asks for more than is allowed is not waited for."""
    mine = scene(reject(503, {"Retry-After": "120"}), give_up_after=60.0)
    clock.advance(0.0)
    assert mine.names == ["Connecting", "ConnectFailed", "Ended"]


def test_waiting_for_a_credential_is_no_outage(clock: VirtualClock, scene: Make) -> None:
    """C9: a refused credential ends nothing, whatever the limits, and a good one starts anew."""
    mine = scene(tokens={"good"}, auth="bad", max_attempts=1, give_up_after=1.0)
    clock.advance(3600.0)
    assert mine.socket.state.value is State.AWAITING_AUTH
    mine.socket.set_auth("good")
    clock.advance(1.0)
    assert mine.socket.state.value is State.OPEN


def test_waiting_for_a_provider_is_no_part_of_an_outage(clock: VirtualClock, scene: Make) -> None:
    """C15: ten minutes without a credential, then one 503: the outage is not ten minutes old."""
    tokens = {0.0: "old", 600.0: "new"}

    def provide() -> dict[str, str]:
        return {"token": next(tokens[at] for at in reversed(tokens) if clock.time() >= at)}

    mine = scene(reject(401), reject(503), auth=provide, give_up_after=60.0)
    clock.advance(1200.0)
    assert mine.names.count("AwaitingAuth") == 1
    assert mine.credentials == ["old", "new", "new"]
    assert mine.socket.state.value is State.OPEN


def test_a_verdict_of_fail_has_what_was_tried_too(clock: VirtualClock, scene: Make) -> None:
    """C3: HTTP 410 after an outage shows the outage."""
    mine = scene(reject(503), reject(410))
    clock.advance(60.0)
    ended = mine.events[-1]
    assert isinstance(ended, Ended) and isinstance(ended.error, SocketFailed)
    assert [one.number for one in ended.error.tried] == [1, 2]
    assert "it cannot succeed" in str(ended.error)


def test_only_the_last_attempts_are_kept(clock: VirtualClock, scene: Make) -> None:
    """C3: an outage of a hundred attempts is remembered by its last twenty."""
    mine = scene(*[unreachable()] * 101, max_attempts=100)
    clock.advance(2 * 3600.0)
    ended = mine.events[-1]
    assert isinstance(ended, Ended) and isinstance(ended.error, SocketFailed)
    assert [one.number for one in ended.error.tried] == list(range(81, 101))
    assert all(isinstance(one, Attempted) for one in ended.error.tried)


# --- stable_after as something else than seconds


def test_a_message_can_make_it_stable(clock: VirtualClock, scene: Make) -> None:
    """C15: with stable_after=first("ready"), that message starts the backoff anew at once."""
    good = accept().send("hello", "ready").wait(0.5).drop()
    mine = scene(
        unreachable(),
        unreachable(),
        good,
        good,
        stable_after=ops.first(lambda message: message == "ready"),
    )
    clock.advance(60.0)
    waits = [event.failures for event in mine.events if isinstance(event, Waiting)]
    assert waits == [1, 2, 1, 1]


def test_without_that_message_it_is_never_stable(clock: VirtualClock, scene: Make) -> None:
    """C15: an hour open without the message counts as one more failure."""
    quiet = accept().send("hello").wait(3600.0).drop()
    mine = scene(quiet, quiet, stable_after=ops.first(lambda message: message == "ready"))
    clock.advance(7300.0)
    waits = [event.failures for event in mine.events if isinstance(event, Waiting)]
    assert waits == [1, 2]


def test_an_observable_can_make_it_stable(clock: VirtualClock, scene: Make) -> None:
    """C15: an Observable is subscribed to at each open, and let go with the connection."""
    subscribed: list[float] = []

    def source(observer: object, scheduler: object = None) -> object:
        subscribed.append(clock.time())
        return reactivex.timer(3.0, scheduler=clock.scheduler).subscribe(observer)  # type: ignore[arg-type]

    mine = scene(
        accept().wait(2.0).drop(),
        accept().wait(4.0).drop(),
        accept().wait(2.0).drop(),
        stable_after=reactivex.create(source),  # type: ignore[arg-type]
    )
    clock.advance(60.0)
    waits = [event.failures for event in mine.events if isinstance(event, Waiting)]
    assert waits == [1, 1, 2]
    assert len(subscribed) == 4


def test_1008_means_the_credential_only_before_that(clock: VirtualClock, scene: Make) -> None:
    """C9, C16: a policy violation after the message that counts is an outage."""
    mine = scene(
        accept().send("ready").close(1008),
        accept().close(1008),
        stable_after=ops.first(lambda message: message == "ready"),
        auth="a",
    )
    clock.advance(60.0)
    verdicts = [getattr(event, "verdict", None) for event in mine.events]
    assert [v for v in verdicts if v] == [Verdict.RECONNECT, Verdict.AWAIT_AUTH]


def test_a_stable_after_that_raises_is_reported(clock: VirtualClock, scene: Make) -> None:
    """C23: the connection goes on and counts as unstable; the failure is on errors, once."""
    mine = scene(
        accept().send("a", "b").stay(),
        stable_after=ops.map(lambda message: 1 / 0),
    )
    clock.advance(1.0)
    [failed] = [event for event in mine.events if isinstance(event, ObserverFailed)]
    assert isinstance(failed.error, ZeroDivisionError) and failed.observer == "stable_after="
    assert mine.socket.state.value is State.OPEN
