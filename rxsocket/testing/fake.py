"""A scripted server without sockets: a transport, for virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import cast
from urllib.parse import urlsplit

from reactivex import Observable, abc
from reactivex.disposable import Disposable
from websockets.datastructures import Headers

from rxsocket.errors import HandshakeInvalid, HandshakeRefused
from rxsocket.testing.book import Book
from rxsocket.testing.handshake import Handshake
from rxsocket.testing.link import FakeLink, FakeVisit
from rxsocket.testing.script import Accept, Hang, Reject, Script, Unreachable
from rxsocket.testing.scripted import Scripted
from rxsocket.transports.seam import Request, Signal
from rxsocket.transports.userinfo import authorization

__all__ = ["Fake", "fake"]


class Fake(Scripted):
    """See :func:`fake`."""

    url = "ws://fake.test/"

    def __init__(
        self, scripts: tuple[Script, ...], tokens: Iterable[str] | None, latency: float
    ) -> None:
        super().__init__(scripts, tokens)
        self._latency = latency

    def __call__(self, request: Request) -> Observable[Signal]:
        """The connection that a request leads to, cold; it lives on the running loop."""

        def subscribe(
            observer: abc.ObserverBase[Signal], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            dial = _Dial(self, request, observer, self._latency)
            return Disposable(dial.dispose)

        return Observable(subscribe)


class _Dial:
    """From the subscription to the end of the script."""

    def __init__(
        self, book: Book, request: Request, observer: abc.ObserverBase[Signal], latency: float
    ) -> None:
        self._book = book
        self._request = request
        self._observer = observer
        self._latency = latency
        self._link: FakeLink | None = None
        self._task = asyncio.get_running_loop().create_task(self._live())

    def dispose(self) -> None:
        if self._link is None:
            self._task.cancel()
        else:
            self._link.detach()

    async def _live(self) -> None:
        try:
            async with asyncio.timeout(self._request.options.open_timeout):
                handshake, script = await self._handshake()
        except TimeoutError:
            self._observer.on_error(TimeoutError("timed out during opening handshake"))
            return
        except (HandshakeRefused, HandshakeInvalid, ConnectionRefusedError) as error:
            self._observer.on_error(error)
            return
        visit = FakeVisit(self._book, handshake)
        chosen = script.subprotocol or handshake.fixed_subprotocol
        self._link = visit.link = FakeLink(visit, self._observer, chosen, self._latency)
        self._book.opened(visit)
        visit.link.receive(visit.link)
        # Without a suspension in between: a first message can be there in the instant of the link.
        await visit.play(script.steps)

    async def _handshake(self) -> tuple[Handshake, Accept]:
        await self._request.go()
        if self._latency:
            await asyncio.sleep(self._latency)
        target, headers = _as_sent(self._request)
        handshake, script = self._book.dialled(target, headers)
        if handshake is None or isinstance(script, Unreachable):
            raise ConnectionRefusedError("the fake server is unreachable")
        if isinstance(script, Hang):
            await asyncio.get_running_loop().create_future()
        script = cast("Accept | Reject", script)
        if script.pause:
            await asyncio.sleep(script.pause)
        if isinstance(script, Reject):
            self._book.note(f"#{handshake.number} refused: {script.status}")
            raise HandshakeRefused(script.status, retry_after=script.header("Retry-After"))
        if script.subprotocol is not None and script.subprotocol not in handshake.subprotocols:
            raise HandshakeInvalid("the server chose a subprotocol that was not offered")
        return handshake, script


def _as_sent(request: Request) -> tuple[str, Headers]:
    """The target and the headers that a request has on the wire."""
    options, parts = request.options, urlsplit(request.url)
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
        scripts: What to do to the first handshakes; add more with ``fake.script(...)``.
        tokens: Credentials that are let in, see ``Handshake.credential``; another gets a 401.
        latency: Seconds from a question (handshake, ping, close, echoed message) to its answer.

    Examples:
        >>> with clock() as t:
        ...     network = fake(accept().send("hello"))
        ...     socket = Socket(network.url, transport=network)
    """
    return Fake(scripts, tokens, latency)
