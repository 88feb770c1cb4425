"""What the commands that connect have in common: the socket, its end, and lines of stdin."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress

from rxsocket.auth.carriers import Carrier
from rxsocket.auth.credentials import ANONYMOUS
from rxsocket.cli import keyboard
from rxsocket.cli.errors import UsageError
from rxsocket.cli.sources import Entries, from_line
from rxsocket.cli.wording import Happening, Notice
from rxsocket.explaining.causes import describe
from rxsocket.socket import Socket

__all__ = ["follow_stdin", "session"]

FAREWELL = 0.5
"""Seconds that closing may take: Ctrl-C has to end the command within one."""


@contextmanager
def session(url: str, auth: Entries | None, carrier: Carrier) -> Generator[Socket, None, None]:
    """A socket that is closed at the end, whatever happened.

    Args:
        url: Address of the server.
        auth: The credential; ``None`` for none.
        carrier: How it goes on a connection.

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
    try:
        yield socket
    finally:
        with suppress(TimeoutError):
            socket.close().result(2 * FAREWELL)


def follow_stdin(socket: Socket, tell: Callable[[Happening], None]) -> None:
    """Let each line of standard input change the credential; what comes of it is told."""
    keyboard.follow(lambda line: _change(socket, line, tell))


def _change(socket: Socket, line: bytes, tell: Callable[[Happening], None]) -> None:
    try:
        receipt = socket.set_auth(from_line(line.decode()))
    except UnicodeDecodeError:
        tell(Notice("standard input: a line is not UTF-8 text"))
    except (UsageError, TypeError, ValueError) as error:
        tell(Notice(str(error)))
    else:
        receipt.subscribe(tell, lambda error: tell(Notice(describe(error))))
