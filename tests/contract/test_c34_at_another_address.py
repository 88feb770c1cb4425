"""C34: ``renew(url=...)`` is the address of the next attempt, and of no other."""

from __future__ import annotations

import json
import logging
from typing import Any
from urllib.parse import quote

import pytest
from network_stage import MakeStage
from scene import A

from rxsocket import (
    AddressFailed,
    Cause,
    Connecting,
    ObserverFailed,
    Opened,
    RenewalFailed,
    SourceFailed,
    State,
    endpoint,
    handover,
    in_band,
    reconnect,
)
from rxsocket.testing import VirtualClock, accept, hang, reject, unreachable

FIRST, SECOND, THIRD = "ws://a.test/", "ws://b.test/", "ws://c.test/"
WHERE = endpoint(FIRST, hosts=["b.test", "c.test"])
STRATEGIES: dict[str, Any] = {
    "reconnect": reconnect(),
    "handover": handover(),
    "in band": in_band(lambda token: "AUTH"),
}


@pytest.mark.parametrize("name", STRATEGIES)
def test_it_is_dialled_once(clock: VirtualClock, stage: MakeStage, name: str) -> None:
    """The connection after that is where ``url=`` says again."""
    on = stage(WHERE, auth=A, on_auth_change=STRATEGIES[name])
    clock.advance(10.0)
    on.socket.renew(url=SECOND)
    clock.advance(10.0)
    assert on.hosts == ["a.test", "b.test"]
    opened = on.of(Opened)[-1]
    assert (opened.url, opened.moved, opened.cause) == (SECOND, True, Cause.RENEW)
    on.network.drop()
    clock.advance(3.0)
    assert on.hosts == ["a.test", "b.test", "a.test"]


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("within", [None, 4.0])
def test_if_it_fails_the_next_goes_where_url_says(
    clock: VirtualClock, stage: MakeStage, name: str, within: float | None
) -> None:
    """It was for one attempt."""
    on = stage(WHERE, accept(), unreachable(), auth=A, on_auth_change=STRATEGIES[name])
    clock.advance(10.0)
    on.socket.renew(within=within, url=SECOND)
    clock.advance(10.0)
    assert [event.url for event in on.of(Connecting)] == [FIRST, SECOND, FIRST]
    assert on.socket.state.value is State.OPEN


def test_a_handover_under_way_is_made_anew(clock: VirtualClock, stage: MakeStage) -> None:
    """It would lead to where nobody is to be: the address that is told last counts."""
    on = stage(WHERE, accept(), hang(), accept(), auth=A, on_auth_change=handover())
    clock.advance(10.0)
    on.socket.renew(url=SECOND)
    clock.advance(1.0)
    on.socket.renew(within=60.0, url=THIRD)
    clock.advance(1.0)
    assert on.hosts == ["a.test", "b.test", "c.test"]
    assert on.of(Opened)[-1].url == THIRD
    assert on.of(RenewalFailed) == []


def test_a_refused_handover(clock: VirtualClock, stage: MakeStage) -> None:
    """The old one goes on, and what is tried again is where ``url=`` says."""
    on = stage(WHERE, accept(), reject(503), auth=A, on_auth_change=handover())
    clock.advance(10.0)
    on.socket.renew(url=SECOND)
    clock.advance(10.0)
    assert on.hosts == ["a.test", "b.test", "a.test"]
    (failed,) = on.of(RenewalFailed)
    assert failed.cause is Cause.RENEW


def test_a_link_that_is_lost_meanwhile(clock: VirtualClock, stage: MakeStage) -> None:
    """The next attempt is the renewal, at its address."""
    on = stage(WHERE, auth=A)
    clock.advance(10.0)
    on.socket.renew(within=60.0, url=SECOND)
    on.network.drop()
    clock.advance(60.0)
    assert on.hosts == ["a.test", "b.test"]


def test_while_none_is_open(clock: VirtualClock, stage: MakeStage) -> None:
    """The attempt that is waited for goes there."""
    on = stage(WHERE, unreachable(), auth=A)
    clock.advance(1.0)
    on.socket.renew(url=SECOND)
    clock.advance(3.0)
    assert on.hosts == ["b.test"]


def test_a_stopped_socket_forgets_it(clock: VirtualClock, stage: MakeStage) -> None:
    """It was about that run; and an idle one takes none."""
    on = stage(WHERE, auth=A)
    clock.advance(10.0)
    on.socket.renew(within=60.0, url=SECOND)
    on.socket.close()
    clock.advance(3.0)
    on.socket.renew(url=SECOND)
    held = on.socket.connect()
    clock.advance(3.0)
    assert on.hosts == ["a.test", "a.test"]
    held.dispose()


BAD: dict[str, tuple[str, str]] = {
    "a host that is not allowed": ("wss://evil.test/", "the host 'evil.test' is not allowed"),
    "another scheme": ("ftp://a.test/", "begin it with ws:// or wss://"),
    "nothing": ("", "begin it with ws:// or wss://"),
    "a line break": ("ws://a.test/\n", "holds LF"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_server_names_what_cannot_be_dialled(
    clock: VirtualClock, stage: MakeStage, name: str, strategy: str
) -> None:
    """Whose observer passes it on keeps its subscription; the renewal is where ``url=`` says."""
    url, text = BAD[name]
    again = json.dumps({"url": FIRST})
    first = accept().send(json.dumps({"url": url})).stay()
    on = stage(
        FIRST,
        first,
        accept().wait(30.0).send(again).stay(),
        auth=A,
        on_auth_change=STRATEGIES[strategy],
    )
    on.socket.messages.subscribe(
        lambda message: on.socket.renew(within=2.0, url=json.loads(message)["url"])
    )
    clock.advance(10.0)
    assert on.hosts == ["a.test"] * 2
    assert on.of(Opened)[-1].cause is Cause.RENEW
    (failed,) = on.of(SourceFailed)
    assert isinstance(failed.error, AddressFailed) and failed.argument == "renew(url)"
    assert str(failed.error).startswith("renew(url): ") and text in str(failed.error)
    clock.advance(60.0)
    assert on.hosts == ["a.test"] * 3 and on.of(ObserverFailed) == []


def test_it_is_told_apart_in_words(clock: VirtualClock, stage: MakeStage) -> None:
    """Also while there is nothing to renew; it says what to pass."""
    on = stage(FIRST, unreachable(), auth=A)
    clock.advance(1.0)
    on.socket.renew(url=SECOND)
    note = on.socket.explain().notes[-1]
    assert note.startswith("what was given as renew(url) failed 0.0 s ago: ")
    assert "hosts=['b.test']" in note
    clock.advance(3.0)
    assert on.hosts == ["a.test"]


def test_another_type_fails_at_once(clock: VirtualClock, stage: MakeStage) -> None:
    """It is no word of a server's; nothing is renewed."""
    on = stage(FIRST, auth=A)
    clock.advance(10.0)
    with pytest.raises(TypeError, match=r"renew\(url\): pass a string"):
        on.socket.renew(url=7)  # type: ignore[arg-type]
    clock.advance(10.0)
    assert on.hosts == ["a.test"] and on.of(SourceFailed) == []


@pytest.mark.parametrize(
    "url",
    [
        "ws://a.test/?k={}",
        "ws://evil.test/?k={}",
        "http://a.test/?k={}&k=2",
        "http://me:{}@a.test/",
        "ws://a.test/#x=1&token={}",
        "ws://a.test/?state={}#",
    ],
)
@pytest.mark.parametrize("secret", ["S3CRET", "a+b/c=d%20e"])
def test_why_may_quote_the_url(
    clock: VirtualClock,
    stage: MakeStage,
    caplog: pytest.LogCaptureFixture,
    url: str,
    secret: str,
) -> None:
    """What is secret in the one is masked in the other, of the same call (C28)."""
    caplog.set_level(logging.DEBUG, "rxsocket")
    on = stage(FIRST, auth=A)
    clock.advance(10.0)
    told = url.format(quote(secret, safe=""))
    on.socket.renew(url=told, why=json.dumps({"reconnect_url": told, "or": secret}))
    clock.advance(10.0)
    assert len(on.hosts) == 2 and "***" in on.of(Connecting)[-1].reason
    (reason,) = [close.reason for close in on.network.closes]
    shown = [repr(on.entries), str(on.socket.explain()), caplog.text, reason]
    for text in shown:
        assert secret not in text and quote(secret, safe="") not in text
