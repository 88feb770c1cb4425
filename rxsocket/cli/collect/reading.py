"""From a file to a ``Config`` whose keys and types are right."""

from __future__ import annotations

import dataclasses
import difflib
import re
import tomllib
import types
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from rxsocket.cli.collect.positions import KeyPath, lines_of_keys
from rxsocket.cli.collect.problems import ConfigError, Problems, name_of_key
from rxsocket.cli.collect.schema import CarrierTable, Config
from rxsocket.validation import is_list, is_mapping

T = TypeVar("T")

_AT_LINE = re.compile(r" ?\(at line (\d+), column \d+\)$")


@dataclasses.dataclass(frozen=True, slots=True)
class Read:
    """A config as it was read.

    Attributes:
        config: What is in it.
        problems: Collects what else is wrong with it.
        folder: Where the file is, to which paths in it are relative.
    """

    config: Config
    problems: Problems
    folder: FilePath


def read_config(path: str) -> Read:
    """Read a file.

    Raises:
        ConfigError: If it cannot be read, or keys or types are wrong.
    """
    try:
        text = FilePath(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except ValueError:
        raise ConfigError(f"{path}: not UTF-8 text") from None
    text = text.replace("\r\n", "\n")
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(_syntax_error(path, text, str(error))) from None
    problems = Problems(path, lines_of_keys(text))
    config = _table(Config, _with_long_carriers(data), (), problems)
    problems.check()
    if config is None:
        raise AssertionError("a table without problems is there")
    return Read(config, problems, FilePath(path).resolve().parent)


def _syntax_error(path: str, text: str, said: str) -> str:
    found = _AT_LINE.search(said)
    line = int(found[1]) if found is not None else text.rstrip("\n").count("\n") + 1
    reason = said[: found.start()] if found is not None else said.partition(" (")[0]
    return f"{path}:{line}: no TOML: {reason[:1].lower()}{reason[1:]}"


def _with_long_carriers(data: dict[str, Any]) -> dict[str, Any]:
    """With ``carrier = "header"`` as ``[carrier] kind = "header"``."""
    carrier = data.get("carrier")
    if isinstance(carrier, str):
        return {**data, "carrier": {"kind": carrier}}
    if is_list(carrier):
        longer = [{"kind": item} if isinstance(item, str) else item for item in carrier]
        return {**data, "carrier": longer}
    return data


def _table(kind: type[T], data: Any, at: KeyPath, problems: Problems) -> T | None:
    """A table of the config; ``None`` if something is wrong with it, which was collected."""
    if not is_mapping(data):
        problems.add(at, f"pass a table: [{name_of_key(at)}]")
        return None
    given: Mapping[str, Any] = data
    hints = get_type_hints(kind, include_extras=True)
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for name in given.keys() - fields.keys():
        problems.add((*at, name), _unknown(name, at, fields))
    values: dict[str, Any] = {}
    for name, field in fields.items():
        is_required = (
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        )
        if name in given:
            values[name] = _value(hints[name], given[name], (*at, name), problems)
        elif is_required:
            problems.add((*at, name), f"is missing: pass {_wanted(hints[name])}")
    return None if problems else kind(**values)


def _value(hint: Any, value: Any, at: KeyPath, problems: Problems) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _table(hint, value, at, problems)
    if at == ("carrier",):
        if not is_list(value):
            return [_table(CarrierTable, value, at, problems)]
        return [_table(CarrierTable, item, (*at, i), problems) for i, item in enumerate(value)]
    if not _fits(value, hint):
        problems.add(at, f"pass {_wanted(hint)}, not {_kind(value)}")
    return value


def _unknown(name: str, at: KeyPath, known: Mapping[str, object]) -> str:
    place = f"[{name_of_key(at)}]" if at else "a config"
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return f"{place} has no such key; did you mean {close[0]}?"
    return f"{place} has no such key; it has {', '.join(known)}"


def _wanted(hint: Any) -> str:
    """What to pass, as the text beside the type says."""
    for part in (hint, *get_args(hint)):
        for text in getattr(part, "__metadata__", ()):
            return str(text)
    return "a table"


def _fits(value: Any, hint: Any) -> bool:
    if hint is Any:
        return True
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _fits(value, arguments[0])
    if origin in (Union, types.UnionType):
        return any(_fits(value, each) for each in arguments)
    if origin is Literal:
        return any(value == each and type(value) is type(each) for each in arguments)
    if origin is list:
        return is_list(value) and all(_fits(each, arguments[0]) for each in value)
    if origin is dict:
        return is_mapping(value) and all(_fits(each, arguments[1]) for each in value.values())
    if hint is float:
        return type(value) in (int, float)
    return type(value) is hint


def _kind(value: Any) -> str:
    """What was passed, in words; no value, which may be a secret."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return "this text"
        case int() | float():
            return "a number"
        case list():
            return "this list"
        case dict():
            return "this table"
        case _:
            return "a date"
