"""A broker that is away: when to try again, and what the log says of it (C40)."""

from __future__ import annotations

import logging
from typing import Any

from rxsocket.explain.format import amount
from rxsocket.policy.backoff import Backoff
from rxsocket.runtime.threads import log
from rxsocket.sinks.records import Failed
from rxsocket.sinks.sink import Sink
from rxsocket.texts import LONGEST, printable


class Outage:
    """Counts failures in a row; an outage has one line in the log, and one when it is over.

    Args:
        sink: What is away.
        backoff: How long to wait before each attempt.
        retry_for: Seconds in which a record is tried again.

    Attributes:
        failures: Failed attempts in a row; 0 while the broker answers.
    """

    def __init__(self, sink: Sink, backoff: Backoff, retry_for: float) -> None:
        self._sink = sink
        self._backoff = backoff
        self._retry_for = retry_for
        self._has_given_up = self._has_refused = False
        self.failures = 0

    def add_failure(self, error: Exception) -> float:
        """Another attempt failed.

        Returns:
            Seconds until the next one.
        """
        if not self.failures:
            text = "%r does not store: %s; trying again, each record for %g s"
            log(logging.WARNING, text, self._sink, said(error), self._retry_for)
        self.failures += 1
        return self._backoff.delay(self.failures - 1)

    def end(self) -> None:
        """The broker has answered."""
        if self.failures:
            failed = amount(self.failures, "attempt")
            log(logging.INFO, "%r stores again, after %s that failed", self._sink, failed)
        self.failures, self._has_given_up = 0, False

    def give_up(self, failed: Failed) -> None:
        """The time for a record was over; said once in an outage."""
        if not self._has_given_up:
            text = "%r: gave up a record after %g s, and others, if a Failed says so: %s"
            log(logging.ERROR, text, self._sink, self._retry_for, said(failed.error))
        self._has_given_up = True

    def refuse(self, failed: Failed) -> None:
        """The broker took a record and refused it; said once, as it may refuse all of them."""
        if not self._has_refused:
            text = "%r refused a record, and others, if a Failed says so: %s"
            log(logging.WARNING, text, self._sink, said(failed.error))
        self._has_refused = True

    def fail_to_close(self, error: Any) -> None:
        """The sink could not be closed, or not in time."""
        log(logging.WARNING, "%r was not closed: %s", self._sink, said(error))


def said(error: Any) -> str:
    """An exception in one line."""
    text = printable(str(error), LONGEST)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
