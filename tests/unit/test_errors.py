"""Errors go to other processes and come back: pools, fleets and caches pickle them."""

from __future__ import annotations

import copy
import pickle

import pytest

from rxsocket import BufferOverflow, HandshakeRefused, SocketError, SocketFailed
from rxsocket.errors import Attempted
from rxsocket.protocols import GraphQLError, JsonRpcError, NamespaceRefused, SubprotocolNotChosen

TRIED = [Attempted(1, 2.0, "refused", HandshakeRefused(503, retry_after="7"))]


@pytest.mark.parametrize(
    "error",
    [
        SocketFailed("gave up", url="ws://a.test/", cause=OSError("no"), tried=[*TRIED, *TRIED]),
        HandshakeRefused(401, body="no", credential="in the header 'X'"),
        BufferOverflow(7),
        GraphQLError("no", [{"message": "no"}], {"a": 1}),
        JsonRpcError(-32000, "no", [1]),
        NamespaceRefused("no", "/admin", {"a": 1}),
        SubprotocolNotChosen("a", None, "check the path"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_is_the_same_when_it_was_pickled(error: SocketError) -> None:
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(again) is type(error) and again is not error
        assert (str(again), again.args) == (str(error), error.args)
        assert repr(vars(again)) == repr(vars(error))


class Own(SocketError):
    """One of a user's, with arguments and notes."""

    def __init__(self, place: str, *, number: int) -> None:
        super().__init__(f"{place}: {number}")
        self.number = number


def test_so_is_one_of_a_user() -> None:
    error = Own("a", number=1)
    error.add_note("seen twice")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == "a: 1" and again.number == 1 and again.__notes__ == ["seen twice"]
