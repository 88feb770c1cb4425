"""Arguments are checked where they come in; the error names the argument and says what to pass.

There are three kinds: plain values, the user's functions (what they take, and that they are not
async), and what may stand in a handshake: headers, cookies and subprotocols. A header's value or a
credential may be a secret, so no error shows one (C28).
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import FunctionType, MethodType
from typing import Any, TypeGuard, TypeVar

from reactivex import Observable
from reactivex.subject import BehaviorSubject

T = TypeVar("T")

LONGEST_REASON = 123
"""Bytes of text that a close frame holds (RFC 6455, section 5.5)."""
_UNSAFE = {"\r": "CR", "\n": "LF", "\0": "NUL"}


def seconds(name: str, value: Any, *, or_none: bool = False) -> float:
    """Check a duration in seconds.

    Raises:
        TypeError: If it is not a number.
        ValueError: If it is negative or not finite.
    """
    if type(value) is float and 0.0 <= value < math.inf:
        return value  # most are, and a socket has a dozen
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        also = " or None" if or_none else ""
        raise TypeError(f"{name}: pass a number of seconds{also}, not {type(value).__name__}")
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{name}: pass a number of seconds that is 0 or more, not {value!r}")
    return float(value)


def seconds_or_none(name: str, value: Any) -> float | None:
    """Check a duration in seconds that may be ``None``, as :func:`seconds` does."""
    return None if value is None else seconds(name, value, or_none=True)


def more_than_zero(name: str, value: Any) -> float | None:
    """Check a duration in seconds that may be ``None`` but not 0.

    Raises:
        TypeError: If it is not a number.
        ValueError: If it is 0, negative or not finite.
    """
    checked = seconds_or_none(name, value)
    if checked == 0:
        raise ValueError(f"{name}: pass a number of seconds that is more than 0, or None")
    return checked


def name_or_none(name: str, value: Any) -> str | None:
    """Check the name of a socket or the like, which may be left out.

    Raises:
        TypeError: If it is not a string.
        ValueError: If nothing in it can be seen, or it is not a single line.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"{name}: pass a string or None, not {type(value).__name__}")
    if not value.strip() or not value.isprintable():
        raise ValueError(f"{name}: pass a name on one line, such as 'quotes', not {value!r}")
    return value


def one_line(name: str, text: str) -> str:
    """Check that a text can go into a header or a query: no CR, LF or NUL, and encodable.

    The text itself may be a secret, so the error does not show it.

    Raises:
        ValueError: If it holds one of them.
    """
    if text.isprintable():  # so most are
        return text
    for character, label in _UNSAFE.items():
        if character in text:
            raise ValueError(
                f"{name}: holds {label}, which may not go into a handshake; strip it first"
            )
    return encodable(name, text)


def encodable(name: str, text: str) -> str:
    """Check that a text has an encoding in UTF-8; the error does not show it.

    Raises:
        ValueError: If it holds half a surrogate pair.
    """
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError(f"{name}: holds half a surrogate pair, which is not text; decode it first")
    return text


def code_to_send(name: str, value: Any) -> int:
    """Check a close code that an application may send (RFC 6455, section 7.4).

    Raises:
        TypeError: If it is not an integer.
        ValueError: If it may not be sent.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}: pass a close code such as 1000, not {type(value).__name__}")
    if value != 1000 and not 3000 <= value < 5000:
        raise ValueError(f"{name}: pass 1000 or a code from 3000 to 4999, not {value}")
    return value


def reason_to_send(name: str, value: Any) -> str:
    """Check the text of a close frame (RFC 6455, section 5.5).

    Raises:
        TypeError: If it is not a string.
        ValueError: If it is longer than 123 bytes, or cannot be encoded.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name}: pass a string, not {type(value).__name__}")
    if len(encodable(name, value).encode()) > LONGEST_REASON:
        raise ValueError(f"{name}: a close frame holds at most {LONGEST_REASON} bytes of text")
    return value


def instance(name: str, value: Any, kind: type[T], example: str) -> T:
    """Check that something is of a class.

    Raises:
        TypeError: If it is not; it says what to pass.
    """
    if not isinstance(value, kind):
        raise TypeError(f"{name}: pass {example}, not {type(value).__name__}")
    return value


def whole_number(name: str, value: Any) -> int:
    """Check a number of things, 1 or more.

    Raises:
        TypeError: If it is not an integer.
        ValueError: If it is less than 1.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}: pass a whole number, not {type(value).__name__}")
    if value < 1:
        raise ValueError(f"{name}: pass 1 or more, not {value}")
    return value


def is_mapping(value: Any) -> TypeGuard[Mapping[Any, Any]]:
    """Whether a value is a mapping, of whatever."""
    return isinstance(value, (dict, Mapping))  # a dict is seen at once


def is_iterable(value: Any) -> TypeGuard[Iterable[Any]]:
    """Whether a value can be iterated over; text can, too."""
    return isinstance(value, Iterable)


def is_list(value: Any) -> TypeGuard[Sequence[Any]]:
    """Whether a value is a list or a tuple, of whatever."""
    return isinstance(value, (list, tuple))


def is_observable(value: Any) -> TypeGuard[Observable[Any]]:
    """Whether a value is an Observable, of whatever."""
    return isinstance(value, Observable)


def is_behavior(value: Observable[Any]) -> TypeGuard[BehaviorSubject[Any]]:
    """Whether an Observable is a ``BehaviorSubject``, which holds a value now."""
    return isinstance(value, BehaviorSubject)


F = TypeVar("F", bound=Callable[..., Any])
_VARIADIC = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS


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
    return _function_of(name, value, example, None)


def function_of_none(name: str, value: F, example: str) -> F:
    """Check that something can be called without an argument.

    Raises:
        TypeError: If it cannot; it says what to pass.
    """
    return _function_of(name, value, example)


def _function_of(name: str, value: F, example: str, *arguments: Any) -> F:
    if not callable(value):
        raise TypeError(f"{name}: pass {example}, not {type(value).__name__}")
    if _plainly_takes(value) == len(arguments):
        return value
    signature = _signature(value)
    if signature is not None and not _takes(signature, *arguments):
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


def leaving_out_the_last(name: str, value: Any, least: int) -> Callable[..., Any]:
    """Let a function that takes so many arguments, or one more, be called with one more.

    The last one is for those that need it: ``lambda channel=channel: ...`` takes none.

    Raises:
        TypeError: If it cannot be called so; an ``async def`` function would never be awaited.
    """
    if is_async(value):
        raise TypeError(f"{name}: pass a plain function; an async one would never be awaited")
    called: Callable[..., Any] = function(name, value)
    signature = _signature(called)
    if signature is None or _takes(signature, *(None,) * least):
        return lambda *arguments: called(*arguments[:least])
    if _takes(signature, *(None,) * (least + 1)):
        return called
    raise TypeError(f"{name}: pass a function of {least} or {least + 1} arguments, not {signature}")


def is_async(value: Any) -> bool:
    """Whether calling it makes a coroutine: ``async def``, or an object with an async call."""
    if value is None:
        return False
    plain = _plain_function(value)
    if plain is not None:
        return bool(plain.__code__.co_flags & inspect.CO_COROUTINE)
    return inspect.iscoroutinefunction(value) or inspect.iscoroutinefunction(
        getattr(value, "__call__", None)  # noqa: B004 - the method itself, not whether it is there
    )


def takes_also(function: Callable[..., Any], name: str) -> bool:
    """Whether a function that is called with one argument takes a second one, of this name.

    It does if it needs one, or if its second argument is called so: a default of another name is
    its own matter.
    """
    plain = _plain_function(function)
    if plain is not None and not plain.__code__.co_flags & _VARIADIC:
        code, bound = plain.__code__, isinstance(function, MethodType)
        if code.co_argcount - bound < 2:
            return False
        needs = code.co_argcount - bound - len(plain.__defaults__ or ())
        return needs == 2 or (needs < 2 and code.co_varnames[1 + bound] == name)
    signature = _signature(function)
    if signature is None:
        return False
    places = [
        parameter
        for parameter in signature.parameters.values()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    if len(places) < 2:
        return False
    needs = sum(parameter.default is parameter.empty for parameter in places)
    return needs == 2 or (needs < 2 and places[1].name == name)


# Most functions are plain ones, whose code says what they take in 0.6 us. inspect.signature() takes
# 20 us, longer than all else that a subscription does, so it is for the others only.


def _plain_function(value: Any) -> FunctionType | None:
    """The function of a function or method that is only what its code says.

    One that has attributes may stand for another one, or be marked as what it does not look like.
    """
    found = value.__func__ if isinstance(value, MethodType) else value
    return found if type(found) is FunctionType and not vars(found) else None


def _plainly_takes(function: Any) -> int | None:
    """How many arguments a function or method takes, if that is all it can be called with."""
    plain = _plain_function(function)
    if plain is None or plain.__defaults__:
        return None
    code = plain.__code__
    if code.co_flags & _VARIADIC or code.co_kwonlyargcount:
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


_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, section 5.6.2
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # RFC 9110, section 5.5
_COOKIE_OCTETS = re.compile(r"[!#-+\--:<-\[\]-~]*")  # RFC 6265, section 4.1.1
_OURS = frozenset(
    (
        "connection",
        "host",
        "upgrade",
        "sec-websocket-key",
        "sec-websocket-version",
        "sec-websocket-extensions",
    )
)


def header_name(argument: str, name: Any) -> str:
    """Check the name of a header (RFC 9110, section 5.1).

    Raises:
        TypeError: If it is not a string.
        ValueError: If it is not a token, or a header that the handshake sets itself.
    """
    if not isinstance(name, str):
        raise TypeError(f"{argument}: pass a string, not {type(name).__name__}")
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"{argument}: not the name of a header; use letters, digits and hyphens")
    if name.lower() == "sec-websocket-protocol":
        raise ValueError(f"{argument}: {name} is set from subprotocols=; pass that instead")
    if name.lower() in _OURS:
        raise ValueError(f"{argument}: the handshake sets {name} itself; pass another header")
    return name


def header_value(argument: str, value: Any) -> str:
    """Check the value of a header.

    Raises:
        TypeError: If it is not a string.
        ValueError: If it holds a control character other than a tab, or is not ASCII.
    """
    if not isinstance(value, str):
        raise TypeError(f"{argument}: pass a string, not {type(value).__name__}")
    if not value.isascii():
        raise ValueError(f"{argument}: a header holds ASCII only; encode it, for example as base64")
    if _CONTROL.search(one_line(argument, value)):
        raise ValueError(f"{argument}: holds a control character; a header may not, so strip it")
    return value


def cookie_name(argument: str, name: Any) -> str:
    """Check the name of a cookie (RFC 6265, section 4.1.1).

    Raises:
        TypeError: If it is not a string.
        ValueError: If it is not a token.
    """
    if not isinstance(name, str):
        raise TypeError(f"{argument}: pass a string, not {type(name).__name__}")
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"{argument}: not the name of a cookie; use letters, digits and hyphens")
    return name


def cookie_value(argument: str, value: Any) -> str:
    """Check the value of a cookie (RFC 6265, section 4.1.1); it may stand in double quotes.

    Raises:
        TypeError: If it is not a string.
        ValueError: If it holds what a cookie cannot.
    """
    if not isinstance(value, str):
        raise TypeError(f"{argument}: pass a string, not {type(value).__name__}")
    quoted = len(value) > 1 and value[0] == value[-1] == '"'
    if not _COOKIE_OCTETS.fullmatch(value[1:-1] if quoted else value):
        raise ValueError(
            f"{argument}: a cookie holds ASCII without white space, quotes, commas, semicolons and "
            "backslashes; encode it, for example with urllib.parse.quote"
        )
    return value


def subprotocol_name(argument: str, name: Any) -> str:
    """Check a subprotocol (RFC 6455, section 4.1).

    Raises:
        TypeError: If it is not a string.
        ValueError: If it is not a token.
    """
    if not isinstance(name, str):
        raise TypeError(f"{argument}: pass a string, not {type(name).__name__}")
    if not _TOKEN.fullmatch(name):
        raise ValueError(
            f"{argument}: not a subprotocol, which is one or more letters, digits and "
            "!#$%&'*+-.^_`|~; encode it, for example as base64url"
        )
    return name
