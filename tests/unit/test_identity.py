"""The claims of a JSON Web Token, read without being verified."""

from __future__ import annotations

import base64

import pytest

from rxsocket.auth.credentials import jwt_claims


def token(payload: bytes) -> str:
    return f"e30.{base64.urlsafe_b64encode(payload).decode().rstrip('=')}.x"


def test_the_example_of_the_rfc() -> None:
    """RFC 7519, section 3.1."""
    text = (
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
        "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    )
    assert jwt_claims(text) == {
        "iss": "joe",
        "exp": 1300819380,
        "http://example.com/is_root": True,
    }


@pytest.mark.parametrize("payload", [b'{"sub":"a"}', b'{"sub":"ab"}', b'{"sub":"abc"}', b"{}"])
def test_padding_is_put_back(payload: bytes) -> None:
    """The payload has no padding, whatever its length."""
    assert jwt_claims(token(payload)) is not None


def test_the_url_safe_alphabet() -> None:
    """``-`` and ``_`` of the URL-safe alphabet are read."""
    text = token('{"sub":"ÿÿÿ>>>???"}'.encode())
    assert "-" in text or "_" in text
    assert jwt_claims(text) == {"sub": "ÿÿÿ>>>???"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "opaque",
        "a.b",
        "a.b.c",
        "a.b.c.d",
        "..",
        "a.ä.c",
        "a.!.c",
        token(b"[1]"),
        token(b'"text"'),
        token(b"{"),
        token(b"\xff\xfe"),
        token(b"null"),
        token(b'{"a":' * 50_000),
    ],
)
def test_what_is_no_token_has_no_claims(text: str) -> None:
    """Anything else is not an error, it just has no claims."""
    assert jwt_claims(text) is None
