"""A venue in a process of its own, so that what is measured beside it is the client alone."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from venue import Caps, VenueServer, Violation


class VenueProcess:
    """This side of it: what is asked of the venue is asked there.

    Attributes:
        url: Its address.
    """

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self.url: str = pipe.recv()

    def ask(self, what: str, *arguments: Any) -> Any:
        """Call a method of the venue, or read an attribute."""
        self._pipe.send((what, arguments))
        is_good, answer = self._pipe.recv()
        if not is_good:
            raise RuntimeError(f"{what}: {answer}")
        return answer

    def set(self, name: str, value: Any) -> None:
        """Set an attribute of the venue."""
        self.ask("__setattr__", name, value)

    def drop(self) -> None:
        """Cut every connection."""
        self.ask("drop")

    def over(self) -> list[Violation]:
        """Each time that somebody went over a cap."""
        found: list[Violation] = self.ask("over")
        return found

    def has_exactly(self, keys: Iterable[str]) -> bool:
        """Whether each of these channels is on one connection, and no other is on any."""
        return bool(self.ask("has_exactly", list(keys)))

    def cpu(self) -> float:
        """Seconds of processor time that its process has used."""
        used: float = self.ask("cpu")
        return used


def _serve(pipe: Connection, caps: Caps, feed: tuple[float, float] | None) -> None:
    with VenueServer(caps) as venue:
        if feed is not None:
            venue.feed(*feed)
        pipe.send(venue.url)
        while True:
            what, arguments = pipe.recv()
            if what == "end":
                return
            if what == "cpu":
                pipe.send((True, time.process_time()))
                continue
            try:
                found = getattr(venue, what)
                pipe.send((True, found(*arguments) if callable(found) else found))
            except Exception as error:
                pipe.send((False, repr(error)))


@contextmanager
def venue_process(caps: Caps, feed: tuple[float, float] | None = None) -> Iterator[VenueProcess]:
    """Start one; it ends with the block.

    Args:
        caps: What it allows.
        feed: What ``Venue.feed`` takes.
    """
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_serve, args=(theirs, caps, feed), daemon=True
    )
    process.start()
    try:
        yield VenueProcess(ours)
    finally:
        ours.send(("end", ()))
        process.join(5)
