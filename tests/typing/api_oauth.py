"""The types of ``rxsocket.oauth``, as mypy and pyright see them. It is checked, not run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_type

from rxsocket import Refreshing, Secret, Socket, Unauthorized, refreshing
from rxsocket.credentials import from_file
from rxsocket.errors import ProviderFailed
from rxsocket.oauth import (
    ClientCredentials,
    DeviceCode,
    DeviceLogin,
    FileStore,
    Issuer,
    MemoryStore,
    RefreshToken,
    TokenRefused,
    TokenRequestFailed,
    TokenStore,
    client_credentials,
    device_code,
    refresh_token,
)


class Vault:
    """A store with async functions."""

    async def load(self) -> Mapping[str, Any] | None:
        return None

    async def save(self, token: Mapping[str, Any]) -> None: ...


class Half:
    def load(self) -> Mapping[str, Any] | None:
        return None


async def prompt(login: DeviceLogin) -> None:
    print(login.user_code, login.verification_uri_complete)


def made() -> None:
    url = "https://a/token"
    assert_type(client_credentials(url, "me", Secret("a"), scope=["a", "b"]), ClientCredentials)
    client_credentials(Issuer("https://a"), "me", from_file("a"), auth_method="private_key_jwt")
    assert_type(refresh_token(url, "me", store=FileStore("a"), grace_period=30), RefreshToken)
    assert_type(device_code("https://a/device", url, "me", prompt=prompt), DeviceCode)
    device_code(Issuer("https://a"), Issuer("https://a"), "me", prompt=print, store=Vault())
    stores: list[TokenStore] = [Vault(), MemoryStore("a"), FileStore("a")]
    half: TokenStore = Half()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    print(stores, half)
    refresh_token(url, "me")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client_credentials(url, "me", "s", auth_method="basic")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def used() -> None:
    provider = client_credentials("https://a/token", "me", "secret")
    assert_type(await provider(), dict[str, Any])
    assert_type(refreshing(provider), Refreshing)
    Socket("wss://a", auth=refreshing(provider, timeout=None))
    refused: Unauthorized = TokenRefused("a", code="invalid_grant")
    failed: ProviderFailed = TokenRequestFailed("a", is_sent=True, retry_after=3.0)
    print(refused, failed)
