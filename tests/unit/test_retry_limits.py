"""When an outage is given up, as a pure function (C3, C15)."""

from __future__ import annotations

import math
from typing import Any

import pytest

from rxsocket import Attempted, Socket, SocketFailed
from rxsocket.policy.backoff import RetryLimits


@pytest.mark.parametrize(
    ("limits", "attempts", "outage", "delay", "reached"),
    [
        (RetryLimits(), 10**6, 10.0**9, 40.0, False),
        (RetryLimits(max_attempts=3), 2, 1e9, 40.0, False),
        (RetryLimits(max_attempts=3), 3, 0.0, 0.0, True),
        (RetryLimits(max_attempts=1), 1, 0.0, 0.0, True),
        (RetryLimits(give_up_after=60.0), 99, 20.0, 40.0, False),
        (RetryLimits(give_up_after=60.0), 1, 20.0, 40.1, True),
        (RetryLimits(give_up_after=0.0), 1, 0.0, 1.0, True),
        (RetryLimits(max_attempts=9, give_up_after=60.0), 9, 1.0, 1.0, True),
        (RetryLimits(max_attempts=9, give_up_after=60.0), 1, 59.0, 2.0, True),
    ],
)
def test_limits(
    limits: RetryLimits, attempts: int, outage: float, delay: float, reached: bool
) -> None:
    """C15: a limit is reached by the attempts made, or by when the next one would begin."""
    why = limits.reached(attempts=attempts, outage=outage, delay=delay)
    assert (why is not None) is reached


def test_a_limit_names_itself() -> None:
    """C15: what is said is the argument to change, and the numbers it was compared with."""
    assert RetryLimits(max_attempts=3).reached(attempts=3, outage=0, delay=0) == (
        "max_attempts=3 is reached"
    )
    assert RetryLimits(give_up_after=60).reached(attempts=3, outage=41.26, delay=30) == (
        "give_up_after=60: the outage has lasted 41.3 s and the next attempt would come in 30.0 s"
    )


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"max_attempts": 0}, ValueError, "max_attempts: pass 1 or more"),
        ({"max_attempts": 2.5}, TypeError, "max_attempts: pass a number of attempts"),
        ({"max_attempts": True}, TypeError, "max_attempts: pass a number of attempts"),
        ({"give_up_after": -1}, ValueError, "give_up_after: pass a number of seconds"),
        ({"give_up_after": math.inf}, ValueError, "give_up_after: pass a number of seconds"),
        ({"give_up_after": "60"}, TypeError, "give_up_after: pass a number of seconds"),
        ({"stable_after": []}, TypeError, "stable_after: pass a number of seconds, an Observable"),
    ],
)
def test_bad_limits_fail_at_once(
    options: dict[str, Any], error: type[Exception], text: str
) -> None:
    """C15: the error names the argument and what to pass."""
    with pytest.raises(error, match=text):
        Socket("ws://example.com", **options)


def test_a_failure_lists_what_was_tried() -> None:
    """C3: the text has the last five attempts, the attribute all that were kept."""
    tried = [Attempted(n, 100.0 + 2 * n, f"HTTP {500 + n}") for n in range(1, 8)]
    failure = SocketFailed("ws://h/: gave up", url="ws://h/", tried=tried)
    assert failure.tried == tuple(tried)
    assert str(failure) == (
        "ws://h/: gave up (tried: ...; 3. +0.0 s HTTP 503; 4. +2.0 s HTTP 504; "
        "5. +4.0 s HTTP 505; 6. +6.0 s HTTP 506; 7. +8.0 s HTTP 507)"
    )
    alone = SocketFailed("ws://h/: gave up", url="ws://h/", tried=tried[:1])
    assert str(alone) == "ws://h/: gave up"
