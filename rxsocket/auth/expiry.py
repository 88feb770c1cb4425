"""When a credential expires, as far as that can be known (C12).

A provider's answer may be a credential, or the response of an OAuth token endpoint (RFC 6749,
section 5.1), which is a credential and something about it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isfinite
from typing import Any, TypeAlias

from rxsocket.auth.credentials import Credential, jwt_claims, texts_in
from rxsocket.auth.masks import Mask
from rxsocket.runtime.threads import exit_soon
from rxsocket.texts import change_texts
from rxsocket.validation import is_mapping

Expires: TypeAlias = Callable[[Any], float | datetime | timedelta | None]
"""From a provider's answer to when it expires: seconds since 1970 or an aware ``datetime``; how
long it lives: a ``timedelta``; ``None`` when that is not known."""

LOGGED_OUT_FOR = 300.0
"""Seconds until a provider that says logged out is asked again."""
_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,15}")  # longer ones may be no type
# A number in these is about a credential, it is none; and a refresh token is for its issuer alone.
_ABOUT = frozenset(("expires_in", "refresh_token", "refresh_token_expires_in", "token_type"))


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A credential that a provider gave.

    Attributes:
        credential: The credential.
        lifetime: Seconds from the answer to the expiry; ``None`` if that is not known.
        expires_at: The same as wall time, in seconds since 1970.
        number: Number of the call that it came of.
    """

    credential: Credential
    lifetime: float | None
    expires_at: float | None
    number: int = 0

    def is_live(self, now: float) -> bool:
        """Whether it has not expired at this wall time."""
        return self.expires_at is None or now < self.expires_at


def issued_token(
    answer: Any,
    now: float,
    expires: Expires | None = None,
    credential: Callable[[Any], Any] | None = None,
) -> IssuedToken:
    """Read a provider's answer.

    An expiry that is not in the future says that it is not known: of a clock that is wrong, or of a
    field that was never filled in.

    Args:
        answer: What the provider returned.
        now: Wall time at which it came, in seconds since 1970.
        expires: The user's function.
        credential: The user's function from the answer to the credential.

    Raises:
        TypeError: If there is no credential in it, or a function gave what it may not.
        ValueError: Likewise, or a function raised.
    """
    if credential is None:
        chosen = _credential_in(answer)
    else:
        chosen = _result_of("credential", credential, answer)
    if is_mapping(chosen) and "refresh_token" in chosen:
        chosen = {name: entry for name, entry in chosen.items() if name != "refresh_token"}
    made = Credential.of(chosen, "what the provider returned")
    if not made.known:
        return IssuedToken(made, LOGGED_OUT_FOR, now + LOGGED_OUT_FOR)
    if expires is not None:
        lifetime = _lifetime_until(_result_of("expires", expires, answer), now)
    else:
        lifetime = _expires_in(answer) or _jwt_lifetime(made, now)
    if lifetime is None or not lifetime > 0:
        return IssuedToken(made, None, None)
    return IssuedToken(made, lifetime, now + lifetime)


def _credential_in(answer: Any) -> Any:
    """The credential in an answer: the access token, or the mapping without what is about it."""
    if not is_mapping(answer):
        return answer
    if "access_token" in answer and not answer.keys().isdisjoint(("expires_in", "token_type")):
        _check_type(answer.get("token_type"))
        return answer["access_token"]
    return {name: entry for name, entry in answer.items() if name not in _ABOUT}


def _check_type(token_type: Any) -> None:
    """RFC 6749, section 7.1: a token of a type that is not understood must not be used."""
    if not isinstance(token_type, str) or token_type.strip().lower() in ("bearer", ""):
        return
    named = f" {token_type!r}" if _TYPE.fullmatch(token_type) else ""
    raise ValueError(
        f"the token is of another token_type{named} than 'Bearer', for which more is to be done "
        "than to send it; if the server takes it as it is, say so with "
        "refreshing(..., credential=lambda answer: answer['access_token'])"
    )


def _result_of(argument: str, function: Callable[[Any], Any], answer: Any) -> Any:
    failure: str
    try:
        return function(answer)
    except BaseException as error:
        exit_soon(error)
        change_texts(error, Mask.of(answer))
        failure = f"{argument}(answer) raised {type(error).__name__}: {error}"
    raise ValueError(failure)


def _lifetime_until(when: Any, now: float) -> float | None:
    if when is None:
        return None
    if isinstance(when, timedelta):
        return when.total_seconds()
    if isinstance(when, datetime):
        if when.tzinfo is None:
            raise ValueError("expires(answer): the datetime has no time zone; pass an aware one")
        return when.timestamp() - now
    number = _number(when)
    if number is None:
        raise TypeError(
            "expires(answer): return seconds since 1970, a datetime, a timedelta or None, "
            f"not {type(when).__name__}"
        )
    return number - now


def _expires_in(answer: Any) -> float | None:
    """RFC 6749, section 5.1: seconds from the answer on. Some servers write the number as text."""
    given = answer.get("expires_in") if is_mapping(answer) else None
    if isinstance(given, str) and given.isascii() and given.isdigit():
        return float(given[:12])
    number = _number(given)
    return number if number is not None and number > 0 else None


def _jwt_lifetime(credential: Credential, now: float) -> float | None:
    """RFC 7519: of several tokens, the one that expires first counts."""
    lifetimes = (_lifetime(claims, now) for claims in _jwts(credential))
    return min((lifetime for lifetime in lifetimes if lifetime is not None), default=None)


def jwt_expiry(credential: Credential) -> float | None:
    """When the JSON Web Token in a credential expires, by its issuer's clock; maybe long ago."""
    times = (_number(claims.get("exp")) for claims in _jwts(credential))
    return min((at for at in times if at is not None), default=None)


def _jwts(credential: Credential) -> Iterator[Mapping[str, Any]]:
    for text in texts_in(credential):
        claims = jwt_claims(text)
        if claims is not None:
            yield claims


def _lifetime(claims: Mapping[str, Any], now: float) -> float | None:
    expires, issued = _number(claims.get("exp")), _number(claims.get("iat"))
    if expires is None:
        return None
    left = expires - now
    # Our clock may differ from the issuer's: a token cannot live longer than from issue to expiry.
    whole = None if issued is None or issued >= expires else expires - issued
    if whole is not None and not 0 < left <= whole:
        return whole
    return left if left > 0 else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value) if isfinite(value) else None
    except OverflowError:
        return None
