"""What a credential adds to a handshake."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from rxsocket.arguments import encodable, is_mapping
from rxsocket.auth.carriers.syntax import (
    cookie_name,
    cookie_value,
    header_name,
    header_value,
    subprotocol_name,
)
from rxsocket.auth.greeting import Greeting

__all__ = ["Carried", "Pairs", "conflict"]

Pairs: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]]
_Checks: TypeAlias = Callable[[str, Any], str]


@dataclass(frozen=True, slots=True, init=False)
class Carried:
    """What a credential adds to a handshake. It never shows (C28).

    What it is made of is checked, so that nothing can be smuggled into a handshake.

    Args:
        query: Query parameters, decoded: a mapping, or pairs.
        headers: Headers: a mapping, or pairs.
        cookies: Cookies: a mapping, or pairs. They go into one ``Cookie`` header, with those of
            ``additional_headers``.
        subprotocols: Subprotocols to offer that hold the credential. When the server chooses one,
            ``Opened.subprotocol`` is ``"***"``.
        fixed: Subprotocols to offer that hold no secret. They are offered first.
        greeting: What to say first over the connection; see ``first_message()``.

    Raises:
        TypeError: If something in it is no string.
        ValueError: If something may not stand where it is put (RFC 9110, RFC 6265, RFC 6455).

    Examples:
        >>> def signed(value):
        ...     return Carried(headers={"X-Key": value["key"], "X-Signature": sign(value)})
        >>> Socket(url, auth={"key": "k", "secret": "s"}, carrier=signed)
    """

    query: tuple[tuple[str, str], ...] = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    cookies: tuple[tuple[str, str], ...] = field(repr=False)
    subprotocols: tuple[str, ...] = field(repr=False)
    fixed: tuple[str, ...]
    greeting: Greeting | None = field(repr=False)

    def __init__(
        self,
        *,
        query: Pairs = (),
        headers: Pairs = (),
        cookies: Pairs = (),
        subprotocols: Iterable[str] = (),
        fixed: Iterable[str] = (),
        greeting: Greeting | None = None,
    ) -> None:
        put = object.__setattr__  # frozen
        put(self, "query", _pairs("query", query, _parameter, _parameter))
        put(self, "headers", _pairs("headers", headers, header_name, header_value))
        put(self, "cookies", _pairs("cookies", cookies, cookie_name, cookie_value))
        put(self, "subprotocols", _names("subprotocols", subprotocols))
        put(self, "fixed", _names("fixed", fixed))
        put(self, "greeting", greeting)

    def merged(self, other: Carried) -> Carried:
        """Both.

        Raises:
            ValueError: If both set the same parameter, header or cookie.
        """
        for place in ("query", "headers", "cookies"):
            _no_conflict(place, getattr(self, place), getattr(other, place))
        for one, another in ((self, other), (other, self)):
            if one.cookies and any(name.lower() == "cookie" for name, _ in another.headers):
                raise ValueError(conflict("header 'Cookie'"))
        if self.greeting is not None and other.greeting is not None:
            raise ValueError(conflict("first message"))
        return Carried(
            query=self.query + other.query,
            headers=self.headers + other.headers,
            cookies=self.cookies + other.cookies,
            subprotocols=dict.fromkeys(self.subprotocols + other.subprotocols),
            fixed=dict.fromkeys(self.fixed + other.fixed),
            greeting=self.greeting or other.greeting,
        )


_PLACES = {"query": "query parameter", "headers": "header", "cookies": "cookie"}


def conflict(what: str) -> str:
    """What to say when two carriers set the same."""
    return f"carrier: two of the combined carriers set the {what}; say what each carries with only="


def _no_conflict(
    place: str, one: tuple[tuple[str, str], ...], other: tuple[tuple[str, str], ...]
) -> None:
    fold: Callable[[str], str] = str.lower if place == "headers" else str
    taken = {fold(name) for name, _ in one}
    for name, _ in other:
        if fold(name) in taken:
            raise ValueError(conflict(f"{_PLACES[place]} {name!r}"))


def _pairs(
    place: str, given: Pairs, check_name: _Checks, check_value: _Checks
) -> tuple[tuple[str, str], ...]:
    if given == ():
        return ()
    pairs: Any = given.items() if is_mapping(given) else given
    if isinstance(pairs, str):
        raise TypeError(f"Carried({place}): pass a mapping or pairs of name and value, not str")
    return tuple(
        (check_name(f"Carried({place})", name), check_value(f"Carried({place}[{name!r}])", value))
        for name, value in pairs
    )


def _names(place: str, given: Iterable[str]) -> tuple[str, ...]:
    if given == ():
        return ()
    if isinstance(given, str):
        raise TypeError(f"Carried({place}): pass a list of names, not str")
    return tuple(subprotocol_name(f"Carried({place})", name) for name in given)


def _parameter(argument: str, text: Any) -> str:
    if not isinstance(text, str):
        raise TypeError(f"{argument}: pass a string, not {type(text).__name__}")
    return encodable(argument, text)
