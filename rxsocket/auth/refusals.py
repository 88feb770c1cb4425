"""The memory of refused credentials: what a server refused once is not dialled again (C9)."""

from __future__ import annotations

from rxsocket.auth.credentials import Credential

__all__ = ["Refusals"]

# A provider may mint refused tokens for weeks; the oldest fingerprints are forgotten first.
LIMIT = 4096


class Refusals:
    """Fingerprints of the credentials that were refused."""

    def __init__(self) -> None:
        self._known: dict[str, None] = {}

    def remember(self, credential: Credential) -> None:
        """This one was refused."""
        self._known[credential.fingerprint] = None
        if len(self._known) > LIMIT:
            del self._known[next(iter(self._known))]

    def __contains__(self, credential: Credential) -> bool:
        return credential.fingerprint in self._known

    def forget(self) -> None:
        """Let every one be tried again (``reconnect()``)."""
        self._known.clear()
