"""Whether two credentials are the same somebody (C14)."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rxsocket.arguments import is_mapping
from rxsocket.auth.credentials import Credential

__all__ = ["Identity", "jwt_claims", "same_identity"]

Identity = Callable[[Any], Any]


def same_identity(old: Credential, new: Credential, identity: Identity | None = None) -> bool:
    """Whether ``new`` is a renewal of ``old`` rather than somebody else.

    It is when the user's ``identity`` function gives the same for both, or when both are JSON Web
    Tokens with the same ``sub``. What cannot be told is another identity, which is the safe answer.
    """
    if not (old.known and new.known):
        return False
    before, after = (_who(credential, identity) for credential in (old, new))
    return before is not None and before == after


def jwt_claims(text: str) -> Mapping[str, Any] | None:
    """The claims of a JSON Web Token, not verified, or ``None`` if the text is none (RFC 7519)."""
    parts = text.split(".")
    if len(parts) != 3:
        return None
    try:
        claims: Any = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError):
        return None
    return claims if is_mapping(claims) else None


def _who(credential: Credential, identity: Identity | None) -> Any:
    value = credential.reveal()
    if identity is not None:
        return identity(value)
    texts: Iterable[Any] = (value,) if isinstance(value, str) else value.values()
    for text in texts:
        claims = jwt_claims(text) if isinstance(text, str) else None
        if claims is not None and claims.get("sub") is not None:
            return claims.get("iss"), claims["sub"]
    return None
