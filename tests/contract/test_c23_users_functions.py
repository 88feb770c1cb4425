"""C23, in virtual time: each kind of function that users pass, with everything it may raise."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest
import reactivex
from reactivex import Observable
from reactivex import operators as ops

from rxsocket import (
    Carried,
    Problem,
    Session,
    Socket,
    SocketFailed,
    State,
    first_message,
    handover,
    heartbeat,
    in_band,
    refreshing,
    standard,
)
from rxsocket.operators import concat_map_async, conflate, resync
from rxsocket.testing import VirtualClock, accept, fake

EXITS = (SystemExit, KeyboardInterrupt)
KINDS: list[type[BaseException]] = [
    ValueError,
    SystemExit,
    KeyboardInterrupt,
    asyncio.CancelledError,
    GeneratorExit,
    pytest.fail.Exception,
    RecursionError,
    MemoryError,
]


class Once:
    """A function that raises at the first call that it is armed for, and works afterwards."""

    def __init__(self, kind: type[BaseException], works: Callable[..., Any]) -> None:
        self.kind = kind
        self.calls = 0
        self._works = works

    def __call__(self, *arguments: Any) -> Any:
        self.calls += 1
        if self.calls == 1:
            raise self.kind("enough")
        return self._works(*arguments)


Arrange = Callable[[type[BaseException]], tuple[Once, dict[str, Any], Callable[[Socket], Any]]]
KINDS_OF_FUNCTIONS: dict[str, Arrange] = {}


def kind_of_function(
    name: str, works: Callable[..., Any]
) -> Callable[[Callable[[Once], Any]], Callable[[Once], Any]]:
    """Register what passes such a function: options of a socket, and what is done with it."""

    def register(arrange: Callable[[Once], Any]) -> Callable[[Once], Any]:
        def made(
            kind: type[BaseException],
        ) -> tuple[Once, dict[str, Any], Callable[[Socket], Any]]:
            once = Once(kind, works)
            arranged = arrange(once)
            options, use = arranged if isinstance(arranged, tuple) else (arranged, lambda _: None)
            return once, options, use

        KINDS_OF_FUNCTIONS[name] = made
        return arrange

    return register


def same(value: Any = None) -> Any:
    return value


async def same_later(value: Any = None) -> Any:
    return value


class Coder:
    """A codec of one's own."""

    def __init__(self, decode: Callable[[Any], Any] = str, encode: Callable[[Any], Any] = str):
        self.decode = decode
        self.encode = encode


class Wrapper:
    """An envelope of one's own."""

    def __init__(
        self,
        unwrap: Callable[[Any], Any] = lambda message: ("t", message),
        wrap: Callable[[Any, Any], Any] = lambda topic, data: data,
    ):
        self.unwrap = unwrap
        self.wrap = wrap


class Handler(logging.Handler):
    """A handler of the log of one's own."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self._function = function

    def emit(self, record: logging.LogRecord) -> None:
        self._function(record)


def change(value: Any) -> Callable[[Socket], Any]:
    """Set another credential when the socket has been open for a while."""

    def use(socket: Socket) -> None:
        socket.opens.pipe(ops.take(1), ops.delay(6.0)).subscribe(lambda _: socket.set_auth(value))

    return use


def sessions_of(socket: Socket) -> Observable[Session[Any]]:
    return socket.sessions


A, B = {"token": "a", "sub": "x"}, {"token": "b", "sub": "x"}
known = {"auth": A, "identity": lambda value: value["sub"]}
add = kind_of_function

add("on_open", same)(lambda f: ({}, lambda socket: socket.on_open(f)))
add("on_message", same)(lambda f: ({}, lambda socket: socket.on_message(f)))
add("on_error", same)(lambda f: ({}, lambda socket: socket.on_error(f)))
add("provider", lambda: "a")(lambda f: {"auth": lambda: f()})
add("async provider", lambda: "a")(lambda f: {"auth": _later(f)})
add("refreshing", lambda: "a")(lambda f: {"auth": refreshing(lambda: f())})
add("async refreshing", lambda: "a")(lambda f: {"auth": refreshing(_later(f))})
add("refreshing(expires)", lambda _: None)(lambda f: {"auth": refreshing(lambda: "a", expires=f)})
add("refreshing(credential)", same)(lambda f: {"auth": refreshing(lambda: "a", credential=f)})
add("auth=Observable", same)(
    lambda f: {"auth": reactivex.defer(lambda _: reactivex.of(f("a"), "a"))}
)
add("carrier", lambda _: Carried())(lambda f: {"auth": lambda: "a", "carrier": f})
add("carrier, pushed", lambda _: Carried())(
    lambda f: ({"auth": A, "carrier": _armed(f)}, change(B))
)
add("first_message(encode)", str)(lambda f: {"auth": "a", "carrier": first_message(_armed(f))})
add("first_message(accepted)", lambda message: message == "1")(
    lambda f: {"auth": "a", "carrier": first_message(str, accepted=f)}
)
add("first_message(rejected)", lambda _: False)(
    lambda f: {
        "auth": "a",
        "carrier": first_message(str, accepted=lambda message: message == "1", rejected=f),
    }
)
add("in_band(encode)", str)(lambda f: ({**known, "on_auth_change": in_band(f)}, change(B)))
add("in_band(accepted)", lambda _: True)(
    lambda f: ({**known, "on_auth_change": in_band(str, accepted=f)}, change(B))
)
add("in_band(rejected)", lambda _: False)(
    lambda f: (
        {**known, "on_auth_change": in_band(str, accepted=lambda _: True, rejected=f)},
        change(B),
    )
)
add("handover(dedupe)", same)(
    lambda f: ({**known, "on_auth_change": handover(dedupe=f)}, change(B))
)
add("handover(ready)", lambda _: True)(
    lambda f: ({**known, "on_auth_change": handover(ready=f)}, change(B))
)
add("identity", lambda value: value["sub"])(lambda f: ({"auth": A, "identity": f}, change(B)))
add("rejected", lambda _: False)(lambda f: {"rejected": f})
add("verdicts", standard())(lambda f: {"verdicts": f})
add("then", lambda _: None)(lambda f: {"verdicts": standard().then(f)})
add("stable_after", lambda messages: messages.pipe(ops.first()))(lambda f: {"stable_after": f})
add("stable_after, later", lambda _: True)(
    lambda f: {"stable_after": lambda messages: messages.pipe(ops.first(f))}
)
add("stable_after=Observable", lambda *_: reactivex.of(1))(
    lambda f: {"stable_after": reactivex.defer(f)}
)
add("heartbeat(send)", lambda: "ping")(lambda f: {"heartbeat": heartbeat(send=f, interval=1)})
add("heartbeat(expect)", lambda _: True)(
    lambda f: {"heartbeat": heartbeat(send="ping", expect=f, interval=1)}
)
add("codec.decode", str)(lambda f: {"codec": Coder(decode=f)})
add("codec.encode", str)(lambda f: ({"codec": Coder(encode=f)}, lambda socket: _send(socket)))
add("envelope.unwrap", lambda message: ("t", message))(
    lambda f: ({"envelope": Wrapper(f)}, lambda socket: socket.listener("t").subscribe())
)
add("envelope.wrap", lambda topic, data: data)(
    lambda f: (
        {"envelope": Wrapper(wrap=f)},
        lambda socket: reactivex.of("1", "2").subscribe(socket.emitter("t")),
    )
)
add("emitter(mapper)", same)(
    lambda f: ({}, lambda socket: reactivex.of("1", "2").subscribe(socket.emitter("t", f)))
)
add("before_send", same)(lambda f: ({}, lambda socket: (socket.before_send(f), _send(socket))))
add("after_receive", same)(lambda f: ({}, lambda socket: socket.after_receive(f)))
add("fragments", lambda: "x")(lambda f: ({}, lambda socket: socket.send(_fragments(f))))
add("channel(subscribe)", lambda: "s")(
    lambda f: (
        {},
        lambda socket: socket.channel(subscribe=f, match=bool).subscribe(None, _ignore),
    )
)
add("channel(unsubscribe)", lambda: "u")(
    lambda f: (
        {},
        lambda socket: (
            socket.channel(subscribe="s", unsubscribe=f, match=bool).pipe(ops.take(1)).subscribe()
        ),
    )
)
add("channel(match)", bool)(
    lambda f: ({}, lambda socket: socket.channel(subscribe="s", match=f).subscribe())
)
add("channel(by)", same)(
    lambda f: ({}, lambda socket: socket.channel(subscribe="s", key="1", by=f).subscribe())
)
add("channel(acknowledged)", lambda _: True)(
    lambda f: (
        {},
        lambda socket: socket.channel(subscribe="s", match=bool, acknowledged=f).subscribe(),
    )
)
add("request(match)", bool)(lambda f: ({}, lambda socket: _ask(socket, match=f)))
add("request(id)", lambda _: 1)(lambda f: ({}, lambda socket: _ask(socket, id=_armed(f))))
add("conflate(key)", same)(
    lambda f: ({}, lambda socket: socket.messages.pipe(conflate(f)).subscribe(print, _ignore))
)
add("a mapper of RxPY", same)(
    lambda f: ({}, lambda socket: socket.messages.pipe(ops.map(f)).subscribe(print, _ignore))
)
add("an async mapper", same_later)(
    lambda f: (
        {},
        lambda socket: socket.messages.pipe(concat_map_async(f)).subscribe(print, _ignore),
    )
)
add("resync(fetch)", lambda: same_later("s"))(
    lambda f: (
        {},
        lambda socket: (
            sessions_of(socket)
            .pipe(resync(lambda: f(), lambda state, delta: state))
            .subscribe(print, _ignore)
        ),
    )
)
add("resync(apply)", lambda state, delta: state)(
    lambda f: (
        {},
        lambda socket: (
            sessions_of(socket).pipe(resync(lambda: same_later("s"), f)).subscribe(print, _ignore)
        ),
    )
)
add("socket.scheduler", same)(
    lambda f: ({}, lambda socket: socket.scheduler.schedule_relative(1.0, lambda *_: f()))
)
add("a handler of the log", same)(lambda f: ({"handler": f}, lambda _: None))
add("an action of a loop", same)(
    lambda f: ({}, lambda socket: socket.send("x").subscribe(lambda _: f()))
)


WITHOUT = {
    "auth=Observable": State.AWAITING_AUTH,
    "verdicts": State.CLOSED,
    "then": State.CLOSED,
}
"""What the socket cannot go on without: it says so, and ends as it would without such a value."""


def _later(function: Callable[[], Any]) -> Callable[[], Any]:
    async def provider() -> Any:
        return function()

    return provider


def _armed(once: Once) -> Callable[[Any], Any]:
    """It works when the socket is made, where what it raises is for the caller."""
    seen: list[Any] = []

    def function(value: Any) -> Any:
        seen.append(value)
        return once._works(value) if len(seen) == 1 else once(value)

    return function


async def _fragments(function: Callable[[], str]) -> Any:
    yield "a"
    yield function()


TOLD: list[Exception] = []
"""What observers were told."""
SILENT = ("request(match)",)
"""What it raises about a message says that this is no answer."""


def _ignore(error: Exception) -> None:
    TOLD.append(error)


def _send(socket: Socket) -> None:
    reactivex.of("1", "2").subscribe(socket.outgoing)


def _ask(socket: Socket, **options: Any) -> None:
    socket.request("?", timeout=2.0, **options).subscribe(None, _ignore)


def going_on(clock: VirtualClock, seconds: float) -> list[type[BaseException]]:
    """Let time pass on a loop of the user's, who runs it on when it was ended."""
    ended: list[type[BaseException]] = []
    target = clock.time() + seconds
    while clock.time() < target:
        try:
            clock.advance(target - clock.time())
        except EXITS as error:
            ended.append(type(error))
    return ended


@pytest.fixture(autouse=True)
def no_handler() -> Iterator[None]:
    logger = logging.getLogger("rxsocket")
    before = list(logger.handlers)
    yield
    logger.handlers = before


# By default each function raises an ordinary exception, and two or three of the others, in turn.
PAIRS = [
    pytest.param(
        *(name, kind),
        id=f"{name}-{kind.__name__}",
        marks=() if not place or (place + row) % 3 == 0 else pytest.mark.slow,
    )
    for row, name in enumerate(KINDS_OF_FUNCTIONS)
    for place, kind in enumerate(KINDS)
]


@pytest.mark.parametrize(("name", "kind"), PAIRS)
def test_it_takes_nothing_else_down(
    clock: VirtualClock,
    caplog: pytest.LogCaptureFixture,
    name: str,
    kind: type[BaseException],
) -> None:
    """The socket goes on, its other observers and other sockets get everything, it can be closed.

    What is to end the program ends the user's own loop, once.
    """
    function, options, use = KINDS_OF_FUNCTIONS[name](kind)
    handler = options.pop("handler", None)
    numbers = accept()
    for number in range(40):
        numbers = numbers.send(str(number)).wait(0.5)
    peer = fake(numbers.drop(), numbers)
    socket = Socket(peer.url, transport=peer, **options)
    other = fake(numbers)
    sibling = Socket(other.url, transport=other)
    heard: list[Any] = []
    sibling_heard: list[Any] = []
    ended: list[type[BaseException]] = []
    sibling.messages.subscribe(sibling_heard.append)
    errors: list[Problem] = []
    socket.errors.subscribe(errors.append)
    TOLD.clear()
    if handler is not None:
        logger = logging.getLogger("rxsocket")
        logger.addHandler(Handler(handler))
        caplog.set_level(logging.INFO, "rxsocket")
    raises = name == "request(id)" and not issubclass(kind, Exception)  # within the user's call
    with pytest.raises(kind) if raises else nullcontext():
        use(socket)
    socket.messages.subscribe(heard.append, heard.append)
    ended += going_on(clock, 79.0)
    assert function.calls >= 1, "the function was not called"
    assert sibling_heard == [str(number) for number in range(40)]
    assert socket.state.value is WITHOUT.get(name, State.OPEN), socket.explain()
    if name in ("verdicts", "then"):
        assert isinstance(heard[-1], SocketFailed)
    elif name not in WITHOUT:
        assert heard[-1] == "39"
    assert len(ended) <= 1 and set(ended) <= {kind}
    for text in ("unexpectedly", "a bug in rxsocket", "internal error"):
        assert text not in caplog.text
    if name not in SILENT and not raises:
        told = caplog.text + repr(errors) + repr(TOLD)
        assert any(text in told for text in ("enough", "cancelled", kind.__name__))
    receipts = [socket.close(), sibling.close()]
    going_on(clock, 3.0)
    assert all(receipt.done for receipt in receipts)
