"""C14 to C16 on real connections: identity, backoff and the verdict table."""

from __future__ import annotations

import random
from contextlib import suppress
from email.utils import formatdate
from time import time

import pytest
from deadlines import took

from rxsocket import (
    AwaitingAuth,
    Backoff,
    Cause,
    Closed,
    ConnectFailed,
    Connecting,
    End,
    Message,
    NotConnected,
    Opened,
    Rejected,
    Sent,
    Socket,
    SocketError,
    SocketFailed,
    Verdict,
    Waiting,
    standard,
)
from rxsocket.testing import accept, reject, server

from .wire_helpers import BINARY, Inbox, Peer, Watch, frame, quick, raw


def test_what_was_queued_goes_to_nobody_else() -> None:
    """C14: messages of one user that are still being written are not sent under another's name."""
    with server() as peer:
        socket = Socket(peer.url, auth="ann", close_timeout=0.3)
        watch = Watch(socket)
        watch.wait(Opened)
        peer.freeze()
        peer.wait_for(lambda peer: "#1 frozen" in peer.history)
        receipts = [socket.send(b"ann's" * 200_000) for _ in range(20)]
        socket.set_auth("ben")
        watch.wait(Opened, 2)
        late = socket.send("ben's")
        assert late.result(5) == Sent(2)
        for receipt in receipts:
            with suppress(SocketError):
                assert receipt.result(5) == Sent(1)
        peer.wait_for(lambda peer: len(peer.received) == 1)
        assert [tuple(message) for message in peer.received] == [(2, "ben's")]
        socket.close().result(5)


def test_what_cannot_be_sent_fails_with_the_reason() -> None:
    """C14, C20: a receipt of what was not sent says why, and so does errors."""
    with server(reject(401)) as peer:
        socket = Socket(peer.url, auth="a", queue_for=0.05)
        watch = Watch(socket)
        watch.wait(AwaitingAuth)
        with pytest.raises(NotConnected, match="awaiting auth"):
            socket.send("x").result(5)
        assert watch.names[-1] == "SendFailed"
        socket.close().result(5)


def test_two_attempts_are_a_second_apart() -> None:
    """C15: whatever the jitter says, between two dials there is a second."""
    with server(accept().drop(), reject(503)) as peer:
        backoff = Backoff(first=0.0, base=0.0, random=random.Random(3))
        socket = Socket(peer.url, backoff=backoff)
        watch = Watch(socket)
        watch.wait(Opened, 2)
        first, second, third = (handshake.at for handshake in peer.handshakes)
        # As the server saw them arrive, which a busy machine puts off by some hundredths.
        for seconds in (second - first, third - second):
            assert seconds >= 0.9
            took(seconds, 1.5)
        socket.close().result(5)


def test_backoff_grows_and_does_not_reset_on_an_open() -> None:
    """C15: accept-then-close counts as failures in a row: the windows of the delays double."""
    with server(*[accept().close(1011)] * 5) as peer:
        backoff = Backoff(first=0.01, base=0.01, spacing=0.0, random=random.Random(5))
        socket = Socket(peer.url, backoff=backoff)
        watch = Watch(socket)
        watch.wait(Opened, 6)
        waits = [event for event in watch.of(Waiting) if event.failures]
        assert [event.failures for event in waits] == [1, 2, 3, 4, 5]
        for n, event in enumerate(waits[1:], start=1):
            assert 0.01 * 2**n / 2 <= event.delay <= 0.01 * 2**n
        assert watch.of(Opened)[-1].attempts == 6
        socket.close().result(5)


def test_a_stable_connection_resets_the_backoff() -> None:
    """C15: after ``stable_after`` seconds open, the next failure is a first one again."""
    scripts = (reject(503), reject(503), accept().wait(0.3).drop())
    with server(*scripts) as peer:
        socket = Socket(peer.url, backoff=quick(), stable_after=0.2)
        watch = Watch(socket)
        watch.wait(Opened, 2)
        assert [event.failures for event in watch.of(Waiting)] == [1, 2, 1]
        assert watch.of(Connecting)[-1].attempt == 1
        socket.close().result(5)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_honoured(status: int, form: str) -> None:
    """C15: Retry-After is waited for, in seconds or as a date."""
    header = "30" if form == "seconds" else formatdate(time() + 31, usegmt=True)
    with server(reject(status, {"Retry-After": header})) as peer:
        socket = Socket(peer.url, backoff=quick())
        watch = Watch(socket)
        assert 29.0 <= watch.wait(Waiting).delay <= 31.0
        socket.close().result(5)


def test_retry_after_has_a_cap() -> None:
    """C15: a Retry-After of a day is honoured up to 5 min."""
    with server(reject(503, {"Retry-After": "86400"})) as peer:
        socket = Socket(peer.url)
        watch = Watch(socket)
        assert watch.wait(Waiting).delay == 300.0
        socket.close().result(5)


@pytest.mark.parametrize(
    "code", [1001, 1002, 1003, 1005, 1007, 1008, 1011, 1012, 1013, 1014, 3999, 4000]
)
def test_codes_after_which_it_reconnects(code: int) -> None:
    """C16: these codes, from a stable connection, are followed by another connection."""
    with server(accept().close(code, "" if code == 1005 else "why")) as peer:
        socket = Socket(peer.url, backoff=quick(), stable_after=0.0)
        watch = Watch(socket)
        watch.wait(Opened, 2)
        closed = watch.of(Closed)[0]
        assert (closed.code, closed.verdict) == (code, Verdict.RECONNECT)
        assert closed.cause is Cause.PEER
        assert closed.reason == ("" if code == 1005 else "why")
        socket.close().result(5)


@pytest.mark.parametrize("code", [1009, 1010])
def test_codes_after_which_it_fails(code: int) -> None:
    """C16: these codes end the streams with an error that names them."""
    with server(accept().close(code, "no")) as peer:
        watch = Watch(Socket(peer.url))
        watch.ended()
        assert isinstance(watch.error, SocketFailed)
        assert str(code) in str(watch.error)
        assert len(peer.handshakes) == 1


def test_a_lost_link_reconnects() -> None:
    """C16: a cut of TCP is 1006, and is followed by another connection."""
    with server(accept().drop()) as peer:
        socket = Socket(peer.url, backoff=quick())
        watch = Watch(socket)
        watch.wait(Opened, 2)
        closed = watch.of(Closed)[0]
        assert (closed.code, closed.cause) == (1006, Cause.LOST)
        socket.close().result(5)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 404])
def test_statuses_after_which_it_tries_again(status: int) -> None:
    """C16: these refusals of the handshake are followed by another attempt."""
    with server(reject(status)) as peer:
        socket = Socket(peer.url, backoff=quick())
        watch = Watch(socket)
        failed = watch.wait(ConnectFailed)
        assert (failed.status, failed.verdict) == (status, Verdict.RECONNECT)
        watch.wait(Opened)
        socket.close().result(5)


@pytest.mark.parametrize("status", [400, 405, 410, 426])
def test_statuses_after_which_it_fails(status: int) -> None:
    """C16: these refusals of the handshake fail at once."""
    with server(reject(status)) as peer:
        watch = Watch(Socket(peer.url))
        watch.ended()
        assert isinstance(watch.error, SocketFailed)
        assert str(status) in str(watch.error)
        assert len(peer.handshakes) == 1


@pytest.mark.parametrize("how", ["404", "1002", "not HTTP"])
def test_patience_ends_after_five_in_a_row(how: str) -> None:
    """C16: what a deploy or a flaky proxy may explain fails the fifth time running."""
    if how == "not HTTP":
        with raw(lambda peer: peer.send(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")) as other:
            watch = Watch(Socket(other.url, backoff=quick()))
            watch.ended()
            assert len(other.requests) == 5
    else:
        script = reject(404) if how == "404" else accept().close(1002)
        with server(*[script] * 6) as peer:
            watch = Watch(Socket(peer.url, backoff=quick()))
            watch.ended()
            assert len(peer.handshakes) == 5
    assert isinstance(watch.error, SocketFailed)


def test_other_ends_between_start_the_patience_anew() -> None:
    """C16: only the same end five times running is too much."""
    scripts = [*[reject(404)] * 4, reject(503), *[reject(404)] * 4]
    with server(*scripts) as peer:
        socket = Socket(peer.url, backoff=quick())
        watch = Watch(socket)
        watch.wait(Opened)
        assert len(peer.handshakes) == 10
        socket.close().result(5)


def test_a_row_can_be_replaced() -> None:
    """C16: override() changes one line of the table."""
    with server(accept().close(4404, "no such room")) as peer:
        socket = Socket(peer.url, verdicts=standard().override({4404: Verdict.FAIL}))
        watch = Watch(socket)
        watch.ended()
        assert "4404" in str(watch.error)
        assert "no such room" in str(watch.error)


def test_a_table_of_ones_own() -> None:
    """C16: verdicts may be any function of an end."""

    def strict(end: End) -> Verdict:
        return Verdict.AWAIT_AUTH if end.code == 4999 else standard()(end)

    with server(accept().close(4999)) as peer:
        socket = Socket(peer.url, verdicts=strict)
        watch = Watch(socket)
        watch.wait(AwaitingAuth)
        assert not watch.of(Rejected)
        socket.close().result(5)


def test_a_masked_frame_of_a_server_is_a_protocol_error() -> None:
    """C16: what breaks the protocol is answered with 1002, and tried again."""

    def play(peer: Peer) -> None:
        peer.send(peer.answer + frame(b"fine", BINARY) + b"\x81\x84abcdwxyz")
        peer.drain()

    with raw(play) as peer:
        socket = Socket(peer.url, backoff=quick(), close_timeout=0.2)
        watch = Watch(socket)
        closed = watch.wait(Closed)
        assert watch.of(Message)[0].data == b"fine"
        assert (closed.sent, closed.verdict) == (1002, Verdict.RECONNECT)
        socket.close().result(5)


def test_a_proxy_that_refuses_for_a_while_ends_nothing() -> None:
    """C3, C9: after a stable connection 404, 405, 403 and 400; the same subscriber goes on."""
    answers = [reject(status) for status in (404, 405, 410, 400, 403)]
    backoff = Backoff(first=0.01, base=0.01, cap=0.02, spacing=0.0, refused_retry=0.05)
    with server(accept().send("1").wait(0.2).drop(), *answers, accept().send("2")) as peer:
        options = {"auth": {"token": "good"}, "backoff": backoff, "stable_after": 0.05}
        with Socket(peer.url, **options) as socket:
            inbox = Inbox()
            socket.on_message(inbox)
            assert inbox.wait(2) == ["1", "2"]
        assert len(peer.handshakes) == 7
