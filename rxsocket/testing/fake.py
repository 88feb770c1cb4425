"""A scripted server without sockets: a transport, for virtual time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, Callable, Iterable, Sequence
from functools import partial
from typing import Any, cast
from urllib.parse import urlsplit

from reactivex import Observable, abc
from reactivex.disposable import Disposable
from websockets.datastructures import Headers

from rxsocket.errors import ConnectionLost, HandshakeInvalid, HandshakeRefused
from rxsocket.testing.clients import Handshake, PeerConnection
from rxsocket.testing.script import Accept, Hang, Payload, Reject, Script, Unreachable
from rxsocket.testing.scripted_server import ScriptedServer
from rxsocket.transports.base import Fragments, PeerClosed, Request, Signal
from rxsocket.transports.handshake import authorization
from rxsocket.url import Address, split_unix


class FakePeerConnection(PeerConnection):
    """The server's end."""

    link: FakeLink

    def __init__(self, server: Fake, handshake: Handshake) -> None:
        super().__init__(server.log, handshake)
        self._server = server
        self._script = asyncio.current_task()

    def _write(self, message: Payload) -> None:
        self.link.receive(message)

    async def _write_and_drain(self, message: Payload) -> bool:
        self.link.receive(message)
        await self.link.wait_until_read()
        return True

    def _write_close(self, code: int, reason: str) -> None:
        self.link.receive_close(code, reason)

    def _cut(self) -> None:
        self.link.receive_cut()
        self._remove()

    def _stop_reading(self) -> None:
        """Do nothing: a frozen peer ignores what it receives."""

    def on_close_frame(self, code: int, reason: str) -> None:
        """Take the client's close frame: an answer to ours, or to be answered at once."""
        if self.frozen or self.dropped:
            return
        self.closing = True
        self._log.add_close(self.number, code, reason)
        self.link.finish(PeerClosed(code, reason, sent=code))
        self._remove()

    def on_connection_lost(self) -> None:
        self.closing = True
        self._log.add_close(self.number, 1006, "")
        self._remove()

    def _remove(self) -> None:
        self._server.remove_connection(self)
        if self._script is not None:
            self._script.cancel()


class FakeLink:
    """The client's end: a ``Link`` of the seam.

    The way to the server takes the latency and the way back takes none, so that whatever is asked
    is answered after the latency.
    """

    def __init__(
        self,
        peer: FakePeerConnection,
        observer: abc.ObserverBase[Signal],
        subprotocol: str | None,
        latency: float,
    ) -> None:
        self._peer = peer
        self._observer: abc.ObserverBase[Signal] | None = observer
        self._loop = asyncio.get_running_loop()
        self.subprotocol = subprotocol
        self._latency = latency
        self._in_transit: deque[Callable[[], None]] = deque()
        self._pongs: set[asyncio.Future[None]] = set()
        self._closing = False
        self._ended = asyncio.Event()
        self._paused = False
        self._is_reading = asyncio.Event()
        self._is_reading.set()
        self._unread: deque[Callable[[], None]] = deque()
        self.reads = 0

    def __repr__(self) -> str:
        return f"<fake link {self._peer.number}>"

    def write(self, messages: Sequence[Payload]) -> bool:
        """Let messages arrive at the server after the latency; there is always room for more."""
        self._check_open()
        for message in messages:
            self._send_to_server(partial(self._peer.on_message, message))
        return True

    async def drain(self) -> None:
        """There is always room."""

    async def send(self, data: Payload | Fragments) -> None:
        """Let a message arrive at the server after the latency; fragments arrive as one."""
        if not isinstance(data, (str, bytes)):
            data = await self._join(data)
        self.write([data])

    async def _join(self, fragments: Fragments) -> Payload:
        parts: list[Any] = []
        try:
            if isinstance(fragments, AsyncIterable):
                async for part in fragments:
                    parts.append(part)
            else:
                parts.extend(fragments)
            whole: Payload = type(parts[0])().join(parts)
        except Exception:
            self._closing = True  # a message that was begun cannot be ended (RFC 6455, 5.4)
            self._loop.call_soon(self._fail_fragmented)
            raise
        return whole

    def _fail_fragmented(self) -> None:
        if not self._ended.is_set():
            reason = "error in fragmented message"
            self.finish(PeerClosed(1006, reason, sent=1011, lost=True))
            self._peer.on_connection_lost()

    async def ping(self) -> float:
        """Wait for a pong, for ever if the server is frozen."""
        self._check_open()
        start = self._loop.time()
        pong: asyncio.Future[None] = self._loop.create_future()
        self._pongs.add(pong)
        self._send_to_server(lambda: self._pong(pong))
        try:
            await pong
        finally:
            self._pongs.discard(pong)
        return self._loop.time() - start

    def pause(self) -> None:
        """Stop reading: what the server does takes effect when reading goes on."""
        self._paused = True
        self._is_reading.clear()

    def resume(self) -> None:
        """Read on, in the next turn of the loop."""
        if self._paused:
            self._paused = False
            self._loop.call_soon(self._resume_reading)

    def close(self, code: int = 1000, reason: str = "") -> None:
        if not self._closing:
            self._closing = self._peer.closing = True
            self._send_to_server(lambda: self._peer.on_close_frame(code, reason))

    async def answered(self) -> None:
        """Wait for the answer to it, for ever if the server is frozen."""
        await self._ended.wait()

    async def wait_closed(self) -> None:
        await self._ended.wait()

    def abort(self) -> None:
        if not self._ended.is_set():
            self.finish(PeerClosed(1006, lost=True))
            self._peer.on_connection_lost()

    def detach(self) -> None:
        """Emit nothing more."""
        self._observer = None

    def receive(self, signal: Signal) -> None:
        self._when_reading(lambda: self._emit(signal))

    async def wait_until_read(self) -> None:
        """Wait until the client reads on; yield to the loop in any case."""
        await asyncio.sleep(0)
        await self._is_reading.wait()

    def receive_close(self, code: int, reason: str) -> None:
        """The server's close frame comes, the last thing that is emitted; answer it."""
        self._when_reading(lambda: self._answer_close(code, reason))

    def receive_cut(self) -> None:
        self._when_reading(lambda: self.finish(PeerClosed(1006, lost=True)))

    def _answer_close(self, code: int, reason: str) -> None:
        if self._ended.is_set():
            return
        crossing, self._closing = self._closing, True
        self._complete(PeerClosed(code, reason))
        if not crossing:
            self._send_to_server(lambda: self._peer.on_close_frame(code, reason))

    def finish(self, signal: PeerClosed) -> None:
        self._closing = True
        self._ended.set()
        self._in_transit.clear()
        for pong in self._pongs:
            if not pong.done():
                pong.set_exception(ConnectionLost("the connection ended before the pong came"))
        self._complete(signal)

    def _when_reading(self, what: Callable[[], None]) -> None:
        """Process what came from the server: now, or when reading goes on."""
        if self._paused or self._unread:
            self._unread.append(what)
        else:
            what()

    def _resume_reading(self) -> None:
        while self._unread and not self._paused:
            self._unread.popleft()()
        if not self._paused:
            self._is_reading.set()

    def _emit(self, signal: Signal) -> None:
        self.reads += 1
        if self._observer is not None:
            self._observer.on_next(signal)

    def _complete(self, signal: PeerClosed) -> None:
        observer, self._observer = self._observer, None
        if observer is not None:
            observer.on_next(signal)
            observer.on_completed()

    def _pong(self, pong: asyncio.Future[None]) -> None:
        if not self._peer.frozen:
            self._when_reading(lambda: None if pong.done() else pong.set_result(None))

    def _send_to_server(self, arrival: Callable[[], None]) -> None:
        """Call back after the latency, in order."""
        self._in_transit.append(arrival)
        if self._latency:
            self._loop.call_later(self._latency, self._arrive_at_server)
        else:
            self._loop.call_soon(self._arrive_at_server)

    def _arrive_at_server(self) -> None:
        if self._in_transit:
            self._in_transit.popleft()()

    def _check_open(self) -> None:
        if self._closing:
            raise ConnectionLost("the connection is closing or closed")


class Fake(ScriptedServer):
    """A server without sockets, in the place of a transport. Made by :func:`fake`."""

    url = "ws://fake.test/"

    def __init__(
        self, scripts: tuple[Script, ...], tokens: Iterable[str] | None, latency: float
    ) -> None:
        super().__init__(scripts, tokens)
        self._latency = latency
        self._elsewhere: dict[str, Fake] = {}

    def at(self, url: str, *scripts: Script, tokens: Iterable[str] | None = None) -> Fake:
        """Another server of the same network, for what is dialled at the host of a URL.

        The socket is given the one that this is called on as its transport.

        Args:
            url: An address of its, which becomes its ``url``.
            scripts: Scripts of its first handshakes.
            tokens: Credentials that it accepts; others get a 401.

        Examples:
            >>> network = fake(unreachable())
            >>> other = network.at("ws://b.test/")
            >>> socket = Socket([network.url, other.url], transport=network)
        """
        other = Fake(scripts, tokens, self._latency)
        other.url = url
        self._elsewhere[Address.parse(url).host] = other
        return other

    def __call__(self, request: Request) -> Observable[Signal]:
        """The connection that a request leads to, cold; it lives on the running loop."""
        server = self._elsewhere.get(Address.parse(request.url).host, self)

        def subscribe(
            observer: abc.ObserverBase[Signal], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            dial = _FakeDial(server, request, observer, self._latency)
            return Disposable(dial.dispose)

        return Observable(subscribe)


class _FakeDial:
    """From the subscription to the end of the script."""

    def __init__(
        self, server: Fake, request: Request, observer: abc.ObserverBase[Signal], latency: float
    ) -> None:
        self._server = server
        self._request = request
        self._observer = observer
        self._latency = latency
        self._link: FakeLink | None = None
        self._task = asyncio.get_running_loop().create_task(self._run())

    def dispose(self) -> None:
        if self._link is None:
            self._task.cancel()
        else:
            self._link.detach()

    async def _run(self) -> None:
        try:
            async with asyncio.timeout(self._request.options.open_timeout):
                handshake, script = await self._shake_hands()
        except TimeoutError:
            self._observer.on_error(TimeoutError("timed out during opening handshake"))
            return
        except (HandshakeRefused, HandshakeInvalid, ConnectionRefusedError) as error:
            self._observer.on_error(error)
            return
        peer = FakePeerConnection(self._server, handshake)
        chosen = script.subprotocol or handshake.fixed_subprotocol
        self._link = peer.link = FakeLink(peer, self._observer, chosen, self._latency)
        self._server.add_connection(peer)
        peer.link.receive(peer.link)
        # Without a suspension in between: a first message can be there in the instant of the link.
        await peer.run_script(script.steps)

    async def _shake_hands(self) -> tuple[Handshake, Accept]:
        await self._request.go()
        if self._latency:
            await asyncio.sleep(self._latency)
        target, headers = _as_sent(self._request)
        handshake, script = self._server.accept_dial(target, headers)
        if handshake is None or isinstance(script, Unreachable):
            raise ConnectionRefusedError("the fake server is unreachable")
        if isinstance(script, Hang):
            await asyncio.get_running_loop().create_future()
        script = cast("Accept | Reject", script)
        if script.pause:
            await asyncio.sleep(script.pause)
        if isinstance(script, Reject):
            self._server.log.add_line(f"#{handshake.number} refused: {script.status}")
            retry_after, body = script.header("Retry-After"), script.body
            raise HandshakeRefused(script.status, retry_after=retry_after, body=body[:1024])
        if script.subprotocol is not None and script.subprotocol not in handshake.subprotocols:
            raise HandshakeInvalid("the server chose a subprotocol that was not offered")
        return handshake, script


def _as_sent(request: Request) -> tuple[str, Headers]:
    """The target and the headers that a request has on the wire."""
    options, parts = request.options, urlsplit(split_unix(request.url)[1])
    headers = Headers([("Host", parts.netloc.rpartition("@")[2])])
    headers.update(authorization(request.url))
    if options.origin is not None:
        headers["Origin"] = options.origin
    subprotocols = (*options.subprotocols, *request.subprotocols)
    if subprotocols:
        headers["Sec-WebSocket-Protocol"] = ", ".join(subprotocols)
    if options.user_agent_header is not None:
        headers["User-Agent"] = options.user_agent_header
    for name, value in (*options.additional_headers, *request.headers):
        headers[name] = value
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), headers


def fake(*scripts: Script, tokens: Iterable[str] | None = None, latency: float = 0.0) -> Fake:
    """A scripted server without sockets: pass it as ``transport=``, with its ``url``.

    It speaks the script language of :func:`server` and has the same members, on whatever loop runs:
    with :func:`clock`, in virtual time.

    Args:
        scripts: Scripts of the first handshakes; add more with ``fake.script(...)``.
        tokens: Credentials that are accepted, see ``Handshake.credential``; others get a 401.
        latency: Seconds from a question (handshake, ping, close, echoed message) to its answer.

    Examples:
        >>> with clock() as t:
        ...     network = fake(accept().send("hello"))
        ...     socket = Socket(network.url, transport=network)
    """
    return Fake(scripts, tokens, latency)
