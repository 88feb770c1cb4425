"""The client of an authorisation server: who it is, and how it proves that (RFC 6749, section 2.3).

Authlib makes the requests, over requests: of what speaks OAuth 2 in Python it is what is kept best,
and what has the ways to prove who a client is, the signed ones too, without code of ours. It is
called on a thread, where a store may block as well, and which goes on when a loop ends.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal, TypeAlias, get_args
from urllib.parse import quote_plus

from rxsocket.auth.credentials import Credential, Secret
from rxsocket.oauth.errors import TokenRequestFailed
from rxsocket.validation import instance

AuthMethod: TypeAlias = Literal[
    "client_secret_basic",
    "client_secret_post",
    "client_secret_jwt",
    "private_key_jwt",
    "none",
]
"""How a client proves who it is, by the names that servers register (OpenID Connect Core, 9)."""

ClientSecret: TypeAlias = str | Secret | Callable[[], str | Secret | Credential] | None
"""The secret, or the private key in PEM; or a function that gives it, asked for each request."""


class Client:
    """A client, as it is registered at the server.

    Args:
        argument: Name of the function it was passed to, for errors.
        client_id: Its name.
        secret: Its secret, its private key, or a function that gives one; ``None`` if it is public.
        auth_method: How it proves who it is; default: by what it has.

    Attributes:
        id: Its name.
        method: How it proves who it is.
        is_secret_asked_for: Whether another secret may come.
    """

    def __init__(
        self,
        argument: str,
        client_id: str,
        secret: ClientSecret,
        auth_method: AuthMethod | None,
    ) -> None:
        if not instance(f"{argument}(client_id)", client_id, str, "a string"):
            raise ValueError(f"{argument}(client_id): it is empty; pass the client's registered id")
        if secret is not None and not isinstance(secret, (str, Secret)) and not callable(secret):
            raise TypeError(
                f"{argument}(client_secret): pass a string, a Secret, or a function that gives one "
                f"such as from_file(path), not {type(secret).__name__}"
            )
        if secret == "":
            raise ValueError(
                f"{argument}(client_secret): it is empty; a variable of the environment may not be "
                "set"
            )
        methods = get_args(AuthMethod)
        if auth_method is not None and auth_method not in methods:
            raise ValueError(f"{argument}(auth_method): pass one of {', '.join(methods)}")
        default: AuthMethod = "none" if secret is None else "client_secret_basic"
        self.id = client_id
        self.method: AuthMethod = auth_method or default
        self._secret = secret
        self.is_secret_asked_for = callable(secret)
        if (secret is None) != (self.method == "none"):
            what = "goes without" if secret is not None else "needs"
            raise ValueError(f"{argument}(auth_method): {self.method!r} {what} client_secret=")
        _check_installed()  # at once, and not when the first token is needed

    def __repr__(self) -> str:
        return f"<Client {self.id!r} {self.method}>"

    def secret(self) -> str | None:
        """Its secret at this moment.

        Raises:
            TokenRequestFailed: If there is none.
        """
        given: Any = self._secret
        if callable(given):
            given = _asked(given)
        if isinstance(given, (Credential, Secret)):
            given = given.reveal()
        if given is None and self.method == "none":
            return None
        if isinstance(given, str) and given:
            return given
        raise TokenRequestFailed("client_secret= gave no text")

    def session(self, secret: str | None, token_url: str) -> Any:
        """A session of Authlib for one request."""
        modules = authlib()
        made = modules.OAuth2Session(self.id, secret, token_endpoint_auth_method=self.method)
        made.register_client_auth_method(("client_secret_basic", _basic))
        if self.method == "client_secret_jwt":
            made.register_client_auth_method(modules.ClientSecretJWT(token_url))
        elif self.method == "private_key_jwt":
            made.register_client_auth_method(modules.PrivateKeyJWT(token_url))
        return made


def _basic(
    client: Any, _: str, uri: str, headers: dict[str, str], body: Any
) -> tuple[str, dict[str, str], Any]:
    """HTTP Basic as RFC 6749 has it, section 2.3.1: each part is encoded as in a form.

    Authlib sends them as they are, so that a colon in an id would end it.
    """
    pair = f"{quote_plus(client.client_id)}:{quote_plus(client.client_secret or '')}"
    headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
    return uri, headers, body


def _asked(function: Callable[[], Any]) -> Any:
    failure: str
    try:
        return function()
    except ValueError as error:
        failure = f"client_secret= failed: {error}"  # such as Unreadable, which shows nothing
    except Exception as error:
        failure = f"client_secret= raised {type(error).__name__}"
    raise TokenRequestFailed(failure)


class _Authlib:
    """What of Authlib is used."""

    def __init__(self) -> None:
        self.OAuth2Session: Any = import_module(
            "authlib.integrations.requests_client"
        ).OAuth2Session
        signed = import_module("authlib.oauth2.rfc7523")
        self.ClientSecretJWT: Any = signed.ClientSecretJWT
        self.PrivateKeyJWT: Any = signed.PrivateKeyJWT


def authlib() -> _Authlib:
    """Authlib, imported when it is used."""
    return _Authlib()


def _check_installed() -> None:
    """Check that what is needed is there, without importing it, which takes a moment."""
    for name in ("authlib", "requests"):
        if find_spec(name) is None:
            raise missing("rxsocket.oauth", ModuleNotFoundError(name=name))


def missing(what: str, error: ModuleNotFoundError) -> ModuleNotFoundError:
    """The error for a package that is not installed."""
    name = error.name
    return ModuleNotFoundError(f"{what} needs {name}: run pip install 'rxsocket[oauth]'", name=name)
