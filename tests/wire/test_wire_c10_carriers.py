"""C10 on real connections: what each carrier puts on the wire, at every attempt."""

from __future__ import annotations

import pytest
from carriers import CARRIERS
from reactivex import Subject

from rxsocket import (
    AwaitingAuth,
    Carrier,
    ConnectFailed,
    HandshakeInvalid,
    Opened,
    Socket,
    cookie,
    header,
    query,
    refreshing,
    subprotocol,
)
from rxsocket.testing import accept, reject, server

from .wire_helpers import Watch, quick


@pytest.mark.parametrize("name", CARRIERS)
def test_t1_t2_t2(name: str) -> None:
    """C10: auth emits t1, then t2, then the server drops: the handshakes are t1, t2, t2."""
    kind, seen = CARRIERS[name]
    source: Subject[str] = Subject()
    with server() as peer:
        socket = Socket(peer.url, auth=source, carrier=kind, backoff=quick())
        watch = Watch(socket)
        watch.wait(AwaitingAuth)  # it has subscribed to the source
        source.on_next("t1")
        watch.wait(Opened)
        source.on_next("t2")
        watch.wait(Opened, 2)
        peer.wait_for(lambda peer: peer.live == 1)
        peer.drop()
        watch.wait(Opened, 3)
        assert [seen(handshake) for handshake in peer.handshakes] == ["t1", "t2", "t2"]
        socket.close().result(5)


@pytest.mark.parametrize("name", CARRIERS)
def test_five_drops_six_tickets(name: str) -> None:
    """C10: a provider of single-use tickets and 5 drops: 6 handshakes carry 6 tickets."""
    kind, seen = CARRIERS[name]
    tickets = iter(f"ticket{number}" for number in range(1, 7))
    with server(*[accept().drop()] * 5) as peer:
        socket = Socket(peer.url, auth=lambda: next(tickets), carrier=kind, backoff=quick())
        watch = Watch(socket)
        watch.wait(Opened, 6)
        expected = [f"ticket{number}" for number in range(1, 7)]
        assert [seen(handshake) for handshake in peer.handshakes] == expected
        socket.close().result(5)


@pytest.mark.parametrize("name", CARRIERS)
def test_a_refused_one_is_replaced(name: str) -> None:
    """C9, C10: a 401 brings another one from a shared source, in the way of each carrier."""
    kind, seen = CARRIERS[name]
    tickets = iter(["t1", "t2"])
    with server(reject(401)) as peer:
        tokens = refreshing(lambda: next(tickets))
        socket = Socket(peer.url, auth=tokens, carrier=kind, backoff=quick())
        Watch(socket).wait(Opened)
        assert [seen(handshake) for handshake in peer.handshakes] == ["t1", "t2"]
        socket.close().result(5)


@pytest.mark.parametrize(
    "kind",
    [
        query(),
        header(),
        cookie(),
        subprotocol("v1"),
        subprotocol("phoenix", prefix="base64url.bearer.phx."),
        subprotocol("access_token", encode="plain"),
    ],
    ids=repr,
)
def test_a_server_that_checks_tokens(kind: Carrier) -> None:
    """C10: wherever the token is, the server of the tests lets it in and no other."""
    with server(tokens={"good"}) as peer:
        socket = Socket(peer.url, auth="good", carrier=kind)
        watch = Watch(socket)
        watch.wait(Opened)
        refused = socket.set_auth("bad").result(5)
        assert "401" in str(refused)
        assert [handshake.credential for handshake in peer.handshakes] == ["good", "bad"]
        socket.close().result(5)


def test_the_subprotocols_on_the_wire() -> None:
    """C10: the fixed one and the token in base64url; the server answers with the fixed one."""
    name, prefix = "v4.channel.k8s.io", "base64url.bearer.authorization.k8s.io."
    with server() as peer:
        socket = Socket(peer.url, auth="mytoken", carrier=subprotocol(name, prefix=prefix))
        opened = Watch(socket).wait(Opened)
        assert opened.subprotocol == name
        (seen,) = peer.handshakes
        offered = seen.headers.get_all("Sec-WebSocket-Protocol")
        assert ", ".join(offered) == f"{name}, {prefix}bXl0b2tlbg"
        assert seen.credential == "mytoken"
        socket.close().result(5)


def test_one_cookie_header_on_the_wire() -> None:
    """C10: the credential's cookies and those of additional_headers are in one header."""
    with server() as peer:
        socket = Socket(
            peer.url,
            auth={"sid": "s", "csrf": "c"},
            carrier=cookie(),
            additional_headers={"Cookie": "lang=de; sid=old"},
        )
        Watch(socket).wait(Opened)
        (seen,) = peer.handshakes
        assert seen.headers.get_all("Cookie") == ["lang=de; sid=s; csrf=c"]
        socket.close().result(5)


def test_a_split_mapping_on_the_wire() -> None:
    """C10: one mapping, three ways; what ``only=`` names nowhere is not sent."""
    auth = {"room": "7", "token": "t", "sid": "s", "private": "hidden"}
    kind = query(only="room") & subprotocol("v1", only="token") & cookie(only="sid")
    with server() as peer:
        socket = Socket(f"{peer.url}feed?v=2", auth=auth, carrier=kind)
        Watch(socket).wait(Opened)
        (seen,) = peer.handshakes
        assert dict(seen.query) == {"v": "2", "room": "7"}
        assert seen.subprotocols == ("v1", "base64url.bearer.dA")
        assert seen.cookies == {"sid": "s"}
        assert "hidden" not in str(list(seen.headers.raw_items()))
        socket.close().result(5)


def test_a_server_that_insists_on_another_subprotocol() -> None:
    """C16: one that was not offered is an invalid handshake, as without a credential."""
    with server(accept(subprotocol="v9")) as peer:
        socket = Socket(peer.url, auth="t", carrier=subprotocol("v1"), backoff=quick())
        watch = Watch(socket)
        assert isinstance(watch.wait(ConnectFailed).error, HandshakeInvalid)
        socket.close().result(5)
