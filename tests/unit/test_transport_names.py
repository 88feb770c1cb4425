"""transport=: a name or a function, checked when the socket is made."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
import reactivex as rx

from rxsocket import (
    Carried,
    ConnectFailed,
    Event,
    ReceiveOnly,
    Socket,
    Verdict,
    first_message,
    header,
    heartbeat,
    in_band,
    subprotocol,
)
from rxsocket.fleet import ChannelSpec, Fleet
from rxsocket.sse import last_event_id
from rxsocket.testing import VirtualClock, fake
from rxsocket.transports import names


def test_an_unknown_name() -> None:
    """A ValueError names the argument and the names there are."""
    with pytest.raises(ValueError, match=r"^transport: pass 'websockets', 'picows'"):
        Socket("ws://example.com/", transport="pigeon")  # type: ignore[arg-type]


def test_a_function() -> None:
    """A function is taken as it is."""
    network = fake()
    assert Socket(network.url, transport=network)._engine.options.transport is network


def broken(*_: object) -> Any:
    raise LookupError("no such network")


@pytest.mark.parametrize(
    ("transport", "why"),
    [
        (lambda _: [1, 2], "return an Observable of signals, not list"),
        (lambda _: rx.throw(LookupError("no such network")), "no such network"),
        (lambda _: rx.create(broken), "no such network"),
        (broken, "no such network"),
        (lambda _: rx.empty(), "the transport ended without a reason"),
    ],
)
def test_a_function_that_does_not_work(
    clock: VirtualClock, transport: Callable[..., Any], why: str
) -> None:
    """Whatever it does, it is a failed attempt like any other, and the socket tries again."""
    socket = Socket("ws://example.com/", transport=transport)
    events: list[Event] = []
    socket.events.subscribe(events.append)
    clock.advance(60.0)
    failed = [event for event in events if isinstance(event, ConnectFailed)]
    assert len(failed) > 2
    assert all(why in str(event.error) for event in failed)
    assert {event.verdict for event in failed} == {Verdict.RECONNECT}
    socket.close()
    clock.advance(3.0)
    assert not clock.tasks


def test_a_transport_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without picows, making the socket fails and says what to install."""
    for name in list(sys.modules):
        if name.startswith(
            ("picows", "rxsocket.transports.p", "rxsocket.transports.picows_connection")
        ):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "picows", None)
    names._imported.cache_clear()
    with pytest.raises(ImportError, match=r"'picows'.*pip install 'rxsocket\[fast\]'") as caught:
        Socket("ws://example.com/", transport="picows")
    # Whichever of the two is looked for first.
    assert caught.value.name in {"picows", "aiofastnet"}
    Socket("ws://example.com/", transport="websockets")


def test_compression_that_a_transport_cannot_do() -> None:
    """Deflate on picows fails at once when it is asked for, and is left out when it is not."""
    pytest.importorskip("picows")
    with pytest.raises(ValueError, match=r"^compression: transport='picows'"):
        Socket("ws://example.com/", transport="picows", compression="deflate")
    for given in ("auto", None):
        socket = Socket("ws://example.com/", transport="picows", compression=given)  # type: ignore[arg-type]
        assert socket._engine.options.handshake.compression is None
    with pytest.raises(ValueError, match=r"^compression: pass 'auto'"):
        Socket("ws://example.com/", transport="picows", compression="gzip")  # type: ignore[arg-type]


def test_compression_by_default() -> None:
    """By default deflate is offered where the transport can do it."""
    assert Socket("ws://example.com/")._engine.options.handshake.compression == "deflate"


@pytest.mark.parametrize(
    ("url", "transport", "text"),
    [
        ("https://a.test/", "websockets", "not a WebSocket address; pass wss:// instead of https"),
        ("http://a.test/", "picows", "not a WebSocket address; pass ws:// instead of http://"),
        ("wss://a.test/", "sse", "not an address of server-sent events; pass https:// instead of"),
        ("ws+unix:/a.sock:/", "sse", "not an address of server-sent events; pass http:// instead"),
        (["ws://a.test/", "http://a.test/"], "auto", "addresses of one kind go together"),
    ],
)
def test_an_address_that_a_transport_does_not_speak_with(
    url: Any, transport: Any, text: str
) -> None:
    """The error names the scheme to pass."""
    with pytest.raises(ValueError, match=f"^url: {text}"):
        Socket(url, transport=transport)


def test_the_scheme_chooses_the_transport() -> None:
    """Without a word an address that begins with http is that of an event stream (C50)."""
    pytest.importorskip("httptools")
    for url, name in (("http://a.test/", "sse"), ("wss://a.test/", "websockets")):
        assert Socket(url)._engine.options.transport_name == name
    assert Socket("unix:/a.sock:/", transport="sse")._engine.options.receives_only


def test_event_streams_without_their_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to install, and what the address of a WebSocket begins with."""
    for name in ("httptools", "rxsocket.transports.sse", "rxsocket.transports.sse_connection"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "httptools", None)
    names._imported.cache_clear()
    text = r"'sse' needs httptools; run pip install 'rxsocket\[sse\]'.*begins with ws:// or wss://"
    with pytest.raises(ImportError, match=text):
        Socket("https://example.com/")
    names._imported.cache_clear()


def test_what_cannot_be_where_nothing_is_sent() -> None:
    """Each argument that would send is an error when the socket is made (C50)."""
    pytest.importorskip("httptools")
    url, key = "https://a.test/", {"a": "b"}
    for arguments, text in (
        ({"carrier": subprotocol()}, r"^carrier: subprotocol\(\) cannot .*pass query\(\), header"),
        ({"carrier": header(only="a") & first_message(str)}, r"^carrier: first_message\(\) cannot"),
        ({"auth": key, "carrier": offering}, r"^carrier: it returned subprotocols"),
        ({"on_auth_change": in_band(str)}, r"^on_auth_change: in_band\(\) .*pass reconnect\(\)"),
        ({"heartbeat": heartbeat(send="a", expect=bool)}, "^heartbeat: it is sent"),
        ({"subprotocols": ["a"]}, "^subprotocols: an event stream has none"),
        ({"compression": "deflate"}, "^compression: transport='sse' can do none"),
        ({"ping_interval": -1}, "^ping_interval: "),
    ):
        with pytest.raises(ValueError, match=text):
            Socket(url, **arguments)  # type: ignore[arg-type]


def offering(_: Any) -> Carried:
    return Carried(subprotocols=["a"])


def test_last_event_id() -> None:
    """What no event can have is refused; a number is one if ids are consecutive (C50)."""
    for start in ("a\nb", "a\0b"):
        with pytest.raises(ValueError, match=r"^last_event_id\(start\): an id has no line break"):
            last_event_id(start)
    with pytest.raises(TypeError, match=r"^last_event_id\(start\): "):
        last_event_id(7)  # type: ignore[arg-type]
    assert last_event_id("7", gaps=True).first() == 7
    assert last_event_id("07", gaps=True).first() == "07"
    assert last_event_id("7").first() == "7" and last_event_id().first() is None


def test_a_fleet_needs_to_send() -> None:
    """It asks for channels: that cannot be is said when it is made (C50)."""
    pytest.importorskip("httptools")
    with pytest.raises(ReceiveOnly, match="the server only sends here"):
        Fleet("https://a.test/", channel=ChannelSpec(subscribe=lambda keys: {"keys": keys}))
