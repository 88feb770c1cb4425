"""Stores records in a stream of Redis or Valkey, once each (C40).

Redis has an idempotent ``XADD`` from 8.6 on, Valkey has none, and ids of one's own must go up. So a
script does it: for each record it looks for a key that was set beside the entry, and sets it with a
time to live. A script is atomic, and one round trip for a batch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from rxsocket.sinks.brokers import BrokerAddress, missing
from rxsocket.sinks.records import Duplicate, Failed, Outcome, Record, Stored
from rxsocket.sinks.sink import Sink, SinkUnavailable
from rxsocket.validation import function_of_one, more_than_zero, whole_number

SCRIPT = """
local window, most, out = ARGV[1], ARGV[2], {}
for n = 1, #KEYS, 2 do
    local stream, mark = KEYS[n], KEYS[n + 1]
    local at = (n - 1) / 2 * 3 + 3
    local id, key, data = ARGV[at], ARGV[at + 1], ARGV[at + 2]
    local entry, what = false, 'stored'
    if id ~= '' then entry = redis.call('GET', mark) end
    if entry then
        what = 'duplicate'
    else
        if most == '' then
            entry = redis.pcall('XADD', stream, '*', 'id', id, 'key', key, 'data', data)
        else
            entry = redis.pcall(
                'XADD', stream, 'MAXLEN', '~', most, '*', 'id', id, 'key', key, 'data', data)
        end
        if type(entry) == 'table' then
            entry, what = entry.err or '', 'failed'
        elseif id ~= '' then
            redis.call('SET', mark, entry, 'PX', window)
        end
    end
    out[n], out[n + 1] = what, entry
end
return out
"""


def redis_streams(
    url: str,
    stream: str | Callable[[Record], str],
    *,
    duplicate_window: float = 120.0,
    max_len: int | None = None,
    timeout: float = 10.0,
    **options: Any,
) -> Sink:
    """A stream of Redis or Valkey as a sink for :func:`into`; it needs ``rxsocket[redis]``.

    An entry has the fields ``id``, ``key`` and ``data``. Records with an id are stored once: it is
    remembered for ``duplicate_window``, in a key of its own that expires, such as
    ``{trades}:id:BTC-USD:1``. So let ``into(retry_for=)`` be shorter than that. Those without an id
    may be stored twice, if an answer is lost. What is stored is as safe as ``appendfsync`` of the
    server makes it.

    It connects when it is used first. A server that cannot be reached then within ``timeout`` is a
    :class:`SinkUnavailable`.

    Args:
        url: Address of the server: ``redis://``, ``rediss://`` or ``unix://``.
        stream: Name of the stream, or a function of a record that gives one.
        duplicate_window: Seconds for which ids are remembered.
        max_len: Entries that a stream keeps, about; default: all of them.
        timeout: Seconds that connecting, and an answer, may take.
        options: What ``redis.asyncio.Redis.from_url`` takes besides: ``username=``,
            ``ssl_ca_certs=``, ...

    Raises:
        TypeError: If an argument is of a wrong type.
        ValueError: If one cannot be used.
        ModuleNotFoundError: If ``redis`` is not installed.

    Examples:
        >>> sink = redis_streams("redis://127.0.0.1:6379/0", "trades", max_len=1_000_000)
        >>> socket.messages.pipe(into(sink, id=lambda trade: trade["id"])).subscribe()
    """
    address = BrokerAddress(url, ("redis", "rediss", "unix"), options, own=("decode_responses",))
    if isinstance(stream, str):
        if not stream:
            raise ValueError("stream: pass a name, not ''")
    else:
        function_of_one("stream", stream, "the name of a stream, or a function of a record")
    try:
        from redis.asyncio import Redis
    except ModuleNotFoundError as error:
        raise missing("redis", error) from None
    return _RedisStreams(
        address,
        stream,
        round(1000 * (more_than_zero("duplicate_window", duplicate_window) or 0.0)),
        None if max_len is None else whole_number("max_len", max_len),
        more_than_zero("timeout", timeout) or 0.0,
        options,
        Redis,
    )


class _RedisStreams:
    def __init__(
        self,
        address: BrokerAddress,
        stream: str | Callable[[Record], str],
        window: int,
        max_len: int | None,
        timeout: float,
        options: dict[str, Any],
        client_type: Any,
    ) -> None:
        self._address = address
        self._stream = stream
        self._of_all = stream if isinstance(stream, str) else None
        self._head: list[Any] = [window, "" if max_len is None else max_len]
        self._timeout = timeout
        self._options = options
        self._client_type = client_type
        self._client: Any = None
        self._script: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turn = asyncio.Lock()

    def __repr__(self) -> str:
        name = "" if self._of_all is None else f" stream {self._of_all}"
        return f"<redis_streams {self._address.shown}{name}>"

    async def publish(self, records: Sequence[Record]) -> Sequence[Outcome]:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:  # another one had it, which has ended
            self._loop, self._client, self._turn = loop, None, asyncio.Lock()
        async with self._turn:  # two connections would not keep the order of two calls
            if self._client is None:
                await self._connect()
            if not records:
                return []
            keys, arguments = self._arguments(records)
            try:
                async with asyncio.timeout(self._timeout):
                    said: list[Any] = await self._script(keys=keys, args=arguments)
            except Exception as error:
                raise self._shown(error) from None
        return [
            self._outcome(record, said[2 * index], said[2 * index + 1].decode())
            for index, record in enumerate(records)
        ]

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None and self._loop is asyncio.get_running_loop():
            await client.aclose()

    def _arguments(self, records: Sequence[Record]) -> tuple[list[str], list[Any]]:
        keys: list[str] = []
        arguments = self._head.copy()
        for record in records:
            stream = self._of_all or self._named(record)
            # In a cluster the braces put it beside the stream.
            mark = f"{stream if '{' in stream else f'{{{stream}}}'}:id:{record.id}"
            keys += (stream, mark)
            arguments += (record.id, record.key, record.data)
        return keys, arguments

    def _named(self, record: Record) -> str:
        return self._stream if isinstance(self._stream, str) else self._stream(record)

    def _outcome(self, record: Record, what: bytes, entry: str) -> Outcome:
        if what == b"stored":
            return Stored(record.id, record.key, entry)
        if what == b"duplicate":
            return Duplicate(record.id, record.key, entry)
        error = SinkUnavailable(f"the server refused it: {self._address.masked(entry)}")
        return Failed(record.id, record.key, error, record.data, entry.startswith("OOM"))

    async def _connect(self) -> None:
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        options = {
            "socket_timeout": self._timeout,
            "socket_connect_timeout": self._timeout,
            "client_name": "rxsocket",
            # What is tried again is tried by into(), which knows what may be stored twice.
            "retry": Retry(NoBackoff(), 0),
            **self._options,
            "decode_responses": False,
        }
        client = self._client_type.from_url(self._address.url, **options)
        try:
            async with asyncio.timeout(self._timeout):
                kind = b"stream" if self._of_all is None else await client.type(self._of_all)
                await client.ping()
        except BaseException as error:
            await client.aclose()
            if not isinstance(error, Exception):
                raise
            is_away = isinstance(error, TimeoutError)
            what = f"does not answer within {self._timeout:g} s" if is_away else "cannot be used"
            advice = "start it, or check url= and the other options"
            raise self._address.away(error, what, advice) from None
        if kind not in (b"none", b"stream"):
            await client.aclose()
            raise SinkUnavailable(
                f"{self._address.shown}: {self._of_all} is a {kind.decode()}; pass another stream="
            )
        self._client, self._script = client, client.register_script(SCRIPT)

    def _shown(self, error: Exception) -> Exception:
        text = self._address.masked(str(error)) or type(error).__name__
        return ConnectionError(f"{self._address.shown}: {text}")
