"""Where a server can say something, and all on which a socket shows what happened to it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from internals import command_line_output
from scene import Make, Scene

from rxsocket import (
    ChannelFailed,
    Event,
    Message,
    ObserverFailed,
    Socket,
    first_message,
    handover,
    history,
    in_band,
)
from rxsocket.notebook import rates, schema, timeline
from rxsocket.recording import record
from rxsocket.testing import VirtualClock, accept, reject

CANARY = "c4n4ry/z0rk+q8x5"
"""The secret of each of the places."""


class Surfaces:
    """Of one socket; made before anything happens to it.

    Args:
        it: The socket, and its events.
        caplog: What it logs; all of it is.
        folder: Where it is recorded.
    """

    def __init__(self, it: Scene, caplog: pytest.LogCaptureFixture, folder: Path) -> None:
        caplog.set_level(logging.DEBUG)
        self._it = it
        self._caplog = caplog
        self._recorder = record(it.socket, folder / "session.jsonl")
        self._timeline = timeline(it.socket)
        looking = it.socket.messages.passive(audience=False)
        self._schema, self._rates = schema(looking), rates(looking, by="key")

    def read(self) -> dict[str, str]:
        """What each of them shows."""
        return dict(self._read())

    def _read(self) -> Iterator[tuple[str, str]]:
        socket = self._it.socket
        for event in self._it.events:
            if not isinstance(event, Message):  # that is what the user asked for
                yield from _event(event)
        yield "history", repr(history(socket))
        yield "explain()", str(socket.explain())
        yield "repr of explain()", repr(socket.explain())
        yield "socket", f"{socket} {vars(socket)!r}"
        for entry in self._caplog.records:
            yield f"log of {entry.name}", entry.getMessage()
        yield "the whole log", self._caplog.text
        bundle: dict[str, Any] = socket._repr_mimebundle_()
        yield "card as text", bundle["text/plain"]
        yield "card", bundle["text/html"]
        yield "timeline", self._timeline.svg()
        yield "schema", f"{self._schema!r} {self._schema.structs()}"
        yield "rates", f"{self._rates!r}"
        self._recorder.dispose()
        yield "recording", self._recorder.path.read_text("ascii")


def _event(event: Event) -> Iterator[tuple[str, str]]:
    kind = type(event).__name__
    yield f"repr of {kind}", repr(event)
    yield from command_line_output(event)
    for field in fields(event):
        value = getattr(event, field.name)
        if not (
            isinstance(event, (ChannelFailed, ObserverFailed)) and isinstance(value, BaseException)
        ):
            yield f"{kind}.{field.name}", str(value)


def _reason(make: Make, clock: VirtualClock, said: str) -> Scene:
    return make(accept().close(4401, f"no: {said}"), auth={"token": CANARY})


def _lost(make: Make, clock: VirtualClock, said: str) -> Scene:
    return make(accept().close(1011, f"no: {said}"), reject(503), auth={"token": CANARY})


def _before_it_opens(make: Make, clock: VirtualClock, said: str) -> Scene:
    carrier = first_message(str, accepted=lambda _: False)
    script = accept().wait(0.05).close(4401, f"no: {said}")
    return make(script, auth=CANARY, carrier=carrier)


def _retry_after(make: Make, clock: VirtualClock, said: str) -> Scene:
    return make(reject(503, {"Retry-After": said}), auth={"token": CANARY})


def _message(make: Make, clock: VirtualClock, said: str) -> Scene:
    return make(accept().send(f"hello {said}").stay(), auth={"token": CANARY})


def _earlier_one(make: Make, clock: VirtualClock, said: str) -> Scene:
    it = make(accept(), accept().send(said).close(4401, said), auth={"token": CANARY})
    clock.advance(1.0)
    it.socket.set_auth({"token": "another one"})
    return it


def _refused_beside(make: Make, clock: VirtualClock, said: str) -> Scene:
    """One that never came into use."""
    how: dict[str, Any] = {"on_auth_change": handover(), "identity": lambda _: "me"}
    it = make(accept(), reject(401), auth={"token": "initial"}, **how)
    clock.advance(1.0)
    it.socket.set_auth({"token": CANARY})
    clock.advance(1.0)
    it.peer.push(f"what was {said}?")
    return it


def _in_band(make: Make, clock: VirtualClock, said: str) -> Scene:
    how = in_band(str, accepted=lambda said: said == "yes")
    script = accept().expect(str({"token": CANARY})).send(said).close(4401, f"no {said}")
    options: dict[str, Any] = {"on_auth_change": how, "identity": lambda _: "me"}
    it = make(script, auth={"token": "initial"}, **options)
    clock.advance(1.0)
    it.socket.set_auth({"token": CANARY})
    return it


def _in_json(said: str) -> str:
    """A text that may be escaped already."""
    return f'"{said}"' if said.isprintable() else json.dumps(said)


def _topic(make: Make, clock: VirtualClock, said: str) -> Scene:
    it = make(accept().stay(), auth={"token": CANARY})
    it.socket.listener(":any/:more", type=int).subscribe(lambda _: None)
    it.socket.listener(":any", type=int).subscribe(lambda _: None)
    clock.advance(1.0)
    it.peer.push(f'{{"topic": {_in_json(said)}, "data": "x"}}')
    return it


def _channel(make: Make, clock: VirtualClock, said: str) -> Scene:
    """Refused in words of the server's, and named by a key."""
    it = make(accept().send(f"no {said}").stay(), auth={"token": CANARY})
    said = said.encode(errors="replace").decode()  # half a surrogate pair cannot be sent
    for key in (CANARY, said):
        channel = it.socket.channel(
            subscribe=key, key=key, by=str, acknowledged=lambda message: PermissionError(message)
        )
        channel.subscribe(on_error=lambda _: None)
    silent = it.socket.channel(subscribe=f"sub {said}", key=f"k {said}", by=str, stale_after=0.5)
    silent.subscribe()
    return it


def _refused_with_data(make: Make, clock: VirtualClock, said: str) -> Scene:
    """Why a channel is refused may be an exception that was made of a whole message."""
    it = make(accept().send(said).stay(), auth={"token": CANARY})

    def refused(message: str) -> Exception:
        return PermissionError({"reason": [message, (1, message)], message: None})

    channel = it.socket.channel(subscribe="s", match=bool, acknowledged=refused)
    channel.subscribe(on_error=lambda _: None)
    return it


def _observer_of_a_topic(make: Make, clock: VirtualClock, said: str) -> Scene:
    """Whoever observes it, and raises, is reported with the name of its stream."""
    it = make(accept().stay(), auth={"token": CANARY})
    it.socket.listener(json.loads(_in_json(said))).subscribe(lambda value: 1 // value)
    clock.advance(1.0)
    it.peer.push(f'{{"topic": {_in_json(said)}, "data": 0}}')
    return it


def _quoted_by_an_observer(make: Make, clock: VirtualClock, said: str) -> Scene:
    def bad(message: object) -> None:
        raise ValueError(f"cannot read {message}")

    it = make(accept().send(f"hello {said}").stay(), auth={"token": CANARY}, watch=False)
    it.socket.messages.subscribe(bad)
    it.watch()
    return it


def _user_info(make: Make, clock: VirtualClock, said: str) -> Scene:
    it = make(accept().send(said).close(4401, said), watch=False)
    url = f"ws://user:{quote(CANARY, safe='')}@fake.test/"
    return _other_socket(it, url)


def _query(make: Make, clock: VirtualClock, said: str) -> Scene:
    it = make(accept().send(said).close(4401, said), watch=False)
    return _other_socket(it, f"ws://fake.test/?key={quote_plus(CANARY)}")


def _header(make: Make, clock: VirtualClock, said: str) -> Scene:
    it = make(accept().send(said).close(4401, said), watch=False)
    headers = {"X-Api-Key": CANARY, "Cookie": f"sid={CANARY}; theme=dark"}
    return _other_socket(it, "ws://fake.test/", additional_headers=headers)


def _other_socket(it: Scene, url: str, **options: Any) -> Scene:
    it.socket = Socket(url, transport=it.peer, **options)
    it.watch()
    return it


def _body(make: Make, clock: VirtualClock, said: str) -> Scene:
    return make(reject(401, body=f"bad token {said}"), auth={"token": CANARY})


PLACES: dict[str, Callable[[Make, VirtualClock, str], Scene]] = {
    "a reason": _reason,
    "the reason of a lost connection": _lost,
    "a reason before it opens": _before_it_opens,
    "Retry-After": _retry_after,
    "the body of a refusal": _body,
    "a message": _message,
    "an earlier credential": _earlier_one,
    "one refused beside": _refused_beside,
    "in band": _in_band,
    "a topic": _topic,
    "a channel": _channel,
    "a refusal made of a message": _refused_with_data,
    "an observer of a topic": _observer_of_a_topic,
    "quoted by an observer": _quoted_by_an_observer,
    "user info": _user_info,
    "the query": _query,
    "a header": _header,
}
