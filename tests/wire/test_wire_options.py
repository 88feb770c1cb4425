"""TLS and connection options, down to what the server sees."""

from __future__ import annotations

import ssl
from importlib.metadata import version

import pytest
import trustme
from deadlines import within

from rxsocket import (
    Closed,
    ConnectFailed,
    HandshakeInvalid,
    Message,
    Opened,
    Socket,
    SocketFailed,
    Verdict,
)
from rxsocket.testing import accept, hang, server

from .wire_helpers import Inbox, Peer, Watch, quick, raw


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A private certificate authority."""
    return trustme.CA()


@pytest.fixture
def served(authority: trustme.CA) -> ssl.SSLContext:
    """A server's context, with a certificate for this machine."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    """A client's context that trusts one authority."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_wss_with_a_private_authority(
    authority: trustme.CA, served: ssl.SSLContext, host: str
) -> None:
    """wss:// with a context that trusts the server's authority: messages both ways."""
    with server(accept().echo(), ssl=served) as peer:
        url = peer.url.replace("127.0.0.1", host)
        socket = Socket(url, auth="a", ssl=trusting(authority))
        watch = Watch(socket)
        messages = Inbox()
        socket.messages.subscribe(messages)
        watch.wait(Opened)
        socket.send("hello")
        assert messages.wait(1) == ["hello"]
        assert peer.handshakes[0].credential == "a"
        socket.close().result(5)


@pytest.mark.parametrize("trust", ["another authority", "the default ones"])
def test_wss_with_the_wrong_authority(served: ssl.SSLContext, trust: str) -> None:
    """C16: a certificate that is not trusted fails at once, with an error that says so."""
    context = trusting(trustme.CA()) if trust == "another authority" else None
    with server(ssl=served) as peer:
        watch = Watch(Socket(peer.url, auth="a", ssl=context, backoff=quick()))
        watch.ended()
        assert isinstance(watch.error, SocketFailed)
        assert "CERTIFICATE_VERIFY_FAILED" in str(watch.error)
        assert isinstance(watch.error.cause, ssl.SSLCertVerificationError)
        assert watch.names == ["Connecting", "ConnectFailed", "Ended"]
        assert peer.dials == 0


def test_wss_with_a_certificate_of_another_host(authority: trustme.CA) -> None:
    """C16: a certificate of another host fails at once, and the error names the host."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("other.example").configure_cert(context)
    with server(ssl=context) as peer:
        watch = Watch(Socket(peer.url, ssl=trusting(authority), backoff=quick()))
        watch.ended()
        assert "127.0.0.1" in str(watch.error)
        assert "certificate" in str(watch.error).lower()
        assert len(watch.of(ConnectFailed)) == 1


def test_wss_to_a_server_without_tls() -> None:
    """C16: a server that does not speak TLS is a network error, with another attempt."""
    with server() as peer:
        socket = Socket(peer.url.replace("ws:", "wss:"), backoff=quick())
        watch = Watch(socket)
        assert watch.wait(ConnectFailed).verdict is Verdict.RECONNECT
        socket.close().result(5)


def test_a_change_of_credential_over_tls(authority: trustme.CA, served: ssl.SSLContext) -> None:
    """C5: over TLS a change closes with 1000 and opens with the next, as without."""
    with server(ssl=served) as peer:
        socket = Socket(peer.url, auth="a", ssl=trusting(authority))
        watch = Watch(socket)
        watch.wait(Opened)
        socket.set_auth("b")
        watch.wait(Opened, 2)
        socket.close().result(5)
        peer.wait_for(
            lambda peer: [tuple(left) for left in peer.closes] == [(1, 1000, ""), (2, 1000, "")]
        )


def test_headers_origin_and_user_agent() -> None:
    """additional_headers, origin and user_agent_header arrive, a repeated header twice."""
    with server() as peer:
        socket = Socket(
            peer.url,
            additional_headers=[("X-Room", "1"), ("X-Room", "2"), ("X-Other", "y")],
            origin="https://app.example",
            user_agent_header="probe/7",
        )
        watch = Watch(socket)
        watch.wait(Opened)
        headers = peer.handshakes[0].headers
        assert headers.get_all("X-Room") == ["1", "2"]
        assert headers["X-Other"] == "y"
        assert headers["Origin"] == "https://app.example"
        assert headers.get_all("User-Agent") == ["probe/7"]
        socket.close().result(5)


def test_defaults_of_the_handshake(transport: str) -> None:
    """There is a User-Agent of ours, deflate where the transport can do it, and no Origin."""
    with server() as peer:
        socket = Socket(peer.url)
        watch = Watch(socket)
        watch.wait(Opened)
        headers = peer.handshakes[0].headers
        assert headers["User-Agent"] == f"rxsocket/{version('rxsocket')}"
        extensions = headers.get("Sec-WebSocket-Extensions", "")
        assert ("permessage-deflate" in extensions) == (transport == "websockets")
        assert "Origin" not in headers
        assert "Sec-WebSocket-Protocol" not in headers
        socket.close().result(5)


def test_no_user_agent_and_no_compression() -> None:
    """None leaves the User-Agent out, and offers no compression."""
    with server(accept().send("plain")) as peer:
        socket = Socket(peer.url, user_agent_header=None, compression=None)
        messages = Inbox()
        socket.messages.subscribe(messages)
        assert messages.wait(1) == ["plain"]
        headers = peer.handshakes[0].headers
        assert "User-Agent" not in headers
        assert "Sec-WebSocket-Extensions" not in headers
        socket.close().result(5)


def test_subprotocols() -> None:
    """Subprotocols are offered in order, and Opened says which one the server chose."""
    with server(accept(subprotocol="v1")) as peer:
        socket = Socket(peer.url, subprotocols=["v2", "v1"])
        watch = Watch(socket)
        assert watch.wait(Opened).subprotocol == "v1"
        assert peer.handshakes[0].subprotocols == ("v2", "v1")
        socket.close().result(5)


def test_a_subprotocol_that_was_not_offered() -> None:
    """An answer with a subprotocol that nobody asked for is no valid handshake."""
    with server(accept(subprotocol="v9")) as peer:
        socket = Socket(peer.url, subprotocols=["v1"], backoff=quick())
        watch = Watch(socket)
        assert isinstance(watch.wait(ConnectFailed).error, HandshakeInvalid)
        socket.close().result(5)


@pytest.mark.parametrize("compression", ["deflate", None])
def test_max_size(compression: str | None) -> None:
    """C16: a message beyond max_size is answered with 1009 and fails, with or without deflate."""
    with server(accept().send("x" * 100, "y" * 101)) as peer:
        socket = Socket(peer.url, max_size=100, compression=compression)  # type: ignore[arg-type]
        watch = Watch(socket)
        watch.ended()
        assert [event.data for event in watch.of(Message)] == ["x" * 100]
        closed = watch.of(Closed)[0]
        assert (closed.sent, closed.verdict) == (1009, Verdict.FAIL)
        assert isinstance(watch.error, SocketFailed)
        peer.wait_for(lambda peer: peer.closes and peer.closes[0].code == 1009)
        assert len(peer.handshakes) == 1


def test_open_timeout() -> None:
    """A handshake that is never answered fails after open_timeout, and is tried again."""
    with server(hang()) as peer:
        socket = Socket(peer.url, open_timeout=0.15, backoff=quick())
        with within(1.0, least=0.1):
            watch = Watch(socket)
            failed = watch.wait(ConnectFailed)
        assert isinstance(failed.error, TimeoutError)
        assert failed.verdict is Verdict.RECONNECT
        assert "open_timeout" in str(failed.error)
        watch.wait(Opened)
        socket.close().result(5)


def test_close_timeout() -> None:
    """Closing a peer that never answers takes close_timeout, not longer."""
    with server() as peer:
        socket = Socket(peer.url, close_timeout=0.3)
        watch = Watch(socket)
        watch.wait(Opened)
        peer.freeze()
        peer.wait_for(lambda peer: "#1 frozen" in peer.history)
        with within(1.0, least=0.25):
            socket.close().result(5)


def test_no_proxy_although_the_environment_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """proxy=None dials directly, whatever the environment says."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "WS_PROXY", "WSS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
        monkeypatch.setenv(name.lower(), "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with server() as peer:
        socket = Socket(peer.url, proxy=None)
        watch = Watch(socket)
        watch.wait(Opened)
        assert len(peer.handshakes) == 1
        socket.close().result(5)


def test_a_proxy_is_used() -> None:
    """proxy="http://..." is asked to connect to the server."""

    def play(peer: Peer) -> None:
        peer.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    with raw(play) as proxy, server() as peer:
        socket = Socket(peer.url, proxy=proxy.url.replace("ws:", "http:"), backoff=quick())
        watch = Watch(socket)
        error = watch.wait(ConnectFailed).error
        assert "403" in str(error)
        assert "proxy" in str(error)
        assert proxy.requests[0].startswith(b"CONNECT 127.0.0.1:")
        assert peer.dials == 0
        socket.close().result(5)


def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """proxy=True, the default, takes the proxy from the environment."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)

    def play(peer: Peer) -> None:
        peer.send(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")

    with raw(play) as proxy:
        for name in ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "https_proxy"):
            monkeypatch.setenv(name, proxy.url.replace("ws:", "http:").rstrip("/"))
        socket = Socket("ws://feed.invalid/", backoff=quick())
        watch = Watch(socket)
        assert "502" in str(watch.wait(ConnectFailed).error)
        assert proxy.requests[0].startswith(b"CONNECT feed.invalid:80 ")
        socket.close().result(5)


def test_ping_timeout() -> None:
    """C16, C17: a peer that answers no pings is noticed, and another connection is made."""
    with server(accept().freeze()) as peer:
        socket = Socket(peer.url, ping_interval=0.1, ping_timeout=0.1, backoff=quick())
        watch = Watch(socket)
        closed = watch.wait(Closed, timeout=2.0)
        assert closed.cause.name == "SILENT"
        assert closed.code == 1006
        watch.wait(Opened, 2)
        socket.close().result(5)


def test_an_address_of_ipv6() -> None:
    """An IPv6 address in brackets is dialled."""
    with server(accept().send("six"), host="::1") as peer:
        socket = Socket(peer.url)
        messages = Inbox()
        socket.messages.subscribe(messages)
        assert messages.wait(1) == ["six"]
        socket.close().result(5)
