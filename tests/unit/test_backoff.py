"""Backoff and Retry-After, as pure functions (C15)."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from rxsocket import Backoff
from rxsocket.policy.backoff import retry_after_seconds

NOW = 1_735_689_600.0  # 2025-01-01T00:00:00Z


@pytest.mark.parametrize(
    ("failures", "low", "high"),
    [(0, 0, 2), (1, 2, 4), (2, 4, 8), (3, 8, 16), (4, 16, 32), (5, 20, 40), (6, 20, 40)],
)
def test_the_window_of_each_failure(failures: int, low: float, high: float) -> None:
    """Every delay is in its window, and the window is used from end to end."""
    backoff = Backoff(random=Random(failures))
    delays = [backoff.delay(failures) for _ in range(1000)]
    assert low <= min(delays) < low + 0.05 * (high - low)
    assert high - 0.05 * (high - low) < max(delays) <= high
    assert sum(delays) / 1000 == pytest.approx((low + high) / 2, rel=0.05)


@pytest.mark.parametrize("failures", [31, 32, 1000, 10**9])
def test_a_long_outage_overflows_nothing(failures: int) -> None:
    """At the cap there is still jitter, however long it takes."""
    assert 20 <= Backoff().delay(failures) <= 40


def test_it_can_be_set() -> None:
    """First, base and cap are the user's."""
    backoff = Backoff(first=0, base=1, cap=3)
    assert backoff.delay(0) == 0
    assert 1 <= backoff.delay(1) <= 2
    assert 1.5 <= backoff.delay(2) <= 3
    assert 1.5 <= backoff.delay(9) <= 3


def test_the_first_delay_keeps_to_the_cap() -> None:
    """Who sets only the cap has set it for the first delay, too."""
    backoff = Backoff(cap=0.5, random=Random(5))
    assert max(backoff.delay(0) for _ in range(1000)) <= 0.5


def test_a_seed_makes_it_known() -> None:
    """With a seeded source of randomness every delay is known in advance."""
    one, other = (Backoff(random=Random(7)) for _ in range(2))
    assert [one.delay(n) for n in range(9)] == [other.delay(n) for n in range(9)]
    assert "random" not in repr(one)


FIELDS = ("first", "base", "cap", "spacing", "retry_after_cap")


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize(("value", "kind"), [(-1, ValueError), ("2", TypeError), (None, TypeError)])
def test_arguments_are_checked(name: str, value: Any, kind: type[Exception]) -> None:
    """Each error names the argument."""
    with pytest.raises(kind, match=rf"^{name}: "):
        Backoff(**{name: value})


def test_it_is_frozen() -> None:
    """A policy can be shared between sockets."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        Backoff().cap = 1.0  # type: ignore[misc]


@pytest.fixture(params=["UTC", "America/New_York", "Asia/Tokyo"])
def _timezone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_timezone")
@pytest.mark.parametrize(
    ("header", "asked_for"),
    [
        (None, 0.0),
        ("", 0.0),
        ("0", 0.0),
        ("120", 120.0),
        (" 120 ", 120.0),
        ("007", 7.0),
        ("-1", 0.0),
        ("1.5", 0.0),
        ("1e3", 0.0),
        ("٣", 0.0),
        ("²", 0.0),
        ("soon", 0.0),
        ("Wed, 01 Jan 2025 00:01:00 GMT", 60.0),
        ("Wednesday, 01-Jan-25 00:01:00 GMT", 60.0),
        ("Wed Jan  1 00:01:00 2025", 60.0),
        ("Wed, 01 Jan 2025 00:01:00 -0000", 60.0),
        ("Wed, 01 Jan 2025 01:01:00 +0100", 60.0),
        ("Tue, 31 Dec 2024 23:59:59 GMT", 0.0),
        ("Wed, 01 Jan 0000 00:00:00 GMT", 0.0),
        ("Wed, 01 Jan 99999 00:00:00 GMT", 0.0),
        ("Wed, 99 Jan 2025 00:00:00 GMT", 0.0),
        ("Wed, 01 Jan 2025 00:01:00 +9999999", 0.0),
        ("Wed, 21 Oct 99999999999999999999 07:28:00 GMT", 0.0),
        ("Wed, 21 Oct 2025 07:28:00 +99999999999999999999", 0.0),
    ],
)
def test_retry_after(header: str | None, asked_for: float) -> None:
    """Seconds, or one of the three dates of RFC 9110 (section 5.6.7), in every time zone."""
    assert retry_after_seconds(header, NOW) == asked_for


@pytest.mark.parametrize("header", ["9" * 400, "99999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_huge_retry_after_is_long(header: str) -> None:
    """A number that is too large for a clock is just very long; the socket caps it."""
    assert retry_after_seconds(header, NOW) >= 300.0


@pytest.mark.parametrize("header", ["x" * 10_000, "1,2", "Wed,", ",", "0 0 0 0 0 0", "\x00", "ä"])
def test_an_unreadable_retry_after_is_none(header: str) -> None:
    """Whatever a server sends, nothing is raised."""
    assert retry_after_seconds(header, NOW) == 0.0
