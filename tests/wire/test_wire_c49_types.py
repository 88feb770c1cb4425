"""C49 on real connections: an answer of the type that was asked for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from rxsocket import Socket, Undecodable, json_codec
from rxsocket.testing import accept, server


@dataclass
class Echoed:
    method: str
    id: int


def test_a_script_asks() -> None:
    with server(accept().echo()) as peer, Socket(peer.url) as socket:
        asked = {"method": "sum"}
        assert socket.request(asked, id="id", type=Echoed).run().method == "sum"
        with pytest.raises(Undecodable, match="the answer does not decode: "):
            socket.request(asked, id="id", type=list[int]).run()
        assert socket.request(asked, id="id", type=Echoed).run().method == "sum"


def test_a_coroutine_asks_through_a_codec() -> None:
    async def main() -> Echoed:
        with server(accept().echo()) as peer:
            async with Socket(peer.url, codec=json_codec()) as socket:
                return await socket.request({"method": "sum"}, id="id", type=Echoed)

    assert asyncio.run(main()).method == "sum"
