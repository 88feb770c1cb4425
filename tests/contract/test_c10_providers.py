"""C10: a provider is asked before each attempt: when, one call at a time, and what if it fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from scene import NO_CREDENTIALS, A, B, C, Make, connecting, opened

from rxsocket import (
    Aborted,
    Ask,
    AwaitingAuth,
    Carried,
    Cause,
    ConnectFailed,
    InEffect,
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
    refreshing,
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
        "a lambda that gives an awaitable": lambda: nothing_async(),
        "an object": Callee(),
        "a method": Callee().method,
        "a partial": partial(lambda _, ask: one(ask), "bound"),
        "a lambda": lambda: nothing(),
    }


UNTOLD = ("sync, no argument", "async, no argument", "a lambda", "a lambda that gives an awaitable")


class Minting:
    """An async provider that takes some seconds and gives "1", "2", ... in the order of asking."""

    def __init__(self, clock: VirtualClock, *seconds: float) -> None:
        self._clock = clock
        self._seconds = list(seconds)
        self.times: list[float] = []
        self.running = self.most = 0
        self.given: list[str] = []
        self.cancelled = 0

    async def __call__(self) -> dict[str, str]:
        self.times.append(self._clock.time())
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


# --- every attempt


@pytest.mark.parametrize("kind", providers([]))
def test_a_provider_of_each_kind_is_called_before_each_attempt(
    clock: VirtualClock, scene: Make, kind: str
) -> None:
    """Sync or async, with no argument or the Ask: three attempts, three tickets."""
    calls: list[Any] = []
    it = scene(unreachable(), accept().wait(10.0).drop(), auth=providers(calls)[kind])
    clock.advance(30.0)
    # refused at 0, open from 2 to 12, and open again at 14
    assert it.dials == [(2.0, "2"), (14.0, "3")]
    told = [Ask(1, Reason.FIRST), Ask(2, Reason.RECONNECT), Ask(1, Reason.RECONNECT)]
    assert calls == ([None] * 3 if kind in UNTOLD else told)


def test_a_provider_is_told_why_it_is_asked(clock: VirtualClock, scene: Make) -> None:
    """FIRST at a start, RECONNECT after an outage, with the number of the attempt."""
    asks: list[Ask] = []

    def provider(ask: Ask) -> str:
        asks.append(ask)
        return "a"

    it = scene(unreachable(), unreachable(), accept().wait(10.0).drop(), auth=provider)
    clock.advance(30.0)
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
def test_each_carrier_is_asked_again(clock: VirtualClock, scene: Make, name: str) -> None:
    """However it is carried, the next attempt has the next value."""
    count = iter("12345")
    drop = accept().wait(10.0).drop()
    it = scene(drop, drop, auth=lambda: next(count), carrier=CARRIERS[name])
    clock.advance(30.0)
    assert it.credentials == ["1", "2", "3"]


def test_it_is_asked_at_the_attempt_and_not_before(clock: VirtualClock, scene: Make) -> None:
    """Each call comes in the instant of its Connecting, after it."""
    log: list[Any] = []

    def provider() -> Any:
        log.append((clock.time(), "asked"))
        return A

    it = scene(*[unreachable()] * 2, watch=False, auth=provider)
    it.socket.events.subscribe(lambda event: log.append((clock.time(), type(event).__name__)))
    clock.advance(10.0)
    assert log == [
        (0.0, "Connecting"), (0.0, "asked"), (0.0, "ConnectFailed"), (0.0, "Waiting"),
        (2.0, "Connecting"), (2.0, "asked"), (2.0, "ConnectFailed"), (2.0, "Waiting"),
        (6.0, "Connecting"), (6.0, "asked"), (6.0, "Opened"),
    ]  # fmt: skip


def test_five_drops_make_six_tickets(clock: VirtualClock, scene: Make) -> None:
    """A ticket is good for one connection: each of six gets its own."""
    calls: list[Any] = []
    it = scene(*[accept().wait(10.0).drop()] * 5, auth=providers(calls)["async, no argument"])
    clock.advance(100.0)
    assert it.credentials == ["1", "2", "3", "4", "5", "6"]
    assert [at for at, _ in it.dials] == [0.0, 12.0, 24.0, 36.0, 48.0, 60.0]
    assert len(calls) == 6


def test_nobody_asks_before_the_start(clock: VirtualClock, scene: Make) -> None:
    """Making a socket, looking at it and a passive subscription call no provider."""
    calls: list[Any] = []
    it = scene(watch=False, auth=providers(calls)["sync, no argument"])
    it.socket.state.subscribe()
    clock.advance(60.0)
    assert calls == []


def test_a_provider_is_asked_at_each_start(clock: VirtualClock, scene: Make) -> None:
    """Nothing of a provider is kept over a stop."""
    calls: list[Any] = []
    it = scene(watch=False, auth=providers(calls)["sync, one argument"])
    for _ in range(2):
        hold = it.socket.connect()
        clock.advance(10.0)
        hold.dispose()
        clock.advance(10.0)
        assert it.socket.state.value is State.IDLE
    assert it.credentials == ["1", "2"]
    assert calls == [Ask(1, Reason.FIRST)] * 2


def test_the_time_it_takes_is_part_of_the_attempt(clock: VirtualClock, scene: Make) -> None:
    """A provider of 3 s: connecting from 0 on, dialled at 3."""

    async def provider() -> Any:
        await asyncio.sleep(3.0)
        return A

    it = scene(auth=provider)
    clock.advance(2.9)
    assert it.socket.state.value is State.CONNECTING
    clock.advance(1.0)
    assert it.dials == [(3.0, "a")]


def test_auth_shows_what_is_in_use(clock: VirtualClock, scene: Make) -> None:
    """``auth`` has the credential of each attempt, masked, a provider's too."""
    it = scene(accept().wait(5.0).drop(), watch=False, auth=Minting(clock))
    shown: list[str] = []
    it.socket.auth.subscribe(lambda credential: shown.append(repr(credential)))
    it.watch()
    clock.advance(20.0)
    assert shown == ["Credential(none yet)", "Credential(token=***)", "Credential(token=***)"]


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
        "cancelling itself": cancels,
        "timing out by itself": raises_timeout,
    }[how]


def raises_timeout() -> Any:
    raise TimeoutError


HOWS = ("raising", "raising, async", "cancelling itself", "timing out by itself")


@pytest.mark.parametrize("how", HOWS)
def test_a_failing_provider_is_a_failed_attempt(clock: VirtualClock, scene: Make, how: str) -> None:
    """ConnectFailed with ProviderFailed, then backoff; the server sees nothing of it."""
    it = scene(auth=failing(how))
    problems: list[Any] = []
    it.socket.errors.subscribe(problems.append)
    clock.advance(13.0)
    assert it.story == [
        (0.0, "Connecting"), (0.0, "ConnectFailed"), (0.0, "Waiting"),
        (2.0, "Connecting"), (2.0, "ConnectFailed"), (2.0, "Waiting"),
        (6.0, "Connecting"), (6.0, "ConnectFailed"), (6.0, "Waiting"),
    ]  # fmt: skip
    failures = [event for event in it.events if isinstance(event, ConnectFailed)]
    assert problems == failures
    assert [event.delay for event in it.events if isinstance(event, Waiting)] == [2, 4, 8]
    assert ("the token server is down" in str(failures[0].error)) is how.startswith("raising")
    assert all(isinstance(event.error, ProviderFailed) for event in failures)
    assert all(event.verdict is Verdict.RECONNECT for event in failures)
    assert it.peer.dials == 0


RAISED: list[BaseException] = [
    SystemExit("bye"),
    asyncio.CancelledError("of another task"),
    RecursionError("too deep"),
    MemoryError("no room"),
    StopIteration("no more tokens"),
    pytest.fail.Exception("a failed test"),
    TimeoutError("the token server is slow"),
]


@pytest.mark.parametrize("kind", ["plain", "async", "refreshing"])
@pytest.mark.parametrize("raised", RAISED, ids=lambda error: type(error).__name__)
def test_whatever_a_provider_raises_is_a_failed_attempt(
    clock: VirtualClock, scene: Make, raised: BaseException, kind: str
) -> None:
    """C10: also what ends threads and tasks; the next call is made, and its text is the user's."""
    answers: list[Any] = [raised, "good"]

    def provider() -> Any:
        answer = answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def async_provider() -> Any:
        return provider()

    kinds = {"plain": provider, "async": async_provider, "refreshing": refreshing(provider)}
    it = scene(auth=kinds[kind])
    clock.advance(10.0)
    assert it.names[:5] == ["Connecting", "ConnectFailed", "Waiting", "Connecting", "Opened"]
    failed = it.events[1]
    assert isinstance(failed, ConnectFailed) and isinstance(failed.error, ProviderFailed)
    assert it.dials == [(2.0, "good")]
    if not isinstance(raised, (asyncio.CancelledError, StopIteration)):  # which Python replaces
        assert str(raised) in str(failed.error)
    assert "within" not in str(failed.error)


@pytest.mark.parametrize("kind", ["a provider", "refreshing"])
def test_its_own_timeout_without_a_time_limit(clock: VirtualClock, scene: Make, kind: str) -> None:
    """C10: a ``TimeoutError`` of the provider's own is told as such where there is no limit."""
    auth: Any = raises_timeout
    if kind == "refreshing":
        auth = refreshing(raises_timeout, timeout=None)
    it = scene(auth=auth, auth_timeout=None)
    clock.advance(1.0)
    failed = it.events[1]
    assert isinstance(failed, ConnectFailed) and "raised TimeoutError" in str(failed.error)


@pytest.mark.parametrize("raised", RAISED, ids=lambda error: type(error).__name__)
def test_whatever_a_carrier_raises_is_a_failed_attempt(
    clock: VirtualClock, scene: Make, raised: BaseException
) -> None:
    """C10: it fails like the provider whose credential it was given."""
    raising: list[BaseException] = [raised]

    def carrier(value: Any) -> Carried:
        if raising:
            raise raising.pop()
        return Carried(query={"token": value})

    it = scene(auth=lambda: "good", carrier=carrier)
    clock.advance(10.0)
    failed = it.events[1]
    assert isinstance(failed, ConnectFailed) and isinstance(failed.error, ProviderFailed)
    assert type(raised).__name__ in str(failed.error)
    assert it.dials == [(2.0, "good")]


@pytest.mark.parametrize("name", NO_CREDENTIALS)
def test_what_is_no_credential_is_a_failed_attempt(
    clock: VirtualClock, scene: Make, name: str
) -> None:
    """A provider that gives nonsense: ConnectFailed, backoff, asked again."""
    values = iter([NO_CREDENTIALS[name], "good"])
    it = scene(auth=lambda: next(values))
    clock.advance(10.0)
    assert it.names == ["Connecting", "ConnectFailed", "Waiting", "Connecting", "Opened"]
    failed = it.events[1]
    assert isinstance(failed, ConnectFailed) and isinstance(failed.error, ProviderFailed)
    assert it.dials == [(2.0, "good")]


def test_a_credential_that_cannot_be_carried_is_a_failed_attempt(
    clock: VirtualClock, scene: Make
) -> None:
    """What does not fit into a header fails like the provider that gave it; no secret shows."""
    values = iter(["gehéim", "good"])
    it = scene(auth=lambda: next(values), carrier=header())
    clock.advance(10.0)
    failed = it.events[1]
    assert isinstance(failed, ConnectFailed)
    assert isinstance(failed.error, ProviderFailed)
    assert "gehéim" not in repr(failed)
    assert it.dials == [(2.0, "good")]


def test_a_provider_that_recovers(clock: VirtualClock, scene: Make) -> None:
    """The first credential it gives is dialled."""
    calls: list[float] = []

    def provider() -> Any:
        calls.append(clock.time())
        if len(calls) < 3:
            raise OSError("down")
        return A

    it = scene(auth=provider)
    clock.advance(60.0)
    assert calls == [0.0, 2.0, 6.0]
    assert it.dials == [(6.0, "a")]


@pytest.mark.parametrize(("limit", "cut"), [({}, 10.0), ({"auth_timeout": 3.0}, 3.0)])
def test_a_hanging_provider_is_cut(
    clock: VirtualClock, scene: Make, limit: dict[str, float], cut: float
) -> None:
    """After 10 s, or ``auth_timeout``, the attempt failed; the next call is a new one."""
    calls: list[float] = []
    cancelled: list[float] = []

    async def provider() -> Any:
        calls.append(clock.time())
        if len(calls) > 1:
            return A
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(clock.time())
            raise

    it = scene(auth=provider, **limit)
    clock.advance(60.0)
    at, failed = it.entries[1]
    assert at == cut
    assert isinstance(failed, ConnectFailed)
    assert isinstance(failed.error, ProviderFailed)
    assert failed.verdict is Verdict.RECONNECT
    assert f"within {cut:g} s" in str(failed.error)
    assert it.entries[2] == (cut, Waiting(delay=2.0, failures=1, cause=Cause.FAILED))
    assert calls == [0.0, cut + 2.0]
    assert cancelled == [cut]
    assert it.dials == [(cut + 2.0, "a")]


@pytest.mark.parametrize(("limit", "takes"), [(None, 3600.0), (30.0, 20.0)])
def test_it_may_take_the_time_it_is_given(
    clock: VirtualClock, scene: Make, limit: float | None, takes: float
) -> None:
    """``auth_timeout``, or ``None`` for as long as it likes: dialled when it is there."""

    async def provider() -> Any:
        await asyncio.sleep(takes)
        return A

    it = scene(auth=provider, auth_timeout=limit)
    clock.advance(4000.0)
    assert it.dials == [(takes, "a")]


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_unauthorized_parks_for_good(clock: VirtualClock, scene: Make, kind: str) -> None:
    """Rejected, AwaitingAuth, and not one more call; a credential that is set revives it."""
    calls: list[float] = []

    def provider() -> Any:
        calls.append(clock.time())
        raise Unauthorized("no session")

    async def waited() -> Any:
        return provider()

    it = scene(auth=provider if kind == "sync" else waited)
    clock.advance(24 * 3600.0)
    assert calls == [0.0]
    assert it.story == [(0.0, "Connecting"), (0.0, "Rejected"), (0.0, "AwaitingAuth")]
    rejected = it.events[1]
    assert isinstance(rejected, Rejected)
    assert isinstance(rejected.error, Unauthorized)
    awaiting = it.events[2]
    assert isinstance(awaiting, AwaitingAuth) and "no session" in awaiting.reason
    assert it.socket.state.value is State.AWAITING_AUTH
    assert it.peer.dials == 0
    receipt = it.socket.set_auth(B)
    clock.advance(10.0)
    assert it.dials == [(24 * 3600.0, "b")]
    assert receipt.result() == InEffect(epoch=2)
    assert calls == [0.0]


def test_unauthorized_when_asked_for_another(clock: VirtualClock, scene: Make) -> None:
    """A is refused and the provider gives up: parked for good as well."""
    answers: list[Any] = [A, Unauthorized("no session")]
    calls: list[float] = []

    def provider() -> Any:
        calls.append(clock.time())
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    it = scene(reject(401), auth=provider)
    clock.advance(24 * 3600.0)
    assert calls == [0.0, 0.0]
    assert it.dials == [(0.0, "a")]
    assert it.socket.state.value is State.AWAITING_AUTH
    (said,) = [event for event in it.events if isinstance(event, SourceFailed)]
    assert str(said.error) == "no session"


def test_unauthorized_forbids_nothing(clock: VirtualClock, scene: Make) -> None:
    """Giving up is no refusal of the last credential: it may be set again."""
    values: list[Any] = ["a", Unauthorized("gone")]

    def provider() -> str:
        value = values.pop(0)
        if isinstance(value, Exception):
            raise value
        return str(value)

    it = scene(accept().wait(10.0).drop(), auth=provider)
    clock.advance(20.0)
    assert it.socket.state.value is State.AWAITING_AUTH
    it.socket.set_auth("a")
    clock.advance(1.0)
    assert it.credentials == ["a", "a"]
    assert it.socket.state.value is State.OPEN


def test_the_last_one_may_be_set_while_a_provider_says_logged_out(
    clock: VirtualClock, scene: Make
) -> None:
    """It was in use before and was not refused: set by hand, it is dialled at once."""
    values: list[Any] = ["a", None]
    it = scene(accept().wait(10.0).drop(), auth=lambda: values.pop(0))
    clock.advance(20.0)
    assert it.socket.state.value is State.AWAITING_AUTH
    changes = [it.socket.set_auth("a") for _ in range(2)]
    clock.advance(1.0)
    assert it.dials == [(0.0, "a"), (20.0, "a")]
    assert [change.result() for change in changes] == [InEffect(epoch=3)] * 2


def test_none_from_a_provider_is_logged_out(clock: VirtualClock, scene: Make) -> None:
    """Aborted and AwaitingAuth, both LOGGED_OUT; asked again in 5 min, and every 5 min."""
    values: list[Any] = [None, None, "a"]
    times: list[float] = []

    def provider() -> Any:
        times.append(clock.time())
        return values.pop(0)

    it = scene(auth=provider)
    clock.advance(599.0)
    assert it.events[:2] == [connecting(1), Aborted(epoch=1, cause=Cause.LOGGED_OUT)]
    assert isinstance(it.events[2], AwaitingAuth) and it.events[2].cause is Cause.LOGGED_OUT
    clock.advance(1.0)
    assert times == [0.0, 300.0, 600.0]
    assert it.dials == [(600.0, "a")]


# --- one call at a time


class SlowProvider:
    """A provider whose calls are answered by the test.

    Attributes:
        calls: A future for each call.
        most: How many ran at one time, at most.
    """

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self.calls: list[asyncio.Future[Any]] = []
        self.running = self.most = 0

    async def __call__(self) -> Any:
        self.running += 1
        self.most = max(self.most, self.running)
        self.calls.append(self._clock.create_future())
        try:
            return await self.calls[-1]
        finally:
            self.running -= 1


def test_one_call_at_a_time(clock: VirtualClock, scene: Make) -> None:
    """Attempts that are given up meanwhile do not ask again: the next waits for the same call."""
    provider = SlowProvider(clock)
    it = scene(auth=provider)
    for _ in range(4):
        clock.advance(2.0)
        it.socket.reconnect()
    clock.advance(0.0)
    assert (len(provider.calls), provider.most) == (1, 1)
    provider.calls[0].set_result(A)
    clock.advance(10.0)
    assert it.dials == [(8.0, "a")]
    assert len(provider.calls) == 1


@pytest.mark.parametrize("late", [A, None, OSError("late"), Unauthorized("late")])
def test_a_late_result_goes_nowhere(clock: VirtualClock, scene: Make, late: Any) -> None:
    """set_auth(B) overtakes a call; whatever that says afterwards changes nothing."""
    provider = SlowProvider(clock)
    it = scene(auth=provider)
    clock.advance(1.0)
    receipt = it.socket.set_auth(B)
    clock.advance(1.0)
    it.clear()
    if isinstance(late, Exception):
        provider.calls[0].set_exception(late)
    else:
        provider.calls[0].set_result(late)
    clock.advance(60.0)
    assert it.entries == []
    assert it.dials == [(1.0, "b")]
    assert it.socket.state.value is State.OPEN
    assert receipt.result() == InEffect(epoch=2)
    assert len(provider.calls) == 1


def test_a_late_result_is_not_used_for_a_later_attempt(clock: VirtualClock, scene: Make) -> None:
    """After a refusal of B the provider is asked anew, not served from what came meanwhile."""
    provider = Minting(clock, 2.0)
    it = scene(accept().wait(10.0).close(4401), auth=provider)
    clock.advance(1.0)
    it.socket.set_auth(B)
    clock.advance(30.0)
    assert provider.times == [0.0, 11.0]
    assert it.dials == [(1.0, "b"), (11.0, "2")]


def test_an_overtaken_waiter_is_cancelled_the_call_is_not(clock: VirtualClock, scene: Make) -> None:
    """``set_auth`` while it is asked: B is dialled, the call goes on, its result goes nowhere."""
    provider = Minting(clock, 5.0)
    it = scene(auth=provider)
    clock.advance(1.0)
    change = it.socket.set_auth(B)
    clock.advance(60.0)
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


def test_a_waiter_that_is_overtaken_is_cancelled_at_once(clock: VirtualClock, scene: Make) -> None:
    """Aborted in the instant of the change; the call itself goes on, up to its limit."""
    provider = SlowProvider(clock)
    it = scene(auth=provider)
    clock.advance(1.0)
    it.socket.set_auth(B)
    assert it.entries[-1] == (1.0, Aborted(epoch=1, cause=Cause.AUTH_CHANGED))
    clock.advance(8.9)
    assert provider.running == 1
    clock.advance(0.1)
    assert provider.running == 0


def test_a_call_ends_with_the_socket(clock: VirtualClock, scene: Make) -> None:
    """Closing while a provider is asked cancels it, and nothing is dialled."""
    provider = SlowProvider(clock)
    it = scene(auth=provider)
    clock.advance(1.0)
    it.socket.close()
    clock.advance(0.0)
    assert provider.running == 0
    assert it.peer.dials == 0


def test_leaving_cancels_the_call(clock: VirtualClock, scene: Make) -> None:
    """Nobody waits any more: nothing of it is left."""
    provider = Minting(clock, 5.0)
    it = scene(watch=False, auth=provider)
    leave = it.socket.connect()
    clock.advance(1.0)
    leave.dispose()
    clock.advance(0.0)
    assert (provider.cancelled, clock.pending, clock.tasks) == (1, 0, set())


def test_a_start_after_leaving_asks_anew(clock: VirtualClock, scene: Make) -> None:
    """What the cancelled call would have given is not waited for."""
    provider = Minting(clock, 5.0, 1.0)
    it = scene(watch=False, auth=provider)
    leave = it.socket.connect()
    clock.advance(1.0)
    leave.dispose()
    it.watch()
    clock.advance(20.0)
    assert provider.times == [0.0, 1.0]
    assert it.credentials == ["2"]


# --- what is set meanwhile


def test_a_pushed_credential_is_used_until_it_is_refused(clock: VirtualClock, scene: Make) -> None:
    """set_auth(B) beside a provider: B at each reconnect; after a 4401 the provider's again."""
    calls: list[float] = []

    def provider() -> Any:
        calls.append(clock.time())
        return A if len(calls) == 1 else C

    dropped = accept().wait(10.0).drop()
    it = scene(accept(), dropped, dropped, accept().wait(10.0).close(4401), auth=provider)
    clock.advance(10.0)
    it.socket.set_auth(B)
    clock.advance(100.0)
    assert it.dials == [(0.0, "a"), (10.0, "b"), (22.0, "b"), (34.0, "b"), (44.0, "c")]
    assert calls == [0.0, 44.0]


@pytest.mark.parametrize("act", ["set_auth", "reconnect", "close"])
def test_a_provider_that_calls_back(clock: VirtualClock, scene: Make, act: str) -> None:
    """From inside the provider, ``set_auth`` overtakes its own result, ``close()`` ends it all."""
    it = scene(watch=False, auth=lambda: provider())
    calls: list[float] = []

    def provider() -> str:
        calls.append(clock.time())
        if len(calls) == 1:
            {
                "set_auth": lambda: it.socket.set_auth(B),
                "reconnect": it.socket.reconnect,
                "close": it.socket.close,
            }[act]()
        return "mine"

    it.watch()
    clock.advance(10.0)
    expected: dict[str, list[str]] = {"set_auth": ["b"], "reconnect": ["mine"], "close": []}
    assert it.credentials == expected[act]
