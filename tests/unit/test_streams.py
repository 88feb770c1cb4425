"""Streams as users hold them: Observables with little besides, fed from elsewhere."""

from __future__ import annotations

import inspect
from typing import Any
from unittest import mock

import pytest
from reactivex import Observable

from rxsocket import Session, Socket, Stream, ValueStream, refreshing
from rxsocket.testing import fake


def own(stream: object) -> set[str]:
    """The names that a stream shows beyond those of an Observable."""
    return {name for name in dir(stream) if not name.startswith("_")} - set(dir(Observable()))


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (Stream, {"passive", "iterate"}),
        (ValueStream, {"passive", "iterate", "value"}),
        (Session, {"passive", "iterate"}),
    ],
)
def test_a_stream_shows_what_a_user_can_do_with_it(
    kind: type[Stream[Any]], names: set[str]
) -> None:
    """Nothing of what feeds it can be called by mistake, or comes up when names are completed."""
    assert own(kind) == names


def test_streams_of_one_name_are_equal(clock: object) -> None:
    """Asked for twice, a stream of a socket is equal; it says its name and how many listen."""
    peer = fake()
    socket = Socket(peer.url, transport=peer)
    names = [name for name, _ in inspect.getmembers(Socket, lambda one: isinstance(one, property))]
    streams = [name for name in names if isinstance(getattr(socket, name), Stream)]
    assert len({getattr(socket, name) for name in streams}) == len(streams) == 11
    assert socket.messages == mock.ANY
    for name in streams:
        stream, again = getattr(socket, name), getattr(socket, name)
        assert stream == again and hash(stream) == hash(again) and stream != name
        assert repr(stream).endswith(f"Stream {name}: 0 observers>")


def test_a_channel_shows_what_a_stream_shows() -> None:
    """What it asks of the server, and how it knows its messages, is its own business."""
    peer = fake()
    socket = Socket(peer.url, transport=peer)
    channel = socket.channel(subscribe="on", unsubscribe="off", match=bool)
    assert own(channel) == {"passive", "iterate"}


def test_credentials_are_not_given_out_by_hand() -> None:
    """What fetches them, and what sockets ask it for, is not the user's business either."""
    assert own(refreshing(lambda: "a")) == {"calls", "errors", "iterate", "passive"}
