"""The carrier that a socket is given."""

from __future__ import annotations

from typing import Any

from rxsocket.auth.carriers.combining import Carrier
from rxsocket.auth.carriers.cookies import cookie
from rxsocket.auth.carriers.first_message import first_message
from rxsocket.auth.carriers.headers import header
from rxsocket.auth.carriers.queries import query
from rxsocket.auth.carriers.subprotocols import subprotocol
from rxsocket.callables import function_of_one

__all__ = ["carrier_or_query"]

_MAKERS: tuple[Any, ...] = (query, header, cookie, subprotocol, first_message)


_query = query()


def carrier_or_query(given: Any) -> Carrier:
    """Check the argument ``carrier``; the default is ``query()``.

    Raises:
        TypeError: If it is no function of a credential, or one that makes carriers, not called.
    """
    if given is None:
        return _query
    if given in _MAKERS:
        raise TypeError(f"carrier: call it, {given.__name__}(...)")
    example = "query(), header(), cookie(), subprotocol(), first_message() or a function of yours"
    chosen: Carrier = function_of_one("carrier", given, example)
    return chosen
