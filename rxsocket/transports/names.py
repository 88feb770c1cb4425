"""The transports that have a name. Their libraries are imported when they are asked for."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any, Literal, TypeAlias, cast

from rxsocket.transports.base import Transport
from rxsocket.validation import function

TransportName: TypeAlias = Literal["websockets", "picows"]

_PLACES = {
    "websockets": ("rxsocket.transports.websockets", "websockets_transport"),
    "picows": ("rxsocket.transports.picows", "picows_transport"),
}


def transport_for(given: Any) -> Transport:
    """Find the transport of a name, or check that a function was given.

    Raises:
        TypeError: If it is neither a string nor a function.
        ValueError: If there is no transport of that name.
        ImportError: If the library of the transport is not installed.
    """
    if not isinstance(given, str):
        return cast(Transport, function("transport", given))
    if given not in _PLACES:
        raise ValueError(f"transport: pass 'websockets', 'picows' or a function, not {given!r}")
    try:
        return _imported(*_PLACES[given])
    except ModuleNotFoundError as error:
        if given != "picows":
            raise
        missing = error.name
    raise ModuleNotFoundError(
        f"transport: 'picows' needs {missing}; run pip install 'rxsocket[fast]'", name=missing
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
    if given == "picows":
        if compression == "deflate":
            raise ValueError(
                "compression: transport='picows' can do none; pass 'auto' or None, or "
                "transport='websockets'"
            )
        return None if compression == "auto" else compression
    return "deflate" if compression == "auto" else compression
