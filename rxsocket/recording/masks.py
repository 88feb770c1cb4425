"""What a recording says of credentials: which were the same, and nothing of their values (C28)."""

from __future__ import annotations

from rxsocket.arguments import is_mapping
from rxsocket.auth.credentials import ANONYMOUS, LOGGED_OUT, PENDING, Credential
from rxsocket.recording.lines import AuthSeen

__all__ = ["Ordinals"]


class Ordinals:
    """Numbers credentials: equal ones get the same number."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def seen(self, credential: Credential, at: float) -> AuthSeen:
        """The entry for a credential that is in use from now on."""
        number = self._numbers.setdefault(credential.fingerprint, len(self._numbers) + 1)
        value = credential.reveal()
        names = tuple(value) if is_mapping(value) else None
        return AuthSeen(at=at, credential=number, kind=_kind(credential), names=names)


def _kind(credential: Credential) -> str:
    if credential is ANONYMOUS:
        return "anonymous"
    if credential is LOGGED_OUT:
        return "logged out"
    return "none yet" if credential is PENDING else "value"
