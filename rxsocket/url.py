"""The address of a socket: checked once, shown without secrets, merged with query parameters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, quote_plus, unquote, unquote_plus, urljoin, urlsplit

from rxsocket.validation import one_line

_UNPRINTABLE = re.compile("[\\x00-\\x20\\x7f]")
_MEANT = {"http": "ws", "https": "wss"}


@dataclass(frozen=True, slots=True)
class Address:
    """A WebSocket URL (RFC 6455, section 3).

    Attributes:
        url: The whole URL. It may hold secrets, so it is in no repr.
        shown: The URL without user info, and with the values of its query left out.
        origin: Scheme, host and port.
    """

    url: str = field(repr=False)
    shown: str
    origin: tuple[str, str, int]
    _base: str = field(repr=False)
    _query: tuple[tuple[str, str], ...] = field(repr=False)

    @classmethod
    def parse(cls, url: Any) -> Address:
        """Check a URL.

        Raises:
            TypeError: If it is not a string.
            ValueError: If it is no WebSocket URL; the text says what to pass.
        """
        if not isinstance(url, str):
            raise TypeError(
                f"url: pass a string such as 'wss://example.com/feed', not {type(url).__name__}"
            )
        one_line("url", url)
        if _UNPRINTABLE.search(url):
            raise ValueError("url: holds white space or a control character; percent-encode it")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise ValueError(
                "url: the host or the port is not valid; pass 'wss://host:port/path'"
            ) from None
        if parts.scheme not in ("ws", "wss"):
            meant = _MEANT.get(parts.scheme)
            hint = (
                f"pass {meant}:// instead of {parts.scheme}://"
                if meant
                else "begin it with ws:// or wss://"
            )
            raise ValueError(f"url: not a WebSocket address; {hint}")
        if not host or port == 0:
            raise ValueError(
                "url: the host is missing or the port is 0; pass 'wss://host:port/path'"
            )
        if not all(map(_is_label, host.removesuffix(".").split("."))):
            raise ValueError(
                "url: a part of the host between two dots is empty or too long; compare it with "
                "'wss://example.com/feed'"
            )
        if parts.fragment or url.endswith("#"):
            raise ValueError("url: a WebSocket address has no #fragment; leave it out or write %23")
        if parts.username is not None and parts.password is None:
            raise ValueError(
                "url: has a user name without a password; pass 'wss://user:password@host/'"
            )
        origin = (parts.scheme, host, port or (443 if parts.scheme == "wss" else 80))
        base = parts._replace(query="", path=parts.path or "/").geturl()
        query = tuple((_name(pair), pair) for pair in parts.query.split("&") if pair)
        return cls(url, _shown(parts, query), origin, base, query)

    @property
    def secure(self) -> bool:
        """Whether the link is encrypted."""
        return self.origin[0] == "wss"

    @property
    def has_user_info(self) -> bool:
        """Whether the URL itself carries a user name and password."""
        return urlsplit(self.url).username is not None

    @property
    def secrets(self) -> list[tuple[str, str]]:
        """User info, and the parameters of the query, decoded: what ``shown`` leaves out."""
        parts = urlsplit(self.url)
        info = [("user", parts.username), ("password", parts.password)]
        pairs = [(name, pair.partition("=")[2]) for name, pair in self._query]
        return [
            *((name, unquote(text)) for name, text in info if text),
            *((name, unquote_plus(text)) for name, text in pairs if name and text),
        ]

    def with_query(self, parameters: Sequence[tuple[str, str]]) -> str:
        """The URL with query parameters merged into those it has.

        Encoded as ``application/x-www-form-urlencoded`` (WHATWG URL, section 5.2). A name that is
        given replaces the URL's own parameters of that name; the others stay as they were written.
        """
        if not parameters:
            return self.url
        names = {name for name, _ in parameters}
        kept = [pair for name, pair in self._query if name not in names]
        added = [f"{_encode(name)}={_encode(value)}" for name, value in parameters]
        return f"{self._base}?{'&'.join(kept + added)}"

    def join(self, location: str) -> Address:
        """The address that a redirect's ``Location`` means, seen from here.

        Raises:
            ValueError: If that is no WebSocket address.
        """
        target = urljoin("http" + self.url[len("ws") :], location)  # it joins only what it knows
        for http, ws in _MEANT.items():
            if target.startswith(http + "://"):
                target = ws + target[len(http) :]
        return Address.parse(target)


def _is_label(text: str) -> bool:
    """Whether a part of a host name may be looked up (RFC 1035, section 2.3.4)."""
    if text.isascii():
        return 0 < len(text) < 64
    try:
        return 0 < len(text.encode("idna")) < 64
    except UnicodeError:
        return False


def _name(pair: str) -> str:
    return unquote_plus(pair.partition("=")[0])


def _encode(text: str) -> str:
    # quote_plus leaves "~" alone, the WHATWG encode set does not; "*" is the other way round.
    return quote_plus(text, safe="*").replace("~", "%7E")


def _shown(parts: SplitResult, query: Sequence[tuple[str, str]]) -> str:
    masked = "&".join([f"{name}=***" for name, _ in query])
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query=masked).geturl()
