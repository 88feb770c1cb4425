"""What a socket was told, and what it remembers from one connection to the next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from rxsocket.address import Address
from rxsocket.auth.carriers import Carrier
from rxsocket.auth.credentials import Credential
from rxsocket.auth.refusals import Refusals
from rxsocket.departures import Departures
from rxsocket.events import Cause
from rxsocket.heartbeat import Heartbeat
from rxsocket.policy.backoff import Backoff
from rxsocket.policy.limits import Limits
from rxsocket.policy.verdicts import Judge
from rxsocket.stability import StableAfter
from rxsocket.transports.seam import Options, Request, Transport

__all__ = ["Memory", "Plan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a socket was told; it never changes."""

    address: Address
    carrier: Carrier
    transport: Transport
    options: Options
    verdicts: Judge
    backoff: Backoff
    limits: Limits
    stable_after: StableAfter
    rejected: Callable[[str | bytes], object] | None
    clean_close: Literal["complete", "reconnect"]
    auth_timeout: float | None
    linger: float
    ping_interval: float | None
    ping_timeout: float | None
    heartbeat: Heartbeat | None
    stale_after: float | None
    on_stale: Literal["event", "reconnect"]

    def request(self, credential: Credential) -> Request:
        """What to dial with a credential."""
        return self._request(self.address, credential)

    def _request(self, address: Address, credential: Credential) -> Request:
        def redirected(location: str) -> Request:
            return self._request(address.join(location), credential)

        if not credential.known:
            return Request(url=address.url, options=self.options, redirected=redirected)
        carried = self.carrier(credential.reveal())
        return Request(
            url=address.with_query(carried.query).url,
            headers=carried.headers,
            subprotocols=carried.subprotocols,
            anonymous=False,
            options=self.options,
            redirected=redirected,
        )


@dataclass(slots=True)
class Memory:
    """What outlives a connection and a change of credential.

    Attributes:
        departures: Connections that are being closed.
        refusals: Credentials that were refused.
        epoch: Number of the last attempt.
        cause: Why the next thing happens: an attempt begins, or a connection is let go.
        farewell: Close code and reason to send when a connection is let go.
        dialled_at: When the last attempt began, on the loop's clock.
        changed: Whether the credential was changed since then.
        closed_at: When the last connection ended, on the loop's clock.
    """

    departures: Departures
    refusals: Refusals = field(default_factory=Refusals)
    epoch: int = 0
    cause: Cause = Cause.STARTED
    farewell: tuple[int, str] = (1000, "")
    dialled_at: float | None = None
    changed: bool = False
    closed_at: float | None = None

    def begin(self) -> None:
        """The socket starts."""
        self.closed_at = None
        self.departures.begin()
        self.leave(Cause.STARTED)

    def leave(self, cause: Cause, code: int = 1000, reason: str = "") -> None:
        """What runs now is about to be let go, and why."""
        self.cause = cause
        self.farewell = (code, reason)
