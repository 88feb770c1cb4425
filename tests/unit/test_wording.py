"""Each event in one sentence, the same wherever a user reads of it."""

from __future__ import annotations

import logging
from typing import get_args

import pytest

from rxsocket import (
    Aborted,
    AwaitingAuth,
    Cause,
    ChannelFailed,
    ChannelStale,
    Closed,
    ConnectFailed,
    Connecting,
    DecodeFailed,
    Dropped,
    Ended,
    Event,
    Fresh,
    Gated,
    HandshakeRefused,
    Message,
    Missed,
    NotConnected,
    ObserverFailed,
    Opened,
    ProviderFailed,
    Rejected,
    RenewalFailed,
    Renewed,
    Resumed,
    SendFailed,
    SlowConsumer,
    SocketFailed,
    SourceFailed,
    Stale,
    SubscriptionRefused,
    TopicFailed,
    Undecodable,
    Verdict,
    Waiting,
)
from rxsocket.events import Problem
from rxsocket.explain.wording import sentence
from rxsocket.publishing.log import EventLog

REFUSED = ConnectionRefusedError(111, "Connection refused")
UNAUTHORIZED = HandshakeRefused(401)
RECONNECT, AWAIT = Verdict.RECONNECT, Verdict.AWAIT_AUTH

SENTENCES: list[tuple[Event, str]] = [
    (
        Connecting(epoch=1, cause=Cause.STARTED, attempt=1, url="ws://h/"),
        "connecting to ws://h/: somebody subscribed",
    ),
    (
        Connecting(
            epoch=1,
            cause=Cause.STARTED,
            attempt=1,
            url="ws://h/",
            proxy="http://proxy.example:3128",
        ),
        "connecting to ws://h/ through the proxy http://proxy.example:3128: somebody subscribed",
    ),
    (
        Connecting(epoch=4, cause=Cause.FAILED, attempt=3, url="ws://h/"),
        "connecting to ws://h/, attempt 3: the attempt failed",
    ),
    (
        Connecting(epoch=2, cause=Cause.RENEW, attempt=1, url="ws://h/", reason="GoAway"),
        "connecting to ws://h/: renew() was called: 'GoAway'",
    ),
    (
        Connecting(epoch=2, cause=Cause.GATED, attempt=1, url="ws://h/"),
        "connecting to ws://h/: the gate has opened",
    ),
    (Opened(epoch=1), "connection 1 is open"),
    (Opened(epoch=2, gap=0.616), "connection 2 is open, after a gap of 0.6 s"),
    (Opened(epoch=2, gap=0.0), "connection 2 is open, without a gap"),
    (Message(epoch=1, data="secret"), "a message came over connection 1"),
    (
        Closed(epoch=1, code=1012, verdict=RECONNECT),
        "connection 1 closed by the server with 1012 (service restart)",
    ),
    (Closed(epoch=1, cause=Cause.LEFT), "connection 1 closed: the last subscriber left"),
    (Closed(epoch=1, cause=Cause.RENEW), "connection 1 closed: renew() was called"),
    (
        Closed(epoch=1, cause=Cause.RENEW, reason="GoAway"),
        "connection 1 closed: renew() was called: 'GoAway'",
    ),
    (Closed(epoch=1, cause=Cause.GATED), "connection 1 closed: the gate was closed"),
    (Gated(reason="the gate is closed"), "waiting for the gate to open: the gate is closed"),
    (
        RenewalFailed(epoch=1, error=REFUSED, refused=False, retry_in=2.0, cause=Cause.RENEW),
        "connection 1 could not be renewed: nothing listens at that address (Connection refused); "
        "it goes on, and that is tried again 2.0 s after that",
    ),
    (
        RenewalFailed(epoch=1, error=UNAUTHORIZED, refused=True, cause=Cause.RENEW),
        "connection 1 could not be renewed: the server refused the handshake with HTTP 401 "
        "(Unauthorized); it goes on, and that is tried again when renew() is called again",
    ),
    (
        RenewalFailed(epoch=1, error=UNAUTHORIZED, refused=True, cause=Cause.MAX_AGE),
        "connection 1 could not be renewed: the server refused the handshake with HTTP 401 "
        "(Unauthorized); it goes on, and that is tried again when it gets old again",
    ),
    (
        SourceFailed(error=OSError("no lease"), argument="gate"),
        "what was given as gate= failed: no lease",
    ),
    (
        Closed(epoch=1, code=4401, verdict=AWAIT),
        "credential refused on connection 1: closed by the server with 4401",
    ),
    (
        Closed(epoch=1, cause=Cause.REFUSED, reason="a message said so", verdict=AWAIT),
        "credential refused on connection 1: a message said so",
    ),
    (
        ConnectFailed(epoch=1, error=REFUSED, verdict=RECONNECT),
        "cannot connect: nothing listens at that address (Connection refused)",
    ),
    (
        Rejected(epoch=1, error=UNAUTHORIZED, verdict=AWAIT),
        "credential refused: the server refused the handshake with HTTP 401 (Unauthorized)",
    ),
    (Aborted(epoch=2, cause=Cause.CLOSE), "the attempt was given up: close() was called"),
    (
        Waiting(delay=30.4, failures=4, cause=Cause.FAILED),
        "the next attempt comes in 30 s",
    ),
    (
        AwaitingAuth(reason="HTTP 401", cause=Cause.REFUSED),
        "waiting for another credential: HTTP 401",
    ),
    (
        AwaitingAuth(reason="HTTP 401", cause=Cause.REFUSED, asks=True),
        "waiting for another credential: HTTP 401; the function given as auth= is asked for one",
    ),
    (
        AwaitingAuth(reason="logged out", cause=Cause.LOGGED_OUT),
        "waiting for a credential: logged out",
    ),
    (
        Ended(verdict=Verdict.COMPLETE, cause=Cause.CLOSE),
        "the socket ended: close() was called",
    ),
    (
        Ended(
            verdict=Verdict.FAIL,
            cause=Cause.FAILED,
            error=SocketFailed("quotes ws://h/: gave up after attempt 1", url="ws://h/"),
        ),
        "the socket ended: gave up after attempt 1",
    ),
    (Renewed(epoch=1), "connection 1 took another credential, and goes on"),
    (
        RenewalFailed(epoch=1, error=UNAUTHORIZED, refused=True),
        "the credential could not be changed: the server refused the handshake with HTTP 401 "
        "(Unauthorized); the connection goes on with the one it had, and the change is tried again "
        "at the next attempt to connect, unless set_auth(...) gives another",
    ),
    (Stale(epoch=1, silence=60.0), "connection 1 is open, but no message came for 1 min"),
    (Fresh(epoch=1, silence=80.0), "connection 1 has messages again, after 1 min 20 s"),
    (
        Resumed(slept=7200.0),
        "time jumped by 2 h: the computer slept, or its clock was set",
    ),
    (
        ObserverFailed(error=KeyError("px"), observer="show", stream="messages"),
        "observer show of messages raised KeyError: 'px' and gets nothing more",
    ),
    (
        ObserverFailed(error=KeyError(), observer="show", stream="scheduler", detached=False),
        "observer show of scheduler raised KeyError",
    ),
    (
        SourceFailed(error=ProviderFailed("the provider raised KeyError")),
        "what was given as auth= failed: the provider raised KeyError",
    ),
    (
        SendFailed(error=NotConnected("not sent: no connection within 5 s")),
        "a message was not sent: no connection within 5 s",
    ),
    (
        DecodeFailed(epoch=1, error=Undecodable("no JSON"), excerpt="xxx: 000"),
        "no JSON; its shape: xxx: 000",
    ),
    (DecodeFailed(epoch=1, error=Undecodable("no JSON"), excerpt=""), "no JSON"),
    (
        TopicFailed(topic="trades", error=ValueError("price: no number")),
        "a payload of topic 'trades' was not decoded: price: no number",
    ),
    (
        ChannelFailed(epoch=1, channel="'BTC'", error=SubscriptionRefused("the server said no")),
        "channel 'BTC' failed: the server said no",
    ),
    (
        ChannelFailed(epoch=1, channel="'BTC'", error=KeyError("px")),
        "channel 'BTC' failed: KeyError: 'px'",
    ),
    (
        ChannelStale(epoch=1, channel="'BTC'", silence=30.0),
        "channel 'BTC' was asked for again: no message of it came over connection 1 for 30 s",
    ),
    (
        ChannelStale(epoch=1, channel="'BTC'", silence=5.0, answered=False),
        "channel 'BTC' was asked for again: no answer came over connection 1 for 5.0 s",
    ),
    (
        Dropped(epoch=1, count=256, reason="nobody subscribed"),
        "256 messages dropped: nobody subscribed",
    ),
    (Missed(epoch=2, first=11, last=11), "message 11 did not come: connection 2 went on with 12"),
    (
        Missed(epoch=2, first=11, last=14),
        "messages 11 to 14 did not come: connection 2 went on with 15",
    ),
    (
        SlowConsumer(observer="show", stream="messages", seconds=0.52),
        "observer show of messages held the loop for 0.5 s",
    ),
]


@pytest.mark.parametrize(("event", "text"), SENTENCES)
def test_an_event_in_one_sentence(event: Event, text: str) -> None:
    """It stands alone, and has no data of a message (C28)."""
    assert sentence(event) == text


def test_each_event_has_a_sentence() -> None:
    """C2: of all that may happen there is one."""
    assert {type(event) for event, _ in SENTENCES} == set(get_args(Event))


@pytest.mark.parametrize(("event", "text"), SENTENCES)
def test_the_log_says_the_same(event: Event, text: str, caplog: pytest.LogCaptureFixture) -> None:
    """A line of the log is the name of the socket and the sentence, then what else is known."""
    caplog.set_level(logging.DEBUG, "rxsocket")
    EventLog("quotes ws://h/").write(event)
    [record] = caplog.records
    assert record.getMessage().startswith(f"quotes ws://h/: {text}")
    quiet = isinstance(event, (SendFailed, TopicFailed, RenewalFailed))
    if isinstance(event, Problem) and not quiet and not isinstance(event, Closed):
        assert record.levelno == logging.WARNING
