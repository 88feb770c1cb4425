"""State from a snapshot and its deltas, built again for each connection."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

import reactivex
from reactivex import Observable, abc
from reactivex import operators as ops
from reactivex.disposable import CompositeDisposable, Disposable

from rxsocket.errors import BufferOverflow
from rxsocket.runtime.reporting import reporter
from rxsocket.runtime.threads import running_loop
from rxsocket.validation import accepting_one, function, whole_number

D = TypeVar("D")
S = TypeVar("S")


def resync(
    fetch: Callable[[], Awaitable[S] | Observable[S]]
    | Callable[[Any], Awaitable[S] | Observable[S]],
    apply: Callable[[S, D], S],
    *,
    max_waiting: int = 10_000,
) -> Callable[[Observable[Observable[D]]], Observable[S]]:
    """For each session: a snapshot, then the state after each delta (rule C18, gap).

    Deltas that come during the fetch of the snapshot wait for it, so none is lost in between. When
    the connection drops, its session emits nothing more, and a fetch that still runs is cancelled:
    a gap would follow its snapshot. The next session starts again.

    ::

        sessions   --+----------------------+-------------
        deltas       '-d1-d2-----d3---|     '---d4-----
        fetch        [------]s              [-------]t
        result     ---------s-s1-s12-s123----------t-t4---

    A snapshot may be newer than the first deltas that waited: ``apply`` returns the state as it is
    for a delta that is in it already.

    Args:
        fetch: Gets the snapshot: an ``async`` function, or one that returns an Observable, whose
            first value counts. It takes no argument, or the session. It is called when the
            connection is open. Its exception is an error of the result: a fetch that can fail
            should try again by itself.
        apply: The state after a delta, given the one before.
        max_waiting: Deltas that may wait for the snapshot; one more is a ``BufferOverflow``.

    Raises:
        TypeError: If ``fetch`` or ``apply`` cannot be called.
        ValueError: If ``max_waiting`` is less than 1.

    Examples:
        >>> async def fetch() -> Book: ...
        >>> def apply(book: Book, change: Change) -> Book: ...
        >>> socket.sessions.pipe(resync(fetch, apply)).subscribe(print)
    """
    fetching = accepting_one("fetch", fetch)
    function("apply", apply)
    whole_number("max_waiting", max_waiting)

    def states(session: Observable[D]) -> Observable[S]:
        def subscribe(
            observer: abc.ObserverBase[S], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            state = _SessionState(apply, max_waiting, observer)
            # The deltas first: a session emits held ones at once.
            state.subscriptions.add(
                session.subscribe(
                    state.on_delta, observer.on_error, state.on_session_end, scheduler=scheduler
                )
            )
            if not state.subscriptions.is_disposed:
                snapshot = _snapshot(fetching, session)
                state.subscriptions.add(
                    snapshot.pipe(ops.first()).subscribe(
                        state.on_snapshot, observer.on_error, scheduler=scheduler
                    )
                )
            return state.subscriptions

        return Observable(subscribe)

    def operator(sessions: Observable[Observable[D]]) -> Observable[S]:
        return sessions.pipe(ops.map(states), ops.switch_latest())

    return operator


class _SessionState(Generic[S, D]):
    """The state of one session; its snapshot and its deltas may come on different threads."""

    def __init__(
        self, apply: Callable[[S, D], S], max_waiting: int, observer: abc.ObserverBase[S]
    ) -> None:
        self._apply = apply
        self._max = max_waiting
        self._observer = observer
        self._lock = threading.RLock()
        self._waiting: deque[D] = deque()
        self._state: list[S] = []  # empty until there is one, which may be None
        self._is_applying = False
        self._has_ended = False
        self.subscriptions = CompositeDisposable()

    def on_delta(self, delta: D) -> None:
        with self._lock:
            if not self._state and len(self._waiting) == self._max:
                self._fail(BufferOverflow(self._max))
                return
            self._waiting.append(delta)
            self._apply_waiting()

    def on_snapshot(self, state: S) -> None:
        with self._lock:
            self._state.append(state)
            self._is_applying = True
            try:
                self._observer.on_next(state)
            except BaseException:
                self.subscriptions.dispose()
                raise
            self._is_applying = False
            self._apply_waiting()

    def on_session_end(self) -> None:
        with self._lock:
            self._has_ended = True
            if not self._state:
                self.subscriptions.dispose()
                self._observer.on_completed()
            else:
                self._apply_waiting()

    def _apply_waiting(self) -> None:
        if self._is_applying or not self._state:
            return  # the call that applies goes on with what is new
        self._is_applying = True
        try:
            while self._waiting and not self.subscriptions.is_disposed:
                try:
                    state = self._apply(self._state[0], self._waiting.popleft())
                except Exception as error:
                    self._fail(error)
                    return
                self._state[0] = state
                self._observer.on_next(state)
        finally:
            self._is_applying = False
        if self._has_ended:
            self._observer.on_completed()

    def _fail(self, error: Exception) -> None:
        self.subscriptions.dispose()
        self._observer.on_error(error)


def _snapshot(fetch: Callable[[Any], Any], session: Observable[Any]) -> Observable[Any]:
    """The result of a fetch; disposing the subscription cancels it."""
    try:
        fetched = fetch(session)
    except Exception as error:
        return reactivex.throw(error)
    if isinstance(fetched, Observable):
        return fetched  # pyright: ignore[reportUnknownVariableType]
    if not inspect.isawaitable(fetched):
        kind = type(fetched).__name__
        text = f"fetch: pass an async function, or one that returns an Observable, not {kind}"
        return reactivex.throw(TypeError(text))
    return _awaited(fetched)


def _awaited(awaitable: Awaitable[Any]) -> Observable[Any]:
    def subscribe(
        observer: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        loop = running_loop()
        if loop is None:
            if inspect.iscoroutine(awaitable):
                awaitable.close()
            text = "resync: no asyncio loop runs where the sessions arrive; return an Observable"
            observer.on_error(RuntimeError(text))
            return Disposable()
        # The fetch itself is the task: cancelled before its first step, it is awaited all the same.
        task = asyncio.ensure_future(awaitable, loop=loop)
        report = reporter()

        def on_done(task: asyncio.Future[Any]) -> None:
            try:
                emit(task)
            except BaseException as error:  # the observer raised, long after the session came (C23)
                if report is None:
                    raise
                report(error)

        def emit(task: asyncio.Future[Any]) -> None:
            if isinstance(task, asyncio.Task) and task.cancelling():
                return  # the loop is being shut down
            if task.cancelled():
                observer.on_error(RuntimeError("what the fetch awaited was cancelled"))
            elif (error := task.exception()) is None:
                observer.on_next(task.result())
                observer.on_completed()
            elif isinstance(error, Exception):
                observer.on_error(error)
            else:  # the loop has raised it, if it is for the loop to raise
                failure = RuntimeError(f"the fetch raised {type(error).__name__}")
                failure.__cause__ = error
                observer.on_error(failure)

        def cancel() -> None:
            task.remove_done_callback(on_done)
            if loop is running_loop():
                task.cancel()
            elif not loop.is_closed():
                loop.call_soon_threadsafe(task.cancel)

        task.add_done_callback(on_done)
        return Disposable(cancel)

    return Observable(subscribe)
