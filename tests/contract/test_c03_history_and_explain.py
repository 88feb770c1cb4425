"""C3, C28: what happened is remembered, and explained, whether or not anybody looked."""

from __future__ import annotations

import gc
import weakref

import pytest
from internals import History
from scene import Make

from rxsocket import (
    Message,
    ObserverFailed,
    Socket,
    State,
    Waiting,
    history,
)
from rxsocket.testing import VirtualClock, accept, reject, unreachable


def test_history_has_everything_but_messages(clock: VirtualClock, scene: Make) -> None:
    """C3: it is what events emitted, in order, from construction on; messages are left out."""
    mine = scene(unreachable(), accept().send("a", "b").close(1012), accept().close(1000))
    clock.advance(60.0)
    expected = [event for event in mine.events if not isinstance(event, Message)]
    assert len(expected) < len(mine.events)
    assert list(history(mine.socket)) == expected


def test_nobody_has_to_look(clock: VirtualClock, scene: Make) -> None:
    """C1, C3: it needs no subscriber to events, and asking for it does not connect."""
    mine = scene(accept().wait(10.0).close(1012), watch=False)
    assert history(mine.socket) == ()
    clock.advance(1.0)
    assert mine.peer.handshakes == []
    mine.socket.connect()
    clock.advance(10.0)
    assert [type(event).__name__ for event in history(mine.socket)] == [
        "Connecting",
        "Opened",
        "Closed",
        "Waiting",
    ]


def test_it_is_bounded(clock: VirtualClock, scene: Make) -> None:
    """C3: hours of failures leave the last hundred events."""
    mine = scene(*[unreachable()] * 1000)
    clock.advance(4 * 3600.0)
    assert len(mine.events) > 1000
    assert list(history(mine.socket)) == mine.events[-100:]
    assert list(history(mine.socket, 3)) == mine.events[-3:]
    assert history(mine.socket, 0) == ()


def test_an_ended_socket_still_has_it(clock: VirtualClock, scene: Make) -> None:
    """C3: why it ended can be read afterwards."""
    mine = scene(reject(410))
    clock.advance(1.0)
    assert mine.socket.state.value is State.CLOSED
    assert [type(event).__name__ for event in history(mine.socket)][-1] == "Ended"
    assert "HTTP 410" in str(mine.socket.explain())


def test_it_keeps_nothing_alive() -> None:
    """C3: the frames of an observer that raised, with the data in them, are let go."""

    class Large:
        pass

    def observer() -> weakref.ref[Large]:
        large = Large()
        reference = weakref.ref(large)
        try:
            raise KeyError("px")
        except KeyError as error:
            history.add_event(ObserverFailed(error=error, observer="show", stream="messages"))
        return reference

    history = History()
    reference = observer()
    gc.collect()
    assert reference() is None
    [failed] = history.events
    assert isinstance(failed, ObserverFailed) and str(failed.error) == "KeyError: 'px'"


def test_no_secret_is_in_it(clock: VirtualClock, scene: Make) -> None:
    """C28: neither the history nor the explanation shows the credential."""
    mine = scene(reject(503), tokens={"good"}, auth={"token": "canary-1"})
    clock.advance(60.0)
    mine.socket.set_auth({"token": "canary-2"})
    clock.advance(60.0)
    shown = repr(history(mine.socket)) + str(mine.socket.explain()) + repr(mine.socket.explain())
    assert "refused" in shown and "canary" not in shown


def test_the_explanation_follows_the_socket(clock: VirtualClock, scene: Make) -> None:
    """C3, C9: at any moment it says what is going on; its due time is the next attempt's."""
    mine = scene(
        accept().wait(850.0).close(4401, "token expired"), reject(403), auth="a", watch=False
    )
    assert str(mine.socket.explain()).startswith("idle: nothing has been asked of it yet")
    mine.watch()
    clock.advance(840.0)
    assert str(mine.socket.explain()) == "open for 14 min (connection 1)"
    clock.advance(10.0)
    mine.socket.reconnect()
    clock.advance(12.0)
    assert str(mine.socket.explain()).splitlines() == [
        "waiting for a credential for 12 s: connection 1 was open 14 min, then closed by the "
        "server with 4401 'token expired'; then the server refused the handshake with HTTP 403 "
        "(Forbidden); the credential went as the query parameter 'token'",
        "next: nothing, until there is another one",
        "you can: call set_auth(...) with another credential, or reconnect() to try the same one "
        "again",
    ]


def test_due_is_when_the_next_attempt_comes(clock: VirtualClock, scene: Make) -> None:
    """C15: the time that is announced is the time at which it dials."""
    mine = scene(unreachable(), unreachable(), accept())
    clock.advance(0.0)
    told = mine.socket.explain()
    assert told.state is State.WAITING and told.due is not None
    [waiting] = [event for event in mine.events if isinstance(event, Waiting)]
    assert told.due == waiting.at + waiting.delay
    clock.advance(told.due - clock.wall_time() - 0.01)
    assert mine.names.count("Connecting") == 1
    clock.advance(0.01)
    assert mine.names.count("Connecting") == 2


def test_bad_arguments() -> None:
    """C3: a clear error at once."""
    socket = Socket("ws://example.com")
    with pytest.raises(TypeError, match=r"history\(socket\): pass a Socket, not str"):
        history("ws://example.com")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="last: pass 0 or more"):
        history(socket, -1)
    for wrong in ("10", 1.5, True):
        with pytest.raises(TypeError, match="last: pass a whole number or None, not "):
            history(socket, wrong)  # type: ignore[arg-type]
