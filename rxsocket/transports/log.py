"""What a transport may say of itself: nothing that was on the wire (C28)."""

from __future__ import annotations

import logging
from typing import Any

__all__ = ["TransportLog"]


class TransportLog(logging.LoggerAdapter[logging.Logger]):
    """The log of the transport, without what it may hold: URLs, headers, payloads.

    Only numbers come through; every text is replaced. Frames are logged by ``websockets`` with
    their payload and the handshake with its headers, and any of these may be a credential.
    """

    def __init__(self) -> None:
        super().__init__(logging.getLogger("rxsocket.transport"), {})

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Write a record with its arguments masked."""
        kwargs.pop("exc_info", None)  # a traceback's message may quote what was parsed
        super().log(level, msg, *map(_masked, args), **kwargs)


def _masked(argument: object) -> object:
    return argument if isinstance(argument, (int, float)) else "***"
