"""C10, C12: several sockets share a source, whatever happens to them in whatever order."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from internals import Fake
from reactivex.abc import DisposableBase

from rxsocket import Socket, State, refreshing
from rxsocket.testing import VirtualClock, clock, fake

LIFE = 60.0
SOCKETS = range(4)

ONE = st.sampled_from(list(SOCKETS))
DEEDS = st.one_of(
    st.tuples(st.just("pass"), st.sampled_from([0.0, 0.01, 0.2, 0.4, 1.0, 5.0, 6.0, 20.0, 70.0])),
    st.tuples(st.just("fail"), st.integers(1, 3)),
    st.tuples(st.sampled_from(["drop", "revoke"]), st.none()),
    st.tuples(st.sampled_from(["hold", "leave", "push", "reconnect"]), ONE),
)


class World:
    """A token endpoint, a server that checks its tokens, and some sockets."""

    def __init__(self, time: VirtualClock) -> None:
        self.time = time
        self.calls = 0
        self.running = 0
        self.failing = 0
        self.born: dict[str, float] = {}
        self.valid: set[str] = {"pushed"}
        self.tokens = refreshing(self.mint, 20.0)
        self.peers: list[Fake] = [fake(latency=0.01) for _ in SOCKETS]
        self.sockets: list[Socket] = []
        self.held: dict[int, DisposableBase] = {}
        for peer in self.peers:
            peer.tokens = self.valid
            self.sockets.append(Socket(peer.url, auth=self.tokens, transport=peer))

    async def mint(self) -> dict[str, Any]:
        assert self.running == 0, "two calls at a time"
        self.running += 1
        self.calls += 1
        token = f"t{self.calls}"
        try:
            await asyncio.sleep(0.3)
        finally:
            self.running -= 1
        if self.failing:
            self.failing -= 1
            raise OSError("down")
        self.born[token] = self.time.time()
        self.valid.add(token)
        return {"access_token": token, "token_type": "Bearer", "expires_in": LIFE}

    def do(self, deed: str, value: Any) -> None:
        match deed:
            case "pass":
                self.time.advance(value)
            case "fail":
                self.failing = value
            case "drop":
                self.peers[0].drop()
                self.peers[1].drop()
            case "revoke":
                self.valid.clear()
                for peer in self.peers:
                    peer.close(4401)
            case "hold":
                self.held.setdefault(value, self.sockets[value].connect())
            case "leave":
                self.held.pop(value, self.tokens.errors.subscribe()).dispose()
            case "push":
                self.sockets[value].set_auth("pushed")
            case _:
                self.sockets[value].reconnect()

    def check(self) -> None:
        for peer in self.peers:
            for seen in peer.handshakes:
                token = seen.credential
                if token != "pushed":
                    age = seen.at - self.born[str(token)]
                    assert age <= LIFE + 0.02, f"{token} was dialled {age:g} s after its birth"

    def end(self) -> None:
        self.failing = 0
        for number in SOCKETS:
            self.do("hold", number)
        self.time.advance(400.0)
        for socket, peer in zip(self.sockets, self.peers, strict=True):
            assert socket.state.value is State.OPEN, peer.history
        for socket in self.sockets:
            socket.close()
        self.time.advance(3.0)
        assert self.running == 0
        assert not self.time.tasks
        assert self.time.pending == 0


@pytest.mark.parametrize("examples", [12, pytest.param(150, marks=pytest.mark.slow)])
def test_whatever_happens_they_recover(examples: int) -> None:
    """One call at a time, no expired token is dialled, all are open in the end, nothing is left."""

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @given(st.lists(st.tuples(DEEDS, st.sampled_from([0.0, 0.0, 0.1, 0.35])), max_size=30))
    def recover(deeds: list[tuple[tuple[str, Any], float]]) -> None:
        with clock() as time:
            world = World(time)
            for (deed, value), pause in deeds:
                world.do(deed, value)
                time.advance(pause)
            world.end()
            world.check()

    recover()
