"""From a ``Config`` to the arguments of a fleet and a sink, each checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rxsocket.cli.collect.channels import channel_of, weight_of
from rxsocket.cli.collect.connections import auth_of, codec_of, options_of, url_of
from rxsocket.cli.collect.making import Making, fields_of
from rxsocket.cli.collect.places import where_to_run
from rxsocket.cli.collect.positions import KeyPath
from rxsocket.cli.collect.reading import Read
from rxsocket.cli.collect.schema import Config, RunTable, SinkTable
from rxsocket.cli.collect.storing import check_sink
from rxsocket.cli.collect.venue import OwnId, VenueSpec
from rxsocket.cli.credentials import is_place
from rxsocket.fleet.on import On
from rxsocket.limits import Limits
from rxsocket.socket import Socket


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is collected, from where, and where it goes.

    Attributes:
        url: Where the sockets connect.
        keys: The channels.
        channel: How they are asked for.
        limits: What the server allows.
        auth: The credential.
        options: Further arguments of each socket.
        weight: Bytes a second that are expected of a channel.
        own_id: Finds what no other message of its channel has; ``None`` for no ids.
        sink: Where messages go; its ``server`` is the address itself.
        run: How it runs.
        on: Where the sockets are.
        name: What the fleet is called.
        read_auth: Reads the credential again; ``None`` if it is a function.
        folder: What paths are relative to.
    """

    url: str | list[str] = field(repr=False)
    keys: tuple[str, ...] = field(repr=False)
    channel: VenueSpec
    limits: Limits
    auth: Any = field(repr=False)
    options: Mapping[str, Any] = field(repr=False)
    weight: Callable[[Any], float] | None
    own_id: OwnId | None
    sink: SinkTable = field(repr=False)
    run: RunTable
    on: On
    name: str | None
    read_auth: Callable[[], Any] | None
    folder: Path


def settings_of(read: Read) -> Settings:
    """Make everything that a config describes; nothing connects.

    Raises:
        ConfigError: If something cannot be used; the text has each thing's line and key.
    """
    made = _settings(Making(read.problems, read.folder), read.config)
    read.problems.check()
    if made is None:
        raise AssertionError("settings without problems are there")
    return made


def _settings(making: Making, config: Config) -> Settings | None:
    problems = making.problems
    codec = codec_of(making, config)
    limits = making.of_library(("limits",), lambda: Limits(**fields_of(config.limits)))
    url = url_of(making, config)
    keys = _keys(making, config)
    auth = auth_of(making, config)
    sink = _sink(making, config.sink)
    weight = weight_of(making, config.channel, limits)
    channel = channel_of(making, config.channel, limits)
    options = options_of(making, config, codec)
    on = where_to_run(making, config.run)
    if problems or limits is None or channel is None or url is None or on is None:
        return None
    # What the socket refuses, it says by the name of its argument.
    making.of_library(
        ("socket",), lambda: Socket(url, auth=auth, limits=limits.of_a_socket, **options)
    )
    return Settings(
        url=url,
        keys=keys,
        channel=channel,
        limits=limits,
        auth=auth,
        options=options,
        weight=weight,
        own_id=None if channel.rules.id is None else OwnId(channel.rules.id),
        sink=sink,
        run=config.run,
        on=on,
        name=config.name,
        read_auth=_reader(making, config) if isinstance(config.auth, dict) else None,
        folder=making.folder,
    )


def _reader(making: Making, config: Config) -> Callable[[], Any]:
    def read_again() -> Any:
        again = Making(making.problems.fresh(), making.folder)
        value = auth_of(again, config)
        again.problems.check()
        return value

    return read_again


def _keys(making: Making, config: Config) -> tuple[str, ...]:
    given = config.channels
    key: KeyPath = ("channels",)
    if isinstance(given, str):
        kind, _, path = given.partition(":")
        if kind != "file" or not path:
            making.problems.add(key, "pass a list of keys, or 'file:PATH' with one a line")
            return ()
        lines = [line.strip() for line in making.from_place(key, given).splitlines()]
        given = [line for line in lines if line and not line.startswith("#")]
    keys = tuple(dict.fromkeys(" ".join(each.split()) for each in given))
    if not all(keys):
        making.problems.add(key, "a key is empty")
    if not keys:
        making.problems.add(key, "pass at least one key")
    return keys


def _sink(making: Making, table: SinkTable) -> SinkTable:
    takes = SINKS[table.to]
    for name, value in fields_of(table).items():
        is_given = value is not None and name in _OF_ONE_SINK
        if is_given and name not in takes:
            making.problems.add(("sink", name), f"is not for to = '{table.to}'")
        elif name in takes and name in _NEEDED and value is None:
            making.problems.add(("sink", name), f"is missing: pass {_NEEDED[name]}")
    server = table.server
    if server is not None and is_place(server):
        server = making.from_place(("sink", "server"), server)
    elif server is not None and "@" in server:
        text = "it holds a user or a password: pass env:NAME or file:PATH, where the address is"
        making.problems.add(("sink", "server"), text)
    path = None if table.path is None else str(making.folder / table.path)
    table = dataclasses.replace(table, server=server, path=path)
    if not making.problems:
        making.of_library(("sink",), lambda: check_sink(table))
    return table


SINKS = {
    "jetstream": ("server", "stream", "create", "duplicate_window", "timeout"),
    "redis_streams": ("server", "stream", "max_len", "duplicate_window", "timeout"),
    "file": ("path",),
    "stdout": (),
}
"""The keys of each kind, besides those that all have."""
_OF_ONE_SINK = frozenset(name for names in SINKS.values() for name in names)
_NEEDED = {
    "server": "the address of the broker, or env:NAME or file:PATH",
    "stream": "the name of the stream",
    "path": "the path of the file",
}
