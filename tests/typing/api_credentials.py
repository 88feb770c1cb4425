"""The types of ``rxsocket.credentials``, as mypy and pyright see them. It is checked, not run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import assert_type

from rxsocket import Credential, Refreshing, Socket, refreshing
from rxsocket.credentials import (
    FileCredential,
    Unreadable,
    from_env,
    from_file,
    from_files,
    from_keyring,
)


def made(path: Path) -> None:
    assert_type(from_file(path, parse=json.loads, interval=1, settle=0.5), FileCredential)
    assert_type(from_files({"certificate": path, "key": "a.key"}), FileCredential)
    assert_type(from_file("a")(), Credential)
    assert_type(from_env("A"), Callable[[], Credential])
    assert_type(from_keyring("a", "b"), Callable[[], Credential])
    assert_type(refreshing(from_file("a")), Refreshing)
    from_file()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    from_file("a", parse="json")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def used(path: Path) -> None:
    Socket("wss://a", auth=from_file(path))
    Socket("wss://a", auth=from_env("A"))
    with from_file(path).subscribe(lambda credential: print(credential.masked)):
        pass
    from_file(path).errors.subscribe(lambda error: print(error.args))
    error: ValueError = Unreadable("a")
    print(error)
