"""The sink that ``[sink]`` describes (C40)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from rxsocket.cli.collect.lines import LinesSink
from rxsocket.cli.collect.making import fields_of
from rxsocket.cli.collect.schema import SinkTable
from rxsocket.cli.credentials import UsageError
from rxsocket.explain.causes import describe
from rxsocket.sinks import Sink, into, jetstream, redis_streams

_OF_SINKS = ("create", "duplicate_window", "max_len", "timeout")
_IN_CONFIG = {"check url=": "check server", "create=True": "create = true"}
_OF_INTO = ("in_flight", "batch", "overflow", "high_water", "retry_for")


def sink_of(
    table: SinkTable, *, has_json: bool, on_broken: Callable[[], None] | None = None
) -> Sink:
    """Make the sink; it connects when it is used.

    Args:
        table: What the config says.
        has_json: Whether messages are JSON, which lines hold as it is.
        on_broken: Called when nobody reads standard output any more.

    Raises:
        TypeError: If a value is of a wrong type.
        ValueError: If one cannot be used; the text begins with its key.
        UsageError: If the client of the broker is not installed.
    """
    more = {name: value for name, value in fields_of(table).items() if name in _OF_SINKS}
    given = {name: value for name, value in more.items() if value is not None}
    server, stream = table.server or "", table.stream or ""
    try:
        match table.to:
            case "jetstream":
                return jetstream(server, stream, **given)
            case "redis_streams":
                return redis_streams(server, stream, **given)
            case "file":
                return LinesSink(table.path, has_json=has_json)
            case "stdout":
                return LinesSink(None, has_json=has_json, on_broken=on_broken)
    except ValueError as error:
        raise ValueError(str(error).replace("url: ", "server: ", 1)) from None
    except ModuleNotFoundError as error:
        raise UsageError(str(error)) from None


def in_words_of_config(error: Exception) -> str:
    """What a sink raised, where what to do is said as in a config."""
    text = describe(error)
    for argument, key in _IN_CONFIG.items():
        text = text.replace(argument, key)
    return text


def check_sink(table: SinkTable) -> None:
    """Check what the sink and ``into`` are made with.

    Raises:
        TypeError: If a value is of a wrong type.
        ValueError: If one cannot be used; the text begins with its key.
    """
    with suppress(UsageError):  # that is told when it is to be used
        sink_of(table, has_json=True)
    into(LinesSink(None, has_json=True), **arguments_of(table))


def arguments_of(table: SinkTable) -> dict[str, Any]:
    """The arguments of ``into`` that the config has."""
    given = {name: getattr(table, name) for name in _OF_INTO}
    return {name: value for name, value in given.items() if value is not None}
