"""Providers: functions that are asked before each attempt (C10, C47)."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from rxsocket.auth.credentials import Credential
from rxsocket.credentials.reading import Unreadable, text_of_env
from rxsocket.validation import instance


def from_env(name: str) -> Callable[[], Credential]:
    """A provider that reads an environment variable before each attempt.

    A variable that is not set, or is empty, is a failed attempt that says so; it is read again by
    the next one, so in a notebook it can be set meanwhile.

    Args:
        name: Its name.

    Returns:
        A function for ``auth=``, ``refreshing()``, or ``client_secret=`` of ``rxsocket.oauth``. It
        raises ``Unreadable``.

    Examples:
        >>> Socket(url, auth=from_env("FEED_TOKEN"))
    """
    _named("from_env(name)", name, "FEED_TOKEN")

    def read() -> Credential:
        text = text_of_env(name).strip()
        if not text:
            raise Unreadable(f"the environment variable {name} is empty")
        return Credential.of(text, f"the environment variable {name}")

    read.__qualname__ = f"from_env({name!r})"
    return read


def from_keyring(service: str, username: str) -> Callable[[], Credential]:
    """A provider that reads the system's keyring before each attempt; needs ``rxsocket[keyring]``.

    ``keyring set SERVICE USERNAME`` on the command line puts a password there. It is read on a
    thread of its own: a keyring may ask its user first.

    Args:
        service: Name of the service.
        username: Name of the user there.

    Returns:
        A function like that of :func:`from_env`.

    Raises:
        ModuleNotFoundError: If ``keyring`` is not installed.

    Examples:
        >>> Socket(url, auth=from_keyring("feed", "alice"))
    """
    _named("from_keyring(service)", service, "feed")
    _named("from_keyring(username)", username, "alice")
    keyring = _keyring()

    def read() -> Credential:
        failure: str
        try:
            text: str | None = keyring.get_password(service, username)
        except keyring.errors.KeyringError as error:
            failure = (
                f"the keyring cannot be read: {type(error).__name__}; unlock it, or install a "
                "backend that works here"
            )
        else:
            if text:
                return Credential.of(text, f"the password of {username!r} in the keyring")
            failure = (
                f"the keyring has no password of {username!r} for {service!r}: run "
                f"keyring set {service} {username}"
            )
        raise Unreadable(failure)

    read.__qualname__ = f"from_keyring({service!r}, {username!r})"
    return read


def _named(argument: str, name: Any, example: str) -> None:
    if not instance(argument, name, str, f"a string such as {example!r}"):
        raise ValueError(f"{argument}: it is empty; pass a string such as {example!r}")


def _keyring() -> Any:
    try:
        keyring: Any = import_module("keyring")
        keyring.errors = import_module("keyring.errors")
    except ModuleNotFoundError as error:
        missing = error.name
    else:
        return keyring
    raise ModuleNotFoundError(
        f"from_keyring needs {missing}: run pip install 'rxsocket[keyring]'", name=missing
    )
