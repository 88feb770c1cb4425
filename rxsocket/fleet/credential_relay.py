"""One source of credentials for shards elsewhere: it stays with the fleet, and is asked for them.

::

    auth=     refreshing(), a function, an Observable, a value
                 │ answer(question), push
    shards    ◄──┴── Answered(7, Sealed(***)), Pushed(Sealed(***))
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from reactivex import abc
from reactivex.disposable import Disposable

from rxsocket.auth.credentials import ANONYMOUS, PENDING, Credential
from rxsocket.auth.masks import Mask
from rxsocket.auth.providers import ProviderFunction, credentials_from
from rxsocket.auth.refresh import Refreshing
from rxsocket.auth.token_refresher import Follower
from rxsocket.fleet.questions import CredentialWanted, Sealed
from rxsocket.runtime.loop import SocketLoop
from rxsocket.validation import is_behavior, is_observable

KEPT = 8
"""How many credentials are masked in texts."""
SOONER = 0.8
"""A shard asks for the next one when this much of the lead is left: then the fleet has it."""


class CredentialRelay:
    """Gives shards elsewhere the credentials that ``auth=`` of a fleet gives.

    Args:
        auth: What the fleet was given.
        timeout: Seconds that a function may take.
        loop: The fleet's.
        push: Called on it with each credential that comes by itself.
        failed: Called with what went wrong with an Observable.

    Attributes:
        kind: See ``RemoteAuth``.
        lead: For ``refreshing()``, seconds before the expiry at which a shard asks.
        newest: The newest one that any shard may have, if others are to have the same.
    """

    def __init__(
        self,
        auth: Any,
        timeout: float | None,
        loop: SocketLoop,
        push: Callable[[Sealed], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._auth = auth
        self._loop = loop
        self._push = push
        self._failed = failed
        self.newest: Sealed | None = None
        self.lead = 300.0
        self._function: ProviderFunction[Credential] | None = None
        self._follower: Follower | None = None
        self._issued: dict[int, Credential] = {}
        self._given: deque[Credential] = deque(maxlen=KEPT)
        self.kind = self._kind_of(auth, timeout)

    def _kind_of(self, auth: Any, timeout: float | None) -> str:
        if isinstance(auth, Refreshing):
            refresher = auth._refresher  # pyright: ignore[reportPrivateUsage]
            self.lead = refresher.lead * SOONER
            return "shared"
        if is_observable(auth):
            if is_behavior(auth):
                self.newest = self._sealed(Credential.of(auth.value))
            return "pushed"
        if callable(auth):
            self._function = ProviderFunction("auth (a provider)", auth, timeout, _read)
            return "asked"
        credential = Credential.of(auth)
        if credential is ANONYMOUS:
            return "none"
        self.newest = self._sealed(credential)
        return "given"

    def start(self) -> abc.DisposableBase:
        """Follow the source, until disposed; on the loop."""
        if self.kind == "shared":
            self._follower = Follower(
                self._auth._refresher, self._loop, lambda _: None, self._failed
            )
            return self._follower
        if self.kind == "pushed":
            first = PENDING if self.newest is None else Credential.of(self._auth.value)
            return credentials_from(
                self._auth, _read_pushed, first, self._on_pushed, self._failed
            )()
        return Disposable()

    def masked(self, text: str) -> str:
        """Mask the newest credentials in a text; from any thread."""
        return str(Mask(tuple(self._given))(text))

    async def answer(self, wanted: CredentialWanted) -> Sealed:
        """A credential for a shard.

        Raises:
            ProviderFailed: If the user's function failed.
            Unauthorized: If it gave up.
        """
        if self._function is not None:
            return self._sealed(await self._function.call(wanted.ask))
        refused = self._issued.get(wanted.refused or 0)
        token = await self._auth._refresher.token(
            wanted.ask, self._follower, partial(_is_same, refused)
        )
        self._issued = {token.number: token.credential} | dict(list(self._issued.items())[:8])
        self.newest = self._sealed(token.credential, token.number, token.expires_at)
        return self.newest

    def _sealed(
        self, credential: Credential, number: int = 0, expires_at: float | None = None
    ) -> Sealed:
        if credential not in self._given:
            self._given.append(credential)
        return Sealed.of(credential, number, expires_at)

    def _on_pushed(self, credential: Credential) -> None:
        def push() -> None:
            self.newest = self._sealed(credential)
            self._push(self.newest)

        self._loop.run(push)


def _read(answer: Any) -> Credential:
    return Credential.of(answer, "what the provider returned")


def _read_pushed(value: Any) -> Credential:
    return Credential.of(value, "auth (an Observable's value)")


def _is_same(refused: Credential | None, credential: Credential) -> bool:
    return credential == refused
