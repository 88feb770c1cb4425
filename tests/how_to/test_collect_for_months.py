"""The page about collecting: the program, with tokens that change, a lost link and SIGTERM."""

from __future__ import annotations

import re
import signal
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from urllib.request import urlopen

import pytest
from deadlines import stretched
from pages import Page
from ports import free_port
from programs import Program

from rxsocket.testing import accept, server

pytest.importorskip("opentelemetry.exporter.prometheus")
PAGE = Page("collect_for_months")
TOKENS = """
from itertools import count
numbers = count(1)
def fetch_token():
    return {"access_token": f"secret-{next(numbers)}", "expires_in": EXPIRES_IN}
"""


class Collector(Program):
    """The program of the page, as it runs."""

    def __init__(self, folder: Path, url: str, expires_in: float) -> None:
        (folder / "collect.py").write_text(PAGE.example("The program"))
        (folder / "my_tokens.py").write_text(f"EXPIRES_IN = {expires_in}\n{TOKENS}")
        self.port = free_port()
        self._folder = folder
        environ = {"FEED": url, "METRICS_PORT": str(self.port)}
        super().__init__([sys.executable, "collect.py"], folder, **environ)

    def metric(self, name: str) -> float:
        """What Prometheus reads."""
        deadline = time.monotonic() + stretched(20.0)
        while True:
            try:
                with urlopen(f"http://127.0.0.1:{self.port}/metrics") as answer:
                    text = answer.read().decode()
            except OSError:  # it does not listen yet
                text = ""
            assert "secret" not in text
            found = re.findall(rf"^{name}(?:\{{.*\}})? (\S+)$", text, re.MULTILINE)
            if found:
                return float(found[0])
            assert time.monotonic() < deadline, text
            time.sleep(0.05)

    def rows(self) -> list[int]:
        """What is in the database."""
        with closing(sqlite3.connect(self._folder / "trades.db")) as database:
            return [id for (id,) in database.execute("select id from trades order by id")]

    def wait_for_rows(self, number: int) -> None:
        deadline = time.monotonic() + stretched(20.0)
        while not (self._folder / "trades.db").exists() or len(self.rows()) < number:
            assert self.process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)


class Trades:
    """One feed for all its connections: each trade goes to whoever is connected as it is made."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self.last = 0

    def __call__(self) -> str:
        self.last = next(self._numbers)
        return f'{{"id": {self.last}, "price": 1.5}}'


def trades(last: int) -> Iterator[str]:
    return (f'{{"id": {number}, "price": 1.5}}' for number in range(1, last + 1))


def test_everything_is_stored_at_sigterm(tmp_path: Path) -> None:
    """The window that has begun, too."""
    with server() as feed:
        feed.default = accept().send(*trades(700)).stay()
        with Collector(tmp_path, feed.url, 3600) as collector:
            collector.wait_for_rows(500)
            assert collector.end(signal.SIGTERM) == (0, "700 rows stored\n", "")
            assert collector.rows() == [*range(1, 701)]
    assert feed.closes == [(1, 1000, "")]


@pytest.mark.slow
def test_changes_of_the_token_and_a_lost_link(tmp_path: Path) -> None:
    """Nothing double and nothing missing over the changes; the outage shows while it lasts."""
    made = Trades()
    with server() as feed, Collector(tmp_path, feed.url, 7) as collector:
        feed.wait_for(lambda feed: feed.connections == 1, timeout=40)
        began = time.monotonic()
        while len(feed.handshakes) < 3:
            assert time.monotonic() - began < stretched(50.0)
            feed.push(made())
            time.sleep(0.01)
        before = made.last
        feed.stop()
        while collector.metric("rxsocket_outage_seconds") < 1.0:
            time.sleep(0.1)
        code, out, _ = collector.end(signal.SIGTERM)
        assert (code, out) == (0, f"{before} rows stored\n")
        assert collector.rows() == [*range(1, before + 1)]
        assert len({handshake.credential for handshake in feed.handshakes}) >= 3
