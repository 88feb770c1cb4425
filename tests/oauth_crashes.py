"""A program with 50 sockets that is killed while it exchanges refresh tokens (C47)."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from token_server import TokenServer

from rxsocket.oauth import FileStore
from rxsocket.testing import server

__all__ = ["Program", "rotate"]

PROGRAM = Path(__file__).resolve().parent / "oauth_process.py"


class Program:
    """The program, which is started again whenever it was killed, or says that it has to.

    Attributes:
        kills: How often it was killed while a token was exchanged, and at other times.
        logins: How often somebody had to log in.
    """

    def __init__(self, *arguments: object) -> None:
        self._command = [sys.executable, str(PROGRAM), *map(str, arguments)]
        self._running: subprocess.Popen[str] | None = None
        self.kills = [0, 0]
        self.logins = 0

    def start(self) -> None:
        self._running = subprocess.Popen(
            self._command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def kill(self, kind: int) -> None:
        """SIGKILL."""
        assert self._running is not None
        if self._running.poll() is None:
            self.kills[kind] += 1
            self._running.kill()

    def line(self) -> str:
        """What it says next; empty when it was killed."""
        assert self._running is not None and self._running.stdout is not None
        said = self._running.stdout.readline().strip()
        if said in ("", "log in"):
            self.end()
        return said

    def end(self) -> None:
        if self._running is not None:
            self._running.kill()
            self._running.communicate()
            self._running = None


@contextmanager
def running(program: Program) -> Iterator[Program]:
    program.start()
    try:
        yield program
    finally:
        program.end()


def rotate(
    tmp_path: Path, rotations: int, sockets: int, kill_every: int, grace: float
) -> tuple[TokenServer, Program, FileStore]:
    """Let a program exchange refresh tokens, and kill it now and then."""
    path = tmp_path / "token.json"
    store = FileStore(path)
    chance = random.Random(4711)
    with TokenServer(grace=grace) as idp, server() as peer:
        store.save({"refresh_token": idp.log_in()})
        peer.tokens = idp.access_tokens
        program = Program(peer.url, idp.token_url, path, grace, sockets)
        next_kill = chance.randint(1, kill_every)

        def on_rotated() -> None:  # the server has exchanged it, and has not answered yet
            nonlocal next_kill
            if idp.rotations >= next_kill:
                next_kill = idp.rotations + chance.randint(1, 2 * kill_every - 1)
                if chance.random() < 0.5:
                    program.kill(0)
                else:  # somewhere around the answer and the saving of it
                    threading.Timer(chance.random() * 0.02, program.kill, (1,)).start()

        idp.on_rotated = on_rotated
        with running(program):
            while idp.rotations < rotations:
                said = program.line()
                if said == "open":
                    idp.access_tokens.clear()  # all are refused, and race for the next one
                    peer.drop()
                    _until_open(program, idp, rotations, peer, sockets)
                if said != "log in":
                    _check(idp, store, grace)
                else:
                    program.logins += 1
                    store.save({"refresh_token": idp.log_in()})
                if program._running is None:
                    program.start()
        idp.on_rotated = lambda: None
    return idp, program, store


def _until_open(
    program: Program, idp: TokenServer, rotations: int, peer: Any, sockets: int
) -> None:
    """Refuse all of them again as soon as they are open, until the program ends."""
    while idp.rotations < rotations and program._running is not None:
        if program._running.poll() is not None:
            return
        if peer.connections >= sockets:
            idp.access_tokens.clear()
            peer.drop()
        time.sleep(0.002)


def _check(idp: TokenServer, store: FileStore, grace: float) -> None:
    """After a crash the store has the newest token, or says that it may have been used."""
    with store.lock():
        saved = store.load() or {}
        is_newest = saved["refresh_token"] == idp.newest()
    assert is_newest or "presented_at" in saved
