"""C33 on real connections: addresses that move, unix sockets, and where connections come from."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rxsocket import (
    AddressFailed,
    ConnectFailed,
    Message,
    Opened,
    Socket,
    Ticket,
    header,
)
from rxsocket.testing import accept, reject, server

from .wire_helpers import Watch, quick


@pytest.fixture
def place() -> Iterator[str]:
    """The path of a unix socket: short, as every system asks for."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield str(Path(folder, "feed.sock"))


def test_six_connections_have_six_addresses() -> None:
    """One-time addresses: none is dialled twice, none on a host that is not allowed."""
    with server() as peer, server() as other:
        given: list[str] = []

        def open_connection() -> Ticket:
            here = other.url.replace("127.0.0.1", "localhost") if len(given) % 3 == 2 else peer.url
            given.append(f"{here}link?ticket=s3cret-{len(given)}")
            return Ticket(given[-1], auth=f"token-{len(given)}")

        peer.script(accept().drop(), reject(503), *[accept().close(1012)] * 4, accept())
        socket = Socket(peer.url, auth=open_connection, carrier=header(), backoff=quick())
        watch = Watch(socket)
        watch.wait(Opened, count=6)
        socket.close().result(5)
        tickets = [handshake.query["ticket"] for handshake in peer.handshakes]
        assert len(set(tickets)) == len(tickets) == 7
        assert other.dials == 0
        errors = [event.error for event in watch.of(ConnectFailed)]
        refused = [str(error) for error in errors if isinstance(error, AddressFailed)]
        assert len(refused) == len(given) // 3
        assert "'localhost' is not allowed, only 127.0.0.1" in refused[0]


def test_a_unix_socket_is_an_address(place: str) -> None:
    """Messages both ways, the query of a credential, and a Host header as for this machine."""
    with server(accept().echo(), path=place) as peer:
        socket = Socket(f"unix:{place}:/feed?a=1", auth={"token": "t"}, backoff=quick())
        watch = Watch(socket)
        assert watch.wait(Opened).url == f"unix:{place}:/feed?a=***"
        socket.send("hello").result(5)
        watch.wait(Message)
        (handshake,) = peer.handshakes
        assert (handshake.path, handshake.query) == ("/feed", {"a": "1", "token": "t"})
        assert handshake.headers["Host"] == "localhost"
        socket.close().result(5)
