"""What the answers to dials teach, by itself."""

from __future__ import annotations

from typing import Any

import pytest

from rxsocket.fleet.dial_learning import DialLearning, Refusal
from rxsocket.fleet.events import Capped, Throttled


def refusal(status: int = 429, **known: Any) -> Refusal:
    defaults: dict[str, Any] = {"retry_after": 0.0, "admitted_at": 0.0, "dials": 10, "open": 0}
    return Refusal(status, **{**defaults, **known})


def test_too_many_halves_the_pace() -> None:
    """Of what ``connects=`` says; without it, of what it was in the last ten seconds."""
    made = DialLearning((2, 1.0), "here")
    (event,) = made.refused(refusal(dials=20), now=5.0, at=1000.0)
    assert event == Throttled(shard="here", rate=1.0, retry_after=None, why="HTTP 429")
    assert event.at == 1000.0
    assert made.spacing(5.0) == 1.0
    unlimited = DialLearning(None)
    (event,) = unlimited.refused(refusal(dials=50), now=5.0, at=1000.0)
    assert isinstance(event, Throttled) and event.rate == 2.5
    assert unlimited.spacing(5.0) == pytest.approx(0.4)


def test_a_burst_teaches_once() -> None:
    """Those that were under way were not slower yet."""
    made = DialLearning((2, 1.0))
    assert len(made.refused(refusal(dials=20), now=5.0, at=0.0)) == 1
    assert made.refused(refusal(dials=20, admitted_at=4.9), now=5.1, at=0.0) == []
    assert made.spacing(6.0) == 1.0
    (event,) = made.refused(refusal(dials=20, admitted_at=6.0), now=7.0, at=0.0)
    assert isinstance(event, Throttled) and event.rate == 0.5
    assert event.why == "HTTP 429, 2 times in a row"


def test_it_comes_back_slowly() -> None:
    """A quarter of what was lost, each minute without a refusal."""
    made = DialLearning((2, 1.0))
    made.refused(refusal(dials=20), now=0.0, at=0.0)
    rates = [made.rate(now) for now in (59.0, 60.0, 120.0, 180.0, 240.0, 241.0)]
    assert rates == [1.0, 1.25, 1.5, 1.75, None, None]
    assert made.words(241.0) == ""


def test_a_server_that_says_how_long_is_believed() -> None:
    """Nobody dials until then; and then as the limits say, if there are any."""
    made = DialLearning((2, 1.0), "here")
    (event,) = made.refused(refusal(retry_after=30.0), now=5.0, at=0.0)
    why = "HTTP 429, which asks to wait for 30 s"
    assert event == Throttled(shard="here", rate=None, retry_after=30.0, why=why)
    assert made.held_until == 35.0 and made.spacing(36.0) == 0.0
    (event,) = made.refused(refusal(retry_after=30.0, admitted_at=36.0), now=37.0, at=0.0)
    assert isinstance(event, Throttled) and event.rate is not None
    assert made.held_until == 67.0
    unlimited = DialLearning(None)
    unlimited.refused(refusal(retry_after=30.0, dials=50), now=5.0, at=0.0)
    assert unlimited.rate(36.0) == 2.5, "else all of them would come at once again"


def test_a_longer_wait_of_the_same_burst_counts() -> None:
    made = DialLearning((2, 1.0))
    made.refused(refusal(retry_after=10.0), now=5.0, at=0.0)
    assert made.refused(refusal(retry_after=9.0), now=5.1, at=0.0) == []
    (event,) = made.refused(refusal(retry_after=60.0), now=5.2, at=0.0)
    assert isinstance(event, Throttled) and event.retry_after == 60.0
    assert made.held_until == pytest.approx(65.2)


def test_nobody_waits_for_a_year() -> None:
    made = DialLearning(None)
    made.refused(refusal(retry_after=1e8), now=0.0, at=0.0)
    assert made.held_until == 3600.0


@pytest.mark.parametrize(("status", "times"), [(429, 3), (403, 2), (418, 3)])
def test_one_after_the_other_while_some_are_open_is_a_cap(status: int, times: int) -> None:
    made = DialLearning((2, 1.0), "here")
    learnt: list[Throttled | Capped] = []
    for number in range(times):
        now = 10.0 * (number + 1)
        assert not any(isinstance(event, Capped) for event in learnt)
        learnt = made.refused(refusal(status, admitted_at=now, open=7), now=now, at=0.0)
    why = f"HTTP {status} {times} times in a row, while 7 connections were open"
    capped = Capped(shard="here", socket=None, what="connections", cap=7, why=why)
    assert learnt[-1] == capped
    assert made.cap(40.0) == 7
    assert "7 connections, and another try in" in made.words(40.0)


def test_one_that_is_let_in_between_says_that_it_is_the_pace() -> None:
    made = DialLearning((2, 1.0))
    for number in range(9):
        now = 10.0 * (number + 1)
        made.refused(refusal(admitted_at=now, open=7), now=now, at=0.0)
        made.opened(now + 1.0)
    assert made.cap(100.0) is None


def test_an_old_dial_says_nothing_of_that() -> None:
    """It was admitted before the first refusal, so it was early in the same burst."""
    made = DialLearning((2, 1.0))
    for now in (10.0, 20.0, 30.0):
        made.refused(refusal(admitted_at=now, open=7), now=now, at=0.0)
        made.opened(now - 1.0)
    assert made.cap(30.0) == 7


def test_a_cap_is_tried_again_after_an_hour() -> None:
    """One refusal tells that it holds still; one that is let in, that it does not."""
    made = DialLearning((2, 1.0))
    for now in (10.0, 20.0, 30.0):
        made.refused(refusal(admitted_at=now, open=7), now=now, at=0.0)
    assert made.cap(3629.0) == 7 and made.cap(3630.0) is None
    learnt = made.refused(refusal(admitted_at=3640.0, open=7), now=3641.0, at=0.0)
    assert isinstance(learnt[-1], Capped) and made.cap(3641.0) == 7


def test_a_refusal_for_another_reason_teaches_nothing() -> None:
    """A 403 while nothing is open is about the credential; a 503 without a time is an outage."""
    made = DialLearning((2, 1.0))
    for status, open_ in ((403, 0), (503, 5), (500, 5), (401, 5), (404, 5)):
        for now in (1.0, 2.0, 3.0):
            assert made.refused(refusal(status, admitted_at=now, open=open_), now, 0.0) == []
    assert len(made.refused(refusal(503, admitted_at=4.0, retry_after=5.0), 4.0, 0.0)) == 1
    assert made.words(4.0) == "nobody dials for 5 s, as the server asked for"


def test_what_was_learnt_is_said() -> None:
    made = DialLearning((2, 1.0))
    assert made.words(0.0) == ""
    made.refused(refusal(dials=20), now=0.0, at=0.0)
    assert made.words(50.0) == "dials at 1/s instead of 2/s, more in 10 s"
    assert made.words(110.0) == "dials at 1.25/s instead of 2/s, more in 10 s"


def test_the_pace_has_a_bottom() -> None:
    made = DialLearning(None)
    for number in range(40):
        made.refused(refusal(admitted_at=float(number), dials=1), now=float(number), at=0.0)
    assert made.spacing(40.0) == pytest.approx(60.0)
