"""C15: many clients that lose their server together do not come back together."""

from __future__ import annotations

from random import Random

import pytest

from rxsocket import Backoff, Socket
from rxsocket.testing import VirtualClock, accept, fake, unreachable

HERD = 200


def most_in_a_second(times: list[float]) -> int:
    """The most of them in any second, wherever it begins."""
    times = sorted(times)
    return max(sum(begin <= at < begin + 1.0 for at in times) for begin in times)


@pytest.mark.parametrize(
    ("seed", "uptime"),
    [
        (0, 6.0),
        pytest.param(2, 6.0, marks=pytest.mark.slow),
        pytest.param(4, 6.0, marks=pytest.mark.slow),
        (3, 60.0),
    ],
)
def test_a_herd_spreads_out(clock: VirtualClock, seed: int, uptime: float) -> None:
    """200 sockets dropped together: no second, wherever it begins, holds over 60 % of them.

    Of 200 draws that are uniform, the fullest second holds 56 %, and over 60 % for 4 seeds of 100.
    """
    network = fake()
    sockets = [
        Socket(network.url, transport=network, backoff=Backoff(random=Random(1000 * seed + number)))
        for number in range(HERD)
    ]
    held = [socket.connect() for socket in sockets]
    clock.advance(uptime)
    assert network.connections == HERD
    dropped = clock.time()
    network.drop()
    clock.advance(3.0)
    first = [handshake.at - dropped for handshake in network.handshakes[HERD:]]
    assert len(first) == HERD and network.connections == HERD
    assert most_in_a_second(first) <= 0.6 * HERD
    assert min(first) < 0.2 and max(first) > 1.8  # the whole of the first window is used
    for hold in held:
        hold.dispose()
    clock.advance(2.0)


@pytest.mark.slow
def test_a_herd_stays_spread_in_a_long_outage(clock: VirtualClock) -> None:
    """After ten minutes without a server the attempts are as spread as the windows are wide."""
    network = fake(*[accept().wait(10.0).drop()] * HERD, *[unreachable()] * HERD * 60)
    dials: list[float] = []
    held = []
    for number in range(HERD):
        socket = Socket(network.url, transport=network, backoff=Backoff(random=Random(number)))
        socket.events.subscribe(
            lambda event: (
                dials.append(clock.time()) if type(event).__name__ == "Connecting" else None
            )
        )
        held.append(socket)
    clock.advance(610.0)
    late = [at for at in dials if at > 300.0]
    assert len(late) > HERD * 310 / 40 * 0.9
    assert most_in_a_second(late) <= 0.1 * HERD
    for socket in held:
        socket.close()
    clock.advance(2.0)


def test_without_a_seed_no_two_sockets_agree(clock: VirtualClock) -> None:
    """Each socket has a source of chance of its own."""
    network = fake()
    sockets = [Socket(network.url, transport=network) for _ in range(20)]
    held = [socket.connect() for socket in sockets]
    clock.advance(6.0)
    network.drop()
    clock.advance(3.0)
    assert len({handshake.at for handshake in network.handshakes[20:]}) == 20
    for hold in held:
        hold.dispose()
    clock.advance(2.0)
