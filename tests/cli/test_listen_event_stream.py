"""``rxsocket listen`` and ``record`` with server-sent events (C50)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Run
from event_server import Asked, event_server_on_a_thread

pytest.importorskip("httptools")
CANARY = "c4n4ry-7f3a"
AUTH = ("--auth", "token=env:CANARY", "--header")


async def two_events(asked: Asked) -> None:
    """With the credential: two events, then no more for good."""
    if asked.headers.get("authorization") != f"Bearer {CANARY}":
        await asked.answer("401 Unauthorized")
    elif asked.last_event_id is not None:
        await asked.answer("204 No Content")
    else:
        await asked.begin()
        await asked.send("retry: 1\nevent: trade\nid: 7\ndata: one\n\n", "data: two\n\n")
        await asked.finish()


def test_the_address_says_what_is_spoken(run: Run) -> None:
    """The command ends with 0 when the server has no more events."""
    with event_server_on_a_thread(two_events) as server:
        done = run("listen", server.url, *AUTH, environment={"CANARY": CANARY})
        assert done.code == 0 and done.out == ["one", "two"]
        assert "no more events" in "".join(done.err) and CANARY not in done.text
        assert [asked.last_event_id for asked in server.asked] == [None, "7"]


def test_json_has_the_type_and_the_id(run: Run) -> None:
    """Of an event that has them."""
    with event_server_on_a_thread(two_events) as server:
        options = ("--json", "--count", "2", *AUTH)
        done = run("listen", server.url, *options, environment={"CANARY": CANARY})
        lines = [json.loads(line) for line in done.out]
        found = [line for line in lines if line["type"] == "Message"]
        assert [(line["data"], line["event"], line["id"]) for line in found] == [
            ("one", "trade", "7"),
            ("two", "message", "7"),
        ]


def test_a_recording(run: Run, tmp_path: Path) -> None:
    """It keeps them, too."""
    path = tmp_path / "session.jsonl"
    with event_server_on_a_thread(two_events) as server:
        done = run("record", server.url, str(path), *AUTH, environment={"CANARY": CANARY})
        assert done.code == 0, done.err
    kept = [json.loads(line) for line in path.read_text().splitlines()]
    messages = [line for line in kept if line["type"] == "Message"]
    assert [(line["text"], line["event"]) for line in messages] == [
        ("one", "trade"),
        ("two", "message"),
    ]
