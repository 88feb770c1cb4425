"""What a socket was told: its options, checked when it is made.

The names are those that ``websockets`` uses.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from reactivex import Observable

from rxsocket.auth.carrier import AnyCarrier, Carried, Combinable, carry
from rxsocket.auth.carriers import carrier_or_query, with_cookies
from rxsocket.auth.certificates import ClientCertificate
from rxsocket.auth.credentials import ANONYMOUS, Credential, CredentialValue, Identity
from rxsocket.auth.strategies import Reconnect, Strategy, strategy
from rxsocket.codecs import Codec, codec_or_none
from rxsocket.endpoint.endpoint import Endpoint
from rxsocket.engine.in_browser import check_carried_in_browser, for_browser
from rxsocket.engine.proxy import checked_proxy, shown_proxy
from rxsocket.engine.receiving import check_carried, check_no_event_ids, for_receiving
from rxsocket.engine.tls import TlsSettings
from rxsocket.limits import NO_LIMITS, Limits
from rxsocket.liveness.heartbeat import Heartbeat
from rxsocket.liveness.stability import StableAfter, stable_after_argument
from rxsocket.policy.backoff import NO_RETRY_LIMITS, Backoff, RetryLimits
from rxsocket.policy.verdicts import Judge, standard
from rxsocket.resume.cursor import Cursor, cursor_or_none
from rxsocket.transports.base import Options, Request, Transport, at_once
from rxsocket.transports.names import compression_for, name_of, named, transport_for
from rxsocket.url import Address
from rxsocket.validation import (
    function_of_one,
    function_of_one_or_none,
    header_name,
    header_value,
    instance,
    is_mapping,
    more_than_zero,
    name_or_none,
    seconds,
    seconds_or_none,
)

Headers: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]]


_BACKOFF = Backoff()


def _policy(
    *,
    name: Any,
    carrier: Any,
    codec: Any,
    cursor: Any,
    on_auth_change: Any,
    identity: Any,
    max_age: Any,
    verdicts: Any,
    backoff: Any,
    max_attempts: Any,
    give_up_after: Any,
    limits: Any,
    stable_after: Any,
    rejected: Any,
    clean_close: Any,
    auth_timeout: Any,
    linger: Any,
    queue_for: Any,
    ping_interval: Any,
    ping_timeout: Any,
    heartbeat: Any,
    stale_after: Any,
    on_stale: Any,
    gate: Any,
) -> dict[str, Any]:
    """What is not about the handshake, checked."""
    if clean_close not in ("complete", "reconnect"):
        raise ValueError(f"clean_close: pass 'complete' or 'reconnect', not {clean_close!r}")
    if on_stale not in ("event", "reconnect"):
        raise ValueError(f"on_stale: pass 'event' or 'reconnect', not {on_stale!r}")
    if stale_after == 0:
        raise ValueError("stale_after: pass more than 0 s, or None for never")
    if heartbeat is not None:
        instance("heartbeat", heartbeat, Heartbeat, "heartbeat(send=..., expect=...) or None")
    if limits is not None:
        instance("limits", limits, Limits, "Limits such as Limits(pace='5/s') or None")
        limits.check_for_a_socket()
    if backoff is not None:
        instance("backoff", backoff, Backoff, "a Backoff such as Backoff(cap=60)")
    if verdicts is not None:
        function_of_one("verdicts", verdicts, "a function of an End, such as standard()")
    if gate is not None:
        instance("gate", gate, Observable, "an Observable of booleans or None")
    is_limited = max_attempts is not None or give_up_after is not None
    return {
        "name": name_or_none("name", name),
        "carrier": carrier_or_query(carrier),
        "codec": codec_or_none(codec),
        "cursor": cursor_or_none(cursor),
        "on_auth_change": strategy("on_auth_change", on_auth_change),
        "identity": function_of_one_or_none("identity", identity),
        "max_age": more_than_zero("max_age", max_age),
        "verdicts": verdicts or standard(),
        "backoff": backoff or _BACKOFF,
        "retry_limits": RetryLimits(max_attempts, give_up_after) if is_limited else NO_RETRY_LIMITS,
        "limits": limits or NO_LIMITS,
        "stable_after": stable_after_argument(stable_after),
        "rejected": function_of_one_or_none("rejected", rejected),
        "clean_close": clean_close,
        "auth_timeout": more_than_zero("auth_timeout", auth_timeout),
        "linger": seconds("linger", linger),
        "queue_for": seconds("queue_for", queue_for),
        "ping_interval": more_than_zero("ping_interval", ping_interval),
        "ping_timeout": more_than_zero("ping_timeout", ping_timeout),
        "heartbeat": heartbeat,
        "stale_after": seconds_or_none("stale_after", stale_after),
        "on_stale": on_stale,
        "gate": gate,
    }


def _compression(transport: Any, compression: Any) -> Literal["deflate"] | None:
    chosen: Literal["deflate"] | None = compression_for(transport, compression)
    if chosen not in ("deflate", None):
        raise ValueError(f"compression: pass 'auto', 'deflate' or None, not {chosen!r}")
    return chosen


def _headers(headers: Headers | None) -> tuple[tuple[str, str], ...]:
    if headers is None:
        return ()
    if isinstance(headers, str):
        raise TypeError(
            "additional_headers: pass a mapping or pairs of name and value, not a string"
        )
    given: Any = headers.items() if is_mapping(headers) else headers
    try:
        listed: list[tuple[Any, Any]] = [(name, value) for name, value in given]
    except (TypeError, ValueError):
        raise TypeError("additional_headers: pass a mapping or pairs of name and value") from None
    return tuple(
        (
            header_name("additional_headers", name),
            header_value(f"additional_headers[{name!r}]", value),
        )
        for name, value in listed
    )


def _no_header_twice(names: Iterable[tuple[str, str]]) -> None:
    """Of two headers of one name a server takes the first, the last or neither.

    Those of one argument are meant, as RFC 9110, section 5.3, has them; but there is only one
    ``Authorization``.

    Args:
        names: The argument that sets each, and its name.
    """
    set_by: dict[str, str] = {}
    for argument, name in names:
        key = name.lower()
        other = set_by.get(key)
        set_by[key] = argument
        if other is not None and (other != argument or key == "authorization"):
            also = "twice" if other == argument else f"and so does {other}"
            raise ValueError(f"{argument}: sets the header {name!r}, {also}; leave one of them out")


def _subprotocols(subprotocols: Sequence[str] | None) -> tuple[str, ...]:
    if subprotocols is None:
        return ()
    if isinstance(subprotocols, str) or not isinstance(subprotocols, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        kind = type(subprotocols).__name__
        raise TypeError(f"subprotocols: pass a list of names, not {kind}")
    return tuple(header_name("subprotocols", name) for name in subprotocols)


def _size(max_size: Any) -> int | None:
    if max_size is None:
        return None
    if isinstance(max_size, bool) or not isinstance(max_size, int):
        raise TypeError(f"max_size: pass a number of bytes or None, not {type(max_size).__name__}")
    if max_size <= 0:
        raise ValueError(f"max_size: pass a number of bytes that is more than 0, not {max_size}")
    return max_size


@dataclass(slots=True, kw_only=True)
class SocketOptions:
    """What a socket was told; it never changes.

    It is not declared to be frozen: that costs a tenth of what making a socket does.
    """

    endpoint: Endpoint
    name: str | None
    carrier: AnyCarrier
    transport: Transport
    transport_name: str | None
    receives_only: bool
    handshake: Options
    tls: TlsSettings
    verdicts: Judge
    backoff: Backoff
    retry_limits: RetryLimits
    limits: Limits
    stable_after: StableAfter
    codec: Codec[Any, Any] | None
    cursor: Cursor | None
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
    gate: Observable[bool] | None

    @classmethod
    def checked(
        cls,
        *,
        url: Any,
        transport: Any,
        ssl: Any,
        proxy: Any,
        additional_headers: Any,
        subprotocols: Any,
        compression: Any,
        max_size: Any,
        open_timeout: Any,
        close_timeout: Any,
        origin: Any,
        user_agent_header: Any,
        **policy: Any,
    ) -> SocketOptions:
        """The options of a socket, from the arguments that it was made with.

        Raises:
            TypeError: If one is of a wrong type.
            ValueError: If one cannot be used; the text names it and says what to pass.
            ImportError: If the library of the transport is not installed.
        """
        endpoint = Endpoint.of(url)
        transport = named(transport, endpoint.addresses)
        moves = transport_for(transport)
        wrapped = getattr(transport, "wraps", transport)
        transport_name = name_of(transport)
        receives_only = transport_name == "sse" or bool(getattr(wrapped, "receives_only", False))
        if transport_name == "browser":
            for_browser(
                policy,
                endpoint,
                ssl=ssl,
                proxy=proxy,
                additional_headers=additional_headers,
                compression=compression,
                origin=origin,
                user_agent_header=user_agent_header,
            )
            proxy = None
        tls = TlsSettings.checked(ssl)
        if ssl is not None and not all(one.secure for one in endpoint.addresses):
            raise ValueError(
                "ssl: goes with a wss:// address, or an https:// one; this one is neither"
            )
        tcp_keepalive = for_receiving(policy, subprotocols) if receives_only else None
        if transport_name is not None and not receives_only:
            check_no_event_ids(policy["cursor"])
        for name, value in (("origin", origin), ("user_agent_header", user_agent_header)):
            if value is not None:
                header_value(name, value)
        handshake = Options(
            additional_headers=_headers(additional_headers),
            subprotocols=_subprotocols(subprotocols),
            origin=origin,
            user_agent_header=user_agent_header,
            compression=_compression(wrapped, compression),
            max_size=_size(max_size),
            open_timeout=more_than_zero("open_timeout", open_timeout),
            close_timeout=seconds("close_timeout", close_timeout),
            ssl=tls.context,
            proxy=checked_proxy(proxy, endpoint, is_ours=transport_name is not None),
            local_address=endpoint.local_address,
            tcp_keepalive=tcp_keepalive,
        )
        made = cls(
            endpoint=endpoint,
            transport=moves,
            transport_name=transport_name,
            receives_only=receives_only,
            handshake=handshake,
            tls=tls,
            **_policy(**policy),
        )
        if isinstance(made.carrier, Combinable) and made.carrier.owns:
            for written in endpoint.addresses or (None,):
                tls.check(written)
        always = made.carrier.sets if isinstance(made.carrier, Combinable) else ()
        names = [what.split("'")[1] for what in always if what.startswith("header ")]
        carried = [("carrier", name) for name in names]
        for one in endpoint.addresses or (None,):
            _no_header_twice((*made._headers(one), *carried))
        return made

    def carry(
        self, value: CredentialValue, address: Address | None = None, cursor: Any = None
    ) -> Carried:
        """What the carrier makes of the value of a credential, and of a place in the stream (C38).

        Args:
            value: The value.
            address: Where it goes; left out, where the first attempt goes, if that is known.
            cursor: The place.

        Raises:
            TypeError: If it is nothing that can be carried.
            ValueError: If it cannot be carried, or sets a header that is set otherwise, too.
        """
        carried = carry(self.carrier, value, cursor)
        if self.receives_only:
            check_carried(carried)
        elif self.transport_name == "browser":
            check_carried_in_browser(carried)
        if carried.certificate is not None:
            self.tls.check(address or self.endpoint.address)
        if carried.headers:
            added = (("carrier", name) for name, _ in carried.headers)
            _no_header_twice((*self._headers(address or self.endpoint.address), *added))
        return carried

    def check(
        self, value: CredentialValue, address: Address | None = None, cursor: Any = None
    ) -> None:
        """Check that the value of a credential can be carried, as ``carry`` does, and used.

        Raises:
            TypeError: If it is nothing that can be carried.
            ValueError: If it cannot be carried, or is a certificate that cannot be used.
        """
        certificate = self.carry(value, address, cursor).certificate
        if certificate is not None:
            certificate.check()

    def _headers(self, address: Address | None) -> Iterator[tuple[str, str]]:
        """The arguments that set a header, and its name."""
        if address is not None and address.has_user_info:
            yield "url", "Authorization"
        if self.handshake.origin is not None:
            yield "origin", "Origin"
        for name, _ in self.handshake.additional_headers:
            yield "additional_headers", name

    @property
    def label(self) -> str:
        """What the socket is called where people read of it: its name, if any, and its address."""
        shown = self.endpoint.shown
        return f"{self.name} {shown}" if self.name else shown

    def proxy_shown(self, address: Address | None) -> str | None:
        """The proxy that an attempt goes through now, without its password."""
        is_ours = self.transport_name is not None
        return shown_proxy(self.handshake.proxy, address) if is_ours else None

    @property
    def is_renewable(self) -> bool:
        """Whether an open connection may be renewed, rather than just closed."""
        return self.max_age is not None or not isinstance(self.on_auth_change, Reconnect)

    def request(
        self,
        address: Address,
        credential: Credential,
        go: Callable[[], Awaitable[None]] = at_once,
        cursor: Any = None,
    ) -> Request:
        """What to dial at an address with a credential, as soon as ``go()`` returns.

        Args:
            address: The address.
            credential: The credential.
            go: Returns when the request of the handshake may be sent.
            cursor: The place in the stream to go on from.
        """
        redirected = _Redirected(self, address, credential, go, cursor)
        is_id = self.cursor is not None and self.cursor.place_of is not None
        last_event_id = str(cursor) if is_id and cursor is not None else ""
        if not credential.has_value:
            if address.has_user_info and address is not self.endpoint.address:
                _no_header_twice(self._headers(address))
            return Request(
                url=address.url,
                anonymous=not credential.known,
                credential=credential.masked if credential.known else "",
                options=self._with_tls(self.handshake, address, None),
                go=go,
                last_event_id=last_event_id,
                redirected=redirected,
            )
        carried = self.carry(credential.reveal(), address, cursor)
        places = carried.places
        return Request(
            url=address.with_query(carried.query),
            headers=carried.headers,
            subprotocols=carried.subprotocols,
            anonymous=False,
            credential=places if credential.address is None else f"{places} and in the address",
            first_message=carried.greeting,
            has_certificate=carried.certificate is not None,
            options=self._with_tls(_with(self.handshake, carried), address, carried.certificate),
            go=go,
            last_event_id=last_event_id,
            redirected=redirected,
        )

    def _with_tls(
        self, options: Options, address: Address, certificate: ClientCertificate | None
    ) -> Options:
        tls = self.tls.for_attempt(certificate) if address.secure else None
        return options if tls is None else replace(options, ssl=tls)


@dataclass(slots=True, repr=False)
class _Redirected:
    """Makes the request for where a redirect leads to."""

    options: SocketOptions
    address: Address
    credential: Credential
    go: Callable[[], Awaitable[None]]
    cursor: Any

    def __call__(self, location: str) -> Request:
        address = self.address.join(location)
        return self.options.request(address, self.credential, self.go, self.cursor)


def _with(options: Options, carried: Carried) -> Options:
    """The options with what a credential adds to a header that they may have already."""
    if carried.fixed:
        offered = dict.fromkeys(options.subprotocols + carried.fixed)
        options = replace(options, subprotocols=tuple(offered))
    if carried.cookies:
        headers = with_cookies(options.additional_headers, carried.cookies)
        options = replace(options, additional_headers=headers)
    return options


_PUBLIC_HEADERS = frozenset(("accept", "accept-language", "cache-control", "origin", "user-agent"))


def written_secrets(options: SocketOptions) -> Credential:
    """What of the URL and of ``additional_headers`` is masked when a server repeats it (C28)."""
    found: dict[str, list[str]] = {}
    for address in options.endpoint.addresses:
        for name, value in address.secrets:
            found.setdefault(name, []).append(value)
    for name, value in options.handshake.additional_headers:
        if name.lower() not in _PUBLIC_HEADERS:
            found.setdefault(name, []).append(value)
            for part in re.split("[ ;]+", value):
                cookie, is_cookie, its_value = part.partition("=")
                if is_cookie and name.lower() == "cookie":
                    found.setdefault(cookie, []).append(its_value)
                elif not part.isalpha():  # as "Bearer" is
                    found.setdefault(name, []).append(part)
    return Credential.of(found) if found else ANONYMOUS
