"""Being in namespaces beside the main one, on the connection of the moment (C48).

A namespace is a channel (C22): the first user connects it, and so does each connection while it has
users. Nothing is emitted to it before the server accepted that: servers hang up on who does. It is
not left before the connection ends: servers hang up on who comes back in the same moment, too.

::

    connection     o-----------------x   o-----------
    users          --1-----0-----1-------------------
    on the wire    --C-----------------  C-----------     C connect
    emit           ----e----------e--------e---------
    written        ------e--------e----------e-------     when the server accepted C
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from reactivex import abc
from reactivex.disposable import CompositeDisposable, Disposable

from rxsocket.auth.credentials import CredentialValue
from rxsocket.errors import ConnectionLost, IdentityChanged, NotConnected, SubscriptionRefused
from rxsocket.events import Closed
from rxsocket.protocols.on_demand import as_read
from rxsocket.protocols.socket_io_packets import Kind, Packet, said
from rxsocket.socket import Socket
from rxsocket.streams.stream import Stream
from rxsocket.topics.subscribing import Subscribing
from rxsocket.validation import is_mapping

Connect = Callable[[CredentialValue], Packet]
TakeBack = Callable[[], bool]
"""Takes back what waits to be written; returns whether there was something like that."""


class NamespaceRefused(SubscriptionRefused):
    """The server refused a namespace, or disconnected it; the text has what it said.

    Attributes:
        namespace: Its name.
        data: What the server said besides; ``None`` if nothing.
    """

    def __init__(self, text: str, namespace: str, data: Any = None) -> None:
        super().__init__(text)
        self.namespace = namespace
        self.data = data


class Membership:
    """Being in one namespace.

    Args:
        socket: The socket.
        name: The namespace.
        connect: Makes the packet that connects it, of a credential.
    """

    def __init__(self, socket: Socket[Any, Any], name: str, connect: Connect) -> None:
        self._socket = socket
        self._name = name
        self._connect = connect
        self._engine = engine = socket._engine  # pyright: ignore[reportPrivateUsage]
        self._connected_on: int | None = None
        self._users: dict[_User, None] = {}
        self._watching: abc.DisposableBase | None = None
        self.packets: Stream[Any] = socket.channel(
            subscribe=self._connect_packet,
            key=name,
            by=_namespace_of,
            acknowledged=self._acknowledged,
        )
        hooks = engine.hooks
        hooks.before_identity_change = (*hooks.before_identity_change, self._on_identity_change)

    def join(
        self,
        joined: Callable[[], TakeBack] | None,
        failed: Callable[[Exception], None],
        timeout: float | None = None,
    ) -> abc.DisposableBase:
        """Be in the namespace until disposed; from any thread.

        Args:
            joined: Sends something, when the server has let us in, and returns what takes it back:
                if the connection ends before it was written, it is called again when the next one
                is in. ``None`` if nobody waits for that.
            failed: Called with what ends it: refused, disconnected, or not in time.
            timeout: Seconds to wait for it.
        """
        if joined is not None and self._engine.publisher.has_ended:
            failed(NotConnected("not sent: the socket has ended; connect() or subscribe first"))
            return Disposable()
        user, loop = _User(joined, failed, timeout), self._engine.loop
        loop.run(lambda: self._add(user))
        staying = self.packets.subscribe(
            _ignore,
            lambda error: self._fail(user, error),
            lambda: self._fail(user, ConnectionLost("the socket was closed")),
        )
        loop.run(lambda: self._wait(user))

        def dispose() -> None:
            loop.run(lambda: self._remove(user))
            staying.dispose()

        return Disposable(dispose)

    # --- on the loop

    @property
    def _is_in(self) -> bool:
        return self._connected_on is not None and self._connected_on == self._engine.outbox.epoch

    def _add(self, user: _User) -> None:
        self._users[user] = None
        if self._watching is None:
            looking = self._socket.messages.passive(audience=False)
            self._watching = CompositeDisposable(
                self._socket.closes.passive().subscribe(self._on_closed, lambda _: None),
                looking.subscribe(self._on_packet, self._on_end, self._on_end),
            )

    def _wait(self, user: _User) -> None:
        if user not in self._users or not user.is_waiting:
            return
        if self._is_in:
            self._let_in(user)
        elif user.timeout is not None:
            loop = self._engine.loop.event_loop
            user.timer = loop.call_later(user.timeout, self._expire, user, user.timeout)

    def _on_closed(self, event: Closed) -> None:
        if event.epoch == self._connected_on:
            self._connected_on = None
            self._engine.loop.run(self._take_back)  # when what was written has failed

    def _take_back(self) -> None:
        """What was not written waits until the next connection is in the namespace, too."""
        for user in [*self._users]:
            take_back, user.take_back = user.take_back, None
            if take_back is not None and take_back():
                user.is_waiting = True
                self._wait(user)

    def _expire(self, user: _User, timeout: float) -> None:
        with self._engine.loop.turn():
            text = f"not sent: the namespace {self._name} was not connected within {timeout:g} s"
            self._fail(user, NotConnected(as_read(self._socket, text)))

    def _on_packet(self, packet: Packet) -> None:
        if packet.namespace != self._name:
            return
        if packet.kind is Kind.CONNECT:
            self._connected_on = self._engine.outbox.epoch
            for user in [*self._users]:
                self._let_in(user)
        elif packet.kind is Kind.DISCONNECT:
            self._connected_on = None
            text = f"the server disconnected the namespace {self._name}"
            for user in [*self._users]:
                self._fail(user, NamespaceRefused(as_read(self._socket, text), self._name))

    def _on_end(self, error: Exception | None = None) -> None:
        self._watching = None

    def _on_identity_change(self) -> None:
        """What waits was for another identity (C14)."""
        for user in [*self._users]:
            if user.is_waiting:
                text = "not sent: the credential is another identity's now"
                self._fail(user, IdentityChanged(text))

    def _let_in(self, user: _User) -> None:
        user.cancel_timer()
        is_waiting, user.is_waiting = user.is_waiting, False
        if is_waiting and user.joined is not None:
            user.take_back = user.joined()

    def _fail(self, user: _User, error: Exception) -> None:
        if user in self._users:
            self._remove(user)
            if user.take_back is not None:
                user.take_back()
            user.failed(error)

    def _remove(self, user: _User) -> None:
        self._users.pop(user, None)
        user.cancel_timer()

    # --- on the wire

    def _connect_packet(self, to: Subscribing) -> Packet:
        if self._connected_on == to.epoch:
            return Packet(Kind.NOOP)  # it was not left
        return self._connect({} if to.credential is None else to.credential)

    def _acknowledged(self, packet: Packet) -> bool | Exception | None:
        if packet.namespace != self._name:
            return None
        if packet.kind is Kind.CONNECT:
            return True
        if packet.kind is not Kind.CONNECT_ERROR:
            return None
        text = f"the server refused the namespace {self._name}: {said(packet)}"
        data = packet.data.get("data") if is_mapping(packet.data) else None
        return NamespaceRefused(as_read(self._socket, text), self._name, data)


class _User:
    """Who is in a namespace, or waits to be."""

    def __init__(
        self,
        joined: Callable[[], TakeBack] | None,
        failed: Callable[[Exception], None],
        timeout: float | None,
    ) -> None:
        self.joined = joined
        self.failed = failed
        self.timeout = timeout
        self.is_waiting = joined is not None
        self.take_back: TakeBack | None = None
        self.timer: asyncio.TimerHandle | None = None

    def cancel_timer(self) -> None:
        timer, self.timer = self.timer, None
        if timer is not None:
            timer.cancel()


def _namespace_of(packet: Packet) -> str | None:
    """The key of a packet among namespaces."""
    return packet.namespace if len(packet.kind.value) == 2 else None


def _ignore(_: Any) -> None:
    """Events go to listeners."""
