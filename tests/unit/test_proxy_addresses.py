"""Which proxy is used for an address, and which addresses of proxies are taken."""

from __future__ import annotations

import os
import traceback

import pytest
from internals import options_of
from websockets.uri import parse_uri

from rxsocket import Socket
from rxsocket.testing import fake
from rxsocket.transports.proxies import proxy_address, proxy_for, proxy_url
from rxsocket.url import Address

FAR = "wss://example.test/feed"
UNUSABLE = [
    "proxy.example:3128",
    "http://me:S3cretPass@",
    "http://me:S3cretPass@proxy.example/path",
    "http://me:S3cret#Pass@proxy.example:3128",
    "http://me:S3cret/Pass@proxy.example:3128",
    "http://me:S3cretPass@proxy.example:port",
    "http://S3cretPass@proxy.example:3128",
    "'http://me:S3cretPass@proxy.example:3128'",
    "ftp://me:S3cretPass@proxy.example:3128",
]


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("name", "value", "url", "expected"),
    [
        ("https_proxy", "http://proxy.example:3128", FAR, "http://proxy.example:3128"),
        ("https_proxy", "proxy.example:3128", FAR, "http://proxy.example:3128"),
        ("http_proxy", "proxy.example:3128", "ws://example.test/", "http://proxy.example:3128"),
        ("http_proxy", "http://proxy.example:3128", FAR, None),
        ("all_proxy", "socks5://proxy.example:1080", FAR, "socks5://proxy.example:1080"),
        ("ALL_PROXY", "proxy.example:3128", FAR, "http://proxy.example:3128"),
        ("socks_proxy", "proxy.example:1080", FAR, "socks5h://proxy.example:1080"),
    ],
)
def test_the_environment_names_a_proxy(
    name: str, value: str, url: str, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One without a scheme is read as curl reads it."""
    monkeypatch.setenv(name, value)
    assert proxy_for(parse_uri(url), True) == expected


def test_no_proxy_wins_over_all_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is exempt is exempt from every proxy."""
    monkeypatch.setenv("all_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "example.test")
    assert proxy_for(parse_uri(FAR), True) is None


@pytest.mark.parametrize(
    ("host", "exempt"),
    [
        ("10.1.2.3", True),
        ("10.2.0.1", False),
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("[fd00::5]", True),
        ("[fd01::5]", False),
        ("inside.example", True),
        ("www.inside.example", True),
        ("outside.example", False),
    ],
)
def test_no_proxy_takes_names_addresses_and_networks(
    host: str, exempt: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As curl and requests read it (RFC 4632)."""
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "10.1.0.0/16, 192.0.2.7, fd00::/16,inside.example, 1/2/3,")
    assert (proxy_for(parse_uri(f"wss://{host}/"), True) is None) is exempt


@pytest.mark.parametrize("host", ["localhost", "a.localhost", "127.0.0.1", "127.8.9.1", "[::1]"])
def test_a_loopback_address_needs_no_proxy(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment has no say about it; the argument has."""
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("all_proxy", "http://proxy.example:3128")
    uri = parse_uri(f"ws://{host}:8080/")
    assert proxy_for(uri, True) is None
    assert proxy_for(uri, "http://mine.example:1") == "http://mine.example:1"


@pytest.mark.parametrize("proxy", UNUSABLE)
def test_an_unusable_proxy_is_an_error_of_the_socket(proxy: str) -> None:
    """C28: at once, and its password is nowhere."""
    with pytest.raises(ValueError, match=r"^proxy: ") as raised:
        Socket(FAR, proxy=proxy)
    assert "S3cret" not in "".join(traceback.format_exception_only(raised.value))
    assert raised.value.__cause__ is None and raised.value.__context__ is None


def test_an_unusable_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an error of the socket, too, unless the socket does without."""
    monkeypatch.setenv("https_proxy", "http://me:S3cretPass@proxy.example/path")
    with pytest.raises(ValueError, match=r"^proxy: .*HTTPS_PROXY.*proxy=None") as raised:
        Socket(FAR)
    assert "S3cret" not in str(raised.value)
    Socket(FAR, proxy=None)
    Socket("wss://localhost/")
    Socket(FAR, transport=fake())


def test_an_attempt_says_which_proxy_it_goes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its password; a transport of the user's has none of ours."""
    monkeypatch.setenv("https_proxy", "http://me:S3cretPass@proxy.example:3128")
    far, near = Address.parse(FAR), Address.parse("wss://127.0.0.1/")
    assert options_of(Socket(FAR)).proxy_shown(far) == "http://proxy.example:3128"
    assert options_of(Socket(FAR, proxy=None)).proxy_shown(far) is None
    assert options_of(Socket("wss://127.0.0.1/")).proxy_shown(near) is None
    assert options_of(Socket(FAR, transport=fake())).proxy_shown(far) is None


def test_a_proxy_is_shown_without_its_password() -> None:
    """C28."""
    proxy = proxy_address("http://me:S3cretPass@[2001:db8::1]:3128")
    assert proxy_url(proxy) == "http://[2001:db8::1]:3128"


@pytest.mark.parametrize(
    ("url", "host", "port", "user", "password"),
    [
        ("http://proxy.example", "proxy.example", 80, None, None),
        ("https://proxy.example/", "proxy.example", 443, None, None),
        ("socks5h://proxy.example", "proxy.example", 1080, None, None),
        ("http://me:p%40s%2Fs@PROXY.example:3128", "proxy.example", 3128, "me", "p@s/s"),
        ("http://me:@proxy.example:3128", "proxy.example", 3128, "me", ""),
        ("http://[2001:db8::1]:3128", "2001:db8::1", 3128, None, None),
        ("http://bücher.example:3128", "xn--bcher-kva.example", 3128, None, None),
    ],
)
def test_the_parts_of_a_proxys_address(
    url: str, host: str, port: int, user: str | None, password: str | None
) -> None:
    """User and password are percent-encoded; each scheme has a port of its own."""
    proxy = proxy_address(url)
    assert (proxy.host, proxy.port, proxy.username, proxy.password) == (host, port, user, password)
    assert repr(proxy) == f"<proxy {proxy_url(proxy)}>"
