"""The requests of one socket that wait for an answer (C20).

::

    message ── id of it ── asked[id function][id] ── its request     one look-up for each function
            `─── each request that has a ``match``
    Closed(epoch) ── the requests that this connection carried: failed, or sent again


One request and its answers, as an Observable.

What a request asks, and how its answers are told from other messages.

Requests, and their answers.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Generator, Hashable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
from reactivex import abc
from reactivex.disposable import CompositeDisposable, Disposable

from rxsocket.engine.engine import Engine
from rxsocket.errors import ConnectionLost, IdentityChanged
from rxsocket.events import Closed
from rxsocket.explain.causes import closing
from rxsocket.runtime.threads import running_loop
from rxsocket.sending.outbox import Sent
from rxsocket.streams.multicast import SafeObserver, observer_name
from rxsocket.streams.receipts import Receipt
from rxsocket.streams.stream import CheckedObservable
from rxsocket.transports.base import Fragments
from rxsocket.validation import callback, is_mapping, seconds_or_none

__all__ = ["Field", "IdOf", "Question", "Request", "Requests"]

IdOf = Callable[[Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked, and how its answers are told from other messages."""

    payload: Any
    match: Callable[[Any], object] | None
    id_of: IdOf | None
    field: str | None
    timeout: float | None
    answers: int | None
    idempotent: bool

    def identified(self, numbers: Iterator[int]) -> tuple[Any, Any]:
        """The id that its answer will have, and its payload with it.

        Args:
            numbers: Ids for payloads that have none in the field.

        Raises:
            ValueError: If there is no id.
        """
        payload, id = self.payload, None
        if self.id_of is not None:
            id = self.id_of(payload)
            if id is None and self.field is not None and is_mapping(payload):
                id = next(numbers)
                payload = {**payload, self.field: id}
            if not isinstance(id, Hashable) or id is None:
                raise ValueError("id: the payload has none; give it one, or name its field")
        return id, payload


class Field:
    """What a JSON object has in a field; equal for equal fields."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Field) and other._name == self._name

    def __hash__(self) -> int:
        return hash(self._name)

    def __call__(self, message: Any) -> Any:
        """What the field of a message holds; ``None`` if it has none."""
        if isinstance(message, (str, bytes)):
            try:
                message = msgspec.json.decode(message)
            except (msgspec.DecodeError, UnicodeError):
                return None
        return message.get(self._name) if is_mapping(message) else None


class Request(CheckedObservable[Any]):
    """The answers to a request; ``socket.request``.

    Nothing is sent before it is subscribed to or awaited, and each subscription sends once.
    Disposing stops waiting: an answer that comes later is a message like any other.

    ::

        request     ?-------------answer|
        link lost   ?----x  ConnectionLost          at once
        idempotent  ?----x  ?-----answer|           sent again on the next connection
        silence     ?------------------X            TimeoutError after ``timeout`` seconds

    Examples:
        >>> total = await socket.request({"method": "sum", "params": [1, 2]}, id="id")
        >>> socket.request("time?", match=lambda message: message.startswith("time")).run()
    """

    def __init__(self, ask: Callable[[abc.ObserverBase[Any]], abc.DisposableBase]) -> None:
        def attach(
            observer: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            return ask(observer)

        super().__init__("request", attach)

    def __await__(self) -> Generator[Any, None, Any]:
        """Send it, and wait for the last answer; on any loop."""
        return self._answer().__await__()

    async def _answer(self) -> Any:
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Any] = loop.create_future()
        last: list[Any] = [None]

        def settle(error: Exception | None) -> None:
            if answered.done():
                return
            if error is None:
                answered.set_result(last[0])
            else:
                answered.set_exception(error)

        def end(error: Exception | None = None) -> None:
            if running_loop() is loop:
                settle(error)
                return
            with suppress(RuntimeError):  # that loop is closed: nobody waits any more
                loop.call_soon_threadsafe(settle, error)

        def on_next(answer: Any) -> None:
            last[0] = answer

        asking = self.subscribe(on_next, end, end)
        try:
            return await answered
        finally:
            asking.dispose()


class _Asked:
    """A request that waits. ``epoch`` is the connection it was written to, if it was."""

    __slots__ = ("data", "epoch", "fence", "held", "id", "question", "size", "timer", "to_come")

    def __init__(
        self, question: Question, fence: SafeObserver[Any], id: Any, data: Any, size: int
    ) -> None:
        self.question = question
        self.fence = fence
        self.id = id
        self.data: str | bytes | Fragments = data
        self.size = size
        self.epoch: int | None = None
        self.to_come = question.answers
        self.timer: asyncio.TimerHandle | None = None
        self.held: abc.DisposableBase | None = None


class Requests:
    """The requests of one socket.

    Args:
        engine: The running parts of the socket.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._loop = engine.loop
        self._publisher = engine.publisher
        self._numbers = itertools.count(1)
        self._asked: dict[_Asked, None] = {}
        self._by_id: dict[IdOf, dict[Any, tuple[_Asked, ...]]] = {}
        self._listening: abc.DisposableBase | None = None
        hooks = engine.hooks
        hooks.before_identity_change = (*hooks.before_identity_change, self._another_identity)

    def __len__(self) -> int:
        return len(self._asked)

    def request(
        self,
        payload: Any,
        match: Callable[[Any], object] | None,
        id: str | IdOf | None,
        timeout: float | None,
        answers: int | None,
        idempotent: bool,
    ) -> Request:
        """See ``Socket.request``."""
        if (match is None) == (id is None):
            raise ValueError("match, id: pass one of them, to tell which messages are the answer")
        if match is not None:
            callback("match", match)
        if not (id is None or isinstance(id, str)):
            callback("id", id)
        if answers is not None and (isinstance(answers, bool) or not isinstance(answers, int)):
            raise TypeError(f"answers: pass a number or None, not {type(answers).__name__}")
        if answers is not None and answers < 1:
            raise ValueError(f"answers: pass 1 or more, or None, not {answers}")
        question = Question(
            payload=payload,
            match=match,
            id_of=Field(id) if isinstance(id, str) else id,
            field=id if isinstance(id, str) else None,
            timeout=seconds_or_none("timeout", timeout),
            answers=answers,
            idempotent=idempotent,
        )
        question.identified(self._numbers)  # what has no id fails here, at once
        return Request(partial(self._ask, question))

    def _ask(self, question: Question, observer: abc.ObserverBase[Any]) -> abc.DisposableBase:
        """Send a request, and tell an observer its answers; from any thread."""
        id, data, size = self._prepared(question)

        def failed(error: Exception) -> None:
            leave()
            told(error)

        def told(error: Exception) -> None:
            self._publisher.report(observer_name(error), "request", error)

        def leave() -> None:
            fence.live = False
            self._loop.run(lambda: self._forget(asked))

        fence = SafeObserver(observer, failed, later=told)
        asked = _Asked(question, fence, id, data, size)
        asked.held = self._engine.connect()
        self._loop.run(lambda: self._begin(asked))
        return Disposable(leave)

    def _prepared(self, question: Question) -> tuple[Any, str | bytes | Fragments, int]:
        """The id that the answer will have, and what goes on the wire."""
        id, payload = question.identified(self._numbers)
        return id, *self._engine.encode_value(payload)

    # --- on the loop

    def _begin(self, asked: _Asked) -> None:
        if not asked.fence.live:
            self._release(asked)
            return
        self._asked[asked] = None
        if asked.question.id_of is not None:
            ids = self._by_id.setdefault(asked.question.id_of, {})
            ids[asked.id] = (*ids.get(asked.id, ()), asked)
        if self._listening is None:
            self._listening = CompositeDisposable(
                self._publisher.messages.passive().subscribe(self._message, lambda _: None),
                self._publisher.closes.passive().subscribe(self._closed, self._ended, self._ended),
            )
        self._arm(asked)
        self._send(asked)

    def _send(self, asked: _Asked) -> None:
        asked.epoch = None
        receipt = self._engine.send_encoded(asked.data, asked.size)
        receipt.when_done(lambda: self._sent(asked, receipt))

    def _sent(self, asked: _Asked, receipt: Receipt[Sent]) -> None:
        if asked not in self._asked:
            return
        try:
            asked.epoch = receipt.result().epoch
        except Exception as error:
            self._end(asked, error)

    def _arm(self, asked: _Asked) -> None:
        if asked.timer is not None:
            asked.timer.cancel()
        limit = asked.question.timeout
        if limit is not None:
            asked.timer = self._loop.event_loop.call_later(limit, self._silence, asked, limit)

    def _silence(self, asked: _Asked, limit: float) -> None:
        with self._loop.turn():
            self._end(asked, TimeoutError(f"no answer within {limit:g} s"))

    def _message(self, message: Any) -> None:
        epoch = self._engine.outbox.epoch
        for id_of, ids in tuple(self._by_id.items()):
            id = self._told(id_of, message)
            if isinstance(id, Hashable):
                for asked in ids.get(id, ()):
                    self._answer(asked, epoch, message)
        for asked in tuple(self._asked):
            match = asked.question.match
            if match is not None and asked.epoch == epoch and self._told(match, message):
                self._answer(asked, epoch, message)

    def _told(self, function: Callable[[Any], Any], message: Any) -> Any:
        """What a user's function says of a message; one that it raises at is no answer."""
        try:
            return function(message)
        except Exception:
            return None

    def _answer(self, asked: _Asked, epoch: int | None, message: Any) -> None:
        if asked.epoch is None or asked.epoch != epoch:
            return  # it was not asked on this connection
        if asked.to_come is not None:
            asked.to_come -= 1
        if asked.to_come == 0:
            self._forget(asked)
        else:
            self._arm(asked)
        asked.fence.on_next(message)
        if asked.to_come == 0:
            asked.fence.end(None)

    def _closed(self, event: Closed) -> None:
        for asked in tuple(self._asked):
            if asked.epoch != event.epoch:
                continue
            if asked.question.idempotent:
                self._send(asked)
            else:
                lost = f"the connection closed before the answer came: {closing(event)}"
                self._end(asked, ConnectionLost(lost))

    def _another_identity(self) -> None:
        """What was asked as one identity is not asked again as another (C14)."""
        for asked in tuple(self._asked):
            self._end(
                asked, IdentityChanged("not answered: the credential is another identity's now")
            )

    def _ended(self, error: Exception | None = None) -> None:
        self._listening = None
        for asked in tuple(self._asked):
            self._end(asked, ConnectionLost("the socket ended before the answer came"))

    def _end(self, asked: _Asked, error: Exception) -> None:
        if asked in self._asked:
            self._forget(asked)
            asked.fence.end(error)

    def _forget(self, asked: _Asked) -> None:
        """Leave nothing behind of it."""
        if asked not in self._asked:
            return
        del self._asked[asked]
        if asked.timer is not None:
            asked.timer.cancel()
        id_of = asked.question.id_of
        if id_of is not None:
            ids = self._by_id[id_of]
            rest = tuple(other for other in ids.pop(asked.id) if other is not asked)
            if rest:
                ids[asked.id] = rest
            elif not ids:
                del self._by_id[id_of]
        if not self._asked and self._listening is not None:
            listening, self._listening = self._listening, None
            listening.dispose()
        self._release(asked)

    def _release(self, asked: _Asked) -> None:
        if asked.held is not None:
            asked.held.dispose()
