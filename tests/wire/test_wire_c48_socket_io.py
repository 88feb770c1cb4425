"""C48 on real connections: Socket.IO against a scripted server."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from rxsocket import Closed, HandshakeInvalid, Opened, Refused, SocketFailed
from rxsocket.protocols import NamespaceRefused, socket_io
from rxsocket.testing import accept, server

from .wire_helpers import Inbox, Watch, quick

OPEN = '0{"sid":"e","upgrades":[],"pingInterval":25000,"pingTimeout":20000}'
OPENED = accept().send(OPEN).expect().send('40{"sid":"s"}')


def test_it_goes_on_after_a_drop() -> None:
    """Events with bytes, from another thread; pings; a namespace is connected anew (C19, C22)."""
    with server(OPENED, OPENED) as peer:
        io = socket_io(peer.url, auth="t", backoff=quick())
        watch, inbox, admins = Watch(io.socket), Inbox(), Inbox()
        io.on("image").subscribe(inbox)
        io.namespace("/admin").on("image").subscribe(admins)
        for epoch in (1, 2):
            watch.wait(Opened, epoch)
            peer.wait_for(lambda peer, epoch=epoch: len(peer.received) >= 2 + 5 * (epoch - 1))
            peer.push("2", '451-["image",{"_placeholder":true,"num":0}]', b"1")
            peer.push('40/admin,{"sid":"a"}', '42/admin,["image"]')
            inbox.wait(epoch)
            admins.wait(epoch)
            assert io.emit("image", b"2", epoch).result(5).epoch == epoch
            peer.wait_for(lambda peer, epoch=epoch: len(peer.received) == 5 * epoch)
            if epoch == 1:
                peer.drop()
        said = [message for _, message in peer.received]
        text = '451-["image",{"_placeholder":true,"num":0},%d]'
        for epoch in (1, 2):
            ours = said[5 * (epoch - 1) : 5 * epoch]
            assert ours[:2] == ['40{"token":"t"}', '40/admin,{"token":"t"}']
            place = ours.index(text % epoch)
            assert ours[place + 1] == b"2" and "3" in ours
        assert inbox.values == [(b"1",)] * 2
        io.socket.close().result(5)


def test_acknowledgements_are_awaited() -> None:
    script = OPENED.expect().send("431[3]").expect().send('432["x"]')

    async def ask(url: str) -> None:
        async with socket_io(url).socket as socket:
            io = socket_io(socket)
            assert await io.emit_with_ack("sum", 1, 2, type=int) == 3
            assert await io.emit_with_ack("echo", "x") == ("x",)

    with server(script) as peer:
        asyncio.run(ask(peer.url))


def test_events_are_iterated_over() -> None:
    said = [f'42["n",{number}]' for number in range(300)]

    async def read(url: str) -> list[int]:
        io = socket_io(url, stable_after=0.0)
        return [number async for number in io.on("n", type=int)]

    with server(OPENED.send(*said, "41")) as peer:
        assert asyncio.run(read(peer.url)) == [*range(300)]


def test_a_refused_credential_and_a_refused_namespace() -> None:
    """C9, C22: another one is taken; the namespace fails alone."""
    no = '44{"message":"no such token"}'
    with server(OPENED, accept().send(OPEN).expect().send(no), OPENED) as peer:
        io = socket_io(peer.url, auth="a", backoff=quick())
        watch = Watch(io.socket)
        watch.wait(Opened)
        refused = io.socket.set_auth("b").result(5)
        assert isinstance(refused, Refused)
        assert refused.reason == "the server refused the namespace /: no such token"
        io.socket.set_auth("c").result(5)
        failed = Inbox()
        io.namespace("/admin").on("x").subscribe(on_error=failed)
        peer.wait_for(lambda peer: peer.received[-1].message.startswith("40/admin"))
        peer.push('44/admin,{"message":"admins only"}')
        assert isinstance(failed.wait(1)[0], NamespaceRefused)
        assert [json.loads(m[2:])["token"] for _, m in peer.received if m.startswith("40{")] == [
            *"abc"
        ]
        assert len(watch.of(Closed)) == 1
        io.socket.close().result(5)


@pytest.mark.parametrize("first", ["hello", b"\x00\x01"])
def test_a_server_that_does_not_speak_it(first: Any) -> None:
    with server(*[accept().send(first)] * 5) as peer:
        io = socket_io(peer.url, backoff=quick())
        with pytest.raises(SocketFailed, match="check the URL and path=") as failed:
            io.on("a").run()
        assert isinstance(failed.value.cause, HandshakeInvalid)
        peer.wait_for(lambda peer: not peer.connections)


def test_a_server_that_stops_pinging() -> None:
    """C17: it is found when the time is over that the server itself gave."""
    soon = OPEN.replace("25000", "60").replace("20000", "40")
    with server(accept().send(soon).expect().send('40{"sid":"s"}'), OPENED) as peer:
        io = socket_io(peer.url, backoff=quick())
        watch = Watch(io.socket)
        closed = watch.wait(Closed)
        assert (closed.code, closed.reason.split(",")[0]) == (
            1006,
            "the server said nothing for 0.1 s",
        )
        watch.wait(Opened, 2)
        io.socket.close().result(5)
