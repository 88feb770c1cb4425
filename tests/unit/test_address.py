"""The address: checked once, shown without secrets, merged with query parameters."""

from __future__ import annotations

import pickle
import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from rxsocket import Socket
from rxsocket.url import Address

NO_ADDRESS = (
    "url: not a WebSocket address; begin it with ws:// or wss://, that of server-sent events with "
    "https://"
)
BAD: list[tuple[str, str]] = [
    ("", NO_ADDRESS),
    ("example.com/feed", NO_ADDRESS),
    ("ftp://example.com/", NO_ADDRESS),
    ("ws://", "url: the host is missing or the port is 0; pass 'wss://host:port/path'"),
    ("ws:///path", "url: the host is missing or the port is 0; pass 'wss://host:port/path'"),
    ("ws://:80/", "url: the host is missing or the port is 0; pass 'wss://host:port/path'"),
    ("ws://host:0/", "url: the host is missing or the port is 0; pass 'wss://host:port/path'"),
    ("ws://host:99999/", "url: the host or the port is not valid; pass 'wss://host:port/path'"),
    ("ws://host:abc/", "url: the host or the port is not valid; pass 'wss://host:port/path'"),
    ("ws://[::1/", "url: the host or the port is not valid; pass 'wss://host:port/path'"),
    *(
        (
            f"ws://{host}/",
            "url: a part of the host between two dots is empty or too long; compare it with "
            "'wss://example.com/feed'",
        )
        for host in ("a..b", ".example.com", "example.com..", f"{'a' * 64}.com", f"{'ä' * 60}.com")
    ),
    ("ws://host/#top", "url: a WebSocket address has no #fragment; leave it out or write %23"),
    ("ws://host/#", "url: a WebSocket address has no #fragment; leave it out or write %23"),
    (
        "ws://user@host/",
        "url: has a user name without a password; pass 'wss://user:password@host/'",
    ),
    ("ws://host/a b", "url: holds white space or a control character; percent-encode it"),
    (" ws://host/", "url: holds white space or a control character; percent-encode it"),
    ("ws://host/\x1b[200~a", "url: holds white space or a control character; percent-encode it"),
    ("ws://host/\x7fa", "url: holds white space or a control character; percent-encode it"),
    ("ws://host/\ta", "url: holds white space or a control character; percent-encode it"),
    ("ws://host/\r", "url: holds CR, which may not go into a handshake; strip it first"),
    ("ws://host/a\nb", "url: holds LF, which may not go into a handshake; strip it first"),
    ("ws://host/\0", "url: holds NUL, which may not go into a handshake; strip it first"),
]


@pytest.mark.parametrize(("url", "message"), BAD)
def test_each_bad_url_has_a_message_that_says_what_to_pass(url: str, message: str) -> None:
    """The error names the argument and the remedy; a Socket raises the same."""
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        Address.parse(url)
    assert str(caught.value) == message
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        Socket(url)
    assert str(caught.value) == message


@pytest.mark.parametrize("url", [None, b"ws://host/", 7, ["ws://host/"]])
def test_a_url_is_a_string(url: Any) -> None:
    """Anything else is a TypeError with the name of the type."""
    with pytest.raises(TypeError, match=rf"^url: pass a string .*, not {type(url).__name__}$"):
        Address.parse(url)


def test_half_a_surrogate_pair_is_no_url() -> None:
    """What cannot be encoded is refused at once, not at every attempt."""
    with pytest.raises(ValueError, match=r"^url: holds half a surrogate pair"):
        Address.parse("ws://host/\ud800")


@pytest.mark.parametrize(
    "url",
    [
        "ws://host",
        "ws://host/",
        "WS://host/",
        "wss://host:8443/a/b?x=1&y=%20",
        "ws://127.0.0.1:1/",
        "ws://[::1]:8080/feed",
        "ws://user:password@host/",
        "wss://host/?",
        "wss://host/%23",
        "wss://bücher.example/ä",
    ],
)
def test_a_good_url_is_left_as_it_is(url: str) -> None:
    """Nothing is rewritten until parameters are merged."""
    assert Address.parse(url).url == url
    assert Address.parse(url).with_query([]) == url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("ws://host", "ws://host"),
        ("ws://host/feed?room=1", "ws://host/feed?room=***"),
        ("ws://host/feed?a=1&a=2&b", "ws://host/feed?a=***&a=***&b=***"),
        ("wss://ann:secret@host:1/", "wss://host:1/"),
        ("wss://ann:secret@[::1]:1/?t=secret", "wss://[::1]:1/?t=***"),
        ("wss://ann:p%40ss@host/", "wss://host/"),
    ],
)
def test_it_is_shown_without_secrets(url: str, shown: str) -> None:
    """Neither user info nor the values of the query show, in no repr either."""
    address = Address.parse(url)
    assert address.shown == shown
    for text in (repr(address), str(address), f"{address}", repr(Socket(url))):
        assert "secret" not in text and "p%40ss" not in text and "=1" not in text


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        ("plain", "plain"),
        ("a b", "a+b"),
        ("~", "%7E"),
        ("*", "*"),
        ("-._", "-._"),
        ("a+b", "a%2Bb"),
        ("a/b?c#d", "a%2Fb%3Fc%23d"),
        ("&=;%", "%26%3D%3B%25"),
        ("'!()", "%27%21%28%29"),
        ("ä", "%C3%A4"),
        ("€", "%E2%82%AC"),
        ("😀", "%F0%9F%98%80"),
        ("", ""),
        ("\t", "%09"),
    ],
)
def test_values_are_form_encoded(value: str, encoded: str) -> None:
    """``application/x-www-form-urlencoded`` of the WHATWG URL standard, names and values alike."""
    base = Address.parse("ws://host/")
    assert base.with_query([("t", value)]) == f"ws://host/?t={encoded}"
    if value:
        assert base.with_query([(value, "1")]) == f"ws://host/?{encoded}=1"
    assert parse_qsl(f"t={encoded}", keep_blank_values=True) == [("t", value)]


def test_every_ascii_character_arrives() -> None:
    """What is encoded decodes to the same text, for every character that may be in a credential."""
    text = "".join(chr(number) for number in range(1, 128) if chr(number) not in "\r\n")
    url = Address.parse("ws://host/").with_query([("t", text)])
    assert parse_qsl(urlsplit(url).query) == [("t", text)]


@pytest.mark.parametrize(
    ("url", "parameters", "merged"),
    [
        ("ws://host", [("t", "1")], "ws://host/?t=1"),
        ("ws://host/feed", [("t", "1"), ("u", "2")], "ws://host/feed?t=1&u=2"),
        ("ws://host/?room=1", [("t", "1")], "ws://host/?room=1&t=1"),
        ("ws://host/?t=old", [("t", "new")], "ws://host/?t=new"),
        ("ws://host/?t=1&room=1&t=2", [("t", "new")], "ws://host/?room=1&t=new"),
        ("ws://host/?a=1", [("t", "1"), ("t", "2")], "ws://host/?a=1&t=1&t=2"),
        ("ws://host/?%74=old", [("t", "new")], "ws://host/?t=new"),
        ("ws://host/?a+b=old", [("a b", "new")], "ws://host/?a+b=new"),
        ("ws://host/?x=%7e~%20", [("t", "1")], "ws://host/?x=%7e~%20&t=1"),
        ("ws://host/?flag&&x=", [("t", "1")], "ws://host/?flag&x=&t=1"),
        ("ws://u:p@host:1/?x=1", [("t", "1")], "ws://u:p@host:1/?x=1&t=1"),
    ],
)
def test_parameters_are_merged(url: str, parameters: list[tuple[str, str]], merged: str) -> None:
    """A name that is given replaces the URL's own; the others stay as they were written."""
    assert Address.parse(url).with_query(parameters) == merged


def test_the_query_does_not_show() -> None:
    """The values of the URL's own parameters are masked."""
    address = Address.parse("ws://host/?room=1&token=hunter2")
    assert address.shown == "ws://host/?room=***&token=***"
    assert "hunter2" not in repr(address)


@pytest.mark.parametrize(
    ("url", "origin", "secure"),
    [
        ("ws://host/", ("ws", "host", 80), False),
        ("wss://HOST/", ("wss", "host", 443), True),
        ("ws://host:8080/x?y=1", ("ws", "host", 8080), False),
        ("wss://[::1]:9/", ("wss", "::1", 9), True),
    ],
)
def test_origin(url: str, origin: tuple[str, str, int], secure: bool) -> None:
    """Scheme, host and port, with the port that the scheme implies."""
    address = Address.parse(url)
    assert (address.origin, address.secure, address.has_user_info) == (origin, secure, False)
    assert Address.parse("ws://a:b@host/").has_user_info


@pytest.mark.parametrize("base", ["ws://news.example/a/b?t=1", "WS://news.example/a/b?t=1"])
@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/c", "ws://news.example/c"),
        ("c", "ws://news.example/a/c"),
        ("?x=1", "ws://news.example/a/b?x=1"),
        ("//other.example/", "ws://other.example/"),
        ("http://other.example/", "ws://other.example/"),
        ("https://other.example/", "wss://other.example/"),
        ("wss://other.example/", "wss://other.example/"),
    ],
)
def test_join(base: str, location: str, target: str) -> None:
    """A redirect's Location, relative or not, in whatever spelling of the scheme."""
    assert Address.parse(base).join(location).url == target


def test_join_to_elsewhere() -> None:
    """A Location that is no WebSocket address is refused."""
    with pytest.raises(ValueError, match=r"^url: "):
        Address.parse("ws://host/").join("mailto:ann@example.com")


def test_it_is_a_value() -> None:
    """Addresses are equal when their URLs are, and can be hashed."""
    assert Address.parse("ws://host/") == Address.parse("ws://host/")
    assert hash(Address.parse("ws://host/")) == hash(Address.parse("ws://host/"))
    assert pickle.loads(pickle.dumps(Address.parse("ws://host/"))) == Address.parse("ws://host/")
