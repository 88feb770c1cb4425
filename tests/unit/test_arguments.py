"""Arguments are checked where they come in, and the error names them."""

from __future__ import annotations

import functools
import inspect
import math
import sys
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from rxsocket import Backoff, Carried, Secret, Socket, refreshing
from rxsocket.recording import replay
from rxsocket.validation import (
    accepting_one,
    callback,
    code_to_send,
    function,
    is_async,
    is_list,
    is_mapping,
    one_line,
    reason_to_send,
    seconds,
    seconds_or_none,
)


@pytest.mark.parametrize("value", [0, 0.0, 1, 1.5, 1e9, 2**20])
def test_seconds(value: float) -> None:
    """Any number from 0 on will do, and comes out as a float."""
    checked = seconds("linger", value)
    assert checked == value and type(checked) is float
    assert seconds_or_none("linger", value) == value


@pytest.mark.parametrize("value", [-1, -0.001, math.inf, -math.inf, math.nan])
def test_seconds_out_of_range(value: float) -> None:
    """The ValueError names the argument and shows the number."""
    for check in (seconds, seconds_or_none):
        with pytest.raises(
            ValueError, match=r"^linger: pass a number of seconds that is 0 or more"
        ):
            check("linger", value)


@pytest.mark.parametrize("value", ["1", True, False, [1], b"1", 1j])
def test_seconds_of_another_type(value: Any) -> None:
    """The TypeError names the argument and the type, and whether None will do."""
    kind = type(value).__name__
    with pytest.raises(TypeError, match=rf"^linger: pass a number of seconds, not {kind}$"):
        seconds("linger", value)
    with pytest.raises(TypeError, match=rf"^linger: pass a number of seconds or None, not {kind}$"):
        seconds_or_none("linger", value)


def test_seconds_or_none() -> None:
    """None is let through only where it means something."""
    assert seconds_or_none("linger", None) is None
    with pytest.raises(TypeError, match=r"^linger: "):
        seconds("linger", None)


@pytest.mark.parametrize("text", ["", "abc", "ä€😀", "tab\t"])
def test_one_line(text: str) -> None:
    """Text without CR, LF and NUL comes back as it was."""
    assert one_line("origin", text) is text


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("secret\r", "CR"),
        ("secret\n", "LF"),
        ("\0secret", "NUL"),
        ("secret\r\n", "CR"),
        ("secret\udfff", "half a surrogate pair"),
    ],
)
def test_more_than_one_line(text: str, holds: str) -> None:
    """The error names the argument and what is wrong, and does not show the text."""
    with pytest.raises(ValueError, match=rf"^origin: holds {holds}, which") as caught:
        one_line("origin", text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("code", [1000, 3000, 3999, 4000, 4999])
def test_a_code_to_send(code: int) -> None:
    """1000 and what applications may use (RFC 6455, section 7.4)."""
    assert code_to_send("code", code) == code


@pytest.mark.parametrize("code", [0, 999, 1001, 1005, 1006, 1015, 2999, 5000, -1])
def test_a_code_that_may_not_be_sent(code: int) -> None:
    """The ValueError names the argument and the codes that may be sent."""
    with pytest.raises(ValueError, match=rf"^code: pass 1000 or a code .*, not {code}$"):
        code_to_send("code", code)


@pytest.mark.parametrize("code", ["1000", 1000.0, None, True])
def test_a_code_is_an_integer(code: Any) -> None:
    """Another type is a TypeError that names it."""
    with pytest.raises(TypeError, match=rf"^code: .*, not {type(code).__name__}$"):
        code_to_send("code", code)


def test_a_reason_to_send() -> None:
    """A close frame holds 123 bytes of UTF-8."""
    assert reason_to_send("reason", "ä" * 61) == "ä" * 61
    with pytest.raises(ValueError, match=r"^reason: a close frame holds at most 123 bytes"):
        reason_to_send("reason", "ä" * 62)
    with pytest.raises(ValueError, match=r"^reason: "):
        reason_to_send("reason", "\ud800")
    with pytest.raises(TypeError, match=r"^reason: pass a string, not bytes$"):
        reason_to_send("reason", b"bye")


def test_a_function() -> None:
    """Whatever can be called is a function."""
    assert function("carrier", len) is len
    with pytest.raises(TypeError, match=r"^carrier: pass a function, not int$"):
        function("carrier", 7)  # type: ignore[type-var]


class _Callable:
    def __call__(self, value: object) -> object:
        return value

    def method(self, value: object) -> object:
        return value

    def bare(self) -> str:
        return "none"


@pytest.mark.parametrize(
    ("given", "result"),
    [
        (lambda: "none", "none"),
        (lambda value: value, "value"),
        (lambda value, other=1: value, "value"),
        (lambda *values: values[0], "value"),
        (lambda value="default": value, "value"),
        (lambda value, **options: value, "value"),
        (lambda *, option=1: "none", "none"),
        (functools.partial(lambda first, second: second, 1), "value"),
        (_Callable(), "value"),
        (_Callable().method, "value"),
        (_Callable().bare, "none"),
        (str, "value"),
        (dict, None),
        ([].append, None),
    ],
)
def test_a_callback_takes_one_or_none(given: Callable[..., Any], result: Any) -> None:
    """It is called with the value if it takes one, else without."""
    if given is dict:
        with pytest.raises(ValueError, match="dictionary"):  # of dict("value") itself
            callback("on_message(function)", given)("value")
        return
    assert callback("on_message(function)", given)("value") == result


@pytest.mark.parametrize(
    "given", [lambda a, b: None, lambda *, a: None, lambda a, *, b: None, isinstance, 7, None, "x"]
)
def test_a_callback_that_needs_more(given: Any) -> None:
    """The TypeError names the argument."""
    for check in (callback, accepting_one):
        with pytest.raises(TypeError, match=r"^on_message\(function\): pass a function"):
            check("on_message(function)", given)


async def _coroutine(value: object) -> None: ...


class _AsyncCallable:
    async def __call__(self, value: object) -> None: ...


def test_async_functions_are_known() -> None:
    """``async def``, a partial of one, a method, and an object with an async call."""
    called = _AsyncCallable()
    for given in (_coroutine, functools.partial(_coroutine), called, called.__call__):
        assert is_async(given)
        with pytest.raises(TypeError, match=r"^on_open\(function\): pass a plain function"):
            callback("on_open(function)", given)
    for given in (len, _Callable(), _Callable, 7, None):
        assert not is_async(given)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="functions cannot be marked before")
def test_a_function_that_is_marked_as_async() -> None:
    """It makes a coroutine though its code does not say so."""
    marked = inspect.markcoroutinefunction(lambda value: _coroutine(value))  # type: ignore[attr-defined,unused-ignore]
    assert is_async(marked)


def test_guards() -> None:
    """What counts as a mapping, and as a list."""
    assert is_mapping({}) and not is_mapping([])
    assert is_list([]) and is_list(()) and not is_list("ab") and not is_list({1})


SOCKET = Socket("ws://fake.test/")
FAILS: dict[str, Callable[[], object]] = {
    "Socket(url)": lambda: Socket("ftp://x"),
    "Socket(auth)": lambda: Socket("ws://x", auth=5),
    "Socket(carrier)": lambda: Socket("ws://x", auth="a", carrier=lambda _: Carried(query=5)),  # type: ignore[arg-type]
    "listener(topic)": lambda: SOCKET.listener(""),
    "listener(type)": lambda: SOCKET.listener("t", type=lambda: 1),
    "emitter(topic)": lambda: SOCKET.emitter(":a/:a"),
    "Carried(headers)": lambda: Carried(headers={"a b": "c"}),
    "refreshing(timeout)": lambda: refreshing(lambda: "a", timeout=-1),
    "Secret": lambda: Secret(5),  # type: ignore[arg-type]
    "Backoff": lambda: Backoff(first=-1),
    "replay": lambda: replay("/nonexistent/session.jsonl"),
}


@pytest.mark.parametrize("name", FAILS)
def test_an_error_can_be_shown_with_the_variables_of_its_frames(name: str) -> None:
    """What is half made has a repr: crash reporters show ``self``."""
    with pytest.raises((TypeError, ValueError, OSError)) as caught:
        FAILS[name]()
    for frame, _ in list(traceback.walk_tb(caught.value.__traceback__))[1:]:
        for value in list(frame.f_locals.values()):
            repr(value)
