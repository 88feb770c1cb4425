"""A scene as SVG: self-contained, without script, and with everything escaped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby

from rxsocket.render.histogram import column_rates, column_times
from rxsocket.render.scene import (
    FAULT,
    SAVED,
    Bar,
    Density,
    Lane,
    Mark,
    Scene,
    Theme,
    clock_time,
    colour_of,
    ticks,
)

WIDTH = 880
"""Pixels, as all that follows."""
GUTTER = 104
MARGIN = 18
PLOT = WIDTH - GUTTER - MARGIN
HEAD = 30
ROW = 22
BAR = 15
LINE = 13
LANE_GAP = 10
AXIS = 24
COLUMN = 4.0
ARM = 8.0
"""How far a mark reaches to either side, at most."""
LABEL_GAP = 8.0
BOLD = 1.13
"""How much wider bold text is."""
NARROW = frozenset(" !'()*,-./:;I[\\]`fijlrt|·")
BROAD = frozenset("%+<=>@MW_mw~—…")


def svg(scene: Scene, theme: Theme = SAVED) -> str:
    """Draw a scene."""
    return _SvgRenderer(scene, theme).render()


class _SvgRenderer:
    def __init__(self, scene: Scene, theme: Theme) -> None:
        self._scene = scene
        self._theme = theme
        self._span = max(scene.end - scene.begin, 1e-6)

    def render(self) -> str:
        lanes: list[str] = []
        top = float(HEAD)
        for lane in self._scene.lanes:
            lanes.extend(self._lane(lane, top))
            top += _lane_height(lane) + LANE_GAP
        height = round(top + AXIS)
        scene, theme = self._scene, self._theme
        frame = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
            f'viewBox="0 0 {WIDTH} {height}" style="max-width:100%;height:auto" role="img" '
            f'font-family="system-ui,-apple-system,Segoe UI,Roboto,sans-serif" font-size="11" '
            f'fill="{theme.text}"><title>{escape(scene.title)}</title>'
            f'<rect x=".5" y=".5" width="{WIDTH - 1}" height="{height - 1}" rx="6" '
            f'fill="{theme.background}" stroke="{theme.line}"/>'
        )
        parts = [frame, *self._heading(), *self._axis(top), *lanes, "</svg>"]
        return "".join(parts)

    # --- around the lanes

    def _heading(self) -> Iterator[str]:
        scene = self._scene
        begin, end = (clock_time(at, scene.zone, self._span) for at in (scene.begin, scene.end))
        when = f"{begin} – {end}"
        room = WIDTH - 2 * MARGIN - text_width(when) - 20
        title = _truncated(scene.title, room / (BOLD * 12 / 11))
        yield (
            f'<text x="{MARGIN - 4}" y="19" font-size="12" font-weight="600">{escape(title)}</text>'
        )
        yield self._text(WIDTH - MARGIN, 19, when, anchor="end", muted=True)

    def _axis(self, bottom: float) -> Iterator[str]:
        theme, free_from = self._theme, 0.0
        for at, text in ticks(self._scene.begin, self._scene.end, self._scene.zone):
            x = self._x(at)
            yield (
                f'<path d="M{x:.1f} {HEAD - 4}V{bottom:.0f}" stroke="{theme.line}" '
                'stroke-opacity=".6"/>'
            )
            width = text_width(text)
            left = min(x - width / 2, WIDTH - MARGIN - width)
            if left > free_from:
                yield self._text(left + width / 2, bottom + 13, text, anchor="middle", muted=True)
                free_from = left + width + 4
        yield (
            f'<path d="M{GUTTER} {bottom:.0f}H{WIDTH - MARGIN}" stroke="{theme.muted}" '
            'stroke-opacity=".7"/>'
        )

    # --- a lane

    def _lane(self, lane: Lane, top: float) -> Iterator[str]:
        name = top + 12
        shown = _truncated(lane.name, (GUTTER - MARGIN - ARM) / BOLD)
        whole = _title(lane.name if shown != lane.name else "")
        yield (
            f'<text x="{MARGIN - 4}" y="{name:.0f}" font-weight="600">{whole}{escape(shown)}</text>'
        )
        if lane.note:
            yield self._text(MARGIN - 4, name + 13, lane.note, muted=True)
        if lane.density is not None:
            yield from self._density(lane.density, top)
        elif not lane.bars:
            middle = top + ROW / 2
            yield (
                f'<path d="M{GUTTER} {middle:.1f}H{self._x(lane.until):.1f}" '
                f'stroke="{self._theme.muted}" stroke-opacity=".5"/>'
            )
        for bar in lane.bars:
            if bar.end >= self._scene.begin and bar.begin <= self._scene.end:
                yield from self._bar(bar, top + bar.row * ROW)
        for mark in lane.marks:
            if self._scene.begin <= mark.at <= self._scene.end:
                yield self._mark(mark, top + mark.row * ROW + ROW / 2)
        yield from self._lane_labels(lane, top + lane.rows * ROW)

    def _lane_labels(self, lane: Lane, top: float) -> Iterator[str]:
        shown = [
            (self._x(label.at), label.text, label.urgent)
            for label in lane.labels
            if self._scene.begin <= label.at <= self._scene.end
        ]
        if lane.labelled:
            shown.extend(self._labels_of_pauses(lane))
        for x, line, text, urgent in place_labels(shown, GUTTER, WIDTH - MARGIN, lines=2):
            weight = ' font-weight="600"' if urgent else ""
            y = top + 10 + line * LINE
            yield f'<text x="{x:.1f}" y="{y:.1f}"{weight}>{escape(text)}</text>'

    def _labels_of_pauses(self, lane: Lane) -> Iterator[tuple[float, str, bool]]:
        """What does not fit on the bar of a pause is written under it."""
        for bar in lane.bars:
            left, right = self._x(bar.begin), self._x(bar.end)
            if bar.style == "full" or not bar.text or right - left <= 6:
                continue
            if not _bar_text(bar, right - left):
                yield (left + right) / 2, bar.text, False

    def _bar(self, bar: Bar, top: float) -> Iterator[str]:
        left, right = self._x(bar.begin), self._x(bar.end)
        width = max(right - left, 1.5)
        fill, text_colour = colour_of(bar.colour)
        y, height = top + (ROW - BAR) / 2, BAR
        middle = top + ROW / 2
        yield f"<g>{_title(bar.detail or bar.text)}"
        if bar.style == "full":
            yield (
                f'<rect x="{left:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height}" rx="3" '
                f'fill="{fill}"/>'
            )
            if bar.ongoing:  # an arrow at the present
                yield (
                    f'<path d="M{right - 1:.1f} {y - 2:.1f}l6 {height / 2 + 2:.1f}l-6 '
                    f'{height / 2 + 2:.1f}z" fill="{fill}"/>'
                )
        elif bar.style == "hatched":
            yield (
                f'<rect x="{left:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height}" rx="3" '
                f'fill="none" stroke="{self._theme.muted}" stroke-opacity=".6"/>'
                f'<path d="M{left:.1f} {middle:.1f}h{width:.1f}" stroke="{self._theme.muted}" '
                f'stroke-opacity=".35" stroke-width="{height}" stroke-dasharray="1.5 5"/>'
            )
        else:
            dash = ' stroke-dasharray="2 4"' if bar.style == "dashed" else ""
            colour = fill if bar.style == "thin" else self._theme.muted
            yield (
                f'<path d="M{left:.1f} {middle:.1f}h{width:.1f}" stroke="{colour}" '
                f'stroke-width="2.5"{dash}/>'
            )
        text = _bar_text(bar, width)
        if text and bar.style == "full":
            yield (
                f'<text x="{left + 7:.1f}" y="{middle + 4:.1f}" fill="{text_colour}">'
                f"{escape(text)}</text>"
            )
        elif text:
            half, x = text_width(text) / 2 + 4, (left + right) / 2
            yield (
                f'<rect x="{x - half:.1f}" y="{middle - 7:.1f}" width="{2 * half:.1f}" '
                f'height="14" rx="3" fill="{self._theme.background}"/>'
                f'<text x="{x:.1f}" y="{middle + 4:.1f}" text-anchor="middle">{escape(text)}</text>'
            )
        yield "</g>"

    def _mark(self, mark: Mark, y: float) -> str:
        x = self._x(mark.at)
        fill, text_colour = colour_of(mark.colour)
        title = _title(mark.detail or mark.text)
        edge = f'stroke="{self._theme.background}" stroke-width="1"'
        match mark.shape:
            case "marble":
                radius = 8.5 if mark.text else 4.5
                inside = (
                    f'<text x="{x:.1f}" y="{y + 3.5:.1f}" fill="{text_colour}" font-size="10" '
                    f'text-anchor="middle">{escape(mark.text)}</text>'
                    if mark.text
                    else ""
                )
                shape = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{fill}" {edge}/>'
                return f"<g>{title}{shape}{inside}</g>"
            case "sent":
                shape = f'<path d="M{x:.1f} {y - 5:.1f}l5 9h-10z" fill="{fill}" {edge}/>'
            case "cross":
                shape = (
                    f'<path d="M{x - 5:.1f} {y - 5:.1f}l10 10m0 -10l-10 10" '
                    f'stroke="{FAULT}" stroke-width="2.6" stroke-linecap="round"/>'
                )
            case "end":
                shape = (
                    f'<path d="M{x:.1f} {y - 11:.1f}v22" stroke="{self._theme.text}" '
                    'stroke-width="2.4"/>'
                )
            case "start":
                shape = (
                    f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{self._theme.background}" '
                    f'stroke="{self._theme.text}" stroke-width="1.4"/>'
                )
            case "tick":
                shape = (
                    f'<path d="M{x:.1f} {y - 5:.1f}v10" stroke="{self._theme.text}" '
                    'stroke-width="1.4"/>'
                )
        return f"<g>{title}{shape}</g>"

    def _density(self, density: Density, top: float) -> Iterator[str]:
        plot = self._scene.begin, self._span, round(PLOT / COLUMN)
        rates, times = column_rates(density.bins, *plot), column_times(density.bins, *plot)
        peak = max(rates, default=0.0)
        bottom, height = top + ROW + 6, ROW + 2
        if not peak:
            return
        yield f"<g>{_title(f'at most {_rate_text(peak)}')}"
        for fill, numbers in groupby(range(len(rates)), lambda n: self._fill(density, times[n])):
            run = list(numbers)
            points = [f"M{GUTTER + run[0] * COLUMN:.1f} {bottom:.1f}"]
            for number in run:
                y = bottom - (max(rates[number] / peak * height, 1.2) if rates[number] else 0.0)
                x = min(GUTTER + (number + 1) * COLUMN, WIDTH - MARGIN)
                points.append(f"V{y:.1f}H{x:.1f}")
            yield f'<path d="{"".join(points)}V{bottom:.1f}Z" fill="{fill}" fill-opacity=".85"/>'
        yield "</g>"
        yield self._text(MARGIN - 4, top + 38, f"peak {_rate_text(peak)}", muted=True)

    def _fill(self, density: Density, at: float) -> str:
        number = next((number for since, number in reversed(density.colours) if since <= at), 0)
        return colour_of(number)[0] if number else self._theme.muted

    def _x(self, at: float) -> float:
        inside = min(max(at, self._scene.begin), self._scene.end)
        return GUTTER + (inside - self._scene.begin) / self._span * PLOT

    def _text(
        self, x: float, y: float, text: str, *, anchor: str = "start", muted: bool = False
    ) -> str:
        fill = f' fill="{self._theme.muted}"' if muted else ""
        return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{fill}>{escape(text)}</text>'


def _lane_height(lane: Lane) -> float:
    height = lane.rows * ROW + (2 * LINE if lane.labelled else 0)
    least = 28 if lane.note else 0
    return max(height, ROW + 20 if lane.density is not None else 0, least)


def _bar_text(bar: Bar, width: float) -> str:
    """The text that fits on a bar, between the marks at its ends."""
    room = width - (ARM + 3 if bar.style == "full" else 2 * ARM)
    return next((one for one in (bar.text, bar.short_text) if one and text_width(one) <= room), "")


def _rate_text(rate: float) -> str:
    return f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s"


def _title(text: str) -> str:
    return f"<title>{escape(text)}</title>" if text else ""


def text_width(text: str) -> float:
    """About how wide a text of 11 px is; rather too much than too little, as fonts differ."""
    return sum(map(_letter_width, text))


def _letter_width(letter: str) -> float:
    if letter in NARROW:
        return 4.6
    if letter in BROAD:
        return 10.0
    if ord(letter) >= 0x2E80:  # letters of East Asia are as wide as tall
        return 11.0
    return 7.6 if letter.isupper() else 7.0


def _truncated(text: str, room: float) -> str:
    if text_width(text) <= room:
        return text
    kept = text
    while kept and text_width(kept) > room - 10.0:
        kept = kept[:-1]
    return f"{kept}…"


def place_labels(
    labels: Sequence[tuple[float, str, bool]], left: float, right: float, lines: int
) -> Iterator[tuple[float, int, str, bool]]:
    """Place labels near their marks so that none covers another.

    Urgent ones come first, then from left to right; each goes to the first line where it has room.
    One that has no room anywhere is left out.

    Args:
        labels: Where the mark of each is, its text, whether it is urgent.
        left: Where the lines begin.
        right: Where they end.
        lines: How many there are.

    Returns:
        Where each begins, its line, its text, whether it is urgent.
    """
    taken: list[list[tuple[float, float]]] = [[] for _ in range(lines)]
    for x, text, urgent in sorted(labels, key=lambda label: (not label[2], label[0])):
        short = text if len(text) <= 28 else text[:27] + "…"
        width = text_width(short) * (BOLD if urgent else 1.0)
        for line, spans in enumerate(taken):
            start = _free_place(x, width, spans, left, right)
            if start is not None:
                spans.append((start, start + width))
                yield start, line, short, urgent
                break


def _free_place(
    x: float, width: float, spans: list[tuple[float, float]], left: float, right: float
) -> float | None:
    for start in (x - width / 2, x - 4, x - width + 4):
        inside = min(max(start, left), right - width)
        free = all(
            inside >= end + LABEL_GAP or inside + width + LABEL_GAP <= begin for begin, end in spans
        )
        if inside >= left and free:
            return inside
    return None
