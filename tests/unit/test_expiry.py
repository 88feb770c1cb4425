"""C12: when a credential expires, as far as its provider's answer says."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rxsocket import Credential, Secret
from rxsocket.auth.expiry import issued_token

NOW = 1_800_000_000.0


def jwt(**claims: Any) -> str:
    """A JSON Web Token whose signature nobody looks at."""
    part = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"e30.{part}.c2ln"


@pytest.mark.parametrize(
    ("answer", "lifetime"),
    [
        (jwt(exp=NOW + 900), 900.0),
        (Secret(jwt(exp=NOW + 900)), 900.0),
        ({"token": jwt(exp=NOW + 900)}, 900.0),
        ({"token": Secret(jwt(exp=NOW + 900))}, 900.0),
        ({"token": [jwt(exp=NOW + 900)]}, 900.0),
        ({"a": jwt(exp=NOW + 900), "b": jwt(exp=NOW + 300)}, 300.0),
        (jwt(exp=NOW + 900.5), 900.5),
        ({"token": "opaque", "expires_in": 60}, 60.0),
        ({"token": "opaque", "expires_in": "60"}, 60.0),
        ({"token": "opaque", "expires_in": 60.5}, 60.5),
        ({"access_token": "opaque", "token_type": "Bearer", "expires_in": 60}, 60.0),
        ({"access_token": jwt(exp=NOW + 900), "token_type": "Bearer"}, 900.0),
        ({"access_token": jwt(exp=NOW + 900), "expires_in": 60}, 60.0),
    ],
)
def test_a_known_expiry(answer: Any, lifetime: float) -> None:
    """``expires_in`` counts from the answer on; ``exp`` is wall time; the former comes first."""
    made = issued_token(answer, NOW)
    assert made.lifetime == lifetime
    assert made.expires_at == NOW + lifetime
    assert made.is_live(NOW + lifetime - 0.01)
    assert not made.is_live(NOW + lifetime)


@pytest.mark.parametrize(
    "answer",
    [
        "opaque",
        "a.b.c",
        "a..c",
        jwt(sub="me"),
        jwt(exp="tomorrow"),
        jwt(exp=True),
        jwt(exp=10**400),
        jwt(exp=NOW - 1),
        {"token": "opaque"},
        {"token": "opaque", "expires_in": 0},
        {"token": "opaque", "expires_in": -5},
        {"token": "opaque", "expires_in": "soon"},
        {"token": "opaque", "expires_in": None},
        {"token": "opaque", "expires_in": True},
        {"token": "opaque", "expires_in": float("nan")},
        {"token": "opaque", "expires_in": float("inf")},
        {"n": 7, "live": True, "no": None},
    ],
)
def test_an_unknown_expiry(answer: Any) -> None:
    """What says nothing, or nothing about the future, is an expiry that is not known."""
    made = issued_token(answer, NOW)
    assert (made.lifetime, made.expires_at) == (None, None)
    assert made.is_live(NOW + 10**9)


@pytest.mark.parametrize(
    ("expires", "issued", "lifetime"),
    [
        (NOW + 900, NOW, 900.0),
        (NOW + 600, NOW - 300, 600.0),  # it was cached for 5 min
        (NOW + 4500, NOW + 3600, 900.0),  # our clock is an hour late
        (NOW - 2700, NOW - 3600, 900.0),  # our clock is an hour early
        (NOW + 900, NOW + 900, 900.0),  # an iat that says nothing
    ],
)
def test_a_clock_that_is_wrong(expires: float, issued: float, lifetime: float) -> None:
    """A token that says when it was issued lives no longer than from then to its expiry."""
    assert issued_token(jwt(exp=expires, iat=issued), NOW).lifetime == lifetime


@pytest.mark.parametrize(
    ("told", "lifetime"),
    [
        (NOW + 900, 900.0),
        (int(NOW) + 900, 900.0),
        (datetime.fromtimestamp(NOW + 900, UTC), 900.0),
        (timedelta(minutes=15), 900.0),
        (None, None),
        (NOW - 1, None),
        (timedelta(0), None),
    ],
)
def test_what_a_function_says_counts(told: Any, lifetime: float | None) -> None:
    """``expires=`` is given the whole answer, and overrides what that says itself."""
    answer = {"token": jwt(exp=NOW + 5), "expires_in": 7, "refresh_token": "rt"}
    given: list[Any] = []

    def expires(whole: Any) -> Any:
        given.append(whole)
        return told

    assert issued_token(answer, NOW, expires=expires).lifetime == lifetime
    assert given == [answer]


@pytest.mark.parametrize(
    ("told", "error", "text"),
    [
        ("2027", TypeError, "expires(answer): return seconds since 1970"),
        (True, TypeError, "expires(answer): return seconds since 1970"),
        (datetime(2027, 1, 1), ValueError, "expires(answer): the datetime has no time zone"),
    ],
)
def test_what_a_function_may_not_say(told: Any, error: type[Exception], text: str) -> None:
    """Another type is an error that says what to return."""
    with pytest.raises(error) as caught:
        issued_token("opaque", NOW, expires=lambda _: told)
    assert str(caught.value).startswith(text)


def test_a_function_that_raises() -> None:
    """Its exception is told by name, without a chain that leads to the answer."""
    with pytest.raises(ValueError, match=r"^expires\(answer\) raised KeyError: 'exp'$") as caught:
        issued_token({"token": "hidden"}, NOW, expires=lambda given: given["exp"])
    assert caught.value.__cause__ is None and caught.value.__context__ is None


OAUTH = {
    "access_token": "at",
    "token_type": "Bearer",
    "expires_in": 3600,
    "refresh_token": "rt",
    "scope": "feed",
}


@pytest.mark.parametrize(
    ("answer", "credential"),
    [
        ("at", "at"),
        (OAUTH, "at"),
        ({"access_token": "at", "expires_in": 60}, "at"),
        ({"access_token": "at", "token_type": "Bearer"}, "at"),
        ({"access_token": "at", "room": 7}, {"access_token": "at", "room": 7}),
        ({"token": "at", "expires_in": 60, "refresh_token": "rt"}, {"token": "at"}),
        ({"token": "at", "refresh_token": "rt"}, {"token": "at"}),
        ({"token": "at", "room": 7}, {"token": "at", "room": 7}),
    ],
)
def test_what_is_the_credential(answer: Any, credential: Any) -> None:
    """The access token of a token response; of another mapping, what is no metadata."""
    assert issued_token(answer, NOW).credential == Credential.of(credential)


def test_a_refresh_token_is_never_part_of_it() -> None:
    """Whatever ``credential=`` says: a refresh token is for its issuer alone."""
    assert issued_token(OAUTH, NOW, credential=dict).credential == Credential.of(
        {name: entry for name, entry in OAUTH.items() if name != "refresh_token"}
    )


def test_what_is_made_of_it_does_not_show() -> None:
    """C28: the result masks its credential."""
    assert "hunter2" not in repr(issued_token({"token": "hunter2", "expires_in": 5}, NOW))


def test_logged_out_is_asked_again() -> None:
    """None is no credential, and holds for 5 min."""
    made = issued_token(None, NOW)
    assert not made.credential.known
    assert made.expires_at == NOW + 300.0


@pytest.mark.parametrize("token_type", ["DPoP", "mac", "N_A", "a type that is s3cret and long"])
def test_a_token_of_another_type_is_not_a_bearer(token_type: str) -> None:
    """RFC 6749, section 7.1; who knows that it can be sent as it is says so."""
    answer = {"access_token": "opaque", "token_type": token_type}
    with pytest.raises(ValueError, match=r"another token_type.*credential=") as raised:
        issued_token(answer, NOW)
    assert (token_type in str(raised.value)) == (" " not in token_type)
    assert "opaque" not in str(raised.value) and "s3cret" not in str(raised.value)
    chosen = issued_token(answer, NOW, credential=lambda answer: answer["access_token"])
    assert chosen.credential == Credential.of("opaque")


@pytest.mark.parametrize("token_type", ["Bearer", "bearer", "BEARER ", "", None])
def test_a_bearer_is_one_however_it_is_written(token_type: str | None) -> None:
    made = issued_token({"access_token": "opaque", "token_type": token_type}, NOW)
    assert made.credential == Credential.of("opaque")
