"""Functions of the user's, checked where they come in: what they take, and that they are not async.

Most are plain functions or methods, of which their code says what they take; a signature is made
for the others only, because making one takes longer than all else that a subscription does.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any, TypeVar

__all__ = [
    "accepting_one",
    "callback",
    "function",
    "function_of_one",
    "function_of_one_or_none",
    "is_async",
]

F = TypeVar("F", bound=Callable[..., Any])
_MORE = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS


def function(name: str, value: F) -> F:
    """Check that something can be called.

    Raises:
        TypeError: If it cannot.
    """
    if not callable(value):
        raise TypeError(f"{name}: pass a function, not {type(value).__name__}")
    return value


def function_of_one(name: str, value: F, example: str) -> F:
    """Check that something can be called with one argument.

    Raises:
        TypeError: If it cannot; it says what to pass.
    """
    if not callable(value):
        raise TypeError(f"{name}: pass {example}, not {type(value).__name__}")
    if _plainly_takes(value) == 1:
        return value
    signature = _signature(value)
    if signature is not None and not _takes(signature, None):
        raise TypeError(f"{name}: pass {example}; this one takes {signature}")
    return value


def function_of_one_or_none(name: str, value: F | None) -> F | None:
    """Check a function of one argument that may be left out, as :func:`function_of_one` does."""
    return None if value is None else function_of_one(name, value, "a function of one argument")


def callback(name: str, value: Any) -> Callable[[Any], Any]:
    """Check a callback: a plain function of one argument or none (C23).

    Raises:
        TypeError: If it is something else; an ``async def`` function would never be awaited.
    """
    if is_async(value):
        raise TypeError(
            f"{name}: pass a plain function; an async one would never be awaited. For that, "
            "subscribe to messages.pipe(flat_map_async(function))"
        )
    return accepting_one(name, value)


def accepting_one(name: str, function: Any) -> Callable[[Any], Any]:
    """Let a callback that takes no argument, or one, be called with one (C23).

    Raises:
        TypeError: If it cannot be called, or needs more than one argument.
    """
    if not callable(function):
        raise TypeError(f"{name}: pass a function, not {type(function).__name__}")
    plain: Callable[[Any], Any] = function
    match _plainly_takes(function):
        case 1:
            return plain
        case 0:
            return lambda _: function()
        case _:
            pass
    signature = _signature(function)
    if signature is None or _takes(signature, None):
        return lambda value: function(value)  # it may have more to it, such as an ``on_next``
    if _takes(signature):
        return lambda _: function()
    raise TypeError(f"{name}: pass a function of one argument or none, not {signature}")


def is_async(value: Any) -> bool:
    """Whether calling it makes a coroutine: ``async def``, or an object with an async call."""
    if value is None:
        return False
    plain = _plain(value)
    if plain is not None:
        return bool(plain.__code__.co_flags & inspect.CO_COROUTINE)
    return inspect.iscoroutinefunction(value) or inspect.iscoroutinefunction(
        getattr(value, "__call__", None)  # noqa: B004 - the method itself, not whether it is there
    )


def _plain(value: Any) -> FunctionType | None:
    """The function that a function or method is, if it says itself what it is.

    One that has attributes may stand for another one, or be marked as what it does not look like.
    """
    found = value.__func__ if isinstance(value, MethodType) else value
    return found if type(found) is FunctionType and not vars(found) else None


def _plainly_takes(function: Any) -> int | None:
    """How many arguments a function or method takes, if that is all it can be called with."""
    plain = _plain(function)
    if plain is None or plain.__defaults__:
        return None
    code = plain.__code__
    if code.co_flags & _MORE or code.co_kwonlyargcount:
        return None
    return code.co_argcount - isinstance(function, MethodType)


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):  # some builtins have none
        return None


def _takes(signature: inspect.Signature, *arguments: Any) -> bool:
    try:
        signature.bind(*arguments)
    except TypeError:
        return False
    return True
