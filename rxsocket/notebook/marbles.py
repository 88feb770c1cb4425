"""Marble diagrams of any Observables, as they happen."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable

from rxsocket.explain.causes import describe
from rxsocket.render.activity import Density as Counts
from rxsocket.render.activity import excerpt
from rxsocket.render.mimebundle import bundle
from rxsocket.render.scene import PAGE, Density, Lane, Mark, Scene, Words
from rxsocket.render.svg import svg
from rxsocket.render.view import Drawn, View, Window
from rxsocket.runtime.threads import running_loop, wall_clock
from rxsocket.validation import instance, more_than_zero

__all__ = ["Marbles", "marbles"]

MARKED = 90
"""Values that are marked one by one; more are shown as a density."""
INSIDE = 3
"""Characters that fit into a marble."""
LEAST = 0.05
ROOM = 0.03
EVERYTHING = Window()


class Row:
    """What came of one Observable: bounded, exact for the last values."""

    def __init__(self, name: str, stir: Callable[[], None]) -> None:
        self.name = name
        self.values: deque[tuple[float, Any]] = deque(maxlen=MARKED)
        self.counts = Counts()
        self.end: tuple[float, Exception | str] | None = None
        self._lock = threading.Lock()
        self._stir = stir

    def on_next(self, value: Any) -> None:
        """A value came."""
        now = wall_clock(running_loop())()
        with self._lock:
            self.values.append((now, value))
            self.counts.add(now)
        self._stir()

    def on_end(self, how: Exception | str = "completed") -> None:
        """It completed or failed, or nobody listens any more."""
        self.end = wall_clock(running_loop())(), how
        self._stir()

    def lane(self, begin: float, end: float, colour: int) -> Lane:
        """What is drawn of it."""
        with self._lock:
            values = list(self.values)
            bins = tuple(self.counts.between(begin, end))
        shown = [(at, value) for at, value in values if begin <= at <= end]
        count = sum(many for _, _, many in bins)
        marks, words = self._ending()
        until = float("inf") if self.end is None else self.end[0]
        older = bool(values) and self.counts.total > len(values) and values[0][0] > begin
        if older and count > len(shown):
            density = Density(bins, ((begin, colour),))
            return Lane(
                name=self.name, note=f"{count:,}", density=density, labelled=bool(words),
                marks=marks, words=words, until=until,
            )  # fmt: skip
        texts = [(at, excerpt(value, _as_it_is, 24)) for at, value in shown]
        inside = all(len(text) <= INSIDE for _, text in texts) and len(texts) <= 40
        marks = (
            *marks,
            *(Mark(at, "marble", colour, text if inside else "", text) for at, text in texts),
        )
        if not inside:
            words = (*words, *(Words(at, text) for at, text in texts))
        note = f"{len(shown):,}" if shown else "none"
        return Lane(
            name=self.name, note=note, labelled=bool(words), marks=marks, words=words, until=until
        )

    def _ending(self) -> tuple[tuple[Mark, ...], tuple[Words, ...]]:
        if self.end is None:
            return (), ()
        at, how = self.end
        if isinstance(how, str):
            return ((Mark(at, "end", detail=how),) if how == "completed" else ()), ()
        text = f"{type(how).__name__}: {describe(how)}"
        return (Mark(at, "cross", detail=text),), (Words(at, text, urgent=True),)


class Marbles(View):
    """A marble diagram in the making. Made by :func:`marbles`; dispose it to leave the streams."""

    def __init__(self, streams: dict[str, Observable[Any]], last: float | None) -> None:
        self._last = last
        self._listeners: tuple[Callable[[], None], ...] = ()
        self._began = wall_clock(running_loop())()
        self._rows = [Row(name, self._stir) for name in streams]
        self._subscriptions = CompositeDisposable()
        for row, stream in zip(self._rows, streams.values(), strict=True):
            self._subscriptions.add(stream.subscribe(row.on_next, row.on_end, row.on_end))

    def svg(self, *, last: float | None = None) -> str:
        """The picture as SVG, which needs nothing else and has no script.

        Args:
            last: Only so many seconds before now; left out, what ``marbles()`` was given.
        """
        return svg(self.scene(Window(more_than_zero("last", last))))

    def scene(self, window: Window = EVERYTHING) -> Scene:
        """What the picture consists of, in a span of time."""
        last = window.last or self._last
        ends = [row.end[0] for row in self._rows if row.end is not None]
        over = len(ends) == len(self._rows)
        end = (max(ends) if over else wall_clock(running_loop())()) - window.ago
        begin = min(self._began if last is None else end - last, end - LEAST)
        if over and not window.ago:
            end += (end - begin) * ROOM
        lanes = tuple(row.lane(begin, end, number) for number, row in enumerate(self._rows, 1))
        zone = time.localtime(end).tm_gmtoff
        return Scene(title="marbles", begin=begin, end=end, lanes=lanes, zone=zone)

    def dispose(self) -> None:
        """Leave the streams; what came stays in the picture."""
        self._subscriptions.dispose()
        for row in self._rows:
            if row.end is None:
                row.on_end("left")

    def __repr__(self) -> str:
        counts = ", ".join(f"{row.name}: {row.counts.total}" for row in self._rows)
        return f"<Marbles {counts}>"

    # --- shown in a notebook

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return bundle(self, {"text/plain": repr(self), "image/svg+xml": self.svg()})

    def watch(self, changed: Callable[[], None]) -> abc.DisposableBase:
        """Call back after each value, until disposed."""
        self._listeners = (*self._listeners, changed)

        def leave() -> None:
            self._listeners = tuple(one for one in self._listeners if one is not changed)

        return Disposable(leave)

    def drawn(self, window: Window) -> Drawn:
        """Draw it for a page."""
        scene = self.scene(window)
        moves = any(row.end is None for row in self._rows) and not window.ago
        return Drawn(svg(scene, PAGE), 1.0 if moves else None, scene.end - scene.begin)

    def _stir(self) -> None:
        for listener in self._listeners:
            listener()


def marbles(
    *streams: Observable[Any], last: float | None = None, **named: Observable[Any]
) -> Marbles:
    """Draw what Observables emit, as it happens: one lane for each.

    ::

        prices    --1--2--3-----4--5--|
        sampled   --------3--------5--|

    It subscribes at once, as anybody would: cold streams start, and a socket's connect. RunState is
    bounded; the longer ago, the coarser. Values are shown as they are. In a notebook with
    ``rxsocket[notebook]`` the picture is live, as that of ``timeline()`` is; saved, it is SVG.

    Args:
        streams: Observables.
        last: Only so many seconds before now.
        named: Observables, by the name of their lane.

    Raises:
        TypeError: If one is no Observable, or there is none.
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


def _as_it_is(value: Any) -> Any:
    return value
