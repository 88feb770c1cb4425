"""C22, C19: channels are reference counted, and asked for again before anything else is sent."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Hashable
from typing import Any

import pytest
from internals import carried_by, credential_of, outbox_of, request_of, subscriptions_of
from reactivex.abc import DisposableBase
from scene import A, Make, Scene

from rxsocket import (
    ObserverFailed,
    Opened,
    SocketFailed,
    State,
    SubscriptionRefused,
)
from rxsocket import json as json_codec
from rxsocket.testing import VirtualClock, accept, fake

SUB, UNSUB = '{"op":"sub","ch":"t"}', '{"op":"unsub","ch":"t"}'


def of(name: str) -> dict[str, Any]:
    """The arguments of a channel of that name."""
    return {
        "subscribe": {"op": "sub", "ch": name},
        "unsubscribe": {"op": "unsub", "ch": name},
        "match": lambda message: json.loads(message).get("ch") == name,
    }


def frames(it: Scene) -> list[tuple[int, Any]]:
    """What the peer received, and on which connection."""
    return [tuple(received) for received in it.peer.received]


def say(it: Scene, clock: VirtualClock, *messages: Any) -> None:
    """Let the peer send JSON."""
    it.peer.push(*map(json.dumps, messages))
    clock.advance(0)


def test_one_subscribe_for_all_and_one_unsubscribe(clock: VirtualClock, scene: Make) -> None:
    """Three subscribers, ten drops: 1 + 10 subscribe frames, and 1 unsubscribe."""
    it = scene(watch=False, auth=A)
    held = it.socket.connect()
    channel = it.socket.channel(**of("t"))
    heard: list[list[Any]] = [[], [], []]
    leaving = [channel.subscribe(each.append) for each in heard]
    clock.advance(1.0)
    for number in range(10):
        say(it, clock, {"ch": "t", "n": number}, {"ch": "other"})
        it.peer.drop()
        clock.advance(60.0)
    expected = [json.dumps({"ch": "t", "n": number}) for number in range(10)]
    assert heard == [expected] * 3
    assert frames(it) == [(epoch, SUB) for epoch in range(1, 12)]
    for one in leaving[:2]:
        one.dispose()
    clock.advance(1.0)
    assert len(frames(it)) == 11
    leaving[2].dispose()
    clock.advance(1.0)
    assert frames(it)[11:] == [(11, UNSUB)]
    held.dispose()


def test_the_last_subscriber_ends_both(clock: VirtualClock, scene: Make) -> None:
    """C1: the channel connects; when it is left, the unsubscribe goes out before the close."""
    it = scene(watch=False, auth=A)
    leaving = it.socket.channel(**of("t")).subscribe()
    clock.advance(1.0)
    leaving.dispose()
    clock.advance(1.0)
    assert frames(it) == [(1, SUB), (1, UNSUB)]
    assert it.socket.state.value is State.IDLE


def test_no_unsubscribe_where_nothing_was_subscribed(clock: VirtualClock, scene: Make) -> None:
    """Left while the link is down: the next connection hears nothing of it."""
    it = scene(auth=A)
    leaving = it.socket.channel(**of("t")).subscribe()
    clock.advance(1.0)
    it.peer.drop()
    clock.advance(0.1)
    leaving.dispose()
    clock.advance(60.0)
    assert it.names.count("Opened") == 2
    assert frames(it) == [(1, SUB)]


def test_equal_channels_share_one_subscription(clock: VirtualClock, scene: Make) -> None:
    """Made twice, asked for once: what counts is the message on the wire."""
    it = scene(auth=A)
    first, second = it.socket.channel(**of("t")), it.socket.channel(**of("t"))
    heard: list[Any] = []
    leaving = [first.subscribe(heard.append), second.subscribe(heard.append)]
    clock.advance(1.0)
    say(it, clock, {"ch": "t"})
    assert heard == ['{"ch": "t"}'] * 2
    leaving[0].dispose()
    clock.advance(1.0)
    assert frames(it) == [(1, SUB)]
    leaving[1].dispose()
    clock.advance(1.0)
    assert frames(it) == [(1, SUB), (1, UNSUB)]


def test_replayed_before_what_was_queued(clock: VirtualClock, scene: Make) -> None:
    """C19: subscriptions, then the queue, then ``Opened``, whose observers send last."""
    it = scene(watch=False, auth=A)
    it.socket.channel(**of("t")).subscribe()
    it.socket.on_open(lambda: it.socket.send("at open"))
    clock.advance(1.0)
    it.peer.drop()
    clock.advance(0.01)
    it.socket.send("queued")
    clock.advance(4.0)
    assert frames(it) == [(1, SUB), (1, "at open"), (2, SUB), (2, "queued"), (2, "at open")]


def test_a_function_makes_each_subscribe(clock: VirtualClock, scene: Make) -> None:
    """It is called for each connection, for what must be fresh."""
    it = scene(auth=A)
    numbers = itertools.count(1)
    it.socket.channel(subscribe=lambda: {"n": next(numbers)}, match=bool).subscribe()
    clock.advance(1.0)
    it.peer.drop()
    clock.advance(5.0)
    assert frames(it) == [(1, '{"n":1}'), (2, '{"n":2}')]


def test_a_function_that_raises_fails_its_channel_alone(clock: VirtualClock, scene: Make) -> None:
    """The other channel is asked for, and the connection opens."""

    def unable() -> str:
        raise LookupError("no key")

    it = scene(auth=A)
    ends: list[Any] = []
    it.socket.channel(subscribe=unable, match=bool).subscribe(on_error=ends.append)
    it.socket.channel(**of("t")).subscribe(on_error=ends.append)
    clock.advance(1.0)
    assert [type(error) for error in ends] == [LookupError]
    assert frames(it) == [(1, SUB)]
    assert it.socket.state.value is State.OPEN


def test_before_send_sees_subscriptions_too(clock: VirtualClock, scene: Make) -> None:
    """What goes out is intercepted, whoever sends it."""
    it = scene(auth=A)
    it.socket.before_send(lambda text: text.replace("sub", "SUB"))
    it.socket.channel(**of("t")).subscribe()
    clock.advance(1.0)
    assert frames(it) == [(1, SUB.replace("sub", "SUB"))]


# --- which messages


@pytest.mark.parametrize("count", [1, 1000])
def test_a_key_is_one_look_up(clock: VirtualClock, scene: Make, count: int) -> None:
    """With ``key=`` a message is asked once for its key, whatever the number of channels."""
    asked: list[str] = []

    def by(message: str) -> Hashable:
        asked.append(message)
        return json.loads(message)["ch"]

    it = scene(auth=A)
    heard: list[Any] = []
    for number in range(count):
        channel = it.socket.channel(subscribe={"ch": number}, key=number, by=by)
        channel.subscribe(heard.append)
    clock.advance(1.0)
    say(it, clock, {"ch": 0}, {"ch": -1})
    assert heard == ['{"ch": 0}']
    assert len(asked) == 2


def test_the_key_is_the_topic(clock: VirtualClock, scene: Make) -> None:
    """Without ``by`` it is that of the socket's envelope."""
    it = scene(auth=A)
    heard: list[Any] = []
    it.socket.channel(subscribe="sub t", key="t").subscribe(heard.append)
    clock.advance(1.0)
    say(it, clock, {"topic": "t", "data": 1}, {"topic": "u", "data": 2})
    assert heard == ['{"topic": "t", "data": 1}']


def test_a_match_that_raises_is_reported_once(clock: VirtualClock, scene: Make) -> None:
    """What it cannot judge is not of the channel; everything else goes on."""
    it = scene(auth=A)
    heard: list[Any] = []
    problems: list[Any] = []
    it.socket.errors.subscribe(problems.append)
    match = {"match": lambda message: json.loads(message)["ch"] == "t"}
    it.socket.channel(subscribe="s", **match).subscribe(heard.append)
    clock.advance(1.0)
    say(it, clock, {}, {"ch": "t"}, {})
    assert heard == ['{"ch": "t"}']
    [problem] = problems
    assert isinstance(problem, ObserverFailed) and problem.stream == "channel"


# --- acknowledgements


def answer(message: str) -> bool | None:
    """What a server says to a subscription of ``t``."""
    return {"ok t": True, "no t": False}.get(json.loads(message).get("re"))


def test_a_refused_subscription_fails_its_channel_alone(clock: VirtualClock, scene: Make) -> None:
    """Its subscribers fail; the others and the connection go on; it is not asked for again."""
    it = scene(auth=A)
    ends: list[Any] = []
    others: list[Any] = []
    channel = it.socket.channel(**of("t"), acknowledged=answer)
    channel.subscribe(on_error=ends.append)
    channel.subscribe(on_error=ends.append)
    it.socket.channel(**of("u")).subscribe(others.append, others.append)
    clock.advance(1.0)
    say(it, clock, {"re": "no t"}, {"ch": "u"})
    assert [type(error) for error in ends] == [SubscriptionRefused] * 2
    assert others == ['{"ch": "u"}']
    it.peer.drop()
    clock.advance(5.0)
    assert frames(it)[2:] == [(2, SUB.replace('"t"', '"u"'))]


def test_a_refusal_may_say_why(clock: VirtualClock, scene: Make) -> None:
    """An exception that ``acknowledged`` returns is the channel's error; asking again is new."""
    it = scene(auth=A)
    ends: list[Any] = []
    channel = it.socket.channel(
        subscribe="s", match=bool, acknowledged=lambda message: PermissionError(message)
    )
    channel.subscribe(on_error=ends.append)
    clock.advance(1.0)
    it.peer.push("premium only")
    clock.advance(0)
    assert [(type(error), str(error)) for error in ends] == [(PermissionError, "premium only")]
    channel.subscribe(on_error=ends.append)
    clock.advance(1.0)
    assert frames(it) == [(1, "s"), (1, "s")]


def test_an_answer_is_asked_for_once_on_each_connection(clock: VirtualClock, scene: Make) -> None:
    """After the answer nobody is asked; the next connection has an answer of its own."""
    asked: list[str] = []

    def acknowledged(message: str) -> bool | None:
        asked.append(message)
        return True if message == "ok" else None

    it = scene(auth=A)
    it.socket.channel(subscribe="s", match=bool, acknowledged=acknowledged).subscribe()
    clock.advance(1.0)
    it.peer.push("1", "ok", "2")
    clock.advance(0)
    it.peer.drop()
    clock.advance(5.0)
    it.peer.push("3")
    clock.advance(0)
    assert asked == ["1", "ok", "3"]


def test_a_greeting_is_ready_when_all_is_answered(clock: VirtualClock, scene: Make) -> None:
    """C13, C19: a second connection is asked before it delivers, and not again when it does."""
    it = scene(auth=A)
    subscriptions = subscriptions_of(it.socket)
    for name in "tu":
        it.socket.channel(**of(name), acknowledged=_answers(name)).subscribe()
    clock.advance(1.0)
    second = fake()
    ready: list[bool] = []
    links: list[Any] = []

    async def hand_over() -> None:
        opened = asyncio.get_running_loop().create_future()
        dial = second(request_of(it.socket))
        dialled = dial.subscribe(lambda signal: opened.done() or opened.set_result(signal))
        link = await opened
        links.append(link)
        credential = credential_of(it.socket)
        greeting = subscriptions.subscribe_early(link, 7, credential, lambda: None)
        for message in ("ok t", "noise", "ok u"):
            await asyncio.sleep(0)
            ready.append(greeting.is_complete)
            greeting.on_message(json.dumps({"re": message}))
        ready.append(greeting.is_complete)
        outbox_of(it.socket).open(link, 7)
        dialled.dispose()

    clock.run(hand_over())
    clock.advance(1.0)
    assert ready == [False, False, False, True]
    assert [message for _, message in second.received] == [SUB, SUB.replace('"t"', '"u"')]
    links[0].abort()


def _answers(name: str) -> Any:
    return lambda message: {f"ok {name}": True}.get(json.loads(message).get("re"))


# --- ends and arguments


def test_channels_end_with_the_socket(clock: VirtualClock, scene: Make) -> None:
    """C3: they complete on ``close()``, fail on FAIL, and are asked for afresh."""
    it = scene(accept(), accept().wait(1.0).close(1009), accept(), watch=False, auth=A)
    channel = it.socket.channel(**of("t"))
    ends: list[Any] = []

    def listen() -> DisposableBase:
        return channel.subscribe(None, ends.append, lambda: ends.append("|"))

    first = listen()
    clock.advance(1.0)
    it.socket.close()
    clock.advance(2.0)
    assert ends == ["|"]
    listen()
    clock.advance(3.0)
    assert isinstance(ends[1], SocketFailed)
    listen()
    first.dispose()
    clock.advance(2.0)
    assert frames(it) == [(1, SUB), (2, SUB), (3, SUB)]


def test_a_codec_encodes_what_asks_for_it(clock: VirtualClock, scene: Make) -> None:
    """All of it, text, too, as ``send`` does."""
    it = scene(auth=A, codec=json_codec())
    it.socket.channel(subscribe={"op": "sub"}, match=bool).subscribe()
    it.socket.channel(subscribe="sub", match=bool).subscribe()
    clock.advance(1.0)
    assert it.peer.received == [(1, '{"op":"sub"}'), (1, '"sub"')]


def test_arguments_are_checked(scene: Make) -> None:
    """Messages, functions and keys fail where they come in."""
    channel = scene(watch=False).socket.channel
    for wrong in ({}, {"match": bool, "key": 1}, {"match": bool, "by": str}):
        with pytest.raises(ValueError, match=r"^(match, key|by): "):
            channel(subscribe="s", **wrong)
    with pytest.raises(TypeError, match=r"^match: "):
        channel(subscribe="s", match=7)
    with pytest.raises(TypeError, match=r"^acknowledged: "):
        channel(subscribe="s", match=bool, acknowledged="yes")
    with pytest.raises(TypeError):
        channel(subscribe=object(), match=bool)
    with pytest.raises(TypeError, match=r"^subscribe: pass the message, or a function"):
        channel(subscribe=None, match=bool)
    with pytest.raises(TypeError, match=r"^key: pass what can be looked up, .* not list$"):
        channel(subscribe="s", key=[])


def test_opened_comes_after_the_subscriptions(clock: VirtualClock, scene: Make) -> None:
    """C19: who hears ``Opened`` can rely on the subscriptions having been sent."""
    it = scene(watch=False, auth=A, latency=0.0)
    it.socket.channel(**of("t")).subscribe()
    carried: list[int] = []
    it.socket.opens.subscribe(lambda opened: carried.append(carried_by(it.socket, opened.epoch)))
    clock.advance(1.0)
    assert carried == [1]
    assert [type(event) for event in it.events if isinstance(event, Opened)] == []
