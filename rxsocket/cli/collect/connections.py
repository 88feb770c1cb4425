"""From the addresses, the credential and ``[socket]`` to the arguments of a socket."""

from __future__ import annotations

from typing import Any

from rxsocket.auth.credentials import ANONYMOUS, Secret
from rxsocket.auth.strategies import handover, reconnect
from rxsocket.cli.collect.carrying import TAKES, ConfiguredCarrier
from rxsocket.cli.collect.functions import imported, is_name
from rxsocket.cli.collect.making import Making, fields_of
from rxsocket.cli.collect.positions import KeyPath
from rxsocket.cli.collect.received import ReceivedCodec
from rxsocket.cli.collect.schema import CarrierTable, Config
from rxsocket.cli.collect.templates import Template, is_about_keys
from rxsocket.cli.credentials import is_place
from rxsocket.socket import Socket


def url_of(making: Making, config: Config) -> str | list[str] | None:
    """Where to connect."""
    given = config.url
    if isinstance(given, str):
        return _address(making, ("url",), given)
    if not given:
        making.problems.add(("url",), "pass at least one address")
    found = [_address(making, ("url", at), each) for at, each in enumerate(given)]
    return [each for each in found if each is not None]


def _address(making: Making, key: KeyPath, given: str) -> str | None:
    address = making.from_place(key, given) if is_place(given) else given
    if not address:
        return None
    return making.at(key, lambda: _checked_address(address))


def auth_of(making: Making, config: Config) -> Any:
    """The credential, or what gives it."""
    given = config.auth
    if given is None:
        return ANONYMOUS
    if isinstance(given, str):
        return making.at(("auth",), lambda: imported(given, making.folder))
    if not given:
        making.problems.add(("auth",), "pass at least one entry, or leave it out")
    return {name: Secret(_secret(making, ("auth", name), source)) for name, source in given.items()}


def _secret(making: Making, key: KeyPath, source: str) -> str:
    text = making.from_place(key, source)
    if not text:
        making.problems.add(key, "the value is empty")
    return text


def codec_of(making: Making, config: Config) -> ReceivedCodec:
    """What the messages are made of."""
    name = config.codec
    if name in ("json", "messagepack"):
        return ReceivedCodec(name)
    codec: Any = None
    if is_name(name):
        codec = making.at(("codec",), lambda: imported(name, making.folder))
    else:
        making.problems.add(("codec",), "pass 'json', 'messagepack' or 'module:codec'")
    methods = [getattr(codec, method, None) for method in ("encode", "decode")]
    if codec is None or isinstance(codec, type) or not all(map(callable, methods)):
        making.problems.add(("codec",), f"{name} is no object with encode(value) and decode(data)")
        return ReceivedCodec("json")
    return ReceivedCodec(name, codec)


def _carrier(making: Making, config: Config, codec: ReceivedCodec) -> ConfiguredCarrier | None:
    tables = config.carrier
    if tables is None:
        return None
    if config.auth is None:
        making.problems.add(("carrier",), "goes with [auth], the credential that it carries")
    if not tables:
        making.problems.add(("carrier",), "pass at least one")
    for place, table in enumerate(tables):
        _check_carrier(making, ("carrier", place) if len(tables) > 1 else ("carrier",), table)
    if making.problems:
        return None
    return making.of_library(("carrier",), lambda: ConfiguredCarrier(tables, codec))


def _check_carrier(making: Making, key: KeyPath, table: CarrierTable) -> None:
    takes = TAKES[table.kind]
    for name, value in fields_of(table).items():
        if name != "kind" and value is not None and name not in takes:
            others = f"; it takes {', '.join(takes)}" if takes else ""
            making.problems.add((*key, name), f"is not for kind = '{table.kind}'{others}")
    if table.kind == "first_message":
        if not isinstance(table.message, (dict, list)):
            making.problems.add(
                (*key, "message"), 'pass a message such as {op = "auth", key = "{auth.key}"}'
            )
        else:
            making.at((*key, "message"), lambda: _login(table.message))


def options_of(making: Making, config: Config, codec: ReceivedCodec) -> dict[str, Any]:
    """Further arguments of each socket."""
    options: dict[str, Any] = {"codec": codec}
    carrier = _carrier(making, config, codec)
    if carrier is not None:
        options["carrier"] = carrier
    for name, value in fields_of(config.socket).items():
        if value is not None:
            options[name] = None if value is False else value
    if "additional_headers" in options:
        options["additional_headers"] = {
            name: making.from_place(("socket", "additional_headers", name), text)
            if is_place(text)
            else text
            for name, text in options["additional_headers"].items()
        }
    strategy = options.pop("on_auth_change", None)
    if strategy == "reconnect":
        options["on_auth_change"] = reconnect()
    elif config.channel.assigned is not None:
        # What the server calls a channel is another thing on each connection: what is the same
        # message over both is not known where they are compared. Else a fleet compares them.
        options["on_auth_change"] = handover()
    return options


def _checked_address(address: str) -> str:
    Socket(address)
    if address.lower().startswith(("http:", "https:")):
        text = "channels are asked for, and nothing can be sent there: pass ws:// or wss://"
        raise ValueError(text)
    return address


def _login(message: Any) -> None:
    if any(map(is_about_keys, Template(message).names)):
        raise ValueError("the first message is about no channel; leave out {key} and {assigned}")
