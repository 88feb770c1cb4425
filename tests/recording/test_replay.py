"""``replay()``: what was recorded happens again."""

from __future__ import annotations

import asyncio
import gzip
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from deadlines import within
from reactivex import operators as ops
from reactivex.subject import BehaviorSubject
from reactivex.testing import TestScheduler

from rxsocket import (
    AwaitingAuth,
    Cause,
    Closed,
    ConnectFailed,
    Connecting,
    Credential,
    Ended,
    Event,
    Gated,
    Message,
    Opened,
    Rejected,
    Socket,
    SocketFailed,
    State,
    Ticket,
    Verdict,
    Waiting,
    endpoint,
)
from rxsocket.recording import BadRecording, Recorder, record, replay
from rxsocket.testing import Grammar, VirtualClock, accept, clock, fake, reject, server, unreachable
from rxsocket.testing.fake import Fake


class RecordedSocket:
    """A socket with a fake peer, recorded from its first event on."""

    def __init__(self, clock: VirtualClock, path: Path, feed: Fake, **options: Any) -> None:
        self.clock = clock
        self.feed = feed
        self.socket = Socket(feed.url, transport=feed, **options)
        self.recorder: Recorder = record(self.socket, path)
        self.events: list[Event] = []
        self.auth: list[Credential] = []
        self.socket.auth.subscribe(self.auth.append)
        self.socket.events.subscribe(self.events.append, lambda _: None)
        clock.advance(0.001)

    def end(self) -> None:
        self.socket.close()
        self.clock.advance(3)
        self.recorder.wait(10)


def eventful(clock: VirtualClock, path: Path) -> RecordedSocket:
    """Drops, changes of the credential, refusals, failures, a reconnect, a logout."""
    feed = fake(tokens={"token-a", "token-b"})
    session = RecordedSocket(clock, path, feed, auth={"token": "token-a"})
    socket = session.socket

    def messages(name: str) -> None:
        for number in range(5):
            feed.push(f"{name} {number}", f"{name} {number}".encode())
            clock.advance(0.25)

    messages("one")
    socket.set_auth({"token": "token-b"})
    clock.advance(1)
    messages("two")
    feed.drop()
    clock.advance(10)
    messages("three")
    feed.script(reject(503), unreachable())
    feed.close(1012, "restart")
    clock.advance(60)
    messages("four")
    socket.set_auth({"token": "wrong"})
    clock.advance(20)
    socket.set_auth({"token": "token-a"})
    clock.advance(5)
    socket.set_auth({"token": "wrong"})  # not tried again
    clock.advance(5)
    socket.reconnect()  # but for this
    clock.advance(5)
    socket.set_auth({"token": "token-b"})
    clock.advance(5)
    messages("five")
    socket.set_auth(None)
    clock.advance(30)
    socket.set_auth({"token": "token-a"})
    clock.advance(5)
    messages("six")
    session.end()
    return session


@pytest.mark.parametrize("count", [10_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_many_messages_at_max_through_a_test_scheduler(tmp_path: Path, count: int) -> None:
    """With drops and changes of the credential: the event list equals the original."""
    path = tmp_path / "s.jsonl.gz"
    tokens = [f"token-{number}" for number in range(20)]
    with clock() as virtual:
        session = RecordedSocket(virtual, path, fake(tokens=set(tokens)), auth={"token": tokens[0]})
        for number, token in enumerate(tokens):
            for batch in range(count // 20 // 100):
                session.feed.push(*(f"{number}.{batch}.{i}" for i in range(100)))
                virtual.advance(0.01)
            if number % 2:
                session.feed.drop()
            else:
                session.socket.set_auth({"token": token})
            virtual.advance(50)
        session.end()
    assert sum(isinstance(event, Message) for event in session.events) == count
    assert session.recorder.lost == 0
    scheduler = TestScheduler()
    replayed: list[Event] = []
    ended: list[str] = []
    replay(path, "max", scheduler).events.subscribe(
        replayed.append, on_completed=lambda: ended.append("completed")
    )
    scheduler.start()
    assert replayed == session.events
    assert ended == ["completed"]
    assert [event.at for event in replayed] == [event.at for event in session.events]
    with gzip.open(path) as file:
        text = file.read()
    assert not any(token.encode() in text for token in tokens)


def test_where_it_connected_is_recorded(clock: VirtualClock, tmp_path: Path) -> None:
    """C33: addresses that move, and tickets; nothing that they hold is in the file (C28)."""
    source = BehaviorSubject("ws://a.test/?k=s3cret-one")
    feed = fake()
    socket = Socket(endpoint(source, subdomains=True), auth={"token": "t"}, transport=feed)
    path = tmp_path / "s.jsonl"
    recorder = record(socket, path)
    events: list[Event] = []
    socket.events.subscribe(events.append)
    clock.advance(5)
    source.on_next("ws://b.a.test/?k=s3cret-two")
    clock.advance(5)
    socket.set_auth(Ticket("ws://c.a.test/?k=s3cret-three", auth={"token": "u"}))
    clock.advance(5)
    feed.push("s3cret-one, s3cret-two and s3cret-three")
    clock.advance(1)
    socket.close()
    clock.advance(3)
    recorder.wait(10)
    assert [handshake.host for handshake in feed.handshakes] == ["a.test", "b.a.test", "c.a.test"]
    assert "s3cret" not in path.read_text("ascii")
    again: list[Event] = []
    scheduler = TestScheduler()
    replay(path, "max", scheduler).events.subscribe(again.append)
    scheduler.start()
    assert [event for event in again if not isinstance(event, Message)] == [
        event for event in events if not isinstance(event, Message)
    ]
    opened = [event for event in again if isinstance(event, Opened)]
    assert [(event.moved, event.url[:9]) for event in opened] == [
        (False, "ws://a.te"),
        (True, "ws://b.a."),
        (True, "ws://c.a."),
    ]
    mine = Socket(feed.url, transport=replay(path, "max"))
    received: list[Any] = []
    mine.messages.subscribe(received.append)
    clock.advance(60)
    assert received == ["***, *** and ***"]


@pytest.mark.parametrize("speed", [1.0, 3, "max"])
def test_a_socket_to_which_it_happens_again(
    clock: VirtualClock, tmp_path: Path, speed: Any
) -> None:
    """Every stream of it tells the same as the original's, waits of the backoff included."""
    session = eventful(clock, tmp_path / "s.jsonl")
    socket = replay(tmp_path / "s.jsonl", speed).socket()
    seen: dict[str, list[Any]] = {}
    for name in ("events", "messages", "opens", "closes", "errors", "auth", "state"):
        values = seen[name] = []
        getattr(socket, name).subscribe(values.append, lambda _: None)
    sessions: list[Any] = []
    socket.sessions.pipe(ops.flat_map(lambda s: s.pipe(ops.to_list()))).subscribe(sessions.append)
    clock.advance(500)
    assert seen["events"] == session.events
    of = {kind: [e for e in session.events if isinstance(e, kind)] for kind in (Message, Opened)}
    payloads = [message.data for message in of[Message]]
    assert seen["messages"] == payloads
    assert [data for one in sessions for data in one] == payloads
    assert seen["opens"] == of[Opened]
    assert [repr(value) for value in seen["auth"]] == [repr(value) for value in session.auth]
    equal = [[a == b for b in session.auth] for a in session.auth]
    assert [[a == b for b in seen["auth"]] for a in seen["auth"]] == equal
    assert seen["state"][-1] is State.CLOSED and State.AWAITING_AUTH in seen["state"]
    grammar = Grammar()
    for event in seen["events"]:
        grammar.check(event)
    grammar.done()


def test_at_its_own_pace(clock: VirtualClock, tmp_path: Path) -> None:
    """Speed 1.0 takes as long as it took, speed 10 a tenth of that; ``scheduler=`` is obeyed."""
    session = eventful(clock, tmp_path / "s.jsonl")
    took = session.events[-1].at - session.events[0].at
    start = clock.time()
    for speed, scheduler in ((1.0, None), (10, None), (10, clock.scheduler)):
        at: list[float] = []
        recording = replay(tmp_path / "s.jsonl", speed, scheduler)
        recording.events.subscribe(lambda _, at=at: at.append(clock.time()))
        start = clock.time()
        clock.advance(took * 2)
        assert len(at) == len(session.events)
        assert at[-1] - start == pytest.approx(took / speed, abs=1e-3)


def test_a_socket_of_ones_own_is_served(clock: VirtualClock, tmp_path: Path) -> None:
    """As a transport it opens, sends, closes and refuses as it did then, epoch for epoch.

    With ``auth=recording.auth`` the credential changes as it did; the waits are the socket's own.
    """
    session = eventful(clock, tmp_path / "s.jsonl")
    recording = replay(tmp_path / "s.jsonl")
    socket = Socket(recording.url, transport=recording, auth=recording.auth)
    events: list[Event] = []
    socket.events.subscribe(events.append)
    clock.advance(600)

    def story(events: list[Event]) -> list[Any]:
        told: list[Any] = []
        for event in events:
            theirs = isinstance(event, Closed) and event.cause in (Cause.PEER, Cause.LOST)
            if theirs or isinstance(event, (Message, Rejected, ConnectFailed)):
                told.append(event)
            elif isinstance(event, (Opened, Closed)):
                told.append((type(event).__name__, event.epoch))
        return told

    expected = story(session.events)
    last = expected.pop()
    assert last == ("Closed", 11)  # close() then; now the peer, for the recording is over
    told = story(events)
    over = told.pop()
    assert (over.code, over.reason) == (1000, "the recording is over")
    left = [i for i, (a, b) in enumerate(zip(expected, told, strict=True)) if a != b]
    assert all(told[i].reason == "recorded: reconnect() was called" for i in left)
    assert isinstance(events[-1], Ended) and events[-1].verdict is Verdict.COMPLETE


def test_what_was_told_and_gated_happens_again(clock: VirtualClock, tmp_path: Path) -> None:
    """C34, C35: with its reason, and with the state of its own."""
    gate = BehaviorSubject(True)
    session = RecordedSocket(clock, tmp_path / "s.jsonl", fake(), gate=gate)
    clock.advance(10)
    session.socket.renew(why="GoAway")
    clock.advance(10)
    gate.on_next(False)
    clock.advance(10)
    gate.on_next(True)
    clock.advance(10)
    session.end()
    socket = replay(tmp_path / "s.jsonl").socket()
    events: list[Event] = []
    states: list[State] = []
    socket.state.subscribe(states.append)
    socket.events.subscribe(events.append)
    clock.advance(60)
    assert events == session.events
    assert Gated(reason="the gate is closed") in events and State.GATED in states
    assert [event.reason for event in events if isinstance(event, Connecting)] == ["", "GoAway", ""]


def test_served_in_real_time(tmp_path: Path) -> None:
    """A recording of a real connection is served to a plain script, without a loop of its own."""
    path = tmp_path / "s.jsonl"
    with server(accept().send("a", b"b").close(1012), accept().send("c").close()) as feed:
        socket = Socket(feed.url)
        with record(socket, path) as recorder:
            original: list[Event] = []
            socket.events.subscribe(original.append)
            assert socket.wait(20)
            assert recorder.wait(5)
    assert replay(path, "max").events.pipe(ops.to_list()).run() == original
    for again in (
        Socket("ws://elsewhere.test/", transport=replay(path, "max")),
        replay(path, speed=20).socket(),
    ):
        received: list[Any] = []
        again.messages.subscribe(received.append)
        assert again.wait(20)
        assert received == ["a", b"b", "c"]
        again.close().result(5)


def test_what_is_done_to_it_meanwhile(clock: VirtualClock, tmp_path: Path) -> None:
    """Sending, a new credential, leaving, coming back and closing keep to the grammar (C2)."""
    session = eventful(clock, tmp_path / "s.jsonl")
    socket = replay(tmp_path / "s.jsonl").socket()
    events: list[Event] = []
    first = socket.events.subscribe(events.append)
    clock.advance(1)
    receipt = socket.send("hello")
    clock.advance(0)
    assert receipt.done and receipt.result().epoch == 1
    first.dispose()
    clock.advance(1)
    assert socket.state.value is State.IDLE
    assert socket.closes is not None
    second = socket.events.subscribe(events.append)
    clock.advance(1)
    assert [e.epoch for e in events if isinstance(e, Opened)] == [1, 2]
    socket.close()
    clock.advance(1)
    assert isinstance(events[-1], Ended) and events[-1].cause is Cause.CLOSE
    second.dispose()
    assert session.events


def test_leaving_a_served_connection_early(clock: VirtualClock, tmp_path: Path) -> None:
    """The rest of a connection that the socket left is skipped; the next dial gets the next."""
    eventful(clock, tmp_path / "s.jsonl")
    socket = Socket("ws://x.test/", transport=replay(tmp_path / "s.jsonl"))
    received: list[Any] = []
    socket.messages.subscribe(received.append)
    clock.advance(0.1)
    socket.reconnect()
    clock.advance(2)
    assert received[:2] == ["one 0", b"one 0"]
    assert received[2] == "two 0"
    socket.close()
    clock.advance(1)


def test_a_refusal_is_served_as_one(clock: VirtualClock, tmp_path: Path) -> None:
    """The socket's own policy meets it: the value is not tried again (C9)."""
    feed = fake(tokens={"good-one"})
    session = RecordedSocket(clock, tmp_path / "s.jsonl", feed, auth="bad-one")
    clock.advance(10)
    session.socket.set_auth("good-one")
    clock.advance(1)
    feed.push("in")
    clock.advance(1)
    session.end()
    socket = Socket("ws://x.test/", auth="mine", transport=replay(tmp_path / "s.jsonl"))
    received: list[Any] = []
    socket.messages.subscribe(received.append)
    clock.advance(100)
    assert socket.state.value is State.AWAITING_AUTH
    socket.set_auth("another of mine")
    clock.advance(100)
    assert received == ["in"] and socket.state.value is State.CLOSED


def test_a_failure_is_told_as_one(clock: VirtualClock, tmp_path: Path) -> None:
    """A socket that failed then fails again, with the same words (C3)."""
    session = RecordedSocket(clock, tmp_path / "s.jsonl", fake(reject(410)))
    clock.advance(1)
    session.recorder.wait(5)
    for socket in (
        replay(tmp_path / "s.jsonl").socket(),
        Socket(session.socket.url, transport=replay(tmp_path / "s.jsonl")),
    ):
        failures: list[Exception] = []
        socket.messages.subscribe(on_error=failures.append)
        clock.advance(5)
        assert [type(error_to_json) for error_to_json in failures] == [SocketFailed]
        assert "HTTP 410" in str(failures[0])
    assert isinstance(session.events[-1], Ended)


def test_a_recording_that_began_and_ended_in_the_middle(
    clock: VirtualClock, tmp_path: Path
) -> None:
    """What is missing of the first and the last connection is made up, so that it is whole."""
    feed = fake()
    socket = Socket(feed.url, transport=feed)
    held = socket.connect()
    clock.advance(1)
    with record(socket, tmp_path / "s.jsonl"):
        feed.push("middle")
        clock.advance(1)
    held.dispose()
    clock.advance(1)
    story = replay(tmp_path / "s.jsonl").socket()
    events: list[Event] = []
    story.events.subscribe(events.append)
    clock.advance(10)
    names = [type(event).__name__ for event in events]
    assert names == ["Connecting", "Opened", "Message", "Closed", "Ended"]
    assert events[-1] == Ended(verdict=Verdict.COMPLETE, cause=Cause.RECORDING_OVER)
    served = Socket("ws://x.test/", transport=replay(tmp_path / "s.jsonl"))
    received: list[Any] = []
    served.messages.subscribe(received.append)
    clock.advance(10)
    assert received == ["middle"] and served.state.value is State.CLOSED


def test_in_a_coroutine(tmp_path: Path) -> None:
    """On a running loop, a long replay at ``max`` lets others have their turn."""
    path = tmp_path / "s.jsonl"
    with clock() as virtual:
        session = RecordedSocket(virtual, path, fake())
        session.feed.push(*map(str, range(5000)))
        virtual.advance(1)
        session.end()

    async def main() -> int:
        turns = 0
        replayed = asyncio.ensure_future(replay(path, "max").events.pipe(ops.to_list()))
        while not replayed.done():
            await asyncio.sleep(0)
            turns += 1
        assert await replayed == session.events
        return turns

    assert asyncio.run(main()) > 5000 / 256


# --- bad files


@pytest.fixture
def whole(clock: VirtualClock, tmp_path: Path) -> list[str]:
    eventful(clock, tmp_path / "s.jsonl")
    return (tmp_path / "s.jsonl").read_text().splitlines(keepends=True)


DAMAGES = {
    "cut in a line": (lambda lines: [*lines[:9], lines[9][:20]], 10, "cut or damaged"),
    "cut between lines": (lambda lines: lines[:10], 10, "ends without its last line"),
    "no JSON": (lambda lines: [*lines[:9], "{]\n", *lines[10:]], 10, "not a JSON object"),
    "no object": (lambda lines: [*lines[:9], "[1]\n", *lines[10:]], 10, "not a JSON object"),
    "no type": (lambda lines: [*lines[:9], "{}\n", *lines[10:]], 10, "type is missing"),
    "another type": (
        lambda lines: [*lines[:9], '{"type": "Rumour", "at": 0}\n', *lines[10:]],
        10,
        "type is missing or unknown",
    ),
    "a field missing": (
        lambda lines: [*lines[:9], '{"type": "Message", "at": 0, "epoch": 1}\n', *lines[10:]],
        10,
        "not a whole Message",
    ),
    "a wrong value": (
        lambda lines: [*lines[:2], lines[2].replace("STARTED", "BORED"), *lines[3:]],
        3,
        "not a whole Connecting",
    ),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file(
    whole: list[str], clock: VirtualClock, tmp_path: Path, damage: str, packed: bool
) -> None:
    """The error names the line; ``partial=True`` plays what is whole before it."""
    change, line, why = DAMAGES[damage]
    path = tmp_path / ("bad.jsonl.gz" if packed else "bad.jsonl")
    data = "".join(change(whole)).encode()
    path.write_bytes(gzip.compress(data) if packed else data)
    with pytest.raises(BadRecording, match=rf"bad\.jsonl.*, line {line}: .*{why}") as caught:
        replay(path)
    assert caught.value.line == line and caught.value.path == path
    events: list[Event] = []
    replay(path, "max", partial=True).events.subscribe(events.append)
    clock.advance(0)
    before = whole[: line if damage == "cut between lines" else line - 1]
    assert len(events) == sum("AuthSeen" not in text for text in before) - 1


def test_a_damaged_archive(whole: list[str], clock: VirtualClock, tmp_path: Path) -> None:
    """Of a cut or damaged gzip file, what can be unpacked is played."""
    noise = random.Random(3)
    lines = [
        *whole[:4],
        *(
            f'{{"type": "Message", "at": 0.0, "epoch": 1, "text": "{noise.randbytes(50).hex()}"}}\n'
            for _ in range(3000)
        ),
        whole[-1],
    ]
    data = bytearray(gzip.compress("".join(lines).encode()))
    path = tmp_path / "bad.jsonl.gz"
    damaged = bytearray(data)
    damaged[len(data) // 2 : len(data) // 2 + 64] = bytes(64)
    for bad in (data[: len(data) // 2], damaged):
        path.write_bytes(bad)
        with pytest.raises(BadRecording, match=r"line \d+"):
            replay(path)
        events: list[Event] = []
        replay(path, "max", partial=True).events.subscribe(events.append)
        clock.advance(0)
        assert 100 < len(events) < 3000


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "line 1: the file is empty"),
        ("hello\n", "line 1: no header of a recording"),
        ('{"type": "End", "at": 0}\n', "line 1: no header of a recording"),
        (
            '{"type": "Header", "at": 0, "id": "x", "part": 1, "url": "ws://x/", "version": 2, '
            '"format": "rxsocket recording"}\n',
            "line 1: version 2 of the format",
        ),
    ],
)
def test_no_recording(text: str, why: str, tmp_path: Path) -> None:
    """What is none is told, also with ``partial=True``."""
    path = tmp_path / "s.jsonl"
    path.write_text(text)
    for partial in (False, True):
        with pytest.raises(BadRecording, match=why):
            replay(path, partial=partial)


@pytest.mark.parametrize("speed", [0, -1, float("nan"), float("inf"), "fast", None, True])
def test_wrong_speeds(speed: Any, tmp_path: Path) -> None:
    """A speed is a number that is more than 0, or ``"max"``."""
    with pytest.raises((TypeError, ValueError), match="speed: pass a number"):
        replay(tmp_path / "s.jsonl", speed)


def test_a_missing_file(tmp_path: Path) -> None:
    """The system's own error."""
    with pytest.raises(FileNotFoundError):
        replay(tmp_path / "nothing.jsonl")


def test_errors_of_unknown_classes_keep_their_name_and_text() -> None:
    """Nothing is imported to make an exception again; it compares equal all the same."""
    from rxsocket.recording.format import error_from_json, error_to_json

    class VendorError(Exception):
        def __init__(self, code: int, extra: object) -> None:
            super().__init__(f"vendor code {code}")

    for error in (
        VendorError(7, object()),
        OSError(111, "Connection refused"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        KeyError("x"),
        TimeoutError(),
    ):
        again = error_from_json(error_to_json(error))
        assert (type(again).__name__, str(again)) == (type(error).__name__, str(error))
        before = ConnectFailed(epoch=1, error=error, verdict=Verdict.RECONNECT)
        assert replace(before, error=again) == before
        assert hash(replace(before, error=again)) == hash(before)
    assert isinstance(error_from_json(error_to_json(OSError(111, "no"))), ConnectionRefusedError)


def test_waits_and_reasons_are_the_recorded_ones(clock: VirtualClock, tmp_path: Path) -> None:
    """Delays that chance drew are the same each time."""
    session = eventful(clock, tmp_path / "s.jsonl")
    runs = []
    for _ in range(2):
        events: list[Event] = []
        replay(tmp_path / "s.jsonl", "max").socket().events.subscribe(events.append)
        clock.advance(0)
        runs.append([e for e in events if isinstance(e, (Waiting, AwaitingAuth, Connecting))])
    assert runs[0] == runs[1]
    assert runs[0] == [
        e for e in session.events if isinstance(e, (Waiting, AwaitingAuth, Connecting))
    ]


def test_replay_is_quick(tmp_path: Path) -> None:
    """At ``max`` nothing waits in real time."""
    path = tmp_path / "s.jsonl"
    with clock() as virtual:
        eventful(virtual, path)
    with within(2):
        assert replay(path, "max").events.pipe(ops.count()).run() > 50
