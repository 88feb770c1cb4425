"""What becomes of values that come faster than their consumer takes them, by a named policy (C27).

A consumer is *ready* when it has returned from the value before:

- A plain observer is called in turns of its own: by default of the asyncio loop on which the values
  arrive (where there is none: on a thread of its own), else on ``scheduler=``. Between two values
  the loop does everything else that is due, such as reading from the network.
- :func:`~rxsocket.operators.concat_map_async` and ``flat_map_async`` directly behind one of these
  take the next value when the ``async`` function is done with one before.

Values that are taken come in the order in which they came. What still waits when the source ends is
delivered, then the end; disposing lets go of it.

An observer that raises is detached. When the values come from a socket, that is reported on its
``errors`` (C23); else the exception goes to whoever called the observer, such as the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from reactivex import Observable, abc

from rxsocket.arguments import whole_number
from rxsocket.callables import function
from rxsocket.operators.drops import Drops
from rxsocket.operators.lines import Bounded, Conflated, Latest, OverflowPolicy
from rxsocket.operators.waiting import Waiting

__all__ = ["buffer_up_to", "conflate", "latest"]

T = TypeVar("T")

POLICIES = ("drop_oldest", "drop_newest", "error")


def latest(
    *, drops: Drops | None = None, scheduler: abc.SchedulerBase | None = None
) -> Callable[[Observable[T]], Observable[T]]:
    """Only the newest value, when the consumer is ready; those before it are dropped.

    ::

        source    --1--2--3--4--------5--|
        consumer    [----]      [----][---]     busy
        result    --1-----3-----4-----5---|     2 was dropped

    Args:
        drops: Counts what was dropped.
        scheduler: Where the observer is called; default: see the module.

    Examples:
        >>> drops = Drops()
        >>> socket.messages.pipe(latest(drops=drops)).subscribe(draw)
    """
    _checked(drops)

    def operator(source: Observable[T]) -> Observable[T]:
        return Waiting("latest", source, Latest, drops, scheduler)

    return operator


def conflate(
    key: Callable[[Any], Hashable],  # Any: mypy would take T for the type of a lambda's argument
    *,
    drops: Drops | None = None,
    scheduler: abc.SchedulerBase | None = None,
) -> Callable[[Observable[T]], Observable[T]]:
    """The newest value of each key, when the consumer is ready; older ones of the key are dropped.

    A newer value takes the place of the one that waits, so a busy key does not hold up the others,
    and within a key the order stays. What waits is bounded by the number of keys.

    ::

        source    --a1-b1-a2-b2-a3-----|
        consumer    [-----------][--][--]     busy
        result    --a1-----------b2--a3-|     b1 and a2 were dropped

    Args:
        key: The key of a value. What it raises is an error of the result.
        drops: Counts what was dropped.
        scheduler: Where the observer is called; default: see the module.

    Examples:
        >>> socket.messages.pipe(conflate(lambda quote: quote.symbol)).subscribe(draw)
    """
    function("conflate(key)", key)
    _checked(drops)

    def operator(source: Observable[T]) -> Observable[T]:
        return Waiting("conflate", source, lambda: Conflated(key), drops, scheduler)

    return operator


def buffer_up_to(
    count: int,
    *,
    overflow: OverflowPolicy,
    drops: Drops | None = None,
    scheduler: abc.SchedulerBase | None = None,
) -> Callable[[Observable[T]], Observable[T]]:
    """Every value, with up to ``count`` of them waiting; one more is treated by a policy.

    ::

        source         --1--2--3--4-------|
        consumer         [----------][-][-]     busy; count=2
        drop_oldest    --1-----------3--4-|     2 was dropped
        drop_newest    --1-----------2--3-|     4 was dropped
        error          --1-----------2--3-X     after what waited

    A policy that neither drops nor fails, but makes the server wait, is ``async for``.

    Args:
        count: How many values may wait, 1 at least.
        overflow: ``"drop_oldest"``, ``"drop_newest"``, or ``"error"``: ``BufferOverflow``.
        drops: Counts what was dropped.
        scheduler: Where the observer is called; default: see the module.

    Raises:
        TypeError: If ``count`` is no integer.
        ValueError: If it is less than 1, or there is no such policy.

    Examples:
        >>> drops = Drops()
        >>> socket.messages.pipe(
        ...     buffer_up_to(1000, overflow="drop_oldest", drops=drops), concat_map_async(store)
        ... ).subscribe()
    """
    whole_number("buffer_up_to(count)", count)
    if overflow not in POLICIES:
        raise ValueError(f"overflow: pass one of {', '.join(POLICIES)}, not {overflow!r}")
    _checked(drops)

    def operator(source: Observable[T]) -> Observable[T]:
        return Waiting("buffer_up_to", source, lambda: Bounded(count, overflow), drops, scheduler)

    return operator


def _checked(drops: Drops | None) -> None:
    if drops is not None and not isinstance(drops, Drops):
        raise TypeError(f"drops: pass a Drops(), not {type(drops).__name__}")
