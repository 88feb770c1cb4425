"""C10: every attempt carries the current credential, wherever it comes from."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import reactivex
from reactivex.subject import BehaviorSubject, ReplaySubject, Subject
from scene import A, B, C, Make, Scene

from rxsocket import (
    Aborted,
    Ask,
    AwaitingAuth,
    Cause,
    ConnectFailed,
    InEffect,
    Overtaken,
    ProviderFailed,
    Reason,
    Rejected,
    Socket,
    SourceFailed,
    State,
    Unauthorized,
    Verdict,
    Waiting,
    header,
)
from rxsocket.testing import VirtualClock, accept, reject, unreachable


def numbered(calls: list[Any]) -> dict[str, int]:
    """A new ticket for each call."""
    return {"token": len(calls)}  # a number: it goes into the query as a text


def providers(calls: list[Any]) -> dict[str, Callable[..., Any]]:
    """One provider of each kind; they note their arguments and give ``1``, ``2``, ..."""

    def nothing() -> Any:
        calls.append(None)
        return numbered(calls)

    def one(ask: Ask) -> Any:
        calls.append(ask)
        return numbered(calls)

    async def nothing_async() -> Any:
        await asyncio.sleep(0)
        return nothing()

    async def one_async(ask: Ask) -> Any:
        await asyncio.sleep(0)
        return one(ask)

    def awaitable(ask: Ask) -> Any:
        return one_async(ask)

    class Callee:
        async def __call__(self, ask: Ask) -> Any:
            return one(ask)

        def method(self, ask: Ask) -> Any:
            return one(ask)

    return {
        "sync, no argument": nothing,
        "sync, one argument": one,
        "async, no argument": nothing_async,
        "async, one argument": one_async,
        "sync that gives an awaitable": awaitable,
        "an object": Callee(),
        "a method": Callee().method,
        "a partial": partial(lambda _, ask: one(ask), "bound"),
        "a lambda": lambda: nothing(),
    }


UNTOLD = ("sync, no argument", "async, no argument", "a lambda")


# --- providers


@pytest.mark.parametrize("kind", providers([]))
def test_a_provider_of_each_kind_is_called_before_each_attempt(
    virtual: VirtualClock, scene: Make, kind: str
) -> None:
    """Sync or async, with no argument or the Ask: three attempts, three tickets."""
    calls: list[Any] = []
    it = scene(unreachable(), accept().wait(10.0).drop(), auth=providers(calls)[kind])
    virtual.advance(30.0)
    # refused at 0, open from 2 to 12, and open again at 14
    assert it.dials == [(2.0, "2"), (14.0, "3")]
    told = [Ask(1, Reason.FIRST), Ask(2, Reason.RECONNECT), Ask(1, Reason.RECONNECT)]
    assert calls == ([None] * 3 if kind in UNTOLD else told)


def test_it_is_asked_at_the_attempt_and_not_before(virtual: VirtualClock, scene: Make) -> None:
    """Each call comes in the instant of its Connecting, after it."""
    log: list[Any] = []

    def provider() -> Any:
        log.append((virtual.time(), "asked"))
        return A

    it = scene(*[unreachable()] * 2, watch=False, auth=provider)
    it.socket.events.subscribe(lambda event: log.append((virtual.time(), type(event).__name__)))
    virtual.advance(10.0)
    assert log == [
        (0.0, "Connecting"), (0.0, "asked"), (0.0, "ConnectFailed"), (0.0, "Waiting"),
        (2.0, "Connecting"), (2.0, "asked"), (2.0, "ConnectFailed"), (2.0, "Waiting"),
        (6.0, "Connecting"), (6.0, "asked"), (6.0, "Opened"),
    ]  # fmt: skip


def test_five_drops_make_six_tickets(virtual: VirtualClock, scene: Make) -> None:
    """A ticket is good for one connection: each of six gets its own."""
    calls: list[Any] = []
    it = scene(*[accept().wait(10.0).drop()] * 5, auth=providers(calls)["async, no argument"])
    virtual.advance(100.0)
    assert it.credentials == ["1", "2", "3", "4", "5", "6"]
    assert [at for at, _ in it.dials] == [0.0, 12.0, 24.0, 36.0, 48.0, 60.0]
    assert len(calls) == 6


def test_nobody_asks_before_the_start(virtual: VirtualClock, scene: Make) -> None:
    """Making a socket, looking at it and a passive subscription call no provider."""
    calls: list[Any] = []
    it = scene(watch=False, auth=providers(calls)["sync, no argument"])
    it.socket.state.subscribe()
    virtual.advance(60.0)
    assert calls == []


def test_the_time_it_takes_is_part_of_the_attempt(virtual: VirtualClock, scene: Make) -> None:
    """A provider of 3 s: connecting from 0 on, dialled at 3."""

    async def provider() -> Any:
        await asyncio.sleep(3.0)
        return A

    it = scene(auth=provider)
    virtual.advance(2.9)
    assert it.socket.state.value is State.CONNECTING
    virtual.advance(1.0)
    assert it.dials == [(3.0, "a")]


# --- a provider that fails


def failing(how: str) -> Callable[[], Any]:
    def raises() -> Any:
        raise OSError("the token server is down")

    async def raises_async() -> Any:
        raise OSError("the token server is down")

    async def cancels() -> Any:
        raise asyncio.CancelledError

    return {
        "raising": raises,
        "raising, async": raises_async,
        "giving a number": lambda: 7,
        "giving an object in a mapping": lambda: {"token": object()},
        "giving a line break": lambda: {"token": "a\r\nb"},
        "cancelling itself": cancels,
        "timing out by itself": raises_timeout,
    }[how]


def raises_timeout() -> Any:
    raise TimeoutError


HOWS = (
    "raising", "raising, async", "giving a number", "giving an object in a mapping",
    "giving a line break", "cancelling itself", "timing out by itself",
)  # fmt: skip


@pytest.mark.parametrize("how", HOWS)
def test_a_failing_provider_is_a_failed_attempt(
    virtual: VirtualClock, scene: Make, how: str
) -> None:
    """ConnectFailed with ProviderFailed, then backoff; the server sees nothing of it."""
    it = scene(auth=failing(how))
    problems: list[Any] = []
    it.socket.errors.subscribe(problems.append)
    virtual.advance(13.0)
    assert it.story == [
        (0.0, "Connecting"), (0.0, "ConnectFailed"), (0.0, "Waiting"),
        (2.0, "Connecting"), (2.0, "ConnectFailed"), (2.0, "Waiting"),
        (6.0, "Connecting"), (6.0, "ConnectFailed"), (6.0, "Waiting"),
    ]  # fmt: skip
    failures = [event for event in it.events if isinstance(event, ConnectFailed)]
    assert problems == failures
    assert all(isinstance(event.error, ProviderFailed) for event in failures)
    assert all(event.verdict is Verdict.RECONNECT for event in failures)
    assert it.peer.dials == 0


def test_a_provider_that_recovers(virtual: VirtualClock, scene: Make) -> None:
    """The first credential it gives is dialled."""
    calls: list[float] = []

    def provider() -> Any:
        calls.append(virtual.time())
        if len(calls) < 3:
            raise OSError("down")
        return A

    it = scene(auth=provider)
    virtual.advance(60.0)
    assert calls == [0.0, 2.0, 6.0]
    assert it.dials == [(6.0, "a")]


def test_a_credential_that_cannot_be_carried_is_a_failed_attempt(
    virtual: VirtualClock, scene: Make
) -> None:
    """What does not fit into a header fails like the provider that gave it; no secret shows."""
    it = scene(auth=lambda: "gehéim", carrier=header())
    virtual.advance(1.0)
    failed = it.events[1]
    assert isinstance(failed, ConnectFailed)
    assert isinstance(failed.error, ProviderFailed)
    assert "gehéim" not in repr(failed)
    assert it.peer.dials == 0


@pytest.mark.parametrize(("limit", "cut"), [({}, 10.0), ({"auth_timeout": 3.0}, 3.0)])
def test_a_hanging_provider_is_cut(
    virtual: VirtualClock, scene: Make, limit: dict[str, float], cut: float
) -> None:
    """After 10 s, or ``auth_timeout``, the attempt failed; the next call is a new one."""
    calls: list[float] = []
    cancelled: list[float] = []

    async def provider() -> Any:
        calls.append(virtual.time())
        if len(calls) > 1:
            return A
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(virtual.time())
            raise

    it = scene(auth=provider, **limit)
    virtual.advance(60.0)
    at, failed = it.entries[1]
    assert at == cut
    assert isinstance(failed, ConnectFailed)
    assert isinstance(failed.error, ProviderFailed)
    assert f"within {cut:g} s" in str(failed.error)
    assert it.entries[2] == (cut, Waiting(delay=2.0, failures=1, cause=Cause.FAILED))
    assert calls == [0.0, cut + 2.0]
    assert cancelled == [cut]
    assert it.dials == [(cut + 2.0, "a")]


def test_without_a_limit_it_may_take_its_time(virtual: VirtualClock, scene: Make) -> None:
    """``auth_timeout=None``: dialled when it is there, an hour later."""

    async def provider() -> Any:
        await asyncio.sleep(3600.0)
        return A

    it = scene(auth=provider, auth_timeout=None)
    virtual.advance(4000.0)
    assert it.dials == [(3600.0, "a")]


def test_unauthorized_parks_for_good(virtual: VirtualClock, scene: Make) -> None:
    """Rejected, AwaitingAuth, and not one more call; a credential that is set revives it."""
    calls: list[float] = []

    def provider() -> Any:
        calls.append(virtual.time())
        raise Unauthorized("no session")

    it = scene(auth=provider)
    virtual.advance(24 * 3600.0)
    assert calls == [0.0]
    assert it.story == [(0.0, "Connecting"), (0.0, "Rejected"), (0.0, "AwaitingAuth")]
    rejected = it.events[1]
    assert isinstance(rejected, Rejected)
    assert isinstance(rejected.error, Unauthorized)
    assert it.socket.state.value is State.AWAITING_AUTH
    assert it.peer.dials == 0
    receipt = it.socket.set_auth(B)
    virtual.advance(10.0)
    assert it.dials == [(24 * 3600.0, "b")]
    assert receipt.result() == InEffect(epoch=2)
    assert calls == [0.0]


def test_unauthorized_when_asked_for_another(virtual: VirtualClock, scene: Make) -> None:
    """A is refused and the provider gives up: parked for good as well."""
    answers: list[Any] = [A, Unauthorized("no session")]
    calls: list[float] = []

    def provider() -> Any:
        calls.append(virtual.time())
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    it = scene(reject(401), auth=provider)
    virtual.advance(24 * 3600.0)
    assert calls == [0.0, 0.0]
    assert it.dials == [(0.0, "a")]
    assert it.socket.state.value is State.AWAITING_AUTH


# --- one call at a time


class Slow:
    """A provider whose calls are answered by the test.

    Attributes:
        calls: A future for each call.
        most: How many ran at one time, at most.
    """

    def __init__(self, virtual: VirtualClock) -> None:
        self._virtual = virtual
        self.calls: list[asyncio.Future[Any]] = []
        self.running = self.most = 0

    async def __call__(self) -> Any:
        self.running += 1
        self.most = max(self.most, self.running)
        self.calls.append(self._virtual.create_future())
        try:
            return await self.calls[-1]
        finally:
            self.running -= 1


def test_one_call_at_a_time(virtual: VirtualClock, scene: Make) -> None:
    """Attempts that are given up meanwhile do not ask again: the next waits for the same call."""
    provider = Slow(virtual)
    it = scene(auth=provider)
    for _ in range(4):
        virtual.advance(2.0)
        it.socket.reconnect()
    virtual.advance(0.0)
    assert (len(provider.calls), provider.most) == (1, 1)
    provider.calls[0].set_result(A)
    virtual.advance(10.0)
    assert it.dials == [(8.0, "a")]
    assert len(provider.calls) == 1


@pytest.mark.parametrize("late", [A, None, OSError("late"), Unauthorized("late")])
def test_a_late_result_goes_nowhere(virtual: VirtualClock, scene: Make, late: Any) -> None:
    """set_auth(B) overtakes a call; whatever that says afterwards changes nothing."""
    provider = Slow(virtual)
    it = scene(auth=provider)
    virtual.advance(1.0)
    receipt = it.socket.set_auth(B)
    virtual.advance(1.0)
    it.clear()
    if isinstance(late, Exception):
        provider.calls[0].set_exception(late)
    else:
        provider.calls[0].set_result(late)
    virtual.advance(60.0)
    assert it.entries == []
    assert it.dials == [(1.0, "b")]
    assert it.socket.state.value is State.OPEN
    assert receipt.result() == InEffect(epoch=2)
    assert len(provider.calls) == 1


def test_a_waiter_that_is_overtaken_is_cancelled_at_once(
    virtual: VirtualClock, scene: Make
) -> None:
    """Aborted in the instant of the change; the call itself goes on, up to its limit."""
    provider = Slow(virtual)
    it = scene(auth=provider)
    virtual.advance(1.0)
    it.socket.set_auth(B)
    assert it.entries[-1] == (1.0, Aborted(epoch=1, cause=Cause.AUTH_CHANGED))
    virtual.advance(8.9)
    assert provider.running == 1
    virtual.advance(0.1)
    assert provider.running == 0


def test_a_call_ends_with_the_socket(virtual: VirtualClock, scene: Make) -> None:
    """Closing while a provider is asked cancels it, and nothing is dialled."""
    provider = Slow(virtual)
    it = scene(auth=provider)
    virtual.advance(1.0)
    it.socket.close()
    virtual.advance(0.0)
    assert provider.running == 0
    assert it.peer.dials == 0


# --- what is pushed


def test_a_pushed_credential_is_used_until_it_is_refused(
    virtual: VirtualClock, scene: Make
) -> None:
    """set_auth(B) beside a provider: B at each reconnect; after a 4401 the provider's again."""
    calls: list[float] = []

    def provider() -> Any:
        calls.append(virtual.time())
        return A if len(calls) == 1 else C

    dropped = accept().wait(10.0).drop()
    it = scene(accept(), dropped, dropped, accept().wait(10.0).close(4401), auth=provider)
    virtual.advance(10.0)
    it.socket.set_auth(B)
    virtual.advance(100.0)
    assert it.dials == [(0.0, "a"), (10.0, "b"), (22.0, "b"), (34.0, "b"), (44.0, "c")]
    assert calls == [0.0, 44.0]


def test_a_plain_value_goes_with_every_attempt(virtual: VirtualClock, scene: Make) -> None:
    """Reconnects carry the same one, and after set_auth the new one."""
    dropped = accept().wait(10.0).drop()
    it = scene(dropped, dropped, dropped, auth=A)
    virtual.advance(13.0)
    it.socket.set_auth(B)
    virtual.advance(20.0)
    assert it.dials == [(0.0, "a"), (12.0, "a"), (13.0, "b"), (25.0, "b")]


# --- Observables


def test_the_handshakes_of_an_observable(virtual: VirtualClock, scene: Make) -> None:
    """t1, then t2, and t2 again after a lost link: what was current at each attempt."""
    source: Subject[Any] = Subject()
    it = scene(auth=source)
    source.on_next({"token": "t1"})
    virtual.advance(10.0)
    source.on_next({"token": "t2"})
    virtual.advance(10.0)
    it.peer.drop()
    virtual.advance(10.0)
    assert it.dials == [(0.0, "t1"), (10.0, "t2"), (22.0, "t2")]


def test_a_value_during_an_outage_is_the_next_one(virtual: VirtualClock, scene: Make) -> None:
    """A source that renews while the server is away: dialled at once, with the new one."""
    source: BehaviorSubject[Any] = BehaviorSubject(A)
    it = scene(accept().wait(10.0).drop(), auth=source)
    virtual.advance(11.0)
    source.on_next(B)
    virtual.advance(10.0)
    assert it.dials == [(0.0, "a"), (11.0, "b")]


def test_a_source_that_completes_is_ignored(virtual: VirtualClock, scene: Make) -> None:
    """Its last credential stays, for reconnects too, and no stream ends."""
    it = scene(accept().wait(10.0).drop(), auth=reactivex.of(A))
    ends: list[str] = []
    it.socket.messages.subscribe(on_completed=lambda: ends.append("completed"))
    virtual.advance(60.0)
    assert it.dials == [(0.0, "a"), (12.0, "a")]
    assert ends == []
    assert "SourceFailed" not in it.names


def test_an_empty_source_awaits_auth(virtual: VirtualClock, scene: Make) -> None:
    """It never emits: parked until something is set."""
    it = scene(auth=reactivex.empty())
    virtual.advance(60.0)
    assert it.names == ["AwaitingAuth"]
    it.socket.set_auth(A)
    virtual.advance(1.0)
    assert it.dials == [(60.0, "a")]


def test_a_source_that_errors_is_reported(virtual: VirtualClock, scene: Make) -> None:
    """SourceFailed on ``errors``, nothing else: the connection and the credential stay."""
    source: Subject[Any] = Subject()
    it = scene(auth=source)
    problems: list[Any] = []
    it.socket.errors.subscribe(problems.append)
    source.on_next(A)
    virtual.advance(10.0)
    it.clear()
    error = OSError("the source is gone")
    source.on_error(error)
    virtual.advance(10.0)
    assert it.entries == [(10.0, SourceFailed(error=error))]
    assert problems == [SourceFailed(error=error)]
    assert it.socket.state.value is State.OPEN
    it.peer.drop()
    virtual.advance(10.0)
    assert it.dials == [(0.0, "a"), (22.0, "a")]
    it.socket.set_auth(B)
    virtual.advance(10.0)
    assert it.dials[-1] == (30.0, "b")


def test_a_source_that_errors_at_once(virtual: VirtualClock, scene: Make) -> None:
    """Before it emitted anything: reported, and a credential is awaited."""
    error = OSError("no source")
    it = scene(auth=reactivex.throw(error))
    virtual.advance(60.0)
    assert SourceFailed(error=error) in it.events
    assert it.socket.state.value is State.AWAITING_AUTH
    assert it.peer.dials == 0


@pytest.mark.parametrize(
    "bad", [7, object(), ["a"], {"token": object()}, {1: "a"}, {"token": "s3cret\nx"}, {"": "a"}]
)
def test_what_is_no_credential_is_reported(
    virtual: VirtualClock, scene: Make, caplog: pytest.LogCaptureFixture, bad: Any
) -> None:
    """SourceFailed, without the value; the one before stays, and the source goes on."""
    source: Subject[Any] = Subject()
    it = scene(auth=source)
    source.on_next(A)
    virtual.advance(10.0)
    it.clear()
    source.on_next(bad)
    virtual.advance(10.0)
    assert it.names == ["SourceFailed"]
    (failed,) = it.events
    assert isinstance(failed, SourceFailed)
    assert isinstance(failed.error, (TypeError, ValueError))
    assert "s3cret" not in repr(it.events) + caplog.text
    source.on_next(B)
    virtual.advance(10.0)
    assert it.dials == [(0.0, "a"), (20.0, "b")]


PUSHES: dict[str, tuple[str, list[str]]] = {
    "set, then the source": ("set b, source c", ["a", "b", "c"]),
    "the source, then set": ("source c, set b", ["a", "c", "b"]),
    "back and forth": ("set b, source c, set b, source a", ["a", "b", "c", "b", "a"]),
    "the source repeats itself": ("set b, source a", ["a", "b", "a"]),
}


@pytest.mark.parametrize("which", PUSHES)
def test_the_newest_of_set_auth_and_the_source_wins(
    virtual: VirtualClock, scene: Make, which: str
) -> None:
    """Whoever spoke last: also a source that says again what it said before set_auth."""
    steps, expected = PUSHES[which]
    source: Subject[Any] = Subject()
    it = scene(auth=source)
    source.on_next(A)
    for step in steps.split(", "):
        virtual.advance(10.0)
        who, value = step.split()
        (it.socket.set_auth if who == "set" else source.on_next)({"token": value})
    virtual.advance(10.0)
    assert it.credentials == expected


@pytest.mark.parametrize("first", ["set", "source"])
def test_both_at_once(virtual: VirtualClock, scene: Make, first: str) -> None:
    """In one instant the later one is dialled, and the other not; receipts tell."""
    source: Subject[Any] = Subject()
    it = scene(auth=source)
    source.on_next(A)
    virtual.advance(10.0)
    if first == "source":
        source.on_next(C)
    receipt = it.socket.set_auth(B)
    if first == "set":
        source.on_next(C)
    virtual.advance(10.0)
    assert it.credentials == (["a", "b"] if first == "source" else ["a", "c"])
    assert receipt.result() == (InEffect(epoch=2) if first == "source" else Overtaken())


# --- the next start


def restarted(virtual: VirtualClock, it: Scene, between: Callable[[], object]) -> list[str | None]:
    """Leave, do something while nothing runs, come back; the credentials from then on."""
    before = len(it.peer.handshakes)
    it.socket.connect()
    between()
    virtual.advance(10.0)
    return it.credentials[before:]


def started(virtual: VirtualClock, it: Scene, then: Callable[[], object]) -> None:
    """Start, do something, and leave."""
    hold = it.socket.connect()
    virtual.advance(10.0)
    then()
    virtual.advance(10.0)
    hold.dispose()
    virtual.advance(10.0)
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
    virtual: VirtualClock, scene: Make, kind: str
) -> None:
    """The source said A before B was set: at the next start B is still the newest."""
    it = scene(auth=replaying(kind)[0], watch=False)
    started(virtual, it, lambda: it.socket.set_auth(B))
    assert restarted(virtual, it, lambda: None) == ["b"]
    assert it.credentials[-3:] == ["a", "b", "b"]


@pytest.mark.parametrize("kind", SUBJECTS)
def test_what_was_pushed_meanwhile_is_one(virtual: VirtualClock, scene: Make, kind: str) -> None:
    """The source said C while nothing ran: C is dialled at the next start, and nothing before."""
    source, push = replaying(kind)
    it = scene(auth=source, watch=False)
    started(virtual, it, lambda: it.socket.set_auth(B))
    push({"token": "new"})
    assert restarted(virtual, it, lambda: None) == ["new"]


@pytest.mark.parametrize("kind", SUBJECTS)
def test_what_is_set_before_the_first_start(virtual: VirtualClock, scene: Make, kind: str) -> None:
    """set_auth(B) before anything ran: a source that is known to be older does not overrule it."""
    it = scene(auth=replaying(kind)[0], watch=False)
    it.socket.set_auth(B)
    it.watch()
    virtual.advance(10.0)
    # only a BehaviorSubject shows what it holds before it is subscribed to
    assert it.credentials == (["b"] if kind == "BehaviorSubject" else ["a"])


def test_a_provider_is_asked_at_each_start(virtual: VirtualClock, scene: Make) -> None:
    """Nothing of a provider is kept over a stop."""
    calls: list[Any] = []
    it = scene(watch=False, auth=providers(calls)["sync, one argument"])
    started(virtual, it, lambda: None)
    assert restarted(virtual, it, lambda: None) == ["2"]
    assert calls == [Ask(1, Reason.FIRST)] * 2


def test_a_source_is_followed_only_while_it_runs(virtual: VirtualClock, scene: Make) -> None:
    """Subscribed to at the start, let go at the end, once each time."""
    log: list[str] = []

    def subscribe(observer: Any, scheduler: Any = None) -> Any:
        log.append("subscribed")
        observer.on_next(A)
        return reactivex.disposable.Disposable(lambda: log.append("left"))

    it = scene(auth=reactivex.create(subscribe), watch=False)
    virtual.advance(10.0)
    assert log == []
    started(virtual, it, lambda: None)
    assert log == ["subscribed", "left"]
    assert restarted(virtual, it, lambda: None) == ["a"]
    assert log == ["subscribed", "left", "subscribed"]


def test_auth_that_is_no_source_is_refused_at_once(virtual: VirtualClock) -> None:
    """A function that takes two arguments, or a number, is told where it is passed."""
    for bad in (lambda a, b: A, 7, ["a"]):
        with pytest.raises(TypeError, match="auth"):
            Socket("ws://fake.test/", auth=bad)  # type: ignore[arg-type]


def test_waiting_for_a_source_says_so(virtual: VirtualClock, scene: Make) -> None:
    """No credential yet is its own cause, and no refusal."""
    it = scene(auth=reactivex.never())
    virtual.advance(1.0)
    (event,) = it.events
    assert isinstance(event, AwaitingAuth)
    assert event.cause is Cause.NO_CREDENTIAL
