"""What a request asks, and how its answers are told from other messages."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from rxsocket.arguments import is_mapping

__all__ = ["Field", "IdOf", "Question"]

IdOf = Callable[[Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked, and how its answers are told from other messages."""

    payload: Any
    match: Callable[[Any], object] | None
    id_of: IdOf | None
    field: str | None
    timeout: float | None
    answers: int | None
    idempotent: bool

    def identified(self, numbers: Iterator[int]) -> tuple[Any, Any]:
        """The id that its answer will have, and its payload with it.

        Args:
            numbers: Ids for payloads that have none in the field.

        Raises:
            ValueError: If there is no id.
        """
        payload, id = self.payload, None
        if self.id_of is not None:
            id = self.id_of(payload)
            if id is None and self.field is not None and is_mapping(payload):
                id = next(numbers)
                payload = {**payload, self.field: id}
            if not isinstance(id, Hashable) or id is None:
                raise ValueError("id: the payload has none; give it one, or name its field")
        return id, payload


class Field:
    """What a JSON object has in a field; equal for equal fields."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Field) and other._name == self._name

    def __hash__(self) -> int:
        return hash(self._name)

    def __call__(self, message: Any) -> Any:
        """What the field of a message holds; ``None`` if it has none."""
        if isinstance(message, (str, bytes)):
            try:
                message = msgspec.json.decode(message)
            except (msgspec.DecodeError, UnicodeError):
                return None
        return message.get(self._name) if is_mapping(message) else None
