"""What happens after an end, as one table (C9, C16).

Two rules, and everything else is a row:

1. Each way in which a connection can end has one row; the first that matches decides.
2. A row says RECONNECT, AWAIT_AUTH, COMPLETE or FAIL. It may be patient (``in_a_row``: FAIL when
   it happens that many times running) or mean something else once the connection was stable
   (``when_stable``).

So "what happens when the server closes with 1012?" is answered by reading a line below. Replace
lines with :meth:`Verdicts.override`; the rest of the table stays.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, TypeAlias

from rxsocket.errors import (
    CredentialRefused,
    HandshakeInvalid,
    HandshakeRefused,
    NoMoreEvents,
    NotAnEventStream,
    RedirectRefused,
    Unauthorized,
)
from rxsocket.validation import is_mapping


class Verdict(Enum):
    """What the policy says after an end.

    Attributes:
        RECONNECT: Try again, after a backoff.
        AWAIT_AUTH: The credential was refused: wait for another one, without ending any stream.
        COMPLETE: The work is done: complete every stream.
        FAIL: This can never succeed: end every stream with an error.
    """

    RECONNECT = "reconnect"
    AWAIT_AUTH = "await auth"
    COMPLETE = "complete"
    FAIL = "fail"

    def __repr__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class End:
    """How an attempt or a connection ended: the facts a verdict is made from.

    Attributes:
        code: Close code of an opened connection: the peer's, 1005 when its close frame had none,
            1006 when the link was lost without a close frame (RFC 6455, section 7.1.5).
        error: What the attempt failed with, when it never opened.
        stable: Whether the connection had been open for ``stable_after``.
        in_a_row: How many ends with this code, status or exception there were running, this one
            included.
        reason: What the peer said with its close code.
        was_stable: Whether a connection of this run of the socket was stable, this one included.
        carried: Whether the attempt carried a credential; not before the first message, if it goes
            in that alone.
        unproven: Whether that was pushed, and no connection with it has been stable yet.
    """

    code: int | None = None
    error: Exception | None = None
    stable: bool = False
    in_a_row: int = 1
    reason: str = ""
    was_stable: bool = False
    carried: bool = False
    unproven: bool = False


class Judgement(NamedTuple):
    """A verdict, and the one before the first stable connection of a run."""

    verdict: Verdict
    at_first: Verdict

    @property
    def tolerated(self) -> bool:
        """Whether it is tried again only because a connection was stable before."""
        return self.verdict is Verdict.RECONNECT is not self.at_first


Key: TypeAlias = int | range | type[Exception]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        verdict: What follows.
        in_a_row: FAIL instead when the same end came that many times running.
        when_stable: The verdict instead when the connection had been stable.
        once_stable: The verdict instead once a connection of this run was stable.
        when_carried: The verdict instead when a credential was carried, before that; and also
            later, when it is one that was pushed since and with which none was stable.
    """

    verdict: Verdict
    in_a_row: int | None = None
    when_stable: Verdict | None = None
    once_stable: Verdict | None = None
    when_carried: Verdict | None = None

    def about(self, end: End, *, was_stable: bool) -> Verdict:
        """The verdict about an end; ``was_stable`` is for ``once_stable`` alone."""
        if self.when_stable is not None and end.stable:
            return self.when_stable
        awaits = self.when_carried if end.carried else None
        if self.once_stable is not None and was_stable and not (awaits and end.unproven):
            return self.once_stable
        if awaits is not None:
            return awaits
        if self.in_a_row is not None and end.in_a_row >= self.in_a_row:
            return Verdict.FAIL
        return self.verdict


RECONNECT = Row(Verdict.RECONNECT)
PATIENT = Row(Verdict.RECONNECT, in_a_row=5)
AWAIT_AUTH = Row(Verdict.AWAIT_AUTH)
COMPLETE = Row(Verdict.COMPLETE)
FAIL = Row(Verdict.FAIL)
# Of the standard table: what was good once may be good again, so nothing but the peer's 1000 ends
# a socket that had a stable connection in this run (C3).
FAIL_AT_FIRST = Row(Verdict.FAIL, once_stable=Verdict.RECONNECT)
PATIENT_AT_FIRST = Row(Verdict.RECONNECT, in_a_row=5, once_stable=Verdict.RECONNECT)
# Some servers refuse a token so: Vite's and socket.io's with 400, others redirect to a login page.
FAIL_UNLESS_CARRIED = Row(
    Verdict.FAIL, once_stable=Verdict.RECONNECT, when_carried=Verdict.AWAIT_AUTH
)

# Close codes begin at 1000 and HTTP statuses end at 599, so one mapping holds both.
STANDARD: Mapping[Key, Row] = {
    # --- close codes (RFC 6455, section 7.4, and the IANA registry)
    1000: COMPLETE,  # normal closure: the peer says that it is done
    1001: RECONNECT,  # going away: restart, page change, session cap
    1002: PATIENT_AT_FIRST,  # protocol error: a flaky proxy, or a server that will never work
    1003: PATIENT_AT_FIRST,  # unsupported data
    1005: RECONNECT,  # closed without a code
    1006: RECONNECT,  # link lost without a close frame
    1007: PATIENT_AT_FIRST,  # invalid payload
    1008: Row(
        Verdict.AWAIT_AUTH, when_stable=Verdict.RECONNECT
    ),  # policy: at the door, the credential
    1009: FAIL_AT_FIRST,  # message too big: the same message would come again
    1010: FAIL_AT_FIRST,  # the server lacks an extension that we asked for
    1011: RECONNECT,  # internal error
    1012: RECONNECT,  # service restart
    1013: RECONNECT,  # try again later
    1014: RECONNECT,  # bad gateway
    1015: FAIL_AT_FIRST,  # TLS
    3000: AWAIT_AUTH,  # unauthorized (IANA)
    3003: AWAIT_AUTH,  # forbidden (IANA)
    4401: AWAIT_AUTH,  # by custom: HTTP 401 as a close code
    4403: AWAIT_AUTH,  # by custom: HTTP 403 as a close code
    range(1000, 5000): RECONNECT,  # codes that say nothing to us: a private matter of the server
    # --- HTTP statuses of a refused handshake (RFC 9110)
    400: FAIL_UNLESS_CARRIED,
    401: AWAIT_AUTH,
    403: AWAIT_AUTH,
    404: PATIENT_AT_FIRST,  # a deploy may bring it back
    405: FAIL_AT_FIRST,
    408: RECONNECT,
    410: FAIL_AT_FIRST,
    425: RECONNECT,
    426: FAIL_AT_FIRST,
    429: RECONNECT,
    range(500, 1000): RECONNECT,  # above 599 there are none, so a server's error (RFC 9110, 15)
    range(100, 600): PATIENT_AT_FIRST,  # not a WebSocket endpoint, as far as one can see
    # --- exceptions of an attempt that never opened; the nearest class decides
    Unauthorized: AWAIT_AUTH,
    CredentialRefused: AWAIT_AUTH,
    ssl.SSLCertVerificationError: FAIL_AT_FIRST,
    HandshakeInvalid: PATIENT_AT_FIRST,
    NotAnEventStream: FAIL_AT_FIRST,  # the wrong address, or a login page in place of it
    NoMoreEvents: COMPLETE,
    RedirectRefused: FAIL_UNLESS_CARRIED,
    Exception: RECONNECT,  # OSError, TimeoutError, a provider that failed
}


Word: TypeAlias = Callable[[End], Verdict | None]


class Verdicts:
    """The verdict table: a pure function from an :class:`End` to a :class:`Verdict`.

    Args:
        rows: The lines. A key is a close code, an HTTP status, a ``range`` of either, or an
            exception class. A single number goes before a range; an exception takes the row of its
            nearest class.
        words: Functions that have the last word, see :meth:`then`; the last of them comes first.

    Examples:
        >>> verdicts = standard().override({4404: Verdict.FAIL, range(4500, 5000): Verdict.FAIL})
        >>> verdicts(End(code=4404))
        FAIL
    """

    def __init__(self, rows: Mapping[Key, Row], words: tuple[Word, ...] = ()) -> None:
        self._rows = dict(rows)
        self._words = words

    def __call__(self, end: End) -> Verdict:
        """The verdict about an end.

        Raises:
            TypeError: If a function given to :meth:`then` returned something else.
        """
        return self.judge(end).verdict

    def judge(self, end: End) -> Judgement:
        """The verdict about an end, and what it would be without a stable connection before.

        Raises:
            TypeError: If a function given to :meth:`then` returned something else.
        """
        for word in reversed(self._words):
            said = word(end)
            if isinstance(said, Verdict):
                return Judgement(said, said)
            if said is not None:  # pyright: ignore[reportUnnecessaryComparison]
                raise TypeError(f"verdicts.then(function): return a Verdict or None, not {said!r}")
        row = self._row(end)
        now = row.about(end, was_stable=end.stable or end.was_stable)
        return Judgement(now, row.about(end, was_stable=False))

    def override(self, rows: Mapping[Key, Verdict | Row]) -> Verdicts:
        """A new table with these lines before the others.

        Args:
            rows: Verdicts (or :class:`Row`) by close code, HTTP status, ``range`` or exception.

        Raises:
            TypeError: If it is not a mapping, or a key or a value is of another type.
        """
        if not is_mapping(rows):
            raise TypeError(
                "verdicts.override(rows): pass a mapping such as {4404: Verdict.FAIL}, not "
                f"{type(rows).__name__}"
            )
        new: dict[Key, Row] = {}
        for key, value in rows.items():
            if not isinstance(key, (int, range)) and not (
                isinstance(key, type) and issubclass(key, Exception)
            ):
                raise TypeError(
                    "verdicts: a key is a close code, an HTTP status, a range or an exception "
                    f"class, not {key!r}"
                )
            if not isinstance(value, (Row, Verdict)):
                raise TypeError(f"verdicts: pass a Verdict or a Row for {key!r}, not {value!r}")
            new[key] = value if isinstance(value, Row) else Row(value)
        kept = {key: row for key, row in self._rows.items() if key not in new}
        return Verdicts({**new, **kept}, self._words)

    def then(self, function: Word) -> Verdicts:
        """A new table in which a function has the last word.

        Args:
            function: Given the :class:`End`, returns a verdict, or ``None`` for the table's own.
                It is called on the socket's loop, once for each end.

        Raises:
            TypeError: If it cannot be called.

        Examples:
            >>> def patience(end):
            ...     return Verdict.FAIL if end.in_a_row > 20 else None
            >>> verdicts = standard().then(patience)
            >>> verdicts(End(code=1012)), verdicts(End(code=1012, in_a_row=21))
            (RECONNECT, FAIL)
        """
        if not callable(function):
            kind = type(function).__name__
            raise TypeError(f"verdicts.then(function): pass a function, not {kind}")
        return Verdicts(self._rows, (*self._words, function))

    def _row(self, end: End) -> Row:
        for key in _keys(end):
            candidates = self._matching(key) if isinstance(key, int) else iter((key,))
            for candidate in candidates:
                if candidate in self._rows:
                    return self._rows[candidate]
        return RECONNECT

    def _matching(self, number: int) -> Iterator[Key]:
        yield number
        for key in self._rows:
            if isinstance(key, range) and number in key:
                yield key


def kind(end: End) -> int | type[Exception] | None:
    """What makes two ends the same: the close code, the HTTP status or the exception's class."""
    return next(_keys(end), None)


def _keys(end: End) -> Iterator[int | type[Exception]]:
    if end.code is not None:
        yield end.code
    elif isinstance(end.error, HandshakeRefused):
        yield end.error.status
    if end.error is not None:
        for cls in type(end.error).__mro__:
            if issubclass(cls, Exception):
                yield cls


Judge: TypeAlias = Callable[[End], Verdict]


def standard() -> Verdicts:
    """The table that a socket uses when ``verdicts=`` is left out."""
    return _standard


_standard = Verdicts(STANDARD)
