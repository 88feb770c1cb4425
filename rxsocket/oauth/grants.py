"""Providers of access tokens for ``refreshing()`` (RFC 6749, sections 4.4 and 6; C47)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from rxsocket.auth.providers import Ask, Reason
from rxsocket.oauth.client import AuthMethod, ClientSecret
from rxsocket.oauth.rotation import Rotation, access_token
from rxsocket.oauth.server import AuthorizationServer, Endpoint, Scope
from rxsocket.oauth.stores import TokenStore
from rxsocket.oauth.waiting import BlockingStore
from rxsocket.oauth.worker import SingleWork, Work
from rxsocket.validation import seconds

TIMEOUT = 8.0
"""Seconds for a part of a request: less than what ``refreshing()`` allows for all of it."""


class ClientCredentials:
    """A provider of access tokens for a client of its own; see :func:`client_credentials`."""

    def __init__(self, server: AuthorizationServer) -> None:
        self.__qualname__ = f"client_credentials of {server.name}"
        self._server = server
        self._work: SingleWork[dict[str, Any]] = SingleWork(is_kept=False)

    def __repr__(self) -> str:
        return f"<{self.__qualname__}>"

    async def __call__(self, ask: Ask | None = None) -> dict[str, Any]:
        """A new access token, with ``expires_in``."""
        return await self._work.result(lambda _: self._token())

    def _token(self) -> dict[str, Any]:
        return access_token(self._server.token("client_credentials"), time.time())


class RefreshToken:
    """A provider of access tokens by a refresh token; see :func:`refresh_token`."""

    def __init__(
        self, name: str, server: AuthorizationServer, store: BlockingStore, grace_period: float
    ) -> None:
        self.__qualname__ = f"{name} of {server.name}"
        self._server = server
        self._store = store
        self._rotation = Rotation(
            store,
            lambda token: server.token("refresh_token", refresh_token=token),
            grace_period,
            time.time,
        )
        self._work: SingleWork[dict[str, Any]] = SingleWork()

    def __repr__(self) -> str:
        return f"<{self.__qualname__}>"

    async def __call__(self, ask: Ask | None = None) -> dict[str, Any]:
        """An access token, with ``expires_in``: that of the store, or a new one."""
        reason = Reason.FIRST if ask is None else ask.reason
        return await self._work.result(lambda work: self._token(work, reason))

    def _token(self, work: Work[dict[str, Any]], reason: Reason) -> dict[str, Any]:
        self._store.work = work
        return self._rotation.token(reason)


def client_credentials(
    token_url: Endpoint,
    client_id: str,
    client_secret: ClientSecret,
    *,
    scope: Scope = None,
    auth_method: AuthMethod | None = None,
    parameters: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT,
    ca_file: str | None = None,
    allow_http: bool = False,
) -> ClientCredentials:
    """Access tokens for a program that logs in as itself: a provider for ``refreshing()``
    (rule C47, OAuth and secrets that rotate).

    Args:
        token_url: Address of the token endpoint, or the ``Issuer``, which says what that is.
        client_id: The client's registered name.
        client_secret: Its secret; of ``private_key_jwt`` its private key, RSA in PEM; or a function
            that gives it, which is asked for each request, such as ``from_file(path)``.
        scope: What to ask for; a string with spaces between, or a list.
        auth_method: How the client proves who it is: ``"client_secret_basic"`` (the default with a
            secret), ``"client_secret_post"``, ``"client_secret_jwt"``, ``"private_key_jwt"``.
        parameters: What else the server wants, such as ``{"audience": "..."}``.
        timeout: Seconds that connecting, and each wait for a part of the answer, may take.
        ca_file: Path of the certificates of authorities, if the server's is your own.
        allow_http: Whether secrets may go over ``http://`` to another machine.

    Raises:
        TypeError: If an argument is of a wrong type.
        ValueError: If one cannot be used; the text says what to pass.
        ModuleNotFoundError: If ``rxsocket[oauth]`` is not installed.

    Examples:
        >>> provider = client_credentials("https://login.example.com/token", "me", secret)
        >>> Socket(url, auth=refreshing(provider))
    """
    if client_secret is None:
        raise ValueError(
            "client_credentials(client_secret): pass one; a public client has no credentials"
        )
    return ClientCredentials(
        AuthorizationServer(
            "client_credentials",
            token_url,
            client_id,
            client_secret,
            scope=scope,
            auth_method=auth_method,
            parameters=parameters,
            timeout=timeout,
            ca_file=ca_file,
            allow_http=allow_http,
        )
    )


def refresh_token(
    token_url: Endpoint,
    client_id: str,
    client_secret: ClientSecret = None,
    *,
    store: TokenStore,
    grace_period: float = 0.0,
    scope: Scope = None,
    auth_method: AuthMethod | None = None,
    parameters: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT,
    ca_file: str | None = None,
    allow_http: bool = False,
) -> RefreshToken:
    """Access tokens by a refresh token that somebody got by logging in
    (rule C47, OAuth and secrets that rotate).

    A provider for ``refreshing()``. An access token in the store that lives is used without a
    request. To a server that rotates, each refresh token is presented once. That it is about to be
    is saved first, and the answer is saved before anybody uses it. After a crash in between, or an
    answer that is lost on its way, nobody knows whether the token was used. It is not presented
    again: the provider raises ``TokenRefused``, sockets await a credential, and somebody
    has to log in, save ``{"refresh_token": ...}`` in the store, and call ``reconnect()``.

    Args:
        token_url: As of :func:`client_credentials`, and so are the arguments that are not here.
        client_id: Likewise.
        client_secret: Likewise; ``None`` for a public client.
        store: Where the token is: ``FileStore(path)``, ``MemoryStore(token)``, or an object of your
            own with ``load()`` and ``save(token)``.
        grace_period: Seconds in which the server takes a used refresh token again, if it does: then
            no crash shorter than that needs a login. ``math.inf`` if it takes one for ever; that
            is found out by itself of a server that answers without a new refresh token.
        scope: See there.
        auth_method: See there; default for a public client: ``"none"``.
        parameters: See there.
        timeout: See there.
        ca_file: See there.
        allow_http: See there.

    Raises:
        TypeError: If an argument is of a wrong type.
        ValueError: If one cannot be used; the text says what to pass.
        ModuleNotFoundError: If ``rxsocket[oauth]`` is not installed.

    Examples:
        >>> store = FileStore("token.json")
        >>> tokens = refreshing(refresh_token("https://login.example.com/token", "me", store=store))
        >>> sockets = [Socket(url, auth=tokens) for url in feeds]
    """
    server = AuthorizationServer(
        "refresh_token",
        token_url,
        client_id,
        client_secret,
        scope=scope,
        auth_method=auth_method,
        parameters=parameters,
        timeout=timeout,
        ca_file=ca_file,
        allow_http=allow_http,
    )
    grace = grace_period_of("refresh_token", grace_period)
    return RefreshToken("refresh_token", server, BlockingStore("refresh_token", store), grace)


def grace_period_of(argument: str, value: float) -> float:
    """Check a time that may be endless."""
    return value if value == float("inf") else seconds(f"{argument}(grace_period)", value)
