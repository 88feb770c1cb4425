"""C32: what a server says is plain text in one line, and does not fill the log or the history."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from scene import Make, Scene
from surfaces import PLACES, Surfaces

from rxsocket import Closed, Opened, State, handover, history
from rxsocket import json as json_codec
from rxsocket.testing import VirtualClock, accept, reject, unreachable

FORGED = "2026-11-30 ERROR forged"
ODD = f"bye\r\n{FORGED}\x00\x1b[2J\x07\x7f\x85\u202e\u2028\ud800</title><b>&amp;"
IN_LINES = ("explain()", "the whole log", "card as text", "schema", "rates", "recording")
"""Surfaces that have lines of their own."""


@pytest.mark.parametrize("place", PLACES)
def test_no_control_character_is_shown(
    clock: VirtualClock,
    scene: Make,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    place: str,
) -> None:
    """C32: no surface has one; a picture is well-formed, and all can be encoded."""
    it = PLACES[place](scene, clock, ODD)
    surfaces = Surfaces(it, caplog, tmp_path)
    clock.advance(2.0)
    for name, text in surfaces.read().items():
        lines = text.splitlines() if name in IN_LINES else [text]
        assert all(map(str.isprintable, lines)), name
        assert not any(line.startswith(FORGED) for line in lines), name
        assert "<b>" not in text or name not in ("card", "timeline")
        text.encode()
        if name == "timeline":
            ElementTree.fromstring(text)


def test_a_long_text_is_cut(clock: VirtualClock, scene: Make) -> None:
    """C32: a topic of a megabyte is 500 characters where it is shown."""
    it = scene(accept().send(json.dumps({"topic": "x" * 2**20, "data": "x"})))
    it.socket.listener(":any", type=int).subscribe(lambda _: None)
    clock.advance(1.0)
    assert len(repr(history(it.socket))) < 2000


# --- the log


def _lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO]


def _undecodable(scene: Make) -> Scene:
    return scene(accept().stay(), codec=json_codec())


def _payload(scene: Make) -> Scene:
    it = scene(accept().stay())
    it.socket.listener(":any", type=int).subscribe(lambda _: None)
    return it


def _no_topic(scene: Make) -> Scene:
    it = scene(accept().stay())
    it.socket.listener("t").subscribe(lambda _: None)
    return it


def _raise(*_: object) -> Any:
    raise LookupError("a function of the user's")


def _interceptor(scene: Make) -> Scene:
    it = scene(accept().stay())
    it.socket.after_receive(_raise)
    return it


def _rejected(scene: Make) -> Scene:
    return scene(accept().stay(), rejected=_raise, stable_after=1000.0)


def _dedupe(scene: Make) -> Scene:
    how = handover(dedupe=_raise, timeout=1000.0)
    return scene(accept(), accept(), auth="a", on_auth_change=how, identity=lambda _: "me")


FLOODS: dict[str, tuple[Callable[[Make], Scene], str]] = {
    "undecodable": (_undecodable, "{"),
    "a payload": (_payload, '{"topic": "t", "data": "x"}'),
    "ever new topics": (_payload, '{"topic": "%d", "data": "x"}'),
    "a topic that is a list": (_no_topic, '{"topic": [1], "data": 1}'),
    "an interceptor that raises": (_interceptor, "x"),
    "rejected= raises": (_rejected, "x"),
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_is_a_line_and_a_count(
    clock: VirtualClock, scene: Make, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """C32: 1,000 of them are one WARNING at once, and one with their number at the end."""
    caplog.set_level(logging.INFO)
    make, message = FLOODS[name]
    it = make(scene)
    clock.advance(1.0)
    caplog.clear()
    for number in range(1000):
        it.peer.push(message.replace("%d", str(number)))
    clock.advance(1.0)
    assert len(_lines(caplog)) == 1
    it.peer.drop()
    clock.advance(0.0)
    told = [line for line in _lines(caplog)[1:] if "more like this one" in line]
    if name == "a topic that is a list":  # once for each connection
        assert told == []
    else:
        assert len(told) == 1 and "999 more" in told[0]
    assert len(_lines(caplog)) <= 4


def test_a_flood_that_goes_on_is_told_again_each_minute(
    clock: VirtualClock, scene: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """C32: with the number of those in between."""
    caplog.set_level(logging.WARNING)
    it = scene(accept().stay(), codec=json_codec())
    clock.advance(1.0)
    for _ in range(200):
        it.peer.push("{")
        clock.advance(1.0)
    told = [line for line in _lines(caplog) if "does not decode" in line]
    assert ["(59 more before this)" in line for line in told] == [False, True, True, True]


# --- the history


STORIES: dict[str, tuple[list[Any], dict[str, Any], State]] = {
    "waiting": ([accept().close(1012, "moving")] + [unreachable()] * 5, {}, State.WAITING),
    "open": ([unreachable(), accept().stay()], {}, State.OPEN),
    "awaiting": (
        [accept().close(4401, "expired"), reject(403)],
        {"auth": "a"},
        State.AWAITING_AUTH,
    ),
    "ended": ([accept().close(1000)], {}, State.CLOSED),
}


@pytest.mark.parametrize("count", [50, 150, 5000])
@pytest.mark.parametrize("name", STORIES)
@pytest.mark.slow
def test_explain_is_right_after_any_number_of_failed_sends(
    clock: VirtualClock, scene: Make, name: str, count: int
) -> None:
    """C3, C32: what the state follows from is never pushed out; the failed ones are counted."""
    scripts, options, state = STORIES[name]
    it = scene(*scripts, queue_for=0.0, **options)
    clock.advance(20.0)
    assert it.socket.state.value is state
    before = it.socket.explain()
    for _ in range(count):
        if state is State.OPEN:
            it.socket.outgoing.on_next(object())  # which cannot be sent
        else:
            it.socket.send("x")
    clock.advance(0.0)
    after = it.socket.explain()
    fields = ("state", "since", "doing", "why", "next", "due", "advice")
    assert [getattr(after, name) for name in fields] == [getattr(before, name) for name in fields]
    assert len(history(it.socket)) <= 100
    if state is not State.CLOSED:
        assert any(f"the latest of {count}" in note for note in after.notes)


def test_explain_is_right_after_any_number_of_bad_messages(
    clock: VirtualClock, scene: Make
) -> None:
    """C3, C32: the same of messages that do not decode, on a connection that is open for long."""
    it = scene(accept().close(1012, "moving"), accept().send(*["{"] * 5000), codec=json_codec())
    clock.advance(60.0)
    told = it.socket.explain()
    assert told.doing == "open for 58 s (connection 2)" and "1012 'moving'" in told.why
    assert "the latest of 5000" in told.notes[-1]
    kept = history(it.socket)
    assert any(isinstance(event, Opened) for event in kept)
    assert any(isinstance(event, Closed) for event in kept)
