"""Card and timeline as somebody at a browser sees them: JupyterLab on loopback, Chromium."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from extras import needs

ROOT = Path(__file__).parents[2]
FIRST = "01_first_socket.ipynb"
CHROMIUM = shutil.which("chromium")

pytestmark = [
    needs("playwright", "jupyterlab", "anywidget", "nbformat"),
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]

CONNECT = """
import json, threading, time
from rxsocket import Socket
from rxsocket.notebook import timeline
from rxsocket.testing import server

peer = server(tokens=["first-token", "second-token"]).__enter__()
socket = Socket(peer.url, auth={"token": "first-token"})
held = socket.messages.subscribe(lambda message: None)

def feed():
    number = 0
    while True:
        peer.push(json.dumps({"n": number}))
        number += 1
        time.sleep(0.02)

threading.Thread(target=feed, daemon=True).start()
socket
"""
CHANGE = 'socket.set_auth({"token": "second-token"}).result(5)'
COUNT = (
    "from ipywidgets import Widget\n"
    "widgets = list(__import__('ipywidgets').widgets.widget._instances.values())\n"
    "throttles = [w.throttle for w in widgets if hasattr(w, 'throttle')]\n"
    "print('drawings', sum(t.drawings for t in throttles),"
    " 'active', sum(t.is_active for t in throttles))"
)
SPACER = "print('\\n' * 120)"


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[str]:
    """The address of a folder in a JupyterLab of its own, with two notebooks."""
    import nbformat

    cells = [CONNECT, "timeline(socket)", CHANGE, SPACER, COUNT]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in cells])
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(book, tmp_path / "feed.ipynb")
    first = nbformat.read(ROOT / "notebooks" / FIRST, as_version=4)
    for one in first.cells:
        if one.cell_type == "code":
            one.outputs, one.execution_count = [], None
    nbformat.write(first, tmp_path / FIRST)
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
            yield f"http://127.0.0.1:{port}/lab/tree"
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:  # a kernel that is just starting keeps it waiting
                process.kill()
                process.wait(10)


@contextmanager
def opened(address: str, height: int) -> Iterator[Any]:
    """A notebook in a browser, with its kernel."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            page = browser.new_page(viewport={"width": 1200, "height": height})
            page.goto(address, timeout=90_000)
            page.wait_for_selector(".jp-CodeCell", timeout=90_000)
            page.wait_for_selector("text=Python 3 (ipykernel)", timeout=60_000)
            yield page
        finally:
            browser.close()


def test_pictures_in_jupyterlab(lab: str, tmp_path: Path) -> None:
    """They are drawn under their own cells, live, zoom, and rest when they are out of sight."""
    with opened(f"{lab}/feed.ipynb", 1200) as page:
        look(page, tmp_path)


def test_a_picture_can_be_held_and_is_saved(lab: str, tmp_path: Path) -> None:
    """C54: numbers are the server's, a paused picture stays, what is saved is filled.

    The past stays where it is; after a restart the pictures say that nobody answers.
    """
    with opened(f"{lab}/feed.ipynb", 1400) as page:
        cell = page.locator(".jp-CodeCell")
        cell.nth(0).locator(".jp-InputArea-editor").click()
        page.keyboard.press("Escape")
        for _ in range(2):
            page.keyboard.press("Shift+Enter")
        card, picture = (cell.nth(n).locator(".jp-OutputArea") for n in (0, 1))
        row = card.locator("tr", has_text="messages")
        row.get_by_text("in all").wait_for(timeout=90_000)
        hold(page, card)
        stay(page, picture)
        come_back(page, cell, row)
        page.screenshot(path=str(tmp_path / "card.png"))
        for kind, filled in (("text/html", r"[1-9][\d,]* in all"), ("image/svg+xml", "mean ")):
            end = time.monotonic() + 60
            while not re.search(filled, saved(page, tmp_path / "feed.ipynb", kind)):
                assert time.monotonic() < end, f"{kind} is not saved as it was seen"
                page.wait_for_timeout(1000)
        page.get_by_role("menuitem", name="Kernel", exact=True).click()
        page.get_by_role("menuitem", name=re.compile("^Restart Kernel…")).first.click()
        page.locator(".jp-Dialog .jp-mod-accept").click()
        card.get_by_text(re.compile(r"as of \d\d:\d\d:\d\d; the kernel is gone")).wait_for(
            timeout=60_000
        )
        assert card.get_by_role("button", name="hold the picture still").is_disabled()
        page.screenshot(path=str(tmp_path / "after a restart.png"))
        print(f"screenshots: {tmp_path}")


def hold(page: Any, card: Any) -> None:
    """Pause the card, look at a message as a whole, copy it, and go on."""
    row = card.locator("tr", has_text="messages")
    card.get_by_role("button", name="hold the picture still").click()
    before = row.inner_text()
    page.wait_for_timeout(12_000)  # longer than it takes until what is saved is refreshed
    assert row.inner_text() == before
    card.get_by_role("button", name="show this message whole").first.click()
    card.locator("pre").wait_for(timeout=30_000)
    assert re.fullmatch(r'\{"n": \d+\}', card.locator("pre").inner_text())
    card.get_by_role("button", name="copy this text").click()
    card.get_by_role("button", name="copy this text").get_by_text("copied").wait_for()
    card.get_by_role("button", name="go on").click()
    row.locator(f"td:not(:text-is({before.split(chr(9))[-1]!r}))").wait_for(timeout=30_000)


def stay(page: Any, picture: Any) -> None:
    """Look at the past, which stays where it is."""
    picture.get_by_role("button", name="the last 10 seconds").click()
    picture.get_by_role("button", name="earlier (drag)").click()
    page.wait_for_timeout(1500)
    times = picture.locator("svg[role=img] > text", has_text="–").first
    before = times.text_content()
    page.wait_for_timeout(3000)
    assert times.text_content() == before


def come_back(page: Any, cell: Any, row: Any) -> None:
    """Scroll away and back: the number is that of the server, which counts on."""
    cell.nth(3).locator(".jp-InputArea-editor").click()
    page.keyboard.press("Shift+Enter")
    page.wait_for_timeout(3000)
    cell.nth(0).scroll_into_view_if_needed()
    count = "print('of the server', socket.stats.messages_received)"
    cell.nth(4).locator(".jp-InputArea-editor").click()
    page.keyboard.press("Control+a")
    page.keyboard.type(count)
    page.keyboard.press("Control+Enter")
    counted = cell.nth(4).locator(".jp-OutputArea").get_by_text("of the server")
    counted.wait_for(timeout=60_000)
    least = int(counted.inner_text().split()[-1])
    cell.nth(0).scroll_into_view_if_needed()
    end = time.monotonic() + 30
    while int(re.findall(r"([\d,]+) in all", row.inner_text())[0].replace(",", "")) < least:
        assert time.monotonic() < end, "the card does not count what it did not see"
        page.wait_for_timeout(200)


def saved(page: Any, path: Path, kind: str) -> str:
    """What the notebook has saved of one type."""
    import nbformat

    page.keyboard.press("Control+s")
    page.wait_for_timeout(1000)
    cells = nbformat.read(path, as_version=4).cells
    outputs = [one for cell in cells if cell.cell_type == "code" for one in cell.outputs]
    return "".join(str(one.get("data", {}).get(kind, "")) for one in outputs)


def test_the_first_notebook(lab: str, tmp_path: Path) -> None:
    """All its cells run, twice; the pictures are under theirs, and nothing is there twice."""
    import nbformat

    with opened(f"{lab}/{FIRST}", 4500) as page:
        cells = page.locator(".jp-CodeCell")
        count = sum(one.cell_type == "code" for one in nbformat.read(tmp_path / FIRST, 4).cells)
        cells.nth(count - 1).wait_for(timeout=90_000)
        for run in (1, 2):
            page.get_by_role("menuitem", name="Run", exact=True).click()
            page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
            last = cells.nth(count - 1).locator(".jp-OutputArea-prompt")
            last.get_by_text(f"[{run * count}]:").wait_for(timeout=60_000)
            card = cells.filter(has_text=re.compile(r"^\[\d+\]:\s*socket\s*pause")).first
            # It is live: it says now what came after its cell.
            card.get_by_text("close() was called").wait_for(timeout=60_000)
            assert card.get_by_text("token=***").count() == 1
            assert page.locator("svg[role=img]").count() == 1
            page.locator("svg text", has_text="connection 2").wait_for(timeout=60_000)
            received = re.compile(r"^\['disconnected',\s+'connected',\s+'tick 1',")
            assert page.locator("pre", has_text=received).count() == 1
            assert not page.locator("[data-mime-type='application/vnd.jupyter.stderr']").count()
            assert not page.locator("[data-mime-type='application/vnd.jupyter.error']").count()
            page.screenshot(path=str(tmp_path / f"the first notebook, run {run}.png"))
        print(f"screenshots: {tmp_path}")


def look(page: Any, folder: Path) -> None:
    cell = page.locator(".jp-CodeCell")
    cell.nth(0).locator(".jp-InputArea-editor").click()
    page.keyboard.press("Escape")
    for _ in range(3):
        page.keyboard.press("Shift+Enter")
    card, picture = cell.nth(0).locator(".jp-OutputArea"), cell.nth(1).locator(".jp-OutputArea")
    card.get_by_text("token=***").wait_for(timeout=90_000)
    picture.locator("text", has_text="2 · token=***").wait_for(timeout=90_000)
    assert picture.locator("text", has_text="new credential").count() == 1

    rate = card.locator("tr", has_text="messages")
    texts = set()
    for _ in range(8):
        texts.add(rate.inner_text())
        page.wait_for_timeout(300)
    assert len(texts) >= 4, "the card does not live"

    picture.get_by_title("the last 10 seconds").click()
    picture.locator("text", has_text="10 s").wait_for(timeout=60_000)
    assert picture.locator("svg[role=img]").count() == 1
    page.screenshot(path=str(folder / "card and timeline.png"))
    print(f"screenshots: {folder}")

    # Out of sight: the cell after them fills the window.
    cell.nth(3).locator(".jp-InputArea-editor").click()
    page.keyboard.press("Shift+Enter")
    page.wait_for_timeout(1500)
    cell.nth(4).scroll_into_view_if_needed()
    counts = []
    for _ in range(2):
        cell.nth(4).locator(".jp-InputArea-editor").click()
        page.keyboard.press("Control+Enter")
        page.wait_for_timeout(2500)
        counts.append(cell.nth(4).locator(".jp-OutputArea").inner_text())
    assert "active 0" in counts[1]
    assert counts[0] == counts[1], "what nobody sees is drawn"
