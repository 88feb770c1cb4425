"""Carriers: how a credential is put on a connection (C10).

A carrier is a function from a credential's value, a string or a mapping, to the :class:`Carried`
that it adds to the handshake. It is called again for each attempt. Where it is left out, it is
``query()``.

Of a string, every carrier carries the string. Of a mapping it carries every entry, or those that
``only=`` names; what it cannot carry fails at once. So a mapping is split like this::

    auth = {"key": "k1", "token": "t1", "room": 7}
    carrier = query(only=["key", "room"]) & header(only="token")
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any, Literal, cast

from rxsocket.auth.carrier import (
    AnyCarrier,
    Carried,
    Combinable,
    FirstMessage,
    Only,
    Predicate,
    names,
)
from rxsocket.auth.client_certificate import client_certificate
from rxsocket.auth.credentials import CredentialValue
from rxsocket.validation import (
    cookie_name,
    cookie_value,
    encodable,
    function,
    function_of_one,
    header_name,
    header_value,
    instance,
    is_list,
    one_line,
    seconds,
    subprotocol_name,
    takes_also,
)


def query(key: str = "token", *, only: Only = None) -> Combinable:
    """Carry the credential as query parameters of the URL, which is the default.

    A mapping's entries become parameters; a list repeats its name, ``None`` is left out, booleans
    are ``true`` and ``false``. A string becomes the parameter ``key``.

    URLs end up in the access logs of servers and proxies. Where the server takes a header, use
    :func:`header`.

    Args:
        key: Name of the parameter for a credential that is a string.
        only: The entries of a mapping that go this way; default all.

    Raises:
        TypeError: If ``key`` is not a string.
        ValueError: If ``key`` is empty.

    Examples:
        >>> socket = Socket("wss://example.com/feed?room=1", auth={"token": "abc"}, carrier=query())
        >>> # dials wss://example.com/feed?room=1&token=abc
    """
    if not instance("query(key)", key, str, "the name of a query parameter, such as 'token'"):
        raise ValueError("query(key): pass the name of a query parameter, such as 'token'")

    def carry(value: CredentialValue) -> Carried:
        return Carried(query=_texts(value, key))

    sets = [f"query parameter {key!r}"]
    return Combinable(carry, f"query({key!r})", names("query", only), sets)


def header(
    name: str = "Authorization",
    scheme: str | None = "Bearer",
    key: str = "token",
    *,
    only: Only = None,
) -> Combinable:
    """Carry the credential in headers of the handshake.

    A string goes into the header ``name``, after ``scheme``. Of a mapping, the entry ``key`` does,
    and every other entry is a header of its own.

    Args:
        name: The header.
        scheme: What stands before the value, such as ``"Bearer"``; ``None`` for the bare value.
        key: The entry of a mapping that goes into that header.
        only: The entries of a mapping that go this way; default all.

    Raises:
        ValueError: If a name or the scheme cannot stand in a header.

    Examples:
        >>> Socket(url, auth="abc", carrier=header())                 # Authorization: Bearer abc
        >>> Socket(url, auth={"token": "abc", "X-Device": "7"}, carrier=header())
        >>> Socket(url, auth={"X-Api-Key": "abc"}, carrier=header())  # X-Api-Key: abc
        >>> Socket(url, auth="abc", carrier=header("X-Api-Key", scheme=None))
    """
    header_name("header(name)", name)
    if scheme is not None:
        header_value("header(scheme)", scheme)

    def carry(value: CredentialValue) -> Carried:
        return Carried(headers=[_header(*entry) for entry in _texts(value, key)])

    def _header(given: str, text: str) -> tuple[str, str]:
        if given == key:
            return name, header_value(f"auth[{key!r}]", f"{scheme} {text}" if scheme else text)
        return header_name(f"auth[{given!r}]", given), header_value(f"auth[{given!r}]", text)

    sets = [f"header {name.title()!r}"]
    return Combinable(carry, f"header({name!r})", names("header", only), sets, way="header")


def cookie(name: str = "token", *, only: Only = None) -> Combinable:
    """Carry the credential in cookies, for servers that know a session by its cookie.

    A string becomes the cookie ``name``; every entry of a mapping becomes a cookie of its own. They
    go into one ``Cookie`` header, together with those of ``additional_headers``; of a cookie that
    both have, the credential's counts.

    Args:
        name: Name of the cookie for a credential that is a string.
        only: The entries of a mapping that go this way; default all.

    Raises:
        ValueError: If ``name`` is no name of a cookie. White space, quotes, commas, semicolons and
            backslashes in a *value* are one, too: which encoding the server undoes, only you know.

    Examples:
        >>> Socket(url, auth="abc", carrier=cookie("session"))        # Cookie: session=abc
        >>> Socket(url, auth={"sid": "abc", "csrf": "x"}, carrier=cookie())
    """
    cookie_name("cookie(name)", name)

    def carry(value: CredentialValue) -> Carried:
        return Carried(cookies=[_cookie(*entry) for entry in _texts(value, name)])

    def _cookie(given: str, text: str) -> tuple[str, str]:
        argument = f"auth[{given!r}]"
        return cookie_name(argument, given), cookie_value(argument, text)

    sets = [f"cookie {name!r}"]
    return Combinable(carry, f"cookie({name!r})", names("cookie", only), sets, way="cookie")


def first_message(
    encode: Callable[[CredentialValue], str | bytes]
    | Callable[[CredentialValue, Any], str | bytes],
    accepted: Predicate | None = None,
    rejected: Predicate | None = None,
    timeout: float = 10.0,
    *,
    only: Only = None,
) -> Combinable:
    """Carry the credential as the first message of each connection.

    ::

        link        o--auth>----<ok-----1--2--
        state       connecting  open
        opens       ------------o-------------
        messages    --------------------1--2--

    The socket counts as open when the server has accepted; nothing of the user goes out before, and
    what else the server says before that is delivered after ``Opened`` (rule C19, re-open order).

    Args:
        encode: Given the credential's value (a string or a mapping), the message to send. If it
            takes a second argument, that is the newest place in the stream, or ``None``
            (rule C38, resuming).
        accepted: Whether a message, as it came, is the server's yes. It is not delivered. Left out:
            the socket is open as soon as the message was sent.
        rejected: Whether a message is the server's no: the credential counts as refused
            (rule C9, refused credentials are remembered). It may return an exception that says why,
            such as ``CredentialRefused(text)``; one of another class is what the attempt failed
            with, and the table says what follows (rule C16, verdicts).
        timeout: Seconds to wait for either; then the attempt has failed.
        only: The entries of a mapping that it is for; ``None`` for all.

    Raises:
        TypeError: If an argument is of a wrong type.
        ValueError: If the timeout is negative.

    Examples:
        >>> first_message(lambda token: json.dumps({"type": "auth", "token": token}),
        ...               accepted=lambda message: '"auth_ok"' in message,
        ...               rejected=lambda message: '"auth_error"' in message)
    """
    function("first_message(encode)", encode)
    for name, predicate in (("accepted", accepted), ("rejected", rejected)):
        if predicate is not None:
            function(f"first_message({name})", predicate)
    time_limit = seconds("first_message(timeout)", timeout)

    encoder: Callable[..., str | bytes] = encode
    takes_cursor = takes_also(encode, "cursor")

    def carry(value: CredentialValue, cursor: Any) -> Carried:
        message = encoder(value, cursor) if takes_cursor else encoder(value)
        if isinstance(message, str):
            encodable("what first_message(encode) returned", message)
        elif not isinstance(message, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]
            kind = type(message).__name__
            raise TypeError(f"first_message(encode): return str or bytes, not {kind}")
        first = FirstMessage(
            message=message, accepted=accepted, rejected=rejected, timeout=time_limit
        )
        return Carried(greeting=first)

    only_these = names("first_message", only)
    return Combinable(carry, "first_message()", only_these, ("first message",), way="message")


_BEARER = "base64url.bearer."


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
        ValueError: If a name, or what comes of a value, is not a token (RFC 9110, section 5.6.2).

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
            subprotocols=[_offer(*entry) for entry in _texts(value, key)],
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
    return Combinable(carry, shown, names("subprotocol", only), way="subprotocol")


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


_MAKERS: tuple[Any, ...] = (
    query,
    header,
    cookie,
    subprotocol,
    first_message,
    client_certificate,
)
_query = query()


def carrier_or_query(given: Any) -> AnyCarrier:
    """Check the argument ``carrier``; the default is ``query()``.

    Raises:
        TypeError: If it is not a function of a credential, or is ``query`` instead of ``query()``.
    """
    if given is None:
        return _query
    if given in _MAKERS:
        raise TypeError(f"carrier: call it, {given.__name__}(...)")
    example = "query(), header(), cookie(), subprotocol(), first_message() or a function of yours"
    chosen: AnyCarrier = given
    is_resuming = callable(given) and takes_also(given, "cursor")
    if not is_resuming:
        function_of_one("carrier", chosen, example)
    return chosen


_Headers = tuple[tuple[str, str], ...]


def with_cookies(headers: _Headers, cookies: tuple[tuple[str, str], ...]) -> _Headers:
    """Headers with cookies among them: one ``Cookie`` header (RFC 6265, section 5.4).

    A cookie that is in both is taken from ``cookies``.
    """
    replaced = {name for name, _ in cookies}
    there = "; ".join(value for name, value in headers if name.lower() == "cookie")
    pairs = [pair.strip() for pair in there.split(";")]
    kept = [pair for pair in pairs if pair and pair.partition("=")[0].strip() not in replaced]
    others = tuple(pair for pair in headers if pair[0].lower() != "cookie")
    return (*others, ("Cookie", "; ".join([*kept, *(f"{name}={text}" for name, text in cookies)])))


def _texts(value: CredentialValue, key: str) -> Iterator[tuple[str, str]]:
    """Name and text of each entry.

    A list repeats its name, ``None`` is left out, booleans are ``true`` and ``false``; a string is
    the entry ``key``.

    Raises:
        ValueError: If one has lines, as a private key in PEM has: that is for no URL or header.
    """
    for name, entry in ((key, value),) if isinstance(value, str) else value.items():
        for item in entry if is_list(entry) else (entry,):
            if item is not None:
                text = str(item).lower() if isinstance(item, bool) else str(item)
                yield name, one_line(f"auth[{name!r}]", text)
