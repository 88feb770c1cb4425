"""C36: what a user may say of a server's limits, and the bucket that keeps to it."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pages import GUIDE, Page

from rxsocket import Limits, Socket
from rxsocket.limits import TokenBucket


@pytest.mark.parametrize(
    ("pace", "rate"),
    [
        (None, None),
        ("5/s", (5, 1.0)),
        (" 300 / 5min ", (300, 300.0)),
        ("60/min", (60, 60.0)),
        ("1000/h", (1000, 3600.0)),
        ("10/100ms", (10, 0.1)),
        ("1/2.5s", (1, 2.5)),
        ("1/7d", (1, 604_800.0)),
        (5, (5, 1.0)),
        (0.5, (1, 2.0)),
        (2.5, (5, 2.0)),
        (0.1, (1, 10.0)),
    ],
)
def test_a_pace_is_so_many_in_so_much_time(pace: Any, rate: Any) -> None:
    found = Limits(pace=pace).rate
    assert found == (None if rate is None else (rate[0], pytest.approx(rate[1])))


@pytest.mark.parametrize(
    "wrong", ["", "5", "fast", "5/", "/s", "0/s", "5/0s", "-1/s", "5/m", "5/fortnight", "5/s/s"]
)
def test_a_pace_that_cannot_be_read_says_how_to_write_one(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"^pace: pass '5/s', '300/5min', or a number"):
        Limits(pace=wrong)


@pytest.mark.parametrize("wrong", ["9" * 400 + "/s", "9" * 5000 + "/s", f"1/{'9' * 400}s"])
def test_a_pace_of_too_many_digits_cannot_be_read(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"^pace: pass '5/s', '300/5min', or a number"):
        Limits(pace=wrong)


@pytest.mark.parametrize(
    "wrong",
    [0, -1, math.inf, -math.inf, math.nan, 1e-9, 1e300, 10**400, 10**5000, -(10**400)],
    ids=lambda wrong: f"{str(wrong)[:9]}" if isinstance(wrong, float) else "integer",
)
def test_a_number_that_is_no_pace(wrong: float) -> None:
    with pytest.raises(ValueError, match=r"^pace: "):
        Limits(pace=wrong)


@pytest.mark.parametrize(
    ("kind", "name", "wrong"),
    [
        (TypeError, "pace", {"pace": True}),
        (TypeError, "pace", {"pace": [5]}),
        (TypeError, "burst", {"pace": "5/s", "burst": 1.5}),
        (ValueError, "burst", {"pace": "5/s", "burst": 0}),
        (ValueError, "burst", {"pace": "5/s", "burst": 6}),
        (ValueError, "burst", {"burst": 2}),
        (TypeError, "batch", {"batch": "200"}),
        (ValueError, "batch", {"batch": 0}),
        (ValueError, "channels", {"channels": 0}),
        (TypeError, "channels", {"channels": "200"}),
        (TypeError, "connections", {"connections": 2.5}),
        (ValueError, "connections", {"connections": -1}),
        (ValueError, "connections_per_credential", {"connections_per_credential": 0}),
        (ValueError, "connects", {"connects": "ten"}),
        (ValueError, "connects", {"connects": 0}),
        (TypeError, "connects", {"connects": [300]}),
        (TypeError, "bytes", {"bytes": "1 MB"}),
        (TypeError, "bytes", {"bytes": True}),
        (ValueError, "bytes", {"bytes": 0}),
        (ValueError, "bytes", {"bytes": math.nan}),
        (ValueError, "bytes", {"bytes": math.inf}),
        (ValueError, "lifetime", {"lifetime": 0}),
        (TypeError, "lifetime", {"lifetime": "24h"}),
    ],
)
def test_what_is_wrong_is_named(kind: type[Exception], name: str, wrong: Any) -> None:
    with pytest.raises(kind, match=f"^{name}: "):
        Limits(**wrong)


@pytest.mark.parametrize("wrong", ["ten", -1, math.inf])
def test_how_often_to_dial_is_written_as_a_pace(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"^connects: pass '5/s', .* a number of dials a second"):
        Limits(connects=wrong)
    assert Limits(connects="300/5min").connect_rate == (300, 300.0)
    assert Limits(connects=8).connect_rate == (8, 1.0)
    assert Limits().connect_rate is None


OF_FLEETS: dict[str, Any] = {
    "channels": 200,
    "bytes": 1e6,
    "connects": "10/s",
    "connections": 5,
    "connections_per_credential": 16,
    "lifetime": 86_400,
}


@pytest.mark.parametrize("name", OF_FLEETS)
def test_a_socket_refuses_what_it_does_not_keep(name: str) -> None:
    with pytest.raises(ValueError, match=rf"^limits: one socket does not keep {name}=; .*Fleet"):
        Socket("ws://host/", limits=Limits("5/s", **{name: OF_FLEETS[name]}))


def test_what_a_socket_of_a_fleet_keeps() -> None:
    limits = Limits("5/s", 2, 200, **OF_FLEETS)
    assert limits.of_a_socket == Limits("5/s", 2, 200)
    Socket("ws://host/", limits=limits.of_a_socket)


EXAMPLES = re.findall(r"`(Limits\([^`]*\))` ", Page("limits", GUIDE).text)


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_of_the_guide_can_be_made(example: str) -> None:
    assert eval(example, {"Limits": Limits}) != Limits()


def test_there_are_examples_in_the_guide() -> None:
    assert len(EXAMPLES) > 10


def test_without_a_burst_they_are_evenly_apart() -> None:
    """5/s: 0.2 s, and not all of the first second at once."""
    assert _sent(TokenBucket(5, 1.0, 1), wanted=6, at=100.0) == pytest.approx(
        [100.0, 100.2, 100.4, 100.6, 100.8, 101.0]
    )


def test_a_burst_takes_from_the_same_second() -> None:
    """5/s in bursts of 5: the sixth waits until the first five are a second old."""
    times = _sent(TokenBucket(5, 1.0, 5), wanted=11, at=0.0)
    assert times == [0.0] * 5 + [1.0] * 5 + [2.0]


def _sent(bucket: TokenBucket, wanted: int, at: float) -> list[float]:
    """When each of so many goes, if all want to at once."""
    times: list[float] = []
    while len(times) < wanted:
        free = min(bucket.available(at), wanted - len(times))
        bucket.take(free, at)
        times += [at] * free
        after = bucket.next_at(at)
        assert after > at or len(times) == wanted, "it would be asked for ever"
        at = after
    return times


@given(
    count=st.integers(1, 12),
    window=st.floats(0.01, 500.0),
    burst=st.integers(1, 12),
    waits=st.lists(st.tuples(st.floats(0.0, 100.0), st.integers(1, 9)), max_size=30),
    start=st.floats(0.0, 1e8),
)
def test_no_window_has_more_than_was_said(
    count: int, window: float, burst: int, waits: list[tuple[float, int]], start: float
) -> None:
    """However messages come, and never more than ``burst`` at once."""
    burst = min(burst, count)
    bucket, now = TokenBucket(count, window, burst), start
    times: list[float] = []
    for wait, wanted in waits:
        now += wait * window / 10
        times += (sent := _sent(bucket, wanted, now))
        now = sent[-1]
    for index, at in enumerate(times):
        within = [other for other in times[index:] if other < at + window]
        assert len(within) <= count
        assert times.count(at) <= burst
    assert len(times) == sum(wanted for _, wanted in waits)


@given(count=st.integers(1, 50), window=st.floats(0.01, 500.0), burst=st.integers(1, 50))
def test_the_pace_is_used_up(count: int, window: float, burst: int) -> None:
    """Who always has something to send gets all that was said, in the long run."""
    times = _sent(TokenBucket(count, window, min(burst, count)), wanted=4 * count, at=0.0)
    assert times[-1] <= 4 * window * (1 + 1e-6)
