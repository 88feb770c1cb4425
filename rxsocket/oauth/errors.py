"""What a token endpoint says when it gives no token, in words, and what to do about it (C47).

A request may be repeated after a :class:`TokenRequestFailed`, as ``refreshing()`` does; after a
:class:`TokenRefused` somebody has to do something first, so sockets await another credential.
"""

from __future__ import annotations

from rxsocket.errors import ProviderFailed, Unauthorized


class TokenRequestFailed(ProviderFailed, ValueError):
    """There is no token this time: the server was not reached, or did not answer as one
    (rule C47, OAuth and secrets that rotate).

    Attributes:
        code: The error code of RFC 6749 or RFC 8628 that came, if one did.
        is_sent: Whether the server may have had the request, and done what it asks for.
        retry_after: Seconds after which the server wants to be asked again, if it said so.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        is_sent: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.is_sent = is_sent
        self.retry_after = retry_after


class TokenRefused(Unauthorized):
    """There is no token to be had until somebody does something; the text says what
    (rule C47, OAuth and secrets that rotate).

    Attributes:
        code: The error code of RFC 6749 or RFC 8628, such as ``"invalid_grant"``; empty when the
            server was not asked.
    """

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.code = code


LOG_IN = "log in again, and save the new refresh token in the store"

# RFC 6749, section 5.2, and RFC 8628, section 3.5.
_MEANS = {
    "invalid_request": "the server does not understand the request: it may want another "
    "auth_method=, or something in parameters=",
    "invalid_client": "the server does not know this client, or not by this secret: check "
    "client_id=, client_secret= and auth_method=",
    "unauthorized_client": "this client may not use this kind of grant: allow it where the client "
    "is registered",
    "unsupported_grant_type": "the server has no such grant: another one is needed, or another "
    "token endpoint",
    "invalid_scope": "the scope is unknown, or more than was granted: check scope=",
    "access_denied": "the user, or the server, said no: log in again",
    "expired_token": "nobody logged in within the time that the server gave: log in again",
}
_GRANTS = {
    "refresh_token": "the refresh token has expired, was revoked, was used before, or is another "
    f"client's: {LOG_IN}",
    "urn:ietf:params:oauth:grant-type:device_code": "the device code is unknown, or was used "
    "before: log in again",
}
TRANSIENT = frozenset(("server_error", "slow_down", "temporarily_unavailable"))
"""Codes of a server that will have a token later; the first and the last are of section 4.1.2.1."""


CODES = frozenset((*_MEANS, *TRANSIENT, "authorization_pending", "invalid_grant"))
"""The codes that servers may use."""


def meaning(code: str, grant_type: str) -> str:
    """What an error code means for a grant, and what to do."""
    if code == "invalid_grant":
        return _GRANTS.get(grant_type, "the server does not accept the grant: check its parameters")
    return _MEANS.get(code, "look the code up in the documentation of the server")
