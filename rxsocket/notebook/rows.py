"""A value of a stream as a row of a table."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import msgspec

from rxsocket.arguments import is_list

__all__ = ["row"]


def row(value: Any) -> dict[str, Any]:
    """The columns of a value, by name.

    Mappings, ``msgspec`` structs, dataclasses and named tuples have names; what is a list or a
    tuple has ``0``, ``1``, ...; anything else is the column ``value``.
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
