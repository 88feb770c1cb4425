"""C10: every attempt carries the current credential, with each carrier."""

from __future__ import annotations

import json
from typing import Any

import pytest
from carriers import CARRIERS
from internals import Script
from reactivex.subject import Subject
from scene import Make

from rxsocket import (
    Carried,
    Carrier,
    ConnectFailed,
    InEffect,
    Opened,
    ProviderFailed,
    State,
    carrier,
    cookie,
    first_message,
    header,
    in_band,
    query,
    refreshing,
    subprotocol,
)
from rxsocket.testing import VirtualClock, accept


@pytest.mark.parametrize("name", CARRIERS)
def test_t1_t2_t2(clock: VirtualClock, scene: Make, name: str) -> None:
    """C10: auth emits t1, then t2, then the server drops: the handshakes are t1, t2, t2."""
    carrier, seen = CARRIERS[name]
    source: Subject[str] = Subject()
    it = scene(accept(), accept().wait(10.0).drop(), auth=source, carrier=carrier)
    source.on_next("t1")
    clock.advance(1.0)
    source.on_next("t2")
    clock.advance(30.0)
    assert [seen(handshake) for handshake in it.peer.handshakes] == ["t1", "t2", "t2"]


@pytest.mark.parametrize("name", CARRIERS)
@pytest.mark.parametrize("kind", ["function", "refreshing"])
def test_five_drops_six_tickets(clock: VirtualClock, scene: Make, name: str, kind: str) -> None:
    """C10: a provider of single-use tickets and 5 drops: 6 handshakes, 6 tickets."""
    carrier, seen = CARRIERS[name]
    tickets = iter(f"ticket{number}" for number in range(1, 100))
    auth: Any = lambda: next(tickets)  # noqa: E731
    if kind == "refreshing":  # each has expired when it is needed again
        auth = refreshing(lambda: next(tickets), 0, expires=lambda _: clock.wall_time() + 1.0)
    scripts: list[Script] = [accept().wait(2.0).drop()] * 5
    it = scene(*scripts, auth=auth, carrier=carrier)
    clock.advance(100.0)
    tickets_seen = [seen(handshake) for handshake in it.peer.handshakes[:6]]
    assert len(tickets_seen) == 6 and len(set(tickets_seen)) == 6
    assert all(str(ticket).startswith("ticket") for ticket in tickets_seen)


# --- what users' functions get


def test_a_mapping_reaches_each_users_function_as_a_dict(clock: VirtualClock, scene: Make) -> None:
    """C10: ``json.dumps`` takes it, and what one does to it is not seen by the next."""
    given: list[Any] = []

    def as_text(value: Any) -> str:
        given.append(value)
        text = json.dumps(value)
        value.clear()
        return text

    def plain(value: Any) -> Carried:
        return Carried(headers={"X-Plain": as_text(value)})

    @carrier
    def marked(value: Any) -> Carried:
        return Carried(headers={"X-Marked": as_text(value)})

    both = marked & plain & query() & first_message(as_text)
    in_use = in_band(as_text, accepted=lambda message: message == "yes")
    it = scene(
        accept().expect().expect().send("yes"),
        auth={"token": "a", "rooms": ["r"]},
        carrier=both,
        on_auth_change=in_use,
        identity=lambda value: as_text(value) and "the same",
    )
    clock.advance(10.0)
    change = it.socket.set_auth({"token": "b", "rooms": ["r"]})
    clock.advance(1.0)
    assert change.result() == InEffect(1)
    assert len(given) > 6 and all(type(value) is dict for value in given)
    assert [text for _, text in it.peer.received] == [
        '{"token": "a", "rooms": ["r"]}',
        '{"token": "b", "rooms": ["r"]}',
    ]
    (seen,) = it.peer.handshakes
    assert seen.headers["X-Plain"] == seen.headers["X-Marked"] == '{"token": "a", "rooms": ["r"]}'
    assert dict(seen.query) == {"token": "a", "rooms": "r"}


# --- what the server sees


def test_a_mapping_is_split(clock: VirtualClock, scene: Make) -> None:
    """C10: ``only=`` says which entry goes which way, and what none of them names stays here."""
    auth = {"key": "k", "token": "t", "sid": "s", "private": "p"}
    it = scene(auth=auth, carrier=query(only="key") & header(only="token") & cookie(only=["sid"]))
    clock.advance(1.0)
    (seen,) = it.peer.handshakes
    assert dict(seen.query) == {"key": "k"}
    assert seen.headers["Authorization"] == "Bearer t"
    assert seen.cookies == {"sid": "s"}
    assert "private" not in str(list(seen.headers.raw_items()))


def test_cookies_are_merged_into_one_header(clock: VirtualClock, scene: Make) -> None:
    """C10: with those of additional_headers, of which a renewed one replaces the old."""
    it = scene(
        auth="new",
        carrier=cookie("sid"),
        additional_headers=[("Cookie", "lang=de; sid=old"), ("X-A", "1")],
    )
    clock.advance(1.0)
    (seen,) = it.peer.handshakes
    assert seen.headers.get_all("Cookie") == ["lang=de; sid=new"]
    assert seen.headers["X-A"] == "1"


def test_the_fixed_subprotocol_is_offered_once_and_first(clock: VirtualClock, scene: Make) -> None:
    """C10, RFC 6455 4.1: each subprotocol is offered once; the server chooses the fixed one."""
    carrier = subprotocol("v1") & subprotocol("v1", prefix="also.", key="jwt")
    it = scene(auth="abc", carrier=carrier, subprotocols=["v0", "v1"])
    clock.advance(1.0)
    (seen,) = it.peer.handshakes
    assert seen.subprotocols == ("v0", "v1", "base64url.bearer.YWJj", "also.YWJj")
    assert seen.credential == "abc"
    assert it.socket.state.value is State.OPEN


@pytest.mark.parametrize(
    ("carrier", "chosen", "shown"),
    [
        (subprotocol("v1"), None, "v0"),
        (subprotocol("v1"), "v1", "v1"),
        (subprotocol("v1"), "base64url.bearer.YWJj", "***"),
        (subprotocol("access_token", encode="plain"), None, "access_token"),
        (subprotocol("access_token", encode="plain"), "abc", "***"),
        (subprotocol(encode="plain"), "abc", "***"),
        (subprotocol(encode="plain"), None, None),
        (lambda _: Carried(subprotocols=["abc"]), "abc", "***"),
        (query(), "v0", "v0"),
    ],
)
def test_what_opened_shows(
    clock: VirtualClock, scene: Make, carrier: Carrier, chosen: str | None, shown: str | None
) -> None:
    """C28: the subprotocol that the server chose, unless it holds the credential."""
    it = scene(accept(subprotocol=chosen), auth="abc", carrier=carrier, subprotocols=["v0"])
    clock.advance(1.0)
    opened = next(event for event in it.events if isinstance(event, Opened))
    assert opened.subprotocol == shown
    assert "abc" not in repr(it.events) and "YWJj" not in repr(it.events)


def test_logged_out_and_anonymous_carry_nothing(clock: VirtualClock, scene: Make) -> None:
    """C11: without a credential no carrier is asked."""
    it = scene(carrier=lambda value: Carried(headers={"X": str(1 / 0)}))
    clock.advance(1.0)
    assert it.socket.state.value is State.OPEN


def test_a_carrier_that_raises_is_a_failed_attempt(clock: VirtualClock, scene: Make) -> None:
    """C10: whatever a user's carrier raises: ConnectFailed, and asked again after the backoff."""
    values = iter([{"other": "a"}, {"token": "a"}])

    def carrier(value: Any) -> Carried:
        return Carried(query={"token": value["token"]})

    it = scene(auth=lambda: next(values), carrier=carrier)
    clock.advance(10.0)
    failed = next(event for event in it.events if isinstance(event, ConnectFailed))
    assert isinstance(failed.error, ProviderFailed) and "KeyError: 'token'" in str(failed.error)
    assert it.credentials == ["a"]


def test_carriers_that_conflict_for_a_value(clock: VirtualClock, scene: Make) -> None:
    """C10: what only shows with a provider's value fails the attempt, and says which header."""
    it = scene(auth=lambda: {"X-Key": "a"}, carrier=header() & header("X-Other"))
    clock.advance(1.0)
    failed = it.events[1]
    assert isinstance(failed, ConnectFailed) and "set the header 'X-Key'" in str(failed.error)
    assert it.peer.dials == 0
