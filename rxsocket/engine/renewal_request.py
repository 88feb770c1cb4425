"""What ``socket.renew()`` asks for (C34)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs, unquote

from rxsocket.auth.credentials import Credential, Ticket
from rxsocket.validation import LONGEST_REASON, code_to_send, instance, seconds_or_none


@dataclass(frozen=True, slots=True)
class RenewalRequest:
    """The connection is to be renewed, without another credential.

    Attributes:
        within: Seconds after which the old one must be left; ``None`` for no deadline.
        why: Text for people, which may be a server's; made fit to be shown.
        code: What the old one is closed with.
        elsewhere: Whether the next attempt goes to an address of its own.
    """

    within: float | None = None
    why: str = ""
    code: int = 1000
    elsewhere: bool = False


def renewal_request(
    within: Any, why: Any, code: Any, as_read: Callable[[str], str]
) -> RenewalRequest:
    """Check the arguments of ``renew``.

    Args:
        within: Seconds, or ``None``.
        why: Text.
        code: Close code.
        as_read: Makes of a text that others wrote one that may be shown (C28, C32).

    Raises:
        TypeError: If one is of a wrong type.
        ValueError: If ``within`` is negative or not finite, or the code may not be sent.
    """
    text = as_read(instance("renew(why)", why, str, "a text"))
    deadline = seconds_or_none("renew(within)", within)
    return RenewalRequest(deadline, _fitting(text), code_to_send("renew(code)", code))


def hidden_in(url: str) -> Credential:
    """What a URL that a server gave may hold of secrets, also if it cannot be used."""
    try:
        return Ticket(url)
    except ValueError:
        before, *after = re.split("[?#]", url)
        named = parse_qs("&".join(after)).items()
        info = before.rpartition("@")[0].rpartition("/")[2].split(":")
        password = tuple(map(unquote, info))
        hidden = {**{name: tuple(texts) for name, texts in named}, "password": password}
        return Credential(MappingProxyType(hidden))


def _fitting(text: str) -> str:
    """As much of a text as a close frame holds."""
    encoded = text.encode()
    if len(encoded) <= LONGEST_REASON:
        return text
    room = LONGEST_REASON - len("…".encode())
    return encoded[:room].decode(errors="ignore") + "…"
