"""Refresh tokens that may be used once, and an order of steps that a crash may interrupt (C47).

::

    lock      load     save "presented"     POST ───► the server     save the answer     unlock
    ├───────────┼──────────────┼──────────────┼──── rotates ────────────────┼───────────────┤
    after a crash here:  not used             may have been used            the new one is there
                         │                                                  │
                         └ nothing happened                                 └ nothing is lost

Before a refresh token is presented it is saved that it will be, and what comes back is saved before
anybody uses it. So whoever finds a token knows whether it was ever presented. One of which that is
not known, as the answer never came, is not presented again: a server that has rotated it takes
that for theft, and revokes all that came of it (RFC 9700, section 4.14). Somebody has to log in.

Where the server takes a used token again for a while, which ``grace_period`` says, or has been seen
to answer without a new one, it is presented again, and no crash loses anything.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from rxsocket.auth.credentials import jwt_claims
from rxsocket.auth.providers import Reason
from rxsocket.oauth.endpoint import EndpointAnswer
from rxsocket.oauth.errors import LOG_IN, TokenRefused, TokenRequestFailed
from rxsocket.oauth.stores import StoreFailed, Token
from rxsocket.oauth.waiting import BlockingStore

YOUNG = 0.6
"""What is left of the life of a token that somebody else has renewed ahead of its expiry."""
SHORTEST = 5.0
"""Seconds that a token from the store has to live to be worth using."""
_OURS = ("refresh_token", "expires_at", "obtained_at", "presented_at", "refused", "reusable")
_NOT_AGAIN = (
    f"It is not presented again: {LOG_IN}; or say with grace_period= for how long the server takes "
    "a used one again"
)


@dataclass(frozen=True, slots=True)
class _Known:
    """What a saved token says of itself."""

    token: Token = field(repr=False)

    @property
    def refresh_token(self) -> str | None:
        found = self.token.get("refresh_token")
        return found if isinstance(found, str) and found else None

    def number(self, name: str) -> float | None:
        return _number(self.token.get(name))

    def serves(self, reason: Reason, given: object, now: float) -> bool:
        """Whether its access token is an answer to who asks for that reason.

        Args:
            reason: The reason.
            given: The access token that was the last answer.
            now: The wall time.
        """
        access_token = self.token.get("access_token")
        expires_at, obtained_at = self.number("expires_at"), self.number("obtained_at")
        if not access_token or expires_at is None or obtained_at is None or now < obtained_at:
            return False  # nothing is known, or the clock was set back
        if expires_at - now < SHORTEST:
            return False
        if reason is Reason.REJECTED:
            return bool(access_token != given)
        if reason is Reason.EXPIRING:
            return expires_at - now > YOUNG * (expires_at - obtained_at)
        return True

    def answer(self, now: float) -> dict[str, Any]:
        """As the response of a token endpoint, for ``refreshing()``, without what is not for it."""
        fields = {name: it for name, it in self.token.items() if name not in _OURS}
        expires_at = self.number("expires_at")
        if expires_at is not None:
            fields["expires_in"] = max(1.0, expires_at - now)
        return {"token_type": "Bearer", **fields}


@dataclass(frozen=True, slots=True)
class _Unsaved:
    """What is to be saved before anything else is done.

    Attributes:
        presented: The refresh token that it takes the place of; ``None`` for whatever there is.
        token: The token.
        is_new: Whether the server gave it, so that it must not be lost.
    """

    presented: str | None = field(repr=False)
    token: Token = field(repr=False)
    is_new: bool


class Rotation:
    """Gives access tokens by refresh tokens; one call at a time, on any thread.

    Args:
        store: Where the token is.
        present: Presents a refresh token.
        grace_period: Seconds in which the server takes a used one again.
        clock: The wall time.
    """

    def __init__(
        self,
        store: BlockingStore,
        present: Callable[[str], EndpointAnswer],
        grace_period: float,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._present = present
        self._grace_period = grace_period
        self._clock = clock
        self._unsaved: _Unsaved | None = None
        self._given: object = None

    def token(self, reason: Reason) -> dict[str, Any]:
        """A token that serves.

        Raises:
            TokenRequestFailed: If there is none this time.
            TokenRefused: If somebody has to log in.
        """
        failure: str
        try:
            with self._store.lock():
                answer = self._token(reason)
        except StoreFailed as error:
            failure = f"the store of the refresh token failed: {error}"
        else:
            self._given = answer.get("access_token")
            return answer
        raise TokenRequestFailed(failure)

    def begin(self, answer: EndpointAnswer) -> dict[str, Any]:
        """Save the first token, which came by a login, and give it.

        Raises:
            TokenRequestFailed: If it cannot be saved; it is, by the next call.
        """
        self._unsaved = _Unsaved(None, obtained(answer, None), is_new=True)
        return self.token(Reason.FIRST)

    def _token(self, reason: Reason) -> dict[str, Any]:
        came = self._save_unsaved()
        now = self._clock()
        if came is not None:
            return _Known(came).answer(now)
        known = _Known(self._store.load() or {})
        if known.serves(reason, self._given, now):
            return known.answer(now)
        refresh_token = known.refresh_token
        if refresh_token is None:
            raise TokenRefused(f"there is no refresh token in the store: {LOG_IN}")
        self._check(known, now)
        return self._rotate(known.token, refresh_token, now)

    def _check(self, known: _Known, now: float) -> None:
        """Check that the refresh token may be presented."""
        refused = known.token.get("refused")
        if refused:
            raise TokenRefused(f"the refresh token was refused before: {LOG_IN}", code=str(refused))
        if "presented_at" in known.token and not self._is_taken_again(known, now):
            raise TokenRefused(
                "the refresh token was presented before, and it is not known whether the server "
                f"has used it: the program ended before the answer came. {_NOT_AGAIN}"
            )

    def _is_taken_again(self, known: _Known, now: float) -> bool:
        if known.token.get("reusable") or not isfinite(self._grace_period):
            return True
        presented_at = known.number("presented_at")
        return presented_at is not None and 0 <= now - presented_at < self._grace_period

    def _rotate(self, token: Token, refresh_token: str, now: float) -> dict[str, Any]:
        presented = {"presented_at": now, **token}  # the first time counts
        self._store.save(presented)
        failure: TokenRequestFailed | TokenRefused
        try:
            answer = self._present(refresh_token)
        except TokenRefused as error:
            is_dead = error.code == "invalid_grant"
            self._put_back({**token, "refused": error.code} if is_dead else token)
            failure = error
        except TokenRequestFailed as error:
            failure = error
            if not error.is_sent:
                self._put_back(token)
            elif not self._is_taken_again(_Known(presented), self._clock()):
                failure = TokenRefused(
                    f"{error}; the refresh token may have been used. {_NOT_AGAIN}"
                )
        else:
            new = obtained(answer, refresh_token)
            self._unsaved = _Unsaved(refresh_token, new, is_new=True)
            self._save_unsaved()
            return _Known(new).answer(self._clock())
        raise failure

    def _put_back(self, token: Token) -> None:
        """Save that a token was not used after all; by the next call, if not now."""
        self._unsaved = _Unsaved(token.get("refresh_token"), token, is_new=False)
        with suppress(StoreFailed):
            self._save_unsaved()

    def _save_unsaved(self) -> Token | None:
        """Save what waits for it; return it if it is new, as nobody has got it yet."""
        unsaved = self._unsaved
        if unsaved is None:
            return None
        failure: str
        try:
            known = _Known(self._store.load() or {})
            # Else somebody has logged in meanwhile, whose token counts.
            is_wanted = unsaved.presented in (None, known.refresh_token)
            if is_wanted:
                self._store.save(unsaved.token)
        except StoreFailed as error:
            if not unsaved.is_new:
                raise
            failure = str(error)
        else:
            self._unsaved = None
            return unsaved.token if unsaved.is_new and is_wanted else None
        raise TokenRequestFailed(
            f"a new token came, and cannot be saved: {failure}. Nobody gets it before it is saved, "
            "which is tried again"
        )


def access_token(answer: EndpointAnswer, now: float) -> dict[str, Any]:
    """An answer that is not stored, for ``refreshing()``."""
    return _Known(obtained(answer, None)).answer(now)


def obtained(answer: EndpointAnswer, presented: str | None) -> dict[str, Any]:
    """What is saved of an answer.

    Args:
        answer: The answer.
        presented: The refresh token that it was given for, which goes on if there is no other one.
    """
    given = answer.fields
    token = {name: it for name, it in given.items() if name not in (*_OURS, "expires_in")}
    token["obtained_at"] = answer.sent_at
    lifetime = lifetime_of(answer)
    if lifetime is not None:
        token["expires_at"] = answer.sent_at + lifetime
    refresh_token = given.get("refresh_token") or presented
    if refresh_token is not None:
        token["refresh_token"] = refresh_token
        if refresh_token == presented:
            token["reusable"] = True
    return token


def lifetime_of(answer: EndpointAnswer) -> float | None:
    """How long an access token lives from when it was asked for, by the server's own clock."""
    given: Any = answer.fields.get("expires_in")
    if isinstance(given, str) and given.isascii() and given.isdigit():
        given = float(given[:12])
    lifetime = _number(given)
    if lifetime is None:
        claims = jwt_claims(str(answer.fields.get("access_token", "")))
        expires_at = None if claims is None else _number(claims.get("exp"))
        if expires_at is None or answer.server_time is None:
            return None
        lifetime = expires_at - answer.server_time
    return lifetime if lifetime > 0 else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if abs(value) < 1e15 else None
