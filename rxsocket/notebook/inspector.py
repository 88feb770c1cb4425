"""The inspector: what goes over a socket, as the network panel of a browser shows it."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import msgspec
from reactivex import abc

from rxsocket.explain.format import amount
from rxsocket.notebook.inspecting.contents import Contents, contents
from rxsocket.notebook.inspecting.rows import KINDS, Filter, InspectedRow, Part, RowMaker
from rxsocket.notebook.inspecting.traffic import EVENT, Entry, Traffic
from rxsocket.render.activity import recorder_of
from rxsocket.render.live_view import LiveView
from rxsocket.render.table import AS_OUTPUT, html_table, text_table
from rxsocket.render.view import Rendering, TimeWindow, nothing_yet
from rxsocket.sending.outbox import Sent
from rxsocket.socket import Socket
from rxsocket.streams.receipts import Receipt
from rxsocket.tables.rows import time_of_day
from rxsocket.texts import markup
from rxsocket.validation import instance, whole_number

KEEP = 10_000
KEEP_BYTES = 16 * 2**20
SAVED = 50
"""Rows of what is saved."""
SIGNS = {"received": "↓", "sent": "↑", "event": "•"}
HEADINGS = ["time", "", "connection", "bytes", "topic", "message"]


class Inspector(LiveView):
    """What goes over a socket. Made by :func:`inspect`; dispose it to listen no more.

    It holds no secret of the socket's credential (rule C28, secrets).
    """

    def __init__(self, socket: Socket[Any, Any], by: Part, keep: int, keep_bytes: int) -> None:
        self._engine = engine = socket._engine  # pyright: ignore[reportPrivateUsage]
        self.traffic = Traffic(engine, keep, keep_bytes)
        self.maker = RowMaker(self._mask, by)

    def _mask(self) -> Callable[[Any], Any]:
        return self._engine.publisher.history.mask

    def masked(self, text: str) -> str:
        """A text without secrets."""
        return str(self._mask()(text))

    # --- what there is

    def rows(
        self, text: str = "", *, kind: str | None = None, last: int = 100
    ) -> list[InspectedRow]:
        """The newest rows, oldest first; from any thread.

        Args:
            text: What is in the message, the topic or the event, in any case; left out, all are.
            kind: ``"received"``, ``"sent"`` or ``"event"``; left out, all are.
            last: How many at most.

        Raises:
            ValueError: If there is no such kind.
        """
        if kind is not None and kind not in KINDS:
            raise ValueError(f"kind: pass 'received', 'sent' or 'event', not {kind!r}")
        kinds = frozenset(KINDS if kind is None else (kind,))
        entries = reversed(self.traffic.entries())
        return self.maker.rows(entries, Filter(str(text), kinds), last)

    def message(self, number: int) -> str:
        """The whole message of a row, secrets masked; what is binary in hexadecimal.

        Args:
            number: That of the row.

        Raises:
            KeyError: If it is not kept any more.
        """
        entry = self.traffic.entry(number)
        if entry is None:
            raise KeyError(f"row {number} is not kept: the inspector keeps {self._bound}")
        return self.contents(entry).text

    def contents(self, entry: Entry) -> Contents:
        """The whole message of an entry."""
        codec = self._engine.options.codec
        return contents(entry, self._mask(), None if codec is None else self._decode)

    def send(self, text: str) -> Receipt[Sent]:
        """Send what a user has typed.

        With a codec, it is JSON for the value that is sent; without, it is the message.

        Args:
            text: What was typed.

        Raises:
            ValueError: If it is not JSON, on a socket with a codec; the text says where.
        """
        if self._engine.options.codec is None:
            return self._engine.send(text)
        try:
            value = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise ValueError(f"not sent, as it is no JSON: {error}") from None
        return self._engine.send(value)

    @property
    def sends_json(self) -> bool:
        """Whether what is typed has to be JSON, as the socket has a codec."""
        return self._engine.options.codec is not None

    @property
    def can_send(self) -> bool:
        """Whether anything can be sent at all."""
        return not self._engine.options.receives_only

    def clear(self) -> None:
        """Let go of all rows; what comes from now on is kept."""
        self.traffic.clear()

    def dispose(self) -> None:
        """Listen no more; what is kept stays."""
        self.traffic.stop()

    def _decode(self, data: bytes) -> Any:
        """What the codec makes of a message: on the socket's loop, as ever (C24)."""
        codec, loop = self._engine.options.codec, self._engine.loop
        if codec is None:
            return data
        if loop.is_current:
            return codec.decode(data)
        decode, found = codec.decode, Future[Any]()

        def run() -> None:
            try:
                found.set_result(decode(data))
            except BaseException as error:
                found.set_exception(error)

        loop.run(run)
        return found.result(2.0)

    # --- in words

    @property
    def status(self) -> str:
        """How much came and went, what is kept of it, and what was let go."""
        traffic = self.traffic
        text = (
            f"{traffic.received:,} received, {traffic.sent:,} sent, "
            f"{amount(traffic.events, 'event')}"
        )
        if traffic.let_go:
            text += f"; {traffic.let_go:,} let go: it keeps {self._bound}"
        if self.maker.error:
            text += f"; {self.masked(self.maker.error)}"
        return text if traffic.is_listening else f"{text}; it listens no more"

    @property
    def hint(self) -> str:
        """What to do where nothing comes because nothing connects the socket."""
        if self._engine.is_used or self.traffic.received:
            return ""
        return "nothing connects this socket: subscribe to it, or call socket.connect()"

    @property
    def _bound(self) -> str:
        keep, size = self.traffic.bounds
        return f"{keep:,} rows, {size / 2**20:.3g} MiB"

    @property
    def title(self) -> str:
        """What it is, and of which socket."""
        return f"inspector of {self._engine.label}"

    def __repr__(self) -> str:
        rows = self.rows(last=SAVED)
        first = f"<Inspector {self._engine.label}: {self.status}>"
        if not rows:
            return "\n".join([first, self._nothing])
        return "\n".join([first, *text_table([HEADINGS, *map(_cells, rows)])])

    @property
    def _nothing(self) -> str:
        text = nothing_yet(self.traffic.since)
        return f"{text}; {self.hint}" if self.hint else text

    # --- as a view

    def _widget_class(self) -> Callable[..., Any]:
        from rxsocket.notebook.inspecting.widget import InspectorWidget

        return InspectorWidget

    def subscribe_changes(self, on_change: Callable[[], None]) -> abc.DisposableBase:
        """Call back after each read, each write and each event, until disposed."""
        return self.traffic.subscribe_changes(on_change)

    def render(self, window: TimeWindow) -> Rendering:
        """Draw its last rows for a page without script."""
        rows = self.rows(last=SAVED)
        zone = f"{time.localtime().tm_zone}"
        title = f"<strong>{markup(self._engine.label)}</strong>, {markup(self.status)}"
        if not rows:
            return Rendering(f"<div {AS_OUTPUT}><p>{title}</p><p>{markup(self._nothing)}</p></div>")
        table = html_table([f"time, {zone}", *HEADINGS[1:]], map(_cells, rows))
        more = self.traffic.kept - len(rows)
        note = f"<p>{amount(more, 'row')} before these</p>" if more > 0 else ""
        return Rendering(f"<div {AS_OUTPUT}><p>{title}</p>{note}{table}</div>")

    def static(self) -> dict[str, Any]:
        """Its last rows, as a page shows them and as text."""
        return {"text/plain": repr(self), "text/html": self.render(TimeWindow()).html}


def _cells(row: InspectedRow) -> list[str]:
    size = "" if row.size is None else f"{row.size:,}"
    text = f"{row.text[:119]}…" if len(row.text) > 120 else row.text
    mark = "✕ " if row.is_problem else ""
    epoch = "" if row.epoch is None else str(row.epoch)
    topic = "" if row.kind == EVENT else row.topic
    return [time_of_day(row.at), SIGNS[row.kind], epoch, size, topic, mark + text]


def inspect(
    socket: Socket[Any, Any], *, by: Part = None, keep: int = KEEP, keep_bytes: int = KEEP_BYTES
) -> Inspector:
    """Show what goes over a socket, as the network panel of a browser does.

    ::

        time          connection  bytes  topic      message
        10:04:31.118  •  1                          connection 1 is open
        10:04:31.120  ↑  1          36   subscribe  {"op": "subscribe", "args": ["trades"]}
        10:04:31.164  ↓  1          84   trade      {"type": "trade", "symbol": "BTC-USD", ...}

    Rows are what the socket received, what it sent, heartbeats and messages with a credential too,
    and what happened to it. In a notebook with ``rxsocket[notebook]`` it is live, and can be
    paused, searched and filtered; a click on a row, or Enter, shows the whole message as a tree or
    as text, to be copied; a line sends. Saved, it is a table of the last rows.

    It does not connect, and does not keep the socket connected (rule C1, lazy and shared). Messages
    are kept from the first call on, in bounded memory, and none is decoded or formatted on the
    socket's loop. No secret of the socket's credential is in what it shows (rule C28, secrets).
    Calling it again shows the same one (rule C55, inspect).

    Args:
        socket: The socket.
        by: What a message is about: the name of a field, also of a nested one, such as
            ``"data.symbol"``, or a function of the message, decoded where it is JSON. Left out: its
            ``topic``, ``channel``, ``type`` or the like; of an event stream the type of the event.
        keep: Rows that are kept; of more, the oldest are let go, and counted.
        keep_bytes: Bytes that their messages may have; likewise.

    Raises:
        TypeError: If ``socket`` is not a ``Socket``, ``by`` is no name or function, or a number is
            no whole number.
        ValueError: If ``keep`` or ``keep_bytes`` is not more than 0.

    Examples:
        >>> inspect(socket)                             # as the last line of a cell
        >>> for row in inspect(socket).rows("error"):
        ...     print(row.at, row.text)
    """
    instance("inspect(socket)", socket, Socket, "a Socket")
    if not (by is None or isinstance(by, str) or callable(by)):
        raise TypeError(
            f"inspect(by): pass the name of a field or a function, not {type(by).__name__}"
        )
    keep, keep_bytes = whole_number("keep", keep), whole_number("keep_bytes", keep_bytes)
    views = recorder_of(socket._engine).views  # pyright: ignore[reportPrivateUsage]
    key = "inspector", by, keep, keep_bytes
    view = views.get(key)
    if not isinstance(view, Inspector):
        view = views[key] = Inspector(socket, by, keep, keep_bytes)
    view.traffic.start()
    return view
