"""C34: ``renew()`` makes another connection because somebody says so, inside a deadline."""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from scene import A, B, Capped, Make, Scene, connecting, left, opened

from rxsocket import (
    Backoff,
    Cause,
    Closed,
    Connecting,
    InEffect,
    Opened,
    RenewalFailed,
    Renewed,
    Sent,
    Socket,
    State,
    Waiting,
    handover,
    history,
    in_band,
    reconnect,
)
from rxsocket.testing import VirtualClock, accept, fake, hang, reject, unreachable

STRATEGIES: dict[str, Callable[[], Any]] = {
    "reconnect": reconnect,
    "handover": handover,
    "in band": lambda: in_band(lambda token: f"AUTH {token}"),
}


def same(_: Any) -> str:
    """One and the same identity, whatever the credential."""
    return "the same"


class At(Random):
    """Every draw is at the same share of its range."""

    def __init__(self, share: float) -> None:
        super().__init__(0)
        self._share = share

    def uniform(self, a: float, b: float) -> float:
        return a + (b - a) * self._share


def jitter(share: float) -> Backoff:
    """A backoff of which each draw is at a share of its range."""
    return Backoff(random=At(share), refused_retry=None)


def dials(it: Scene) -> list[float]:
    return [at for at, _ in it.dials]


# --- at once


def test_reconnect_closes_first(clock: VirtualClock, scene: Make) -> None:
    """Closed with the reason, then the next one, which says the same; no stream ends."""
    it = scene(auth=A)
    clock.advance(10.0)
    it.clear()
    it.socket.renew(why="the server said GoAway")
    clock.advance(1.0)
    assert it.entries == [
        (10.0, Closed(epoch=1, sent=1000, cause=Cause.RENEW, reason="the server said GoAway")),
        (
            10.0,
            Connecting(
                epoch=2,
                cause=Cause.RENEW,
                attempt=1,
                url=it.peer.url,
                reason="the server said GoAway",
            ),
        ),
        (10.0, opened(2, Cause.RENEW, gap=0.0)),
    ]
    assert it.peer.closes == [(1, 1000, "the server said GoAway")]
    assert it.credentials == ["a", "a"]


def test_handover_makes_the_next_one_first(clock: VirtualClock, scene: Make) -> None:
    """One switch point without a gap, and the old one is told why it was left."""
    it = scene(auth=A, on_auth_change=handover(), latency=0.1)
    clock.advance(10.0)
    it.clear()
    it.socket.renew(why="GoAway")
    clock.advance(1.0)
    assert it.names == ["Connecting", "Closed", "Opened"]
    assert it.events[1] == Closed(epoch=1, sent=1000, cause=Cause.HANDED_OVER, reason="GoAway")
    assert it.events[2] == opened(2, Cause.RENEW, gap=0.0)
    assert it.peer.closes == [(1, 1000, "GoAway")]


def test_in_band_closes_first(clock: VirtualClock, scene: Make) -> None:
    """No message makes a connection new: nothing is sent over the old one."""
    it = scene(auth=A, on_auth_change=STRATEGIES["in band"]())
    clock.advance(10.0)
    it.clear()
    it.socket.renew()
    clock.advance(1.0)
    assert it.events == [
        left(1, Cause.RENEW),
        connecting(2, Cause.RENEW),
        opened(2, Cause.RENEW, gap=0.0),
    ]
    assert it.peer.received == []


@pytest.mark.parametrize("name", STRATEGIES)
def test_it_is_renewed_again_and_again(clock: VirtualClock, scene: Make, name: str) -> None:
    """A session that was renewed once is renewed as well the next time."""
    it = scene(auth=A, on_auth_change=STRATEGIES[name]())
    for _ in range(5):
        clock.advance(10.0)
        it.socket.renew()
    clock.advance(10.0)
    assert [event.cause for event in it.events if isinstance(event, Opened)] == [
        Cause.STARTED,
        *[Cause.RENEW] * 5,
    ]
    assert it.peer.connections == 1


def test_a_provider_is_asked_again(clock: VirtualClock, scene: Make) -> None:
    """Each attempt carries the credential of the moment (C10)."""
    count = iter(range(10))
    it = scene(auth=lambda: {"token": f"t{next(count)}"})
    clock.advance(10.0)
    it.socket.renew()
    clock.advance(1.0)
    assert it.credentials == ["t0", "t1"]


def test_what_was_sent_is_not_lost(clock: VirtualClock, scene: Make) -> None:
    """What is sent while none is open waits for the next one."""
    it = scene(accept(), accept().delay(1.0), auth=A)
    clock.advance(10.0)
    it.socket.renew()
    clock.advance(0.5)
    receipt = it.socket.send("hello")
    clock.advance(1.0)
    assert receipt.result() == Sent(epoch=2)


# --- inside a deadline


@pytest.mark.parametrize("status", [429, 403])
@pytest.mark.parametrize("name", STRATEGIES)
def test_inside_the_deadline(
    clock: VirtualClock, scene: Make, full: bool, name: str, status: int
) -> None:
    """One connection allowed, 2 s, no further message: told 100 times, renewed 100 times in time.

    With ``handover()`` the next one is refused beside the first, so that is left in the end.
    """
    in_time: list[bool] = []
    for seed in range(100 if full else 20):
        backoff = Backoff(random=Random(seed))
        strategy = STRATEGIES[name]()
        it = scene(peer=Capped(1, status), auth=A, on_auth_change=strategy, backoff=backoff)
        clock.advance(10.0)
        it.socket.renew(within=2.0, why="GoAway")
        clock.advance(2.0)
        in_time.append(it.peer.visits[-1].number > 1 and it.socket.state.value is State.OPEN)
        assert it.peer.most_open == 1
        it.end()
    assert in_time == [True] * len(in_time) and in_time


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_it_begins_after_a_jitter(clock: VirtualClock, scene: Make, share: float) -> None:
    """Over the first half of the deadline."""
    it = scene(auth=A, backoff=jitter(share))
    clock.advance(10.0)
    it.socket.renew(within=8.0)
    clock.advance(8.0)
    assert dials(it) == [0.0, 10.0 + 4.0 * share]


@pytest.mark.parametrize("name", ["reconnect", pytest.param("handover", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("many", "most"), [(300, 0.3), pytest.param(1000, 0.25, marks=pytest.mark.slow)]
)
def test_many_that_are_told_at_once_do_not_dial_at_once(
    clock: VirtualClock, name: str, many: int, most: float
) -> None:
    """Of 1,000 sockets no tenth of the deadline, wherever it begins, has over 25 % of the dials.

    Of 300, the draws are less even.
    """
    network = fake(latency=0.05)
    sockets = [
        Socket(
            network.url,
            transport=network,
            on_auth_change=STRATEGIES[name](),
            backoff=Backoff(random=Random(number)),
        )
        for number in range(many)
    ]
    held = [socket.connect() for socket in sockets]
    clock.advance(10.0)
    for socket in sockets:
        socket.renew(within=10.0, why="GoAway")
    clock.advance(10.0)
    times = sorted(handshake.at for handshake in network.handshakes[many:])
    assert len(times) == many and network.live == many
    fullest = max(bisect(times, begin + 1.0) - index for index, begin in enumerate(times))
    assert fullest <= most * many
    for hold in held:
        hold.dispose()
    clock.advance(2.0)


def test_one_that_does_not_catch_up_takes_over_in_time(clock: VirtualClock, scene: Make) -> None:
    """The old one goes on and the new one is silent: the switch comes when it is late."""
    it = scene(auth=A, on_auth_change=handover(ready="message"), backoff=jitter(0.0))
    clock.advance(10.0)
    it.clear()
    it.socket.renew(within=6.0)
    for _ in range(60):
        clock.advance(0.1)
        for visit in it.peer.visits[:1]:
            visit.deliver("1")
    switched = [at for at, event in it.entries if isinstance(event, Opened)]
    assert switched == [14.0]  # a third of the deadline is left
    assert dials(it) == [0.0, 10.0]
    assert it.peer.live == 1


def test_one_that_does_not_open_is_dialled_again_in_time(clock: VirtualClock, scene: Make) -> None:
    """Maybe it hangs because of the old one: that is closed, and the next one dialled at once."""
    it = scene(accept(), hang(), auth=A, on_auth_change=handover(), backoff=jitter(0.0))
    clock.advance(10.0)
    it.clear()
    it.socket.renew(within=6.0, why="GoAway")
    clock.advance(6.0)
    assert [(at, name) for at, name in it.story] == [
        (10.0, "Connecting"),
        (14.0, "Aborted"),
        (14.0, "Closed"),
        (14.0, "Connecting"),
        (14.0, "Opened"),
    ]
    assert it.events[2] == Closed(epoch=1, sent=1000, cause=Cause.RENEW, reason="GoAway")


@pytest.mark.parametrize("status", [403, 405, 503])
def test_a_refused_handover_is_tried_again_until_it_is_late(
    clock: VirtualClock, scene: Make, status: int
) -> None:
    """It may be the second connection that is refused; in the end the old one is closed first."""
    it = scene(
        *[accept(), *[reject(status)] * 3],
        auth=A,
        on_auth_change=handover(),
        backoff=Backoff(first=2.0, base=2.0, random=At(0.5)),
    )
    clock.advance(10.0)
    it.clear()
    it.socket.renew(within=20.0)
    clock.advance(20.0)
    failed = [event for event in it.events if isinstance(event, RenewalFailed)]
    assert [(one.cause, one.epoch, one.refused, one.retry_in) for one in failed] == [
        (Cause.RENEW, 1, status == 403, 1.0),
        (Cause.RENEW, 1, status == 403, 3.0),
        (Cause.RENEW, 1, status == 403, 6.0),
    ]
    assert dials(it) == [0.0, 15.0, 16.0, 19.0, 25.0]
    assert it.events[-1] == opened(5, Cause.RENEW, gap=0.0, attempts=4)


def test_in_the_end_the_old_one_is_closed_first(clock: VirtualClock, scene: Make) -> None:
    """The last wait is cut short, and that is what is said of it."""
    it = scene(
        *[accept(), *[reject(403)] * 9],
        auth=A,
        on_auth_change=handover(),
        backoff=jitter(0.5),
    )
    clock.advance(10.0)
    it.clear()
    it.socket.renew(within=6.0, why="GoAway")
    it.socket.closes.subscribe(lambda _: it.peer.script(accept()))
    clock.advance(6.0)
    last = [event for event in it.events if isinstance(event, RenewalFailed)][-1]
    assert last.retry_in == 1.5  # the backoff says 3 s
    closes = [(at, event) for at, event in it.entries if isinstance(event, Closed)]
    assert closes == [
        (14.0, Closed(epoch=1, sent=1000, cause=Cause.RENEW, reason="GoAway")),
    ]


@pytest.mark.parametrize("status", [403, 409, 503])
def test_a_server_that_has_not_noticed_yet(clock: VirtualClock, scene: Make, status: int) -> None:
    """It allows one and still counts the old one: tried again soon, and nothing is remembered."""
    scripts = (accept(), reject(status), reject(status))
    it = scene(*scripts, auth=A, backoff=jitter(0.0), stable_after=60.0)
    clock.advance(10.0)
    it.socket.renew(within=2.0)
    clock.advance(2.0)
    assert [round(at, 3) for at in dials(it)] == [0.0, 10.0, 10.1, 10.3]
    assert it.socket.state.value is State.OPEN
    waits = [event.delay for event in it.events if isinstance(event, Waiting)]
    assert waits == [0.1, 0.2]


@pytest.mark.parametrize(
    "limits", [{"max_attempts": 1}, {"max_attempts": 2}, {"give_up_after": 1.0}]
)
@pytest.mark.parametrize("age", [1.0, 10.0])
def test_no_limit_counts_before_the_deadline(
    clock: VirtualClock, scene: Make, age: float, limits: dict[str, Any]
) -> None:
    """C15: what is refused until then says nothing, whether the old one was stable or not."""
    it = scene(accept(), *[reject(403)] * 4, auth=A, backoff=jitter(0.0), **limits)
    clock.advance(age)
    it.socket.renew(within=4.0)
    clock.advance(4.0)
    assert [round(at - age, 3) for at in dials(it)[1:]] == [0.0, 0.1, 0.3, 0.7, 1.5]
    assert it.socket.state.value is State.OPEN
    waits = [event.failures for event in it.events if isinstance(event, Waiting)]
    assert waits == [0, 0, 0, 0]


@pytest.mark.parametrize("limits", [{"max_attempts": 2}, {"give_up_after": 3.0}])
def test_after_the_deadline_limits_count(
    clock: VirtualClock, scene: Make, limits: dict[str, Any]
) -> None:
    """C15: attempts and seconds from there on; the socket does not end before it."""
    it = scene(accept(), auth=A, backoff=jitter(0.0), **limits)
    it.peer.default = unreachable()
    clock.advance(10.0)
    it.socket.renew(within=4.0)
    clock.advance(60.0)
    began = [round(at, 1) for at, event in it.entries if isinstance(event, Connecting)]
    assert began[-3:] == [13.1, 14.1, 16.1]  # two after the deadline, in 2 s
    assert it.socket.state.value is State.CLOSED


def test_after_the_deadline_a_refusal_is_one(clock: VirtualClock, scene: Make) -> None:
    """Then it is the credential, or what else it was: C9 and C15 hold."""
    it = scene(accept(), auth=A, backoff=jitter(0.0))
    it.peer.default = reject(403)
    clock.advance(10.0)
    it.socket.renew(within=2.0)
    clock.advance(60.0)
    assert it.socket.state.value is State.AWAITING_AUTH
    assert len(it.dials) <= 7
    assert max(dials(it)) <= 14.0


def test_a_server_that_asks_for_time_gets_it(clock: VirtualClock, scene: Make) -> None:
    """``Retry-After`` is honoured, deadline or not (C15)."""
    it = scene(accept(), reject(429, {"Retry-After": "5"}), auth=A, backoff=jitter(0.0))
    clock.advance(10.0)
    it.socket.renew(within=2.0)
    clock.advance(60.0)
    assert dials(it) == [0.0, 10.0, 15.0]


@pytest.mark.parametrize("name", STRATEGIES)
def test_no_time_at_all(clock: VirtualClock, scene: Make, name: str) -> None:
    """Within 0 s nothing can be made first."""
    it = scene(auth=A, on_auth_change=STRATEGIES[name]())
    clock.advance(10.0)
    it.clear()
    it.socket.renew(within=0)
    clock.advance(0.1)
    assert it.events == [
        left(1, Cause.RENEW),
        connecting(2, Cause.RENEW),
        opened(2, Cause.RENEW, gap=0.0),
    ]


@pytest.mark.parametrize("name", STRATEGIES)
def test_what_is_to_come_is_explained(clock: VirtualClock, scene: Make, name: str) -> None:
    """During the jitter, too, nothing of it has happened yet; and only as long as it is to come."""
    it = scene(auth=A, on_auth_change=STRATEGIES[name](), backoff=jitter(1.0))
    clock.advance(10.0)
    assert it.socket.explain().next == ""
    it.socket.renew(within=8.0, why="GoAway")
    clock.advance(1.0)
    said = "another connection in 3.0 s: renew() was called: 'GoAway'"
    assert it.socket.explain().next == said
    assert said.replace("'", "&#x27;") in it.socket._repr_html_()
    clock.advance(4.0)
    assert it.names[-1] == "Opened" and it.socket.explain().next == ""
    it.socket.renew(within=8.0)
    clock.advance(0.5)
    assert it.socket.explain().next == "another connection in 3.5 s: renew() was called"
    it.peer.drop()  # that is the renewal
    clock.advance(2.5)
    assert it.socket.state.value is State.OPEN and it.socket.explain().next == ""
    it.socket.renew(within=8.0)
    it.socket.set_auth({"token": "another"})  # likewise
    clock.advance(1.0)
    assert it.socket.state.value is State.OPEN and it.socket.explain().next == ""


# --- without a deadline, the old one is worth more than a refusal


def test_without_a_deadline_a_refusal_leaves_the_old_one(clock: VirtualClock, scene: Make) -> None:
    """It says so, and may be told again."""
    it = scene(accept(), reject(403), auth=A, on_auth_change=handover())
    clock.advance(10.0)
    it.clear()
    it.socket.renew()
    clock.advance(100.0)
    (failed,) = (event for event in it.events if isinstance(event, RenewalFailed))
    assert (failed.cause, failed.refused, failed.retry_in) == (Cause.RENEW, True, None)
    assert it.peer.live == 1
    it.socket.renew()
    clock.advance(1.0)
    assert dials(it) == [0.0, 10.0, 110.0]
    assert it.events[-1] == opened(3, Cause.RENEW, gap=0.0)


def test_without_a_deadline_an_outage_is_waited_for(clock: VirtualClock, scene: Make) -> None:
    """With the backoff, while the old one goes on."""
    it = scene(accept(), unreachable(), unreachable(), auth=A, on_auth_change=handover())
    clock.advance(10.0)
    it.socket.renew()
    clock.advance(60.0)
    assert [at for at, event in it.entries if isinstance(event, Connecting)] == [
        0.0,
        10.0,
        12.0,
        16.0,
    ]
    assert it.events[-1] == opened(4, Cause.RENEW, gap=0.0) or it.names[-1] == "Opened"


def test_being_told_all_the_time_dials_no_sooner(clock: VirtualClock, scene: Make) -> None:
    """Who is told again while it is tried again knows that already."""
    it = scene(*[accept(), *[reject(503)] * 9], auth=A, on_auth_change=handover())
    clock.advance(10.0)
    for _ in range(100):
        it.socket.renew(why="GoAway")
        clock.advance(0.05)
    assert dials(it) == [0.0, 10.0, 12.0]


# --- and what else happens


def test_of_two_deadlines_the_first_counts(clock: VirtualClock, scene: Make) -> None:
    """Whichever was told later; and there is one renewal."""
    for first, second in ((20.0, 4.0), (4.0, 20.0)):
        it = scene(auth=A, backoff=jitter(1.0))
        start = clock.time()
        clock.advance(10.0)
        it.socket.renew(within=first)
        clock.advance(0.5)
        it.socket.renew(within=second)
        clock.advance(20.0)
        (told,) = [at - start - 10.0 for at in dials(it)[1:]]
        assert told <= min(first, second + 0.5) / 2 + 0.5
        it.end()


def test_told_at_once_after_being_told_with_time(clock: VirtualClock, scene: Make) -> None:
    """Then it is at once, and only then."""
    it = scene(auth=A, backoff=jitter(1.0))
    clock.advance(10.0)
    it.socket.renew(within=20.0)
    clock.advance(1.0)
    it.socket.renew()
    clock.advance(60.0)
    assert dials(it) == [0.0, 11.0]


@pytest.mark.parametrize("name", ["reconnect", "handover"])
def test_a_change_of_credential_meanwhile_is_the_renewal(
    clock: VirtualClock, scene: Make, name: str
) -> None:
    """One connection serves for both."""
    it = scene(auth=A, on_auth_change=STRATEGIES[name](), identity=same, backoff=jitter(1.0))
    clock.advance(10.0)
    it.socket.renew(within=20.0)
    clock.advance(1.0)
    change = it.socket.set_auth(B)
    clock.advance(60.0)
    assert it.dials == [(0.0, "a"), (11.0, "b")]
    assert change.result() == InEffect(epoch=2)


def test_a_change_in_band_is_not(clock: VirtualClock, scene: Make) -> None:
    """It renews the credential, not the connection, which is left in time with the new one."""
    it = scene(auth=A, on_auth_change=STRATEGIES["in band"](), identity=same, backoff=jitter(1.0))
    clock.advance(10.0)
    it.socket.renew(within=20.0)
    clock.advance(1.0)
    it.socket.set_auth(B)
    clock.advance(60.0)
    assert Renewed(epoch=1) in it.events
    assert it.dials == [(0.0, "a"), (20.0, "b")]


def test_a_change_in_band_at_the_same_time(clock: VirtualClock, scene: Make) -> None:
    """The next connection carries the new credential: nothing is sent over the old one."""
    it = scene(auth=A, on_auth_change=STRATEGIES["in band"](), identity=same)
    clock.advance(10.0)
    it.socket.renew()
    it.socket.set_auth(B)
    clock.advance(1.0)
    assert it.dials == [(0.0, "a"), (10.0, "b")]
    assert it.peer.received == []


def test_an_answer_in_band_is_not_waited_for_too_long(clock: VirtualClock, scene: Make) -> None:
    """When it is late, it is late."""
    mute = in_band(lambda token: "AUTH", accepted=lambda _: False, timeout=30.0)
    it = scene(auth=A, on_auth_change=mute, identity=same, backoff=jitter(0.0))
    clock.advance(10.0)
    it.socket.set_auth(B)
    clock.advance(1.0)
    it.socket.renew(within=6.0)
    clock.advance(6.0)
    assert it.dials == [(0.0, "a"), (15.0, "b")]


def test_a_handover_under_way_is_the_renewal(clock: VirtualClock, scene: Make) -> None:
    """It is on its way already; but now it has a deadline."""
    it = scene(auth=A, on_auth_change=handover(ready="message", timeout=60.0), identity=same)
    clock.advance(10.0)
    it.socket.set_auth(B)
    clock.advance(1.0)
    it.socket.renew(within=6.0)
    clock.advance(3.9)
    assert it.peer.live == 2
    clock.advance(0.2)
    assert it.dials == [(0.0, "a"), (10.0, "b")]
    assert it.peer.live == 1
    assert it.events[-1] == opened(2, Cause.AUTH_CHANGED, gap=0.0)


def test_back_to_the_credential_in_use_is_renewed_still(clock: VirtualClock, scene: Make) -> None:
    """The change is undone, the renewal is not."""
    it = scene(accept(), hang(), auth=A, on_auth_change=handover(), identity=same)
    clock.advance(10.0)
    it.socket.set_auth(B)
    clock.advance(1.0)
    it.socket.renew()
    it.socket.set_auth(A)
    clock.advance(5.0)
    assert it.credentials == ["a", "b", "a"]
    assert it.events[-1] == opened(3, Cause.RENEW, gap=0.0, attempts=2)


def test_a_link_that_is_lost_meanwhile(clock: VirtualClock, scene: Make) -> None:
    """The next connection is another one already: it is not renewed."""
    for name in STRATEGIES:
        it = scene(auth=A, on_auth_change=STRATEGIES[name](), backoff=jitter(0.5))
        start = clock.time()
        clock.advance(10.0)
        it.socket.renew(within=20.0)
        clock.advance(1.0)
        it.peer.drop()
        clock.advance(60.0)
        assert [at - start for at in dials(it)] == [0.0, 12.0]
        it.end()


@pytest.mark.parametrize("name", STRATEGIES)
def test_close_meanwhile_leaves_nothing(clock: VirtualClock, scene: Make, name: str) -> None:
    """No timer of a deadline outlives the socket."""
    it = scene(auth=A, on_auth_change=STRATEGIES[name]())
    clock.advance(10.0)
    it.socket.renew(within=20.0)
    clock.advance(1.0)
    it.socket.close()
    clock.advance(2.0)
    assert clock.pending == 0 and not clock.tasks


@pytest.mark.parametrize("name", STRATEGIES)
def test_max_age_meanwhile(clock: VirtualClock, scene: Make, name: str) -> None:
    """One connection serves for both; the age of the next one counts from its own opening."""
    it = scene(auth=A, on_auth_change=STRATEGIES[name](), max_age=100.0, backoff=jitter(1.0))
    clock.advance(95.0)
    it.socket.renew(within=40.0)
    clock.advance(90.0)
    assert dials(it) == [0.0, 100.0]
    clock.advance(20.0)
    assert len(it.dials) == 3


@pytest.mark.parametrize("script", [hang(), unreachable(), reject(401)])
def test_while_none_is_open_there_is_nothing_to_renew(
    clock: VirtualClock, scene: Make, script: Any
) -> None:
    """The next one is about to be made, or waits for a credential."""
    it = scene(script, auth=A)
    clock.advance(1.0)
    seen = it.events
    it.socket.renew(within=1.0, why="GoAway")
    clock.advance(0.9)
    assert it.events == seen


def test_on_an_idle_or_ended_socket_it_does_nothing(clock: VirtualClock, scene: Make) -> None:
    """As ``reconnect()`` (C1)."""
    it = scene(auth=A, watch=False)
    it.socket.renew()
    clock.advance(1.0)
    assert (it.peer.dials, it.socket.state.value) == (0, State.IDLE)
    it.watch()
    clock.advance(1.0)
    it.socket.close()
    it.socket.renew(within=1.0)
    clock.advance(10.0)
    assert (it.peer.dials, it.socket.state.value) == (1, State.CLOSED)


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_server_that_tells_each_one_to_leave(clock: VirtualClock, scene: Make, name: str) -> None:
    """It is as one that closes each at once (C15): a few handshakes a minute, not one loop."""
    it = scene(auth=A, on_auth_change=STRATEGIES[name](), backoff=Backoff(random=Random(1)))
    it.peer.default = accept().send("goaway")
    it.socket.messages.subscribe(lambda _: it.socket.renew(why="goaway"))
    clock.advance(60.0)
    assert 4 <= it.peer.dials <= 10
    clock.advance(60.0)
    assert it.peer.dials <= 14


def test_being_told_again_is_no_haste(clock: VirtualClock, scene: Make) -> None:
    """One connection that is told several times is told: a refusal leaves it, however young."""
    it = scene(*[accept(), *[reject(403)] * 5], auth=A, on_auth_change=handover())
    for _ in range(5):
        clock.advance(0.5)
        it.socket.renew()
    clock.advance(1.0)
    assert it.peer.live == 1
    assert not any(isinstance(event, Closed) for event in it.events)


# --- why


def test_the_reason_is_shown_everywhere(
    clock: VirtualClock, scene: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """In the events, the history, explain() and the log."""
    caplog.set_level("DEBUG", "rxsocket")
    it = scene(accept(), accept().delay(1.0), auth=A)
    clock.advance(10.0)
    it.socket.renew(why="the server said GoAway")
    clock.advance(0.5)
    said = "renew() was called: 'the server said GoAway'"
    assert said in str(it.socket.explain())
    assert said in caplog.text
    clock.advance(1.0)
    assert said in str(it.socket.explain())
    assert any(getattr(event, "reason", "") for event in history(it.socket))


def test_the_reason_of_a_handover_is_explained(clock: VirtualClock, scene: Make) -> None:
    """What led to the connection that is open."""
    it = scene(auth=A, on_auth_change=handover())
    clock.advance(10.0)
    it.socket.renew(why="GoAway")
    clock.advance(1.0)
    because = "took over from connection 1 without a gap: renew() was called: 'GoAway'"
    assert because in str(it.socket.explain())


def test_a_reason_is_made_fit_to_be_shown(clock: VirtualClock, scene: Make) -> None:
    """It may be a server's, of any length: one line, without secrets, as much as a frame holds."""
    it = scene(auth={"token": "s3cret-t0ken"})
    clock.advance(10.0)
    it.socket.renew(why="bye s3cret-t0ken\n\x1b[2J" + "ü" * 1000)
    clock.advance(1.0)
    (closed,) = (event for event in it.events if isinstance(event, Closed))
    assert closed.reason.startswith("bye ***\\n\\x1b[2Jü") and closed.reason.endswith("ü…")
    assert 120 <= len(closed.reason.encode()) <= 123
    assert it.peer.closes == [(1, 1000, closed.reason)]


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_code_is_the_users(clock: VirtualClock, scene: Make, name: str) -> None:
    """A session that is closed with 1000 may be none that can be resumed."""
    it = scene(auth=A, on_auth_change=STRATEGIES[name]())
    clock.advance(10.0)
    it.socket.renew(code=4000, why="op 7")
    clock.advance(1.0)
    assert it.peer.closes == [(1, 4000, "op 7")]
    assert [event.sent for event in it.events if isinstance(event, Closed)] == [4000]
    it.socket.renew()
    clock.advance(1.0)
    assert it.peer.closes[1:] == [(2, 1000, "")]


# --- bad input


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"within": "2"}, TypeError, "renew(within): pass a number of seconds or None, not str"),
        ({"within": True}, TypeError, "renew(within): pass a number of seconds or None, not bool"),
        ({"within": -1}, ValueError, "renew(within): pass a number of seconds that is 0 or more"),
        ({"within": float("nan")}, ValueError, "renew(within): pass a number of seconds"),
        ({"why": None}, TypeError, "renew(why): pass a text, not NoneType"),
        ({"why": b"x"}, TypeError, "renew(why): pass a text, not bytes"),
        ({"code": 1001}, ValueError, "renew(code): pass 1000 or a code from 3000 to 4999"),
        ({"code": "1000"}, TypeError, "renew(code): pass a close code such as 1000, not str"),
        ({"url": 7}, TypeError, "renew(url): pass"),
    ],
)
def test_bad_arguments(
    clock: VirtualClock, scene: Make, arguments: Any, error: type[Exception], text: str
) -> None:
    """They are said at once, also by a socket that does not run; nothing else happens."""
    for watch in (True, False):
        it = scene(auth=A, watch=watch)
        clock.advance(10.0)
        with pytest.raises(error, match=re.escape(text)):
            it.socket.renew(**arguments)
        clock.advance(1.0)
        assert it.peer.dials == int(watch)
