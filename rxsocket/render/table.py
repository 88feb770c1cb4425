"""Tables for a page, and as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rxsocket.texts import markup

AS_OUTPUT = 'class="jp-RenderedHTMLCommon" style="width:max-content;max-width:100%"'
"""The style of a cell's output in JupyterLab."""
_LEFT = ' style="text-align:left"'


def html_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table as HTML, everything in it escaped."""
    head = "".join(f'<th scope="col"{_LEFT}>{markup(text)}</th>' for text in headings)
    body = "".join(
        "<tr>" + "".join(f"<td{_LEFT}>{markup(text)}</td>" for text in row) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def text_table(rows: Iterable[Sequence[str]], widest: int = 40) -> list[str]:
    """A table as lines of text, its columns aligned as far as their texts are no longer."""
    cells = [list(row) for row in rows]
    columns = max(map(len, cells), default=0)
    widths = [
        max((len(row[number]) for row in cells if len(row[number]) <= widest), default=0)
        for number in range(columns)
    ]
    lines = (
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
        for row in cells
    )
    return [line.rstrip() for line in lines]
