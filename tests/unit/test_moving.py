"""A channel moves: nothing is missing, nothing double, and order is kept, in any interleaving."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from rxsocket.fleet.moving import ChannelMove, MovePhase

OLD, NEW = "old", "new"
SNAPSHOT = "snapshot"


def number_of(message: Any) -> int | None:
    """The number of a message; a snapshot has none."""
    return None if message == SNAPSHOT else int(message)


def move(**options: Any) -> ChannelMove[Any]:
    return ChannelMove(number_of, **options)


def over(
    moving: ChannelMove[Any], old: Sequence[Any], new: Sequence[Any], at: float = 0.0
) -> list[Any]:
    """What is delivered of what the old place has, then the new one."""
    delivered: list[Any] = []
    for message in old:
        delivered += moving.from_old(message, at)
    for message in new:
        delivered += moving.from_new(message, at)
    return delivered


# --- any interleaving


@dataclass
class Feed:
    """A server that numbers what it sends, and two places that each have it in order.

    Attributes:
        sent: How many messages there were.
        flying: What is on its way to each place that is attached.
        delivered: What the observers got.
        now: Seconds.
        repeats: How many messages a place gets once more as it is attached, and a snapshot.
    """

    moving: ChannelMove[Any]
    repeats: int = 0
    sent: int = 0
    flying: dict[str, list[Any]] = field(default_factory=lambda: {OLD: []})
    delivered: list[Any] = field(default_factory=list)
    now: float = 0.0
    ends: list[str] = field(default_factory=list)

    def send(self) -> None:
        self.sent += 1
        for messages in self.flying.values():
            messages.append(self.sent)

    def arrive(self, place: str) -> None:
        if self.flying.get(place):
            take = self.moving.from_old if place == OLD else self.moving.from_new
            self.delivered += take(self.flying[place].pop(0), self.now)

    def attach(self) -> None:
        """The server has read what the new place asks for."""
        if NEW not in self.flying and NEW not in self.ends:
            self.flying[NEW] = []
            if self.repeats:
                first = max(1, self.sent + 1 - self.repeats)
                self.flying[NEW] = [SNAPSHOT, *range(first, self.sent + 1)]

    def answer(self) -> None:
        if NEW in self.flying:
            self.delivered += self.moving.on_answered(self.now)

    def ask(self) -> None:
        self.moving.on_asked(self.now)

    def end(self, place: str) -> None:
        """What is on its way is lost with it."""
        if self.ends:
            return
        self.ends.append(place)
        self.flying.pop(place, None)
        if place == OLD:
            self.delivered += self.moving.old_ended(self.now)
        else:
            self.moving.new_ended()

    def silence(self) -> None:
        """Everything on its way arrives, then nothing comes for longer than anybody waits."""
        for place in sorted(self.flying):
            while self.flying[place]:
                self.arrive(place)
        for _ in range(4):
            if self.moving.due < float("inf"):
                self.now = max(self.now, self.moving.due)
                self.delivered += self.moving.look(self.now)

    def settle(self) -> None:
        """Attach, if it was not; then everything arrives, and more, until nothing is compared."""
        self.attach()
        for _ in range(3):
            self.send()
            for place in sorted(self.flying):
                while self.flying[place]:
                    self.arrive(place)


STEPS = ("send", "send", "arrive old", "arrive new", "attach", "ask", "answer")


def run(feed: Feed, steps: list[str]) -> list[Any]:
    for step in steps:
        name, _, place = step.partition(" ")
        getattr(feed, name)(*(place,) if place else ())
    feed.settle()
    return feed.delivered


@given(some.lists(some.sampled_from(STEPS), max_size=60), some.sampled_from([0, 1, 3, 9]))
def test_any_interleaving(steps: list[str], repeats: int) -> None:
    """Whatever the server repeats as a place is attached."""
    feed = Feed(move(), repeats)
    delivered = run(feed, steps)
    assert delivered == list(range(1, feed.sent + 1))
    assert feed.moving.phase is MovePhase.FINISHED and feed.moving.is_seamless


@given(some.lists(some.sampled_from((*STEPS, "silence")), max_size=60))
def test_any_interleaving_with_silence(steps: list[str]) -> None:
    """While both are silent the new place takes over, without a message that says so."""
    feed = Feed(move())
    attached = [step for step in steps if step != "ask"]
    delivered = run(feed, ["attach", "ask", *attached] if "ask" in steps else attached)
    assert delivered == list(range(1, feed.sent + 1))
    assert feed.moving.phase in (MovePhase.SWITCHED, MovePhase.FINISHED)


@given(
    some.lists(some.sampled_from(STEPS), max_size=60),
    some.sampled_from([OLD, NEW]),
    some.integers(min_value=0, max_value=60),
)
def test_any_interleaving_with_an_end(steps: list[str], place: str, when: int) -> None:
    """Of the old place that ends, what was on its way is lost, unless the new one has it, too."""
    feed = Feed(move())
    steps.insert(when, f"end {place}")
    for step in steps:
        name, _, which = step.partition(" ")
        if name == "end":
            switched = feed.moving.phase is not MovePhase.OVERLAPPING
            flying = list(feed.flying.get(NEW, [])) + [one for _, one, _ in feed.moving._waiting]
        getattr(feed, name)(*(which,) if which else ())
    feed.settle()
    if place == NEW:
        if not switched:
            assert feed.moving.phase is MovePhase.KEPT
            assert feed.delivered == list(range(1, feed.sent + 1))
        return
    delivered = feed.delivered
    assert delivered == sorted(set(delivered))
    assert feed.moving.phase is not MovePhase.OVERLAPPING
    if switched or feed.moving.is_seamless:
        assert delivered == list(range(1, feed.sent + 1))
    else:
        assert set(flying) <= set(delivered)
        missing = set(range(1, feed.sent + 1)) - set(delivered)
        assert missing == set() or max(missing) - min(missing) == len(missing) - 1


@given(
    some.lists(some.sampled_from(STEPS), min_size=20, max_size=80),
    some.integers(min_value=1, max_value=4),
)
def test_any_interleaving_with_little_room(steps: list[str], most: int) -> None:
    """What is forgotten of the new place, the old one delivers; nothing is double."""
    feed = Feed(move(most=most))
    for step in steps:
        name, _, place = step.partition(" ")
        getattr(feed, name)(*(place,) if place else ())
        assert len(feed.moving._waiting) <= most and len(feed.moving._overlap.old) <= most
        assert feed.delivered == list(range(1, len(feed.delivered) + 1))
        assert feed.moving.missing == 0
    if feed.moving.phase is MovePhase.OVERLAPPING and feed.flying.get(NEW) is not None:
        feed.flying[OLD].clear()  # it ends
        known, count = feed.delivered[-most:], len(feed.delivered)
        feed.delivered += feed.moving.old_ended(0.0)
        while feed.flying[NEW]:
            feed.arrive(NEW)
        again = feed.delivered[count:]
        assert again == sorted(set(again)) and set(again).isdisjoint(known)


@given(
    some.lists(
        some.sampled_from(["send", "send", "arrive 0", "arrive 1", "arrive 2", "attach", "next"]),
        max_size=80,
    ),
    some.booleans(),
)
def test_any_interleaving_of_two_moves(steps: list[str], ends: bool) -> None:
    """The second begins as soon as the first has switched, however far its place is behind."""
    moving: list[ChannelMove[Any]] = [move()]
    flying: list[list[int]] = [[]]
    delivered: list[int] = []
    sent = 0

    def arrive(place: int) -> None:
        if place < len(flying) and flying[place]:
            message, last = flying[place].pop(0), moving[-1]
            if place == len(moving):
                delivered.extend(last.from_new(message, 0.0))
            elif place == len(moving) - 1:
                delivered.extend(last.from_old(message, 0.0))

    def run(step: str) -> None:
        nonlocal sent
        if step == "send":
            sent += 1
            for each in flying:
                each.append(sent)
        elif step == "attach" and len(flying) == len(moving):
            flying.append([])
        elif step == "next" and len(moving) == 1 and moving[0].phase is not MovePhase.OVERLAPPING:
            moving.append(move(before=moving[0]))
        elif step.startswith("arrive"):
            arrive(int(step[-1]))

    for step in steps:
        run(step)
    if ends and len(moving) == 2 and len(flying) < 3:
        moving[-1].new_ended()
        for _ in range(len(flying[-1])):
            arrive(1)
        assert delivered == list(range(1, sent + 1)) and moving[-1].is_over
        return
    for step in ["attach", "send", *["arrive 0", "arrive 1"] * 200]:
        run(step)
    for step in ["next", "attach", "send", *["arrive 1", "arrive 2"] * 200, "send", "arrive 2"]:
        run(step)
    assert delivered == list(range(1, sent + 1))
    assert all(one.is_seamless for one in moving)


# --- one by one


def test_the_picture_of_the_module() -> None:
    moving = move()
    assert over(moving, [1, 2], [3]) == [1, 2]
    assert over(moving, [], [4]) == []
    assert moving.from_old(3, 0.0) == (3, 4)
    assert moving.phase is MovePhase.FINISHED
    assert moving.from_old(4, 0.0) == ()  # on its way as it was let go
    assert over(moving, [], [5]) == [5]


def test_the_new_place_is_behind() -> None:
    """What the old one had by then comes once."""
    moving = move()
    assert over(moving, range(1, 6), range(3, 8)) == [1, 2, 3, 4, 5, 6, 7]
    assert moving.phase is MovePhase.FINISHED and moving.is_seamless


def test_what_comes_first_is_older_than_what_was_delivered() -> None:
    """A snapshot, and what came before the move began."""
    moving = move()
    assert over(moving, [8, 9], [SNAPSHOT, 5, 6, 7, 8, 9, 10]) == [8, 9, 10]


def test_a_snapshot_in_between_is_delivered() -> None:
    moving = move()
    assert over(moving, [], [3, SNAPSHOT, 4]) == []
    assert moving.from_old(3, 0.0) == (3, SNAPSHOT, 4)


def test_the_old_place_is_silent() -> None:
    """It has nothing more to say after 2 s, once the new one has a message, or an answer."""
    moving = move()
    assert moving.due == float("inf")
    moving.on_awaiting_answer(10.0)
    assert moving.due == 12.0
    assert moving.look(12.0) == () and moving.phase is MovePhase.OVERLAPPING
    assert moving.from_new(7, 20.0) == ()
    assert moving.due == 22.0
    assert moving.look(21.9) == ()
    assert moving.look(22.0) == [7]
    assert not moving.is_seamless and moving.missing == 0


def test_silence_counts_from_the_answer() -> None:
    moving = move()
    moving.on_awaiting_answer(10.0)
    assert moving.on_answered(19.0) == ()
    assert moving.due == 21.0 and moving.look(20.9) == ()
    assert moving.look(21.0) == [] and moving.phase is MovePhase.FINISHED
    assert moving.is_seamless


def test_a_pause_of_reading_is_no_silence() -> None:
    """C27: what was sent before may be unread."""
    moving = move()
    moving.on_asked(10.0)
    assert moving.look(12.0, resumed_at=11.5) == ()
    assert moving.due == 13.5
    assert moving.from_new(4, 12.0) == () and moving.from_old(4, 12.0) == (4,)
    assert moving.is_seamless


@pytest.mark.parametrize(
    ("new", "lacks"),
    [
        ((), "no message of it came over the new place, while the old one goes on"),
        ((SNAPSHOT,), "no message with a key came over the new place, while the old one goes on"),
        ((900, 901), "none of its messages came over both places; dedupe= must give both one key"),
    ],
)
def test_the_old_place_goes_on_and_the_new_one_does_not(new: tuple[Any, ...], lacks: str) -> None:
    """After 30 s the old one stays."""
    moving = move()
    moving.on_asked(0.0)
    for second, message in zip(range(1, 40), itertools.chain(new, [None] * 40), strict=False):
        assert moving.from_old(second, float(second)) == (second,)
        if message is not None:
            assert moving.from_new(message, float(second)) == ()
        if second < 30:
            assert moving.lacks == lacks or len(new) > second
        assert moving.look(float(second)) == ()
        assert moving.phase is (MovePhase.OVERLAPPING if second < 30 else MovePhase.KEPT)
    assert moving.from_new(40, 40.0) == ()


def test_what_is_not_asked_for_waits_for_ever() -> None:
    """A place that may not connect yet."""
    moving = move()
    assert moving.from_old(1, 1e6) == (1,)
    assert moving.look(1e6) == () and moving.phase is MovePhase.OVERLAPPING
    assert moving.lacks == "the new place was not asked for it yet"
    moving.on_awaiting_answer(1e6)
    assert moving.lacks == "the new place did not answer, nor send a message of it"


def test_a_new_place_that_refuses() -> None:
    moving = move()
    assert over(moving, [1], [2]) == [1]
    moving.new_ended()
    assert moving.phase is MovePhase.KEPT
    assert over(moving, [2, 3], [3]) == [2, 3]
    assert moving.old_ended(0.0) == () and moving.on_answered(0.0) == ()


def test_an_old_place_that_ends_first() -> None:
    """What waits is delivered; a gap between them is not known."""
    moving = move()
    assert over(moving, [1, 2], [5, 6]) == [1, 2]
    assert moving.old_ended(0.0) == [5, 6]
    assert not moving.is_seamless
    assert over(moving, [3], [7]) == [7]
    moving.new_ended()
    assert moving.phase is not MovePhase.KEPT


def test_what_was_forgotten_is_told_when_the_old_place_ends() -> None:
    moving = move(most=3)
    assert over(moving, [1], range(2, 12)) == [1]
    assert moving.missing == 0
    assert moving.old_ended(0.0) == [9, 10, 11]
    assert moving.missing == 7


def test_a_key_that_was_forgotten_is_no_meeting() -> None:
    """What came after it waits no more, either: the old place has to have it first."""
    moving = move(most=2)
    assert over(moving, [], [1, 2, 3, 4]) == []
    assert over(moving, [1, 2], []) == [1, 2]
    assert moving.phase is MovePhase.OVERLAPPING
    assert over(moving, [3], [5]) == [3, 4, 5]


def test_large_messages_are_bounded_by_their_size() -> None:
    moving: ChannelMove[str] = ChannelMove(lambda text: text[:4])
    for number in range(64):
        assert moving.from_new(f"{number:04}" + "x" * 100_000, 0.0) == ()
    assert len(moving._waiting) == 10
    assert len(moving.from_old("0063", 0.0)) == 1


def test_keys_that_never_come_are_not_waited_for() -> None:
    """After 10 s in which reading was not paused nothing is compared any more."""
    moving = move()
    moving.on_asked(0.0)
    assert over(moving, [1, 2, 3], []) == [1, 2, 3]
    moving.look(2.0)
    assert moving.phase is MovePhase.SWITCHED
    assert over(moving, [], [10, 2, 11, 12], at=3.0) == [10, 11, 12]
    assert moving.due == 12.0
    assert moving.look(12.0, resumed_at=5.0) == () and moving.due == 15.0
    moving.look(15.0)
    assert moving.phase is MovePhase.FINISHED and moving.due == float("inf")


def test_without_a_key_the_first_message_is_the_switch() -> None:
    moving: ChannelMove[Any] = ChannelMove(None)
    moving.on_asked(0.0)
    assert over(moving, ["a", "b"], ["b", "c"]) == ["a", "b", "b", "c"]
    assert moving.from_old("c", 0.0) == ()
    assert moving.phase is MovePhase.FINISHED


def test_without_a_key_the_answer_is_the_switch() -> None:
    moving: ChannelMove[Any] = ChannelMove(None)
    moving.on_awaiting_answer(0.0)
    assert over(moving, ["a"], []) == ["a"]
    assert moving.on_answered(1.0) == []
    assert moving.phase is MovePhase.FINISHED


def test_without_a_key_both_are_silent() -> None:
    moving: ChannelMove[Any] = ChannelMove(None)
    moving.on_asked(0.0)
    assert over(moving, ["a"], [], at=1.0) == ["a"]
    assert moving.look(2.0) == () and moving.due == 3.0
    moving.look(3.0)
    assert moving.phase is MovePhase.FINISHED
