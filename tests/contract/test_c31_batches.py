"""C31: one read from the network, many messages; each rule holds for each, and for lists."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pytest
from reactivex import Observable
from reactivex import operators as ops
from scene import A, B, Make

from rxsocket import (
    Closed,
    Dropped,
    Message,
    Missed,
    ObserverFailed,
    Request,
    Signal,
    Socket,
    Transport,
    json,
)
from rxsocket.testing import VirtualClock, accept, fake

who: ContextVar[str] = ContextVar("who", default="nobody")


def in_one_read(peer: Transport) -> Transport:
    """The same peer, each of whose messages is a read: its words are messages."""

    def words(signal: Any) -> Any:
        return signal.split() if isinstance(signal, str) else signal

    def transport(request: Request) -> Observable[Signal]:
        return peer(request).pipe(ops.map(words))

    return transport


@pytest.fixture
def reader(clock: VirtualClock) -> Callable[..., Socket]:
    """Make a socket whose peer sends reads."""
    made: list[Socket] = []

    def make(*reads: str, **options: Any) -> Socket:
        peer = fake(accept().send(*reads), accept().send("later"))
        made.append(Socket(peer.url, auth=A, transport=in_one_read(peer), **options))
        return made[-1]

    yield make
    for socket in made:
        socket.close()
    clock.advance(2.0)


Reader = Callable[..., Socket]


def test_batches_connect_and_are_lists_of_one_read(clock: VirtualClock, reader: Reader) -> None:
    """Subscribing to batches connects; each read is one list, also one of a single message (C1)."""
    socket, batches = reader("a b c", "d", "e f"), []
    socket.batches.subscribe(batches.append)
    clock.advance(1.0)
    assert batches == [["a", "b", "c"], ["d"], ["e", "f"]]


def test_a_read_is_messages_too(clock: VirtualClock, reader: Reader) -> None:
    """A list comes first, then its messages one by one, to each observer and as events."""
    socket, seen = reader("a b", "c"), []
    socket.events.subscribe(
        lambda event: seen.append(event.data) if isinstance(event, Message) else None
    )
    socket.messages.subscribe(lambda message: seen.append(f"1{message}"))
    socket.batches.subscribe(seen.append)
    socket.messages.subscribe(lambda message: seen.append(f"2{message}"))
    clock.advance(1.0)
    assert seen == [["a", "b"], "a", "1a", "2a", "b", "1b", "2b", ["c"], "c", "1c", "2c"]


def test_a_list_belongs_to_those_who_get_it(clock: VirtualClock, reader: Reader) -> None:
    """An observer that changes its list takes no message away from messages."""
    socket, messages = reader("a b"), []
    socket.batches.subscribe(lambda batch: batch.clear())
    socket.messages.subscribe(messages.append)
    clock.advance(1.0)
    assert messages == ["a", "b"]


def test_batches_complete_with_the_socket(clock: VirtualClock, reader: Reader) -> None:
    """close() completes batches as every stream (C3)."""
    socket, ends = reader("a"), []
    socket.batches.subscribe(on_completed=lambda: ends.append("completed"))
    clock.advance(1.0)
    socket.close()
    clock.advance(2.0)
    assert ends == ["completed"]


def test_what_was_held_comes_as_one_list(clock: VirtualClock, reader: Reader) -> None:
    """The first who subscribes to payloads gets what was held, batches as a list (C4)."""
    socket, batches, messages = reader("a b", "c"), [], []
    with socket.connect():
        clock.advance(1.0)
        socket.batches.subscribe(batches.append)
        socket.messages.subscribe(messages.append)
        assert batches == [["a", "b", "c"]] and messages == []


def test_nothing_is_held_for_who_looks_at_batches(clock: VirtualClock, reader: Reader) -> None:
    """With an observer of batches nothing is held for a later one of messages (C4)."""
    socket, messages = reader("a b"), []
    socket.batches.subscribe(lambda _: None)
    clock.advance(1.0)
    socket.messages.subscribe(messages.append)
    clock.advance(1.0)
    assert messages == []


def test_a_large_read_that_is_held_is_dropped_whole(clock: VirtualClock, reader: Reader) -> None:
    """More than 256 messages of one read are dropped with one event, and what follows too (C4)."""
    socket, problems, messages = reader(" ".join(map(str, range(300)))), [], []
    socket.errors.subscribe(problems.append)
    with socket.connect():
        clock.advance(1.0)
        socket.messages.subscribe(messages.append)
    assert [type(problem) for problem in problems] == [Dropped] and messages == []


@pytest.mark.parametrize("looking", [False, True])
def test_a_change_in_the_middle_of_a_read(
    clock: VirtualClock, reader: Reader, looking: bool
) -> None:
    """No message of the read comes after the Closed of set_auth() called at one of them (C5)."""
    socket, seen = reader("a b c"), []
    if looking:
        socket.events.subscribe(
            lambda event: seen.append("closed") if isinstance(event, Closed) else None
        )
    else:
        socket.closes.subscribe(lambda _: seen.append("closed"))

    def changing(message: str) -> None:
        seen.append(message)
        if message == "b":
            socket.set_auth(B)

    socket.messages.subscribe(changing)
    clock.advance(3.0)
    assert seen == ["a", "b", "closed", "later"]


def test_a_change_at_a_list(clock: VirtualClock, reader: Reader) -> None:
    """set_auth() from an observer of batches comes before the messages of that list (C5, C24)."""
    socket, messages = reader("a b"), []
    socket.batches.subscribe(lambda batch: socket.set_auth(B) if "a" in batch else None)
    socket.messages.subscribe(messages.append)
    clock.advance(3.0)
    assert messages == ["later"]


def test_a_close_in_the_middle_of_a_read(clock: VirtualClock, reader: Reader) -> None:
    """close() called at a message is carried out before the next one of the same read (C24)."""
    socket, seen = reader("a b c"), []
    socket.messages.subscribe(
        lambda message: (seen.append(message), socket.close()), None, lambda: seen.append("|")
    )
    clock.advance(3.0)
    assert seen == ["a", "|"]


@pytest.mark.parametrize("others", [0, 1])
def test_an_observer_that_leaves_in_the_middle_of_a_read(
    clock: VirtualClock, reader: Reader, others: int
) -> None:
    """Nothing is delivered after a dispose, also within a read; the others get all of it (C23)."""
    socket, mine, theirs = reader("a b c d"), [], []

    def leaving(message: str) -> None:
        mine.append(message)
        if message == "b":
            subscription.dispose()

    subscription = socket.messages.subscribe(leaving)
    for _ in range(others):
        socket.messages.subscribe(theirs.append)
    with socket.connect():
        clock.advance(1.0)
    assert mine == ["a", "b"] and theirs == ["a", "b", "c", "d"] * others


def test_take_within_a_read(clock: VirtualClock, reader: Reader) -> None:
    """An operator that has had enough stops within the read, and the socket is let go (C1)."""
    socket, taken = reader("a b c d"), []
    socket.messages.pipe(ops.take(2)).subscribe(taken.append, None, lambda: taken.append("|"))
    clock.advance(3.0)
    assert taken == ["a", "b", "|"]


@pytest.mark.parametrize("others", [0, 1])
def test_an_observer_that_raises_in_the_middle_of_a_read(
    clock: VirtualClock, reader: Reader, others: int
) -> None:
    """It is detached and reported once; the others get every message of the read (C23)."""
    socket, mine, theirs, problems = reader("a b c"), [], [], []

    def raising(message: str) -> None:
        mine.append(message)
        if message == "b":
            raise ValueError("not b")

    socket.errors.subscribe(problems.append)
    socket.messages.subscribe(raising)
    for _ in range(others):
        socket.messages.subscribe(theirs.append)
    with socket.connect():
        clock.advance(1.0)
    assert mine == ["a", "b"] and theirs == ["a", "b", "c"] * others
    assert [type(problem) for problem in problems] == [ObserverFailed]
    assert "raising" in problems[0].observer and problems[0].stream == "messages"


def test_who_comes_in_the_middle_of_a_read(clock: VirtualClock, reader: Reader) -> None:
    """A subscription made at a message begins with the next one of the same read (C24)."""
    socket, late = reader("a b c"), []

    def on_next(message: str) -> None:
        if message == "a":
            socket.messages.subscribe(late.append)

    socket.messages.subscribe(on_next)
    clock.advance(1.0)
    assert late == ["b", "c"]


@pytest.mark.parametrize("others", [0, 1])
def test_each_read_is_seen_in_the_context_of_the_subscribe(
    clock: VirtualClock, reader: Reader, others: int
) -> None:
    """What an observer sets stays with it, within a read and from one to the next (C24)."""
    socket, seen = reader("a b", "c"), []

    def setting(message: str) -> None:
        seen.append(who.get())
        who.set(message)

    token = who.set("ann")
    socket.messages.subscribe(setting)
    who.reset(token)
    for _ in range(others):
        socket.messages.subscribe(lambda _: None)
    clock.advance(1.0)
    assert seen == ["ann", "a", "b"] and who.get() == "nobody"


def test_a_refusal_in_the_middle_of_a_read(clock: VirtualClock, scene: Make) -> None:
    """What came before the message that says refused is delivered, it and the rest are not (C9)."""
    peer = fake(accept().send("a no b"), accept().send("later"))
    socket = Socket(
        peer.url, auth=A, transport=in_one_read(peer), rejected=lambda message: message == "no"
    )
    batches: list[list[str]] = []
    closes: list[Closed] = []
    socket.batches.subscribe(batches.append)
    socket.closes.subscribe(closes.append)
    clock.advance(1.0)
    assert batches == [["a"]]
    assert [closed.reason for closed in closes] == ["a message said so"]
    socket.set_auth(B)
    clock.advance(1.0)
    assert batches == [["a"], ["later"]]
    socket.close()
    clock.advance(2.0)


def test_a_refusal_after_a_change_at_the_message_before(clock: VirtualClock) -> None:
    """A change at a message before it has ended the connection: nothing is refused (C8, C9)."""
    peer = fake(accept().send("a no"), accept().send("later"))
    socket = Socket(
        peer.url, auth=A, transport=in_one_read(peer), rejected=lambda message: message == "no"
    )
    closes: list[Closed] = []
    socket.closes.subscribe(closes.append)
    socket.messages.subscribe(lambda message: socket.set_auth(B) if message == "a" else None)
    clock.advance(1.0)
    assert [(closed.verdict, closed.reason) for closed in closes] == [(None, "")]
    socket.close()
    clock.advance(2.0)


def test_what_does_not_decode_leaves_the_rest_of_its_read(
    clock: VirtualClock, reader: Reader
) -> None:
    """A message in the middle of a read that has no value is reported there; the others come."""
    socket, seen = reader("1 x 2 y", "3", codec=json(type=int)), []
    socket.errors.subscribe(lambda error: seen.append(type(error).__name__))
    socket.messages.subscribe(seen.append)
    clock.advance(1.0)
    assert seen == [1, "DecodeFailed", 2, "DecodeFailed", 3]


def test_a_change_ends_a_read_that_is_decoded(clock: VirtualClock, reader: Reader) -> None:
    """After a change in the middle of a read nothing of it is delivered, nor reported (C5)."""
    socket, seen = reader("1 x 2", codec=CodecWithoutX()), []

    def leave(message: str) -> None:
        seen.append(message)
        if message == "1":
            socket.set_auth(B)

    socket.errors.subscribe(seen.append)
    socket.messages.subscribe(leave)
    clock.advance(1.0)
    assert seen == ["1", "later"]


class CodecWithoutX:
    """A codec that knows no x."""

    def encode(self, value: str) -> str:
        return value

    def decode(self, data: str | bytes) -> str:
        if data == "x":
            raise ValueError("x")
        return str(data)


def test_interceptors_have_each_message_of_a_read(clock: VirtualClock, reader: Reader) -> None:
    """Lists hold what interceptors made of messages, without those that one raised at."""
    socket, seen = reader("1 x 2"), []
    socket.after_receive(lambda message: int(message) * 10)
    socket.errors.subscribe(lambda error: seen.append(type(error).__name__))
    socket.batches.subscribe(seen.append)
    socket.messages.subscribe(seen.append)
    clock.advance(1.0)
    assert seen == [[10, 20], "ObserverFailed", 10, 20]


def test_what_was_decoded_is_held_by_the_size_of_its_message(
    clock: VirtualClock, reader: Reader
) -> None:
    """The limit on what is held counts the bytes that came, also of values (C4)."""
    large = "7" * 2**19
    socket, dropped = reader(f"{large} {large} 7", codec=CodecWithoutX()), []
    socket.errors.subscribe(dropped.append)
    with socket.connect():
        clock.advance(1.0)
    assert [(type(event), event.count) for event in dropped] == [(Dropped, 3)]


# --- its place in the stream (C38)


def test_a_batch_has_the_place_of_its_last_message(clock: VirtualClock, reader: Reader) -> None:
    """Each message is looked at once, before anybody has the batch, and what is missing is told."""
    socket = reader("1 2 4", "5", cursor=int)
    found: list[Any] = []
    places: list[Any] = []
    missed: list[Any] = []
    socket.cursor.subscribe(places.append)
    socket.errors.subscribe(missed.append)
    socket.batches.subscribe(lambda batch: found.append((batch, socket.cursor.value)))
    socket.messages.subscribe(lambda text: found.append((text, socket.cursor.value)))
    clock.advance(1.0)
    batch = ["1", "2", "4"]
    assert found == [(batch, 4), ("1", 4), ("2", 4), ("4", 4), (["5"], 5), ("5", 5)]
    assert places == [None, 1, 2, 4, 5]
    assert missed == [Missed(epoch=1, first=3, last=3)]


def test_without_batches_each_message_has_its_own(clock: VirtualClock, reader: Reader) -> None:
    """Of one read, too; and what is not delivered any more has none."""
    socket, found = reader("1 2 4", cursor=int), []

    def observe(text: str) -> None:
        found.append((text, socket.cursor.value))
        if text == "2":
            socket.close()

    socket.messages.subscribe(observe)
    clock.advance(1.0)
    assert found == [("1", 1), ("2", 2)] and socket.cursor.value == 2
