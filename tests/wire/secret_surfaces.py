"""A canary credential, and every surface on which a socket could show it (C28)."""

from __future__ import annotations

import base64
import dataclasses
import logging
import secrets
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, quote_plus, unquote

from rxsocket import (
    Carried,
    Carrier,
    ObserverFailed,
    cookie,
    header,
    query,
    subprotocol,
)
from rxsocket.testing import Handshake

from .wire_helpers import Watch


class Canary:
    """A credential that would be recognised anywhere, in any of its encodings."""

    def __init__(self) -> None:
        # Every character class that an encoding changes, around a part that none does.
        self.core = secrets.token_hex(12)
        self.text = f"k+/{self.core}=&%?"
        raw_bytes = self.text.encode()
        encoded = (base64.b64encode(raw_bytes), base64.urlsafe_b64encode(raw_bytes))
        # Within a longer text, base64 depends on the offset: take what is the same in the middle.
        shifted = [
            base64.b64encode(b"x" * pad + self.core.encode())[4:-4].decode() for pad in range(3)
        ]
        self.forms = {
            self.core,
            self.text,
            quote(self.text),
            quote(self.text, safe=""),
            quote_plus(self.text),
            self.core.encode().hex(),
            self.core[::-1],
            *(form.decode().rstrip("=") for form in encoded),
            *shifted,
        }

    def found_in(self, text: str) -> bool:
        """Whether a text shows it."""
        lowered = text.lower()
        return any(form in text or form.lower() in lowered for form in self.forms)


class Surfaces:
    """Everything that was shown, to be searched at the end."""

    def __init__(self, canary: Canary) -> None:
        self._canary = canary
        self._shown: list[tuple[str, str]] = []
        self._seen: set[int] = set()
        self._kept: list[object] = []
        self._lock = threading.Lock()

    def text(self, where: str, text: str) -> None:
        """Note a text."""
        with self._lock:
            self._shown.append((where, text))

    def show(self, where: str, thing: object) -> None:
        """Note what an object shows: repr, str, format, its fields, what it was chained to."""
        with self._lock:
            if id(thing) in self._seen:
                return
            self._seen.add(id(thing))
            self._kept.append(thing)
        for form in (repr, str, format, ascii):
            self.text(f"{form.__name__} of {where}", form(thing))
        if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
            fields = {field.name for field in dataclasses.fields(thing) if field.repr}
            for name in fields:
                self.show(f"{where}.{name}", getattr(thing, name))
        if isinstance(thing, BaseException):
            self.error(where, thing)

    def everything(self, where: str, event: Any) -> None:
        """Note every field of an event, also those that its repr leaves out."""
        self.show(where, event)
        if dataclasses.is_dataclass(event) and not isinstance(event, type):
            for field in dataclasses.fields(event):
                self.show(f"{where}.{field.name}", getattr(event, field.name))
            self.text(f"asdict of {where}", repr(_asdict(event)))
        error = getattr(event, "error", None)
        if isinstance(error, BaseException) and not isinstance(event, ObserverFailed):
            self.locals(f"{where}.error", error)

    def error(self, where: str, error: BaseException) -> None:
        """Note an exception: its arguments, attributes, chain, and traceback with sources."""
        self.text(f"args of {where}", repr(error.args))
        self.text(f"vars of {where}", repr(vars(error)))
        for chained in traceback.TracebackException.from_exception(error).format(chain=True):
            self.text(f"traceback of {where}", chained)
        for name in ("__cause__", "__context__", "cause"):
            other = getattr(error, name, None)
            if isinstance(other, BaseException):
                self.show(f"{where}.{name}", other)

    def locals(self, where: str, error: BaseException) -> None:
        """Note the variables in a traceback: crash reporters send them away."""
        for frame, _ in traceback.walk_tb(error.__traceback__):
            for name, value in frame.f_locals.items():
                self.text(f"local {name} in the traceback of {where}", repr(value))

    def record(self, record: logging.LogRecord) -> None:
        """Note a log record: its text, and every value that it carries."""
        where = f"log record of {record.name} ({record.msg!r})"
        self.text(where, record.getMessage())
        for name, value in vars(record).items():
            self.text(f"{where}.{name}", repr(value))
            if name == "args" and isinstance(value, tuple):
                for item in value:
                    self.show(f"{where}.args", item)
        if record.exc_info and record.exc_info[1] is not None:
            self.show(f"{where}.exc_info", record.exc_info[1])
        self.text(f"formatted {where}", logging.Formatter().format(record))

    def check(self) -> None:
        """Fail if the canary is in anything that was shown."""
        assert len(self._shown) > 50, "too little was looked at to say anything"
        leaks = [where for where, text in self._shown if self._canary.found_in(text)]
        assert not leaks, f"the secret shows in {len(leaks)} places: {leaks[:12]}"


def _asdict(event: Any) -> dict[str, Any]:
    """As dataclasses.asdict, but exceptions are not copied."""
    try:
        return dataclasses.asdict(event)
    except TypeError:  # something in it, such as an SSL error, cannot be copied
        return {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}


LOGGERS = (
    None,
    "aiofastnet",
    "asyncio",
    "picows",
    "picows.client",
    "python_socks",
    "rxsocket",
    "websockets",
    "websockets.client",
    "websockets.protocol",
    "websockets.server",
)


class _Collecting(logging.Handler):
    def __init__(self, surfaces: Surfaces) -> None:
        super().__init__(logging.NOTSET)
        self._surfaces = surfaces
        self.names: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        self.names.add(record.name)
        self._surfaces.record(record)


def look(surfaces: Surfaces, watch: Watch, *more: object) -> None:
    """Note all that a socket's user can see of it."""
    socket = watch.socket
    for name in ("events", "opens", "closes", "messages", "sessions", "errors", "state", "auth"):
        stream = getattr(socket, name)
        surfaces.show(f"socket.{name}", stream)
        if hasattr(stream, "value"):
            surfaces.show(f"socket.{name}.value", stream.value)
    surfaces.show("socket", socket)
    for name, value in vars(socket).items():
        surfaces.show(f"vars(socket)[{name!r}]", value)
    for event in watch.events:
        surfaces.everything(type(event).__name__, event)
    if watch.error is not None:
        surfaces.show("on_error", watch.error)
    for thing in more:
        surfaces.everything(type(thing).__name__, thing)


def signed(value: Any) -> Carried:
    """A carrier of the user's."""
    text = value if isinstance(value, str) else value["token"]
    return Carried(headers={"X-Signature": text}, subprotocols=[quote(text, safe="")])


CARRIERS: dict[str, tuple[Carrier, Callable[[Handshake], str | None]]] = {
    "query": (query(), lambda seen: seen.credential),
    "bearer": (header(), lambda seen: seen.credential),
    "own header": (header("X-Api-Key", scheme=None), lambda seen: seen.headers.get("X-Api-Key")),
    "cookie": (cookie(), lambda seen: seen.credential),
    "subprotocol": (subprotocol("v1"), lambda seen: seen.credential),
    "plain subprotocol": (
        subprotocol("v1", encode=lambda text: quote(text, safe="")),
        lambda seen: unquote(seen.subprotocols[-1]),
    ),
    "function": (signed, lambda seen: seen.headers.get("X-Signature")),
    "combined": (query("key") & cookie() & signed, lambda seen: seen.credential),
}


def arrived(peer: Any, carrier: str, canary: Canary) -> bool:
    """Whether the newest handshake carried the canary, in the way of the carrier."""
    return CARRIERS[carrier][1](peer.handshakes[-1]) == canary.text


ACCEPTED, REFUSED = "welcome", "unknown"


@contextmanager
def everything_logged(surfaces: Surfaces) -> Iterator[None]:
    """Note what any logger writes, each at its finest."""
    handler = _Collecting(surfaces)
    root, *others = map(logging.getLogger, LOGGERS)
    levels = [logger.level for logger in (root, *others)]
    for logger in (root, *others):
        logger.setLevel(1)  # picows writes its frames below DEBUG
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        for logger, level in zip((root, *others), levels, strict=True):
            logger.setLevel(level)
