"""Stores records in a stream of NATS JetStream, which knows them again by their ids (C40).

The client's own ``publish_async`` makes a random name, a semaphore's turn, a future and a
dictionary for each message. It takes more than twice the processor time of its ``publish`` with an
inbox of ours for the answers, and 20,000 messages a second would take more than one processor.
``tests/benchmarks/sinks.py`` measures both. Connections, and coming back, are the client's.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import msgspec

from rxsocket.sinks.brokers import BrokerAddress, missing
from rxsocket.sinks.records import Duplicate, Failed, Outcome, Record, Stored
from rxsocket.sinks.sink import Sink, SinkUnavailable
from rxsocket.validation import function_of_one_or_none, more_than_zero

_NAME = re.compile(r"[^\s.*>/\\\x00-\x1f\x7f]+")
_UNSAFE = re.compile(r"[\s*>%\x00-\x1f\x7f]")
MOST_SUBJECTS = 10_000
"""Keys whose subject is kept."""
RECONNECT_WAIT = 1.0
"""Seconds between two attempts of the client's to connect again."""


def jetstream(
    url: str,
    stream: str,
    *,
    subject: Callable[[Record], str] | None = None,
    create: bool = False,
    duplicate_window: float = 120.0,
    timeout: float = 10.0,
    **options: Any,
) -> Sink:
    """A stream of NATS JetStream as a sink for :func:`into`; it needs ``rxsocket[nats]``.

    Records with an id are stored once, as far as the stream remembers ids: for its
    ``duplicate_window``, 2 minutes unless set. So let ``into(retry_for=)`` be shorter than that.
    Those without an id may be stored twice, if an answer is lost.

    It connects when it is used first. A server that cannot be reached then within ``timeout``, and
    a stream that is missing, is a :class:`SinkUnavailable`.

    Args:
        url: Address of the server, or of one of a cluster, which tells the others.
        stream: Name of the stream.
        subject: Says what a record is published to; default: the stream's name, a dot and the
            record's key, in which what a subject cannot hold is percent-encoded.
        create: Whether a stream that is missing is made, with a ``duplicate_window``, files as its
            storage, and no limits.
        duplicate_window: Seconds for which a stream that is made remembers ids.
        timeout: Seconds that connecting, and an answer, may take.
        options: What ``nats.connect`` takes besides: ``user_credentials=``, ``tls=``, ...

    Raises:
        TypeError: If an argument is of a wrong type.
        ValueError: If one cannot be used.
        ModuleNotFoundError: If ``nats-py`` is not installed.

    Examples:
        >>> sink = jetstream("nats://127.0.0.1:4222", "TRADES", create=True)
        >>> socket.messages.pipe(into(sink, id=lambda trade: trade["id"])).subscribe()
    """
    address = BrokerAddress(
        url, ("nats", "tls", "ws", "wss"), options, own=("servers", "error_cb", "disconnected_cb")
    )
    if not isinstance(stream, str):
        raise TypeError(f"stream: pass the name of a stream, not {type(stream).__name__}")
    if not _NAME.fullmatch(stream):
        raise ValueError("stream: a name has no white space, dots, slashes, '*' and '>'")
    try:
        import nats.aio.client
    except ModuleNotFoundError as error:
        raise missing("nats", error) from None
    return _JetStream(
        address,
        stream,
        function_of_one_or_none("subject", subject),
        more_than_zero("duplicate_window", duplicate_window) if create else None,
        more_than_zero("timeout", timeout) or 0.0,
        options,
        nats.aio.client.Client,
    )


class _Refusal(msgspec.Struct):
    """What the server says why it stored nothing."""

    code: int = 0
    description: str = ""


class _Answer(msgspec.Struct):
    """What the server says of a message."""

    stream: str = ""
    seq: int = 0
    duplicate: bool = False
    error: _Refusal | None = None


class _Awaited:
    """The answers that one call waits for."""

    __slots__ = ("done", "missing", "outcomes", "records")

    def __init__(self, records: Sequence[Record], done: asyncio.Future[None]) -> None:
        self.records = records
        self.outcomes: list[Outcome | None] = [None] * len(records)
        self.missing = len(records)
        self.done = done

    def answer(self, index: int, outcome: Outcome) -> None:
        if self.outcomes[index] is None:
            self.outcomes[index] = outcome
            self.missing -= 1
            if not (self.missing or self.done.done()):
                self.done.set_result(None)


class _JetStream:
    def __init__(
        self,
        address: BrokerAddress,
        stream: str,
        subject: Callable[[Record], str] | None,
        window: float | None,
        timeout: float,
        options: dict[str, Any],
        new_client: Callable[[], Any],
    ) -> None:
        self._address = address
        self._stream = stream
        self._subject = subject
        self._window = window
        self._timeout = timeout
        self._options = options
        self._new_client = new_client
        self._client: Any = None  # nats-py has no types that a strict checker takes
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connecting = asyncio.Lock()
        self._said: BaseException | None = None
        self._first_error: asyncio.Future[None] | None = None
        self._awaited: dict[str, _Awaited] = {}
        self._subjects: dict[str, str] = {}
        self._inbox = ""
        self._number = 0
        self._decode = msgspec.json.Decoder(_Answer).decode

    def __repr__(self) -> str:
        return f"<jetstream {self._address.shown} stream {self._stream}>"

    async def publish(self, records: Sequence[Record]) -> Sequence[Outcome]:
        client = await self._connected()
        if not client.is_connected:  # it would keep them, and send them after we gave them up
            raise ConnectionError(f"{self._address.shown} is away{self._why()}")
        self._number += 1
        number = str(self._number)
        done = asyncio.get_running_loop().create_future()
        awaited = self._awaited[number] = _Awaited(records, done)
        try:
            if await self._send(client, awaited, f"{self._inbox}.{number}."):
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._timeout):
                        await done
        finally:
            del self._awaited[number]
        late = TimeoutError(f"no answer within {self._timeout:g} s")
        return [
            outcome or Failed(record.id, record.key, late, record.data, temporary=True)
            for record, outcome in zip(records, awaited.outcomes, strict=True)
        ]

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None and self._loop is asyncio.get_running_loop():
            await client.close()

    async def _send(self, client: Any, awaited: _Awaited, inbox: str) -> int:
        """Send records, and return for how many an answer is awaited."""
        for index, record in enumerate(awaited.records):
            headers = {"Nats-Msg-Id": _one_line(record.id)} if record.id else None
            try:
                await client.publish(
                    self._subject_of(record), record.data, f"{inbox}{index}", headers
                )
            except Exception as error:
                is_away = not client.is_connected
                failed = Failed(record.id, record.key, self._shown(error), record.data, is_away)
                awaited.answer(index, failed)
        return awaited.missing

    def _subject_of(self, record: Record) -> str:
        if self._subject is not None:
            return self._subject(record)
        subject = self._subjects.get(record.key)
        if subject is None:
            if len(self._subjects) >= MOST_SUBJECTS:
                self._subjects.clear()
            subject = f"{self._stream}.{_token(record.key)}" if record.key else self._stream
            self._subjects[record.key] = subject
        return subject

    # --- answers

    async def _on_answer(self, message: Any) -> None:
        _, number, index = message.subject.rsplit(".", 2)
        awaited = self._awaited.get(number)
        if awaited is None:  # it was given up
            return
        place = int(index)
        record = awaited.records[place]
        awaited.answer(place, self._outcome(record, message.data))

    def _outcome(self, record: Record, data: bytes) -> Outcome:
        try:
            answer = self._decode(data)
        except msgspec.DecodeError:  # nobody takes this subject, or the stream has no leader now
            nobody = ConnectionError(f"no stream takes {self._subject_of(record)}")
            return Failed(record.id, record.key, nobody, record.data, temporary=True)
        if answer.error is not None:
            said = self._address.masked(answer.error.description)
            error = SinkUnavailable(f"the server refused it with {answer.error.code}: {said}")
            temporary = answer.error.code >= 500
            return Failed(record.id, record.key, error, record.data, temporary)
        if answer.stream != self._stream:
            other = LookupError(f"{self._subject_of(record)} belongs to the stream {answer.stream}")
            return Failed(record.id, record.key, other, record.data)
        return (Duplicate if answer.duplicate else Stored)(record.id, record.key, answer.seq)

    # --- the connection

    async def _connected(self) -> Any:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:  # another one had it, which has ended
            self._loop, self._client, self._connecting = loop, None, asyncio.Lock()
        async with self._connecting:
            if self._client is None or self._client.is_closed:
                self._client = await self._connect()
        return self._client

    async def _connect(self) -> Any:
        client = self._new_client()
        options = {
            "max_reconnect_attempts": -1,
            "reconnect_time_wait": RECONNECT_WAIT,
            "name": "rxsocket",
            **self._options,
            "error_cb": self._on_error,
            "disconnected_cb": self._on_disconnected,
        }
        self._said = None
        self._first_error = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._timeout):
                await self._first_of_connect(client, options)
                await self._prepare(client)
        except BaseException as error:
            with suppress(Exception):
                await client.close()
            if isinstance(error, SinkUnavailable) or not isinstance(error, Exception):
                raise
            said = self._said or error
            is_away = isinstance(said, (OSError, TimeoutError))
            what = "cannot be reached" if is_away else "cannot be used"
            if isinstance(said, TimeoutError):
                what = f"does not answer within {self._timeout:g} s"
            advice = "start it, or check url=" if is_away else "check url= and the other options"
            raise self._address.away(said, what, advice) from None
        finally:
            self._first_error = None
        return client

    async def _first_of_connect(self, client: Any, options: dict[str, Any]) -> None:
        """Connect, but give up at the first error: by itself the client would try on for ever."""
        assert self._first_error is not None
        connecting = asyncio.ensure_future(client.connect(self._address.url, **options))
        try:
            either = (connecting, self._first_error)
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not connecting.done() and self._said is not None:
                raise self._said
        finally:
            connecting.cancel()
        await connecting

    async def _prepare(self, client: Any) -> None:
        from nats.js.api import StreamConfig
        from nats.js.errors import NotFoundError, ServiceUnavailableError

        context = client.jetstream(timeout=self._timeout)
        try:
            info = await context.stream_info(self._stream)
        except NotFoundError:
            if self._window is None:
                raise SinkUnavailable(
                    f"{self._address.shown} has no stream {self._stream}: make it, or pass "
                    "create=True"
                ) from None
            subjects = [self._stream, f"{self._stream}.>"]
            info = await context.add_stream(
                StreamConfig(name=self._stream, subjects=subjects, duplicate_window=self._window)
            )
        except ServiceUnavailableError:
            raise SinkUnavailable(
                f"{self._address.shown} has no JetStream: start nats-server with -js"
            ) from None
        taken: list[str] = info.config.subjects or []
        if self._subject is None and not any(
            subject.partition(".")[0] in (self._stream, "*", ">") for subject in taken
        ):
            raise SinkUnavailable(
                f"the stream {self._stream} takes {', '.join(taken)}: pass subject=, a function of "
                "a record that says what it is published to"
            )
        self._inbox = client.new_inbox()
        unlimited = {"pending_msgs_limit": -1, "pending_bytes_limit": -1}
        await client.subscribe(f"{self._inbox}.>", cb=self._on_answer, **unlimited)

    async def _on_error(self, error: Exception) -> None:
        self._said = error
        if self._first_error is not None and not self._first_error.done():
            self._first_error.set_result(None)

    async def _on_disconnected(self) -> None:
        """No answer comes any more to what was sent before."""
        lost = ConnectionError(f"the connection to {self._address.shown} was lost{self._why()}")
        for awaited in tuple(self._awaited.values()):
            for index, record in enumerate(awaited.records):
                failed = Failed(record.id, record.key, lost, record.data, temporary=True)
                awaited.answer(index, failed)

    def _why(self) -> str:
        text = "" if self._said is None else self._address.masked(str(self._said))
        return f": {text}" if text else ""

    def _shown(self, error: Exception) -> Exception:
        return SinkUnavailable(self._address.masked(str(error) or type(error).__name__))


def _token(key: str) -> str:
    """A key as a part of a subject: dots make levels, if there is something between them."""
    text = _UNSAFE.sub(lambda found: quote(found[0], safe=""), key)
    return text if all(text.split(".")) else text.replace(".", "%2E")


def _one_line(id: str) -> str:
    """An id as the value of a header, from which the client takes white space away."""
    return id if id.isprintable() and id == id.strip() and "%" not in id else quote(id, safe="")
