"""A recording taken apart: the entries of each connection, and the credentials in between."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator

from rxsocket.auth.credentials import ANONYMOUS, LOGGED_OUT, PENDING, Credential
from rxsocket.events import AwaitingAuth, Connecting, EpochEnd, EpochEvent, Opened
from rxsocket.recording.format import AuthSeen, Entry

_WITHOUT_VALUE = {"anonymous": ANONYMOUS, "logged out": LOGGED_OUT, "none yet": PENDING}


def recorded_credential(seen: AuthSeen, copy: int = 0) -> Credential:
    """A credential that stands for a recorded one: equal if that was, with the same names.

    Args:
        seen: What the recording says of it.
        copy: Each number gives a different credential.
    """
    known = _WITHOUT_VALUE.get(seen.kind)
    if known is not None:
        return known
    value = f"recorded-{seen.credential}" + (f"-{copy}" if copy else "")
    return Credential.of(value if seen.names is None else dict.fromkeys(seen.names, value))


class RecordedConnections:
    """The connections of a recording, one after the other.

    The file is read once and only as far as needed. Entries of several connections may alternate
    in it, so what belongs to another one than is asked for waits in a queue.

    Args:
        entries: What was recorded.

    Attributes:
        first_credential: The credential to begin with. A provider's is known only in the first
            attempt.
    """

    def __init__(self, entries: Iterator[Entry]) -> None:
        self._entries = entries
        self._queues: dict[int, deque[Entry]] = {}
        self._waiting: deque[int] = deque()
        self._begun: set[int] = set()
        self._read_ahead: deque[Entry] = deque()
        self.first_credential = self._find_first_credential()

    def next_epoch(self) -> int | None:
        """The epoch of the next connection; ``None`` when there is none left."""
        while not self._waiting:
            entry = self._next_entry()
            if entry is None:
                return None
            if isinstance(entry, EpochEvent):
                self._enqueue(entry)
        return self._waiting.popleft()

    @property
    def has_more(self) -> bool:
        """Whether there is another connection."""
        return bool(self._waiting) or any(map(self._is_new, self._peek()))

    @property
    def dials_next(self) -> bool:
        """Whether a connection was attempted before the credential changed again."""
        for entry in self._peek():
            if isinstance(entry, (Connecting, AwaitingAuth, AuthSeen)):
                return isinstance(entry, Connecting)
        return False

    def entries_of(self, epoch: int | None) -> Generator[EpochEvent | AuthSeen, None, None]:
        """What happened to one connection up to its end, and to the credential meanwhile."""
        if epoch is None:
            return
        queue = self._queues[epoch]
        try:
            while True:
                entry = queue.popleft() if queue else self._next_entry()
                if entry is None:
                    return
                if isinstance(entry, AuthSeen):
                    yield entry
                elif isinstance(entry, EpochEvent):
                    if entry.epoch != epoch:
                        self._enqueue(entry)
                        continue
                    yield entry
                    if isinstance(entry, EpochEnd):
                        return
        finally:
            del self._queues[epoch]

    def between_connections(self) -> Iterator[AuthSeen | Connecting]:
        """The credentials up to the next connection, and the beginning of that one."""
        while not self._waiting:
            entry = self._next_entry()
            if isinstance(entry, AuthSeen):
                yield entry
            elif isinstance(entry, EpochEvent):
                self._enqueue(entry)
                if isinstance(entry, Connecting):
                    yield entry
                    return
            elif entry is None:
                return

    def _peek(self) -> Iterator[Entry]:
        yield from tuple(self._read_ahead)
        for entry in self._entries:
            self._read_ahead.append(entry)
            yield entry

    def _next_entry(self) -> Entry | None:
        return self._read_ahead.popleft() if self._read_ahead else next(self._entries, None)

    def _is_new(self, entry: Entry) -> bool:
        return isinstance(entry, EpochEvent) and entry.epoch not in self._begun

    def _enqueue(self, entry: EpochEvent) -> None:
        epoch = entry.epoch
        if self._is_new(entry):
            self._begun.add(epoch)
            self._queues[epoch] = deque()
            self._waiting.append(epoch)
        if epoch in self._queues:  # else the socket closed it before its recorded end
            self._queues[epoch].append(entry)

    def _find_first_credential(self) -> AuthSeen:
        for entry in self._entries:
            if isinstance(entry, AuthSeen):
                if entry.kind != "none yet":
                    return entry
                continue
            self._read_ahead.append(entry)
            if isinstance(entry, (Opened, EpochEnd)):
                break
        return AuthSeen(at=0.0, credential=0, kind="anonymous")
