"""``proxy=`` of a socket: checked when it is made, shown without its password."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

from rxsocket.endpoint.endpoint import Endpoint
from rxsocket.url import Address

P = TypeVar("P", str, Literal[True])

_ANY_ORIGIN = ("wss", "host.invalid", 443)
"""Stands for an address that is not known yet."""


def checked_proxy(proxy: Any, endpoint: Endpoint, *, is_ours: bool) -> str | Literal[True] | None:
    """Check ``proxy``.

    Args:
        proxy: The argument.
        endpoint: The addresses that are reached through it.
        is_ours: Whether the transport is one of the library's.

    Raises:
        TypeError: If it is no address.
        ValueError: If it is none of a proxy that can be used.
    """
    if proxy is None:
        return None
    if proxy is True:
        return _checked(True, endpoint) if is_ours else True
    if not isinstance(proxy, str):
        raise TypeError("proxy: pass an address, True for the environment's, or None for no proxy")
    return _checked(proxy, endpoint)


def _checked(proxy: P, endpoint: Endpoint) -> P:
    origins = [one.origin for one in endpoint.addresses if not one.is_unix]
    if proxy is not True and not origins:
        if endpoint.address is not None:
            raise ValueError("proxy: a unix socket is not reached through one; leave it out")
        origins = [_ANY_ORIGIN]
    if origins:
        from rxsocket.transports.proxies import check_proxy  # it imports much of websockets

        for origin in origins:
            check_proxy(origin, proxy)
    return proxy


def shown_proxy(proxy: str | Literal[True] | None, address: Address | None) -> str | None:
    """The proxy that an attempt goes through now, without its password."""
    if proxy is None:
        return None
    if address.is_unix if address is not None else proxy is True:
        return None
    from rxsocket.transports.proxies import proxy_shown

    return proxy_shown(_ANY_ORIGIN if address is None else address.origin, proxy)
