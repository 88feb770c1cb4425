"""Who dials next, on a virtual clock: in order, fair, at the pace, and nothing is left behind."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxsocket import Aborted, Cause, ConnectFailed, HandshakeRefused, Limits, Opened, Verdict
from rxsocket.endpoint.admission import Admitted
from rxsocket.fleet.admission import Admission
from rxsocket.fleet.events import Capped, Throttled
from rxsocket.testing import VirtualClock
from rxsocket.testing import clock as virtual_clock


class Stage:
    """An admission, and sockets that ask it.

    Attributes:
        admitted: When each was, in order.
        learnt: What it says that answers taught.
    """

    def __init__(self, clock: VirtualClock, **limits: Any) -> None:
        self.clock = clock
        self.learnt: list[Throttled | Capped] = []
        self.admission = Admission(
            Limits(**limits),
            clock,
            shard="here",
            on_learnt=self.learnt.append,
            wall_time=lambda: 1000.0,
        )
        self.admitted: list[tuple[float, str]] = []
        self.tasks: dict[str, asyncio.Task[Admitted]] = {}
        self.began_at = clock.time()

    def ask(self, *sockets: str, beside: bool = False) -> None:
        for socket in sockets:
            self.tasks[socket] = self.clock.create_task(self._ask(socket, beside))
        self.clock.advance(0.0)

    async def _ask(self, socket: str, beside: bool) -> Admitted:
        admitted = await self.admission.of(socket)(beside)
        assert admitted is not None
        self.admitted.append((round(self.clock.time() - self.began_at, 2), socket))
        return admitted

    def opened(self, *sockets: str) -> None:
        """The server has let them in."""
        for socket in sockets:
            self.tasks[socket].result().answered()
            self.admission.on_event(socket, Opened(epoch=1))
        self.clock.advance(0.0)

    def refused(self, socket: str, status: int = 429, retry_after: str | None = None) -> None:
        """The server has refused one, in the order in which a socket tells of it."""
        error = HandshakeRefused(status, retry_after=retry_after)
        verdict = Verdict.RECONNECT
        failed = ConnectFailed(epoch=1, error=error, verdict=verdict, status=status)
        self.admission.on_event(socket, failed)
        self.gone(socket)

    def gone(self, socket: str) -> None:
        """Nothing is left of one."""
        self.tasks[socket].result().answered()
        self.tasks[socket].result().gone()
        self.clock.advance(0.0)

    @property
    def order(self) -> str:
        return "".join(socket for _, socket in self.admitted)

    @property
    def times(self) -> list[float]:
        return [at for at, _ in self.admitted]


@pytest.fixture
def stage(clock: VirtualClock) -> partial[Stage]:
    return partial(Stage, clock)


def test_without_limits_nobody_waits(stage: partial[Stage]) -> None:
    it = stage()
    it.ask(*"abcdef")
    assert it.order == "abcdef" and set(it.times) == {0.0}
    assert it.admission.explain() == "" and it.admission.waiting == 0


def test_a_window_begins_at_the_answer(stage: partial[Stage]) -> None:
    """The server may have seen a dial as late as that."""
    it = stage(connects="2/10s")
    it.ask(*"abcd")
    assert it.order == "ab"
    assert it.admission.next_in is None
    assert it.admission.explain() == "2 sockets wait to be dialled: 2 dials are on their way"
    it.clock.advance(3.0)
    it.opened("a")
    it.clock.advance(1.0)
    it.opened("b")
    assert it.admission.next_in == pytest.approx(9.01)
    said = "2 sockets wait to be dialled: the next one in 9.0 s, as connects='2/10s' allows"
    assert it.admission.explain() == said
    it.clock.advance(30.0)
    assert it.admitted == [(0.0, "a"), (0.0, "b"), (13.01, "c"), (14.01, "d")]


def test_a_refused_dial_counts_too(stage: partial[Stage]) -> None:
    it = stage(connects="1/10s")
    it.ask(*"ab")
    it.refused("a", 500)
    it.clock.advance(9.0)
    assert it.order == "a"
    it.clock.advance(2.0)
    assert it.order == "ab"


def test_those_without_a_connection_and_renewals_take_turns(stage: partial[Stage]) -> None:
    """A rotation of many does not keep a lost one waiting, and the other way round."""
    it = stage(connects="1/1s")
    it.ask("x")
    it.ask(*"abcd", beside=True)
    it.ask(*"ef")
    for expected in ("x", "xa", "xae", "xaeb", "xaebf", "xaebfc", "xaebfcd"):
        assert it.order == expected
        it.opened(expected[-1])
        it.clock.advance(1.1)


def test_one_that_gives_up_leaves_nothing_behind(stage: partial[Stage]) -> None:
    it = stage(connects="1/10s")
    it.ask(*"abc")
    it.tasks["b"].cancel()
    it.clock.advance(0.0)
    assert it.admission.waiting == 1
    it.opened("a")
    it.clock.advance(11.0)
    assert it.order == "ac"


def test_one_that_gives_up_as_it_is_admitted_gives_its_place_back(stage: partial[Stage]) -> None:
    """In the very turn of the loop: nobody was dialled, so the next one may be."""
    it = stage(connects="2/10s", connections=1)
    it.ask("a", "b", "c")
    it.tasks["a"].result().answered()
    it.tasks["a"].result().gone()  # b is admitted, and hears of it in the next turn
    it.tasks["b"].cancel()
    it.clock.advance(0.0)
    assert it.tasks["b"].cancelled()
    assert it.order == "ac" and it.admission.open == 1


def test_a_place_is_kept_for_a_moment(stage: partial[Stage]) -> None:
    """A newer credential makes a new attempt of the socket, which is not the last one for that."""
    it = stage(connects="1/1s")
    it.ask(*"abcd")
    it.tasks["b"].cancel()
    it.clock.advance(0.05)
    it.ask("b")
    it.tasks["c"].cancel()
    it.opened("a")
    it.clock.advance(2.5)
    it.ask("c")
    for socket in "bd":
        it.opened(socket)
        it.clock.advance(2.0)
    assert it.order == "abdc"


def test_no_more_connections_than_are_allowed(stage: partial[Stage]) -> None:
    """One that is being closed counts until nothing is left of it."""
    it = stage(connections=2)
    it.ask(*"ab")
    it.opened(*"ab")
    it.ask("c", beside=True)
    it.clock.advance(60.0)
    assert it.order == "ab" and it.admission.open == 2
    said = "1 sockets wait to be dialled: there are 2 connections, and there may be 2"
    assert it.admission.explain() == said
    it.gone("a")
    assert it.order == "abc"


def test_a_server_that_says_too_many_is_asked_less_often(stage: partial[Stage]) -> None:
    it = stage(connects="10/10s")
    it.ask(*"abcdefghij")
    it.opened(*"abcdefghi")
    it.refused("j")
    (event,) = it.learnt
    assert event == Throttled(shard="here", rate=0.5, retry_after=None, why="HTTP 429")
    assert event.at == 1000.0
    it.ask(*"klmn")
    it.clock.advance(30.0)
    assert it.times[10:] == [pytest.approx(at, abs=0.02) for at in (10.01, 12.01, 14.01, 16.01)]
    assert it.admission.explain() == "learnt: dials at 0.5/s instead of 1/s, more in 30 s"


def test_nobody_dials_while_the_server_asks_to_wait(stage: partial[Stage]) -> None:
    it = stage()
    it.ask("a")
    it.refused("a", retry_after="30")
    it.ask(*"bc")
    assert it.learnt[0].why == "HTTP 429, which asks to wait for 30 s"
    it.clock.advance(29.9)
    assert it.order == "a"
    it.clock.advance(0.2)
    assert it.order == "ab"  # and then slower: there is no pace that the limits name
    it.clock.advance(25.0)
    assert it.order == "abc"


def test_a_cap_is_learnt_and_tried_again_later(stage: partial[Stage]) -> None:
    it = stage(connects="10/s")
    it.ask(*"abc")
    it.opened(*"abc")
    for socket in "def":
        it.ask(socket)
        it.clock.advance(60.0)
        it.refused(socket)
    assert isinstance(it.learnt[-1], Capped) and it.learnt[-1].cap == 3
    it.ask("g")
    it.clock.advance(1800.0)
    assert it.order == "abcdef"
    assert "there are 3 connections, and there may be 3" in it.admission.explain()
    it.clock.advance(1900.0)
    assert it.order == "abcdefg"


def test_a_new_credential_that_is_refused_is_no_cap(stage: partial[Stage]) -> None:
    """It was tried beside a connection with the old one."""
    it = stage()
    it.ask(*"ab")
    it.opened(*"ab")
    for number in range(5):
        it.ask("a", beside=True)
        it.refused("a", 403)
        assert it.learnt == [], number


def test_what_was_given_up_on_its_way_counts_as_seen(stage: partial[Stage]) -> None:
    it = stage(connects="1/10s")
    it.ask("a")
    it.clock.advance(2.0)
    it.gone("a")
    it.clock.advance(10.0)
    it.ask("b")
    it.clock.advance(1.0)
    assert it.order == "ab"
    it.admission.on_event("b", Aborted(epoch=1, cause=Cause.LEFT))
    it.gone("b")
    it.ask("c")
    it.clock.advance(11.9)
    assert it.order == "ab", "it may have come to the server 2 s later, as the first one"
    it.clock.advance(0.2)
    assert it.order == "abc"
    it.admission.forget("b")


def test_another_loop_goes_on_where_the_first_one_was(stage: partial[Stage]) -> None:
    """With what counts, and what was learnt; what was under way there is as if just seen."""
    it = stage(connects="2/10s")
    it.ask("a", "b")
    it.refused("a")
    assert it.admission.on_loop(it.clock) is it.admission
    with virtual_clock() as other:
        made = it.admission.on_loop(other)
        assert made is not it.admission and "learnt: dials at" in made.explain()
        assert made.next_in == pytest.approx(10.01)


WISHES = st.lists(
    st.tuples(
        st.floats(0.0, 5.0),  # how long nobody wants to
        st.booleans(),  # whether beside a connection
        st.sampled_from(["open", "refuse", "give up"]),
        st.floats(0.0, 3.0),  # how long the answer takes
        st.floats(0.0, 1.0),  # when within that the server counts it
        st.floats(0.0, 30.0),  # how long a connection lives
    ),
    max_size=15,
)


@given(
    wishes=WISHES,
    count=st.integers(1, 5),
    window=st.integers(1, 20),
    connections=st.one_of(st.none(), st.integers(1, 6)),
)
def test_no_window_of_the_server_has_more_whatever_happens(
    wishes: list[tuple[float, bool, str, float, float, float]],
    count: int,
    window: int,
    connections: int | None,
) -> None:
    """And everybody has a turn, and nothing is left of those who gave up."""
    with virtual_clock() as clock:
        admission = Admission(Limits(connects=f"{count}/{window}s", connections=connections), clock)
        seen: list[float] = []
        there = [0]
        most = [0]

        async def socket(
            number: int, beside: bool, what: str, took: float, seen_at: float, lives: float
        ) -> None:
            admitted = await admission.of(number)(beside)
            assert admitted is not None
            there[0] += 1
            most[0] = max(most[0], there[0])
            began = clock.time()
            try:
                await asyncio.sleep(took)
                admitted.answered()
                if what == "open":
                    admission.on_event(number, Opened(epoch=1))
                    await asyncio.sleep(lives)
            except asyncio.CancelledError:
                admission.on_event(number, Aborted(epoch=1, cause=Cause.LEFT))
            seen.append(began + seen_at * min(took, clock.time() - began))
            there[0] -= 1
            admitted.answered()
            admitted.gone()

        tasks: list[asyncio.Task[None]] = []
        for number, (pause, beside, what, *times) in enumerate(wishes):
            clock.advance(pause)
            tasks.append(clock.create_task(socket(number, beside, what, *times)))
            if what == "give up":
                clock.call_later(times[0], tasks[-1].cancel)
        clock.advance(2000.0)
        assert all(task.done() for task in tasks)
        assert admission.waiting == 0 and admission.open == there[0]
        assert connections is None or most[0] <= connections
        seen.sort()
        for index, first in enumerate(seen):
            assert sum(other <= first + window for other in seen[index:]) <= count


def test_dials_that_another_owner_admitted_count_as_long_as_they_would_have(
    stage: partial[Stage],
) -> None:
    """A ledger that was started again hears of them: ``Admission.resumed``."""
    here = stage(connects="2/10s", connections=3)
    first, second = here.admission.resumed(9.0), here.admission.resumed(2.0)
    assert here.admission.open == 2
    here.ask("A", "B")
    here.clock.advance(1.5)  # the first has left the window
    assert [socket for _, socket in here.admitted] == ["A"]
    here.opened("A")
    here.clock.advance(20.0)  # but three connections are there
    assert [socket for _, socket in here.admitted] == ["A"]
    first.gone()
    here.clock.advance(0.0)
    assert [socket for _, socket in here.admitted] == ["A", "B"]
    second.gone()
