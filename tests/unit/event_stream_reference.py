"""``text/event-stream`` as the specification has it, one character at a time; slow and obvious.

WHATWG HTML, sections 9.2.5 and 9.2.6. It is what the parser is compared with.
"""

from __future__ import annotations

from dataclasses import dataclass, field

DIGITS = "0123456789"


@dataclass
class Reference:
    """What is to come of a whole stream.

    Attributes:
        events: Type, data and id of each event that is dispatched.
        last_event_id: The last event ID string.
        retry: The reconnection time, if one was set.
        failed: Whether something was larger than the bound.
    """

    max_size: int | None = None
    last_event_id: str = ""
    retry: int | None = None
    failed: bool = False
    events: list[tuple[str, str, str]] = field(default_factory=list)

    def read(self, stream: bytes) -> Reference:
        """Read a stream."""
        text = stream.decode("utf-8", "replace").removeprefix("\ufeff")
        raw = stream.removeprefix(b"\xef\xbb\xbf")
        data: list[str] = []
        event, id = "", self.last_event_id
        whole, last = lines_of(text)
        for line, size in zip(whole, sizes_of(raw), strict=False):
            if self.max_size is not None and size > self.max_size + 7:
                self.failed = True
                return self
            if line == "":
                self.last_event_id = id
                if data:
                    self.events.append((event or "message", "\n".join(data), id))
                data, event = [], ""
                continue
            if line[0] == ":":
                continue
            if ":" in line:
                name, value = line[: line.index(":")], line[line.index(":") + 1 :]
                if value != "" and value[0] == " ":
                    value = value[1:]
            else:
                name, value = line, ""
            if name == "event":
                event = value
            elif name == "data":
                data.append(value)
                joined = "\n".join(data).encode()
                if self.max_size is not None and len(joined) > self.max_size:
                    self.failed = True
                    return self
            elif name == "id":
                if "\0" not in value:
                    id = value
            elif name == "retry" and value != "" and all(sign in DIGITS for sign in value):
                self.retry = min(int(value), 10**12)
        unfinished = sizes_of(raw)[-1]
        if self.max_size is not None and last and unfinished > self.max_size + 7:
            self.failed = True
        return self


def lines_of(text: str) -> tuple[list[str], str]:
    """The lines that have an end, and what follows them."""
    lines: list[str] = []
    line = ""
    at = 0
    while at < len(text):
        if text[at] == "\r":
            lines.append(line)
            line = ""
            if text[at + 1 : at + 2] == "\n":
                at += 1
        elif text[at] == "\n":
            lines.append(line)
            line = ""
        else:
            line += text[at]
        at += 1
    return lines, line


def sizes_of(raw: bytes) -> list[int]:
    """Bytes of each line, and of what follows the last end."""
    lines, last = lines_of(raw.decode("latin-1"))
    return [len(line) for line in (*lines, last)]
