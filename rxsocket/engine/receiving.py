"""What a socket cannot be told whose transport only receives, as that of an event stream (C50).

It is said when the socket is made. What has another meaning there is put into its place.
"""

from __future__ import annotations

from typing import Any

from rxsocket.auth.carrier import Carried, Combinable
from rxsocket.auth.strategies import InBand
from rxsocket.codecs import Codec, codec_or_none
from rxsocket.errors import ReceiveOnly
from rxsocket.event_text import EventText
from rxsocket.hooks import Hooks
from rxsocket.resume.cursor import Cursor
from rxsocket.sse import last_event_id
from rxsocket.validation import more_than_zero

_WAYS = "query(), header(), cookie() or client_certificate()"
_NOTHING_GOES_OUT = "the server only sends here (server-sent events)"


def for_receiving(policy: dict[str, Any], subprotocols: Any) -> tuple[float, float | None] | None:
    """Check the arguments of a socket that can send nothing, and replace what means another thing.

    Without pings the system asks whether the peer is there; the cursor is the id of an event.

    Args:
        policy: Arguments of the socket; some are replaced.
        subprotocols: Another one.

    Returns:
        Seconds until the system asks a silent peer, and those that it has to answer; ``None`` if it
        never does.

    Raises:
        TypeError: If a number is none.
        ValueError: If an argument needs to send; the text says what to pass.
    """
    _check(subprotocols=subprotocols, **policy)
    interval = more_than_zero("ping_interval", policy["ping_interval"])
    patience = more_than_zero("ping_timeout", policy["ping_timeout"])
    policy["ping_interval"] = None
    if policy["cursor"] is None:
        policy["cursor"] = last_event_id()
    codec = codec_or_none(policy["codec"])
    if codec is not None:
        policy["codec"] = _TextCodec(codec)
    return None if interval is None else (interval, patience)


def check_no_event_ids(cursor: Any) -> None:
    """Check the ``cursor`` of a WebSocket: its messages have no ids of their own.

    Raises:
        ValueError: If it is that of an event stream.
    """
    if isinstance(cursor, Cursor) and cursor.place_of is not None:
        raise ValueError(
            "cursor: last_event_id() goes with an event stream, whose address begins with "
            "https://; pass a function of a message"
        )


def hooks_for(cursor: Cursor | None, *, receives_only: bool) -> Hooks:
    """The hooks of a socket as it is made."""
    hooks = Hooks()
    if cursor is not None:
        hooks.cursor = cursor.first
    if receives_only:
        hooks.before_send = (_refuse_to_send,)
    return hooks


def _check(
    *, subprotocols: Any, carrier: Any, on_auth_change: Any, heartbeat: Any, **_: Any
) -> None:
    if isinstance(carrier, Combinable) and (ways := carrier.ways & {"subprotocol", "message"}):
        name = "subprotocol()" if "subprotocol" in ways else "first_message()"
        raise ValueError(
            f"carrier: {name} cannot carry a credential where {_NOTHING_GOES_OUT}; pass {_WAYS}"
        )
    if isinstance(on_auth_change, InBand):
        raise ValueError(
            f"on_auth_change: in_band() sends the credential, but {_NOTHING_GOES_OUT}; pass "
            "reconnect() or handover()"
        )
    if heartbeat is not None:
        raise ValueError(
            f"heartbeat: it is sent, but {_NOTHING_GOES_OUT}; leave it out, and pass stale_after="
        )
    if subprotocols:
        raise ValueError("subprotocols: an event stream has none; leave it out")


def check_carried(carried: Carried) -> None:
    """Check what a carrier of the user's made.

    Raises:
        ValueError: If it cannot be sent.
    """
    if carried.subprotocols or carried.fixed or carried.greeting is not None:
        what = "a first message" if carried.greeting is not None else "subprotocols"
        raise ValueError(
            f"carrier: it returned {what}, but {_NOTHING_GOES_OUT}; return query=, headers=, "
            "cookies= or certificate="
        )


def check_can_send(*, receives_only: bool) -> None:
    """Check that somebody may ask for something.

    Raises:
        ReceiveOnly: If nothing can be sent; the text says why.
    """
    if receives_only:
        _refuse_to_send(None)


def _refuse_to_send(value: Any) -> Any:
    """In the place of an interceptor of what goes out."""
    raise ReceiveOnly(
        f"nothing can be sent over this connection: {_NOTHING_GOES_OUT}; send it in an HTTP request"
    )


class _TextCodec:
    """The codec of a user's, which is given plain strings: ``msgspec`` takes no others."""

    __slots__ = ("_codec", "_decode", "encode")

    def __init__(self, codec: Codec[Any, Any]) -> None:
        self._codec = codec
        self._decode = codec.decode
        self.encode = codec.encode

    def decode(self, data: str | bytes) -> Any:
        return self._decode(str(data) if isinstance(data, EventText) else data)

    def __repr__(self) -> str:
        return repr(self._codec)
