"""Requests: a message that is sent, and the answers to it as an Observable (C20).

::

    message ── id of it ── by_id[id function][id] ── its request     one look-up for each function
            `─── each request that has a ``match``
    Closed(epoch) ── the requests that this connection carried: failed, or sent again
"""

from __future__ import annotations

import asyncio
import itertools
import warnings
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import msgspec
from reactivex import abc
from reactivex.disposable import CompositeDisposable, Disposable

from rxsocket.codecs import decoding_into
from rxsocket.connection.decoding import why_undecodable
from rxsocket.engine.engine import Engine
from rxsocket.errors import ConnectionLost, IdentityChanged, NotConnected, Undecodable
from rxsocket.events import Closed
from rxsocket.explain.causes import closing
from rxsocket.sending.outbox import Queued, Sent
from rxsocket.streams.multicast import SafeObserver, observer_name
from rxsocket.streams.receipts import Receipt
from rxsocket.streams.stream import CheckedObservable
from rxsocket.transports.base import Fragments
from rxsocket.validation import callback, is_mapping, seconds_or_none

T = TypeVar("T")
IdOf = Callable[[Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestOptions:
    """The payload of a request, and how to tell its answers."""

    payload: Any
    match: Callable[[Any], object] | None
    id_of: IdOf | None
    field: str | None
    convert: Callable[[Any], Any] | None
    timeout: float | None
    answers: int | None
    idempotent: bool

    def identified(self, numbers: Iterator[int]) -> tuple[Any, Any]:
        """The id of the answer, and the payload with it; ``numbers`` are ids to add.

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


class JsonField:
    """Returns the value of a field of a JSON object, or of what it was decoded into.

    Equal for equal names of fields.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JsonField) and other._name == self._name

    def __hash__(self) -> int:
        return hash(self._name)

    def __call__(self, message: Any) -> Any:
        if isinstance(message, (str, bytes)):
            try:
                message = msgspec.json.decode(message)
            except (msgspec.DecodeError, UnicodeError):
                return None
        if is_mapping(message):
            return message.get(self._name)
        return getattr(message, self._name, None) if self._name in _fields(message) else None


def _fields(value: object) -> Iterable[str]:
    """The names of the fields of a struct or a dataclass, such as a codec decodes into."""
    made_by: Any = type(value)
    return getattr(made_by, "__struct_fields__", getattr(made_by, "__dataclass_fields__", ()))


class Answers(CheckedObservable[T]):
    """The answers to a request; ``socket.request``.

    Nothing is sent before it is subscribed to or awaited, and each subscription sends once.
    Disposing stops waiting: an answer that comes later is a message like any other. What was not
    written by then, or within ``timeout``, is not sent any more.

    ::

        request     ?-------------answer|
        link lost   ?----x  ConnectionLost          at once
        idempotent  ?----x  ?-----answer|           sent again on the next connection
        silence     ?------------------X            TimeoutError after ``timeout`` seconds
        not sent    -------------------X            likewise, and it is not sent later

    Examples:
        >>> total = await socket.request({"method": "sum", "params": [1, 2]}, id="id")
        >>> socket.request("time?", match=lambda message: message.startswith("time")).run()
        >>> time = await socket.request({"op": "time"}, id="id", type=Time)
    """

    def __init__(self, requests: Requests, options: RequestOptions) -> None:
        super().__init__("request", origin=requests)
        self._requests = requests
        self._options = options
        self._was_sent = False

    def __del__(self) -> None:
        if not self._was_sent:
            text = "a request was never awaited or subscribed to, so it was not sent"
            warnings.warn(text, RuntimeWarning, stacklevel=2)

    def _subscribe_core(
        self, observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        self._was_sent = True
        return self._requests.send(self._options, observer)


@dataclass(slots=True, eq=False)
class _PendingRequest:
    """A request that waits for its answers.

    Attributes:
        epoch: The connection that it was written to; ``None`` before.
        queued: Its message, until that was written.
        was_written: Whether it was, if only to an earlier connection.
        answers_left: The number of answers still to come; ``None`` for no limit.
        connection: Keeps the socket connected for it.
    """

    options: RequestOptions
    observer: SafeObserver[Any]
    id: Any
    data: str | bytes | Fragments
    size: int
    answers_left: int | None
    epoch: int | None = None
    queued: Queued | None = None
    was_written: bool = False
    timer: asyncio.TimerHandle | None = None
    connection: abc.DisposableBase | None = None


class Requests:
    """The requests of one socket."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.loop = self._loop = engine.loop
        self.report = engine.publisher.report
        self.read_gate = engine.publisher.read_gate
        self._publisher = engine.publisher
        self._numbers = itertools.count(1)
        self._pending: dict[_PendingRequest, None] = {}
        self._by_id: dict[IdOf, dict[Any, _PendingRequest]] = {}
        self._subscriptions: abc.DisposableBase | None = None
        hooks = engine.hooks
        hooks.before_identity_change = (*hooks.before_identity_change, self._on_identity_change)

    def __len__(self) -> int:
        return len(self._pending)

    def request(
        self,
        payload: Any,
        match: Callable[[Any], object] | None,
        id: str | IdOf | None,
        kind: Any,
        timeout: float | None,
        answers: int | None,
        idempotent: bool,
    ) -> Answers[Any]:
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
        options = RequestOptions(
            payload=payload,
            match=match,
            id_of=JsonField(id) if isinstance(id, str) else id,
            field=id if isinstance(id, str) else None,
            convert=None if kind is None else self._converter(kind),
            timeout=seconds_or_none("timeout", timeout),
            answers=answers,
            idempotent=idempotent,
        )
        options.identified(self._numbers)  # raises at once if there is no id
        return Answers(self, options)

    def send(self, options: RequestOptions, observer: abc.ObserverBase[Any]) -> abc.DisposableBase:
        """Send a request, and give its answers to an observer; from any thread."""
        id, payload = options.identified(self._numbers)
        data, size = self._engine.encode_value(payload)

        def dispose() -> None:
            safe_observer.is_active = False
            self._loop.run(lambda: self._remove(request))

        def report(error: BaseException) -> None:
            self._publisher.report(observer_name(error), "request", error)

        def dispose_and_report(error: BaseException) -> None:
            dispose()
            report(error)

        safe_observer = SafeObserver(observer, dispose_and_report, report_later=report)
        request = _PendingRequest(options, safe_observer, id, data, size, options.answers)
        self._loop.run(lambda: self._connect(request))
        return Disposable(dispose)

    def _converter(self, kind: Any) -> Callable[[Any], Any]:
        """What makes a value of a type of an answer.

        Raises:
            TypeError: If nothing can be decoded into the type.
        """
        decode = decoding_into("type", kind)  # also to say at once that it is no such type
        if self._engine.options.codec is None:
            return decode
        return partial(msgspec.convert, type=kind)

    # --- on the loop

    def _connect(self, request: _PendingRequest) -> None:
        if self._publisher.has_ended:
            ended = "not asked: the socket has ended; connect() or subscribe first"
            request.observer.end(NotConnected(ended))
            return
        try:
            request.connection = self._engine.connect()
        except (OSError, RuntimeError) as error:  # no file or no thread is left
            request.observer.end(error)
            return
        self._loop.run(lambda: self._start(request))  # on the loop that it may just have got

    def _start(self, request: _PendingRequest) -> None:
        if not request.observer.is_active:
            self._let_disconnect(request)
            return
        id_of = request.options.id_of
        if id_of is not None:
            ids = self._by_id.setdefault(id_of, {})
            if request.id in ids:
                self._let_disconnect(request)
                text = f"id: a request with the id {request.id!r} is under way; give each its own"
                request.observer.end(ValueError(text))
                return
            ids[request.id] = request
        self._pending[request] = None
        self._publisher.has_requests = True
        if self._subscriptions is None:
            self._subscriptions = CompositeDisposable(
                self._publisher.messages.passive().subscribe(self._on_message, lambda _: None),
                self._publisher.closes.passive().subscribe(self._on_closed, self._end, self._end),
            )
        self._start_timer(request)
        self._write(request)

    def _write(self, request: _PendingRequest) -> None:
        """Send it at once, not after this action: who forgets it can then find it."""
        if request not in self._pending:
            return
        receipt: Receipt[Sent] = Receipt(self._loop, self._publisher.report)
        receipt.when_done(lambda: self._on_written(request, receipt))
        request.queued = Queued(request.data, request.size, receipt)
        self._engine.outbox.send(request.queued)

    def _on_written(self, request: _PendingRequest, receipt: Receipt[Sent]) -> None:
        queued, request.queued = request.queued, None
        if queued is None or request not in self._pending:
            return  # it was withdrawn
        try:
            request.epoch = receipt.result().epoch
            request.was_written = True
        except Exception as error:
            self._fail(request, error)

    def _start_timer(self, request: _PendingRequest) -> None:
        if request.timer is not None:
            request.timer.cancel()
        limit = request.options.timeout
        if limit is not None:
            request.timer = self._loop.event_loop.call_later(limit, self._expire, request, limit)

    def _expire(self, request: _PendingRequest, limit: float) -> None:
        with self._loop.turn():
            text = f"no answer within {limit:g} s"
            if self._withdraw(request) and not request.was_written:
                text = f"not sent within {limit:g} s: {self._engine.outbox.why_waiting()}"
            self._fail(request, TimeoutError(text))

    def _on_message(self, message: Any) -> None:
        epoch = self._engine.outbox.epoch
        for id_of, ids in tuple(self._by_id.items()):
            id = self._result(id_of, message)
            if isinstance(id, Hashable) and id in ids:
                self._on_answer(ids[id], epoch, message)
        for request in tuple(self._pending):
            match = request.options.match
            if match is not None and request.epoch == epoch and self._result(match, message):
                self._on_answer(request, epoch, message)

    def _result(self, function: Callable[[Any], Any], message: Any) -> Any:
        """The result of a user's function for a message; ``None`` if it raises."""
        try:
            return function(message)
        except BaseException as error:
            self._loop.exit_later(error)
            return None

    def _on_answer(self, request: _PendingRequest, epoch: int | None, message: Any) -> None:
        if request.epoch is None or request.epoch != epoch:
            return  # it was not sent on this connection
        convert = request.options.convert
        if convert is not None:
            try:
                message = convert(message)
            except BaseException as error:
                self._loop.exit_later(error)
                why = why_undecodable(error)  # its own text and frames may quote the message
                self._fail(request, Undecodable(f"the answer does not decode: {why}"))
                return
        if request.answers_left is not None:
            request.answers_left -= 1
        if request.answers_left == 0:
            self._remove(request)
        else:
            self._start_timer(request)
        request.observer.on_next(message)
        if request.answers_left == 0:
            request.observer.end(None)

    def _on_closed(self, event: Closed) -> None:
        for request in tuple(self._pending):
            if request.epoch != event.epoch:
                continue
            if request.options.idempotent:
                request.epoch = None
                self._loop.run(partial(self._write, request))
            else:
                lost = f"the connection closed before the answer came: {closing(event)}"
                self._fail(request, ConnectionLost(lost))

    def _on_identity_change(self) -> None:
        """Fail all requests: none is sent again as another identity (C14)."""
        text = "not answered: the credential is another identity's now"
        for request in tuple(self._pending):
            self._fail(request, IdentityChanged(text))

    def _end(self, error: Exception | None = None) -> None:
        self._subscriptions = None
        for request in tuple(self._pending):
            self._fail(request, ConnectionLost("the socket ended before the answer came"))

    def _fail(self, request: _PendingRequest, error: Exception) -> None:
        if request in self._pending:
            self._remove(request)
            request.observer.end(error)

    def _withdraw(self, request: _PendingRequest) -> bool:
        """Do not send what was not written yet; whether there was something like that."""
        queued, request.queued = request.queued, None
        return queued is not None and self._engine.outbox.withdraw(queued)

    def _remove(self, request: _PendingRequest) -> None:
        if request not in self._pending:
            return
        del self._pending[request]
        self._withdraw(request)
        if request.timer is not None:
            request.timer.cancel()
        id_of = request.options.id_of
        if id_of is not None:
            ids = self._by_id[id_of]
            del ids[request.id]
            if not ids:
                del self._by_id[id_of]
        if not self._pending and self._subscriptions is not None:
            subscriptions, self._subscriptions = self._subscriptions, None
            subscriptions.dispose()
        self._let_disconnect(request)

    def _let_disconnect(self, request: _PendingRequest) -> None:
        if request.connection is not None:
            request.connection.dispose()
