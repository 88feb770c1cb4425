"""C2: the grammar of events. The fixture ``grammar`` holds it in every test; here are its words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from scene import A, B, C, Make, Scene, connecting, left, opened

from rxsocket import (
    Aborted,
    AwaitingAuth,
    Cause,
    Closed,
    ConnectFailed,
    Connecting,
    Ended,
    Event,
    HandshakeRefused,
    Message,
    Opened,
    Rejected,
    State,
    Verdict,
    Waiting,
)
from rxsocket.testing import Grammar, VirtualClock, accept, hang, reject, unreachable


def test_an_epoch_that_opens(clock: VirtualClock, scene: Make) -> None:
    """Connecting, Opened, its messages, Closed: each once, in this order."""
    it = scene(accept().send("1", b"2").wait(10.0).close(1001, "away"), auth=A)
    clock.advance(10.0)
    assert it.events == [
        connecting(1),
        opened(1),
        Message(epoch=1, data="1"),
        Message(epoch=1, data=b"2"),
        Closed(epoch=1, code=1001, reason="away", verdict=Verdict.RECONNECT),
        Waiting(delay=2.0, failures=1, cause=Cause.PEER),
    ]


def test_an_epoch_that_fails(clock: VirtualClock, scene: Make) -> None:
    """Connecting, ConnectFailed, with the HTTP status when there was one."""
    it = scene(unreachable(), reject(503), auth=A)
    clock.advance(2.0)
    one, failed, waiting, two, refused, _ = it.events
    assert (one, two) == (connecting(1), connecting(2, Cause.FAILED, attempt=2))
    assert waiting == Waiting(delay=2.0, failures=1, cause=Cause.FAILED)
    assert isinstance(failed, ConnectFailed) and isinstance(failed.error, ConnectionRefusedError)
    assert (failed.epoch, failed.status, failed.verdict) == (1, None, Verdict.RECONNECT)
    assert isinstance(refused, ConnectFailed) and isinstance(refused.error, HandshakeRefused)
    assert (refused.epoch, refused.status, refused.verdict) == (2, 503, Verdict.RECONNECT)


def test_an_epoch_that_is_rejected(clock: VirtualClock, scene: Make) -> None:
    """Connecting, Rejected; AwaitingAuth is the socket's own."""
    it = scene(reject(403), auth=A)
    clock.advance(1.0)
    first, rejected, awaiting = it.events
    assert first == connecting(1)
    assert isinstance(rejected, Rejected)
    assert (rejected.epoch, rejected.status, rejected.verdict) == (1, 403, Verdict.AWAIT_AUTH)
    assert isinstance(awaiting, AwaitingAuth) and awaiting.cause is Cause.REFUSED


def test_an_epoch_that_is_aborted(clock: VirtualClock, scene: Make) -> None:
    """Connecting, Aborted, with what made us give it up."""
    it = scene(hang(), hang(), hang(), auth=A)
    clock.advance(1.0)
    it.socket.set_auth(B)
    clock.advance(1.0)
    it.socket.reconnect()
    clock.advance(2.0)
    it.socket.close()
    assert [event for event in it.events if isinstance(event, Aborted)] == [
        Aborted(epoch=1, cause=Cause.AUTH_CHANGED),
        Aborted(epoch=2, cause=Cause.RECONNECT),
        Aborted(epoch=3, cause=Cause.CLOSE),
    ]


ENDS: dict[str, tuple[Callable[[Scene], Any], Closed]] = {
    "the peer's code": (
        lambda it: it.peer.close(1012, "soon"),
        Closed(epoch=1, code=1012, reason="soon", verdict=Verdict.RECONNECT),
    ),
    "no code": (
        lambda it: it.peer.close(1005),
        Closed(epoch=1, code=1005, verdict=Verdict.RECONNECT),
    ),
    "lost": (
        lambda it: it.peer.drop(),
        Closed(epoch=1, code=1006, cause=Cause.LOST, verdict=Verdict.RECONNECT),
    ),
    "refused": (
        lambda it: it.peer.close(4401, "no"),
        Closed(epoch=1, code=4401, reason="no", verdict=Verdict.AWAIT_AUTH),
    ),
    "done": (lambda it: it.peer.close(), Closed(epoch=1, code=1000, verdict=Verdict.COMPLETE)),
    "too big": (lambda it: it.peer.close(1009), Closed(epoch=1, code=1009, verdict=Verdict.FAIL)),
    "set_auth": (lambda it: it.socket.set_auth(B), left(1, Cause.AUTH_CHANGED)),
    "logout": (lambda it: it.socket.set_auth(None), left(1, Cause.LOGGED_OUT)),
    "reconnect": (lambda it: it.socket.reconnect(), left(1, Cause.RECONNECT)),
    "close": (lambda it: it.socket.close(), left(1, Cause.CLOSE)),
    "close with a code": (
        lambda it: it.socket.close(4000, "bye"),
        Closed(epoch=1, sent=4000, reason="bye", cause=Cause.CLOSE),
    ),
}


@pytest.mark.parametrize("name", ENDS)
def test_every_opened_has_exactly_one_closed(clock: VirtualClock, scene: Make, name: str) -> None:
    """Whoever ends it: one Closed, which says how; our own has no peer code and no verdict."""
    end, closed = ENDS[name]
    it = scene(auth=A)
    closes: list[Closed] = []
    it.socket.closes.subscribe(closes.append, on_error=lambda _: None)
    clock.advance(2.0)
    end(it)
    clock.advance(0.0)
    assert closes == [closed]
    assert [event for event in it.events if isinstance(event, Closed)] == [closed]
    assert closes[0].uptime == 2.0
    clock.advance(1.0)
    end(it)
    clock.advance(1.0)
    epochs = [event.epoch for event in it.events if isinstance(event, Closed)]
    assert len(epochs) == len(set(epochs))


def test_one_end_at_most_when_both_close_at_once(clock: VirtualClock, scene: Make) -> None:
    """A close of ours that crosses the peer's is one Closed, of whichever came first."""
    for order in ((True, False), (False, True)):
        it = scene(accept(), latency=0.2, auth=A)
        clock.advance(1.0)
        for ours in order:
            if ours:
                it.socket.reconnect()
            else:
                it.peer.close(1012)
                clock.advance(0.0)
        clock.advance(0.1)
        closes = [event for event in it.events if isinstance(event, Closed)]
        assert [event.cause for event in closes] == [Cause.RECONNECT if order[0] else Cause.PEER]


def test_one_epoch_at_a_time_delivers(clock: VirtualClock, scene: Make) -> None:
    """What a peer that was left still sends goes to nobody."""
    it = scene(latency=0.03, auth=A)
    got: list[str] = []
    it.socket.messages.subscribe(got.append)
    clock.advance(1.0)
    it.socket.set_auth(B)
    assert it.peer.connections == 1
    it.peer.push("late")
    clock.advance(1.0)
    it.peer.push("new")
    clock.advance(1.0)
    assert got == ["new"]
    assert [event for event in it.events if isinstance(event, Message)] == [
        Message(epoch=2, data="new")
    ]
    assert it.peer.most_open == 1


def test_an_epoch_never_comes_back(clock: VirtualClock, scene: Make) -> None:
    """Numbers go up by one, over failures, changes, a close and a new start."""
    it = scene(accept(), unreachable(), reject(401), auth=A)
    clock.advance(1.0)
    it.peer.drop()
    clock.advance(10.0)
    it.socket.set_auth(B)
    clock.advance(1.0)
    it.socket.close()
    it.watch()
    clock.advance(3.0)
    epochs = [event.epoch for event in it.events if isinstance(event, Connecting)]
    assert epochs == list(range(1, len(epochs) + 1)) and len(epochs) >= 4
    assert it.socket.state.value is State.OPEN


def test_events_of_the_socket_come_between_epochs(clock: VirtualClock, scene: Make) -> None:
    """Waiting, AwaitingAuth and Ended never stand between a Connecting and its end."""
    it = scene(unreachable(), reject(401), accept().wait(1.0).close(4401), accept(), auth=A)
    clock.advance(5.0)
    it.socket.set_auth(B)
    clock.advance(5.0)
    it.socket.set_auth(C)
    clock.advance(1.0)
    it.socket.close()
    running = False
    for event in it.events:
        if isinstance(event, (Waiting, AwaitingAuth, Ended)):
            assert not running
        elif isinstance(event, Connecting):
            running = True
        elif isinstance(event, (Closed, ConnectFailed, Rejected, Aborted)):
            running = False
    kinds = set(it.names)
    assert {"Waiting", "AwaitingAuth", "Ended"} <= kinds
    assert it.events[-1] == Ended(verdict=Verdict.COMPLETE, cause=Cause.CLOSE)


def test_the_state_follows_the_events(clock: VirtualClock, scene: Make) -> None:
    """The state is there before the event that leads to it."""
    it = scene(unreachable(), accept(), reject(401), watch=False, auth=A)
    seen: list[tuple[str, State]] = []
    it.socket.events.subscribe(
        lambda event: seen.append((type(event).__name__, it.socket.state.value))
    )
    clock.advance(3.0)
    it.socket.set_auth(B)
    clock.advance(1.0)
    it.socket.close()
    assert seen == [
        ("Connecting", State.CONNECTING),
        ("ConnectFailed", State.WAITING),
        ("Waiting", State.WAITING),
        ("Connecting", State.CONNECTING),
        ("Opened", State.OPEN),
        ("Closed", State.CONNECTING),
        ("Connecting", State.CONNECTING),
        ("Rejected", State.AWAITING_AUTH),
        ("AwaitingAuth", State.AWAITING_AUTH),
        ("Ended", State.CLOSED),
    ]


def test_the_time_of_an_event_is_the_wall_time(clock: VirtualClock, scene: Make) -> None:
    """``at`` is on the wall clock that goes with the loop, and takes no part in comparing."""
    it = scene(unreachable(), auth=A)
    start = clock.wall_time() - clock.time()
    clock.advance(10.0)
    assert [event.at - start for event in it.events] == pytest.approx([0.0, 0.0, 0.0, 2.0, 2.0])


DEEDS: dict[str, Callable[[Scene], Any]] = {
    "set_auth": lambda it: it.socket.set_auth(B),
    "two changes": lambda it: (it.socket.set_auth(B), it.socket.set_auth(C)),
    "logout": lambda it: it.socket.set_auth(None),
    "reconnect": lambda it: it.socket.reconnect(),
    "close": lambda it: it.socket.close(),
    "close and start": lambda it: (it.socket.close(), it.socket.connect()),
    "send": lambda it: it.socket.send("x"),
}
KINDS: dict[type, Any] = {
    Connecting: accept(),
    Opened: accept(),
    Message: accept().send("1", "2"),
    Closed: accept().wait(1.0).drop(),
    ConnectFailed: unreachable(),
    Waiting: unreachable(),
    Rejected: reject(401),
    AwaitingAuth: reject(401),
    Ended: accept().wait(1.0).close(1000),
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("deed", DEEDS)
def test_who_acts_inside_an_emission_breaks_no_grammar(
    clock: VirtualClock, scene: Make, kind: type, deed: str
) -> None:
    """Observers before and behind the one that acts see the same events in the same order."""
    it = scene(KINDS[kind], watch=False, auth=A)
    seen: list[list[Event]] = [[], []]
    grammars = [Grammar(), Grammar()]
    acted = False

    def act(event: Event) -> None:
        nonlocal acted
        if isinstance(event, kind) and not acted:
            acted = True
            DEEDS[deed](it)

    def look(watcher: int) -> None:
        it.socket.events.subscribe(seen[watcher].append, on_error=lambda _: None)
        it.socket.events.subscribe(grammars[watcher].check, on_error=lambda _: None)

    look(0)
    it.socket.events.subscribe(act, on_error=lambda _: None)
    look(1)
    clock.advance(5.0)
    assert acted
    assert seen[0] == seen[1]
    it.socket.close()
    clock.advance(2.0)
    for grammar in grammars:
        grammar.done()


@pytest.mark.parametrize("stream", ["opens", "messages", "closes", "sessions", "state", "errors"])
@pytest.mark.parametrize("deed", DEEDS)
def test_who_acts_inside_any_stream_breaks_no_grammar(
    clock: VirtualClock, scene: Make, stream: str, deed: str
) -> None:
    """The same from the other streams, at each value once."""
    it = scene(accept().send("1", "2").wait(1.0).drop(), unreachable(), auth=A)
    left = 6

    def act(value: object) -> None:
        nonlocal left
        if left:
            left -= 1
            DEEDS[deed](it)

    getattr(it.socket, stream).subscribe(act, on_error=lambda _: None)
    clock.advance(10.0)
    assert left < 6
    grammar = Grammar()
    it.socket.close()
    clock.advance(2.0)
    if deed != "close and start":  # the diary ends with the first life
        for event in it.events:
            grammar.check(event)
        grammar.done()


@pytest.mark.parametrize(
    ("script", "expected"),
    [(hang(), [connecting(1)]), (accept(), [connecting(1), opened(1)])],
    ids=["connecting", "open"],
)
def test_an_epoch_that_lives_is_a_beginning(
    clock: VirtualClock, scene: Make, script: Any, expected: list[Event]
) -> None:
    """While it connects, and while it is open, nothing has ended it."""
    it = scene(script, auth=A, open_timeout=None)
    clock.advance(3600.0)
    assert it.events == expected


@pytest.mark.parametrize("code", [3000, 3003, 4401, 4403, 1008])
def test_a_refusal_after_the_opening_is_a_closed(
    clock: VirtualClock, scene: Make, code: int
) -> None:
    """It opened, so it has a Closed, whose verdict says AWAIT_AUTH; there is no Rejected."""
    it = scene(accept().wait(1.0).close(code, "no"), auth=A)
    clock.advance(60.0)
    *epoch, awaiting = it.events
    assert epoch == [
        connecting(1),
        opened(1),
        Closed(epoch=1, code=code, reason="no", verdict=Verdict.AWAIT_AUTH),
    ]
    assert isinstance(awaiting, AwaitingAuth) and awaiting.cause is Cause.REFUSED
    assert it.story[-2:] == [(1.0, "Closed"), (1.0, "AwaitingAuth")]
    assert it.dials == [(0.0, "a")]


def test_our_own_closing_has_no_code_of_the_peers(clock: VirtualClock, scene: Make) -> None:
    """We sent 1000 and say so; the peer's answer, which comes later, changes nothing."""
    it = scene(latency=0.02, auth=A)
    clock.advance(1.0)
    it.socket.set_auth(B)
    clock.advance(1.0)
    [closed] = [event for event in it.events if isinstance(event, Closed)]
    assert (closed.code, closed.sent, closed.verdict) == (None, 1000, None)
    assert (closed.reason, closed.cause) == ("", Cause.AUTH_CHANGED)
    assert it.peer.closes == [(1, 1000, "")]


def test_epochs_count_up_by_one_whatever_ended_them(clock: VirtualClock, scene: Make) -> None:
    """A failure, an Aborted, a Rejected, a Closed of either side, a new life: one each."""
    scripts = (unreachable(), hang(), reject(401), accept(), accept(), accept())
    it = scene(*scripts, auth=A)
    clock.advance(3.0)  # 1 failed, 2 hangs
    it.socket.set_auth(B)  # 2 aborted
    clock.advance(3.0)  # 3 rejected
    it.socket.set_auth(C)
    clock.advance(10.0)
    it.peer.drop()  # 4 lost
    clock.advance(10.0)
    it.socket.close()  # 5 closed
    clock.advance(2.0)
    it.watch()
    clock.advance(1.0)
    story = [
        (event.epoch, type(event).__name__)
        for event in it.events
        if isinstance(event, (Connecting, Opened, Closed, ConnectFailed, Rejected, Aborted))
    ]
    assert story == [
        (1, "Connecting"), (1, "ConnectFailed"),
        (2, "Connecting"), (2, "Aborted"),
        (3, "Connecting"), (3, "Rejected"),
        (4, "Connecting"), (4, "Opened"), (4, "Closed"),
        (5, "Connecting"), (5, "Opened"), (5, "Closed"),
        (6, "Connecting"), (6, "Opened"),
    ]  # fmt: skip
