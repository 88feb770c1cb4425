"""The events of a namespace of Socket.IO, and what is emitted to it (C48)."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

import msgspec
from reactivex import Observable, abc
from reactivex import operators as ops
from reactivex.disposable import CompositeDisposable, Disposable, SerialDisposable

from rxsocket.protocols.on_demand import OnDemand, as_read, undecodable
from rxsocket.protocols.socket_io_membership import Connect, Membership, TakeBack
from rxsocket.protocols.socket_io_packets import Kind, Packet, PacketCodec
from rxsocket.sending.outbox import Queued, Sent
from rxsocket.socket import Socket
from rxsocket.streams.receipts import Receipt
from rxsocket.streams.stream import CheckedObservable, Stream
from rxsocket.topics.topic import converter
from rxsocket.validation import is_async, seconds_or_none

T = TypeVar("T")

_encode = PacketCodec().encode
RESERVED = ("connect", "connect_error", "disconnect", "disconnecting", "newListener")


class _First(msgspec.Struct, Generic[T], array_like=True):
    """The arguments of an event of which the first one matters."""

    value: T


class _Asking(Packet, frozen=True):
    """An event that waits for its acknowledgement."""


def _acknowledgement(packet: Any) -> tuple[str, int] | None:
    """What an event that we ask, and its acknowledgement, have in common."""
    if isinstance(packet, _Asking) or (isinstance(packet, Packet) and packet.kind is Kind.ACK):
        return None if packet.id is None else (packet.namespace, packet.id)
    return None


def topic_of(namespace: str, name: object) -> str:
    """What an event is called among the topics of the socket."""
    text = str(name) if namespace == "/" else f"{namespace},{name}"
    return text.replace("%", "%25").replace(":", "%3A") if ":" in text else text


class Namespace:
    """The events of one namespace; ``io.namespace(name)``, and :class:`SocketIO` for the main one.

    Args:
        socket: The socket.
        name: Its name.
        connect: Makes the packet that connects it of a credential; ``None`` for the main one.

    Attributes:
        socket: The socket, for ``set_auth``, ``errors``, ``explain()``, ``close()`` and the rest.
        name: Its name, which begins with a slash.
    """

    def __init__(self, socket: Socket[Any, Any], name: str, connect: Connect | None = None) -> None:
        self.socket = socket
        self.name = name
        self._engine = socket._engine  # pyright: ignore[reportPrivateUsage]
        self._ids = itertools.count(1)
        self._membership = None if connect is None else Membership(socket, name, connect)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {as_read(self.socket, self.name)} of {self.socket!r}>"

    @overload
    def on(self, event: str) -> CheckedObservable[tuple[Any, ...]]: ...
    @overload
    def on(self, event: str, *, type: type[T]) -> CheckedObservable[T]: ...
    def on(self, event: str, *, type: Any = None) -> CheckedObservable[Any]:
        """The arguments of an event, as an Observable; subscribing connects.

        Args:
            event: Its name.
            type: What to convert its first argument into, which is then what is emitted; others are
                left out. Left out: a tuple of all arguments. Where the server has connection state
                recovery, the last one is the place in its stream. What has another shape is a
                ``TopicFailed`` on ``socket.errors``.

        Raises:
            TypeError: If values of the type cannot be decoded.
            ValueError: If it is a name that the protocol keeps for itself.

        Examples:
            >>> io.on("news").subscribe(lambda args: print(*args))
            >>> io.on("trade", type=Trade).subscribe(lambda trade: print(trade.price))
        """
        topic = topic_of(self.name, _event("on", event))
        if type is None:
            heard: Observable[Any] = self.socket.listener(topic, type=tuple[Any, ...])
        else:
            heard = self.socket.listener(topic, type=_First[type]).pipe(ops.map(_value_of))

        def ask(observer: abc.ObserverBase[Any]) -> abc.DisposableBase:
            listening = heard.subscribe(observer)
            return CompositeDisposable(listening, self._join(None, observer.on_error))

        return OnDemand(self.socket, f"on({event!r})", ask)

    def emit(self, event: str, *args: Any) -> Receipt[Sent]:
        """Emit an event; see ``Socket.send`` for when and how.

        Args:
            event: Its name.
            args: What has a form in JSON, and ``bytes``, at any depth.

        Returns:
            A receipt, as ``Socket.send`` gives.

        Raises:
            TypeError: If an argument cannot be sent.
            ValueError: If it is a name that the protocol keeps for itself.

        Examples:
            >>> io.emit("say", {"text": "hello"}, image_bytes)
        """
        packet = self._event_packet("emit", event, args)
        if self._membership is None:
            return self.socket.send(packet)
        engine = self._engine
        data, size = engine.encode(packet)  # raises now, not when it is its turn
        receipt: Receipt[Sent] = Receipt(engine.loop, engine.publisher.report)

        def send() -> TakeBack:
            sending: Receipt[Sent] = Receipt(engine.loop, engine.publisher.report)
            queued = Queued(data, size, sending)
            is_taken_back = False

            def settle() -> None:
                if not is_taken_back:
                    _settle_as(receipt, sending)

            def take_back() -> bool:
                nonlocal is_taken_back
                is_taken_back = not sending.done
                return is_taken_back and engine.outbox.withdraw(queued)

            sending.when_done(settle)
            engine.outbox.send(queued)
            return take_back

        joined = SerialDisposable()
        receipt.when_done(joined.dispose)
        joined.disposable = self._join(send, receipt.fail, engine.options.queue_for)
        return receipt

    @overload
    def emit_with_ack(
        self, event: str, *args: Any, timeout: float | None = 10.0
    ) -> CheckedObservable[tuple[Any, ...]]: ...
    @overload
    def emit_with_ack(
        self, event: str, *args: Any, timeout: float | None = 10.0, type: type[T]
    ) -> CheckedObservable[T]: ...
    def emit_with_ack(
        self, event: str, *args: Any, timeout: float | None = 10.0, type: Any = None
    ) -> CheckedObservable[Any]:
        """Emit an event, and wait for the server's acknowledgement: await it, or subscribe to it.

        It is a request (rule C30, requests): nothing is sent before, and it fails with
        ``ConnectionLost`` when the connection that carried it ends.

        Args:
            event: Its name.
            args: What has a form in JSON, and ``bytes``, at any depth.
            timeout: Seconds to wait; ``None`` for as long as it takes.
            type: What to convert the first value of the answer into, which is then what is emitted.
                Left out: a tuple of all values.

        Raises:
            TypeError: If an argument cannot be sent.
            ValueError: If it is a name that the protocol keeps for itself.

        Examples:
            >>> total = await io.emit_with_ack("sum", 1, 2, type=int)
        """
        packet = self._event_packet("emit_with_ack", event, args)
        _encode(packet)
        limit = seconds_or_none("timeout", timeout)
        convert = tuple[Any, ...] if type is None else _first_of(type)

        def ask(observer: abc.ObserverBase[Any]) -> abc.DisposableBase:
            asking = _Asking(Kind.EVENT, self.name, packet.data, next(self._ids))
            under_way = SerialDisposable()

            def send() -> TakeBack:
                is_over = False

                def end() -> None:
                    nonlocal is_over
                    is_over = True

                def take_back() -> bool:
                    if not is_over:
                        under_way.disposable = Disposable()  # it was not written, or had failed
                    return not is_over

                request = self.socket.request(asking, id=_acknowledgement, timeout=limit)
                answers = request.pipe(
                    ops.do_action(on_error=lambda _: end(), on_completed=end),
                    ops.map(lambda ack: convert(ack.data)),
                )
                under_way.disposable = answers.subscribe(observer)
                return take_back

            joined = self._join(send, observer.on_error, limit)
            return CompositeDisposable(under_way, joined)

        return OnDemand(self.socket, f"emit_with_ack({event!r})", ask, is_lazy=True)

    def answer(self, event: str, function: Callable[..., Any]) -> abc.DisposableBase:
        """Answer the server, which emits an event and waits for its acknowledgement.

        Args:
            event: Its name.
            function: Given the arguments, returns the answer: a value, a tuple of several, or
                ``None`` for none. One that raises answers nothing, and is reported.

        Raises:
            TypeError: If the function is none, or async.

        Examples:
            >>> io.answer("version", lambda: "1.4")
        """
        _event("answer", event)
        if is_async(function) or not callable(function):
            raise TypeError("answer(function): pass a plain function of the event's arguments")

        def on_packet(packet: Any) -> None:
            if packet.kind is not Kind.EVENT or packet.id is None:
                return
            if packet.namespace != self.name or packet.data[0] != event:
                return
            try:
                values = _values_of(function(*packet.data[1:]))
                self.socket.send(Packet(Kind.ACK, self.name, values, packet.id))
            except BaseException as error:  # of the user's function, or of what it returned
                name = getattr(function, "__qualname__", "answer")
                self._engine.publisher.report(name, f"event {event!r}", error, detached=False)

        packets: Stream[Any] = self.socket.messages
        if self._membership is not None:
            packets = self._membership.packets
        return packets.subscribe(on_packet, _nothing_of)

    def _event_packet(self, method: str, event: str, args: tuple[Any, ...]) -> Packet:
        return Packet(Kind.EVENT, self.name, [_event(method, event), *args])

    def _join(
        self,
        joined: Callable[[], TakeBack] | None,
        failed: Callable[[Exception], None],
        timeout: float | None = None,
    ) -> abc.DisposableBase:
        """Be in the namespace until disposed, and call back when we are."""
        if self._membership is not None:
            return self._membership.join(joined, failed, timeout)
        if joined is not None:
            joined()
        return Disposable()


def _event(method: str, name: Any) -> str:
    if not isinstance(name, str):
        raise TypeError(f"{method}(event): pass the name of an event, not {type(name).__name__}")
    if name in RESERVED:
        raise ValueError(
            f"{method}(event): {name!r} is no event of the server's; see opens, closes and errors "
            "of .socket"
        )
    return name


def _values_of(answer: Any) -> list[Any]:
    if answer is None:
        return []
    return [*answer] if type(answer) is tuple else [answer]


def _settle_as(receipt: Receipt[Sent], other: Receipt[Sent]) -> None:
    try:
        receipt.settle(other.result())
    except Exception as error:
        receipt.fail(error)


def _first_of(type: Any) -> Callable[[Any], Any]:
    convert = converter(_First[type])

    def value(values: Any) -> Any:
        try:
            return _value_of(convert(values))
        except (ValueError, msgspec.MsgspecError) as error:
            raise undecodable(error) from None  # its text may hold the data (C28)

    return value


def _value_of(first: Any) -> Any:
    return first.value


def _nothing_of(_: Exception) -> None:
    """Whoever uses the namespace hears of it."""
