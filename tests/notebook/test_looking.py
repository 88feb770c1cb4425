"""Looking at the next values of a stream, in virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import reactivex
from reactivex import Observable
from reactivex import operators as ops
from reactivex.disposable import Disposable
from reactivex.subject import Subject

from rxsocket import Socket, State
from rxsocket.notebook import ask, peek
from rxsocket.testing import VirtualClock, accept, fake


def test_it_returns_as_many_as_were_asked_for(clock: VirtualClock) -> None:
    """The socket is let go then: nothing stays connected."""
    feed = fake(accept().send("a", "b", "c", "d").stay())
    socket = Socket(feed.url, transport=feed)
    assert clock.run(peek(socket.messages, 3)) == ["a", "b", "c"]
    clock.advance(3)
    assert socket.state.value is State.IDLE


def test_it_returns_in_time_what_came(clock: VirtualClock) -> None:
    """Two seconds are over: it is not waited for the rest."""
    stream: Subject[int] = Subject()
    clock.call_later(1.0, stream.on_next, 1)
    clock.call_later(2.5, stream.on_next, 2)
    assert clock.run(peek(stream, 5, within=2)) == [1]
    assert clock.time() == 2.0
    assert not stream.observers
    clock.advance(1.0)


@pytest.mark.parametrize("values", [[], [1, 2]])
def test_a_stream_that_ends_first(clock: VirtualClock, values: list[int]) -> None:
    """What it had is returned at once."""
    assert clock.run(peek(reactivex.from_iterable(values), within=None)) == values
    assert clock.time() == 0.0


def test_a_stream_that_fails(clock: VirtualClock) -> None:
    """Its error is raised."""
    with pytest.raises(ValueError, match="no feed"):
        clock.run(peek(reactivex.throw(ValueError("no feed"))))


def test_an_interrupt_leaves_the_stream(clock: VirtualClock) -> None:
    """A cell that is interrupted is a task that is cancelled."""
    left: list[str] = []
    endless: Observable[int] = Observable(lambda *_: Disposable(lambda: left.append("left")))

    async def cell() -> None:
        looking = asyncio.ensure_future(peek(endless, within=None))
        await asyncio.sleep(1)
        looking.cancel()
        await asyncio.wait((looking,))
        assert looking.cancelled()

    clock.run(cell())
    assert left == ["left"]


def test_progress(clock: VirtualClock, capsys: pytest.CaptureFixture[str]) -> None:
    """A bar that ends where the values did."""
    pytest.importorskip("tqdm")
    stream: Subject[int] = Subject()
    for number in range(3):
        clock.call_later(1.0 + number, stream.on_next, number)
    assert clock.run(peek(stream, 4, within=5, progress=True)) == [0, 1, 2]
    assert "3/4" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"stream": [1]}, r"peek\(stream\): pass an Observable, not list"),
        ({"count": 0}, "count: pass 1 or more"),
        ({"within": 0}, "within: pass"),
    ],
)
def test_wrong_arguments(clock: VirtualClock, arguments: dict[str, Any], told: str) -> None:
    """They are told at once."""
    stream: Observable[int] = reactivex.never().pipe(ops.map(int))
    with pytest.raises((TypeError, ValueError), match=told):
        clock.run(peek(**{"stream": stream, **arguments}))


def test_a_secret_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is prompted for without echo, shows nowhere, and is good for ``auth`` (C28)."""
    prompts: list[str] = []
    monkeypatch.setattr(
        "rxsocket.notebook.asking.getpass", lambda prompt: (prompts.append(prompt), "c4n4ry")[1]
    )
    secret = ask("token")
    assert prompts == ["token: "]
    assert "c4n4ry" not in f"{secret} {secret!r}"
    socket = Socket("ws://fake.test", auth={"token": secret})
    assert "c4n4ry" not in repr(socket.auth.value)
    assert socket.auth.value.reveal() == {"token": "c4n4ry"}


def test_nothing_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no credential."""
    monkeypatch.setattr("rxsocket.notebook.asking.getpass", lambda prompt: "")
    with pytest.raises(ValueError, match="nothing was typed"):
        ask("token")
