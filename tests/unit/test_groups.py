"""Leases as marbles: which credentials share a session (C13)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from reactivex import Observable
from reactivex import operators as ops
from reactivex.subject import Subject
from reactivex.testing import ReactiveTest, TestScheduler

from rxsocket.auth.groups import CredentialGroup, group_renewals

on_next, on_completed, on_error = (
    ReactiveTest.on_next,
    ReactiveTest.on_completed,
    ReactiveTest.on_error,
)
Keeps = Callable[[str, str], bool]


def never(current: str, following: str) -> bool:
    """What reconnect() does: no session outlives a change."""
    return False


def same_case(current: str, following: str) -> bool:
    """Keep the session while the letters are of the same case."""
    return current.islower() == following.islower()


def hot(scheduler: TestScheduler, marbles: str, end: str = "") -> Observable[str]:
    """A hot Observable: one letter each 10 ticks from 210 on, ``-`` for none."""
    messages = [
        on_next(210 + 10 * index, letter) for index, letter in enumerate(marbles) if letter != "-"
    ]
    at = 210 + 10 * len(marbles)
    messages += [on_completed(at)] if end == "|" else [on_error(at, "x")] if end == "x" else []
    return scheduler.create_hot_observable(*messages)


def renewals_of(group: CredentialGroup[str]) -> Observable[str]:
    """What the one follower of a lease is told."""
    renewals: Subject[str] = Subject()
    group.follow(renewals)
    return renewals


def told(keeps: Keeps, marbles: str, end: str = "") -> list[object]:
    """What an observer of the leases and of all their renewals is told, in order."""
    scheduler = TestScheduler()
    log: list[object] = []

    def show(group: CredentialGroup[str]) -> Observable[str]:
        log.append(f"{scheduler.clock:g} lease {group.first}")
        return renewals_of(group).pipe(
            ops.do_action(
                lambda renewal: log.append(f"{scheduler.clock:g} {group.first} renews {renewal}"),
                on_completed=lambda: log.append(f"{scheduler.clock:g} {group.first} over"),
            )
        )

    def create() -> Observable[str]:
        return hot(scheduler, marbles, end).pipe(group_renewals(keeps), ops.flat_map(show))

    results = scheduler.start(create)
    ends = [message for message in results.messages if message.value.kind != "N"]
    log.extend(f"{message.time:g} {message.value.kind}" for message in ends)
    return log


def test_without_keeping_each_credential_is_a_lease() -> None:
    """With a strategy that never keeps, each value begins a lease; the one before is over then."""
    assert told(never, "ab-c") == [
        "210 lease a",
        "220 a over",
        "220 lease b",
        "240 b over",
        "240 lease c",
    ]


def test_what_is_kept_is_a_renewal() -> None:
    """With one that keeps, a value of the same kind goes to the lease; another begins its own."""
    assert told(same_case, "abC-Dea") == [
        "210 lease a",
        "220 a renews b",
        "230 a over",
        "230 lease C",
        "250 C renews D",
        "260 C over",
        "260 lease e",
        "270 e renews a",
    ]


def test_keeping_looks_at_the_last_one() -> None:
    """A value is compared with the credential before it, not with the lease's first."""
    seen: list[tuple[str, str]] = []

    def keeps(current: str, following: str) -> bool:
        seen.append((current, following))
        return following != "d"

    told(keeps, "abcde")
    assert seen == [("a", "b"), ("b", "c"), ("c", "d"), ("d", "e")]


@pytest.mark.parametrize("keeps", [never, same_case])
def test_an_error_of_the_source_goes_through(keeps: Keeps) -> None:
    """An error is passed on."""
    assert told(keeps, "a", "x") == ["210 lease a", "220 E"]


@pytest.mark.parametrize("keeps", [never, same_case])
def test_completion_goes_through(keeps: Keeps) -> None:
    """A source that completes leaves the last lease to go on (C10)."""
    scheduler = TestScheduler()
    results = scheduler.start(
        lambda: hot(scheduler, "ab", "|").pipe(
            group_renewals(keeps), ops.map(lambda group: group.first)
        )
    )
    assert results.messages[-1] == on_completed(230)


def test_the_renewals_come_before_the_switch() -> None:
    """Under ``switch_map``, as the socket uses it: a renewal reaches the live session."""
    scheduler = TestScheduler()

    def session(group: CredentialGroup[str]) -> Observable[str]:
        return renewals_of(group).pipe(ops.start_with(group.first), ops.map(str.upper))

    results = scheduler.start(
        lambda: hot(scheduler, "abCdD").pipe(
            group_renewals(same_case), ops.map(session), ops.switch_latest()
        )
    )
    assert results.messages == [
        on_next(210, "A"),
        on_next(220, "B"),
        on_next(230, "C"),
        on_next(240, "D"),
        on_next(250, "D"),
    ]


def test_each_subscription_is_its_own() -> None:
    """A second subscriber begins with a lease of its own, whatever the first has seen."""
    scheduler = TestScheduler()
    source = hot(scheduler, "abc").pipe(
        group_renewals(same_case), ops.map(lambda group: group.first)
    )
    first, second = scheduler.create_observer(), scheduler.create_observer()
    scheduler.schedule_absolute(200, lambda *_: source.subscribe(first))
    scheduler.schedule_absolute(225, lambda *_: source.subscribe(second))
    scheduler.start()
    assert first.messages == [on_next(210, "a")]
    assert second.messages == [on_next(230, "c")]


def test_disposing_leaves_the_source() -> None:
    """Disposing the leases unsubscribes from the credentials."""
    scheduler = TestScheduler()
    source = scheduler.create_hot_observable(on_next(210, "a"), on_next(220, "b"))
    scheduler.start(lambda: source.pipe(group_renewals(never)), disposed=215)
    assert [(s.subscribe, s.unsubscribe) for s in source.subscriptions] == [(200, 215)]
    assert "secret" not in repr(CredentialGroup("secret"))
