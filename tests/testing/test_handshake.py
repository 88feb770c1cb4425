"""What a scripted server reads from a handshake."""

from __future__ import annotations

import pytest
from websockets.datastructures import Headers

from rxsocket.testing import Handshake

OFFER = "Sec-WebSocket-Protocol"


def seen(target: str, *headers: tuple[str, str]) -> Handshake:
    return Handshake.parse(1, target, Headers(headers), 0.0)


@pytest.mark.parametrize(
    ("handshake", "credential", "answer"),
    [
        (seen("/"), None, None),
        (seen("/?token=a"), "a", None),
        (seen("/?token="), "", None),
        (seen("/", ("Authorization", "bearer a")), "a", None),
        (seen("/", ("Authorization", "Basic YTpi")), None, None),
        (seen("/", ("Cookie", "lang=de; token=a")), "a", None),
        (seen("/", ("Cookie", "lang=de")), None, None),
        (seen("/", (OFFER, "v1, base64url.bearer.YQ")), "a", "v1"),
        (seen("/", (OFFER, "base64url.bearer.YQ"), (OFFER, "v1")), "a", "v1"),
        (seen("/", (OFFER, "v1, base64url.bearer.authorization.k8s.io.YQ")), "a", "v1"),
        (seen("/", (OFFER, "base64url.bearer.YQ")), "a", None),
        (seen("/", (OFFER, "v1, base64url.bearer.!")), None, "v1"),
        (seen("/", (OFFER, "access_token, a.b.c")), "a.b.c", "access_token"),
        (seen("/", (OFFER, "v1, Bearer, a")), "a", "Bearer"),
        (seen("/", (OFFER, "access_token")), None, None),
        (seen("/", (OFFER, "v1, v2")), None, None),
        (seen("/?token=a", (OFFER, "v1, base64url.bearer.Yg")), "a", "v1"),
    ],
)
def test_where_the_credential_is(
    handshake: Handshake, credential: str | None, answer: str | None
) -> None:
    """The query comes first, then the bearer, the cookie and the subprotocols."""
    assert handshake.credential == credential
    assert handshake.fixed_subprotocol == answer


def test_cookies() -> None:
    """Several headers and odd spaces; a value may hold an equals sign."""
    handshake = seen("/", ("Cookie", " a=1;b=2=3 ; c"), ("Cookie", "a=4"))
    assert handshake.cookies == {"a": "4", "b": "2=3"}


def test_it_shows_no_secret() -> None:
    """C28: its repr names what came and shows no value."""
    handshake = seen("/?token=hidden", ("Cookie", "token=hidden"), (OFFER, "access_token, hidden"))
    assert "hidden" not in repr(handshake)


@pytest.mark.parametrize(
    ("header", "host"),
    [
        ("a.test", "a.test"),
        ("a.test:8080", "a.test"),
        ("[::1]", "[::1]"),
        ("[::1]:80", "[::1]"),
        ("", ""),
    ],
)
def test_the_host_that_was_asked_for(header: str, host: str) -> None:
    """Without the port, as a browser shows it."""
    assert seen("/", ("Host", header)).host == host
    assert seen("/").host == ""
