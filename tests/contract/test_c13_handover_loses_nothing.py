"""C13: where a handover switches, on servers that attach their feed late, greet, or fall silent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from internals import PeerConnection
from scene import A, B, C, Make, Scene

from rxsocket import (
    Cause,
    Event,
    InEffect,
    Opened,
    RenewalFailed,
    State,
    handover,
    in_band,
    json,
    reconnect,
)
from rxsocket.testing import VirtualClock, accept, hang

TICK = 0.001


def same(_: Any) -> str:
    """One and the same identity, whatever the credential."""
    return "the same"


def number(message: str) -> int | None:
    """The key of a numbered message; a greeting has none."""
    return int(message) if message.isdigit() else None


class Feed:
    """Numbers that a server sends to each connection, from some ticks after its 101 on.

    Args:
        attached_after: Milliseconds from the 101 to the first number.
        greets: Whether each connection gets a greeting at once.
        rate: Numbers a millisecond.
        encode: The message that a number is.
        is_fed: Whether a connection gets numbers at all; the others are those that are open.
    """

    def __init__(
        self,
        clock: VirtualClock,
        it: Scene,
        *,
        attached_after: int = 0,
        greets: bool = False,
        rate: int = 1,
        encode: Callable[[int], str] = str,
        is_fed: Callable[[PeerConnection, list[PeerConnection]], bool] = lambda one, others: True,
    ) -> None:
        self._clock = clock
        self._it = it
        self._attached_after = attached_after
        self._greets = greets
        self._rate = rate
        self._encode = encode
        self._is_fed = is_fed
        self._ages: dict[int, int] = {}
        self.sent = 0

    def run(self, milliseconds: int) -> None:
        """Let some time pass."""
        for _ in range(milliseconds):
            self._clock.advance(TICK)
            batch = [self._encode(self.sent + count) for count in range(self._rate)]
            self.sent += self._rate
            open_ones = [visit for visit in self._it.peer.visits if not visit.closing]
            for visit in open_ones:
                age = self._ages[visit.number] = self._ages.get(visit.number, -1) + 1
                if age == 0 and self._greets:
                    visit.deliver("hello")
                if age >= self._attached_after and self._is_fed(visit, open_ones):
                    for message in batch:
                        visit.deliver(message)


def numbers_of(received: list[Any]) -> list[int]:
    """The numbers of what came, without the greetings."""
    return [int(message) for message in received if str(message).isdigit()]


def assert_all(received: list[Any], last: int) -> None:
    """Each number came once and in order, up to the last one."""
    numbers = numbers_of(received)
    assert numbers == list(range(numbers[0], last + 1))


@pytest.mark.parametrize("ready", ["open", "message"])
@pytest.mark.parametrize("attached_after", [0, 5, 50, 500], ids="{} ms".format)
@pytest.mark.parametrize("greets", [False, True], ids=["no greeting", "greeting"])
def test_nothing_is_missing_whenever_the_feed_is_attached(
    clock: VirtualClock, scene: Make, ready: Any, attached_after: int, greets: bool
) -> None:
    """1,000 messages a second; each new connection gets them from some ticks after its 101 on."""
    strategy = handover(ready=ready, dedupe=number)
    it = scene(auth=A, on_auth_change=strategy, identity=same)
    received: list[str] = []
    it.socket.messages.subscribe(received.append)
    clock.advance(10.0)
    feed = Feed(clock, it, attached_after=attached_after, greets=greets)
    for token in ("first", "second"):
        feed.run(attached_after + 100)
        it.socket.set_auth({"token": token})
        feed.run(attached_after + 100)
    clock.advance(1.0)
    assert it.names.count("Opened") == 3
    assert_all(received, feed.sent - 1)


@pytest.mark.parametrize("attached_after", [0, 5, 50], ids="{} ms".format)
def test_twenty_thousand_messages_a_second(
    clock: VirtualClock, scene: Make, attached_after: int
) -> None:
    """Many messages in each read, over five changes."""
    it = scene(auth=A, watch=False, on_auth_change=handover(dedupe=number), identity=same)
    received: list[str] = []
    it.socket.messages.subscribe(received.append)
    clock.advance(10.0)
    feed = Feed(clock, it, attached_after=attached_after, rate=20)
    feed.run(attached_after + 5)
    for token in "vwxyz":
        it.socket.set_auth({"token": token})
        feed.run(attached_after + 50)
    clock.advance(1.0)
    assert it.credentials == ["a", *"vwxyz"]
    assert_all(received, feed.sent - 1)


@pytest.mark.parametrize("attached_after", [0, 5, 50], ids="{} ms".format)
def test_keys_of_decoded_messages(clock: VirtualClock, scene: Make, attached_after: int) -> None:
    """With a codec, ``ready`` and ``dedupe`` are asked about what it made of a message."""
    strategy = handover(
        ready=lambda message: "n" in message, dedupe=lambda message: message.get("n")
    )
    it = scene(auth=A, codec=json(), on_auth_change=strategy, identity=same)
    received: list[Any] = []
    it.socket.messages.subscribe(received.append)
    clock.advance(10.0)
    feed = Feed(clock, it, attached_after=attached_after, encode='{{"n": {}}}'.format)
    feed.run(100)
    it.socket.set_auth(B)
    feed.run(200)
    clock.advance(1.0)
    assert it.names.count("Opened") == 2
    assert_all([message["n"] for message in received], feed.sent - 1)


@pytest.mark.parametrize("attached_after", [0, 5, 50], ids="{} ms".format)
def test_a_feed_that_a_channel_asks_for(
    clock: VirtualClock, scene: Make, attached_after: int
) -> None:
    """``ready="acknowledged"``: a server that answers before it feeds, or after."""
    strategy = handover(ready="acknowledged", dedupe=number)
    script = accept().expect("sub").wait(0.02).send("ok")
    it = scene(script, script, auth=A, on_auth_change=strategy, identity=same)
    received: list[str] = []
    channel = it.socket.channel(
        subscribe="sub", match=str.isdigit, acknowledged=lambda message: message == "ok" or None
    )
    channel.subscribe(received.append)
    clock.advance(10.0)
    feed = Feed(clock, it, attached_after=attached_after)
    feed.run(100)
    it.socket.set_auth(B)
    feed.run(200)
    clock.advance(1.0)
    assert it.names.count("Opened") == 2
    assert_all(received, feed.sent - 1)


@pytest.mark.parametrize("ready", ["open", "message"])
@pytest.mark.parametrize("attached_after", [0, 5, 50], ids="{} ms".format)
@pytest.mark.slow
def test_a_consumer_at_half_the_rate(
    clock: VirtualClock, scene: Make, ready: Any, attached_after: int
) -> None:
    """C27: ``async for`` with a body of 2 ms loses nothing; both connections wait together."""
    strategy = handover(ready=ready, dedupe=number)
    it = scene(auth=A, on_auth_change=strategy, identity=same)
    received: list[str] = []

    async def read() -> None:
        async for message in it.socket.messages:
            received.append(message)
            await asyncio.sleep(2 * TICK)

    reading = clock.create_task(read())
    clock.advance(10.0)
    feed = Feed(clock, it, attached_after=attached_after)
    for token in ("first", "second"):
        feed.run(800)
        it.socket.set_auth({"token": token})
        feed.run(1600)  # until it is this far, what was sent before must be read
    clock.advance(20.0)
    assert it.names.count("Opened") == 3
    assert_all(received, feed.sent - 1)
    reading.cancel()


@pytest.mark.parametrize("after", [1, 20, 45], ids="{} ms".format)
def test_an_old_one_that_dies_in_the_middle(clock: VirtualClock, scene: Make, after: int) -> None:
    """What only it was sent is lost with it, and no more: nothing is double or out of order."""
    it = scene(auth=A, on_auth_change=handover(dedupe=number), identity=same)
    received: list[str] = []
    it.socket.messages.subscribe(received.append)
    clock.advance(10.0)
    feed = Feed(clock, it, attached_after=50)
    feed.run(100)
    it.socket.set_auth(B)
    feed.run(after)
    it.peer.visits[0].drop()
    before, attached = feed.sent, 100 + 50
    feed.run(200)
    clock.advance(1.0)
    numbers = numbers_of(received)
    assert numbers == [*range(numbers[0], before), *range(max(before, attached), feed.sent)]
    assert it.names.count("Opened") == 2 and it.peer.connections == 1


def test_an_old_one_that_dies_when_the_new_one_is_attached(
    clock: VirtualClock, scene: Make
) -> None:
    """What the new one got meanwhile has waited: nothing is missing."""
    strategy = handover(ready=lambda message: message == "ready", dedupe=number)
    it = scene(auth=A, on_auth_change=strategy, identity=same)
    received: list[str] = []
    it.socket.messages.subscribe(received.append)
    clock.advance(10.0)
    feed = Feed(clock, it)
    feed.run(100)
    it.socket.set_auth(B)
    feed.run(100)
    assert it.names.count("Opened") == 1  # it waits for "ready"
    it.peer.visits[0].drop()
    feed.run(100)
    clock.advance(1.0)
    assert_all(received, feed.sent - 1)


@pytest.mark.parametrize("apart", [0, 3, 30], ids="{} ms apart".format)
@pytest.mark.parametrize("attached_after", [0, 5, 50], ids="{} ms".format)
def test_twenty_renewals_at_once(
    clock: VirtualClock, scene: Make, attached_after: int, apart: int
) -> None:
    """C7: the newest is used; each other one is overtaken, and nothing is missing."""
    it = scene(auth=A, on_auth_change=handover(dedupe=number), identity=same)
    received: list[str] = []
    it.socket.messages.subscribe(received.append)
    clock.advance(10.0)
    feed = Feed(clock, it, attached_after=attached_after)
    feed.run(100)
    changes = []
    for count in range(20):
        changes.append(it.socket.set_auth({"token": f"t{count}"}))
        feed.run(apart)
    feed.run(500)
    clock.advance(1.0)
    assert it.credentials[-1] == "t19" and it.peer.connections == 1
    assert isinstance(changes[-1].result(), InEffect)
    assert all(change.done for change in changes)
    assert_all(received, feed.sent - 1)


@pytest.mark.parametrize("attached_after", [0, 5, 50], ids="{} ms".format)
def test_max_age_beside_renewals(clock: VirtualClock, scene: Make, attached_after: int) -> None:
    """Whichever comes first: nothing is missing, and no dial is given up."""
    it = scene(auth=A, on_auth_change=handover(dedupe=number), identity=same, max_age=0.31)
    received: list[str] = []
    it.socket.messages.subscribe(received.append)
    feed = Feed(clock, it, attached_after=attached_after)
    feed.run(100)
    for token in range(20):
        it.socket.set_auth({"token": str(token)})
        feed.run(103)
    feed.run(500)
    it.socket.close()
    clock.advance(1.0)
    causes = [event.cause for event in it.events if isinstance(event, Opened)]
    assert {Cause.AUTH_CHANGED, Cause.MAX_AGE} < set(causes)
    assert "Aborted" not in it.names
    numbers = numbers_of(received)
    assert numbers == list(range(numbers[0], numbers[-1] + 1))


def test_a_connection_that_gets_old_while_it_hands_over(clock: VirtualClock, scene: Make) -> None:
    """The next one is on its way: it is not given up for another one because of ``max_age``."""
    strategy = handover(ready="message")
    it = scene(auth=A, on_auth_change=strategy, identity=same, max_age=10.0)
    clock.advance(8.0)
    it.socket.set_auth(B)
    clock.advance(3.0)
    assert it.credentials == ["a", "b"]
    it.peer.visits[1].deliver("welcome")
    clock.advance(1.0)
    assert it.names[-2:] == ["Opened", "Message"]
    clock.advance(7.0)
    assert it.credentials == ["a", "b"]  # its age counts from its opening
    clock.advance(3.0)
    assert it.credentials == ["a", "b", "b"]


def test_a_server_that_moves_its_feed_to_the_newest(clock: VirtualClock, scene: Make) -> None:
    """Each number goes to one connection: nothing is missing, the change takes 2 s longer."""

    def is_newest(one: PeerConnection, others: list[PeerConnection]) -> bool:
        return one.number == others[-1].number

    it = scene(auth=A, on_auth_change=handover(dedupe=number), identity=same)
    received: list[str] = []
    it.socket.messages.subscribe(received.append)
    clock.advance(10.0)
    feed = Feed(clock, it, is_fed=is_newest)
    feed.run(100)
    it.socket.set_auth(B)
    feed.run(2300)
    clock.advance(1.0)
    assert it.names.count("Opened") == 2
    assert_all(received, feed.sent - 1)


def test_duplicates_behind_a_slow_consumer(clock: VirtualClock, scene: Make) -> None:
    """What was sent over both before the switch may be read long after it: it comes once."""
    it = scene(auth=A, on_auth_change=handover(dedupe=number), identity=same)
    received: list[str] = []

    async def read() -> None:
        async for message in it.socket.messages.iterate(high_water=4):
            received.append(message)
            if message == "3":
                await asyncio.sleep(30.0)

    reading = clock.create_task(read())
    clock.advance(10.0)
    it.socket.set_auth(B)
    clock.advance(0.1)
    old, new = it.peer.visits
    old.deliver("0")
    old.deliver("1")
    new.deliver("1")
    for text in ("2", "3", "4", "5", "6", "7"):
        old.deliver(text)
    clock.advance(1.0)
    assert it.names.count("Opened") == 2
    for text in ("2", "3", "4", "5", "6", "7", "8"):  # it is behind, and not read for 30 s
        new.deliver(text)
    clock.advance(60.0)
    assert received == list("012345678")
    reading.cancel()


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (None, "no message with a key came over it"),
        ("hello", "no message with a key came over it"),
        ("-", "none of its messages came over this one, too"),
    ],
    ids=["nothing", "no key", "other keys"],
)
def test_a_new_one_that_does_not_get_the_feed_never_takes_over(
    clock: VirtualClock, scene: Make, said: str | None, text: str
) -> None:
    """A server that feeds one of two: the old one goes on, and ``RenewalFailed`` says so."""
    keys = handover(dedupe=lambda message: None if message == "hello" else message, timeout=5.0)
    it = scene(auth=A, on_auth_change=keys, identity=same)
    clock.advance(10.0)
    it.socket.set_auth(B)
    for step in range(100):
        clock.advance(0.1)
        it.peer.visits[0].deliver(str(step))
        if said is not None and len(it.peer.visits) > 1:
            it.peer.visits[1].deliver(said)
    failures = [event for event in it.events if isinstance(event, RenewalFailed)]
    assert failures and all(text in str(failure.error) for failure in failures)
    assert it.names.count("Message") == 100
    assert it.names.count("Closed") == 0


@pytest.mark.parametrize(
    ("script", "options", "text"),
    [
        (hang(), {"dedupe": number}, "it did not open"),
        (accept(), {"ready": lambda _: False}, "what handover(ready=...) asks for did not come"),
        (accept(), {}, "nothing came over it, while this one goes on"),
    ],
    ids=["no answer", "not ready", "silent"],
)
def test_why_it_was_not_ready(
    clock: VirtualClock, scene: Make, script: Any, options: dict[str, Any], text: str
) -> None:
    """The error says what the switch waited for."""
    strategy = handover(timeout=2.0, **options)
    it = scene(accept(), script, auth=A, on_auth_change=strategy, identity=same)
    clock.advance(10.0)
    it.socket.set_auth(B)
    for _ in range(50):
        clock.advance(0.05)
        it.peer.visits[0].deliver("1")
    [failed] = [event for event in it.events if isinstance(event, RenewalFailed)]
    assert text in str(failed.error)


def test_an_old_one_that_fell_silent_is_left(clock: VirtualClock, scene: Make) -> None:
    """A server that moves its feed to the newest: after 2 s of silence of the old one."""
    it = scene(auth=A, on_auth_change=handover(dedupe=number), identity=same)
    clock.advance(10.0)
    it.socket.set_auth(B)
    clock.advance(0.5)
    it.peer.visits[1].deliver("1")
    clock.advance(1.4)
    assert it.names.count("Closed") == 0
    clock.advance(0.2)
    assert it.names[-3:] == ["Closed", "Opened", "Message"]


def test_both_silent_are_switched(clock: VirtualClock, scene: Make) -> None:
    """With ``dedupe`` and not a message, the switch comes after 2 s."""
    it = scene(auth=A, on_auth_change=handover(dedupe=number), identity=same)
    clock.advance(10.0)
    it.clear()
    it.socket.set_auth(B)
    clock.advance(5.0)
    assert it.story == [(10.0, "Connecting"), (12.0, "Closed"), (12.0, "Opened")]


def test_without_dedupe_an_old_one_that_talks_waits_for_the_new_one(
    clock: VirtualClock, scene: Make
) -> None:
    """The first message of the new one says that it is attached; until then the old one goes on."""
    it = scene(auth=A, on_auth_change=handover(), identity=same)
    clock.advance(10.0)
    it.socket.set_auth(B)
    for step in range(20):
        clock.advance(0.05)
        it.peer.visits[0].deliver(str(step))
    assert it.names.count("Closed") == 0
    it.peer.visits[1].deliver("20")
    clock.advance(0.1)
    assert it.names[-3:] == ["Closed", "Opened", "Message"]


ENDS: dict[str, Callable[[Any], object]] = {
    "close": lambda socket: socket.close(),
    "log out": lambda socket: socket.set_auth(None),
    "another identity": lambda socket: socket.set_auth(C),
    "reconnect": lambda socket: socket.reconnect(),
}
STRATEGIES: dict[str, Callable[[], Any]] = {
    "reconnect": reconnect,
    "handover": lambda: handover(dedupe=number),
    "handover, ready with a message": lambda: handover(ready="message", dedupe=number),
    "in band": lambda: in_band(lambda value: "auth", accepted=lambda message: message == "yes"),
}


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_dial_has_an_owner_that_ends_it(
    clock: VirtualClock, scene: Make, strategy: str, how: str
) -> None:
    """The socket ends at its n-th event, from an observer; then no connection is left (C2, C26)."""
    n, more = 0, True
    while more:
        n += 1
        more = _ends_at(clock, scene, n, STRATEGIES[strategy](), ENDS[how])
    assert n > 5


def _ends_at(
    clock: VirtualClock, scene: Make, n: int, strategy: Any, end: Callable[[Any], object]
) -> bool:
    """Whether there was an n-th event, at which the socket ended as told."""

    def identity(value: Any) -> str:
        return "C" if value == C else "the same"

    scripts = [accept().wait(0.2).send("1").wait(0.2).send("yes")] * 12
    it = scene(
        *scripts, watch=False, auth=A, on_auth_change=strategy, identity=identity, max_age=6.0
    )
    seen: list[Event] = []

    def on_event(event: Event) -> None:
        seen.append(event)
        if len(seen) == n:
            end(it.socket)

    subscription = it.socket.events.subscribe(on_event)
    for token in ("x", "y", "z"):
        clock.advance(1.03)
        it.socket.set_auth({"token": token})
        clock.advance(0.07)
        if len(seen) < n:
            it.socket.set_auth({"token": token + token})
    clock.advance(8.0)
    was_reached = len(seen) >= n
    closed = it.socket.close()
    subscription.dispose()
    clock.advance(3.0)
    assert closed.done
    assert it.peer.connections == 0
    assert it.socket.state.value is State.CLOSED
    return was_reached
