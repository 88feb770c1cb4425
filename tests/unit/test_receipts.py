"""Receipts: an outcome to await, to subscribe to, or to block on (C20)."""

from __future__ import annotations

import asyncio
import threading

import pytest
from reactivex import operators as ops

from rxsocket import NotConnected, Receipt, Socket, Stored
from rxsocket.runtime.loop import SocketLoop
from rxsocket.testing import VirtualClock, fake

Reports = list[tuple[str, str, Exception]]


def make() -> tuple[Receipt[str], Reports]:
    """A receipt of a socket that does not run, and what was reported about its observers."""
    reports: Reports = []
    receipt: Receipt[str] = Receipt(SocketLoop(), lambda *report: reports.append(report))
    return receipt, reports


def test_a_value() -> None:
    """Once settled, everybody gets the value at once."""
    receipt, _ = make()
    assert not receipt.done and repr(receipt) == "<Receipt: pending>"
    receipt.settle("yes")
    assert receipt.done and repr(receipt) == "<Receipt: 'yes'>"
    assert receipt.result() == receipt.result(0) == receipt.run() == "yes"


def test_a_failure() -> None:
    """Once failed, everybody gets the exception."""
    receipt, _ = make()
    error = NotConnected("not sent")
    receipt.fail(error)
    assert receipt.done and "NotConnected" in repr(receipt)
    with pytest.raises(NotConnected) as caught:
        receipt.result(0)
    assert caught.value is error


def test_the_first_outcome_stays() -> None:
    """An outcome is there once and never changes."""
    receipt, _ = make()
    receipt.settle("first")
    receipt.settle("second")
    receipt.fail(NotConnected())
    assert receipt.result() == "first"


def test_a_timeout_says_how_long() -> None:
    """``result`` raises TimeoutError when the time is up; the outcome may still come."""
    receipt, _ = make()
    with pytest.raises(TimeoutError, match=r"^no outcome within 0\.01 s$"):
        receipt.result(0.01)
    receipt.settle("late")
    assert receipt.result(0.01) == "late"


def test_a_timeout_as_an_outcome_is_not_ours() -> None:
    """A TimeoutError that is the outcome is raised as it is."""
    receipt, _ = make()
    error = TimeoutError("theirs")
    receipt.fail(error)
    for timeout in (None, 5.0):
        with pytest.raises(TimeoutError) as caught:
            receipt.result(timeout)
        assert caught.value is error


def test_blocking_from_another_thread() -> None:
    """``result`` waits for an outcome that another thread brings."""
    receipt, _ = make()
    thread = threading.Thread(target=lambda: receipt.settle("from afar"))
    thread.start()
    assert receipt.result(5.0) == "from afar"
    thread.join()


@pytest.mark.parametrize("settled_first", [True, False])
def test_subscribing(settled_first: bool) -> None:
    """As an Observable it emits the value and completes, early or late."""
    receipt, _ = make()
    got: list[str] = []
    if settled_first:
        receipt.settle("yes")
    receipt.pipe(ops.map(str.upper)).subscribe(got.append, None, lambda: got.append("|"))
    receipt.settle("yes")
    assert got == ["YES", "|"]


@pytest.mark.parametrize("settled_first", [True, False])
def test_subscribing_to_a_failure(settled_first: bool) -> None:
    """As an Observable it fails, early or late; without on_error nothing is raised or reported."""
    receipt, reports = make()
    error = NotConnected("not sent")
    got: list[object] = []
    if settled_first:
        receipt.fail(error)
    receipt.subscribe(got.append, got.append, lambda: got.append("|"))
    receipt.subscribe(got.append)
    receipt.fail(error)
    assert got == [error]
    assert reports == []


def test_disposing_a_subscription() -> None:
    """Who has left hears nothing, and the outcome is there all the same."""
    receipt, _ = make()
    got: list[str] = []
    receipt.subscribe(got.append).dispose()
    receipt.settle("yes")
    assert got == [] and receipt.result() == "yes"


def test_a_raising_observer_is_reported() -> None:
    """It harms nobody: the others get the outcome (C23)."""
    receipt, reports = make()
    got: list[str] = []

    def failing(_: str) -> None:
        raise KeyError("oops")

    receipt.subscribe(failing)
    receipt.subscribe(got.append)
    receipt.settle("yes")
    assert got == ["yes"]
    [(observer, stream, error)] = reports
    assert "failing" in observer and stream == "receipt" and isinstance(error, KeyError)


def test_awaiting(clock: VirtualClock) -> None:
    """Await it before or after, as often as you like."""
    receipt, _ = make()

    async def main() -> list[str]:
        clock.call_later(5.0, receipt.settle, "yes")
        return [await receipt, await receipt, *await asyncio.gather(_wait(receipt), _wait(receipt))]

    assert clock.run(main()) == ["yes"] * 4
    assert clock.time() == 5.0


async def _wait(receipt: Receipt[str]) -> str:
    return await receipt


def test_awaiting_a_failure(clock: VirtualClock) -> None:
    """The exception is raised where it is awaited."""
    receipt, _ = make()
    clock.call_later(1.0, receipt.fail, NotConnected("not sent"))
    with pytest.raises(NotConnected):
        clock.run(_wait(receipt))


def test_cancelling_a_wait_cancels_nothing(clock: VirtualClock) -> None:
    """A wait with a timeout may be given up; the outcome comes for the others."""
    receipt, _ = make()

    async def impatient() -> None:
        async with asyncio.timeout(1.0):
            await receipt

    with pytest.raises(TimeoutError):
        clock.run(impatient())
    assert not receipt.done
    receipt.settle("yes")
    assert clock.run(_wait(receipt)) == "yes"
    clock.advance(0.0)


def test_a_loop_that_is_gone_is_no_trouble() -> None:
    """An outcome may come after the loop that waited for it was closed."""
    receipt, _ = make()

    async def main() -> None:
        task = asyncio.create_task(_wait(receipt))
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(main())
    receipt.settle("yes")
    assert receipt.result() == "yes"


def test_blocking_the_sockets_own_loop_is_refused(clock: VirtualClock) -> None:
    """On the loop of the socket ``result`` would wait for itself: it says to await."""
    peer = fake()
    socket = Socket(peer.url, transport=peer, auth="a")
    socket.connect()
    clock.advance(1.0)
    receipt = socket.set_auth("b")
    with pytest.raises(RuntimeError, match="await the receipt"):
        receipt.result()
    clock.advance(1.0)
    assert receipt.done
    receipt.result()
    socket.close()
    clock.advance(2.0)


def test_a_socket_that_does_not_run() -> None:
    """Its receipts are settled at once: nothing is queued for a loop that is not there."""
    socket = Socket("ws://host/", auth="a", queue_for=0)
    assert socket.set_auth("b").result(0) == Stored()
    with pytest.raises(NotConnected, match=r"^not sent: the socket is idle"):
        socket.send("hello").result(0)
    assert socket.close().result(0) is None
