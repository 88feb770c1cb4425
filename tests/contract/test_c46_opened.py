"""C46: ``opened()`` gives the connection that is open, or the next one, or says why not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from reactivex import operators as ops
from reactivex.subject import BehaviorSubject
from scene import A, B, Make, Scene

from rxsocket import NotConnected, Opened, Receipt, SocketFailed, State
from rxsocket.testing import VirtualClock, accept, reject


def outcome(receipt: Receipt[Opened]) -> Any:
    """The epoch of the connection, the error, or ``None`` while there is no outcome."""
    if not receipt.done:
        return None
    try:
        return receipt.result().epoch
    except Exception as error:
        return error


def watched(it: Scene) -> bool:
    """Whether anybody looks at the state of the socket."""
    return "0 observers" not in repr(it.socket.state)


def test_it_settles_at_once_while_the_socket_is_open(clock: VirtualClock, scene: Make) -> None:
    """With the event of the connection that is open, not that of one before."""
    it = scene(auth=A)
    clock.advance(1.0)
    it.socket.set_auth(B)
    clock.advance(1.0)
    receipt = it.socket.opened(10)
    assert receipt.done
    assert receipt.result() is [event for event in it.events if isinstance(event, Opened)][-1]
    assert not watched(it)


def test_it_waits_for_the_next_connection(clock: VirtualClock, scene: Make) -> None:
    """However many attempts fail before; every observer of the opening is called first."""
    it = scene(reject(503), reject(503), accept(), auth=A)
    order: list[object] = []
    receipt = it.socket.opened()
    receipt.subscribe(lambda event: order.append(("opened", event.epoch)))
    it.socket.on_open(lambda: order.append("on_open"))
    clock.advance(1.0)
    assert not receipt.done
    clock.advance(60.0)
    assert order == ["on_open", ("opened", 3)]
    assert not watched(it)


def test_what_is_waited_for_may_be_an_answer_and_not_the_server(
    clock: VirtualClock, scene: Make
) -> None:
    """C3: such as while somebody logs in; then it is the server's again."""

    async def login() -> str:
        await asyncio.sleep(7.0)
        return A

    it = scene(auth=login, latency=1.0)
    receipt = it.socket.opened(6)
    clock.advance(6.5)
    says = (
        "not open within 6 s: connecting for 6.0 s: somebody subscribed; next: an answer of what "
        "was given as auth=; you can: look into what was given as auth="
    )
    assert str(outcome(receipt)) == says
    clock.advance(1.0)
    assert it.socket.explain().next == "the server's answer"
    clock.advance(1.0)
    assert it.socket.explain().state is State.OPEN


def test_it_is_awaited(clock: VirtualClock, scene: Make) -> None:
    it = scene(auth=A, latency=1.0, watch=False)

    async def main() -> Opened:
        async with it.socket:
            return await it.socket.opened(10)

    assert clock.run(main()).epoch == 1


def test_when_the_time_is_over_it_says_why(clock: VirtualClock, scene: Make) -> None:
    """In the words of ``explain()``, with what comes next and what can be done."""
    it = scene(reject(503), auth=A)
    it.peer.default = reject(503)
    receipt = it.socket.opened(3.0)
    clock.advance(2.9)
    assert not receipt.done
    clock.advance(0.2)
    error = outcome(receipt)
    assert isinstance(error, TimeoutError)
    assert str(error) == (
        "not open within 3 s: waiting for 1.0 s: 2 attempts failed, the last one: the server "
        "refused the handshake with HTTP 503 (Service Unavailable); next: attempt 3 in 3.0 s; "
        "you can: call reconnect() to try at once"
    )
    assert not watched(it)


def test_a_refused_credential_is_waited_out(clock: VirtualClock, scene: Make) -> None:
    """Another one may come; when the time is over the error names the refusal, and no secret."""
    it = scene(auth={"token": "s3cret-canary"}, tokens={"b"})
    late, patient = it.socket.opened(5), it.socket.opened(60)
    clock.advance(6.0)
    text = str(outcome(late))
    assert "not open within 5 s: waiting for a credential for 5" in text
    assert "refused the handshake with HTTP 401" in text
    assert "you can: call set_auth(...)" in text
    assert "canary" not in text
    it.socket.set_auth(B)
    clock.advance(1.0)
    assert outcome(patient) == 2


def test_a_gate_and_a_missing_credential_are_waited_out(clock: VirtualClock, scene: Make) -> None:
    gate = BehaviorSubject(False)
    it = scene(auth=None, gate=gate)
    receipt, late = it.socket.opened(), it.socket.opened(1)
    clock.advance(2.0)
    assert "waiting for the gate to open" in str(outcome(late))
    gate.on_next(True)
    clock.advance(1.0)
    assert not receipt.done
    it.socket.set_auth(A)
    clock.advance(1.0)
    assert isinstance(outcome(receipt), int)


def test_it_fails_when_the_socket_is_closed(clock: VirtualClock, scene: Make) -> None:
    """At once, also for who waits without a timeout; and for who asks only then."""
    it = scene(auth=A, latency=1.5)
    receipt = it.socket.opened()
    clock.advance(1.0)
    it.socket.close()
    clock.advance(0)
    for one in (receipt, it.socket.opened(10)):
        error = outcome(one)
        assert isinstance(error, NotConnected)
        assert "not open: ended" in str(error)
        assert "subscribe again to start afresh" in str(error)
    assert not watched(it)


def test_it_fails_with_what_the_socket_failed_with(clock: VirtualClock, scene: Make) -> None:
    it = scene(reject(503), auth=A, max_attempts=1)
    it.peer.default = reject(503)
    receipt = it.socket.opened()
    clock.advance(1.0)
    assert isinstance(outcome(receipt), SocketFailed)
    assert outcome(it.socket.opened()) is outcome(receipt)


def test_it_fails_when_the_last_subscriber_leaves(clock: VirtualClock, scene: Make) -> None:
    """It connects nothing by itself, so nothing comes any more."""
    it = scene(auth=A, latency=1.5, watch=False)
    subscribed = it.socket.messages.subscribe()
    receipt = it.socket.opened()
    clock.advance(1.0)
    subscribed.dispose()
    clock.advance(0)
    error = outcome(receipt)
    assert isinstance(error, NotConnected)
    assert "the last subscriber left" in str(error)
    with pytest.raises(RuntimeError, match="nothing connects this socket"):
        it.socket.opened()


def test_it_connects_nothing(clock: VirtualClock, scene: Make) -> None:
    """On an idle socket it says what does; it holds none open."""
    it = scene(auth=A, watch=False)
    with pytest.raises(RuntimeError, match=r"subscribe to a stream, call connect\(\)"):
        it.socket.opened(10)
    connected = it.socket.connect()
    clock.advance(1.0)
    receipt = it.socket.opened()
    connected.dispose()
    clock.advance(1.0)
    assert outcome(receipt) == 1
    assert it.peer.connections == 0


def test_it_waits_for_a_socket_that_starts_afresh(clock: VirtualClock, scene: Make) -> None:
    """What was said of the run before is not said of this one."""
    it = scene(auth=A)
    clock.advance(1.0)
    it.socket.close()
    clock.advance(1.0)
    it.socket.connect()
    receipt = it.socket.opened(10)
    clock.advance(1.0)
    assert outcome(receipt) == 2


def test_cancelling_the_wait_leaves_nothing(clock: VirtualClock, scene: Make) -> None:
    """Neither an observer nor a timer; who waits for the same receipt later is told."""
    it = scene(auth=A, latency=1.5)
    receipt = it.socket.opened(100)

    async def given_up() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await receipt

    clock.run(given_up())
    assert not watched(it)
    assert not receipt.done

    async def again() -> int:
        return (await receipt).epoch

    assert clock.run(again()) == 1


def test_the_time_runs_from_the_first_call(clock: VirtualClock, scene: Make) -> None:
    """Who waits for a receipt again, after the time, is told so at once."""
    it = scene(auth=A, latency=5.0)
    receipt = it.socket.opened(2)

    async def wait(seconds: float) -> None:
        async with asyncio.timeout(seconds):
            await receipt

    with pytest.raises(TimeoutError):
        clock.run(wait(0.2))
    clock.advance(2.0)
    with pytest.raises(TimeoutError, match="not open within 2 s: connecting"):
        clock.run(wait(1.0))
    assert clock.time() < 4.0


def test_others_go_on_waiting_when_one_is_cancelled(clock: VirtualClock, scene: Make) -> None:
    it = scene(auth=A, latency=1.5)
    receipt = it.socket.opened()
    heard: list[int] = []
    receipt.pipe(ops.map(lambda event: event.epoch)).subscribe(heard.append)

    async def given_up() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await receipt

    clock.run(given_up())
    clock.advance(10.0)
    assert heard == [1]


@pytest.mark.parametrize("timeout", ["5", -1, float("nan"), True])
def test_a_wrong_timeout_is_refused(timeout: Any, scene: Make) -> None:
    it = scene(auth=A)
    with pytest.raises((TypeError, ValueError), match="timeout"):
        it.socket.opened(timeout)
