"""What comes of code that a kernel runs (C48)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rxsocket.errors import SocketError
from rxsocket.protocols.jupyter_messages import KernelMessage


class KernelError(SocketError):
    """The code raised, or the kernel could not do what it was asked for.

    Its own text is in one line, without secrets; the attributes are what the kernel sent.

    Attributes:
        name: The class of the exception, as the kernel's language calls it.
        value: Its text.
        traceback: Its traceback, in lines with colours of a terminal.
    """

    def __init__(self, name: str, value: str, traceback: tuple[str, ...] = ()) -> None:
        super().__init__(f"{name}: {value}" if value else name)
        self.name = name
        self.value = value
        self.traceback = traceback


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """What came of some code.

    Attributes:
        data: Its last value by MIME type; empty if it has none.
        stdout: What it printed.
        stderr: What it printed to standard error.
        displayed: What it displayed, each by MIME type.
        execution_count: The number of the cell; ``None`` of code that does not count.
    """

    data: Mapping[str, Any]
    stdout: str
    stderr: str
    displayed: tuple[Mapping[str, Any], ...]
    execution_count: int | None

    @property
    def text(self) -> str:
        """Its last value as text; empty if it has none."""
        return str(self.data.get("text/plain", ""))


def content_of(reply: KernelMessage, shown: Callable[[str], str]) -> Mapping[str, Any]:
    """The content of a reply.

    Args:
        reply: The reply.
        shown: Makes what may be shown of a text of the server's (C28, C32).

    Raises:
        KernelError: If it says that something went wrong.
    """
    content = reply.content
    if content.get("status") == "aborted":
        raise KernelError("Aborted", "a request before it failed, so it was not run")
    if content.get("status") == "error":
        lines = tuple(map(str, content.get("traceback", ())))
        error = KernelError(str(content.get("ename", "")), str(content.get("evalue", "")), lines)
        error.args = (shown(str(error)),)
        raise error
    return content


def evaluated(messages: list[KernelMessage], shown: Callable[[str], str]) -> Evaluated:
    """What came of some code, of all that is because of it.

    Args:
        messages: The messages.
        shown: Makes what may be shown of a text of the server's (C28, C32).

    Raises:
        KernelError: If it raised, or was not run.
    """
    reply: Mapping[str, Any] = {}
    data: Mapping[str, Any] = {}
    printed = {"stdout": "", "stderr": ""}
    displayed: list[Mapping[str, Any]] = []
    for message in messages:
        content = message.content
        match message.type:
            case "stream":
                name = str(content.get("name"))
                printed[name] = printed.get(name, "") + str(content.get("text", ""))
            case "execute_result":
                data = content.get("data", {})
            case "display_data":
                displayed.append(content.get("data", {}))
            case "execute_reply":
                reply = content_of(message, shown)
            case _:
                pass
    return Evaluated(
        data=data,
        stdout=printed["stdout"],
        stderr=printed["stderr"],
        displayed=tuple(displayed),
        execution_count=reply.get("execution_count"),
    )
