"""C34: ``renew(url=...)`` is the address of the next attempt, and of no other."""

from __future__ import annotations

from typing import Any

import pytest
from network_stage import MakeStage
from scene import A

from rxsocket import (
    Cause,
    Connecting,
    Opened,
    RenewalFailed,
    State,
    endpoint,
    handover,
    in_band,
    reconnect,
)
from rxsocket.testing import VirtualClock, accept, hang, reject, unreachable

FIRST, SECOND, THIRD = "ws://a.test/", "ws://b.test/", "ws://c.test/"
WHERE = endpoint(FIRST, hosts=["b.test", "c.test"])
STRATEGIES: dict[str, Any] = {
    "reconnect": reconnect(),
    "handover": handover(),
    "in band": in_band(lambda token: "AUTH"),
}


@pytest.mark.parametrize("name", STRATEGIES)
def test_it_is_dialled_once(clock: VirtualClock, stage: MakeStage, name: str) -> None:
    """The connection after that is where ``url=`` says again."""
    on = stage(WHERE, auth=A, on_auth_change=STRATEGIES[name])
    clock.advance(10.0)
    on.socket.renew(url=SECOND)
    clock.advance(10.0)
    assert on.hosts == ["a.test", "b.test"]
    opened = on.of(Opened)[-1]
    assert (opened.url, opened.moved, opened.cause) == (SECOND, True, Cause.RENEW)
    on.network.drop()
    clock.advance(3.0)
    assert on.hosts == ["a.test", "b.test", "a.test"]


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("within", [None, 4.0])
def test_if_it_fails_the_next_goes_where_url_says(
    clock: VirtualClock, stage: MakeStage, name: str, within: float | None
) -> None:
    """It was for one attempt."""
    on = stage(WHERE, accept(), unreachable(), auth=A, on_auth_change=STRATEGIES[name])
    clock.advance(10.0)
    on.socket.renew(within=within, url=SECOND)
    clock.advance(10.0)
    assert [event.url for event in on.of(Connecting)] == [FIRST, SECOND, FIRST]
    assert on.socket.state.value is State.OPEN


def test_a_handover_under_way_is_made_anew(clock: VirtualClock, stage: MakeStage) -> None:
    """It would lead to where nobody is to be: the address that is told last counts."""
    on = stage(WHERE, accept(), hang(), accept(), auth=A, on_auth_change=handover())
    clock.advance(10.0)
    on.socket.renew(url=SECOND)
    clock.advance(1.0)
    on.socket.renew(within=60.0, url=THIRD)
    clock.advance(1.0)
    assert on.hosts == ["a.test", "b.test", "c.test"]
    assert on.of(Opened)[-1].url == THIRD
    assert on.of(RenewalFailed) == []


def test_a_refused_handover(clock: VirtualClock, stage: MakeStage) -> None:
    """The old one goes on, and what is tried again is where ``url=`` says."""
    on = stage(WHERE, accept(), reject(503), auth=A, on_auth_change=handover())
    clock.advance(10.0)
    on.socket.renew(url=SECOND)
    clock.advance(10.0)
    assert on.hosts == ["a.test", "b.test", "a.test"]
    (failed,) = on.of(RenewalFailed)
    assert failed.cause is Cause.RENEW


def test_a_link_that_is_lost_meanwhile(clock: VirtualClock, stage: MakeStage) -> None:
    """The next attempt is the renewal, at its address."""
    on = stage(WHERE, auth=A)
    clock.advance(10.0)
    on.socket.renew(within=60.0, url=SECOND)
    on.network.drop()
    clock.advance(60.0)
    assert on.hosts == ["a.test", "b.test"]


def test_while_none_is_open(clock: VirtualClock, stage: MakeStage) -> None:
    """The attempt that is waited for goes there."""
    on = stage(WHERE, unreachable(), auth=A)
    clock.advance(1.0)
    on.socket.renew(url=SECOND)
    clock.advance(3.0)
    assert on.hosts == ["b.test"]


def test_a_stopped_socket_forgets_it(clock: VirtualClock, stage: MakeStage) -> None:
    """It was about that run; and an idle one takes none."""
    on = stage(WHERE, auth=A)
    clock.advance(10.0)
    on.socket.renew(within=60.0, url=SECOND)
    on.socket.close()
    clock.advance(3.0)
    on.socket.renew(url=SECOND)
    held = on.socket.connect()
    clock.advance(3.0)
    assert on.hosts == ["a.test", "a.test"]
    held.dispose()


def test_a_host_that_is_not_allowed(clock: VirtualClock, stage: MakeStage) -> None:
    """It is refused at once, with what to pass; the connection goes on."""
    on = stage(FIRST, auth=A)
    clock.advance(10.0)
    with pytest.raises(ValueError, match=r"renew\(url\): the host 'b.test' is not allowed") as said:
        on.socket.renew(url=SECOND)
    assert "hosts=" in str(said.value)
    clock.advance(10.0)
    assert on.hosts == ["a.test"]
