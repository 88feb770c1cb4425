"""The marble diagram of a socket: from its activity to a scene."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rxsocket.explain.format import span
from rxsocket.render.activity import Activity
from rxsocket.render.histogram import Bin
from rxsocket.render.preview import Redact, preview
from rxsocket.render.scene import Bar, BarStyle, Density, Label, Lane, Mark, MarkShape, Scene
from rxsocket.render.timeline_model import ConnectionSpan, CredentialUse, Pause, TimelineModel

MARKED = 90
"""Messages that are marked one by one; more are shown as a density."""
JOINED = 3
"""Attempts that failed alike, from which on one label stands for them all."""


def first_time(activity: Activity) -> float:
    """The time of the first thing that a picture can show."""
    return min(_times(activity), default=activity.now - 1.0)


def last_time(activity: Activity) -> float:
    """The time of the last thing that a picture can show."""
    model, times = activity.model, list(_times(activity))
    if model.connections and model.credentials:
        times.append(model.credentials[-1].at)
    return max(times, default=activity.now)


def _times(activity: Activity) -> Iterator[float]:
    model = activity.model
    for connection in model.connections:
        yield connection.dialled
        if connection.ended is not None:
            yield connection.ended
    yield from (pause.begin for pause in model.pauses)
    yield from (note.at for note in model.notes)
    yield from (at for at, _ in activity.arrivals)
    yield from activity.send_times


def timeline_scene(title: str, activity: Activity, begin: float, end: float, zone: float) -> Scene:
    """Lay out the activity in a span of wall time; see :class:`Scene`."""
    return Scene(
        title=title,
        begin=begin,
        end=end,
        zone=zone,
        lanes=(
            _credential_lane(activity, end),
            _connection_lane(activity, end),
            _message_lane(activity, begin, end),
            _sent_lane(activity, begin, end),
        ),
    )


def _credential_lane(activity: Activity, end: float) -> Lane:
    uses = list(activity.model.credentials)
    ends = [use.at for use in uses[1:]] + [min(end, activity.now)]
    return Lane(
        name="credential",
        bars=tuple(
            Bar(
                begin=use.at,
                end=use_end,
                colour=use.number,
                text=_numbered(use),
                detail=_numbered(use),
                style="full" if use.number else "dashed",
                short_text=str(use.number or ""),
            )
            for use, use_end in zip(uses, ends, strict=True)
            if use_end > use.at
        ),
    )


def _numbered(use: CredentialUse) -> str:
    return f"{use.number} · {use.label}" if use.number else use.label


def _connection_lane(activity: Activity, end: float) -> Lane:
    model, redact, now = activity.model, activity.redact, min(end, activity.now)
    bars: list[Bar] = []
    marks: list[Mark] = []
    labels: list[Label] = []
    rows = _rows(model)
    runs = _runs_of_failures(model.connections)
    joined = {one.epoch for run in runs for one in run}
    for run in runs:
        first, last = run[0], run[-1]
        at = first.ended or first.dialled
        until = last.ended or last.dialled
        text = f"{len(run)} × {redact(last.label)} in {span(until - at)}"
        labels.append(Label((at + until) / 2, text, urgent=True))
    for connection in model.connections:
        row = rows[connection.epoch]
        bars.extend(_connection_bars(connection, row, now, redact))
        if connection.opened is not None:
            detail = f"connection {connection.epoch} opened"
            marks.append(Mark(connection.opened, "start", detail=detail, row=row))
        if connection.ended is not None:
            detail = str(redact(connection.detail))
            shape: MarkShape = "cross" if connection.fault else "end"
            marks.append(Mark(connection.ended, shape, detail=detail, row=row))
            if connection.epoch not in joined:
                label = str(redact(connection.label))
                labels.append(Label(connection.ended, label, urgent=connection.fault))
    for pause in model.pauses:
        style: BarStyle = "hatched" if pause.awaits_credential else "dashed"
        short = "awaiting" if pause.awaits_credential else pause.label.removeprefix("wait ")
        bars.append(
            Bar(
                begin=pause.begin,
                end=now if pause.end is None else pause.end,
                text="" if _is_within(pause, runs) else pause.label,
                detail=str(redact(pause.detail)),
                style=style,
                short_text="" if _is_within(pause, runs) else short,
            )
        )
    for note in model.notes:
        labels.append(Label(note.at, note.label))
        shape = "end" if note.label == "ended" else "tick"
        marks.append(Mark(note.at, shape, detail=str(redact(note.detail))))
    return Lane(
        name="connection",
        rows=max(rows.values(), default=0) + 1,
        labelled=True,
        bars=tuple(bars),
        marks=tuple(marks),
        labels=tuple(labels),
    )


def _runs_of_failures(connections: Iterable[ConnectionSpan]) -> list[list[ConnectionSpan]]:
    """Attempts one after another that failed alike, where there are several."""
    runs: list[list[ConnectionSpan]] = [[]]
    for one in connections:
        is_failure = one.opened is None and one.ended is not None and one.fault
        if not is_failure or (runs[-1] and runs[-1][-1].label != one.label):
            runs.append([])
        if is_failure:
            runs[-1].append(one)
    return [run for run in runs if len(run) >= JOINED]


def _is_within(pause: Pause, runs: list[list[ConnectionSpan]]) -> bool:
    """Whether a pause is one of those between attempts that failed alike."""
    return any(
        run[0].dialled <= pause.begin and pause.end is not None and pause.end <= run[-1].dialled
        for run in runs
    )


def _connection_bars(
    connection: ConnectionSpan, row: int, now: float, redact: Redact
) -> Iterator[Bar]:
    """A thin bar while it is dialled, then a bar for each credential that it had."""
    name, opened, ended = f"connection {connection.epoch}", connection.opened, connection.ended
    end = now if ended is None else ended
    yield Bar(
        begin=connection.dialled,
        end=end if opened is None else opened,
        colour=connection.credentials[0][1],
        detail=f"{name} is dialled",
        style="thin",
        row=row,
    )
    if opened is None:
        return
    parts = [(max(at, opened), number) for at, number in connection.credentials]
    ends = [at for at, _ in parts[1:]] + [end]
    for (part_begin, number), part_end in zip(parts, ends, strict=True):
        yield Bar(
            begin=part_begin,
            end=part_end,
            colour=number,
            text=name,
            detail=name if ended is None else str(redact(connection.detail)),
            row=row,
            ongoing=ended is None and part_end == end,
            short_text=str(connection.epoch),
        )


def _rows(model: TimelineModel) -> dict[int, int]:
    """The row of each epoch: two connections that live at the same time are in two rows."""
    rows: dict[int, int] = {}
    previous: ConnectionSpan | None = None
    for connection in model.connections:
        row = 0
        if previous is not None and (previous.ended is None or previous.ended > connection.dialled):
            row = 1 - rows[previous.epoch]
        rows[connection.epoch] = row
        previous = connection
    return rows


def _message_lane(activity: Activity, begin: float, end: float) -> Lane:
    bins = _within(activity.received, begin, end)
    count = sum(one.total for one in bins)
    shown = sum(begin <= at <= end for at, _ in activity.arrivals)
    if (
        activity.counting_since is None
        or shown > MARKED
        or (shown < count and _has_forgotten(activity, begin))
    ):
        spans = activity.model.connections
        density = Density(bins, _message_colours(spans), _open_spans(spans, end))
        return Lane(name="messages", note=_counted(count), density=density)
    payloads = dict(
        zip(
            range(len(activity.arrivals) - len(activity.payloads), len(activity.arrivals)),
            activity.payloads,
            strict=True,
        )
    )
    connections = {connection.epoch: connection for connection in activity.model.connections}
    marks: list[Mark] = []
    for index, (at, epoch) in enumerate(activity.arrivals):
        if not begin <= at <= end:
            continue
        detail = f"message over connection {epoch}"
        if index in payloads:
            detail = f"{detail}: {preview(payloads[index], activity.redact)}"
        colour = _credential_at(connections.get(epoch), at)
        marks.append(Mark(at, "marble", colour, detail=detail))
    return Lane(name="messages", note=_counted(shown), marks=tuple(marks))


def _has_forgotten(activity: Activity, begin: float) -> bool:
    """Whether the exact times of some messages after ``begin`` were dropped."""
    arrivals = activity.arrivals
    return bool(arrivals) and arrivals[0][0] > begin and activity.received_count > len(arrivals)


def _credential_at(connection: ConnectionSpan | None, at: float) -> int:
    number = 0
    for since, credential in () if connection is None else connection.credentials:
        if since <= at or not number:
            number = credential
    return number


def _message_colours(connections: Iterable[ConnectionSpan]) -> tuple[tuple[float, int], ...]:
    """The times from which messages came under another credential, and its number."""
    changes = [
        (max(at, connection.opened), number)
        for connection in connections
        if connection.opened is not None
        for at, number in connection.credentials
    ]
    return tuple(sorted(changes))


def _open_spans(
    connections: Iterable[ConnectionSpan], end: float
) -> tuple[tuple[float, float], ...]:
    """When there was a connection."""
    return tuple(
        (one.opened, end if one.ended is None else one.ended)
        for one in connections
        if one.opened is not None
    )


def _sent_lane(activity: Activity, begin: float, end: float) -> Lane:
    bins = _within(activity.sent, begin, end)
    count = sum(one.total for one in bins)
    shown = [at for at in activity.send_times if begin <= at <= end]
    if len(shown) > MARKED or (count > len(shown) + 1 and len(activity.send_times) >= MARKED):
        return Lane(name="sent", note=_counted(count), density=Density(bins))
    marks = tuple(Mark(at, "sent", detail="sent") for at in shown)
    return Lane(name="sent", note=_counted(len(shown)), marks=marks)


def _within(bins: tuple[Bin, ...], begin: float, end: float) -> tuple[Bin, ...]:
    return tuple(one for one in bins if one.start + one.width > begin and one.start <= end)


def _counted(count: int) -> str:
    return f"{count:,}" if count else "none"
