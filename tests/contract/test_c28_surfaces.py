"""C28: whatever a server repeats, wherever it says it: no surface shows a secret."""

from __future__ import annotations

import base64
import html
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from scene import Make
from surfaces import CANARY, PLACES, Surfaces

from rxsocket.testing import VirtualClock

FORMS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "upper case": str.upper,
    "percent": lambda text: quote(text, safe=""),
    "base64": lambda text: base64.b64encode(f"user:{text}".encode()).decode(),
    "JSON of PHP": lambda text: text.replace("/", "\\/"),
    "HTML": lambda text: html.escape(text).replace("/", "&#x2F;").replace("+", "&#x2B;"),
}


def told(text: str, canary: str = CANARY) -> bool:
    """Whether a text shows the secret, or most of it."""
    lowered = text.lower()
    encoded = [base64.b64encode(b"x" * pad + canary.encode()).decode() for pad in range(3)]
    parts = ("c4n4ry", "z0rk", "q8x5", *(part[4:14].lower() for part in encoded))
    return any(part in lowered for part in parts)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("place", PLACES)
def test_what_a_server_repeats_shows_nowhere(
    clock: VirtualClock,
    scene: Make,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    place: str,
    form: str,
) -> None:
    """C28: as it is or encoded, in any place, of any secret that went to it."""
    it = PLACES[place](scene, clock, FORMS[form](CANARY))
    surfaces = Surfaces(it, caplog, tmp_path)
    clock.advance(2.0)
    shown = surfaces.read()
    assert [name for name, text in shown.items() if told(text)] == []
    assert len(shown) > 15


def test_topics_that_are_named_by_a_key(clock: VirtualClock, scene: Make) -> None:
    """C28: neither a listener nor an emitter shows it, nor an error about a parameter."""
    it = scene(auth={"token": CANARY})
    clock.advance(0.1)
    listener, emitter = (make(f"user/{CANARY}") for make in (it.socket.listener, it.socket.emitter))
    pattern = it.socket.listener("user/:key")
    assert repr(listener) == "<Listener user/***>" and repr(emitter) == "<Emitter user/***>"
    with pytest.raises(ValueError, match="cannot be the segment :key") as caught:
        pattern.with_params(key=CANARY)
    assert not told(str(caught.value))
