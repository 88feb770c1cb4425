"""The clients of a scripted server: their handshakes, connections, messages and closes."""

from __future__ import annotations

import asyncio
import base64
import binascii
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

from websockets.datastructures import Headers

from rxsocket.testing.clock import ChangeCondition, VirtualClock
from rxsocket.testing.script import (
    CloseStep,
    ExpectStep,
    LastStep,
    Payload,
    SendStep,
    Step,
    StreamStep,
    WaitStep,
)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Handshake:
    """One opening handshake, as the server saw it. Its repr shows no secret (rule C28, secrets).

    Attributes:
        number: From 1, in the order of arrival.
        path: Path of the address, without the query.
        query: Parameters of the query; of a repeated name, the last value.
        headers: Headers of the request; names in any case.
        subprotocols: Subprotocols that the client offered.
        at: Its time, in seconds on the clock of the server's loop.
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
    def host(self) -> str:
        """The host that the client asked for, without the port."""
        host = self.headers.get("Host", "")
        return host if host.endswith("]") else host.rpartition(":")[0] or host

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
        """The answer to a client that offers a credential among its subprotocols."""
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
            f"<Handshake {self.number} {masked_address(self.path, self.query)}, headers: {names}; "
            f"{len(self.subprotocols)} subprotocols offered>"
        )


def _decoded(text: str) -> str | None:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        return None


def masked_address(path: str, query: Mapping[str, str]) -> str:
    """An address without the values of its query."""
    return path + ("?" if query else "") + "&".join(f"{name}=***" for name in query)


class ReceivedMessage(NamedTuple):
    """A message of a client, with the number of its handshake."""

    number: int
    message: Payload


class ClientClose(NamedTuple):
    """The close frame of a client (1005: without a code); 1006 if it sent none."""

    number: int
    code: int
    reason: str


class ServerLog:
    """The log of a scripted server; thread safe.

    Attributes:
        changed: The lock of the lists; notified after each change.
        handshakes: The handshakes, in order.
        messages: The messages of the clients, in order.
        closes: How clients closed, in order.
        lines: Everything in short lines, without secrets.
        failures: Failures of scripts.
    """

    def __init__(self) -> None:
        self.changed = ChangeCondition()
        self.handshakes: list[Handshake] = []
        self.messages: list[ReceivedMessage] = []
        self.closes: list[ClientClose] = []
        self.lines: list[str] = []
        self.failures: list[AssertionError] = []

    def add_line(self, line: str) -> None:
        with self.changed:
            self.lines.append(line)
            self.changed.notify()

    def add_handshake(self, target: str, headers: Headers) -> Handshake:
        with self.changed:
            at = asyncio.get_running_loop().time()
            handshake = Handshake.parse(len(self.handshakes) + 1, target, headers, at)
            self.handshakes.append(handshake)
            address = masked_address(handshake.path, handshake.query)
            self.add_line(f"#{handshake.number} handshake {address}")
        return handshake

    def add_message(self, number: int, message: Payload) -> None:
        with self.changed:
            self.messages.append(ReceivedMessage(number, message))
            self.add_line(f"#{number} got {without_content(message)}")

    def add_close(self, number: int, code: int, reason: str) -> None:
        with self.changed:
            self.closes.append(ClientClose(number, code, reason))
            self.add_line(f"#{number} the client left: {code}")

    def add_failure(self, loop: asyncio.AbstractEventLoop, failure: AssertionError) -> None:
        with self.changed:
            self.failures.append(failure)
            self.add_line("a script failed")
        if isinstance(loop, VirtualClock):
            loop.call_exception_handler({"exception": failure})


def without_content(message: Payload) -> str:
    """A message in words, without its content, which may be a credential (C28)."""
    if isinstance(message, str):
        return f"text of {len(message)} characters"
    return f"binary of {len(message)} bytes"


class PeerConnection(ABC):
    """The server's end of an accepted connection. Its methods are called on its loop.

    Attributes:
        number: Number of its handshake.
        loop: The loop it is on.
        closing: Whether either side has sent a close frame, or the connection has ended.
        frozen: Whether the server has stopped reading and answering.
        dropped: Whether the server cut the connection.
    """

    def __init__(self, log: ServerLog, handshake: Handshake) -> None:
        self.number = handshake.number
        self.loop = asyncio.get_running_loop()
        self.closing = False
        self.frozen = False
        self.dropped = False
        self._log = log
        self._inbox: asyncio.Queue[Payload] = asyncio.Queue()

    def deliver(self, message: Payload) -> None:
        if not (self.closing or self.frozen):
            self._log.add_line(f"#{self.number} sent {without_content(message)}")
            self._write(message)

    def close(self, code: int, reason: str) -> None:
        if not (self.closing or self.frozen):
            self.closing = True
            self._log.add_line(f"#{self.number} sent close {code}")
            self._write_close(code, reason)

    def drop(self) -> None:
        if not self.dropped:
            self.closing = self.dropped = True
            self._log.add_line(f"#{self.number} dropped")
            self._cut()

    def freeze(self) -> None:
        if not self.frozen:
            self.frozen = True
            self._log.add_line(f"#{self.number} frozen")
            self._stop_reading()

    def on_message(self, message: Payload) -> None:
        if not self.frozen:
            self._inbox.put_nowait(message)
            self._log.add_message(self.number, message)

    @abstractmethod
    def _write(self, message: Payload) -> None: ...

    @abstractmethod
    async def _write_and_drain(self, message: Payload) -> bool:
        """Return when there is room for another message; ``False`` if this one was not sent."""

    @abstractmethod
    def _write_close(self, code: int, reason: str) -> None: ...

    @abstractmethod
    def _cut(self) -> None: ...

    @abstractmethod
    def _stop_reading(self) -> None: ...

    async def run_script(self, steps: tuple[Step, ...]) -> None:
        for step in steps:
            match step:
                case SendStep(message):
                    self.deliver(message)
                case StreamStep():
                    if not await self._stream(step):
                        return
                case WaitStep(seconds):
                    await asyncio.sleep(seconds)
                case ExpectStep():
                    if not self._is_expected(step, await self._inbox.get()):
                        return
                case LastStep.ECHO:
                    while True:
                        self.deliver(await self._inbox.get())
                case CloseStep(code, reason):
                    self.close(code, reason)
                case LastStep.DROP:
                    self.drop()
                case LastStep.FREEZE:
                    self.freeze()
                case LastStep.STAY:
                    return

    async def _stream(self, step: StreamStep) -> bool:
        start, sent = self.loop.time(), 0
        try:
            for message in step.open_messages():
                if step.rate is not None:
                    early = start + sent / step.rate - self.loop.time()
                    if early > 0:
                        await asyncio.sleep(early)
                if self.closing or self.frozen or not await self._write_and_drain(message):
                    break
                sent += 1
        except Exception as error:
            failure = AssertionError(f"#{self.number} stopped streaming: {error!r}")
            failure.__cause__ = error
            self._log.add_failure(self.loop, failure)
            return False
        finally:
            self._log.add_line(f"#{self.number} streamed {sent} messages")
        return True

    def _is_expected(self, step: ExpectStep, message: Payload) -> bool:
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
        self._log.add_failure(self.loop, failure)
        return False
