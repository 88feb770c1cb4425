"""Carriers: how a credential is put on a connection."""

from __future__ import annotations

import json
import re
import traceback
from typing import Any

import pytest

from rxsocket import (
    Carried,
    Carrier,
    Credential,
    Secret,
    Socket,
    carrier,
    cookie,
    header,
    query,
    subprotocol,
)
from rxsocket.auth.carriers import with_cookies

HIDDEN = "hunter2"


def carried(kind: Carrier, value: Any) -> Carried:
    return kind(Credential.of(value).reveal())


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


@pytest.mark.parametrize(
    ("key", "error"),
    [("", ValueError), (None, TypeError), (7, TypeError), (b"token", TypeError)],
)
def test_query_key_is_checked(key: Any, error: type[Exception]) -> None:
    """The error names the argument."""
    with pytest.raises(error, match=r"^query\(key\): pass the name of a query parameter"):
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
    for kind in (query(), header(), cookie(), query() & header() & cookie()):
        assert HIDDEN not in repr(carried(kind, {"token": HIDDEN, "X-B": [HIDDEN]}))
    assert HIDDEN not in repr(carried(subprotocol("v1", encode="plain"), HIDDEN))
    assert HIDDEN not in repr(Carried(subprotocols=(HIDDEN,)))


def test_a_carrier_of_the_users() -> None:
    """Any function from the value to ``Carried`` will do; what is no function is refused."""
    Socket("ws://host/", auth="a", carrier=lambda value: Carried(subprotocols=("bearer",)))
    with pytest.raises(
        TypeError, match=r"^carrier: pass query\(\), .* or a function of yours, not str$"
    ):
        Socket("ws://host/", carrier="header")  # type: ignore[arg-type]


# --- subprotocols

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJtZSJ9.c2ln-_A"


@pytest.mark.parametrize(
    ("kind", "value", "fixed", "offers"),
    [
        (subprotocol("v1"), "mytoken", ["v1"], ["base64url.bearer.bXl0b2tlbg"]),
        (subprotocol("v1"), {"token": Secret("mytoken")}, ["v1"], ["base64url.bearer.bXl0b2tlbg"]),
        (subprotocol("v1"), "a/b=?é>", ["v1"], ["base64url.bearer.YS9iPT_DqT4"]),
        (subprotocol("v1"), {"token": None}, ["v1"], []),
        (subprotocol("v1", key="jwt"), {"jwt": "a"}, ["v1"], ["base64url.bearer.YQ"]),
        (
            subprotocol("v4.channel.k8s.io", prefix="base64url.bearer.authorization.k8s.io."),
            "mytoken",
            ["v4.channel.k8s.io"],
            ["base64url.bearer.authorization.k8s.io.bXl0b2tlbg"],
        ),
        (subprotocol("access_token", encode="plain"), JWT, ["access_token"], [JWT]),
        (subprotocol(encode="plain"), JWT, [], [JWT]),
        (subprotocol("v1", encode=lambda text: text[::-1]), "abc", ["v1"], ["cba"]),
        (subprotocol("v1", prefix="v1.", encode=lambda text: text), "abc", ["v1"], ["v1.abc"]),
        (subprotocol("v1", only="token"), {"token": "a", "x": 1}, ["v1"], ["base64url.bearer.YQ"]),
    ],
)
def test_subprotocol(kind: Carrier, value: Any, fixed: list[str], offers: list[str]) -> None:
    """A fixed one, and one that holds the token: in base64url without padding, or as told."""
    assert carried(kind, value) == Carried(fixed=fixed, subprotocols=offers)


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (subprotocol("v1", encode="plain"), f"{HIDDEN}/=", "auth['token']: not a subprotocol"),
        (subprotocol("v1", encode="plain"), f"{HIDDEN},b", "auth['token']: not a subprotocol"),
        (subprotocol("v1", encode="plain"), f"{HIDDEN} b", "auth['token']: not a subprotocol"),
        (subprotocol("v1", encode="plain"), "", "auth['token']: not a subprotocol"),
        (subprotocol("v1"), {"token": HIDDEN, "room": 7}, "auth['room']: a subprotocol carries"),
        (cookie(), f"{HIDDEN};b", "auth['token']: a cookie holds ASCII without"),
        (cookie(), f"{HIDDEN} b", "auth['token']: a cookie holds ASCII without"),
        (cookie(), f'"{HIDDEN}', "auth['token']: a cookie holds ASCII without"),
        (cookie(), f"{HIDDEN}é", "auth['token']: a cookie holds ASCII without"),
        (cookie(), {"a b": HIDDEN}, "auth['a b']: not the name of a cookie"),
        (
            query(only="a") & query(only="b"),
            HIDDEN,
            "carrier: two of the combined carriers set the query parameter 'token'",
        ),
        (
            header() & header("x", scheme=None),
            {"X": HIDDEN, "token": HIDDEN},
            "carrier: two of the combined carriers set the header 'X'",
        ),
        (
            cookie("a") & cookie("b"),
            {"sid": HIDDEN},
            "carrier: two of the combined carriers set the cookie 'sid'",
        ),
        (
            cookie() & header("Cookie", scheme=None),
            HIDDEN,
            "carrier: two of the combined carriers set the header 'Cookie'",
        ),
    ],
)
def test_what_cannot_be_carried_fails_at_once(kind: Carrier, value: Any, message: str) -> None:
    """Where it is passed; the error says what, and shows no value."""
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        Socket("ws://host/", auth=value, carrier=kind)
    assert str(caught.value).startswith(message)
    assert HIDDEN not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: subprotocol("a b"), ValueError, "subprotocol(name): not a subprotocol"),
        (lambda: subprotocol(""), ValueError, "subprotocol(name): not a subprotocol"),
        (lambda: subprotocol(7), TypeError, "subprotocol(name): pass a string"),
        (lambda: subprotocol(prefix="a,"), ValueError, "subprotocol(prefix): not a subprotocol"),
        (lambda: subprotocol(encode="hex"), ValueError, "subprotocol(encode): pass 'base64url'"),
        (lambda: cookie("a=b"), ValueError, "cookie(name): not the name of a cookie"),
        (lambda: header(None), TypeError, "header(name): pass a string, not NoneType"),
        (lambda: cookie(None), TypeError, "cookie(name): pass a string, not NoneType"),
        (
            lambda: query() & query(),
            ValueError,
            "carrier: two of the combined carriers set the que",
        ),
        (lambda: header() & header("AUTHORIZATION"), ValueError, "carrier: two of the combined"),
        (
            lambda: cookie() & header() & cookie(),
            ValueError,
            "carrier: two of the combined carriers",
        ),
        (lambda: query(only=7), TypeError, "query(only): pass names of entries"),
        (lambda: header(only=b"a"), TypeError, "header(only): pass names of entries"),
        (lambda: cookie(only=[""]), TypeError, "cookie(only): pass names of entries"),
        (lambda: carrier("header"), TypeError, "carrier(function): pass a function"),
        (lambda: carrier(_later), TypeError, "carrier(function): pass a plain function"),
        (lambda: Carried(headers={"X": 7}), TypeError, "Carried(headers['X']): pass a string"),
        (lambda: Carried(headers={"X": "a\r\nb"}), ValueError, "Carried(headers['X']): holds CR"),
        (
            lambda: Carried(headers={"X": "\x1b[200~a"}),
            ValueError,
            "Carried(headers['X']): holds a c",
        ),
        (
            lambda: Carried(headers={"X": "a\x7f"}),
            ValueError,
            "Carried(headers['X']): holds a contr",
        ),
        (lambda: Carried(headers="X: 1"), TypeError, "Carried(headers): pass a mapping or pairs"),
        (lambda: Carried(query={"a": 1}), TypeError, "Carried(query['a']): pass a string"),
        (lambda: Carried(cookies={"a": "b;"}), ValueError, "Carried(cookies['a']): a cookie holds"),
        (lambda: Carried(subprotocols=["a,b"]), ValueError, "Carried(subprotocols): not a subpro"),
        (lambda: Carried(subprotocols="ab"), TypeError, "Carried(subprotocols): pass a list"),
        (lambda: Carried(fixed=["a b"]), ValueError, "Carried(fixed): not a subprotocol"),
    ],
)
def test_arguments_of_carriers_are_checked(make: Any, error: type[Exception], message: str) -> None:
    """Each error names the argument and says what to pass."""
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value).startswith(message)


async def _later(value: Any) -> Carried:
    return Carried()


# --- cookies


@pytest.mark.parametrize(
    ("kind", "value", "pairs"),
    [
        (cookie(), "abc", [("token", "abc")]),
        (cookie("sid"), "abc", [("sid", "abc")]),
        (cookie("sid"), '"abc"', [("sid", '"abc"')]),
        (
            cookie(),
            {"sid": "a", "csrf": Secret("b"), "n": 7},
            [("sid", "a"), ("csrf", "b"), ("n", "7")],
        ),
        (cookie(), {"sid": None}, []),
        (cookie(only=["sid"]), {"sid": "a", "room": 7}, [("sid", "a")]),
    ],
)
def test_cookie(kind: Carrier, value: Any, pairs: list[tuple[str, str]]) -> None:
    """A string has the name that was passed; every entry of a mapping is a cookie of its own."""
    assert carried(kind, value) == Carried(cookies=pairs)


@pytest.mark.parametrize(
    ("headers", "merged"),
    [
        ([], [("Cookie", "t=1")]),
        ([("X", "y"), ("cookie", "a=b; c=d")], [("X", "y"), ("Cookie", "a=b; c=d; t=1")]),
        ([("Cookie", "t=old; a=b")], [("Cookie", "a=b; t=1")]),
        ([("Cookie", "a=b"), ("COOKIE", "c=d;")], [("Cookie", "a=b; c=d; t=1")]),
    ],
)
def test_one_cookie_header(headers: list[tuple[str, str]], merged: list[tuple[str, str]]) -> None:
    """Those that are there stay, in one header; of the same name, the credential's counts."""
    assert with_cookies(tuple(headers), (("t", "1"),)) == tuple(merged)


# --- combining


def signed(value: Any) -> Carried:
    """A carrier of the user's."""
    return Carried(headers={"X-Signature": f"of {value if isinstance(value, str) else len(value)}"})


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (
            query("key") & header(),
            "abc",
            Carried(query={"key": "abc"}, headers={"Authorization": "Bearer abc"}),
        ),
        (
            query(only="key") & header(only="token"),
            {"key": "k", "token": "t", "unused": 1},
            Carried(query={"key": "k"}, headers={"Authorization": "Bearer t"}),
        ),
        (
            query("key") & signed,
            "abc",
            Carried(query={"key": "abc"}, headers={"X-Signature": "of abc"}),
        ),
        (
            signed & query("key"),
            "abc",
            Carried(query={"key": "abc"}, headers={"X-Signature": "of abc"}),
        ),
        (
            carrier(signed) & (lambda value: Carried(query={"v": "2"})),
            {"a": 1, "b": 2},
            Carried(query={"v": "2"}, headers={"X-Signature": "of 2"}),
        ),
        (
            subprotocol("v1", only="token") & query(only="room") & cookie(only="sid"),
            {"token": "a", "room": 7, "sid": "s"},
            Carried(
                fixed=["v1"],
                subprotocols=["base64url.bearer.YQ"],
                query={"room": "7"},
                cookies={"sid": "s"},
            ),
        ),
        (
            subprotocol("v1") & subprotocol("v1", encode="plain"),
            "a",
            Carried(fixed=["v1"], subprotocols=["base64url.bearer.YQ", "a"]),
        ),
    ],
)
def test_carriers_combine(kind: Carrier, value: Any, expected: Carried) -> None:
    """Each gets the credential, or the entries that ``only=`` names; functions on either side."""
    assert carried(kind, value) == expected


def test_a_combination_shows_its_parts() -> None:
    """Its repr says what it is made of, and nothing else."""
    assert (
        repr(query("key") & header() & signed) == "query('key') & header('Authorization') & signed"
    )
    assert repr(subprotocol("v1") & cookie()) == "subprotocol('v1') & cookie('token')"


def test_what_is_no_carrier_does_not_combine() -> None:
    """Neither on the right nor on the left."""
    for make in (lambda: query() & "header", lambda: "header" & query()):
        with pytest.raises(TypeError):
            make()


@pytest.mark.parametrize("kind", [lambda _: "token=abc", query("q") & (lambda _: None)])
def test_a_function_that_gives_something_else(kind: Any) -> None:
    """It fails at once, and the error says what to return."""
    with pytest.raises(
        TypeError, match=r"^carrier\(value\): return a Carried, not (str|NoneType)$"
    ):
        Socket("ws://host/", auth="abc", carrier=kind)


@pytest.mark.parametrize("character", ["\x07", "\x1b", "\x7f", "\x1f"])
def test_a_header_holds_no_control_character(character: str) -> None:
    """RFC 9110, section 5.5: such a token fails at once, and the error does not show it."""
    with pytest.raises(ValueError, match="control character") as caught:
        Socket("ws://localhost", auth=f"{HIDDEN}{character}", carrier=header())
    assert HIDDEN not in str(caught.value)
    assert carried(header("X", scheme=None), "a\tb").headers == (("X", "a\tb"),)


def test_a_mapping_reaches_a_users_function_as_a_dict() -> None:
    """So ``json.dumps`` takes it; what the function does to it changes nothing."""
    given: list[Any] = []

    def own(value: Any) -> Carried:
        given.append(value)
        value["token"] = "changed"
        return Carried(query={"v": json.dumps(value)})

    credential = Credential.of({"token": "abc"})
    Socket("ws://localhost", auth=credential, carrier=own)
    assert type(given[0]) is dict
    assert credential.reveal() == {"token": "abc"}
