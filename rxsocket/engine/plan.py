"""What a socket was told, and what it remembers from one connection to the next."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from rxsocket.auth.carrier import Carried, Carrier, carry
from rxsocket.auth.carriers import with_cookies
from rxsocket.auth.credentials import Credential, Identity, Refusals
from rxsocket.auth.strategies import Reconnect, Strategy
from rxsocket.codecs import Codec
from rxsocket.engine.departures import Departures
from rxsocket.events import Cause
from rxsocket.liveness.heartbeat import Heartbeat
from rxsocket.liveness.stability import StableAfter
from rxsocket.policy.backoff import Backoff, Limits
from rxsocket.policy.verdicts import Judge
from rxsocket.transports.base import Options, Request, Transport, at_once
from rxsocket.url import Address

__all__ = ["Memory", "Plan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a socket was told; it never changes."""

    address: Address
    name: str | None
    carrier: Carrier
    transport: Transport
    options: Options
    verdicts: Judge
    backoff: Backoff
    limits: Limits
    stable_after: StableAfter
    codec: Codec[Any, Any] | None
    rejected: Callable[[str | bytes], object] | None
    clean_close: Literal["complete", "reconnect"]
    auth_timeout: float | None
    on_auth_change: Strategy
    identity: Identity | None
    max_age: float | None
    linger: float
    ping_interval: float | None
    ping_timeout: float | None
    queue_for: float
    heartbeat: Heartbeat | None
    stale_after: float | None
    on_stale: Literal["event", "reconnect"]

    @property
    def label(self) -> str:
        """What the socket is called where people read of it: its name, if any, and its address."""
        return f"{self.name} {self.address.shown}" if self.name else self.address.shown

    @property
    def renewable(self) -> bool:
        """Whether an open connection may be renewed, rather than just closed."""
        return self.max_age is not None or not isinstance(self.on_auth_change, Reconnect)

    def request(
        self, credential: Credential, go: Callable[[], Awaitable[None]] = at_once
    ) -> Request:
        """What to dial with a credential, as soon as ``go()`` returns."""
        return self.request_at(self.address, credential, go)

    def request_at(
        self, address: Address, credential: Credential, go: Callable[[], Awaitable[None]]
    ) -> Request:
        """The same for another address of the origin."""
        redirected = _Redirected(self, address, credential, go)
        if not credential.known:
            return Request(url=address.url, options=self.options, go=go, redirected=redirected)
        carried = carry(self.carrier, credential.reveal())
        return Request(
            url=address.with_query(carried.query),
            headers=carried.headers,
            subprotocols=carried.subprotocols,
            anonymous=False,
            greeting=carried.greeting,
            options=_with(self.options, carried),
            go=go,
            redirected=redirected,
        )


@dataclass(frozen=True, slots=True, repr=False)
class _Redirected:
    """Makes the request for where a redirect leads to."""

    plan: Plan
    address: Address
    credential: Credential
    go: Callable[[], Awaitable[None]]

    def __call__(self, location: str) -> Request:
        return self.plan.request_at(self.address.join(location), self.credential, self.go)


def _with(options: Options, carried: Carried) -> Options:
    """The options with what a credential adds to a header that they may have already."""
    if carried.fixed:
        offered = dict.fromkeys(options.subprotocols + carried.fixed)
        options = replace(options, subprotocols=tuple(offered))
    if carried.cookies:
        headers = with_cookies(options.additional_headers, carried.cookies)
        options = replace(options, additional_headers=headers)
    return options


@dataclass(slots=True)
class Memory:
    """What outlives a connection and a change of credential.

    Attributes:
        departures: Connections that are being closed.
        refusals: Credentials that were refused.
        epoch: Number of the last attempt.
        cause: Why the next thing happens: an attempt begins, or a connection is let go.
        farewell: Close code and reason to send when a connection is let go.
        dialled_at: When the last handshake was sent, or the attempt began that sent none yet, on
            the loop's clock.
        changed: Whether the credential was changed since then.
        running: Whether the socket runs.
        closed_at: When the last connection ended, on the loop's clock.
    """

    departures: Departures
    refusals: Refusals = field(default_factory=Refusals)
    epoch: int = 0
    cause: Cause = Cause.STARTED
    farewell: tuple[int, str] = (1000, "")
    dialled_at: float | None = None
    changed: bool = False
    running: bool = False
    closed_at: float | None = None

    def begin(self) -> None:
        """The socket starts."""
        self.running = True
        self.closed_at = None
        self.departures.begin()
        self.leave(Cause.STARTED)

    def leave(self, cause: Cause, code: int = 1000, reason: str = "") -> None:
        """What runs now is about to be let go, and why."""
        self.cause = cause
        self.farewell = (code, reason)
