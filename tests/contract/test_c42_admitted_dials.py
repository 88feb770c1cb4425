"""C42: a socket of a fleet dials when it is admitted; its limits of time do not count the wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from internals import Admitted, admitted_by
from reactivex.subject import BehaviorSubject
from scene import URL, A, B, Make, Scene

from rxsocket import Ask, Gated, RenewalFailed, SocketFailed, State, handover
from rxsocket.testing import VirtualClock, hang


class Gatekeeper:
    """Admits when it is told to, and keeps what it is told.

    Attributes:
        waiting: Who waits, the first one first.
        log: What happened, with the time.
    """

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self.waiting: list[asyncio.Future[None]] = []
        self.log: list[tuple[float, str]] = []

    async def admit(self, beside: bool) -> Admitted:
        self._note("beside" if beside else "asked")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append(future)
        try:
            await future
        except asyncio.CancelledError:
            self._note("given up")
            raise
        finally:
            self.waiting.remove(future)
        return Admitted(lambda: self._note("answered"), lambda: self._note("gone"))

    def open(self) -> None:
        self._note("admitted")
        self.waiting[0].set_result(None)

    def open_always(self) -> None:
        """Admit the one that waits, if there is one."""
        if self.waiting:
            self.open()

    def _note(self, what: str) -> None:
        self.log.append((round(self._clock.time(), 3), what))

    @property
    def words(self) -> list[str]:
        """What happened; an answer may be told more than once."""
        words = [word for _, word in self.log]
        return [word for index, word in enumerate(words) if word != words[index - 1] or not index]


MakeGate = Callable[..., tuple[Gatekeeper, Scene]]


@pytest.fixture
def gate(clock: VirtualClock, scene: Make) -> MakeGate:
    def make(*scripts: Any, **options: Any) -> tuple[Gatekeeper, Scene]:
        keeper = Gatekeeper(clock)
        return keeper, scene(*scripts, url=admitted_by(keeper.admit, URL), **options)

    return make


def test_a_credential_is_asked_for_when_it_may_be_used(clock: VirtualClock, gate: MakeGate) -> None:
    """A single-use token is minted after the wait, which neither of the timeouts counts."""
    asked: list[float] = []

    async def provider(ask: Ask) -> dict[str, str]:
        asked.append(clock.time())
        await asyncio.sleep(1.0)
        return A

    keeper, it = gate(auth=provider, auth_timeout=5.0, open_timeout=5.0, latency=0.5)
    clock.advance(60.0)
    assert it.names == ["Connecting"] and not asked and not it.peer.handshakes
    keeper.open()
    clock.advance(10.0)
    assert it.names == ["Connecting", "Opened"]
    assert asked == [pytest.approx(60.0, abs=0.1)]
    it.socket.close()
    clock.advance(5.0)
    assert keeper.words == ["asked", "admitted", "answered", "gone"]


def test_each_attempt_waits_for_its_own_turn(clock: VirtualClock, gate: MakeGate) -> None:
    """The first, and each after a failure; what was refused is answered, and then gone."""
    keeper, it = gate(hang(), auth=A, open_timeout=2.0)
    clock.advance(1.0)
    keeper.open()
    clock.advance(10.0)
    assert it.names == ["Connecting", "ConnectFailed", "Waiting", "Connecting"]
    keeper.open()
    clock.advance(1.0)
    assert it.names[-1] == "Opened"
    admitted = ["asked", "admitted", "answered"]
    assert keeper.words == [*admitted, "gone", *admitted]


def test_an_outage_does_not_count_the_wait(clock: VirtualClock, gate: MakeGate) -> None:
    """C15: ``give_up_after`` is about a server that cannot be reached, not about one that waits."""
    keeper, it = gate(hang(), hang(), hang(), hang(), auth=A, open_timeout=1.0, give_up_after=20.0)
    failed: list[Exception] = []
    it.socket.messages.subscribe(on_error=failed.append)
    for _ in range(3):
        clock.advance(100.0)
        assert not failed
        keeper.open()
    clock.advance(2.0)
    assert not failed
    clock.advance(100.0)
    keeper.open_always()
    clock.advance(50.0)
    keeper.open_always()
    clock.advance(50.0)
    assert isinstance(failed[0], SocketFailed)


def test_a_wait_is_given_up_with_the_attempt(clock: VirtualClock, gate: MakeGate) -> None:
    """By a new credential, by the gate, and by ``close``: nothing is dialled for it later."""
    may_connect = BehaviorSubject(True)
    keeper, it = gate(auth=A, gate=may_connect)
    clock.advance(1.0)
    it.socket.set_auth(B)
    clock.advance(1.0)
    assert keeper.words == ["asked", "given up", "asked"] and len(keeper.waiting) == 1
    may_connect.on_next(False)
    clock.advance(1.0)
    assert isinstance(it.events[-1], Gated) and not keeper.waiting
    may_connect.on_next(True)
    clock.advance(1.0)
    assert len(keeper.waiting) == 1
    it.socket.close()
    clock.advance(1.0)
    assert not keeper.waiting and not it.peer.handshakes
    assert it.socket.state.value is State.CLOSED


def test_a_handover_waits_for_its_turn(clock: VirtualClock, gate: MakeGate) -> None:
    """C13: its timeout counts from there; the old connection delivers meanwhile."""
    keeper, it = gate(
        auth=A, on_auth_change=handover(timeout=5.0), identity=lambda _: 0, latency=0.1
    )
    clock.advance(1.0)
    keeper.open()
    clock.advance(1.0)
    it.socket.set_auth(B)
    clock.advance(300.0)
    it.peer.push("over the old one")
    clock.advance(1.0)
    assert it.names == ["Connecting", "Opened", "Connecting", "Message"]
    assert keeper.words == ["asked", "admitted", "answered", "beside"]
    keeper.open()
    clock.advance(5.0)
    assert it.names[4:] == ["Closed", "Opened"]
    assert it.credentials == ["a", "b"]
    assert keeper.words[4:] == ["admitted", "answered", "gone"]  # the old one is gone


def test_a_handover_that_was_admitted_has_its_time(clock: VirtualClock, gate: MakeGate) -> None:
    keeper, it = gate(
        auth=A, on_auth_change=handover(timeout=5.0, ready="message"), identity=lambda _: 0
    )
    clock.advance(1.0)
    keeper.open()
    clock.advance(1.0)
    it.socket.set_auth(B)
    clock.advance(100.0)
    keeper.open()
    clock.advance(4.0)
    assert it.names == ["Connecting", "Opened", "Connecting"]
    clock.advance(2.0)
    failed = next(event for event in it.events if isinstance(event, RenewalFailed))
    assert "within 5 s and 100 s of waiting for limits=" in str(failed.error)


def test_one_who_fails_to_say_when_fails_the_attempt(clock: VirtualClock, scene: Make) -> None:
    """As an owner in another process may; the next attempt asks again."""

    async def admit(beside: bool) -> None:
        raise ConnectionError("nobody is there to say when")

    it = scene(url=admitted_by(admit, URL), auth=A)
    clock.advance(1.0)
    assert it.names == ["Connecting", "ConnectFailed", "Waiting"]
