"""How the credential goes, as the options of a command say it (C10)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from rxsocket.auth.carrier import Combinable
from rxsocket.auth.carriers import cookie, first_message, header, query, subprotocol
from rxsocket.auth.client_certificate import client_certificate
from rxsocket.auth.credentials import CredentialValue
from rxsocket.cli.credentials import UsageError

FORMS: dict[str, str] = {
    "query": "parameters of the URL",
    "header": "the token as 'Authorization: Bearer', other entries under their own names",
    "header:NAME": "the token as it is, in that header",
    "cookie": "cookies, under the names of the entries",
    "subprotocol": "the token in base64url, among the subprotocols",
    "subprotocol:NAME": "the same, beside a fixed subprotocol",
    "message:TEXT": "the first message of each connection, with {KEY} for an entry",
    "certificate": "the entries certificate, key and password, in the handshake of TLS",
}
"""What ``--carrier`` takes, and where the credential goes then."""


def carrier_from_options(
    given: Sequence[str], *, accepted: str | None = None, rejected: str | None = None
) -> Combinable:
    """The carrier that the options describe; of several, all.

    Args:
        given: One of ``FORMS`` each, with a name or a text for what is in capitals.
        accepted: What the server's yes to a first message holds.
        rejected: What its no holds.

    Raises:
        UsageError: If one of them is not understood.
    """
    if (accepted or rejected) and not any(one.startswith("message:") for one in given):
        raise UsageError("--accepted and --rejected go with --carrier message:TEXT")
    made = [_one(form, accepted, rejected) for form in given] or [query()]
    carrier = made[0]
    for other in made[1:]:
        carrier = carrier & other
    return carrier


def _one(form: str, accepted: str | None, rejected: str | None) -> Combinable:
    kind, colon, name = form.partition(":")
    if colon and not name:
        raise UsageError("--carrier: nothing stands after the colon")
    try:
        match kind:
            case "query" if not colon:
                return query()
            case "header":
                return header(name, scheme=None) if colon else header()
            case "cookie" if not colon:
                return cookie()
            case "subprotocol":
                return subprotocol(name or None)
            case "message" if colon:
                return first_message(
                    _filled(name), accepted=_holds(accepted), rejected=_holds(rejected)
                )
            case "certificate" if not colon:
                return client_certificate()
            case _:
                raise UsageError(f"--carrier: pass one of {', '.join(FORMS)}")
    except ValueError as error:
        raise UsageError(f"--carrier {kind}: {error}") from None


def _filled(template: str) -> Callable[[CredentialValue], str]:
    is_json = template.lstrip().startswith(("{", "["))

    def fill(value: CredentialValue) -> str:
        text = template  # the rest of it may have braces of its own, as JSON does
        for key, entry in {"token": value}.items() if isinstance(value, str) else value.items():
            filled = json.dumps(str(entry))[1:-1] if is_json else str(entry)
            text = text.replace(f"{{{key}}}", filled)
        return text

    return fill


def _holds(part: str | None) -> Callable[[str | bytes], bool] | None:
    if part is None:
        return None
    wanted = part

    def holds(message: str | bytes) -> bool:
        return wanted in (message if isinstance(message, str) else message.decode(errors="replace"))

    return holds
