"""Requests: an answer, a reason, or a timeout, and nothing left behind (C30, C14, C20, C26)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from internals import MAX_BYTES, Script, open_requests, outbox_of
from reactivex import operators as ops
from reactivex.subject import BehaviorSubject
from scene import A, B, Make, Scene

from rxsocket import (
    ConnectionLost,
    Dropped,
    IdentityChanged,
    Limits,
    NotConnected,
    ObserverFailed,
    SendFailed,
    State,
)
from rxsocket.testing import VirtualClock, accept, unreachable


class Answers:
    """An observer that writes down the answers, and how it ended."""

    def __init__(self, request: Any) -> None:
        self.all: list[Any] = []
        self.asking = request.subscribe(
            self.all.append,
            lambda error: self.all.append(type(error)),
            lambda: self.all.append("|"),
        )


def pending(it: Scene) -> int:
    """How many requests the socket still knows of."""
    return open_requests(it.socket)


def say(it: Scene, clock: VirtualClock, *messages: Any) -> None:
    """Let the peer send JSON."""
    it.peer.push(*map(json.dumps, messages))
    clock.advance(0)


def test_the_matching_message_is_the_answer(clock: VirtualClock, scene: Make) -> None:
    """It is sent when subscribed, completes with the answer, and leaves nothing."""
    it = scene(auth=A)
    clock.advance(1.0)
    request = it.socket.request("time?", match=lambda message: message.startswith("time"))
    clock.advance(1.0)
    assert it.peer.received == []
    heard = Answers(request)
    clock.advance(1.0)
    it.peer.push("noise", "time 12", "time 13")
    clock.advance(0)
    assert it.peer.received == [(1, "time?")]
    assert heard.all == ["time 12", "|"]
    assert pending(it) == 0


def test_it_is_awaited(clock: VirtualClock, scene: Make) -> None:
    """``await`` sends it and gives the answer."""
    it = scene(accept().echo(), auth=A)

    async def ask() -> Any:
        return await it.socket.request("ping", match=lambda message: message == "ping")

    assert clock.run(ask()) == "ping"


def test_ids_tell_answers_apart(clock: VirtualClock, scene: Make) -> None:
    """Answers out of order find their requests; a missing id is filled in."""
    it = scene(auth=A)
    clock.advance(1.0)
    heard = [Answers(it.socket.request({"q": n}, id="id")) for n in range(3)]
    clock.advance(1.0)
    ids = [json.loads(message)["id"] for _, message in it.peer.received]
    assert len(set(ids)) == 3
    say(it, clock, *({"id": id, "of": n} for n, id in reversed(list(enumerate(ids)))))
    assert [json.loads(one.all[0])["of"] for one in heard] == [0, 1, 2]
    assert pending(it) == 0


def test_an_id_of_ones_own(clock: VirtualClock, scene: Make) -> None:
    """A function that finds it in the request and in the answer."""
    it = scene(auth=A)
    clock.advance(1.0)
    heard = Answers(it.socket.request("7 sum 1 2", id=lambda message: message.split()[0]))
    clock.advance(1.0)
    it.peer.push("8 is 4", "", "7 is 3")
    clock.advance(0)
    assert heard.all == ["7 is 3", "|"]


def test_no_answer_in_time(clock: VirtualClock, scene: Make) -> None:
    """``TimeoutError`` at its limit, and a late answer is a message like any other."""
    it = scene(auth=A)
    clock.advance(1.0)
    messages: list[Any] = []
    it.socket.messages.subscribe(messages.append)
    heard = Answers(it.socket.request("q", match=lambda message: message == "a", timeout=2.0))
    clock.advance(1.9)
    assert heard.all == []
    clock.advance(0.2)
    assert heard.all == [TimeoutError]
    it.peer.push("a")
    clock.advance(0)
    assert (messages, pending(it)) == (["a"], 0)


@pytest.mark.parametrize(
    "script", [accept().wait(2.0).drop(), accept().wait(2.0).close(1012)], ids=["lost", "closed"]
)
def test_a_lost_connection_fails_it_at_once(
    clock: VirtualClock, scene: Make, script: Script
) -> None:
    """It does not wait for its timeout, and is not answered by the next connection."""
    it = scene(script, auth=A)
    clock.advance(1.0)
    heard = Answers(it.socket.request("q", match=lambda message: message == "a", timeout=30.0))
    clock.advance(1.01)
    assert heard.all == [ConnectionLost]
    clock.advance(5.0)
    it.peer.push("a")
    clock.advance(0)
    assert (heard.all, pending(it)) == ([ConnectionLost], 0)


def test_an_idempotent_one_is_asked_again(clock: VirtualClock, scene: Make) -> None:
    """On the next connection, with the same id; its timeout goes on."""
    it = scene(accept().wait(2.0).drop(), auth=A)
    clock.advance(1.0)
    heard = Answers(it.socket.request({"q": 1}, id="id", timeout=30.0, idempotent=True))
    clock.advance(6.0)
    assert [epoch for epoch, _ in it.peer.received] == [1, 2]
    first, second = (json.loads(message)["id"] for _, message in it.peer.received)
    assert first == second
    say(it, clock, {"id": first})
    assert heard.all[1:] == ["|"]


def test_it_is_not_asked_again_as_somebody_else(clock: VirtualClock, scene: Make) -> None:
    """C14: another identity fails it, idempotent or not."""
    it = scene(auth=A)
    clock.advance(1.0)
    heard = [
        Answers(it.socket.request("q", match=bool, idempotent=idempotent))
        for idempotent in (True, False)
    ]
    clock.advance(1.0)
    it.socket.set_auth(B)
    clock.advance(2.0)
    assert [one.all for one in heard] == [[IdentityChanged]] * 2
    assert [epoch for epoch, _ in it.peer.received] == [1, 1]


def test_it_connects_and_lets_go(clock: VirtualClock, scene: Make) -> None:
    """C1: on an idle socket a request connects until it is answered."""
    it = scene(accept().echo(), watch=False, auth=A)
    heard = Answers(it.socket.request("q", match=bool))
    clock.advance(2.0)
    assert heard.all == ["q", "|"]
    assert it.socket.state.value is State.IDLE


def test_nothing_opens(clock: VirtualClock, scene: Make) -> None:
    """C21: it waits as every message does, and fails with the reason."""
    it = scene(*[unreachable()] * 5, auth=A)
    heard = Answers(it.socket.request("q", match=bool))
    clock.advance(5.1)
    assert heard.all == [NotConnected]


def test_a_disposed_one_is_forgotten(clock: VirtualClock, scene: Make) -> None:
    """C26: also by cancelling what awaits it; nothing is left of it."""
    it = scene(auth=A)
    clock.advance(1.0)
    heard = Answers(it.socket.request("q", match=bool))
    clock.advance(1.0)
    assert pending(it) == 1
    heard.asking.dispose()
    it.peer.push("a")
    clock.advance(0)
    assert (heard.all, pending(it)) == ([], 0)


WAITS: dict[str, tuple[dict[str, Any], str]] = {
    "pace": ({"limits": Limits(pace="1/10s")}, "it waits for its turn: limits= has pace='1/10s'"),
    "gate": ({"gate": True}, "the socket is gated"),
    "no connection": ({}, "the socket is connecting"),
}


@pytest.mark.parametrize("end", ["timeout", "dispose"])
@pytest.mark.parametrize("waits", WAITS)
def test_one_that_waits_is_not_sent_later(
    clock: VirtualClock, scene: Make, waits: str, end: str
) -> None:
    """What timed out or was disposed before it was written is withdrawn; what is left goes on."""
    options, why = WAITS[waits]
    opened = BehaviorSubject(True)
    if "gate" in options:
        options = {"gate": opened}
    it = scene(auth=A, queue_for=30.0, **options)
    clock.advance(1.0)
    opened.on_next(False)
    if waits == "no connection":
        it.peer.default = accept().delay(4.0)
        it.peer.drop()
        clock.advance(0.5)
    it.socket.send("first")
    errors: list[Exception] = []
    order = it.socket.request({"order": 1}, id="id", timeout=3.0)
    asking = order.subscribe(on_error=errors.append)
    last = it.socket.send("last")
    clock.advance(2.9)
    asking.dispose() if end == "dispose" else clock.advance(0.2)
    assert pending(it) == 0 and len(outbox_of(it.socket)) == (1 if waits == "pace" else 2)
    opened.on_next(True)
    clock.advance(25.0)
    assert [message for _, message in it.peer.received] == ["first", "last"] and last.done
    assert not [event for event in it.events if isinstance(event, SendFailed)]
    texts = [f"not sent within 3 s: {why}"] if end == "timeout" else []
    assert [*map(str, errors)] == texts
    assert all(type(error) is TimeoutError for error in errors)


def test_one_that_was_withdrawn_lets_the_socket_go(clock: VirtualClock, scene: Make) -> None:
    """C1: nothing else wanted it; no timer is left."""
    it = scene(watch=False, auth=A, limits=Limits(pace="1/60s"))
    it.socket.send("first")
    heard = Answers(it.socket.request("q", match=bool, timeout=3.0))
    clock.advance(3.1)
    assert (heard.all, it.socket.state.value) == ([TimeoutError], State.IDLE)
    assert len(outbox_of(it.socket)) == 0


def test_one_that_was_withdrawn_frees_its_bytes(clock: VirtualClock, scene: Make) -> None:
    """C21: there is room for as much again."""
    it = scene(auth=A, limits=Limits(pace="1/60s"))
    clock.advance(1.0)
    it.socket.send("first")
    for _ in range(2):
        heard = Answers(it.socket.request("q" * MAX_BYTES, match=bool, timeout=1.0))
        it.socket.send("!")
        clock.advance(1.1)
        assert heard.all == [TimeoutError]
    assert len([event for event in it.events if isinstance(event, SendFailed)]) == 2


def test_an_idempotent_one_is_not_asked_again_too_late(clock: VirtualClock, scene: Make) -> None:
    """It was written once, and there was no answer to that."""
    it = scene(accept().wait(2.0).drop(), accept().delay(5.0), auth=A)
    clock.advance(1.0)
    errors: list[Exception] = []
    request = it.socket.request("q", match=bool, timeout=3.0, idempotent=True)
    request.subscribe(on_error=errors.append)
    clock.advance(20.0)
    assert [*map(str, errors)] == ["no answer within 3 s"]
    assert it.peer.received == [(1, "q")] and it.socket.state.value is State.OPEN


def test_channels_keep_their_place_when_one_is_withdrawn(clock: VirtualClock, scene: Make) -> None:
    """C36: what channels ask for goes after what was sent before it, and before what came later."""
    it = scene(auth=A, limits=Limits(pace="1/s"))
    clock.advance(1.0)
    it.socket.send("first")
    heard = Answers(it.socket.request("q", match=bool))
    it.socket.channel(subscribe="S", match=bool).subscribe()
    it.socket.send("last")
    clock.advance(0.5)
    heard.asking.dispose()
    clock.advance(5.0)
    assert [message for _, message in it.peer.received] == ["first", "S", "last"]


@pytest.mark.parametrize("end", ["close", "fail"])
def test_it_ends_with_the_socket(clock: VirtualClock, scene: Make, end: str) -> None:
    """C3: whatever ends the socket, the request says so."""
    it = scene(accept(), auth=A)
    clock.advance(1.0)
    heard = Answers(it.socket.request("q", match=bool))
    clock.advance(1.0)
    it.socket.close() if end == "close" else it.peer.close(1009)
    clock.advance(2.0)
    assert heard.all == [ConnectionLost]
    assert pending(it) == 0


def test_more_than_one_answer(clock: VirtualClock, scene: Make) -> None:
    """As many as were asked for; the timeout is that of each."""
    it = scene(auth=A)
    clock.advance(1.0)
    two = Answers(it.socket.request("q", match=bool, answers=2, timeout=2.0))
    endless = Answers(it.socket.request("q", match=bool, answers=None, timeout=2.0))
    clock.advance(1.5)
    it.peer.push("1")
    clock.advance(1.5)
    it.peer.push("2", "3")
    clock.advance(1.9)
    assert (two.all, endless.all) == (["1", "2", "|"], ["1", "2", "3"])
    clock.advance(0.2)
    assert endless.all[3:] == [TimeoutError]


def test_who_raises_at_an_answer_is_reported(clock: VirtualClock, scene: Make) -> None:
    """C23: the others get theirs."""
    it = scene(auth=A)
    problems: list[Any] = []
    it.socket.errors.subscribe(problems.append)
    clock.advance(1.0)
    it.socket.request("q", match=bool).subscribe(lambda answer: 1 // 0)
    heard = Answers(it.socket.request("q", match=bool))
    clock.advance(1.0)
    it.peer.push("a")
    clock.advance(0)
    assert heard.all == ["a", "|"]
    assert [type(problem) for problem in problems] == [ObserverFailed]
    assert pending(it) == 0


def test_arguments_are_checked(scene: Make) -> None:
    """They fail where they come in, and the error names them."""
    request = scene(watch=False).socket.request
    for wrong in ({}, {"match": bool, "id": "id"}):
        with pytest.raises(ValueError, match=r"^match, id: "):
            request("q", **wrong)
    for argument, value in (("match", 7), ("id", 7), ("timeout", "1"), ("answers", True)):
        with pytest.raises(TypeError, match=rf"^{argument}: "):
            request("q", **{"match": bool, argument: value} if argument != "id" else {"id": value})
    with pytest.raises(ValueError, match=r"^answers: "):
        request("q", match=bool, answers=0)
    with pytest.raises(ValueError, match=r"^id: "):
        request("no object", id="id")


def test_what_cannot_be_sent_fails_the_request(clock: VirtualClock, scene: Make) -> None:
    """It is encoded when it is sent, so that every interceptor sees it once."""
    it = scene(auth=A)
    seen: list[Any] = []
    it.socket.before_send(lambda text: seen.append(text) or text)
    clock.advance(1.0)
    heard = [Answers(it.socket.request(payload, match=bool)) for payload in (object(), "q")]
    clock.advance(0)
    assert [one.all for one in heard] == [[TypeError], []]
    assert seen == ["q"]


def test_one_id_under_way_at_a_time(clock: VirtualClock, scene: Make) -> None:
    """The answer to one of two would be taken for both: the second fails at once, alone."""
    it = scene(auth=A)
    clock.advance(1.0)
    first = Answers(it.socket.request({"id": 1}, id="id"))
    heard: list[Any] = []
    it.socket.request({"id": 1}, id="id").subscribe(heard.append, heard.append)
    other = Answers(it.socket.request({"id": 2}, id="id"))
    clock.advance(1.0)
    [error] = heard
    assert isinstance(error, ValueError)
    assert str(error) == "id: a request with the id 1 is under way; give each its own"
    assert len(it.peer.received) == pending(it) == 2
    say(it, clock, {"id": 1}, {"id": 2})
    assert len(first.all) == len(other.all) == 2 and pending(it) == 0
    again = Answers(it.socket.request({"id": 1}, id="id"))
    clock.advance(1.0)
    say(it, clock, {"id": 1})
    assert again.all == ['{"id": 1}', "|"]


def test_one_that_nobody_awaits_says_so(clock: VirtualClock, scene: Make) -> None:
    """Nothing was sent; one that was subscribed to, if behind operators, says nothing."""
    it = scene(auth=A)
    clock.advance(1.0)
    with pytest.warns(RuntimeWarning, match="never awaited or subscribed to") as warned:
        it.socket.request("?", match=bool)
    assert warned[0].filename == __file__
    it.socket.request("!", match=bool).pipe(ops.map(str)).subscribe()
    clock.advance(1.0)
    assert it.peer.received == [(1, "!")]


@pytest.mark.parametrize("used", [True, False])
def test_messages_of_a_client_that_only_asks_are_no_loss(
    clock: VirtualClock, scene: Make, used: bool
) -> None:
    """Nobody subscribes to them, and nobody is to be told of that (C4)."""
    it = scene(
        accept().send("hello").wait(20).drop(), accept().send(*"123456"), watch=False, auth=A
    )
    problems: list[Any] = []
    it.socket.errors.subscribe(problems.append)
    it.socket.connect()
    clock.advance(1.0)
    if used:
        Answers(it.socket.request("?", match=bool, timeout=1.0))
    clock.advance(60.0)
    dropped = [problem.count for problem in problems if isinstance(problem, Dropped)]
    assert dropped == ([] if used else [1, 6])
