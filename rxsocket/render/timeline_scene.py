"""The marble diagram of what happened to a socket: from a record to a scene."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from rxsocket.render.activity import Record, excerpt
from rxsocket.render.scene import Bar, Density, Lane, Look, Mark, Scene, Shape, Words
from rxsocket.render.timeline_model import Connection, Story, Token

__all__ = ["begin_of", "end_of", "picture"]

MARKED = 90
"""Messages that are marked one by one; more are shown as a density."""

Masking = Callable[[Any], Any]


def begin_of(record: Record) -> float:
    """When the first thing happened that a picture can show."""
    story = record.story
    firsts = [
        *(one.dialled for one in list(story.connections)[:1]),
        *(pause.begin for pause in list(story.pauses)[:1]),
        *(note.at for note in list(story.notes)[:1]),
        *(at for at, _, _ in record.received[:1] if not record.heard),
        *(at for at, _ in record.heard[:1]),
        *record.written[:1],
    ]
    return min(firsts, default=record.now - 1.0)


def end_of(record: Record) -> float:
    """When the last thing happened."""
    story = record.story
    lasts = [
        *(one.ended for one in list(story.connections)[-1:] if one.ended is not None),
        *(one.dialled for one in list(story.connections)[-1:]),
        *(note.at for note in list(story.notes)[-1:]),
        *(at for at, _ in record.heard[-1:]),
        *record.written[-1:],
        *(token.at for token in list(story.tokens)[-1:] if story.connections),
    ]
    return max(lasts, default=record.now)


def picture(title: str, record: Record, begin: float, end: float, zone: float) -> Scene:
    """Lay out what happened in a span of time.

    Args:
        title: What it is a picture of.
        record: What happened.
        begin: Where the span begins, as wall time.
        end: Where it ends.
        zone: Seconds that local time is ahead of UTC.
    """
    return Scene(
        title=title,
        begin=begin,
        end=end,
        zone=zone,
        lanes=(
            _credentials(record, end),
            _connections(record, end),
            _messages(record, begin, end),
            _sent(record, begin, end),
        ),
    )


def _credentials(record: Record, end: float) -> Lane:
    now = min(end, record.now)
    tokens = list(record.story.tokens)
    until = [token.at for token in tokens[1:]] + [now]
    return Lane(
        name="credential",
        bars=tuple(
            Bar(
                begin=token.at,
                end=stop,
                colour=token.number,
                text=_named(token),
                detail=_named(token),
                look="full" if token.number else "dashed",
                brief=str(token.number or ""),
            )
            for token, stop in zip(tokens, until, strict=True)
            if stop > token.at
        ),
    )


def _named(token: Token) -> str:
    return f"{token.number} · {token.label}" if token.number else token.label


def _connections(record: Record, end: float) -> Lane:
    story, mask, now = record.story, record.mask, min(end, record.now)
    bars: list[Bar] = []
    marks: list[Mark] = []
    words: list[Words] = []
    rows = _rows(story)
    for one in story.connections:
        row = rows[one.epoch]
        bars.extend(_bars(one, row, now, mask))
        if one.opened is not None:
            detail = f"connection {one.epoch} opened"
            marks.append(Mark(one.opened, "start", detail=detail, row=row))
        if one.ended is not None:
            label = str(mask(one.label))
            detail = str(mask(one.detail))
            shape: Shape = "cross" if one.fault else "end"
            marks.append(Mark(one.ended, shape, detail=detail, row=row))
            words.append(Words(one.ended, label, urgent=one.fault))
    for pause in story.pauses:
        stop = now if pause.end is None else pause.end
        look: Look = "hatched" if pause.asleep else "dashed"
        detail = str(mask(pause.detail))
        brief = "awaiting" if pause.asleep else pause.label.removeprefix("wait ")
        bars.append(Bar(pause.begin, stop, text=pause.label, detail=detail, look=look, brief=brief))
    for note in story.notes:
        detail = str(mask(note.detail))
        words.append(Words(note.at, note.label))
        if note.label == "ended":
            marks.append(Mark(note.at, "end", detail=detail))
        else:
            marks.append(Mark(note.at, "tick", detail=detail))
    return Lane(
        name="connection",
        rows=max(rows.values(), default=0) + 1,
        labelled=True,
        bars=tuple(bars),
        marks=tuple(marks),
        words=tuple(words),
    )


def _bars(one: Connection, row: int, now: float, mask: Masking) -> Iterator[Bar]:
    stop = now if one.ended is None else one.ended
    dialled = stop if one.opened is None else one.opened
    colour = one.tokens[0][1]
    detail = f"connection {one.epoch}"
    yield Bar(one.dialled, dialled, colour, detail=f"{detail} is dialled", look="thin", row=row)
    if one.opened is None:
        return
    turns = [(max(at, one.opened), number) for at, number in one.tokens]
    ends = [at for at, _ in turns[1:]] + [stop]
    if one.ended is not None:
        detail = str(mask(one.detail))
    for (begin, number), end in zip(turns, ends, strict=True):
        yield Bar(
            begin,
            end,
            number,
            f"connection {one.epoch}",
            detail,
            row=row,
            goes_on=one.ended is None and end == stop,
            brief=str(one.epoch),
        )


def _rows(story: Story) -> dict[int, int]:
    """Two connections that are there at the same time are in two rows."""
    rows: dict[int, int] = {}
    before: Connection | None = None
    for one in story.connections:
        beside = before is not None and (before.ended is None or before.ended > one.dialled)
        rows[one.epoch] = 1 - rows[before.epoch] if before is not None and beside else 0
        before = one
    return rows


def _messages(record: Record, begin: float, end: float) -> Lane:
    bins = _within(record.received, begin, end)
    count = sum(many for _, _, many in bins)
    exact = [(at, epoch) for at, epoch in record.heard if begin <= at <= end]
    note = _counted(count)
    if (
        record.since is None
        or len(exact) > MARKED
        or (len(exact) < count and _hidden(record, begin))
    ):
        return Lane(name="messages", note=note, density=Density(bins, _turns(record)))
    payloads = dict(
        zip(
            range(len(record.heard) - len(record.payloads), len(record.heard)),
            record.payloads,
            strict=True,
        )
    )
    colours = {one.epoch: one for one in record.story.connections}
    marks: list[Mark] = []
    for index, (at, epoch) in enumerate(record.heard):
        if not begin <= at <= end:
            continue
        detail = f"message over connection {epoch}"
        if index in payloads:
            detail = f"{detail}: {excerpt(payloads[index], record.mask)}"
        marks.append(Mark(at, "marble", _colour(colours.get(epoch), at), detail=detail))
    return Lane(name="messages", note=_counted(len(exact)), marks=tuple(marks))


def _hidden(record: Record, begin: float) -> bool:
    """Whether the span has messages whose own time is no longer kept."""
    return bool(record.heard) and record.heard[0][0] > begin and record.count > len(record.heard)


def _colour(one: Connection | None, at: float) -> int:
    number = 0
    for since, token in () if one is None else one.tokens:
        if since <= at or not number:
            number = token
    return number


def _turns(record: Record) -> tuple[tuple[float, int], ...]:
    """From when on messages came under which credential."""
    turns = [
        (max(at, one.opened), number)
        for one in record.story.connections
        if one.opened is not None
        for at, number in one.tokens
    ]
    return tuple(sorted(turns))


def _sent(record: Record, begin: float, end: float) -> Lane:
    bins = _within(record.sent, begin, end)
    count = sum(many for _, _, many in bins)
    exact = [at for at in record.written if begin <= at <= end]
    if len(exact) > MARKED or (count > len(exact) + 1 and len(record.written) >= MARKED):
        return Lane(name="sent", note=_counted(count), density=Density(bins))
    marks = tuple(Mark(at, "sent", detail="sent") for at in exact)
    return Lane(name="sent", note=_counted(len(exact)), marks=marks)


def _within(
    bins: tuple[tuple[float, float, int], ...], begin: float, end: float
) -> tuple[tuple[float, float, int], ...]:
    return tuple(one for one in bins if one[0] + one[1] > begin and one[0] <= end)


def _counted(count: int) -> str:
    return f"{count:,}" if count else "none"
