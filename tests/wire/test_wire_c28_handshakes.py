"""C28: a canary credential in a handshake, whatever is answered to it, shows on no surface."""

from __future__ import annotations

import threading
from collections.abc import Callable
from urllib.parse import quote_plus

import pytest
from internals import options_of

from rxsocket import (
    AwaitingAuth,
    ConnectFailed,
    HandshakeInvalid,
    Opened,
    RedirectRefused,
    Rejected,
    Socket,
    header,
    history,
    subprotocol,
)
from rxsocket.testing import accept, reject, server, unreachable

from .secret_surfaces import (
    CARRIERS,
    Canary,
    Surfaces,
    arrived,
    look,
)
from .wire_helpers import Peer, Watch, quick, raw


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_401(surfaces: Surfaces, canary: Canary, carrier: str) -> None:
    """C28: a refusal whose body and headers quote the credential does not show it."""
    with server(reject(401, {"X-Echo": canary.text}, body=f"bad token {canary.text}")) as peer:
        socket = Socket(peer.url, auth=canary.text, carrier=CARRIERS[carrier][0])
        watch = Watch(socket)
        watch.wait(AwaitingAuth)
        assert arrived(peer, carrier, canary)
        same = socket.set_auth(canary.text)
        look(surfaces, watch, same, same.result(5))
        socket.close().result(5)


@pytest.mark.parametrize("status", [400, 404, 500])
def test_other_statuses(surfaces: Surfaces, canary: Canary, status: int) -> None:
    """C28: nor does any other refusal, fatal ones with their SocketFailed included."""
    with server(*[reject(status, body=canary.text)] * 5) as peer:
        socket = Socket(peer.url, auth=canary.text, backoff=quick())
        watch = Watch(socket)
        watch.wait(Rejected if status == 400 else ConnectFailed)
        if status != 404:
            socket.close().result(5)
        watch.ended()
        look(surfaces, watch)


ANSWERS: dict[str, Callable[[bytes], bytes]] = {
    "not HTTP": lambda secret: b"SSH-2.0 " + secret + b"\r\n\r\n",
    "no upgrade": lambda secret: b"HTTP/1.1 101 " + secret + b"\r\nX: " + secret + b"\r\n\r\n",
    "bad header": lambda secret: b"HTTP/1.1 101 OK\r\n" + secret + b"\r\n\r\n",
    "bad status": lambda secret: b"HTTP/1.1 " + secret + b"\r\n\r\n",
    "wrong accept": lambda secret: (
        b"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + secret + b"\r\n\r\n"
    ),
    "bad extension": lambda secret: (
        b"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Extensions: " + secret + b"\r\n\r\n"
    ),
    "bad length": lambda secret: b"HTTP/1.1 200 OK\r\nContent-Length: " + secret + b"\r\n\r\n",
    "nothing": lambda _: b"",
}


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("carrier", CARRIERS)
def test_bad_handshakes(surfaces: Surfaces, canary: Canary, carrier: str, answer: str) -> None:
    """C28: an answer that is no handshake and quotes the credential does not show it."""

    def play(peer: Peer) -> None:
        peer.send(ANSWERS[answer](canary.text.encode()))

    with raw(play) as peer:
        socket = Socket(peer.url, auth=canary.text, carrier=CARRIERS[carrier][0], backoff=quick())
        watch = Watch(socket)
        watch.wait(ConnectFailed)
        look(surfaces, watch)
        socket.close().result(5)
        assert canary.found_in(peer.requests[0].decode())


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_within_the_origin(
    surfaces: Surfaces, canary: Canary, carrier: str, status: int
) -> None:
    """C28: within the origin the credential is put on the next request again."""
    location = "/moved?room=1"
    with server(reject(status, {"Location": location})) as peer:
        socket = Socket(peer.url, auth=canary.text, carrier=CARRIERS[carrier][0])
        watch = Watch(socket)
        watch.wait(Opened)
        assert arrived(peer, carrier, canary)
        assert peer.handshakes[-1].path == "/moved"
        assert peer.handshakes[-1].query["room"] == "1"
        assert len(peer.handshakes) == 2
        look(surfaces, watch)
        socket.close().result(5)


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_redirect_to_another_origin(surfaces: Surfaces, canary: Canary, carrier: str) -> None:
    """C28: the credential does not go to another origin; the error names that origin, once."""
    with server() as elsewhere, server() as peer:
        target = f"{elsewhere.url}steal?was={quote_plus(canary.text)}"
        peer.script(reject(302, {"Location": target}))
        socket = Socket(peer.url, auth=canary.text, carrier=CARRIERS[carrier][0])
        watch = Watch(socket)
        awaiting = watch.wait(AwaitingAuth)
        error = watch.of(Rejected)[0].error
        assert isinstance(error, RedirectRefused)
        assert elsewhere.url.rstrip("/") in str(error)
        assert elsewhere.url.rstrip("/") in awaiting.reason
        assert elsewhere.dials == 0
        assert len(peer.handshakes) == 1
        socket.close().result(5)
        watch.ended()
        look(surfaces, watch)


def test_what_the_user_put_in_the_address(surfaces: Surfaces, canary: Canary) -> None:
    """C28: a secret in the URL itself, as query or user info, shows nowhere either."""
    with server(reject(503), accept()) as peer:
        hidden = peer.url.replace("ws://", f"ws://user:{canary.core}@")
        socket = Socket(f"{hidden}feed?key={quote_plus(canary.text)}", backoff=quick())
        watch = Watch(socket)
        watch.wait(Opened)
        assert peer.handshakes[-1].query["key"] == canary.text
        assert "Authorization" in peer.handshakes[-1].headers
        look(surfaces, watch)
        socket.close().result(5)


def test_additional_headers(surfaces: Surfaces, canary: Canary) -> None:
    """C28: additional_headers do not show, and none of them leaves the origin."""
    with server() as elsewhere, server() as peer:
        peer.script(reject(307, {"Location": f"{elsewhere.url}next"}))
        mine = {"Authorization": canary.text, "Cookie": f"s={canary.core}", "X-Key": canary.text}
        socket = Socket(peer.url, additional_headers=mine)
        watch = Watch(socket)
        watch.wait(Opened)
        assert peer.handshakes[0].headers["Authorization"] == canary.text
        headers = elsewhere.handshakes[0].headers
        assert not any(canary.found_in(f"{name}{value}") for name, value in headers.raw_items())
        surfaces.show("options", options_of(socket).handshake)
        surfaces.show("plan", options_of(socket))
        look(surfaces, watch)
        socket.close().result(5)


def test_no_header_of_the_users_leaves_the_origin(canary: Canary) -> None:
    """C28: nor do the subprotocols, the origin and the user agent."""
    with server() as elsewhere, server() as peer:
        peer.script(reject(307, {"Location": f"{elsewhere.url}next"}))
        socket = Socket(
            peer.url,
            subprotocols=[f"v1.{canary.core}"],
            origin=f"https://{canary.core}.test",
            user_agent_header=f"bot {canary.core}",
        )
        watch = Watch(socket)
        watch.wait(Opened)
        before, after = peer.handshakes[0].headers, elsewhere.handshakes[0].headers
        told = [
            sum(canary.found_in(value) for _, value in it.raw_items()) for it in (before, after)
        ]
        assert told == [3, 0]
        socket.close().result(5)


def test_a_redirect_to_a_host_named_by_the_credential(surfaces: Surfaces, canary: Canary) -> None:
    """C28: the error names another origin, but not what the server put in its host."""
    with server(reject(302, {"Location": f"wss://{canary.core}.evil.test/"})) as peer:
        socket = Socket(peer.url, auth={"token": canary.core.upper()})
        watch = Watch(socket)
        watch.wait(AwaitingAuth)
        error = watch.of(Rejected)[0].error
        assert "wss://***.evil.test:443" in str(error)
        surfaces.show("history", history(socket))
        surfaces.show("explanation", socket.explain())
        surfaces.text("card", str(socket._repr_mimebundle_()))
        look(surfaces, watch)
        socket.close().result(5)


def test_nobody_there(surfaces: Surfaces, canary: Canary) -> None:
    """C28: a refused TCP connection, and one that is cut, show nothing."""
    for script, url in ((unreachable(), None), (accept(), "ws://127.0.0.1:1/")):
        with server(script) as peer:
            socket = Socket(url or peer.url, auth=canary.text, backoff=quick())
            watch = Watch(socket)
            watch.wait(ConnectFailed)
            look(surfaces, watch)
            socket.close().result(5)


def test_an_unanswered_handshake(surfaces: Surfaces, canary: Canary) -> None:
    """C28: a handshake that times out shows nothing of itself."""
    release = threading.Event()
    with raw(lambda peer: release.wait(5)) as peer:
        socket = Socket(
            peer.url, auth=canary.text, carrier=header(), open_timeout=0.05, backoff=quick()
        )
        watch = Watch(socket)
        assert isinstance(watch.wait(ConnectFailed).error, TimeoutError)
        look(surfaces, watch)
        socket.close().result(5)
        release.set()


@pytest.mark.parametrize("kind", ["proxy", "proxy refuses"])
def test_a_proxy(surfaces: Surfaces, canary: Canary, kind: str) -> None:
    """C28: neither the proxy's password nor what it answers shows."""

    def play(peer: Peer) -> None:
        if kind == "proxy refuses":
            peer.send(b"HTTP/1.1 407 " + canary.core.encode() + b"\r\nContent-Length: 0\r\n\r\n")

    with raw(play) as proxy:
        address = proxy.url.replace("ws://", f"http://user:{canary.core}@")
        socket = Socket("ws://feed.invalid/", auth=canary.text, proxy=address, backoff=quick())
        watch = Watch(socket)
        watch.wait(ConnectFailed)
        look(surfaces, watch)
        surfaces.show("options", options_of(socket).handshake)
        socket.close().result(5)


def test_a_server_that_makes_up_a_subprotocol(surfaces: Surfaces, canary: Canary) -> None:
    """C28: one that was not offered, and quotes the credential, is an invalid handshake."""

    def play(peer: Peer) -> None:
        made_up = b"Sec-WebSocket-Protocol: x." + canary.core.encode() + b"\r\n\r\n"
        peer.send(peer.answer[: -len(b"\r\n")] + made_up)

    with raw(play) as peer:
        carrier = subprotocol("v1")
        socket = Socket(peer.url, auth=canary.text, carrier=carrier, backoff=quick())
        watch = Watch(socket)
        assert isinstance(watch.wait(ConnectFailed).error, HandshakeInvalid)
        look(surfaces, watch)
        socket.close().result(5)
