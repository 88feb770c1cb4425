"""C28: what a server repeats of a credential shows nowhere, in virtual time."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable
from urllib.parse import quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from internals import BEGINNING, Mask
from scene import Make

from rxsocket import Closed, Credential, SocketFailed, Verdict, history, standard
from rxsocket.testing import VirtualClock, accept

CANARY = "canary/4711+0815=and a few more"


@pytest.mark.parametrize("code", [1000, 1012, 4401])
def test_a_reason_is_masked_where_it_is_read(
    clock: VirtualClock, scene: Make, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    """Events, the log, the history and the explanation have it masked, whatever follows the end."""
    caplog.set_level(logging.DEBUG)
    it = scene(accept().close(code, f"bad {CANARY}!"), auth={"token": CANARY, "room": 7})
    clock.advance(0.1)
    closed = next(event for event in it.events if isinstance(event, Closed))
    assert closed.reason == "bad ***!"
    shown = [repr(it.events), repr(history(it.socket)), caplog.text]
    shown += [str(it.socket.explain()), repr(it.socket.explain())]
    assert "bad ***" in shown[3] or code == 1000
    assert not [text for text in shown if "canary" in text]


def test_what_was_tried_is_masked(clock: VirtualClock, scene: Make) -> None:
    """The exception that ends the socket has the masked reasons of all attempts."""
    verdicts = standard().override({1012: Verdict.RECONNECT})
    scripts = [accept().close(1012, f"{number} {CANARY}") for number in range(3)]
    it = scene(*scripts, auth=CANARY, verdicts=verdicts, max_attempts=3)
    ends: list[Exception] = []
    it.socket.messages.subscribe(on_error=ends.append)
    clock.advance(60.0)
    (end,) = ends
    assert isinstance(end, SocketFailed) and len(end.tried) == 3
    assert all(f"{number} ***" in one.outcome for number, one in enumerate(end.tried))
    assert "canary" not in str(end) + repr(end.tried)


def test_short_values_and_other_texts_stay(clock: VirtualClock, scene: Make) -> None:
    """A value of three characters is too little to be told from other text: it masks nothing."""
    it = scene(accept().close(1012, "room 7 is full, try 77"), auth={"token": CANARY, "room": "7"})
    clock.advance(0.1)
    closed = next(event for event in it.events if isinstance(event, Closed))
    assert closed.reason == "room 7 is full, try 77"


WAYS: list[Callable[[str], str]] = [
    str,
    quote_plus,
    json.dumps,
    repr,
    lambda text: base64.b64encode(text.encode()).decode(),
    lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
]


@example("0000000000000:0000000000", str, 18)  # two of its forms begin alike
@given(
    st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S")), min_size=24),
    st.sampled_from(WAYS),
    st.integers(min_value=BEGINNING + 2),
)
def test_a_reason_that_was_cut_is_recognised(
    value: str, way: Callable[[str], str], length: int
) -> None:
    """A close frame has room for 123 bytes: of a long value that was cut nothing is left."""
    written = way(value)[:length]
    masked = Mask([Credential.of(value)]).in_reason(f"no {written}")
    assert masked.startswith("no ") and len(masked) <= 3 + 3 + 4
