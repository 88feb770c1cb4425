"""C12: the next credential is fetched before the last one expires, for all who share it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from itertools import pairwise
from random import Random
from typing import Any

import pytest
import reactivex
from deadlines import took
from internals import EPOCH
from reactivex import operators as ops
from scene import B, Make, Scene, known

from rxsocket import (
    Ask,
    AwaitingAuth,
    Cause,
    Closed,
    ConnectFailed,
    Credential,
    InEffect,
    Opened,
    ProviderFailed,
    Reason,
    Refreshing,
    Rejected,
    Socket,
    SourceFailed,
    State,
    Unauthorized,
    handover,
    reconnect,
    refreshing,
)
from rxsocket.testing import VirtualClock, accept, fake, reject, unreachable

LIFE = 900.0


class _Shortest(Random):
    """No jitter: refreshed at ``lifetime - lead``; retried after 5 s; the backoff is half."""

    def uniform(self, a: float, b: float) -> float:
        return a


class TokenProvider:
    """A provider of tokens ``1``, ``2``, ... with a lifetime; it notes when and why it is asked."""

    def __init__(self, clock: VirtualClock, life: float = LIFE, takes: float = 0.0) -> None:
        self._clock = clock
        self.life = life
        self.takes = takes
        self.asked: list[tuple[float, Ask]] = []
        self.errors: list[Exception] = []
        self.running = 0
        self.most_running = 0

    async def __call__(self, ask: Ask) -> dict[str, Any]:
        self.asked.append((self._clock.time(), ask))
        number = len(self.asked)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await asyncio.sleep(self.takes)
        finally:
            self.running -= 1
        if self.errors:
            raise self.errors.pop(0)
        return {"token": str(number), "expires_in": self.life}

    @property
    def times(self) -> list[float]:
        return [at for at, _ in self.asked]

    @property
    def reasons(self) -> list[Reason]:
        return [ask.reason for _, ask in self.asked]


@pytest.fixture
def mint(clock: VirtualClock) -> TokenProvider:
    """Tokens that live 15 minutes."""
    return TokenProvider(clock)


def exact(provider: Callable[..., Any], lead: float = 300.0, **options: Any) -> Refreshing:
    """``refreshing`` without jitter."""
    return refreshing(provider, lead, random=_Shortest(), **options)


def problems_of(it: Scene) -> list[Any]:
    found: list[Any] = []
    it.socket.errors.subscribe(found.append)
    return found


# --- when


def test_a_connection_follows_each_renewal(
    clock: VirtualClock, scene: Make, mint: TokenProvider
) -> None:
    """C12: tokens of 15 min are renewed after 10; each time the connection changes, once."""
    it = scene(auth=exact(mint))
    clock.advance(2000.0)
    assert it.dials == [(0.0, "1"), (600.0, "2"), (1200.0, "3"), (1800.0, "4")]
    assert mint.reasons == [Reason.FIRST] + [Reason.EXPIRING] * 3
    closed = [event for event in it.events if isinstance(event, Closed)]
    assert [event.cause for event in closed] == [Cause.AUTH_CHANGED] * 3


@pytest.mark.slow
def test_a_day_of_tokens_that_live_15_minutes(clock: VirtualClock, scene: Make) -> None:
    """C12: 24 hours, with jitter, in less than 2 s; no token is used after its end."""
    mint = TokenProvider(clock)
    it = scene(auth=refreshing(mint, random=Random(12)))
    began = time.thread_time()
    clock.advance(24 * 3600.0)
    seconds = time.thread_time() - began
    gaps = [after - before for before, after in pairwise(mint.times)]
    assert all(570.0 <= gap <= 600.0 for gap in gaps) and len(set(gaps)) > 100
    assert 144 <= len(gaps) <= 152
    assert it.credentials == [str(number) for number in range(1, len(mint.asked) + 1)]
    assert it.socket.state.value is State.OPEN
    took(seconds, 2.0, "for a day")


@pytest.mark.parametrize(
    ("life", "lead", "second"),
    [
        (900, 300, 600),
        (900, 60, 840),
        (400, 300, 200),
        (200, 300, 100),
        (900, 0, 900),
        (60, 30, 30),
    ],
)
def test_the_lead(
    clock: VirtualClock, scene: Make, life: float, lead: float, second: float
) -> None:
    """C12: at lifetime - lead; at half the lifetime when that is the shorter lead."""
    mint = TokenProvider(clock, life)
    scene(auth=exact(mint, lead))
    clock.advance(second - 0.1)
    assert mint.times == [0.0]
    clock.advance(0.2)
    assert mint.times == [0.0, second]


def test_the_shortest_lives_are_renewed_once_a_second(
    clock: VirtualClock, mint: TokenProvider
) -> None:
    """C12: however short a life, two calls ahead are at least 1 s apart."""
    mint.life = 0.001
    seen: list[Credential] = []
    subscription = refreshing(mint).subscribe(seen.append)
    clock.advance(10.0)
    subscription.dispose()
    assert 5 <= len(mint.asked) <= 11


def test_the_jitter_can_be_known(clock: VirtualClock) -> None:
    """C12: the same seed, the same times; another seed, others."""

    def times(seed: int) -> list[float]:
        mint = TokenProvider(clock)
        start = clock.time()
        subscription = refreshing(mint, random=Random(seed)).subscribe()
        clock.advance(5000.0)
        subscription.dispose()
        return [round(at - start, 4) for at in mint.times]

    assert times(1) == times(1)
    assert times(1) != times(2)


def test_an_unknown_expiry_is_never_refreshed_ahead(clock: VirtualClock, scene: Make) -> None:
    """C12: without an expiry one call is enough for hours of drops."""
    calls: list[Ask] = []

    def provider(ask: Ask) -> str:
        calls.append(ask)
        return "opaque"

    it = scene(*[accept().wait(3600.0).drop()] * 5, auth=refreshing(provider))
    clock.advance(6 * 3600.0)
    assert it.credentials == ["opaque"] * 6
    assert len(calls) == 1


def test_the_wall_clock_decides(clock: VirtualClock, scene: Make, mint: TokenProvider) -> None:
    """C12: after a sleep of two hours that the timers did not see, the next one is fetched."""
    it = scene(auth=exact(mint))
    clock.advance(100.0)
    clock.wall_time = lambda: EPOCH + clock.time() + 7200.0  # type: ignore[method-assign]
    clock.advance(31.0)
    assert it.credentials == ["1", "2"]
    assert mint.times[1] <= 130.0


def test_an_attempt_after_a_sleep_takes_no_expired_one(
    clock: VirtualClock, scene: Make, mint: TokenProvider
) -> None:
    """C12: the link drops in the moment of waking: the attempt fetches, and waits for it."""
    it = scene(accept().wait(100.0).drop(), auth=exact(mint))
    clock.advance(99.0)
    mint.takes = 3.0
    clock.wall_time = lambda: EPOCH + clock.time() + 7200.0  # type: ignore[method-assign]
    clock.advance(20.0)
    assert it.credentials == ["1", "2"]
    assert len(mint.asked) == 2


# --- attempts


def test_attempts_share_the_current_one(
    clock: VirtualClock, scene: Make, mint: TokenProvider
) -> None:
    """C10, C12: a drop while the credential lives makes no call."""
    it = scene(*[accept().wait(10.0).drop()] * 4, auth=exact(mint))
    clock.advance(300.0)
    assert it.credentials == ["1"] * 5
    assert len(mint.asked) == 1


def test_after_its_expiry_an_attempt_waits_for_a_fetch(
    clock: VirtualClock, scene: Make, mint: TokenProvider
) -> None:
    """C10, C12: an expired credential is not dialled, even if no newer one could be had."""
    it = scene(accept().wait(1000.0).drop(), auth=exact(mint))
    clock.advance(599.0)
    mint.errors = [OSError("down")] * 1000
    clock.advance(500.0)
    assert it.credentials == ["1"]
    mint.errors.clear()
    clock.advance(60.0)
    assert it.credentials[0] == "1" and len(it.credentials) == 2
    assert it.socket.state.value is State.OPEN


def test_a_refusal_asks_why(clock: VirtualClock, scene: Make, mint: TokenProvider) -> None:
    """C9, C12: refused with the current one: one call, told the status; no second change."""
    it = scene(reject(401), auth=exact(mint))
    clock.advance(60.0)
    assert it.credentials == ["1", "2"]
    assert mint.reasons == [Reason.FIRST, Reason.REJECTED]
    assert mint.asked[1][1].code == 401
    assert it.names.count("Connecting") == 2


def test_a_refusal_when_there_is_a_newer_one_makes_no_call(
    clock: VirtualClock, mint: TokenProvider
) -> None:
    """C9, C12: the second socket is refused with what the first has replaced already."""
    tokens = exact(mint)
    peers = [fake(accept().wait(6.0).close(4401)), fake(accept().wait(7.0).close(4401))]
    sockets = [Socket(peer.url, auth=tokens, transport=peer, backoff=known()) for peer in peers]
    held = [socket.connect() for socket in sockets]
    clock.advance(100.0)
    for peer in peers:
        assert [handshake.credential for handshake in peer.handshakes] == ["1", "2"]
    assert mint.reasons == [Reason.FIRST, Reason.REJECTED]
    for one in held:
        one.dispose()
    clock.advance(2.0)


def test_accepting_and_refusing_each_minted_one(clock: VirtualClock, mint: TokenProvider) -> None:
    """C9, C15: 20 sockets share what each of their servers refuses: 9 dials in the first minute."""
    tokens = exact(mint)
    peers = [fake() for _ in range(20)]
    sockets = []
    for number, peer in enumerate(peers):
        peer.default = accept().wait(0.1 + number * 0.07).close(4401)
        sockets.append(Socket(peer.url, auth=tokens, transport=peer))
    held = [socket.connect() for socket in sockets]
    clock.advance(600.0)
    for peer in peers:
        times = [handshake.at for handshake in peer.handshakes]
        assert 3 <= sum(at < 60.0 for at in times) <= 9
        for minute in range(1, 10):
            assert sum(60.0 * minute <= at < 60.0 * (minute + 1) for at in times) <= 3
        offered = [handshake.credential for handshake in peer.handshakes]
        assert len(set(offered)) == len(offered), "a refused one was offered again"
    for one in held:
        one.dispose()
    clock.advance(2.0)


def test_a_renewal_waits_until_the_connection_is_stable(
    clock: VirtualClock, scene: Make, mint: TokenProvider
) -> None:
    """C12, C15: a renewal in the first 5 s of a connection is followed when they are over."""
    it = scene(accept().wait(595.0).drop(), auth=exact(mint))
    clock.advance(2000.0)
    # dropped at 595, open again at 597 with the same one; renewed at 600
    assert it.dials[:3] == [(0.0, "1"), (597.0, "1"), (602.0, "2")]


@pytest.mark.parametrize("strategy", [reconnect(), handover()], ids=["reconnect", "handover"])
@pytest.mark.parametrize("life", [2.0, 3.0, 4.0, 8.0, 12.0])
def test_tokens_that_live_a_few_seconds(
    clock: VirtualClock, scene: Make, life: float, strategy: Any
) -> None:
    """C12: shorter than it takes to be stable; no connection outlives its token or is cut."""
    mint = TokenProvider(clock, life)
    cut = accept().wait(life).close(4401, "expired")
    it = scene(*[cut] * 100, auth=refreshing(mint, random=Random(3)), on_auth_change=strategy)
    clock.advance(60.0)
    closed = [event for event in it.events if isinstance(event, Closed)]
    cause = Cause.HANDED_OVER if strategy == handover() else Cause.AUTH_CHANGED
    assert {event.cause for event in closed} == {cause}
    assert all(event.uptime < life for event in closed)
    gaps = [event.gap or 0.0 for event in it.events if isinstance(event, Opened)]
    assert max(gaps) < 0.01
    attempts = [event.attempts for event in it.events if isinstance(event, Opened)]
    assert set(attempts) == {1}
    assert len(closed) <= 60.0 / (life / 4)


def test_one_that_opens_with_the_rest_of_a_token(clock: VirtualClock, scene: Make) -> None:
    """C12: half of what is left of it, not of its life."""
    mint = TokenProvider(clock, 8.0)
    it = scene(accept().wait(3.0).drop(), accept(), auth=exact(mint), stable_after=60.0)
    clock.advance(20.0)
    # Renewed after 4 s. Lost at 3 s, open again at 5 s with token 2, which lives until 12.
    assert it.dials[:3] == [(0.0, "1"), (5.0, "2"), (8.5, "3")]


def test_a_renewal_while_waiting_is_in_the_next_attempt(
    clock: VirtualClock, scene: Make, mint: TokenProvider
) -> None:
    """C12, C15: a renewal during an outage is no reason to dial; the next attempt carries it."""
    it = scene(accept().wait(560.0).drop(), *[unreachable()] * 6, auth=exact(mint))
    clock.advance(560.0)
    dials = it.peer.dials
    clock.advance(300.0)
    assert it.peer.dials - dials == 7
    # lost at 560; attempts after 2, 4, 8, 16, 32, 40 and 40 s
    assert it.dials == [(0.0, "1"), (702.0, "2")]


def test_a_provider_with_a_cache(clock: VirtualClock, scene: Make) -> None:
    """C12: the same one again is no change and no failure, and asked for again, but not at once."""
    times: list[float] = []

    def provider() -> dict[str, Any]:
        times.append(clock.time())
        return {"token": "old" if clock.time() < 899.0 else "new"}

    it = scene(auth=exact(provider, expires=lambda _: EPOCH + 900.0))
    problems = problems_of(it)
    clock.advance(910.0)
    assert it.dials[0] == (0.0, "old") and [one for _, one in it.dials[1:]] == ["new"]
    assert problems == []
    gaps = [after - before for before, after in pairwise(times)]
    assert gaps[0] == 600.0 and all(5.0 <= gap <= 150.0 for gap in gaps[1:])
    assert len(times) < 20


# --- failures


def test_a_failed_refresh_is_tried_again_soon(
    clock: VirtualClock, scene: Make, mint: TokenProvider
) -> None:
    """C12: after 5 to 10 s while the old one lives; each failure is reported once, none ends it."""
    it = scene(auth=exact(mint))
    problems = problems_of(it)
    clock.advance(599.0)
    mint.errors = [OSError("the token server is down")] * 3
    clock.advance(100.0)
    assert mint.times == [0.0, 600.0, 605.0, 610.0, 615.0]
    assert [type(problem) for problem in problems] == [SourceFailed] * 3
    assert all(isinstance(problem.error, ProviderFailed) for problem in problems)
    assert it.dials == [(0.0, "1"), (615.0, "5")]


def test_the_retries_are_5_to_10_seconds_apart(clock: VirtualClock, scene: Make) -> None:
    """C12: with jitter, as long as the old one lives."""
    mint = TokenProvider(clock)
    scene(auth=refreshing(mint, random=Random(3)))
    clock.advance(500.0)
    mint.errors = [OSError("down")] * 1000
    clock.advance(399.0)
    gaps = [b - a for a, b in pairwise(mint.times[1:])]
    assert len(gaps) > 30 and all(5.0 <= gap <= 10.0 for gap in gaps)
    assert len(set(gaps)) == len(gaps)


def test_after_the_expiry_it_is_tried_with_backoff(
    clock: VirtualClock, scene: Make, mint: TokenProvider
) -> None:
    """C12: an open connection whose credential expired stays; the calls get rarer, and go on."""
    it = scene(auth=exact(mint))
    clock.advance(599.0)
    mint.errors = [OSError("down")] * 10_000
    clock.advance(3001.0)
    late = [at for at in mint.times if at > 1000.0]
    assert all(19.9 < b - a < 20.1 for a, b in pairwise(late))
    assert len(late) > 100
    assert it.credentials == ["1"] and it.socket.state.value is State.OPEN
    mint.errors.clear()
    clock.advance(30.0)
    assert len(it.credentials) == 2


def test_it_hangs(clock: VirtualClock, scene: Make, mint: TokenProvider) -> None:
    """C10, C12: a call is cut after ``timeout``, and the next one is made as after any failure."""
    it = scene(auth=exact(mint, timeout=4.0))
    problems = problems_of(it)
    clock.advance(599.0)
    mint.takes = 100.0
    clock.advance(6.0)
    assert "gave no credential within 4 s" in str(problems[0].error)
    mint.takes = 0.0
    clock.advance(10.0)
    assert mint.times == [0.0, 600.0, 609.0]
    assert it.credentials == ["1", "3"]


def test_a_failure_that_answers_is_not_reported_twice(
    clock: VirtualClock, scene: Make, mint: TokenProvider
) -> None:
    """C12: a socket that is refused during a refresh waits for it; its failure is one problem."""
    it = scene(accept().wait(602.0).close(4401), auth=exact(mint))
    problems = problems_of(it)
    clock.advance(599.0)
    mint.takes, mint.errors = 5.0, [OSError("down")]
    clock.advance(7.0)
    assert [type(problem) for problem in problems] == [Closed, SourceFailed]
    mint.takes = 0.0
    clock.advance(60.0)
    assert it.credentials[-1] != "1" and it.socket.state.value is State.OPEN


def test_a_failure_that_another_socket_asked_for_is_its_own(
    clock: VirtualClock, scene: Make, mint: TokenProvider
) -> None:
    """C12: only a failed refresh is everybody's problem, not what one refused socket asked for."""
    tokens = exact(mint)
    happy, refused = scene(auth=tokens), scene(accept().wait(30.0).close(4401), auth=tokens)
    happys, refuseds = problems_of(happy), problems_of(refused)
    clock.advance(20.0)
    mint.errors = [OSError("down")]
    clock.advance(20.0)
    assert happys == []
    assert [type(problem) for problem in refuseds] == [Closed, SourceFailed]


def test_unauthorized_parks_the_socket(
    clock: VirtualClock, scene: Make, mint: TokenProvider
) -> None:
    """C10: Unauthorized from the provider awaits auth, with one call; ``set_auth`` goes on."""
    mint.errors = [Unauthorized("log in again")]
    it = scene(auth=exact(mint))
    clock.advance(3600.0)
    assert it.names == ["Connecting", "Rejected", "AwaitingAuth"]
    assert isinstance(it.events[2], AwaitingAuth) and "log in again" in it.events[2].reason
    assert len(mint.asked) == 1 and it.peer.dials == 0
    assert clock.run(_outcome(it.socket, B)) == InEffect(2)


async def _outcome(socket: Socket, value: Any) -> Any:
    return await socket.set_auth(value)


def test_a_parked_socket_is_revived_by_a_renewal(clock: VirtualClock, mint: TokenProvider) -> None:
    """C10, C12: after Unauthorized, what another socket's question brings is for all."""
    mint.errors = [Unauthorized("log in again")]
    tokens = exact(mint)
    peer = fake()
    first = Socket(peer.url, auth=tokens, transport=peer)
    held = first.connect()
    clock.advance(60.0)
    assert first.state.value is State.AWAITING_AUTH
    second = Socket(peer.url, auth=tokens, transport=peer)
    other = second.connect()
    clock.advance(1.0)
    assert first.state.value is second.state.value is State.OPEN
    assert [handshake.credential for handshake in peer.handshakes] == ["2", "2"]
    held.dispose()
    other.dispose()
    clock.advance(2.0)


def test_unauthorized_ahead_of_the_expiry(
    clock: VirtualClock, scene: Make, mint: TokenProvider
) -> None:
    """C12: it is reported and not asked ahead again; the credential is used as long as it lives."""
    it = scene(accept().wait(700.0).drop(), accept().wait(300.0).drop(), auth=exact(mint))
    problems = problems_of(it)
    clock.advance(599.0)
    mint.errors = [Unauthorized("gone"), Unauthorized("still gone")]
    clock.advance(300.0)
    assert [type(problem) for problem in problems] == [SourceFailed, Closed]
    assert isinstance(problems[0].error, Unauthorized)
    assert it.dials == [(0.0, "1"), (702.0, "1")] and len(mint.asked) == 2
    clock.advance(3600.0)
    assert it.socket.state.value is State.AWAITING_AUTH and len(mint.asked) == 3
    assert isinstance(it.events[-2], Rejected)


def test_logged_out_and_in_again(clock: VirtualClock, scene: Make, mint: TokenProvider) -> None:
    """C11, C12: None at a renewal closes the connection; asked again in 5 min, it goes on."""
    answers: list[Any] = [{"token": "a", "expires_in": 900}, None, {"token": "b"}]
    times: list[float] = []

    def provider() -> Any:
        times.append(clock.time())
        return answers.pop(0)

    it = scene(auth=exact(provider))
    clock.advance(899.0)
    assert it.socket.state.value is State.AWAITING_AUTH
    clock.advance(2.0)
    assert times == [0.0, 600.0, 900.0]
    assert it.dials == [(0.0, "a"), (900.0, "b")]


# --- set_auth


def test_a_late_result_is_discarded(clock: VirtualClock, scene: Make, mint: TokenProvider) -> None:
    """C10: set_auth overtakes the call that the attempt waits for; its result goes nowhere."""
    mint.takes = 5.0
    it = scene(auth=exact(mint))
    clock.advance(1.0)
    it.socket.set_auth(B)
    clock.advance(500.0)
    assert it.dials == [(1.0, "b")]


def test_a_renewal_under_way_is_overtaken(
    clock: VirtualClock, scene: Make, mint: TokenProvider
) -> None:
    """C10: a call that began before set_auth is older than it; the next renewal is newer."""
    it = scene(auth=exact(mint))
    clock.advance(599.0)
    mint.takes = 5.0
    clock.advance(2.0)
    it.socket.set_auth(B)
    clock.advance(100.0)
    assert it.dials == [(0.0, "1"), (601.0, "b")]
    clock.advance(600.0)
    assert it.credentials == ["1", "b", "3"]


def test_a_refused_pushed_one_falls_back(
    clock: VirtualClock, scene: Make, mint: TokenProvider
) -> None:
    """C9: what set_auth pushed is refused: the current one is used, without a call."""
    it = scene(auth=exact(mint), tokens={"1"})
    clock.advance(10.0)
    it.socket.set_auth(B)
    clock.advance(60.0)
    assert it.credentials == ["1", "b", "1"] and len(mint.asked) == 1


def test_a_user_who_logged_out_stays_out(
    clock: VirtualClock, scene: Make, mint: TokenProvider
) -> None:
    """C11: a renewal is no reason to log in a socket again that was told to log out."""
    it = scene(auth=exact(mint))
    clock.advance(10.0)
    it.socket.set_auth(None)
    clock.advance(3600.0)
    assert it.socket.state.value is State.AWAITING_AUTH
    assert it.credentials == ["1"] and len(mint.asked) > 3


def test_a_pushed_one_that_cannot_be_used_yet_is_overtaken(
    clock: VirtualClock, scene: Make, mint: TokenProvider
) -> None:
    """C10: of set_auth and the source the newest wins, also in the middle of an outage."""
    it = scene(accept().wait(550.0).drop(), *[unreachable()] * 20, auth=exact(mint))
    clock.advance(560.0)
    it.socket.set_auth(B)
    clock.advance(35.0)
    assert it.socket.auth.value == Credential.of(B)
    clock.advance(10.0)
    assert it.socket.auth.value == Credential.of({"token": "2"})
    clock.advance(1000.0)
    assert "b" not in it.credentials and it.socket.state.value is State.OPEN


def test_a_restart_takes_the_current_one_not_the_last_renewal(
    clock: VirtualClock, scene: Make, mint: TokenProvider
) -> None:
    """C10, C12: what a stopped socket was renewed with has expired when it starts again."""
    it = scene(watch=False, auth=exact(mint))
    held = it.socket.connect()
    clock.advance(700.0)
    held.dispose()
    clock.advance(5000.0)
    held = it.socket.connect()
    clock.advance(1.0)
    assert it.credentials == ["1", "2", "3"]
    held.dispose()


def test_a_renewal_that_waits_is_overtaken(
    clock: VirtualClock, scene: Make, mint: TokenProvider
) -> None:
    """C10, C12: a renewal that waits for a stable connection is older than set_auth."""
    it = scene(accept().wait(595.0).drop(), auth=exact(mint))
    clock.advance(601.0)
    it.socket.set_auth(B)
    clock.advance(100.0)
    assert it.dials == [(0.0, "1"), (597.0, "1"), (601.0, "b")]


def test_a_renewal_that_waits_ends_with_the_socket(
    clock: VirtualClock, scene: Make, mint: TokenProvider
) -> None:
    """C12, C26: no timer of it is left when the last subscriber leaves."""
    it = scene(accept().wait(595.0).drop(), watch=False, auth=exact(mint))
    held = it.socket.connect()
    clock.advance(601.0)
    held.dispose()
    clock.advance(0.0)
    assert clock.pending == 0


def test_a_renewal_with_a_refused_one_is_not_followed(clock: VirtualClock, scene: Make) -> None:
    """C9, C12: what this socket was refused with is not dialled, whoever mints it again."""
    answers = iter(["a", "b", "a", "c"])

    def provider() -> dict[str, Any]:
        return {"token": next(answers), "expires_in": LIFE}

    it = scene(auth=exact(provider), tokens={"b", "c"})
    clock.advance(700.0)
    assert it.credentials == ["a", "b"]
    clock.advance(600.0)
    assert it.credentials == ["a", "b", "c"]


# --- sharing


def test_fifty_sockets_share_rotating_refresh_tokens(clock: VirtualClock) -> None:
    """C10, C12: all dropped at once, again and again: one call at a time, none used twice."""
    refresh, used, running, most = "r0", [], 0, 0

    async def provider() -> dict[str, Any]:
        nonlocal refresh, running, most
        running, presented = running + 1, refresh
        most = max(most, running)
        used.append(presented)
        await asyncio.sleep(0.3)
        refresh = f"r{len(used)}"
        running -= 1
        valid.add(f"access-{len(used)}")
        return {
            "access_token": f"access-{len(used)}",
            "token_type": "Bearer",
            "expires_in": 900,
            "refresh_token": refresh,
        }

    valid: set[str] = set()
    peer = fake()
    peer.tokens = valid
    tokens = exact(provider)
    sockets = [Socket(peer.url, auth=tokens, transport=peer) for _ in range(50)]
    held = [socket.connect() for socket in sockets]
    for round_ in range(3):
        clock.advance(30.0)
        assert all(socket.state.value is State.OPEN for socket in sockets)
        assert len(used) == round_ + 1
        valid.clear()  # the session was revoked: everybody is refused and needs a new one
        peer.drop()
        clock.advance(1.0)
    clock.advance(300.0)
    assert all(socket.state.value is State.OPEN for socket in sockets)
    assert most == 1
    assert len(used) == len(set(used)) == 4
    offered = [(handshake.credential or "") + str(handshake.query) for handshake in peer.handshakes]
    assert not any(token in offer for offer in offered for token in ("r0", "r1", "r2", "r3"))
    for one in held:
        one.dispose()
    clock.advance(2.0)


def test_it_ends_with_the_last_subscriber(clock: VirtualClock, mint: TokenProvider) -> None:
    """C12, C26: after the last one left no call is made and no timer is there."""
    tokens = exact(mint)
    first, second = tokens.subscribe(), tokens.subscribe()
    clock.advance(700.0)
    first.dispose()
    clock.advance(600.0)
    assert len(mint.asked) == 3
    second.dispose()
    clock.advance(0.0)
    assert clock.pending == 0
    clock.advance(3600.0)
    assert len(mint.asked) == 3


def test_a_call_that_nobody_waits_for_is_cancelled(
    clock: VirtualClock, mint: TokenProvider
) -> None:
    """C26: the last one leaves during a call: nothing of it is left."""
    mint.takes = 5.0
    subscription = exact(mint).subscribe()
    clock.advance(1.0)
    assert mint.running == 1
    subscription.dispose()
    clock.advance(0.0)
    assert mint.running == 0 and not clock.tasks


def test_a_waiter_that_leaves_does_not_cancel_the_call(
    clock: VirtualClock, mint: TokenProvider
) -> None:
    """C10: of two sockets that wait for one call, the one that is closed harms not the other."""
    mint.takes = 5.0
    peer = fake()
    tokens = exact(mint)
    first, second = (Socket(peer.url, auth=tokens, transport=peer) for _ in range(2))
    held = [first.connect(), second.connect()]
    clock.advance(1.0)
    first.close()
    clock.advance(10.0)
    assert second.state.value is State.OPEN
    assert len(mint.asked) == tokens.calls == 1
    for one in held:
        one.dispose()
    clock.advance(2.0)


def test_it_starts_again_with_what_it_had(
    clock: VirtualClock, scene: Make, mint: TokenProvider
) -> None:
    """C12: a socket that is started again takes the credential that still lives."""
    it = scene(watch=False, auth=exact(mint))
    for _ in range(2):
        held = it.socket.connect()
        clock.advance(100.0)
        held.dispose()
        clock.advance(10.0)
    assert it.credentials == ["1", "1"] and len(mint.asked) == 1
    clock.advance(1000.0)
    held = it.socket.connect()
    clock.advance(1.0)
    assert it.credentials == ["1", "1", "2"]
    held.dispose()


# --- as an Observable


def test_it_is_an_observable_of_masked_credentials(
    clock: VirtualClock, mint: TokenProvider
) -> None:
    """C12, C28: each credential once, composable with operators, and nothing of it in the text."""
    mint.life = 900.0
    seen: list[str] = []
    subscription = exact(mint).pipe(ops.map(str), ops.take(3)).subscribe(seen.append)
    clock.advance(1300.0)
    assert seen == ["Credential(token=***)"] * 3
    subscription.dispose()


def test_a_late_subscriber_gets_the_current_one(clock: VirtualClock, mint: TokenProvider) -> None:
    """C12: at once, and no call is made for it; an expired one it does not get."""
    tokens = exact(mint)
    first: list[Any] = []
    late: list[Any] = []
    held = tokens.subscribe(first.append)
    clock.advance(10.0)
    other = tokens.subscribe(late.append)
    onlooker = tokens.passive(audience=False).subscribe(late.append)
    assert late == first * 2 == [Credential.of({"token": "1"})] * 2 and len(mint.asked) == 1
    onlooker.dispose()
    held.dispose()
    other.dispose()
    clock.advance(1000.0)
    again: list[Any] = []
    held = tokens.subscribe(again.append)
    clock.advance(1.0)
    assert again == [Credential.of({"token": "2"})]
    held.dispose()
    clock.advance(0.0)


def test_failures_do_not_end_it(clock: VirtualClock, mint: TokenProvider) -> None:
    """C12: a first call that fails is repeated; the failures are on ``errors``."""
    mint.errors = [OSError("down")] * 3
    tokens = exact(mint)
    seen: list[Any] = []
    errors: list[Exception] = []
    tokens.errors.subscribe(errors.append)
    held = tokens.subscribe(seen.append)
    clock.advance(60.0)
    assert len(seen) == 1 and len(errors) == 3
    assert all(isinstance(error, ProviderFailed) for error in errors)
    held.dispose()
    clock.advance(0.0)


def test_an_observer_that_raises_harms_nobody(clock: VirtualClock, mint: TokenProvider) -> None:
    """C23: it is detached; the others get every renewal."""
    tokens = exact(mint)

    def bad(_: object) -> None:
        raise ValueError("a bug of its own")

    seen: list[Any] = []
    tokens.subscribe(bad)
    held = tokens.subscribe(seen.append)
    clock.advance(1300.0)
    assert len(seen) == 3
    held.dispose()
    clock.advance(0.0)


def test_composed_it_is_a_source_like_any_other(
    clock: VirtualClock, scene: Make, mint: TokenProvider
) -> None:
    """C10: what operators make of it is followed as any Observable is."""
    tokens = exact(mint).pipe(ops.map(lambda credential: credential))
    it = scene(auth=reactivex.merge(tokens, reactivex.never()))
    clock.advance(700.0)
    assert it.dials == [(0.0, "1"), (600.0, "2")]


# --- what providers return


def test_the_response_of_a_token_endpoint(clock: VirtualClock, scene: Make) -> None:
    """C12: the access token is the credential; nothing else of the response is sent."""

    def provider() -> dict[str, Any]:
        return {
            "access_token": "the-token",
            "token_type": "Bearer",
            "expires_in": 3600,
            "refresh_token": "the-refresh-token",
            "scope": "feed",
        }

    it = scene(auth=refreshing(provider))
    clock.advance(1.0)
    assert dict(it.peer.handshakes[0].query) == {"token": "the-token"}


def test_a_users_mapping_of_the_response(clock: VirtualClock, scene: Make) -> None:
    """C12: ``credential=`` says what is sent; a refresh token is not, even then."""
    answer = {"access_token": "t", "expires_in": 3600, "refresh_token": "secret"}
    it = scene(auth=refreshing(lambda: answer, credential=lambda given: {**given, "room": 7}))
    clock.advance(1.0)
    expected = {"access_token": "t", "expires_in": "3600", "room": "7"}
    assert dict(it.peer.handshakes[0].query) == expected


def test_a_bad_answer_is_a_failed_attempt(clock: VirtualClock, scene: Make) -> None:
    """C10: what is no credential, or an ``expires=`` that raises, fails the attempt."""
    for options, text in (
        ({"provider": lambda: 7}, "what the provider returned"),
        (
            {"provider": lambda: "a", "expires": lambda _: {}["exp"]},
            "expires(answer) raised KeyError",
        ),
    ):
        it = scene(auth=refreshing(**options))
        clock.advance(0.0)
        failed = it.events[1]
        assert isinstance(failed, ConnectFailed) and isinstance(failed.error, ProviderFailed)
        assert text in str(failed.error)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"provider": "token"}, TypeError, "refreshing(provider): pass a function"),
        ({"provider": lambda a, b: a}, TypeError, "refreshing(provider): pass a function of one"),
        ({"lead": -1}, ValueError, "refreshing(lead)"),
        ({"lead": "5"}, TypeError, "refreshing(lead)"),
        ({"expires": 3600}, TypeError, "refreshing(expires): pass a function"),
        ({"credential": "token"}, TypeError, "refreshing(credential): pass a function"),
        ({"timeout": -1}, ValueError, "refreshing(timeout)"),
        ({"random": 7}, TypeError, "refreshing(random): pass a random.Random"),
    ],
)
def test_arguments_are_checked(
    arguments: dict[str, Any], error: type[Exception], text: str
) -> None:
    """C12: bad input fails at once, and the error names it."""
    with pytest.raises(error) as caught:
        refreshing(**{"provider": lambda: "a", **arguments})
    assert str(caught.value).startswith(text)


def test_opened_says_that_the_credential_changed(
    clock: VirtualClock, scene: Make, mint: TokenProvider
) -> None:
    """C12, C18: the connection of a renewal says why it was made."""
    it = scene(auth=exact(mint))
    clock.advance(700.0)
    assert [event.cause for event in it.events if isinstance(event, Opened)] == [
        Cause.STARTED,
        Cause.AUTH_CHANGED,
    ]
