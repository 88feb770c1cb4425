"""What a change of credential does to an open connection (C13).

::

    auth          A--------B------------
    reconnect()   ===A===x o===B========      the old one is closed, then the new one is made
    handover()    ===A=======x                the new one is made ready beside the old one
                           o~o===B======      ~ what it receives waits for the switch
    in_band()     ===A=======B==========      the credential goes over the connection that is open

``handover()`` and ``in_band()`` are for renewals: another identity always gets ``reconnect()``
(C14).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from rxsocket.auth.carrier import Predicate
from rxsocket.auth.credentials import CredentialValue
from rxsocket.validation import function, seconds

Ready: TypeAlias = Literal["open", "message", "acknowledged"] | Predicate
"""When the next connection is ready to take over."""


@dataclass(frozen=True, slots=True)
class Reconnect:
    """See :func:`reconnect`."""


@dataclass(frozen=True, slots=True)
class Handover:
    """See :func:`handover`.

    Attributes:
        ready: When the next connection is ready.
        dedupe: The key of a message.
        timeout: Seconds that it may take to be ready.
        sequence: Of a key, what the messages have in common that come in one order, such as their
            channel. Of these, what the next connection has from before the first one that both had
            is left out: it is older than what was delivered. ``None``: nothing is known of that.
    """

    ready: Ready
    dedupe: Callable[[Any], Any] | None
    timeout: float
    sequence: Callable[[Any], Hashable] | None = None


@dataclass(frozen=True, slots=True)
class InBand:
    """See :func:`in_band`."""

    encode: Callable[[CredentialValue], Any]
    accepted: Predicate | None
    rejected: Predicate | None
    timeout: float
    otherwise: Literal["keep", "reconnect"]


Strategy: TypeAlias = Reconnect | Handover | InBand


def reconnect() -> Reconnect:
    """Close the old connection, then make the new one. The default, and right for every server.

    What is sent meanwhile by the server is missed; ``Opened.gap`` says for how long.
    """
    return Reconnect()


def handover(
    ready: Ready = "open",
    dedupe: Callable[[Any], Any] | None = None,
    timeout: float = 10.0,
) -> Handover:
    """Make the new connection while the old one keeps delivering, then switch at one point.

    ::

        old   --1--2--3--4--5x
        new       o--(3--4--5)--6--7--
        out   --1--2--3--4--5---6--7--      with dedupe; 3, 4 and 5 come twice without

    With ``dedupe`` nothing is missed and nothing comes twice, also when the server attaches its
    feed to the new connection some time after the handshake: the switch is where a message of the
    new connection was seen on the old one. Without it nothing tells which messages are the same.
    Then messages that come over both are delivered twice, and one that the server sends over the
    old connection alone, after the new one seemed to be attached, may be missed.

    For a renewal of the same identity only. If the server refuses the second connection or the new
    credential, the old connection goes on, ``errors`` says so with a ``RenewalFailed``, and the new
    credential is used when the old connection has ended.

    Args:
        ready: When the new connection is ready: ``"open"``; ``"message"``, when its first message
            came; ``"acknowledged"``, when the server has answered the subscriptions of each
            ``channel`` that has an ``acknowledged`` function, on it; or a function that is asked
            about each of its messages, decoded. It is asked for the channels as soon as it is
            there, in any case (rule C22, channels); with ``limits=`` at their pace, and it is not
            ready before all were asked for (rule C36, limits of sending).
        dedupe: The key of a message, decoded, before ``after_receive``; of two messages with equal
            keys one is delivered. ``None`` as a key means that the message has no double.
        timeout: Seconds that it may take to be ready. Those in which it waits for ``limits=``, to
            ask for its channels, do not count: that many of them takes as long as it takes.

    Raises:
        TypeError: If an argument is of a wrong type.
        ValueError: If the timeout is negative.

    Examples:
        >>> Socket(url, auth=token, on_auth_change=handover(dedupe=lambda trade: trade["id"]))
    """
    if ready not in ("open", "message", "acknowledged"):
        if isinstance(ready, str):
            pass_this = "pass 'open', 'message', 'acknowledged' or a function of a message"
            raise ValueError(f"handover(ready): {pass_this}")
        function("handover(ready)", ready)
    if dedupe is not None:
        function("handover(dedupe)", dedupe)
    return Handover(ready, dedupe, seconds("handover(timeout)", timeout))


def in_band(
    encode: Callable[[CredentialValue], Any],
    accepted: Predicate | None = None,
    rejected: Predicate | None = None,
    timeout: float = 10.0,
    otherwise: Literal["keep", "reconnect"] = "reconnect",
) -> InBand:
    """Send the new credential over the connection that is open.

    For a renewal of the same identity, and servers that know such a message.

    Args:
        encode: Given the credential's value (a string or a mapping), the message to send: ``str``,
            ``bytes``, or what the socket's codec encodes.
        accepted: Whether a message, as it came, is the server's yes. It is not delivered. Left out:
            the change is in effect as soon as it was sent.
        rejected: Whether a message is the server's no. It is not delivered.
        timeout: Seconds to wait for either.
        otherwise: After a no or no answer: ``"reconnect"`` with the new credential, or ``"keep"``
            the connection as it is.

    Raises:
        TypeError: If an argument is of a wrong type.
        ValueError: If the timeout is negative, or ``otherwise`` is something else.

    Examples:
        >>> in_band(lambda token: json.dumps({"op": "auth", "token": token}),
        ...         accepted=lambda message: '"auth_ok"' in message)
    """
    function("in_band(encode)", encode)
    for name, predicate in (("accepted", accepted), ("rejected", rejected)):
        if predicate is not None:
            function(f"in_band({name})", predicate)
    if otherwise not in ("keep", "reconnect"):
        raise ValueError(f"in_band(otherwise): pass 'keep' or 'reconnect', not {otherwise!r}")
    patience = seconds("in_band(timeout)", timeout)
    return InBand(encode, accepted, rejected, patience, otherwise)


_RECONNECT = Reconnect()


def strategy(name: str, value: Any) -> Strategy:
    """Check a strategy; ``None`` is :func:`reconnect`.

    Raises:
        TypeError: If it is none.
    """
    if value is None:
        return _RECONNECT
    if not isinstance(value, (Reconnect, Handover, InBand)):
        called = f"{name}: pass reconnect(), handover() or in_band(), not {type(value).__name__}"
        raise TypeError(called)
    return value
