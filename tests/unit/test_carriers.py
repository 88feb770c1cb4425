"""Carriers: how a credential is put on a connection."""

from __future__ import annotations

import re
import traceback
from typing import Any

import pytest

from rxsocket import Carried, Carrier, Credential, Secret, Socket, header, query

HIDDEN = "hunter2"


def carried(carrier: Carrier, value: Any) -> Carried:
    return carrier(Credential.of(value).reveal())


@pytest.mark.parametrize(
    ("value", "pairs"),
    [
        ("abc", [("token", "abc")]),
        ("", [("token", "")]),
        (Secret("abc"), [("token", "abc")]),
        ({"token": "abc"}, [("token", "abc")]),
        ({"token": Secret("abc"), "room": 7}, [("token", "abc"), ("room", "7")]),
        ({"a": True, "b": False}, [("a", "true"), ("b", "false")]),
        ({"a": None, "b": "x"}, [("b", "x")]),
        ({"a": ["x", 1, None, True]}, [("a", "x"), ("a", "1"), ("a", "true")]),
        ({"a": ("x", Secret("y"))}, [("a", "x"), ("a", "y")]),
        ({"a": []}, []),
        ({"a": 1.5}, [("a", "1.5")]),
        ({"a": "Straße & Co"}, [("a", "Straße & Co")]),
        ({}, []),
    ],
)
def test_query(value: Any, pairs: list[tuple[str, str]]) -> None:
    """Entries become parameters, in order: a list repeats its name, ``None`` is left out."""
    assert carried(query(), value) == Carried(query=tuple(pairs))


def test_query_of_another_name() -> None:
    """A string goes under ``key``; a mapping has names of its own."""
    assert carried(query("access_token"), "abc").query == (("access_token", "abc"),)
    assert carried(query("access_token"), {"t": "abc"}).query == (("t", "abc"),)


@pytest.mark.parametrize("key", ["", None, 7, b"token"])
def test_query_key_is_checked(key: Any) -> None:
    """The error names the argument."""
    with pytest.raises(ValueError, match=r"^query\(key\): pass the name of a query parameter"):
        query(key)


@pytest.mark.parametrize(
    ("carrier", "value", "pairs"),
    [
        (header(), "abc", [("Authorization", "Bearer abc")]),
        (header(), {"token": "abc"}, [("Authorization", "Bearer abc")]),
        (
            header(),
            {"token": "abc", "X-Device": 7},
            [("Authorization", "Bearer abc"), ("X-Device", "7")],
        ),
        (header(), {"X-Api-Key": Secret("abc")}, [("X-Api-Key", "abc")]),
        (header(scheme="Token"), "abc", [("Authorization", "Token abc")]),
        (header("X-Api-Key", scheme=None), "abc", [("X-Api-Key", "abc")]),
        (header(key="jwt"), {"jwt": "abc"}, [("Authorization", "Bearer abc")]),
        (header(key="jwt"), "abc", [("Authorization", "Bearer abc")]),
        (header(), {"token": None}, []),
        (header(), {"X-A": ["1", "2"]}, [("X-A", "1"), ("X-A", "2")]),
        (header(), {"X-A": True}, [("X-A", "true")]),
    ],
)
def test_header(carrier: Carrier, value: Any, pairs: list[tuple[str, str]]) -> None:
    """The entry ``key`` goes after the scheme; every other one is a header of its own."""
    assert carried(carrier, value) == Carried(headers=tuple(pairs))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": ""}, "header(name): not the name of a header"),
        ({"name": "X Y"}, "header(name): not the name of a header"),
        ({"name": "X:Y"}, "header(name): not the name of a header"),
        ({"name": "Ä"}, "header(name): not the name of a header"),
        ({"name": None}, "header(name): not the name of a header"),
        ({"name": "X\n"}, "header(name): not the name of a header"),
        ({"name": "Host"}, "header(name): the handshake sets Host itself"),
        ({"name": "SEC-WEBSOCKET-KEY"}, "header(name): the handshake sets SEC-WEBSOCKET-KEY"),
        ({"scheme": "Bea\nrer"}, "header(scheme): holds LF"),
        ({"scheme": "Bärer"}, "header(scheme): a header holds ASCII only"),
    ],
)
def test_header_arguments_are_checked(arguments: dict[str, Any], message: str) -> None:
    """Each error names the argument."""
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        header(**arguments)
    assert str(caught.value).startswith(message)


def test_header_scheme_is_a_string() -> None:
    """Another type is a TypeError that names it."""
    with pytest.raises(TypeError, match=r"^header\(scheme\): pass a string, not int$"):
        header(scheme=7)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (f"{HIDDEN}ä", "auth['token']: a header holds ASCII only"),
        ({"token": f"ä{HIDDEN}"}, "auth['token']: a header holds ASCII only"),
        ({"X-Ä": HIDDEN}, "auth['X-Ä']: not the name of a header"),
        ({"a b": HIDDEN}, "auth['a b']: not the name of a header"),
        ({"Upgrade": HIDDEN}, "auth['Upgrade']: the handshake sets Upgrade itself"),
        ({"X-A": f"{HIDDEN}€"}, "auth['X-A']: a header holds ASCII only"),
    ],
)
def test_what_a_header_cannot_carry_fails_at_once(value: Any, message: str) -> None:
    """A Socket refuses it where it is passed; the error names the entry and shows no value."""
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        Socket("ws://host/", auth=value, carrier=header())
    assert str(caught.value).startswith(message)
    socket = Socket("ws://host/", auth="fine", carrier=header())
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        socket.set_auth(value)
    assert str(caught.value).startswith(message)
    assert HIDDEN not in "".join(traceback.format_exception_only(caught.value))


def test_it_never_shows() -> None:
    """What is carried shows in no repr."""
    for carrier in (query(), header()):
        assert HIDDEN not in repr(carried(carrier, {"token": HIDDEN, "X-B": [HIDDEN]}))
    assert HIDDEN not in repr(Carried(subprotocols=(HIDDEN,)))


def test_a_carrier_of_the_users() -> None:
    """Any function from the value to ``Carried`` will do; what is no function is refused."""
    Socket("ws://host/", auth="a", carrier=lambda value: Carried(subprotocols=("bearer",)))
    with pytest.raises(TypeError, match=r"^carrier: pass a function, not str$"):
        Socket("ws://host/", carrier="header")  # type: ignore[arg-type]
