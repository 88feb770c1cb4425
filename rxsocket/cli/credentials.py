"""Credentials of the command line; never from its own arguments (C28).

``ps`` and the history of the shell show the arguments of a command, so these only name a place.
An error quotes no input: it may be a secret in the wrong place.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable
from getpass import GetPassWarning, getpass
from pathlib import Path

from rxsocket.auth.credentials import Secret
from rxsocket.credentials.reading import Unreadable, text_of_env, text_of_file


class UsageError(Exception):
    """Wrong usage of the command line; the text is one line, and quotes no secret."""


Entries = dict[str, Secret]

_PLACE = re.compile(r"(env|file):(.+)", re.DOTALL)
PROMPT = "prompt"
PLACES = "KEY=env:NAME, KEY=file:PATH or KEY=prompt"


def from_options(options: Iterable[str]) -> Entries:
    """The credential that the ``--auth`` options name, ``KEY=SOURCE`` each.

    Raises:
        UsageError: If one of them holds a value, or names a place without one.
    """
    return _parse(options, "--auth", f"pass {PLACES}", _from_option)


def from_line(line: str) -> Entries | None:
    """The credential in a line of standard input; ``None`` for ``logout``.

    Args:
        line: ``KEY=VALUE``, one or more, with spaces between; a value may name a place, too.

    Raises:
        UsageError: If the line has another form.
    """
    words = line.split()
    if words == ["logout"]:
        return None
    return _parse(words, "standard input", "write KEY=VALUE, KEY=env:NAME or logout", _from_line)


def from_place(source: str, folder: Path | None = None) -> str:
    """What is in the place that a source names, ``env:NAME`` or ``file:PATH``.

    Args:
        source: The place.
        folder: What a path is relative to; default: the working directory.

    Raises:
        UsageError: If it is not a place, or nothing can be read there. The text has no value.
    """
    place = _PLACE.fullmatch(source)
    if place is None:
        raise UsageError("pass env:NAME or file:PATH, where it is, not the value itself")
    return _read(place[1], place[2], folder or Path())


def is_place(source: str) -> bool:
    """Whether it names a place, and is no value."""
    return _PLACE.fullmatch(source) is not None


def _parse(
    pairs: Iterable[str], where: str, hint: str, value: Callable[[str, str, str], str]
) -> Entries:
    entries: Entries = {}
    for pair in pairs:
        key, equals, source = pair.partition("=")
        if not (key and equals and source):
            raise UsageError(f"{where}: not understood, and not repeated here; {hint}")
        text = value(where, key, source)
        if key in entries:
            raise UsageError(f"{where}: {key} is given twice")
        entries[key] = _secret(where, key, text)
    return entries


def _from_option(where: str, key: str, source: str) -> str:
    if source == PROMPT:
        return _prompt(where, key)
    place = _PLACE.fullmatch(source)
    if place is None:
        raise UsageError(
            f"{where}: a value does not go on the command line, where ps and the history of the "
            f"shell show it; name where it is instead: {PLACES}"
        )
    return _read_for(where, key, source)


def _from_line(where: str, key: str, source: str) -> str:
    if source == PROMPT:
        raise UsageError(f"{where}: prompt is for --auth; here, write KEY=env:NAME or KEY=VALUE")
    place = _PLACE.fullmatch(source)
    return source if place is None else _read_for(where, key, source)


def _read_for(where: str, key: str, source: str) -> str:
    try:
        return from_place(source)
    except UsageError as error:
        raise UsageError(f"{where}: {key}: {error}") from None


def _read(kind: str, name: str, folder: Path) -> str:
    try:
        if kind == "env":
            return text_of_env(name)
        return text_of_file(folder.joinpath(name), name)
    except Unreadable as error:
        raise UsageError(str(error)) from None


def _prompt(where: str, key: str) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("error", GetPassWarning)
        try:
            return getpass(f"{key}: ")
        except (GetPassWarning, EOFError):
            raise UsageError(
                f"{where}: {key}: no terminal to ask on; use env:NAME or file:PATH"
            ) from None


def _secret(where: str, key: str, text: str) -> Secret:
    if not text:
        raise UsageError(f"{where}: {key}: the value is empty")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{where}: {key}: the value is not UTF-8 text") from None
    return Secret(text)
