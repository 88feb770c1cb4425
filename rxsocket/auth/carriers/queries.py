"""The credential in the query of the URL."""

from __future__ import annotations

from rxsocket.arguments import instance
from rxsocket.auth.carriers.carried import Carried
from rxsocket.auth.carriers.combining import Combinable, Only, names
from rxsocket.auth.carriers.entries import texts
from rxsocket.auth.credentials import CredentialValue

__all__ = ["query"]


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
        TypeError: If ``key`` is no string.
        ValueError: If ``key`` is empty.

    Examples:
        >>> socket = Socket("wss://example.com/feed?room=1", auth={"token": "abc"}, carrier=query())
        >>> # dials wss://example.com/feed?room=1&token=abc
    """
    if not instance("query(key)", key, str, "the name of a query parameter, such as 'token'"):
        raise ValueError("query(key): pass the name of a query parameter, such as 'token'")

    def carry(value: CredentialValue) -> Carried:
        return Carried(query=texts(value, key))

    sets = [f"query parameter {key!r}"]
    return Combinable(carry, f"query({key!r})", names("query", only), sets)
