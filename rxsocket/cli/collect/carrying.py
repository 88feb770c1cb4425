"""The carrier that ``[carrier]`` describes (C10)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rxsocket.auth.carrier import Carried, Combinable, Predicate
from rxsocket.auth.carriers import cookie, first_message, header, query, subprotocol
from rxsocket.auth.client_certificate import client_certificate
from rxsocket.auth.credentials import CredentialValue
from rxsocket.cli.collect.paths import Match
from rxsocket.cli.collect.received import ReceivedCodec
from rxsocket.cli.collect.schema import CarrierTable
from rxsocket.cli.collect.templates import Filling, Template

TAKES = {
    "query": ("name",),
    "header": ("name", "scheme"),
    "cookie": ("name",),
    "subprotocol": ("name",),
    "certificate": (),
    "first_message": ("message", "accepted", "rejected", "timeout"),
    "none": (),
}
"""The keys that each kind has, besides ``kind``."""


class ConfiguredCarrier:
    """A carrier that can be sent to another process, where it is made anew.

    Args:
        tables: Those of the config, of which each is right.
        codec: Makes and reads first messages.
    """

    def __init__(self, tables: Sequence[CarrierTable], codec: ReceivedCodec) -> None:
        self._given = tuple(tables), codec
        made = [_carrier(table, codec) for table in tables]
        carrier = made[0]
        for other in made[1:]:
            carrier = carrier & other
        self._carrier: Callable[[CredentialValue], Carried] = carrier.__call__

    def __reduce__(self) -> tuple[Any, ...]:
        return ConfiguredCarrier, self._given

    def __repr__(self) -> str:
        return " & ".join(table.kind for table in self._given[0])

    def __call__(self, value: CredentialValue) -> Carried:
        return self._carrier(value)


def _carrier(table: CarrierTable, codec: ReceivedCodec) -> Combinable:
    name = table.name
    match table.kind:
        case "query":
            return query() if name is None else query(name)
        case "header":
            more: dict[str, Any] = {"name": name, "scheme": table.scheme}
            return header(**{key: value for key, value in more.items() if value is not None})
        case "cookie":
            return cookie() if name is None else cookie(name)
        case "subprotocol":
            return subprotocol(name)
        case "certificate":
            return client_certificate()
        case "first_message":
            return _first_message(table, codec)
        case "none":
            return Combinable(_nothing, "none")


def _nothing(value: CredentialValue) -> Carried:
    return Carried()


def _first_message(table: CarrierTable, codec: ReceivedCodec) -> Combinable:
    template = Template(table.message)

    def encode(value: CredentialValue) -> str | bytes:
        return codec.encode(template.fill(Filling([], 1, value, _not_assigned)))

    accepted, rejected = _looks(table.accepted, codec), _looks(table.rejected, codec)
    if table.timeout is None:
        return first_message(encode, accepted, rejected)
    return first_message(encode, accepted, rejected, table.timeout)


def _looks(looks: Any, codec: ReceivedCodec) -> Predicate | None:
    if looks is None:
        return None
    match = Match(looks)

    def is_such(message: str | bytes) -> bool:
        try:
            value = codec.decode(message).value
        except Exception:
            return False
        return match(value)

    return is_such


def _not_assigned(key: Any) -> Any:
    raise LookupError("the first message is about no channel")
