"""C16: what follows each way in which an attempt or a connection can end."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

import pytest
import reactivex
from internals import Script
from reactivex import Observable, abc

from rxsocket import (
    AwaitingAuth,
    Closed,
    ConnectFailed,
    End,
    Ended,
    Event,
    HandshakeInvalid,
    HandshakeRefused,
    PeerClosed,
    RedirectRefused,
    Rejected,
    Request,
    Row,
    Signal,
    Socket,
    SocketFailed,
    State,
    Unauthorized,
    Verdict,
    Waiting,
    standard,
)
from rxsocket.testing import VirtualClock, accept, fake, hang, reject, unreachable

FOLLOWS = {
    Verdict.RECONNECT: Waiting,
    Verdict.AWAIT_AUTH: AwaitingAuth,
    Verdict.COMPLETE: Ended,
    Verdict.FAIL: Ended,
}


class Watched:
    """A socket, everything that its streams said, and how they ended."""

    def __init__(self, clock: VirtualClock, *scripts: Script, **options: Any) -> None:
        self._clock = clock
        self.peer = fake(*scripts)
        self.socket = Socket(self.peer.url, **{"transport": self.peer, **options})
        self.events: list[Event] = []
        self.ends: dict[str, BaseException | None] = {}
        for name in ("events", "opens", "closes", "messages", "sessions"):
            self._watch(name)
        for name in ("errors", "state", "auth"):
            self._watch(name)

    def _watch(self, name: str) -> None:
        stream: Observable[Any] = getattr(self.socket, name)
        stream.subscribe(
            self.events.append if name == "events" else None,
            lambda error: self.ends.__setitem__(name, error),
            lambda: self.ends.__setitem__(name, None),
        )

    def after_the_first_end(self) -> Event:
        ends = (Closed, ConnectFailed, Rejected)
        first = next(i for i, event in enumerate(self.events) if isinstance(event, ends))
        return self.events[first + 1]

    def check(self, verdict: Verdict) -> None:
        """This verdict was given for the first end, and what it says came of it."""
        follows = self.after_the_first_end()
        assert isinstance(follows, FOLLOWS[verdict])
        if isinstance(follows, Ended):
            assert follows.verdict is verdict
        if verdict is Verdict.COMPLETE:
            assert set(self.ends.values()) == {None} and len(self.ends) == 8
        elif verdict is Verdict.FAIL:
            self.check_failed()
        else:
            assert self.ends == {}

    def check_failed(self) -> None:
        connected = [self.ends[n] for n in ("events", "opens", "closes", "messages", "sessions")]
        assert all(isinstance(error, SocketFailed) for error in connected)
        assert len({id(error) for error in connected}) == 1
        assert [self.ends[n] for n in ("errors", "state", "auth")] == [None] * 3
        assert self.socket.state.value is State.CLOSED

    def close(self) -> None:
        self.socket.close()
        self._clock.advance(2.0)


CLOSE_CODES = [
    *[(code, Verdict.RECONNECT) for code in (1001, 1002, 1003, 1005, 1006, 1007)],
    *[(code, Verdict.RECONNECT) for code in (1004, 1011, 1012, 1013, 1014)],
    *[(code, Verdict.AWAIT_AUTH) for code in (1008, 3000, 3003, 4401, 4403)],
    (1000, Verdict.COMPLETE),
    *[(code, Verdict.FAIL) for code in (1009, 1010, 1015)],
    *[(code, Verdict.RECONNECT) for code in (2000, 3001, 3999, 4000, 4400, 4404, 4500, 4999)],
]


def closing(peer: Callable[[Request], Observable[Signal]], code: int) -> Any:
    """A transport that reports a close code which no script can send."""

    def transport(request: Request) -> Observable[Signal]:
        def subscribe(
            observer: abc.ObserverBase[Signal], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            def on_next(signal: Signal) -> None:
                observer.on_next(PeerClosed(code) if isinstance(signal, PeerClosed) else signal)

            return peer(request).subscribe(on_next, observer.on_error, observer.on_completed)

        return Observable(subscribe)

    return transport


@pytest.mark.parametrize(("code", "verdict"), CLOSE_CODES)
def test_close_code(clock: VirtualClock, code: int, verdict: Verdict) -> None:
    """What follows each close code of the peer, soon after the opening."""
    peer = fake(accept().wait(1).close(1012))
    watched = Watched(clock, transport=closing(peer, code), auth="a")
    clock.advance(1.0)
    watched.check(verdict)
    closed = next(event for event in watched.events if isinstance(event, Closed))
    assert (closed.code, closed.verdict) == (code, verdict)
    watched.close()


@pytest.mark.parametrize("code", [1001, 1005, 1008, 1011, 1012, 4000])
def test_close_code_of_a_stable_connection(clock: VirtualClock, code: int) -> None:
    """1008 speaks of the credential only at the door; later it is a reason to reconnect."""
    watched = Watched(clock, accept().wait(5.01).close(code), auth="a")
    clock.advance(5.5)
    watched.check(Verdict.RECONNECT)
    watched.close()


@pytest.mark.parametrize("code", [3000, 3003, 4401, 4403])
def test_a_refusal_counts_also_after_a_stable_connection(clock: VirtualClock, code: int) -> None:
    """The codes that mean the credential mean it whenever they come."""
    watched = Watched(clock, accept().wait(3600).close(code), auth="a")
    clock.advance(3600.0)
    watched.check(Verdict.AWAIT_AUTH)
    watched.close()


STATUSES = [
    *[(status, Verdict.RECONNECT) for status in (408, 425, 429, 500, 501, 502, 503, 504, 599)],
    *[(status, Verdict.AWAIT_AUTH) for status in (401, 403)],
    *[(status, Verdict.FAIL) for status in (405, 410, 426)],
    (400, Verdict.AWAIT_AUTH),  # the credential that was carried: Vite and socket.io refuse so
    *[(status, Verdict.RECONNECT) for status in (200, 204, 301, 304, 404, 402, 418, 451, 499)],
]


@pytest.mark.parametrize(("status", "verdict"), STATUSES)
def test_http_status(clock: VirtualClock, status: int, verdict: Verdict) -> None:
    """What follows each HTTP status of a refused handshake."""
    watched = Watched(clock, reject(status), auth="a")
    clock.advance(0.0)
    watched.check(verdict)
    kind = Rejected if verdict is Verdict.AWAIT_AUTH else ConnectFailed
    refused = next(
        event for event in watched.events if isinstance(event, (Rejected, ConnectFailed))
    )
    assert isinstance(refused, kind)
    assert (refused.status, refused.verdict) == (status, verdict)
    assert isinstance(refused.error, HandshakeRefused)
    watched.close()


EXCEPTIONS = [
    (OSError("no route to host"), Verdict.RECONNECT),
    (ConnectionResetError(), Verdict.RECONNECT),
    (TimeoutError("too slow"), Verdict.RECONNECT),
    (EOFError(), Verdict.RECONNECT),
    (ssl.SSLError("handshake failure"), Verdict.RECONNECT),
    (ssl.SSLCertVerificationError("self-signed"), Verdict.FAIL),
    (HandshakeInvalid("no WebSocket"), Verdict.RECONNECT),
    (RedirectRefused("another origin"), Verdict.FAIL),
    (RuntimeError("a bug of the transport"), Verdict.RECONNECT),
]


@pytest.mark.parametrize(("error", "verdict"), EXCEPTIONS, ids=lambda value: type(value).__name__)
def test_exception(clock: VirtualClock, error: Exception, verdict: Verdict) -> None:
    """What follows each exception of an attempt."""
    watched = Watched(clock, transport=lambda _: reactivex.throw(error))
    clock.advance(0.0)
    watched.check(verdict)
    failed = next(event for event in watched.events if isinstance(event, ConnectFailed))
    assert failed.error is error
    if verdict is Verdict.FAIL:
        failure = watched.ends["messages"]
        assert isinstance(failure, SocketFailed) and failure.cause is error
        assert failure.url == watched.peer.url
    watched.close()


@pytest.mark.parametrize(
    ("script", "kind"), [(unreachable(), ConnectionRefusedError), (hang(), TimeoutError)]
)
def test_a_server_that_is_not_there(
    clock: VirtualClock, script: Script, kind: type[Exception]
) -> None:
    """A refused connection and a handshake that takes too long are values; it tries again."""
    watched = Watched(clock, script)
    clock.advance(10.0)
    watched.check(Verdict.RECONNECT)
    failed = next(event for event in watched.events if isinstance(event, ConnectFailed))
    assert isinstance(failed.error, kind)
    watched.close()


def test_a_provider_that_gives_up_awaits_auth(clock: VirtualClock) -> None:
    """``Unauthorized`` of a provider means: wait for ``set_auth``."""

    def provider() -> str:
        raise Unauthorized("logged out")

    watched = Watched(clock, auth=provider)
    clock.advance(3600.0)
    watched.check(Verdict.AWAIT_AUTH)
    assert watched.peer.handshakes == []
    watched.close()


def test_a_provider_that_fails_is_a_failed_attempt(clock: VirtualClock) -> None:
    """Any other exception of a provider is an ordinary failure, with a backoff."""

    def provider() -> str:
        raise KeyError("vault")

    watched = Watched(clock, auth=provider)
    clock.advance(60.0)
    watched.check(Verdict.RECONNECT)
    watched.close()


PATIENT: list[Any] = [accept().close(code) for code in (1002, 1003, 1007)]
PATIENT += [reject(404), reject(418)]


@pytest.mark.parametrize("script", PATIENT)
def test_five_in_a_row_fail(clock: VirtualClock, script: Script) -> None:
    """What may be a deploy or a flaky proxy fails for good when it came five times running."""
    watched = Watched(clock)
    watched.peer.default = script
    clock.advance(3600.0)
    assert watched.peer.dials == 5
    watched.check_failed()


def test_invalid_answers_fail_after_five(clock: VirtualClock) -> None:
    """What answers without speaking WebSocket fails after five attempts."""
    watched = Watched(clock, transport=lambda _: reactivex.throw(HandshakeInvalid("?")))
    clock.advance(3600.0)
    assert sum(isinstance(event, ConnectFailed) for event in watched.events) == 5
    watched.check_failed()


def test_another_end_in_between_starts_the_count_anew(clock: VirtualClock) -> None:
    """Five in a row means in a row: another end in between starts the count anew."""
    four = [reject(404)] * 4
    watched = Watched(clock, *four, reject(503), *four, reject(418), *four)
    clock.advance(3600.0)
    assert watched.ends == {}
    assert watched.socket.state.value is State.OPEN
    watched.close()


def test_a_stable_connection_starts_the_count_anew(clock: VirtualClock) -> None:
    """A server that breaks the protocol once an hour is put up with."""
    watched = Watched(clock)
    watched.peer.default = accept().wait(3600).close(1002)
    clock.advance(20 * 3600.0)
    assert watched.ends == {}
    assert watched.peer.dials == 20
    watched.close()


@pytest.mark.parametrize(
    ("rows", "script", "verdict"),
    [
        ({4404: Verdict.FAIL}, accept().close(4404), Verdict.FAIL),
        ({range(4500, 5000): Verdict.FAIL}, accept().close(4999), Verdict.FAIL),
        ({range(4500, 5000): Verdict.FAIL}, accept().close(4499), Verdict.RECONNECT),
        ({1000: Verdict.RECONNECT}, accept().close(1000), Verdict.RECONNECT),
        ({4401: Verdict.RECONNECT}, accept().close(4401), Verdict.RECONNECT),
        ({503: Verdict.AWAIT_AUTH}, reject(503), Verdict.AWAIT_AUTH),
        ({404: Row(Verdict.RECONNECT, in_a_row=1)}, reject(404), Verdict.FAIL),
        ({OSError: Verdict.FAIL}, unreachable(), Verdict.FAIL),
        ({TimeoutError: Verdict.FAIL}, unreachable(), Verdict.RECONNECT),
    ],
)
def test_override(clock: VirtualClock, rows: Any, script: Script, verdict: Verdict) -> None:
    """``standard().override()`` replaces rows; the others stay."""
    watched = Watched(clock, script, auth="a", verdicts=standard().override(rows))
    clock.advance(0.5)
    watched.check(verdict)
    watched.close()


def test_a_function_of_the_users_decides(clock: VirtualClock) -> None:
    """``verdicts=`` takes any function from ``End`` to ``Verdict``; it is given the facts."""
    ends: list[End] = []

    def verdicts(end: End) -> Verdict:
        ends.append(end)
        return Verdict.COMPLETE if len(ends) == 4 else Verdict.RECONNECT

    scripts = (reject(401), accept().close(4401), accept().close(4401), accept().wait(5.01).drop())
    watched = Watched(clock, *scripts, auth="a", verdicts=verdicts)
    clock.advance(60.0)
    facts = [(end.code, end.stable, end.in_a_row) for end in ends]
    assert facts == [(None, False, 1), (4401, False, 1), (4401, False, 2), (1006, True, 1)]
    assert isinstance(ends[0].error, HandshakeRefused) and ends[0].error.status == 401
    assert set(watched.ends.values()) == {None}


@pytest.mark.parametrize("script", [accept().close(1001), reject(503), unreachable()])
def test_a_function_that_fails_ends_the_socket_and_says_so(
    clock: VirtualClock, script: Script, caplog: pytest.LogCaptureFixture
) -> None:
    """A ``verdicts`` function that raises or gives no verdict is a FAIL, never a silent halt."""

    def raising(end: End) -> Verdict:
        raise KeyError("no such row")

    def forgetful(end: End) -> Verdict:
        return None  # type: ignore[return-value]

    for verdicts in (raising, forgetful):
        watched = Watched(clock, script, verdicts=verdicts)
        clock.advance(10.0)
        watched.check(Verdict.FAIL)
        failure = watched.ends["messages"]
        assert "verdicts" in str(failure)


def test_clean_close_reconnect(clock: VirtualClock) -> None:
    """For a feed that closes with 1000 and goes on: ``clean_close="reconnect"``."""
    watched = Watched(clock, accept().close(1000), clean_close="reconnect")
    clock.advance(0.0)
    watched.check(Verdict.RECONNECT)
    clock.advance(10.0)
    assert watched.socket.state.value is State.OPEN
    watched.close()


def test_the_failure_says_what_happened(clock: VirtualClock) -> None:
    """``SocketFailed`` names the address, the attempts and the reason, without the credential."""
    watched = Watched(clock, reject(503), reject(410), auth={"token": "hunter2"})
    clock.advance(10.0)
    text = str(watched.ends["messages"])
    assert "ws://fake.test/" in text and "410" in text and "attempt 2" in text
    assert "hunter2" not in text


def test_a_failed_socket_can_be_subscribed_again(clock: VirtualClock) -> None:
    """A FAIL is the end of the streams, not of the socket: a new subscriber starts it afresh."""
    watched = Watched(clock, reject(410), accept().send("hello"))
    clock.advance(1.0)
    watched.check_failed()
    messages: list[str] = []
    watched.socket.messages.subscribe(messages.append)
    clock.advance(2.0)
    assert messages == ["hello"]
    watched.close()
