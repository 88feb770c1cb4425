"""The test kit: a virtual clock, scripted servers (a real one and a fake one), the events' grammar.

::

    from rxsocket.testing import accept, clock, fake, reject

    with clock() as t:
        network = fake(reject(503), accept().send("hello"))
        with Socket(network.url, transport=network) as socket:
            ...
            t.advance(5)
"""

from __future__ import annotations

from rxsocket.testing.clock import VirtualClock, clock
from rxsocket.testing.fake import fake
from rxsocket.testing.grammar import Grammar, GrammarError
from rxsocket.testing.handshake import Handshake
from rxsocket.testing.script import accept, hang, reject, unreachable
from rxsocket.testing.server import server

__all__ = [
    "Grammar",
    "GrammarError",
    "Handshake",
    "VirtualClock",
    "accept",
    "clock",
    "fake",
    "hang",
    "reject",
    "server",
    "unreachable",
]
