"""C38: the next connection goes on from where the stream was, and what is missing is told."""

from __future__ import annotations

import json as plain_json
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from numbered import NumberedFake
from reactivex import operators as ops
from scene import Make, known

from rxsocket import (
    Ask,
    Carried,
    Cause,
    Closed,
    ConnectFailed,
    Dropped,
    Message,
    Missed,
    ObserverFailed,
    Opened,
    Socket,
    State,
    Ticket,
    carrier,
    cursor,
    first_message,
    handover,
    header,
    history,
    json,
    query,
)
from rxsocket.notebook import timeline
from rxsocket.testing import Grammar, VirtualClock, accept, fake, reject


def seq(message: Any) -> Any:
    return message.get("seq")


def resuming(value: Any, cursor: Any) -> Carried:
    """A carrier of the credential, and of the place to go on from."""
    after = {} if cursor is None else {"after": str(cursor)}
    return Carried(query={"token": value, **after})


class Feed:
    """A socket on a server of numbered messages, in virtual time."""

    def __init__(self, peer: NumberedFake, **options: Any) -> None:
        self.peer = peer
        self.socket: Socket[Any, Any] = Socket(
            peer.url,
            transport=peer,
            codec=json(),
            backoff=known(),
            **{"auth": "abcdefgh", "carrier": resuming, "cursor": seq, **options},
        )
        self.numbers: list[int] = []
        self.problems: list[Any] = []
        self.grammar = Grammar()
        self.socket.events.subscribe(self.grammar, on_error=lambda _: None)
        self.socket.messages.subscribe(lambda message: self.numbers.append(message["seq"]))
        self.socket.errors.subscribe(self.problems.append)

    @property
    def missed(self) -> list[tuple[int, int]]:
        return [(one.first, one.last) for one in self.problems if isinstance(one, Missed)]

    def open_for(self, seconds: float, clock: VirtualClock) -> None:
        """Wait until it is open, and for so long."""
        while self.socket.state.value is not State.OPEN:
            clock.advance(1.0)
        clock.advance(seconds)

    def end(self, clock: VirtualClock) -> None:
        self.socket.close()
        clock.advance(3.0)
        self.grammar.done()


def numbered_fake(**about: Any) -> NumberedFake:
    peer = NumberedFake((), None, 0.0)
    for name, value in about.items():
        setattr(peer, name, value)
    return peer


# --- a server that goes on


@pytest.mark.parametrize("by_message", [False, True])
def test_twenty_cuts_lose_nothing_and_repeat_nothing(clock: VirtualClock, by_message: bool) -> None:
    """Asked in the address or by a first message, the server goes on, wherever the link is cut."""
    told = first_message(lambda _, cursor: plain_json.dumps({"op": "resume", "seq": cursor}))
    feed = Feed(numbered_fake(by_message=by_message), carrier=told if by_message else resuming)
    moments = random.Random(38)
    asked: list[int | None] = [None]
    for _ in range(20):
        feed.open_for(moments.uniform(0.0, 20.0), clock)
        feed.peer.drop()
        clock.advance(0.0)
        asked.append(feed.socket.cursor.value)
    feed.open_for(10.0, clock)
    assert feed.peer.asked == asked
    assert feed.numbers == list(range(1, len(feed.numbers) + 1)) and len(feed.numbers) > 100
    assert feed.missed == []
    feed.end(clock)


def test_a_place_outlives_a_connection_without_messages(clock: VirtualClock) -> None:
    """A link that is lost before a new message came, and a refused attempt, lose no place."""
    feed = Feed(numbered_fake())
    clock.advance(1.0)
    newest = feed.numbers[-1]
    feed.peer.script(accept().drop(), reject(503), accept().close(1012))
    feed.peer.drop()
    clock.advance(120.0)
    afters = [handshake.query.get("after") for handshake in feed.peer.handshakes]
    assert afters == [None, *[str(newest)] * 4]
    assert feed.numbers == list(range(1, len(feed.numbers) + 1))
    feed.end(clock)


def test_a_socket_that_ended_goes_on_where_it_was(clock: VirtualClock) -> None:
    """close() completes the stream of places; the place is there, and the next start has it."""
    feed = Feed(numbered_fake())
    places: list[Any] = []
    feed.socket.cursor.subscribe(places.append, on_completed=lambda: places.append("end"))
    clock.advance(1.0)
    feed.end(clock)
    newest = feed.numbers[-1]
    assert places == [None, *feed.numbers, "end"] and feed.socket.cursor.value == newest
    again: list[Any] = []
    feed.socket.messages.subscribe(again.append)
    clock.advance(1.0)
    assert feed.peer.asked == [None, newest] and again[0] == {"seq": newest + 1}
    assert feed.socket.cursor.value == again[-1]["seq"] > newest + 1
    feed.socket.close()
    clock.advance(3.0)


def test_a_stored_place_is_where_a_program_begins(clock: VirtualClock) -> None:
    """start= is the place of the first connection, and what is missing after it is told."""
    feed = Feed(numbered_fake(keeps=0, rate=1.0), cursor=cursor(seq, start=41))
    feed.peer.newest = 50
    assert feed.socket.cursor.value == 41
    clock.advance(2.0)
    assert feed.peer.asked == [41]
    assert feed.numbers[0] == 51 and feed.missed == [(42, 50)]
    feed.end(clock)


def test_a_stored_place_is_there_from_the_start(clock: VirtualClock) -> None:
    """C10: a value is tried with its carrier when it is passed, and that has the place already."""
    given: list[Any] = []

    def carries(value: Any, cursor: Any) -> Carried:
        given.append(cursor)
        return Carried(query={"token": value, "after": str(cursor + 0)})

    feed = Feed(numbered_fake(), carrier=carries, cursor=cursor(seq, start=7))
    clock.advance(1.0)
    feed.socket.set_auth("ijklmnop")
    assert given == [7, 7, feed.numbers[-1]]
    feed.end(clock)


def test_a_handover_has_the_place_of_the_attempt(clock: VirtualClock, scene: Make) -> None:
    """The next connection is told what the place is when it is dialled; dedupe drops the rest."""
    peer = numbered_fake(rate=10.0)
    strategy = handover(dedupe=seq)
    feed = Feed(peer, on_auth_change=strategy, identity=lambda _: "me")
    clock.advance(3.05)
    newest = feed.numbers[-1]
    feed.socket.set_auth("ijklmnop")
    clock.advance(5.0)
    assert peer.asked == [None, newest]
    assert feed.numbers == list(range(1, len(feed.numbers) + 1))
    assert feed.missed == [] and peer.connections == 1
    feed.end(clock)


# --- a server that forgets


@pytest.mark.parametrize("keeps", [0, 3, 25])
def test_what_is_missing_is_told_exactly(clock: VirtualClock, keeps: int) -> None:
    """A server that has forgotten: what came and what is missing are all the numbers, once."""
    feed = Feed(numbered_fake(keeps=keeps, rate=10.0))
    moments = random.Random(keeps)
    for _ in range(20):
        feed.open_for(moments.uniform(0.5, 5.0), clock)
        feed.peer.drop()
        feed.peer.unheard = moments.randrange(40)
    feed.open_for(10.0, clock)
    told = [number for first, last in feed.missed for number in range(first, last + 1)]
    assert sorted([*feed.numbers, *told]) == list(range(1, feed.numbers[-1] + 1))
    assert len(feed.missed) > 3
    feed.end(clock)


def test_a_gap_is_told_everywhere(clock: VirtualClock, scene: Make, caplog: Any) -> None:
    """On errors and events, in explain(), in the log and the history; as a connection is open."""
    one = scene(accept().send("1", "2", "6", "8"), cursor=int)
    problems: list[Any] = []
    one.socket.errors.subscribe(problems.append)
    clock.advance(1.0)
    missed = [Missed(epoch=1, first=3, last=5), Missed(epoch=1, first=7, last=7)]
    assert problems == missed
    assert [event for event in history(one.socket) if isinstance(event, Missed)] == missed
    following = [one.events[one.events.index(event) + 1] for event in missed]
    assert following == [Message(epoch=1, data="6"), Message(epoch=1, data="8")]
    text = str(one.socket.explain())
    assert "note: message 7 did not come 1.0 s ago: connection 1 went on with 8" in text
    assert "(the latest of 2)" in text
    lines = [record.getMessage() for record in caplog.records]
    assert any("messages 3 to 5 did not come: connection 1 went on with 6" in x for x in lines)


def test_a_flood_of_gaps_is_one_note_and_one_line(
    clock: VirtualClock, scene: Make, caplog: Any
) -> None:
    """C32: a feed that leaves numbers out pushes nothing else out of the log or the timeline."""
    one = scene(accept().stream(map(str, range(0, 2000, 2)), 100.0), cursor=int)
    drawn = timeline(one.socket)
    clock.advance(30.0)
    missed = [event for event in one.events if isinstance(event, Missed)]
    assert len(missed) == 999
    lines = [record.getMessage() for record in caplog.records]
    assert sum("did not come" in line for line in lines) == 1
    assert drawn._repr_mimebundle_()["image/svg+xml"].count(">missed<") == 1
    assert sum(isinstance(event, Opened) for event in history(one.socket)) == 1


def test_gaps_can_be_turned_off(clock: VirtualClock, scene: Make) -> None:
    """Where numbers are left out on purpose, they are places all the same."""
    one = scene(accept().send("1", "5", "9"), cursor=cursor(int, gaps=False))
    clock.advance(1.0)
    assert one.socket.cursor.value == 9
    assert not [event for event in one.events if isinstance(event, Missed)]


def test_a_server_that_counts_anew_is_followed(clock: VirtualClock, scene: Make) -> None:
    """The first number of a connection that is not higher is the highest from there on."""
    one = scene(
        accept().send("8", "9", "9", "7", "10").drop(), accept().send("1", "2", "5"), cursor=int
    )
    places: list[Any] = []
    one.socket.cursor.subscribe(places.append)
    clock.advance(10.0)
    assert places == [None, 8, 9, 7, 10, 1, 2, 5]
    missed = [event for event in one.events if isinstance(event, Missed)]
    assert missed == [Missed(epoch=2, first=3, last=4)]


def test_places_that_are_no_numbers(clock: VirtualClock, scene: Make) -> None:
    """An id, a pair, nothing: whatever can be hashed is a place, and has no gaps."""
    ids: dict[str, Any] = {"a": "a", "b": ("b", 1), "c": None, "d": 2**200, "e": b"e"}
    one = scene(accept().send(*ids), cursor=lambda message: ids[message])
    places: list[Any] = []
    one.socket.cursor.subscribe(places.append)
    clock.advance(1.0)
    assert places == [None, "a", ("b", 1), 2**200, b"e"]
    assert not [event for event in one.events if isinstance(event, Missed)]


# --- who is given it


def test_a_provider_is_told(clock: VirtualClock) -> None:
    """Ask.cursor has it: None at first, then the newest; also when a credential is awaited."""
    asked: list[Ask] = []

    def provider(ask: Ask) -> str:
        asked.append(ask)
        return "abcdefgh" if len(asked) != 3 else "ijklmnop"

    async def asynchronous(ask: Ask) -> str:
        return provider(ask)

    feed = Feed(numbered_fake(), auth=asynchronous)
    clock.advance(1.0)
    newest = feed.numbers[-1]
    feed.peer.script(reject(401))
    feed.peer.drop()
    clock.advance(30.0)
    assert [ask.cursor for ask in asked] == [None, newest, newest]
    assert [ask.reason.value for ask in asked] == ["first", "reconnect", "rejected"]
    assert str(newest) not in repr(asked[1]).replace("attempt", "")
    feed.end(clock)


@pytest.mark.parametrize("auth", [{}, {"auth": "abcdefgh"}])
def test_an_address_may_have_it(clock: VirtualClock, auth: dict[str, str]) -> None:
    """A function given as url= is asked for each, with or without a credential (C33)."""
    peer = numbered_fake()
    socket: Socket[Any, Any] = Socket(
        lambda ask: f"{peer.url}?after={ask.cursor or ''}",
        transport=peer,
        codec=json(),
        backoff=known(),
        cursor=seq,
        **auth,
    )
    numbers: list[int] = []
    socket.messages.subscribe(lambda message: numbers.append(message["seq"]))
    for _ in range(5):
        clock.advance(9.0)
        peer.drop()
    clock.advance(9.0)
    assert numbers == list(range(1, len(numbers) + 1)) and len(peer.asked) == 6
    assert peer.asked[0] is None and peer.asked[-1] is not None
    socket.close()
    clock.advance(3.0)


def test_a_subscribe_message_may_have_it(clock: VirtualClock, scene: Make) -> None:
    """C22: it is made for each connection, with what the newest place is then."""

    def subscribe(to: Any) -> str:
        told.append(to)
        return plain_json.dumps({"op": "subscribe", "from": to.cursor})

    told: list[Any] = []
    one = scene(cursor=lambda text: int(text.removeprefix("t")))
    got: list[Any] = []
    one.socket.channel(subscribe=subscribe, match=lambda text: True).subscribe(got.append)
    clock.advance(6.0)
    one.peer.push("t41", "t42")
    clock.advance(1.0)
    one.peer.drop()
    clock.advance(5.0)
    asked = [plain_json.loads(message)["from"] for _, message in one.peer.received]
    assert asked == [None, 42] and got == ["t41", "t42"]
    assert "42" not in repr(told)


@pytest.mark.parametrize(
    "carries",
    [
        resuming,
        carrier(resuming),
        query() & (lambda _, cursor: Carried(query={"after": str(cursor or "")})),
        (lambda _, cursor: Carried(query={"after": str(cursor or "")})) & query(),
        header() & carrier(lambda _, cursor=None: Carried(query={"after": str(cursor or "")})),
    ],
)
def test_a_carrier_may_take_it(clock: VirtualClock, carries: Any) -> None:
    """One that takes a second argument is given it, also when it is combined."""
    feed = Feed(numbered_fake(), carrier=carries)
    clock.advance(1.0)
    newest = feed.numbers[-1]
    feed.peer.drop()
    clock.advance(5.0)
    assert feed.peer.asked == [None, newest]
    assert [handshake.credential for handshake in feed.peer.handshakes] == ["abcdefgh"] * 2
    feed.end(clock)


def test_a_default_of_another_name_is_left_alone(clock: VirtualClock, scene: Make) -> None:
    """A second argument that is not needed, and not called cursor, is the function's own."""
    given: list[Any] = []

    def carries(value: Any, scheme: str = "Bearer") -> Carried:
        given.append(scheme)
        return Carried(headers={"Authorization": f"{scheme} {value}"})

    one = scene(accept().send("1"), auth="abcdefgh", carrier=carries, cursor=int)
    clock.advance(1.0)
    one.peer.drop()
    clock.advance(5.0)
    assert set(given) == {"Bearer"} and len(one.peer.handshakes) == 2


def test_without_a_cursor_there_is_none(clock: VirtualClock, scene: Make) -> None:
    """A carrier that takes one gets None; socket.cursor is None, and completes with the others."""
    given: list[Any] = []

    def carries(value: Any, cursor: Any) -> Carried:
        given.append(cursor)
        return Carried(query={"token": value})

    one = scene(auth="abcdefgh", carrier=carries)
    places: list[Any] = []
    one.socket.cursor.subscribe(places.append, on_completed=lambda: places.append("end"))
    clock.advance(1.0)
    one.end()
    assert places == [None, "end"] and set(given) == {None}
    one.socket.cursor.subscribe(places.append, on_completed=lambda: places.append("end"))
    assert places == [None, "end", None]


# --- it only looks


def test_it_takes_nothing_from_anybody(clock: VirtualClock, scene: Make) -> None:
    """C1, C4: it does not connect; what is held goes to the first subscriber all the same."""
    one = scene(accept().send("1", "2"), cursor=int, watch=False)
    places: list[Any] = []
    one.socket.cursor.subscribe(places.append)
    clock.advance(1.0)
    assert one.socket.state.value is State.IDLE and one.peer.handshakes == []
    one.socket.connect()
    clock.advance(1.0)
    assert places == [None, 1, 2]
    got: list[Any] = []
    one.socket.messages.subscribe(got.append)
    assert got == ["1", "2"] and places == [None, 1, 2]


def test_what_nobody_heard_counts_as_having_come(clock: VirtualClock, scene: Make) -> None:
    """C4: a Dropped says how many nobody got; the place is that of the last of them."""
    one = scene(accept().send("1", "2"), cursor=int, watch=False)
    dropped: list[Any] = []
    one.socket.errors.subscribe(dropped.append)
    one.socket.connect()
    clock.advance(10.0)
    assert [event.count for event in dropped if isinstance(event, Dropped)] == [2]
    assert one.socket.cursor.value == 2


def test_an_observer_finds_the_place_of_its_message(clock: VirtualClock, scene: Make) -> None:
    """A program that stores what it made of a message, and the place, stores what goes together."""
    one = scene(accept().send("1", "2", "3"), cursor=int, watch=False)
    stored: list[Any] = []
    one.socket.messages.subscribe(lambda text: stored.append((text, one.socket.cursor.value)))
    one.socket.batches.subscribe(lambda _: None)
    clock.advance(1.0)
    assert stored == [("1", 1), ("2", 2), ("3", 3)]


@pytest.mark.parametrize("stream", ["messages", "batches", "events", "sessions", "listener"])
def test_no_stream_is_ahead_of_it(clock: VirtualClock, scene: Make, stream: str) -> None:
    """Whoever gets a message finds its place, whichever stream it comes over."""
    one = scene(
        accept().send(*(plain_json.dumps({"topic": "t", "data": n}) for n in (1, 2, 3))),
        codec=json(),
        cursor=lambda message: message["data"],
        watch=False,
    )
    socket = one.socket
    found: list[Any] = []
    streams: dict[str, Any] = {
        "messages": socket.messages,
        "batches": socket.batches,
        "events": socket.events.pipe(ops.filter(lambda event: isinstance(event, Message))),
        "sessions": socket.sessions.pipe(ops.flat_map(lambda session: session)),
        "listener": socket.listener("t"),
    }
    streams[stream].subscribe(lambda _: found.append(socket.cursor.value))
    clock.advance(1.0)
    assert found == [1, 2, 3]


def test_it_sees_what_observers_see(clock: VirtualClock, scene: Make) -> None:
    """Decoded, and after the interceptors; what is not delivered has no place."""
    one = scene(accept().send('{"seq": 1}', "none", '{"seq": 2}'), codec=json(), cursor=seq)
    one.socket.after_receive(lambda message: {"seq": message["seq"] * 10})
    places: list[Any] = []
    one.socket.cursor.subscribe(places.append)
    clock.advance(1.0)
    assert places == [None, 10, 20]


# --- another identity


OPAQUE: dict[str, Any] = {
    "a token": "another-one",
    "a Ticket": Ticket("ws://fake.test/"),
}


@pytest.mark.parametrize("name", OPAQUE)
@pytest.mark.parametrize("says", ["nothing", "me", "raises"])
def test_what_says_of_nobody_is_another_identity(
    clock: VirtualClock, caplog: Any, name: str, says: str
) -> None:
    """C14: an opaque token, and a Ticket without one, unless identity= says who it is."""
    values: list[Any] = []

    def identity(value: Any) -> Any:
        values.append(value)
        return "me" if says == "me" else value["user"]

    feed = Feed(numbered_fake(), identity=None if says == "nothing" else identity)
    clock.advance(1.0)
    places: list[Any] = []
    feed.socket.cursor.subscribe(places.append)
    feed.socket.set_auth(OPAQUE[name])
    clock.advance(1.0)
    assert (None in places) == (says != "me")
    if says == "me":
        assert values[-1] == ("another-one" if name == "a token" else "")
    failed = [event for event in feed.problems if isinstance(event, ObserverFailed)]
    assert len(failed) == (says == "raises")
    said = "observer identity= of auth raised TypeError: "
    assert any(said in record.getMessage() for record in caplog.records) == bool(failed)
    feed.end(clock)


def test_another_identity_begins_without_a_place(clock: VirtualClock) -> None:
    """C14: the place in somebody else's stream is not sent, nor is start=."""
    feed = Feed(numbered_fake(), cursor=cursor(seq, start=7), identity=lambda value: value[0])
    clock.advance(1.0)
    feed.socket.set_auth("abababab")  # a renewal
    clock.advance(1.0)
    newest = feed.socket.cursor.value
    places: list[Any] = []
    feed.socket.cursor.subscribe(places.append)
    feed.socket.set_auth("somebody else")
    clock.advance(1.0)
    assert places[:4] == [newest, None, 1, 2]
    assert feed.peer.asked[0] == 7 and feed.peer.asked[-1] is None
    assert newest is not None and feed.peer.asked[1] is not None
    feed.end(clock)
    feed.socket.set_auth("anybody")  # not running: it is kept for the start
    assert feed.socket.cursor.value is None


def test_whoever_logs_in_first_has_the_stored_place(clock: VirtualClock) -> None:
    """C14: logged out is nobody, from whom nothing is taken; who logs out leaves nothing."""
    feed = Feed(numbered_fake(), auth=None, cursor=cursor(seq, start=7))
    clock.advance(1.0)
    feed.socket.set_auth("abcdefgh")
    clock.advance(1.0)
    assert feed.peer.asked == [7]
    feed.socket.set_auth(None)
    clock.advance(1.0)
    assert feed.socket.cursor.value is None
    feed.end(clock)


# --- functions that raise


@pytest.mark.parametrize(
    ("function", "what"),
    [
        (lambda message: message.get("id", [])[0], "IndexError"),
        (lambda message: [message], "TypeError: cursor: a place can be hashed"),
        (lambda message: message == "x", "not bool"),
        (lambda message: float("nan"), "TypeError: cursor: a place can be hashed and compared"),
        (lambda message: print, "TypeError: cursor: a place is a sequence number"),
        (lambda message: exit_(), "SystemExit"),
    ],
)
def test_a_function_that_raises_is_told_once(
    clock: VirtualClock, scene: Make, function: Callable[[Any], Any], what: str
) -> None:
    """C23: once for each connection, and nothing is detached or lost; then it is asked again."""

    def place(message: Any) -> Any:
        return message["seq"] if "seq" in message else function(message)

    odd, even = '{"odd": 1}', '{"seq": 4}'
    one = scene(
        accept().send('{"seq": 3}', odd, odd, even).drop(),
        accept().send(odd, odd),
        codec=json(),
        cursor=place,
    )
    got: list[Any] = []
    one.socket.messages.subscribe(got.append)
    for _ in range(10):
        with suppress(SystemExit):  # it ends a loop of the user's own, when all have the message
            clock.advance(1.0)
    failed = [event for event in one.events if isinstance(event, ObserverFailed)]
    assert [event.stream for event in failed] == ["cursor", "cursor"]
    assert not any(event.detached for event in failed)
    assert what in f"{type(failed[0].error).__name__}: {failed[0].error}"
    assert "place" in failed[0].observer
    assert len(got) == 6 and one.socket.cursor.value == 4
    assert [event.cause for event in one.events if isinstance(event, Opened)] == [
        Cause.STARTED,
        Cause.LOST,
    ]


def test_a_carrier_that_cannot_carry_a_place(clock: VirtualClock) -> None:
    """A failed attempt, which says so without the place; the socket goes on trying."""

    def carries(value: Any, cursor: Any) -> Carried:
        return Carried(query={"after": cursor, "token": value})  # type: ignore[dict-item]

    peer = fake(accept().send("4711").drop())
    socket = Socket(
        peer.url,
        transport=peer,
        backoff=known(),
        auth="abcdefgh",
        carrier=lambda value, cursor: carries(value, cursor if cursor else "0"),
        cursor=int,
    )
    problems: list[Any] = []
    socket.errors.subscribe(problems.append)
    socket.messages.subscribe(lambda _: None)
    clock.advance(20.0)
    failed = [one for one in problems if isinstance(one, ConnectFailed)]
    assert failed and "cannot be carried: Carried(query['after']): pass a string" in str(
        failed[0].error
    )
    assert "4711" not in str(failed) + str(socket.explain())
    socket.close()
    clock.advance(3.0)


def test_a_long_place_does_not_show(clock: VirtualClock, scene: Make, caplog: Any) -> None:
    """It may be long, and is nobody's business: no repr, no log and no event has it."""
    caplog.set_level("DEBUG")
    secret = "place" * 2000
    one = scene(
        accept().send("a").drop(), auth="abcdefgh", carrier=resuming, cursor=lambda _: secret
    )
    clock.advance(5.0)
    shown = [
        repr(one.socket.cursor),
        repr(one.socket),
        str(one.socket.explain()),
        repr(history(one.socket)),
        one.socket._repr_html_(),
        repr(cursor(seq, start=secret)),
        *(record.getMessage() for record in caplog.records),
        *(repr(event) for event in one.events if not isinstance(event, (Message, Closed))),
    ]
    assert one.socket.cursor.value == secret
    assert not any("placeplace" in text for text in shown)


# --- bad arguments


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        (7, TypeError, r"^cursor\(function\): pass a function of a message"),
        (cursor, TypeError, r"^cursor: call it, cursor\(function, start=\.\.\.\)"),
        (lambda: 1, TypeError, r"^cursor\(function\): pass a function of a message.*takes \(\)"),
    ],
)
def test_bad_arguments(given: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        Socket("ws://host/", cursor=given)


def test_bad_arguments_of_the_helper() -> None:
    async def asynchronous(message: Any) -> int:
        return 1

    with pytest.raises(TypeError, match=r"^cursor\(function\): pass a plain function"):
        cursor(asynchronous)
    for start in (True, [1], {}, float("nan")):
        with pytest.raises(TypeError, match=r"^cursor\(start\): a place"):
            cursor(seq, start=start)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^cursor\(gaps\): pass True or False, not int"):
        cursor(seq, gaps=1)  # type: ignore[arg-type]


def exit_() -> Any:
    raise SystemExit(3)
