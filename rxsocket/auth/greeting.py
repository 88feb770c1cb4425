"""A credential that goes as the first message of a connection, and the answer to it (C19)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

__all__ = ["Greeting", "Predicate"]

Predicate: TypeAlias = Callable[[Any], object]
"""A function of a message; what it returns is taken for true or false."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """What is said as soon as a link is there, before the socket counts as open.

    Attributes:
        message: The message that carries the credential. A secret.
        accepted: Whether a message says that it was accepted; ``None`` if the server says nothing.
        rejected: Whether a message says that it was refused.
        timeout: Seconds to wait for either.
    """

    message: str | bytes = field(repr=False)
    accepted: Predicate | None = None
    rejected: Predicate | None = None
    timeout: float = 10.0
