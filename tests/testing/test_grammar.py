"""The checker of C2."""

from __future__ import annotations

import pytest
from reactivex.subject import Subject

from rxsocket.events import (
    Aborted,
    AwaitingAuth,
    Cause,
    Closed,
    ConnectFailed,
    Connecting,
    Ended,
    Event,
    Fresh,
    Message,
    Opened,
    Rejected,
    Stale,
    Waiting,
)
from rxsocket.policy.verdicts import Verdict
from rxsocket.testing import Grammar, GrammarError


def connecting(epoch: int) -> Connecting:
    return Connecting(epoch=epoch, cause=Cause.STARTED, attempt=1, url="ws://x/")


def failed(epoch: int) -> ConnectFailed:
    return ConnectFailed(epoch=epoch, error=OSError(), verdict=Verdict.RECONNECT)


def rejected(epoch: int) -> Rejected:
    return Rejected(epoch=epoch, error=OSError(), verdict=Verdict.AWAIT_AUTH)


def aborted(epoch: int) -> Aborted:
    return Aborted(epoch=epoch, cause=Cause.AUTH_CHANGED)


def opened(epoch: int) -> Opened:
    return Opened(epoch=epoch)


def message(epoch: int) -> Message:
    return Message(epoch=epoch, data="x")


def closed(epoch: int) -> Closed:
    return Closed(epoch=epoch, code=1006)


WAITING = Waiting(delay=1.0, failures=1, cause=Cause.LOST)
AWAITING = AwaitingAuth(reason="no", cause=Cause.REFUSED)
ENDED = Ended(verdict=Verdict.COMPLETE, cause=Cause.PEER)


def test_a_whole_life() -> None:
    """Every way an epoch can go is accepted, with the socket's own events in between."""
    grammar = Grammar()
    for event in (
        connecting(1),
        failed(1),
        WAITING,
        connecting(2),
        opened(2),
        message(2),
        WAITING,
        message(2),
        closed(2),
        connecting(3),
        rejected(3),
        AWAITING,
        connecting(4),
        aborted(4),
        connecting(5),
        opened(5),
        closed(5),
        ENDED,
    ):
        grammar.check(event)
    grammar.done()


def test_handover_dials_while_the_old_one_is_open() -> None:
    """An epoch may be dialled while the one before it still delivers (C13)."""
    grammar = Grammar(first=7)
    for event in (
        connecting(7),
        opened(7),
        connecting(8),
        message(7),
        closed(7),
        opened(8),
        closed(8),
    ):
        grammar(event)
    grammar.done()


@pytest.mark.parametrize(
    ("events", "why"),
    [
        ([connecting(2)], "epoch 2 begins; 1 is the next"),
        ([connecting(1), failed(1), connecting(3)], "epoch 3 begins; 2 is the next"),
        ([connecting(1), failed(1), connecting(1)], "epoch 1 begins; 2 is the next"),
        ([connecting(1), connecting(1)], "epoch 1 begins; 2 is the next"),
        ([opened(1)], "Opened of epoch 1, which has not begun"),
        ([connecting(1), message(1)], "Message of epoch 1, which is being dialled"),
        ([connecting(1), closed(1)], "Closed of epoch 1, which is being dialled"),
        ([connecting(1), opened(1), opened(1)], "Opened of epoch 1, which is open"),
        ([connecting(1), opened(1), failed(1)], "ConnectFailed of epoch 1, which is open"),
        ([connecting(1), opened(1), aborted(1)], "Aborted of epoch 1, which is open"),
        ([connecting(1), opened(1), closed(1), closed(1)], "Closed of epoch 1, which is over"),
        ([connecting(1), opened(1), closed(1), message(1)], "Message of epoch 1, which is over"),
        ([connecting(1), aborted(1), opened(1)], "Opened of epoch 1, which is over"),
        (
            [connecting(1), opened(1), connecting(2), opened(2)],
            "Opened of epoch 2 while epoch 1 is open",
        ),
        ([connecting(1), opened(1), message(2)], "Message of epoch 2, which has not begun"),
    ],
)
def test_what_breaks_it(events: list[Event], why: str) -> None:
    """Each violation is an error that names the event and shows what came before."""
    grammar = Grammar()
    for event in events[:-1]:
        grammar.check(event)
    with pytest.raises(GrammarError, match=why) as caught:
        grammar.check(events[-1])
    assert caught.value.event is events[-1]
    assert caught.value.history == tuple(events)
    with pytest.raises(GrammarError, match=why):
        grammar.done()


@pytest.mark.parametrize("events", [[connecting(1)], [connecting(1), opened(1), message(1)]])
def test_unfinished(events: list[Event]) -> None:
    """An epoch that is not over when the socket has ended is an error."""
    grammar = Grammar()
    for event in events:
        grammar.check(event)
    with pytest.raises(GrammarError, match=r"epoch 1 is .* at the end"):
        grammar.done()


def test_history_is_the_last_20() -> None:
    """An error shows the last 20 events, not all of them."""
    grammar = Grammar()
    grammar(connecting(1))
    grammar(opened(1))
    for _ in range(100):
        grammar(message(1))
    with pytest.raises(GrammarError) as caught:
        grammar(aborted(1))
    assert len(caught.value.history) == 20
    assert str(caught.value).count("Message(") == 19


def test_subscribes_to_a_stream() -> None:
    """It is subscribed like any observer, and remembers an error that somebody swallowed."""
    events: Subject[Event] = Subject()
    grammar = Grammar()
    events.subscribe(grammar, lambda error: None)
    events.on_next(connecting(1))
    with pytest.raises(GrammarError):
        events.on_next(message(1))
    with pytest.raises(GrammarError):
        grammar.done()


def test_stale_and_fresh_take_turns_while_an_epoch_is_open() -> None:
    """C2: neither comes twice in a row, or for an epoch that is not open."""
    opening: list[Event] = [connecting(1), Opened(epoch=1)]
    stale, fresh = Stale(epoch=1, silence=60.0), Fresh(epoch=1, silence=61.0)
    grammar = Grammar()
    for event in (*opening, stale, fresh, stale, Closed(epoch=1)):
        grammar.check(event)
    grammar.done()
    for wrong in (
        [stale],
        [*opening, fresh],
        [*opening, stale, stale],
        [*opening, stale, fresh, fresh],
    ):
        grammar = Grammar()
        for event in wrong[:-1]:
            grammar.check(event)
        with pytest.raises(GrammarError, match="of epoch 1"):
            grammar.check(wrong[-1])
