"""Tokens of OAuth 2 as credentials: providers for ``refreshing()``. It needs ``rxsocket[oauth]``.

::

    from rxsocket.oauth import FileStore, client_credentials, device_code, refresh_token

    tokens = refreshing(client_credentials("https://login.example.com/token", "me", secret))
    Socket(url, auth=tokens)
"""

from rxsocket.oauth.client import AuthMethod, ClientSecret
from rxsocket.oauth.device import DeviceCode, DeviceLogin, device_code
from rxsocket.oauth.errors import TokenRefused, TokenRequestFailed
from rxsocket.oauth.grants import (
    ClientCredentials,
    RefreshToken,
    client_credentials,
    refresh_token,
)
from rxsocket.oauth.issuer import Issuer
from rxsocket.oauth.stores import FileStore, MemoryStore, StoreFailed, TokenStore

__all__ = [
    "AuthMethod",
    "ClientCredentials",
    "ClientSecret",
    "DeviceCode",
    "DeviceLogin",
    "FileStore",
    "Issuer",
    "MemoryStore",
    "RefreshToken",
    "StoreFailed",
    "TokenRefused",
    "TokenRequestFailed",
    "TokenStore",
    "client_credentials",
    "device_code",
    "refresh_token",
]
