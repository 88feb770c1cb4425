"""C32: what a server sends while nobody can have it yet is bounded, in bytes and in number."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from internals import RecentKeys
from scene import Make, Scene

from rxsocket import (
    ConnectFailed,
    HandshakeError,
    RenewalFailed,
    State,
    first_message,
    handover,
    history,
)
from rxsocket import json as json_codec
from rxsocket.testing import VirtualClock, accept

TOO_MANY = "too many messages came before the connection was ready"
FLOODS: dict[str, tuple[str, int]] = {
    "of large ones": ("x" * 2**20, 40),
    "of small ones": ("x", 70_000),
}


@pytest.mark.parametrize("name", FLOODS)
def test_before_the_opening(clock: VirtualClock, scene: Make, name: str) -> None:
    """C19, C32: at most 65,536 messages and 16 MiB wait for the answer to the first message."""
    message, count = FLOODS[name]
    carrier = first_message(str, accepted=lambda said: said == "yes", timeout=100.0)
    it = scene(accept().send(*[message] * count), auth="a", carrier=carrier)
    clock.advance(1.0)
    failed = next(event for event in it.events if isinstance(event, ConnectFailed))
    assert isinstance(failed.error, HandshakeError) and str(failed.error) == TOO_MANY
    assert it.socket.state.value is State.WAITING


@pytest.mark.parametrize("name", FLOODS)
def test_beside_a_handover(clock: VirtualClock, scene: Make, name: str) -> None:
    """C13, C32: as many wait for the switch; past that the old connection stays."""
    message, count = FLOODS[name]
    how = handover(ready=lambda said: said == "ready", timeout=100.0)
    options: dict[str, Any] = {"on_auth_change": how, "identity": lambda _: "me"}
    it = scene(accept(), accept().send(*[message] * count), auth="a", **options)
    clock.advance(1.0)
    it.socket.set_auth("b")
    clock.advance(1.0)
    failed = next(event for event in it.events if isinstance(event, RenewalFailed))
    assert TOO_MANY in str(failed.error)
    assert it.socket.state.value is State.OPEN and it.peer.live == 1


@pytest.mark.parametrize("size", [1, 100_000])
@pytest.mark.slow
def test_the_keys_of_a_handover(size: int) -> None:
    """C13, C32: of the messages that the old one delivers meanwhile, the newest keys are kept."""
    keys = RecentKeys()
    for number in range(200_000 if size == 1 else 1000):
        keys.add((number, "x" * size))
    newest = number
    assert (newest, "x" * size) in keys and (0, "x" * size) not in keys
    assert 100 < len(keys) <= 2**17


def _many_topics(scene: Make) -> tuple[Scene, Callable[[int], str]]:
    it = scene(accept().stay())
    it.socket.listener(":any", type=int).subscribe(lambda _: None)
    return it, lambda number: f'{{"topic": "{number}{"x" * 50_000}", "data": "x"}}'


def _many_errors(scene: Make) -> tuple[Scene, Callable[[int], str]]:
    def quote(message: Any) -> Any:
        raise ValueError(f"cannot read {message}")

    it = scene(accept().stay())
    it.socket.after_receive(quote)
    return it, lambda number: f"{number}{'x' * 50_000}"


def _many_bad_messages(scene: Make) -> tuple[Scene, Callable[[int], str]]:
    it = scene(accept().stay(), codec=json_codec())
    return it, lambda number: f"{number}{'x' * 50_000}"


@pytest.mark.parametrize("make", [_many_topics, _many_errors, _many_bad_messages])
@pytest.mark.slow
def test_what_is_remembered(clock: VirtualClock, scene: Make, make: Any) -> None:
    """C32: topics, errors and messages that do not decode do not fill the memory."""
    it, message = make(scene)
    clock.advance(1.0)
    tracemalloc.start()
    try:
        for number in range(300):
            it.peer.push(message(number))
            clock.advance(0.0)
            it.clear()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 5_000_000  # of 15,000,000 that came
    assert len(repr(history(it.socket))) < 400_000
