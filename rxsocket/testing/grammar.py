"""The grammar of a socket's events, as a table (C2).

::

Connecting (Opened Message* Closed | ConnectFailed | Rejected | Aborted)     for each epoch
(Stale Fresh)* Stale?, Missed*                                 while an epoch is open
ChannelStale*                                                  likewise
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import NoReturn

from rxsocket.events import (
    Aborted,
    ChannelStale,
    Closed,
    ConnectFailed,
    Connecting,
    EpochEvent,
    Event,
    Fresh,
    Message,
    Missed,
    Opened,
    Rejected,
    Stale,
)


class EpochPhase(Enum):
    """The phase of an epoch."""

    NEW = "has not begun"
    DIALLING = "is being dialled"
    OPEN = "is open"
    OVER = "is over"


NEXT_PHASE: Mapping[EpochPhase, Mapping[type, EpochPhase]] = MappingProxyType(
    {
        EpochPhase.NEW: {Connecting: EpochPhase.DIALLING},
        EpochPhase.DIALLING: {
            Opened: EpochPhase.OPEN,
            ConnectFailed: EpochPhase.OVER,
            Rejected: EpochPhase.OVER,
            Aborted: EpochPhase.OVER,
        },
        EpochPhase.OPEN: {Message: EpochPhase.OPEN, Closed: EpochPhase.OVER},
        EpochPhase.OVER: {},
    }
)
"""The phase that each event leads to; any other event is an error."""

SHOWN = 20
"""Number of events that an error shows."""


class GrammarError(AssertionError):
    """The events broke the grammar.

    Attributes:
        event: The one that did; ``None`` if one is missing.
        history: The last 20 events before it.
    """

    def __init__(self, why: str, event: Event | None, history: tuple[Event, ...]) -> None:
        lines = "\n  ".join(map(repr, history)) or "none"
        super().__init__(f"{why}\nevents, the last {SHOWN}:\n  {lines}")
        self.event = event
        self.history = history


class Grammar:
    """A checker of rule C2, grammar; subscribe it to ``socket.events``.

    A socket detaches an observer that raises and goes on, so the first error is kept, and raised by
    :meth:`done` again.

    Args:
        first: Number of the first epoch.

    Examples:
        >>> grammar = Grammar()
        >>> _ = socket.events.subscribe(grammar)
        >>> ...
        >>> grammar.done()
    """

    def __init__(self, *, first: int = 1) -> None:
        self._next_epoch = first
        self._phases: dict[int, EpochPhase] = {}
        self._history: deque[Event] = deque(maxlen=SHOWN)
        self._error: GrammarError | None = None
        self._stale: int | None = None

    def check(self, event: Event) -> None:
        """Take the next event.

        Raises:
            GrammarError: If it cannot come here.
        """
        self._history.append(event)
        if isinstance(event, EpochEvent):
            self._advance(event)
        elif isinstance(event, (Stale, Fresh)):
            self._check_staleness(event)
        elif isinstance(event, (ChannelStale, Missed)):
            self._check_open(event)

    __call__ = check

    def done(self) -> None:
        """Say that the socket has ended.

        Raises:
            GrammarError: If an epoch is unfinished, or there was an error before.
        """
        if self._error is not None:
            raise self._error
        for epoch, phase in self._phases.items():
            self._fail(f"epoch {epoch} {phase.value} at the end", None)

    def _check_open(self, event: Stale | Fresh | ChannelStale | Missed) -> None:
        phase = self._phases.get(event.epoch, EpochPhase.OVER)
        if phase is not EpochPhase.OPEN:
            self._fail(f"{type(event).__name__} of epoch {event.epoch}, which {phase.value}", event)

    def _check_staleness(self, event: Stale | Fresh) -> None:
        self._check_open(event)
        name = type(event).__name__
        if isinstance(event, Fresh) is not (self._stale == event.epoch):
            self._fail(f"{name} of epoch {event.epoch}, which was so already", event)
        self._stale = event.epoch if isinstance(event, Stale) else None

    def _advance(self, event: EpochEvent) -> None:
        epoch, name = event.epoch, type(event).__name__
        if isinstance(event, Connecting) and epoch != self._next_epoch:
            self._fail(f"epoch {epoch} begins; {self._next_epoch} is the next", event)
        before = EpochPhase.OVER if epoch < self._next_epoch else EpochPhase.NEW
        phase = self._phases.get(epoch, before)
        after = NEXT_PHASE[phase].get(type(event))
        if after is None:
            self._fail(f"{name} of epoch {epoch}, which {phase.value}", event)
        if after is EpochPhase.OPEN:
            others = [
                other
                for other, where in self._phases.items()
                if where is EpochPhase.OPEN and other != epoch
            ]
            if others:
                self._fail(f"{name} of epoch {epoch} while epoch {others[0]} is open", event)
        if isinstance(event, Connecting):
            self._next_epoch += 1
        if after is EpochPhase.OVER:
            del self._phases[epoch]
        else:
            self._phases[epoch] = after

    def _fail(self, why: str, event: Event | None) -> NoReturn:
        error = GrammarError(why, event, tuple(self._history))
        self._error = self._error or error
        raise error
