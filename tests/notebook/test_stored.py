"""What a notebook has saved of a picture, and the thread that draws it (C54)."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import reactivex
from extras import needs
from reactivex import abc
from reactivex.disposable import Disposable
from reactivex.subject import Subject

from rxsocket.notebook import frame, marbles
from rxsocket.render.drawing import Timer
from rxsocket.render.redraw import BEAT, RedrawThrottle
from rxsocket.render.stored import EVERY, StoredOutput
from rxsocket.render.view import Rendering
from rxsocket.testing import VirtualClock

DRAWS = "rxsocket-drawing"


class Saved:
    """What a picture looks like, and what was saved of it when."""

    def __init__(self, clock: VirtualClock) -> None:
        self.content = 0
        self.updates: list[tuple[float, int]] = []
        loop: Any = clock
        self._clock = clock
        self.output = StoredOutput(self._static, self._publish, {"text/plain": 0}, loop)

    def change(self) -> None:
        self.content += 1
        self.output.on_change()

    def _static(self) -> dict[str, Any]:
        return {"text/plain": self.content}

    def _publish(self, static: dict[str, Any]) -> None:
        self.updates.append((self._clock.time(), static["text/plain"]))


def test_what_changes_is_saved_each_10_s(clock: VirtualClock) -> None:
    """C54: 4 changes a second for a minute are 6 updates; what does not change is not saved."""
    saved = Saved(clock)
    for _ in range(60 * 4):
        saved.change()
        clock.advance(0.25)
    clock.advance(EVERY)
    assert [at for at, _ in saved.updates][:6] == [10.0, 20.0, 30.0, 40.0, 50.0, 60.0]
    assert saved.updates[-1][1] == 240, "the last change is saved, too"
    count = len(saved.updates)
    saved.output.store_soon()
    clock.advance(60)
    assert len(saved.updates) == count


def test_what_leaves_sight_is_saved_at_once(clock: VirtualClock) -> None:
    """C54: not only when it is its time; but not while somebody reads it."""
    saved = Saved(clock)
    saved.change()
    clock.advance(1)
    saved.output.store_soon()
    clock.advance(0)
    assert saved.updates == [(1.0, 1)]
    saved.output.hold(True)
    saved.change()
    saved.output.store_soon()
    clock.advance(60)
    assert len(saved.updates) == 1
    saved.output.hold(False)
    saved.output.store_soon()
    clock.advance(0)
    assert saved.updates[-1][1] == 2


def test_a_picture_that_cannot_be_drawn_keeps_what_was_saved(
    clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    saved = Saved(clock)

    def broken() -> dict[str, Any]:
        raise ValueError("no picture")

    saved.output._static = broken
    saved.output.store_soon()
    clock.advance(0)
    assert saved.updates == []
    assert "what is saved of a picture is not up to date" in caplog.text


def test_a_quiet_picture_has_a_beat(clock: VirtualClock) -> None:
    """C54: the front end hears of the kernel each 2 s while it is seen, and not after."""
    beats: list[float] = []
    loop: Any = clock
    rested: list[float] = []
    throttle = RedrawThrottle(
        lambda _: Disposable(),
        lambda: Rendering("still"),
        lambda _: None,
        loop,
        loop,
        beat=lambda: beats.append(clock.time()),
        on_rest=lambda: rested.append(clock.time()),
    )
    throttle.start()
    for _ in range(10):
        clock.advance(1)
        throttle.on_visible("one")
    assert 4 <= len(beats) <= 10 / BEAT + 1
    throttle.on_hidden("one")
    count = len(beats)
    clock.advance(60)
    assert len(beats) == count
    assert rested == [10.0]
    assert clock.pending == 0


def test_a_picture_that_fails_is_told_once(
    clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """C54: what a value's own text raises ends neither the picture nor the stream."""
    loop: Any = clock
    left = [True, True, False]
    shown: list[str] = []
    changed: list[Callable[[], None]] = []

    def render() -> Rendering:
        if left.pop(0):
            raise ValueError("no text")
        return Rendering("here")

    def subscribe(on_change: Callable[[], None]) -> abc.DisposableBase:
        changed.append(on_change)
        return Disposable()

    throttle = RedrawThrottle(subscribe, render, lambda one: shown.append(one.html), loop, loop)
    throttle.start()
    for _ in range(3):
        clock.advance(1)
        changed[0]()
    clock.advance(1)
    assert shown == ["here"]
    assert caplog.text.count("a live picture cannot be drawn") == 1
    throttle.suspend()
    clock.advance(0)


def test_the_thread_that_draws_ends() -> None:
    """C54: it is there while something is to be drawn, of all pictures one, and not after."""
    where: list[str] = []
    done = threading.Semaphore(0)

    def draw() -> None:
        where.append(threading.current_thread().name)
        done.release()

    timers = [Timer(draw) for _ in range(5)]
    for timer in timers:
        timer.set(0.01)
    for _ in timers:
        assert done.acquire(timeout=10)
    assert where == [DRAWS] * 5
    for thread in threading.enumerate():
        if thread.name == DRAWS:
            thread.join(10)
    assert DRAWS not in [thread.name for thread in threading.enumerate()]
    timers[0].set(60)
    assert DRAWS in [thread.name for thread in threading.enumerate()]
    timers[0].cancel()
    for thread in threading.enumerate():
        if thread.name == DRAWS:
            thread.join(10)
            assert not thread.is_alive()


@needs("pandas")
def test_the_sockets_go_on_while_it_is_drawn() -> None:
    """C54: a picture that takes long to draw is no slow observer."""
    peer_messages: Subject[int] = Subject()
    view = frame(peer_messages)
    drawn, released = threading.Event(), threading.Event()
    threads: list[str] = []

    def slowly() -> Rendering:
        threads.append(threading.current_thread().name)
        drawn.set()
        assert released.wait(10)
        return Rendering("done")

    throttle = RedrawThrottle(view.subscribe_changes, slowly, lambda _: None, None)
    throttle.start()
    assert drawn.wait(10)
    began = time.monotonic()
    for number in range(10_000):
        peer_messages.on_next(number)
    assert view.count == 10_000
    assert time.monotonic() - began < 10, "it waited for the picture"
    released.set()
    throttle.suspend()
    view.dispose()
    assert set(threads) == {DRAWS}


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork")
def test_a_forked_child_draws_nothing() -> None:
    """C54: its parent's pictures are its parent's; its own are drawn on a thread of its own."""
    old = Timer(lambda: None)
    old.set(60)

    def child(queue: Any) -> None:
        old.set(0)
        done = threading.Event()
        new = Timer(done.set)
        new.set(0)
        queue.put((old.due, done.wait(10)))

    context = multiprocessing.get_context("fork")
    queue: Any = context.Queue()
    process = context.Process(target=child, args=(queue,))
    process.start()
    assert queue.get(timeout=20) == (None, True)
    process.join(10)
    queue.close()
    queue.join_thread()
    old.cancel()


@needs("anywidget")
def test_a_widget_for_layouts(clock: VirtualClock) -> None:
    """C54: each view has one, with or without a kernel."""
    view = marbles(reactivex.never())
    assert view.widget is view.widget
    assert "<svg" in view.widget.html
    assert view.widget.title == "marbles"
    view.widget.throttle.suspend()
    view.widget.close()
    view.dispose()
