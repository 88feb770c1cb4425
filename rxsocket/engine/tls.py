"""The settings of TLS for each attempt: the user's, and the certificate of the client (C39)."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rxsocket.auth.certificates import ClientCertificate
from rxsocket.errors import HandshakeError
from rxsocket.runtime.threads import exit_soon
from rxsocket.texts import LONGEST, printable
from rxsocket.url import Address
from rxsocket.validation import function_of_none, is_async


class WithoutTls(ValueError):
    """A certificate of the client has nothing to go with: the address is without TLS."""


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """What was given as ``ssl=``.

    Attributes:
        context: The settings for all attempts, if they are the same.
        make: The function that makes them for each.
    """

    context: ssl.SSLContext | None = None
    make: Callable[[], Any] | None = None

    @classmethod
    def checked(cls, given: Any) -> TlsSettings:
        """Check the argument ``ssl``.

        Raises:
            TypeError: If it is something else.
        """
        if given is None:
            return _NOT_GIVEN
        if isinstance(given, ssl.SSLContext):
            return cls(context=given)
        example = "an ssl.SSLContext, a function that makes one, or None for the default one"
        function_of_none("ssl", given, example)
        if is_async(given):
            raise TypeError(f"ssl: pass {example}, not an async one")
        return cls(make=given)

    @property
    def is_given(self) -> bool:
        """Whether anything was."""
        return self.context is not None or self.make is not None

    def check(self, address: Address | None) -> None:
        """Check that a certificate can go with them.

        Args:
            address: Where it goes, if that is known.

        Raises:
            WithoutTls: If it does not go to that address.
            ValueError: If it cannot.
        """
        if address is not None and not address.secure:
            raise WithoutTls(f"carrier: client_certificate() goes with {_encrypted(address)}")
        if self.context is not None:
            raise ValueError(
                "ssl: with client_certificate() the settings are made for each attempt: pass a "
                "function that makes them, such as lambda: ssl.create_default_context(cafile=...)"
            )

    def for_attempt(self, certificate: ClientCertificate | None) -> ssl.SSLContext | None:
        """The settings for one attempt, if they are its own.

        Raises:
            HandshakeError: If the user's function raised, or gave something else.
            ValueError: If the certificate cannot be used.
        """
        if self.make is None and certificate is None:
            return None
        context = ssl.create_default_context() if self.make is None else _made(self.make)
        if certificate is not None:
            certificate.load_into(context)
        return context


_NOT_GIVEN = TlsSettings()


def _encrypted(address: Address) -> str:
    """What an address has to be for TLS, and what it is."""
    if address.is_http:
        return "an https:// address; this one is http://"
    return "a wss:// address; this one is ws:// or unix:"


def _made(make: Callable[[], Any]) -> ssl.SSLContext:
    try:
        context = make()
    except BaseException as error:  # of the user's function
        exit_soon(error)
        failure = f"raised {type(error).__name__}: {printable(str(error), LONGEST)}"
    else:
        if isinstance(context, ssl.SSLContext):
            return context
        failure = f"returned {type(context).__name__}, not an ssl.SSLContext"
    raise HandshakeError(f"the function given as ssl= {failure}")
