"""What a socket is told of where it may connect; checked at once (C33).

A source of addresses is one of four: a string; a sequence of them, tried in order; a function that
is asked before each attempt; or an Observable, whose newest value counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeAlias

from reactivex import Observable

from rxsocket.auth.credentials import Credential
from rxsocket.auth.providers import Ask
from rxsocket.endpoint.admission import Admit
from rxsocket.endpoint.hosts import allowed_host
from rxsocket.url import Address
from rxsocket.validation import (
    accepting_one,
    instance,
    is_behavior,
    is_list,
    is_observable,
    one_line,
)

AddressSource: TypeAlias = (
    str | Sequence[str] | Observable[str] | Callable[[], Any] | Callable[[Ask], Any]
)
"""Where addresses come from; a function, sync or async, returns a string."""

LocalAddress: TypeAlias = str | tuple[str, int]
"""A host of this machine to connect from, and maybe a port."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a socket may connect. Made by :func:`endpoint`.

    Attributes:
        address: The first address, if it is known beforehand.
        others: Those to try after it.
        asked: The function that is asked for the addresses, if they are not known beforehand.
        pushed_by: The Observable of addresses, likewise.
        hosts: Hosts that are allowed besides those of ``address`` and ``others``; ``None`` for the
            host of the first address that is given.
        subdomains: Whether the subdomains of allowed hosts are allowed, too.
        local_address: The host and port of this machine to connect from.
        name: What it is called where no address is known.
        admission: Says when a socket may dial, if it is one of a fleet.
    """

    address: Address | None
    others: tuple[Address, ...] = ()
    asked: Callable[..., Any] | None = field(default=None, repr=False)
    pushed_by: Observable[Any] | None = field(default=None, repr=False)
    hosts: tuple[str, ...] | None = None
    subdomains: bool = False
    local_address: tuple[str, int] | None = None
    name: str = ""
    admission: Admit | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, url: Any) -> Endpoint:
        """The endpoint that the ``url`` of a socket means.

        Raises:
            TypeError: If it is none of these.
            ValueError: If an address cannot be used.
        """
        if isinstance(url, Endpoint):
            return url
        return _written(url) if isinstance(url, str) else _endpoint(url, "url")

    @property
    def addresses(self) -> tuple[Address, ...]:
        """The addresses that are known beforehand."""
        return () if self.address is None else (self.address, *self.others)

    @property
    def shown(self) -> str:
        """What is shown of it: the first address without secrets, or its name."""
        return self.name if self.address is None else self.address.shown


def endpoint(
    source: AddressSource,
    *,
    hosts: Iterable[str] | None = None,
    subdomains: bool = False,
    local_address: LocalAddress | None = None,
) -> Endpoint:
    """Say where a socket may connect, as its ``url`` (rule C33, an endpoint for each attempt).

    The credential goes to allowed hosts alone. Those of addresses that are written down are; of a
    function or an Observable, the host of the first address that is dialled, for the life of the
    socket, unless that is a unix socket. ``hosts=`` names others. An address on another host, and a
    ``ws://`` one after a ``wss://`` one, is not dialled: the attempt fails, and the next one may
    have another address.

    ::

        source      A---------------B-----------      an Observable
        connection  --o============x-o==========      x Closed(cause=ADDRESS_CHANGED)

    Args:
        source: A string; a sequence of these, of which an attempt after a failed one takes the next
            one, and an attempt after a stable connection the first; a function, sync or async, that
            takes an ``Ask`` or nothing and is asked before each attempt, for ``auth_timeout``; or
            an Observable, of which a value that differs renews the connection as
            ``on_auth_change`` says. An attempt waits for its first value for ``auth_timeout``.
        hosts: Hosts that are allowed besides those that are written down in ``source``; those of a
            function or an Observable must be among them. ``"*.example.com"`` stands for all
            subdomains of ``example.com``.
        subdomains: Whether the subdomains of allowed hosts are allowed, too.
        local_address: Host of this machine to connect from, or host and port.

    Raises:
        TypeError: If an argument is of a wrong type.
        ValueError: If it cannot be used; the text says what to pass.

    Examples:
        >>> Socket(endpoint(open_connection, hosts=["*.example.com"]))
        >>> Socket(endpoint("wss://example.com/feed", local_address="192.0.2.7"))
        >>> Socket(["wss://a.example.com/feed", "wss://b.example.com/feed"])
    """
    if isinstance(source, Endpoint):
        raise TypeError("endpoint(source): this is an endpoint already; pass what it was made of")
    instance("endpoint(subdomains)", subdomains, bool, "True or False")
    local = None if local_address is None else _local(local_address)
    made = _endpoint(
        source,
        "endpoint(source)",
        hosts=None if hosts is None else _hosts(hosts),
        subdomains=subdomains,
        local_address=local,
    )
    if local is not None and made.addresses and all(one.is_unix for one in made.addresses):
        raise ValueError("endpoint(local_address): a unix socket has none; leave it out")
    return made


def address_of(value: Any, argument: str) -> Address:
    """The address that somebody gave.

    Raises:
        TypeError: If it is not a string; the text says where tickets go.
        ValueError: If it cannot be used.
    """
    if isinstance(value, Credential):
        kind = type(value).__name__
        raise TypeError(
            f"{argument}: this is a {kind}, which is given as auth= or returned by a function that "
            "is; give a string such as 'wss://example.com/feed' here"
        )
    return Address.parse(value, argument)


@lru_cache(maxsize=64)
def _written(url: str) -> Endpoint:
    """The endpoint of a URL; many sockets may have the same."""
    return Endpoint(address_of(url, "url"))


def _endpoint(
    source: Any,
    argument: str,
    **more: Any,
) -> Endpoint:
    if isinstance(source, str):
        return Endpoint(address_of(source, argument), **more)
    if is_observable(source):
        if is_behavior(source):
            address_of(source.value, f"{argument} (the value of the BehaviorSubject)")
        name = "<Endpoint of an Observable>"
        return Endpoint(None, pushed_by=source, name=name, **more)
    if callable(source):
        accepting_one(argument, source)
        name = f"<Endpoint {getattr(source, '__qualname__', type(source).__name__)}>"
        return Endpoint(None, asked=source, name=name, **more)
    if isinstance(source, Credential):
        address_of(source, argument)
    if not is_list(source):
        raise TypeError(
            f"{argument}: pass a string such as 'wss://example.com/feed', a list of these, a "
            f"function or an Observable that gives one, not {type(source).__name__}"
        )
    if not source:
        raise ValueError(f"{argument}: the list is empty; pass at least one address")
    listed = [address_of(one, f"{argument}[{index}]") for index, one in enumerate(source)]
    if any(one.secure for one in listed):
        for index, one in enumerate(listed):
            if not (one.secure or one.is_unix):
                raise ValueError(
                    f"{argument}[{index}]: {one.origin[0]}:// among {one.origin[0]}s:// addresses "
                    "would send the credential in clear text; pass "
                    f"{one.origin[0]}s:// ones alone"
                )
    return Endpoint(listed[0], tuple(listed[1:]), **more)


def _hosts(hosts: Any) -> tuple[str, ...]:
    if isinstance(hosts, (str, bytes)) or not isinstance(hosts, Iterable):
        raise TypeError(
            f"endpoint(hosts): pass a list such as ['*.example.com'], not {type(hosts).__name__}"
        )
    given: list[Any] = list(hosts)  # pyright: ignore[reportUnknownArgumentType]
    if not given:
        raise ValueError("endpoint(hosts): the list is empty; leave it out, or name a host")
    return tuple(allowed_host("endpoint(hosts)", host) for host in given)


def _local(local: Any) -> tuple[str, int]:
    argument = "endpoint(local_address)"
    host, port = local if is_list(local) and len(local) == 2 else (local, 0)
    if not isinstance(host, str):
        raise TypeError(f"{argument}: pass a host such as '192.0.2.7', or a host and a port")
    if not host.strip():
        raise ValueError(
            f"{argument}: pass a host of this machine such as '192.0.2.7', or leave it out"
        )
    if host.count(":") == 1 or "]:" in host:
        raise ValueError(f"{argument}: pass the port beside the host: ('192.0.2.7', 8080)")
    if isinstance(port, bool) or not isinstance(port, int):
        raise TypeError(f"{argument}[1]: pass a port, not {type(port).__name__}")
    if not 0 <= port < 2**16:
        raise ValueError(f"{argument}[1]: pass a port from 0 (any) to 65535, not {port}")
    return one_line(argument, host).strip("[]"), port
