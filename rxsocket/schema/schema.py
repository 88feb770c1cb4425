"""What the messages of a feed look like, for a feed that nobody has described."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec
from reactivex import Observable, abc
from reactivex import operators as ops
from reactivex.disposable import Disposable

from rxsocket.explain.causes import describe
from rxsocket.explain.format import amount, span
from rxsocket.publishing.source import StreamSource
from rxsocket.recording.replay import Replay
from rxsocket.render.live_view import LiveView
from rxsocket.render.table import AS_OUTPUT, html_table, text_table
from rxsocket.render.view import Rendering, TimeWindow
from rxsocket.runtime.interruptible import wait_until
from rxsocket.schema.budget import TimeBudget
from rxsocket.schema.inference import Inference, Kinds, TaggedShape
from rxsocket.schema.notes import Field, Redact, fields_of, literal, note, percent, sizes
from rxsocket.schema.shapes import Numbers, Texts
from rxsocket.schema.structs import structs
from rxsocket.socket import Socket
from rxsocket.texts import markup, printable
from rxsocket.validation import is_list, is_observable, more_than_zero, whole_number

Source: TypeAlias = Observable[Any] | Socket[Any, Any] | Replay | Iterable[Any]

JSON_BEGINS = frozenset('{["-0123456789tfn \t\r\n')
"""What a text begins with that may be JSON."""
SHOWN = 40
"""Fields of a kind that are shown."""


class Code(str):
    """Code, whose repr is the code itself, so that it can be copied from under a cell."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True, slots=True)
class MessageKind:
    """Messages of one kind.

    Attributes:
        name: The value of the field that tells kinds apart, or what they are: ``"object"``,
            ``"array"``, ``"value"``, ``"text"`` that is no JSON, ``"binary"``.
        count: How many of them were looked at.
        share: Their part of all that were looked at, 0 to 1.
        fields: Their fields, with those of what is nested in them.
        note: For kinds without fields, what they look like.
    """

    name: str
    count: int
    share: float
    fields: tuple[Field, ...]
    note: str = ""


class Schema(LiveView):
    """What messages look like. Made by :func:`schema`; dispose it to look no more.

    Its methods may be called from any thread, also while messages come.

    Attributes:
        count: How many messages came.
        error: The error of the stream.
    """

    def __init__(self, redact: Redact, budget: TimeBudget | None) -> None:
        self._redact = redact
        self._budget = budget
        self._lock = threading.Lock()
        self._inference = Inference()
        self._texts, self._binary = Texts(), Numbers()
        self._decode = msgspec.json.Decoder().decode
        self._observers: tuple[Callable[[], None], ...] = ()
        self._subscription: abc.DisposableBase = Disposable()
        self._end: Future[None] = Future()
        self._began = time.time()
        self.count = 0
        self.error: Exception | None = None

    # --- what it found

    @property
    def is_ended(self) -> bool:
        """Whether it looks no more."""
        return self._end.done()

    @property
    def looked_at(self) -> int:
        """How many messages were looked at; where they come too fast it is a sample of them."""
        return self._inference.looked_at + self._texts.count + self._binary.count

    @property
    def field(self) -> str | None:
        """The field that tells kinds of messages apart; ``None`` if there is none."""
        found = self._kinds().field
        return None if found is None else printable(str(self._redact(found)))

    @property
    def kinds(self) -> tuple[MessageKind, ...]:
        """The kinds of messages, each with its fields; the most frequent first."""
        found = self._kinds()
        with self._lock:
            others: list[MessageKind] = [*self._not_json()]
            total = max(1, self.looked_at)
        for kind, name in _named(found):
            fields = fields_of(kind.shape, self._redact)
            text = "" if fields else note(kind.shape, self._redact)
            count = kind.shape.count
            shown = printable(str(self._redact(name)))
            others.append(MessageKind(shown, count, count / total, fields, text))
        return tuple(sorted(others, key=lambda kind: -kind.count))

    def structs(self) -> Code:
        """The messages as ``msgspec`` structs: code to paste, that decodes what was looked at.

        ``Message`` is the type of all of them: ``Socket(url, codec=json_codec(type=Message))``. A
        message that has another shape does not decode: it is a ``DecodeFailed`` on ``errors``.
        Fields that are not in the structs are ignored.

        Examples:
            >>> found = schema(socket)
            >>> print(found.structs())
            import msgspec
            ...
            class Trade(msgspec.Struct, tag="trade"):
                symbol: str  # "BTC-USD", "ETH-USD"
                price: float  # 99.5 to 101.25
        """
        return Code(structs(self._kinds(), self._redact))

    def _kinds(self) -> Kinds:
        with self._lock:
            return self._inference.kinds()

    def _not_json(self) -> Iterable[MessageKind]:
        total = max(1, self.looked_at)
        if self._texts.count:
            shown = [literal(text, self._redact) for text in self._texts.values][:4]
            shown.append(sizes(self._texts.shortest, self._texts.longest, "character"))
            share = self._texts.count / total
            yield MessageKind("text", self._texts.count, share, (), ", ".join(shown))
        if self._binary.count:
            size = sizes(int(self._binary.low), int(self._binary.high), "byte")
            yield MessageKind("binary", self._binary.count, self._binary.count / total, (), size)

    # --- looking

    def look_at(self, value: Any) -> None:
        """Look at one more message."""
        with self._lock:
            if self._end.done():
                return
            self.count += 1
            budget = self._budget
            if budget is None:
                self._look_at(value)
            elif budget.begin():
                self._look_at(value)
                budget.end()
            elif self._inference.is_new(value):  # however fast they come
                self._look_at(value)
        for on_change in self._observers:
            on_change()

    def _look_at(self, value: Any) -> None:
        if isinstance(value, str):
            if value[:1] in JSON_BEGINS:
                with suppress(msgspec.DecodeError, RecursionError):
                    self._inference.observe(self._decode(value))
                    return
            self._texts.observe(value)
        elif isinstance(value, (bytes, bytearray)):
            self._binary.observe(len(value))
        else:
            self._inference.observe(_plain(value))

    def subscribe_to(self, stream: Observable[Any]) -> None:
        """Look at what a stream emits, until it ends or this is disposed."""
        self._subscription = stream.subscribe(self.look_at, self._on_end, self._on_end)
        if self._end.done():
            self._subscription.dispose()

    def dispose(self) -> None:
        """Look no more; what was found stays."""
        self._subscription.dispose()
        self._on_end()

    def _on_end(self, error: Exception | None = None) -> None:
        with suppress(InvalidStateError):  # it has ended
            self._end.set_result(None)
            self.error = error
        for on_change in self._observers:
            on_change()

    def wait(self, timeout: float | None = None) -> bool:
        """Block until it looks no more: ``count`` messages came, or the stream has ended.

        Args:
            timeout: Seconds; ``None`` to wait for as long as it takes.

        Returns:
            Whether it has ended.
        """
        with suppress(TimeoutError):
            self._end.result(timeout)
        return self._end.done()

    def __await__(self) -> Generator[Any, None, Schema]:
        """Wait until it looks no more; an interrupt, too, ends that, and what was found stays."""
        return self._ended().__await__()

    async def _ended(self) -> Schema:
        ended = asyncio.wrap_future(self._end)
        try:
            await wait_until(asyncio.shield(ended), None)
        except asyncio.CancelledError:
            self.dispose()
            raise
        return self

    # --- showing

    @property
    def status(self) -> str:
        """How many messages came, how many of them were looked at, and how it ended.

        Before the first one, since when it waits for that.
        """
        text = amount(self.count, "message")
        if not self.count and not self.is_ended:
            waited = span(float(int(max(0.0, time.time() - self._began))))
            text += f"; waiting since {time.strftime('%H:%M:%S', time.localtime(self._began))}"
            text += f", for {waited}"
        looked_at = self.looked_at
        if looked_at < self.count:
            text += f", {percent(looked_at, self.count)} of them looked at"
        space = self._inference.space
        if space.left <= 0:
            text += f"; more than {space.nodes:,} different places: the rest is left out"
        if self.error is not None:
            text += f"; failed: {type(self.error).__name__}: {self._why()}"
        return text

    def _why(self) -> str:
        return str(self._redact(describe(self.error))) if self.error is not None else ""

    def __repr__(self) -> str:
        kinds = self.kinds
        lines = [f"<Schema of {self._headline(kinds)}>"]
        for kind in kinds:
            lines += ["", f"{kind.name}: {kind.count:,}, {percent_of(kind.share)}"]
            lines += [f"  {line}" for line in text_table(_rows(kind))]
        return "\n".join(lines)

    def _headline(self, kinds: tuple[MessageKind, ...]) -> str:
        field = self.field
        by = f", by {literal(field, self._redact)}" if field is not None else ""
        return f"{self.status}: {amount(len(kinds), 'kind')}{by}"

    def static(self) -> dict[str, Any]:
        """It as it is now, as a page shows it and as text."""
        return {"text/plain": repr(self), "text/html": self.render(TimeWindow()).html}

    def render(self, window: TimeWindow) -> Rendering:
        """Draw it for a page."""
        kinds = self.kinds
        parts = [f"<p>Schema of {markup(self._headline(kinds))}</p>"]
        for kind in kinds:
            name = f"{kind.name}: {kind.count:,}, {percent_of(kind.share)}"
            parts.append(f"<p><b>{markup(name)}</b></p>")
            parts.append(html_table(("field", "type", "how often", "values"), _rows(kind)))
        return Rendering(f"<div {AS_OUTPUT}>{''.join(parts)}</div>")

    def subscribe_changes(self, on_change: Callable[[], None]) -> abc.DisposableBase:
        """Call back after each message and after the end, until disposed."""
        self._observers = (*self._observers, on_change)

        def remove() -> None:
            self._observers = tuple(one for one in self._observers if one is not on_change)

        return Disposable(remove)


def percent_of(share: float) -> str:
    """A share of all messages."""
    return percent(round(share * 1_000_000), 1_000_000)


def _rows(kind: MessageKind) -> list[tuple[str, str, str, str]]:
    rows = [(one.path, one.type, one.often, one.note) for one in kind.fields[:SHOWN]]
    if len(kind.fields) > SHOWN:
        rows.append(("…", "", "", f"{len(kind.fields) - SHOWN} more"))
    return rows or [("", "", "", kind.note)]


def _named(found: Kinds) -> Iterable[tuple[TaggedShape, str]]:
    is_alone = len(found.objects) == 1
    for kind in found.objects:
        yield kind, str(kind.tag) if kind.tag is not None else "object" if is_alone else "other"
    for kind in found.arrays:
        yield kind, str(kind.tag) if kind.tag is not None else "array"
    if found.scalars is not None:
        yield TaggedShape(None, found.scalars), "value"


def _plain(value: Any) -> Any:
    """A typed message as what it was decoded from."""
    if isinstance(value, msgspec.Struct) or hasattr(value, "__dataclass_fields__"):
        with suppress(Exception):  # what is in it is the user's
            return msgspec.to_builtins(value)
    return value


def schema(source: Source, count: int | None = None, *, within: float | None = None) -> Schema:
    """Find out what the messages of a feed look like.

    It finds the kinds of messages and the field that tells them apart, such as ``"type"``; for each
    its fields, nested ones, too, with their types, how often they are there, their ranges and
    examples; and it writes the ``msgspec`` structs for them. ``str`` that is JSON is decoded.

    ::

        stream     --{type: a, x: 1}--{type: b, y: "u"}--{type: a}--
        schema       a  x: int         a  x: int, b  y: str      a  x: int in 50 %

    It looks at once, and goes on until ``count`` messages came, ``within`` is over, the stream ends
    or it is disposed; ``await`` waits for that. In a notebook with ``rxsocket[notebook]`` it is
    live. At most 3 % of the loop's time is spent on it: where messages come faster it looks at a
    sample of them, and says so; kinds and fields that are new are always looked at. Memory is
    bounded. No secret of the socket's credential is in what it shows (rule C28, secrets).

    Args:
        source: A socket, for its messages; an Observable; ``replay(file)``, for all messages of a
            recording; or a list of messages.
        count: How many messages to look at; left out, all.
        within: Seconds; left out, for as long as it takes.

    Raises:
        TypeError: If it is none of these, or ``count`` is no number.
        ValueError: If ``count`` or ``within`` is not more than 0.

    Examples:
        >>> schema(socket)                                  # as the last line of a cell
        >>> found = await schema(socket, 1000, within=30)
        >>> print(found.structs())
        >>> schema(replay("session.jsonl"))
    """
    most = None if count is None else whole_number("count", count)
    seconds = more_than_zero("within", within)
    if isinstance(source, Replay):
        return _of_all(source.messages(), most)
    if is_list(source):
        return _of_all(source, most)
    stream = source.messages if isinstance(source, Socket) else source
    if not is_observable(stream):
        raise TypeError(
            "schema(source): pass a socket, an Observable such as socket.messages, "
            f"replay(file) or a list, not {type(source).__name__}"
        )
    found = Schema(StreamSource(stream).redact, TimeBudget())
    if most is not None:
        stream = stream.pipe(ops.take(most))
    if seconds is not None:
        stream = stream.pipe(ops.take_with_time(seconds))
    found.subscribe_to(stream)
    return found


def _of_all(values: Iterable[Any], most: int | None) -> Schema:
    found = Schema(lambda value: value, None)
    for value in values:
        if found.count == most:
            break
        found.look_at(value)
    found.dispose()
    return found
