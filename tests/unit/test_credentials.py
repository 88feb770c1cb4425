"""Credentials: values that compare, and never show."""

from __future__ import annotations

import copy
import json
import math
import pickle
import pprint
import traceback
from collections import OrderedDict
from enum import Enum
from types import MappingProxyType
from typing import Any

import pytest

from rxsocket import Credential, Secret, Socket, refreshing
from rxsocket.auth.credentials import ANONYMOUS, LOGGED_OUT, PENDING
from rxsocket.credentials import from_env, from_file, from_files, from_keyring

HIDDEN = "hunter2"


class TokenEnum(str, Enum):  # noqa: UP042 - a StrEnum would print as its value
    """A text that str() would not give."""

    A = HIDDEN


EQUAL: list[tuple[Any, Any]] = [
    ("a", "a"),
    ("a", Secret("a")),
    ({"token": "a"}, {"token": Secret("a")}),
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    ({"a": [1, 2]}, {"a": (1, 2)}),
    ({"a": 1}, OrderedDict(a=1)),
    ({"a": 1}, MappingProxyType({"a": 1})),
    ({"a": math.nan}, {"a": math.nan}),
    ({}, {}),
    ("", ""),
    (HIDDEN, TokenEnum.A),
    ({"token": HIDDEN}, {"token": TokenEnum.A}),
    (None, None),
]
DIFFERENT: list[tuple[Any, Any]] = [
    ("a", "b"),
    ("a", {"token": "a"}),
    ({"a": 1}, {"a": "1"}),
    ({"a": 1}, {"a": 1.0}),
    ({"a": 1}, {"a": True}),
    ({"a": None}, {"a": "None"}),
    ({"a": None}, {}),
    ({"a": "b"}, {"b": "a"}),
    ({"a": [1, 2]}, {"a": [2, 1]}),
    ({"a": [1]}, {"a": 1}),
    ({"a": ["b", "c"]}, {"a": ["bc"]}),
    ({"a": "b", "c": "d"}, {"a": "b}str:1:c", "d": ""}),
    ("", None),
    ("", {}),
    ("anonymous", None),
    ("logged out", None),
]


@pytest.mark.parametrize(("one", "other"), EQUAL)
def test_equal_values_are_equal_credentials(one: Any, other: Any) -> None:
    """Two credentials are equal when their values are, however these are written."""
    assert Credential.of(one) == Credential.of(other)
    assert hash(Credential.of(one)) == hash(Credential.of(other))
    assert Credential.of(one).fingerprint == Credential.of(other).fingerprint


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_other_values_are_other_credentials(one: Any, other: Any) -> None:
    """Another type, order or structure is another credential."""
    assert Credential.of(one) != Credential.of(other)
    assert Credential.of(one).fingerprint != Credential.of(other).fingerprint


def test_the_kinds_differ() -> None:
    """Nobody, logged out and not yet known are three things, and have no value."""
    kinds = [ANONYMOUS, LOGGED_OUT, PENDING]
    assert len({*kinds, Credential.of("")}) == 4
    assert not any(kind.known for kind in kinds)
    assert all(kind.reveal() == "" for kind in kinds)
    assert Credential.of(None) is LOGGED_OUT
    assert [repr(kind) for kind in kinds] == [
        "Credential(anonymous)",
        "Credential(logged out)",
        "Credential(none yet)",
    ]


def test_a_credential_is_taken_as_it_is() -> None:
    """What ``socket.auth`` emits can be given back."""
    credential = Credential.of({"token": "a"})
    assert Credential.of(credential) is credential
    assert credential != "a" and credential != object()


def test_it_is_frozen() -> None:
    """What becomes of the mapping or the list that was given changes nothing; nor can the value."""
    inner = ["a"]
    given: dict[str, Any] = {"token": "a", "rooms": inner}
    credential = Credential.of(given)
    given["token"] = "b"
    inner.append("b")
    value = credential.reveal()
    assert value == {"token": "a", "rooms": ("a",)}
    with pytest.raises(TypeError):
        value["token"] = "c"  # type: ignore[index]


def test_a_text_of_a_subclass_is_what_it_holds() -> None:
    """A member of an Enum of texts is its value, not its name."""
    assert str(TokenEnum.A) != HIDDEN
    assert str(Credential.of(TokenEnum.A).reveal()) == HIDDEN
    assert [str(v) for v in dict(Credential.of({"t": TokenEnum.A}).reveal()).values()] == [HIDDEN]


SHOWN = [Credential.of(HIDDEN), Credential.of({"token": HIDDEN, "n": [HIDDEN]}), Secret(HIDDEN)]


@pytest.mark.parametrize("thing", SHOWN)
def test_it_never_shows(thing: Any) -> None:
    """No way of printing shows the value."""
    prints = [repr(thing), str(thing), f"{thing}", f"{thing!r}", f"{thing!s}", f"{thing!a}"]
    prints += ["%s %r" % (thing, thing), pprint.pformat([thing]), repr({"x": thing})]  # noqa: UP031
    prints += [format(thing, "") if format(thing) else "", str(thing.__reduce_ex__.__name__)]
    for text in prints:
        assert HIDDEN not in text
    assert "***" in repr(thing)


@pytest.mark.parametrize("thing", SHOWN)
def test_it_goes_into_no_file(thing: Any) -> None:
    """It is neither pickled nor copied nor JSON, and has no ``__dict__``."""
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(thing, protocol)
    with pytest.raises(TypeError):
        json.dumps(thing)
    with pytest.raises(TypeError):
        vars(thing)
    with pytest.raises(TypeError, match="not pickled"):
        copy.deepcopy([thing])
    with pytest.raises(AttributeError):
        thing.anything = 1


def test_its_names_show() -> None:
    """The names of a mapping are no secret, and help."""
    assert repr(Credential.of({"token": "a", "room": 1})) == "Credential(token=***, room=***)"
    assert repr(Credential.of("a")) == "Credential(***)"
    assert repr(Secret("a")) == "Secret(***)"


def test_a_secret_compares_and_reveals() -> None:
    """A Secret equals another with the same text, and nothing else."""
    assert Secret("a") == Secret("a") and hash(Secret("a")) == hash(Secret("a"))
    assert Secret("a") != Secret("b") and Secret("a") != "a"
    assert Secret("ä").reveal() == "ä"
    with pytest.raises(TypeError, match=r"^Secret: pass a string, not int$"):
        Secret(7)  # type: ignore[arg-type]


def test_the_fingerprint_tells_nothing() -> None:
    """It is a keyed hash: short, and not that of the text itself."""
    fingerprint = Credential.of(HIDDEN).fingerprint
    assert len(fingerprint) == 32
    assert HIDDEN not in fingerprint


BAD_TYPES: list[tuple[Any, str]] = [
    (HIDDEN.encode(), "auth: pass a mapping"),
    (7, "auth: pass a mapping"),
    ([HIDDEN], "auth: pass a mapping"),
    ({HIDDEN}, "auth: pass a mapping"),
    (object(), "auth: pass a mapping"),
    ({"token": HIDDEN.encode()}, "auth['token']: pass a string"),
    ({"token": {"nested": HIDDEN}}, "auth['token']: pass a string"),
    ({"token": {HIDDEN}}, "auth['token']: pass a string"),
    ({"token": [[HIDDEN]]}, "auth['token']: pass a string"),
    ({"token": object()}, "auth['token']: pass a string"),
    ({7: HIDDEN}, "auth: the names of a mapping are strings, not int"),
    ({None: HIDDEN}, "auth: the names of a mapping are strings, not NoneType"),
]
BAD_VALUES: list[tuple[Any, str]] = [
    (f"{HIDDEN}\n", "auth: holds LF"),
    (f"{HIDDEN}\r", "auth: holds CR"),
    (f"{HIDDEN}\0", "auth: holds NUL"),
    (f"{HIDDEN}\ud800", "auth: holds half a surrogate pair"),
    (Secret(f"{HIDDEN}\n"), "auth: holds LF"),
    ({"token": f"{HIDDEN}\r\n"}, "auth['token']: holds CR"),
    ({"token": f"\ud800{HIDDEN}"}, "auth['token']: holds half a surrogate pair"),
    ({"token": Secret(f"{HIDDEN}\0")}, "auth['token']: holds NUL"),
    ({"token": ["ok", f"{HIDDEN}\n"]}, "auth['token']: holds LF"),
    ({"a\nb": HIDDEN}, "auth (a name of the mapping): holds LF"),
    ({"": HIDDEN}, "auth: a name of the mapping is empty"),
]


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [(TypeError, *bad) for bad in BAD_TYPES] + [(ValueError, *bad) for bad in BAD_VALUES],
)
def test_what_is_no_credential(kind: type[Exception], value: Any, message: str) -> None:
    """The error names the argument, or the entry of it, and never shows the value."""
    with pytest.raises(kind) as caught:
        Socket("ws://host/", auth=value)
    assert str(caught.value).startswith(message)
    assert HIDDEN not in str(caught.value)
    assert HIDDEN not in repr(caught.value)
    assert HIDDEN not in "".join(traceback.format_exception_only(caught.value))
    assert caught.value.__context__ is None
    socket = Socket("ws://host/", auth="fine")
    with pytest.raises(kind) as caught:
        socket.set_auth(value)
    assert str(caught.value).startswith(message.replace("auth", "set_auth(value)", 1))
    assert HIDDEN not in str(caught.value)
    assert socket.auth.value == Credential.of("fine")


def test_a_source_is_suggested_only_where_it_is_taken() -> None:
    """auth= may be an Observable or a function; set_auth() takes a value."""
    with pytest.raises(TypeError, match="an Observable or a function, not int"):
        Socket("ws://host/", auth=7)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"None \(logged out\), not int"):
        Socket("ws://host/").set_auth(7)  # type: ignore[arg-type]


@pytest.mark.parametrize("maker", [from_env, from_keyring, from_file, from_files])
def test_a_maker_of_providers_is_to_be_called(maker: Any) -> None:
    """Passed as it is, it would be asked for a credential, and fail at the first attempt."""
    with pytest.raises(TypeError, match=rf"call it, as in {maker.__name__}\(\.\.\.\)"):
        Socket("wss://example.com/", auth=maker)
    with pytest.raises(TypeError, match="call it, as in"):
        refreshing(maker)
    Socket("wss://example.com/", auth=from_env("FEED_TOKEN"))
