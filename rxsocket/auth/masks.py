"""Values of credentials, kept out of what is shown or written down (C28)."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from itertools import takewhile
from typing import Any
from urllib.parse import quote, quote_plus

from rxsocket.auth.credentials import Credential, texts_of

__all__ = ["MOST", "Mask"]

SHORTEST = 4
"""Characters of a value that can be told from other text; a shorter one would mask everything."""
BEGINNING = 12
"""Characters by which a value that was cut is recognised."""
MOST = 1000
"""Texts that are looked for; a socket that is renewed for months forgets the oldest."""


class Mask:
    """Replaces the values of credentials, wherever they turn up: an echo, a reason, an error.

    Args:
        credentials: Whose values are masked from the start.
    """

    def __init__(self, credentials: Iterable[Credential] = ()) -> None:
        self._known: dict[str, None] = {}
        self._forms: tuple[str, ...] = ()
        self._escaped: tuple[str, ...] = ()
        self._bytes: tuple[bytes, ...] = ()
        for credential in credentials:
            self._learn(credential)
        self._prepare()

    def hide(self, credential: Credential) -> None:
        """From now on the values of this credential are masked."""
        self._learn(credential)
        self._prepare()

    def _learn(self, credential: Credential) -> None:
        for text in texts_of(credential.reveal()):
            if len(text) >= SHORTEST:
                self._known |= dict.fromkeys(_forms(text))
        for old in list(self._known)[:-MOST]:
            del self._known[old]

    def _prepare(self) -> None:
        # A longer value first: one may begin with another.
        self._forms = tuple(sorted(self._known, key=len, reverse=True))
        self._escaped = tuple(json.dumps(form)[1:-1] for form in self._forms)
        self._bytes = tuple(form.encode() for form in self._forms)

    def in_reason(self, text: str) -> str:
        """A short text without them, and without their beginnings: a reason is cut at 123 bytes."""
        masked: str = self(text)
        while found := list(self._beginnings(masked)):
            length, start = max(found)  # the forms of one value may begin alike
            masked = f"{masked[:start]}***{masked[start + length :]}"
        return masked

    def _beginnings(self, text: str) -> Iterator[tuple[int, int]]:
        """Length and place of each beginning of a value in a text."""
        for form in self._forms:
            if len(form) > BEGINNING and (start := text.find(form[:BEGINNING])) >= 0:
                yield _in_common(text[start:], form), start

    def in_line(self, lines: str) -> bool:
        """Whether a value may be in encoded lines; quick, and never wrongly ``False``."""
        return any(form in lines for form in self._escaped)

    def __call__(self, value: Any) -> Any:
        """A text or a payload without them."""
        if isinstance(value, str):
            for form in self._forms:
                value = value.replace(form, "***")
            return value
        if isinstance(value, bytes):
            for known in self._bytes:
                value = value.replace(known, b"***")
        return value


def _forms(text: str) -> Iterator[str]:
    """A value as it is, as in a URL, as in JSON, as in a ``repr`` and in base64."""
    yield from (text, quote(text), quote(text, safe=""), quote_plus(text))
    yield from (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1])
    # Which quotes are escaped depends on what stands around it.
    quoted = repr(text + "'\"")[1:-4]
    yield from (quoted, quoted.replace("\\'", "'"))
    octets = text.encode()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        encoded = encode(octets).decode()
        yield from (encoded, encoded.rstrip("="))


def _in_common(one: str, other: str) -> int:
    """How many characters two texts begin with together."""
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
