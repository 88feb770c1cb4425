"""C9: a refused credential is remembered; a provider is told why and asked for another one."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from internals import Script
from reactivex.subject import Subject
from scene import WENT, A, B, C, Make, Scene, left

from rxsocket import (
    Ask,
    AwaitingAuth,
    Carried,
    Cause,
    Closed,
    HandshakeRefused,
    InEffect,
    Problem,
    ProviderFailed,
    Reason,
    Refused,
    Rejected,
    Socket,
    SourceFailed,
    State,
    Unauthorized,
    Verdict,
    Waiting,
    cookie,
    first_message,
    header,
    query,
    subprotocol,
)
from rxsocket.testing import VirtualClock, accept, fake, reject, unreachable

CODES = (3000, 3003, 4401, 4403, 1008)
REFUSALS: dict[str, tuple[Script, float]] = {
    "HTTP 401": (reject(401), 0.0),
    "HTTP 403": (reject(403), 0.0),
    **{f"close {code} at the door": (accept().close(code), 0.0) for code in CODES},
    **{f"close {code} after a while": (accept().wait(4.9).close(code), 4.9) for code in CODES},
    **{f"close {code} when stable": (accept().wait(60.0).close(code), 60.0) for code in CODES[:4]},
}
CODE_OF = {name: int(name.split()[1]) for name in REFUSALS}


class Provided:
    """A provider that gives what it was told to, one after the other, the last for ever.

    Attributes:
        asked: When it was asked, and what it was told.
    """

    def __init__(self, clock: VirtualClock, *answers: Any) -> None:
        self._clock = clock
        self._answers = list(answers)
        self.asked: list[tuple[float, Ask]] = []

    def __call__(self, ask: Ask) -> Any:
        self.asked.append((self._clock.time(), ask))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def times(self) -> list[float]:
        return [at for at, _ in self.asked]


# --- what is remembered


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refusal_leads_to_awaiting_auth(clock: VirtualClock, scene: Make, refusal: str) -> None:
    """Each refusing status and code parks the socket at once, and the verdict says so."""
    script, at = REFUSALS[refusal]
    it = scene(script, auth=A)
    clock.advance(at)
    refused, parked = it.events[-2:]
    assert [when for when, _ in it.entries[-2:]] == [at, at]
    assert isinstance(parked, AwaitingAuth)
    assert parked.cause is Cause.REFUSED
    assert it.socket.state.value is State.AWAITING_AUTH
    if refusal.startswith("HTTP"):
        assert isinstance(refused, Rejected)
        assert (refused.epoch, refused.status) == (1, CODE_OF[refusal])
        assert refused.verdict is Verdict.AWAIT_AUTH
    else:
        code = CODE_OF[refusal]
        assert refused == Closed(epoch=1, code=code, verdict=Verdict.AWAIT_AUTH)


@pytest.mark.parametrize("refusal", REFUSALS)
def test_the_same_value_is_not_dialled_again(
    clock: VirtualClock, scene: Make, refusal: str
) -> None:
    """Not by itself in ten minutes, not by setting it again, not after another one."""
    script, _ = REFUSALS[refusal]
    it = scene(script, auth=A)
    clock.advance(600.0)
    assert it.dials == [(0.0, "a")]
    again = it.socket.set_auth(dict(A))
    clock.advance(600.0)
    it.socket.set_auth(B)
    clock.advance(600.0)
    back = it.socket.set_auth(dict(A))
    clock.advance(600.0)
    assert it.dials == [(0.0, "a"), (1200.0, "b")]
    assert it.socket.state.value is State.AWAITING_AUTH
    assert again.result() == Refused("it was refused before")
    assert back.result() == Refused("this credential was refused before and is not tried again")


@pytest.mark.parametrize("refusal", REFUSALS)
def test_reconnect_lets_it_be_tried_again(clock: VirtualClock, scene: Make, refusal: str) -> None:
    """One dial with the same value, at once, as the last attempt is long ago."""
    script, _ = REFUSALS[refusal]
    it = scene(script, auth=A)
    clock.advance(600.0)
    it.socket.reconnect()
    clock.advance(600.0)
    assert it.dials == [(0.0, "a"), (600.0, "a")]
    assert it.socket.state.value is State.OPEN


def test_reconnect_forgets_every_one(clock: VirtualClock, scene: Make) -> None:
    """A was refused, then B was: after ``reconnect()`` A may be set again."""
    it = scene(reject(401), reject(401), auth=A)
    clock.advance(10.0)
    it.socket.set_auth(B)
    clock.advance(10.0)
    it.socket.reconnect()
    clock.advance(10.0)
    it.socket.set_auth(A)
    clock.advance(10.0)
    assert it.dials == [(0.0, "a"), (10.0, "b"), (20.0, "b"), (30.0, "a")]


def test_refused_again_after_reconnect_is_remembered_again(
    clock: VirtualClock, scene: Make
) -> None:
    """Each ``reconnect()`` is one handshake."""
    it = scene(*[reject(401)] * 3, auth=A)
    for _ in range(3):
        clock.advance(10.0)
        it.socket.reconnect()
    clock.advance(600.0)
    assert it.dials == [(0.0, "a"), (10.0, "a"), (20.0, "a"), (30.0, "a")]


@pytest.mark.parametrize("refusal", REFUSALS)
def test_no_stream_ends(clock: VirtualClock, scene: Make, refusal: str) -> None:
    """Neither completion nor error anywhere; another value opens for the same subscribers."""
    it = scene(REFUSALS[refusal][0], watch=False, auth=A)
    ends: list[str] = []
    opens: list[int] = []
    for name in ("events", "messages", "opens", "closes", "sessions", "errors", "state", "auth"):
        getattr(it.socket, name).subscribe(
            on_error=lambda _, name=name: ends.append(name),
            on_completed=lambda name=name: ends.append(name),
        )
    it.socket.opens.subscribe(lambda event: opens.append(event.epoch))
    clock.advance(600.0)
    receipt = it.socket.set_auth(B)
    clock.advance(1.0)
    assert ends == []
    assert opens[-1] == 2
    assert receipt.result() == InEffect(epoch=2)


@pytest.mark.parametrize("uptime", [5.0, 60.0])
def test_1008_once_stable_is_no_refusal(clock: VirtualClock, scene: Make, uptime: float) -> None:
    """A policy violation after ``stable_after`` is an outage: the same value is dialled again."""
    it = scene(accept().wait(uptime).close(1008), auth=A)
    clock.advance(uptime + 10.0)
    assert it.dials == [(0.0, "a"), (uptime + 2.0, "a")]
    assert Closed(epoch=1, code=1008, verdict=Verdict.RECONNECT) in it.events


@pytest.mark.parametrize(("stable_after", "dials"), [(1.0, 2), (30.0, 1)])
def test_stable_after_decides_about_1008(
    clock: VirtualClock, scene: Make, stable_after: float, dials: int
) -> None:
    """Closed with 1008 after 10 s: stable for one, a refusal for the other."""
    it = scene(accept().wait(10.0).close(1008), auth=A, stable_after=stable_after)
    clock.advance(600.0)
    assert it.peer.dials == dials


def test_a_refusal_in_the_middle_of_an_outage(clock: VirtualClock, scene: Make) -> None:
    """Whatever came before, a 401 parks."""
    it = scene(unreachable(), reject(503), reject(401), auth=A)
    clock.advance(600.0)
    assert it.dials == [(2.0, "a"), (6.0, "a")]
    assert it.socket.state.value is State.AWAITING_AUTH


def test_it_is_remembered_over_a_stop(clock: VirtualClock, scene: Make) -> None:
    """Who leaves and subscribes again finds the same socket: nothing is dialled."""
    it = scene(reject(401), watch=False, auth=A)
    first = it.socket.messages.subscribe()
    clock.advance(10.0)
    first.dispose()
    clock.advance(10.0)
    it.watch()
    clock.advance(600.0)
    assert it.dials == [(0.0, "a")]
    assert it.socket.state.value is State.AWAITING_AUTH


def test_a_source_that_repeats_it_dials_nothing(clock: VirtualClock, scene: Make) -> None:
    """An Observable that goes back to the refused value parks; another value connects."""
    source: Subject[Any] = Subject()
    it = scene(reject(401), auth=source)
    for value in (A, A, B, A, C):
        source.on_next(value)
        clock.advance(10.0)
    assert it.dials == [(0.0, "a"), (20.0, "b"), (40.0, "c")]


def test_nothing_is_left_running_while_parked(clock: VirtualClock, scene: Make) -> None:
    """Without a provider there is not even a timer."""
    it = scene(reject(401), auth=A)
    clock.advance(10.0)
    assert clock.pending == 0
    assert it.socket.state.value is State.AWAITING_AUTH


# --- what the log says


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_warning_says_what_was_refused_and_what_to_do(
    clock: VirtualClock, scene: Make, caplog: pytest.LogCaptureFixture, refusal: str
) -> None:
    """It names the address, the status or code, and the way out; never the secret."""
    caplog.set_level(logging.DEBUG)
    it = scene(REFUSALS[refusal][0], auth={"token": "hunter2"})
    clock.advance(100.0)
    warnings = [
        record.getMessage() for record in caplog.records if record.levelno == logging.WARNING
    ]
    assert warnings
    assert all(text.startswith("ws://fake.test/: ") for text in warnings)
    assert any(str(CODE_OF[refusal]) in text and "credential refused" in text for text in warnings)
    assert any("set_auth()" in text and "reconnect()" in text for text in warnings)
    assert "hunter2" not in caplog.text
    assert "hunter2" not in repr(it.events)


def test_with_a_provider_the_log_says_that_it_is_asked(
    clock: VirtualClock, scene: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody is told to call set_auth() for what the provider brings."""
    answers = iter([{"token": "hunter2"}, {"token": "good"}])
    scene(reject(401), auth=lambda: next(answers))
    clock.advance(100.0)
    (waiting,) = [text for text in caplog.messages if "waiting for another credential" in text]
    assert "the function given as auth= is asked for one" in waiting
    assert "set_auth()" not in waiting


def test_what_was_refused_before_is_a_warning_too(
    clock: VirtualClock, scene: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """Setting it again says why nothing happens."""
    it = scene(reject(401), auth={"token": "hunter2"})
    clock.advance(1.0)
    it.socket.set_auth(B)
    clock.advance(1.0)
    caplog.clear()
    it.socket.set_auth({"token": "hunter2"})
    clock.advance(1.0)
    (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "refused before" in warning.getMessage()
    assert "reconnect()" in warning.getMessage()
    assert "hunter2" not in caplog.text


# --- a provider is asked for another one


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_provider_is_asked_again_at_once_and_told_why(
    clock: VirtualClock, scene: Make, refusal: str
) -> None:
    """In the instant of the refusal, with its status or code; the new one is dialled."""
    script, at = REFUSALS[refusal]
    provider = Provided(clock, A, B)
    it = scene(script, auth=provider)
    clock.advance(at)
    (_, first), (when, ask) = provider.asked
    assert first == Ask(1, Reason.FIRST)
    assert when == at
    assert (ask.reason, ask.code) == (Reason.REJECTED, CODE_OF[refusal])
    assert ask.attempt == (1 if at >= 5.0 else 2)
    clock.advance(600.0)
    assert it.dials == [(0.0, "a"), (max(at, 1.0), "b")]
    assert it.socket.state.value is State.OPEN
    assert len(provider.asked) == 2


@pytest.mark.parametrize(
    ("script", "text"),
    [
        (reject(403), "the server refused the handshake with HTTP 403"),
        (accept().close(4401, "token expired"), "token expired"),
    ],
    ids=["403", "4401"],
)
def test_a_provider_is_told_what_the_server_said(
    clock: VirtualClock, scene: Make, script: Script, text: str
) -> None:
    """The text of the close frame, or the status in words."""
    provider = Provided(clock, A, B)
    scene(script, auth=provider)
    clock.advance(1.0)
    assert provider.asked[1][1].text == text


def test_at_once_only_once_then_with_backoff(clock: VirtualClock, scene: Make) -> None:
    """A server that refuses every token: 0 s, 2 s, 4 s, 8 s … after each refusal."""
    tokens = [{"token": f"t{number}"} for number in range(1, 7)]
    provider = Provided(clock, *tokens)
    it = scene(*[reject(401)] * 5, auth=provider)
    clock.advance(60.0)
    assert provider.times == [0.0, 0.0, 3.0, 7.0, 15.0, 31.0]
    assert it.dials == [
        (0.0, "t1"), (1.0, "t2"), (3.0, "t3"), (7.0, "t4"), (15.0, "t5"), (31.0, "t6"),
    ]  # fmt: skip
    assert [ask for _, ask in provider.asked[1:3]] == [
        Ask(2, Reason.REJECTED, 401, "the server refused the handshake with HTTP 401"),
        Ask(3, Reason.REJECTED, 401, "the server refused the handshake with HTTP 401"),
    ]


def test_once_for_each_stable_opening(clock: VirtualClock, scene: Make) -> None:
    """An open of 5 s buys the next ask at once; one of 4.9 s does not."""
    tokens = [{"token": f"t{number}"} for number in range(1, 9)]
    provider = Provided(clock, *tokens)
    expiring = accept().wait(5.0).close(4401)
    brief = accept().wait(4.9).close(4401)
    it = scene(expiring, expiring, brief, auth=provider)
    clock.advance(60.0)
    # t1 until 5, t2 at once until 10, t3 at once until 14.9, and then the first wait of 2 s
    assert provider.times == [0.0, 5.0, 10.0, 16.9]
    assert it.dials == [(0.0, "t1"), (5.0, "t2"), (10.0, "t3"), (16.9, "t4")]


def test_one_that_repeats_the_refused_value_is_asked_every_5_min(
    clock: VirtualClock, scene: Make
) -> None:
    """At once, then every 300 s; it is dialled when it is another one, and not before."""
    provider = Provided(clock, A, A, A, A, B)
    it = scene(reject(401), auth=provider)
    clock.advance(899.0)
    assert provider.times == [0.0, 0.0, 300.0, 600.0]
    assert it.dials == [(0.0, "a")]
    clock.advance(1.0)
    assert provider.times[-1] == 900.0
    assert it.dials == [(0.0, "a"), (900.0, "b")]
    assert {ask.reason for _, ask in provider.asked[1:]} == {Reason.REJECTED}
    assert it.names == [
        "Connecting", "Rejected", "AwaitingAuth", "Connecting", "Opened",
    ]  # fmt: skip


def test_one_that_says_logged_out_is_asked_every_5_min(clock: VirtualClock, scene: Make) -> None:
    """``None`` after a refusal: parked, and asked again."""
    provider = Provided(clock, A, None, None, B)
    it = scene(reject(401), auth=provider)
    clock.advance(700.0)
    assert provider.times == [0.0, 0.0, 300.0, 600.0]
    assert it.dials == [(0.0, "a"), (600.0, "b")]


def test_one_that_goes_back_to_a_refused_value(clock: VirtualClock, scene: Make) -> None:
    """A is refused, B drops, the provider says A again: not dialled, asked again in 5 min."""
    provider = Provided(clock, A, B, A, C)
    it = scene(reject(401), accept().wait(10.0).drop(), auth=provider)
    clock.advance(320.0)
    assert provider.times == [0.0, 0.0, 13.0, 313.0]
    assert it.dials == [(0.0, "a"), (1.0, "b"), (313.0, "c")]
    assert "Aborted" in it.names


def test_one_that_fails_after_a_refusal_is_asked_with_backoff(
    clock: VirtualClock, scene: Make
) -> None:
    """Each failure is a SourceFailed on ``errors``, and the wait grows."""
    provider = Provided(clock, A, ValueError("down"), OSError("down"), B)
    it = scene(reject(401), auth=provider)
    problems: list[Any] = []
    it.socket.errors.subscribe(problems.append)
    clock.advance(60.0)
    assert provider.times == [0.0, 0.0, 2.0, 6.0]
    assert it.dials == [(0.0, "a"), (6.0, "b")]
    failures = [event for event in problems if isinstance(event, SourceFailed)]
    assert [type(event.error) for event in failures] == [ProviderFailed, ProviderFailed]


def test_a_verdict_of_the_user_is_a_refusal_like_any_other(
    clock: VirtualClock, scene: Make
) -> None:
    """A table that takes an unreachable server for a refusal: the provider is asked at once."""
    provider = Provided(clock, A, B)

    def verdicts(end: Any) -> Verdict:
        return Verdict.AWAIT_AUTH if end.error is not None else Verdict.RECONNECT

    it = scene(unreachable(), auth=provider, verdicts=verdicts)
    clock.advance(60.0)
    assert provider.times == [0.0, 0.0]
    assert it.dials == [(1.0, "b")]


NUDGES: dict[str, Callable[[Scene], object]] = {
    "set_auth": lambda it: it.socket.set_auth(C),
    "reconnect": lambda it: it.socket.reconnect(),
}


@pytest.mark.parametrize(("nudge", "dialled"), [("set_auth", "c"), ("reconnect", "a")])
def test_who_waits_for_5_min_can_be_hurried(
    clock: VirtualClock, scene: Make, nudge: str, dialled: str
) -> None:
    """A pushed credential, or ``reconnect()``, does not wait for the provider's turn."""
    provider = Provided(clock, A)
    it = scene(reject(401), auth=provider)
    clock.advance(100.0)
    NUDGES[nudge](it)
    clock.advance(1000.0)
    assert it.dials == [(0.0, "a"), (100.0, dialled)]
    assert it.socket.state.value is State.OPEN


def test_a_refused_push_falls_back_on_the_provider(clock: VirtualClock, scene: Make) -> None:
    """set_auth(B) is refused: its receipt says so, and the provider is asked at once."""
    provider = Provided(clock, A, C)
    it = scene(accept(), reject(401), auth=provider)
    clock.advance(10.0)
    receipt = it.socket.set_auth(B)
    clock.advance(10.0)
    assert receipt.result() == Refused(f"the server refused the handshake with HTTP 401{WENT}")
    assert provider.times == [0.0, 10.0]
    assert provider.asked[1][1].reason is Reason.REJECTED
    assert it.dials == [(0.0, "a"), (10.0, "b"), (11.0, "c")]


def test_the_wait_before_the_new_one_is_told(clock: VirtualClock, scene: Make) -> None:
    """A provider's answer at once is dialled 1 s after the last attempt, with a Waiting."""
    provider = Provided(clock, A, B)
    it = scene(reject(401), auth=provider)
    clock.advance(10.0)
    assert Waiting(delay=1.0, failures=0, cause=Cause.REFUSED) in it.events
    assert it.names == [
        "Connecting", "Rejected", "AwaitingAuth", "Waiting", "Connecting", "Opened",
    ]  # fmt: skip


# --- at the edges


@pytest.mark.parametrize("end", ["close", "leave"])
def test_a_new_life_remembers(clock: VirtualClock, scene: Make, end: str) -> None:
    """A socket that was closed or left and is started again does not dial a refused value."""
    it = scene(reject(401), watch=False, auth=A)
    hold = it.socket.connect()
    clock.advance(10.0)
    hold.dispose() if end == "leave" else it.socket.close()
    clock.advance(10.0)
    it.watch()
    clock.advance(600.0)
    assert it.dials == [(0.0, "a")]
    assert it.socket.state.value is State.AWAITING_AUTH


@pytest.mark.parametrize("end", ["close", "leave"])
def test_reconnect_while_nothing_runs_clears_it_for_the_next_start(
    clock: VirtualClock, scene: Make, end: str
) -> None:
    """It starts nothing by itself; the next start dials."""
    it = scene(reject(401), watch=False, auth=A)
    hold = it.socket.connect()
    clock.advance(10.0)
    hold.dispose() if end == "leave" else it.socket.close()
    it.socket.reconnect()
    clock.advance(10.0)
    assert it.peer.dials == 1
    it.watch()
    clock.advance(10.0)
    assert it.dials == [(0.0, "a"), (20.0, "a")]


def test_reconnect_right_after_a_refusal_keeps_the_distance(
    clock: VirtualClock, scene: Make
) -> None:
    """Two attempts are 1 s apart, also when somebody is impatient."""
    it = scene(reject(401), auth=A)
    clock.advance(0.3)
    it.socket.reconnect()
    clock.advance(10.0)
    assert it.dials == [(0.0, "a"), (1.0, "a")]


def test_reconnect_at_each_refusal_is_one_dial_a_second(clock: VirtualClock, scene: Make) -> None:
    """An observer that insists does not turn the socket into a hammer."""
    it = scene(*[reject(401)] * 5, watch=False, auth=A)
    it.socket.events.subscribe(
        lambda event: it.socket.reconnect() if isinstance(event, AwaitingAuth) else None
    )
    it.watch()
    clock.advance(60.0)
    assert [at for at, _ in it.dials] == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    assert it.socket.state.value is State.OPEN


INSIDE: dict[str, tuple[Callable[[Scene], object], State, list[str]]] = {
    "another": (lambda it: it.socket.set_auth(B), State.OPEN, ["a", "b"]),
    "the same": (lambda it: it.socket.set_auth(dict(A)), State.AWAITING_AUTH, ["a"]),
    "logged out": (lambda it: it.socket.set_auth(None), State.AWAITING_AUTH, ["a"]),
    "close": (lambda it: it.socket.close(), State.CLOSED, ["a"]),
}


@pytest.mark.parametrize("kind", [Rejected, AwaitingAuth])
@pytest.mark.parametrize("act", INSIDE)
def test_acting_inside_the_refusal(clock: VirtualClock, scene: Make, act: str, kind: type) -> None:
    """What an observer does at the news of the refusal is what counts, once."""
    action, state, credentials = INSIDE[act]
    it = scene(reject(401), watch=False, auth=A)
    done: list[object] = []

    def observe(event: object) -> None:
        if isinstance(event, kind) and not done:
            done.append(event)
            action(it)

    it.socket.events.subscribe(observe)
    clock.advance(60.0)
    assert it.credentials == credentials
    assert it.socket.state.value is state


def test_another_socket_knows_nothing_of_it(clock: VirtualClock, scene: Make) -> None:
    """What one server refused, another one is shown."""
    first, second = scene(reject(401), auth=A), scene(auth=A)
    clock.advance(10.0)
    assert first.socket.state.value is State.AWAITING_AUTH
    assert second.socket.state.value is State.OPEN


def test_a_refusal_is_a_problem_once(clock: VirtualClock, scene: Make) -> None:
    """``errors`` has the Rejected, and nothing more however long it waits."""
    it = scene(reject(403), auth=A)
    problems: list[object] = []
    it.socket.errors.subscribe(problems.append)
    clock.advance(600.0)
    assert [type(problem) for problem in problems] == [Rejected]


def test_waiting_for_another_value_is_silent(
    clock: VirtualClock, scene: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """A provider that repeats itself is asked for hours without an event or a warning."""
    it = scene(reject(401), auth=Provided(clock, A))
    clock.advance(1.0)
    it.clear()
    caplog.clear()
    clock.advance(3600.0)
    assert it.entries == []
    assert not [record for record in caplog.records if record.levelno >= logging.INFO]


def test_leaving_while_a_provider_is_to_be_asked_again(clock: VirtualClock, scene: Make) -> None:
    """The 5 min end with the last subscriber: nobody is asked, and no timer is left."""
    provider = Provided(clock, A)
    it = scene(reject(401), watch=False, auth=provider)
    hold = it.socket.connect()
    clock.advance(10.0)
    hold.dispose()
    clock.advance(0.0)
    assert clock.pending == 0
    clock.advance(3600.0)
    assert provider.times == [0.0, 0.0]


def test_every_refused_value_is_remembered(clock: VirtualClock, scene: Make) -> None:
    """Three were refused: none of them is dialled again, in whatever order they are set."""
    it = scene(*[reject(401)] * 3, auth=A)
    for value in (B, C, A, C, B, A):
        clock.advance(10.0)
        it.socket.set_auth(value)
    clock.advance(10.0)
    assert it.credentials == ["a", "b", "c"]


@pytest.mark.parametrize("script", [unreachable(), reject(503), reject(429), accept().drop()])
def test_what_is_no_refusal_is_not_remembered(
    clock: VirtualClock, scene: Make, script: Script
) -> None:
    """A network that is down says nothing about the credential."""
    it = scene(script, auth=A)
    clock.advance(10.0)
    assert it.credentials[-1] == "a"
    assert it.socket.state.value is State.OPEN
    assert "AwaitingAuth" not in it.names


def says_no(message: str | bytes) -> bool:
    """Whether a message of the server's is its way to refuse."""
    return message == "no"


def test_a_message_may_say_that_it_was_refused(clock: VirtualClock) -> None:
    """``rejected=`` makes a message a refusal: closed with 1000, remembered, not delivered."""
    peer = fake(accept().send("hello", "no", "more"))
    socket = Socket(peer.url, auth="bad", transport=peer, rejected=says_no)
    messages: list[str] = []
    socket.messages.subscribe(messages.append)
    changing = socket.set_auth("worse")
    clock.advance(600.0)
    assert messages == ["hello"]
    assert [handshake.credential for handshake in peer.handshakes] == ["worse"]
    assert [left.code for left in peer.closes] == [1000]
    assert socket.state.value is State.AWAITING_AUTH
    # The first message had settled it: that is what a server's consent looks like.
    assert changing.result() == InEffect(epoch=1)
    good = socket.set_auth("good")
    clock.advance(1.0)
    peer.push("welcome")
    clock.advance(0.0)
    assert messages == ["hello", "welcome"]
    assert good.result() == InEffect(epoch=2)
    socket.close()
    clock.advance(2.0)


def test_a_refusal_in_the_first_message_is_the_outcome_of_set_auth(clock: VirtualClock) -> None:
    """``set_auth`` says ``Refused`` when the first message is the refusal."""
    peer = fake(accept(), accept().send("no"))
    socket = Socket(peer.url, auth="good", transport=peer, rejected=says_no)
    problems: list[Problem] = []
    socket.errors.subscribe(problems.append)
    socket.connect()
    clock.advance(10.0)
    changing = socket.set_auth("bad")
    clock.advance(1.0)
    assert changing.result() == Refused("a message said so")
    assert [type(problem) for problem in problems] == [Closed]
    socket.close()
    clock.advance(2.0)


def test_later_messages_are_not_asked_about(clock: VirtualClock) -> None:
    """Once the connection was stable, the same words are a message like any other."""
    peer = fake()
    socket = Socket(peer.url, auth="a", transport=peer, rejected=says_no)
    messages: list[str] = []
    socket.messages.subscribe(messages.append)
    clock.advance(6.0)
    peer.push("no")
    clock.advance(1.0)
    assert messages == ["no"]
    assert socket.state.value is State.OPEN
    socket.close()
    clock.advance(2.0)


def test_a_rejected_that_raises_refuses_nothing(clock: VirtualClock) -> None:
    """Its failure is reported, and the message is delivered."""
    peer = fake(accept().send("hello"))
    socket = Socket(peer.url, auth="a", transport=peer, rejected=lambda message: 1 / 0)
    messages: list[str] = []
    problems: list[Problem] = []
    socket.errors.subscribe(problems.append)
    socket.messages.subscribe(messages.append)
    clock.advance(1.0)
    assert messages == ["hello"]
    assert [type(problem).__name__ for problem in problems] == ["ObserverFailed"]
    socket.close()
    clock.advance(2.0)


@pytest.mark.parametrize("end", ["close", "leave"])
def test_reconnect_while_nothing_runs(clock: VirtualClock, scene: Make, end: str) -> None:
    """The memory lasts until ``reconnect()`` is called, whenever that is; it starts nothing."""
    it = scene(reject(401), watch=False, auth=A)
    leave = it.socket.connect()
    clock.advance(1.0)
    it.socket.close() if end == "close" else leave.dispose()
    clock.advance(2.0)
    it.socket.reconnect()
    clock.advance(2.0)
    assert it.credentials == ["a"]
    it.watch()
    clock.advance(2.0)
    assert it.credentials == ["a", "a"]


def test_a_provider_that_gives_up_after_a_refusal(clock: VirtualClock, scene: Make) -> None:
    """``Unauthorized`` ends the asking; ``reconnect()`` begins it again."""
    values: list[Any] = ["a", Unauthorized("gone"), "b"]
    times: list[float] = []

    def provider() -> str:
        times.append(clock.time())
        value = values.pop(0)
        if isinstance(value, Exception):
            raise value
        return str(value)

    it = scene(reject(401), auth=provider)
    clock.advance(24 * 3600.0)
    assert (it.credentials, times) == (["a"], [0.0, 0.0])
    it.socket.reconnect()
    clock.advance(1.0)
    assert it.credentials == ["a", "b"]


def test_nothing_asks_when_all_have_left(clock: VirtualClock, scene: Make) -> None:
    """Leaving while a provider is to be asked again in 5 min leaves no timer."""
    times: list[float] = []
    it = scene(reject(401), watch=False, auth=lambda: (times.append(clock.time()), "a")[1])
    leave = it.socket.connect()
    clock.advance(10.0)
    leave.dispose()
    clock.advance(0.0)
    assert clock.pending == 0
    clock.advance(1000.0)
    assert times == [0.0, 0.0]


def test_back_to_a_refused_one_closes_the_good_one(clock: VirtualClock, scene: Make) -> None:
    """A was refused, B is open, A is set again: B's connection closes, and nothing is dialled."""
    it = scene(reject(401), auth=A)
    clock.advance(1.0)
    it.socket.set_auth(B)
    clock.advance(10.0)
    it.clear()
    it.socket.set_auth(A)
    clock.advance(60.0)
    reason = "this credential was refused before and is not tried again"
    assert it.entries == [
        (11.0, left(2, Cause.AUTH_CHANGED)),
        (11.0, AwaitingAuth(reason=reason, cause=Cause.REFUSED)),
    ]


def test_what_the_server_repeats_is_masked(clock: VirtualClock) -> None:
    """C28: in the reason of a close, in ``explain()``, and in what comes of a limit."""
    peer = fake(*[accept().close(4500, "no room for tok-secret")] * 3)
    socket = Socket(peer.url, auth={"token": "tok-secret"}, transport=peer, max_attempts=3)
    seen: list[object] = []
    socket.events.subscribe(seen.append, lambda error: seen.append((error, error.tried)))
    clock.advance(60)
    closed = [event for event in seen if isinstance(event, Closed)]
    assert [event.reason for event in closed] == ["no room for ***"] * 3
    assert "tok-secret" not in f"{seen!r} {socket.explain()}"


def test_a_carrier_that_raises_with_the_value(clock: VirtualClock) -> None:
    """C28: the text of a user's exception may quote the credential."""

    def broken(value: object) -> Carried:
        raise LookupError(f"no place for {value}")

    socket = Socket("ws://fake.test/", auth=lambda: "tok-secret", carrier=broken, transport=fake())
    problems: list[object] = []
    socket.errors.subscribe(problems.append)
    with socket:
        clock.advance(1)
    assert "no place for ***" in repr(problems)
    assert "tok-secret" not in repr(problems)


def talk(it: Scene, caplog: pytest.LogCaptureFixture) -> list[str]:
    """Where it is told that a credential was refused: events, the log, and ``explain()``."""
    shown = "\n".join(record.message for record in caplog.records)
    rejected = [str(event.error) for event in it.events if isinstance(event, Rejected)]
    return [*rejected, shown, str(it.socket.explain())]


CARRIED: dict[str, tuple[Any, Any, str]] = {
    "query": (A, query(), "as the query parameter 'token'"),
    "header": (A, header(), "in the header 'Authorization'"),
    "another header": (A, header("X-Key", None), "in the header 'X-Key'"),
    "cookie": (A, cookie("sid"), "in the cookie 'token'"),
    "subprotocol": (A, subprotocol("v1"), "as a subprotocol"),
    "two": (
        {"token": "a", "room": ["r", "q"]},
        header(only="token") & query(only="room"),
        "as the query parameter 'room' and in the header 'Authorization'",
    ),
    "nowhere": (A, query(only="key"), "nowhere: carrier= adds nothing for it"),
}


@pytest.mark.parametrize("status", [400, 401, 403])
@pytest.mark.parametrize("name", CARRIED)
def test_a_refusal_says_where_the_credential_went(
    clock: VirtualClock, scene: Make, caplog: pytest.LogCaptureFixture, name: str, status: int
) -> None:
    """A wrong carrier is the likeliest reason that a new user has for a 401."""
    value, carrier, where = CARRIED[name]
    it = scene(reject(status), auth=value, carrier=carrier)
    clock.advance(10.0)
    assert all(f"; the credential went {where}" in text for text in talk(it, caplog))
    [rejected] = [event for event in it.events if isinstance(event, Rejected)]
    assert isinstance(rejected.error, HandshakeRefused) and rejected.error.credential == where


@pytest.mark.parametrize("code", [4401, 3000])
def test_so_does_one_after_the_opening(
    clock: VirtualClock, scene: Make, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    """By a close code, too, once."""
    it = scene(accept().close(code, "who?"), auth=A, carrier=header())
    clock.advance(10.0)
    for text in talk(it, caplog):
        assert text.count("; the credential went in the header 'Authorization'") == 1


def test_one_in_the_first_message(clock: VirtualClock, scene: Make) -> None:
    """And by a message."""
    carrier = first_message(json.dumps, lambda message: message == "ok", lambda m: m == "no")
    it = scene(accept().expect().send("no"), auth=A, carrier=carrier)
    clock.advance(1.0)
    assert "in a message; the credential went in the first message" in str(it.socket.explain())


def test_what_is_not_about_the_credential_says_nothing_of_it(
    clock: VirtualClock, scene: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that is busy is no reason to look at the carrier."""
    it = scene(*[reject(503)] * 9, auth=A)
    clock.advance(10.0)
    assert "the credential went" not in caplog.text + str(it.socket.explain())


BODIES = {
    '{"hint": "use the header X-Api-Key"}': """'{"hint": "use the header X-Api-Key"}'""",
    "<html>\r\n<head><style>p {}</style><title>403 &ndash; No</title></head></html>": "'403 – No'",
    "two\r\nlines\x1b[31m": r"'two lines\x1b[31m'",
    "long " * 100: "'" + ("long " * 100)[:200] + "'...",
    "your token s3cret-canary is bad": "'your token *** is bad'",
    " \r\n": "",
}


@pytest.mark.parametrize("body", BODIES)
def test_a_refusal_keeps_what_the_server_says(
    clock: VirtualClock, scene: Make, caplog: pytest.LogCaptureFixture, body: str
) -> None:
    """On one line, without markup and secrets; a provider is told, too."""
    asked: list[Ask] = []

    def provide(ask: Ask) -> str:
        asked.append(ask)
        return "s3cret-canary"

    it = scene(reject(403, body=body), auth=provide)
    clock.advance(1.0)
    quoted = f" {BODIES[body]}".rstrip()
    rejected, log, explained = talk(it, caplog)
    assert rejected == f"the server refused the handshake with HTTP 403{quoted}{WENT}"
    assert f"with HTTP 403 (Forbidden){quoted}{WENT}" in log
    assert f"with HTTP 403 (Forbidden){quoted}{WENT}" in explained
    assert asked[1].text == f"the server refused the handshake with HTTP 403{quoted}"
    assert "canary" not in f"{log}{explained}{it.events}{asked}"


def test_its_first_kibibyte_is_kept(clock: VirtualClock, scene: Make) -> None:
    """Whole, but masked: a secret that the cut goes through does not show its beginning."""
    it = scene(reject(401, body="x" * 1014 + "s3cret-canary"), auth="s3cret-canary")
    clock.advance(1.0)
    [rejected] = [event for event in it.events if isinstance(event, Rejected)]
    assert isinstance(rejected.error, HandshakeRefused)
    assert rejected.error.body == "x" * 1014 + "***"


@pytest.mark.parametrize("status", [400, 401])
def test_what_helps_against_a_refusal(clock: VirtualClock, scene: Make, status: int) -> None:
    """Another credential first, also when the status may mean something else."""
    it = scene(reject(status), auth=A)
    clock.advance(1.0)
    advice = it.socket.explain().advice
    assert advice.startswith("call set_auth(...) with another credential")
    assert ("compare the URL" in advice) is (status == 400)
