"""The log of a scripted server: handshakes, messages, closes, and short lines."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

from websockets.datastructures import Headers

from rxsocket.testing.clock import ChangeCondition, VirtualClock
from rxsocket.testing.script import Payload


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Handshake:
    """One opening handshake, as the server saw it. Its repr shows no secret (C28).

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
