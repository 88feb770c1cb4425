"""An authorisation server, as the grants use it: its endpoints, and when it may be asked."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from rxsocket.oauth.client import AuthMethod, Client, ClientSecret
from rxsocket.oauth.endpoint import EndpointAnswer, Exchange, Http, checked_url, shown
from rxsocket.oauth.errors import TokenRequestFailed
from rxsocket.oauth.issuer import Issuer
from rxsocket.validation import is_list, is_mapping, more_than_zero

Endpoint: TypeAlias = str | Issuer
Scope: TypeAlias = str | Sequence[str] | None


class AuthorizationServer:
    """What all grants have in common; for the arguments, see ``client_credentials``.

    Args:
        argument: Name of the function that they were passed to, for errors.
    """

    def __init__(
        self,
        argument: str,
        token_url: Endpoint,
        client_id: str,
        client_secret: ClientSecret,
        *,
        scope: Scope,
        auth_method: AuthMethod | None,
        parameters: Mapping[str, str] | None,
        timeout: float,
        ca_file: str | None,
        allow_http: bool,
    ) -> None:
        self._client = Client(argument, client_id, client_secret, auth_method)
        self._allow_http = allow_http
        self._token_url = self.checked(f"{argument}(token_url)", token_url)
        every = more_than_zero(f"{argument}(timeout)", timeout)
        if every is None:
            raise TypeError(f"{argument}(timeout): pass seconds, not None")
        if ca_file is not None and not isinstance(ca_file, str):
            raise TypeError(f"{argument}(ca_file): pass a path, not {type(ca_file).__name__}")
        self._http = Http(every, ca_file)
        self._fields = _parameters(f"{argument}(parameters)", parameters)
        if (text := _scope(f"{argument}(scope)", scope)) is not None:
            self._fields["scope"] = text
        self._asks_again_at = 0.0

    @property
    def name(self) -> str:
        """What it is called in errors."""
        url = self._token_url
        return shown(url.url if isinstance(url, Issuer) else url)

    def checked(self, argument: str, url: Endpoint) -> Endpoint:
        """Check the address of an endpoint.

        Raises:
            TypeError: If it is none.
            ValueError: If secrets may not be sent there.
        """
        where = url.url if isinstance(url, Issuer) else url
        checked_url(argument, where, allow_http=self._allow_http)
        return url

    def token(self, grant_type: str, **fields: str) -> EndpointAnswer:
        """Ask the token endpoint; blocks.

        Raises:
            TokenRequestFailed: If there is none this time.
            TokenRefused: If the server says no.
        """
        exchange = self._exchange(self._token_url, "token_endpoint")
        try:
            return exchange.token(grant_type, {**self._fields, **fields})
        except TokenRequestFailed as error:
            self._asks_again_at = time.monotonic() + (error.retry_after or 0.0)
            raise

    def post(self, url: Endpoint, name: str, needed: str) -> EndpointAnswer:
        """Ask another endpoint; see :meth:`token`.

        Args:
            url: Where it is.
            name: What the metadata of an issuer call it.
            needed: An entry that the answer has.
        """
        return self._exchange(url, name).post(self._fields, needed)

    def _exchange(self, url: Endpoint, name: str) -> Exchange:
        wait = self._asks_again_at - time.monotonic()
        if wait > 0:
            raise TokenRequestFailed(
                f"{self.name} wants to be left alone for {wait:.0f} s more", retry_after=wait
            )
        if isinstance(url, Issuer):
            url = url.endpoint(name, self._client, self._http, allow_http=self._allow_http)
        return Exchange(self._client, self._http, url)


def _parameters(argument: str, given: Mapping[str, str] | None) -> dict[str, str]:
    if given is None:
        return {}
    if not is_mapping(given):
        raise TypeError(
            f"{argument}: pass a mapping such as {{'audience': 'https://feed.example.com'}}, not "
            f"{type(given).__name__}"
        )
    for name, text in given.items():
        if not isinstance(name, str) or not isinstance(text, str):
            raise TypeError(f"{argument}: names and values are strings")
    return dict(given)


def _scope(argument: str, scope: Scope) -> str | None:
    if scope is None or isinstance(scope, str):
        return scope
    if not is_list(scope) or not all(isinstance(one, str) for one in scope):
        raise TypeError(f"{argument}: pass a string such as 'read write', or a list of strings")
    return " ".join(scope)
