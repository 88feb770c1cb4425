"""C16: what a server may answer and send that it should not, each to its verdict and its events."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from deadlines import took, within
from wire.wire_helpers import CLOSE, TEXT, Watch, frame, quick

from rxsocket import (
    Aborted,
    AwaitingAuth,
    Cause,
    Closed,
    ConnectFailed,
    End,
    Ended,
    HandshakeInvalid,
    HandshakeRefused,
    Message,
    Opened,
    RedirectRefused,
    Rejected,
    Socket,
    SocketFailed,
    Verdict,
    standard,
)

from .server_process import Process, until

RECONNECT, AWAIT, COMPLETE, FAIL = (
    Verdict.RECONNECT,
    Verdict.AWAIT_AUTH,
    Verdict.COMPLETE,
    Verdict.FAIL,
)


def sent(data: bytes, **more: Any) -> dict[str, Any]:
    """A play: the right handshake, then these bytes, then silence."""
    return {"do": "bytes", "hex": data.hex(), **more}


def answered(status: int, *headers: str) -> dict[str, Any]:
    """A play: an HTTP answer instead of the handshake."""
    lines = [f"HTTP/1.1 {status} Because", "Content-Length: 0", "Connection: close", *headers]
    return {"do": "answer", "text": "\r\n".join([*lines, "", ""])}


def dialling(far: Process, **options: Any) -> Socket:
    """A socket that waits neither for its next attempt nor for a peer that never hangs up."""
    return Socket(far.url, backoff=quick(), close_timeout=0.05, **options)


def follow(far: Process, watch: Watch, verdict: Verdict, attempts: int = 2) -> None:
    """What a verdict leads to; afterwards nothing is left on the server."""
    match verdict:
        case Verdict.RECONNECT:
            watch.until(lambda watch: watch.names[-1] == "Opened")
            assert watch.names.count("Connecting") == attempts
        case Verdict.AWAIT_AUTH:
            watch.wait(AwaitingAuth)
            assert watch.names.count("Connecting") == 1
        case Verdict.COMPLETE:
            watch.ended()
            assert watch.completed and watch.error is None
        case Verdict.FAIL:
            watch.ended()
            assert isinstance(watch.error, SocketFailed)
            assert watch.wait(Ended).error is watch.error
    assert str(watch.socket.explain())
    watch.socket.close().result(5)
    until(lambda: far.seen["open"] == 0)


def closing(code: int, reason: str = "") -> bytes:
    """A close frame, with any code."""
    return frame(struct.pack("!H", code) + reason.encode(), CLOSE)


# 1004, 1005, 1006 and 1015 may not be on the wire (RFC 6455, section 7.4.1): we fail with 1002.
UNSENDABLE = (1004, 1005, 1006, 1015, 1016, 2999)


@pytest.mark.parametrize(
    "code",
    [
        *(code for code in range(1000, 1015) if code not in UNSENDABLE),
        *(3000, 3003, 3999, 4000, 4001, 4400, 4401, 4403, 4404, 4500, 4999),
    ],
)
def test_every_close_code_to_its_verdict(far: Process, code: int) -> None:
    """C16: the code and the text arrive as they were sent, and the table says what follows."""
    far.plays(sent(closing(code, "because")))
    watch = Watch(dialling(far, auth="token"))
    closed = watch.wait(Closed)
    table = {1000: COMPLETE, 1008: AWAIT, 1009: FAIL, 1010: FAIL}
    table |= dict.fromkeys((3000, 3003, 4401, 4403), AWAIT)
    assert (closed.code, closed.reason, closed.cause) == (code, "because", Cause.PEER)
    assert closed.verdict is table.get(code, RECONNECT)
    follow(far, watch, table.get(code, RECONNECT))


@pytest.mark.parametrize("code", UNSENDABLE)
def test_codes_that_may_not_be_sent(far: Process, code: int) -> None:
    """C16: a close frame with a forbidden code is a protocol error, and tried again."""
    far.plays(sent(closing(code)))
    watch = Watch(dialling(far))
    closed = watch.wait(Closed)
    assert (closed.sent, closed.verdict) == (1002, RECONNECT)
    follow(far, watch, RECONNECT)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(b"", CLOSE), 1005),  # no code
        (frame(b"\x03", CLOSE), 1002),  # half a code
        (closing(1000)[:-1] + b"\xff" + b"", 1002),  # cut short
        (frame(struct.pack("!H", 1000) + b"\xff\xfe", CLOSE), 1007),  # a reason that is no UTF-8
        (b"\xff" * 64, 1002),  # garbage: reserved bits, a reserved opcode
        (b"\x83\x00", 1002),  # opcode 3
        (b"\xc1\x01a", 1002),  # compressed, though that was not agreed on
        (b"\x81\x81aaaaa", 1002),  # masked, which a server never does
        (frame(b"x" * 126, 9), 1002),  # a ping that is too long
        (frame(b"more", 0), 1002),  # a continuation of nothing
        (frame(b"\xff\xfe", TEXT), 1007),  # text that is no UTF-8
        (b"\x81\x7f" + b"\xff" * 8, 1009),  # a length with its top bit set
        (b"\x81\x7f" + struct.pack("!Q", 2**40), 1009),  # longer than we take
        (frame(b"x" * 2**16, TEXT), 1009),
    ],
)
def test_wrong_frames_to_their_codes(far: Process, data: bytes, code: int) -> None:
    """C16: what came is named by a code, the connection is failed, and the verdict is the row's."""
    far.plays(sent(data))
    watch = Watch(dialling(far, compression=None, max_size=1000))
    closed = watch.wait(Closed)
    ours = closed.sent if closed.code != 1005 else 1005
    verdict = standard()(End(code=code))
    assert (ours, closed.verdict) == (code, verdict)
    assert watch.of(Message) == []
    follow(far, watch, verdict)


def test_wrong_frames_for_ever_are_given_up(far: Process) -> None:
    """C16: the fifth protocol error in a row is final, and the error has all five."""
    far.plays(*[sent(b"\xff" * 8)] * 9)
    watch = Watch(dialling(far))
    watch.ended()
    assert watch.names.count("Connecting") == 5
    assert isinstance(watch.error, SocketFailed)
    assert [one.number for one in watch.error.tried] == [1, 2, 3, 4, 5]
    assert far.seen["dials"] == 5


def test_half_a_message_and_then_silence(far: Process) -> None:
    """C17: a frame that never ends does not stand for life: the pings are not answered."""
    whole = frame(b"x" * 1000)
    far.plays(sent(frame(b"first") + whole[:500]))
    socket = dialling(far, ping_interval=0.15, ping_timeout=0.15)
    watch = Watch(socket)
    closed = watch.wait(Closed)
    assert closed.cause is Cause.SILENT
    took(closed.uptime, 1.3)
    assert [event.data for event in watch.of(Message)] == ["first"]
    follow(far, watch, RECONNECT)


# --- the handshake


STATUSES = (
    200,
    204,
    300,
    304,
    400,
    401,
    402,
    403,
    404,
    405,
    406,
    407,
    408,
    409,
    410,
    417,
    418,
)
STATUSES += (425, 426, 429, 431, 451, 500, 501, 502, 503, 504, 505, 599)


@pytest.mark.parametrize("status", STATUSES)
def test_every_class_of_status_to_its_verdict(far: Process, status: int) -> None:
    """C16: the status is on the event, and the table says what follows."""
    far.plays(answered(status))
    watch = Watch(dialling(far, auth="token"))
    special = dict.fromkeys((400, 401, 403), AWAIT) | dict.fromkeys((405, 410, 426), FAIL)
    verdict = special.get(status, RECONNECT)
    kind = Rejected if verdict is AWAIT else ConnectFailed
    failed = watch.wait(kind)
    assert isinstance(failed, (Rejected, ConnectFailed))
    assert (failed.status, failed.verdict) == (status, verdict)
    assert isinstance(failed.error, HandshakeRefused) and failed.error.status == status
    follow(far, watch, verdict)


@pytest.mark.parametrize(
    "play",
    [
        {"do": "banner", "hex": b"SSH-2.0-OpenSSH_9.6\r\n".hex()},
        {"do": "answer", "text": "hello\r\n\r\n"},
        {"do": "answer", "text": "HTTP/1.1 101 Switching Protocols\r\n\r\n"},
        {"do": "answer", "text": "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n"},
        {"do": "cut"},
        sent(b"", extensions="permessage-deflate; server_max_window_bits=99"),
        sent(b"", extensions="permessage-deflate; unheard_of=1"),
        sent(b"", extensions="x-unheard-of"),
        sent(b"", extensions="permessage-deflate, permessage-deflate"),
    ],
    ids=lambda play: str(play.get("extensions") or play.get("text") or play["do"])[:40],
)
def test_answers_that_are_no_handshake(far: Process, play: dict[str, Any]) -> None:
    """C16: also an extension with wrong parameters: it is named, and tried again."""
    far.plays(play)
    watch = Watch(dialling(far))
    failed = watch.wait(ConnectFailed)
    assert isinstance(failed.error, (HandshakeInvalid, ConnectionError))
    assert failed.verdict is RECONNECT
    follow(far, watch, RECONNECT)


def test_compression_that_cannot_be_undone(far: Process) -> None:
    """C16: agreed on, and then what comes is not deflated: failed with a code, and tried again."""
    garbage = b"\xc1\x08" + b"\xff" * 8
    far.plays(sent(garbage, extensions="permessage-deflate"))
    watch = Watch(dialling(far))
    closed = watch.wait(Closed)
    assert closed.sent in (1002, 1007) and closed.verdict is RECONNECT
    follow(far, watch, RECONNECT)


def test_a_handshake_that_is_never_answered(far: Process) -> None:
    """C16: open_timeout bounds it; the next attempt may do better."""
    far.plays({"do": "hang"})
    watch = Watch(dialling(far, open_timeout=0.3))
    with within(1.3):
        failed = watch.wait(ConnectFailed)
    assert isinstance(failed.error, TimeoutError)
    follow(far, watch, RECONNECT)


@pytest.mark.parametrize(
    ("pause", "limit"), [(0.1, 0.4), pytest.param(1.0, 3.5, marks=pytest.mark.slow)]
)
def test_a_handshake_that_drips(far: Process, pause: float, limit: float) -> None:
    """C16: open_timeout bounds the whole of it, not the time between two bytes."""
    far.plays({"do": "drip", "pause": pause})
    watch = Watch(dialling(far, open_timeout=limit))
    with within(limit + 1.0, least=limit - 0.1):
        failed = watch.wait(ConnectFailed)
    assert isinstance(failed.error, TimeoutError)
    follow(far, watch, RECONNECT)


def test_a_handshake_in_single_bytes_is_fine(far: Process) -> None:
    """C16: in time, it opens."""
    far.plays({"do": "drip", "pause": 0.001})
    watch = Watch(dialling(far))
    watch.wait(Opened)
    assert watch.names == ["Connecting", "Opened"]
    watch.socket.close().result(5)


# --- redirects


def test_a_redirect_within_the_origin_takes_the_credential_along(far: Process) -> None:
    """C28: one attempt, two requests, the second with the token again."""
    far.plays(answered(307, "Location: /moved"))
    watch = Watch(dialling(far, auth={"token": "t"}))
    watch.wait(Opened)
    assert watch.names == ["Connecting", "Opened"]
    assert far.seen["requests"] == ["/feed?token=t", "/moved?token=t"]
    watch.socket.close().result(5)


def test_a_redirect_to_another_origin_does_not(far: Process, doomed: Process) -> None:
    """C28: the other server never hears from us, and the error names the origin."""
    far.plays(answered(302, f"Location: {doomed.url}"))
    watch = Watch(dialling(far, auth={"token": "canary"}))
    failed = watch.wait(Rejected)
    assert isinstance(failed.error, RedirectRefused) and "canary" not in str(failed.error)
    follow(far, watch, AWAIT)
    assert doomed.seen["dials"] == 0


def test_a_redirect_without_a_credential_is_followed(far: Process, doomed: Process) -> None:
    """C28: who is anonymous may go anywhere."""
    far.plays(answered(302, f"Location: {doomed.url}"))
    watch = Watch(dialling(far))
    watch.wait(Opened)
    assert (far.seen["dials"], doomed.seen["open"]) == (1, 1)
    watch.socket.close().result(5)


def test_redirects_in_a_circle_end(far: Process) -> None:
    """C28: after ten the attempt has failed; a login page redirects so when a token is no good."""
    far.plays(*[answered(308, "Location: /feed")] * 50)
    watch = Watch(dialling(far, auth="token"))
    failed = watch.wait(Rejected)
    assert isinstance(failed.error, RedirectRefused)
    follow(far, watch, AWAIT)
    assert far.seen["dials"] == 10


# --- shutdown


def test_closing_under_a_flood_is_bounded(far: Process) -> None:
    """C26: a server that never stops sending cannot keep us; nothing comes after the Closed."""
    far.plays({"do": "flood"})
    socket = Socket(far.url, close_timeout=0.5)
    count: list[int] = []
    opened = Watch(socket)
    socket.messages.subscribe(lambda _: count.append(1))
    opened.until(lambda watch: len(watch.of(Message)) > 100)
    with within(1.5):
        socket.close().result(5)
    assert opened.names[-2:] == ["Closed", "Ended"]
    until(lambda: far.seen["open"] == 0)


@pytest.mark.parametrize("play", ["hang", "drip"])
def test_closing_in_the_middle_of_a_handshake(far: Process, play: str) -> None:
    """C26: at once, whatever the server is doing."""
    far.plays({"do": play, "pause": 0.1})
    socket = Socket(far.url, open_timeout=30.0)
    watch = Watch(socket)
    until(lambda: far.seen["requests"])
    with within(0.5):
        socket.close().result(5)
    assert [event.cause for event in watch.of(Aborted)] == [Cause.CLOSE]
    until(lambda: far.seen["open"] == 0)
