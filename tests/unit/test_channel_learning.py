"""What silence and closes teach of how many channels a connection takes, by itself."""

from __future__ import annotations

from typing import Any

from rxsocket.fleet.events import Capped
from rxsocket.fleet.learning import ChannelCap, ChannelLearning, SlowDown


def carrying(count: int, silent: str = "", socket: int = 1) -> ChannelLearning:
    made = ChannelLearning("here")
    add(made, count, silent, socket)
    return made


def add(made: ChannelLearning, count: int, silent: str = "", socket: int = 1) -> None:
    """So many channels with an answer, and some without."""
    made.asked(socket, [*range(count), *silent], 0.0)
    made.heard(socket, range(count))


def unanswered(made: ChannelLearning, key: str, socket: int = 1) -> ChannelCap | None:
    """It is asked for three times in vain."""
    assert made.unanswered(socket, key, 5.0, 995.0) is None
    assert made.unanswered(socket, key, 10.0, 1000.0) is None
    return made.unanswered(socket, key, 20.0, 1010.0)


def test_silence_is_a_cap_of_those_that_are_live() -> None:
    made = carrying(5, "XY")
    made.unanswered(1, "Y", 9.0, 999.0)
    learnt = unanswered(made, "X")
    why = "2 channels had no answer, asked for 3 times, while 5 are live on the same connection"
    capped = Capped(shard="here", socket=1, what="channels", cap=5, why=why)
    assert learnt == ChannelCap(capped, frozenset("XY"))
    assert learnt is not None and learnt.event.at == 1010.0
    assert made.channels(20.0) == {1: 5} and made.unheard(1) == frozenset("XY")
    assert made.channels_of_any(20.0) is None
    assert made.unanswered(1, "Y", 21.0, 1011.0) is None
    assert made.unanswered(1, "Y", 22.0, 1012.0) is None, "it says the same thing"


def test_several_at_once_need_no_third_time() -> None:
    """Answers get lost, but not those of several channels, each of them twice."""
    made = carrying(9, "XYZ")
    for time in (1.0, 2.0):
        learnt = [made.unanswered(1, key, time, 1000.0) for key in "XYZ"]
    assert [one is not None for one in learnt] == [False, False, True]
    assert learnt[2] is not None and learnt[2].unheard == frozenset("XYZ")
    assert "asked for 2 times" in learnt[2].event.why


def test_a_server_that_answers_nobody_is_no_cap() -> None:
    assert unanswered(carrying(3, "XY"), "X") is not None
    made = carrying(2, "XY")
    made.unanswered(1, "Y", 9.0, 999.0)
    assert unanswered(made, "X") is None and made.channels(20.0) == {}
    assert unanswered(carrying(0, "X"), "X") is None


def test_an_answer_that_comes_late_counts() -> None:
    made = carrying(5, "X")
    made.unanswered(1, "X", 9.0, 999.0)
    made.heard(1, "X")
    assert unanswered(made, "X") is None


def test_a_channel_that_is_silent_everywhere_is_not_the_socket() -> None:
    made = carrying(5, "X")
    assert unanswered(made, "X") is not None
    made.left(1, "X")
    add(made, 5, "X", socket=2)
    assert unanswered(made, "X", socket=2) is None
    assert made.channels(20.0) == {} and made.unheard(1) == frozenset()


def test_two_sockets_say_what_any_takes() -> None:
    made = carrying(5, "X")
    unanswered(made, "X")
    add(made, 6, "Y", socket=2)
    unanswered(made, "Y", socket=2)
    assert made.channels(20.0) == {1: 5, 2: 6} and made.channels_of_any(20.0) == 6
    made.forget(1)
    assert made.channels(20.0) == {2: 6} and made.channels_of_any(20.0) is None


def test_a_cap_is_believed_for_an_hour() -> None:
    made = carrying(5, "X")
    unanswered(made, "X")
    assert made.channels(3619.0) == {1: 5} and made.channels(3620.0) == {}
    assert made.unheard(1) == frozenset()


def test_a_close_for_what_was_asked_for_is_a_cap_the_second_time() -> None:
    """The first time it may have been the pace of asking, and so when there are more."""
    made = ChannelLearning("here")
    made.asked(1, range(9), 0.0)
    made.heard(1, range(5))
    assert made.closed(1, 1008, 1.0, 1001.0) == SlowDown(asked=9, seconds=1.0)
    made.connected(1, 2.5)
    made.asked(1, range(9), 3.0)
    made.heard(1, range(4))
    learnt = made.closed(1, 1008, 4.0, 1004.0)
    assert isinstance(learnt, ChannelCap)
    assert learnt.event.cap == 5 and learnt.unheard == frozenset()
    assert learnt.event.why == (
        "the server closed the connection with 1008, twice within 5 s of being asked for more "
        "than 5 channels"
    )


def test_more_than_before_is_the_pace_still() -> None:
    made = ChannelLearning("here")
    for heard in (2, 4, 6):
        made.connected(1)
        made.asked(1, range(9), 0.0)
        made.heard(1, range(heard))
        assert isinstance(made.closed(1, 1008, 1.0, 1000.0), SlowDown)


def closed_unheard(made: ChannelLearning, others: list[int], asked: int = 8) -> Any:
    made.connected(1)
    made.asked(1, range(asked), 0.0)
    return made.closed(1, 1008, 1.0, 1000.0, others)


def test_closes_before_anything_had_an_answer_are_about_connections() -> None:
    """Twice in a row, if others have as many channels; if none does, about these."""
    made = ChannelLearning("here")
    assert closed_unheard(made, [8, 3]) is None
    learnt = closed_unheard(made, [8, 3])
    assert isinstance(learnt, Capped) and (learnt.what, learnt.cap) == ("connections", 2)
    assert learnt.why == (
        "the server closed a new connection with 1008 2 times in a row, while 2 others had as many "
        "channels"
    )
    made = ChannelLearning("here")
    assert closed_unheard(made, [7]) is None
    learnt = closed_unheard(made, [7])
    assert isinstance(learnt, ChannelCap) and learnt.event.cap == 4


def test_a_connection_that_is_asked_for_nothing_tells_what_the_other_was_closed_for() -> None:
    """Then it is half as many, until there is nothing to halve."""
    made = ChannelLearning("here")
    for _ in range(5):
        assert closed_unheard(made, []) is None
    learnt = made.probed(1, 9.0, 1009.0)
    assert learnt is not None and learnt.event.cap == 4
    made.left(1, range(4, 8))
    learnt = closed_unheard(made, [], 4)
    assert isinstance(learnt, ChannelCap) and learnt.event.cap == 2
    made.left(1, range(1, 4))
    assert not made.can_be_halved(1) and closed_unheard(made, [], 1) is None


def test_without_answers_a_channel_counts_when_its_connection_lasts() -> None:
    made = ChannelLearning("here", answers=False)
    made.connected(1)
    made.asked(1, range(9), 0.0)
    made.heard(1, range(9))
    assert made.count(1, 4.0) == 0 and made.count(1, 6.0) == 9


def test_other_closes_teach_nothing() -> None:
    """With another code, later, before anything had an answer, or when all had theirs."""
    for code, now, heard in ((1000, 1.0, 5), (1008, 6.0, 5), (1008, 1.0, 0), (1008, 1.0, 9)):
        made = ChannelLearning("here")
        for _ in range(3):
            made.connected(1)
            made.asked(1, range(9), 0.0)
            made.heard(1, range(heard))
            assert made.closed(1, code, now, 1000.0) is None


def test_a_connection_that_lived_in_between_starts_it_anew() -> None:
    made = ChannelLearning("here")
    for code in (1008, 1006, 1008):
        made.connected(1)
        made.asked(1, range(9), 0.0)
        made.heard(1, range(5))
        assert not isinstance(made.closed(1, code, 1.0, 1000.0), ChannelCap)
