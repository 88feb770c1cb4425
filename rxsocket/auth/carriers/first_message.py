"""The carrier for servers that want the credential as the first message."""

from __future__ import annotations

from collections.abc import Callable

from rxsocket.arguments import encodable, seconds
from rxsocket.auth.carriers.carried import Carried
from rxsocket.auth.carriers.combining import Combinable, Only, names
from rxsocket.auth.credentials import CredentialValue
from rxsocket.auth.greeting import Greeting, Predicate
from rxsocket.callables import function

__all__ = ["first_message"]


def first_message(
    encode: Callable[[CredentialValue], str | bytes],
    accepted: Predicate | None = None,
    rejected: Predicate | None = None,
    timeout: float = 10.0,
    *,
    only: Only = None,
) -> Combinable:
    """Carry the credential as the first message of each connection.

    ::

        link        o--auth>----<ok-----1--2--
        state       connecting  open
        opens       ------------o-------------
        messages    --------------------1--2--

    The socket counts as open when the server has accepted; nothing of the user goes out before, and
    what else the server says before that is delivered after ``Opened`` (C19).

    Args:
        encode: Given the credential's value (a string or a mapping), the message to send.
        accepted: Whether a message, as it came, is the server's yes. It is not delivered. Left out:
            the socket is open as soon as the message was sent.
        rejected: Whether a message is the server's no: the credential counts as refused (C9).
        timeout: Seconds to wait for either; then the attempt has failed.
        only: The entries of a mapping that it is for; ``None`` for all.

    Raises:
        TypeError: If an argument is of a wrong type.
        ValueError: If the timeout is negative.

    Examples:
        >>> first_message(lambda token: json.dumps({"type": "auth", "token": token}),
        ...               accepted=lambda message: '"auth_ok"' in message,
        ...               rejected=lambda message: '"auth_error"' in message)
    """
    function("first_message(encode)", encode)
    for name, predicate in (("accepted", accepted), ("rejected", rejected)):
        if predicate is not None:
            function(f"first_message({name})", predicate)
    patience = seconds("first_message(timeout)", timeout)

    def carry(value: CredentialValue) -> Carried:
        message = encode(value)
        if isinstance(message, str):
            encodable("what first_message(encode) returned", message)
        elif not isinstance(message, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]
            kind = type(message).__name__
            raise TypeError(f"first_message(encode): return str or bytes, not {kind}")
        greeting = Greeting(message=message, accepted=accepted, rejected=rejected, timeout=patience)
        return Carried(greeting=greeting)

    only_these = names("first_message", only)
    return Combinable(carry, "first_message()", only_these, sets=("first message",))
