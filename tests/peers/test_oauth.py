"""C47 against oidc-provider, a certified OpenID provider."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from extras import needs
from ports import free_port

from rxsocket import Ask, Opened, Reason, Socket, refreshing
from rxsocket.oauth import (
    DeviceLogin,
    FileStore,
    Issuer,
    TokenRefused,
    client_credentials,
    device_code,
    refresh_token,
)
from rxsocket.testing import Watch, server

from .real_servers import node

pytestmark = [needs("authlib", "requests", "filelock"), pytest.mark.slow]

SECRET = "client-s3cret-of-at-least-32-characters"
REFUSED = Ask(1, Reason.REJECTED, 401)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Where it runs."""
    port = free_port()
    with node("oidc-provider", "oidc_server.mjs", port, SECRET):
        yield f"http://127.0.0.1:{port}"


def post(address: str) -> Any:
    request = urllib.request.Request(address, method="POST", data=b"")
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def test_client_credentials(url: str) -> None:
    provider = client_credentials(Issuer(url), "me", SECRET, scope="feed")
    answer = asyncio.run(provider())
    assert answer["access_token"] and 590 < answer["expires_in"] <= 600
    with pytest.raises(TokenRefused, match="invalid_client") as wrong:
        asyncio.run(client_credentials(Issuer(url), "me", "wr0ng-secret")())
    assert wrong.value.code == "invalid_client"
    with pytest.raises(TokenRefused, match="is not allowed for this"):
        asyncio.run(device_code(Issuer(url), Issuer(url), "me", SECRET)())


def test_refresh_tokens_that_are_used_once(url: str, tmp_path: Path) -> None:
    """Fifty exchanges; then a used one, which revokes all that came of it."""
    store = FileStore(tmp_path / "token.json")
    store.save(post(f"{url}/test/login"))
    provider = refresh_token(Issuer(url), "me", SECRET, store=store)
    seen = [(store.load() or {})["refresh_token"]]
    for _ in range(50):
        assert asyncio.run(provider(REFUSED))["access_token"]
        seen.append((store.load() or {})["refresh_token"])
    assert len(set(seen)) == 51
    store.save({"refresh_token": seen[-2]})
    with pytest.raises(TokenRefused, match="was used before") as used:
        asyncio.run(provider(REFUSED))
    assert used.value.code == "invalid_grant"
    store.save({"refresh_token": seen[-1]})
    with pytest.raises(TokenRefused, match="log in again"):
        asyncio.run(provider(REFUSED))


def test_a_device(url: str) -> None:
    """Polling is answered by authorization_pending, then by tokens, which are exchanged."""
    logins: list[DeviceLogin] = []
    is_shown = asyncio.Event()

    def prompt(login: DeviceLogin) -> None:
        logins.append(login)
        is_shown.set()

    login = device_code(
        Issuer(url), Issuer(url), "notebook", prompt=prompt, scope="openid offline_access feed"
    )

    async def main() -> Any:
        task = asyncio.ensure_future(login())
        await is_shown.wait()
        login._pending.poll_at = login._pending.interval = 0.05  # type: ignore[union-attr]
        await asyncio.sleep(0.3)
        await asyncio.to_thread(post, f"{url}/test/approve?user_code={logins[0].user_code}")
        return await task

    assert asyncio.run(main())["access_token"]
    assert logins[0].verification_uri == f"{url}/device" and logins[0].verification_uri_complete
    assert asyncio.run(login(REFUSED))["access_token"] and len(logins) == 1


def test_a_socket_with_its_token(url: str) -> None:
    provider = client_credentials(Issuer(url), "me", SECRET, scope="feed")
    with server() as peer, Socket(peer.url, auth=refreshing(provider)) as socket:
        watch = Watch(socket)
        watch.wait(Opened)
        assert len(peer.handshakes[0].credential or "") > 20
