"""Texts that somebody else wrote, made fit to be shown."""

from __future__ import annotations

import traceback
import unicodedata
from collections.abc import Callable, Iterator
from html import escape
from typing import Any, TypeVar, cast

E = TypeVar("E", bound=BaseException)

LONGEST = 2000
"""Characters of a text that are shown: whoever wrote it may have written a megabyte."""
DEEPEST = 16
"""Lists within lists, and the like, that are looked into for texts."""


def printable(text: str, longest: int | None = None) -> str:
    r"""A text in one line, on which no terminal, log or parser of XML acts.

    What others wrote goes through here where it is read: control characters, line breaks, marks of
    direction and halves of surrogates are escaped, as in Python.

    Examples:
        >>> print(printable("bye\nERROR: forged \x1b[2J"))
        bye\nERROR: forged \x1b[2J
    """
    if longest is not None and len(text) > longest:
        text = text[: longest - 1] + "…"
    if text.isprintable():
        return text
    return "".join(letter if _shows(letter) else _escaped(letter) for letter in text)


def _shows(letter: str) -> bool:
    # Of the spaces, only that of ASCII counts as printable.
    return letter.isprintable() or unicodedata.category(letter) == "Zs"


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode()


def markup(text: str) -> str:
    """A text as it may stand in HTML and XML."""
    return escape(printable(text))


def quoted(text: str) -> str:
    """A printable text in quotes; nothing in it is escaped twice."""
    return repr(text).replace("\\\\", "\\")


def change_texts(error: E, change: Callable[[str], str]) -> E:
    """Change the texts that an exception was made of, and those it came of.

    Those in lists and mappings, too: an answer of a server may be what it was made of.
    """
    for one in _chain(error):
        one.args = tuple(_changed(it, change, DEEPEST) for it in one.args)
    return error


def _changed(value: Any, change: Callable[[str], str], depth: int) -> Any:
    if isinstance(value, str):
        return change(value)
    kind = cast(Any, type(value))
    if kind not in (dict, list, tuple):
        return value
    if not depth:
        return "..."
    if kind is dict:
        return {
            change(key) if isinstance(key, str) else key: _changed(it, change, depth - 1)
            for key, it in value.items()
        }
    items: list[Any] = [_changed(it, change, depth - 1) for it in value]
    return items if kind is list else tuple(items)


def traceback_text(error: BaseException) -> str:
    """Its traceback, where no line is made up by what an exception says."""
    text = "".join(traceback.format_exception(error)).rstrip("\n")
    for one in _chain(error):
        said = str(one)
        if not said.isprintable():
            text = text.replace(said, printable(said))
    return text


def without_frames(error: E) -> E:
    """It without its tracebacks, whose frames hold a credential; a note says where it came from."""
    frames = traceback.extract_tb(error.__traceback__)
    if frames:
        error.add_note(f"raised in {frames[-1].name}, {frames[-1].filename}:{frames[-1].lineno}")
    for one in _chain(error):
        one.__traceback__ = None
    return error


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or one.__context__
