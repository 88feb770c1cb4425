"""What is wrong with a config: file, line, key, and what to pass instead (C28).

No text here has a value of the file in it that may be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from rxsocket.cli.collect.positions import KeyPath, line_of
from rxsocket.cli.credentials import UsageError
from rxsocket.texts import printable

_ARGUMENT = re.compile(r"(?:\w+\()?(\w+)(?:\[[^\]]*\])?\)?: (.*)", re.DOTALL)
"""``batch: pass ...``, ``Ray(shards): pass ...``, ``Ray(resources['CPU']): pass ...``."""


class ConfigError(UsageError):
    """A config that cannot be used; the text has a line for each thing that is wrong."""


class Problems:
    """Collects them, so that all are told at once.

    Args:
        name: What the file is called.
        lines: Where its keys are.
    """

    def __init__(self, name: str, lines: Mapping[KeyPath, int]) -> None:
        self._name = name
        self._lines = lines
        self._found: dict[KeyPath, tuple[int, str]] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def fresh(self) -> Problems:
        """Another one of the same file, which has found nothing yet."""
        return Problems(self._name, self._lines)

    def add(self, key: KeyPath, text: str) -> None:
        """Something is wrong with a key; the first thing counts."""
        line = line_of(key, self._lines)
        self._found.setdefault(key, (line, f"{name_of_key(key)}: {text}" if key else text))

    def add_error(self, table: KeyPath, error: Exception) -> None:
        """What the library says of an argument, in a table whose keys are called like those."""
        found = _ARGUMENT.match(str(error))
        argument, rest = (found[1], found[2]) if found is not None else ("", str(error))
        key = (*table, argument)
        if key in self._lines:
            self.add(key, rest)
        else:
            is_table = table[-1:] == (argument,)
            self.add(table, rest if is_table else str(error))

    def check(self) -> None:
        """Raise what was found.

        Raises:
            ConfigError: If anything was.
        """
        if self._found:
            found = sorted(self._found.values(), key=lambda each: each[0])
            raise ConfigError(
                "\n".join(f"{self._name}:{line}: {printable(text)}" for line, text in found)
            )


def name_of_key(key: KeyPath) -> str:
    """What a key is called: ``limits.batch``, ``url[1]``."""
    text = ""
    for part in key:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text
