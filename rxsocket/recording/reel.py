"""A recording, dealt out to the connections that it is about."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator

from rxsocket.auth.credentials import ANONYMOUS, LOGGED_OUT, PENDING, Credential
from rxsocket.events import (
    Aborted,
    AwaitingAuth,
    Closed,
    ConnectFailed,
    Connecting,
    Message,
    Opened,
    Rejected,
)
from rxsocket.recording.lines import AuthSeen, Entry

__all__ = ["EndOfEpoch", "OfAnEpoch", "Reel", "recorded_credential"]

EndOfEpoch = Closed | ConnectFailed | Rejected | Aborted
OfAnEpoch = Connecting | Opened | Message | EndOfEpoch

_WITHOUT_VALUE = {"anonymous": ANONYMOUS, "logged out": LOGGED_OUT, "none yet": PENDING}


def recorded_credential(seen: AuthSeen, again: int = 0) -> Credential:
    """A credential that stands for a recorded one: equal if that was, of the same names.

    ``again`` makes it another one.
    """
    known = _WITHOUT_VALUE.get(seen.kind)
    if known is not None:
        return known
    value = f"recorded-{seen.credential}" + (f"-{again}" if again else "")
    return Credential.of(value if seen.names is None else dict.fromkeys(seen.names, value))


class Reel:
    """The entries of a recording, each read once; those of several connections may alternate.

    Args:
        entries: What was recorded.
    """

    def __init__(self, entries: Iterator[Entry]) -> None:
        self._entries = entries
        self._queues: dict[int, deque[Entry]] = {}
        self._waiting: deque[int] = deque()
        self._begun: set[int] = set()
        self._seen = AuthSeen(at=0.0, credential=0, kind="anonymous")
        # What was read and is not taken yet.
        self._ahead: deque[Entry] = self._until_the_first_credential()

    @property
    def first(self) -> AuthSeen:
        """The credential to begin with; a provider's is known only in the first attempt."""
        return self._seen

    def begin(self) -> int | None:
        """The next connection's epoch; ``None`` when there is none left."""
        while not self._waiting:
            entry = self._read()
            if entry is None:
                return None
            if isinstance(entry, OfAnEpoch):
                self._put(entry)
        return self._waiting.popleft()

    @property
    def more(self) -> bool:
        """Whether there is another connection."""
        return bool(self._waiting) or any(map(self._begins, self._upcoming()))

    @property
    def dials(self) -> bool:
        """Whether the credential of this moment was dialled with."""
        for entry in self._upcoming():
            if isinstance(entry, (Connecting, AwaitingAuth, AuthSeen)):
                return isinstance(entry, Connecting)
        return False

    def take(self, epoch: int | None) -> Generator[OfAnEpoch | AuthSeen, None, None]:
        """What happened to one connection up to its end, and to the credential meanwhile."""
        if epoch is None:
            return
        queue = self._queues[epoch]
        try:
            while True:
                entry = queue.popleft() if queue else self._read()
                if entry is None:
                    return
                if isinstance(entry, AuthSeen):
                    yield entry
                elif isinstance(entry, OfAnEpoch):
                    if entry.epoch != epoch:
                        self._put(entry)
                        continue
                    yield entry
                    if isinstance(entry, EndOfEpoch):
                        return
        finally:
            del self._queues[epoch]

    def until_next(self) -> Iterator[AuthSeen | Connecting]:
        """The changes of the credential before the next connection begins, and that beginning."""
        while not self._waiting:
            entry = self._read()
            if isinstance(entry, AuthSeen):
                yield entry
            elif isinstance(entry, OfAnEpoch):
                self._put(entry)
                if isinstance(entry, Connecting):
                    yield entry
                    return
            elif entry is None:
                return

    def _upcoming(self) -> Iterator[Entry]:
        """What comes next, without taking it."""
        yield from tuple(self._ahead)
        for entry in self._entries:
            self._ahead.append(entry)
            yield entry

    def _read(self) -> Entry | None:
        return self._ahead.popleft() if self._ahead else next(self._entries, None)

    def _begins(self, entry: Entry) -> bool:
        return isinstance(entry, OfAnEpoch) and entry.epoch not in self._begun

    def _put(self, entry: OfAnEpoch) -> None:
        epoch = entry.epoch
        if self._begins(entry):
            self._begun.add(epoch)
            self._queues[epoch] = deque()
            self._waiting.append(epoch)
        if epoch in self._queues:  # not one that was left before its end
            self._queues[epoch].append(entry)

    def _until_the_first_credential(self) -> deque[Entry]:
        read: deque[Entry] = deque()
        for entry in self._entries:
            if isinstance(entry, AuthSeen):
                if entry.kind != "none yet":
                    self._seen = entry
                    break
                continue
            read.append(entry)
            if isinstance(entry, (Opened, EndOfEpoch)):
                break
        return read
