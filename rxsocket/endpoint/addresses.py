"""The addresses of one socket: which one an attempt dials, and whether it may (C33).

::

    renew(url=...), for one attempt ──┐
    the ticket that the credential is ┼── the first that is there ── allowed? ── dialled
    what was passed as url= ──────────┘                                 '── ConnectFailed
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reactivex import abc

from rxsocket.auth.credentials import Credential
from rxsocket.auth.providers import Ask
from rxsocket.endpoint.endpoint import Endpoint, address_of
from rxsocket.endpoint.hosts import is_allowed, shown
from rxsocket.endpoint.sources import GivenAddresses, given_addresses
from rxsocket.errors import AddressFailed
from rxsocket.runtime.loop import SocketLoop
from rxsocket.texts import printable
from rxsocket.transports.names import mismatch
from rxsocket.url import Address


class Addresses:
    """Gives the address for each attempt. What has no other word of it is called on the loop.

    Args:
        endpoint: What the socket was told.
        timeout: Seconds that a source may take.
        needs_tls: Whether the socket was given settings for TLS, which are nothing for ``ws://``.
        transport: The name of the transport that is to dial them, if it has one.

    Attributes:
        newest: The last one that an attempt was given; before that, the first one that is known.
    """

    __slots__ = (
        "_endpoint",
        "_given",
        "_needs_tls",
        "_once",
        "_opened",
        "_pinned",
        "_secure",
        "_transport",
        "newest",
    )

    def __init__(
        self,
        endpoint: Endpoint,
        timeout: float | None,
        *,
        needs_tls: bool,
        transport: str | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._needs_tls = needs_tls
        self._transport = transport
        self._given: GivenAddresses | None = None
        if endpoint.address is None:
            self._given = given_addresses(endpoint, timeout, self._refusal)
        self._once: Address | None = None
        self._pinned: str | None = None
        self._secure = False
        self._opened = self.newest = endpoint.address if self._given is None else self._given.newest

    @property
    def shown(self) -> str:
        """The newest one without secrets; the name of the source while there is none."""
        return self._endpoint.name if self.newest is None else self.newest.shown

    # --- for those who have an address for the socket

    def checked(self, url: Any, argument: str) -> Address:
        """Check an address that somebody has for this socket; from any thread.

        Args:
            url: The URL, or an address.
            argument: What it was passed as, for errors.

        Raises:
            TypeError: If it is not a string.
            ValueError: If it cannot be used, or may not be dialled.
        """
        address = url if isinstance(url, Address) else address_of(url, argument)
        why_not = self._refusal(address)
        if why_not is not None:
            raise ValueError(f"{argument}: {why_not}")
        return address

    def why_not(self, credential: Credential) -> str | None:
        """Why a ticket may not be used here, in words; ``None`` if it may; from any thread."""
        return None if credential.address is None else self._refusal(credential.address)

    def use_once(self, address: Address) -> None:
        """Let the next attempt dial this one; those after it take theirs from the source again."""
        self._once = address

    # --- for an attempt

    def peek(self, credential: Credential, attempt: int) -> Address | None:
        """The address that an attempt would be given now; ``None`` if it would have to ask.

        Args:
            credential: What it would carry.
            attempt: How many attempts there were since the last stable connection, with this one.
        """
        if self._once is not None:
            return self._once
        if credential.address is not None:
            return credential.address
        if self._given is not None:
            return self._given.newest
        endpoint = self._endpoint
        index = (attempt - 1) % (len(endpoint.others) + 1)
        return endpoint.others[index - 1] if index else endpoint.address

    def admit(self, address: Address) -> Address:
        """An attempt is about to dial an address.

        Raises:
            AddressFailed: If it may not be dialled.
        """
        self._once = None
        why_not = self._refusal(address)
        if why_not is not None:
            raise AddressFailed(why_not)
        if self._pinned is None and self._endpoint.address is None:
            self._pinned = address.host
        self._secure = self._secure or address.secure
        self.newest = address
        return address

    async def ask(self, ask: Ask) -> Address:
        """The address that the source gives for an attempt, which dials it.

        Raises:
            AddressFailed: If there is none, or it may not be dialled.
            Unauthorized: If the user's function gave up.
        """
        assert self._given is not None
        return self.admit(await self._given.ask(ask))

    def is_opened_elsewhere(self, address: Address | None) -> bool:
        """A connection opened: whether at another address than before, as far as it is shown."""
        before, self._opened = self._opened, address
        shown = None if before is None else before.shown
        return address is not None and address.shown != shown

    def is_written(self, address: Address) -> bool:
        """Whether it was written down as ``url=``."""
        return address is self._endpoint.address or address in self._endpoint.others

    # --- while the socket runs

    def follow(
        self, loop: SocketLoop, changed: Callable[[], None], failed: Callable[[Exception], None]
    ) -> abc.DisposableBase | None:
        """The socket starts: follow the source; for the arguments, see ``GivenAddresses``."""
        return None if self._given is None else self._given.follow(loop, changed, failed)

    def stop(self) -> None:
        """The socket stops: nobody waits for an address any more."""
        self._once = None
        if self._given is not None:
            self._given.cancel()

    # --- what is allowed

    def _refusal(self, address: Address) -> str | None:
        """Why an address may not be dialled, in words; ``None`` if it may be."""
        is_written = self.is_written(address)
        if not is_written and (why_not := mismatch(self._transport, address)) is not None:
            if address.is_http:
                why_not += ", or transport='sse' if it is that of server-sent events"
            return f"{address.shown} is {why_not}"
        if self.newest is not None and self.newest.is_http != address.is_http:
            return (
                f"{address.shown} is of another kind than {self.newest.shown}: one for "
                "WebSockets, the other for server-sent events"
            )
        if self._needs_tls and not (is_written or address.secure):
            return f"ssl= goes with wss:// addresses, or https:// ones; {address.shown} is none"
        if self._secure and not (address.secure or address.is_unix):
            secure = f"{address.origin[0]}s://"
            return (
                f"{address.shown} is not encrypted, after a {secure} address; nothing was sent to "
                f"it: pass {secure} addresses alone"
            )
        if is_written:
            return None
        allowed = self._allowed()
        subdomains = self._endpoint.subdomains
        decides = not allowed and not address.is_unix  # one of those is named by the user
        if decides or is_allowed(address.host, allowed, subdomains=subdomains):
            return None
        host = printable(address.host)
        return (
            f"the host {host!r} is not allowed, only {shown(allowed, subdomains=subdomains)}; "
            f"nothing was sent to it; if you trust it, pass url=endpoint(..., hosts=[{host!r}])"
        )

    def _allowed(self) -> tuple[str, ...]:
        """The hosts that are allowed; none as long as the first address decides."""
        written = tuple(one.host for one in self._endpoint.addresses)
        if self._endpoint.hosts is not None:
            return (*written, *self._endpoint.hosts)
        return written if self._pinned is None else (*written, self._pinned)
