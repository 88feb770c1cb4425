"""C10: every attempt carries the current credential, wherever it comes from."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import reactivex
from reactivex.subject import BehaviorSubject, ReplaySubject, Subject
from scene import A, B, C, Make, connecting, left, opened

from rxsocket import (
    Aborted,
    Ask,
    AwaitingAuth,
    Carried,
    Cause,
    ConnectFailed,
    Connecting,
    InEffect,
    Overtaken,
    ProviderFailed,
    Reason,
    Rejected,
    SourceFailed,
    State,
    Unauthorized,
    Verdict,
    Waiting,
    header,
    query,
)
from rxsocket.testing import VirtualClock, accept, reject, unreachable


class Minting:
    """An async provider that takes some seconds and gives "1", "2", ... in the order of asking."""

    def __init__(self, virtual: VirtualClock, *seconds: float) -> None:
        self._virtual = virtual
        self._seconds = list(seconds)
        self.times: list[float] = []
        self.running = self.most = 0
        self.given: list[str] = []
        self.cancelled = 0

    async def __call__(self) -> dict[str, str]:
        self.times.append(self._virtual.time())
        number = str(len(self.times))
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(self._seconds.pop(0) if self._seconds else 0.0)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1
        self.given.append(number)
        return {"token": number}


def dialled(it: Any) -> list[float]:
    return [at for at, event in it.entries if isinstance(event, Connecting)]


# --- every attempt


@pytest.mark.parametrize("kind", ["no argument", "one argument", "async", "awaitable", "object"])
def test_a_provider_is_asked_before_every_attempt(
    virtual: VirtualClock, scene: Make, kind: str
) -> None:
    """Sync or async, with an argument or without: each handshake has what it gave for it."""
    count = iter("12345")

    async def waited() -> str:
        return next(count)

    class Provider:
        def __call__(self, ask: Ask) -> str:
            return next(count)

    providers: dict[str, Any] = {
        "no argument": lambda: next(count),
        "one argument": lambda ask: next(count),
        "async": waited,
        "awaitable": lambda: waited(),
        "object": Provider(),
    }
    it = scene(accept().wait(10.0).drop(), unreachable(), auth=providers[kind])
    virtual.advance(30.0)
    assert it.dials == [(0.0, "1"), (16.0, "3")]
    assert it.socket.state.value is State.OPEN


def test_a_provider_is_told_why_it_is_asked(virtual: VirtualClock, scene: Make) -> None:
    """FIRST at a start, RECONNECT after an outage, with the number of the attempt."""
    asks: list[Ask] = []

    def provider(ask: Ask) -> str:
        asks.append(ask)
        return "a"

    it = scene(unreachable(), unreachable(), accept().wait(10.0).drop(), auth=provider)
    virtual.advance(30.0)
    assert [(ask.attempt, ask.reason) for ask in asks] == [
        (1, Reason.FIRST),
        (2, Reason.RECONNECT),
        (3, Reason.RECONNECT),
        (1, Reason.RECONNECT),
    ]
    assert it.socket.state.value is State.OPEN


CARRIERS: dict[str, Any] = {
    "query": query(),
    "header": header(),
    "custom": lambda value: Carried(headers=(("Authorization", f"Bearer {value}"),)),
}


@pytest.mark.parametrize("name", CARRIERS)
def test_each_carrier_is_asked_again(virtual: VirtualClock, scene: Make, name: str) -> None:
    """However it is carried, the next attempt has the next value."""
    count = iter("12345")
    drop = accept().wait(10.0).drop()
    it = scene(drop, drop, auth=lambda: next(count), carrier=CARRIERS[name])
    virtual.advance(30.0)
    assert it.credentials == ["1", "2", "3"]


def test_a_pushed_one_is_carried_by_every_attempt(virtual: VirtualClock, scene: Make) -> None:
    """Until something newer comes, over failures and lost links."""
    it = scene(accept(), unreachable(), accept().wait(1.0).drop(), accept(), auth=A)
    virtual.advance(10.0)
    it.socket.set_auth(B)
    virtual.advance(60.0)
    assert it.credentials[0] == "a" and set(it.credentials[1:]) == {"b"}
    assert len(it.credentials) == 3


def test_a_pushed_one_stays_although_there_is_a_provider(
    virtual: VirtualClock, scene: Make
) -> None:
    """The provider is not asked for the attempts of a credential that was set."""
    provider = Minting(virtual)
    it = scene(accept(), accept().wait(5.0).drop(), auth=provider)
    virtual.advance(10.0)
    it.socket.set_auth(B)
    virtual.advance(60.0)
    assert it.credentials == ["1", "b", "b"]
    assert provider.times == [0.0]


def test_auth_shows_what_is_in_use(virtual: VirtualClock, scene: Make) -> None:
    """``auth`` has the credential of each attempt, masked, a provider's too."""
    it = scene(accept().wait(5.0).drop(), watch=False, auth=Minting(virtual))
    shown: list[str] = []
    it.socket.auth.subscribe(lambda credential: shown.append(repr(credential)))
    it.watch()
    virtual.advance(20.0)
    assert shown == ["Credential(none yet)", "Credential(token=***)", "Credential(token=***)"]


# --- one call at a time, for 10 s


def test_one_call_at_a_time(virtual: VirtualClock, scene: Make) -> None:
    """``reconnect()`` while it is asked waits for the same call; its result is dialled once."""
    provider = Minting(virtual, 3.0)
    it = scene(auth=provider)
    virtual.advance(1.0)
    it.socket.reconnect()
    virtual.advance(1.0)
    it.socket.reconnect()
    virtual.advance(10.0)
    assert (provider.times, provider.most) == ([0.0], 1)
    assert it.dials == [(3.0, "1")]
    assert provider.cancelled == 0


def test_an_overtaken_waiter_is_cancelled_the_call_is_not(
    virtual: VirtualClock, scene: Make
) -> None:
    """``set_auth`` while it is asked: B is dialled, the call goes on, its result goes nowhere."""
    provider = Minting(virtual, 5.0)
    it = scene(auth=provider)
    virtual.advance(1.0)
    change = it.socket.set_auth(B)
    virtual.advance(60.0)
    assert (provider.given, provider.cancelled) == (["1"], 0)
    assert it.dials == [(1.0, "b")]
    assert it.events == [
        connecting(1),
        Aborted(epoch=1, cause=Cause.AUTH_CHANGED),
        connecting(2, Cause.AUTH_CHANGED),
        opened(2, Cause.AUTH_CHANGED),
    ]
    assert change.result() == InEffect(epoch=2)
    assert repr(it.socket.auth.value) == "Credential(token=***)"


def test_a_late_result_is_not_used_for_a_later_attempt(virtual: VirtualClock, scene: Make) -> None:
    """After a refusal of B the provider is asked anew, not served from what came meanwhile."""
    provider = Minting(virtual, 2.0)
    it = scene(accept().wait(10.0).close(4401), auth=provider)
    virtual.advance(1.0)
    it.socket.set_auth(B)
    virtual.advance(30.0)
    assert provider.times == [0.0, 11.0]
    assert it.dials == [(1.0, "b"), (11.0, "2")]


def test_10_s_at_most(virtual: VirtualClock, scene: Make) -> None:
    """A provider that hangs is a failed attempt after 10 s, then it is asked again."""
    provider = Minting(virtual, 1000.0)
    it = scene(auth=provider)
    virtual.advance(20.0)
    failed = it.events[1]
    assert it.story[:3] == [(0.0, "Connecting"), (10.0, "ConnectFailed"), (10.0, "Waiting")]
    assert isinstance(failed, ConnectFailed) and isinstance(failed.error, ProviderFailed)
    assert "10 s" in str(failed.error) and failed.verdict is Verdict.RECONNECT
    assert (provider.cancelled, it.dials) == (1, [(12.0, "2")])


@pytest.mark.parametrize(("timeout", "opens"), [(1.0, False), (30.0, True), (None, True)])
def test_the_users_auth_timeout(
    virtual: VirtualClock, scene: Make, timeout: float | None, opens: bool
) -> None:
    """``auth_timeout`` says how long, ``None`` for as long as it likes."""
    it = scene(auth=Minting(virtual, 20.0, 1000.0), auth_timeout=timeout)
    virtual.advance(20.0)
    assert it.credentials == (["1"] if opens else ["3"])
    assert ("ConnectFailed" in it.names) is not opens


def test_leaving_cancels_the_call(virtual: VirtualClock, scene: Make) -> None:
    """Nobody waits any more: nothing of it is left."""
    provider = Minting(virtual, 5.0)
    it = scene(watch=False, auth=provider)
    leave = it.socket.connect()
    virtual.advance(1.0)
    leave.dispose()
    virtual.advance(0.0)
    assert (provider.cancelled, virtual.pending, virtual.tasks) == (1, 0, set())


def test_a_start_after_leaving_asks_anew(virtual: VirtualClock, scene: Make) -> None:
    """What the cancelled call would have given is not waited for."""
    provider = Minting(virtual, 5.0, 1.0)
    it = scene(watch=False, auth=provider)
    leave = it.socket.connect()
    virtual.advance(1.0)
    leave.dispose()
    it.watch()
    virtual.advance(20.0)
    assert provider.times == [0.0, 1.0]
    assert it.credentials == ["2"]


# --- its failures


BAD: dict[str, Any] = {
    "a number": 7,
    "a list": ["a"],
    "bytes": b"a",
    "an object in a mapping": {"token": object()},
    "a line break": "a\r\nb",
    "an empty name": {"": "a"},
    "half a surrogate": "\ud800",
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_credential_is_a_failed_attempt(
    virtual: VirtualClock, scene: Make, name: str
) -> None:
    """A provider that gives nonsense: ConnectFailed, backoff, asked again."""
    values = iter([BAD[name], "good"])
    it = scene(auth=lambda: next(values))
    virtual.advance(10.0)
    assert it.names == ["Connecting", "ConnectFailed", "Waiting", "Connecting", "Opened"]
    assert it.dials == [(2.0, "good")]


def test_what_cannot_be_carried_is_a_failed_attempt(virtual: VirtualClock, scene: Make) -> None:
    """A header takes no line of umlauts: the attempt failed, the next one may not."""
    values = iter(["ü", "good"])
    it = scene(auth=lambda: next(values), carrier=header())
    virtual.advance(10.0)
    assert it.names == ["Connecting", "ConnectFailed", "Waiting", "Connecting", "Opened"]
    assert it.credentials == ["good"]


def test_a_failing_provider_is_an_ordinary_failure(virtual: VirtualClock, scene: Make) -> None:
    """It raised: ConnectFailed with ProviderFailed, on ``errors`` too, and the usual backoff."""

    def provider() -> str:
        raise RuntimeError("out of order")

    it = scene(auth=provider)
    problems: list[Any] = []
    it.socket.errors.subscribe(problems.append)
    virtual.advance(20.0)
    assert dialled(it) == [0.0, 2.0, 6.0, 14.0]
    assert [event.delay for event in it.events if isinstance(event, Waiting)] == [2, 4, 8, 16]
    assert all(isinstance(problem.error, ProviderFailed) for problem in problems)
    assert "out of order" in str(problems[0].error) and len(problems) == 4
    assert it.peer.dials == 0


def test_unauthorized_gives_up(virtual: VirtualClock, scene: Make) -> None:
    """``Unauthorized`` means: await auth. It is not asked again; ``set_auth`` goes on."""
    count: list[float] = []

    async def provider() -> str:
        count.append(virtual.time())
        raise Unauthorized("the refresh token has expired")

    it = scene(auth=provider)
    virtual.advance(24 * 3600.0)
    first, rejected, awaiting = it.events
    assert isinstance(rejected, Rejected) and isinstance(rejected.error, Unauthorized)
    assert isinstance(awaiting, AwaitingAuth) and "refresh token" in awaiting.reason
    assert (first, count, it.peer.dials) == (connecting(1), [0.0], 0)
    it.socket.set_auth(B)
    virtual.advance(1.0)
    assert it.credentials == ["b"]


def test_unauthorized_forbids_nothing(virtual: VirtualClock, scene: Make) -> None:
    """Giving up is no refusal of the last credential: it may be set again."""
    values: list[Any] = ["a", Unauthorized("gone")]

    def provider() -> str:
        value = values.pop(0)
        if isinstance(value, Exception):
            raise value
        return str(value)

    it = scene(accept().wait(10.0).drop(), auth=provider)
    virtual.advance(20.0)
    assert it.socket.state.value is State.AWAITING_AUTH
    it.socket.set_auth("a")
    virtual.advance(1.0)
    assert it.credentials == ["a", "a"]
    assert it.socket.state.value is State.OPEN


def test_the_last_one_may_be_set_while_a_provider_says_logged_out(
    virtual: VirtualClock, scene: Make
) -> None:
    """It was in use before and was not refused: set by hand, it is dialled at once."""
    values: list[Any] = ["a", None]
    it = scene(accept().wait(10.0).drop(), auth=lambda: values.pop(0))
    virtual.advance(20.0)
    assert it.socket.state.value is State.AWAITING_AUTH
    changes = [it.socket.set_auth("a") for _ in range(2)]
    virtual.advance(1.0)
    assert it.dials == [(0.0, "a"), (20.0, "a")]
    assert [change.result() for change in changes] == [InEffect(epoch=3)] * 2


def test_none_from_a_provider_is_logged_out(virtual: VirtualClock, scene: Make) -> None:
    """Aborted and AwaitingAuth, both LOGGED_OUT; asked again in 5 min, and every 5 min."""
    values: list[Any] = [None, None, "a"]
    times: list[float] = []

    def provider() -> Any:
        times.append(virtual.time())
        return values.pop(0)

    it = scene(auth=provider)
    virtual.advance(599.0)
    assert it.events[:2] == [connecting(1), Aborted(epoch=1, cause=Cause.LOGGED_OUT)]
    assert isinstance(it.events[2], AwaitingAuth) and it.events[2].cause is Cause.LOGGED_OUT
    virtual.advance(1.0)
    assert times == [0.0, 300.0, 600.0]
    assert it.dials == [(600.0, "a")]


@pytest.mark.parametrize("act", ["set_auth", "reconnect", "close"])
def test_a_provider_that_calls_back(virtual: VirtualClock, scene: Make, act: str) -> None:
    """From inside the provider, ``set_auth`` overtakes its own result, ``close()`` ends it all."""
    it = scene(watch=False, auth=lambda: provider())
    calls: list[float] = []

    def provider() -> str:
        calls.append(virtual.time())
        if len(calls) == 1:
            {
                "set_auth": lambda: it.socket.set_auth(B),
                "reconnect": it.socket.reconnect,
                "close": it.socket.close,
            }[act]()
        return "mine"

    it.watch()
    virtual.advance(10.0)
    expected: dict[str, list[str]] = {"set_auth": ["b"], "reconnect": ["mine"], "close": []}
    assert it.credentials == expected[act]


# --- Observables


def test_a_behavior_subject_is_followed(virtual: VirtualClock, scene: Make) -> None:
    """Its value at the start, then each new one like ``set_auth``."""
    source: BehaviorSubject[Any] = BehaviorSubject(A)
    it = scene(auth=source)
    virtual.advance(10.0)
    source.on_next(B)
    virtual.advance(10.0)
    assert it.dials == [(0.0, "a"), (10.0, "b")]
    assert left(1, Cause.AUTH_CHANGED) in it.events


def test_a_subject_without_a_value_is_awaited(virtual: VirtualClock, scene: Make) -> None:
    """AwaitingAuth(NO_CREDENTIAL) until the first one comes, which is dialled at once."""
    source: Subject[Any] = Subject()
    it = scene(auth=source)
    virtual.advance(100.0)
    [awaiting] = it.events
    assert isinstance(awaiting, AwaitingAuth) and awaiting.cause is Cause.NO_CREDENTIAL
    assert it.peer.dials == 0
    source.on_next(A)
    virtual.advance(0.0)
    assert it.dials == [(100.0, "a")]


def test_of_several_at_the_start_the_last_is_dialled(virtual: VirtualClock, scene: Make) -> None:
    """A source that replays a history says where it stands with the last."""
    source: ReplaySubject[Any] = ReplaySubject()
    for value in (A, B, C):
        source.on_next(value)
    it = scene(auth=source)
    virtual.advance(10.0)
    assert it.dials == [(0.0, "c")]


@pytest.mark.parametrize("name", BAD)
def test_a_bad_value_is_reported_and_changes_nothing(
    virtual: VirtualClock, scene: Make, name: str
) -> None:
    """SourceFailed on ``errors``; the credential stays, and the source is followed on."""
    source: BehaviorSubject[Any] = BehaviorSubject(A)
    it = scene(auth=source)
    problems: list[object] = []
    it.socket.errors.subscribe(problems.append)
    virtual.advance(10.0)
    source.on_next(BAD[name])
    virtual.advance(10.0)
    assert [type(problem) for problem in problems] == [SourceFailed]
    assert it.dials == [(0.0, "a")]
    source.on_next(B)
    virtual.advance(1.0)
    assert it.dials == [(0.0, "a"), (20.0, "b")]


def test_a_source_that_errors_is_reported(virtual: VirtualClock, scene: Make) -> None:
    """The credential stays in use; no stream ends; ``set_auth`` still works."""
    source: BehaviorSubject[Any] = BehaviorSubject(A)
    it = scene(auth=source)
    problems: list[Any] = []
    it.socket.errors.subscribe(problems.append)
    virtual.advance(10.0)
    error = RuntimeError("vault sealed")
    source.on_error(error)
    it.peer.drop()
    virtual.advance(10.0)
    assert [type(problem).__name__ for problem in problems] == ["SourceFailed", "Closed"]
    assert problems[0].error is error
    it.socket.set_auth(B)
    virtual.advance(1.0)
    assert it.dials == [(0.0, "a"), (12.0, "a"), (20.0, "b")]


@pytest.mark.parametrize("source", [reactivex.of(A), reactivex.return_value(A)])
def test_a_source_that_completes_is_ignored(
    virtual: VirtualClock, scene: Make, source: Any
) -> None:
    """Its last value is used on; nothing ends."""
    it = scene(accept().wait(10.0).drop(), auth=source)
    virtual.advance(20.0)
    assert it.dials == [(0.0, "a"), (12.0, "a")]
    assert it.socket.state.value is State.OPEN


@pytest.mark.parametrize("source", [reactivex.empty(), reactivex.never()], ids=["empty", "never"])
def test_a_source_without_any_value(virtual: VirtualClock, scene: Make, source: Any) -> None:
    """It waits for ``set_auth``."""
    it = scene(auth=source)
    virtual.advance(100.0)
    assert it.names == ["AwaitingAuth"]
    it.socket.set_auth(A)
    virtual.advance(1.0)
    assert it.credentials == ["a"]


def test_a_source_that_fails_at_once(virtual: VirtualClock, scene: Make) -> None:
    """Reported, and awaited: a value may still be set."""
    it = scene(watch=False, auth=reactivex.throw(RuntimeError("no vault")))
    problems: list[object] = []
    it.socket.errors.subscribe(problems.append)
    it.watch()
    virtual.advance(10.0)
    assert [type(problem) for problem in problems] == [SourceFailed]
    assert it.socket.state.value is State.AWAITING_AUTH
    it.socket.set_auth(A)
    virtual.advance(1.0)
    assert it.credentials == ["a"]


def test_the_newest_of_the_source_and_set_auth_wins(virtual: VirtualClock, scene: Make) -> None:
    """Whichever came last, in either order."""
    source: BehaviorSubject[Any] = BehaviorSubject(A)
    it = scene(auth=source)
    virtual.advance(10.0)
    change = it.socket.set_auth(B)
    source.on_next(C)
    virtual.advance(10.0)
    source.on_next(A)
    it.socket.set_auth(B)
    virtual.advance(10.0)
    assert it.dials == [(0.0, "a"), (10.0, "c"), (20.0, "b")]
    assert change.result() == Overtaken()


def test_a_source_is_let_go_with_the_socket(virtual: VirtualClock, scene: Make) -> None:
    """Followed while the socket runs, not before and not after."""
    source: BehaviorSubject[Any] = BehaviorSubject(A)
    it = scene(watch=False, auth=source)
    assert not source.observers
    leave = it.socket.connect()
    assert len(source.observers) == 1
    virtual.advance(1.0)
    leave.dispose()
    assert not source.observers
    it.socket.connect()
    virtual.advance(2.0)
    assert len(source.observers) == 1
    it.socket.close()
    assert not source.observers


def test_what_a_source_replays_at_a_restart_is_no_news(virtual: VirtualClock, scene: Make) -> None:
    """It had said so before: what was set since is newer."""
    source: BehaviorSubject[Any] = BehaviorSubject(A)
    it = scene(auth=source)
    virtual.advance(10.0)
    it.socket.set_auth(B)
    virtual.advance(10.0)
    it.socket.close()
    virtual.advance(2.0)
    it.watch()
    virtual.advance(1.0)
    assert it.credentials == ["a", "b", "b"]


def test_what_changed_while_it_was_closed_is_news(virtual: VirtualClock, scene: Make) -> None:
    """A source that moved on meanwhile is where the next life begins."""
    source: BehaviorSubject[Any] = BehaviorSubject(A)
    it = scene(auth=source)
    virtual.advance(10.0)
    it.socket.close()
    virtual.advance(2.0)
    source.on_next(C)
    it.watch()
    virtual.advance(1.0)
    assert it.credentials == ["a", "c"]


@pytest.mark.parametrize("stream", ["messages", "events", "state"])
def test_a_source_that_emits_inside_an_observer(
    virtual: VirtualClock, scene: Make, stream: str
) -> None:
    """Queued behind the emission, like ``set_auth`` there."""
    source: BehaviorSubject[Any] = BehaviorSubject(A)
    it = scene(accept().wait(10.0).send("1", "2"), watch=False, auth=source)
    getattr(it.socket, stream).subscribe(
        lambda _: source.on_next(B) if it.socket.state.value is State.OPEN else None
    )
    behind: list[str] = []
    it.socket.messages.subscribe(behind.append)
    virtual.advance(20.0)
    assert it.credentials == ["a", "b"]
    assert behind == (["1"] if stream == "messages" else [])


def test_a_source_emits_while_anything_goes_on(virtual: VirtualClock, scene: Make) -> None:
    """While waiting and awaiting auth, too, it is dialled at once."""
    source: BehaviorSubject[Any] = BehaviorSubject(A)
    it = scene(unreachable(), reject(401), auth=source)
    virtual.advance(1.0)
    assert it.socket.state.value is State.WAITING
    source.on_next(B)
    virtual.advance(10.0)
    assert it.socket.state.value is State.AWAITING_AUTH
    source.on_next(C)
    virtual.advance(10.0)
    assert it.dials == [(1.0, "b"), (11.0, "c")]
