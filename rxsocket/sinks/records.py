"""What is stored, and what became of it (C40).

::

    messages   --1--2--3--4--5--|
    into(sink) -----S1-D2-F3-S4-S5-|       Stored, Duplicate, Failed: one for each message

A message that never became a record, because too many waited, is counted in a ``Dropped``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Record:
    """One message as a broker gets it. Its repr shows no data, which may hold a secret
    (rule C28, secrets).

    Attributes:
        id: By which the broker knows it again; ``""`` for none, and then it may be stored twice.
        key: What it is about, such as the name of its channel; ``""`` for none.
        data: The message in bytes.
    """

    id: str
    key: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Stored:
    """The broker has it.

    Attributes:
        id: Of the record.
        key: Of the record.
        entry: What the broker calls it: the sequence number in a stream of JetStream, the id of
            the entry in one of Redis.
    """

    id: str
    key: str
    entry: int | str


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The broker had a record of this id before, and has kept that one.

    It came from elsewhere, or from an earlier attempt whose answer was lost.

    Attributes:
        id: Of the record.
        key: Of the record.
        entry: What the broker calls the one that it has.
    """

    id: str
    key: str
    entry: int | str


@dataclass(frozen=True, slots=True)
class Failed:
    """It was not stored, as far as one can know; what came with it and after it goes on.

    Attributes:
        id: Of the record.
        key: Of the record.
        error: Why.
        data: Of the record, for another place to keep it; not in the repr.
        temporary: From a sink: whether another attempt may help, which ``into`` then makes. In the
            end: whether the time for that was over, instead of the broker having refused it.
    """

    id: str
    key: str
    error: Exception
    data: bytes = field(default=b"", repr=False)
    temporary: bool = False


@dataclass(frozen=True, slots=True)
class Dropped:
    """So many messages were not even tried, because too many waited.

    Attributes:
        count: How many, since the last one of these.
    """

    count: int


Outcome: TypeAlias = Stored | Duplicate | Failed
"""What became of one record."""
