"""What tests of behaviour need of the library that is not public, and why they need it.

Tests in ``contract``, ``wire`` and ``stateful`` import from ``rxsocket`` what users do, and take
everything else from here; ``tests/unit/test_structure.py`` sees to it. So a change inside the
library reaches these tests in one file. Taken are

- numbers of the contract, by tests that go up to a limit: ``BEGINNING``, ``EPOCH``, ``HIGH_WATER``,
  ``MAX_BYTES``, ``MAX_MESSAGES``;
- what stands for a credential that is missing: ``ANONYMOUS``, ``LOGGED_OUT``, ``PENDING``;
- what keeps a rule by itself, and is tested without a socket: ``Admission``,
  ``CredentialGroup``, ``History``, ``JsonEnvelope``, ``Mask``, ``Pattern``, ``RecentKeys``,
  ``at_once``, ``group_renewals``, ``same_identity``, and the transports;
- what makes the text of a server-sent event, for a transport of a test's: ``event_text``;
- types of what the test kit and a socket give, to annotate, derive from, or watch;
- functions that look inside of a socket, or set what a test cannot wait for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from rxsocket import Credential, Event, Request, Socket
from rxsocket.auth.credentials import ANONYMOUS, LOGGED_OUT, PENDING, same_identity
from rxsocket.auth.groups import CredentialGroup, group_renewals
from rxsocket.auth.masks import BEGINNING, Mask
from rxsocket.endpoint.admission import Admit, Admitted
from rxsocket.endpoint.endpoint import Endpoint
from rxsocket.engine.engine import Engine
from rxsocket.engine.options import SocketOptions
from rxsocket.event_text import event_text
from rxsocket.fleet.admission import Admission
from rxsocket.publishing.history import History
from rxsocket.publishing.publisher import Publisher
from rxsocket.runtime.loop import SocketLoop
from rxsocket.runtime.scheduler import LoopScheduler
from rxsocket.sending.outbox import MAX_BYTES, MAX_MESSAGES, Outbox
from rxsocket.streams.iteration import HIGH_WATER
from rxsocket.streams.overlap import RecentKeys
from rxsocket.testing.clients import PeerConnection
from rxsocket.testing.fake import Fake
from rxsocket.testing.script import Accept, Payload, Script
from rxsocket.testing.server import Server
from rxsocket.testing.virtual_loop import EPOCH
from rxsocket.topics.subscriptions import Subscriptions
from rxsocket.topics.topic import JsonEnvelope, Pattern
from rxsocket.transports import names, tcp
from rxsocket.transports.base import at_once
from rxsocket.transports.names import transport_for
from rxsocket.transports.websockets import websockets_transport

__all__ = [
    "ANONYMOUS",
    "BEGINNING",
    "EPOCH",
    "HIGH_WATER",
    "LOGGED_OUT",
    "MAX_BYTES",
    "MAX_MESSAGES",
    "PENDING",
    "Accept",
    "Admission",
    "Admit",
    "Admitted",
    "CredentialGroup",
    "Fake",
    "History",
    "JsonEnvelope",
    "LoopScheduler",
    "Mask",
    "Pattern",
    "Payload",
    "PeerConnection",
    "Publisher",
    "RecentKeys",
    "Script",
    "Server",
    "SocketLoop",
    "Subscriptions",
    "admitted_by",
    "at_once",
    "auth_provider",
    "carried_by",
    "command_line_output",
    "credential_of",
    "current_source",
    "engine_of",
    "enter_browser",
    "event_text",
    "group_renewals",
    "keep_at_most",
    "leave_browser",
    "link_of",
    "look_for_signals",
    "loop_of",
    "open_requests",
    "options_of",
    "outbox_of",
    "request_of",
    "same_identity",
    "set_prompt",
    "subscriptions_of",
    "tcp",
    "transport_for",
    "use_transport",
    "websockets_transport",
]


def admitted_by(admit: Admit, url: str) -> Endpoint:
    """An address that is dialled when a function says so, which a fleet does for its sockets."""
    return replace(Endpoint.of(url), admission=admit)


def engine_of(socket: Socket) -> Engine:
    """The model of random interleavings watches from inside: an observer changes what it sees."""
    return socket._engine


def options_of(socket: Socket) -> SocketOptions:
    """No repr of these may hold a secret (C28)."""
    return engine_of(socket).options


def auth_provider(socket: Socket) -> Any:
    """No repr of this may hold a secret either (C28)."""
    return engine_of(socket).auth.provider


def command_line_output(event: Event) -> Iterator[tuple[str, str]]:
    """What the commands write about an event holds no secret either (C28), where they are there."""
    try:
        from rxsocket.cli.output import as_json, in_words
    except ModuleNotFoundError:  # the core of the suite runs without rxsocket[cli], too
        return
    kind = type(event).__name__
    yield f"{kind} on the command line", in_words(event)
    yield f"{kind} as JSON", as_json(event)


def current_source(socket: Socket) -> Any:
    """Nor one of where the credential comes from (C28)."""
    return engine_of(socket).auth.subject.value


def look_for_signals(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """How often a thread that blocks looks for a Ctrl-C that came just before it blocked (C26)."""
    monkeypatch.setattr("rxsocket.streams.receipts.LOOK_FOR_SIGNALS", seconds)


def keep_at_most(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """How many messages a page keeps while nothing is read (C57)."""
    monkeypatch.setattr("rxsocket.transports.browser_connection.MOST_HELD", count)


def link_of(socket: Socket) -> Any:
    """Reading is stopped by hand: what a page keeps meanwhile is seen so (C57)."""
    return outbox_of(socket)._link


def loop_of(socket: Socket) -> SocketLoop:
    """A quick observer costs nothing (C27): one sees here that nobody is timed."""
    return engine_of(socket).loop


def outbox_of(socket: Socket) -> Outbox:
    """A second connection is opened by hand, to see when channels are asked for on it (C13)."""
    return engine_of(socket).outbox


def request_of(socket: Socket) -> Request:
    """What such a connection is dialled with."""
    options = options_of(socket)
    assert options.endpoint.address is not None
    return options.request(options.endpoint.address, socket.auth.value)


def subscriptions_of(socket: Socket) -> Subscriptions:
    """What channels are asked for on it."""
    return socket._get_channels().subscriptions


def carried_by(socket: Socket, epoch: int) -> int:
    """How many subscriptions a connection carries: all, before ``Opened`` is heard (C19)."""
    return len(subscriptions_of(socket)._connection(epoch).carried)


def credential_of(socket: Socket) -> Credential:
    """The credential in use, which early subscriptions are told (C37)."""
    return engine_of(socket).publisher.auth.value


def open_requests(socket: Socket) -> int:
    """The number of requests that are still known: nothing is left of one that has ended (C30)."""
    return len(socket._requests)


def use_transport(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Sockets that name no transport have this one, so that each test runs on both."""
    monkeypatch.setitem(names._PLACES, "websockets", names._PLACES[name])


def enter_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python runs in a page, where there are no sockets (C57)."""
    monkeypatch.setattr("rxsocket.runtime.page.IN_BROWSER", True)


def leave_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python runs where there are sockets, be it in a page itself (C57)."""
    monkeypatch.setattr("rxsocket.runtime.page.IN_BROWSER", False)


def set_prompt(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    """There is nobody at the keyboard who would enter a token."""
    monkeypatch.setattr("rxsocket.notebook.asking.getpass", lambda prompt: answer)
