"""C3, C9, C16: once a connection of a run was stable, no answer of a server ends the socket."""

from __future__ import annotations

import logging
import random
import ssl
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import reactivex
from reactivex import Observable
from scene import A, B, C, Make, Scene, _Longest

from rxsocket import (
    Ask,
    Backoff,
    Closed,
    ConnectFailed,
    Connecting,
    Ended,
    HandshakeInvalid,
    HandshakeRefused,
    Opened,
    Reason,
    RedirectRefused,
    Refused,
    Request,
    Signal,
    SocketFailed,
    State,
    Verdict,
    first_message,
    header,
    in_band,
    reconnect,
    refreshing,
    standard,
)
from rxsocket.testing import VirtualClock, accept, fake, reject

STABLE = accept().wait(10.0).drop()

AT_FIRST: dict[str, tuple[Exception, int]] = {
    **{f"HTTP {status}": (HandshakeRefused(status), 1) for status in (400, 405, 410, 426)},
    "HTTP 404": (HandshakeRefused(404), 5),
    "no handshake": (HandshakeInvalid("junk"), 5),
    "another origin": (RedirectRefused("redirected to another origin, wss://login.test"), 1),
    "a certificate": (ssl.SSLCertVerificationError(1, "certificate has expired"), 1),
}
"""What ends a socket that had no stable connection yet: after how many in a row."""


class Failing:
    """A fake network on which each dial after the first fails, a number of times."""

    def __init__(self, error: Exception, times: int) -> None:
        self._peer = fake(STABLE, accept().send("again").wait(10.0).drop(), accept())
        self._errors: list[Exception | None] = [None, *[error] * times, None, *[error] * times]

    def __call__(self, request: Request) -> Observable[Signal]:
        error = self._errors.pop(0) if self._errors else None
        return self._peer(request) if error is None else reactivex.throw(error)


def tolerated(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The warnings about what is put up with."""
    records = [one for one in caplog.records if "was stable before" in one.message]
    return [one.message for one in records if one.levelno == logging.WARNING]


@pytest.mark.parametrize("name", AT_FIRST)
def test_what_would_have_ended_it_is_a_warning_once(
    clock: VirtualClock, scene: Make, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """C3, C16: it says what happened, and what the library does next; each is an event."""
    error, limit = AT_FIRST[name]
    with caplog.at_level(logging.DEBUG, "rxsocket"):
        it = scene(transport=Failing(error, 7))
        clock.advance(600.0)
    failed = [event for event in it.events if isinstance(event, ConnectFailed)]
    assert [one.tolerated for one in failed[:7]] == [False] * (limit - 1) + [True] * (8 - limit)
    first, *others = tolerated(caplog)
    assert "; trying again, as a connection was stable before" in first
    # The first failure of an outage is a warning, also of a kind that was told of.
    assert len(others) == (1 if limit == 1 else 0)
    assert it.socket.state.value is State.OPEN
    assert it.names.count("Message") == 1


AWAY = {
    "a TCP proxy hangs up": ConnectionError("the connection was closed before it was answered"),
    "502": HandshakeRefused(502),
    "404": HandshakeRefused(404),
    "403": HandshakeRefused(403),
    "a proxy's 503": HandshakeRefused(503, proxy="http://proxy.test:3128"),
}


@pytest.mark.parametrize("name", AWAY)
def test_an_outage_of_75_seconds(clock: VirtualClock, scene: Make, name: str) -> None:
    """C3, C9, C16: the same subscribers get messages again, and nobody pressed anything."""
    peer = fake(STABLE, accept().send("again"))

    def transport(request: Request) -> Observable[Signal]:
        away = 5.0 < clock.time() < 85.0
        return reactivex.throw(AWAY[name]) if away else peer(request)

    it = scene(transport=transport, backoff=Backoff(random=random.Random(1)))
    messages: list[str] = []
    it.socket.messages.subscribe(messages.append)
    clock.advance(85.0)
    assert "Ended" not in it.names and messages == []
    clock.advance(200.0 if name == "403" else 41.0)
    assert messages == ["again"]
    assert it.socket.state.value is State.OPEN


@pytest.mark.parametrize("name", AT_FIRST)
def test_at_first_the_same_ends_it(clock: VirtualClock, scene: Make, name: str) -> None:
    """C16: what cannot succeed is said at once, or after five in a row."""
    error, limit = AT_FIRST[name]
    it = scene(transport=lambda request: reactivex.throw(error))
    clock.advance(200.0)
    assert it.socket.state.value is State.CLOSED
    assert it.names.count("ConnectFailed") == limit
    assert not any(getattr(event, "tolerated", False) for event in it.events)
    ended = it.events[-1]
    assert isinstance(ended, Ended)
    assert f"gave up after attempt {limit}, it cannot succeed" in str(ended.error)


def test_each_kind_of_what_is_tolerated_is_a_warning(
    clock: VirtualClock, scene: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """C3: the second kind in an outage, too; a message that is too big is one."""
    steps = [reject(405), reject(405), reject(410), reject(405), reject(410), accept().close(1009)]
    with caplog.at_level(logging.INFO, "rxsocket"):
        it = scene(STABLE, *steps, accept().close(1009), accept())
        clock.advance(400.0)
    assert [one.split(";")[0].split(": ", 1)[1] for one in tolerated(caplog)] == [
        "cannot connect: the server refused the handshake with HTTP 405 (Method Not Allowed)",
        "cannot connect: the server refused the handshake with HTTP 410 (Gone)",
        "connection 7 closed by the server with 1009 (message too big)",
    ]
    closed = [event for event in it.events if isinstance(event, Closed)]
    assert [one.tolerated for one in closed] == [False, True, True]
    assert it.socket.state.value is State.OPEN


def test_a_new_run_warns_anew(
    clock: VirtualClock, scene: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """C3: what was told in an earlier run is told in the next one."""
    it = scene(STABLE, accept().close(1009), accept(), watch=False, linger=0.0)
    for _ in range(2):
        with caplog.at_level(logging.INFO, "rxsocket"):
            watching = it.socket.messages.subscribe(on_error=lambda _: None)
            clock.advance(60.0)
            watching.dispose()
            clock.advance(5.0)
        it.peer.script(STABLE, accept().close(1009), accept())
    assert len(tolerated(caplog)) == 2


CLOSED_BY_US: dict[str, tuple[dict[str, Any], Callable[[Scene], Any]]] = {
    "set_auth": ({}, lambda it: it.socket.set_auth(B)),
    "reconnect": ({}, lambda it: it.socket.reconnect()),
    "max_age": ({"max_age": 11.0}, lambda it: None),
    "in band": (
        {"on_auth_change": in_band(str, str, timeout=0.1), "identity": lambda _: "me"},
        lambda it: it.socket.set_auth(B),
    ),
}


@pytest.mark.parametrize("name", CLOSED_BY_US)
def test_a_stable_connection_that_we_closed_was_one(
    clock: VirtualClock, scene: Make, name: str
) -> None:
    """C3: whoever ends it; the count of attempts begins anew, too."""
    options, act = CLOSED_BY_US[name]
    steps = [accept(), reject(503), *[reject(405)] * 3, accept()]
    it = scene(*steps, auth=A, max_attempts=5, **options)
    clock.advance(10.0)
    act(it)
    clock.advance(200.0)
    assert it.socket.state.value is State.OPEN
    failed = [event for event in it.events if isinstance(event, ConnectFailed)]
    assert [one.tolerated for one in failed] == [False, True, True, True]
    attempts = [event.attempt for event in it.events if isinstance(event, Connecting)]
    assert attempts[:6] == [1, 1, 2, 3, 4, 5]


def test_a_connection_that_is_renewed_for_hours_takes_one_attempt_each(
    clock: VirtualClock, scene: Make
) -> None:
    """C15: each was stable, so a limit of attempts does not add them up."""
    it = scene(*[accept()] * 20, reject(503), accept(), auth=A, max_age=60.0, max_attempts=3)
    clock.advance(1500.0)
    assert it.socket.state.value is State.OPEN
    opened = [event for event in it.events if isinstance(event, Opened)]
    assert [one.attempts for one in opened[:22]] == [1] * 20 + [2, 1]


def test_a_users_own_patience_is_no_tolerance(clock: VirtualClock, scene: Make) -> None:
    """C16: what ``override`` names or a function says is the verdict at any time."""
    own = standard().override({405: Verdict.RECONNECT})
    for verdicts in (own, standard().then(lambda end: Verdict.RECONNECT), own.__call__):
        it = scene(STABLE, reject(405), accept(), verdicts=verdicts)
        clock.advance(60.0)
        assert it.socket.state.value is State.OPEN
        assert not any(getattr(event, "tolerated", False) for event in it.events)


@pytest.mark.parametrize("error", [HandshakeRefused(400), RedirectRefused("elsewhere")])
def test_a_pushed_credential_that_was_never_accepted_is_refused_so(
    clock: VirtualClock, scene: Make, error: Exception
) -> None:
    """C9, C16: also after a stable connection: who pushed it is told, and the next one is used."""
    peer = fake(accept().wait(60.0).drop())
    dials: list[str] = []

    def transport(request: Request) -> Observable[Signal]:
        dials.append(request.url[-1])
        return reactivex.throw(error) if dials[-1] == "b" else peer(request)

    it = scene(auth=A, transport=transport)
    clock.advance(10.0)
    refused = it.socket.set_auth(B)
    clock.advance(2.0)
    assert isinstance(refused.result(), Refused)
    assert it.socket.state.value is State.AWAITING_AUTH
    it.socket.set_auth(C)
    clock.advance(2.0)
    assert it.socket.state.value is State.OPEN
    assert (dials[0], dials[-1], set(dials[1:-1])) == ("a", "c", {"b"})


def test_a_provider_is_told_of_a_400(clock: VirtualClock, scene: Make) -> None:
    """C10: its credential may be what is wrong; it is asked at each attempt, as ever."""
    asked: list[Ask] = []

    def provide(ask: Ask) -> dict[str, str]:
        asked.append(ask)
        return B if ask.reason is Reason.REJECTED else A

    it = scene(STABLE, reject(400), accept(), auth=provide)
    clock.advance(60.0)
    assert it.socket.state.value is State.OPEN
    reasons = [(ask.reason, ask.code) for ask in asked]
    assert reasons == [(Reason.FIRST, None), (Reason.RECONNECT, None), (Reason.REJECTED, 400)]
    assert it.credentials == ["a", "a", "b"]


def test_a_shared_token_that_may_have_been_refused_is_fetched_anew(
    clock: VirtualClock, scene: Make
) -> None:
    """C12: its expiry is not known, so nothing else brings the next; one call in 10 s for all."""
    calls: list[float] = []

    async def mint() -> str:
        calls.append(clock.time())
        return str(len(calls) // 3)  # the server does not know a token for a while

    tokens = refreshing(mint)
    several = [scene(STABLE, *[reject(400)] * 9, auth=tokens) for _ in range(3)]
    for it in several:
        it.peer.script(accept())
    clock.advance(9.0)
    assert len(calls) == 1
    clock.advance(400.0)
    assert all(later - earlier >= 10.0 for earlier, later in pairwise(calls))
    assert all(it.socket.state.value is State.OPEN for it in several)
    assert all(it.credentials[-1] != "0" for it in several)


def test_the_attempts_of_an_outage_are_those_since_the_stable_connection(
    clock: VirtualClock, scene: Make
) -> None:
    """C3: the connection before it is none of them; the times count from the first one."""
    three_hours = accept().wait(3 * 3600.0).drop()
    it = scene(three_hours, *[reject(503)] * 3, max_attempts=3)
    clock.advance(3 * 3600.0 + 60.0)
    ended = it.events[-1]
    assert isinstance(ended, Ended) and isinstance(ended.error, SocketFailed)
    assert [one.number for one in ended.error.tried] == [1, 2, 3]
    assert "gave up after attempt 3, max_attempts=3 is reached" in str(ended.error)
    assert "(tried: 1. +0.0 s the server" in str(ended.error)
    assert "2. +4.0 s" in str(ended.error)


def test_no_attempt_is_none(clock: VirtualClock, scene: Make) -> None:
    """C3: a stable connection that ends for good ended no attempt."""
    verdicts = standard().override({4404: Verdict.FAIL})
    it = scene(accept().wait(10.0).close(4404, "no room"), verdicts=verdicts)
    clock.advance(60.0)
    ended = it.events[-1]
    assert isinstance(ended, Ended) and isinstance(ended.error, SocketFailed)
    assert ended.error.tried == ()
    text = "gave up, it cannot succeed: closed by the server with 4404 'no room'"
    assert str(ended.error).endswith(text)


def test_an_explanation_counts_what_it_speaks_of(clock: VirtualClock, scene: Make) -> None:
    """C3: the numbers of connections and of attempts are not mixed."""
    it = scene(reject(503), accept().wait(1.0).close(4000), reject(503), reject(503), accept())
    clock.advance(2.5)
    assert it.socket.state.value is State.OPEN
    clock.advance(1.0)
    assert "connection 2 was open 1.0 s" in str(it.socket.explain())
    assert "next: an attempt in" in str(it.socket.explain())
    clock.advance(4.0)
    assert "next: attempt 2 in" in str(it.socket.explain())


@pytest.mark.parametrize("status", [400, 404, 405, 410, 426, 302, 200])
def test_a_refused_handshake_after_a_stable_connection_is_tried_again(
    clock: VirtualClock, scene: Make, status: int
) -> None:
    """Eight times in a row, and the same subscribers get messages again."""
    it = scene(STABLE, *[reject(status)] * 8, accept().send("again"), auth=A)
    clock.advance(400.0)
    assert it.socket.state.value is State.OPEN
    assert "Ended" not in it.names
    assert it.names[-1] == "Message"


@pytest.mark.parametrize("code", [1002, 1003, 1007, 1009, 1010])
def test_a_close_after_a_stable_connection_is_reconnected_after(
    clock: VirtualClock, scene: Make, code: int
) -> None:
    """Also the sixth in a row, and that of a message that is too big."""
    it = scene(STABLE, *[accept().close(code)] * 6, accept().send("again"), auth=A)
    clock.advance(400.0)
    assert it.socket.state.value is State.OPEN
    assert it.names[-1] == "Message"


ENDED_BY_US: dict[str, Callable[[Any], object]] = {
    "reconnect": lambda it: it.socket.reconnect(),
    "another credential": lambda it: it.socket.set_auth(B),
    "max_age": lambda it: None,
}


@pytest.mark.parametrize("how", ENDED_BY_US)
def test_a_stable_connection_that_we_ended_was_stable(
    clock: VirtualClock, scene: Make, how: str
) -> None:
    """Whoever ends it: it was good, and what is counted counts from its end (C15)."""
    scripts = [accept(), *[reject(410)] * 2, accept()]
    limits = {"max_attempts": 4, "max_age": 20.0}
    it = scene(*scripts, auth=A, on_auth_change=reconnect(), **limits)
    clock.advance(19.9)
    ENDED_BY_US[how](it)
    clock.advance(10.0)
    assert it.socket.state.value is State.OPEN
    clock.advance(100.0)
    assert it.socket.state.value is State.OPEN
    assert len(it.peer.handshakes) >= 8
    assert [event.attempts for event in it.events if isinstance(event, Opened)][-2:] == [1, 1]


def test_before_the_first_stable_connection_it_fails(clock: VirtualClock, scene: Make) -> None:
    """What cannot succeed is said at once."""
    it = scene(reject(405), watch=False, auth=A)
    failures: list[Exception] = []
    it.socket.messages.subscribe(on_error=failures.append)
    clock.advance(1.0)
    assert len(failures) == 1


def test_a_verdict_of_the_users_own_still_ends_it(clock: VirtualClock, scene: Make) -> None:
    """What ``override`` names is the user's word."""
    verdicts = standard().override({404: Verdict.FAIL})
    it = scene(STABLE, reject(404), auth=A, verdicts=verdicts)
    clock.advance(60.0)
    assert it.socket.state.value is State.CLOSED


def test_400_with_a_credential_awaits_another_one(clock: VirtualClock, scene: Make) -> None:
    """Vite's and socket.io's servers refuse a token so; without one it is a mistake."""
    it = scene(reject(400), accept(), auth=A)
    clock.advance(1.0)
    assert it.socket.state.value is State.AWAITING_AUTH
    it.socket.set_auth(B)
    clock.advance(10.0)
    assert it.socket.state.value is State.OPEN
    anonymous = scene(reject(400))
    clock.advance(1.0)
    assert anonymous.socket.state.value is State.CLOSED


def test_400_before_the_first_message_is_not_about_the_credential(
    clock: VirtualClock, scene: Make
) -> None:
    """It was not sent yet; so a server that does not speak a protocol says so at once."""
    it = scene(reject(400), auth=A, carrier=first_message(str))
    clock.advance(1.0)
    assert it.socket.state.value is State.CLOSED
    said = str(it.socket.explain())
    assert "the credential went nowhere yet: it goes in the first message" in said
    header_too = scene(reject(400), auth=A, carrier=first_message(str) & header())
    clock.advance(1.0)
    assert header_too.socket.state.value is State.AWAITING_AUTH


def patient() -> dict[str, Any]:
    """Options with the default wait after a refusal, and no chance."""
    return {"auth": A, "backoff": Backoff(random=_Longest())}


def test_a_credential_that_was_accepted_is_tried_again_after_a_refusal(
    clock: VirtualClock, scene: Make
) -> None:
    """After 60 s, then 120, 240, … up to 15 min: proxies and firewalls answer 403, too."""
    it = scene(STABLE, *[reject(403)] * 7, accept(), **patient())
    clock.advance(3700.0)
    refused = [when for when, event in it.entries if type(event).__name__ == "Rejected"]
    waits = [after - before for before, after in pairwise(refused)]
    assert waits == [60.0, 120.0, 240.0, 480.0, 900.0, 900.0]
    assert it.socket.state.value is State.OPEN


def test_one_that_was_never_accepted_is_never_dialled_again(
    clock: VirtualClock, scene: Make
) -> None:
    """C9: the first answer to it was a refusal."""
    it = scene(reject(403), accept(), **patient())
    clock.advance(7200.0)
    assert it.peer.dials == 1
    assert it.socket.state.value is State.AWAITING_AUTH


def test_explain_says_when_it_is_tried_again(clock: VirtualClock, scene: Make) -> None:
    """What is next, and in how long."""
    it = scene(STABLE, reject(403), accept(), **patient())
    clock.advance(30.0)
    assert "accepted before, is tried again in" in str(it.socket.explain())
