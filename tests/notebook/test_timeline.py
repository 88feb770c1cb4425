"""The timeline: what is in the picture, and how it is drawn."""

from __future__ import annotations

import html
import itertools
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from reactivex.subject import BehaviorSubject

from rxsocket import Backoff, Socket, State, Ticket, endpoint, handover
from rxsocket.notebook import timeline
from rxsocket.recording import record, replay
from rxsocket.render.histogram import Histogram, column_rates, smooth_rates
from rxsocket.render.scene import NEUTRAL, PALETTE, Bar, Label, Lane, Mark, Scene
from rxsocket.render.svg import place_labels, svg, text_width
from rxsocket.render.view import TimeWindow
from rxsocket.testing import VirtualClock, accept, fake, reject

A, B, C = {"token": "token-a"}, {"token": "token-b"}, {"token": "token-c"}


def lanes(scene: Scene) -> dict[str, Lane]:
    return {lane.name: lane for lane in scene.lanes}


def texts(svg: str) -> list[str]:
    return ["".join(one.itertext()) for one in ET.fromstring(svg).findall(".//{*}text")]


@pytest.fixture
def story(clock: VirtualClock) -> Iterator[tuple[Any, Socket, VirtualClock]]:
    """A change of credential, a lost link, a refusal and a recovery."""
    peer = fake(tokens=["token-a", "token-b", "token-c"])
    socket = Socket(peer.url, transport=peer, auth=A)
    with socket:
        yield peer, socket, clock


def live_through(peer: Any, socket: Socket, clock: VirtualClock) -> None:
    clock.advance(1)
    for _ in range(3):
        peer.push("message of a")
        clock.advance(1)
    socket.send("hello")
    socket.set_auth(B)
    clock.advance(6)
    peer.push("message of b")
    clock.advance(1)
    peer.close(1012, "restart")
    clock.advance(4)
    socket.set_auth({"token": "token-wrong"})
    clock.advance(2)
    socket.set_auth(C)
    clock.advance(2)


def test_what_really_happened(story: tuple[Any, Socket, VirtualClock]) -> None:
    """Credentials, connections with how they ended, pauses, messages in their colour, sends."""
    peer, socket, clock = story
    picture = timeline(socket)
    live_through(peer, socket, clock)
    scene = picture.scene()
    of = lanes(scene)
    assert [bar.text for bar in of["credential"].bars] == [f"{n} · token=***" for n in (1, 2, 3, 4)]
    opened = [bar for bar in of["connection"].bars if bar.style == "full"]
    assert [(bar.text, bar.colour) for bar in opened] == [
        ("connection 1", 1),
        ("connection 2", 2),
        ("connection 3", 2),
        ("connection 5", 4),
    ]
    assert [bar.ongoing for bar in opened] == [False, False, False, True]
    assert [label.text for label in of["connection"].labels] == [
        "new credential",
        "1012 restart",
        "new credential",
        "HTTP 401",
    ]
    assert [mark.shape for mark in of["connection"].marks].count("cross") == 2
    pauses = [
        (bar.style, bar.text.split()[0]) for bar in of["connection"].bars if bar.style[0] in "dh"
    ]
    assert pauses == [("dashed", "wait"), ("hatched", "awaiting")]
    assert [(mark.colour, mark.detail.partition(": ")[2]) for mark in of["messages"].marks] == [
        *[(1, "message of a")] * 3,
        (2, "message of b"),
    ]
    assert [mark.shape for mark in of["sent"].marks] == ["sent"]
    # One colour each, and the bars follow each other without overlap.
    for before, after in itertools.pairwise(opened):
        assert before.end <= after.begin


def test_what_came_before_is_known(story: tuple[Any, Socket, VirtualClock]) -> None:
    """A timeline that is made at the end has all credentials and connections, but no messages."""
    peer, socket, clock = story
    live_through(peer, socket, clock)
    of = lanes(timeline(socket).scene())
    assert [bar.colour for bar in of["credential"].bars] == [1, 2, 3, 4]
    assert len([bar for bar in of["connection"].bars if bar.style == "full"]) == 4
    assert of["messages"].note == "none"


def test_it_only_looks(clock: VirtualClock) -> None:
    """C1: a timeline does not connect, and does not keep anybody connected."""
    peer = fake()
    socket = Socket(peer.url, transport=peer, auth=A)
    picture = timeline(socket)
    picture.svg()
    clock.advance(5)
    assert peer.handshakes == []
    held = socket.connect()
    clock.advance(1)
    held.dispose()
    clock.advance(5)
    assert [left.code for left in peer.closes] == [1000]
    assert lanes(picture.scene())["connection"].labels[0].text == "no subscribers"


def test_it_goes_on_after_the_end(clock: VirtualClock) -> None:
    """C3: a socket that ended and is started afresh is drawn on, with its messages."""
    peer = fake()
    socket = Socket(peer.url, transport=peer, auth=A)
    picture = timeline(socket)
    for _ in range(2):
        with socket:
            clock.advance(1)
            peer.push("hello")
            clock.advance(1)
        clock.advance(3)
    of = lanes(picture.scene())
    assert len(of["messages"].marks) == 2
    assert len([bar for bar in of["connection"].bars if bar.style == "full"]) == 2


def test_a_handover_is_drawn_side_by_side(clock: VirtualClock) -> None:
    """C13: the next connection is dialled beside the old one, in a row of its own."""
    peer = fake(latency=0.5)
    socket = Socket(
        peer.url, transport=peer, auth=A, on_auth_change=handover(), identity=lambda _: "me"
    )
    picture = timeline(socket)
    with socket:
        clock.advance(5)
        socket.set_auth(B)
        clock.advance(5)
        bars = lanes(picture.scene())["connection"].bars
        opened = [bar for bar in bars if bar.style == "full"]
        assert [(bar.row, bar.colour) for bar in opened] == [(0, 1), (1, 2)]
        words = [label.text for label in lanes(picture.scene())["connection"].labels]
        assert words == ["handed over"]
    clock.advance(3)


def test_another_address_is_drawn(clock: VirtualClock) -> None:
    """C33: why the connection ended, and where the next one is; without what is secret there."""
    peer = fake()
    source = BehaviorSubject("ws://a.test/?k=s3cret-one")
    with Socket(endpoint(source, subdomains=True), transport=peer, name="feed") as socket:
        picture = timeline(socket)
        clock.advance(5)
        source.on_next("ws://x.a.test/?k=s3cret-two")
        clock.advance(5)
        socket.set_auth(Ticket("ws://x.a.test/?k=s3cret-three"))
        clock.advance(5)
        of, drawn = lanes(picture.scene()), svg(picture.scene())
    assert [label.text for label in of["connection"].labels] == [
        "new address",
        "new credential",
        "moved",
    ]
    assert "connection 2 is open at ws://x.a.test/?k=***, without a gap" in drawn
    assert "in the address" in drawn and "s3cret" not in drawn


def test_a_recording_is_drawn_on_its_own_clock(
    story: tuple[Any, Socket, VirtualClock], tmp_path: Path
) -> None:
    """Credentials change where the connections do, however much faster it is played, and later."""
    peer, socket, clock = story
    with record(socket, tmp_path / "session.jsonl"):
        live_through(peer, socket, clock)
    clock.advance(100)
    again = replay(tmp_path / "session.jsonl", speed=10).socket()
    picture = timeline(again)
    again.messages.subscribe(on_error=print)
    clock.advance(10)
    drawn = lanes(picture.scene())
    changes = [bar.begin for bar in drawn["credential"].bars][1:]
    lived = lanes(timeline(socket).scene())
    assert changes == pytest.approx([bar.begin for bar in lived["credential"].bars][1:], abs=1e-3)
    assert len(changes) == 3


def test_many_messages_are_a_density(story: tuple[Any, Socket, VirtualClock]) -> None:
    """More than 90 in view are drawn as a density; zoomed in, those in view are marks again."""
    peer, socket, clock = story
    picture = timeline(socket)
    clock.advance(1)
    for _ in range(500):
        peer.push("tick")
        clock.advance(0.02)
    whole = lanes(picture.scene())["messages"]
    assert whole.density is not None
    assert sum(count for _, _, count in whole.density.bins) == 500
    assert "500" in texts(picture.svg())
    near = ET.fromstring(picture.svg(last=1.0))
    assert 45 <= len(near.findall(".//{*}circle")) <= 52


def test_memory_is_bounded() -> None:
    """A day of 10 events a second is kept in a few thousand bins, and none is lost of the count."""
    histogram = Histogram()
    for second in range(0, 86_400, 1):
        histogram.add(second + 0.5, 10)
    bins = list(histogram.bins_between(0, 86_400))
    assert sum(count for _, _, count in bins) == 864_000
    assert len(bins) <= 5000
    fine = [width for _, width, _ in histogram.bins_between(86_300, 86_400)]
    assert max(fine) == pytest.approx(0.1)
    for before, after in itertools.pairwise(bins):
        assert before[0] < after[0] + 1e-6


def test_the_file_stands_alone(story: tuple[Any, Socket, VirtualClock]) -> None:
    """It is XML with a size and a ground of its own, without script or reference."""
    peer, socket, clock = story
    picture = timeline(socket)
    peer.push("<script>alert(1)</script>")
    live_through(peer, socket, clock)
    svg = picture.svg()
    root = ET.fromstring(svg)
    assert root.get("width")
    assert root.get("viewBox")
    tags = {one.tag.partition("}")[2] for one in root.iter()}
    assert tags <= {"svg", "title", "style", "g", "rect", "path", "text", "circle"}
    assert "prefers-color-scheme:dark" in svg  # dark on a dark page
    assert not re.search(r"href|url\(|var\(|<!|\son\w+=", svg)
    assert "<script" not in svg


ODD = "".join(map(chr, (*range(32), 127, 0x85, 0x2028, 0x202E, 0xD800, 0xFFFE, 0xFFFF)))


def test_any_text_can_be_drawn() -> None:
    """C32: control characters and halves of surrogates are escaped, also in what users write."""
    lane = Lane(
        name=ODD,
        note=ODD,
        labelled=True,
        bars=(Bar(0.0, 1.0, text=ODD, detail=ODD, style="dashed"),),
        marks=(Mark(0.5, "marble", text=ODD, detail=ODD),),
        labels=(Label(0.5, ODD),),
    )
    picture = svg(Scene(title=ODD, begin=0.0, end=1.0, lanes=(lane,)))
    ET.fromstring(picture.encode())
    assert picture.isprintable() and "\\x00\\x01" in picture


def test_texts_do_not_overlap(story: tuple[Any, Socket, VirtualClock]) -> None:
    """However many connections end, the labels that are drawn are apart from each other."""
    peer, socket, clock = story
    picture = timeline(socket)
    clock.advance(1)
    for _ in range(25):
        peer.close(1012, "restart of the service")
        clock.advance(6)
    rows: dict[float, list[tuple[float, float]]] = {}
    for one in ET.fromstring(picture.svg()).findall(".//{*}text"):
        left, text = float(one.get("x", "0")), "".join(one.itertext())
        wide = text_width(text)
        left -= {"end": wide, "middle": wide / 2}.get(one.get("text-anchor", ""), 0.0)
        rows.setdefault(float(one.get("y", "0")), []).append((left, left + wide))
    assert max(len(spans) for spans in rows.values()) >= 4
    for spans in rows.values():
        spans.sort()
        for (_, end), (begin, _) in itertools.pairwise(spans):
            assert end <= begin + 4


@pytest.mark.parametrize("span", [0.07, 3.0, 59.0, 121.0, 299.0, 1795.0, 7300.0, 90_000.0, 9e5])
def test_times_do_not_overlap(span: float) -> None:
    """Neither in the middle of an axis nor at its end, where a time is moved inside."""
    drawn = svg(Scene(title="", begin=1000.0, end=1000.0 + span, lanes=()))
    times = [
        one for one in ET.fromstring(drawn).findall(".//{*}text") if "middle" in str(one.attrib)
    ]
    assert len(times) >= 3
    spans = [
        (float(one.get("x", "0")) - wide / 2, float(one.get("x", "0")) + wide / 2)
        for one, wide in ((one, text_width("".join(one.itertext()))) for one in times)
    ]
    assert all(end < begin for (_, end), (begin, _) in itertools.pairwise(spans))
    assert spans[-1][1] <= 880 - 18 + 0.1


def test_a_lane_with_a_long_name() -> None:
    """It is cut before the plot, and whole when somebody points at it."""
    name = "average_price_per_minute"
    drawn = ET.fromstring(svg(Scene(title="", begin=0, end=1, lanes=(Lane(name=name),))))
    shown = next(one for one in drawn.findall(".//{*}text") if "…" in "".join(one.itertext()))
    title = shown.find("{*}title")
    assert title is not None and title.text == name
    assert str(title.tail).startswith("average") and text_width(str(title.tail)) < 100


def test_urgent_labels_come_first() -> None:
    """Where there is room for one only, it is that of the fault."""
    here = [(100.0, "new credential", False), (101.0, "HTTP 401", True)]
    assert [(text, urgent) for _, _, text, urgent in place_labels(here, 50, 190, lines=1)] == [
        ("HTTP 401", True)
    ]


def test_calling_again_is_the_same_picture(story: tuple[Any, Socket, VirtualClock]) -> None:
    """A cell that is run ten times has one memory, and one subscription."""
    peer, socket, clock = story
    pictures = {id(timeline(socket)) for _ in range(10)}
    assert len(pictures) == 1
    clock.advance(1)
    peer.push("once")
    clock.advance(1)
    assert len(lanes(timeline(socket).scene())["messages"].marks) == 1


def test_disposed_it_remembers_no_more(story: tuple[Any, Socket, VirtualClock]) -> None:
    """After dispose() nobody is subscribed for it; asked for again, it goes on."""
    peer, socket, clock = story
    picture = timeline(socket)
    clock.advance(1)
    picture.dispose()
    peer.push("unseen")
    clock.advance(1)
    assert "0 observers" in repr(socket.events)
    assert lanes(timeline(socket).scene())["messages"].note == "none"
    peer.push("seen")
    clock.advance(1)
    assert lanes(picture.scene())["messages"].note == "1"


def drawn_of(scene: Scene) -> dict[str, list[Any]]:
    """What a picture has in its lanes, with when."""
    return {
        lane.name: [
            *((bar.begin, bar.end, bar.text, bar.colour) for bar in lane.bars),
            *((mark.at, mark.shape, mark.colour) for mark in lane.marks),
            *((label.at, label.text) for label in lane.labels),
        ]
        for lane in scene.lanes
    }


@pytest.mark.parametrize("speed", [10, "max"])
def test_a_replay_is_on_the_clock_of_then(clock: VirtualClock, tmp_path: Path, speed: Any) -> None:
    """What plays days later, at any speed, is drawn with the times at which it happened."""
    peer = fake(tokens=["token-a", "token-b", "token-c"])
    socket = Socket(peer.url, transport=peer, auth=A)
    picture = timeline(socket)
    with record(socket, tmp_path / "s.jsonl"), socket:
        live_through(peer, socket, clock)
    clock.advance(3)
    recorded = picture.scene()
    clock.advance(3 * 86400)
    again = replay(tmp_path / "s.jsonl", speed).socket()
    picture = timeline(again)
    again.messages.subscribe(lambda _: None)
    if speed != "max":
        clock.advance(1)
        assert picture.scene().end == pytest.approx(recorded.begin + 10, abs=0.1)
    clock.advance(10)
    assert again.state.value is State.CLOSED
    replayed = picture.scene()
    assert (replayed.begin, replayed.end) == pytest.approx((recorded.begin, recorded.end))
    before, after = drawn_of(recorded), drawn_of(replayed)
    for lane in ("credential", "connection", "messages"):
        assert len(after[lane]) == len(before[lane])
        for old, new in zip(before[lane], after[lane], strict=True):
            assert new[0] == pytest.approx(old[0], abs=1e-3)
            assert new[2:] == old[2:] and str(new[1]) == str(old[1])


def test_wrong_arguments(clock: VirtualClock) -> None:
    """What is no socket, and no time, is refused by name."""
    peer = fake()
    with pytest.raises(TypeError, match="pass a Socket"):
        timeline(peer)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="last"):
        timeline(Socket(peer.url, transport=peer), last=0)


def test_first_epoch_that_never_opened(clock: VirtualClock) -> None:
    """A refusal at the first attempt is drawn, and the wait for a credential after it."""
    peer = fake(reject(403), accept())
    socket = Socket(peer.url, transport=peer, auth=A)
    picture = timeline(socket)
    with socket:
        clock.advance(20)
        assert {"HTTP 403", "awaiting a credential"} <= set(texts(picture.svg()))


def test_a_renewal_that_was_told_and_a_closed_gate(clock: VirtualClock) -> None:
    """C34, C35: why each connection ended, and that nobody dials while the gate is closed."""
    gate = BehaviorSubject(True)
    peer = fake()
    with Socket(peer.url, transport=peer, auth=A, gate=gate) as socket:
        picture = timeline(socket)
        clock.advance(10)
        socket.renew(why="GoAway")
        clock.advance(10)
        gate.on_next(False)
        clock.advance(20)
        shown = set(texts(picture.svg()))
        assert {"renew()", "gate closed"} <= shown
        assert "renew() was called: 'GoAway'" in html.unescape(picture.svg())
        assert "waiting for the gate to open: the gate is closed" in picture.svg()


def test_attempts_that_fail_alike_are_one_label(clock: VirtualClock) -> None:
    """C54: a wall of crosses has one text, which counts them; what came after has its own."""
    peer = fake(*[reject(503)] * 6)
    socket = Socket(peer.url, transport=peer, backoff=Backoff(cap=2.0))
    picture = timeline(socket)
    with socket:
        clock.advance(20)
        (lane,) = [one for one in picture.scene().lanes if one.name == "connection"]
        texts = [label.text for label in lane.labels]
        assert next(text for text in texts if "503" in text).startswith("6 × HTTP 503 in ")
        assert sum("503" in text for text in texts) == 1
        assert sum(mark.shape == "cross" for mark in lane.marks) == 6
        assert picture.svg().count("HTTP 503 in") == 1
    clock.advance(3)


def test_a_density_is_of_its_connections(clock: VirtualClock) -> None:
    """C54: 20 messages a second are drawn as that, and none before a connection or after it."""
    peer = fake()
    socket = Socket(peer.url, transport=peer)
    picture = timeline(socket)
    clock.advance(0.37)
    with socket:
        clock.advance(0.07)
        for _ in range(200):
            peer.push("x")
            clock.advance(0.05)
        (lane,) = [one for one in picture.scene().lanes if one.name == "messages"]
        assert lane.density is not None
        scene = picture.scene()
        span = scene.end - scene.begin
        exact = column_rates(lane.density.bins, scene.begin, span, 190)
        rates = smooth_rates(exact, scene.begin, span, lane.density.spans)
        steady = rates[5:-5]
        assert all(17 <= rate <= 23 for rate in steady), (min(steady), max(steady))
        assert "mean 20/s" in picture.svg()
    clock.advance(3)
    ended = picture.scene()
    (lane,) = [one for one in ended.lanes if one.name == "messages"]
    assert lane.density is not None
    ((opened, closed),) = lane.density.spans
    span = ended.end - ended.begin
    exact = column_rates(lane.density.bins, ended.begin, span, 190)
    rates = smooth_rates(exact, ended.begin, span, lane.density.spans)
    for number, rate in enumerate(rates):
        begin = ended.begin + number * span / 190
        if begin + span / 190 < opened or begin > closed:
            assert rate == 0


def test_a_picture_is_as_wide_as_there_is_room(story: tuple[Any, Socket, VirtualClock]) -> None:
    """C54: in a narrow window its text is not smaller; it is never wider than can be read."""
    picture = timeline(story[1])
    for width, drawn in ((None, 880), (560, 560), (100, 420), (3000, 1600)):
        html = picture.render(TimeWindow(width=width)).html
        assert f'viewBox="0 0 {drawn} ' in html
        places = [float(x) for x in re.findall(r'<text x="([\d.]+)"', html)]
        assert max(places) <= drawn


def test_text_on_a_colour_can_be_read() -> None:
    """C54: at 4.5 to 1, as WCAG asks for."""
    for fill, text in (*PALETTE, NEUTRAL):
        light, dark = sorted((luminance(fill), luminance(text)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (fill, text)


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
