"""A program with 50 sockets and one refresh token, to be killed at any moment.

``python tests/oauth_process.py WEBSOCKET TOKEN_URL STORE GRACE_PERIOD SOCKETS``. It prints
``open`` when all are open, and ``log in`` when somebody has to.
"""

from __future__ import annotations

import sys
import threading

from rxsocket import Backoff, Socket, SourceFailed, Unauthorized, refreshing
from rxsocket.events import Rejected
from rxsocket.oauth import FileStore, refresh_token


def main(url: str, token_url: str, path: str, grace: float, count: int) -> None:
    provider = refresh_token(
        token_url, "me", "client-s3cret", store=FileStore(path), grace_period=grace
    )
    tokens = refreshing(provider)
    done = threading.Event()
    waiting = threading.Semaphore(0)

    def on_event(event: object) -> None:
        error = getattr(event, "error", None)
        if isinstance(event, (Rejected, SourceFailed)) and isinstance(error, Unauthorized):
            done.set()

    quick = Backoff(first=0.01, base=0.01, cap=0.02, spacing=0.0)
    sockets = [Socket(url, auth=tokens, backoff=quick, stable_after=0.02) for _ in range(count)]
    for socket in sockets:
        socket.events.subscribe(on_event)
        socket.opens.subscribe(lambda _: waiting.release())
    threading.Thread(target=_tell, args=(waiting, count), daemon=True).start()
    done.wait()
    print("log in", flush=True)


def _tell(waiting: threading.Semaphore, count: int) -> None:
    for _ in range(count):
        waiting.acquire()
    print("open", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4]), int(sys.argv[5]))
