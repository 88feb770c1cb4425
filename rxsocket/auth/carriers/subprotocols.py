"""The credential among the subprotocols, where browsers have to put it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, Literal, cast

from rxsocket.auth.carriers.carried import Carried
from rxsocket.auth.carriers.combining import Combinable, Only, names
from rxsocket.auth.carriers.entries import texts
from rxsocket.auth.carriers.syntax import subprotocol_name
from rxsocket.auth.credentials import CredentialValue

__all__ = ["subprotocol"]


def subprotocol(
    name: str | None = None,
    *,
    prefix: str | None = None,
    encode: Literal["base64url", "plain"] | Callable[[str], str] = "base64url",
    key: str = "token",
    only: Only = None,
) -> Combinable:
    """Carry the credential as a subprotocol, next to a fixed one that the server can choose.

    Pages in a browser can set no header, so servers that are made for them look among the offered
    subprotocols::

        Sec-WebSocket-Protocol: <name>, <prefix><token in base64url, without padding>

    A server answers with ``name``, never with the other one. If it does nevertheless, that shows as
    ``"***"`` in ``Opened.subprotocol``.

    A string is carried. Of a mapping, the entry ``key`` is; another entry is a ``ValueError``: say
    where it goes, as in ``subprotocol("v1", only="token") & query(only="room")``.

    Args:
        name: The fixed subprotocol. It can be left out if ``subprotocols=`` of the socket has one,
            or the server needs none.
        prefix: What stands before the token; default ``"base64url.bearer."`` for base64url, else
            nothing.
        encode: ``"base64url"``; ``"plain"`` for the token as it is, which it must allow (a JSON Web
            Token does); or a function such as ``urllib.parse.quote``.
        key: The entry of a mapping that is carried.
        only: The entries of a mapping that go this way; default all.

    Raises:
        TypeError: If an argument is of a wrong type.
        ValueError: If a name, or what comes of a value, is no token (RFC 9110, section 5.6.2).

    Examples:
        >>> subprotocol("v4.channel.k8s.io", prefix="base64url.bearer.authorization.k8s.io.")
        >>> subprotocol("phoenix", prefix="base64url.bearer.phx.")
        >>> subprotocol("access_token", encode="plain")    # access_token, <token>
        >>> subprotocol(encode="plain")                    # <token>
    """
    if name is not None:
        subprotocol_name("subprotocol(name)", name)
    encoder = _encoder(encode)
    before = prefix if prefix is not None else _BEARER if encode == "base64url" else ""
    if before:
        subprotocol_name("subprotocol(prefix)", before)

    def carry(value: CredentialValue) -> Carried:
        return Carried(
            subprotocols=[_offer(*entry) for entry in texts(value, key)],
            fixed=() if name is None else (name,),
        )

    def _offer(given: str, text: str) -> str:
        if given != key:
            raise ValueError(
                f"auth[{given!r}]: a subprotocol carries the entry {key!r} only; say where the "
                f"others go, as in subprotocol(only={key!r}) & query(only={given!r})"
            )
        return subprotocol_name(f"auth[{key!r}]", before + encoder(text))

    shown = "subprotocol()" if name is None else f"subprotocol({name!r})"
    return Combinable(carry, shown, names("subprotocol", only))


_BEARER = "base64url.bearer."


def _encoder(encode: Any) -> Callable[[str], str]:
    if encode == "base64url":
        return _base64url
    if encode == "plain":
        return str
    if callable(encode):
        return cast("Callable[[str], str]", encode)
    raise ValueError("subprotocol(encode): pass 'base64url', 'plain' or a function of the text")


def _base64url(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()
