"""A scene as SVG: self-contained, without script, and with everything escaped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from rxsocket.render.histogram import column_rates, column_times, smooth_rates
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
    dark_page,
    ticks,
)
from rxsocket.texts import markup

WIDTH = 880
"""Pixels, as all that follows."""
NARROWEST, WIDEST = 420, 1600
GUTTER = 104
MARGIN = 18
HEAD = 30
ROW = 22
BAR = 15
LINE = 13
LANE_GAP = 10
AXIS = 24
COLUMN = 4.0
ARM = 8.0
"""Half the width of a mark, at most."""
LABEL_GAP = 8.0
BOLD = 1.13
"""Factor of the width of bold text."""
NARROW = frozenset(" !'()*,-./:;I[\\]`fijlrt|·")
BROAD = frozenset("%+<=>@MW_mw~—…")


def svg(scene: Scene, theme: Theme = SAVED, width: int | None = None, *, fits: bool = False) -> str:
    """Draw a scene.

    Args:
        scene: What to draw.
        theme: Its colours.
        width: Pixels that there is room for.
        fits: Whether it is as wide as its place: some viewers cut what is wider than the page.
    """
    wide = WIDTH if width is None else max(NARROWEST, min(width, WIDEST))
    return _SvgRenderer(scene, theme, wide, fits).document()


class _SvgRenderer:
    def __init__(self, scene: Scene, theme: Theme, width: int, fits: bool) -> None:
        self._fits = fits
        self._scene = scene
        self._theme = theme
        self._width = width
        self._right = width - MARGIN
        self._plot = width - GUTTER - MARGIN
        self._span = max(scene.end - scene.begin, 1e-6)

    def document(self) -> str:
        lanes: list[str] = []
        top = float(HEAD)
        for lane in self._scene.lanes:
            lanes.extend(self._lane(lane, top))
            top += _lane_height(lane) + LANE_GAP
        height = round(top + AXIS)
        scene, theme = self._scene, self._theme
        size = 'width="100%"' if self._fits else f'width="{self._width}" height="{height}"'
        frame = (
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} '
            f'viewBox="0 0 {self._width} {height}" style="max-width:100%;height:auto" role="img" '
            f'font-family="system-ui,-apple-system,Segoe UI,Roboto,sans-serif" font-size="11" '
            f'fill="{theme.text}" class="rx-picture">'
            f"<title>{markup(scene.title)}</title>{dark_page(theme)}"
            f'<rect x=".5" y=".5" width="{self._width - 1}" height="{height - 1}" rx="6" '
            f'fill="{theme.background}" stroke="{theme.line}"/>'
        )
        return "".join([frame, *self._heading(), *self._axis(top), *lanes, "</svg>"])

    # --- around the lanes

    def _heading(self) -> Iterator[str]:
        scene = self._scene
        begin, end = (clock_time(at, scene.zone, self._span) for at in (scene.begin, scene.end))
        when = f"{begin} – {end}"
        room = self._width - 2 * MARGIN - text_width(when) - 20
        title = _truncated(scene.title, room / (BOLD * 12 / 11))
        yield _text(MARGIN - 4, 19, title, font_size=12, font_weight=600)
        yield _text(self._right, 19, when, text_anchor="end", fill=self._theme.muted)

    def _axis(self, bottom: float) -> Iterator[str]:
        theme, free_from = self._theme, 0.0
        for at, text in ticks(self._scene.begin, self._scene.end, self._scene.zone):
            x = self._x(at)
            yield _path(f"M{x:.1f} {HEAD - 4}V{bottom:.0f}", theme.line, stroke_opacity=".6")
            width = text_width(text)
            left = min(x - width / 2, self._right - width)
            if left > free_from:
                x, y = left + width / 2, bottom + 13
                yield _text(x, y, text, text_anchor="middle", fill=theme.muted)
                free_from = left + width + 4
        line = f"M{GUTTER} {bottom:.0f}H{self._right}"
        yield _path(line, theme.muted, stroke_opacity=".7")

    # --- a lane

    def _lane(self, lane: Lane, top: float) -> Iterator[str]:
        name = _truncated(lane.name, (GUTTER - MARGIN - ARM) / BOLD)
        whole = lane.name if name != lane.name else ""
        yield _text(MARGIN - 4, top + 12, name, whole, font_weight=600)
        if lane.note:
            yield _text(MARGIN - 4, top + 25, lane.note, fill=self._theme.muted)
        if lane.density is not None:
            yield from self._density(lane.density, top)
        elif not lane.bars:
            line = f"M{GUTTER} {top + ROW / 2:.1f}H{self._x(lane.until):.1f}"
            yield _path(line, self._theme.muted, stroke_opacity=".5")
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
        for x, line, text, urgent in place_labels(shown, GUTTER, self._right, lines=2):
            weight = 600 if urgent else None
            yield _text(x, top + 10 + line * LINE, text, font_weight=weight)

    def _labels_of_pauses(self, lane: Lane) -> Iterator[tuple[float, str, bool]]:
        """A text that does not fit on the bar of a pause is written under it."""
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
        muted, y, middle = self._theme.muted, top + (ROW - BAR) / 2, top + ROW / 2
        line = f"M{left:.1f} {middle:.1f}h{width:.1f}"
        yield f"<g>{_title(bar.detail or bar.text)}"
        if bar.style == "full":
            yield _rect(left, y, width, BAR, fill=fill)
            if bar.ongoing:  # an arrow at the present
                down = f"{BAR / 2 + 2:.1f}"
                yield _path(f"M{right - 1:.1f} {y - 2:.1f}l6 {down}l-6 {down}z", fill=fill)
        elif bar.style == "hatched":
            yield _rect(left, y, width, BAR, fill="none", stroke=muted, stroke_opacity=".6")
            dashes = {"stroke_width": BAR, "stroke_dasharray": "1.5 5"}
            yield _path(line, muted, stroke_opacity=".35", **dashes)
        else:
            dash = "2 4" if bar.style == "dashed" else None
            colour = fill if bar.style == "thin" else muted
            yield _path(line, colour, stroke_width=2.5, stroke_dasharray=dash)
        text = _bar_text(bar, width)
        if text and bar.style == "full":
            yield _text(left + 7, middle + 4, text, fill=text_colour)
        elif text:
            half, x = text_width(text) / 2 + 4, (left + right) / 2
            yield _rect(x - half, middle - 7, 2 * half, 14, fill=self._theme.background)
            yield _text(x, middle + 4, text, text_anchor="middle")
        yield "</g>"

    def _mark(self, mark: Mark, y: float) -> str:
        x, theme = self._x(mark.at), self._theme
        fill, text_colour = colour_of(mark.colour)
        inside = ""
        match mark.shape:
            case "marble":
                edge = {"fill": fill, "stroke": theme.background, "stroke_width": 1}
                shape = _element("circle", cx=x, cy=y, r=8.5 if mark.text else 4.5, **edge)
                if mark.text:
                    style = {"fill": text_colour, "font_size": 10, "text_anchor": "middle"}
                    inside = _text(x, y + 3.5, mark.text, **style)
            case "sent":
                edge = {"fill": fill, "stroke_width": 1}
                shape = _path(f"M{x:.1f} {y - 5:.1f}l5 9h-10z", theme.background, **edge)
            case "cross":
                line = f"M{x - 5:.1f} {y - 5:.1f}l10 10m0 -10l-10 10"
                shape = _path(line, FAULT, stroke_width=2.6, stroke_linecap="round")
            case "end":
                shape = _path(f"M{x:.1f} {y - 11:.1f}v22", theme.text, stroke_width=2.4)
            case "start":
                edge = {"fill": theme.background, "stroke": theme.text, "stroke_width": 1.4}
                shape = _element("circle", cx=x, cy=y, r=3, **edge)
            case "tick":
                shape = _path(f"M{x:.1f} {y - 5:.1f}v10", theme.text, stroke_width=1.4)
        return f"<g>{_title(mark.detail or mark.text)}{shape}{inside}</g>"

    def _density(self, density: Density, top: float) -> Iterator[str]:
        plot = self._scene.begin, self._span, round(self._plot / COLUMN)
        exact, times = column_rates(density.bins, *plot), column_times(density.bins, *plot)
        rates = smooth_rates(exact, self._scene.begin, self._span, density.spans)
        peak = max(rates, default=0.0)
        bottom, height = top + ROW + 6, ROW + 2
        if not peak:
            return
        times_with = sum(1 for rate in rates if rate) * self._span / len(rates)
        mean = _rate_text(sum(exact) * self._span / len(rates) / times_with)
        yield f"<g>{_title(f'{mean} in the mean, at most {_rate_text(peak)}')}"
        for fill, numbers in groupby(range(len(rates)), lambda n: self._fill(density, times[n])):
            run = list(numbers)
            points = [f"M{GUTTER + run[0] * COLUMN:.1f} {bottom:.1f}"]
            for number in run:
                y = bottom - (max(rates[number] / peak * height, 1.2) if rates[number] else 0.0)
                x = min(GUTTER + (number + 1) * COLUMN, self._right)
                points.append(f"V{y:.1f}H{x:.1f}")
            yield _path(f"{''.join(points)}V{bottom:.1f}Z", fill=fill, fill_opacity=".85")
        yield "</g>"
        yield _text(MARGIN - 4, top + 38, f"mean {mean}", fill=self._theme.muted)

    def _fill(self, density: Density, at: float) -> str:
        number = next((number for since, number in reversed(density.colours) if since <= at), 0)
        return colour_of(number)[0] if number else self._theme.muted

    def _x(self, at: float) -> float:
        inside = min(max(at, self._scene.begin), self._scene.end)
        return GUTTER + (inside - self._scene.begin) / self._span * self._plot


def _element(name: str, content: str = "", /, **attributes: object) -> str:
    """An element of SVG; ``stroke_width=2`` is ``stroke-width="2"``, and ``None`` is left out."""
    given = "".join(
        f' {key.replace("_", "-")}="{value:.1f}"' if isinstance(value, float)
        else f' {key.replace("_", "-")}="{value}"'
        for key, value in attributes.items()
        if value is not None
    )  # fmt: skip
    return f"<{name}{given}>{content}</{name}>"


def _path(line: str, stroke: str | None = None, /, **attributes: object) -> str:
    return _element("path", d=line, stroke=stroke, **attributes)


def _rect(x: float, y: float, width: float, height: float, **attributes: object) -> str:
    return _element("rect", x=x, y=y, width=width, height=height, rx=3, **attributes)


def _text(x: float, y: float, text: str, title: str = "", /, **attributes: object) -> str:
    return _element("text", _title(title) + markup(text), x=x, y=y, **attributes)


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
    return f"<title>{markup(text)}</title>" if text else ""


def text_width(text: str) -> float:
    """About the width of a text of 11 px; fonts differ, so it is rather too much."""
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
    Without room on any line, it is left out.

    Args:
        labels: The place of each one's mark, its text, whether it is urgent.
        left: The left end of the lines.
        right: Their right end.
        lines: The number of lines.

    Returns:
        The place of each, its line, its text, whether it is urgent.
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
