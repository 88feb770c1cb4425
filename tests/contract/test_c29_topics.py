"""Topics: listeners and emitters, each message decoded once (C29, C1, C3, C20, C23)."""

from __future__ import annotations

import gc
import json
import logging
import tracemalloc
from dataclasses import dataclass
from enum import Enum
from typing import Any

import msgspec
import pytest
import reactivex
from internals import JsonEnvelope, Pattern
from reactivex import operators as ops
from scene import A, Make, Scene

from rxsocket import (
    Listener,
    ObserverFailed,
    Sent,
    Socket,
    SocketFailed,
    State,
    TopicFailed,
    Undecodable,
)
from rxsocket.testing import VirtualClock, accept


class ChatMessage(msgspec.Struct):
    text: str


@dataclass
class Point:
    x: int
    y: int


def enveloped(topic: str, data: Any) -> str:
    return json.dumps({"topic": topic, "data": data})


def push(it: Scene, clock: VirtualClock, *messages: tuple[str, Any]) -> None:
    """Let the peer send messages of topics."""
    it.peer.push(*(enveloped(topic, data) for topic, data in messages))
    clock.advance(0)


# --- listeners


def test_a_listener_hears_its_topic_alone(clock: VirtualClock, scene: Make) -> None:
    """C1: subscribing connects; payloads come as values of the type, and of no other topic."""
    it = scene(watch=False, auth=A)
    heard: list[Any] = []
    it.socket.listener("chat/1", type=ChatMessage).subscribe(heard.append)
    clock.advance(1.0)
    push(it, clock, ("chat/1", {"text": "a"}), ("chat/2", {"text": "b"}), ("news", 1))
    it.peer.push("no envelope", b"\xff", "[1]", "null")
    clock.advance(0)
    assert heard == [ChatMessage("a")]


@pytest.mark.parametrize(
    ("type", "data", "value"),
    [
        (Point, {"x": 1, "y": 2}, Point(1, 2)),
        (list[int], [1, 2], [1, 2]),
        (str, "a", "a"),
        (Any, {"x": [1]}, {"x": [1]}),
    ],
)
def test_a_payload_becomes_a_value_of_the_type(
    clock: VirtualClock, scene: Make, type: Any, data: Any, value: Any
) -> None:
    """Dataclasses, generics and plain types; without a type, what JSON says."""
    it = scene(watch=False, auth=A)
    heard: list[Any] = []
    it.socket.listener("t", type=type).subscribe(heard.append)
    clock.advance(1.0)
    push(it, clock, ("t", data))
    assert heard == [value]


def test_parameters_are_bound(clock: VirtualClock, scene: Make) -> None:
    """``with_params`` binds; unbound, every topic that fits is heard."""
    it = scene(watch=False, auth=A)
    chat = it.socket.listener("chat/:room")
    one: list[Any] = []
    every: list[Any] = []
    chat.with_params(room=1).subscribe(one.append)
    chat.subscribe(every.append)
    clock.advance(1.0)
    push(it, clock, ("chat/1", "a"), ("chat/2", "b"), ("chat", "c"), ("chat/1/x", "d"))
    assert (one, every) == (["a"], ["a", "b"])


def test_a_listener_outlives_reconnects(clock: VirtualClock, scene: Make) -> None:
    """C3: the same subscription hears the next connection."""
    it = scene(watch=False, auth=A)
    heard: list[Any] = []
    it.socket.listener("t").subscribe(heard.append)
    clock.advance(1.0)
    push(it, clock, ("t", 1))
    it.peer.drop()
    clock.advance(5.0)
    push(it, clock, ("t", 2))
    assert heard == [1, 2]


def test_a_first_message_waits_for_a_listener(clock: VirtualClock, scene: Make) -> None:
    """C4: a welcome that came before anybody listened is heard by the first who does."""
    it = scene(accept().send(enveloped("welcome", 1)).stay(), watch=False, auth=A)
    it.socket.connect()
    clock.advance(1.0)
    heard: list[Any] = []
    it.socket.listener("welcome").subscribe(heard.append)
    clock.advance(0)
    assert heard == [1]


def test_the_last_listener_that_leaves_lets_the_socket_go(clock: VirtualClock, scene: Make) -> None:
    """C1: listeners hold the connection as every subscriber does."""
    it = scene(watch=False, auth=A)
    first = it.socket.listener("a").subscribe()
    second = it.socket.listener("b").subscribe()
    clock.advance(1.0)
    first.dispose()
    clock.advance(1.0)
    assert it.socket.state.value is State.OPEN
    second.dispose()
    clock.advance(1.0)
    assert it.socket.state.value is State.IDLE


def test_what_does_not_decode_is_a_problem_of_its_topic(clock: VirtualClock, scene: Make) -> None:
    """One event with the topic; the messages around it, and other listeners, lose nothing."""
    it = scene(watch=False, auth=A)
    typed: list[Any] = []
    plain: list[Any] = []
    problems: list[Any] = []
    it.socket.errors.subscribe(problems.append)
    it.socket.listener("chat", type=ChatMessage).subscribe(typed.append)
    it.socket.listener("chat").subscribe(plain.append)
    clock.advance(1.0)
    push(it, clock, ("chat", {"text": "a"}), ("chat", {"text": 7}), ("chat", {"text": "c"}))
    assert typed == [ChatMessage("a"), ChatMessage("c")]
    assert plain == [{"text": "a"}, {"text": 7}, {"text": "c"}]
    [problem] = problems
    assert isinstance(problem, TopicFailed) and problem.topic == "chat"
    assert isinstance(problem.error, Undecodable)
    assert str(problem.error) == "Expected `str`, got `int` - at `$.text`"


class Kind(Enum):
    """What a payload may be."""

    A = "a"


def test_nothing_of_a_payload_that_does_not_decode_is_shown(
    clock: VirtualClock, scene: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """C28: a decoder that quotes the payload is told by its name, without a traceback."""
    caplog.set_level(logging.DEBUG)
    it = scene(auth=A)
    for pattern in ("t", ":any"):
        it.socket.listener(pattern, type=Kind).subscribe(lambda _: None)
    clock.advance(1.0)
    it.peer.push('{"topic": "t", "data": "canary"}')
    clock.advance(0)
    problems = [event for event in it.events if isinstance(event, TopicFailed)]
    assert [str(problem.error) for problem in problems] == ["ValidationError"] * 2
    assert all(problem.error.__traceback__ is None for problem in problems)
    shown = repr(problems) + caplog.text + str(it.socket.explain())
    assert "topic 't'" in shown and "canary" not in shown


def test_a_listener_that_raises_harms_nobody(clock: VirtualClock, scene: Make) -> None:
    """C23: it alone is detached."""
    it = scene(watch=False, auth=A)
    heard: list[Any] = []
    problems: list[Any] = []
    it.socket.errors.subscribe(problems.append)
    it.socket.listener("t").subscribe(lambda value: 1 // value)
    it.socket.listener("t").subscribe(heard.append)
    clock.advance(1.0)
    push(it, clock, ("t", 0), ("t", 0))
    assert heard == [0, 0]
    assert [type(problem) for problem in problems] == [ObserverFailed]


def test_listeners_end_with_the_socket(clock: VirtualClock, scene: Make) -> None:
    """C3: they complete on ``close()``, fail on FAIL, and start afresh when subscribed again."""
    it = scene(accept(), accept().wait(1.0).close(1009), accept(), watch=False, auth=A)
    listener = it.socket.listener("t")
    ends: list[Any] = []

    def listen() -> None:
        listener.subscribe(lambda value: ends.append(value), ends.append, lambda: ends.append("|"))

    listen()
    clock.advance(1.0)
    it.socket.close()
    clock.advance(2.0)
    assert ends == ["|"]
    listen()
    clock.advance(3.0)
    assert isinstance(ends[1], SocketFailed)
    listen()
    clock.advance(2.0)
    push(it, clock, ("t", 3))
    assert ends[2:] == [3]


def test_an_async_listener_is_refused(scene: Make) -> None:
    """C23: it would never be awaited."""

    async def later(value: Any) -> None: ...

    with pytest.raises(TypeError, match=r"^listener t\.subscribe: an async function"):
        scene(watch=False).socket.listener("t").subscribe(later)


# --- the cost


class Counting(JsonEnvelope):
    """Counts the messages that it looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def unwrap(self, message: Any) -> tuple[Any, Any] | None:
        self.count += 1
        return super().unwrap(message)


class Topic(str):
    """Counts comparisons and look-ups of topics."""

    hashed = 0
    __slots__ = ()

    def __hash__(self) -> int:
        Topic.hashed += 1
        return super().__hash__()

    __eq__ = str.__eq__


class Hashed(Counting):
    """Gives topics that count how often they are looked up."""

    def unwrap(self, message: Any) -> tuple[Any, Any] | None:
        unwrapped = super().unwrap(message)
        return None if unwrapped is None else (Topic(unwrapped[0]), unwrapped[1])


@pytest.mark.parametrize("topics", [1, 10, 1000])
def test_a_message_costs_one_look_up(
    clock: VirtualClock, scene: Make, topics: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the number of topics and listeners: one decode of the envelope, one look-up."""
    envelope = Hashed()
    it = scene(watch=False, auth=A, envelope=envelope)
    heard: list[Any] = []
    for number in range(topics):
        for _ in range(2):
            it.socket.listener(f"t/{number}").subscribe(heard.append)
    matched: list[str] = []
    matches = Pattern.matches
    monkeypatch.setattr(
        Pattern,
        "matches",
        lambda pattern, topic: matched.append(topic) or matches(pattern, topic),
    )
    clock.advance(1.0)
    Topic.hashed = 0
    push(it, clock, *[("t/0", number) for number in range(100)])
    assert heard == [number for number in range(100) for _ in range(2)]
    assert (envelope.count, Topic.hashed, matched) == (100, 100, [])


def test_a_pattern_is_asked_once_for_each_topic(
    clock: VirtualClock, scene: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unbound pattern costs a comparison at the first message of a topic, and none later."""
    it = scene(watch=False, auth=A)
    heard: list[Any] = []
    it.socket.listener("chat/:room").subscribe(heard.append)
    matched: list[str] = []
    matches = Pattern.matches
    monkeypatch.setattr(
        Pattern,
        "matches",
        lambda pattern, topic: matched.append(topic) or matches(pattern, topic),
    )
    clock.advance(1.0)
    push(it, clock, *[(f"chat/{number % 2}", number) for number in range(10)], ("news", 1))
    assert heard == list(range(10))
    assert matched == ["chat/0", "chat/1", "news"]


def test_nothing_is_unwrapped_without_listeners(clock: VirtualClock, scene: Make) -> None:
    """Messages are looked at only while somebody listens to a topic."""
    envelope = Counting()
    it = scene(watch=False, auth=A, envelope=envelope)
    it.socket.messages.subscribe()
    clock.advance(1.0)
    push(it, clock, ("t", 1))
    assert envelope.count == 0
    listening = it.socket.listener("t").subscribe()
    push(it, clock, ("t", 1))
    listening.dispose()
    push(it, clock, ("t", 1))
    assert envelope.count == 1


def test_what_is_kept_of_topics_is_bounded(clock: VirtualClock, scene: Make) -> None:
    """A server that names ever new topics, long ones too, does not fill the memory."""
    it = scene(watch=False, auth=A)
    heard: list[Any] = []
    it.socket.listener("chat/:room").subscribe(heard.append)
    clock.advance(1.0)
    tracemalloc.start()
    try:
        for number in range(200):
            push(it, clock, (f"{number}" + "x" * 100_000, number))
        gc.collect()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 8_000_000  # of 20,000,000 that came
    push(it, clock, *[(f"chat/{number}", number) for number in range(3)])
    assert heard == [0, 1, 2]


@pytest.mark.parametrize("topic", [[1], {"a": 1}, 7, None])
def test_a_topic_that_is_no_string_is_reported_once(
    clock: VirtualClock, scene: Make, topic: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Once for each connection; nobody was detached, and the topics that are some are heard."""
    it = scene(watch=False, auth=A)
    heard: list[Any] = []
    problems: list[Any] = []
    it.socket.errors.subscribe(problems.append)
    it.socket.listener("t").subscribe(heard.append)
    clock.advance(1.0)
    push(it, clock, *[(topic, number) for number in range(50)], ("t", 1))
    [problem] = problems
    assert isinstance(problem, TopicFailed) and problem.topic == repr(topic)
    assert f"a topic is a string, not {type(topic).__name__}" in str(problem.error)
    assert caplog.text.count("a topic is a string") == 1 and "raised" not in caplog.text
    it.peer.drop()
    clock.advance(5.0)
    push(it, clock, (topic, 2), ("t", 2), (topic, 3))
    assert heard == [1, 2]
    assert sum(isinstance(problem, TopicFailed) for problem in problems) == 2


# --- envelopes


class Pair:
    """``["topic", data]``."""

    def wrap(self, topic: str, data: Any) -> str:
        return json.dumps([topic, data])

    def unwrap(self, message: Any) -> tuple[str, Any]:
        topic, data = json.loads(message)
        return topic, data


def test_the_envelope_is_replaceable(clock: VirtualClock, scene: Make) -> None:
    """Any object with both methods; what it cannot unwrap is reported, and nothing else lost."""
    it = scene(watch=False, auth=A, envelope=Pair())
    heard: list[Any] = []
    problems: list[Any] = []
    it.socket.errors.subscribe(problems.append)
    it.socket.listener("t", type=Point).subscribe(heard.append)
    it.socket.emitter("t").emit([1, 2])
    clock.advance(1.0)
    it.peer.push('["t", {"x": 1, "y": 2}]', "no pair", '["t", {"x": 3, "y": 4}]')
    clock.advance(0)
    assert heard == [Point(1, 2), Point(3, 4)]
    assert [(type(problem), problem.stream) for problem in problems] == [
        (ObserverFailed, "listeners")
    ]
    assert it.peer.received == [(1, '["t", [1, 2]]')]


@pytest.mark.parametrize("envelope", [object(), "json", JsonEnvelope])
def test_an_envelope_has_both_methods(envelope: Any) -> None:
    """Anything else fails at once and names the argument."""
    if envelope is JsonEnvelope:
        Socket("ws://host/", envelope=JsonEnvelope())
        return
    with pytest.raises(TypeError, match=r"^envelope: "):
        Socket("ws://host/", envelope=envelope)


# --- emitters


def test_an_emitter_sends_to_its_topic(clock: VirtualClock, scene: Make) -> None:
    """With parameters and mapper; the receipt is that of a send."""
    it = scene(auth=A)
    emitter = it.socket.emitter("chat/:room", lambda text: {"text": text})
    receipt = emitter.emit("hello", params={"room": 1})
    emitter.with_params(room=2).emit("hi")
    clock.advance(1.0)
    assert receipt.result() == Sent(1)
    assert [json.loads(message) for _, message in it.peer.received] == [
        {"topic": "chat/1", "data": {"text": "hello"}},
        {"topic": "chat/2", "data": {"text": "hi"}},
    ]


def test_an_emitter_is_an_observer(clock: VirtualClock, scene: Make) -> None:
    """A stream is piped into it; its end is not the socket's, and what fails is on errors."""
    it = scene(auth=A)
    problems: list[Any] = []
    it.socket.errors.subscribe(problems.append)
    emitter = it.socket.emitter("n", lambda number: 6 // number)
    reactivex.of(1, 0, 2).subscribe(emitter)
    clock.advance(1.0)
    assert [json.loads(message)["data"] for _, message in it.peer.received] == [6, 3]
    assert [type(problem.error) for problem in problems] == [ZeroDivisionError]
    assert it.socket.state.value is State.OPEN


def test_a_listener_and_an_emitter_of_a_struct(clock: VirtualClock, scene: Make) -> None:
    """What is emitted comes back as the same value from a server that echoes."""
    it = scene(accept().echo(), watch=False, auth=A)
    heard: list[Any] = []
    listener: Listener[ChatMessage] = it.socket.listener("chat/:room", type=ChatMessage)
    listener.with_params(room="a").pipe(ops.map(lambda m: m.text)).subscribe(heard.append)
    it.socket.emitter("chat/:room").emit(ChatMessage("x"), params={"room": "a"})
    clock.advance(1.0)
    assert heard == ["x"]


# --- names


@pytest.mark.parametrize("topic", ["", "a/:", "a/:1", "a/:b/:b", "a/:b-c"])
def test_a_name_that_cannot_be_one(scene: Make, topic: str) -> None:
    """It fails at once and names the argument."""
    socket = scene(watch=False).socket
    for make in (socket.listener, socket.emitter):
        with pytest.raises(ValueError, match=r"^topic: "):
            make(topic)


def test_arguments_are_checked(scene: Make) -> None:
    """Types, parameters and mappers fail where they come in."""
    socket = scene(watch=False).socket
    with pytest.raises(TypeError, match=r"^topic: pass a string"):
        socket.listener(7)
    with pytest.raises(TypeError):
        socket.listener("t", type=Pattern("a").bind)
    with pytest.raises(TypeError, match=r"^mapper: "):
        socket.emitter("t", 7)
    chat = socket.emitter("chat/:room")
    with pytest.raises(ValueError, match=r"needs a value for :room"):
        chat.emit(1)
    with pytest.raises(ValueError, match=r"there is no :rom"):
        chat.emit(1, params={"rom": 1})
    for value in ("", "a/b", ":x"):
        with pytest.raises(ValueError, match=r"cannot be the segment :room"):
            chat.with_params(room=value)
