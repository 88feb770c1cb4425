"""Requests to a kernel, whose answers may come over a later connection (C48).

A server that keeps what a kernel says for a client that is away gives it to the next connection of
the same session. So a request does not end with its connection. Whether its answer is lost is told
by the kernel itself, which answers in order: after a reconnect it is asked for its kernel info, and
what is not answered when that is, will not be::

    connection   o------------x    o-----------------
    sent         --E---------------I-----------------   E execute, I kernel info
    messages     ----b--s------    s--r-i-----r'-i'--   busy, stream, reply, idle
    request      ----b--s----------s--r-i|
    lost         ----b--s---------------------X         ConnectionLost
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from reactivex import abc
from reactivex.disposable import CompositeDisposable, Disposable, SerialDisposable

from rxsocket.errors import ConnectionLost, IdentityChanged, NotConnected, SocketError
from rxsocket.events import Opened
from rxsocket.protocols.jupyter_messages import KernelMessage, kernel_message
from rxsocket.protocols.on_demand import as_read
from rxsocket.runtime.loop import run_in_task
from rxsocket.runtime.threads import as_exception
from rxsocket.sending.outbox import Queued, Sent
from rxsocket.socket import Socket
from rxsocket.streams.multicast import SafeObserver, observer_name
from rxsocket.streams.receipts import Receipt

OnInput = Callable[[str, bool], str | Awaitable[str]]
"""Given the prompt, and whether what is typed is a secret: what was typed."""

INTERRUPTED_WITHIN = 5.0
"""Seconds that a kernel may take to interrupt code whose question cannot be answered."""


class KernelDied(SocketError):
    """The kernel died while a request was under way; the text says what the server does."""


@dataclass(slots=True, eq=False)
class KernelRequest:
    """A request that waits for its answer.

    Attributes:
        message: What is sent.
        observer: Gets the messages that are because of it; ``None`` if only the end matters.
        timeout: Seconds to wait for each of them; ``None`` for as long as it takes.
        until_idle: Whether it is over when the kernel is idle, too, not with the reply alone.
        on_input: Answers what the code asks for.
        epoch: The connection that carried it; ``None`` before.
        has_reply: Whether the reply came.
        is_idle: Whether the kernel has said that it is idle again.
        asked_before: What a question for kernel info is behind of; empty for another request.
        queued: Its message, until that was written.
        failure: What ``on_input`` raised.
        under_way: What is to be ended with it.
        timer: Its limit.
    """

    message: KernelMessage
    observer: SafeObserver[KernelMessage] | None = None
    timeout: float | None = None
    until_idle: bool = False
    on_input: OnInput | None = None
    epoch: int | None = None
    has_reply: bool = False
    is_idle: bool = False
    asked_before: tuple[KernelRequest, ...] = ()
    queued: Queued | None = None
    failure: Exception | None = None
    under_way: CompositeDisposable = field(default_factory=CompositeDisposable)
    timer: SerialDisposable = field(default_factory=SerialDisposable)

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes because of it."""
        return self.has_reply and (self.is_idle or not self.until_idle)


class KernelRequests:
    """The requests of one kernel.

    Args:
        socket: Its socket.
        session: Gives the id of the session.
    """

    def __init__(self, socket: Socket[Any, Any], session: Callable[[], str]) -> None:
        self._socket = socket
        self._session = session
        self._engine = engine = socket._engine  # pyright: ignore[reportPrivateUsage]
        self._pending: dict[str, KernelRequest] = {}
        self._messages: abc.DisposableBase | None = None
        hooks = engine.hooks
        hooks.before_identity_change = (*hooks.before_identity_change, self._on_identity_change)

    def send(
        self, request: KernelRequest, observer: abc.ObserverBase[KernelMessage]
    ) -> abc.DisposableBase:
        """Send a request, and give an observer what is because of it; from any thread."""
        self._engine.encode_value(request.message)  # raises now

        def dispose() -> None:
            safe_observer.is_active = False
            self._engine.loop.run(lambda: self._remove(request))

        def report(error: BaseException) -> None:
            self._engine.publisher.report(observer_name(error), "request", error)

        def dispose_and_report(error: BaseException) -> None:
            dispose()
            report(error)

        safe_observer = SafeObserver(observer, dispose_and_report, report_later=report)
        request.observer = safe_observer
        self._engine.loop.run(lambda: self._start(request))
        return Disposable(dispose)

    # --- on the loop

    def _start(self, request: KernelRequest) -> None:
        if self._engine.publisher.has_ended:
            ended = "not asked: the socket has ended; connect() or subscribe first"
            _end(request, NotConnected(ended))
            return
        self._pending[request.message.id] = request
        request.under_way.add(request.timer)
        if self._messages is None:
            self._messages = messages = SerialDisposable()
            messages.disposable = CompositeDisposable(
                self._socket.opens.passive().subscribe(self._on_opened, _ignore),
                self._socket.messages.subscribe(self._on_message, self._on_end, self._on_end),
            )
        self._engine.loop.run(lambda: self._write(request))  # on the loop that it may just have got

    def _write(self, request: KernelRequest) -> None:
        if request.message.id not in self._pending:
            return
        self._start_timer(request)
        receipt: Receipt[Sent] = Receipt(self._engine.loop, self._engine.publisher.report)
        receipt.when_done(lambda: self._on_written(request, receipt))
        data, size = self._engine.encode_value(request.message)
        request.queued = Queued(data, size, receipt)
        self._engine.outbox.send(request.queued)

    def _on_written(self, request: KernelRequest, receipt: Receipt[Sent]) -> None:
        queued, request.queued = request.queued, None
        if queued is None:
            return  # it was withdrawn
        try:
            request.epoch = receipt.result().epoch
        except Exception as error:
            self._fail(request, error)

    def _start_timer(self, request: KernelRequest) -> None:
        if request.timeout is None:
            return
        loop = self._engine.loop.event_loop
        handle = loop.call_later(request.timeout, self._expire, request, request.timeout)
        request.timer.disposable = Disposable(handle.cancel)

    def _expire(self, request: KernelRequest, timeout: float) -> None:
        with self._engine.loop.turn():
            text = f"no answer to the {request.message.type} within {timeout:g} s"
            if request.queued is not None:
                why = self._engine.outbox.why_waiting()
                text = f"the {request.message.type} was not sent within {timeout:g} s: {why}"
            self._fail(request, TimeoutError(text))

    def _on_message(self, message: KernelMessage) -> None:
        if not message.parent_header:
            self._look_for_death(message)
            return
        request = self._pending.get(message.parent)
        if request is None:
            return
        if message.channel == "iopub":
            request.is_idle = request.is_idle or _state(message) == "idle"
        elif message.channel == "stdin":
            self._on_input(request, message)
        elif message.type.endswith("_reply"):
            request.has_reply = True
            if message.content.get("status") == "aborted":
                request.is_idle = True  # it was not run, and some kernels say no more of it
        self._start_timer(request)
        is_over = request.is_over
        if is_over:
            self._remove(request)
        if request.observer is not None:
            request.observer.on_next(message)
        if is_over:
            _end(request, request.failure)
            self._fail_lost(request)

    def _on_input(self, request: KernelRequest, message: KernelMessage) -> None:
        if message.type != "input_request" or request.on_input is None:
            return
        on_input, content = request.on_input, message.content

        async def ask() -> str:
            answer = on_input(str(content.get("prompt", "")), bool(content.get("password")))
            text = await answer if isinstance(answer, Awaitable) else answer
            if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise TypeError(f"on_input: return a string, not {type(text).__name__}")
            return text

        def reply(text: str) -> None:
            self._send_quietly("input_reply", {"value": text}, "stdin", message.header)

        def failed(error: Exception) -> None:
            name = getattr(on_input, "__qualname__", "on_input")
            self._engine.publisher.report(name, "input_request", error, detached=False)
            request.failure = as_exception(error)
            self._send_quietly("interrupt_request", {}, "control")  # it would wait for ever
            loop = self._engine.loop.event_loop  # behind its reply, so that nothing else is aborted
            late = loop.call_later(INTERRUPTED_WITHIN, self._give_up, request)
            request.under_way.add(Disposable(late.cancel))

        request.under_way.add(run_in_task(self._engine.loop, ask, reply, failed))

    def _give_up(self, request: KernelRequest) -> None:
        with self._engine.loop.turn():
            if request.failure is not None:
                self._fail(request, request.failure)

    def _send_quietly(
        self, type: str, content: dict[str, Any], channel: str, parent: Any = None
    ) -> None:
        made = kernel_message(
            type, content, session=self._session(), channel=channel, parent_header=parent
        )
        self._socket.send(made)

    # --- answers that do not come any more

    def _on_opened(self, opened: Opened) -> None:
        earlier: list[KernelRequest] = []
        for request in [*self._pending.values()]:
            if request.asked_before:
                self._remove(request)  # the question is put again
            elif request.epoch is not None and request.epoch < opened.epoch:
                earlier.append(request)
        if earlier:
            self._start(
                KernelRequest(
                    kernel_message("kernel_info_request", {}, session=self._session()),
                    until_idle=True,
                    asked_before=tuple(earlier),
                )
            )

    def _fail_lost(self, question: KernelRequest) -> None:
        for request in question.asked_before:
            if request.message.id in self._pending and request.message.channel == "shell":
                text = (
                    f"the answer to the {request.message.type} was lost with the connection: the "
                    "server keeps what a kernel says for the last client that leaves, and only "
                    "then; whether it was run is not known"
                )
                self._fail(request, ConnectionLost(text))

    def _look_for_death(self, message: KernelMessage) -> None:
        state = _state(message)
        if state in ("restarting", "autorestarting"):
            text = (
                "the kernel died, and the server starts it again: what it had in memory is gone, "
                "so run again what made that"
            )
        elif state == "dead":
            text = "the kernel died, and the server does not start it again; start another one"
        else:
            return
        for request in [*self._pending.values()]:
            self._fail(request, KernelDied(as_read(self._socket, text)))

    def _on_identity_change(self) -> None:
        text = "not answered: the credential is another identity's now"
        for request in [*self._pending.values()]:
            self._fail(request, IdentityChanged(text))

    def _on_end(self, error: Exception | None = None) -> None:
        self._messages = None
        lost = ConnectionLost("the socket ended before the answer came")
        for request in [*self._pending.values()]:
            self._fail(request, error or lost)

    def _fail(self, request: KernelRequest, error: Exception) -> None:
        if request.message.id in self._pending:
            self._remove(request)
            _end(request, error)

    def _remove(self, request: KernelRequest) -> None:
        if self._pending.pop(request.message.id, None) is None:
            return
        queued, request.queued = request.queued, None
        if queued is not None:
            self._engine.outbox.withdraw(queued)
        request.under_way.dispose()
        if not self._pending and self._messages is not None:
            messages, self._messages = self._messages, None
            messages.dispose()


def _end(request: KernelRequest, error: Exception | None) -> None:
    if request.observer is not None:
        request.observer.end(error)


def _state(message: KernelMessage) -> str:
    is_status = message.channel == "iopub" and message.type == "status"
    return str(message.content.get("execution_state", "")) if is_status else ""


def _ignore(_: Exception) -> None:
    """Its messages fail with the same error."""
