"""A credential in a file that somebody else exchanges: Kubernetes, SPIFFE, an operator (C47).

::

    the file      1-----------2.......2-----------x-------3------
    from_file     1--------------------2------------------3------
    errors        -------------------------------"missing"-------

The file is looked at again and again, every ``interval``: that is a call of ``stat``, which works
on every file system. Notices of the kernel do not come for network file systems and most volumes of
containers, and would have to be asked for on each folder that a symbolic link on the way leads to.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from reactivex import abc

from rxsocket.auth.credentials import Credential
from rxsocket.credentials.reading import FileContent, Identity, Unreadable, content_of, identity_of
from rxsocket.explain.format import amount
from rxsocket.runtime.loop import SocketLoop
from rxsocket.runtime.refcount import RefCount
from rxsocket.runtime.reporting import report_to_log
from rxsocket.runtime.threads import log, run_blocking
from rxsocket.streams.multicast import Hub
from rxsocket.streams.replay import ReplayHub
from rxsocket.streams.stream import Stream
from rxsocket.validation import function, is_mapping, seconds

FilePath: TypeAlias = str | os.PathLike[str]

PATIENCE = 1.0
"""Seconds that a call waits for a file that is being written."""


class _Files:
    """Some files, and what a credential is made of their texts.

    Args:
        paths: The files, by the name of what each holds.
        make: Makes a credential of the texts. What it raises is not shown: it may quote one.
        settle: Seconds in which a file is not changed that somebody has finished writing.
    """

    def __init__(
        self,
        paths: Mapping[str, Path],
        make: Callable[[dict[str, str]], Credential],
        settle: float,
    ) -> None:
        self._paths = paths
        self._make = make
        self.settle = settle
        self._seen: tuple[list[Identity], float] | None = None
        self.taken: list[Identity] | None = None

    def is_changed(self) -> bool:
        """Whether there is something else than what was taken."""
        return self.taken != [identity_of(path) for path in self._paths.values()]

    def take(self) -> Credential | None:
        """The credential in them; ``None`` if one of them may still be being written.

        Raises:
            Unreadable: If there is none.
        """
        contents = {name: content_of(path) for name, path in self._paths.items()}
        identities = [content.identity for content in contents.values()]
        if identities != [identity_of(path) for path in self._paths.values()]:
            return None  # one was exchanged while another one was read
        if not self._are_settled(contents, identities):
            return None
        for name, content in contents.items():
            if not content.text:
                raise Unreadable(f"{self._paths[name]} is empty")
        made = self._make({name: content.text for name, content in contents.items()})
        self.taken = identities
        return made

    def wait_and_take(self) -> Credential:
        """Likewise; a file that is being written is waited for, a second at most.

        Raises:
            Unreadable: If there is none.
        """
        deadline = time.monotonic() + max(PATIENCE, 2 * self.settle)
        while True:
            failure = f"{', '.join(map(str, self._paths.values()))}: being written"
            try:
                taken = self.take()
            except Unreadable as error:
                failure, taken = str(error), None
            if taken is not None:
                return taken
            if time.monotonic() >= deadline or not self._may_come():
                raise Unreadable(failure)
            time.sleep(max(0.01, self.settle / 2))

    def _may_come(self) -> bool:
        """Whether what is there was written just now, so that there may be more in a moment."""
        now = time.time()
        return any(self._age(path, now) < PATIENCE for path in self._paths.values())

    def _age(self, path: Path, now: float) -> float:
        identity = identity_of(path)
        return float("inf") if identity is None else abs(now - identity[3] / 1e9)

    def _are_settled(self, contents: Mapping[str, FileContent], identities: list[Identity]) -> bool:
        """Whether they were not changed for so long, by the file's clock or by ours."""
        now, moment = time.time(), time.monotonic()
        if all(now - one.changed_at >= self.settle for one in contents.values()):
            return True
        seen = self._seen
        if seen is None or seen[0] != identities:
            self._seen = identities, moment
            return False
        return moment - seen[1] >= self.settle


class FileCredential(Stream[Credential]):
    """An Observable of what a file holds, masked; called, it reads the file; see :func:`from_file`.

    It looks at the file while it has subscribers. A late one gets the current credential first. It
    does not fail and does not complete. Its observers are called on one loop: the one that runs
    where it is first subscribed to, else a background thread (rule C24, delivery).

    Attributes:
        errors: Why there is nothing new, each reason once, as ``Unreadable``. Subscribing starts
            nothing.
        problem: Why there is nothing new now, in words; empty while nothing is wrong. A socket has
            it in ``explain()`` until there is a credential.
    """

    def __init__(self, name: str, files: Callable[[], _Files], interval: float) -> None:
        self.__qualname__ = name  # what a provider is called in errors
        self._new_files = files
        self._files = files()
        self._interval = interval
        self._loop = loop = SocketLoop()
        report = report_to_log(loop.exit_later)
        self._credentials: Hub[Credential] = ReplayHub(
            name, loop, report, self._replayed, self._connect, for_all=True
        )
        self._errors: Hub[Exception] = Hub("errors", loop, report)
        super().__init__(self._credentials)
        self.errors: Stream[Exception] = Stream(self._errors)
        self._references = RefCount(loop, self._start, self._stop)
        self._task: asyncio.Task[None] | None = None
        self._current: Credential | None = None
        self.problem = ""

    def __repr__(self) -> str:
        observers = amount(self._credentials.observer_count, "observer")
        return f"<{type(self).__name__} {self.__qualname__}: {observers}>"

    def __call__(self) -> Credential:
        """Read it now; may block for a second, while it is being written.

        Raises:
            Unreadable: If there is no credential in it.
        """
        return self._new_files().wait_and_take()

    def _connect(self) -> abc.DisposableBase:
        return self._references.acquire()

    def _replayed(self) -> list[Credential]:
        if self._task is None and self._files.is_changed():
            self._look()  # nobody has looked for it since the last one left
        return [] if self._current is None else [self._current]

    def _start(self) -> None:
        if self._task is None:
            self._task = self._loop.event_loop.create_task(self._watch())

    def _stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._loop.release(lambda: not self._references.is_used)

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        soon = min(self._files.settle, self._interval)
        wait = soon if self._files.is_changed() else self._interval
        while True:
            await asyncio.sleep(wait)
            wait, before = self._interval, self._current
            if not await run_blocking(loop, self._files.is_changed):
                self.problem = ""
            elif await run_blocking(loop, self._look):
                wait = soon
            if self._current is not None and self._current != before:
                self._loop.run(partial(self._credentials.emit, self._current))

    def _look(self) -> bool:
        """Take what is there; return whether it may be there in a moment."""
        try:
            taken = self._files.take()
        except Unreadable as error:
            self._on_problem(error)
            return False
        if taken is None:
            return True
        self._current, self.problem = taken, ""
        return False

    def _on_problem(self, error: Unreadable) -> None:
        if str(error) == self.problem:
            return
        self.problem = str(error)
        goes_on = "no credential yet" if self._current is None else "the last one is kept"
        text = "%s; %s, and it is looked at again every %g s"
        log(logging.WARNING, text, error, goes_on, self._interval)
        self._loop.run(lambda: self._errors.emit(error.with_traceback(None)))


def from_file(
    path: FilePath,
    *,
    parse: Callable[[str], Any] | None = None,
    interval: float = 2.0,
    settle: float = 0.2,
) -> FileCredential:
    """The credential in a file, and each one that takes its place
    (rule C47, OAuth and secrets that rotate).

    As ``auth=`` it is an Observable: a connection follows each change by ``on_auth_change``. It is
    a function, too, which reads the file: so it goes into ``refreshing()``, which fetches ahead of
    the ``exp`` of a JSON Web Token and counts what follows as the same identity
    (rule C14, identity), and is what ``client_secret=`` of ``rxsocket.oauth`` takes.

    What is blank around the text is left out. A file that is missing, empty, not UTF-8, not what
    ``parse`` takes, or that is still being written, changes nothing: that is said on ``errors`` and
    in the log, once, and the file is looked at again. A writer that stops for longer than
    ``settle`` in the middle of a text is not noticed: let it write another file and rename that,
    as Kubernetes does.

    Args:
        path: The file; ``~`` is the user's home, and symbolic links are followed at each look.
        parse: Makes a credential of the text, such as ``json.loads``; default: it is the text.
            What it raises means that the file is not whole.
        interval: Seconds between two looks.
        settle: Seconds in which the file is not changed before it is taken.

    Raises:
        TypeError: If an argument is of a wrong type.
        ValueError: If a number is negative, or ``interval`` is 0.

    Examples:
        >>> Socket(url, auth=from_file("/var/run/secrets/tokens/feed"), on_auth_change=handover())
        >>> from_file("login.json", parse=lambda text: json.loads(text)["access_token"])
    """
    made = function("from_file(parse)", parse) if parse is not None else None
    where = _path("from_file(path)", path)

    def make(texts: dict[str, str]) -> Credential:
        return _made(texts["text"], made, f"what {where} holds")

    name, wait = f"from_file({str(where)!r})", seconds("from_file(settle)", settle)
    every = _interval("from_file(interval)", interval)
    return FileCredential(name, lambda: _Files({"text": where}, make, wait), every)


def from_files(
    paths: Mapping[str, FilePath], *, interval: float = 2.0, settle: float = 0.2
) -> FileCredential:
    """A credential of several files, which are taken together
    (rule C47, OAuth and secrets that rotate).

    It is a mapping of the same names to the texts. When one of them is exchanged while another one
    is read, all are read again: a certificate goes with its key.

    Args:
        paths: The files, by name.
        interval: As of :func:`from_file`.
        settle: Likewise.

    Raises:
        TypeError: If an argument is of a wrong type.
        ValueError: If there is no file, a number is negative, or ``interval`` is 0.

    Examples:
        >>> svid = from_files({"certificate": "svid.pem", "key": "svid_key.pem"})
        >>> Socket(url, auth=svid, carrier=client_certificate(), identity=lambda _: "me")
    """
    if not is_mapping(paths):
        raise TypeError(
            "from_files(paths): pass a mapping such as {'certificate': 'a.pem', 'key': 'a.key'}, "
            f"not {type(paths).__name__}"
        )
    if not paths:
        raise ValueError("from_files(paths): it is empty; pass at least one file")
    found = {name: _path(f"from_files(paths[{name!r}])", path) for name, path in paths.items()}
    shown = ", ".join(map(str, found.values()))
    name, wait = f"from_files({shown!r})", seconds("from_files(settle)", settle)

    def make(texts: dict[str, str]) -> Credential:
        return _made(texts, None, f"what {shown} hold")

    every = _interval("from_files(interval)", interval)
    return FileCredential(name, lambda: _Files(found, make, wait), every)


def _made(text: Any, parse: Callable[[str], Any] | None, what: str) -> Credential:
    failure: str
    if parse is not None:
        try:
            text = parse(text)
        except Exception as error:
            failure = f"{what} is not what parse= takes, or half of it: {type(error).__name__}"
        else:
            return _made(text, None, f"what parse= made of {what}")
        raise Unreadable(failure)
    try:
        made = Credential.of(text, what)
    except (TypeError, ValueError) as error:
        failure = str(error)
    else:
        if made.known:
            return made
        failure = f"{what} is no credential"
    raise Unreadable(failure)


def _path(argument: str, path: Any) -> Path:
    if path == "" or not isinstance(path, (str, os.PathLike)):
        kind = "an empty text" if path == "" else type(path).__name__
        raise TypeError(f"{argument}: pass the path of a file, not {kind}")
    return Path(os.path.expanduser(path))  # pyright: ignore[reportUnknownArgumentType]


def _interval(argument: str, value: Any) -> float:
    every = seconds(argument, value)
    if not every:
        raise ValueError(f"{argument}: pass a number of seconds that is more than 0, not {value}")
    return every
