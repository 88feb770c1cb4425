"""Endpoints found by the name of the authorisation server (RFC 8414, OpenID Connect Discovery)."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from rxsocket.oauth.client import Client
from rxsocket.oauth.endpoint import Exchange, Http, checked_url, shown
from rxsocket.oauth.errors import TokenRequestFailed

_SUFFIXES = ("oauth-authorization-server", "openid-configuration")


class Issuer:
    """An authorisation server by its name: stands where the address of an endpoint could.

    The endpoints are looked up once, when the first of them is needed: by RFC 8414, else as OpenID
    Connect has it. What names another issuer is refused.

    Args:
        url: Its identifier, as in the ``iss`` of its tokens.

    Raises:
        TypeError: If it is not a string.
        ValueError: If it is no address, or has a query.

    Examples:
        >>> client_credentials(Issuer("https://login.example.com/realms/feed"), "me", secret)
    """

    def __init__(self, url: str) -> None:
        # Whether it may be http:// is for whoever uses it to say.
        checked_url("Issuer(url)", url, allow_http=True)
        if "?" in url:
            raise ValueError("Issuer(url): pass it without a query")
        self.url = url
        self._lock = threading.Lock()
        self._found: Mapping[str, Any] | None = None

    def __repr__(self) -> str:
        return f"Issuer({self.url!r})"

    def endpoint(self, name: str, client: Client, http: Http, *, allow_http: bool) -> str:
        """The address of an endpoint, by its name in the metadata; blocks.

        Raises:
            TokenRequestFailed: If it is not found.
        """
        with self._lock:  # nothing of a user's is called within
            if self._found is None:
                self._found = self._metadata(client, http)
        where, failure = self._found.get(name), ""
        if not isinstance(where, str):
            raise TokenRequestFailed(f"{shown(self.url)} has no {name}")
        try:
            return checked_url(name, where, allow_http=allow_http)
        except ValueError as error:
            failure = f"{shown(self.url)}: {error}"
        raise TokenRequestFailed(failure)

    def _metadata(self, client: Client, http: Http) -> Mapping[str, Any]:
        failure = ""
        for address in self._addresses():
            try:
                found = Exchange(client, http, address).get().fields
            except TokenRequestFailed as error:
                failure = failure or str(error)
                continue
            if str(found.get("issuer")).rstrip("/") == self.url.rstrip("/"):
                return found
            failure = f"{shown(address)} is about another issuer: pass the one that it names"
            break
        raise TokenRequestFailed(f"the endpoints of {shown(self.url)} are not found: {failure}")

    def _addresses(self) -> Iterator[str]:
        parts = urlsplit(self.url)
        path = parts.path.rstrip("/")
        for suffix in _SUFFIXES:
            yield f"{parts.scheme}://{parts.netloc}/.well-known/{suffix}{path}"
        yield f"{self.url.rstrip('/')}/.well-known/{_SUFFIXES[1]}"
