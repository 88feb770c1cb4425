"""Which hosts a credential may go to (C33)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from rxsocket.url import Address, host_name, split_unix

ANY_SUBDOMAIN = "*."


def allowed_host(argument: str, host: Any) -> str:
    """Check a host that the user allows: ``example.com``, ``*.example.com`` or ``unix:/path``.

    Raises:
        TypeError: If it is not a string.
        ValueError: If it is no host.
    """
    if not isinstance(host, str):
        raise TypeError(f"{argument}: pass names of hosts, not {type(host).__name__}")
    if (path := split_unix(host)[0]) is not None:
        return Address.parse(f"unix:{path.replace(':', '%3A')}", argument).host
    name = host.removeprefix(ANY_SUBDOMAIN)
    bare = f"[{name}]" if name.count(":") > 1 and not name.startswith("[") else name
    try:
        parts = urlsplit(f"ws://{bare}/")
        is_bare = parts.port is None and parts.hostname == bare.lower().strip("[]")
        Address.parse(parts.geturl(), argument)
    except ValueError:
        is_bare = False
    if not is_bare or "*" in name:
        raise ValueError(
            f"{argument}: pass a host such as 'example.com', or '*.example.com' for all of its "
            f"subdomains, without a scheme, a port or a path; not {host!r}"
        )
    return host[: len(host) - len(name)] + host_name(bare.strip("[]"))


def is_allowed(host: str, allowed: Iterable[str], *, subdomains: bool) -> bool:
    """Whether a host is one of some, or, if that is allowed, a subdomain of one.

    Examples:
        >>> is_allowed("a.example.com", ["*.example.com"], subdomains=False)
        True
        >>> is_allowed("example.com", ["*.example.com"], subdomains=False)
        False
    """
    for one in allowed:
        name = one.removeprefix(ANY_SUBDOMAIN)
        if host == one or ((subdomains or name != one) and host.endswith(f".{name}")):
            return True
    return False


def shown(allowed: Iterable[str], *, subdomains: bool) -> str:
    """The hosts that are allowed, in words."""
    names = " and ".join(allowed) or "none"
    return f"{names}, with all subdomains" if subdomains else names
