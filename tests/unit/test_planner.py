"""The planner by itself: within the caps, stable, even, the same each time, and no key is lost."""

from __future__ import annotations

import math
import pickle
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxsocket import Limits
from rxsocket.fleet.plan import (
    Caps,
    ImpossiblePlan,
    Move,
    Place,
    Plan,
    SocketId,
    changes,
    moves,
)
from rxsocket.fleet.planner import plan

HERE = Place("here")
THREE = [Place("a"), Place("b"), Place("c")]
ONE = Limits(channels=3)


def shown(made: Plan) -> dict[str, str]:
    """The channels of each socket."""
    return {str(socket): "".join(map(str, made.keys_on(socket))) for socket in made.sockets}


def test_a_fresh_plan_is_even() -> None:
    assert shown(plan("ABCD", None, [HERE], ONE)) == {"here/1": "AC", "here/2": "BD"}


def test_one_more_touches_one_socket_and_so_does_one_less() -> None:
    first = plan("ABCD", None, [HERE], ONE)
    second = plan("ABCDE", first, [HERE], ONE)
    assert shown(second) == {"here/1": "ACE", "here/2": "BD"}
    third = plan("ACDE", second, [HERE], ONE)
    assert shown(third) == {"here/1": "ACE", "here/2": "D"}
    assert [one.generation for one in (first, second, third)] == [1, 2, 3]


def test_what_does_not_change_is_the_same_plan() -> None:
    made = plan("ABCD", None, [HERE], ONE)
    assert plan("DCBA", made, [HERE], ONE) is made


def test_a_socket_without_channels_goes_and_its_number_with_it() -> None:
    made = plan("A", plan("AB", None, [HERE], Limits(channels=1)), [HERE], Limits(channels=1))
    assert made.sockets == (SocketId("here", 1),)
    assert plan("AC", made, [HERE], Limits(channels=1)).sockets[1] == SocketId("here", 3)


def test_nothing_wanted_is_a_plan_too() -> None:
    made = plan((), plan("ABCD", None, [HERE], ONE), [HERE], ONE)
    assert made.sockets == () and not made.assignment
    assert plan((), None, [HERE], ONE).sockets == ()


def test_a_set_has_an_order_of_its_own() -> None:
    made = plan({"B", "A", 2, 1}, None, [HERE], Limits(channels=1))
    assert list(made.assignment) == [1, 2, "A", "B"]


def test_without_a_cap_there_is_one_socket_in_each_place() -> None:
    assert shown(plan("ABCDEF", None, THREE, Limits())) == {"a/1": "AD", "b/1": "BE", "c/1": "CF"}
    assert shown(plan("AB", None, THREE, Limits())) == {"a/1": "A", "b/1": "B"}


def test_so_many_sockets_as_somebody_says() -> None:
    assert plan("ABCDEF", None, [HERE], Limits(), sockets=4).loads == {
        SocketId("here", number): 2 - (number > 2) for number in range(1, 5)
    }


def test_a_place_that_goes_leaves_its_channels_to_the_others() -> None:
    made = plan(range(9), None, THREE, ONE)
    left = plan(range(9), made, THREE[:2], ONE)
    assert {move.source.place for move in moves(made, left)} == {"c"}
    assert len(moves(made, left)) == 3
    assert sorted(left.loads.values()) == [3, 3, 3]


def test_a_place_that_comes_gets_its_share() -> None:
    made = plan(range(12), None, THREE[:2], ONE)
    more = plan(range(12), made, THREE, Limits(channels=2))
    assert Counter(socket.place for socket in more.sockets) == {"a": 2, "b": 2, "c": 2}
    whole = plan(range(12), made, THREE, ONE)
    assert sorted(whole.loads.values()) == [3] * 4
    assert {move.target.place for move in moves(made, whole)} == {"c"}
    assert len(moves(made, whole)) == 3  # one socket's, and as a whole


def test_it_is_loaded_evenly_again_when_somebody_asks_for_it() -> None:
    made = plan("ABCDEF", None, [HERE], ONE)
    uneven = plan("ACEB", made, [HERE], ONE)
    assert shown(uneven) == {"here/1": "ACE", "here/2": "B"}
    even = plan("ACEB", uneven, [HERE], ONE, rebalance=True)
    assert shown(even) == {"here/1": "AC", "here/2": "BE"}
    assert moves(uneven, even) == (Move("E", SocketId("here", 1), SocketId("here", 2)),)
    fewer = plan("ACE", even, [HERE], ONE, rebalance=True)
    assert len(fewer.sockets) == 1


def test_places_with_one_egress_share_what_is_allowed() -> None:
    limits = Limits(channels=1, connections=3)
    shared = [Place("a", egress="nat"), Place("b", egress="nat"), Place("c")]
    assert len(plan(range(6), None, shared, limits).sockets) == 6
    with pytest.raises(ImpossiblePlan, match="1 channels are too many"):
        plan(range(7), None, shared, limits)
    with pytest.raises(ImpossiblePlan, match="and there are 2 addresses"):
        plan(range(7), None, shared, limits)


def test_room_is_left_for_handovers() -> None:
    limits = Limits(channels=1, connections=5)
    assert len(plan(range(4), None, [HERE], limits, spare=1).sockets) == 4
    with pytest.raises(ImpossiblePlan, match="of which 1 each is left for handovers"):
        plan(range(5), None, [HERE], limits, spare=1)
    assert plan("A", None, [HERE], Limits(connections=1), spare=1).sockets


IMPOSSIBLE: dict[str, tuple[dict[str, Any], str, float, int, str]] = {
    "connections": (
        {"limits": Limits(channels=2, connections=3)},
        "connections",
        5,
        3,
        r"4 channels are too many. A connection carries channels=2; there can be 3 connections, "
        r"and 5 would be needed \(connections=3 for each address, and there is 1 address\)",
    ),
    "credential": (
        {"limits": Limits(channels=2, connections=9, connections_per_credential=4)},
        "connections_per_credential",
        5,
        4,
        r"2 channels are too many.*\(connections_per_credential=4\)",
    ),
    "sockets": (
        {"limits": Limits(channels=2), "sockets": 4},
        "sockets",
        5,
        4,
        r"2 channels are too many.*\(sockets=4\)",
    ),
    "more sockets than connections": (
        {"limits": Limits(connections=3), "sockets": 5},
        "connections",
        5,
        3,
        r"sockets=5 are 2 more than there may be: connections=3",
    ),
    "learnt": (
        {
            "limits": Limits(channels=5, connections=9),
            "learnt": Caps(channels_of_any=1, connections={"here": 7}),
        },
        "connections",
        10,
        7,
        r"3 channels are too many.*channels=5, of which the server takes 1; .*"
        r"connections=9 for each address, of which the server takes 7 at here",
    ),
}


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_what_does_not_fit_says_which_cap_and_by_how_much(case: str) -> None:
    options, cap, needed, allowed, text = IMPOSSIBLE[case]
    with pytest.raises(ImpossiblePlan, match=text) as caught:
        plan(range(10), None, [HERE], **options)
    assert (caught.value.cap, caught.value.needed, caught.value.allowed) == (cap, needed, allowed)
    copied = pickle.loads(pickle.dumps(caught.value))
    assert str(copied) == str(caught.value) and copied.cap == cap


def test_a_plan_needs_a_place() -> None:
    with pytest.raises(ValueError, match=r"^places: pass at least one"):
        plan("A", None, [], Limits())


# --- what was learnt


def test_a_socket_that_takes_less_gives_the_rest_away() -> None:
    made = plan(range(10), None, [HERE], Limits(channels=5))
    learnt = Caps(channels={SocketId("here", 1): 3})
    less = plan(range(10), made, [HERE], Limits(channels=5), learnt=learnt)
    assert less.loads == {SocketId("here", 1): 3, SocketId("here", 2): 5, SocketId("here", 3): 2}
    assert [move.key for move in moves(made, less)] == [6, 8]  # those that came last


def test_what_nothing_came_of_goes_somewhere_else() -> None:
    made = plan("ABCD", None, [HERE], ONE)
    first = SocketId("here", 1)
    learnt = Caps(channels={first: 1}, unheard={first: frozenset("A")})
    other = plan("ABCD", made, [HERE], ONE, learnt=learnt)
    assert shown(other) == {"here/1": "C", "here/2": "BDA"}
    learnt = Caps(unheard={first: frozenset("A"), SocketId("here", 2): frozenset("A")})
    third = plan("ABCD", other, [HERE], ONE, learnt=learnt)
    assert shown(third) == {"here/1": "C", "here/2": "BD", "here/3": "A"}
    again = plan("ABCD", third, [HERE], ONE, learnt=learnt, rebalance=True)
    assert again.assignment["A"] not in learnt.unheard or again is third


def test_an_address_that_takes_fewer_loses_those_that_were_not_let_in() -> None:
    limits = Limits(channels=2, connections=5)
    made = plan(range(6), None, [HERE, Place("there")], limits)
    unopened = SocketId("here", 1)
    learnt = Caps(connections={"here": 1}, unopened=frozenset({unopened}))
    less = plan(range(6), made, [HERE, Place("there")], limits, learnt=learnt)
    assert unopened not in less.loads
    assert {move.source for move in moves(made, less)} == {unopened}


# --- weights


def test_the_heaviest_is_placed_first_where_the_least_is() -> None:
    weights = {"A": 1, "B": 1, "C": 9, "D": 5, "E": 5}
    made = plan("ABCDE", None, [HERE], Limits(bytes=11), weights=weights.__getitem__)
    assert shown(made) == {"here/1": "CAB", "here/2": "DE"}


def test_a_channel_that_is_too_heavy_is_named() -> None:
    with pytest.raises(ImpossiblePlan, match=r"'B' alone .* 12 bytes a second, 2 more"):
        plan("AB", None, [HERE], Limits(bytes=10), weights={"A": 1, "B": 12}.__getitem__)


@pytest.mark.parametrize("wrong", [-1, math.nan, math.inf])
def test_a_weight_is_a_number(wrong: float) -> None:
    with pytest.raises(ValueError, match=r"^weight\(key\): return 0 bytes a second or more"):
        plan("A", None, [HERE], Limits(bytes=10), weights=lambda _: wrong)
    with pytest.raises(TypeError, match=r"^weight\(key\): return a number of bytes"):
        plan("A", None, [HERE], Limits(bytes=10), weights=lambda _: "heavy")  # type: ignore[arg-type,return-value]


def test_what_fits_only_when_others_move_moves_them() -> None:
    """Rather than fail: 6 does not fit beside 5 and 5, but beside 4."""
    weights = {"A": 5, "B": 5, "C": 4, "D": 6}
    limits = Limits(bytes=10, connections=2)
    made = plan("ABC", None, [HERE], limits, weights=weights.__getitem__)
    assert shown(made) == {"here/1": "AC", "here/2": "B"}
    more = plan("ABCD", made, [HERE], limits, weights=weights.__getitem__)
    assert sorted(shown(more).values()) in (["AB", "CD"], ["AB", "DC"], ["BA", "DC"])


# --- whatever comes

PLACES = [Place("a", "one"), Place("b", "one"), Place("c", "two")]
KEYS = st.lists(st.integers(0, 40), max_size=40, unique=True)
STEPS = st.lists(
    st.tuples(
        KEYS,
        st.lists(st.sampled_from(PLACES), min_size=1, max_size=3, unique=True),
        st.booleans(),
        st.dictionaries(
            st.builds(SocketId, st.sampled_from("abc"), st.integers(1, 9)), st.integers(1, 9)
        ),
    ),
    max_size=4,
)


def _or_why_not(make: Callable[[], Plan]) -> Plan | ImpossiblePlan:
    try:
        return make()
    except ImpossiblePlan as error:
        return error


CAPS = st.one_of(st.none(), st.integers(1, 12))


@given(steps=STEPS, channels=CAPS, connections=CAPS, credential=CAPS, spare=st.integers(0, 1))
def test_no_cap_is_exceeded_and_no_key_is_lost(
    steps: Sequence[tuple[list[int], list[Place], bool, dict[SocketId, int]]],
    channels: int | None,
    connections: int | None,
    credential: int | None,
    spare: int,
) -> None:
    limits = Limits(
        channels=channels, connections=connections, connections_per_credential=credential
    )
    current: Plan | None = None
    for keys, places, rebalance, learnt in steps:
        places = sorted(places, key=PLACES.index)
        caps = Caps(channels=learnt)
        make = partial(plan, keys, current, places, limits, learnt=caps, spare=spare)
        made = _or_why_not(partial(make, rebalance=rebalance))
        if isinstance(made, ImpossiblePlan):
            assert made.needed > made.allowed and made.cap in str(made)
            continue
        assert made.assignment.keys() == set(keys)
        assert Counter(made.assignment.values()) == made.loads
        for socket, count in made.loads.items():
            assert count <= min(channels or 99, learnt.get(socket, 99))
        of_egress = {place.name: place.egress for place in places}
        if connections is not None:
            most = max(1, connections - spare)
            assert all(
                count <= most
                for count in Counter(of_egress[socket.place] for socket in made.sockets).values()
            )
        if credential is not None:
            assert len(made.sockets) <= credential
        assert make(rebalance=rebalance) == made
        if current is not None:
            assert not set(changes(current, made).opened) & set(current.sockets)
        current = made


@given(keys=KEYS, channels=st.integers(1, 12), places=st.integers(1, 3), sockets=CAPS)
def test_a_fresh_plan_is_even_and_so_is_one_that_is_made_even(
    keys: list[int], channels: int, places: int, sockets: int | None
) -> None:
    """Loads differ by 1 at most, sockets of places too; and then nothing moves any more."""
    limits, where = Limits(channels=channels), PLACES[:places]
    fresh = _or_why_not(partial(plan, keys, None, where, limits, sockets=sockets))
    if isinstance(fresh, ImpossiblePlan):
        assert sockets is not None and sockets * channels < len(keys)
        return
    few = max(math.ceil(len(keys) / channels), places if sockets is None else sockets)
    assert len(fresh.sockets) == min(len(keys), few)
    for made in (fresh, plan(keys[::2], fresh, where, limits, sockets=sockets, rebalance=True)):
        assert max(made.loads.values(), default=0) - min(made.loads.values(), default=0) <= 1
        in_places = Counter(socket.place for socket in made.sockets)
        counts = [in_places[place.name] for place in where]
        assert max(counts) - min(counts) <= 1
        wanted = list(made.assignment)
        even = plan(wanted, made, where, limits, sockets=sockets, rebalance=True)
        assert even is made


@given(
    first=KEYS,
    more=st.lists(st.integers(100, 120), max_size=9, unique=True),
    data=st.data(),
    channels=CAPS,
)
def test_what_stays_wanted_stays_where_it_is(
    first: list[int], more: list[int], data: st.DataObject, channels: int | None
) -> None:
    limits = Limits(channels=channels)
    made = plan(first, None, PLACES, limits)
    rest = [key for key in first if not data.draw(st.booleans())] if first else []
    after = plan([*rest, *more], made, PLACES, limits)
    assert not moves(made, after)
    one_more = plan([*rest, *more, "one"], after, PLACES, limits)
    change = changes(after, one_more)
    assert len(change.placed) == 1 and not (change.moves or change.dropped or change.closed)
    assert len(changes(one_more, plan([*rest, *more], one_more, PLACES, limits)).dropped) == 1


@given(
    weights=st.lists(st.integers(0, 50), max_size=40),
    most=st.integers(1, 100),
    channels=CAPS,
    connections=CAPS,
    rest=st.integers(0, 40),
    rebalance=st.booleans(),
)
def test_no_connection_is_to_carry_more_bytes_than_was_said(
    weights: list[int],
    most: int,
    channels: int | None,
    connections: int | None,
    rest: int,
    rebalance: bool,
) -> None:
    limits = Limits(channels=channels, bytes=most, connections=connections)
    current = None
    for count in (len(weights) - min(rest, len(weights)), len(weights)):
        keys = range(count)
        make = partial(plan, keys, current, [HERE], limits, weights=weights.__getitem__)
        made = _or_why_not(partial(make, rebalance=rebalance))
        if isinstance(made, ImpossiblePlan):
            assert made.cap in ("bytes", "connections")
            assert made.needed > made.allowed
            return
        assert made.assignment.keys() == set(keys)
        carried: Counter[SocketId] = Counter()
        for key, socket in made.assignment.items():
            carried[socket] += weights[int(str(key))]
        assert all(bytes_ <= most for bytes_ in carried.values())
        assert all(count <= (channels or 99) for count in made.loads.values())
        assert len(made.sockets) <= (connections or 99)
        current = made


def test_what_changes_is_told_by_socket() -> None:
    first = plan("ABCD", None, [HERE], ONE)
    second = plan("BCDEF", first, [HERE], ONE, rebalance=True)
    change = changes(first, second)
    assert dict(change.dropped) == {SocketId("here", 1): ("A",)}
    assert sorted(key for keys in change.placed.values() for key in keys) == ["E", "F"]
    assert change.opened == change.closed == () and not change.moves
    assert pickle.loads(pickle.dumps(second)) == second


def test_many_channels_are_planned_quickly() -> None:
    """Of the processor's time; ``tests/benchmarks/planning.py`` measures more of it."""
    keys = [f"K{number}" for number in range(50_000)]
    limits = Limits(channels=200)
    began = process_time()
    made = plan(keys, None, THREE, limits)
    fresh, began = process_time() - began, process_time()
    more = plan([*keys, "one more"], made, THREE, limits)
    one_more = process_time() - began
    assert len(made.sockets) == 250 and len(changes(made, more).placed) == 1
    assert fresh < 1.0 and one_more < fresh / 2
