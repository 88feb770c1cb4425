"""The socket that speaks ``graphql-transport-ws``: its arguments, and what it says itself (C48)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Unpack

import msgspec

from rxsocket.auth.carrier import Carried, Combinable, FirstMessage
from rxsocket.auth.credentials import CredentialValue
from rxsocket.codecs import json
from rxsocket.policy.presets import graphql_transport_ws
from rxsocket.protocols.arguments import SocketArguments, check_own
from rxsocket.protocols.speaking import SpeakingTransport, judging
from rxsocket.validation import function_of_one, is_mapping

PROTOCOL = "graphql-transport-ws"
_HINT = (
    "check the path in the URL, and that the server has this protocol, which is that of the "
    "library graphql-ws, and not only the older one of subscriptions-transport-ws"
)
_UNANSWERED = (
    f"the server, which may not speak {PROTOCOL} at this path, or wants something else in the "
    "payload of connection_init (see auth= and init_payload=), sent no connection_ack"
)
InitPayload = Callable[[CredentialValue], Mapping[str, Any] | None]


class _Envelope(msgspec.Struct):
    type: str = ""
    payload: Any = None


_decode = msgspec.json.Decoder(_Envelope).decode


def _type_of(message: str | bytes) -> str:
    try:
        return _decode(message).type
    except (msgspec.DecodeError, UnicodeError):
        return ""


def _is_ack(message: str | bytes) -> bool:
    return _type_of(message) == "connection_ack"


def _pong(message: str | bytes) -> str | None:
    """The answer to a ping of the protocol; a message is decoded only if it may be one."""
    if not isinstance(message, str) or '"ping"' not in message or _type_of(message) != "ping":
        return None
    payload = _decode(message).payload
    pong = {"type": "pong"} if payload is None else {"type": "pong", "payload": payload}
    return msgspec.json.encode(pong).decode()


def _bearer(credential: CredentialValue) -> Mapping[str, Any]:
    if isinstance(credential, str):
        return {"Authorization": f"Bearer {credential}"}
    return credential


def _no_payload(_: CredentialValue) -> None:
    return None


def graphql_options(
    *, init_payload: InitPayload | None = None, **arguments: Unpack[SocketArguments]
) -> dict[str, Any]:
    """The arguments of a ``Socket`` that speaks it: ``Socket(url, **graphql_options(auth=...))``.

    Args:
        init_payload: See :func:`graphql`.
        arguments: Others of ``Socket``. To a ``carrier`` the first message is added; ``verdicts``
            takes the place of the protocol's table.

    Raises:
        TypeError: If ``init_payload`` is not a function of one argument, or an argument is the
            protocol's own.
    """
    check_own(PROTOCOL, arguments)
    carrier = arguments.get("carrier")
    if init_payload is None:
        init_payload = _bearer if carrier is None else _no_payload
    function_of_one("init_payload", init_payload, "a function of the credential")
    payload_of = init_payload

    def init(credential: CredentialValue) -> Carried:
        payload = payload_of(credential)
        if payload is not None and not is_mapping(payload):
            kind = type(payload).__name__
            raise TypeError(f"init_payload: return a mapping or None, not {kind}")
        message: dict[str, Any] = {"type": "connection_init"}
        if payload:
            message["payload"] = payload
        text = msgspec.json.encode(message).decode()
        return Carried(
            greeting=FirstMessage(message=text, accepted=_is_ack, unanswered=_UNANSWERED)
        )

    first = Combinable(init, "connection_init", sets=["first message"])
    options: dict[str, Any] = {
        "auth": {},  # connection_init is sent without a credential, too
        "verdicts": judging(graphql_transport_ws()),
        **arguments,
        "carrier": first if carrier is None else first & carrier,
        "subprotocols": [PROTOCOL],
        "codec": json(),
        "transport": SpeakingTransport(
            arguments.get("transport", "websockets"),
            PROTOCOL,
            subprotocol=PROTOCOL,
            hint=_HINT,
            reply=_pong,
        ),
    }
    return options
