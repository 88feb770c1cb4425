"""``rxsocket listen``: what a server sends, and a credential that can be changed meanwhile.

The streams put into a queue what happens; the main thread writes it. So a reader of the output who
pauses holds up nothing but the output, and Ctrl-C is heard whatever goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TypeAlias

from rxsocket.auth.carriers import Carrier
from rxsocket.auth.credentials import ANONYMOUS
from rxsocket.cli import keyboard
from rxsocket.cli.errors import UsageError
from rxsocket.cli.paper import Paper
from rxsocket.cli.sources import Entries, from_line
from rxsocket.cli.wording import Happening, Notice
from rxsocket.events import Message
from rxsocket.explaining.causes import describe
from rxsocket.socket import Socket

__all__ = ["listen"]

FAREWELL = 0.5
"""Seconds that closing may take: Ctrl-C has to end the command within one."""


@dataclass(frozen=True, slots=True)
class _Over:
    failed: bool


_Item: TypeAlias = Happening | _Over


def listen(
    url: str, auth: Entries | None, carrier: Carrier, paper: Paper, count: int | None = None
) -> int:
    """Write what happens on a socket until it ends.

    Args:
        url: Address of the server.
        auth: The credential; ``None`` for none.
        carrier: How it goes on a connection.
        paper: What to write on.
        count: Messages after which to end; ``None`` for no limit.

    Returns:
        The exit code: 0, or 1 when the socket failed.

    Raises:
        UsageError: If the address or the credential cannot be used.
    """
    try:
        socket = Socket(
            url,
            auth=ANONYMOUS if auth is None else auth,
            carrier=carrier,
            close_timeout=FAREWELL,
        )
    except ValueError as error:
        raise UsageError(str(error)) from None
    inbox: SimpleQueue[_Item] = SimpleQueue()
    try:
        socket.events.subscribe(
            inbox.put, lambda _: inbox.put(_Over(True)), lambda: inbox.put(_Over(False))
        )
        keyboard.follow(lambda line: _change(socket, line, inbox.put))
        return _written(inbox, paper, count)
    finally:
        with suppress(TimeoutError):
            socket.close().result(2 * FAREWELL)


def _written(inbox: SimpleQueue[_Item], paper: Paper, count: int | None) -> int:
    messages = 0
    while messages != count:
        item = inbox.get()
        if isinstance(item, _Over):
            return int(item.failed)
        paper.write(item)
        messages += isinstance(item, Message)
    return 0


def _change(socket: Socket, line: bytes, tell: Callable[[Happening], None]) -> None:
    try:
        receipt = socket.set_auth(from_line(line.decode()))
    except UnicodeDecodeError:
        tell(Notice("standard input: a line is not UTF-8 text"))
    except (UsageError, TypeError, ValueError) as error:
        tell(Notice(str(error)))
    else:
        receipt.subscribe(tell, lambda error: tell(Notice(describe(error))))
