"""C38: where a stream is, and which of its numbers are missing."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as some

from rxsocket.resume.position import Position

NUMBERS = some.integers(min_value=-5, max_value=60)
CONNECTIONS = some.lists(some.lists(NUMBERS, max_size=12), max_size=6)


def test_the_picture_of_the_class() -> None:
    """What its docstring draws."""
    position = Position()
    missing: list[object] = []
    newest: list[object] = []
    for epoch, places in enumerate(([8, 9, 11, 10], [10, 11, 12], [1, 2, 4]), 1):
        for place in places:
            missing.append(position.move(place, epoch))
            newest.append(position.newest)
    assert newest == [8, 9, 11, 10, 10, 11, 12, 1, 2, 4]
    assert [one for one in missing if one] == [(10, 10), (3, 3)]


@given(CONNECTIONS, some.none() | NUMBERS)
def test_the_newest_is_the_last_one(connections: list[list[int]], start: int | None) -> None:
    position = Position(start)
    last = start
    for epoch, places in enumerate(connections, 1):
        for last in places:
            position.move(last, epoch)
            assert position.newest == last
    assert position.newest == last


@given(CONNECTIONS, some.none() | NUMBERS)
def test_what_is_missing_was_not_there(connections: list[list[int]], start: int | None) -> None:
    """Within a connection, nothing that came before it, or that was missing before, is missing."""
    position = Position(start)
    for epoch, places in enumerate(connections, 1):
        known: set[int] = set()
        for place in places:
            missing = position.move(place, epoch)
            if missing is not None:
                first, last = missing
                assert first <= last == place - 1
                assert known.isdisjoint(range(first, last + 1))
                known.update(range(first, last + 1))
            known.add(place)


@given(some.sets(some.integers(min_value=1, max_value=80), min_size=1), some.randoms())
def test_what_came_and_what_is_missing_is_everything(
    numbers: set[int], cuts: random.Random
) -> None:
    """Of a server that counts on, wherever it is cut: all the numbers, each once."""
    position = Position(0)
    told: list[int] = []
    epoch = 1
    for place in sorted(numbers):
        epoch += cuts.random() < 0.3
        missing = position.move(place, epoch)
        if missing is not None:
            told.extend(range(missing[0], missing[1] + 1))
    assert sorted([*numbers, *told]) == list(range(1, max(numbers) + 1))


@given(some.lists(some.one_of(NUMBERS, some.text(), some.tuples(some.integers())), max_size=9))
def test_what_is_no_number_has_no_gap(places: list[object]) -> None:
    """After an id, the next number begins anew."""
    position = Position()
    before: object = None
    for place in places:
        missing = position.move(place, 1)
        if missing is not None:
            assert isinstance(place, int) and isinstance(before, int)
        before = place


def test_a_number_too_large_to_count_is_an_id() -> None:
    """Its digits would take longer to write than a message to deliver."""
    position = Position(1)
    assert position.move(10**6000, 1) is None
    assert position.move(10**6000 + 7, 1) is None
    assert position.newest == 10**6000 + 7
