"""What a call of ``publish`` has come to: an outcome for each record, in any case (C40)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rxsocket.sinks.records import Duplicate, Failed, Outcome, Record, Stored

_OUTCOMES = {Stored, Duplicate, Failed}


def all_failed(
    records: Sequence[Record], error: Exception, *, temporary: bool
) -> Sequence[Outcome]:
    """None of the records is known to be stored."""
    return [Failed(one.id, one.key, error, one.data, temporary) for one in records]


def fault_of(outcomes: Any, count: int) -> TypeError | None:
    """What is wrong with that which a sink of a user's returned for so many records."""
    try:
        found = [type(outcome) in _OUTCOMES for outcome in outcomes]
    except TypeError:
        found = []
    if len(found) == count and all(found):
        return None
    return TypeError(
        f"publish: return a Stored, Duplicate or Failed for each of the {count} records, in their "
        f"order, not {type(outcomes).__name__} with {sum(found)} of them"
    )
