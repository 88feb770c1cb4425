"""``rxsocket listen``: what a server sends, and a credential that can be changed meanwhile.

The streams put into a queue what happens; the main thread writes it. So a reader of the output who
pauses holds up nothing but the output, and Ctrl-C is heard whatever goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from queue import SimpleQueue
from typing import TypeAlias

from reactivex import Observable, abc

from rxsocket.auth.carriers import Carrier
from rxsocket.cli.paper import Paper
from rxsocket.cli.session import follow_stdin, session
from rxsocket.cli.sources import Entries
from rxsocket.cli.wording import Happening
from rxsocket.events import Event, Message

__all__ = ["Inbox", "Over", "listen", "put_into", "written"]


@dataclass(frozen=True, slots=True)
class Over:
    """Nothing more happens."""

    failed: bool


Inbox: TypeAlias = "SimpleQueue[Happening | Over]"


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
    inbox: Inbox = SimpleQueue()
    with session(url, auth, carrier) as socket:
        put_into(inbox, socket.events)
        follow_stdin(socket, inbox.put)
        return written(inbox, paper, count)


def put_into(inbox: Inbox, events: Observable[Event]) -> abc.DisposableBase:
    """Put what happens into a queue, and its end."""
    return events.subscribe(
        inbox.put, lambda _: inbox.put(Over(True)), lambda: inbox.put(Over(False))
    )


def written(inbox: Inbox, paper: Paper, count: int | None = None) -> int:
    """Write what comes until it is over, or that many messages came; returns the exit code."""
    messages = 0
    while messages != count:
        item = inbox.get()
        if isinstance(item, Over):
            return int(item.failed)
        paper.write(item)
        messages += isinstance(item, Message)
    return 0
