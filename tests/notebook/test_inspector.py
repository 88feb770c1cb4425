"""The inspector as somebody at a browser sees it; its widget, as a front end talks to it."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from extras import needs
from test_in_jupyterlab import CHROMIUM, ROOT, opened

from rxsocket import Socket
from rxsocket.notebook import inspect
from rxsocket.testing import VirtualClock, fake

CANARY = "c4n4ry/z0rk+q8x5"
CELL = """
import json, threading, time
from rxsocket import Socket
from rxsocket.notebook import inspect
from rxsocket.testing import server

peer = server(tokens=["c4n4ry/z0rk+q8x5"]).__enter__()
socket = Socket(peer.url, auth={"token": "c4n4ry/z0rk+q8x5"})
held = socket.messages.subscribe(lambda message: None)
socket.opened(10).result()

def feed():
    number = 0
    while True:
        peer.push(json.dumps({"type": "trade", "id": 9007199254740993, "n": number}))
        if number % 20 == 5:
            note = {"type": "note", "text": "x" * 500 + " end", "t": "c4n4ry/z0rk+q8x5"}
            peer.push(json.dumps(note))
        number += 1
        time.sleep(0.05)

threading.Thread(target=feed, daemon=True).start()
inspect(socket)
"""


class FrontEnd:
    """A place in a front end that shows a widget: what it says to it, and hears."""

    def __init__(self, widget: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self._widget = widget
        self.heard: list[dict[str, Any]] = []
        monkeypatch.setattr(widget, "_tell", self.heard.append)

    def say(self, kind: str, **content: Any) -> None:
        self._widget._on_message(None, {"kind": kind, "viewer": "one", **content}, None)

    def last(self, kind: str) -> dict[str, Any]:
        return [told for told in self.heard if told["kind"] == kind][-1]

    def draw(self) -> None:
        self._widget._show(self._widget._draw())


@needs("anywidget")
def test_what_a_front_end_is_told(clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page, then new rows alone; a filter of its own; a pause that keeps what was there."""
    peer = fake()
    link = Socket(peer.url, transport=peer, auth={"token": CANARY})
    panel = inspect(link, keep=20)
    page = FrontEnd(panel.widget, monkeypatch)
    panel.widget.throttle.suspend()
    with link:
        link.messages.subscribe()
        clock.advance(1)
        page.say("look", text="", kinds=["received", "sent", "event"], epoch=None, paused=False)
        page.draw()
        told = page.last("rows")
        assert told["new"] and [row[5] for row in told["rows"]] == ["Connecting", "Opened"]
        peer.push("one", "two", f"x {CANARY}")
        clock.advance(1)
        page.draw()
        told = page.last("rows")
        assert not told["new"] and [row[6] for row in told["rows"]] == ["one", "two", "x ***"]
        count = len(page.heard)
        page.draw()
        assert [one["kind"] for one in page.heard[count:]] in ([], ["status"])
        page.say("look", text="TWO", kinds=["received"], epoch=1, paused=True, until=4)
        assert [row[6] for row in page.last("rows")["rows"]] == ["two"]
        number = page.last("rows")["rows"][0][0]
        for _ in range(30):
            peer.push("later")
            clock.advance(1)
        page.draw()
        assert panel.traffic.entry(number) is None
        page.say("open", number=number)
        assert page.last("message")["text"] == "two"
        page.say("look", text="", kinds=["received"], epoch=None, paused=False)
        page.draw()
        assert len(page.last("rows")["rows"]) == 20
        page.say("open", number=number)
        assert "not kept any more" in page.last("message")["error"]
        for _ in range(400):
            peer.push("flood")
        clock.advance(1)
        page.draw()
        assert CANARY not in f"{page.heard}{panel.widget.get_state()}"
    clock.advance(3)
    panel.widget.close()


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[str]:
    """The address of a notebook in a JupyterLab of its own."""
    import nbformat

    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(book, tmp_path / "feed.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folders = ("CONFIG_DIR", "RUNTIME_DIR", "DATA_DIR")
    env = {f"JUPYTER_{name}": str(tmp_path / name.lower()) for name in folders}
    env |= {f"JUPYTERLAB_{name}_DIR": str(tmp_path / name) for name in ("SETTINGS", "WORKSPACES")}
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
                *(f"--port={port}", "--ServerApp.token=", f"--ServerApp.root_dir={tmp_path}"),
                *("--LabApp.news_url=None", "--ServerApp.password="),
            ],
            env={**os.environ, **env, "PYTHONDEVMODE": "", "PYTHONPATH": str(ROOT)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            for _ in range(200):
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    time.sleep(0.1)
            yield f"http://127.0.0.1:{port}/lab/tree/feed.ipynb"
        finally:
            process.terminate()
            process.wait(20)


@needs("playwright", "jupyterlab", "anywidget", "nbformat")
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_in_a_browser(lab: str, tmp_path: Path) -> None:
    """Rows come, pause holds, search finds, a click shows all, copy copies, sending works."""
    with opened(lab, 1200) as page:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.locator(".jp-CodeCell .jp-InputArea-editor").click()
        page.keyboard.press("Control+Enter")
        panel = page.locator(".rxi").first
        rows = panel.locator(".rxi-rows .rxi-row:visible")
        panel.get_by_text("trade").first.wait_for(timeout=90_000)

        panel.get_by_role("button", name="hold the rows still").click()
        panel.get_by_text("paused: what comes").wait_for(timeout=30_000)
        page.wait_for_timeout(1000)
        before = rows.last.inner_text()
        page.wait_for_timeout(1500)
        assert rows.last.inner_text() == before, "pause does not hold"

        panel.get_by_label("search in whole messages").fill("x end")
        page.wait_for_function(
            "() => { const all = [...document.querySelectorAll('.rxi-rows .rxi-row')]"
            ".filter((one) => one.style.display !== 'none');"
            " return all.length && all.every((one) => one.innerText.includes('note')); }",
            timeout=60_000,
        )
        rows.last.click()
        whole = panel.locator(".rxi-whole")
        whole.get_by_text("***").first.wait_for(timeout=30_000)
        panel.get_by_role("button", name="copy the whole message").click()
        panel.get_by_text("copied").first.wait_for(timeout=30_000)
        copied = page.evaluate("navigator.clipboard.readText()")
        assert re.fullmatch(r'{"type": "note", "text": "x{500} end", "t": "\*\*\*"}', copied)

        panel.get_by_label("search in whole messages").fill('"trade"')
        page.wait_for_timeout(1500)
        panel.get_by_label("messages and events").focus()
        page.keyboard.press("End")
        page.keyboard.press("Enter")
        whole.get_by_text("9007199254740993").first.wait_for(timeout=30_000)

        line = panel.get_by_label("send a message")
        line.fill('{"op": "hello"}')
        line.press("Enter")
        panel.get_by_text("sent on connection 1").wait_for(timeout=30_000)
        assert page.locator(".rxi-rows .rxi-row").count() < 100, "rows out of sight are in the page"
        assert CANARY not in panel.inner_html()
        page.screenshot(path=str(tmp_path / "inspector.png"))
        print(f"screenshots: {tmp_path}")

        panel.get_by_label("search in whole messages").fill("")
        panel.get_by_role("button", name="go on with what is new").click()
        panel.get_by_role("button", name="close the message").click()
        page.locator(".jp-CodeCell .jp-InputArea-editor").click()
        page.keyboard.press("Control+s")
        page.wait_for_timeout(3000)
        saved = (tmp_path / "feed.ipynb").read_text(encoding="utf-8")
        assert "received" in saved
        assert saved.count("c4n4ry") == saved.count("c4n4ry/z0rk+q8x5") == CELL.count("c4n4ry")
