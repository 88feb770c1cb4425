"""Marble diagrams of any Observables, as they happen."""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Any

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable
from reactivex.subject import Subject

from rxsocket.explain.causes import describe
from rxsocket.render.histogram import Histogram
from rxsocket.render.live_view import LiveView
from rxsocket.render.preview import preview
from rxsocket.render.scene import LIVE, Density, Label, Lane, Mark, Scene
from rxsocket.render.svg import svg
from rxsocket.render.view import Rendering, TimeWindow, nothing_yet
from rxsocket.runtime.threads import running_loop, wall_clock
from rxsocket.validation import instance, more_than_zero

MARKED = 90
"""Values that are marked one by one; more are shown as a density."""
INSIDE = 3
"""Characters that fit into a marble."""
SHORTEST = 0.05
"""Least seconds that a picture spans."""
MARGIN = 0.03
"""Part of a picture that is left free after the last mark."""
EVERYTHING = TimeWindow()


class SceneView(LiveView):
    """A picture of lanes over time."""

    def __init__(self, last: float | None) -> None:
        self._last = last

    def svg(self, *, last: float | None = None) -> str:
        """The picture as SVG, which needs nothing else and has no script.

        Args:
            last: Only so many seconds before now; left out, what the picture was made with.
        """
        return svg(self.scene(TimeWindow(more_than_zero("last", last))))

    @abstractmethod
    def scene(self, window: TimeWindow = EVERYTHING) -> Scene:
        """The content of the picture, in a span of time."""

    @abstractmethod
    def newest(self) -> float:
        """The wall time of the latest that it can show."""

    @property
    @abstractmethod
    def _is_running(self) -> bool:
        """Whether it changes as time passes."""

    def static(self) -> dict[str, Any]:
        """It as it is now, as a picture and as text."""
        return {"text/plain": repr(self), "image/svg+xml": svg(self.scene(), fits=True)}

    def render(self, window: TimeWindow) -> Rendering:
        """Draw it for a page."""
        scene = self.scene(window)
        moves = self._is_running and window.until is None
        newest = scene.end if window.until is None else max(self.newest(), scene.end)
        span = scene.end - scene.begin
        return Rendering(
            svg(scene, LIVE, window.width), 1.0 if moves else None, span, scene.end, newest
        )


class _StreamRecord:
    """The last values of one Observable, and a count of all."""

    def __init__(self, name: str, on_change: Callable[[], None]) -> None:
        self.name = name
        self.end: tuple[float, Exception | str] | None = None
        self._values: deque[tuple[float, Any]] = deque(maxlen=MARKED)
        self._counts = Histogram()
        self._lock = threading.Lock()
        self._on_change = on_change

    @property
    def count(self) -> int:
        return self._counts.total

    def on_next(self, value: Any) -> None:
        now = wall_clock(running_loop())()
        with self._lock:
            self._values.append((now, value))
            self._counts.add(now)
        self._on_change()

    def on_end(self, how: Exception | str = "completed") -> None:
        self.end = wall_clock(running_loop())(), how
        self._on_change()

    def lane(self, begin: float, end: float, colour: int) -> Lane:
        with self._lock:
            values = list(self._values)
            bins = tuple(self._counts.bins_between(begin, end))
        shown = [(at, value) for at, value in values if begin <= at <= end]
        count = sum(one.total for one in bins)
        marks, labels = self._ending()
        until = float("inf") if self.end is None else self.end[0]
        is_partial = bool(values) and self.count > len(values) and values[0][0] > begin
        if is_partial and count > len(shown):
            density = Density(bins, ((begin, colour),))
            return Lane(
                name=self.name, note=f"{count:,}", density=density, labelled=bool(labels),
                marks=marks, labels=labels, until=until,
            )  # fmt: skip
        texts = [(at, preview(value, _unredacted, 24)) for at, value in shown]
        inside = all(len(text) <= INSIDE for _, text in texts) and len(texts) <= 40
        marks = (
            *marks,
            *(Mark(at, "marble", colour, text if inside else "", text) for at, text in texts),
        )
        if not inside:
            labels = (*labels, *(Label(at, text) for at, text in texts))
        return Lane(
            name=self.name, note=f"{len(shown):,}" if shown else "none", labelled=bool(labels),
            marks=marks, labels=labels, until=until,
        )  # fmt: skip

    def _ending(self) -> tuple[tuple[Mark, ...], tuple[Label, ...]]:
        if self.end is None:
            return (), ()
        at, how = self.end
        if isinstance(how, str):
            return ((Mark(at, "end", detail=how),) if how == "completed" else ()), ()
        text = f"{type(how).__name__}: {describe(how)}"
        return (Mark(at, "cross", detail=text),), (Label(at, text, urgent=True),)


class Marbles(SceneView):
    """A marble diagram of streams. Made by :func:`marbles`; dispose it to unsubscribe."""

    def __init__(self, streams: dict[str, Observable[Any]], last: float | None) -> None:
        super().__init__(last)
        self._changes: Subject[None] = Subject()
        self._began = wall_clock(running_loop())()
        self._records = [
            _StreamRecord(name, lambda: self._changes.on_next(None)) for name in streams
        ]
        self._subscriptions = CompositeDisposable()
        for record, stream in zip(self._records, streams.values(), strict=True):
            self._subscriptions.add(stream.subscribe(record.on_next, record.on_end, record.on_end))

    def scene(self, window: TimeWindow = EVERYTHING) -> Scene:
        """The content of the picture, in a span of time."""
        last = window.last or self._last
        end = self.newest() if window.until is None else min(window.until, self.newest())
        begin = min(self._began if last is None else end - last, end - SHORTEST)
        if not self._is_running and window.until is None:
            end += (end - begin) * MARGIN
        lanes = tuple(
            record.lane(begin, end, number) for number, record in enumerate(self._records, 1)
        )
        zone = time.localtime(end).tm_gmtoff
        waits = self._is_running and not any(record.count for record in self._records)
        title = f"marbles: {nothing_yet(self._began)}" if waits else "marbles"
        return Scene(title=title, begin=begin, end=end, lanes=lanes, zone=zone)

    def newest(self) -> float:
        """The wall time of the latest that it can show."""
        ends = [record.end[0] for record in self._records if record.end is not None]
        return wall_clock(running_loop())() if self._is_running else max(ends)

    def dispose(self) -> None:
        """Unsubscribe from the streams; what they emitted stays in the picture."""
        self._subscriptions.dispose()
        for record in self._records:
            if record.end is None:
                record.on_end("disposed")

    def __repr__(self) -> str:
        counts = ", ".join(f"{record.name}: {record.count}" for record in self._records)
        return f"<Marbles {counts}>"

    def subscribe_changes(self, on_change: Callable[[], None]) -> abc.DisposableBase:
        """Call back after each value and each end, until disposed."""
        return self._changes.subscribe(lambda _: on_change())

    @property
    def _is_running(self) -> bool:
        return any(record.end is None for record in self._records)


def marbles(
    *streams: Observable[Any], last: float | None = None, **named: Observable[Any]
) -> Marbles:
    """Draw what Observables emit, as it happens: one lane for each.

    ::

        prices    --1--2--3-----4--5--|
        sampled   --------3--------5--|

    It subscribes at once: cold streams start, and those of a socket connect it. Memory is bounded;
    the longer ago, the coarser. Values are shown as they are. In a notebook with
    ``rxsocket[notebook]`` the picture is live, as that of ``timeline()``; saved, it is SVG.

    Args:
        streams: Observables.
        last: Only so many seconds before now.
        named: Observables, by the name of their lane.

    Raises:
        TypeError: If one is not an Observable, or none is given.
        ValueError: If ``last`` is not more than 0.

    Examples:
        >>> marbles(prices=prices, sampled=prices.pipe(ops.sample(1.0)))
    """
    names = ["values"] if len(streams) == 1 else [f"stream {n + 1}" for n in range(len(streams))]
    chosen = dict(zip(names, streams, strict=True)) | named
    if not chosen:
        raise TypeError("marbles(*streams): pass at least one Observable")
    for name, stream in chosen.items():
        instance(f"marbles({name})", stream, Observable, "an Observable")
    return Marbles(chosen, more_than_zero("last", last))


def _unredacted(value: Any) -> Any:
    return value
