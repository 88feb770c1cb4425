"""The page about starting and stopping: each program in a process of its own, with real signals."""

from __future__ import annotations

import json
import os
import re
import signal
import socket as sockets
import sys
import time
from collections.abc import Iterator
from configparser import ConfigParser
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from deadlines import stretched
from internals import Server
from pages import Page
from ports import free_port
from programs import Program
from websockets.sync.client import connect

from rxsocket.testing import accept, reject, server

PAGE = Page("start_and_stop_cleanly")
BOTH = [signal.SIGINT, signal.SIGTERM]
UNBUFFERED = {"PYTHONUNBUFFERED": "1"}  # so that each line comes as it is printed
pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
PROGRAMS = {
    "A script": "",
    "Under asyncio": "async def store(message): print(message, flush=True)\n",
}


def program(
    name: str, folder: Path, feed: Server, text: str | None = None, **environ: str
) -> Program:
    given = f"url = {feed.url!r}\n{PROGRAMS.get(name, '')}"
    (folder / "program.py").write_text(given + (text or PAGE.example(name)))
    return Program([sys.executable, "program.py"], folder, FEED=feed.url, **UNBUFFERED, **environ)


@pytest.mark.parametrize("number", BOTH)
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_signal_closes_and_ends_it(name: str, number: int, tmp_path: Path) -> None:
    """The server gets 1000, the rest of the program runs, and the exit code is 0."""
    with server() as feed, program(name, tmp_path, feed) as running:
        assert running.line() == "open"
        feed.push("hello")
        assert running.line() == "hello"
        assert running.end(number) == (0, "closed\n", "")
        assert feed.closes == [(1, 1000, "")]


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_it_says_why_it_does_not_start(name: str, tmp_path: Path) -> None:
    with server() as feed:
        feed.default = reject(401)
        text = PAGE.example(name).replace("opened(30)", "opened(0.5)")
        with program(name, tmp_path, feed, text) as running:
            code, out, err = running.end()
    assert (code, out) == (1, "")
    last = err.rstrip().splitlines()[-1]
    assert last.startswith("TimeoutError: not open within 0.5 s: waiting for a credential")
    assert "HTTP 401" in last and "you can: call set_auth(...)" in last


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_signal_while_it_is_not_open_yet(name: str, tmp_path: Path) -> None:
    """It ends at once, with an error that says that it was not open."""
    with server() as feed:
        feed.default = reject(503)
        with program(name, tmp_path, feed) as running:
            feed.wait_for(lambda feed: feed.dials >= 1, timeout=40)
            code, _, err = running.end(signal.SIGTERM)
    assert code == 1
    assert "NotConnected: not open: ended" in err


# --- FastAPI


def needs_fastapi() -> None:
    pytest.importorskip("fastapi")
    pytest.importorskip("uvicorn")


@contextmanager
def application(folder: Path, feed: str, text: str | None = None) -> Iterator[tuple[Program, int]]:
    """The example under uvicorn, as the page says that it is run."""
    (folder / "app.py").write_text(text or PAGE.example("In FastAPI"))
    (asked,) = re.findall(r"`uvicorn (app:app [^`]*)`", PAGE.text)
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", *asked.split(), "--port", str(port)]
    with Program([*command, "--log-level", "warning"], folder, FEED=feed, **UNBUFFERED) as running:
        yield running, port


def get(port: int, path: str) -> tuple[int, dict[str, Any]]:
    deadline = time.monotonic() + stretched(20.0)
    while True:
        try:
            with urlopen(f"http://127.0.0.1:{port}{path}") as answer:
                return answer.status, json.load(answer)
        except HTTPError as error:
            return error.code, json.load(error)
        except OSError:  # it does not listen yet
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_fastapi_starts_when_it_is_open_and_ends_in_order(tmp_path: Path) -> None:
    needs_fastapi()
    with server() as feed, application(tmp_path, feed.url) as (running, port):
        assert get(port, "/ready")[0] == 200
        assert get(port, "/live") == (200, {"state": "open", "outage": 0.0})
        feed.push("hello")
        assert running.line() == "hello"
        code, _, err = running.end(signal.SIGTERM)
        assert (code, err) in [(0, ""), (-signal.SIGTERM, "")]
        assert feed.closes == [(1, 1000, "")]


@pytest.mark.slow
def test_an_outage_is_told_to_who_asks_whether_it_is_ready(tmp_path: Path) -> None:
    """It is no reason for a new process."""
    needs_fastapi()
    with server() as feed, application(tmp_path, feed.url) as (_, port):
        assert get(port, "/ready")[0] == 200
        feed.default = reject(503)
        feed.drop()
        feed.wait_for(lambda feed: feed.dials >= 2, timeout=40)
        status, told = get(port, "/ready")
        assert status == 503 and "connection 1 was open" in told["why"]
        status, told = get(port, "/live")
        assert status == 200 and told["outage"] > 0
        feed.default = accept()
        feed.wait_for(lambda feed: feed.connections == 1, timeout=40)
        assert get(port, "/ready")[0] == 200


@pytest.mark.slow
def test_live_fails_for_what_a_new_process_may_cure(tmp_path: Path) -> None:
    """The feed ended, and nothing subscribes again."""
    needs_fastapi()
    with server() as feed, application(tmp_path, feed.url) as (_, port):
        assert get(port, "/live")[0] == 200
        feed.close(1000)
        deadline = time.monotonic() + stretched(10.0)
        while get(port, "/live")[0] != 503:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert get(port, "/ready")[0] == 503


@pytest.mark.slow
def test_fastapi_does_not_start_without_the_feed(tmp_path: Path) -> None:
    needs_fastapi()
    with server() as feed:
        feed.default = reject(401)
        text = PAGE.example("In FastAPI").replace("opened(30)", "opened(0.3)")
        with application(tmp_path, feed.url, text) as (running, _):
            code, _, err = running.end()
    assert code == 3
    assert "not open within 0.3 s" in err and "HTTP 401" in err


@pytest.mark.slow
def test_a_client_of_a_quiet_feed_does_not_hold_up_the_end(tmp_path: Path) -> None:
    """What ``--timeout-graceful-shutdown`` is for: its handler waits for a message."""
    needs_fastapi()
    text = PAGE.example("In FastAPI") + (
        "\nfrom fastapi import WebSocket\n"
        "@app.websocket('/feed')\n"
        "async def clients(client: WebSocket) -> None:\n"
        "    await client.accept()\n"
        "    async for message in feed.messages.iterate(overflow='drop_oldest'):\n"
        "        await client.send_text(message)\n"
    )
    with server() as feed, application(tmp_path, feed.url, text) as (running, port):
        get(port, "/ready")
        with connect(f"ws://127.0.0.1:{port}/feed"):
            began = time.monotonic()
            running.end(signal.SIGTERM)
        assert time.monotonic() - began < stretched(8.0)
        assert feed.closes == [(1, 1000, "")]


def test_the_probes_ask_what_is_served() -> None:
    example = PAGE.example("As a Kubernetes probe", language="yaml")
    asked = re.findall(r"path: (/\w+)", example)
    assert asked == re.findall(r'@app\.get\("(/\w+)"\)', PAGE.example("In FastAPI"))
    assert "--timeout-graceful-shutdown" in example


# --- systemd


@contextmanager
def systemd(folder: Path) -> Iterator[sockets.socket]:
    """What ``NOTIFY_SOCKET`` leads to."""
    with sockets.socket(sockets.AF_UNIX, sockets.SOCK_DGRAM) as listening:
        listening.bind(str(folder / "notify"))
        listening.settimeout(stretched(15.0))
        yield listening


def test_systemd_is_told_when_it_is_ready_and_that_it_ends(tmp_path: Path) -> None:
    name, given = "As a service of systemd", {"NOTIFY_SOCKET": str(tmp_path / "notify")}
    with (
        server() as feed,
        systemd(tmp_path) as told,
        program(name, tmp_path, feed, **given) as running,
    ):
        assert told.recv(1000) == b"READY=1"
        assert told.recv(1000).startswith(b"STATUS=open for ")
        code, out, err = running.end(signal.SIGTERM)
        assert (code, out, err) == (0, "", "")
        assert told.recv(1000) == b"STOPPING=1"
        assert told.recv(1000).startswith(b"STATUS=ended")


@pytest.mark.slow
def test_systemd_is_told_what_it_does(tmp_path: Path) -> None:
    name, given = "As a service of systemd", {"NOTIFY_SOCKET": str(tmp_path / "notify")}
    with server() as feed, systemd(tmp_path) as told, program(name, tmp_path, feed, **given):
        assert told.recv(1000) == b"READY=1"
        feed.default = reject(503)
        feed.drop()
        text = ""
        while "503" not in text:
            text = told.recv(1000).decode()
    assert "connection 1 was open" in text and "\n" not in text


def test_without_systemd_it_runs_the_same(tmp_path: Path) -> None:
    with server() as feed, program("As a service of systemd", tmp_path, feed) as running:
        feed.wait_for(lambda feed: feed.connections == 1, timeout=40)
        feed.push("hello")
        assert running.line() == "hello"
        assert running.end(signal.SIGTERM) == (0, "", "")


def test_the_unit_is_one_that_notifies() -> None:
    unit = ConfigParser()
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(PAGE.example("As a service of systemd", language="ini"))
    service = unit["Service"]
    assert service["Type"] == "notify" and service["ExecStart"].endswith("collect.py")
    assert "Environment" in service and "collect.py" in PAGE.example("As a service of systemd")
