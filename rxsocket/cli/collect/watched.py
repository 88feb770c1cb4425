"""A sink that tells when it does not store, and when it does again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from rxsocket.cli.output import Notice
from rxsocket.explain.causes import describe
from rxsocket.explain.format import span
from rxsocket.sinks import Failed, Outcome, Record, Sink

CANCELLED = "it takes too long"


class WatchedSink:
    """Passes records on, and tells of each outage once, and of its end.

    Args:
        sink: What stores.
        tell: Called with what to say, on the loop of the sink.
    """

    def __init__(self, sink: Sink, tell: Callable[[Notice], None]) -> None:
        self._sink = sink
        self._tell = tell
        self._away_since: float | None = None

    def __repr__(self) -> str:
        return repr(self._sink)

    async def publish(self, records: Sequence[Record]) -> Sequence[Outcome]:
        why: str | None = CANCELLED
        try:
            outcomes = await self._sink.publish(records)
            why = _why_not_stored(outcomes)
        except Exception as error:
            why = describe(error)
            raise
        finally:
            self._look(why)
        return outcomes

    async def close(self) -> None:
        await self._sink.close()

    def _look(self, why: str | None) -> None:
        since = self._away_since
        if why is None:
            self._away_since = None
            if since is not None:
                away = span(time.monotonic() - since)
                self._tell(Notice(f"{self._sink!r} stores again, after {away}"))
        elif since is None:
            self._away_since = time.monotonic()
            self._tell(Notice(f"{self._sink!r} does not store: {why}; it is tried again"))


def _why_not_stored(outcomes: Sequence[Outcome]) -> str | None:
    """Why, if some of them were not, and may be at another attempt."""
    for outcome in outcomes:
        if isinstance(outcome, Failed) and outcome.temporary:
            return describe(outcome.error)
    return None
