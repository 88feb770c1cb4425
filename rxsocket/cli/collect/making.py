"""Makes parts of what a config describes; what goes wrong is collected by its key."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from rxsocket.cli.collect.functions import imported
from rxsocket.cli.collect.positions import KeyPath
from rxsocket.cli.collect.problems import Problems
from rxsocket.cli.credentials import UsageError, from_place

T = TypeVar("T")


class Making:
    """What the makers of all parts need.

    Args:
        problems: Collects what is wrong.
        folder: What paths are relative to, and where functions of the user's may be.
    """

    def __init__(self, problems: Problems, folder: Path) -> None:
        self.problems = problems
        self.folder = folder

    def of_library(self, table: KeyPath, make: Callable[[], T]) -> T | None:
        """What the library makes of the keys of a table, which are called like its arguments."""
        try:
            return make()
        except (TypeError, ValueError, ImportError) as error:
            self.problems.add_error(table, error)
            return None

    def at(self, key: KeyPath, make: Callable[[], T]) -> T | None:
        """What is made of the value of one key."""
        try:
            return make()
        except (TypeError, ValueError, UsageError) as error:
            self.problems.add(key, str(error))
            return None

    def function(self, key: KeyPath, name: str) -> Any:
        """A function of the user's."""
        found = self.at(key, lambda: imported(name, self.folder))
        if found is not None and not callable(found):
            self.problems.add(key, f"{name} is not a function")
            return None
        return found

    def from_place(self, key: KeyPath, source: str) -> str:
        """What is in ``env:NAME`` or ``file:PATH``; empty if that cannot be read."""
        return self.at(key, lambda: from_place(source, self.folder)) or ""


def fields_of(table: Any) -> dict[str, Any]:
    """The keys of a table, and what they are."""
    return {each.name: getattr(table, each.name) for each in dataclasses.fields(table)}
