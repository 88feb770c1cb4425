"""C49: an answer is of the type that was asked for, or the request fails alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from internals import open_requests
from scene import A, Make, Scene

from rxsocket import DecodeFailed, Undecodable, json_codec, messagepack_codec
from rxsocket.testing import VirtualClock


class Time(msgspec.Struct, tag="time"):
    id: int
    now: float


class Sum(msgspec.Struct, tag="sum"):
    id: int
    total: int


@dataclass
class Anything:
    id: int


CODECS: dict[str, Any] = {
    "no codec": None,
    "json": json_codec(),
    "typed json": json_codec(type=Time | Sum),
}


def opened(scene: Make, clock: VirtualClock, **options: Any) -> Scene:
    it = scene(auth=A, **options)
    clock.advance(1.0)
    return it


def asked(it: Scene, clock: VirtualClock, kind: Any, *answers: str | bytes, **options: Any) -> Any:
    """What became of a request: its answers and how it ended."""
    heard: list[Any] = []
    request = it.socket.request({"id": 1}, type=kind, **{"match": lambda _: True, **options})
    request.subscribe(heard.append, heard.append, lambda: heard.append("|"))
    clock.advance(0.1)
    it.peer.push(*answers)
    clock.advance(0.1)
    return heard


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_an_answer_is_of_the_type(codec: Any, clock: VirtualClock, scene: Make) -> None:
    """From JSON without a codec, else from what the codec makes of it."""
    it = opened(scene, clock, codec=codec)
    answer = '{"type": "time", "id": 1, "now": 2}'
    assert asked(it, clock, Time, answer) == [Time(1, 2.0), "|"]


@pytest.mark.parametrize("kind", [Time | Sum, Anything], ids=["structs", "a dataclass"])
def test_an_answer_is_found_by_its_id_whatever_it_is_decoded_into(
    kind: Any, clock: VirtualClock, scene: Make
) -> None:
    """The field that is named has the id, also where a codec has made a value of the JSON."""
    it = opened(scene, clock, codec=json_codec(type=kind))
    answers = '{"type": "sum", "id": 2, "total": 3}', '{"type": "sum", "id": 1, "total": 4}'
    heard = asked(it, clock, None, *answers, match=None, id="id")
    assert [value if value == "|" else value.id for value in heard] == [1, "|"]


def test_binary_messages(clock: VirtualClock, scene: Make) -> None:
    it = opened(scene, clock, codec=messagepack_codec())
    answer = msgspec.msgpack.encode({"id": 7})
    assert asked(it, clock, Anything, answer) == [Anything(7), "|"]
    raw = opened(scene, clock)
    assert asked(raw, clock, Anything, b'{"id": 7}') == [Anything(7), "|"]


def test_a_union_and_several_answers(clock: VirtualClock, scene: Make) -> None:
    it = opened(scene, clock)
    answers = '{"type": "sum", "id": 1, "total": 3}', '{"type": "time", "id": 1, "now": 2}'
    assert asked(it, clock, Time | Sum, *answers, answers=2) == [Sum(1, 3), Time(1, 2.0), "|"]


def test_by_id(clock: VirtualClock, scene: Make) -> None:
    it = opened(scene, clock)
    answers = (
        "noise",
        '{"type": "sum", "id": 2, "total": 3}',
        '{"type": "sum", "id": 1, "total": 4}',
    )
    assert asked(it, clock, Sum, *answers, match=None, id="id") == [Sum(1, 4), "|"]


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_another_shape_fails_the_request_alone(
    codec: Any, clock: VirtualClock, scene: Make
) -> None:
    """Its text holds nothing of the message, which everybody else gets as ever."""
    it = opened(scene, clock, codec=codec)
    messages: list[Any] = []
    it.socket.messages.subscribe(messages.append)
    other = it.socket.request({"id": 2}, match=lambda _: True, answers=2, timeout=60)
    others: list[Any] = []
    other.subscribe(others.append)
    answer = '{"type": "sum", "id": 1, "total": 3, "note": "s3cret-canary"}'
    (error,) = asked(it, clock, Time, answer)
    assert type(error) is Undecodable
    assert "the answer does not decode: " in str(error)
    assert "canary" not in repr(error) and error.__cause__ is None and error.__context__ is None
    assert messages == others != []
    assert not [event for event in it.events if isinstance(event, DecodeFailed)]
    assert open_requests(it.socket) == 1


def test_what_is_left_of_several_is_not_waited_for(clock: VirtualClock, scene: Make) -> None:
    it = opened(scene, clock)
    answers = (
        '{"type": "time", "id": 1, "now": 2}',
        "no JSON",
        '{"type": "time", "id": 1, "now": 3}',
    )
    heard = asked(it, clock, Time, *answers, answers=None)
    assert heard[0] == Time(1, 2.0) and type(heard[1]) is Undecodable and len(heard) == 2
    assert open_requests(it.socket) == 0


def test_a_function_of_the_users_that_raises(clock: VirtualClock, scene: Make) -> None:
    """A ``__post_init__`` may raise anything; its text is not repeated."""

    class Checked(msgspec.Struct):
        id: int

        def __post_init__(self) -> None:
            raise ValueError("s3cret-canary")

    it = opened(scene, clock)
    (error,) = asked(it, clock, Checked, '{"id": 1}')
    assert type(error) is Undecodable and "canary" not in repr(error)


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_a_type_that_nothing_decodes_into_is_refused(codec: Any, scene: Make) -> None:
    """At the call, not when the answer comes."""
    it = scene(codec=codec)
    with pytest.raises(TypeError, match=r"^type: pass a type such as .* is not supported"):
        it.socket.request({"id": 1}, id="id", type=object())
    for wrong in ("Said", [dict], {}):
        with pytest.raises(TypeError, match=r"^type: pass a type such as .* is not supported"):
            it.socket.listener("chat", type=wrong)
