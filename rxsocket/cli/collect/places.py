"""Where ``[run]`` says that the sockets are, and the fleet that it makes (C43)."""

from __future__ import annotations

from rxsocket.cli.collect.making import Making, fields_of
from rxsocket.cli.collect.schema import RunTable
from rxsocket.fleet.on import On
from rxsocket.fleet.processes import Processes
from rxsocket.fleet.ray_place import Ray

TAKES = {
    "loop": (),
    "processes": ("shards",),
    "ray": ("shards", "address", "resources", "egress"),
}
"""The keys that each of them has, besides those that all have."""
_OF_SOME = frozenset(name for names in TAKES.values() for name in names)


def where_to_run(making: Making, table: RunTable) -> On | None:
    """The ``on=`` of a fleet; ``None`` if something is wrong, which was collected."""
    given = {
        name: value
        for name, value in fields_of(table).items()
        if name in _OF_SOME and value is not None
    }
    for name in given:
        if name not in TAKES[table.on]:
            others = " or ".join(f"on = '{on}'" for on, names in TAKES.items() if name in names)
            making.problems.add(("run", name), f"goes with {others}; leave it out")
            return None
    match table.on:
        case "loop":
            return "loop"
        case "processes":
            return making.of_library(("run", "shards"), lambda: Processes(table.shards))
        case "ray":
            return making.of_library(("run",), lambda: Ray(**given))
