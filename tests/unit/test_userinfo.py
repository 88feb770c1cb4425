"""User name and password of an address (RFC 7617; RFC 3986, section 3.2.1)."""

from __future__ import annotations

from base64 import b64encode

import pytest

from rxsocket.transports.handshake import authorization, without_user_info


@pytest.mark.parametrize(
    ("user_info", "meant"),
    [
        ("me:pass", b"me:pass"),
        ("me:p%40ss%3a", b"me:p@ss:"),
        ("me:", b"me:"),
        ("%C3%BC:%E9", b"\xc3\xbc:\xe9"),
    ],
)
def test_it_is_decoded(user_info: str, meant: bytes) -> None:
    """What is percent-encoded means bytes, of whatever encoding."""
    header = ("Authorization", f"Basic {b64encode(meant).decode()}")
    assert authorization(f"ws://{user_info}@example.com/") == [header]


def test_an_address_without_it_has_no_header() -> None:
    """An @ elsewhere is none."""
    assert authorization("wss://example.com:8443/feed?to=me:you@home") == []


@pytest.mark.parametrize("rest", ["example.com/", "example.com:8443/a@b?c=d:e@f", "[::1]:9/?"])
def test_the_address_without_it(rest: str) -> None:
    """Nothing else of the address changes."""
    assert without_user_info(f"ws://{rest}") == f"ws://{rest}"
    assert without_user_info(f"ws://me:p%40ss@{rest}").rstrip("?") == f"ws://{rest}".rstrip("?")
