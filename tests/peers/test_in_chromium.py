"""Sockets in a page: Pyodide in headless Chromium, and a real server on loopback (C57)."""

from __future__ import annotations

import io
import json
import shutil
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from rxsocket.testing import accept, server

from .in_pyodide import HERE, NEEDED, SOURCE, pyodide, wheels

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
CHROMIUM = shutil.which("chromium")
TYPES = {".mjs": "text/javascript", ".js": "text/javascript", ".wasm": "application/wasm"}
TYPES |= {".html": "text/html", ".json": "application/json", ".py": "text/plain"}

PROGRAM = """
import asyncio
from js import document
from rxsocket import Backoff, ConnectFailed, Opened, Socket
from rxsocket.notebook import timeline

messages, events = [], []
socket = Socket(
    URL,
    name="feed",
    auth={"token": "initial"},
    backoff=Backoff(first=0.1, base=0.2, cap=0.4, spacing=0.05),
)
timeline(socket)
socket.messages.subscribe(messages.append)
socket.messages.subscribe(lambda message: print("message", message))
socket.events.subscribe(events.append)
socket.events.subscribe(lambda event: print(type(event).__name__))

async def until(condition):
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(repr(events) + repr(messages))

def of(kind):
    return [event for event in events if isinstance(event, kind)]

def draw():
    document.getElementById("card").innerHTML = socket._repr_html_()
    document.getElementById("timeline").innerHTML = timeline(socket).svg()
"""


@contextmanager
def site(program: str) -> Iterator[str]:
    """A site with the page, Pyodide, the wheels, the library and a program; its address."""
    needed = {path.name: path for path in wheels(*NEEDED)}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in (SOURCE / "rxsocket").rglob("*.py"):
            archive.write(path, path.relative_to(SOURCE))
    made = {
        "source.zip": packed.getvalue(),
        "wheels.json": json.dumps([*needed]).encode(),
        "program.py": program.encode(),
        "index.html": (HERE / "chromium_page.html").read_bytes(),
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.partition("?")[0].lstrip("/") or "index.html"
            if name.startswith("pyodide/"):
                body = (pyodide() / Path(name).name).read_bytes()
            elif name in needed:
                body = needed[name].read_bytes()
            elif name in made:
                body = made[name]
            else:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Type", TYPES.get(Path(name).suffix, "application/zip"))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        serving = threading.Thread(target=httpd.serve_forever)
        serving.start()
        try:
            yield f"http://127.0.0.1:{httpd.server_port}/"
        finally:
            httpd.shutdown()
            serving.join()


class InPage:
    """A page with Pyodide in it."""

    def __init__(self, page: Any) -> None:
        self.page = page

    def run(self, program: str) -> Any:
        """Run a program in the page; what its last line is."""
        return self.page.evaluate("program => python.runPythonAsync(program)", program)


@contextmanager
def in_page(program: str) -> Iterator[InPage]:
    """A page that has run a program."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    playwright = pytest.importorskip("playwright.sync_api")
    with site(program) as address, playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            page = browser.new_page(viewport={"width": 1100, "height": 900})
            page.goto(address)
            page.wait_for_function(
                "document.title === 'done' || document.title === 'failed'", timeout=120_000
            )
            assert page.title() == "done", page.inner_text("#log")
            yield InPage(page)
        finally:
            browser.close()


def test_the_story_of_a_first_socket(tmp_path: Path) -> None:
    """C57: a token, messages, a change of token, a refusal, recovery, and the pictures of it."""
    with server(tokens={"initial", "updated"}) as feed:
        feed.default = accept().send("hello", b"\x00\xff").echo()
        with in_page(f"URL = {feed.url!r}\n{PROGRAM}") as mine:
            mine.run("await until(lambda: len(messages) == 2)")
            assert mine.run("repr(messages)") == repr(["hello", b"\x00\xff"])
            mine.run('await socket.set_auth({"token": "updated"})')
            mine.run("await until(lambda: len(of(Opened)) == 2)")
            assert [one.credential for one in feed.handshakes] == ["initial", "updated"]

            feed.tokens = {"late"}
            feed.drop()
            mine.run("await until(lambda: len(of(ConnectFailed)) >= 2)")
            said = mine.run("str(socket.explain())")
            assert "may have refused it" in said and "console of the browser" in said
            assert "updated" not in said
            mine.run('socket.set_auth({"token": "late"})\nawait socket.opened(timeout=10)')
            mine.run('await socket.send("from the page")')
            feed.wait_for(lambda here: any(text == "from the page" for _, text in here.received))
            mine.run('await until(lambda: messages[-1] == "from the page")')

            mine.run("draw()")
            assert mine.page.locator("#card svg, #card table, #card div").count() > 0
            assert mine.page.locator("#timeline svg").count() > 0
            mine.page.screenshot(path=tmp_path / "page.png", full_page=True)
            mine.run('await socket.close(4001, "done")')
            feed.wait_for(lambda here: here.closes[-1][1:] == (4001, "done"))
