"""How messages are made into records, and how these are treated (C40)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rxsocket.policy.backoff import Backoff
from rxsocket.sinks.pressure import PausePolicy
from rxsocket.sinks.records import Record
from rxsocket.streams.buffers import Drops


@dataclass(frozen=True, slots=True)
class Handling:
    """The arguments of ``into``, checked."""

    to_record: Callable[[Any], Record]
    in_flight: int
    batch: int
    overflow: PausePolicy
    high_water: int
    retry_for: float
    timeout: float
    backoff: Backoff
    drops: Drops | None
    loop: asyncio.AbstractEventLoop | None
