"""What a socket cannot be told where it is a page's, and what to pass instead (C57).

It is said when the socket is made. What has no meaning there, and was not asked for, is left out.
"""

from __future__ import annotations

from typing import Any

from rxsocket.auth.carrier import Carried, Combinable
from rxsocket.endpoint.endpoint import Endpoint
from rxsocket.version import USER_AGENT

_WORKS = "query(), subprotocol() or first_message()"
_COOKIES = "the cookies that the browser has it sends by itself"
_CARRIERS = {
    "header": ("header()", "a browser lets no page set a header"),
    "cookie": ("cookie()", f"a browser lets no page set one, and {_COOKIES}"),
    "certificate": (
        "client_certificate()",
        "a browser shows the certificates that it has by itself",
    ),
}
_USUAL: dict[str, Any] = {
    "ssl": None,
    "proxy": True,
    "additional_headers": None,
    "origin": None,
    "user_agent_header": USER_AGENT,
    "compression": "auto",
    "ping_interval": 20.0,
    "ping_timeout": 20.0,
}
"""What these arguments are where they were left out."""
_HAS_ITS_OWN = "the browser has its own, which a page cannot change"
_WHY = {
    "ssl": f"TLS settings: {_HAS_ITS_OWN}; leave it out",
    "proxy": f"a proxy: {_HAS_ITS_OWN}; leave it out",
    "additional_headers": (
        "a browser lets no page set a header; leave it out, and put what the server needs into the "
        "URL or a first message"
    ),
    "origin": "the browser says the Origin of the page itself; leave it out",
    "user_agent_header": "the browser says its own; leave it out",
    "compression": "the browser agrees on it with the server by itself; leave it out",
    "ping_interval": (
        "a page sends no pings; leave it out, and pass heartbeat= or stale_after= to notice a link "
        "that is dead"
    ),
    "ping_timeout": "a page sends no pings; leave it out",
}


def for_browser(policy: dict[str, Any], endpoint: Endpoint, **handshake: Any) -> None:
    """Check the arguments of a socket of a page's.

    Args:
        policy: Arguments of the socket; pings are taken out.
        endpoint: Its addresses.
        handshake: The arguments about the handshake.

    Raises:
        ValueError: If one was asked for that a page cannot do; the text says what to pass.
    """
    for name, value in {**handshake, **policy}.items():
        if name in _USUAL and value is not None and value != _USUAL[name]:
            raise ValueError(f"{name}: {_WHY[name]}")
    carrier = policy["carrier"]
    for way in sorted(carrier.ways & _CARRIERS.keys() if isinstance(carrier, Combinable) else ()):
        shown, why = _CARRIERS[way]
        raise ValueError(f"carrier: {shown} cannot carry a credential here: {why}; pass {_WORKS}")
    if endpoint.local_address is not None:
        raise ValueError("local_address: the browser chooses one by itself; leave it out")
    policy["ping_interval"] = None


def check_carried_in_browser(carried: Carried) -> None:
    """Check what a carrier of the user's made.

    Raises:
        ValueError: If a page cannot send it.
    """
    if carried.headers or carried.cookies or carried.certificate is not None:
        what = "headers" if carried.headers else "cookies" if carried.cookies else "a certificate"
        raise ValueError(
            f"carrier: it returned {what}, which a browser lets no page set; return query=, "
            "subprotocols= or greeting="
        )
