"""What a protocol passes on to ``Socket``, and what it says around the transport (C48)."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest

from rxsocket import Socket
from rxsocket.protocols import graphql, graphql_options, json_rpc
from rxsocket.protocols.arguments import OWN, SocketArguments
from rxsocket.testing import VirtualClock, fake


def test_they_are_those_of_a_socket() -> None:
    """With the same types, so that a new one is not forgotten."""
    parameters = list(inspect.signature(Socket.__init__).parameters.values())[2:]
    of_socket = {one.name: one.annotation for one in parameters if one.name not in OWN}
    here = {name: kind.__forward_arg__ for name, kind in SocketArguments.__annotations__.items()}
    of_socket["cursor"] = of_socket["cursor"].replace("[[T]", "[[Any]")
    assert here == of_socket


@pytest.mark.parametrize("name", sorted(OWN))
def test_what_a_protocol_decides_is_no_argument(name: str) -> None:
    """It is not left unsaid that it would be of no use."""
    arguments: dict[str, Any] = {name: None}
    for make in (graphql, json_rpc):
        with pytest.raises(TypeError, match=rf"^{name}: leave it out; (graphql|JSON).* its own$"):
            make("ws://fake.test/", **arguments)


def test_a_named_transport_keeps_what_is_known_of_it() -> None:
    """Compression where it has some, and the proxies of the environment (C16)."""
    for name, compression in (("websockets", "deflate"), ("picows", None)):
        if name == "picows":
            pytest.importorskip("picows")
        options: Any = {"transport": name, "proxy": "http://p.test:1"}
        engine = graphql("ws://fake.test/", **options).socket._engine
        assert engine.options.handshake.compression == compression
        assert engine.options.proxy_shown(None) == "http://p.test:1"


def engine_loop(socket: Socket[Any, Any]) -> asyncio.AbstractEventLoop:
    return socket._engine.loop.event_loop


def test_what_is_answered_is_bounded(clock: VirtualClock) -> None:
    """A peer that does not read has 64 answers waiting for it, the newest ones."""
    peer = fake()
    rpc = json_rpc(peer.url, transport=peer)
    with rpc.socket:
        clock.advance(1.0)
        link: Any = peer._connections[0].link
        drained: asyncio.Future[None] = asyncio.Future(loop=engine_loop(rpc.socket))
        write, link.drain = link.write, lambda: drained
        link.write = lambda messages: write(messages) and False
        for number in range(100):
            peer.push(f'{{"jsonrpc": "2.0", "id": {number}, "method": "m"}}')
            clock.advance(0)
        assert len(peer.received) == 1
        link.write = write
        drained.set_result(None)
        clock.advance(1.0)
        assert len(peer.received) == 1 + 64 and '"id":99' in str(peer.received[-1].message)
    clock.advance(3.0)


def test_options_can_be_added_to() -> None:
    """They are a dictionary of arguments."""
    socket = Socket("ws://fake.test/", **{**graphql_options(auth="t"), "name": "api"})
    assert socket.name == "api"
