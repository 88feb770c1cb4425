"""The transports that have a name, and which of them an address means.

Their libraries are imported when they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import import_module
from typing import Any, Literal, TypeAlias, cast

from rxsocket.transports.base import Transport
from rxsocket.url import Address
from rxsocket.validation import function

TransportName: TypeAlias = Literal["auto", "websockets", "picows", "sse"]

_PLACES = {
    "websockets": ("rxsocket.transports.websockets", "websockets_transport"),
    "picows": ("rxsocket.transports.picows", "picows_transport"),
    "sse": ("rxsocket.transports.sse", "sse_transport"),
}
_EXTRAS = {"picows": "fast", "sse": "sse"}


def named(given: Any, addresses: Iterable[Address]) -> Any:
    """The name of the transport for some addresses, where ``"auto"`` was given; else what was.

    Raises:
        ValueError: If no transport, or not the one that was given, speaks with all of them.
    """
    if given == "auto":
        is_http = [address.is_http for address in addresses]
        if any(is_http) and not all(is_http):
            raise ValueError("url: addresses of one kind go together: ws:// and wss://, or http://")
        return "sse" if any(is_http) else "websockets"
    name = getattr(given, "wraps", given)
    if name in (*_PLACES, "auto"):
        for address in addresses:
            if (why_not := mismatch(name, address)) is not None:
                hint = ", or leave transport= out" if name is given else ""
                raise ValueError(f"url: {why_not}{hint}")
    return given


def mismatch(name: Any, address: Address) -> str | None:
    """Why a transport does not speak with an address, in words; ``None`` if it does."""
    scheme = "ws+unix:" if address.is_unix else f"{address.origin[0]}://"
    if name == "sse":
        if address.is_http or address.url.startswith("unix:"):
            return None
        ours = address.as_event_stream
        return f"not an address of server-sent events; pass {ours} instead of {scheme}"
    if isinstance(name, str) and address.is_http:
        return f"not a WebSocket address; pass {address.as_websocket} instead of {scheme}"
    return None


def transport_for(given: Any) -> Transport:
    """Find the transport of a name, or check that a function was given.

    Raises:
        TypeError: If it is neither a string nor a function.
        ValueError: If there is no transport of that name.
        ImportError: If the library of the transport is not installed.
    """
    if not isinstance(given, str):
        return cast(Transport, function("transport", given))
    given = "websockets" if given == "auto" else given  # where no address says more
    if given not in _PLACES:
        raise ValueError(
            f"transport: pass 'websockets', 'picows', 'sse' or a function, not {given!r}; 'auto' "
            "takes the one that the address means"
        )
    try:
        return _imported(*_PLACES[given])
    except ModuleNotFoundError as error:
        if given not in _EXTRAS:
            raise
        missing = error.name
    hint = ""
    if given == "sse":
        hint = ". An address that begins with http is that of server-sent events; that of a "
        hint += "WebSocket begins with ws:// or wss://"
    raise ModuleNotFoundError(
        f"transport: {given!r} needs {missing}; run pip install 'rxsocket[{_EXTRAS[given]}]'{hint}",
        name=missing,
    )


@cache
def _imported(module: str, name: str) -> Transport:
    return cast(Transport, getattr(import_module(module), name))


def compression_for(given: object, compression: Any) -> Any:
    """The compression to offer on a transport.

    Args:
        given: The ``transport`` argument.
        compression: The ``compression`` argument; ``"auto"`` is what the transport can do.

    Raises:
        ValueError: If it was asked for and the transport can do none.
    """
    if given in _EXTRAS:
        if compression == "deflate":
            other = ", or transport='websockets'" if given == "picows" else ""
            raise ValueError(
                f"compression: transport={given!r} can do none; pass 'auto' or None{other}"
            )
        return None if compression == "auto" else compression
    return "deflate" if compression == "auto" else compression
