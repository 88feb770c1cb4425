"""What is kept of what happened to a socket, for pictures of it: bounded, and masked (C28).

::

    socket's loop    on_next ── one append, one count                  nothing else
    who draws        tape.record() ── a copy, and what masks it

It only looks: it does not connect, and keeps nobody connected (C1).


How many things happened when, in bounded memory: exact lately, coarser the longer ago.

The beginning of a payload, in one line, without anything secret (C28).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from reactivex import abc
from reactivex.disposable import CompositeDisposable, Disposable, SerialDisposable

from rxsocket.auth.credentials import Credential
from rxsocket.auth.masks import Mask
from rxsocket.engine.engine import Engine
from rxsocket.events import Event, Message
from rxsocket.render.timeline_model import Story
from rxsocket.render.view import View
from rxsocket.runtime.loop import SocketLoop
from rxsocket.state import State
from rxsocket.validation import is_list, is_mapping

__all__ = ["Density", "Record", "Tape", "cut", "excerpt", "tape_of"]

WIDTHS = (0.1, 1.0, 10.0)
"""Seconds of a bin, for what is new, older and old."""
KEPT = 1200
"""Bins of each width: 2 minutes of the finest, if something happens all the time."""


class Density:
    """Counts in bins of time; only those that hold something are kept.

    ::

        width     100 s     10 s    1 s  0.1 s
        bins   [    |    ][ |  | ][||||][::::::] now
    """

    __slots__ = ("_levels", "_newest", "_oldest", "_width", "total")

    def __init__(self) -> None:
        self._levels: tuple[deque[list[int]], ...] = tuple(deque() for _ in WIDTHS)
        self._oldest: list[list[int]] = []
        self._newest = [-1, 0]
        self._width = WIDTHS[-1] * 10
        self.total = 0

    def add(self, at: float, count: int = 1) -> None:
        """Count something that happened at a wall time."""
        self.total += count
        newest = self._newest
        if newest[0] == int(at / WIDTHS[0]):  # the short cut of what happens often
            newest[1] += count
            return
        self._put(0, int(at / WIDTHS[0]), count)
        self._newest = self._levels[0][-1]

    def between(self, begin: float, end: float) -> Iterator[tuple[float, float, int]]:
        """Bins that touch a span: where each begins, its width in seconds, its count."""
        levels = ((self._oldest, self._width), *zip(self._levels[::-1], WIDTHS[::-1], strict=True))
        for bins, width in levels:
            for index, count in bins:
                if (index + 1) * width > begin and index * width <= end:
                    yield index * width, width, count

    def _put(self, level: int, index: int, count: int) -> None:
        bins = self._levels[level]
        if bins and bins[-1][0] >= index:  # a wall clock that was set back counts as now
            bins[-1][1] += count
            return
        bins.append([index, count])
        if len(bins) <= KEPT:
            return
        index, count = bins.popleft()
        if level + 1 < len(WIDTHS):
            self._put(level + 1, int(index * WIDTHS[level] / WIDTHS[level + 1]), count)
        else:
            self._put_oldest(index * WIDTHS[level], count)

    def _put_oldest(self, at: float, count: int) -> None:
        index = int(at / self._width)
        if self._oldest and self._oldest[-1][0] >= index:
            self._oldest[-1][1] += count
            return
        self._oldest.append([index, count])
        if len(self._oldest) > KEPT:
            self._width *= 2
            halved: dict[int, int] = {}
            for old, many in self._oldest:
                halved[old // 2] = halved.get(old // 2, 0) + many
            self._oldest = [[old, many] for old, many in halved.items()]


T = TypeVar("T")

EXACT = 600
"""Messages whose own time is kept."""
PAYLOADS = 32
"""Messages whose payload is kept, for an excerpt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a tape holds at one moment.

    Attributes:
        now: The wall time of that moment.
        since: From when on messages were counted; ``None`` if they never were.
        story: Credentials, connections and pauses.
        heard: The last messages, oldest first: when, over which connection.
        payloads: What was in the last of these.
        written: When the last messages were sent.
        received: All messages: bins of time, their width, how many.
        sent: All that was sent, likewise.
        count: How many messages came since ``since``.
        mask: Hides every value of a credential that was in use.
    """

    now: float
    since: float | None
    story: Story
    heard: tuple[tuple[float, int], ...]
    payloads: tuple[Any, ...]
    written: tuple[float, ...]
    received: tuple[tuple[float, float, int], ...]
    sent: tuple[tuple[float, float, int], ...]
    count: int
    mask: Callable[[Any], Any] = field(compare=False, repr=False)


class Tape:
    """Looks at a socket while somebody wants it to, and remembers.

    Args:
        engine: The socket to look at.

    Attributes:
        views: Pictures of it, so that each is made once however often its cell is run.
    """

    def __init__(self, engine: Engine) -> None:
        self._publisher = engine.publisher
        self._hooks = engine.hooks
        self._loop: SocketLoop = engine.loop
        self.views: dict[Hashable, View] = {}
        self._lock = threading.Lock()
        self._watchers = 0
        self._listeners: tuple[Callable[[], None], ...] = ()
        self._looking = SerialDisposable()
        self._since: float | None = None
        self._story = Story()
        self._mask = Mask()
        self._event: Event | None = None
        self._use: tuple[float, Credential] | None = None
        self._heard: deque[tuple[float, int]] = deque(maxlen=EXACT)
        self._payloads: deque[Any] = deque(maxlen=PAYLOADS)
        self._written: deque[float] = deque(maxlen=EXACT)
        self._received = Density()
        self._sent = Density()

    @property
    def watched(self) -> bool:
        """Whether anybody wants to know about messages."""
        return self._watchers > 0

    @property
    def state(self) -> State:
        """The state of the socket."""
        return self._publisher.state.value

    def watch(self, changed: Callable[[], None] | None = None) -> abc.DisposableBase:
        """Remember messages, too, from now on and until disposed.

        Args:
            changed: Called after each thing that was remembered, on the socket's loop.
        """
        with self._lock:
            self._watchers += 1
            first = self._watchers == 1
            if changed is not None:
                self._listeners = (*self._listeners, changed)
        if first:
            self._look()
        left = False

        def leave() -> None:
            nonlocal left
            with self._lock:
                if left:
                    return
                left = True
                self._watchers -= 1
                last = self._watchers == 0
                self._listeners = tuple(one for one in self._listeners if one != changed)
            if last:
                self._looking.disposable = Disposable()

        return Disposable(leave)

    def record(self, begin: float = 0.0) -> Record:
        """A copy of what is remembered; from any thread.

        Args:
            begin: Count messages from this wall time on only.
        """
        with self._lock:
            self._catch_up()
            now = self._loop.wall_time()
            return Record(
                now=now,
                since=self._since,
                story=self._story.copy(),
                heard=tuple(self._heard),
                payloads=tuple(self._payloads),
                written=tuple(self._written),
                received=tuple(self._received.between(begin, now)),
                sent=tuple(self._sent.between(begin, now)),
                count=self._received.total,
                mask=self._mask,
            )

    # --- looking

    def _look(self) -> None:
        if self._since is None:
            self._since = self._loop.wall_time()
        self._hooks.on_written = (*self._hooks.on_written, self._wrote)
        self._looking.disposable = CompositeDisposable(
            self._publisher.events.passive(audience=False).subscribe(
                self._happened, lambda _: self._again(), self._again
            ),
            self._publisher.auth.passive().subscribe(lambda _: self._changed()),
            self._publisher.latency.passive().subscribe(lambda _: self._stir()),
            Disposable(self._look_away),
        )

    def _look_away(self) -> None:
        self._hooks.on_written = tuple(one for one in self._hooks.on_written if one != self._wrote)

    def _again(self) -> None:
        """The streams ended. Who starts the socket afresh is looked at, too."""
        self._loop.run(self._resume)

    def _resume(self) -> None:
        self._looking.disposable = Disposable()
        if self._watchers:
            self._look()
        self._stir()

    # --- on the socket's loop

    def _happened(self, event: Event) -> None:
        with self._lock:
            if type(event) is Message:
                self._received.add(event.at)
                self._heard.append((event.at, event.epoch))
                self._payloads.append(event.data)
            else:
                self._catch_up()
        self._stir()

    def _changed(self) -> None:
        with self._lock:
            self._catch_up()
        self._stir()

    def _wrote(self, count: int) -> None:
        now = self._loop.wall_time()
        with self._lock:
            self._sent.add(now, count)
            self._written.extend([now] * min(count, EXACT))
        self._stir()

    def _stir(self) -> None:
        for listener in self._listeners:
            listener()

    def _catch_up(self) -> None:
        """Take what the socket remembers by itself, and was not told yet."""
        history = self._publisher.history
        uses = _after(history.credentials, self._use)
        events = _after(history.events, self._event)
        if uses:
            self._use = uses[-1]
        if events:
            self._event = events[-1]
        for _, credential in uses:
            self._mask.hide(credential)
        steps: list[tuple[float, Credential | Event]] = [*uses, *((one.at, one) for one in events)]
        for at, step in sorted(steps, key=lambda step: step[0]):
            if isinstance(step, Credential):
                self._story.uses(step, at)
            else:
                self._story.tell(step)


def tape_of(engine: Engine) -> Tape:
    """The one tape of a socket; it lives as long as the socket does."""
    tape = engine.hooks.attached.get(Tape)
    if not isinstance(tape, Tape):
        tape = engine.hooks.attached[Tape] = Tape(engine)
    return tape


def _after(things: tuple[T, ...], last: T | None) -> tuple[T, ...]:
    """Those that came after the last one known; all, if that is forgotten."""
    for index in range(len(things) - 1, -1, -1):
        if things[index] is last:
            return things[index + 1 :]
    return things


LENGTH = 72
LARGE = 2**16
"""Characters of a text of which nothing is shown: masking all of it would take too long."""
ITEMS = 8
DEPTH = 4

Masking = Callable[[Any], Any]


def excerpt(value: Any, mask: Masking, length: int = LENGTH) -> str:
    """A payload in one line.

    Each text in it is masked as a whole, then cut: what is cut first would no longer be recognised.
    """
    if isinstance(value, str):
        return cut(_text(value, mask), length)
    if isinstance(value, (bytes, bytearray)):
        return f"{len(value)} bytes"
    return cut(str(mask(_written(value, mask, DEPTH))), length)


def cut(text: str, length: int = LENGTH) -> str:
    """A text in one line, and no longer than that."""
    line = "".join(letter if letter.isprintable() else " " for letter in text[: 4 * length])
    line = " ".join(line.split())
    return line if len(line) <= length and len(text) <= 4 * length else line[: length - 1] + "…"


def _text(value: str, mask: Masking) -> str:
    return f"{len(value)} characters" if len(value) > LARGE else str(mask(value))


def _written(value: Any, mask: Masking, depth: int) -> str:
    if isinstance(value, str):
        return '"' + cut(_text(value, mask), LENGTH) + '"'
    if is_mapping(value):
        pairs = [
            f"{_written(key, mask, 0)}: {_written(item, mask, depth - 1)}" if depth else "…"
            for key, item in _first(value.items())
        ]
        return "{" + ", ".join(_more(pairs, len(value))) + "}"
    if is_list(value) and not hasattr(value, "_fields"):
        items = [_written(item, mask, depth - 1) if depth else "…" for item in _first(value)]
        return "[" + ", ".join(_more(items, len(value))) + "]"
    try:
        return _text(repr(value), mask)
    except Exception:  # the repr is the user's
        return f"<{type(value).__name__}>"


def _first(values: Any) -> list[Any]:
    return [value for value, _ in zip(values, range(ITEMS), strict=False)]


def _more(shown: list[str], count: int) -> list[str]:
    return shown if count <= len(shown) else [*shown, "…"]
