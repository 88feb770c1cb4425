"""What goes to another process and what comes back: pickled, and of what cannot be, said why.

A function goes by its name: it is looked up in its module there. So it is a function of a module,
not a lambda or one made within another function, unless what pickles can do more.
"""

from __future__ import annotations

import pickle
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

from rxsocket.errors import SocketError
from rxsocket.fleet.orders import ChannelError, Messages, SocketEvent
from rxsocket.fleet.shard import ShardSettings
from rxsocket.texts import LONGEST, printable

Dumps = Callable[[Any], bytes]


def settings_pickled(settings: ShardSettings, dumps: Dumps, where: str) -> bytes:
    """The settings as bytes, for a message to a shard.

    Args:
        settings: Without what stays here: its ``auth`` is what can be there.
        dumps: What pickles.
        where: Where the shards are, for errors.

    Raises:
        TypeError: If something cannot be pickled; the text names the argument.
    """
    for name, value in _named(settings):
        why = _why_not(value, dumps)
        if why is not None:
            raise TypeError(f"{name}: {why}, so it cannot go to {where}; {_instead(value)}")
    return dumps(settings)


def _named(settings: ShardSettings) -> Iterator[tuple[str, Any]]:
    yield "url", settings.url
    for field in fields(settings.channel):
        yield (
            f"channel={type(settings.channel).__name__}({field.name})",
            getattr(settings.channel, field.name),
        )
    for name, value in settings.options.items():
        yield f"options[{name!r}]", value


def function_pickled(name: str, function: Any, dumps: Dumps, where: str) -> bytes:
    """A user's function as bytes.

    Raises:
        TypeError: If it cannot be pickled; the text names the argument.
    """
    why = _why_not(function, dumps)
    if why is not None:
        raise TypeError(f"{name}: {why}, so it cannot go to {where}; {_instead(function)}")
    return dumps(function)


def _why_not(value: Any, dumps: Dumps) -> str | None:
    """Why a value cannot be pickled; without what it holds, which may be a secret."""
    module = getattr(value, "__module__", None)
    if dumps is plain and module == "__main__" and not _has_main_file():
        return f"{_called(value)} is defined where no other process can import it"
    try:
        dumps(value)
    except BaseException as error:
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise
        return f"{_called(value)} cannot be pickled ({type(error).__name__})"
    return None


def _has_main_file() -> bool:
    return getattr(sys.modules.get("__main__"), "__file__", None) is not None


def _called(value: Any) -> str:
    name = getattr(value, "__qualname__", None)
    return name if isinstance(name, str) else f"a {type(value).__name__}"


def _instead(value: Any) -> str:
    if "<lambda>" in _called(value) or "<locals>" in _called(value) or callable(value):
        return "pass a function that is defined at the top level of a module"
    return "pass a function of a module that makes it, or something that can be pickled"


def plain(value: Any) -> bytes:
    """What ``pickle`` makes of a value."""
    return pickle.dumps(value, 5)


class FromShard(SocketError):
    """Stands for an error of a shard elsewhere that cannot be pickled: its kind and its text."""


def portable_error(error: BaseException) -> Exception:
    """The error, if it can be pickled, else one that says the same."""
    if isinstance(error, Exception):
        try:
            back = pickle.loads(pickle.dumps(error, 5))
        except Exception:
            pass
        else:
            if type(back) is type(error) and str(back) == str(error):
                return error
    text = printable(str(error), LONGEST)
    return FromShard(f"{type(error).__name__}: {text}".removesuffix(": "))


def unsendable(item: Any) -> Any:
    """What is sent in place of an item, if that cannot be pickled: what it is about is kept."""
    try:
        pickle.dumps(item, 5)
    except Exception:
        pass
    else:
        return item
    match item:
        case SocketEvent(socket, event):
            return SocketEvent(socket, without_unpicklable(event))
        case ChannelError(socket, key, error):
            return ChannelError(socket, key, portable_error(error))
        case Messages(messages):
            return Messages(tuple(one for one in messages if _can_go(one)))
        case _:
            return without_unpicklable(item)


def _can_go(value: Any) -> bool:
    try:
        pickle.dumps(value, 5)
    except Exception:
        return False
    return True


def without_unpicklable(event: Any) -> Any:
    """The same, with errors that can be pickled."""
    if not is_dataclass(event) or isinstance(event, type):
        return event
    changed = {
        field.name: portable_error(value)
        for field in fields(event)
        if isinstance(value := getattr(event, field.name), BaseException)
    }
    return replace(event, **changed)


def trace_of(error: BaseException) -> str:
    """The traceback of an error as text: files, lines and what it says, no values of variables."""
    return "".join(traceback.format_exception(error)).rstrip()
