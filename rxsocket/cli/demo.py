"""``rxsocket demo``: a credential changes on a live socket, and every step of it is verified."""

from __future__ import annotations

from datetime import timedelta

import reactivex
from reactivex import operators as ops

from rxsocket.auth.changes import InEffect, Refused
from rxsocket.cli.screen import Screen
from rxsocket.cli.witness import StepFailed, Witness
from rxsocket.errors import SocketError
from rxsocket.events import (
    AwaitingAuth,
    Cause,
    Closed,
    Ended,
    Message,
    Opened,
    Rejected,
    State,
)
from rxsocket.socket import Socket
from rxsocket.testing import server
from rxsocket.testing.server import Server

__all__ = ["demo", "play"]

USERS = {"token-of-anna": "anna", "token-of-ben": "ben", "token-of-clara": "clara"}
PATIENCE = 3.0
LIMIT = 11.0
EACH = 3
PACE = timedelta(milliseconds=150)
BREATH = timedelta(milliseconds=400)


def demo() -> int:
    """Play the demonstration against a server of its own.

    Returns:
        The exit code: 0 if every step happened, else 1.
    """
    try:
        with server(tokens=USERS) as door:
            return play(door, Screen())
    except OSError as error:
        Screen().failed(f"The demo's own server did not start: {error}")
        return 1
