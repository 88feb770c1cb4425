"""Secrets, kept out of what is shown or written down (C28).

The rule for what counts as a secret: of a credential that is a string, that string; of a mapping,
the user info and the query of the URL, and ``additional_headers``, each text. No secrets by
themselves are numbers, booleans, texts of fewer than four characters or without a letter, and words
of fewer than eight letters, alone or joined, as in ``BTC-USD`` or ``trades@btcusdt``: unless the
name of the entry says that it is one (``token``, ``password``, ``apiKey``). The words ``true``,
``false``, ``none`` and ``null`` never are. Masking those would destroy what a server says, and
protect nothing.

A secret is found as it is, in upper and lower case, percent-encoded once or twice, escaped for
HTML, JSON or Python, in hexadecimal, and in base64, alone or as a part, as in ``user:token``. Of
one that was cut, a beginning of four characters is found where the text ends or says that it was
cut (``abcd...``), and a long one anywhere. Of a private key in PEM, each line is one.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice, takewhile
from typing import Any
from urllib.parse import quote, quote_plus

from rxsocket.auth.certificates import is_pem, secret_lines
from rxsocket.auth.credentials import Credential
from rxsocket.validation import is_list, is_mapping

SHORTEST = 4
"""Characters of a text that can be told from another one; a shorter one would mask everything."""
WORD = 8
"""Letters from which a word of them alone is a secret."""
BEGINNING = 12
"""Characters by which a value that was cut is recognised anywhere; or two thirds, if no word."""
ELLIPSES = ("...", "…")
ENCODED = 10
"""Characters of base64 or hexadecimal by which a part of something encoded is recognised."""
MOST = 3000
"""Texts that are looked for; a socket that is renewed for months forgets the oldest."""

_SPECIAL = re.compile("[^A-Za-z0-9._~-]")
_SECRET_NAME = re.compile(
    r"token|secret|passw|passphrase|pwd|credential|authoriz|signature|jwt|session"
    r"|(key|pass|auth)(\b|_)|(\b|_)(sid|sig|code|otp|pin)$"
)
_WORD = re.compile(f"[A-Za-z]{{0,{WORD - 1}}}|[0-9]+|[A-Za-z0-9]{{2}}")
_FLAGS = ("true", "false", "none", "null")


class Mask:
    """Replaces secrets, wherever they turn up: an echo, a reason, an error.

    Args:
        credentials: Whose secrets are masked from the start.
    """

    def __init__(self, credentials: Iterable[Credential] = ()) -> None:
        self._known: dict[str, None] = {}
        self._is_prepared = True
        self._forms: tuple[str, ...] = ()
        self._escaped: tuple[str, ...] = ()
        self._bytes: tuple[bytes, ...] = ()
        for credential in credentials:
            self.hide(credential)

    @classmethod
    def of(cls, value: Any) -> Mask:
        """The mask for a value that may become a credential, or be refused as one."""
        mask = cls()
        mask._add(value)
        return mask

    def hide(self, credential: Credential) -> None:
        """From now on the secrets of this credential are masked."""
        self._add(credential.reveal())
        for name, text in () if credential.address is None else credential.address.secrets:
            self._add({name: text})

    def _add(self, value: Any) -> None:
        for text in _secrets(value):
            self._known |= dict.fromkeys(_pem_forms(text) if is_pem(text) else _forms(text))
        for old in list(islice(self._known, max(0, len(self._known) - MOST))):
            del self._known[old]
        self._is_prepared = False

    def _prepare(self) -> None:
        if self._is_prepared:
            return
        # A longer one first: one may begin with another.
        self._forms = tuple(sorted(self._known, key=len, reverse=True))
        self._escaped = tuple(json.dumps(form)[1:-1] for form in self._forms)
        self._bytes = tuple(form.encode() for form in self._forms)
        self._is_prepared = True  # last: another thread may use it meanwhile

    def in_reason(self, text: str) -> str:
        """A short text without them, and without their beginnings: a reason is cut at 123 bytes."""
        masked, shown, place = str(self(text)), "", 0
        for start, end in sorted(self._beginnings(masked)):
            if start >= place:  # else it goes on from another one
                shown += masked[place:start] + "***"
            place = max(place, end)
        return shown + masked[place:]

    def _beginnings(self, text: str) -> Iterator[tuple[int, int]]:
        """Where a beginning of a secret begins and ends in a text."""
        for form in self._forms:
            start = text.find(form[:SHORTEST])
            while start >= 0:
                end = start + _length_in_common(text[start : start + len(form)], form)
                is_cut = end == len(text) or text.startswith(ELLIPSES, end)
                if is_cut or _is_telling(text[start:end], form):
                    yield start, end
                start = text.find(form[:SHORTEST], start + 1)

    def in_line(self, lines: str) -> bool:
        """Whether a secret may be in encoded lines; quick, and never wrongly ``False``."""
        self._prepare()
        return any(form in lines for form in self._escaped)

    def __call__(self, value: Any) -> Any:
        """A text or a payload without them."""
        self._prepare()
        if isinstance(value, str):
            for form in self._forms:
                value = value.replace(form, "***")
            return value
        if isinstance(value, bytes):
            for known in self._bytes:
                value = value.replace(known, b"***")
        return value


def _secrets(value: Any) -> Iterator[str]:
    if isinstance(value, str) and len(value) >= SHORTEST:
        yield value
    for name, entry in value.items() if is_mapping(value) else ():
        is_named = _SECRET_NAME.search(_in_words(str(name))) is not None
        for item in entry if is_list(entry) else (entry,):
            if not isinstance(item, str) or len(item) < SHORTEST or item.lower() in _FLAGS:
                continue
            if is_named or not _is_plain(item):
                yield item


def _in_words(name: str) -> str:
    """``listenKey`` and ``X-Api-Key`` as ``listen_key`` and ``x_api_key``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+", "_", name).lower()


def _is_plain(text: str) -> bool:
    """Whether it has no letter, or consists of short words and numbers."""
    if not any(map(str.isalpha, text)):
        return True
    return all(map(_WORD.fullmatch, re.split("[^A-Za-z0-9]", text)))


def _is_telling(beginning: str, form: str) -> bool:
    """Whether so much of a secret is recognised where nothing says that it was cut."""
    if len(beginning) >= BEGINNING:
        return True
    return len(beginning) * 3 >= len(form) * 2 and not beginning.isalpha()


def _forms(text: str) -> Iterator[str]:
    for one in (text, text.lower(), text.upper()):
        yield one
        yield from _percent_encoded(one)
    yield from (html.escape(text), html.escape(text, quote=False))
    # As templates and encoders of JavaScript do it.
    yield _SPECIAL.sub(lambda found: f"&#{ord(found[0])};", text)
    yield _SPECIAL.sub(lambda found: f"&#x{ord(found[0]):x};", text)
    yield _SPECIAL.sub(lambda found: f"&#x{ord(found[0]):X};", text)
    yield _SPECIAL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    for encoded in (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]):
        yield from (encoded, encoded.replace("/", "\\/"))
    # Which quotes are escaped depends on what stands around it.
    quoted = repr(text + "'\"")[1:-4]
    yield from (quoted, quoted.replace("\\'", "'"))
    octets = text.encode()
    if len(octets) * 2 >= ENCODED:
        yield from (octets.hex(), octets.hex().upper())
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        encoded = encode(octets).decode()
        yield from (encoded, encoded.rstrip("="))
        yield from _parts_of_base64(octets, encode)


def _pem_forms(text: str) -> Iterator[str]:
    """The forms of a text in PEM: as a whole, and the lines of a private key in it.

    A certificate is public. Each line is long, and base64 already: it is not looked for encoded.
    """
    for whole in (text, text.strip()):
        yield from (whole, json.dumps(whole)[1:-1], repr(whole)[1:-1])
    for line in secret_lines(text):
        yield from (line, quote(line, safe=""))


def _percent_encoded(text: str) -> Iterator[str]:
    for encoded in (quote(text), quote(text, safe=""), quote_plus(text)):
        for one in (encoded, quote(encoded)):
            yield one
            yield re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), one)


def _parts_of_base64(octets: bytes, encode: Any) -> Iterator[str]:
    """What base64 of something longer has in it, whatever stands before and after."""
    for before in range(3):
        first = (before * 8 + 5) // 6  # characters that say something of what stands before
        last = (before + len(octets)) * 8 // 6  # and from here on of what follows
        part = encode(bytes(before) + octets).decode()[first:last]
        if len(part) >= ENCODED:
            yield part


def _length_in_common(one: str, other: str) -> int:
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


@lru_cache(maxsize=16)
def mask_of(credentials: tuple[Credential, ...]) -> Mask:
    """The mask for some credentials, not to be changed: making one takes longer than using it."""
    return Mask(credentials)
