"""Servers with numbered messages, which go on from where they are told to: ``?after=N`` (C38).

The same for virtual time and on the wire: only what is mixed in differs.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

from internals import Fake, Script, Server
from websockets.datastructures import Headers

from rxsocket.testing import accept
from rxsocket.testing.clients import Handshake


class Numbered:
    """Sends ``{"seq": 1}``, ``{"seq": 2}``, ... on each connection, after the place asked for.

    Attributes:
        rate: Messages a second.
        keeps: How many of the messages that were sent can be had again; ``None`` for all.
        unheard: How many are sent before each connection, to nobody.
        asked: The place that each connection asked for.
        by_message: Whether it is asked for with a first message, ``{"op": "resume", "seq": N}``.
        newest: The highest number that was sent.
    """

    rate: float = 20.0
    keeps: int | None = None
    unheard: int = 0
    by_message: bool = False

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.asked: list[int | None] = []
        self.newest = 0

    def accept_dial(self, target: str, headers: Headers) -> tuple[Handshake | None, Script]:
        handshake, script = super().accept_dial(target, headers)  # type: ignore[misc]
        if handshake is None or script != accept():
            return handshake, script
        if self.by_message:
            return handshake, accept().expect(self._is_resume).stream(self._feed, self.rate)
        self.asked.append(_number(handshake.query.get("after")))
        after = self.asked[-1]
        return handshake, accept().stream(lambda: self._numbers(after), self.rate)

    def _is_resume(self, message: str | bytes) -> bool:
        said = json.loads(message)
        self.asked.append(_number(said["seq"]))
        return bool(said["op"] == "resume")

    def _feed(self) -> Iterator[str]:
        return self._numbers(self.asked[-1])

    def _numbers(self, after: int | None) -> Iterator[str]:
        self.newest += self.unheard
        first = (after or 0) + 1
        if self.keeps is not None:
            first = max(first, self.newest + 1 - self.keeps)
        for number in itertools.count(first):
            self.newest = max(self.newest, number)
            yield json.dumps({"seq": number})


def _number(text: Any) -> int | None:
    return None if text in (None, "") else int(text)


class NumberedFake(Numbered, Fake):
    """In virtual time."""


class NumberedServer(Numbered, Server):
    """On the wire."""
