"""C3: streams end only when nothing more can come by itself."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
import reactivex
from scene import A, B, Make, Scene, connecting, left, opened

from rxsocket import (
    Cause,
    Closed,
    Ended,
    HandshakeRefused,
    Opened,
    Session,
    Socket,
    SocketFailed,
    State,
    Stored,
    Verdict,
    standard,
)
from rxsocket.testing import VirtualClock, accept, fake, reject, unreachable

CONNECTED = ("events", "opens", "closes", "sessions", "messages")
ALL = (*CONNECTED, "errors", "state", "auth")


class Ends:
    """How each stream of a socket ended, in order: None for completed."""

    def __init__(self, socket: Socket) -> None:
        self.log: list[tuple[str, BaseException | None]] = []
        for name in ALL:
            self._watch(name, getattr(socket, name))

    def _watch(self, name: str, stream: reactivex.Observable[Any]) -> None:
        stream.subscribe(
            on_error=lambda error: self.log.append((name, error)),
            on_completed=lambda: self.log.append((name, None)),
        )

    @property
    def completed(self) -> list[str]:
        return sorted(name for name, error in self.log if error is None)


VALUES: dict[str, Any] = {
    "lost": accept().wait(1.0).drop(),
    "1001": accept().wait(1.0).close(1001),
    "1011": accept().wait(1.0).close(1011),
    "1002": accept().wait(1.0).close(1002),
    "1003": accept().wait(1.0).close(1003),
    "1007": accept().wait(1.0).close(1007),
    "4401": accept().wait(1.0).close(4401),
    "unreachable": unreachable(),
    "401": reject(401),
    "404": reject(404),
    "503": reject(503),
}


@pytest.mark.parametrize("name", VALUES)
def test_what_goes_wrong_is_a_value(clock: VirtualClock, scene: Make, name: str) -> None:
    """Lost links and refused handshakes end no stream; each is on ``errors`` once."""
    it = scene(VALUES[name], watch=False, auth=A)
    ends = Ends(it.socket)
    problems: list[object] = []
    it.socket.errors.subscribe(problems.append)
    clock.advance(60.0)
    assert ends.log == []
    assert len(problems) == 1
    it.socket.set_auth(B)
    clock.advance(1.0)
    assert it.socket.state.value is State.OPEN


@pytest.mark.parametrize("script", [accept(), reject(401), unreachable()], ids=repr)
def test_close_completes_every_stream_once(clock: VirtualClock, scene: Make, script: Any) -> None:
    """``close()``, however often: every stream completes once, in whatever state."""
    it = scene(script, watch=False, auth=A)
    ends = Ends(it.socket)
    clock.advance(1.0)
    it.socket.close()
    it.socket.close()
    clock.advance(2.0)
    it.socket.close()
    assert ends.completed == sorted(ALL)
    assert it.socket.state.value is State.CLOSED


def test_close_before_any_start_completes_every_stream(clock: VirtualClock, scene: Make) -> None:
    """Also those that only look, on a socket that was never started."""
    it = scene(watch=False, auth=A)
    done: list[str] = []
    it.socket.state.subscribe(on_completed=lambda: done.append("state"))
    it.socket.errors.subscribe(on_completed=lambda: done.append("errors"))
    it.socket.close()
    assert sorted(done) == ["errors", "state"]
    assert it.socket.state.value is State.CLOSED
    clock.advance(1.0)
    assert it.peer.dials == 0


def test_the_peers_1000_completes_every_stream(clock: VirtualClock, scene: Make) -> None:
    """The peer says that it is done, so the streams are."""
    it = scene(accept().send("last").wait(1.0).close(1000, "done"), auth=A)
    ends = Ends(it.socket)
    clock.advance(60.0)
    assert ends.completed == sorted(ALL)
    assert it.events[-2:] == [
        Closed(epoch=1, code=1000, reason="done", verdict=Verdict.COMPLETE),
        Ended(verdict=Verdict.COMPLETE, cause=Cause.PEER),
    ]
    assert (it.credentials, it.socket.state.value) == (["a"], State.CLOSED)


def test_the_peers_1000_is_an_end_like_others_if_asked(clock: VirtualClock, scene: Make) -> None:
    """With ``clean_close="reconnect"`` a feed may close with 1000 and go on."""
    it = scene(accept().wait(1.0).close(), auth=A, clean_close="reconnect")
    ends = Ends(it.socket)
    clock.advance(10.0)
    assert ends.log == []
    assert it.dials == [(0.0, "a"), (3.0, "a")]


@pytest.mark.parametrize(
    ("script", "options"),
    [
        (reject(405), {}),
        (accept().close(1009), {}),
        (reject(503), {"verdicts": standard().override({503: Verdict.FAIL})}),
    ],
    ids=["405", "1009", "override"],
)
def test_only_fail_fails_the_streams(
    clock: VirtualClock, scene: Make, script: Any, options: dict[str, Any]
) -> None:
    """On FAIL what connects ends with one SocketFailed; what only looks completes."""
    it = scene(script, watch=False, auth=A, **options)
    ends = Ends(it.socket)
    clock.advance(60.0)
    failures = {name: error for name, error in ends.log if error is not None}
    assert set(failures) == set(CONNECTED)
    assert len(set(map(id, failures.values()))) == 1
    assert isinstance(failures["messages"], SocketFailed)
    assert ends.completed == ["auth", "errors", "state"]
    assert len(ends.log) == len(ALL)
    assert (it.peer.dials, it.socket.state.value) == (1, State.CLOSED)


def test_a_failure_without_on_error_harms_nobody(clock: VirtualClock, scene: Make) -> None:
    """Who left ``on_error`` out hears nothing; the others are told all the same."""
    it = scene(reject(405), watch=False, auth=A)
    it.socket.messages.subscribe()
    it.socket.on_open(lambda: None)
    failures: list[Exception] = []
    it.socket.messages.subscribe(on_error=failures.append)
    clock.advance(1.0)
    assert len(failures) == 1


@pytest.mark.parametrize("first", [accept().wait(1.0).close(), reject(405), accept()], ids=repr)
def test_a_socket_that_ended_can_be_started_afresh(
    clock: VirtualClock, scene: Make, first: Any
) -> None:
    """After COMPLETE, FAIL and ``close()``: subscribing connects, as the first time."""
    it = scene(first, auth=A)
    clock.advance(10.0)
    it.socket.close()
    clock.advance(2.0)
    it.clear()
    assert it.socket.state.value is State.CLOSED
    it.watch()
    clock.advance(1.0)
    assert it.events == [connecting(2), opened(2)]
    assert it.credentials == ["a", "a"]


AGAIN: dict[str, Callable[[Scene], Any]] = {
    "the peer": lambda it: it.peer.close(),
    "close()": lambda it: it.socket.close(),
    "fail": lambda it: it.peer.close(1009),
}


@pytest.mark.parametrize("stream", ALL)
@pytest.mark.parametrize("end", AGAIN)
def test_who_subscribes_in_on_completed_starts_it_afresh(
    clock: VirtualClock, scene: Make, end: str, stream: str
) -> None:
    """In any stream's end, before the others have heard of theirs: one new life, not ended too."""
    fatal = standard().override({1009: Verdict.FAIL})
    it = scene(watch=False, auth=A, verdicts=fatal)
    ends: list[str] = []
    opens: list[Opened] = []

    def again(*_: object) -> None:
        it.socket.opens.subscribe(
            opens.append, lambda _: ends.append("failed"), lambda: ends.append("completed")
        )

    hold = it.socket.connect()
    getattr(it.socket, stream).subscribe(on_error=again, on_completed=again)
    clock.advance(5.0)
    AGAIN[end](it)
    clock.advance(5.0)
    assert opens == [opened(2)]
    assert ends == []
    assert (it.dials, it.socket.state.value) == ([(0.0, "a"), (5.0, "a")], State.OPEN)
    hold.dispose()
    clock.advance(1.0)
    assert it.peer.live == 1


def test_repeat_makes_a_socket_that_never_completes(clock: VirtualClock, scene: Make) -> None:
    """RxPY's ``repeat`` subscribes in on_completed: each life gives its message."""
    it = scene(*[accept().send(str(n)).wait(5.0).close() for n in range(3)], watch=False, auth=A)
    got: list[str] = []
    leave = it.socket.messages.pipe(reactivex.operators.repeat()).subscribe(got.append)
    clock.advance(15.5)
    assert got == ["0", "1", "2"]
    assert it.dials == [(0.0, "a"), (5.0, "a"), (10.0, "a"), (15.0, "a")]
    leave.dispose()


def test_who_looks_from_the_next_life_on(clock: VirtualClock, scene: Make) -> None:
    """A subscriber to ``state`` of an ended socket gets CLOSED, and then the next life."""
    it = scene(auth=A)
    clock.advance(1.0)
    it.socket.close()
    states: list[State] = []
    ends: list[str] = []
    it.socket.state.subscribe(states.append, on_completed=lambda: ends.append("completed"))
    clock.advance(2.0)
    assert (states, ends) == ([State.CLOSED], [])
    it.socket.connect()
    clock.advance(1.0)
    assert states == [State.CLOSED, State.CONNECTING, State.OPEN]
    it.socket.close()
    assert ends == ["completed"]


@pytest.mark.parametrize("end", AGAIN)
def test_set_auth_on_an_ended_socket_is_for_then(
    clock: VirtualClock, scene: Make, caplog: pytest.LogCaptureFixture, end: str
) -> None:
    """The value is stored, which the receipt and the log say; the next start uses it."""
    caplog.set_level(logging.INFO, "rxsocket")
    it = scene(auth=A)
    clock.advance(1.0)
    AGAIN[end](it)
    clock.advance(1.0)
    change = it.socket.set_auth(B)
    assert change.result() == Stored()
    assert "kept for its start" in caplog.messages[-1]
    assert "'b'" not in caplog.text
    clock.advance(5.0)
    assert it.credentials == ["a"]
    it.watch()
    clock.advance(2.0)
    assert it.credentials == ["a", "b"]


def test_set_auth_in_on_completed_is_for_the_next_start(clock: VirtualClock, scene: Make) -> None:
    """A change asked for while the streams end is stored as well."""
    it = scene(watch=False, auth=A)
    outcomes: list[object] = []
    it.socket.messages.subscribe(
        on_completed=lambda: it.socket.set_auth(B).subscribe(outcomes.append)
    )
    clock.advance(2.0)
    it.socket.close()
    assert outcomes == [Stored()]
    it.socket.connect()
    clock.advance(1.0)
    assert it.credentials == ["a", "b"]


def test_a_change_on_its_way_at_the_end_is_stored(clock: VirtualClock, scene: Make) -> None:
    """``close()`` right after ``set_auth``: no dial, and the value is there for the next start."""
    it = scene(auth=A)
    clock.advance(1.0)
    change = it.socket.set_auth(B)
    it.socket.close()
    assert change.result() == Stored()
    clock.advance(2.0)
    assert it.events[-2:] == [
        left(1, Cause.AUTH_CHANGED),
        Ended(verdict=Verdict.COMPLETE, cause=Cause.CLOSE),
    ]
    it.watch()
    clock.advance(1.0)
    assert it.credentials == ["a", "b"]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno >= logging.WARNING]


def test_the_first_failure_of_an_outage_is_a_warning(
    clock: VirtualClock, scene: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """The first attempt that fails is a WARNING with the reason, the next ones are not."""
    caplog.set_level(logging.DEBUG, "rxsocket")
    scene(*[unreachable()] * 10, auth=A)
    clock.advance(60.0)
    [warning] = warnings(caplog)
    assert "the fake server is unreachable" in warning


def test_an_outage_after_an_open_is_a_warning(
    clock: VirtualClock, scene: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that goes away and stays away is no silence either; nor is the next outage."""
    caplog.set_level(logging.DEBUG, "rxsocket")
    it = scene(accept(), unreachable(), unreachable(), accept(), unreachable(), auth=A)
    clock.advance(10.0)
    assert warnings(caplog) == []
    for expected in (1, 2):
        it.peer.drop()
        clock.advance(20.0)
        assert len(warnings(caplog)) == expected
        assert it.socket.state.value is State.OPEN


def test_an_outage_after_a_change_is_a_warning(
    clock: VirtualClock, scene: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """So is a server that is not there when the credential changed."""
    caplog.set_level(logging.DEBUG, "rxsocket")
    it = scene(accept(), unreachable(), unreachable(), auth=A)
    clock.advance(10.0)
    it.socket.set_auth(B)
    clock.advance(60.0)
    assert len(warnings(caplog)) == 1


def test_each_life_has_a_warning_of_its_own(
    clock: VirtualClock, scene: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """A socket that is started again and still fails says so again."""
    caplog.set_level(logging.DEBUG, "rxsocket")
    it = scene(*[unreachable()] * 10, watch=False, auth=A)
    for expected in (1, 2):
        leave = it.socket.connect()
        clock.advance(5.0)
        leave.dispose()
        assert len(warnings(caplog)) == expected


def test_a_failure_is_an_error_in_the_log(
    clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """That it gave up for good is logged as an ERROR, also when only ``on_message`` listens."""
    peer = fake(reject(405))
    socket = Socket(peer.url, auth=A, transport=peer)
    socket.on_message(lambda: None)
    clock.advance(1.0)
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "405" in record.message and "gave up" in record.message
    socket.close()
    clock.advance(1.0)


def test_the_last_one_leaving_completes_nothing(clock: VirtualClock, scene: Make) -> None:
    """That nobody is left is no end: who looks goes on looking."""
    it = scene(watch=False, auth=A)
    log: list[str] = []
    for name in ALL:
        stream = getattr(it.socket, name).passive()
        stream.subscribe(on_error=lambda _: log.append("failed"), on_completed=log.append)
    it.socket.connect().dispose()
    clock.advance(1.0)
    leave = it.socket.connect()
    clock.advance(5.0)
    leave.dispose()
    clock.advance(5.0)
    assert (log, it.socket.state.value) == ([], State.IDLE)


def test_the_failure_says_where_and_why(clock: VirtualClock, scene: Make) -> None:
    """SocketFailed has the address and what the last attempt ended with; Ended has the same one."""
    it = scene(reject(405), auth=A)
    failures: list[Exception] = []
    it.socket.messages.subscribe(on_error=failures.append)
    clock.advance(1.0)
    [failure] = failures
    assert isinstance(failure, SocketFailed)
    assert failure.url == it.peer.url
    assert isinstance(failure.cause, HandshakeRefused) and failure.cause.status == 405
    ended = it.events[-1]
    assert isinstance(ended, Ended)
    assert (ended.verdict, ended.error) == (Verdict.FAIL, failure)


@pytest.mark.parametrize("end", AGAIN)
def test_a_session_completes_in_every_end(clock: VirtualClock, scene: Make, end: str) -> None:
    """Its connection was closed, which is no failure of the session's; then ``sessions`` ends."""
    it = scene(watch=False, auth=A)
    log: list[str] = []

    def follow(session: Session[str]) -> None:
        session.subscribe(
            on_error=lambda _: log.append("session failed"),
            on_completed=lambda: log.append("session completed"),
        )

    it.socket.sessions.subscribe(
        follow, lambda _: log.append("failed"), lambda: log.append("completed")
    )
    clock.advance(1.0)
    AGAIN[end](it)
    clock.advance(2.0)
    assert log == ["session completed", "failed" if end == "fail" else "completed"]


@pytest.mark.parametrize("used", [False, True], ids=["never started", "left"])
def test_set_auth_on_an_idle_socket_is_for_its_start(
    clock: VirtualClock, scene: Make, used: bool
) -> None:
    """Before the first subscriber, and after the last: Stored, no dial, and used at the start."""
    it = scene(watch=False, auth=A)
    if used:
        leave = it.socket.connect()
        clock.advance(1.0)
        leave.dispose()
        clock.advance(1.0)
    it.clear()
    assert it.socket.state.value is State.IDLE
    assert it.socket.set_auth("never").result() == Stored()
    assert it.socket.set_auth(B).result() == Stored()
    clock.advance(5.0)
    assert it.credentials == ["a"] * used
    it.watch()
    clock.advance(1.0)
    assert it.credentials == [*["a"] * used, "b"]
    assert it.names == ["Connecting", "Opened"]


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.COMPLETE, Verdict.RECONNECT])
def test_the_log_promises_another_try_only_if_there_is_one(
    clock: VirtualClock, scene: Make, caplog: pytest.LogCaptureFixture, verdict: Verdict
) -> None:
    """The WARNING has the reason, and says that it tries again when it does."""
    caplog.set_level(logging.DEBUG, "rxsocket")
    it = scene(reject(503), auth=A, verdicts=standard().override({503: verdict}))
    clock.advance(1.0)
    warning = warnings(caplog)[0]
    assert "refused the handshake with HTTP 503" in warning
    assert ("trying again" in warning) is (verdict is Verdict.RECONNECT)
    clock.advance(9.0)
    assert len(it.dials) == (2 if verdict is Verdict.RECONNECT else 1)


def test_each_line_of_the_log_has_the_address_once(
    clock: VirtualClock, scene: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """Which socket a line is about stands at its beginning, in that of the failure as well."""
    caplog.set_level(logging.DEBUG, "rxsocket")
    it = scene(accept().wait(1.0).close(1009), auth=A)
    clock.advance(5.0)
    lines = [r.getMessage() for r in caplog.records if r.levelno >= logging.INFO]
    assert [line.count(it.peer.url) for line in lines] == [1, 1, 1]
    assert all(line.startswith(f"{it.peer.url}: ") for line in lines)
