"""transport=: a name or a function, checked when the socket is made."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
import reactivex as rx

from rxsocket import ConnectFailed, Event, Socket, Verdict
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
