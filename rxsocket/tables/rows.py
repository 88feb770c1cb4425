"""Messages as the rows of a table: the columns that each has, by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from rxsocket.validation import is_list

COLUMNS = 200
"""Columns of a table; what more there are is left out."""
LONGEST = 60
"""Characters of a cell that is shown."""
ARRIVED, CONNECTION = "arrived", "connection"


class Arrival(NamedTuple):
    """A message, with what is known of how it came.

    Attributes:
        at: The wall time.
        epoch: The number of its connection, if it came over one.
        value: The message.
    """

    at: float
    epoch: int | None
    value: Any


def row(value: Any) -> dict[str, Any]:
    """The columns of a value, by name.

    Mappings, ``msgspec`` structs, dataclasses and named tuples have names; the columns of a list or
    a tuple are ``0``, ``1``, ...; anything else is one column, ``value``.
    """
    if isinstance(value, Mapping):
        return {str(name): entry for name, entry in value.items()}  # pyright: ignore[reportUnknownVariableType,reportUnknownArgumentType]
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.asdict(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
    named: dict[str, Any] | None = getattr(value, "_asdict", dict)() or None
    if named is not None:  # a named tuple
        return named
    if is_list(value):
        return {str(number): entry for number, entry in enumerate(value)}
    return {"value": value}


def nested(path: str, value: Any) -> Any:
    """A column of a value, or one in what is nested, such as ``data.symbol``; or ``None``."""
    columns = row(value)
    if path in columns or "." not in path:
        return columns.get(path)
    found = value
    for name in path.split("."):
        found = row(found).get(name)
    return found


def columns_of(values: Iterable[Any]) -> dict[str, list[Any]]:
    """The columns of many values; one that a value lacks is ``None`` there."""
    columns: dict[str, list[Any]] = {}
    count = 0
    for value in values:
        for name, entry in row(value).items():
            column = columns.get(name)
            if column is None:
                if len(columns) >= COLUMNS:
                    continue
                column = columns[name] = []
            column.extend([None] * (count - len(column)))
            column.append(entry)
        count += 1
    for column in columns.values():
        column.extend([None] * (count - len(column)))
    return columns


def own_names(names: Iterable[str]) -> tuple[str, str]:
    """What the arrival time and the connection are called beside columns of these names."""
    taken = set(names)
    arrived, connection = ARRIVED, CONNECTION
    while arrived in taken:
        arrived += "_"
    while connection in taken:
        connection += "_"
    return arrived, connection


def time_of_day(at: float) -> str:
    """A wall time as a local clock shows it, with milliseconds."""
    return f"{datetime.fromtimestamp(at):%H:%M:%S.%f}"[:-3]


def cell(value: Any) -> str:
    """A value in a cell of a table: numbers with all their digits, what is nested as JSON."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.15g}"
    if isinstance(value, (dict, list, tuple)):
        value = json_text(value)
    text = str(value)  # pyright: ignore[reportUnknownArgumentType]
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def json_text(value: Any) -> str:
    """A nested value as JSON; what has no form in it, as Python shows it."""
    try:
        return msgspec.json.encode(value).decode()
    except (TypeError, ValueError, RecursionError):
        return repr(value)
