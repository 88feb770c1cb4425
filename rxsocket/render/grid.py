"""The rows of a table that scrolls, and a view that is drawn of them in the browser."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rxsocket.render.live_view import LiveView


@dataclass(frozen=True, slots=True)
class GridColumns:
    """Rows of a table, by column.

    Attributes:
        values: The cells of each column: text, numbers, truth values and ``None``; of a column
            ``row`` the number by which a row replaces an earlier one.
        time: The name of the column that holds wall times.
    """

    values: Mapping[str, list[Any]]
    time: str


class GridView(LiveView):
    """A view whose widget shows a table that scrolls, where there is a library for it."""

    @property
    @abstractmethod
    def note(self) -> str:
        """The text above the table."""

    @property
    @abstractmethod
    def limit(self) -> int:
        """The number of rows that it has at most."""

    @property
    @abstractmethod
    def has_key(self) -> bool:
        """Whether a row is replaced by a newer one of its key."""

    @abstractmethod
    def rows_since(self, number: int) -> tuple[int, GridColumns]:
        """The rows from the one with a number on, and the number of the next; from any thread."""
