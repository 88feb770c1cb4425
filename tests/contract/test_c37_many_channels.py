"""C37: many keys in few messages, each of them a channel of its own."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from exchange import MANY, Exchange, acknowledged, key_of, subscribe, unsubscribe
from internals import subscriptions_of
from reactivex import operators as ops
from scene import A, Make, Scene

from rxsocket import (
    ChannelFailed,
    ChannelStale,
    Limits,
    Message,
    ObserverFailed,
    Opened,
    RenewalFailed,
    State,
    Subscribing,
    SubscriptionRefused,
    handover,
)
from rxsocket.testing import VirtualClock, accept

PACE = 1.0 - 1e-6
"""A second, but for what the clock rounds."""


def names(count: int) -> list[str]:
    return [f"K{number}" for number in range(count)]


def key_in(message: str) -> str:
    return str(json.loads(message)["key"])


# --- the whole of it


def test_five_thousand_keys(clock: VirtualClock, scene: Make) -> None:
    """5,000 keys, 200 a message, 5 a second, 1 % refused, ten cuts, some in the middle."""
    keys = names(5000)
    refused = set(keys[::100])
    it = scene(watch=False, auth=A, limits=Limits(pace="5/s", batch=200))
    exchange = Exchange(it.peer, refused=refused)
    failed: list[str] = []
    it.socket.errors.subscribe(
        lambda event: failed.append(event.channel) if isinstance(event, ChannelFailed) else None
    )
    heard: Counter[str] = Counter()
    ends: list[Any] = []
    quotes = it.socket.channels(keys, **MANY)
    quotes.subscribe(lambda message: heard.update([key_in(message)]), ends.append)
    alone: list[Any] = []
    for key in (keys[0], keys[1]):
        quotes[key].subscribe(alone.append, lambda error, key=key: alone.append((key, error)))
    for cut in range(10):
        clock.advance(2.3 if cut % 3 == 1 else 8.0)
        it.peer.drop()
        clock.advance(50.0)
        number = len(it.peer.handshakes)
        assert exchange.live_on(number) == set(keys) - refused
    assert exchange.most_within(PACE) <= 5
    assert exchange.most == 1
    assert sorted(failed) == sorted(map(repr, refused))
    assert {key for one in exchange.of(2) for key in one}.isdisjoint(refused)
    assert [len(one) for one in exchange.of(11)] == [200] * 24 + [150]
    [(key, error)] = alone
    assert key == keys[0] and isinstance(error, SubscriptionRefused)
    exchange.say(*keys[:300])
    clock.advance(0.1)
    assert heard == Counter(key for key in keys[:300] if key not in refused)
    assert len(alone) == 2 and ends == []


# --- how they are asked for


def test_keys_are_asked_for_in_order_of_arrival(clock: VirtualClock, scene: Make) -> None:
    """Those that came while others waited for their turn share the next message."""
    it = scene(auth=A, limits=Limits(pace="1/s", batch=3))
    exchange = Exchange(it.peer)
    clock.advance(1.0)
    it.socket.channels(names(4), **MANY).subscribe()
    clock.advance(0.5)
    later = it.socket.channels(["X", "K1", "Y", "Z"], **MANY)
    for key in later.keys:
        later[key].subscribe()
    clock.advance(5.0)
    assert exchange.of(1) == [["K0", "K1", "K2"], ["K3", "X", "Y"], ["Z"]]
    assert exchange.most == 1


def test_keys_of_one_turn_share_a_message_without_a_pace(clock: VirtualClock, scene: Make) -> None:
    """Subscribed to one by one: what is wanted when the turn of the loop ends."""
    it = scene(auth=A, limits=Limits(batch=3))
    exchange = Exchange(it.peer)
    clock.advance(1.0)
    quotes = it.socket.channels(names(5), **MANY)
    leaving = [quotes[key].subscribe() for key in quotes.keys]
    clock.advance(1.0)
    assert exchange.of(1) == [["K0", "K1", "K2"], ["K3", "K4"]]
    for one in leaving[1:]:
        one.dispose()
    clock.advance(1.0)
    assert exchange.of(1, "unsub") == [["K1", "K2", "K3"], ["K4"]]
    assert exchange.live_on(1) == {"K0"}


def test_without_limits_each_key_has_its_message(clock: VirtualClock, scene: Make) -> None:
    it = scene(auth=A)
    exchange = Exchange(it.peer)
    it.socket.channels(names(3), **MANY).subscribe()
    clock.advance(1.0)
    assert exchange.of(1) == [["K0"], ["K1"], ["K2"]]


def test_a_cut_in_the_middle_is_made_up_for(clock: VirtualClock, scene: Make) -> None:
    """All live after it; a key that left meanwhile is not asked for, nor one that left in line."""
    it = scene(auth=A, limits=Limits(pace="1/s", batch=2))
    exchange = Exchange(it.peer)
    clock.advance(1.0)
    quotes = it.socket.channels(names(8), **MANY)
    leaving = [quotes[key].subscribe() for key in quotes.keys]
    clock.advance(1.5)
    leaving[7].dispose()  # it was not asked for yet
    it.peer.drop()
    leaving[0].dispose()  # it was
    clock.advance(20.0)
    assert exchange.of(1) == [["K0", "K1"], ["K2", "K3"]]
    assert exchange.of(2) == [["K1", "K2"], ["K3", "K4"], ["K5", "K6"]]
    assert exchange.of(1, "unsub") == exchange.of(2, "unsub") == []


def test_a_key_has_one_subscription_however_many_observe_it(
    clock: VirtualClock, scene: Make
) -> None:
    """Merged or alone; who comes back before that was said does not ask anew."""
    it = scene(auth=A, limits=Limits(pace="1/s", batch=5))
    exchange = Exchange(it.peer)
    clock.advance(1.0)
    quotes = it.socket.channels(names(2), **MANY)
    both = quotes.subscribe()
    heard: list[Any] = []
    one = [quotes["K0"].subscribe(heard.append) for _ in range(3)]
    clock.advance(3.0)
    exchange.say("K0", "K1")
    clock.advance(0)
    assert len(heard) == 3
    it.socket.send("busy")  # takes the turn of the unsubscribe
    both.dispose()
    clock.advance(0.5)
    back = quotes["K1"].subscribe()
    clock.advance(5.0)
    assert exchange.of(1) == [["K0", "K1"]] and exchange.of(1, "unsub") == []
    for leaving in (*one, back):
        leaving.dispose()
    clock.advance(5.0)
    assert exchange.of(1, "unsub") == [["K0", "K1"]]


def test_the_last_one_that_leaves_says_so_before_the_close(
    clock: VirtualClock, scene: Make
) -> None:
    it = scene(watch=False, auth=A, limits=Limits(batch=10))
    exchange = Exchange(it.peer)
    leaving = it.socket.channels(names(3), **MANY).subscribe()
    clock.advance(1.0)
    leaving.dispose()
    clock.advance(1.0)
    assert exchange.of(1, "unsub") == [names(3)]
    assert it.socket.state.value is State.IDLE


def test_what_the_functions_are_told(clock: VirtualClock, scene: Make) -> None:
    """The keys; and the credential of that connection, if they take a second argument."""
    told: list[Any] = []

    def asking(keys: list[str], to: Subscribing) -> Any:
        told.append((keys, to))
        return subscribe(keys)

    it = scene(auth={"token": "first secret"}, limits=Limits(batch=2))
    it.socket.channels(["a", "b", "c"], subscribe=asking, by=key_of).subscribe()
    it.socket.channel(subscribe=lambda to: told.append(to) or "S", key="k").subscribe()
    it.socket.channel(subscribe=lambda name="N": name, match=bool).subscribe()
    clock.advance(1.0)
    assert [one[0] for one in told[:2]] == [["a", "b"], ["c"]]
    assert told[0][1].credential == {"token": "first secret"}
    assert told[0][1].keys == ("a", "b") and told[2].key == "k"
    assert (told[2].epoch, told[2].cursor) == (1, None)
    assert "first" not in repr(told) and "token=***" in repr(told)
    assert [message for _, message in it.peer.received][2:] == ["S", "N"]


def test_a_message_has_the_cursor_of_its_time(clock: VirtualClock, scene: Make) -> None:
    """C38: each goes on from what had come when it was made."""
    it = scene(auth=A, limits=Limits(pace="1/s"), cursor=lambda m: json.loads(m).get("n"))
    told: list[Any] = []

    def asking(keys: list[str], to: Subscribing) -> Any:
        told.append((to.epoch, *keys, to.cursor))
        return subscribe(keys)

    it.socket.channels(["a", "b"], subscribe=asking, by=key_of).subscribe()
    clock.advance(0.5)
    it.peer.push('{"key": "a", "n": 7}')
    clock.advance(1.0)
    it.peer.push('{"key": "b", "n": 8}')
    clock.advance(0.1)
    it.peer.drop()
    clock.advance(5.0)
    assert told == [(1, "a", None), (1, "b", 7), (2, "a", 8), (2, "b", 8)]


@pytest.mark.parametrize("how", ["another identity", "a renewal", "a handover"])
def test_a_message_has_the_credential_of_its_connection(
    clock: VirtualClock, scene: Make, how: str
) -> None:
    """After a change nothing of the one before is written, whatever waited for its turn (C14)."""
    options: dict[str, Any] = {} if how == "another identity" else {"identity": lambda _: "me"}
    if how == "a handover":
        options["on_auth_change"] = handover()
    it = scene(auth={"token": "alpha"}, limits=Limits(pace="1/s", batch=1), **options)
    it.socket.channels(
        names(6), subscribe=lambda keys, to: {"keys": keys, **to.credential}, by=key_of
    ).subscribe()
    clock.advance(2.5)
    it.socket.set_auth({"token": "beta"})
    clock.advance(20.0)
    for number, message in it.peer.received:
        assert json.loads(message)["token"] == {1: "alpha", 2: "beta"}[number]
    assert sum(number == 2 for number, _ in it.peer.received) == 6


def test_a_logout_leaves_nothing_behind(clock: VirtualClock, scene: Make) -> None:
    """Rotated, then logged out, then somebody else: each connection hears of its own alone."""
    it = scene(auth={"token": "alpha"}, limits=Limits(pace="2/s"))
    it.socket.channels(
        names(4), subscribe=lambda keys, to: {"keys": keys, **to.credential}, by=key_of
    ).subscribe()
    clock.advance(0.6)
    it.socket.set_auth(None)
    clock.advance(5.0)
    assert it.socket.state.value is State.AWAITING_AUTH
    assert {number for number, _ in it.peer.received} == {1}
    it.socket.set_auth({"token": "gamma"})
    clock.advance(5.0)
    assert [
        json.loads(message)["token"] for number, message in it.peer.received if number == 2
    ] == ["gamma"] * 4


# --- answers


def test_an_answer_may_be_for_some(clock: VirtualClock, scene: Make) -> None:
    """3 of 5 are answered: the others are not taken for accepted, and one of them fails alone."""
    answers: dict[str, Any] = {
        "some": {"K0", "K3"},
        "mixed": {"K1": True, "K2": PermissionError("premium"), "K4": None, "other": False},
        "rest": [*names(5)],
    }
    it = scene(auth=A, limits=Limits(batch=5))
    quotes = it.socket.channels(
        names(5), subscribe=subscribe, by=key_of, acknowledged=lambda m: answers.get(m)
    )
    ends: dict[str, Any] = {}
    quotes.subscribe(on_error=lambda error: ends.update(all=error))
    for key in quotes.keys:
        quotes[key].subscribe(on_error=lambda error, key=key: ends.update({key: error}))
    clock.advance(1.0)
    waiting: list[set[Any]] = []
    for said in ("noise", "some", "mixed", "rest"):
        it.peer.push(json.dumps({"re": said}) if said == "noise" else said)
        clock.advance(0)
        connection = subscriptions_of(it.socket)._connection(1)
        waiting.append({each.key for each in connection.unanswered})
    assert waiting == [{*names(5)}, {"K1", "K2", "K4"}, {"K4"}, set()]
    assert list(ends) == ["K2"] and str(ends["K2"]) == "premium"
    [problem] = [event for event in it.events if isinstance(event, ChannelFailed)]
    assert (problem.channel, problem.epoch) == ("'K2'", 1)


def test_a_yes_is_for_the_oldest_message(clock: VirtualClock, scene: Make) -> None:
    """Servers that answer in order, without saying to what."""
    it = scene(auth=A, limits=Limits(batch=2))
    said: dict[str, Any] = {"ok": True, "no": False}
    quotes = it.socket.channels(
        names(6), subscribe=subscribe, by=key_of, acknowledged=lambda m: said.get(m)
    )
    ends: list[str] = []
    for key in quotes.keys:
        quotes[key].subscribe(on_error=lambda _, key=key: ends.append(key))
    clock.advance(1.0)
    it.peer.push('"?"', "ok", "no", "ok", "no")
    clock.advance(0)
    assert ends == ["K2", "K3"]


@pytest.mark.parametrize("wrong", ["yes", 7, {"K0": "no"}, [["K0"]]])
def test_an_answer_that_is_none_is_reported(clock: VirtualClock, scene: Make, wrong: Any) -> None:
    """Once, with what to return instead; nothing is lost by it."""
    it = scene(auth=A)
    quotes = it.socket.channels(
        names(2), subscribe=subscribe, by=key_of, acknowledged=lambda _: wrong
    )
    heard: list[Any] = []
    quotes.subscribe(heard.append)
    clock.advance(1.0)
    it.peer.push('{"key": "K0"}', '{"key": "K1"}')
    clock.advance(0)
    [problem] = [event for event in it.events if isinstance(event, ObserverFailed)]
    assert str(problem.error).startswith("acknowledged: return None, True, False or an exception")
    assert problem.observer.startswith("acknowledged=") and "<lambda>" in problem.observer
    assert len(heard) == 2


def test_a_key_that_cannot_be_looked_up_is_reported(clock: VirtualClock, scene: Make) -> None:
    """Once, with the function that gave it; of the peer, it is no key."""
    it = scene(auth=A)

    def first_of(message: str) -> Any:
        return json.loads(message)["key"]

    it.socket.channels(names(2), subscribe=subscribe, by=first_of).subscribe()
    clock.advance(1.0)
    it.peer.push('{"key": ["K0"]}', '{"key": ["K0"]}')
    clock.advance(0)
    [problem] = [event for event in it.events if isinstance(event, ObserverFailed)]
    assert problem.observer.startswith("by=") and problem.observer.endswith("first_of")
    assert str(problem.error) == (
        f"{problem.observer} gave a list; a key can be looked up, such as a str or a tuple"
    )


def test_a_topic_that_cannot_be_looked_up_is_reported(clock: VirtualClock, scene: Make) -> None:
    """Where there is no ``by``."""
    it = scene(auth=A)
    it.socket.channels(["K0"], subscribe=subscribe).subscribe()
    clock.advance(1.0)
    it.peer.push('{"topic": ["K0"], "data": 1}')
    clock.advance(0)
    [problem] = [event for event in it.events if isinstance(event, ObserverFailed)]
    assert problem.observer == "envelope="


def test_a_refused_key_may_be_asked_for_anew(clock: VirtualClock, scene: Make) -> None:
    """By whoever subscribes to it after that; the merged stream goes on without it."""
    it = scene(auth=A, limits=Limits(batch=3))
    exchange = Exchange(it.peer, refused={"K1"})
    quotes = it.socket.channels(names(3), **MANY)
    heard: list[str] = []
    quotes.subscribe(lambda message: heard.append(key_in(message)))
    clock.advance(1.0)
    exchange.refused = ()
    again: list[str] = []
    quotes["K1"].subscribe(lambda message: again.append(key_in(message)))
    clock.advance(1.0)
    assert exchange.of(1) == [names(3), ["K1"]]
    exchange.say(*names(3))
    clock.advance(0)
    assert heard == ["K0", "K2"] and again == ["K1"]


def test_a_function_that_raises_for_a_key_fails_that_key(clock: VirtualClock, scene: Make) -> None:
    """The keys of that message are asked for one by one, to find it."""

    def picky(keys: list[str]) -> Any:
        if "K3" in keys:
            raise LookupError("no such symbol")
        return subscribe(keys)

    it = scene(auth=A, limits=Limits(batch=3))
    exchange = Exchange(it.peer)
    quotes = it.socket.channels(names(7), subscribe=picky, by=key_of)
    ends: list[Any] = []
    quotes.subscribe(on_error=ends.append)
    quotes["K3"].subscribe(on_error=lambda error: ends.append(("K3", error)))
    clock.advance(1.0)
    assert exchange.live_on(1) == {*names(7)} - {"K3"} and exchange.most == 1
    [(key, error)] = ends
    assert key == "K3" and isinstance(error, LookupError)
    assert [event.channel for event in it.events if isinstance(event, ChannelFailed)] == ["'K3'"]


@pytest.mark.parametrize("single", [False, True], ids=["many", "single"])
@pytest.mark.parametrize("step", ["subscribe", "unsubscribe"])
def test_a_function_that_returns_nothing_sends_nothing(
    clock: VirtualClock, scene: Make, step: str, single: bool
) -> None:
    """A forgotten ``return`` is no ``null`` on the wire."""
    it = scene(auth=A)
    how: dict[str, Any] = {"subscribe": subscribe, "unsubscribe": unsubscribe}
    if single:
        how = {"subscribe": lambda: "S", "unsubscribe": lambda: "U", "key": "K0"}
        how[step] = lambda: None
        quotes: Any = it.socket.channel(**how, by=key_of)
    else:
        how[step] = lambda keys: None
        quotes = it.socket.channels(["K0"], **how, by=key_of)["K0"]
    ends: list[Exception] = []
    leaving = quotes.subscribe(on_error=ends.append)
    clock.advance(1.0)
    leaving.dispose()
    clock.advance(1.0)
    kind = ChannelFailed if step == "subscribe" else ObserverFailed
    [event] = [event for event in it.events if isinstance(event, kind)]
    assert str(event.error) == f"{step} returned None; return the message"
    assert [*map(str, ends)] == ([str(event.error)] if step == "subscribe" else [])
    assert len(it.peer.received) == (0 if step == "subscribe" else 1)


@pytest.mark.parametrize("single", [False, True], ids=["many", "single"])
def test_there_may_be_nothing_to_unsubscribe_from(
    clock: VirtualClock, scene: Make, single: bool
) -> None:
    """The server has ended it by itself: nothing is sent, and nothing is wrong."""
    it = scene(auth=A)
    how: dict[str, Any] = {"by": key_of, "unsubscribe": lambda keys, to: to.nothing}
    if single:
        how["unsubscribe"] = lambda to: to.nothing
        quotes: Any = it.socket.channel(subscribe="S", key="K0", **how)
    else:
        quotes = it.socket.channels(names(3), subscribe=subscribe, **how)
    leaving = quotes.subscribe()
    clock.advance(1.0)
    asked = len(it.peer.received)
    leaving.dispose()
    clock.advance(1.0)
    quotes.subscribe()
    clock.advance(1.0)
    assert len(it.peer.received) == 2 * asked
    assert not [event for event in it.events if isinstance(event, ObserverFailed)]


def test_to_subscribe_takes_a_message(clock: VirtualClock, scene: Make) -> None:
    it = scene(auth=A)
    ends: list[Exception] = []
    quotes = it.socket.channel(subscribe=lambda to: to.nothing, key="K0", by=key_of)
    quotes.subscribe(on_error=ends.append)
    clock.advance(1.0)
    assert [*map(str, ends)] == ["subscribe: returned nothing, which is for unsubscribe= alone"]


@pytest.mark.parametrize("step", ["subscribe", "unsubscribe"])
def test_what_a_function_raises_holds_no_credential(
    clock: VirtualClock, scene: Make, step: str
) -> None:
    """C28: neither its text nor its frames, which had it; a note says where it was raised."""
    secret = "c4n4ry/z0rk+q8x5"

    def failing(keys: list[str], to: Subscribing) -> Any:
        token = str(to.credential)
        raise LookupError(f"no place for {token}")

    it = scene(auth={"token": secret})
    how: dict[str, Any] = {"subscribe": subscribe, "unsubscribe": unsubscribe, step: failing}
    ends: list[Exception] = []
    quotes = it.socket.channels(["a"], by=key_of, **how)
    clock.advance(0.1)
    leaving = quotes["a"].subscribe(on_error=ends.append)
    clock.advance(1.0)
    leaving.dispose()
    clock.advance(1.0)
    kind = ChannelFailed if step == "subscribe" else ObserverFailed
    [event] = [event for event in it.events if isinstance(event, kind)]
    for error in (event.error, *ends):
        assert isinstance(error, LookupError) and "***" in str(error)
        assert error.__traceback__ is None and "failing" in error.__notes__[0]
    assert len(ends) == (step == "subscribe")


# --- silence


def silent(it: Scene) -> list[tuple[str, float, bool]]:
    found = [event for event in it.events if isinstance(event, ChannelStale)]
    return [(event.channel, round(event.silence, 3), event.answered) for event in found]


def test_a_silent_key_is_asked_for_again_alone(clock: VirtualClock, scene: Make) -> None:
    """Among live ones, ended first, with more patience each time; the connection is left alone."""
    it = scene(auth=A, limits=Limits(pace="10/s", batch=5))
    exchange = Exchange(it.peer)
    quotes = it.socket.channels(names(4), **MANY, stale_after=10.0)
    quotes.subscribe()
    clock.advance(1.0)
    began = exchange.arrivals[0].at
    for _ in range(80):
        exchange.say("K0", "K2", "K3")
        clock.advance(1.0)
    again = [one for one in exchange.arrivals if one.keys == ["K1"]]
    assert [one.op for one in again] == ["unsub", "sub"] * 3
    times = [one.at - began for one in again if one.op == "unsub"]
    assert times == pytest.approx([10.0, 30.0, 70.0], abs=0.5)
    assert [name for name, _, _ in silent(it)] == ["'K1'"] * 3
    assert all(answered for _, _, answered in silent(it))
    assert it.names.count("Opened") == 1 and exchange.most == 1


def test_a_message_restores_the_patience(clock: VirtualClock, scene: Make) -> None:
    it = scene(auth=A, latency=0.01)
    exchange = Exchange(it.peer)
    it.socket.channels(["K0"], subscribe=subscribe, by=key_of, stale_after=5.0).subscribe()
    clock.advance(13.0)  # asked at 0, 5 (and then at 15)
    exchange.say("K0")
    clock.advance(4.0)
    assert len(exchange.of(1)) == 2
    clock.advance(2.0)
    assert len(exchange.of(1)) == 3
    assert silent(it)[-1][1] == pytest.approx(5.0, abs=0.1)


def test_a_key_without_an_answer_is_asked_for_again(clock: VirtualClock, scene: Make) -> None:
    """Alone, and not ended before: the server has taken no notice of it."""
    it = scene(auth=A, latency=0.01, limits=Limits(pace="10/s", batch=5))
    exchange = Exchange(it.peer, ignored=Counter({"K2": 2}))
    it.socket.channels(names(4), **MANY, acknowledged_within=3.0).subscribe()
    clock.advance(60.0)
    assert exchange.of(1) == [names(4), ["K2"], ["K2"]] and exchange.of(1, "unsub") == []
    assert exchange.live_on(1) == {*names(4)}
    asked = [one.at for one in exchange.arrivals]
    assert [at - asked[0] for at in asked] == pytest.approx([0.0, 3.0, 9.0], abs=0.1)
    assert silent(it) == [("'K2'", 3.0, False), ("'K2'", 9.0, False)]


def test_a_single_channel_is_watched_too(clock: VirtualClock, scene: Make) -> None:
    """C22: by its key, or by ``match``."""
    it = scene(auth=A)
    it.socket.channel(subscribe="S1", key="t", stale_after=5.0).subscribe()
    it.socket.channel(subscribe="S2", match=lambda m: "u" in m, stale_after=5.0).subscribe()
    it.socket.channel(subscribe="S3", key="never", by=lambda _: None).subscribe()
    clock.advance(4.0)
    it.peer.push('{"topic": "t"}', "u")
    clock.advance(4.0)
    assert len(it.peer.received) == 3
    clock.advance(2.0)
    assert [message for _, message in it.peer.received][3:] == ["S1", "S2"]
    assert next(name for name, _, _ in silent(it)) == "'t'"


def test_each_connection_has_its_own_patience(clock: VirtualClock, scene: Make) -> None:
    """And no timer is left without a connection, or without a subscriber (C26)."""
    it = scene(auth=A)
    exchange = Exchange(it.peer)
    leaving = it.socket.channels(
        ["K0"], subscribe=subscribe, by=key_of, stale_after=5.0
    ).subscribe()
    clock.advance(16.0)  # asked at 0, 5, 15
    it.peer.drop()
    clock.advance(3.0)
    assert it.names.count("Opened") == 2 and len(exchange.of(2)) == 1
    clock.advance(5.0)
    assert len(exchange.of(2)) == 2
    leaving.dispose()
    clock.advance(60.0)
    assert len(exchange.of(2)) == 2


def test_time_without_reading_is_no_silence(clock: VirtualClock, scene: Make) -> None:
    """C27: what the server sent may be unread while a slow ``async for`` pauses reading."""
    it = scene(auth=A, watch=False)
    exchange = Exchange(it.peer)
    quotes = it.socket.channels(["K0", "K1"], subscribe=subscribe, by=key_of, stale_after=5.0)
    seen: list[Any] = []

    async def main() -> None:
        import asyncio

        async for message in quotes.iterate(high_water=1):
            seen.append(message)
            await asyncio.sleep(30.0)
            if len(seen) == 2:
                break

    exchange_done = clock.create_task(main())
    clock.advance(1.0)
    exchange.say("K0", "K1", "K0", "K1")
    clock.advance(20.0)
    assert exchange.of(1) == [["K0"], ["K1"]]
    clock.advance(60.0)
    assert exchange_done.done()


def test_silent_keys_hold_up_nobody(clock: VirtualClock, scene: Make) -> None:
    """A closed market: what is wanted now, and what is sent, does not wait for all of them."""
    it = scene(auth=A, limits=Limits(pace="5/s", batch=200))
    exchange = Exchange(it.peer)
    it.socket.channels(names(200), **MANY, stale_after=10.0).subscribe()
    clock.advance(15.0)
    assert 5 < len(exchange.arrivals) < 30  # one after the other, at the pace
    sent = [it.socket.send("mine") for _ in range(3)]
    it.socket.channels(["new"], **MANY).subscribe()
    clock.advance(2.0)
    assert all(receipt.done for receipt in sent) and "new" in exchange.live_on(1)
    assert exchange.most_within(PACE) <= 5 and exchange.most == 1


def test_one_that_leaves_as_it_is_asked_again_lets_the_next_one_go(
    clock: VirtualClock, scene: Make
) -> None:
    it = scene(auth=A, limits=Limits(pace="1/s", batch=2))
    exchange = Exchange(it.peer)
    quotes = it.socket.channels(names(2), **MANY, stale_after=5.0)
    leaving = [quotes[key].subscribe() for key in quotes.keys]
    clock.advance(5.5)  # the first one is ended, and waits for its turn
    assert exchange.of(1, "unsub") == [["K0"]]
    leaving[0].dispose()
    clock.advance(3.0)
    assert exchange.of(1, "unsub") == [["K0"], ["K1"]]
    assert exchange.of(1) == [names(2), ["K1"]] and exchange.live_on(1) == {"K1"}


# --- handover


def test_keys_come_and_go_while_the_next_connection_is_asked(
    clock: VirtualClock, scene: Make
) -> None:
    """Both have what is wanted; what the old one refuses is ended on the new one."""
    it = scene(
        auth=A,
        identity=lambda _: "me",
        on_auth_change=handover(timeout=60.0),
        limits=Limits(pace="1/s", batch=2),
    )
    exchange = Exchange(it.peer, answers=False)
    said: dict[str, Any] = {"no": {"K0": False}}
    how = {**MANY, "acknowledged": lambda message: said.get(message)}
    quotes = it.socket.channels(names(8), **how)
    leaving = [quotes[key].subscribe(on_error=lambda _: None) for key in names(6)]
    clock.advance(5.0)
    it.socket.set_auth({"token": "b"})
    clock.advance(1.5)
    assert exchange.of(2) == [["K0", "K1"], ["K2", "K3"]]
    it.peer.visits[0].deliver("no")
    leaving[5].dispose()
    quotes["K7"].subscribe()
    clock.advance(15.0)
    assert exchange.live_on(2) == {"K1", "K2", "K3", "K4", "K7"}
    assert exchange.most == 1 and exchange.most_within(PACE) == 1


def test_the_next_connection_is_asked_before_it_takes_over(
    clock: VirtualClock, scene: Make
) -> None:
    """C13: at the same pace, and all of it; no key is missed meanwhile."""
    it = scene(
        auth=A,
        identity=lambda _: "me",
        on_auth_change=handover(ready="acknowledged", timeout=60.0),
        limits=Limits(pace="2/s", batch=2),
    )
    exchange = Exchange(it.peer)
    it.socket.channels(names(10), **MANY).subscribe()
    clock.advance(5.0)
    it.socket.set_auth({"token": "b"})
    clock.advance(1.0)
    late = it.socket.send("late")
    clock.advance(0.5)
    assert len(exchange.live_on(1)) == 10 and 0 < len(exchange.live_on(2)) < 10
    clock.advance(10.0)
    second = next(event for event in it.events if isinstance(event, Opened) and event.epoch == 2)
    assert second.gap == 0.0
    assert exchange.of(2) == exchange.of(1) and exchange.most == 1
    assert exchange.most_within(PACE) <= 2
    assert late.result().epoch in (1, 2)


@pytest.mark.parametrize("ready", ["open", "message"])
def test_it_is_ready_when_all_was_asked_for(clock: VirtualClock, scene: Make, ready: Any) -> None:
    """Else keys that the old one carries would be missed until it is their turn."""
    it = scene(
        auth=A,
        identity=lambda _: "me",
        on_auth_change=handover(ready=ready, timeout=60.0),
        limits=Limits(pace="2/s", batch=1),
    )
    exchange = Exchange(it.peer)
    it.socket.channels(names(6), **MANY).subscribe()
    clock.advance(5.0)
    asked: list[int] = []
    it.socket.opens.subscribe(lambda _: asked.append(len(exchange.of(2))))
    it.socket.set_auth({"token": "b"})
    clock.advance(20.0)
    assert asked == [6]


def handing_over(it: Scene) -> tuple[list[str], Exchange]:
    """Fifteen keys, at one a second; what failed of a renewal."""
    exchange, failures = Exchange(it.peer), []
    failed = it.socket.errors.pipe(ops.filter(lambda event: isinstance(event, RenewalFailed)))
    failed.subscribe(lambda event: failures.append(str(event.error)))
    it.socket.channels(names(15), **MANY).subscribe()
    return failures, exchange


def test_asking_may_take_longer_than_the_timeout(clock: VirtualClock, scene: Make) -> None:
    """C13: the time that the pace needs is added to it; nothing is asked for twice."""
    it = scene(auth=A, on_auth_change=handover(), limits=Limits(pace="1/s"))
    failures, exchange = handing_over(it)
    clock.advance(20.0)
    it.socket.renew()
    clock.advance(13.0)
    assert exchange.live_on(1) == {*names(15)} and it.names.count("Opened") == 1
    clock.advance(5.0)
    assert failures == [] and it.names.count("Opened") == 2
    assert exchange.of(2) == exchange.of(1) and exchange.most_within(PACE) == 1


def test_a_handover_that_takes_too_long_says_why(clock: VirtualClock, scene: Make) -> None:
    """The timeout counts as ever from when all was asked for."""
    it = scene(
        auth=A,
        on_auth_change=handover(ready=lambda message: False, timeout=3.0),
        limits=Limits(pace="1/s"),
    )
    failures, exchange = handing_over(it)
    clock.advance(20.0)
    it.socket.renew()
    clock.advance(16.5)
    assert failures == [] and len(exchange.of(2)) == 15
    clock.advance(1.5)
    [why] = failures
    assert why.startswith("the next connection was not ready within 3 s and 14")
    assert why.endswith("what handover(ready=...) asks for did not come over it")
    assert len(exchange.live_on(1)) == 15


def test_a_deadline_does_not_wait_for_the_pace(clock: VirtualClock, scene: Make) -> None:
    """C34: the next connection takes over in time, and is asked for the rest after that."""
    it = scene(auth=A, on_auth_change=handover(), limits=Limits(pace="1/s"))
    failures, exchange = handing_over(it)
    clock.advance(20.0)
    it.socket.renew(within=8.0)
    clock.advance(8.0)
    assert it.names.count("Opened") == 2 and 0 < len(exchange.of(2)) < 9
    clock.advance(15.0)
    assert failures == [] and exchange.of(2) == exchange.of(1)
    assert exchange.most_within(PACE) == 1


# --- ends and arguments


def test_they_end_with_the_socket_and_begin_anew(clock: VirtualClock, scene: Make) -> None:
    it = scene(accept(), accept(), watch=False, auth=A, limits=Limits(pace="1/s", batch=1))
    exchange = Exchange(it.peer)
    quotes = it.socket.channels(names(3), **MANY)
    ends: list[str] = []
    quotes.subscribe(on_completed=lambda: ends.append("all"))
    quotes["K1"].subscribe(on_completed=lambda: ends.append("K1"))
    clock.advance(1.5)
    it.socket.close()
    clock.advance(5.0)
    assert sorted(ends) == ["K1", "all"] and len(exchange.of(1)) == 2
    quotes["K2"].subscribe()
    clock.advance(5.0)
    assert exchange.of(2) == [["K2"]]


def test_what_it_is_made_of(scene: Make) -> None:
    quotes = scene(watch=False).socket.channels(iter(["a", "b", "a"]), subscribe=subscribe)
    assert quotes.keys == ("a", "b")
    assert repr(quotes) == "<Channels channel of 2 keys: 0 observers>"
    assert repr(quotes["a"]) == "<Channel channel 'a': 0 observers>"
    with pytest.raises(KeyError, match="'c' is not one of these 2 keys"):
        quotes["c"]


def test_a_key_that_is_a_secret_does_not_show(clock: VirtualClock, scene: Make) -> None:
    """C28: some servers name the stream of a user by a key."""
    secret = "c4n4ry/z0rk+q8x5"
    it = scene(auth={"token": secret})
    exchange = Exchange(it.peer, refused={secret}, ignored=Counter({f"my-{secret}": 9}))
    quotes = it.socket.channels([secret, f"my-{secret}"], **MANY, acknowledged_within=1.0)
    quotes.subscribe()
    clock.advance(2.0)
    assert len(exchange.of(1)) == 3
    assert {type(event) for event in it.events} >= {ChannelFailed, ChannelStale}
    events = [event for event in it.events if not isinstance(event, Message)]
    shown = [*map(repr, events), str(it.socket.explain()), repr(quotes[secret])]
    assert not any("c4n4ry" in text for text in shown)


def test_arguments_are_checked(scene: Make) -> None:
    channels = scene(watch=False).socket.channels

    async def never(keys: list[str]) -> None: ...

    with pytest.raises(TypeError, match=r"^keys: pass a list"):
        channels("BTC", subscribe=subscribe)
    with pytest.raises(TypeError, match=r"^keys: pass what can be looked up, .* not list$"):
        channels(["A", [1]], subscribe=subscribe)
    for wrong in ([], [None]):
        with pytest.raises(ValueError, match=r"^keys: "):
            channels(wrong, subscribe=subscribe)
    for function in ("S", never, lambda a, b, c: None):
        with pytest.raises(TypeError, match=r"^subscribe: pass a "):
            channels(["a"], subscribe=function)
    with pytest.raises(TypeError, match=r"^unsubscribe: "):
        channels(["a"], subscribe=subscribe, unsubscribe="U")
    with pytest.raises(TypeError, match=r"^acknowledged: "):
        channels(["a"], subscribe=subscribe, acknowledged=True)
    with pytest.raises(ValueError, match=r"^acknowledged_within: goes with"):
        channels(["a"], subscribe=subscribe, acknowledged_within=1.0)
    for name in ("acknowledged_within", "stale_after"):
        with pytest.raises(ValueError, match=f"^{name}: "):
            channels(["a"], subscribe=subscribe, acknowledged=acknowledged, **{name: 0})
    with pytest.raises(TypeError, match=r"^by: "):
        channels(["a"], subscribe=subscribe, unsubscribe=unsubscribe, by=7)
