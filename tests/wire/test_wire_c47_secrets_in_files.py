"""C47 on real connections and real files: written whole, in halves, renamed, and by threads."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from pathlib import Path

from rxsocket import Opened, Socket
from rxsocket.credentials import from_file
from rxsocket.testing import server

from .wire_helpers import Inbox, Watch, quick


def replace(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(text)
    new.rename(path)


def test_a_writer_that_pauses_in_the_middle(tmp_path: Path) -> None:
    """C47: what is there in between is never used, whichever moment is looked at."""
    path = tmp_path / "token.json"
    replace(path, json.dumps({"token": "first"}))
    source = from_file(path, parse=json.loads, interval=0.02, settle=0.05)
    with server() as peer:
        socket = Socket(peer.url, auth=source, backoff=quick())
        watch = Watch(socket)
        watch.wait(Opened)
        text = json.dumps({"token": "second"})
        with path.open("w") as file:
            for letter in text:
                file.write(letter)
                file.flush()
                time.sleep(0.01)
        watch.wait(Opened, 2)
        assert [one.credential for one in peer.handshakes] == ["first", "second"]
        socket.close().result(5)


def test_readers_and_a_writer_race(tmp_path: Path) -> None:
    """C47: 200 exchanges while three sockets and a thread read: each credential is one of them."""
    path = tmp_path / "token"
    replace(path, "token-0")
    source = from_file(path, interval=0.005, settle=0.0)
    got = Inbox()
    following = source.subscribe(got)
    read: list[str] = []
    stop = threading.Event()

    def reading() -> None:
        while not stop.is_set():
            read.append(str(source().reveal()))

    thread = threading.Thread(target=reading)
    with server() as peer:
        sockets = [Socket(peer.url, auth=source, backoff=quick()) for _ in range(3)]
        watches = [Watch(socket) for socket in sockets]
        thread.start()
        for number in range(1, 201):
            replace(path, f"token-{number}")
            time.sleep(0.001)
        got.until(lambda values: values and values[-1].reveal() == "token-200")
        stop.set()
        thread.join()
        known = {f"token-{number}" for number in range(201)}
        assert {str(one.reveal()) for one in got.values} | set(read) <= known
        numbers = [int(str(one.reveal())[6:]) for one in got.values]
        assert numbers == sorted(set(numbers))
        for watch in watches:
            watch.until(lambda _: watch.socket.auth.value.reveal() == "token-200")  # noqa: B023
            watch.socket.close().result(5)
    following.dispose()


def test_it_goes_on_under_the_next_loop(tmp_path: Path) -> None:
    """C47: one that was used in a loop that has ended is used in another one."""
    path = tmp_path / "token"
    source = from_file(path, interval=0.02, settle=0.0)

    async def first_of() -> str:
        got: asyncio.Queue[str] = asyncio.Queue()
        with source.subscribe(lambda one: got.put_nowait(str(one.reveal()))):
            return await asyncio.wait_for(got.get(), 10)

    for text in ("one", "two"):
        replace(path, text)
        assert asyncio.run(first_of()) == text
