"""C10: every attempt carries the newest credential: a value, what was set, or an Observable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import reactivex
from reactivex.subject import BehaviorSubject, ReplaySubject, Subject
from scene import NO_CREDENTIALS, A, B, C, Make, Scene, connecting, left, opened

from rxsocket import (
    AwaitingAuth,
    Cause,
    InEffect,
    Overtaken,
    Socket,
    SourceFailed,
    State,
)
from rxsocket.testing import VirtualClock, accept, reject, unreachable


def test_a_plain_value_goes_with_every_attempt(clock: VirtualClock, scene: Make) -> None:
    """Reconnects carry the same one, and after set_auth the new one."""
    dropped = accept().wait(10.0).drop()
    it = scene(dropped, dropped, dropped, auth=A)
    clock.advance(13.0)
    it.socket.set_auth(B)
    clock.advance(20.0)
    assert it.dials == [(0.0, "a"), (12.0, "a"), (13.0, "b"), (25.0, "b")]


def test_a_pushed_one_is_carried_by_every_attempt(clock: VirtualClock, scene: Make) -> None:
    """Until something newer comes, over failures and lost links."""
    it = scene(accept(), unreachable(), accept().wait(1.0).drop(), accept(), auth=A)
    clock.advance(10.0)
    it.socket.set_auth(B)
    clock.advance(60.0)
    assert it.credentials[0] == "a" and set(it.credentials[1:]) == {"b"}
    assert len(it.credentials) == 3


def test_auth_that_is_no_source_is_refused_at_once(clock: VirtualClock) -> None:
    """A function that takes two arguments, or a number, is told where it is passed."""
    for bad in (lambda a, b: A, 7, ["a"]):
        with pytest.raises(TypeError, match="auth"):
            Socket("ws://fake.test/", auth=bad)  # type: ignore[arg-type]


# --- Observables


def test_what_one_emits_at_once_is_what_to_begin_with(clock: VirtualClock, scene: Make) -> None:
    """A cold one does as it is subscribed to: the last counts, and it is no change."""
    it = scene(auth=reactivex.of(A, B))
    clock.advance(3.0)
    assert it.events == [connecting(1), opened(1)]
    assert it.credentials == ["b"]


def test_one_that_emits_as_it_starts_again_is_dialled_at_once(
    clock: VirtualClock, scene: Make
) -> None:
    """C7: a new credential does not wait as a start after a stop does."""
    source: Subject[Any] = Subject()
    it = scene(auth=source, watch=False)
    for value in (A, B):
        held = it.socket.connect()
        source.on_next(value)
        clock.advance(0.1)
        held.dispose()
        clock.advance(0.1)
    assert it.dials == [(0.0, "a"), (0.2, "b")]


def test_the_handshakes_of_an_observable(clock: VirtualClock, scene: Make) -> None:
    """t1, then t2, and t2 again after a lost link: what was current at each attempt."""
    source: Subject[Any] = Subject()
    it = scene(auth=source)
    source.on_next({"token": "t1"})
    clock.advance(10.0)
    source.on_next({"token": "t2"})
    clock.advance(10.0)
    assert left(1, Cause.AUTH_CHANGED) in it.events
    it.peer.drop()
    clock.advance(10.0)
    assert it.dials == [(0.0, "t1"), (10.0, "t2"), (22.0, "t2")]


def test_a_value_during_an_outage_is_the_next_one(clock: VirtualClock, scene: Make) -> None:
    """A source that renews while the server is away: dialled at once, with the new one."""
    source: BehaviorSubject[Any] = BehaviorSubject(A)
    it = scene(accept().wait(10.0).drop(), auth=source)
    clock.advance(11.0)
    source.on_next(B)
    clock.advance(10.0)
    assert it.dials == [(0.0, "a"), (11.0, "b")]


def test_a_source_emits_while_anything_goes_on(clock: VirtualClock, scene: Make) -> None:
    """While waiting and awaiting auth, too, it is dialled at once."""
    source: BehaviorSubject[Any] = BehaviorSubject(A)
    it = scene(unreachable(), reject(401), auth=source)
    clock.advance(1.0)
    assert it.socket.state.value is State.WAITING
    source.on_next(B)
    clock.advance(10.0)
    assert it.socket.state.value is State.AWAITING_AUTH
    source.on_next(C)
    clock.advance(10.0)
    assert it.dials == [(1.0, "b"), (11.0, "c")]


@pytest.mark.parametrize("stream", ["messages", "events", "state"])
def test_a_source_that_emits_inside_an_observer(
    clock: VirtualClock, scene: Make, stream: str
) -> None:
    """Queued behind the emission, like ``set_auth`` there."""
    source: BehaviorSubject[Any] = BehaviorSubject(A)
    it = scene(accept().wait(10.0).send("1", "2"), watch=False, auth=source)
    getattr(it.socket, stream).subscribe(
        lambda _: source.on_next(B) if it.socket.state.value is State.OPEN else None
    )
    behind: list[str] = []
    it.socket.messages.subscribe(behind.append)
    clock.advance(20.0)
    assert it.credentials == ["a", "b"]
    assert behind == (["1"] if stream == "messages" else [])


def test_a_subject_without_a_value_is_awaited(clock: VirtualClock, scene: Make) -> None:
    """AwaitingAuth(NO_CREDENTIAL) until the first one comes, which is dialled at once."""
    source: Subject[Any] = Subject()
    it = scene(auth=source)
    clock.advance(100.0)
    [awaiting] = it.events
    assert isinstance(awaiting, AwaitingAuth) and awaiting.cause is Cause.NO_CREDENTIAL
    assert it.peer.dials == 0
    source.on_next(A)
    clock.advance(0.0)
    assert it.dials == [(100.0, "a")]


def test_of_several_at_the_start_the_last_is_dialled(clock: VirtualClock, scene: Make) -> None:
    """A source that replays a history says where it stands with the last."""
    source: ReplaySubject[Any] = ReplaySubject()
    for value in (A, B, C):
        source.on_next(value)
    it = scene(auth=source)
    clock.advance(10.0)
    assert it.dials == [(0.0, "c")]


@pytest.mark.parametrize("source", [reactivex.empty(), reactivex.never()], ids=["empty", "never"])
def test_a_source_without_any_value(clock: VirtualClock, scene: Make, source: Any) -> None:
    """It waits for ``set_auth``."""
    it = scene(auth=source)
    clock.advance(100.0)
    assert it.names == ["AwaitingAuth"]
    it.socket.set_auth(A)
    clock.advance(1.0)
    assert it.dials == [(100.0, "a")]


@pytest.mark.parametrize("source", [reactivex.of(A), reactivex.return_value(A)])
def test_a_source_that_completes_is_ignored(clock: VirtualClock, scene: Make, source: Any) -> None:
    """Its last credential stays, for reconnects too, and no stream ends."""
    it = scene(accept().wait(10.0).drop(), auth=source)
    ends: list[str] = []
    it.socket.messages.subscribe(on_completed=lambda: ends.append("completed"))
    clock.advance(60.0)
    assert it.dials == [(0.0, "a"), (12.0, "a")]
    assert ends == []
    assert "SourceFailed" not in it.names


def test_a_source_that_errors_is_reported(clock: VirtualClock, scene: Make) -> None:
    """SourceFailed on ``errors``, nothing else: the connection and the credential stay."""
    source: Subject[Any] = Subject()
    it = scene(auth=source)
    problems: list[Any] = []
    it.socket.errors.subscribe(problems.append)
    source.on_next(A)
    clock.advance(10.0)
    it.clear()
    error = OSError("the source is gone")
    source.on_error(error)
    clock.advance(10.0)
    assert it.entries == [(10.0, SourceFailed(error=error))]
    assert problems == [SourceFailed(error=error)]
    assert it.socket.state.value is State.OPEN
    it.peer.drop()
    clock.advance(10.0)
    assert it.dials == [(0.0, "a"), (22.0, "a")]
    it.socket.set_auth(B)
    clock.advance(10.0)
    assert it.dials[-1] == (30.0, "b")


def test_a_source_that_fails_at_once(clock: VirtualClock, scene: Make) -> None:
    """Reported, and awaited: a value may still be set."""
    it = scene(watch=False, auth=reactivex.throw(RuntimeError("no vault")))
    problems: list[object] = []
    it.socket.errors.subscribe(problems.append)
    it.watch()
    clock.advance(10.0)
    assert [type(problem) for problem in problems] == [SourceFailed]
    assert it.socket.state.value is State.AWAITING_AUTH
    assert it.peer.dials == 0
    it.socket.set_auth(A)
    clock.advance(1.0)
    assert it.credentials == ["a"]


@pytest.mark.parametrize("name", NO_CREDENTIALS)
def test_what_is_no_credential_is_reported(
    clock: VirtualClock, scene: Make, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """SourceFailed, without the value; the one before stays, and the source goes on."""
    source: Subject[Any] = Subject()
    it = scene(auth=source)
    problems: list[Any] = []
    it.socket.errors.subscribe(problems.append)
    source.on_next(A)
    clock.advance(10.0)
    it.clear()
    source.on_next(NO_CREDENTIALS[name])
    clock.advance(10.0)
    assert it.names == ["SourceFailed"]
    (failed,) = it.events
    assert problems == [failed]
    assert isinstance(failed, SourceFailed)
    assert isinstance(failed.error, (TypeError, ValueError))
    assert "s3cret" not in repr(it.events) + caplog.text
    source.on_next(B)
    clock.advance(10.0)
    assert it.dials == [(0.0, "a"), (20.0, "b")]


PUSHES: dict[str, tuple[str, list[str]]] = {
    "set, then the source": ("set b, source c", ["a", "b", "c"]),
    "the source, then set": ("source c, set b", ["a", "c", "b"]),
    "back and forth": ("set b, source c, set b, source a", ["a", "b", "c", "b", "a"]),
    "the source repeats itself": ("set b, source a", ["a", "b", "a"]),
}


@pytest.mark.parametrize("which", PUSHES)
def test_the_newest_of_set_auth_and_the_source_wins(
    clock: VirtualClock, scene: Make, which: str
) -> None:
    """Whoever spoke last: also a source that says again what it said before set_auth."""
    steps, expected = PUSHES[which]
    source: Subject[Any] = Subject()
    it = scene(auth=source)
    source.on_next(A)
    for step in steps.split(", "):
        clock.advance(10.0)
        who, value = step.split()
        (it.socket.set_auth if who == "set" else source.on_next)({"token": value})
    clock.advance(10.0)
    assert it.credentials == expected


@pytest.mark.parametrize("first", ["set", "source"])
def test_both_at_once(clock: VirtualClock, scene: Make, first: str) -> None:
    """In one instant the later one is dialled, and the other not; receipts tell."""
    source: Subject[Any] = Subject()
    it = scene(auth=source)
    source.on_next(A)
    clock.advance(10.0)
    if first == "source":
        source.on_next(C)
    receipt = it.socket.set_auth(B)
    if first == "set":
        source.on_next(C)
    clock.advance(10.0)
    assert it.credentials == (["a", "b"] if first == "source" else ["a", "c"])
    assert receipt.result() == (InEffect(epoch=2) if first == "source" else Overtaken())


# --- the next start


def restarted(clock: VirtualClock, it: Scene, between: Callable[[], object]) -> list[str | None]:
    """Leave, do something while nothing runs, come back; the credentials from then on."""
    before = len(it.peer.handshakes)
    it.socket.connect()
    between()
    clock.advance(10.0)
    return it.credentials[before:]


def started(clock: VirtualClock, it: Scene, then: Callable[[], object]) -> None:
    """Start, do something, and leave."""
    hold = it.socket.connect()
    clock.advance(10.0)
    then()
    clock.advance(10.0)
    hold.dispose()
    clock.advance(10.0)
    assert it.socket.state.value is State.IDLE


def replaying(kind: str) -> tuple[Any, Callable[[Any], object]]:
    """A source that replays, whose last credential is A, and how to push another one."""
    if kind == "BehaviorSubject":
        subject: Any = BehaviorSubject(A)
        return subject, subject.on_next
    if kind == "ReplaySubject":
        subject = ReplaySubject()
        subject.on_next(C)
        subject.on_next(A)
        return subject, subject.on_next
    if kind == "ReplaySubject of one":
        subject = ReplaySubject(1)
        subject.on_next(A)
        return subject, subject.on_next
    return {"cold": reactivex.of(A), "cold, two": reactivex.of(C, A)}[kind], lambda _: None


SUBJECTS = ("BehaviorSubject", "ReplaySubject of one", "ReplaySubject")


@pytest.mark.parametrize("kind", [*SUBJECTS, "cold", "cold, two"])
def test_what_is_replayed_at_a_restart_is_no_change(
    clock: VirtualClock, scene: Make, kind: str
) -> None:
    """The source said A before B was set: at the next start B is still the newest."""
    it = scene(auth=replaying(kind)[0], watch=False)
    started(clock, it, lambda: it.socket.set_auth(B))
    assert restarted(clock, it, lambda: None) == ["b"]
    assert it.credentials[-3:] == ["a", "b", "b"]


def test_what_is_replayed_after_a_close_is_no_change(clock: VirtualClock, scene: Make) -> None:
    """It had said so before: what was set since is newer."""
    source: BehaviorSubject[Any] = BehaviorSubject(A)
    it = scene(auth=source)
    clock.advance(10.0)
    it.socket.set_auth(B)
    clock.advance(10.0)
    it.socket.close()
    clock.advance(2.0)
    it.watch()
    clock.advance(1.0)
    assert it.credentials == ["a", "b", "b"]


@pytest.mark.parametrize("kind", SUBJECTS)
def test_what_was_pushed_meanwhile_is_one(clock: VirtualClock, scene: Make, kind: str) -> None:
    """The source said C while nothing ran: C is dialled at the next start, and nothing before."""
    source, push = replaying(kind)
    it = scene(auth=source, watch=False)
    started(clock, it, lambda: it.socket.set_auth(B))
    push({"token": "new"})
    assert restarted(clock, it, lambda: None) == ["new"]


def test_what_changed_while_it_was_closed_is_news(clock: VirtualClock, scene: Make) -> None:
    """A source that moved on meanwhile is where the next life begins."""
    source: BehaviorSubject[Any] = BehaviorSubject(A)
    it = scene(auth=source)
    clock.advance(10.0)
    it.socket.close()
    clock.advance(2.0)
    source.on_next(C)
    it.watch()
    clock.advance(1.0)
    assert it.credentials == ["a", "c"]


@pytest.mark.parametrize("kind", SUBJECTS)
def test_what_is_set_before_the_first_start(clock: VirtualClock, scene: Make, kind: str) -> None:
    """set_auth(B) before anything ran: a source that is known to be older does not overrule it."""
    it = scene(auth=replaying(kind)[0], watch=False)
    it.socket.set_auth(B)
    it.watch()
    clock.advance(10.0)
    # only a BehaviorSubject shows what it holds before it is subscribed to
    assert it.credentials == (["b"] if kind == "BehaviorSubject" else ["a"])


def test_a_source_is_let_go_with_the_socket(clock: VirtualClock, scene: Make) -> None:
    """Followed while the socket runs, not before and not after."""
    source: BehaviorSubject[Any] = BehaviorSubject(A)
    it = scene(watch=False, auth=source)
    assert not source.observers
    leave = it.socket.connect()
    assert len(source.observers) == 1
    clock.advance(1.0)
    leave.dispose()
    assert not source.observers
    it.socket.connect()
    clock.advance(2.0)
    assert len(source.observers) == 1
    it.socket.close()
    assert not source.observers
