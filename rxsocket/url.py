"""An address: checked once, shown without secrets, merged with query parameters.

A WebSocket has a ``ws://`` or ``wss://`` address, an event stream one that begins with ``http://``
or ``https://`` (C50). Beside these there are unix sockets: ``unix:/run/feed.sock:/path?query``, or
the same with ``ws+unix:``, for a WebSocket. What follows the second colon is asked for as if of
``ws://localhost``; in the path of the socket, a colon is written as ``%3A``.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import SplitResult, quote_plus, unquote, unquote_plus, urljoin, urlsplit

from rxsocket.texts import LONGEST, printable
from rxsocket.validation import one_line

_needs_no_encoding = re.compile("[A-Za-z0-9*._-]*").fullmatch
_UNPRINTABLE = re.compile("[\\x00-\\x20\\x7f]")
_MEANT = {"http": "ws", "https": "wss"}
_SECURE = frozenset(("wss", "https"))
_PORTS = {"ws": 80, "http": 80, "wss": 443, "https": 443}
_UNIX = ("unix:", "ws+unix:")
_BEHIND_UNIX = "ws://localhost"
LONGEST_UNIX = 103
"""Bytes of the path of a unix socket that every system takes."""


@dataclass(frozen=True, slots=True)
class Address:
    """The URL of a WebSocket (RFC 6455, section 3) or of an event stream.

    It compares by what it means.

    Attributes:
        url: The whole URL. It may hold secrets, so it is in no repr.
        shown: The URL without user info, and with the values of its query left out.
        origin: Scheme, host and port; of a unix socket ``unix``, its path and 0.
    """

    url: str = field(repr=False, compare=False)
    shown: str = field(compare=False)
    origin: tuple[str, str, int]
    _base: str = field(repr=False)
    _query: tuple[tuple[str, str], ...] = field(repr=False)

    @classmethod
    def parse(cls, url: Any, argument: str = "url") -> Address:
        """Check a URL.

        Args:
            url: The URL.
            argument: What it was passed as, for errors.

        Raises:
            TypeError: If it is not a string.
            ValueError: If it is no such URL; the text says what to pass.
        """
        if not isinstance(url, str):
            raise TypeError(
                f"{argument}: pass a string such as 'wss://example.com/feed', not "
                f"{type(url).__name__}"
            )
        return _parsed(url, argument)

    @classmethod
    def _parse(cls, url: str, argument: str) -> Address:
        one_line(argument, url)
        if _UNPRINTABLE.search(url):
            raise ValueError(
                f"{argument}: holds white space or a control character; percent-encode it"
            )
        if url.startswith(_UNIX):
            return cls._parse_unix(url, argument)
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise ValueError(
                f"{argument}: the host or the port is not valid; pass 'wss://host:port/path'"
            ) from None
        if parts.scheme not in _PORTS:
            raise ValueError(
                f"{argument}: not a WebSocket address; begin it with ws:// or wss://, that of "
                "server-sent events with https://"
            )
        if not host or port == 0:
            raise ValueError(
                f"{argument}: the host is missing or the port is 0; pass 'wss://host:port/path'"
            )
        if not all(map(_is_label, host.removesuffix(".").split("."))):
            raise ValueError(
                f"{argument}: a part of the host between two dots is empty or too long; compare it "
                "with 'wss://example.com/feed'"
            )
        if parts.fragment or url.endswith("#"):
            raise ValueError(
                f"{argument}: a WebSocket address has no #fragment; leave it out or write %23"
            )
        if parts.username is not None and parts.password is None:
            raise ValueError(
                f"{argument}: has a user name without a password; pass 'wss://user:password@host/'"
            )
        origin = (parts.scheme, host, port or _PORTS[parts.scheme])
        base = parts._replace(query="", path=parts.path or "/").geturl()
        query = tuple((_name(pair), pair) for pair in parts.query.split("&") if pair)
        return cls(url, _shown(parts, query), origin, base, query)

    @classmethod
    def _parse_unix(cls, url: str, argument: str) -> Address:
        before, socket_path, target = _unix_parts(url)
        if not hasattr(socket, "AF_UNIX"):
            raise ValueError(f"{argument}: this system has no unix sockets; pass ws:// or wss://")
        if not socket_path.startswith("/") or "?" in before or target[:1] not in ("", "/", "?"):
            raise ValueError(
                f"{argument}: pass the whole path of the unix socket, a colon and what to ask for: "
                "'unix:/run/feed.sock:/path'"
            )
        if len(socket_path.encode()) > LONGEST_UNIX:
            raise ValueError(
                f"{argument}: the path of a unix socket has at most {LONGEST_UNIX} bytes; use a "
                "shorter one, or a link to it"
            )
        behind = cls.parse(_BEHIND_UNIX + target, argument)
        rest, base = (text[len(_BEHIND_UNIX) :] for text in (behind.shown, behind._base))
        origin = ("unix", socket_path, 0)
        shown = printable(f"{before}:{rest}" if rest else before, LONGEST)
        return cls(url, shown, origin, f"{before}:{base}", behind._query)

    @property
    def secure(self) -> bool:
        """Whether the link is encrypted."""
        return self.origin[0] in _SECURE

    @property
    def is_http(self) -> bool:
        """Whether it is the address of an event stream."""
        return self.origin[0] in _MEANT

    @property
    def as_websocket(self) -> str:
        """What the scheme of a WebSocket's address would be in its place."""
        return f"{_MEANT.get(self.origin[0], self.origin[0])}://"

    @property
    def as_event_stream(self) -> str:
        """What the scheme of an event stream's address would be in its place."""
        return "https://" if self.secure else "http://"

    @property
    def is_unix(self) -> bool:
        """Whether it is a unix socket of this machine."""
        return self.origin[0] == "unix"

    @property
    def host(self) -> str:
        """What its host is called: in lower case, without a last dot; ``unix:/run/feed.sock``."""
        return f"unix:{self.origin[1]}" if self.is_unix else host_name(self.origin[1])

    @property
    def has_user_info(self) -> bool:
        """Whether the URL itself carries a user name and password."""
        return "@" in self.url and urlsplit(self.url).username is not None

    @property
    def secrets(self) -> list[tuple[str, str]]:
        """User info, and the parameters of the query, decoded: what ``shown`` leaves out."""
        if not (self._query or "@" in self.url):
            return []
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
            ValueError: If that is no address of the same kind.
        """
        if self.is_unix:
            return self._join_unix(location)
        if self.is_http:
            joined = Address.parse(urljoin(self.url, location))
            if not joined.is_http:
                raise ValueError("an event stream may not redirect to something else")
            return joined
        target = urljoin("http" + self.url[len("ws") :], location)  # it joins only what it knows
        for http, ws in _MEANT.items():
            if target.startswith(http + "://"):
                target = ws + target[len(http) :]
        if target.startswith(_UNIX):
            raise ValueError("a server may not redirect to a unix socket of this machine")
        return Address.parse(target)

    def _join_unix(self, location: str) -> Address:
        before, _, target = _unix_parts(self.url)
        behind = Address.parse(_BEHIND_UNIX + target).join(location)
        if behind.origin != ("ws", "localhost", 80):
            return behind
        parts = urlsplit(behind.url)
        query = f"?{parts.query}" if parts.query else ""
        return Address.parse(f"{before}:{parts.path}{query}")


def host_name(host: str) -> str:
    """A host as it is compared: in lower case, in ASCII, and without a last dot."""
    name = host.lower().removesuffix(".")
    if name.isascii():
        return name
    try:
        return name.encode("idna").decode()
    except UnicodeError:
        return name


def split_unix(url: str) -> tuple[str | None, str]:
    """The path of the unix socket of an address that was checked, and the address behind it.

    Of another address: ``None``, and that address.
    """
    if not url.startswith(_UNIX):
        return None, url
    _, socket_path, target = _unix_parts(url)
    return socket_path, _BEHIND_UNIX + target


def _unix_parts(url: str) -> tuple[str, str, str]:
    """An address of a unix socket up to the second colon, the path of the socket, and the rest."""
    scheme, _, rest = url.partition(":")
    written, _, target = rest.partition(":")
    path = written.removeprefix("//") if written.startswith("///") else written
    return f"{scheme}:{written}", unquote(path), target


@lru_cache(maxsize=64)
def _parsed(url: str, argument: str) -> Address:
    """The address of a URL; many sockets may have the same."""
    return Address._parse(url, argument)  # pyright: ignore[reportPrivateUsage]


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
    if _needs_no_encoding(text):  # as most names and tokens
        return text
    # quote_plus leaves "~" alone, the WHATWG encode set does not; "*" is the other way round.
    return quote_plus(text, safe="*").replace("~", "%7E")


def _shown(parts: SplitResult, query: Sequence[tuple[str, str]]) -> str:
    masked = "&".join([f"{name}=***" for name, _ in query])
    url = parts._replace(netloc=parts.netloc.rpartition("@")[2], query=masked).geturl()
    return printable(url, LONGEST)  # a server may have given it (C32)
