"""The ways of a credential onto a connection, and where a server sees each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rxsocket import Carried, Carrier, cookie, header, query, subprotocol
from rxsocket.testing import Handshake


def own(value: Any) -> Carried:
    """A carrier of the user's."""
    return Carried(headers={"X-Ticket": value})


CARRIERS: dict[str, tuple[Carrier, Callable[[Handshake], str | None]]] = {
    "query": (query("key"), lambda seen: seen.query.get("key")),
    "header": (header(), lambda seen: seen.credential),
    "own header": (header("X-Ticket", scheme=None), lambda seen: seen.headers.get("X-Ticket")),
    "cookie": (cookie(), lambda seen: seen.credential),
    "subprotocol": (subprotocol("v1"), lambda seen: seen.credential),
    "plain subprotocol": (subprotocol(encode="plain"), lambda seen: seen.subprotocols[-1]),
    "function": (own, lambda seen: seen.headers.get("X-Ticket")),
    "combined": (query("key") & header() & own, lambda seen: _one_of_all(seen)),
}


def _one_of_all(seen: Handshake) -> str | None:
    given = {seen.query.get("key"), seen.credential, seen.headers.get("X-Ticket")}
    assert len(given) == 1
    return given.pop()
