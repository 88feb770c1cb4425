"""C3 and C16 on real connections: what a server may do after a stable connection."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable

import pytest
import trustme
from internals import Script

from rxsocket import Closed, ConnectFailed, HandshakeInvalid, Opened, Socket, State
from rxsocket.testing import accept, reject, server

from .wire_helpers import CLOSE, Peer, Watch, frame, quick, raw

ANSWERS: dict[str, bytes] = {
    **{
        f"HTTP {status}": b"HTTP/1.1 %d No\r\n\r\n" % status for status in (400, 404, 405, 410, 426)
    },
    "another origin": b"HTTP/1.1 302 Found\r\nLocation: https://login.test/?next=/feed\r\n\r\n",
    "junk": b"220 mail.example ESMTP\r\n\r\n",
    "1009": frame(b"\x03\xf1", CLOSE),
}


def served(answer: bytes) -> Callable[[Peer], None]:
    """A server that is stable, then answers so seven times, then is well again."""
    count = 0

    def play(peer: Peer) -> None:
        nonlocal count
        count += 1
        if count == 1:
            peer.send(peer.answer)
        elif count <= 8:
            peer.send(peer.answer + answer if answer[0] == 0x88 else answer)
        else:
            peer.send(peer.answer + frame(b"again"))
            peer.drain()

    return play


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.slow
def test_what_would_have_ended_it_is_tolerated(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """The same subscribers get messages again, and one warning says what was put up with."""
    with caplog.at_level(logging.INFO, "rxsocket"), raw(served(ANSWERS[name])) as peer:
        socket = Socket(peer.url, auth="a", stable_after=0, backoff=quick())
        watch = Watch(socket)
        watch.until(lambda seen: seen.messages == ["again"])
        ends = watch.of(Closed)[1:] if name == "1009" else watch.of(ConnectFailed)
        patience = 4 if name in ("HTTP 404", "junk") else 0
        assert [one.tolerated for one in ends] == [False] * patience + [True] * (7 - patience)
        records = [one for one in caplog.records if "was stable before" in one.message]
        assert [one.levelname for one in records].count("WARNING") == 1
        socket.close().result(5)


@pytest.fixture(scope="module")
def authorities() -> tuple[trustme.CA, trustme.CA]:
    """One that the client trusts, and another one."""
    return trustme.CA(), trustme.CA()


def certify(context: ssl.SSLContext, authority: trustme.CA) -> None:
    """From now on a server has a certificate of that authority."""
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)


def test_a_certificate_that_is_wrong_for_a_while(
    authorities: tuple[trustme.CA, trustme.CA],
) -> None:
    """C16: a rotation that went wrong, or a captive portal, ends nothing then."""
    good, bad = authorities
    served, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    good.configure_trust(trusting)
    certify(served, good)
    with server(accept().wait(0.2).drop(), accept().send("again"), ssl=served) as peer:
        socket = Socket(peer.url, stable_after=0, backoff=quick(), ssl=trusting)
        watch = Watch(socket)
        watch.wait(Opened)
        certify(served, bad)
        for number in range(1, 4):
            failed = watch.wait(ConnectFailed, number)
            assert isinstance(failed.error, ssl.SSLCertVerificationError) and failed.tolerated
        certify(served, good)
        watch.until(lambda seen: seen.messages == ["again"])
        socket.close().result(5)


@pytest.mark.parametrize("script", [reject(405), reject(410)])
def test_without_one_it_ends_at_once(script: Script) -> None:
    """C16: a wrong address is said at once, also where many connections were made and cut."""
    with server(accept().drop(), script) as peer:
        socket = Socket(peer.url, backoff=quick())
        watch = Watch(socket)
        watch.ended()
        assert "gave up after attempt 2, it cannot succeed" in str(watch.error)
        assert socket.state.value is State.CLOSED


def test_five_invalid_answers_end_it() -> None:
    """C16: as many as that are no accident, where no connection was stable."""
    with raw(lambda peer: peer.send(b"220 mail.example ESMTP\r\n\r\n")) as peer:
        watch = Watch(Socket(peer.url, backoff=quick()))
        watch.ended()
        errors = [failed.error for failed in watch.of(ConnectFailed)]
        assert len(errors) == 5 and all(isinstance(one, HandshakeInvalid) for one in errors)
