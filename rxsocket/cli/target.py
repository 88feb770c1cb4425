"""What a command connects to, and how."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from rxsocket.auth.carrier import Carrier
from rxsocket.auth.credentials import ANONYMOUS
from rxsocket.cli.credentials import Entries, UsageError
from rxsocket.socket import Socket

CLOSE_TIMEOUT = 0.5
"""Seconds for closing: Ctrl-C has to end the command within one."""


@dataclass(frozen=True, slots=True)
class Target:
    """An address with the credential for it.

    Attributes:
        url: The address.
        auth: The credential, if there is one.
        carrier: How it goes.
        tls: What makes the settings of TLS for an attempt; ``None`` for the system's.
    """

    url: str
    auth: Entries | None
    carrier: Carrier
    tls: Callable[[], ssl.SSLContext] | None = None


def trusting(path: str | None) -> Callable[[], ssl.SSLContext] | None:
    """Settings of TLS that trust the certificates of a file; ``None`` without one.

    Raises:
        UsageError: If there are none in it.
    """
    if path is None:
        return None
    try:
        ssl.create_default_context(cafile=path)
    except ssl.SSLError:
        raise UsageError(f"--ca {path}: holds no certificate in PEM") from None
    except OSError as error:
        raise UsageError(f"--ca {path}: {error.strerror}") from None
    return lambda: ssl.create_default_context(cafile=path)  # a client certificate adds to it


@contextmanager
def open_socket(target: Target) -> Generator[Socket, None, None]:
    """A socket that is closed at the end, also after an error.

    Raises:
        UsageError: If the address or the credential cannot be used.
    """
    try:
        socket = Socket(
            target.url,
            auth=ANONYMOUS if target.auth is None else target.auth,
            carrier=target.carrier,
            ssl=target.tls,
            close_timeout=CLOSE_TIMEOUT,
        )
    except (ValueError, ImportError) as error:  # an extra may not be installed
        raise UsageError(str(error)) from None
    try:
        yield socket
    finally:
        with suppress(TimeoutError):
            socket.close().result(2 * CLOSE_TIMEOUT)
