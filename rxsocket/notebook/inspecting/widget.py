"""The widget of an inspector: what it tells each place in a front end that shows it.

::

    thread that draws     rows ── rows ── rows          new ones, 4 times a second, while it is seen
    front end             look     open     send        a filter, a row, a message
    thread of the kernel     rows     message  sent

Each place has a filter of its own, and gets the rows that pass it. No message is in the state of
the widget, which a notebook may save.
"""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import resources
from typing import TYPE_CHECKING, Any, ClassVar

import anywidget
import traitlets
from reactivex import abc
from reactivex.disposable import Disposable

from rxsocket.explain.causes import kind_and_text
from rxsocket.notebook.inspecting.rows import KINDS, Filter, InspectedRow
from rxsocket.notebook.inspecting.traffic import Entry
from rxsocket.render.redraw import RedrawThrottle
from rxsocket.render.view import Rendering

if TYPE_CHECKING:
    from rxsocket.notebook.inspector import Inspector

AT_ONCE = 100
"""New rows that are told at once; of more, the newest, and how many there were."""
PAGE = 1000
"""Rows that are told when a filter is new, or somebody scrolls back."""
LONGEST_SEARCH = 500
SECONDS = 3.0
"""Seconds over which the rate is taken."""


@dataclass
class _Viewer:
    """One place where it is shown.

    Attributes:
        chosen: Its filter.
        told: The number of the newest entry that it was told, or that did not pass.
        held: What was kept when it was paused; ``None`` while it is not.
    """

    chosen: Filter = field(default_factory=Filter)
    told: int | None = None
    held: dict[int, Entry] | None = None


class InspectorWidget(anywidget.AnyWidget):
    """Shows an inspector while a front end says that it is visible.

    Args:
        inspector: What is shown; it is not kept.
        kernel: The loop on which the front end's messages arrive; ``None`` if that is not known.
        on_change: Called when there is something new.
        on_rest: Called when nobody looks any more.
        on_hold: Called with whether somebody uses it just now, who is not to be disturbed.
    """

    _esm: ClassVar[str] = (
        resources.files("rxsocket.notebook.inspecting")
        .joinpath("inspector.js")
        .read_text(encoding="utf-8")
    )
    title = traitlets.Unicode("").tag(sync=True)
    key = traitlets.Unicode("").tag(sync=True)
    can_send = traitlets.Bool(True).tag(sync=True)
    sends_json = traitlets.Bool(False).tag(sync=True)

    def __init__(
        self,
        inspector: Inspector,
        kernel: asyncio.AbstractEventLoop | None,
        *,
        on_change: Callable[[], None],
        on_rest: Callable[[], None],
        on_hold: Callable[[bool], None],
    ) -> None:
        # The front end's registry keeps every widget for good, which must not keep the socket.
        self._inspector = weakref.ref(inspector)
        self._on_change, self._on_hold = on_change, on_hold
        self._lock = threading.Lock()
        self._viewers: dict[str, _Viewer] = {}
        self._holders: set[str] = set()
        self._counts: list[tuple[float, int]] = []
        self._waiting: list[dict[str, Any]] = []
        self._version = 0
        super().__init__(
            title=inspector.title, can_send=inspector.can_send, sends_json=inspector.sends_json
        )
        self.key = str(self.model_id or "")
        self.throttle = RedrawThrottle(
            self._subscribe, self._draw, self._show, kernel, beat=self._beat, on_rest=on_rest
        )
        self.on_msg(self._on_message)  # pyright: ignore[reportUnknownMemberType]
        self.throttle.start()

    def close(self) -> None:
        """End it in the front end."""
        self.throttle.suspend()
        super().close()

    def _subscribe(self, on_change: Callable[[], None]) -> abc.DisposableBase:
        inspector = self._inspector()
        return Disposable() if inspector is None else inspector.subscribe_changes(on_change)

    # --- on the thread that draws

    def _draw(self) -> Rendering:
        """Make what the places are told; it is new while entries come, and as the rate falls."""
        inspector = self._inspector()
        if inspector is None:
            return Rendering("gone")
        with self._lock:
            viewers = dict(self._viewers)
        about = self._about(inspector)
        self._waiting = [
            told | about
            for name, viewer in viewers.items()
            if (told := self._news(inspector, name, viewer)) is not None
        ]
        self._version += any(told["kind"] == "rows" for told in self._waiting)
        version = f"{self._version} {about['rate']} {about['status']}"
        return Rendering(version, 1.0 if about["rate"] else None)

    def _show(self, _: Rendering) -> None:
        waiting, self._waiting = self._waiting, []
        for told in waiting:
            self._tell(told)
        self._on_change()

    def _beat(self) -> None:
        self._tell({"kind": "beat"})

    def _about(self, inspector: Inspector) -> dict[str, Any]:
        traffic, now = inspector.traffic, time.monotonic()
        counts = [one for one in self._counts if now - one[0] <= SECONDS]
        counts.append((now, traffic.received))
        self._counts = counts
        seconds = now - counts[0][0]
        rate = (traffic.received - counts[0][1]) / seconds if seconds > 0.5 else 0.0
        return {"status": inspector.status, "rate": round(rate, 1), "hint": inspector.hint}

    def _news(self, inspector: Inspector, name: str, viewer: _Viewer) -> dict[str, Any] | None:
        told, chosen, maker = viewer.told, viewer.chosen, inspector.maker
        if viewer.held is not None:
            return {"kind": "status", "viewer": name}
        entries = inspector.traffic.entries(told or 0)
        if told is not None and not entries:
            return {"kind": "status", "viewer": name}
        viewer.told = entries[-1].number if entries else 0
        if told is None:
            return _page(name, "rows", maker.rows(reversed(entries), chosen, PAGE))
        passing = list(maker.matching(reversed(entries), chosen))
        rows = maker.rows(passing[:AT_ONCE], Filter(), AT_ONCE)
        skipped = len(passing) - len(rows)
        return _page(name, "rows", rows) | {"new": False, "skipped": skipped}

    # --- messages of the front end

    def _tell(self, content: dict[str, Any]) -> None:
        self.send(content)  # pyright: ignore[reportUnknownMemberType]

    def _on_message(self, _: Any, content: Any, __: Any) -> None:
        match content:
            case {"kind": "visible", "viewer": str(viewer)}:
                with self._lock:
                    self._viewers.setdefault(viewer, _Viewer())
                self.throttle.on_visible(viewer)
                self.throttle.invalidate()
            case {"kind": "hidden", "viewer": str(viewer)}:
                self._hold(viewer, False)
                with self._lock:
                    if viewer in self._viewers:
                        self._viewers[viewer].told = None  # it may have missed many
                self.throttle.on_hidden(viewer)
            case {"kind": "left", "viewer": str(viewer)}:
                with self._lock:
                    self._viewers.pop(viewer, None)
                self._hold(viewer, False)
                self.throttle.on_hidden(viewer)
            case {"kind": "hold", "viewer": str(viewer), "held": bool(held)}:
                self._hold(viewer, held)
            case {"kind": "look", "viewer": str(viewer)}:
                self._look(viewer, content)
            case {"kind": "open", "viewer": str(viewer), "number": int(number)}:
                self._open(viewer, number)
            case {"kind": "older", "viewer": str(viewer), "before": int(before)}:
                self._older(viewer, before)
            case {"kind": "send", "viewer": str(viewer), "text": str(text)}:
                self._send_typed(viewer, text)
            case {"kind": "clear", "viewer": str(_)}:
                self._clear()
            case _:
                pass

    def _hold(self, viewer: str, held: bool) -> None:
        before = bool(self._holders)
        (self._holders.add if held else self._holders.discard)(viewer)
        if before != bool(self._holders):
            self._on_hold(not before)

    def _look(self, name: str, content: dict[str, Any]) -> None:
        """Another filter, or a pause, or its end."""
        inspector = self._inspector()
        if inspector is None:
            return
        kinds, epoch = content.get("kinds"), content.get("epoch")
        chosen = Filter(
            str(content.get("text") or "")[:LONGEST_SEARCH],
            frozenset(one for one in KINDS if isinstance(kinds, list) and one in kinds),
            epoch if isinstance(epoch, int) else None,
        )
        paused, until = bool(content.get("paused")), content.get("until")
        with self._lock:
            viewer = self._viewers.setdefault(name, _Viewer())
            before = self._viewers.get(str(content.get("like")))
            viewer.chosen = chosen
            if not paused:
                viewer.held, viewer.told = None, None
            elif viewer.held is None:
                if before is not None and before.held is not None:
                    viewer.held = before.held
                else:
                    last = until if isinstance(until, int) else inspector.traffic.newest
                    kept = (one for one in inspector.traffic.entries() if one.number <= last)
                    viewer.held = {entry.number: entry for entry in kept}
        if viewer.held is None:
            self.throttle.invalidate()
            return
        entries = reversed(list(viewer.held.values()))
        self._tell_page(inspector, name, inspector.maker.rows(entries, chosen, PAGE), "rows")

    def _older(self, name: str, before: int) -> None:
        inspector, viewer = self._inspector(), self._viewers.get(name)
        if inspector is None or viewer is None:
            return
        kept = inspector.traffic.entries() if viewer.held is None else viewer.held.values()
        entries = [entry for entry in kept if entry.number < before]
        rows = inspector.maker.rows(reversed(entries), viewer.chosen, PAGE)
        self._tell_page(inspector, name, rows, "older")

    def _tell_page(
        self, inspector: Inspector, name: str, rows: list[InspectedRow], kind: str
    ) -> None:
        page = _page(name, kind, rows)
        self._tell(page | self._about(inspector))

    def _open(self, name: str, number: int) -> None:
        """Tell a whole message."""
        inspector, viewer = self._inspector(), self._viewers.get(name)
        if inspector is None:
            return
        told: dict[str, Any] = {"kind": "message", "viewer": name, "number": number}
        held = None if viewer is None or viewer.held is None else viewer.held.get(number)
        entry = held or inspector.traffic.entry(number)
        if entry is None:
            self._tell(told | {"error": f"it is not kept any more: {inspector.status}"})
            return
        try:
            whole = inspector.contents(entry)
        except Exception as error:  # of a function of the user's
            self._tell(told | {"error": str(inspector.masked(kind_and_text(error)))})
            return
        self._tell(told | {"text": whole.text, "json": whole.json, "note": whole.note})

    def _send_typed(self, name: str, text: str) -> None:
        """Send what was typed, and tell what became of it."""
        inspector = self._inspector()
        if inspector is None:
            return
        told = {"kind": "sent", "viewer": name}
        try:
            receipt = inspector.send(text)
        except Exception as error:
            self._tell(told | {"error": str(inspector.masked(str(error)))})
            return

        def tell() -> None:
            try:
                sent = receipt.result(0)
            except Exception as error:
                self._tell(told | {"error": str(inspector.masked(kind_and_text(error)))})
            else:
                self._tell(told | {"text": f"sent on connection {sent.epoch}"})

        # Not on the socket's loop, where the receipt is settled.
        receipt.when_done(lambda: threading.Thread(target=tell, daemon=True).start())

    def _clear(self) -> None:
        inspector = self._inspector()
        if inspector is None:
            return
        inspector.clear()
        with self._lock:
            for viewer in self._viewers.values():
                viewer.told = None
        self.throttle.invalidate()


def _page(viewer: str, kind: str, rows: list[InspectedRow]) -> dict[str, Any]:
    return {
        "kind": kind,
        "viewer": viewer,
        "new": True,
        "rows": list(map(_told, rows)),
        "skipped": 0,
        "more": len(rows) == PAGE,
    }


def _told(row: InspectedRow) -> list[Any]:
    return [
        row.number,
        round(row.at * 1000),
        KINDS.index(row.kind),
        row.epoch,
        row.size,
        row.topic,
        row.text,
        int(row.is_problem),
    ]
