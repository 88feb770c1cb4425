"""The test kit: virtual time, scripted servers, faults, marbles, and the grammar of the events.

::

    from rxsocket.testing import accept, clock, fake, reject

    with clock() as t:
        network = fake(reject(503), accept().send("hello"))
        with Socket(network.url, transport=network) as socket:
            ...
            t.advance(5)
"""

from __future__ import annotations

from rxsocket.testing.clients import Handshake
from rxsocket.testing.clock import VirtualClock, clock
from rxsocket.testing.fake import fake
from rxsocket.testing.faults import Faults, corrupt, drop_every, faults, refuse, slow
from rxsocket.testing.grammar import Grammar, GrammarError
from rxsocket.testing.marbles import assert_marbles, marbles
from rxsocket.testing.script import accept, hang, reject, unreachable
from rxsocket.testing.server import server
from rxsocket.testing.watch import Watch, watch

__all__ = [
    "Faults",
    "Grammar",
    "GrammarError",
    "Handshake",
    "VirtualClock",
    "Watch",
    "accept",
    "assert_marbles",
    "clock",
    "corrupt",
    "drop_every",
    "fake",
    "faults",
    "hang",
    "marbles",
    "refuse",
    "reject",
    "server",
    "slow",
    "unreachable",
    "watch",
]
