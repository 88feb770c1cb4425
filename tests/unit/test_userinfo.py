"""User name and password of an address (RFC 7617; RFC 3986, section 3.2.1)."""

from __future__ import annotations

from base64 import b64encode

import pytest
from websockets.headers import build_host
from websockets.uri import WebSocketURI

from rxsocket.transports.handshake import authorization, header_uri, to_uri
from rxsocket.transports.tcp import server_name


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


@pytest.mark.parametrize("user_info", ["", "me:p%40ss@"])
@pytest.mark.parametrize(
    ("rest", "host", "port", "resource"),
    [
        ("example.com/", "example.com", 80, "/"),
        ("example.com:8443/a@b?c=d:e@f", "example.com", 8443, "/a@b?c=d:e@f"),
        ("[::1]:9/?", "::1", 9, "/"),
        ("[fe80::1%25eth0]/", "fe80::1%eth0", 80, "/"),
        ("[fe80::1%eth0]/", "fe80::1%eth0", 80, "/"),
        ("bücher.example:8/für/%2F?t=a%2Bb%3D&w=größe", "xn--bcher-kva.example", 8, None),
        ("h/für/%2F?t=a%2Bb%3D&w=ö", "h", 80, "/f%C3%BCr/%2F?t=a%2Bb%3D&w=%C3%B6"),
        ("h/a;b=c;d?e;f", "h", 80, "/a;b=c;d?e;f"),
        ("example.com.:443", "example.com.", 443, "/"),
    ],
)
def test_what_is_dialled(
    user_info: str, rest: str, host: str, port: int, resource: str | None
) -> None:
    """Without the user info; what is percent-encoded is not encoded again (RFC 3987, 3.1)."""
    uri = to_uri(f"ws://{user_info}{rest}")
    assert (uri.host, uri.port, uri.username) == (host, port, None)
    assert resource is None or uri.resource_name == resource


@pytest.mark.parametrize(
    ("host", "header", "tls"),
    [
        ("example.com.", "example.com.", "example.com"),
        ("fe80::1%eth0", "[fe80::1]", "fe80::1"),
    ],
)
def test_a_host_has_other_names_elsewhere(host: str, header: str, tls: str) -> None:
    """TLS has no last dot (RFC 6066, section 3), and no zone leaves the machine (RFC 6874)."""
    uri = header_uri(WebSocketURI(True, host, 443, "/", ""))
    assert build_host(uri.host, uri.port, uri.secure) == header
    assert server_name(host) == tls
