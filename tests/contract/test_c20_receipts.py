"""C20: every message has one receipt, which says that it was sent or why it was not."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import reactivex
from reactivex import operators as ops
from reactivex.subject import Subject
from scene import A, Make

import rxsocket
from rxsocket import (
    Closed,
    ConnectionLost,
    NotConnected,
    Opened,
    SendFailed,
    Sent,
    SocketError,
    State,
)
from rxsocket.testing import VirtualClock, accept


def outcome(receipt: Any) -> Any:
    """What a receipt says: the value, the kind of its error, or ``None`` while it is open."""
    if not receipt.done:
        return None
    try:
        return receipt.result()
    except SocketError as error:
        return type(error)


def test_a_message_on_an_open_connection_is_sent(clock: VirtualClock, scene: Make) -> None:
    """Its receipt names the epoch, to a subscriber too, and completes."""
    it = scene(auth=A)
    clock.advance(1.0)
    heard: list[Any] = []
    it.socket.send("x").subscribe(heard.append, None, lambda: heard.append("|"))
    clock.advance(0)
    assert heard == [Sent(1), "|"]
    assert it.peer.received == [(1, "x")]


def test_what_is_sent_in_one_turn_keeps_its_order(clock: VirtualClock, scene: Make) -> None:
    """A thousand messages from one turn of the loop arrive once each, in order."""
    it = scene(auth=A)
    clock.advance(1.0)
    receipts = [it.socket.send(str(number)) for number in range(1000)]
    clock.advance(1.0)
    assert [message for _, message in it.peer.received] == [str(n) for n in range(1000)]
    assert {outcome(receipt) for receipt in receipts} == {Sent(1)}


def test_a_message_sent_before_close_is_written_before_it(clock: VirtualClock, scene: Make) -> None:
    """Order is that of the calls: the message, then the close frame."""
    it = scene(auth=A)
    clock.advance(1.0)
    receipt = it.socket.send("bye")
    it.socket.close()
    clock.advance(2.0)
    assert outcome(receipt) == Sent(1)
    assert it.peer.received == [(1, "bye")]


def test_closing_fails_what_is_queued(clock: VirtualClock, scene: Make) -> None:
    """Nothing waits for a socket that was closed, and each failure is on ``errors``."""
    it = scene(auth=A, latency=1.0)
    problems: list[Any] = []
    it.socket.errors.subscribe(problems.append)
    receipts = [it.socket.send(text) for text in "abc"]
    clock.advance(0.5)
    it.socket.close()
    clock.advance(2.0)
    assert [outcome(receipt) for receipt in receipts] == [NotConnected] * 3
    assert [type(problem) for problem in problems] == [SendFailed] * 3


def test_an_ended_socket_is_not_started_by_a_send(clock: VirtualClock, scene: Make) -> None:
    """A producer that is late does not bring back what was closed (C26)."""
    it = scene(auth=A)
    clock.advance(1.0)
    it.socket.close()
    clock.advance(2.0)
    receipt = it.socket.send("late")
    clock.advance(2.0)
    assert outcome(receipt) is NotConnected
    assert (it.socket.state.value, it.peer.dials) == (State.CLOSED, 1)


def test_a_send_from_an_observer_of_opens_is_first(clock: VirtualClock, scene: Make) -> None:
    """What an observer sends while it is told of the opening goes out after what waited."""
    it = scene(watch=False, auth=A)
    it.socket.send("waited")
    it.socket.on_open(lambda: it.socket.send("hello"))
    clock.advance(1.0)
    assert it.peer.received == [(1, "waited"), (1, "hello")]


# --- outgoing


def test_a_stream_is_piped_into_outgoing(clock: VirtualClock, scene: Make) -> None:
    """Its values are sent in order; its completion does not close the socket."""
    it = scene(auth=A)
    clock.advance(1.0)
    reactivex.of("1", "2", "3").subscribe(it.socket.outgoing)
    clock.advance(1.0)
    assert it.peer.received == [(1, "1"), (1, "2"), (1, "3")]
    assert it.socket.state.value is State.OPEN


def test_the_error_of_a_piped_stream_is_a_problem(clock: VirtualClock, scene: Make) -> None:
    """It is reported on ``errors`` once, and the socket goes on."""
    it = scene(auth=A)
    clock.advance(1.0)
    problems: list[Any] = []
    it.socket.errors.subscribe(problems.append)
    error = ValueError("no more numbers")
    reactivex.concat(reactivex.of("1"), reactivex.throw(error)).subscribe(it.socket.outgoing)
    clock.advance(1.0)
    assert [problem.error for problem in problems] == [error]
    assert it.peer.received == [(1, "1")]
    assert it.socket.state.value is State.OPEN


def test_what_cannot_be_sent_does_not_stop_the_stream(clock: VirtualClock, scene: Make) -> None:
    """A value of a wrong type is on ``errors``; the values around it are sent."""
    it = scene(auth=A)
    clock.advance(1.0)
    problems: list[Any] = []
    it.socket.errors.subscribe(problems.append)
    numbers: Subject[Any] = Subject()
    numbers.subscribe(it.socket.outgoing)
    for value in ("1", 2, "3"):
        numbers.on_next(value)
    clock.advance(1.0)
    assert it.peer.received == [(1, "1"), (1, "3")]
    [problem] = problems
    assert isinstance(problem, SendFailed) and isinstance(problem.error, TypeError)


# --- fragments


async def _parts(*parts: str) -> AsyncIterator[str]:
    for part in parts:
        yield part


@pytest.mark.parametrize(
    "fragments",
    [
        lambda: ["frag", "ment", "s"],
        lambda: iter(["frag", "ments"]),
        lambda: _parts("frag", "ments"),
    ],
    ids=["list", "iterator", "async"],
)
def test_an_iterable_is_one_message(
    clock: VirtualClock, scene: Make, fragments: Callable[[], Any]
) -> None:
    """Its fragments arrive as one message, between those sent before and after it."""
    it = scene(auth=A)
    clock.advance(1.0)
    receipts = [it.socket.send(data) for data in ("before", fragments(), "after")]
    clock.advance(1.0)
    assert [message for _, message in it.peer.received] == ["before", "fragments", "after"]
    assert [outcome(receipt) for receipt in receipts] == [Sent(1)] * 3


def test_fragments_that_fail_fail_their_receipt_alone(clock: VirtualClock, scene: Make) -> None:
    """What was begun cannot be ended: the connection is made anew, and the next message sent."""

    async def broken() -> AsyncIterator[str]:
        yield "frag"
        raise ValueError("no more")

    it = scene(auth=A)
    clock.advance(1.0)
    receipt, after = it.socket.send(broken()), it.socket.send("after")
    clock.advance(5.0)
    with pytest.raises(ValueError, match="no more"):
        receipt.result()
    assert outcome(after) == Sent(2)
    assert it.peer.received == [(2, "after")]


def test_a_link_lost_between_fragments_fails_the_receipt(clock: VirtualClock, scene: Make) -> None:
    """A message that was begun is not begun again on another connection."""
    more: Subject[str] = Subject()

    async def slow() -> AsyncIterator[str]:
        yield "frag"
        yield await more.pipe(ops.first())

    it = scene(accept().wait(2.0).drop(), auth=A)
    clock.advance(1.0)
    receipt, after = it.socket.send(slow()), it.socket.send("after")
    clock.advance(5.0)
    assert outcome(receipt) is ConnectionLost
    assert outcome(after) == Sent(2)
    assert it.names.count("Opened") == 2


# --- interceptors


def test_an_interceptor_replaces_what_goes_out(clock: VirtualClock, scene: Make) -> None:
    """They are called in the order they were added, until disposed."""
    it = scene(auth=A)
    clock.advance(1.0)
    first = it.socket.before_send(lambda text: text + "1")
    it.socket.before_send(lambda text: text + "2")
    it.socket.send("a")
    first.dispose()
    it.socket.send("b")
    clock.advance(1.0)
    assert it.peer.received == [(1, "a12"), (1, "b2")]


def test_an_interceptor_replaces_what_comes_in(clock: VirtualClock, scene: Make) -> None:
    """Every stream has the replaced value, and as an operator the same function does the same."""

    def upper(text: str) -> str:
        return text.upper()

    it = scene(watch=False, auth=A)
    seen: list[str] = []
    plain: list[str] = []
    intercepted = it.socket.after_receive(upper)
    it.socket.messages.subscribe(seen.append)
    it.socket.messages.pipe(ops.map(upper)).subscribe(plain.append)
    clock.advance(1.0)
    it.peer.push("a")
    clock.advance(0)
    intercepted.dispose()
    it.peer.push("b")
    clock.advance(0)
    assert (seen, plain) == (["A", "b"], ["A", "B"])


def test_an_interceptor_that_raises(clock: VirtualClock, scene: Make) -> None:
    """Going out, ``send`` raises; coming in, it is reported and only that message is lost."""
    it = scene(watch=False, auth=A)
    seen: list[str] = []
    problems: list[Any] = []
    it.socket.messages.subscribe(seen.append)
    it.socket.errors.subscribe(problems.append)
    it.socket.before_send(lambda text: text[3])
    it.socket.after_receive(lambda text: text[0])
    clock.advance(1.0)
    with pytest.raises(IndexError):
        it.socket.send("abc")
    for text in ("a", "", "b"):
        it.peer.push(text)
    clock.advance(0)
    assert seen == ["a", "b"]
    assert [type(problem.error) for problem in problems] == [IndexError]


def test_an_async_interceptor_is_refused(scene: Make) -> None:
    """It would never be awaited."""

    async def later(text: str) -> str:
        return text

    it = scene(watch=False, auth=A)
    for add in (it.socket.before_send, it.socket.after_receive):
        with pytest.raises(TypeError, match="plain function"):
            add(later)


def test_the_failure_names_the_connection_it_was_for(clock: VirtualClock, scene: Make) -> None:
    """A queued message is of no epoch yet; the events around stay whole (C2)."""
    it = scene(auth=A, latency=1.0, queue_for=0.5)
    it.socket.send("x")
    clock.advance(3.0)
    [failed] = [event for event in it.events if isinstance(event, SendFailed)]
    assert failed.epoch is None
    assert [type(event) for event in it.events if isinstance(event, (Opened, Closed))] == [Opened]


def nothing(_: object) -> None:
    """An interceptor that forgets to return the message."""


@pytest.mark.parametrize("options", [{}, {"codec": rxsocket.json()}], ids=["text", "codec"])
def test_an_interceptor_that_returns_nothing(
    clock: VirtualClock, scene: Make, caplog: pytest.LogCaptureFixture, options: dict[str, Any]
) -> None:
    """It forgot to: a message does not become ``None``, and the log says so once a connection."""
    it = scene(watch=False, auth=A, **options)
    seen: list[Any] = []
    problems: list[Any] = []
    it.socket.messages.subscribe(seen.append)
    it.socket.errors.subscribe(problems.append)
    forgetful = it.socket.before_send(nothing), it.socket.after_receive(nothing)
    clock.advance(1.0)
    with pytest.raises(TypeError, match=r"^before_send\(function\): nothing returned None; return"):
        it.socket.send("abc")
    it.peer.push("1", "2")
    clock.advance(0)
    text = "after_receive(function): nothing returned None; return the message that is to go on"
    assert [str(problem.error) for problem in problems] == [text, text]
    warned = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warned) == 1 and text in warned[0].getMessage()
    for one in forgetful:
        one.dispose()
    it.peer.push("null")
    it.socket.after_receive(lambda message: message)
    it.peer.push("null")
    clock.advance(0)
    assert seen == ([None, None] if options else ["null", "null"])
