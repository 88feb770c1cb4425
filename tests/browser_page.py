"""A page for CPython: what Pyodide gives of JavaScript, as far as sockets need it (C57).

Its ``WebSocket`` speaks through a transport: a fake network in virtual time, or ``websockets`` on
the wire. So the same tests run on ``transport="browser"`` as on the others. It has nothing but what
the WHATWG's WebSockets specification gives a page.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest
from internals import enter_browser
from reactivex import abc

from rxsocket import Link, Options, PeerClosed, Request, Signal, Transport

CONNECTING, OPEN, CLOSING, CLOSED = range(4)


class JsException(Exception):
    """What JavaScript throws."""

    def __init__(self, name: str, text: str = "") -> None:
        super().__init__(text)
        self.name = name


class ArrayBuffer:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def to_bytes(self) -> bytes:
        return self._data


class Proxy:
    """A Python function that JavaScript can call, until it is destroyed."""

    alive = 0

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._function = function
        self.destroyed = False
        Proxy.alive += 1

    def __call__(self, event: Any) -> None:
        assert not self.destroyed, "JavaScript calls what was destroyed"
        self._function(event)

    def destroy(self) -> None:
        assert not self.destroyed
        self.destroyed = True
        Proxy.alive -= 1


class Target:
    """What events can be listened to on."""

    def __init__(self) -> None:
        self.listeners: list[tuple[str, Any]] = []

    def addEventListener(self, name: str, proxy: Any) -> None:
        self.listeners.append((name, proxy))

    def removeEventListener(self, name: str, proxy: Any) -> None:
        self.listeners.remove((name, proxy))

    def fire(self, name: str, **what: Any) -> None:
        for listened, proxy in tuple(self.listeners):
            if listened == name:
                proxy(SimpleNamespace(type=name, **what))


class PageWebSocket(abc.ObserverBase[Signal]):
    """The ``WebSocket`` of a page."""

    def __init__(self, page: Page, url: str, subprotocols: list[str]) -> None:
        if page.throws is not None:
            raise page.throws
        if len(set(subprotocols)) < len(subprotocols):
            raise JsException("SyntaxError")
        self.readyState = CONNECTING
        self.binaryType = "blob"
        self.protocol = ""
        self.stuck = 0
        self.onopen: Any = None
        self.onmessage: Any = None
        self._onclose: Any = None
        self.closed_with: tuple[int, str] | None = None
        self._drains: asyncio.Task[None] | None = None
        self._link: Link | None = None
        request = Request(
            url=url,
            subprotocols=(),
            options=Options(
                subprotocols=tuple(subprotocols),
                max_size=None,
                open_timeout=None,
                user_agent_header="a browser",
                proxy=None,
            ),
        )
        self._dial = page.transport(request).subscribe(self)

    @property
    def bufferedAmount(self) -> int:
        return self.stuck

    @property
    def onclose(self) -> Any:
        return self._onclose

    @onclose.setter
    def onclose(self, handler: Any) -> None:
        self._onclose = handler
        if handler is None and self.readyState != CLOSED:  # nobody can reach it any more
            self._dial.dispose()
            if self._link is not None:
                self._link.abort()

    def send(self, data: str | bytes) -> None:
        assert self._link is not None and self.readyState != CONNECTING
        if self.readyState == OPEN and not self._link.write([data]):
            self.stuck = 2**21
            self._drains = asyncio.ensure_future(self._drain())

    async def _drain(self) -> None:
        assert self._link is not None
        await self._link.drain()
        self.stuck = 0

    def close(self, code: int = 1000, reason: str = "") -> None:
        if code != 1000 and not 3000 <= code < 5000:
            raise JsException("InvalidAccessError")
        if len(reason.encode()) > 123:
            raise JsException("SyntaxError")
        if self.readyState >= CLOSING:
            return
        connecting, self.readyState = self.readyState == CONNECTING, CLOSING
        if connecting:
            self._dial.dispose()
        elif self._link is not None:
            self.closed_with = (code, reason)
            self._link.close(code, reason)

    # --- what the transport says

    def on_next(self, value: Signal) -> None:
        if isinstance(value, PeerClosed):
            self._end(value.code, value.reason)
        elif isinstance(value, (str, bytes, list)):
            for message in value if isinstance(value, list) else [value]:
                self._fire("message", data=message)
        else:
            self._link = cast(Link, value)
            self.readyState = OPEN
            self.protocol = self._link.subprotocol or ""
            self._fire("open")

    def on_error(self, error: Exception) -> None:
        self._end(1006, "")

    def on_completed(self) -> None:
        pass

    def _end(self, code: int, reason: str) -> None:
        if self.readyState != CLOSED:
            self.readyState = CLOSED
            self._fire("close", code=code, reason=reason if code != 1006 else "")

    def _fire(self, kind: str, **what: Any) -> None:
        if isinstance(what.get("data"), bytes):
            assert self.binaryType == "arraybuffer"
            what["data"] = ArrayBuffer(what["data"])
        handler = getattr(self, f"on{kind}")
        if handler is not None:
            handler(SimpleNamespace(type=kind, **what))


class Page(ModuleType):
    """The global names of JavaScript.

    Args:
        transport: What its sockets speak through.

    Attributes:
        sockets: Those that were made, oldest first.
        throws: What making one throws.
    """

    def __init__(self, transport: Transport) -> None:
        super().__init__("js")
        self.transport = transport
        self.sockets: list[PageWebSocket] = []
        self.throws: JsException | None = None
        self.WebSocket = SimpleNamespace(new=self._new_socket)
        self.navigator = SimpleNamespace(onLine=True)
        self._target = Target()
        self.addEventListener = self._target.addEventListener
        self.removeEventListener = self._target.removeEventListener
        self.fire = self._target.fire
        document: Any = Target()
        document.visibilityState = "visible"
        self.document = document

    @property
    def listeners(self) -> int:
        """How many listeners there are to the life of the page."""
        return len(self._target.listeners) + len(self.document.listeners)

    def show(self, state: str) -> None:
        """Hide the page, or show it again."""
        self.document.visibilityState = state
        self.document.fire("visibilitychange")

    def _new_socket(self, url: str, subprotocols: list[str]) -> PageWebSocket:
        socket = PageWebSocket(self, url, subprotocols)
        self.sockets.append(socket)
        return socket


def open_page(monkeypatch: pytest.MonkeyPatch, transport: Transport) -> Page:
    """Be in a page whose sockets speak through a transport, until the test ends."""
    page = Page(transport)
    foreign = ModuleType("pyodide.ffi")
    foreign.create_proxy = Proxy  # type: ignore[attr-defined]
    foreign.to_js = lambda value: value  # type: ignore[attr-defined]
    foreign.JsException = JsException  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "js", page)
    monkeypatch.setitem(sys.modules, "pyodide.ffi", foreign)
    enter_browser(monkeypatch)
    return page
