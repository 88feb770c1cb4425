"""The operator that stores a stream (C40)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
from reactivex import Observable, abc
from reactivex.disposable import Disposable

from rxsocket.operators.overflow import BufferedObservable
from rxsocket.policy.backoff import Backoff
from rxsocket.sinks.delivery import Delivery
from rxsocket.sinks.handling import Handling
from rxsocket.sinks.pressure import PausePolicy, check_policy
from rxsocket.sinks.records import Dropped, Outcome, Record
from rxsocket.sinks.sink import Sink
from rxsocket.streams.buffers import Drops, check_drops
from rxsocket.validation import (
    function_of_one,
    function_of_one_or_none,
    instance,
    is_async,
    more_than_zero,
    seconds,
    whole_number,
)

HIGH_WATER = 1024
"""Messages that may wait."""
BACKOFF = Backoff(first=0.5, base=0.5, cap=5.0)
"""Shorter than that of a socket: a broker is one's own, and few connect to it."""


def into(
    sink: Sink,
    *,
    key: Callable[[Any], str] | None = None,
    id: Callable[[Any], str | int] | None = None,
    in_flight: int = 500,
    batch: int = 100,
    overflow: PausePolicy = "pause",
    high_water: int = HIGH_WATER,
    retry_for: float = 60.0,
    timeout: float = 30.0,
    backoff: Backoff | None = None,
    encode: Callable[[Any], bytes] | None = None,
    drops: Drops | None = None,
    loop: asyncio.AbstractEventLoop | None = None,
) -> Callable[[Observable[Any]], Observable[Outcome | Dropped]]:
    """Store every message in a broker, and say of each what became of it (rule C40, sinks).

    ::

        messages   --1--2--3----4-----------5--|
        publish      [1--][23-] [4-]  [4--] [5-]     4 was tried again
        result     -------S1--S2-S3-------S4----S5|

    Each message that comes is accounted for once: it is ``Stored``, a ``Duplicate``, ``Failed``, or
    counted in a ``Dropped``. Messages are published in their order, in batches, of which the next
    one begins before the broker has answered the last. What has to be tried again comes after what
    was under way with it; while it is, nothing new is begun.

    Too many messages wait when the broker is slow or away. With ``"pause"`` the sockets that they
    come from are paused then, as by an ``async for`` (rule C27, backpressure is explicit), also
    behind operators, ``merge`` among them. What comes from elsewhere cannot be paused: of that, the
    newest is dropped.

    A ``publish`` that raises, or takes longer than ``timeout``, and a record that is ``Failed`` for
    a while, are tried again until ``retry_for`` is over; then it is ``Failed``, and the stream goes
    on. A call that took too long is cancelled; if it goes on nevertheless, nobody waits for it.
    Only a sink that cannot be opened at first is an error of the result.

    A function that blocks holds the loop, so that no time limit is kept meanwhile. That is a
    warning in the log, which says what to do; after 1 s also while it lasts, with its line.

    The subscription owns the sink. It opens it, and closes it when the source has ended and the
    last answer is there, before it completes; so it does when it is disposed, which cancels what
    is under way. A second subscription to the same sink is an error until then.

    Observers are called on the loop of the socket in front; else on the one that runs here, or on
    the thread that sockets share (rule C24, delivery).

    Args:
        sink: ``jetstream(...)``, ``redis_streams(...)``, or an object with the two methods of
            :class:`Sink`.
        key: What a message is about, such as the name of its channel; default: ``""``.
        id: By which the broker knows a message again, such as ``f"{channel}:{sequence}"``. Without
            it a message may be stored twice, if an answer is lost.
        in_flight: Records that the broker has not answered yet, at most.
        batch: Records in one ``publish``, at most.
        overflow: ``"pause"``, ``"drop_oldest"``, ``"drop_newest"``, or ``"error"``, a
            ``BufferOverflow`` after what waited. Not behind ``conflate`` and its like, which say
            what waits by themselves.
        high_water: Messages that may wait, 1 at least. A paused socket goes on when a quarter of
            them waits.
        retry_for: Seconds in which a record is tried again, from the first attempt on. Less than
            the time for which the broker remembers ids.
        timeout: Seconds that a call of the sink may take; to close it, 2 s.
        backoff: How long to wait before each of these; default: up to 0.5 s, then doubling to 5 s.
        encode: Makes bytes of a message; default: ``bytes`` as they are, ``str`` as UTF-8, and all
            else as JSON.
        drops: Counts what is dropped.
        loop: Where all of this runs.

    Raises:
        TypeError: If an argument is of a wrong type.
        ValueError: If one cannot be used; the text says what to pass.
        RuntimeError: At ``subscribe``, if another subscription has the sink.

    Examples:
        >>> stored = socket.messages.pipe(
        ...     into(
        ...         jetstream("nats://127.0.0.1:4222", stream="TRADES"),
        ...         key=lambda trade: trade["symbol"],
        ...         id=lambda trade: f"{trade['symbol']}:{trade['seq']}",
        ...     )
        ... )
        >>> stored.subscribe(lambda receipt: print(receipt))
        Stored(id='BTC-USD:1', key='BTC-USD', entry=1)
    """
    for method in ("publish", "close"):
        if not callable(getattr(sink, method, None)):
            raise TypeError(
                f"sink: pass jetstream(...), redis_streams(...) or an object with async methods "
                f"publish and close, not {type(sink).__name__}"
            )
    whole_number("in_flight", in_flight)
    whole_number("batch", batch)
    whole_number("high_water", high_water)
    check_policy(overflow)
    check_drops(drops)
    if loop is not None and not isinstance(loop, asyncio.AbstractEventLoop):
        raise TypeError(f"loop: pass an asyncio event loop, not {type(loop).__name__}")
    handling = Handling(
        to_record=_record_maker(
            function_of_one_or_none("key", key),
            function_of_one_or_none("id", id),
            _encode if encode is None else function_of_one("encode", encode, "a function of one"),
        ),
        in_flight=in_flight,
        batch=min(batch, in_flight),
        overflow=overflow,
        high_water=high_water,
        retry_for=seconds("retry_for", retry_for),
        timeout=more_than_zero("timeout", timeout) or 0.0,
        backoff=BACKOFF if backoff is None else instance("backoff", backoff, Backoff, "a Backoff"),
        drops=drops,
        loop=loop,
    )

    def operator(source: Observable[Any]) -> Observable[Outcome | Dropped]:
        if isinstance(source, BufferedObservable) and overflow != "pause":
            raise ValueError("overflow: the operator in front says what waits; leave this out")

        def subscribe(
            observer: abc.ObserverBase[Outcome | Dropped],
            scheduler: abc.SchedulerBase | None = None,
        ) -> abc.DisposableBase:
            delivery: Delivery[Any] = Delivery(sink, handling, observer, scheduler)
            delivery.start(source)
            return Disposable(delivery.dispose)

        return Observable(subscribe)

    return operator


def _record_maker(
    key: Callable[[Any], str] | None,
    id: Callable[[Any], str | int] | None,
    encode: Callable[[Any], bytes],
) -> Callable[[Any], Record]:
    for name, given in (("key", key), ("id", id), ("encode", encode)):
        if is_async(given):
            raise TypeError(f"{name}: pass a plain function; an async one would never be awaited")

    def record(message: Any) -> Record:
        data = encode(message)
        if type(data) is not bytes:
            raise TypeError(f"encode: return bytes, not {type(data).__name__}")
        of_key = "" if key is None else key(message)
        if not isinstance(of_key, str):
            raise TypeError(f"key: return a string, not {type(of_key).__name__}")
        if id is None:
            return Record("", of_key, data)
        of_id = id(message)
        if isinstance(of_id, bool) or not isinstance(of_id, (str, int)):
            raise TypeError(f"id: return a string or an integer, not {type(of_id).__name__}")
        if of_id == "":
            raise ValueError("id: returned '', by which nothing is known again")
        return Record(str(of_id), of_key, data)

    return record


def _encode(message: Any) -> bytes:
    if isinstance(message, str):
        return message.encode()
    return message if isinstance(message, bytes) else msgspec.json.encode(message)
