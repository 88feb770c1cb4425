"""What goes to another process: what cannot says which argument it is, and what to pass (C43)."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from reactivex.subject import Subject

from rxsocket import Limits, Ticket
from rxsocket.auth.credentials import Credential
from rxsocket.fleet.portable import function_pickled, plain, portable_error, settings_pickled
from rxsocket.fleet.questions import Answered, Pushed, Sealed
from rxsocket.fleet.shard import ShardSettings
from rxsocket.fleet.spec import ChannelSpec


def subscribe(keys: list[str]) -> dict[str, Any]:
    return {"args": keys}


def settings(**more: Any) -> ShardSettings:
    given: dict[str, Any] = {
        "url": "ws://localhost/",
        "channel": ChannelSpec(subscribe=subscribe),
        "limits": Limits(channels=2),
        "auth": None,
        "options": {},
    }
    return ShardSettings(**given | more)


def test_settings_come_back_the_same() -> None:
    made = settings(options={"max_size": 100})
    assert pickle.loads(settings_pickled(made, plain, "another process")) == made


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"channel": ChannelSpec(subscribe=lambda keys: keys)}, "channel=ChannelSpec(subscribe)"),
        (
            {"channel": ChannelSpec(subscribe=subscribe, by=lambda message: message)},
            "channel=ChannelSpec(by)",
        ),
        ({"url": lambda: "ws://localhost/"}, "url"),
        ({"url": Subject()}, "url"),
        ({"options": {"rejected": lambda message: False}}, "options['rejected']"),
    ],
)
def test_what_cannot_go_is_named(given: dict[str, Any], named: str) -> None:
    with pytest.raises(TypeError, match="cannot go to another process") as raised:
        settings_pickled(settings(**given), plain, "another process")
    assert str(raised.value).startswith(f"{named}: ")


def test_a_pipeline_is_a_function_of_a_module() -> None:
    with pytest.raises(TypeError, match=r"^Processes\(pipeline\): .* top level of a module"):
        function_pickled("Processes(pipeline)", lambda messages: messages, plain, "a process")


class Odd(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def test_an_error_is_the_same_or_says_the_same() -> None:
    assert isinstance(portable_error(ValueError("x")), ValueError)
    assert str(portable_error(Odd(1, 2))) == "Odd: 1 and 2"


@pytest.mark.parametrize(
    "value", ["canary", {"token": "canary"}, Ticket("ws://h/?ticket=canary", "canary"), None]
)
def test_a_credential_goes_there_and_shows_nowhere(value: Any) -> None:
    sealed = Sealed.of(Credential.of(value), 3, 100.0)
    back = pickle.loads(plain(sealed))
    assert Credential.of(back.open()) == Credential.of(value)
    assert (back.number, back.expires_at) == (3, 100.0)
    for shown in (sealed, back, Answered(1, sealed), Pushed(sealed)):
        assert "canary" not in f"{shown!r} {shown}"
