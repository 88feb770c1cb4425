"""The window of dials by itself: what a server counts is never more than it allows."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from rxsocket.fleet.dial_window import KEPT, Dial, DialWindow

TIMES = st.floats(0.0, 20.0)
DIALS = st.lists(
    st.tuples(
        TIMES,  # how long nobody wants to dial
        TIMES,  # how long its answer takes
        st.floats(0.0, 1.0),  # when within that the server saw it
        st.booleans(),  # whether it was given up, and nobody waited for its answer
    ),
    max_size=40,
)


@given(count=st.integers(1, 6), window=st.floats(0.01, 50.0), dials=DIALS)
def test_a_server_never_counts_more_than_it_allows(
    count: int, window: float, dials: list[tuple[float, float, float, bool]]
) -> None:
    """At whichever moment between a dial and its answer it counts, and in whichever window."""
    made = DialWindow((count, window))
    under_way: list[tuple[float, Dial, float, bool]] = []
    seen: list[float] = []
    took_so_far: list[float] = []
    now = 0.0

    def answer_until(until: float) -> None:
        """Let the answers come that have come by then."""
        for at, dial, seen_after, is_given_up in sorted(under_way, key=lambda one: one[0]):
            if at > until:
                continue
            made.answered(dial, at, given_up=is_given_up)
            latest = at - dial.at
            if is_given_up:
                latest += max(took_so_far[-KEPT:], default=0.0)
            else:
                took_so_far.append(latest)
            seen.append(dial.at + seen_after * latest)
        under_way[:] = [one for one in under_way if one[0] > until]

    for pause, took, seen_after, is_given_up in dials:
        now += pause
        answer_until(now)
        while (at := made.next_at(now)) > now:
            now = min(at, min((one[0] for one in under_way), default=math.inf))
            assert now < math.inf, "it would wait for ever"
            answer_until(now)
        under_way.append((now + took, made.begin(now), seen_after, is_given_up))
        assert made.used(now) <= count
    answer_until(math.inf)
    assert len(seen) == len(dials)
    seen.sort()
    for index, first in enumerate(seen):
        assert sum(first <= other <= first + window for other in seen[index:]) <= count


@given(count=st.integers(1, 6), window=st.floats(0.01, 50.0))
def test_all_that_is_allowed_is_used(count: int, window: float) -> None:
    """With answers that come at once, and always somebody who wants to dial."""
    made, now = DialWindow((count, window)), 0.0
    for _ in range(4 * count):
        now = max(now, made.next_at(now))
        made.answered(made.begin(now), now)
    assert now <= 3 * window * 1.01


def test_without_a_rate_nobody_waits() -> None:
    made = DialWindow(None)
    dials = [made.begin(0.0) for _ in range(1000)]
    assert made.next_at(0.0) == 0.0 and made.unanswered == 1000
    for dial in dials:
        made.answered(dial, 1.0)
        made.answered(dial, 2.0)
    assert made.unanswered == 0 and made.next_at(2.0) == 2.0


def test_a_dial_that_was_not_made_leaves_its_place() -> None:
    made = DialWindow((1, 10.0))
    dial = made.begin(0.0)
    assert made.next_at(0.0) == math.inf
    made.withdraw(dial)
    made.withdraw(dial)
    assert made.next_at(0.0) == 0.0 and made.used(0.0) == 0


def test_what_was_given_up_may_be_seen_as_late_as_others_were() -> None:
    made = DialWindow((1, 10.0))
    made.answered(made.begin(0.0), 3.0)
    at = made.next_at(3.0)
    assert 13.0 < at < 13.1
    made.answered(made.begin(at), at, given_up=True)
    assert at + 13.0 < made.next_at(at) < at + 13.1
