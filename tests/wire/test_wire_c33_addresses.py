"""C33 on real connections: addresses that move, unix sockets, and where connections come from."""

from __future__ import annotations

import asyncio
import itertools
import socket as sockets
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from reactivex import operators as ops
from reactivex.subject import BehaviorSubject

from rxsocket import (
    AddressFailed,
    Cause,
    Closed,
    ConnectFailed,
    Connecting,
    Message,
    Opened,
    RedirectRefused,
    Socket,
    SocketFailed,
    SourceFailed,
    Ticket,
    endpoint,
    handover,
    header,
    history,
    refreshing,
)
from rxsocket.testing import accept, reject, server

from .proxy_servers import serving_proxy
from .secret_surfaces import Canary, Surfaces
from .wire_helpers import Peer, Watch, quick, raw

ANY_LOOPBACK = sys.platform == "linux"
"""Whether all of 127.0.0.0/8 is this machine."""


@pytest.fixture
def place() -> Iterator[str]:
    """The path of a unix socket: short, as every system asks for."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield str(Path(folder, "feed.sock"))


def on_localhost(url: str) -> str:
    """The same server, at another host."""
    return url.replace("127.0.0.1", "localhost")


def test_six_connections_have_six_addresses() -> None:
    """One-time addresses: none is dialled twice, none on a host that is not allowed."""
    with server() as peer, server() as other:
        given: list[str] = []

        def open_connection() -> Ticket:
            here = on_localhost(other.url) if len(given) % 3 == 2 else peer.url
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


def test_a_connection_moves_without_a_gap() -> None:
    """An Observable of addresses, and ``handover()``: to another host, which is allowed."""
    with server() as first, server() as second:
        source: BehaviorSubject[str] = BehaviorSubject(first.url)
        to = on_localhost(second.url)
        socket = Socket(
            endpoint(source, hosts=["127.0.0.1", "localhost"]),
            auth={"token": "t"},
            on_auth_change=handover(ready="open"),
            backoff=quick(),
        )
        watch = Watch(socket)
        watch.wait(Opened)
        source.on_next("ws://evil.test/")
        assert "evil.test" in str(watch.wait(SourceFailed).error)
        source.on_next(to)
        moved = watch.wait(Opened, count=2)
        assert (moved.gap, moved.cause, moved.url) == (0.0, Cause.ADDRESS_CHANGED, to)
        assert watch.wait(Closed).cause is Cause.HANDED_OVER
        assert socket.url == to and f"open at {to}" in str(socket.explain())
        first.wait_for(lambda s: s.live == 0)
        assert [handshake.credential for handshake in second.handshakes] == ["t"]
        socket.close().result(5)


def test_tickets_for_elsewhere_close_nothing() -> None:
    """An Observable's is reported, and of ``refreshing()`` asked for again."""
    with server() as peer, server() as other:
        elsewhere = Ticket(f"{on_localhost(other.url)}?k=1", auth="t")
        source: BehaviorSubject[Ticket] = BehaviorSubject(Ticket(peer.url, auth="t"))
        socket = Socket(peer.url, auth=source, backoff=quick())
        watch = Watch(socket)
        watch.wait(Opened)
        source.on_next(elsewhere)
        failed = watch.wait(SourceFailed)
        assert isinstance(failed.error, AddressFailed) and failed.argument == "auth"
        source.on_next(Ticket(f"{peer.url}2", auth="t"))
        watch.wait(Opened, count=2)
        assert [event.cause for event in watch.of(Closed)] == [Cause.AUTH_CHANGED]
        socket.close().result(5)
        answers = iter([elsewhere, elsewhere, Ticket(peer.url, auth="u")])
        socket = Socket(peer.url, auth=refreshing(lambda: next(answers)), backoff=quick())
        watch = Watch(socket)
        assert watch.wait(Opened).attempts == 3
        assert {type(event.error) for event in watch.of(ConnectFailed)} == {AddressFailed}
        socket.close().result(5)
        assert other.dials == 0


def test_the_next_address_takes_over() -> None:
    """A sequence: the first server is down, and asked again after a stable connection."""
    with server() as second, sockets.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        free.close()
        socket = Socket([f"ws://127.0.0.1:{port}/", second.url], backoff=quick(), stable_after=0.01)
        watch = Watch(socket)
        assert watch.wait(Opened).url == second.url
        time.sleep(0.1)
        second.drop()
        watch.wait(Opened, count=2)
        assert len(watch.of(ConnectFailed)) == 2
        socket.close().result(5)


def test_what_changes_shows_nowhere(surfaces: Surfaces, canary: Canary) -> None:
    """C28: a server repeats what an address held; a function quotes it in what it raises."""
    answers = itertools.count()

    def where() -> str:
        if next(answers) == 1:
            raise ValueError(f"cannot use {peer.url}?token={canary.text}")
        secret = quote(canary.text, safe="")
        return peer.url.replace("//", f"//user:{secret}@") + f"?token={secret}"

    with server(
        reject(401 + 102, body=f"bad token {canary.text}"), accept().close(1012, canary.text[:60])
    ) as peer:
        peer.default = accept().close(4000, canary.text[:60])
        socket = Socket(where, backoff=quick(), name="moving")
        watch = Watch(socket)
        watch.wait(Closed, count=2)
        socket.close().result(5)
        for event in watch.events:
            surfaces.show(type(event).__name__, event)
        surfaces.text("explain", str(socket.explain()))
        surfaces.text("url", socket.url)
        surfaces.show("socket", socket)
        surfaces.text("history", repr(history(socket)))
        assert peer.handshakes[0].headers["Authorization"].startswith("Basic ")


@pytest.mark.parametrize("kind", ["ticket", "function"])
def test_a_redirect_of_a_ticket_stays_at_home(kind: str) -> None:
    """C28: to another path of the origin, not to another origin: it is a credential."""
    with server() as other, server() as peer:
        peer.script(
            reject(302, {"Location": "/there?ticket=two"}),
            accept().close(1012),
            reject(302, {"Location": other.url}),
            accept(),
        )
        where: Any = {"auth": lambda: Ticket(f"{peer.url}one?ticket=s3cret")}
        url: Any = peer.url
        if kind == "function":
            url, where = (lambda: f"{peer.url}one?ticket=s3cret"), {"auth": "t"}
        socket = Socket(url, **where, backoff=quick(), stable_after=0.0)
        watch = Watch(socket)
        watch.until(lambda seen: "RedirectRefused" in repr(seen.events))
        assert other.dials == 0
        assert [handshake.path for handshake in peer.handshakes][:2] == ["/one", "/there"]
        socket.close().result(5)


# --- unix sockets


def test_a_unix_socket_is_an_address(place: str) -> None:
    """Messages both ways, the query of a credential, and a Host header as for this machine."""
    with server(accept().echo(), path=place) as peer:
        socket = Socket(f"unix:{place}:/feed?a=1", auth={"token": "t"}, backoff=quick())
        watch = Watch(socket)
        assert watch.wait(Opened).url == f"unix:{place}:/feed?a=***"
        socket.send("hello").result(5)
        assert watch.wait(Message).data == "hello"
        (handshake,) = peer.handshakes
        assert (handshake.path, handshake.query) == ("/feed", {"a": "1", "token": "t"})
        assert handshake.headers["Host"] == "localhost"
        socket.close().result(5)
        peer.wait_for(lambda s: s.closes == [(1, 1000, "")])


@pytest.mark.parametrize("form", ["ws+unix:{}:/feed", "ws+unix://{}:/feed", "unix:{}"])
def test_it_may_be_written_in_several_ways(place: str, form: str) -> None:
    """Large messages go over it, too; no proxy of the environment is asked."""
    with server(accept().echo(), path=place):
        socket = Socket(form.format(place), backoff=quick(), max_size=None)
        watch = Watch(socket)
        socket.send(b"x" * 1_900_000).result(5)
        assert watch.wait(Message).data == b"x" * 1_900_000
        socket.close().result(5)


def test_nothing_listens_there(place: str) -> None:
    """The attempt fails, and the next one may open."""
    socket = Socket(f"unix:{place}:/", backoff=quick())
    watch = Watch(socket)
    failed = watch.wait(ConnectFailed)
    assert isinstance(failed.error, FileNotFoundError)
    with server(path=place):
        watch.wait(Opened)
        socket.close().result(5)


@pytest.mark.parametrize("is_there", [False, True])
def test_a_unix_socket_at_which_nothing_listens(place: str, is_there: bool) -> None:
    """It says which, and what to check; also of one that a server left behind."""
    if is_there:
        with sockets.socket(sockets.AF_UNIX) as left:
            left.bind(place)
    socket = Socket(f"unix:{place}:/", backoff=quick())
    error = Watch(socket).wait(ConnectFailed).error
    assert f"nothing listens at the unix socket '{place}'" in str(error)
    explained = str(socket.explain())
    assert f"nothing listens at the unix socket '{place}'" in explained
    assert "check that the server runs, and the path in the URL" in explained
    socket.close().result(5)


def test_a_redirect_stays_at_the_unix_socket(place: str) -> None:
    """To another path of it; and no server can redirect to one."""
    with server(reject(302, {"Location": "http://localhost/there"}), path=place) as peer:
        socket = Socket(f"unix:{place}:/here", auth={"token": "t"}, backoff=quick())
        watch = Watch(socket)
        watch.wait(Opened)
        assert [one.path for one in peer.handshakes] == ["/here", "/there"]
        assert peer.handshakes[1].credential == "t"
        socket.close().result(5)
        with server(reject(302, {"Location": f"unix:{place}:/"})) as evil:
            other = Socket(evil.url, backoff=quick())
            seen = Watch(other)
            seen.until(lambda w: w.error is not None)
            assert isinstance(seen.error, SocketFailed)
            assert isinstance(seen.error.cause, RedirectRefused)
        assert len(peer.handshakes) == 2


# --- where connections are made from, and how soon


@pytest.mark.skipif(not ANY_LOOPBACK, reason="only 127.0.0.1 is this machine")
@pytest.mark.parametrize("local", ["127.0.0.9", ("127.0.0.9", 0), "localhost"])
def test_a_connection_is_made_from_where_the_user_says(local: Any) -> None:
    """``local_address=``: a host, a name, or a host and a port."""
    clients: list[str] = []

    def play(peer: Peer) -> None:
        clients.append(peer.client)
        peer.send(peer.answer)
        peer.drain()

    with raw(play) as peer:
        socket = Socket(endpoint(peer.url, local_address=local), backoff=quick(), close_timeout=0.1)
        Watch(socket).wait(Opened)
        assert clients == ["127.0.0.1" if local == "localhost" else "127.0.0.9"]
        socket.close().result(5)


@pytest.mark.skipif(not ANY_LOOPBACK, reason="only 127.0.0.1 is this machine")
def test_a_port_is_used_again_and_again() -> None:
    """One port of ours, after a connection that we closed: it may linger."""
    with sockets.create_server(("127.0.0.3", 0)) as free:
        local = free.getsockname()
    ports: list[int] = []

    def play(peer: Peer) -> None:
        ports.append(peer._tcp.getpeername()[1])
        peer.send(peer.answer)
        peer.drain()

    for _ in range(2):
        with raw(play) as peer:
            where = endpoint(peer.url, local_address=local)
            socket = Socket(where, backoff=quick(), close_timeout=0.1)
            Watch(socket).wait(Opened)
            socket.close().result(5)
    assert ports == [local[1]] * 2


@pytest.mark.parametrize(
    ("local", "text"),
    [
        ("203.0.113.9", "cannot connect from local_address ('203.0.113.9', 0)"),
        ("::1", "no address of '127.0.0.1' can be reached from local_address '::1'"),
        ("nowhere.invalid", "local_address 'nowhere.invalid' cannot be used"),
    ],
)
def test_an_address_that_is_not_ours_is_a_failed_attempt(local: str, text: str) -> None:
    """The error says which address it is about."""
    with server() as peer:
        socket = Socket(endpoint(peer.url, local_address=local), backoff=quick())
        error = Watch(socket).wait(ConnectFailed).error
        assert isinstance(error, OSError) and text in str(error)
        assert peer.dials == 0
        assert socket.explain().advice.startswith("check local_address= of endpoint()")
        socket.close().result(5)


@pytest.mark.skipif(not ANY_LOOPBACK, reason="only 127.0.0.1 is this machine")
@pytest.mark.parametrize("kind", ["http", "socks5", "socks5h", "socks4a"])
def test_a_proxy_is_connected_to_from_there(kind: str, place: str) -> None:
    """Each address that is asked for goes through it, but for a unix socket."""
    if kind.startswith("socks"):
        pytest.importorskip("python_socks")

    async def main() -> None:
        with server() as peer, server(path=place) as near:
            answers = iter([peer.url, f"unix:{place}:/", peer.url])
            async with serving_proxy(kind) as relay:
                where = endpoint(
                    lambda: next(answers),
                    hosts=["127.0.0.1", f"unix:{place}"],
                    local_address="127.0.0.9",
                )
                socket = Socket(where, proxy=relay.url, backoff=quick())
                opens = socket.opens.pipe(ops.take(3), ops.to_list())
                for one in (peer, near):
                    one.script(accept().wait(0.02).close(1012))
                seen = Watch(socket)
                opened = await asyncio.wait_for(opens, 8)
                await socket.close()
                shown = [event.proxy for event in seen.of(Connecting)]
            assert relay.clients == ["127.0.0.9"] * 2
            assert len(relay.asked) == len(peer.handshakes) == 2
            assert [event.url for event in opened] == [peer.url, f"unix:{place}:/", peer.url]
            address = f"{kind}://127.0.0.1:{relay.port}"
            assert shown == [address] * 3  # said before it is known that this is a unix socket

    asyncio.run(main())


@pytest.mark.skipif(not ANY_LOOPBACK, reason="a full backlog drops what comes, on Linux")
def test_the_first_of_two_addresses_drops_packets(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 8305: a listener whose backlog is full answers nothing; open in under 1.5 s."""
    looked_up = sockets.getaddrinfo
    with server() as peer, sockets.socket() as full:
        port = int(peer.url.rsplit(":")[-1].strip("/"))
        full.bind(("127.0.0.7", port))
        full.listen(0)
        waiting = [sockets.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.7", port))

        def two(host: str, port: Any, *args: Any, **options: Any) -> Any:
            if host != "two.test":
                return looked_up(host, port, *args, **options)
            if options.get("flags"):
                raise sockets.gaierror("no number")
            found = (sockets.AF_INET, sockets.SOCK_STREAM, sockets.IPPROTO_TCP, "")
            return [(*found, ("127.0.0.7", port)), (*found, ("127.0.0.1", port))]

        monkeypatch.setattr(sockets, "getaddrinfo", two)
        began = time.monotonic()
        socket = Socket(f"ws://two.test:{port}/", proxy=None, backoff=quick())
        Watch(socket).wait(Opened)
        took = time.monotonic() - began
        assert 0.2 < took < 1.5
        socket.close().result(5)
        for one in waiting:
            one.close()
