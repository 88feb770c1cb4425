"""Following redirects: within the origin the credential goes along, to another one never (C28)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from rxsocket.address import Address
from rxsocket.errors import RedirectRefused
from rxsocket.transports.seam import Request

__all__ = ["Redirect", "following"]

T = TypeVar("T")

MAX_REDIRECTS = 10
_DROPPED_ON_REDIRECT = ("authorization", "cookie", "proxy-authorization")


class Redirect(Exception):
    """The server answered with a redirect; ``location`` says where to."""

    def __init__(self, location: str) -> None:
        self.location = location


async def following(request: Request, handshake: Callable[[Request], Awaitable[T]]) -> T:
    """Make the handshake of a request, and that of each address it is redirected to.

    Args:
        request: What to dial first.
        handshake: Opens one connection, or raises :class:`Redirect`.

    Raises:
        RedirectRefused: If following would be unsafe, or endless.
    """
    first = request
    for _ in range(MAX_REDIRECTS):
        try:
            return await handshake(request)
        except Redirect as redirect:
            location = redirect.location
        request = _redirected(request, Address.parse(first.url), location)
    raise RedirectRefused(f"more than {MAX_REDIRECTS} redirects")


def _redirected(request: Request, origin: Address, location: str) -> Request:
    try:
        target = Address.parse(request.url).join(location)
    except ValueError:
        target = None
    if target is None:
        raise RedirectRefused("redirected to what is no WebSocket address")
    if origin.secure and not target.secure:
        raise RedirectRefused("redirected from wss:// to ws://, which is not safe to follow")
    if target.origin == origin.origin and request.redirected is not None:
        return request.redirected(location)
    if not request.anonymous or origin.has_user_info:
        scheme, host, port = target.origin
        raise RedirectRefused(
            f"redirected to another origin, {scheme}://{host}:{port}, where the credential is not "
            "sent; use that address if you trust it"
        )
    kept = tuple(
        (name, value)
        for name, value in request.options.additional_headers
        if name.lower() not in _DROPPED_ON_REDIRECT
    )
    return Request(url=target.url, options=replace(request.options, additional_headers=kept))
