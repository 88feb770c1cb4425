"""Where the keys of a TOML text are, which ``tomllib`` does not say.

::

    1  url = "wss://..."         ("url",): 1
    2  [limits]                  ("limits",): 2
    3  batch = 5                 ("limits", "batch"): 3

It is for texts that ``tomllib`` has read: of others, what it finds means nothing.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import TypeAlias

KeyPath: TypeAlias = tuple[str | int, ...]
"""Names of keys, and places in lists from 0 on."""

_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_BASIC = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_LITERAL = re.compile(r"'[^'\n]*'")
_LONG = re.compile(r'"""(?:[^\\]|\\[\s\S])*?"""(?:"{0,2})|' + r"'''[\s\S]*?'''(?:'{0,2})")
_OTHER = re.compile(r"[^,\]}\n#]+")


def lines_of_keys(text: str) -> Mapping[KeyPath, int]:
    """The line of each key, each table and each item of a list, from 1 on."""
    reader = _KeyReader(text)
    reader.read()
    return reader.lines


def line_of(path: KeyPath, lines: Mapping[KeyPath, int]) -> int:
    """The line of a key; of one that is not there, that of the table where it would be."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


class _KeyReader:
    def __init__(self, text: str) -> None:
        self.lines: dict[KeyPath, int] = {}
        self._text = text
        self._at = 0
        self._lists: dict[KeyPath, int] = {}  # how many tables an array of tables has

    def read(self) -> None:
        table: KeyPath = ()
        self._skip_blank()
        while self._at < len(self._text):
            if self._next() == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip_blank()

    def _header(self) -> KeyPath:
        line = self._line()
        is_list = self._text.startswith("[[", self._at)
        self._at += 2 if is_list else 1
        names = self._names()
        self._at += 2 if is_list else 1
        path: KeyPath = ()
        for place, name in enumerate(names):
            path = (*path, name)
            self.lines.setdefault(path, line)
            is_last = place == len(names) - 1
            if is_last and is_list:
                self._lists[path] = self._lists.get(path, 0) + 1
            if path in self._lists:
                path = (*path, self._lists[path] - 1)
                self.lines.setdefault(path, line)
        return path

    def _pair(self, table: KeyPath) -> None:
        line = self._line()
        path = table
        for name in self._names():
            path = (*path, name)
            self.lines.setdefault(path, line)
        self._at += 1  # =
        self._skip_spaces()
        self._value(path)

    def _names(self) -> list[str]:
        """A key, at its dots; then the next character is no space."""
        names: list[str] = []
        while True:
            self._skip_spaces()
            names.append(self._name())
            self._skip_spaces()
            if self._next() != ".":
                return names
            self._at += 1

    def _name(self) -> str:
        quote = self._next()
        pattern = {'"': _BASIC, "'": _LITERAL}.get(quote, _BARE)
        token = self._take(pattern)
        if pattern is _BARE:
            return token
        name: str = tomllib.loads(f"name = {token}")["name"]
        return name

    def _value(self, path: KeyPath) -> None:
        match self._next():
            case "[":
                self._list(path)
            case "{":
                self._inline_table(path)
            case '"' | "'" as quote:
                if self._text.startswith(quote * 3, self._at):
                    self._take(_LONG)
                else:
                    self._take(_BASIC if quote == '"' else _LITERAL)
            case _:
                self._take(_OTHER)

    def _list(self, path: KeyPath) -> None:
        self._at += 1
        place = 0
        self._skip_blank()
        while self._next() != "]":
            self.lines[(*path, place)] = self._line()
            self._value((*path, place))
            place += 1
            self._skip_blank()
            if self._next() == ",":
                self._at += 1
            self._skip_blank()
        self._at += 1

    def _inline_table(self, path: KeyPath) -> None:
        self._at += 1
        self._skip_blank()
        while self._next() != "}":
            self._pair(path)
            self._skip_blank()
            if self._next() == ",":
                self._at += 1
            self._skip_blank()
        self._at += 1

    def _take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        if found is None or found.end() == self._at:
            raise ValueError(f"no TOML at line {self._line()}")
        self._at = found.end()
        return found[0]

    def _next(self) -> str:
        return self._text[self._at : self._at + 1]

    def _line(self) -> int:
        return self._text.count("\n", 0, self._at) + 1

    def _skip_spaces(self) -> None:
        while self._next() in (" ", "\t"):
            self._at += 1

    def _skip_blank(self) -> None:
        found = _BLANK.match(self._text, self._at)
        if found is not None:
            self._at = found.end()
