"""Card and timeline in marimo, in Chromium: they are live there, too (C54)."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from extras import needs

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium")

pytestmark = [
    needs("playwright", "marimo", "anywidget"),
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]

NOTEBOOK = """
import marimo
app = marimo.App()

@app.cell
def _():
    import json, threading, time
    from rxsocket import Socket
    from rxsocket.notebook import timeline
    from rxsocket.testing import server
    peer = server(tokens=["first-token"]).__enter__()
    socket = Socket(peer.url, auth={"token": "first-token"}, name="prices")
    held = socket.messages.subscribe(lambda message: None)
    def feed():
        number = 0
        while True:
            peer.push(json.dumps({"n": number}))
            number += 1
            time.sleep(0.02)
    threading.Thread(target=feed, daemon=True).start()
    return socket, timeline

@app.cell
def _(socket):
    socket
    return

@app.cell
def _(socket, timeline):
    timeline(socket)
    return

if __name__ == "__main__":
    app.run()
"""


@pytest.fixture
def app(tmp_path: Path) -> Iterator[str]:
    """The address of a notebook that marimo serves."""
    path = tmp_path / "feed.py"
    path.write_text(NOTEBOOK)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "marimo", "run", "--headless", "--no-token"),
                *("--port", str(port), str(path)),
            ],
            env={**os.environ, "PYTHONDEVMODE": "", "PYTHONPATH": str(ROOT)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            for _ in range(300):
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(20)


def test_pictures_in_marimo(app: str, tmp_path: Path) -> None:
    """C54: they change by themselves, can be held still, and their buttons act."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            page = browser.new_page(viewport={"width": 1200, "height": 1000})
            page.goto(app, timeout=90_000)
            row = page.locator("tr", has_text="messages")
            row.get_by_text("in all").wait_for(timeout=90_000)
            page.locator("svg[role=img]").first.wait_for(timeout=90_000)
            seen: set[str] = set()
            end = time.monotonic() + 60
            while len(seen) < 4:
                assert time.monotonic() < end, "the card does not live"
                seen.add(row.inner_text())
                page.wait_for_timeout(300)
            page.get_by_role("button", name="hold the picture still").first.click()
            before = row.inner_text()
            page.wait_for_timeout(2000)
            assert row.inner_text() == before
            page.get_by_role("button", name="go on").first.click()
            page.get_by_role("button", name="close the socket").click()
            page.get_by_text("close() was called").first.wait_for(timeout=60_000)
            page.screenshot(path=str(tmp_path / "marimo.png"))
            print(f"screenshots: {tmp_path}")
        finally:
            browser.close()
