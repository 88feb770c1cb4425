"""The credential of each attempt, for one group of credentials (C9, C10).

A credential that was pushed (``set_auth``, an Observable, a plain value) is used until it is
refused. Without one, or once it was refused, the provider is asked, if there is one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from rxsocket.auth.credentials import ANONYMOUS, LOGGED_OUT, PENDING, Credential, CredentialSet
from rxsocket.auth.providers import Ask, Provider, Reason
from rxsocket.errors import ProviderFailed, SocketError, Unauthorized
from rxsocket.events import Cause


@dataclass(frozen=True, slots=True)
class Renewal:
    """A credential that the provider issued by itself, ahead of the expiry of the last (C12).

    It is the same identity as before. It was not pushed: each attempt asks the provider, which has
    this one or a newer one.
    """

    credential: Credential


CredentialSource: TypeAlias = Credential | Renewal | Provider
"""Where a group begins: a credential that was pushed, one that was renewed, or the provider."""

SAME_AGAIN = 300.0
"""Seconds until a provider that repeats a refused credential is asked again."""


class Abandoned(SocketError):
    """There is nothing to dial with; the attempt ends as ``Aborted``."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(cause.value)
        self.cause = cause


class CredentialSelector:
    """Gives the credential for each attempt, and waits for another one after a refusal.

    Attributes:
        credential: The one in use.
    """

    def __init__(
        self, source: CredentialSource, fallback: Provider | None, refusals: CredentialSet
    ) -> None:
        self.credential: Credential = source if isinstance(source, Credential) else ANONYMOUS
        self._pushed = source if isinstance(source, Credential) else None
        self._provider = source if isinstance(source, Provider) else fallback
        self._issued: Credential | None = None
        self._refusals = refusals
        self._gave_up = False

    @property
    def pushed(self) -> bool:
        """Whether the credential in use was pushed, not issued by a provider."""
        return self._pushed is not None

    @property
    def newest(self) -> Credential:
        """The credential that the next attempt would carry, as far as is known."""
        return self._pushed or self._issued or self.credential

    @property
    def has_newer(self) -> bool:
        """Whether one was pushed that no attempt has carried yet, and that may be tried."""
        newer = self._pushed
        if newer is None or newer == self.credential:
            return False
        return newer not in self._refusals

    def push(self, credential: Credential) -> None:
        """Another one was pushed, for the same group."""
        self._pushed, self._issued = credential, None

    def renew(self, credential: Credential) -> None:
        """The provider issued another one by itself, for the same group."""
        self._pushed, self._issued = None, credential

    def why_not_dial(self) -> tuple[Cause, str] | None:
        """Why there is nothing to dial with before anything was tried, if there is not."""
        if self._pushed is LOGGED_OUT:
            return Cause.LOGGED_OUT, "logged out"
        if self._pushed is PENDING:
            return Cause.NO_CREDENTIAL, "the source has not emitted a credential yet"
        if self._pushed is not None and self._pushed in self._refusals:
            return Cause.REFUSED, "this credential was refused before and is not tried again"
        return None

    def is_at_hand(self) -> bool:
        """Whether the credential for an attempt is there already."""
        return self._pushed is not None or self._issued is not None or self._provider is None

    def take(self) -> Credential:
        """The credential at hand, for one attempt."""
        if self._pushed is not None:
            self.credential = self._pushed
        elif self._issued is not None:
            self.credential, self._issued = self._issued, None
        return self.credential

    async def ask(self, ask: Ask) -> Credential:
        """The provider's credential, for one attempt.

        Raises:
            Abandoned: If it gave a refused one again, or none.
            ProviderFailed: If it failed.
            Unauthorized: If it gave up.
        """
        if self._provider is not None:
            self.credential = await self._ask_provider(self._provider, ask)
        if self.credential is LOGGED_OUT:
            raise Abandoned(Cause.LOGGED_OUT)
        if self.credential in self._refusals:
            raise Abandoned(Cause.REFUSED)
        return self.credential

    def will_ask(self, cause: Cause) -> bool:
        """Whether the provider is asked for another one, rather than waited for ``set_auth``."""
        waiting_for_push = cause in (Cause.LOGGED_OUT, Cause.NO_CREDENTIAL) and self.pushed
        return self._provider is not None and not (self._gave_up or waiting_for_push)

    async def another(
        self,
        ask: Ask,
        cause: Cause,
        delays: Callable[[], float],
        failed: Callable[[ProviderFailed | Unauthorized], None],
    ) -> None:
        """Return when there is a credential that was not refused; it is for the next attempt.

        Without a provider that is never: the group ends when another credential is pushed.

        Args:
            ask: What to tell the provider.
            cause: Why another one is needed.
            delays: Seconds to wait before the provider is asked the next time.
            failed: Called with each failure of the provider, and with how it gave up.
        """
        if self._provider is None or not self.will_ask(cause):
            await _forever()
            return
        refused = ask.reason is Reason.REJECTED
        repeated = not (self.pushed or refused) and self.credential in self._refusals
        self._pushed = None
        delay = SAME_AGAIN if repeated or cause is Cause.LOGGED_OUT else delays()
        while True:
            await asyncio.sleep(delay)
            try:
                credential = await self._ask_provider(self._provider, ask)
            except ProviderFailed as error:
                failed(error)
                delay = delays()
            except Unauthorized as error:
                failed(error)
                await _forever()
            else:
                if credential.known and credential not in self._refusals:
                    self._issued = credential
                    return
                delay = SAME_AGAIN

    async def _ask_provider(self, provider: Provider, ask: Ask) -> Credential:
        try:
            return await provider.ask(ask)
        except Unauthorized:
            self._gave_up = True
            raise


async def _forever() -> None:
    await asyncio.Event().wait()
