"""What a shard was told to have: another one that is told the same has the same (C43)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rxsocket.fleet.desired_state import DesiredState
from rxsocket.fleet.orders import (
    CloseSocket,
    OpenSocket,
    Order,
    PauseReading,
    ResumeReading,
    SetAuth,
    SetPace,
    Subscribe,
    Unsubscribe,
)

sockets = st.integers(1, 3)
keys = st.lists(st.sampled_from("ABCDE"), min_size=1, max_size=3, unique=True).map(tuple)
orders = st.lists(
    st.one_of(
        st.builds(OpenSocket, sockets),
        st.builds(CloseSocket, sockets),
        st.builds(Subscribe, sockets, keys, st.integers(1, 9)),
        st.builds(Unsubscribe, sockets, keys, st.integers(1, 9)),
        st.builds(SetAuth, st.integers(1, 9), st.text()),
        st.builds(SetPace, st.none() | st.floats(0.1, 10.0)),
        st.just(PauseReading()),
        st.just(ResumeReading()),
    ),
    max_size=30,
)


def told(those: list[Order]) -> DesiredState:
    made = DesiredState()
    for order in those:
        made.take(order)
    return made


@given(orders)
def test_another_one_is_told_the_same(those: list[Order]) -> None:
    first = told(those)
    second = told(list(first.orders()))
    assert second.sockets == first.sockets
    assert (second.auth, second.pace, second.paused) == (first.auth, first.pace, first.paused)


def test_a_credential_does_not_show() -> None:
    assert "canary" not in repr(told([SetAuth(1, "canary")]))
