"""The answer to an HTTP request that opens a connection: of a WebSocket server, or of a proxy.

It is judged by its status line and its headers (RFC 9110), as soon as these are there. What
follows them is not waited for: a body may be cut, packed, or never end.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rxsocket.errors import HandshakeInvalid, HandshakeRefused

MAX_HEAD = 2**16
MAX_BODY = 2**10
_STATUS_LINE = re.compile(r"HTTP/1\.(\d) ([1-9]\d\d)(?: .*)?")
# Some servers leave the CR out (RFC 9112, section 2.2). The pattern begins with what a search can
# jump to: with an optional CR in front it takes ten times as long.
_HEAD_END = re.compile(b"\n\r?\n")


class Redirect(Exception):
    """The server answered with a redirect; ``location`` says where to."""

    def __init__(self, location: str, *, sets_cookie: bool) -> None:
        self.location = location
        self.sets_cookie = sets_cookie


def invalid_answer(what: str) -> HandshakeInvalid:
    """The answer to the handshake is none."""
    return HandshakeInvalid(f"the answer to the handshake is not valid ({what})")


def unanswered() -> ConnectionError:
    """The link ended before the answer: so does one to a TCP proxy whose server is down."""
    return ConnectionError("the connection was closed before the handshake was answered")


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and headers of an answer.

    Attributes:
        status: The HTTP status.
        headers: Names in lower case, and values.
        rest: Bytes that came after the headers.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    rest: bytes = b""

    def header(self, name: str) -> str | None:
        """The first header of a name, in lower case."""
        return next((value for key, value in self.headers if key == name), None)

    def refusal(self) -> Exception:
        """What an answer means that is no 101."""
        location = self.header("location")
        if 300 <= self.status < 400 and location is not None:
            return Redirect(location, sets_cookie=self.header("set-cookie") is not None)
        return HandshakeRefused(
            self.status, retry_after=self.header("retry-after"), body=self.body()
        )

    def body(self) -> str:
        """The first KiB of what came of its body together with the headers, if it is a text."""
        if self.header("content-encoding") not in (None, "identity"):
            return ""
        is_chunked = "chunked" in (self.header("transfer-encoding") or "").lower()
        data = _chunks(self.rest) if is_chunked else self.rest
        text = data[:MAX_BODY].decode(errors="replace")
        return "" if "\0" in text else text

    def upgrade(self) -> bytes:
        """A 101 with what RFC 6455 speaks of alone, for a parser with limits on all else."""
        lines = [
            f"{name}: {value}"
            for name, value in self.headers
            if name == "upgrade" or (value and name.startswith("sec-websocket-"))
        ]
        listed = ",".join(value for name, value in self.headers if name == "connection")
        if "upgrade" in (option.strip(" \t").lower() for option in listed.split(",")):
            lines.append("Connection: Upgrade")
        head = "\r\n".join(("HTTP/1.1 101 Switching Protocols", *lines, "\r\n"))
        return head.encode("latin-1")


def _chunks(data: bytes) -> bytes:
    """What is there of a body in chunks (RFC 9112, section 7.1)."""
    body = b""
    while data:
        size, _, rest = data.partition(b"\r\n")
        try:
            length = int(size.partition(b";")[0], 16)
        except ValueError:
            return body
        body += rest[: max(0, length)]
        data = rest[max(0, length) + 2 :]
    return body


class AnswerReader:
    """Reads an answer out of a stream of bytes; interim ones before it (1xx) are passed over."""

    __slots__ = ("_data",)

    def __init__(self) -> None:
        self._data = b""

    def feed(self, data: bytes) -> Answer | None:
        """Take the next bytes; return the answer as soon as its headers are whole.

        Raises:
            HandshakeInvalid: If these bytes cannot become an HTTP answer.
        """
        data = self._data + data
        while True:
            if not data.startswith(b"HTTP/1."[: len(data)]):
                raise invalid_answer("not HTTP")
            end = _HEAD_END.search(data)
            head = data if end is None else data[: end.start()].removesuffix(b"\r")
            if len(head) > MAX_HEAD:
                raise invalid_answer("its headers are too large")
            if end is None:
                self._data = data
                return None
            rest = data[end.end() :]
            answer = parse_answer(head, rest)
            if answer.status >= 200 or answer.status == 101:
                return answer
            data = rest


def parse_answer(head: bytes, rest: bytes = b"") -> Answer:
    """Parse the status line and the headers of an answer, without the empty line after them.

    Raises:
        HandshakeInvalid: If it has no valid status line.
    """
    lines = head.decode("latin-1").replace("\r\n", "\n").split("\n")
    status_line = _STATUS_LINE.fullmatch(lines[0])
    if status_line is None:
        raise invalid_answer("its status line")
    minor, status = status_line[1], int(status_line[2])
    if status == 101 and minor == "0":
        raise invalid_answer("HTTP/1.0 has no 101")
    headers = tuple(
        (name.lower(), value.strip(" \t"))
        for name, colon, value in (line.partition(":") for line in lines[1:])
        if colon
    )
    return Answer(status, headers, rest)
