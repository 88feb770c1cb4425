"""What ``on=`` of a fleet takes (C43)."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from rxsocket.fleet.places import LoopPlace, Where
from rxsocket.fleet.processes import Processes
from rxsocket.fleet.ray_place import Ray

On: TypeAlias = Literal["loop", "processes", "ray"] | Processes | Ray
"""Where the shards of a fleet are."""


def where_of(on: Any) -> Where:
    """Where that is.

    Raises:
        TypeError: If it is none of these.
        ValueError: If there is no such word.
    """
    if isinstance(on, (Processes, Ray)):
        return on
    if not isinstance(on, str):
        kind = type(on).__name__
        raise TypeError(
            f"on: pass 'loop', 'processes', 'ray', Processes(...) or Ray(...), not {kind}"
        )
    match on:
        case "loop":
            return LoopPlace()
        case "processes":
            return Processes()
        case "ray":
            return Ray()
        case _:
            raise ValueError(
                f"on: pass 'loop', 'processes', 'ray', Processes(...) or Ray(...), not {on!r}"
            )
