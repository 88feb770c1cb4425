"""What to say when nothing can be drawn of what was asked for: what there is instead."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from rxsocket.tables.rows import nested, row
from rxsocket.texts import printable

FIELDS = 20
"""Names of fields that are told."""
LONGEST = 40
"""Characters of a name that are told."""


class ColumnHints:
    """Looks for columns in values, until each was there once.

    Args:
        names: The names of the columns; ``None`` for the value itself.
        accepts: Says of a value of a column whether it can be used; left out, numbers can.

    Attributes:
        text: What is missing and what there is; empty if nothing is.
    """

    def __init__(
        self, names: Iterable[str | None], accepts: Callable[[Any], bool] | None = None
    ) -> None:
        self._accepts = accepts or _can_be_drawn
        self._missing = dict.fromkeys(names)
        self._fields: dict[str, None] = {}
        self._has_fields = False
        self.text = ""

    def look_at(self, value: Any) -> None:
        """Look at one more value; it costs nothing when each column was there."""
        if not self._missing:
            return
        columns = row(value)
        for name in list(self._missing):
            found = value if name is None else nested(name, value)
            if self._accepts(found):
                del self._missing[name]
        self._has_fields = self._has_fields or not isinstance(value, (str, bytes))
        for field in columns:
            if len(self._fields) < FIELDS:
                self._fields.setdefault(field)
        self.text = self._hint(value)

    def _hint(self, value: Any) -> str:
        if not self._missing:
            return ""
        if isinstance(value, (str, bytes)) and not self._has_fields:
            kind = "text" if isinstance(value, str) else "bytes"
            return (
                f"the values are {kind}, without fields: give the Socket a codec, such as "
                "codec=json_codec() or codec='auto'"
            )
        names = ", ".join(printable(field, LONGEST) for field in self._fields)
        missing = [name for name in self._missing if name is not None]
        if not missing:
            return f"the values are no numbers: pass y=, the name of a field; there are: {names}"
        asked = " or ".join(map(repr, missing))
        if any(name in self._fields for name in missing):
            return f"no value of {asked} is a number; there are: {names}"
        return f"no value has {asked}; there are: {names}"


def _can_be_drawn(value: Any) -> bool:
    if isinstance(value, str):
        try:
            float(value)
        except ValueError:
            return False
        return True
    return value is not None and not isinstance(value, (bytes, dict, list, tuple))
