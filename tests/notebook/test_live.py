"""Live pictures: how often they are drawn, and when they cost nothing (virtual time)."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import reactivex
from reactivex import abc
from reactivex import operators as ops
from reactivex.disposable import Disposable
from reactivex.subject import Subject

from rxsocket import Socket
from rxsocket.explain.format import amount
from rxsocket.notebook import marbles, timeline
from rxsocket.render.card_view import CardView
from rxsocket.render.redraw import INTERVAL, VIEWER_TIMEOUT, RedrawThrottle
from rxsocket.render.view import Rendering, TimeWindow, View
from rxsocket.testing import VirtualClock, fake


class FrontEnd:
    """A front end that does what it is told to."""

    def __init__(self, clock: VirtualClock, again: float | None = None) -> None:
        self.changed: Callable[[], None] | None = None
        self.shown: list[tuple[float, str]] = []
        self.content = 0
        self.again = again
        self._clock = clock
        loop: Any = clock
        self.throttle = RedrawThrottle(self._watch, self._draw, self._show, loop, loop)

    def change(self) -> None:
        self.content += 1
        if self.changed is not None:
            self.changed()

    def _watch(self, changed: Callable[[], None]) -> abc.DisposableBase:
        assert self.changed is None
        self.changed = changed

        def leave() -> None:
            self.changed = None

        return Disposable(leave)

    def _draw(self) -> Rendering:
        return Rendering(str(self.content), self.again)

    def _show(self, drawn: Rendering) -> None:
        self.shown.append((self._clock.time(), drawn.html))


@pytest.fixture
def screen(clock: VirtualClock) -> Iterator[FrontEnd]:
    made = FrontEnd(clock)
    made.throttle.start()
    clock.advance(0)
    yield made
    made.throttle.suspend()
    clock.advance(0)


def test_at_most_four_times_a_second(clock: VirtualClock, screen: FrontEnd) -> None:
    """1,000 changes a second for 10 s are 40 drawings, and the last one shows the last change."""
    for _ in range(10_000):
        screen.change()
        screen.throttle.on_visible("one")
        clock.advance(0.001)
    clock.advance(1)
    times = [at for at, _ in screen.shown]
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert min(gaps) >= INTERVAL - 1e-9
    assert 38 <= len(times) <= 42
    assert screen.shown[-1][1] == "10000"


def test_what_takes_long_to_draw_is_drawn_less_often(
    clock: VirtualClock, screen: FrontEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture that takes 0.2 s to draw is drawn every second: a fifth of the time."""
    draw = screen.throttle._render

    def slowly() -> Rendering:
        clock.block(0.2)
        return draw()

    monkeypatch.setattr(screen.throttle, "_render", slowly)
    for _ in range(2000):
        screen.change()
        screen.throttle.on_visible("one")
        clock.advance(0.01)
    times = [at for at, _ in screen.shown[2:]]
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert len(gaps) >= 7
    assert all(0.99 <= gap <= 1.1 for gap in gaps)


def test_nothing_happens_when_nothing_happens(clock: VirtualClock, screen: FrontEnd) -> None:
    """Without a change there is one drawing, and no timer of its own is left."""
    screen.throttle.on_visible("one")
    clock.advance(60)
    assert len(screen.shown) == 1
    assert clock.pending == 0


def test_it_rests_when_it_is_hidden(clock: VirtualClock, screen: FrontEnd) -> None:
    """Hidden, it is subscribed to nothing; seen again, it shows at once what it missed."""
    screen.throttle.on_visible("one")
    screen.throttle.on_hidden("one")
    clock.advance(0)
    assert screen.changed is None
    screen.change()
    clock.advance(60)
    assert len(screen.shown) == 1
    assert clock.pending == 0
    screen.throttle.on_visible("one")
    clock.advance(INTERVAL)
    assert screen.shown[-1][1] == "1"


def test_it_goes_on_for_the_other_one(clock: VirtualClock, screen: FrontEnd) -> None:
    """Of two places that show it, one may be hidden."""
    screen.throttle.on_visible("one")
    screen.throttle.on_visible("two")
    screen.throttle.on_hidden("one")
    assert screen.throttle.is_active
    screen.throttle.on_hidden("two")
    assert not screen.throttle.is_active


def test_a_front_end_that_is_gone(clock: VirtualClock, screen: FrontEnd) -> None:
    """15 s after an update that nobody answered it rests, whatever happens meanwhile."""
    screen.throttle.on_visible("one")
    for _ in range(40 * 4):
        screen.change()
        clock.advance(0.25)
    assert not screen.throttle.is_active
    assert screen.changed is None
    last = screen.shown[-1][0]
    assert VIEWER_TIMEOUT - 1 <= last <= VIEWER_TIMEOUT + 1
    assert clock.pending == 0


def test_one_that_was_never_there(clock: VirtualClock) -> None:
    """A kernel without front end, as of nbclient: it rests by itself."""
    screen = FrontEnd(clock, again=1.0)
    screen.throttle.start()
    clock.advance(VIEWER_TIMEOUT + 1)
    assert not screen.throttle.is_active
    assert clock.pending == 0


def test_answers_keep_it_awake(clock: VirtualClock, screen: FrontEnd) -> None:
    """A front end that answers every 5 s is followed for as long as it does."""
    for number in range(400):
        screen.change()
        if number % 20 == 0:
            screen.throttle.on_visible("one")
        clock.advance(0.25)
    assert screen.throttle.is_active
    assert len(screen.shown) >= 390


def test_a_busy_kernel_is_no_missing_front_end() -> None:
    """While a cell blocks the kernel's loop, where answers come in, the picture goes on."""
    kernel = asyncio.new_event_loop()  # it does not run: as a loop that is blocked
    try:
        from rxsocket.testing import clock

        with clock() as virtual:
            screen = FrontEnd(virtual)
            loop: Any = virtual
            throttle = RedrawThrottle(screen._watch, screen._draw, screen._show, kernel, loop)
            throttle.start()
            for _ in range(60 * 4):
                screen.change()
                virtual.advance(0.25)
            assert throttle.is_active
            assert len(screen.shown) >= 230
            throttle.suspend()
            virtual.advance(0)
    finally:
        kernel.close()


def test_what_changes_by_itself_is_drawn_again(clock: VirtualClock) -> None:
    """A picture that says so is drawn once a second, and sent only if it looks different."""
    screen = FrontEnd(clock, again=1.0)
    screen.throttle.start()
    screen.throttle.on_visible("one")
    clock.advance(0)
    drawings = screen.throttle.drawings
    for _ in range(10):
        clock.advance(1)
        screen.throttle.on_visible("one")
    assert screen.throttle.drawings - drawings == 10
    assert len(screen.shown) == 1
    screen.throttle.suspend()
    clock.advance(0)


Make = Callable[[Socket], View]


@pytest.mark.parametrize("make", [lambda socket: CardView(socket._engine), timeline])
def test_a_resting_view_subscribes_to_nothing(clock: VirtualClock, make: Make) -> None:
    """A hidden card takes no events; a hidden timeline goes on remembering, but is not drawn."""
    peer = fake()
    socket = Socket(peer.url, transport=peer, auth="secret-token")
    view = make(socket)
    drawn: list[Rendering] = []
    loop: Any = clock
    throttle = RedrawThrottle(
        view.subscribe_changes, lambda: view.render(TimeWindow()), drawn.append, loop, loop
    )
    throttle.start()
    with socket:
        for _ in range(8):
            clock.advance(0.5)
            peer.push("hello")
            throttle.on_visible("one")
        assert 8 <= len(drawn) <= 20
        throttle.on_hidden("one")
        clock.advance(0)
        count = len(drawn)
        for _ in range(8):
            clock.advance(0.5)
            peer.push("hello")
        assert len(drawn) == count
        assert f"events: {amount(int(make is timeline), 'observer')}>" in repr(socket.events)
    clock.advance(3)


def test_zoom(clock: VirtualClock) -> None:
    """A window says how many seconds are drawn, and how long ago they ended."""
    peer = fake()
    socket = Socket(peer.url, transport=peer, auth="secret-token")
    picture = timeline(socket)
    with socket:
        clock.advance(100)
        assert picture.render(TimeWindow()).span == pytest.approx(100)
        then = clock.wall_time() - 30.0
        near = picture.scene(TimeWindow(10.0, then))
        assert (near.end - near.begin, near.end) == (10.0, then)
        assert picture.render(TimeWindow()).redraw_after == 1.0
        drawn = picture.render(TimeWindow(10.0, then))
        assert (drawn.redraw_after, drawn.until, drawn.newest) == (None, then, then + 30.0)
        clock.advance(60)
        assert picture.render(TimeWindow(10.0, then)).until == then, "the past does not move"
    clock.advance(3)
    assert picture.render(TimeWindow()).redraw_after is None


def test_marbles(clock: VirtualClock) -> None:
    """One lane for each Observable: its values, then how it ended."""
    numbers = reactivex.interval(0.5, scheduler=clock.scheduler).pipe(ops.take(4))
    failing = numbers.pipe(ops.map(lambda number: 6 // (2 - number)))
    picture = marbles(numbers=numbers, failing=failing, last=60)
    clock.advance(5)
    first, second = picture.scene().lanes
    assert [mark.text for mark in first.marks if mark.shape == "marble"] == ["0", "1", "2", "3"]
    assert [mark.shape for mark in first.marks if mark.shape != "marble"] == ["end"]
    assert [mark.text for mark in second.marks if mark.shape == "marble"] == ["3", "6"]
    assert [mark.shape for mark in second.marks if mark.shape != "marble"] == ["cross"]
    assert second.labels[0].text.startswith("ZeroDivisionError")
    assert picture.render(TimeWindow()).redraw_after is None


def test_a_lane_ends_with_its_stream(clock: VirtualClock) -> None:
    """As in any marble diagram; that of a stream that goes on is drawn to the edge."""
    ending: Subject[int] = Subject()
    picture = marbles(ending=ending, lasting=reactivex.never())
    clock.advance(1)
    ending.on_completed()
    clock.advance(3)
    scene = picture.scene()
    assert [lane.until for lane in scene.lanes] == [scene.end - 3, float("inf")]


def test_many_marbles_are_a_density(clock: VirtualClock) -> None:
    """More than 90 are counted; what was disposed has not completed."""
    picture = marbles(reactivex.interval(0.01, scheduler=clock.scheduler))
    clock.advance(5)
    picture.dispose()
    clock.advance(5)
    (lane,) = picture.scene().lanes
    assert lane.name == "values"
    assert lane.density is not None
    assert 499 <= sum(count for _, _, count in lane.density.bins) <= 501
    assert not [mark for mark in lane.marks if mark.shape == "end"]


def test_marbles_of_no_stream() -> None:
    """What is no Observable is refused by name."""
    with pytest.raises(TypeError, match="an Observable"):
        marbles(prices=[1, 2, 3])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="at least one"):
        marbles()
