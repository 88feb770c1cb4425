"""Names of topics with parameters in them: ``chat/:room``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["Pattern"]

_NAME = re.compile(r"[A-Za-z_]\w*\Z")


class Pattern:
    """A topic whose segments may be parameters: those that begin with a colon.

    Raises:
        TypeError: If it is no string.
        ValueError: If it is empty, or a parameter has no name or one that is there already.

    Examples:
        >>> Pattern("chat/:room").bind({"room": 1}).topic
        'chat/1'
    """

    __slots__ = ("_segments", "text", "unbound")

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise TypeError(f"topic: pass a string, not {type(text).__name__}")
        if not text:
            raise ValueError("topic: pass a name, such as 'chat/:room'")
        self.text = text
        self._segments = text.split("/")
        self.unbound = tuple(part[1:] for part in self._segments if part.startswith(":"))
        for name in self.unbound:
            if not _NAME.match(name) or self.unbound.count(name) > 1:
                raise ValueError(f"topic: {text!r} needs another name for the parameter :{name}")

    def __repr__(self) -> str:
        return f"<Pattern {self.text}>"

    @property
    def topic(self) -> str:
        """The topic, when all parameters are bound.

        Raises:
            ValueError: If one is not; it says which.
        """
        if self.unbound:
            raise ValueError(f"params: {self.text!r} needs a value for :{self.unbound[0]}")
        return self.text

    def bind(self, params: Mapping[str, Any]) -> Pattern:
        """The pattern with values in place of parameters.

        Raises:
            ValueError: If there is no such parameter, or a value is empty or holds a slash.
        """
        for name, value in params.items():
            if name not in self.unbound:
                raise ValueError(f"params: there is no :{name} in {self.text!r}")
            text = str(value)
            if not text or "/" in text or text.startswith(":"):
                raise ValueError(f"params: {text!r} cannot be the segment :{name} of a topic")
        parts = (
            str(params[part[1:]]) if part.startswith(":") and part[1:] in params else part
            for part in self._segments
        )
        return Pattern("/".join(parts))

    def matches(self, topic: str) -> bool:
        """Whether a topic is this pattern with some values in place of its parameters."""
        parts = topic.split("/")
        return len(parts) == len(self._segments) and all(
            part == mine or (mine.startswith(":") and part)
            for part, mine in zip(parts, self._segments, strict=True)
        )
