"""C3, C9, C16: once a connection of a run was stable, no answer of a server ends the socket."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from scene import A, B, Make, _Longest

from rxsocket import Backoff, State, Verdict, standard
from rxsocket.testing import VirtualClock, accept, reject

STABLE = accept().wait(10.0).drop()


@pytest.mark.parametrize("status", [400, 404, 405, 410, 426, 302, 200])
def test_a_refused_handshake_after_a_stable_connection_is_tried_again(
    clock: VirtualClock, scene: Make, status: int
) -> None:
    """Eight times in a row, and the same subscribers get messages again."""
    it = scene(STABLE, *[reject(status)] * 8, accept().send("again"), auth=A)
    clock.advance(400.0)
    assert it.socket.state.value is State.OPEN
    assert "Ended" not in it.names
    assert it.names[-1] == "Message"


@pytest.mark.parametrize("code", [1002, 1003, 1007, 1009, 1010])
def test_a_close_after_a_stable_connection_is_reconnected_after(
    clock: VirtualClock, scene: Make, code: int
) -> None:
    """Also the sixth in a row, and that of a message that is too big."""
    it = scene(STABLE, *[accept().close(code)] * 6, accept().send("again"), auth=A)
    clock.advance(400.0)
    assert it.socket.state.value is State.OPEN
    assert it.names[-1] == "Message"


def test_before_the_first_stable_connection_it_fails(clock: VirtualClock, scene: Make) -> None:
    """What cannot succeed is said at once."""
    it = scene(reject(405), watch=False, auth=A)
    failures: list[Exception] = []
    it.socket.messages.subscribe(on_error=failures.append)
    clock.advance(1.0)
    assert len(failures) == 1


def test_a_verdict_of_the_users_own_still_ends_it(clock: VirtualClock, scene: Make) -> None:
    """What ``override`` names is the user's word."""
    verdicts = standard().override({404: Verdict.FAIL})
    it = scene(STABLE, reject(404), auth=A, verdicts=verdicts)
    clock.advance(60.0)
    assert it.socket.state.value is State.CLOSED


def test_400_with_a_credential_awaits_another_one(clock: VirtualClock, scene: Make) -> None:
    """Vite's and socket.io's servers refuse a token so; without one it is a mistake."""
    it = scene(reject(400), accept(), auth=A)
    clock.advance(1.0)
    assert it.socket.state.value is State.AWAITING_AUTH
    it.socket.set_auth(B)
    clock.advance(10.0)
    assert it.socket.state.value is State.OPEN
    anonymous = scene(reject(400))
    clock.advance(1.0)
    assert anonymous.socket.state.value is State.CLOSED


def patient() -> dict[str, Any]:
    """Options with the default wait after a refusal, and no chance."""
    return {"auth": A, "backoff": Backoff(random=_Longest())}


def test_a_credential_that_was_accepted_is_tried_again_after_a_refusal(
    clock: VirtualClock, scene: Make
) -> None:
    """After 60 s, then 120, 240, … up to 15 min: proxies and firewalls answer 403, too."""
    it = scene(STABLE, *[reject(403)] * 7, accept(), **patient())
    clock.advance(3700.0)
    refused = [when for when, event in it.entries if type(event).__name__ == "Rejected"]
    waits = [after - before for before, after in pairwise(refused)]
    assert waits == [60.0, 120.0, 240.0, 480.0, 900.0, 900.0]
    assert it.socket.state.value is State.OPEN


def test_one_that_was_never_accepted_is_never_dialled_again(
    clock: VirtualClock, scene: Make
) -> None:
    """C9: the first answer to it was a refusal."""
    it = scene(reject(403), accept(), **patient())
    clock.advance(7200.0)
    assert it.peer.dials == 1
    assert it.socket.state.value is State.AWAITING_AUTH


def test_explain_says_when_it_is_tried_again(clock: VirtualClock, scene: Make) -> None:
    """What is next, and in how long."""
    it = scene(STABLE, reject(403), accept(), **patient())
    clock.advance(30.0)
    assert "accepted before, is tried again in" in str(it.socket.explain())
