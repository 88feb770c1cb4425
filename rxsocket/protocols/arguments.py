"""The arguments of ``Socket`` that a protocol passes on, for type checkers and editors."""

from __future__ import annotations

import asyncio
import ssl as ssl_module
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Literal, TypedDict

from reactivex import Observable

from rxsocket.auth.carrier import AnyCarrier
from rxsocket.auth.credentials import Credential, Identity
from rxsocket.auth.strategies import Strategy
from rxsocket.engine.options import Headers
from rxsocket.limits import Limits
from rxsocket.liveness.heartbeat import Heartbeat
from rxsocket.liveness.stability import StableAfter
from rxsocket.policy.backoff import Backoff
from rxsocket.policy.verdicts import Judge
from rxsocket.resume.cursor import Cursor
from rxsocket.socket import Auth
from rxsocket.transports.base import Transport
from rxsocket.transports.names import TransportName

OWN = ("codec", "envelope", "subprotocols")
"""The arguments of ``Socket`` that a protocol decides by itself."""


def check_own(protocol: str, arguments: Mapping[str, object]) -> None:
    """Refuse what the protocol decides by itself; type checkers do, too.

    Raises:
        TypeError: If it is among the arguments.
    """
    for name in OWN:
        if name in arguments:
            raise TypeError(f"{name}: leave it out; {protocol} has its own")


class SocketArguments(TypedDict, total=False):
    """What ``Socket`` takes, but for what a protocol decides by itself: :data:`OWN`."""

    name: str | None
    auth: Auth | Credential
    carrier: AnyCarrier | None
    on_auth_change: Strategy | None
    identity: Identity | None
    max_age: float | None
    rejected: Callable[[str | bytes], object] | None
    auth_timeout: float | None
    transport: TransportName | Transport
    ssl: ssl_module.SSLContext | Callable[[], ssl_module.SSLContext] | None
    proxy: str | Literal[True] | None
    additional_headers: Headers | None
    compression: Literal["auto", "deflate"] | None
    max_size: int | None
    open_timeout: float | None
    close_timeout: float
    origin: str | None
    user_agent_header: str | None
    verdicts: Judge | None
    backoff: Backoff | None
    stable_after: StableAfter
    max_attempts: int | None
    give_up_after: float | None
    clean_close: Literal["complete", "reconnect"]
    cursor: Callable[[Any], Hashable | None] | Cursor | None
    queue_for: float
    limits: Limits | None
    linger: float
    loop: asyncio.AbstractEventLoop | None
    gate: Observable[bool] | None
    ping_interval: float | None
    ping_timeout: float | None
    heartbeat: Heartbeat | None
    stale_after: float | None
    on_stale: Literal["event", "reconnect"]
