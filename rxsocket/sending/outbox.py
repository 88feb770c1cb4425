"""Messages on their way out, each with a receipt (C20)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from rxsocket.errors import NotConnected, SocketError
from rxsocket.events import SendFailed
from rxsocket.publisher import Publisher
from rxsocket.receipts import Receipt
from rxsocket.runtime import Home
from rxsocket.transports.seam import Link

__all__ = ["Outbox", "Sent"]


@dataclass(frozen=True, slots=True)
class Sent:
    """Written to the connection ``epoch``; whether it arrived, only the peer knows."""

    epoch: int


class Outbox:
    """Writes messages to the connection that is open. Its methods are called on the home loop."""

    def __init__(self, home: Home, publisher: Publisher) -> None:
        self._home = home
        self._publisher = publisher
        self._link: Link | None = None
        self._epoch = 0
        self._writing: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._writing)

    def open(self, link: Link, epoch: int) -> None:
        """Messages go to this connection from now on."""
        self._link, self._epoch = link, epoch

    def shut(self) -> None:
        """The connection is over."""
        self._link = None

    def send(self, data: str | bytes, receipt: Receipt[Sent]) -> None:
        """Write a message, and settle its receipt when the transport took it."""
        if self._link is None:
            state = self._publisher.state.value.value
            self._failed(
                NotConnected(f"not sent: the socket is {state}; send when it is open"), receipt
            )
            return
        # One task each: they begin in this order, and the link writes before its first suspension.
        task = self._home.loop.create_task(self._write(self._link, self._epoch, data, receipt))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _write(
        self, link: Link, epoch: int, data: str | bytes, receipt: Receipt[Sent]
    ) -> None:
        try:
            await link.send(data)
        except SocketError as error:
            self._failed(error, receipt, epoch)
        except BaseException:
            self._failed(NotConnected("not sent: the socket stopped"), receipt, epoch)
            raise
        else:
            receipt.settle(Sent(epoch))

    def _failed(self, error: SocketError, receipt: Receipt[Sent], epoch: int | None = None) -> None:
        receipt.fail(error)
        at = self._home.wall_time()
        self._publisher.publish(SendFailed(error=error, epoch=epoch, at=at))
