"""An attempt that waits until it may be dialled, and what its connection tells of that."""

from __future__ import annotations

import asyncio

from rxsocket.endpoint.admission import Admit, Admitted
from rxsocket.engine.run_state import ClosingConnections
from rxsocket.events import EpochEnd


class Admittance:
    """How one attempt is admitted to dial.

    Args:
        loop: The loop of the socket.
        ended: The last event of the connection.
        closing: The connections of the socket that are being closed.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        ended: asyncio.Future[EpochEnd],
        closing: ClosingConnections,
    ) -> None:
        self._loop = loop
        self._ended = ended
        self._closing = closing
        self._waits_since: float | None = None
        self._waited = 0.0
        self._admitted: Admitted | None = None

    async def wait(self, admit: Admit, beside: bool) -> None:
        """Return when the attempt may be dialled."""
        self._waits_since = self._loop.time()
        try:
            self._admitted = await admit(beside)
        finally:
            self._waited, self._waits_since = self.waited(), None
        self._ended.add_done_callback(self._on_ended)

    def waited(self) -> float:
        """Seconds that it has waited."""
        since = self._waits_since
        return self._waited if since is None else self._loop.time() - since

    def answered(self) -> None:
        """The server has answered the handshake."""
        if self._admitted is not None:
            self._admitted.answered()

    def _on_ended(self, ended: asyncio.Future[EpochEnd]) -> None:
        self.answered()
        if self._admitted is not None:
            self._closing.when_gone(self._admitted.gone)
