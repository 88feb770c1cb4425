"""C54: a moment that is kept, and a past that stays where it is."""

from __future__ import annotations

from typing import Any

from extras import needs
from reactivex.subject import Subject

from rxsocket import Socket
from rxsocket.notebook import card, frame, marbles, timeline
from rxsocket.testing import VirtualClock, fake


@needs("pandas")
def test_a_moment_is_kept(clock: VirtualClock) -> None:
    """``freeze()`` is what the view was, in each of its forms, whatever comes after."""
    peer = fake()
    socket = Socket(peer.url, transport=peer, auth="secret-token")
    values: Subject[Any] = Subject()
    views = [card(socket), timeline(socket), frame(values), marbles(values)]
    with socket:
        clock.advance(1)
        values.on_next({"price": 1})
        moments = [view.freeze() for view in views]
        before = [view.static() for view in views]
        values.on_next({"price": 2})
        clock.advance(5)
    clock.advance(3)
    for view, moment, static in zip(views, moments, before, strict=True):
        data, metadata = moment._repr_mimebundle_()
        assert data == static != view.static()
        assert repr(moment) == static["text/plain"]
        assert set(metadata) == set(static) & {"image/svg+xml", "image/png"}
        assert all(one["alt"] for one in metadata.values())
        assert "secret-token" not in str(data) + str(metadata)
