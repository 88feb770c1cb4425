"""C2, C17, C26: faults, jumps, blocks and changes in random order, the same in every run."""

from __future__ import annotations

import logging
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from internals import Script
from scene import Make

from rxsocket import (
    Backoff,
    Closed,
    Fresh,
    Opened,
    Resumed,
    Stale,
    State,
    Waiting,
    heartbeat,
    history,
)
from rxsocket.testing import VirtualClock, accept, reject, unreachable


def scripts(chance: Random) -> list[Script]:
    """What happens to the next handshakes."""
    kinds: list[Callable[[], Script]] = [
        lambda: accept().echo(),
        lambda: accept().send("a").stay(),
        lambda: accept().wait(chance.uniform(0.0, 30.0)).close(chance.choice((1001, 1011, 4000))),
        lambda: accept().wait(chance.uniform(0.0, 30.0)).drop(),
        lambda: accept().wait(chance.uniform(0.0, 30.0)).freeze(),
        lambda: reject(503, {"Retry-After": str(chance.randrange(1, 30))}),
        lambda: reject(500),
        unreachable,
    ]
    return [chance.choice(kinds)() for _ in range(chance.randrange(4))]


@pytest.mark.parametrize(
    "seed", [*range(6), *(pytest.param(n, marks=pytest.mark.slow) for n in range(6, 60))]
)
def test_whatever_happens_it_recovers_and_leaves_nothing(
    clock: VirtualClock, scene: Make, caplog: pytest.LogCaptureFixture, seed: int
) -> None:
    """The grammar holds throughout (see conftest), and an hour later the socket is open again."""
    chance = Random(seed)
    options: dict[str, Any] = {"backoff": Backoff(random=chance), "auth": "0"}
    options["ping_interval"] = chance.choice((None, 5.0, 20.0))
    options["ping_timeout"] = chance.choice((2.0, 20.0))
    options["on_stale"] = chance.choice(("event", "reconnect"))
    if chance.random() < 0.5:
        options["stale_after"] = chance.choice((7.0, 30.0))
    if chance.random() < 0.5:
        options["heartbeat"] = heartbeat(send="hb", expect="hb", interval=6.0, timeout=4.0)
    if chance.random() < 0.3:
        options["stable_after"] = lambda messages: messages
    mine = scene(*scripts(chance), latency=chance.choice((0.0, 0.05)), **options)
    actions: list[Callable[[], object]] = [
        lambda: clock.advance(chance.uniform(0.0, 30.0)),
        lambda: clock.advance(chance.uniform(0.0, 2.0)),
        lambda: clock.jump(chance.choice((-60.0, 2.0, 10.0, 7200.0))),
        lambda: clock.block(chance.choice((0.3, 1.5, 6.0, 31.0))),
        lambda: clock.call_later(
            chance.uniform(0.0, 3.0), lambda: clock.block(chance.uniform(0.5, 10.0))
        ),
        lambda: mine.peer.script(*scripts(chance)),
        mine.peer.drop,
        mine.peer.freeze,
        lambda: mine.peer.push("data"),
        lambda: mine.socket.set_auth(str(chance.randrange(100))),
        mine.socket.reconnect,
    ]
    for _ in range(60):
        chance.choice(actions)()
        text = str(mine.socket.explain())
        assert text and "None" not in text
    clock.advance(1800.0)
    mine.peer.drop()
    mine.peer.script(*[accept().echo()] * 3)
    clock.advance(1800.0)
    if options["ping_interval"] is not None or "heartbeat" in options:
        # What wants data or answers that nobody sends is made again and again, so: lately.
        opened = max(at for at, event in mine.entries if isinstance(event, Opened))
        assert mine.socket.state.value is State.OPEN or clock.time() - opened < 120.0
    resumed = [event for event in mine.events if isinstance(event, Resumed)]
    assert all(event.slept > 3.0 for event in resumed)
    assert all(event.delay >= 0.0 for event in mine.events if isinstance(event, Waiting))
    known = (Stale, Fresh)
    if "stale_after" not in options:
        assert not any(isinstance(event, known) for event in mine.events)
    assert all(event.uptime >= 0.0 for event in history(mine.socket) if isinstance(event, Closed))
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
    mine.end()
    assert clock.pending == 0 and not clock.tasks
