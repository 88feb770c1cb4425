"""Marble diagrams of a socket: opens, closes, messages and changes of the credential in one.

::

    auth      A---------B-----------        each different credential a letter, 0 for none
    opens     o---------o-----------
    closes    ------x---x-----------
    refused   ----------------------        handshakes refused for the credential
    failed    -------f--------------        attempts that failed otherwise
    messages  --1--2-------(34)---|-        | completed, # failed
    state     o-----w---o---------.-        i idle, c connecting, o open, w waiting, a awaiting auth
                                            g gated

A column is a moment (1 s, if not told otherwise); what stands in parentheses happens in the moment
of the opening one, as in RxPY's own marbles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from rxsocket.auth.credentials import Credential
from rxsocket.events import Closed, ConnectFailed, Message, Opened, Rejected
from rxsocket.state import State
from rxsocket.testing.watch import StreamsEnded, Watch, WatchEntry

_STATES = {
    State.IDLE: "i",
    State.CONNECTING: "c",
    State.OPEN: "o",
    State.WAITING: "w",
    State.AWAITING_AUTH: "a",
    State.GATED: "g",
    State.CLOSED: ".",
}
_UNKNOWN = "?"


class _Marble(NamedTuple):
    column: int
    symbol: str


_Row = list[_Marble]


class _Legend:
    """The symbols of payloads and of credentials."""

    def __init__(self, values: Mapping[str, Any], credentials: Mapping[str, Any]) -> None:
        self._values = values
        self._credentials = {Credential.of(value): name for name, value in credentials.items()}
        self._letters = (
            letter for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if letter not in credentials
        )

    def payload(self, data: Any) -> str:
        for symbol, value in self._values.items():
            if value == data:
                return symbol
        return data if isinstance(data, str) and len(data) == 1 else _UNKNOWN

    def credential(self, credential: Credential) -> str:
        if not credential.known:
            return "0"
        if credential not in self._credentials:
            self._credentials[credential] = next(self._letters, _UNKNOWN)
        return self._credentials[credential]


_ToSymbol = Callable[[Any, _Legend], str | None]


def _when(*kinds: type, symbol: str) -> _ToSymbol:
    return lambda what, _: symbol if isinstance(what, kinds) else None


def _end(what: Any) -> str | None:
    if isinstance(what, StreamsEnded):
        return "|" if what.error is None else "#"
    return None


ROWS: Mapping[str, _ToSymbol] = {
    "auth": lambda what, legend: legend.credential(what) if isinstance(what, Credential) else None,
    "state": lambda what, _: _STATES[what] if isinstance(what, State) else None,
    "opens": lambda what, _: "o" if isinstance(what, Opened) else _end(what),
    "closes": lambda what, _: "x" if isinstance(what, Closed) else _end(what),
    "refused": _when(Rejected, symbol="r"),
    "failed": _when(ConnectFailed, symbol="f"),
    "messages": lambda what, legend: (
        legend.payload(what.data) if isinstance(what, Message) else _end(what)
    ),
}
"""The symbol of an event in each row, or ``None`` if it is not shown there."""


def marbles(
    seen: Watch,
    *rows: str,
    tick: float = 1.0,
    values: Mapping[str, Any] | None = None,
    auth: Mapping[str, Any] | None = None,
) -> str:
    """Draw the events of a socket.

    Args:
        seen: The events, from :func:`watch`.
        rows: The rows to draw; left out, all that are not empty.
        tick: Seconds of a column.
        values: Payloads by the character that stands for them; a single character needs none.
        auth: Credentials by the letter that stands for them; left out, A, B, … as they came.
    """
    names = rows or tuple(ROWS)
    drawn = _to_rows(seen.entries, names, tick, _Legend(values or {}, auth or {}))
    shown = {name: row for name, row in drawn.items() if row or rows}
    width = _width(shown.values())
    return "\n".join(f"{name:<9} {_drawn(row, width)}" for name, row in shown.items())


def assert_marbles(
    seen: Watch,
    diagram: str,
    *,
    tick: float = 1.0,
    values: Mapping[str, Any] | None = None,
    auth: Mapping[str, Any] | None = None,
) -> None:
    """Compare the events of a socket with a marble diagram, in virtual time.

    Only the rows of the diagram are compared; each has to be right from the watch's first moment to
    its last.

    Args:
        seen: The events, from :func:`watch`.
        diagram: A row a line: its name, then its marbles; see ``rxsocket.testing.marbles``.
        tick: Seconds of a column; what happens within one is at that column.
        values: Payloads by the character that stands for them; a single character needs none.
        auth: Credentials by the letter that stands for them; left out, A, B, … as they came.

    Raises:
        AssertionError: If they differ: both diagrams, one above the other, and the events.
        ValueError: If the diagram cannot be read.

    Examples:
        >>> assert_marbles(seen, '''
        ...     auth      A----B------
        ...     opens     o----o------
        ...     closes    -----x------
        ...     messages  --1--2--3---
        ... ''')
    """
    __tracebackhide__ = True
    if tick <= 0:
        raise ValueError(f"tick: pass seconds, more than 0, not {tick!r}")
    expected = _parsed(diagram)
    legend = _Legend(values or {}, auth or {})
    actual = _to_rows(seen.entries, tuple(expected), tick, legend)
    if actual == expected:
        return
    width = _width((*actual.values(), *expected.values()))
    lines: list[str] = []
    for name, row in expected.items():
        wanted, got = _drawn(row, width), _drawn(actual[name], width)
        lines.append(f"  {name:<9} expected  {wanted}")
        if actual[name] != row:
            lines.append(f"  {'':<9} actual    {got}")
            lines.append(f"  {'':<19} {_pointer(wanted, got)}")
    differ = ", ".join(name for name, row in expected.items() if actual[name] != row)
    unknown = "".join(
        f"\n  ? is {what.data!r}, at {at:g} s"
        for at, what in seen.entries
        if isinstance(what, Message) and legend.payload(what.data) == _UNKNOWN
    )
    raise AssertionError(
        f"the marbles differ in {differ}; a column is {tick:g} s\n"
        + "\n".join(lines)
        + (unknown if "messages" in differ else "")
        + f"\nevents:\n  {seen.history}"
    )


def _to_rows(
    entries: list[WatchEntry], names: tuple[str, ...], tick: float, legend: _Legend
) -> dict[str, _Row]:
    rows: dict[str, _Row] = {name: [] for name in names}
    for at, what in entries:
        for name in names:
            symbol = ROWS[name](what, legend)
            if symbol is not None:
                # A moment that floats put a hair before its column is in it.
                rows[name].append(_Marble(int(at / tick + 1e-6), symbol))
    return rows


def _parsed(diagram: str) -> dict[str, _Row]:
    rows: dict[str, _Row] = {}
    for line in diagram.splitlines():
        name, _, text = line.strip().partition(" ")
        if not name:
            continue
        if name not in ROWS or name in rows:
            what = "twice" if name in rows else f"unknown; there are {', '.join(ROWS)}"
            raise ValueError(f"diagram: the row {name!r} is {what}")
        rows[name] = _row(name, text.strip())
    if not rows:
        raise ValueError("diagram: pass lines such as 'opens  --o---'")
    return rows


def _row(name: str, text: str) -> _Row:
    marbles: _Row = []
    group: int | None = None
    for column, symbol in enumerate(text):
        if symbol == "(" and group is None:
            group = column
        elif symbol == ")" and group is not None:
            group = None
        elif symbol in "( )":
            raise ValueError(f"diagram: {symbol!r} in column {column} of the row {name!r}")
        elif symbol != "-" or group is not None:
            marbles.append(_Marble(column if group is None else group, symbol))
    if group is not None:
        raise ValueError(f"diagram: a parenthesis of the row {name!r} is not closed")
    return marbles


def _width(rows: Iterable[_Row]) -> int:
    return max((len(_text(row) or "") for row in rows), default=0)


def _drawn(row: _Row, width: int) -> str:
    text = _text(row)
    if text is None:
        return " ".join(f"{marble.column}:{marble.symbol}" for marble in row)
    return text.ljust(width, "-")


def _text(row: _Row) -> str | None:
    """The row as a diagram; ``None`` where parentheses need more columns than there are."""
    text = ""
    for column in dict.fromkeys(marble.column for marble in row):
        symbols = "".join(marble.symbol for marble in row if marble.column == column)
        if column < len(text):
            return None
        text = text.ljust(column, "-") + (symbols if len(symbols) == 1 else f"({symbols})")
    return text


def _pointer(wanted: str, got: str) -> str:
    same = 0
    while same < min(len(wanted), len(got)) and wanted[same] == got[same]:
        same += 1
    return " " * same + "^"
