"""C55: ``inspect()`` in virtual time: what is kept, what it says of it, and what it hides."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rxsocket import Socket, first_message, heartbeat, json_codec
from rxsocket.notebook import Inspector, dashboard, inspect
from rxsocket.testing import VirtualClock, fake

CANARY = "c4n4ry/z0rk+q8x5"


def texts(panel: Inspector, kind: str | None = None) -> list[str]:
    return [row.text for row in panel.rows(kind=kind)]


def test_received_sent_and_events(clock: VirtualClock) -> None:
    """In the order of what happened, with the connection, the size and what it is about."""
    peer = fake()
    socket = Socket(peer.url, transport=peer)
    panel = inspect(socket)
    with socket:
        socket.messages.subscribe()
        clock.advance(1)
        socket.send('{"op": "subscribe"}')
        clock.advance(1)
        peer.push('{"type": "trade", "price": 1}', b"\x00\xff", "é")
        clock.advance(1)
        rows = panel.rows()
        assert [row.kind for row in rows] == ["event"] * 2 + ["sent"] + ["received"] * 3
        assert [row.number for row in rows] == [1, 2, 3, 4, 5, 6]
        assert [row.size for row in rows] == [None, None, 19, 29, 2, 2]
        assert [row.topic for row in rows][:4] == ["Connecting", "Opened", "subscribe", "trade"]
        assert {row.epoch for row in rows} == {1}
        assert rows[3].at == rows[2].at + 1
        assert rows[4].text == "00 ff" and panel.message(5) == "00 ff"
        peer.drop()
        clock.advance(60)
        assert [row.topic for row in panel.rows() if row.is_problem] == ["Closed"]
        peer.push("again")
        clock.advance(0)
        assert panel.rows()[-1].epoch == 2
    clock.advance(3)


def test_what_streams_do_not_see(clock: VirtualClock) -> None:
    """A heartbeat and its answer, a first message with a credential, a message that is no JSON."""
    peer = fake()
    socket = Socket(
        peer.url,
        transport=peer,
        auth={"token": CANARY},
        carrier=first_message(lambda token: json.dumps(token)),
        codec=json_codec(),
        heartbeat=heartbeat(send="ping", expect="pong", interval=5),
    )
    panel = inspect(socket)
    seen: list[Any] = []
    socket.messages.subscribe(seen.append)
    clock.advance(6)
    peer.push("pong", "no JSON", "1")
    clock.advance(1)
    assert seen == [1]
    assert texts(panel, "received") == ["pong", "no JSON", "1"]
    assert texts(panel, "sent") == ['{"token": "***"}', "ping"]
    assert [row.epoch for row in panel.rows(kind="sent")] == [1, 1]
    assert "DecodeFailed" in [row.topic for row in panel.rows(kind="event")]
    socket.close()
    clock.advance(3)


def test_it_only_looks(clock: VirtualClock) -> None:
    """It does not connect (C1), takes no message from the first subscriber (C4), and ends."""
    peer = fake()
    socket = Socket(peer.url, transport=peer)
    panel = inspect(socket)
    clock.advance(5)
    assert not peer.handshakes
    assert "nothing yet, since" in repr(panel) and "socket.connect()" in repr(panel)
    assert "nothing yet, since" in panel.static()["text/html"]
    held = socket.connect()
    clock.advance(1)
    peer.push("first")
    clock.advance(1)
    seen: list[Any] = []
    socket.messages.subscribe(seen.append)
    clock.advance(1)
    assert seen == ["first"] and texts(panel, "received") == ["first"]
    panel.dispose()
    peer.push("second")
    clock.advance(1)
    assert texts(panel, "received") == ["first"] and "listens no more" in panel.status
    assert inspect(socket) is panel
    peer.push("third")
    clock.advance(1)
    assert texts(panel, "received") == ["first", "third"]
    held.dispose()
    socket.close()
    clock.advance(3)


def test_memory_is_bounded(clock: VirtualClock) -> None:
    """By rows and by bytes; what was let go is counted, and said."""
    peer = fake()
    socket = Socket(peer.url, transport=peer)
    few, small = inspect(socket, keep=10), inspect(socket, keep_bytes=1000)
    with socket:
        socket.messages.subscribe()
        clock.advance(1)
        for number in range(100):
            peer.push(f"{number:03}" * 30)
            clock.advance(0.1)
        assert len(few.rows(last=1000)) == 10 and few.traffic.let_go == 92
        assert small.traffic.kept_bytes <= 1000 and small.traffic.kept == 11
        assert texts(few)[-1].startswith("099")
        assert "100 received" in few.status and "92 let go: it keeps 10 rows" in few.status
        with pytest.raises(KeyError, match="not kept"):
            few.message(5)
        peer.push("x" * 5000)
        clock.advance(1)
        assert [row.size for row in small.rows()] == [5000]
        few.clear()
        assert few.rows() == [] and "103 let go" in few.status
    clock.advance(3)


def test_search(clock: VirtualClock) -> None:
    """In whole messages, in any case; not for what is masked."""
    peer = fake()
    socket = Socket(peer.url, transport=peer, auth={"token": CANARY})
    panel = inspect(socket)
    with socket:
        clock.advance(1)
        peer.push("x" * 5000 + "Needle", f"token {CANARY}", "other", b"a needle, too")
        clock.advance(1)
        assert [row.size for row in panel.rows("needle")] == [5006, 13]
        assert panel.rows(CANARY) == [] and panel.rows("c4n4ry") == []
        assert len(panel.rows("TOKEN")) == 1
        assert [row.topic for row in panel.rows("is open")] == ["Opened"]
        assert len(panel.rows("e", last=1)) == 1
        with pytest.raises(ValueError, match="kind: pass 'received'"):
            panel.rows(kind="sended")
    clock.advance(3)


def test_no_secret_shows(clock: VirtualClock) -> None:
    """The canary, as it is and encoded, in text and bytes, sent and received (C28)."""
    peer = fake()
    socket = Socket(peer.url, transport=peer, auth={"token": CANARY})
    panel = inspect(socket, by=lambda value: value)
    with socket:
        clock.advance(1)
        peer.push(CANARY, json.dumps({"t": CANARY}), b"\x00" + CANARY.encode(), "y" * 295 + CANARY)
        socket.send(f"mine is {CANARY}")
        clock.advance(1)
        rows = panel.rows(last=1000)
        assert len([row for row in rows if row.kind != "event"]) == 5
        whole = [panel.message(row.number) for row in rows]
        entries = [panel.contents(entry) for entry in panel.traffic.entries()]
        surfaces = f"{panel!r}{panel.static()}{rows}{whole}{entries}{panel.freeze()!r}"
        for form in (CANARY, CANARY[:10], CANARY.encode().hex(" ")):
            assert form not in surfaces
        assert "***" in surfaces
    clock.advance(3)


def test_what_a_message_is_about(clock: VirtualClock) -> None:
    """A field, a nested one, a function; one that raises is told once, and nothing is lost."""
    peer = fake()
    socket = Socket(peer.url, transport=peer, codec="auto")
    by_name, by_function = inspect(socket, by="data.symbol"), inspect(socket, by=lambda m: m["n"])
    found = inspect(socket)
    with socket:
        clock.advance(1)
        peer.push('{"channel": "c", "data": {"symbol": "BTC"}}', '["1", "trade"]', "plain", "{bad")
        clock.advance(1)
        assert [row.topic for row in by_name.rows(kind="received")] == ["BTC", "", "", ""]
        assert [row.topic for row in found.rows(kind="received")] == ["c", "trade", "", ""]
        assert [row.topic for row in by_function.rows(kind="received")] == [""] * 4
        assert "by= raised" in by_function.status
    clock.advance(3)


def test_sending(clock: VirtualClock) -> None:
    """With a codec it is JSON, which is checked; without one it is the message."""
    peer = fake()
    plain, typed = Socket(peer.url, transport=peer), Socket(peer.url, transport=peer, codec="auto")
    with plain, typed:
        clock.advance(1)
        sent = inspect(plain).send("{not json"), inspect(typed).send('{"op": 1}')
        clock.advance(1)
        assert [receipt.result(0).epoch for receipt in sent] == [1, 1]
        assert sorted(each.message for each in peer.received) == ['{"op":1}', "{not json"]
        with pytest.raises(ValueError, match="not sent, as it is no JSON"):
            inspect(typed).send("{not json")
    clock.advance(3)


def test_fragments(clock: VirtualClock) -> None:
    """A message in fragments is one row; of fragments made later the size is known."""
    peer = fake()
    socket = Socket(peer.url, transport=peer)
    panel = inspect(socket)

    async def parts() -> Any:
        yield "ab"
        yield "cde"

    with socket:
        clock.advance(1)
        socket.send(["one mess", "age"])
        socket.send(parts())
        clock.advance(1)
        assert [(row.size, row.text) for row in panel.rows(kind="sent")] == [
            (11, "one message"),
            (5, "a message in fragments, not kept"),
        ]
    clock.advance(3)


def test_all_in_one(clock: VirtualClock) -> None:
    """A dashboard has the pictures of a socket, as text and as a page; no secret is in it."""
    peer = fake()
    socket = Socket(peer.url, transport=peer, auth={"token": CANARY}, codec="auto")
    all_of_it = dashboard(socket)
    clock.advance(1)
    assert not peer.handshakes and all_of_it.rates is None
    counted = dashboard(socket, by="symbol")
    with socket:
        clock.advance(1)
        peer.push(json.dumps({"symbol": "BTC-USD", "token": CANARY}))
        clock.advance(1)
        for one in (all_of_it, counted):
            static = one.static()
            assert set(static) == {"text/plain", "text/html"}
            assert CANARY not in f"{static}{one!r}"
            assert "1 received" in repr(one) and "Timeline" in repr(one)
            assert "<svg" in static["text/html"] and "connection 1 is open" in static["text/html"]
        assert "BTC-USD" in counted.static()["text/html"] and inspect(socket) is all_of_it.inspector
        counted.dispose()
    clock.advance(3)


def test_wrong_arguments() -> None:
    """Each is named, with what to pass."""
    socket = Socket("ws://127.0.0.1:9/")
    with pytest.raises(TypeError, match=r"inspect\(socket\): pass a Socket, not Stream"):
        inspect(socket.messages)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"dashboard\(socket\): pass a Socket, not Stream"):
        dashboard(socket.messages)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"inspect\(by\): pass the name of a field"):
        inspect(socket, by=1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="keep: pass 1 or more"):
        inspect(socket, keep=0)
