"""One accepted connection from the server's side, and how a script is played to it.

One opening handshake, as a server saw it.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

from websockets.datastructures import Headers

from rxsocket.testing.script import (
    Close,
    Drop,
    Echo,
    Expect,
    Freeze,
    Payload,
    Send,
    Stay,
    Step,
    Stream,
    Wait,
)

__all__ = ["Handshake", "Ledger", "Visit", "masked"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Handshake:
    """One opening handshake, as the server saw it. Its repr shows no secret (C28).

    Attributes:
        number: From 1, in the order of arrival.
        path: Path of the address, without the query.
        query: Parameters of the query; of a repeated name, the last value.
        headers: Headers of the request; names in any case.
        subprotocols: Subprotocols that the client offered.
        at: When it came, in seconds on the clock of the server's loop.
    """

    number: int
    path: str
    query: Mapping[str, str]
    headers: Headers
    subprotocols: tuple[str, ...]
    at: float

    @classmethod
    def parse(cls, number: int, target: str, headers: Headers, at: float) -> Handshake:
        """Make one from the target of the request, e.g. ``/feed?token=abc``, and the headers."""
        parts = urlsplit(target)
        offers = ",".join(headers.get_all("Sec-WebSocket-Protocol")).split(",")
        return cls(
            number=number,
            path=parts.path or "/",
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            headers=headers,
            subprotocols=tuple(offer.strip() for offer in offers if offer.strip()),
            at=at,
        )

    @property
    def credential(self) -> str | None:
        """The credential, wherever it is, or ``None``.

        It is the query parameter ``token``, the bearer of ``Authorization``, the cookie ``token``,
        or a subprotocol: one that begins with ``base64url.bearer.``, decoded from base64url, or the
        one that follows ``access_token``, ``bearer`` or ``token``.
        """
        if "token" in self.query:
            return self.query["token"]
        for value in self.headers.get_all("Authorization"):
            scheme, _, bearer = value.partition(" ")
            if scheme.lower() == "bearer":
                return bearer.strip()
        return self.cookies.get("token", self._offered[0])

    @property
    def cookies(self) -> Mapping[str, str]:
        """The cookies; of a repeated name, the last value."""
        pairs = ";".join(self.headers.get_all("Cookie")).split(";")
        split = (pair.partition("=") for pair in pairs if "=" in pair)
        return {name.strip(): value.strip() for name, _, value in split}

    @property
    def fixed_subprotocol(self) -> str | None:
        """What to answer a client that offers a credential among its subprotocols."""
        return self._offered[1]

    @property
    def _offered(self) -> tuple[str | None, str | None]:
        """The credential among the subprotocols, and the one to answer with."""
        for offer in self.subprotocols:
            if offer.startswith("base64url.bearer."):
                others = (other for other in self.subprotocols if other != offer)
                return _decoded(offer.rpartition(".")[2]), next(others, None)
        for offer, following in zip(self.subprotocols, self.subprotocols[1:], strict=False):
            if offer.lower() in ("access_token", "bearer", "token"):
                return following, offer
        return None, None

    def __repr__(self) -> str:
        names = ", ".join(dict.fromkeys(name for name, _ in self.headers.raw_items()))
        return (
            f"<Handshake {self.number} {masked(self.path, self.query)}, headers: {names}; "
            f"{len(self.subprotocols)} subprotocols offered>"
        )


def _decoded(text: str) -> str | None:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        return None


def masked(path: str, query: Mapping[str, str]) -> str:
    """An address without the values of its query."""
    return path + ("?" if query else "") + "&".join(f"{name}=***" for name in query)


class Ledger(Protocol):
    """Where visits are written down."""

    def note(self, line: str) -> None:
        """Add a line to the history."""
        ...

    def heard(self, visit: Visit, message: Payload) -> None:
        """A message came."""
        ...

    def left(self, visit: Visit, code: int, reason: str) -> None:
        """The client left."""
        ...

    def gone(self, visit: Visit) -> None:
        """Nothing is left of the connection."""
        ...

    def failed(self, loop: asyncio.AbstractEventLoop, error: AssertionError) -> None:
        """A script did not get what it expected."""
        ...


class Visit(ABC):
    """A client that was let in. Its methods are called on its loop; subclasses move the bytes.

    Attributes:
        number: Number of its handshake.
        loop: The loop it is on.
        closing: Whether either side has sent a close frame, or the connection is gone.
        frozen: Whether the server has stopped reading and answering.
        dropped: Whether the server cut the connection.
    """

    def __init__(self, ledger: Ledger, handshake: Handshake) -> None:
        self.number = handshake.number
        self.loop = asyncio.get_running_loop()
        self.closing = False
        self.frozen = False
        self.dropped = False
        self._ledger = ledger
        self._inbox: asyncio.Queue[Payload] = asyncio.Queue()

    # --- what the script and the test's hands do

    def deliver(self, message: Payload) -> None:
        """Send a message."""
        if not (self.closing or self.frozen):
            self._ledger.note(f"#{self.number} sent {shape(message)}")
            self._deliver(message)

    def close(self, code: int, reason: str) -> None:
        """Send a close frame."""
        if not (self.closing or self.frozen):
            self.closing = True
            self._ledger.note(f"#{self.number} sent close {code}")
            self._close(code, reason)

    def drop(self) -> None:
        """Cut TCP."""
        if not self.dropped:
            self.closing = self.dropped = True
            self._ledger.note(f"#{self.number} dropped")
            self._drop()

    def freeze(self) -> None:
        """Stop reading and answering."""
        if not self.frozen:
            self.frozen = True
            self._ledger.note(f"#{self.number} frozen")
            self._freeze()

    @abstractmethod
    def _deliver(self, message: Payload) -> None: ...

    @abstractmethod
    async def _send(self, message: Payload) -> bool:
        """Send a message, and return when there is room for another; ``False`` if none is sent."""
        ...

    @abstractmethod
    def _close(self, code: int, reason: str) -> None: ...

    @abstractmethod
    def _drop(self) -> None: ...

    @abstractmethod
    def _freeze(self) -> None: ...

    # --- what the client does

    def heard(self, message: Payload) -> None:
        """A message came."""
        if not self.frozen:
            self._inbox.put_nowait(message)
            self._ledger.heard(self, message)

    # --- the script

    async def play(self, steps: tuple[Step, ...]) -> None:
        """Go through the steps of a script. What follows at once is done without a suspension."""
        for step in steps:
            match step:
                case Send(message):
                    self.deliver(message)
                case Stream():
                    if not await self._stream(step):
                        return
                case Wait(seconds):
                    await asyncio.sleep(seconds)
                case Expect():
                    if not self._check(step, await self._inbox.get()):
                        return
                case Echo():
                    while True:
                        self.deliver(await self._inbox.get())
                case Close(code, reason):
                    self.close(code, reason)
                case Drop():
                    self.drop()
                case Freeze():
                    self.freeze()
                case Stay():
                    return

    async def _stream(self, step: Stream) -> bool:
        start, sent = self.loop.time(), 0
        try:
            for message in step.begin():
                if step.rate is not None:
                    ahead = start + sent / step.rate - self.loop.time()
                    if ahead > 0:
                        await asyncio.sleep(ahead)
                if self.closing or self.frozen or not await self._send(message):
                    break
                sent += 1
        except Exception as error:
            failure = AssertionError(f"#{self.number} stopped streaming: {error!r}")
            failure.__cause__ = error
            self._ledger.failed(self.loop, failure)
            return False
        finally:
            self._ledger.note(f"#{self.number} streamed {sent} messages")
        return True

    def _check(self, step: Expect, message: Payload) -> bool:
        try:
            if step.matches(message):
                return True
            what = repr(step.what) if isinstance(step.what, (str, bytes)) else "something else"
            failure = AssertionError(f"#{self.number} sent {message!r}; the script expected {what}")
        except Exception as error:
            failure = AssertionError(
                f"#{self.number} sent {message!r}; the script raised {error!r}"
            )
            failure.__cause__ = error
        self._ledger.failed(self.loop, failure)
        return False


def shape(message: Payload) -> str:
    """A message without its content, which may be a credential (C28)."""
    if isinstance(message, str):
        return f"text of {len(message)} characters"
    return f"binary of {len(message)} bytes"
