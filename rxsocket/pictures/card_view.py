"""The card of a socket in a notebook."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from reactivex import abc

from rxsocket.engine.engine import Engine
from rxsocket.pictures.card import Card, card
from rxsocket.pictures.card_html import card_html
from rxsocket.pictures.card_text import card_text
from rxsocket.pictures.live_bundle import bundle
from rxsocket.pictures.live_view import Drawn, View, Window
from rxsocket.pictures.timeline_tape import tape_of

__all__ = ["CardView", "card_bundle", "static_card"]


class CardView(View):
    """Draws the card of one socket."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._tape = tape_of(engine)

    def card(self) -> Card:
        """What it shows at this moment."""
        return card(self._engine, self._tape)

    def watch(self, changed: Callable[[], None]) -> abc.DisposableBase:
        """Call back after each thing that happened to the socket, until disposed."""
        return self._tape.watch(changed)

    def drawn(self, window: Window) -> Drawn:
        """Draw it."""
        now = self.card()
        # The rate sinks when nothing comes any more; ages are counted by the front end.
        return Drawn(card_html(now, _zone(now)), again=1.0 if now.rate else None)

    def static(self) -> dict[str, str]:
        """It as it is now, for a page without script and for text."""
        now = self.card()
        return {"text/plain": card_text(now), "text/html": card_html(now, _zone(now))}


def card_bundle(engine: Engine) -> dict[str, Any]:
    """The card of a socket in every form there is."""
    view = _view(engine)
    return bundle(view, view.static())


def static_card(engine: Engine) -> dict[str, str]:
    """The card of a socket as it is now: HTML and text."""
    return _view(engine).static()


def _view(engine: Engine) -> CardView:
    views = tape_of(engine).views
    view = views.get("card")
    if not isinstance(view, CardView):
        view = views["card"] = CardView(engine)
    return view


def _zone(shown: Card) -> float:
    return time.localtime(shown.now).tm_gmtoff
