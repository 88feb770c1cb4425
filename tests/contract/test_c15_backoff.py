"""C15: how long the socket waits between attempts, and how many it makes at most."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest
from internals import Script

from rxsocket import Backoff, Connecting, Event, Opened, Socket, Waiting
from rxsocket.testing import VirtualClock, accept, fake, reject, unreachable

MINUTE = 60.0
HOURS_24 = 24 * 3600.0


class Diary:
    """The events of a socket, with the virtual time of each."""

    def __init__(self, clock: VirtualClock, *scripts: Script, **options: Any) -> None:
        self._clock = clock
        self.peer = fake(*scripts)
        self.socket = Socket(self.peer.url, transport=self.peer, **options)
        self.entries: list[tuple[float, Event]] = []
        self.socket.events.subscribe(lambda event: self.entries.append((clock.time(), event)))

    @property
    def dials(self) -> list[float]:
        return [at for at, event in self.entries if isinstance(event, Connecting)]

    @property
    def waits(self) -> list[Waiting]:
        return [event for _, event in self.entries if isinstance(event, Waiting)]

    def end(self) -> None:
        self.socket.close()
        self._clock.advance(2.0)


@pytest.fixture
def diary(clock: VirtualClock) -> Iterator[Callable[..., Diary]]:
    """Make a socket to a fake peer with a diary; it is closed at the end."""
    made: list[Diary] = []

    def make(*scripts: Script, **options: Any) -> Diary:
        made.append(Diary(clock, *scripts, **options))
        return made[-1]

    yield make
    for one in made:
        one.end()


@pytest.mark.parametrize("seed", range(5))
def test_each_wait_is_drawn_from_the_window_of_its_failure(
    clock: VirtualClock, diary: Callable[..., Diary], seed: int
) -> None:
    """Failure n waits U(0, 2) for n = 0, else U(w/2, w) with w = min(40, 2 * 2^n); at least 1 s."""
    mine = diary(*[unreachable()] * 12, backoff=Backoff(random=Random(seed)))
    clock.advance(600.0)
    known = Random(seed)
    windows = [(0.0, 2.0)] + [(w / 2, w) for w in (4.0, 8.0, 16.0, 32.0, *[40.0] * 7)]
    drawn = [known.uniform(*window) for window in windows]
    assert [wait.delay for wait in mine.waits] == [max(1.0, delay) for delay in drawn]
    assert [wait.failures for wait in mine.waits] == list(range(1, 13))
    pauses = [after - before for before, after in itertools.pairwise(mine.dials)]
    assert pauses == pytest.approx([wait.delay for wait in mine.waits])


def test_there_is_no_limit_to_the_attempts(
    clock: VirtualClock, diary: Callable[..., Diary]
) -> None:
    """After an hour without a server the socket still tries, at most 40 s apart."""
    mine = diary(*[unreachable()] * 1000, backoff=Backoff(random=Random(1)))
    clock.advance(3600.0)
    late = [at for at in mine.dials if at > 600.0]
    assert len(late) > 3000 / 40
    assert all(20 <= after - before <= 40 for before, after in itertools.pairwise(late))


@pytest.mark.parametrize(("uptime", "failures"), [(4.99, [1, 2, 3, 4]), (5.01, [1, 1, 1, 1])])
def test_only_a_stable_connection_resets_the_backoff(
    clock: VirtualClock, diary: Callable[..., Diary], uptime: float, failures: list[int]
) -> None:
    """A connection counts as a success once it has been open 5 s, not before."""
    mine = diary(*[accept().wait(uptime).drop()] * 4, backoff=Backoff(random=Random(2)))
    clock.advance(100.0)
    assert [wait.failures for wait in mine.waits] == failures


def test_stable_after_can_be_set(clock: VirtualClock, diary: Callable[..., Diary]) -> None:
    """``stable_after=`` says what counts as a success."""
    mine = diary(
        *[accept().wait(0.51).drop()] * 3, stable_after=0.5, backoff=Backoff(random=Random(1))
    )
    clock.advance(30.0)
    assert [wait.failures for wait in mine.waits] == [1, 1, 1]


def test_a_failed_handshake_after_a_stable_connection_starts_at_the_first_window(
    clock: VirtualClock, diary: Callable[..., Diary]
) -> None:
    """The outage after a stable connection has a backoff of its own, and counts its attempts."""
    mine = diary(*[unreachable()] * 3, accept().wait(6).drop(), *[unreachable()] * 2, accept())
    clock.advance(100.0)
    assert [wait.failures for wait in mine.waits] == [1, 2, 3, 1, 2, 3]
    opened = [event for _, event in mine.entries if isinstance(event, Opened)]
    assert [event.attempts for event in opened] == [4, 3]


def test_attempts_are_a_second_apart(clock: VirtualClock, diary: Callable[..., Diary]) -> None:
    """Never two attempts within 1 s, even where no backoff is wanted."""
    mine = diary(*[reject(503)] * 5, backoff=Backoff(first=0, base=0))
    clock.advance(10.0)
    assert mine.dials == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


def test_reconnect_keeps_the_second(clock: VirtualClock, diary: Callable[..., Diary]) -> None:
    """``reconnect()`` called at will dials at most once a second."""
    mine = diary(auth="a")
    for _ in range(50):
        clock.advance(0.1)
        mine.socket.reconnect()
    clock.advance(5.0)
    assert all(after - before >= 1.0 for before, after in itertools.pairwise(mine.dials))
    assert len(mine.dials) <= 7


def test_a_pushed_credential_need_not_wait_a_second(
    clock: VirtualClock, diary: Callable[..., Diary]
) -> None:
    """The spacing is no matter of a credential that was pushed: it goes at once."""
    mine = diary(auth="a")
    clock.advance(0.2)
    mine.socket.set_auth("b")
    clock.advance(1.0)
    assert mine.dials == [0.0, 0.2]


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("header", "delay"),
    [
        ("30", 30.0),
        ("Wed, 01 Jan 2025 00:01:10 GMT", 60.0),
        ("Wednesday, 01-Jan-25 00:01:10 GMT", 60.0),
        ("Wed Jan  1 00:01:10 2025", 60.0),
        ("86400", 300.0),
        ("Thu, 02 Jan 2025 00:00:00 GMT", 300.0),
    ],
)
def test_retry_after_is_honoured(
    clock: VirtualClock, diary: Callable[..., Diary], status: int, header: str, delay: float
) -> None:
    """``Retry-After`` in seconds or as a date of the wall clock is waited for, up to 5 min."""
    clock.advance(10.0)
    mine = diary(reject(status, {"Retry-After": header}))
    clock.advance(400.0)
    assert mine.waits[0].delay == delay
    assert mine.dials == [10.0, 10.0 + delay]


@pytest.mark.parametrize("header", ["0", "-5", "soon", "", "Wed, 01 Jan 2020 00:00:00 GMT"])
def test_a_retry_after_that_says_nothing_changes_nothing(
    clock: VirtualClock, diary: Callable[..., Diary], header: str
) -> None:
    """A date in the past, or what cannot be read, leaves the backoff as it is."""
    mine = diary(reject(503, {"Retry-After": header}), backoff=Backoff(random=Random(3)))
    clock.advance(5.0)
    assert mine.waits[0].delay == max(1.0, Random(3).uniform(0, 2))


def _minting() -> Callable[[], str]:
    numbers = itertools.count()
    return lambda: f"token {next(numbers)}"


@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 2))])
@pytest.mark.parametrize("code", [1011, 4401])
def test_accept_then_close_is_not_hammered(
    clock: VirtualClock, diary: Callable[..., Diary], code: int, seed: int
) -> None:
    """Accept, then close: 9 handshakes in the first minute at most, 3 in each later one."""
    mine = diary(auth=_minting(), backoff=Backoff(random=Random(seed)))
    mine.peer.default = accept().close(code)
    clock.advance(3600.0)
    _check_budget(mine.dials, 60)


@pytest.mark.slow
@pytest.mark.parametrize("code", [1011, 4401])
def test_accept_then_close_for_a_day(
    clock: VirtualClock, diary: Callable[..., Diary], code: int
) -> None:
    """The budget of handshakes holds for a whole day."""
    mine = diary(auth=_minting(), backoff=Backoff(random=Random(11)))
    mine.peer.default = accept().close(code)
    clock.advance(HOURS_24)
    _check_budget(mine.dials, 24 * 60)


def test_the_formula_keeps_the_budget_for_a_day() -> None:
    """The waits alone, over 24 h and many seeds, with the one question that goes at once."""
    for seed in range(20):
        backoff = Backoff(random=Random(seed))
        dials = [0.0, backoff.spacing]
        while dials[-1] < HOURS_24:
            dials.append(dials[-1] + max(backoff.spacing, backoff.delay(len(dials) - 2)))
        _check_budget(dials[:-1], 24 * 60)


def _check_budget(dials: list[float], minutes: int) -> None:
    counts = [0] * (minutes + 1)
    for at in dials:
        counts[int(at // MINUTE)] += 1
    assert all(after - before > 0.999 for before, after in itertools.pairwise(dials))
    assert 4 <= counts[0] <= 9
    assert max(counts[1:]) <= 3
    assert min(counts[1:minutes]) >= 1


def test_the_unlucky_draws_keep_within_the_budget(
    clock: VirtualClock, diary: Callable[..., Diary]
) -> None:
    """Even when every draw is the shortest, the budget holds."""

    class Shortest(Random):
        def uniform(self, a: float, b: float) -> float:
            return a

    for code in (1011, 4401):
        began = clock.time()
        mine = diary(auth=_minting(), backoff=Backoff(random=Shortest()))
        mine.peer.default = accept().close(code)
        clock.advance(3600.0)
        _check_budget([at - began for at in mine.dials], 60)
        mine.end()
