"""Where the messages of a channel meet that come over two connections, by itself (C13, C41)."""

from __future__ import annotations

from operator import itemgetter

from hypothesis import given
from hypothesis import strategies as st

from rxsocket.streams.overlap import Overlap, Sequences

Key = tuple[str, int]


def test_what_the_new_one_has_from_before_they_meet_is_older() -> None:
    made, overlap = Sequences(itemgetter(0)), Overlap()
    for number in (10, 11):
        made.from_old(("A", number), overlap.from_old(("A", number)))
    assert made.apart == {"A"}
    for number in (8, 9, 10, 11, 12):
        made.from_new(("A", number), overlap.from_new(("A", number)))
    made.from_new(("B", 1), overlap.from_new(("B", 1)))
    assert made.apart == set() and made.older() == {("A", 8), ("A", 9)}


@given(
    st.dictionaries(
        st.sampled_from("ABC"),
        st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(0, 5), st.integers(0, 5)),
    ),
    st.randoms(use_true_random=False),
)
def test_each_channel_is_in_order_once_none_is_apart(
    channels: dict[str, tuple[int, int, int, int]], random: object
) -> None:
    """However the two connections are mixed: what is older is left out, and so are doubles."""
    old, new = list[Key](), list[Key]()
    for name, (old_from, new_from, old_count, new_count) in channels.items():
        old += [(name, old_from + index) for index in range(old_count)]
        new += [(name, new_from + index) for index in range(new_count)]
    made, overlap = Sequences(itemgetter(0)), Overlap()
    sources = [iter(old), iter(new)]
    delivered: list[Key] = []
    waiting: list[Key] = []
    turns = [0] * len(old) + [1] * len(new)
    random.shuffle(turns)  # type: ignore[attr-defined]
    for turn in turns:
        key = next(sources[turn])
        if turn == 0:
            delivered.append(key)
            made.from_old(key, overlap.from_old(key))
        else:
            waiting.append(key)
            made.from_new(key, overlap.from_new(key))
    if made.apart:
        return
    older = made.older()
    delivered += [key for key in waiting if key not in older and not overlap.is_duplicate(key)]
    for name in channels:
        numbers = [number for key, number in delivered if key == name]
        assert numbers == sorted(set(numbers))
