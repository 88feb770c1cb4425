"""C47 in virtual time: tokens that are fetched ahead for hours, and a login that takes its time."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest
from extras import needs
from scene import Make
from token_server import Reply, TokenServer

from rxsocket import AwaitingAuth, SourceFailed, State, refreshing
from rxsocket.oauth import DeviceLogin, client_credentials, device_code
from rxsocket.testing import VirtualClock

pytestmark = needs("authlib", "requests", "filelock")


class _Shortest(Random):
    def uniform(self, a: float, b: float) -> float:
        return a


@pytest.fixture
def idp() -> Iterator[TokenServer]:
    """A token endpoint, which answers in no virtual time."""
    with TokenServer() as running:
        yield running


def test_tokens_are_fetched_ahead(clock: VirtualClock, scene: Make, idp: TokenServer) -> None:
    """C47, C12: of 15 minutes, after 10; an endpoint that is away is asked again meanwhile."""
    provider = client_credentials(idp.token_url, "me", "client-s3cret")
    it = scene(auth=refreshing(provider, random=_Shortest()))
    clock.advance(590.0)
    idp.replies.extend([Reply(503, {})] * 3)
    clock.advance(700.0)
    failed = [str(one.error) for one in it.events if isinstance(one, SourceFailed)]
    assert len(failed) == 3 and all(text.endswith("answered HTTP 503") for text in failed)
    # What a request takes is real time, and is taken off the life of the token.
    assert [at for at, _ in it.dials] == pytest.approx([0.0, 615.0, 1215.0], abs=10.0)
    assert it.socket.state.value is State.OPEN


def test_a_login_that_takes_its_time(clock: VirtualClock, scene: Make, idp: TokenServer) -> None:
    """C47: polled every 5 s, and 10 s after ``slow_down``; a while later somebody is there."""
    logins: list[DeviceLogin] = []
    idp.interval = 5.0
    login = device_code(f"{idp.url}/device", idp.token_url, "public", prompt=logins.append)
    it = scene(auth=refreshing(login, timeout=None))
    clock.advance(21.0)
    assert [path for path, _ in idp.requests] == ["/device"] + ["/token"] * 4
    idp.replies.append(Reply(400, {"error": "slow_down"}))
    clock.advance(34.0)
    assert len(idp.requests) == 1 + 4 + 1 + 3
    for code in idp.device_codes:
        idp.device_codes[code] = "approved"
    clock.advance(10.0)
    assert it.socket.state.value is State.OPEN and len(logins) == 1


def test_nobody_logs_in(clock: VirtualClock, scene: Make, idp: TokenServer) -> None:
    """C47: after the time that the server gave the socket awaits a credential, and says why."""
    idp.interval = 5.0
    idp.lifetime = 60
    login = device_code(f"{idp.url}/device", idp.token_url, "public", prompt=lambda _: None)
    it = scene(auth=refreshing(login, timeout=None))
    clock.advance(3600.0)
    (awaiting,) = [one for one in it.events if isinstance(one, AwaitingAuth)]
    assert "nobody logged in within the time that the server gave" in awaiting.reason
    assert len(idp.requests) == 1 + 11
    it.socket.reconnect()
    clock.advance(1.0)
    assert idp.requests[-1][0] == "/device"
