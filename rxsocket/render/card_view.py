"""The view of a card: drawn live, with what its buttons do."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from reactivex import abc

from rxsocket.engine.engine import Engine
from rxsocket.render.activity import recorder_of
from rxsocket.render.card import Card, card_of, card_text
from rxsocket.render.card_html import card_html
from rxsocket.render.live_view import LiveView
from rxsocket.render.preview import Redact
from rxsocket.render.view import Action, Rendering, TimeWindow
from rxsocket.stats import stats_of
from rxsocket.validation import is_list, is_mapping

SECONDS = 40
"""Of the rates that are shown."""
LARGEST = 1_000_000
"""Characters of a message that is shown whole: of more, hiding secrets takes too long."""
SEEN = 20
"""Messages that are kept to be shown whole: those of the last pictures."""
DEPTH = 20
OUTCOMES = {
    "InEffect": "the other credential is in effect",
    "NotInEffect": "the other credential is not in effect",
    "Overtaken": "a newer credential has replaced it",
    "Refused": "the server refused the other credential",
    "Stored": "the other credential is kept for the next start",
}
PATIENCE = 30.0
"""Seconds to wait for what becomes of a credential."""


class RateSamples:
    """The rate in each of the last seconds, from a count that is read now and then."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def add(self, at: float, count: int, watched_since: float | None) -> None:
        """Take a count; while it is watched, it has not changed since the last one but just now."""
        samples = self._samples
        is_watched = bool(samples) and watched_since is not None and watched_since <= samples[-1][0]
        if samples and samples[-1][0] >= at:
            return
        if samples and is_watched and at - samples[-1][0] > 1.5:
            samples.append((at - 0.5, samples[-1][1]))
        samples.append((at, count))
        while len(samples) > 2 and samples[1][0] < at - SECONDS - 1:
            samples.popleft()

    def rates(self, now: float) -> list[float]:
        """The count of each whole second before now, oldest first, as far as it is known."""
        if len(self._samples) < 2:
            return []
        known = min(SECONDS, int(now - self._samples[0][0]))
        counts = [self._count_at(now - back) for back in range(known, -1, -1)]
        rates = [max(0.0, after - before) for before, after in pairwise(counts)]
        return rates if len(rates) >= 3 and any(rates) else []

    def _count_at(self, at: float) -> float:
        before = self._samples[0]
        for sample in self._samples:
            if sample[0] >= at:
                span = sample[0] - before[0]
                part = (at - before[0]) / span if span > 0 else 1.0
                return before[1] + (sample[1] - before[1]) * max(0.0, part)
            before = sample
        return before[1]


class CardView(LiveView):
    """Draws the card of one socket. Made by ``card(socket)``."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._samples = RateSamples()
        self._watched_since: float | None = None
        self._seen: dict[int, Any] = {}
        self._is_held = False

    def subscribe_changes(self, on_change: Callable[[], None]) -> abc.DisposableBase:
        """Call back after each thing that the socket did, until disposed."""
        self._watched_since = self._engine.loop.wall_time()
        return recorder_of(self._engine).record_messages(on_change)

    @property
    def title(self) -> str:
        """What it is, in a few words."""
        return f"card of {self._engine.label}"

    def render(self, window: TimeWindow) -> Rendering:
        """Draw it for a page."""
        card, rates = self._now()
        if not self._is_held:
            newer = {message.number: message.payload for message in reversed(card.messages)}
            self._seen = dict([*(self._seen | newer).items()][-SEEN:])
        # Without messages the rate still falls; ages are counted by the front end.
        return Rendering(
            card_html(card, _zone(card), is_live=True, rates=rates),
            redraw_after=1.0 if rates or (card.rate is None and card.received) else None,
            status=f"{card.name or 'socket'}: {card.state.value}",
        )

    def static(self) -> dict[str, Any]:
        """The card as it is now, for a page without script, and as text."""
        card, rates = self._now()
        html = card_html(card, _zone(card), rates=rates)
        return {"text/plain": card_text(card), "text/html": html}

    def _now(self) -> tuple[Card, list[float]]:
        card = card_of(self._engine)
        received = stats_of(self._engine).messages_received
        self._samples.add(card.now, received, self._watched_since)
        return card, self._samples.rates(card.now)

    # --- what its buttons do

    @property
    def actions(self) -> tuple[Action, ...]:
        """Reconnect, close, and another credential."""
        return (
            Action("reconnect", "reconnect", "close the connection and make a new one"),
            Action("close", "close", "close the socket"),
            Action("credential", "credential", "use another credential", self._asked_for()),
        )

    def act(self, name: str, value: Any) -> str:
        """Do what a button says; from any thread but the socket's."""
        match name, value:
            case "reconnect", _:
                self._engine.reconnect()
                return ""
            case "close", _:
                self._engine.close()
                return ""
            case "credential", str(text) if text:
                return self._set_credential(text)
            case "message", _:
                return self._message(int(value))
            case _:
                return super().act(name, value)

    def hold(self, is_held: bool) -> None:
        """Keep the messages that are shown, so that each can be shown whole."""
        self._is_held = is_held

    def _value(self) -> Any:
        """The last credential that had a value."""
        known = [one for _, one in self._engine.publisher.history.credentials if one.has_value]
        return known[-1].reveal() if known else None

    def _asked_for(self) -> str:
        value = self._value()
        names = list(value) if is_mapping(value) else []
        return str(names[0]) if len(names) == 1 else "credential"

    def _set_credential(self, text: str) -> str:
        value = self._value()
        names = list(value) if is_mapping(value) else []
        if len(names) > 1:
            return f"it has several parts: call set_auth(...) with {', '.join(map(str, names))}"
        outcome = self._engine.auth.set_auth({names[0]: text} if names else text)
        try:
            settled = outcome.result(PATIENCE)
        except TimeoutError:
            return "it is not known yet whether the server accepts it"
        name = type(settled).__name__
        return OUTCOMES.get(name, f"the other credential: {name}")

    def _message(self, number: int) -> str:
        seen = self._seen
        if number not in seen:
            return "that message is not kept any more: pause the card, then look at one"
        return whole(seen[number], self._engine.publisher.history.mask)


def card_view(engine: Engine) -> CardView:
    """The card of a socket; there is one, however often it is shown."""
    views = recorder_of(engine).views
    view = views.get("card")
    if not isinstance(view, CardView):
        view = views["card"] = CardView(engine)
    return view


def whole(payload: Any, redact: Redact) -> str:
    """A payload as text, nothing of it left out but what is secret (C28)."""
    if isinstance(payload, (bytes, bytearray)):
        text = bytes(payload[: LARGEST // 3]).hex(" ")
    elif isinstance(payload, str):
        text = payload
    else:
        clean = _clean(payload, redact, DEPTH)
        text = json.dumps(clean, indent=2, ensure_ascii=False, default=repr)
    if len(text) > LARGEST:
        return f"it has {len(text):,} characters, too many to be shown"
    return str(redact(text))


def _clean(value: Any, redact: Redact, depth: int) -> Any:
    """A value for JSON, each text in it redacted as a whole."""
    if isinstance(value, str):
        return redact(value)
    if depth and is_mapping(value):
        return {str(redact(str(key))): _clean(one, redact, depth - 1) for key, one in value.items()}
    if depth and is_list(value):
        return [_clean(one, redact, depth - 1) for one in value]
    return value if isinstance(value, (int, float, bool, type(None))) else redact(repr(value))


def _zone(card: Card) -> float:
    return time.localtime(card.now).tm_gmtoff
